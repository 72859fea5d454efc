"""What a root holds after a run: changed paths, processes and services."""

import hashlib
import os
import pathlib
import re
import stat


def entry(path):
    """What stands at a path: type, mode, owner, and content or target."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        return None  # the overlay's mark of what was removed
    kind = stat.S_IFMT(info.st_mode)
    about = [f"{kind:o}", f"{stat.S_IMODE(info.st_mode):04o}", f"{info.st_uid}:{info.st_gid}"]
    if stat.S_ISLNK(info.st_mode):
        return [*about, os.readlink(path)]
    if stat.S_ISREG(info.st_mode):
        content = pathlib.Path(path).read_bytes()
        text = len(content) < 16384 and b"\0" not in content
        return [*about, content.decode(errors="replace") if text else hashlib.sha256(content).hexdigest()]
    return [*about, None]


def tree(upper, base):
    """Each path that the overlay holds, and each that it hides; null is what is not there any more."""
    found = {}
    for above, dirs, files in os.walk(upper):
        for name in dirs + files:
            path = os.path.join(above, name)
            found[os.path.relpath(path, upper)] = entry(path)
        below = os.path.relpath(above, upper)
        if hides(above):
            for name in os.listdir(os.path.join(base, below)) if os.path.isdir(os.path.join(base, below)) else ():
                found.setdefault(os.path.join(below, name), None)
    return found


def hides(path):
    """Whether a directory of the overlay stands for itself alone."""
    try:
        return os.getxattr(path, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


def processes(proc):
    """Names and users of a namespace's processes, without its first."""
    seen = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        if pid == "1":
            continue
        try:
            status = pathlib.Path(proc, pid, "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        words = dict(re.findall(r"^(Name|State|Uid):\t(\S+)", status, re.M))
        if words["State"] != "Z":
            seen.add(f"{words['Name']} of {words['Uid']}")
    return sorted(seen)


def services(text):
    """What each init script says of its service."""
    return {name: mark for mark, name in re.findall(r"^ *\[ (.) \] +(\S+)", text, re.M)}
