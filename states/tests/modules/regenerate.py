#!/usr/bin/env python3
"""What the real Salt answers to the cases of this folder.

    VENV/bin/python states/tests/modules/regenerate.py

Each case of cases.json is one state call on one file: `fun`, `name`, `args`, `file` (the path that Mayfly edits below
its root) and `before` (its text; null when it is not there). The state functions of Salt run in this process, on that
file in a temporary directory; `result`, `changes` and the text afterwards go to salt.json, in the order of the cases.
Two runs each: the second one's `changes` are kept as `again`.
"""

import json
import pathlib
import tempfile

import salt.config
import salt.loader

HERE = pathlib.Path(__file__).resolve().parent


def options(work):
    opts = salt.config.minion_config(None)
    opts.update(
        file_client="local", root_dir=str(work), cachedir=str(work / "cache"), test=False,
        **{"hosts.file": str(work / "file"), "aliases.file": str(work / "file"), "integration.test": True},
    )
    opts["file_roots"] = {"base": []}
    opts["grains"] = {"os": "Debian", "os_family": "Debian", "osmajorrelease": 12, "kernel": "Linux", "shell": "/bin/sh"}
    return opts


def crontab(functions, path):
    """Let Salt's cron module read and write this file rather than call crontab(1)."""
    import sys

    for name in list(sys.modules):
        module = sys.modules[name]
        if name.endswith(".cron") and hasattr(module, "_write_cron_lines"):
            def write(_user, lines):
                path.write_text("".join(lines))
                return {"retcode": 0}

            module.raw_cron = lambda _user: path.read_text() if path.exists() else ""
            module._write_cron_lines = write


def answer(case):
    with tempfile.TemporaryDirectory() as temp:
        work = pathlib.Path(temp)
        path = work / "file"
        if case["before"] is not None:
            path.write_text(case["before"])
        # cron's functions are only there where crontab(1) is.
        bin_ = work / "bin"
        bin_.mkdir()
        (bin_ / "crontab").write_text("#!/bin/sh\n")
        (bin_ / "crontab").chmod(0o755)
        import os

        os.environ["PATH"] = f"{bin_}:/usr/sbin:/usr/bin:/sbin:/bin"
        opts = options(work)
        functions = salt.loader.minion_mods(opts)
        functions["test.ping"]()
        if case["fun"].startswith("cron."):
            functions["cron.list_tab"]
            crontab(functions, path)
        states = salt.loader.states(opts, functions, salt.loader.utils(opts), None)
        args = dict(case["args"])
        name = case["name"].replace("{file}", str(path))
        if "config" in args:
            args["config"] = args["config"].replace("{file}", str(path))
        first = states[case["fun"]](name, **args)
        # Another step of a run, not the same one: what was read before is read anew.
        functions.pack["__context__"].clear()
        text = path.read_text() if path.exists() else None
        again = states[case["fun"]](name, **args)
        plain = json.loads(json.dumps(first, default=str).replace(str(path), "{file}"))
        return {"result": plain["result"], "changes": plain["changes"], "after": text, "again": again["changes"]}


def main():
    cases = json.loads((HERE / "cases.json").read_text())
    answers = [answer(case) for case in cases]
    (HERE / "salt.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(answers)} answers")


if __name__ == "__main__":
    main()
