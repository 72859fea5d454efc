#!/usr/bin/env python3
"""Makes random trees of `test.*` states with requisites, and stores how the real Salt runs them.

    VENV/bin/python states/tests/requisites/regenerate.py [COUNT [SEED]]    # 480 7

Every case is one SLS. Salt compiles and runs it twice, in test mode and for real, all in this process. Kept of each state,
in the order of `__run_num__`: its id, its function, `result`, whether it has changes, whether it ran, and, when it did
not, why. What Salt refuses to compile is kept as refused. The same seed makes the same cases.
"""

import json
import pathlib
import random
import signal
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

FUNCTIONS = (
    ["nop"] * 3 + ["succeed_without_changes"] * 3 + ["succeed_with_changes"] * 5 + ["fail_without_changes"] * 3
    + ["fail_with_changes"] * 2 + ["configurable_test_state"] * 3
)
REQUISITES = (
    ["require"] * 4 + ["watch"] * 4 + ["onchanges"] * 4 + ["onfail"] * 3 + ["prereq"] * 4 + ["listen"] * 3
    + ["require_any", "watch_any", "onchanges_any", "onfail_any", "onfail_all"] * 2
)
IN_FORMS = ["require_in", "onchanges_in", "onfail_in", "listen_in", "prereq_in"]

# What a state that did not run says.
REASONS = {
    "State was not run because onfail": "onfail",
    "State was not run because none of the onchanges": "onchanges",
    "One or more requisite failed": "requisite",
    "No changes detected": "prereq",
    "onlyif condition is false": "condition",
    "unless condition is true": "condition",
    "Recursive requisite found": "circle",
    "The following requisites were not found": "missing",
}


def arguments(chance, ranks, own, prereqs, onfails, quiet):
    """The arguments of one state, in the order in which they are written. Requisites lead to states of lower rank, and
    those of `…_in` to higher ones, so that few go round in a circle; the more `prereq`, the more do. What fails without
    changes (`quiet`) watches nothing: Salt calls its mod_watch, and the failure is forgotten. Nor do reactions and `prereq`
    or `parallel` come together: Salt then loses some."""
    found = []
    below = [i for i in ranks if ranks[i] < ranks[own]]
    above = [i for i in ranks if ranks[i] > ranks[own]]
    others = [i for i in ranks if i != own]

    avoided = ["listen" if prereqs else "prereq", *([] if onfails else ["onfail"])]
    kinds = [kind for kind in REQUISITES if not kind.startswith(tuple(avoided))]
    if quiet or prereqs:
        kinds = [kind for kind in kinds if not kind.startswith("watch")]

    def some(pool, most):
        pool = others if chance.random() < 0.02 else pool
        return chance.sample(pool, min(len(pool), chance.randint(1, most)))

    for _ in range(chance.choice([0, 1, 1, 2, 2, 3])):
        kind = chance.choice(kinds)
        targets = some(others if kind == "listen" else below, 3)
        if targets and not any(kind in arg for arg in found):
            found.append({kind: [target(chance, t) for t in targets]})
    if chance.random() < 0.15:
        kind = chance.choice([kind for kind in IN_FORMS if not kind.startswith(tuple(avoided))])
        targets = some(above, 1)
        found += [{kind: [{"test": targets[0]}]}] if targets else []
    extras = [
        ({"order": chance.choice([1, 2, "first", "last", -1, 5])}, 0.08), ({"failhard": True}, 0.04),
        ({"unless": "true"}, 0.03), ({"unless": "false"}, 0.02), ({"onlyif": "false"}, 0.03),
        ({"onlyif": "true"}, 0.02), ({"parallel": True}, 0.04), ({"fire_event": True}, 0.03),
        ({"reload_modules": True}, 0.03), ({"aggregate": True}, 0.03),
        ({"retry": {"attempts": 2, "interval": 0, "until": chance.choice([True, True, False])}}, 0.05),
        ({"check_cmd": [chance.choice(["true", "false"])]}, 0.03), ({"name": f"name-of-{own}"}, 0.06),
    ]
    extras = [extra for extra, likely in extras if chance.random() < likely]
    conditions = any("unless" in extra or "onlyif" in extra for extra in extras)
    reacts = any(word in key for arg in found for key in arg for word in ("listen", "watch"))
    checks = any("check_cmd" in extra for extra in extras)
    unfit = {
        "check_cmd": conditions, "retry": conditions, "parallel": reacts or checks, "failhard": prereqs,
    }
    return found + [extra for extra in extras if not unfit.get(next(iter(extra)))]


