"""How long a converge takes that has nothing to do, beside Salt, Puppet and the floor.

    cargo build --release && cargo build --release -p mayfly-states --example floor
    python3 states/benches/converge.py --boot target/release/mayfly-boot --floor target/release/examples/floor \
        --salt VENV/bin/salt-call [--puppet /usr/bin/puppet] [ROW…]

Every program converges the same machine as a whole process, in turn, after one run of its own that does not count and
that makes what is missing: all then find nothing to do, and a run that does is an error. The floor opens, reads and hashes the
managed files, no more. The medians, the peak of resident memory, and the ratio of Salt to Mayfly pair by pair (its median).
Rows: files-10, files-100, files-1000, files-5000, templates, packages. Runs as root, for packages on Debian.
"""

import argparse
import json
import pathlib
import pwd
import grp
import statistics
import subprocess
import sys
import tempfile
import time

ROWS = ["files-10", "files-100", "files-1000", "files-5000", "templates", "packages"]
TEMPLATE = "# {{ grains['id'] }}\n{% for port in ports %}listen = {{ port }}\n{% endfor %}owner = {{ owner | upper }}\n"
EPP = "<%- | $ports, $owner | -%>\n# web1\n<% $ports.each |$p| { -%>\nlisten = <%= $p %>\n<% } -%>\nowner = <%= $owner.upcase %>\n"


class Side:
    """A state tree, a manifest, and the paths that both manage."""

    def __init__(self, room):
        self.room, self.states, self.target = room, room / "states", room / "target"
        self.states.mkdir(parents=True)
        self.target.mkdir()
        self.sls, self.manifest, self.managed = {}, [], []

    def state(self, identifier, function, **arguments):
        self.sls[identifier] = {function: [{key: value} for key, value in arguments.items()]}

    def resource(self, kind, title, **attributes):
        body = ", ".join(f"{key} => {value}" for key, value in attributes.items())
        self.manifest.append(f"{kind} {{ '{title}': {body} }}")

    def write(self):
        (self.states / "bench.sls").write_text(json.dumps(self.sls, indent=1))
        (self.states / "top.sls").write_text("base:\n  '*':\n    - bench\n")
        (self.room / "bench.pp").write_text("\n".join(self.manifest) + "\n")
        (self.room / "managed").write_text("".join(f"{path}\n" for path in self.managed))


def files(side, count):
    """Files of about 1 kB from the tree, each with a mode."""
    (side.states / "files").mkdir()
    for n in range(count):
        source, path = side.states / "files" / f"{n}.conf", side.target / f"{n}.conf"
        source.write_text(f"# file {n}\n" + f"key{n} = value {n}\n" * 60)
        side.state(str(path), "file.managed", source=f"salt://files/{n}.conf", mode="0644")
        side.resource("file", path, source=f"'{source}'", mode="'0644'")
        side.managed.append(path)


def templates(side):
    """200 templates, 20 directories, 20 symbolic links."""
    (side.states / "app.conf").write_text(TEMPLATE)
    epp = side.room / "app.epp"
    epp.write_text(EPP)
    for n in range(20):
        folder, link = side.target / f"d{n}", side.target / f"l{n}"
        side.state(str(folder), "file.directory", mode="0755")
        side.resource("file", folder, ensure="directory", mode="'0755'")
        side.state(str(link), "file.symlink", target=str(folder))
        side.resource("file", link, ensure="link", target=f"'{folder}'")
    for n in range(200):
        path, ports = side.target / f"d{n % 20}" / f"{n}.conf", [8000 + n, 9000 + n]
        context = {"ports": ports, "owner": f"app{n}"}
        side.state(str(path), "file.managed", source="salt://app.conf", template="jinja", context=context, mode="0644")
        call = f"epp('{epp}', {{ports => {ports}, owner => 'app{n}'}})"
        side.resource("file", path, content=call, mode="'0644'")
        side.managed.append(path)


