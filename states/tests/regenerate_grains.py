#!/usr/bin/env python3
"""Asks the real Salt for its grains of every distribution below os-release/, and stores its answers.

    VENV/bin/python regenerate_grains.py [NAME...]

A distribution is a file NAME (its os-release), and NAME.lsb-release, NAME.debian_version, NAME.centos-release where it
has those. Salt's core grains are asked with nothing else of this machine to see: no LSB module, no other release file.
"""

import json
import pathlib
import platform
import sys
import tempfile

import distro
import salt.grains.core as core
import salt.utils.files
import salt.utils.platform

FOLDER = pathlib.Path(__file__).parent / "os-release"
BESIDE = ["lsb-release", "debian_version", "centos-release"]
ARCHITECTURE = "x86_64"


def arrange(name, root):
    """Makes an /etc of the distribution below the root."""
    etc = pathlib.Path(root) / "etc"
    etc.mkdir()
    (etc / "os-release").write_bytes((FOLDER / name).read_bytes())
    for kind in BESIDE:
        source = FOLDER / f"{name}.{kind}"
        if source.exists():
            (etc / kind).write_bytes(source.read_bytes())
    return etc


def patch(root, etc):
    """Lets Salt see the distribution's files in place of this machine's."""
    opened, isfile = salt.utils.files.fopen, pathlib.os.path.isfile

    def inside(path):
        return str(path).replace("/etc/", f"{etc}/", 1) if str(path).startswith("/etc/") else path

    core.salt.utils.files.fopen = lambda path, *args, **kwargs: opened(inside(path), *args, **kwargs)
    core.os.path.isfile = lambda path: isfile(inside(path))
    sys.modules["lsb_release"] = None
    platform._os_release_candidates = (f"{etc}/os-release",)
    platform._os_release_cache = None
    found = distro.LinuxDistribution(include_lsb=False, include_uname=False, root_dir=root)
    for name in ("name", "id", "version", "codename"):
        setattr(distro, name, getattr(found, name))
    return opened, isfile


def ask(name):
    """The distribution's grains."""
    with tempfile.TemporaryDirectory() as root:
        opened, isfile = patch(root, arrange(name, root))
        try:
            grains = core._linux_distribution_data()
            if grains.get("osrelease"):
                grains.update(core._osrelease_data(grains["os"], grains["osfullname"], grains["osrelease"]))
        finally:
            salt.utils.files.fopen, pathlib.os.path.isfile = opened, isfile
    return grains


def main():
    """Writes the answers of all distributions."""
    beside = tuple(f".{kind}" for kind in BESIDE)
    names = sorted(p.name for p in FOLDER.iterdir() if not p.name.endswith(beside + (".json",)))
    answers = {name: ask(name) for name in sys.argv[1:] or names}
    text = json.dumps(answers, indent=1, sort_keys=True)
    if sys.argv[1:]:
        print(text)
    else:
        (FOLDER / "salt.json").write_text(text + "\n")


main()
