#!/usr/bin/env python3
"""A pillar with encrypted values, and what the real Salt makes of it.

    VENV/bin/python states/tests/encrypted/regenerate.py

Makes new keys (nothing else is encrypted for them), encrypts with gpg and age, writes `pillar/`, and keeps as salt.json the
pillar that `salt-call --local pillar.items` shows, without what age encrypts, which Salt does not know.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(*words, stdin=""):
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=True).stdout


def indented(text, depth):
    return "".join(" " * depth + line + "\n" for line in text.splitlines())


def keys(home):
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    run(*gpg, "--quick-gen-key", "tests <tests@example.invalid>", "future-default", "default", "never")
    (HERE / "gpg.key").write_text(run(*gpg, "--armor", "--export-secret-keys"))
    (HERE / "age.key").write_text(run("age-keygen"))
    to_gpg = [*gpg, "--armor", "--trust-model", "always", "--encrypt", "-r", "tests@example.invalid"]
    to_age = ["age", "--armor", "-r", run("age-keygen", "-y", str(HERE / "age.key")).strip()]
    return lambda text: run(*to_gpg, stdin=text), lambda text: run(*to_age, stdin=text)


def pillar(gpg, age):
    inline = gpg("inline secret").replace("\n", "\\n")
    files = {
        "top.sls": "base:\n  '*':\n    - plain\n    - gpg\n    - template\n",
        "plain.sls": f"#!yaml\nnot_opened: |\n{indented(gpg('never'), 2)}",
        "gpg.sls": (
            "#!yaml|gpg\n"
            f"password: |\n{indented(gpg('canary-gpg-4711'), 2)}"
            f"key: |\n{indented(gpg('first line of a key' + chr(10) + 'second line of a key' + chr(10)), 2)}"
            f"inline: '{inline}'\n"
            "plain: as it is\n"
            "number: 17\n"
            "nested:\n"
            f"  list:\n    - one\n    - |\n{indented(gpg('in a list'), 6)}"
            f"  around: |\n    user={indented(gpg('a user'), 4).lstrip()}    password={indented(gpg('a password'), 4).lstrip()}    \n"
        ),
        "template.sls": (
            "#!jinja|yaml|gpg\n{% set name = 'made' %}\n"
            f"{{{{ name }}}}_by_template: |\n{indented(gpg('behind a template'), 2)}"
        ),
        "age.sls": (
            "#!jinja|yaml|age\n"
            f"age_password: |\n{indented(age('canary-age-4712'), 2)}"
            f"empty: |\n{indented(age(''), 2)}"
            "age_plain: as it is\n"
        ),
    }
    for name, text in files.items():
        (HERE / "pillar" / name).write_text(text)


def main():
    with tempfile.TemporaryDirectory() as temp:
        temp = pathlib.Path(temp)
        home = temp / "gpgkeys"
        home.mkdir(mode=0o700)
        pillar(*keys(home))
        config = {
            "file_client": "local", "id": "web1", "root_dir": str(temp), "cachedir": str(temp / "cache"),
            "pki_dir": str(temp / "pki"), "log_file": str(temp / "log"), "gpg_keydir": str(home),
            "pillar_roots": {"base": [str(HERE / "pillar")]}, "file_roots": {"base": []},
        }
        (temp / "minion").write_text(json.dumps(config))
        call = os.path.join(os.path.dirname(sys.executable), "salt-call")
        shown = run(call, "--config-dir", str(temp), "--local", "--out=json", "pillar.items", "unmask=True")
        run("gpgconf", "--homedir", str(home), "--kill", "gpg-agent")
        (HERE / "salt.json").write_text(json.dumps(json.loads(shown)["local"], indent=1, sort_keys=True) + "\n")


main()
