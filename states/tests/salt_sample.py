#!/usr/bin/env python3
"""Ask the real Salt a sample of the questions again, and fail if its answers are not those that are stored.

    VENV/bin/python states/tests/salt_sample.py [--seed N] [--returns N] [--modules N] [--trees N]

As root. The same seed takes the same sample; the tests compare ours with the stored answers, so this proves what they
compare with.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def module(name, path):
    """One of the scripts that store answers."""
    spec = importlib.util.spec_from_file_location(name, HERE / path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def returns(chance, count):
    """Cases of state returns: what is stored, and what Salt says now."""
    script = module("salt_returns", "engine/salt_returns.py")
    cases = [(path.stem, case) for path in sorted((HERE / "returns").glob("*.json")) for case in json.loads(path.read_text())]
    base = tempfile.mkdtemp(prefix="salt-sample-")
    try:
        salt = script.Salt(base)
        rounds = [("test", True), ("first", False), ("second", False)]
        for name, case in chance.sample(cases, min(count, len(cases))):
            answer = script.answer(salt, case, os.path.join(base, "root"), rounds)
            yield f"returns/{name}: {case['case']}", case["salt"], answer
    finally:
        shutil.rmtree(base, ignore_errors=True)


def trees(chance, count):
    """Trees: the low state, the pillar and the top matches."""
    script = module("regenerate", "regenerate.py")
    salt_call = pathlib.Path(sys.executable).parent / "salt-call"
    found = sorted(path.parent for path in (HERE / "trees").glob("*/salt.json"))
    for tree in chance.sample(found, min(count, len(found))):
        answer, _ = script.in_child(tree, str(salt_call))
        stored = json.loads((tree / "salt.json").read_text())
        # Some trees store the low state alone.
        yield f"trees/{tree.name}", stored, {part: answer.get(part) for part in stored}


def modules(chance, count):
    """Calls of state functions that edit one file."""
    script = module("modules_regenerate", "modules/regenerate.py")
    cases = json.loads((HERE / "modules/cases.json").read_text())
    answers = json.loads((HERE / "modules/salt.json").read_text())
    for number in chance.sample(range(len(cases)), min(count, len(cases))):
        yield f"modules: {cases[number]['fun']} {number}", answers[number], script.answer(cases[number])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=4)
    # The modules come last: their script changes this process.
    kinds = {"trees": (trees, 10), "returns": (returns, 40), "modules": (modules, 10)}
    for name, (_, count) in kinds.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    args = vars(parser.parse_args())
    os.umask(0o022)
    other = 0
    for name, (ask, _) in kinds.items():
        # A chance of its own for each kind: more of one takes no others of the next.
        for what, stored, answer in ask(random.Random(f"{args['seed']} {name}"), args[name]):
            if json.loads(json.dumps(answer)) != stored:
                other += 1
                print(f"{what}: Salt's answer is another than the stored one\n  stored {json.dumps(stored)[:300]}\n"
                      f"  now    {json.dumps(answer)[:300]}", file=sys.stderr)
    asked = ", ".join(f"{args[name]} {name}" for name in kinds)
    print(f"the real Salt was asked again: {asked}; {other} of its answers differ from the stored ones")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
