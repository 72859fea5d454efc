"""How long a compile takes, beside the real Salt: MAYFLY_BOOT SALT_CALL [TEMPLATE_FORMULA]

Both programs compile the same trees as whole processes, in turn, on this machine: a generated tree of 1,000 SLS with
pillar and, where a checkout of the template formula is given, that formula with its example pillar. A row a tree: the
medians, and the ratio pair by pair (its median). That both give the same number of chunks is checked.

    python3 states/benches/compile.py target/release/mayfly-boot VENV/bin/salt-call CHECKOUT/template-formula
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 5
GROUPS, EACH = 20, 50
GRAINS = {"id": "web1", "os": "Debian", "os_family": "Debian", "osfinger": "Debian-12", "kernel": "Linux", "role": "web"}

MAP = """{%- set by_os = salt['grains.filter_by']({
    'Debian': {'owner': 'www-data', 'conf': '/etc/app'},
    'RedHat': {'owner': 'apache', 'conf': '/etc/sysconfig/app'},
}, merge=salt['pillar.get']('lookup')) %}
"""

SLS = """{%- from 'map.jinja' import by_os with context %}
{%- set mine = salt['pillar.get']('apps:GROUP', {}) %}
NAME-package:
  pkg.installed:
    - name: {{ mine.package }}
{%- for port in mine.ports %}
NAME-{{ port }}:
  file.managed:
    - name: {{ by_os.conf }}/NAME-{{ port }}.conf
    - user: {{ by_os.owner }}
    - mode: '0644'
    - contents: |
        listen = {{ port }}
        secret = {{ mine.get('secret', 'none') }}
    - require:
      - pkg: NAME-package
    - watch_in:
      - service: NAME-service
{%- endfor %}
NAME-service:
  service.running:
    - name: NAME
    - enable: true
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def generate(root):
    """1,000 SLS in 20 folders, a pillar file for each folder."""
    names = []
    for group in range(GROUPS):
        for number in range(EACH):
            names.append(f"group{group}.app{number}")
            text = SLS.replace("NAME", f"g{group}a{number}").replace("GROUP", f"group{group}")
            write(root / "states" / f"group{group}" / f"app{number}.sls", text)
        pillar = {"apps": {f"group{group}": {"package": f"app{group}", "ports": [8000, 8001, 8002], "secret": "x"}}}
        write(root / "pillar" / f"group{group}.sls", json.dumps(pillar))
    write(root / "states" / "map.jinja", MAP)
    write(root / "states" / "top.sls", json.dumps({"base": {"*": names}}))
    write(root / "pillar" / "lookup.sls", "lookup: {owner: app}\n")
    write(root / "pillar" / "top.sls", json.dumps({"base": {"*": ["lookup", *(f"group{g}" for g in range(GROUPS))]}}))
    return root / "states", root / "pillar", []


def formula(root, checkout):
    """The template formula with its example as pillar."""
    example = (pathlib.Path(checkout) / "pillar.example").read_text()
    write(root / "pillar" / "example.sls", example)
    write(root / "pillar" / "top.sls", "base:\n  '*':\n    - example\n")
    return pathlib.Path(checkout).resolve(), root / "pillar", ["TEMPLATE"]


def commands(root, mayfly, salt, states, pillar, sls):
    """The two command lines."""
    (root / "grains.json").write_text(json.dumps(GRAINS))
    config = {
        "id": "web1", "grains": GRAINS, "file_client": "local", "file_roots": {"base": [str(states)]},
        "pillar_roots": {"base": [str(pillar)]}, "root_dir": str(root), "log_file": str(root / "log"),
        "enable_fqdns_grains": False, "log_level": "quiet",
    }
    (root / "minion").write_text(json.dumps(config))
    ours = [mayfly, "show", "low", *sls, "--file-root", states, "--pillar-root", pillar, "--grains",
            root / "grains.json", "--output", "json"]
    function = ["state.show_low_sls", *sls] if sls else ["state.show_lowstate"]
    return list(map(str, ours)), [salt, "--local", "-c", str(root), "--out=json", *function]


def timed(command):
    """Seconds, and what it printed as JSON."""
    begun = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr.decode()[-2000:]}")
    return took, json.loads(done.stdout)


def row(name, ours, salt):
    """Times both in turn; one round before that does not count."""
    pairs = []
    for _ in range(RUNS + 1):
        (a, low), (b, theirs) = timed(ours), timed(salt)
        pairs.append((a, b))
        if len(low) != len(theirs["local"]):
            sys.exit(f"{name}: {len(low)} chunks here, {len(theirs['local'])} there")
    pairs = pairs[1:]
    mine, other = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"| {name}, {len(low)} chunks | {mine * 1e3:.1f} ms | {other:.2f} s | {ratio:.0f} | {RUNS} |")


def main(mayfly, salt, *checkout):
    print("| tree | mayfly-boot | salt-call | ratio | runs |\n|---|---|---|---|---|")
    trees = [("template formula", lambda root: formula(root, checkout[0]))] if checkout else []
    for name, make in [*trees, ("generated, 1,000 SLS", generate)]:
        with tempfile.TemporaryDirectory() as root:
            root = pathlib.Path(root)
            row(name, *commands(root, mayfly, salt, *make(root)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
