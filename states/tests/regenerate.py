"""Stores beside each tree what the real Salt compiles from it: SALT_CALL TREE…"""

import json
import pathlib
import subprocess
import sys
import tempfile


def answer(salt_call, tree):
    """The low state of the tree's top file, or that Salt refuses it."""
    minion = json.loads((tree / "minion.json").read_text())
    with tempfile.TemporaryDirectory() as work:
        config = {
            "id": minion["id"], "grains": minion["grains"], "file_client": "local",
            "file_roots": {"base": [str(tree / "states")]}, "pillar_roots": {"base": [str(tree / "pillar")]},
            "root_dir": work, "cachedir": work + "/cache", "pki_dir": work + "/pki", "sock_dir": work + "/run",
            "log_file": work + "/log", "enable_fqdns_grains": False, "log_level": "quiet",
        }
        (pathlib.Path(work) / "minion").write_text(json.dumps(config))
        command = [salt_call, "--local", "-c", work, "--out=json", "state.show_lowstate"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        low = json.loads(done.stdout)["local"]
    except (ValueError, KeyError):
        return {"refused": True}, done.stdout + done.stderr
    if not isinstance(low, list) or any(isinstance(chunk, str) for chunk in low):
        return {"refused": True}, low
    return {"low": low}, None


for folder in map(pathlib.Path, sys.argv[2:]):
    result, why = answer(sys.argv[1], folder.resolve())
    (folder / "salt.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(folder.name, "refused: " + str(why)[:300] if why else f"{len(result['low'])} chunks")