def target(chance, identifier):
    return identifier if chance.random() < 0.06 else {"test": identifier}


def case(chance):
    ids = [f"s{i}" for i in range(chance.randint(2, 7))]
    ranks = dict(zip(ids, chance.sample(range(len(ids)), len(ids))))
    high, prereqs, onfails = {}, chance.random() < 0.3, chance.random() < 0.4
    for own in ids:
        function = chance.choice(FUNCTIONS)
        changes, result = chance.random() < 0.5, chance.random() < 0.6
        quiet = function == "fail_without_changes" or not (changes or result)
        args = arguments(chance, ranks, own, prereqs, onfails, quiet)
        if function == "configurable_test_state":
            args = [arg for arg in args if "aggregate" not in arg]
            args += [{"changes": changes}, {"result": result}]
        high[own] = {f"test.{function}": args}
    return high


def written(high):
    import yaml

    return yaml.safe_dump(high, sort_keys=False, default_flow_style=None, width=110)


def options(work, states, test):
    import salt.config

    opts = salt.config.minion_config(None)
    opts.update(
        file_client="local", root_dir=str(work), cachedir=str(work / "cache"), test=test, id="m1",
        file_roots={"base": [str(states)]}, pillar_roots={"base": []}, fileserver_list_cache_time=0,
        grains={"os": "Debian", "os_family": "Debian", "kernel": "Linux", "shell": "/bin/sh", "id": "m1"},
    )
    return opts


def reason(ret):
    comment = ret["comment"] if isinstance(ret["comment"], str) else "\n".join(map(str, ret["comment"]))
    if "An exception occurred in this state" in comment:
        raise RuntimeError(comment)
    if ret["result"] is None and not ret["changes"]:
        raise RuntimeError("Salt forgets that what should come before a state (prereq) has failed")
    return next((word for words, word in REASONS.items() if words in comment), None)


def kept(running):
    if not isinstance(running, dict):
        return {"refused": [str(error) for error in running]}
    steps = sorted(running.items(), key=lambda item: item[1].get("__run_num__", 0))
    return [
        {
            "id": ret.get("__id__", tag.split("_|-")[1]), "fun": tag.rsplit("_|-", 1)[1], "result": ret["result"],
            "changed": bool(ret["changes"]), "ran": ret.get("__state_ran__", True), "why": reason(ret),
        }
        for tag, ret in steps
    ]


def run(highstate, name):
    """As `state.sls` does it, with the state object of the run before made new. `None`: Salt ends with an exception, or
    not at all (it waits for ever for some states that run in parallel)."""
    state = highstate.state
    state.reset_run_num()
    state.pre, state.procs = {}, {}
    highstate.building_highstate = {}
    signal.alarm(5)
    try:
        high, errors = highstate.render_highstate({"base": [name]})
        return kept(errors or state.call_high(high))
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    finally:
        signal.alarm(0)


def asked(key, sls):
    """A rehearsal goes the way of the run here; Salt's does not where `onfail` (what would change counts as failed) or
    `check_cmd` (asked before there is anything to check) are involved."""
    return key == "run" or not any(word in sls for word in ("onfail", "check_cmd"))


def too_long(_number, _frame):
    raise TimeoutError("it does not end")


def main(count, seed):
    from salt.state import HighState

    signal.signal(signal.SIGALRM, too_long)
    chance = random.Random(seed)
    cases = [{"sls": written(case(chance))} for _ in range(count)]
    with tempfile.TemporaryDirectory() as temp:
        work = pathlib.Path(temp)
        states = work / "states"
        states.mkdir()
        for number, one in enumerate(cases):
            (states / f"c{number}.sls").write_text(one["sls"])
        for key, test in (("test", True), ("run", False)):
            with HighState(options(work, states, test)) as highstate:
                highstate.push_active()
                for number, one in enumerate(cases):
                    one[key] = run(highstate, f"c{number}") if asked(key, one["sls"]) else None
    lines = ",\n".join(json.dumps(one) for one in cases if one["run"] is not None)
    (HERE / "salt.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 480, int(sys.argv[2]) if len(sys.argv) > 2 else 7)