def packages(side):
    """50 packages, 5 users, 5 groups that are there, and 20 commands that need not run."""
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"], capture_output=True, text=True, check=True)
    names = sorted({line.split()[1] for line in shown.stdout.splitlines() if line.startswith("ii ")})
    for name in names[:50]:
        side.state(f"package {name}", "pkg.installed", name=name)
        side.resource("package", name, ensure="installed")
    for user in [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid][:5]:
        side.state(f"user {user}", "user.present", name=user)
        side.resource("user", user, ensure="present")
    for group in [entry.gr_name for entry in grp.getgrall() if entry.gr_gid][:5]:
        side.state(f"group {group}", "group.present", name=group)
        side.resource("group", group, ensure="present")
    for n in range(20):
        side.state(f"command {n}", "cmd.run", name=f"false {n}", unless="test -d /")
        side.resource("exec", f"/bin/false {n}", unless="'/usr/bin/test -d /'")


def build(row, side):
    """Fill the side for a row."""
    if row.startswith("files-"):
        files(side, int(row.removeprefix("files-")))
    else:
        {"templates": templates, "packages": packages}[row](side)
    side.write()


def commands(side, args):
    """The command line of each program, by its name."""
    grains = {"id": "web1", "os": "Debian", "os_family": "Debian", "osrelease": "12", "kernel": "Linux"}
    (side.room / "grains.json").write_text(json.dumps(grains))
    config = {
        "id": "web1", "file_client": "local", "file_roots": {"base": [str(side.states)]}, "root_dir": str(side.room / "salt"),
        "log_file": str(side.room / "log"), "enable_fqdns_grains": False, "log_level": "quiet",
    }
    (side.room / "minion").write_text(json.dumps(config))
    boot = [args.boot, "apply", "--file-root", side.states, "--grains", side.room / "grains.json", "--output", "json"]
    salt = [args.salt, "--local", "-c", side.room, "--out=json", "state.apply"]
    puppet = [args.puppet, "apply", "--detailed-exitcodes", side.room / "bench.pp"]
    floor = [args.floor, side.room / "managed"]
    every = {"mayfly": boot, "floor": floor if side.managed else None, "salt": salt, "puppet": puppet if args.puppet else None}
    return {name: [str(word) for word in line] for name, line in every.items() if line}


def timed(command):
    """Seconds, peak resident kB, exit code, standard output and error of a whole process."""
    with tempfile.NamedTemporaryFile() as peak:
        # A child of this large process would begin with its memory on the account; one of `time` does not.
        begun = time.perf_counter()
        done = subprocess.run(["/usr/bin/time", "-q", "-o", peak.name, "-f", "%M", *command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        took = time.perf_counter() - begun
        return took, int(peak.read()), done.returncode, done.stdout, done.stderr


def settled(name, code, out, error):
    """Ends the script when a run failed or changed something."""
    bad = code != 0
    if name in ("mayfly", "salt") and not bad:
        returns = json.loads(out)
        returns = returns.get("local", returns)
        bad = any(state["changes"] or not state["result"] for state in returns.values())
    if bad:
        sys.exit(f"{name} had something to do, or failed ({code}): {(error or out).decode()[-3000:]}")


def measure(row, args):
    """One line of the table."""
    with tempfile.TemporaryDirectory() as room:
        side = Side(pathlib.Path(room))
        build(row, side)
        lines = commands(side, args)
        for line in lines.values():
            timed(line)
        runs = {name: [] for name in lines}
        for _ in range(args.runs):
            for name, line in lines.items():
                took, peak, code, out, error = timed(line)
                settled(name, code, out, error)
                runs[name].append((took, peak))
    show(row, runs, args)


def show(row, runs, args):
    def cell(name):
        if name not in runs:
            return "-"
        seconds, peak = (statistics.median(column) for column in zip(*runs[name]))
        return f"{seconds * 1e3:.1f} ms, {peak / 1024:.0f} MB"

    def ratio(one, other):
        if other not in runs:
            return "-"
        return f"{statistics.median(a[0] / b[0] for a, b in zip(runs[one], runs[other])):.1f}"

    cells = [row, *(cell(name) for name in ("mayfly", "floor", "salt", "puppet")), ratio("salt", "mayfly"), ratio("mayfly", "floor")]
    print("| " + " | ".join(cells) + f" | {args.runs} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("boot", "salt", "floor"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--puppet")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("rows", nargs="*", default=ROWS, metavar="ROW")
    args = parser.parse_args()
    print("| row | mayfly-boot | floor | salt-call | puppet apply | Salt / Mayfly | Mayfly / floor | runs |\n|" + "---|" * 8)
    for row in args.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row}; there are {', '.join(ROWS)}")
        measure(row, args)


if __name__ == "__main__":
    main()
