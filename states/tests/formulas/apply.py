#!/usr/bin/env python3
"""Apply formulas for real, with the real Salt and with Mayfly, in two equal Debian roots, and compare what came of it.

    states/tests/formulas/apply.py --formulas DIR --salt VENV --mayfly BINARY [--cache DIR] [--fresh] [CASE…]

As root. DIR has checkouts of github.com/saltstack-formulas/NAME-formula; VENV a Salt 3008.3 for Python 3.11 (bookworm's);
mmdebstrap makes the base root once. Each case is `NAME/pillar.sls` beside this file (see README.md there). Each side
applies it in test mode, then twice, in an overlay of the base and in namespaces of its own. Salt's side is kept in the
cache until its case or the base changes.
"""

import argparse
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import compare
import look

HERE = pathlib.Path(__file__).resolve().parent
SIDES = ("salt", "mayfly")
# What a server's init would bring, and what Salt needs of a machine.
PACKAGES = "ca-certificates,python3,sysvinit-core,insserv,procps,gnupg,iproute2"
RUNS = (("test", True), ("first", False), ("second", False))
# The machine's own way to the package registry.
NETWORK = ("etc/resolv.conf", "etc/apt/apt.conf", "etc/ssl/certs/ca-certificates.crt")
INSIDE = "/run/formula"
# Salt calls itself by its name where a command runs as another user.
ENVIRONMENT = {
    "PATH": f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{INSIDE}/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Salt is imported by the root's own Python from a folder that no other program sees.
SALT_CALL = f"""#!/usr/bin/python3
import sys
sys.path.insert(0, "{INSIDE}/salt")
from salt.scripts import salt_call
salt_call()
"""


def run(*command, **options):
    """A command that must succeed."""
    return subprocess.run([str(word) for word in command], check=True, **options)


def make_base(base):
    """The root that both sides start from, made once."""
    if (base / "ready").exists():
        return
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    lenient = [f"--aptopt=Acquire::Check-{what} \"false\"" for what in ("Valid-Until", "Date")]
    run("mmdebstrap", "--variant=minbase", "--skip=cleanup/apt/lists", f"--include={PACKAGES}", *lenient, "bookworm",
        base / "root")
    for name in NETWORK:
        if os.path.exists(f"/{name}"):
            shutil.copy(f"/{name}", base / "root" / name)
    for path in glob.glob("/etc/apt/apt.conf.d/*proxy*"):
        shutil.copy(path, base / "root/etc/apt/apt.conf.d")
    (base / "root/etc/hostname").write_text("web1\n")
    (base / "root/etc/hosts").write_text("127.0.0.1 localhost web1\n")
    (base / "ready").touch()


def case_of(name):
    """A case: the formula's name, what is applied, and the pillar."""
    text = (HERE / name / "pillar.sls").read_text()
    lines = [line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# ") and ": " in line]
    words = dict(lines)
    return {
        "name": name,
        "formulas": words.get("formulas", name).split(", "),
        "apply": words.get("apply", name).split(", "),
        "needs": [word for word in words.get("needs", "").split(", ") if word],
        "pillar": text,
        "differs": [words.split(": ", 1) for key, words in lines if key == "differs"],
    }


# Outside of the root: what a side needs is laid out, then this script runs again in namespaces of its own.

def side(args, case, which):
    """What one side came to, from the cache where nothing changed."""
    kept = args.cache / "answers" / f"{case['name']}.{which}.json"
    asked = {**case, "differs": None, "pillar": re.sub(r"^# differs: .*\n", "", case["pillar"], flags=re.M), "base": (args.cache / "base/ready").stat().st_mtime}
    if which == "salt" and kept.exists() and not args.fresh:
        answer = json.loads(kept.read_text())
        if answer["asked"] == asked:
            return answer
    work = args.cache / "work" / f"{case['name']}.{which}"
    lay_out(args, case, which, work)
    started = time.monotonic()
    run("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", sys.executable, __file__, "--inside", work)
    answer = {"asked": asked, "seconds": round(time.monotonic() - started, 1), **json.loads((work / "answer.json").read_text())}
    kept.parent.mkdir(exist_ok=True)
    for package in (work / "archives").glob("*.deb"):
        os.replace(package, args.cache / "archives" / package.name)
    kept.write_text(json.dumps(answer))
    if not args.keep:
        shutil.rmtree(work)
    return answer


def lay_out(args, case, which, work):
    """The job's folders: the overlay's, the tree, the pillar and Salt's configuration."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("upper", "overlay", "archives", "overlay2", "root", "job/pillar", "job/conf", "job/salt", "job/bin", "job/work"):
        (work / name).mkdir(parents=True)
    (work / "job/pillar/top.sls").write_text("base:\n  '*':\n    - data\n")
    (work / "job/pillar/data.sls").write_text(case["pillar"])
    roots = [args.formulas / f"{name}-formula" for name in case["formulas"]]
    for number, root in enumerate(roots):
        if not root.is_dir():
            raise SystemExit(f"{root} is not there: a checkout of github.com/saltstack-formulas/{root.name}")
        shutil.copytree(root, work / f"job/tree{number}", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    files = HERE / case["name"] / "files"
    trees = [f"{INSIDE}/tree{number}" for number in range(len(roots))]
    if files.is_dir():
        shutil.copytree(files, work / "job/files")
        trees.append(f"{INSIDE}/files")
    work_dir = f"{INSIDE}/work"
    (work / "job/conf/minion").write_text(json.dumps({
        "id": "web1", "file_client": "local", "file_roots": {"base": trees}, "root_dir": work_dir,
        "pillar_roots": {"base": [f"{INSIDE}/pillar"]}, "cachedir": f"{work_dir}/cache", "pki_dir": f"{work_dir}/pki",
        "sock_dir": f"{work_dir}/run", "log_file": f"{work_dir}/log", "log_level": "quiet", "log_level_logfile": "debug",
        "enable_fqdns_grains": False,
    }))
    if which == "mayfly":
        shutil.copy(args.mayfly, work / "job/bin")
    else:
        (work / "job/bin/salt-call").write_text(SALT_CALL)
        (work / "job/bin/salt-call").chmod(0o755)
    cache = args.cache / "archives"
    cache.mkdir(exist_ok=True)
    (work / "job.json").write_text(json.dumps({
        "which": which, "base": str(args.cache / "base/root"), "work": str(work), "archives": str(cache), "trees": trees,
        "salt": next(iter(glob.glob(f"{args.salt}/lib/python3.11/site-packages")), None), "apply": case["apply"],
        "needs": case["needs"],
    }))


# Inside of the namespaces: this is process 1, so whoever lost its parent is reaped here.

def inside(work):
    """Applies in the root, and writes down what came of it."""
    job = json.loads((work / "job.json").read_text())
    mount_root(job, work)
    answer = {"runs": {}}
    if job["needs"]:
        in_root(job, ["apt-get", "install", "-qy", "--no-install-recommends", *job["needs"]])
    for name, test in RUNS:
        answer["runs"][name] = states(in_root(job, command(job, test)))
        if name == "first":
            answer["tree"] = look.tree(work / "upper", job["base"])
    answer["tree after second"] = look.tree(work / "upper", job["base"])
    answer["processes"] = look.processes(work / "root/proc")
    answer["services"] = look.services(in_root(job, ["service", "--status-all"])[0])
    (work / "answer.json").write_text(json.dumps(answer))


def mount(*words):
    run("mount", *words)


def mount_root(job, work):
    """The overlay, with the file systems of a running machine."""
    root = work / "root"
    mount("--make-rprivate", "/")
    layers = f"lowerdir={job['base']},upperdir={work}/upper,workdir={work}/overlay"
    mount("-t", "overlay", "overlay", "-o", layers, root)
    mount("-t", "proc", "proc", root / "proc")
    # The kernel is the machine's.
    mount("--bind", root / "proc/sys", root / "proc/sys")
    mount("-o", "remount,bind,ro", root / "proc/sys")
    mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (root / "dev" / name).symlink_to(target)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", root / "dev/pts")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "dev/shm")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "run")
    (root / "run/lock").mkdir(mode=0o1777)
    # A booted machine has it; sshd does not even check its configuration without.
    (root / "run/sshd").mkdir(mode=0o755)
    (root / f".{INSIDE}").mkdir()
    mount("--bind", work / "job", root / f".{INSIDE}")
    # Downloads are kept, and two cases may run at once.
    layers = f"lowerdir={job['archives']},upperdir={work}/archives,workdir={work}/overlay2"
    mount("-t", "overlay", "overlay", "-o", layers, root / "var/cache/apt/archives")
    if job["which"] == "salt":
        mount("--bind", job["salt"], root / f".{INSIDE}/salt")
    run("hostname", "web1")


def command(job, test):
    """What applies the case's SLS."""
    if job["which"] == "salt":
        named = ["state.apply", ",".join(job["apply"]), f"test={test}"]
        return [f"{INSIDE}/bin/salt-call", "--local", f"--config-dir={INSIDE}/conf", "--out=json", *named]
    roots = [word for tree in job["trees"] for word in ("--file-root", tree)]
    places = [*roots, "--pillar-root", f"{INSIDE}/pillar", "--id", "web1", "--output", "json"]
    return [f"{INSIDE}/bin/mayfly-boot", "apply", *job["apply"], *places, *(["--test"] if test else [])]


def in_root(job, argv):
    """The output of a command in the root; orphans are reaped while it runs."""
    root = f"{job['work']}/root"
    out, errors = (open(f"{job['work']}/{name}", "w+b") for name in ("stdout", "stderr"))
    child = subprocess.Popen(["chroot", root, *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=ENVIRONMENT)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            break
    texts = []
    for file in (out, errors):
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
    return texts


def states(answer):
    """What each state came to: a list, or the words of a refusal."""
    text, errors = answer
    try:
        returned = json.loads(text)
    except ValueError:
        return {"refused": (text + errors)[-4000:]}
    returned = returned.get("local", returned)
    if not isinstance(returned, dict):
        return {"refused": returned}
    kept = ("result", "changes", "comment")
    return {key: {name: one.get(name) for name in kept} for key, one in
            sorted(returned.items(), key=lambda item: item[1]["__run_num__"])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--formulas", type=pathlib.Path)
    parser.add_argument("--salt", type=pathlib.Path)
    parser.add_argument("--mayfly", type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("/var/tmp/mayfly-formulas"))
    parser.add_argument("--fresh", action="store_true", help="ask Salt anew")
    parser.add_argument("--keep", action="store_true", help="leave the roots in the cache")
    parser.add_argument("--only", choices=SIDES, help="run one side, compare nothing")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    if args.inside:
        return inside(args.inside)
    if os.geteuid() != 0 or None in (args.formulas, args.salt, args.mayfly):
        raise SystemExit(__doc__)
    args.cache.mkdir(parents=True, exist_ok=True)
    make_base(args.cache / "base")
    names = args.cases or sorted(path.parent.name for path in HERE.glob("*/pillar.sls"))
    rows = []
    for name in names:
        case = case_of(name)
        answers = {which: side(args, case, which) for which in SIDES if args.only in (None, which)}
        if len(answers) == 2:
            rows.append(compare.case(name, answers["salt"], answers["mayfly"], args.cache / "base/root",
                                     case["differs"]))
            print(rows[-1].text(), flush=True)
    print(compare.table(rows))
    return 1 if any(row.differences for row in rows) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
