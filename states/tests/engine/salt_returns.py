#!/usr/bin/env python3
"""Ask the real Salt what the cases in states/tests/returns/*.yaml come to, and store its answers beside them as JSON.

    VENV/bin/python states/tests/engine/salt_returns.py [--fresh] [NAME…]

VENV has Salt 3008.3 in it. Each case is applied in a directory of its own (ROOT in the cases): once in test mode, then
twice for real. Stored are each step's result and the keys of its changes, and the tree afterwards. Answers to cases that did not
change are kept, unless --fresh is given. Run it as root.
"""

import json
import logging
import os
import shutil
import stat
import sys
import tempfile
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "returns")


def expand(case):
    """The steps of a case in full: one step may be written in the case itself."""
    steps = case.pop("steps", None)
    if steps is None:
        steps = [{key: case.pop(key) for key in ("do", "name", "args") if key in case}]
    for number, step in enumerate(steps):
        name = str(step["name"])
        plain = "ROOT" not in name and not name.startswith("/") and "://" not in name
        step["name"] = f"ROOT/{name}" if plain and not step.pop("verbatim", False) else name
        step.setdefault("id", f"step {number}")
        step.setdefault("args", {})
    case["steps"] = steps
    return case


class Pages(BaseHTTPRequestHandler):
    """What the `web` of a case holds: a text, or a status, a body and an ETag."""

    pages = {}

    def do_GET(self):
        page = self.pages.get(self.path.split("?")[0].lstrip("/"), {"status": 404})
        page = {"body": page} if isinstance(page, str) else page
        body = page.get("body", "").encode()
        same = "etag" in page and self.headers.get("If-None-Match") == page["etag"]
        self.send_response(304 if same else page.get("status", 200))
        if "etag" in page:
            self.send_header("ETag", page["etag"])
        if not same:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not same and self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def served():
    """The address of a server of Pages in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


WEB = served()


def placed(value, root):
    """The value with ROOT and http://WEB replaced in every text."""
    if isinstance(value, str):
        return value.replace("ROOT", root).replace("http://WEB", WEB)
    if isinstance(value, list):
        return [placed(item, root) for item in value]
    if isinstance(value, dict):
        return {placed(key, root): placed(item, root) for key, item in value.items()}
    return value


def lay(files, root):
    """Make files, directories and links."""
    for path, what in files.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(what, str):
            what = {"content": what}
        if "link" in what:
            os.symlink(what["link"], path)
            continue
        if what.get("directory"):
            os.makedirs(path, exist_ok=True)
        elif what.get("fifo"):
            os.mkfifo(path)
        else:
            content = bytes.fromhex(what["hex"]) if "hex" in what else what["content"].encode()
            with open(path, "wb") as file:
                file.write(content)
        os.chmod(path, int(what.get("mode", "0755" if what.get("directory") else "0644"), 8))
        if "owner" in what:
            os.chown(path, *what["owner"])
        if "mtime" in what:
            os.utime(path, (what["mtime"], what["mtime"]))


def seen(root, times=False):
    """What is below the directory now."""
    found = {}
    for above, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(above, name)
            info = os.lstat(path)
            entry = {"mode": f"{stat.S_IMODE(info.st_mode):04o}", "owner": [info.st_uid, info.st_gid]}
            if stat.S_ISLNK(info.st_mode):
                entry = {"link": os.readlink(path).replace(root, "ROOT"), "owner": entry["owner"]}
            elif stat.S_ISDIR(info.st_mode):
                entry["directory"] = True
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
                try:
                    entry["content"] = content.decode()
                except UnicodeDecodeError:
                    entry["hex"] = content.hex()
                if times:
                    entry["mtime"] = int(info.st_mtime)
            else:
                entry["special"] = True
            found[os.path.relpath(path, root)] = entry
    return dict(sorted(found.items()))


