"""Stores beside each tree what the real Salt compiles from it: SALT_CALL TREE…

A tree is a folder with `minion.json` (see README.md beside this file). All trees are asked in one Python process,
each in a child of its own, so that no tree sees what another one left behind.
"""

import copy
import json
import os
import pathlib
import sys
import tempfile

REFUSED = {"refused": True}


def config(tree, minion, work):
    """The minion configuration of a tree."""
    def roots(key, folder):
        given = minion.get(key, {"base": [folder]})
        return {env: [str(tree / path) for path in paths] for env, paths in given.items()}

    made = {
        "id": minion["id"], "grains": minion["grains"], "file_client": "local",
        "file_roots": roots("file_roots", "states"), "pillar_roots": roots("pillar_roots", "pillar"),
        "root_dir": work, "cachedir": work + "/cache", "pki_dir": work + "/pki", "sock_dir": work + "/run",
        "log_file": work + "/log", "enable_fqdns_grains": False, "log_level": "quiet",
    }
    if "saltenv" in minion:
        made["saltenv"] = minion["saltenv"]
    return made | minion.get("options", {})


def new_caller(work, salt_call):
    """What `salt-call --local -c WORK` makes of the configuration."""
    import salt.cli.call
    import salt.cli.caller
    import salt.utils.verify

    sys.argv[0] = salt_call
    call = salt.cli.call.SaltCall()
    call.parse_args(["--local", "-c", work, "--out=json", "test.ping"])
    opts = call.config
    opts["file_client"] = "local"
    folders = [opts["pki_dir"], opts["cachedir"], opts["extension_modules"]]
    salt.utils.verify.verify_env(folders, opts["user"], pki_dir=opts["pki_dir"])
    return salt.cli.caller.Caller.factory(opts)


def ask(caller, function, **kwargs):
    """One execution function, with the types that its answer has in JSON."""
    caller.opts["fun"] = function
    caller.opts["arg"] = [dict(kwargs, __kwarg__=True)] if kwargs else []
    return json.loads(json.dumps(caller.call()["return"], default=repr))


def run_order(caller, function, **kwargs):
    """The chunks that a run would execute, in order; nothing is executed."""
    import salt.state

    chunks = []
    salt.state.State.call_chunks = lambda self, all, *rest, **more: chunks.append(copy.deepcopy(list(all))) or {}
    salt.state.State.call_listen = lambda self, all, running: running
    salt.state.State.call_beacons = lambda self, all, running: running
    answer = ask(caller, function, **kwargs)
    return json.loads(json.dumps(chunks[0], default=repr)) if chunks else answer


def low_state(caller, minion):
    """What the top file, or the SLS that the tree names, compile to."""
    pillar = {"pillar": minion["pillar"]} if "pillar" in minion else {}
    if "sls" in minion:
        return run_order(caller, "state.sls", mods=",".join(minion["sls"]), **pillar)
    if pillar:
        return run_order(caller, "state.highstate", **pillar)
    return ask(caller, "state.show_lowstate")


def each(tree, caller, work):
    """What every SLS of the tree compiles to on its own: its chunks, or that it is refused."""
    found = {}
    for path in sorted((tree / "states").glob("*.sls")):
        if path.stem.startswith("_"):
            continue
        result = pathlib.Path(work) / "each"
        child = os.fork()
        if child == 0:
            low = run_order(caller, "state.sls", mods=path.stem)
            refused = not isinstance(low, list) or any(isinstance(chunk, str) for chunk in low)
            result.write_text(json.dumps(REFUSED if refused else low, ensure_ascii=False))
            os._exit(0)
        os.waitpid(child, 0)
        found[path.stem] = json.loads(result.read_text()) if result.exists() else REFUSED
        result.unlink(missing_ok=True)
    return {"each": found}, None


def answers(tree, work, salt_call):
    """The low state of the tree with its top matches and pillar, or that Salt refuses it, and why."""
    minion = json.loads((tree / "minion.json").read_text())
    (pathlib.Path(work) / "minion").write_text(json.dumps(config(tree, minion, work)))
    caller = new_caller(work, salt_call)
    if minion.get("each"):
        return each(tree, caller, work)
    low = low_state(caller, minion)
    if not isinstance(low, list) or any(isinstance(chunk, str) for chunk in low):
        return REFUSED, low
    given = {"pillar": minion["pillar"]} if "pillar" in minion else {}
    found = {"low": low, "pillar": ask(caller, "pillar.items", unmask=True, **given)}
    if "sls" not in minion and not given:
        top = found["top"] = ask(caller, "state.show_top")
        # A run checks the top file, and that it has something for the minion; `show_lowstate` does not.
        if not isinstance(top, dict) or not top:
            return REFUSED, top
    return found, None


def in_child(tree, salt_call):
    """The answers for a tree, from a process that ends with it."""
    with tempfile.TemporaryDirectory() as work:
        result = pathlib.Path(work) / "result"
        child = os.fork()
        if child == 0:
            with open(result.with_suffix(".err"), "w") as err, open(os.devnull) as nothing:
                os.dup2(err.fileno(), 1), os.dup2(err.fileno(), 2), os.dup2(nothing.fileno(), 0)
            try:
                result.write_text(json.dumps(answers(tree, work, salt_call), ensure_ascii=False))
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os._exit(0)
        os.waitpid(child, 0)
        if result.exists():
            return json.loads(result.read_text())
        return REFUSED, result.with_suffix(".err").read_text()


def main(salt_call, trees):
    """Asks, stores and says what was stored."""
    failed = 0
    for tree in map(pathlib.Path, trees):
        result, why = in_child(tree.resolve(), salt_call)
        # A tree that is refused has the words of our error beside it: anything else is a mistake of the tree's author.
        if (result == REFUSED) != (tree / "error.txt").exists():
            failed += 1
            print(f"{tree.name}: error.txt does not go with this answer", file=sys.stderr)
        (tree / "salt.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        count = f"{len(result.get('low') or result.get('each') or [])} answers"
        print(tree.name, count if why is None else "refused: " + str(why).strip()[-300:])
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        import salt
    except ImportError:
        python = pathlib.Path(sys.argv[1]).parent / "python"
        os.execv(python, [str(python), *sys.argv])
    sys.exit(main(sys.argv[1], sys.argv[2:]))