class Salt:
    """The real Salt in this process."""

    def __init__(self, base):
        import salt.config
        import salt.loader

        logging.disable(logging.CRITICAL)
        self.tree = os.path.join(base, "tree")
        self.cache = os.path.join(base, "cache")
        self.opts = salt.config.minion_config(None)
        self.opts.update(
            id="m1",
            root_dir=base,
            cachedir=self.cache,
            pki_dir=os.path.join(base, "pki"),
            file_client="local",
            file_roots={"base": [self.tree]},
            pillar_roots={"base": []},
            ext_pillar=[],
            state_events=False,
        )
        self.opts["grains"] = salt.loader.grains(self.opts)

    def apply(self, steps, pillar, test):
        import salt.state

        opts = dict(self.opts, test=test)
        state = salt.state.State(opts, initial_pillar=pillar or {"none": True})
        high = {}
        for number, step in enumerate(steps):
            module, function = step["do"].split(".")
            args = [{"name": step["name"]}, {"order": number + 1}]
            args += [{key: value} for key, value in step["args"].items()]
            high[step["id"]] = {module: [function, *args], "__sls__": "test", "__env__": "base"}
        answer = state.call_high(high)
        if isinstance(answer, list):
            raise ValueError(answer)
        ran = sorted(answer.values(), key=lambda ret: ret["__run_num__"])
        return [{"result": ret["result"], "changes": ret["changes"], "said": ret["comment"]} for ret in ran]


def answer(salt, case, root, rounds):
    """Salt's answers to one case, in this very process: loaded modules remember things between runs."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(salt.tree, ignore_errors=True)
    shutil.rmtree(salt.cache, ignore_errors=True)
    for made in (root, salt.tree, os.path.join(salt.cache, "proc")):
        os.makedirs(made)
    lay(placed(case.get("files", {}), root), root)
    lay(case.get("tree", {}), salt.tree)
    Pages.pages = placed(case.get("web", {}), root)
    steps, pillar = placed(case["steps"], root), placed(case.get("pillar", {}), root)
    answers = {}
    for name, test in rounds:
        returned = isolated(lambda: salt.apply(steps, pillar, test))
        if os.environ.get("SHOW"):
            print(case["case"], "|", name, "|", json.dumps(returned), file=sys.stderr)
        keys = lambda changes: sorted(key.replace(root, "ROOT").replace(WEB, "http://WEB") for key in changes)
        answers[name] = [{"result": one["result"], "changes": keys(one["changes"])} for one in returned]
        if not test:
            tree = seen(root, case.get("times", False))
            if name == "first" or tree != answers["tree"]:
                answers["tree" if name == "first" else "tree after second"] = tree
    return answers


def isolated(work):
    """The result of `work` in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as out:
                json.dump(work(), out)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as source:
        text = source.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("Salt gave no answer")
    return json.loads(text)


def asked(case):
    """What of a case Salt's answer depends on."""
    return json.dumps([case.get(key) for key in ("files", "tree", "web", "pillar", "steps", "times")], sort_keys=True)


def stored(name):
    """The answers that are there already."""
    try:
        with open(os.path.join(HERE, f"{name}.json"), encoding="utf-8") as source:
            return {asked(case): case["salt"] for case in json.load(source)}
    except FileNotFoundError:
        return {}


def main(names):
    os.umask(0o022)
    fresh = "--fresh" in names
    names = [name for name in names if name != "--fresh"]
    names = names or sorted(name[:-5] for name in os.listdir(HERE) if name.endswith(".yaml"))
    base = tempfile.mkdtemp(prefix="salt-returns-")
    try:
        salt = Salt(base)
        for name in names:
            with open(os.path.join(HERE, f"{name}.yaml"), encoding="utf-8") as source:
                cases = [expand(case) for case in yaml.safe_load(source)]
            known = {} if fresh else stored(name)
            for case in cases:
                if asked(case) in known:
                    case["salt"] = known[asked(case)]
                    continue
                rounds = [("test", True), ("first", False), ("second", False)]
                case["salt"] = answer(salt, case, os.path.join(base, "root"), rounds)
            with open(os.path.join(HERE, f"{name}.json"), "w", encoding="utf-8") as out:
                json.dump(cases, out, indent=1, ensure_ascii=False)
                out.write("\n")
            print(name, len(cases))
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
