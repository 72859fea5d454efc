//! What stands where a file or directory is to be: what each function does then, as `docs/state-functions.md` has it.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::bench::{Bench, json, need_root, only, step};
use mayfly_states::low::Chunk;
use mayfly_states::report::Outcome;

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RrZXl0ZXN0a2V5dGVzdGtleXRlc3RrZXkx";
/// Where the thing stands, and what a link there points to.
const PLACE: &str = "/srv/place";
const VICTIM: &str = "/srv/victim";
const TEXT: &str = "#a = 1\n[a]\nb = c\n# one\n# two\n";

/// What can stand there, by the table's columns; those of one column are treated alike.
const COLUMNS: [(&str, &[Stands]); 6] = [
    ("link to a file", &[Stands::LinkToFile]),
    ("link to a directory", &[Stands::LinkToDirectory]),
    ("dangling link", &[Stands::Dangling]),
    ("directory", &[Stands::Directory]),
    ("FIFO, socket, device", &[Stands::Fifo, Stands::Socket, Stands::Device]),
    ("immutable file", &[Stands::Immutable]),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    LinkToFile,
    LinkToDirectory,
    Dangling,
    Directory,
    Fifo,
    Socket,
    Device,
    Immutable,
}

fn put(bench: &Bench, what: Stands) {
    let (place, victim) = (bench.at(PLACE), bench.at(VICTIM));
    bench.write("/srv/other", "other\n");
    match what {
        Stands::LinkToFile => {
            bench.write(VICTIM, TEXT);
            symlink(victim, place).unwrap();
        }
        Stands::LinkToDirectory => {
            bench.write("/srv/victim/inside", TEXT);
            symlink(victim, place).unwrap();
        }
        Stands::Dangling => symlink(victim, place).unwrap(),
        Stands::Directory => bench.write("/srv/place/inside", TEXT),
        Stands::Fifo => nix::unistd::mkfifo(&place, Mode::S_IRWXU).unwrap(),
        Stands::Socket => drop(UnixListener::bind(place).unwrap()),
        // /dev/null: whoever writes through it does no harm.
        Stands::Device => mknod(&place, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3)).unwrap(),
        Stands::Immutable => {
            bench.write(PLACE, TEXT);
            chattr("+i", &place);
        }
    }
}

fn chattr(flag: &str, path: &Path) {
    let done = Command::new("chattr").arg(flag).arg(path).status().is_ok_and(|status| status.success());
    assert!(done, "chattr {flag} does not work on the file system of the temporary directory");
}

/// The functions that write to a place, each asked to write there.
fn rows(origin: &Path) -> Vec<(&'static str, Chunk)> {
    let at = |function: &'static str, args: serde_json::Value| (function, step(function, PLACE, args));
    let by =
        |function: &'static str, name: &str, args: serde_json::Value| (function, step(function, name, args));
    vec![
        at("file.managed", json!({"contents": "new"})),
        at("file.serialize", json!({"dataset": {"a": 1}, "formatter": "json"})),
        at("file.append", json!({"text": "new"})),
        at("file.prepend", json!({"text": "new"})),
        at("file.line", json!({"mode": "ensure", "content": "new", "after": "^b"})),
        at("file.replace", json!({"pattern": "b = c", "repl": "b = d"})),
        at("file.blockreplace", json!({"marker_start": "# one", "marker_end": "# two", "content": "new"})),
        at("file.comment", json!({"regex": "^b"})),
        at("file.uncomment", json!({"regex": "a = 1"})),
        at("file.keyvalue", json!({"key": "b", "value": "d", "separator": " = "})),
        at("file.patch", json!({"source": "salt://patch"})),
        at("file.decode", json!({"encoded_data": "aGVsbG8=", "encoding_type": "base64"})),
        at("file.touch", json!({"mtime": 100})),
        at("file.copy", json!({"source": "/srv/other", "force": true})),
        at("file.rename", json!({"source": "/srv/other", "force": true})),
        at("file.hardlink", json!({"target": "/srv/other", "force": true})),
        at("file.symlink", json!({"target": "/srv/other"})),
        at("file.absent", json!({})),
        at("file.directory", json!({"mode": "0700"})),
        at("file.recurse", json!({"source": "salt://dir"})),
        at("file.mknod", json!({"ntype": "c", "major": 1, "minor": 9})),
        at("file.tidied", json!({"age": 0, "size": 0})),
        at("archive.extracted", json!({"source": "salt://app.tar"})),
        at("ini.options_present", json!({"sections": {"a": {"b": "d"}}})),
        at("ini.options_absent", json!({"sections": {"a": ["b"]}})),
        at("ini.sections_present", json!({"sections": {"new": {"b": "d"}}})),
        at("ini.sections_absent", json!({"sections": ["a"]})),
        by("ssh_auth.present", KEY, json!({"user": "root", "enc": "ed25519", "config": PLACE})),
        by(
            "ssh_known_hosts.present",
            "h",
            json!({"key": KEY, "enc": "ed25519", "config": PLACE, "hash_known_hosts": false}),
        ),
        by("sysctl.present", "vm.x", json!({"value": 1, "config": PLACE})),
        by(
            "mount.mounted",
            "/mnt/x",
            json!({"device": "/dev/x", "fstype": "ext4", "mount": false, "config": PLACE}),
        ),
        by("pkgrepo.managed", "deb https://x.example.com/apt stable main", json!({"file": PLACE})),
        by("git.cloned", origin.to_str().unwrap(), json!({"target": PLACE})),
        by("git.latest", origin.to_str().unwrap(), json!({"target": PLACE, "rev": "main"})),
        by("git.detached", origin.to_str().unwrap(), json!({"target": PLACE, "rev": "main"})),
    ]
}

/// A repository with one commit.
fn origin() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "x").unwrap();
    for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-qm", "one"]] {
        let mut git = Command::new("git");
        git.arg("-C").arg(dir.path()).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
        ]);
        assert!(git.args(args).status().unwrap().success());
    }
    dir
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\n");
    std::fs::create_dir_all(bench.at("/srv")).unwrap();
    bench.tree("patch", "--- a\n+++ b\n@@ -1,2 +1,2 @@\n-#a = 1\n+#a = 2\n [a]\n");
    bench.tree("dir/one", "1\n");
    let tar = bench.tree("app.tar", "");
    let made = bench.scratch("made/app");
    std::fs::create_dir_all(&made).unwrap();
    std::fs::write(made.join("one"), "1").unwrap();
    let status =
        Command::new("tar").arg("-cf").arg(tar).arg("app").current_dir(made.parent().unwrap()).status();
    assert!(status.unwrap().success());
    bench
}

/// Below the place, and what a link there points to.
fn look(bench: &Bench) -> Vec<String> {
    let ours = |line: &String| line.contains("/srv/place") || line.contains("/srv/victim");
    bench.listing().into_iter().filter(ours).collect()
}

/// What came of it, in one word; `torn` and `through` are never right.
fn outcome(step: &Chunk, what: Stands) -> &'static str {
    let bench = bench();
    put(&bench, what);
    let (before, kind) = (look(&bench), bench.at(PLACE).symlink_metadata().unwrap().file_type());
    let report = only(bench.run(std::slice::from_ref(step)));
    if what == Stands::Immutable {
        chattr("-i", &bench.at(PLACE));
    }
    let after = look(&bench);
    let now = bench.at(PLACE).symlink_metadata().ok().map(|meta| meta.file_type());
    match (report.outcome, before == after) {
        (Outcome::Failed, true) => "refused",
        (Outcome::Failed, false) => "torn",
        (_, true) => "left",
        (_, false) if now.is_none() => "removed",
        (_, false) if now != Some(kind) => "replaced",
        (_, false) if kind.is_symlink() => {
            let changed = std::fs::read_link(bench.at(PLACE)).unwrap() != bench.at(VICTIM);
            if changed { "replaced" } else { "followed" }
        }
        (_, false) if kind.is_dir() => "used",
        (_, false) => "through",
    }
}

/// What a function does in each column.
fn cells(step: &Chunk) -> String {
    let cell = |whats: &[Stands]| {
        let mut words: Vec<&str> = whats.iter().map(|what| outcome(step, *what)).collect();
        words.dedup();
        words.join("/")
    };
    COLUMNS.map(|(_, whats)| cell(whats)).join(" | ")
}

/// What the page says that it does.
fn said(function: &str) -> &'static str {
    let page = include_str!("../../../docs/state-functions.md");
    let heads = format!("| function | {} |", COLUMNS.map(|(head, _)| head).join(" | "));
    let table = page.split_once(&heads).unwrap().1.split_once("\n\n").unwrap().0;
    let name = format!("`{function}`");
    let cells = |line: &'static str| line.trim_matches(['|', ' ']).split_once(" | ");
    let mut rows = table.lines().filter_map(cells);
    rows.find(|(functions, _)| functions.contains(&name)).map_or("nothing", |(_, cells)| cells)
}

#[test]
fn what_stands_in_the_way_is_treated_as_the_page_says() {
    need_root();
    let origin = origin();
    let found =
        rows(origin.path()).into_iter().map(|(function, step)| (function, cells(&step), said(function)));
    let wrong: Vec<String> = found
        .filter(|(_, cells, said)| cells != said)
        .map(|(function, cells, said)| format!("| `{function}` | {cells} |\n  the page: {said}"))
        .collect();
    assert!(wrong.is_empty(), "docs/state-functions.md is wrong:\n{}", wrong.join("\n"));
}

#[test]
fn whatever_writes_a_file_or_directory_has_a_row() {
    // They write nothing, or to places of the system's own, by way of the code of those that have a row.
    let others = [
        "acme",
        "alias",
        "alternatives",
        "cmd",
        "cron",
        "debconf",
        "environ",
        "gem",
        "group",
        "host",
        "http",
        "iptables",
        "locale",
        "module",
        "npm",
        "pip",
        "pkg",
        "release",
        "service",
        "supervisord",
        "test",
        "timezone",
        "user",
        "virtualenv",
        "x509",
    ];
    let apart = [
        "file.accumulated",
        "file.cached",
        "file.exists",
        "file.missing",
        "file.not_cached",
        "git.config_set",
        "git.config_unset",
        "mount.swap",
        "mount.unmounted",
        "pkgrepo.absent",
        "ssh_auth.absent",
        "ssh_auth.manage",
        "ssh_known_hosts.absent",
    ];
    let rows: Vec<&str> = rows(Path::new("/")).into_iter().map(|(function, _)| function).collect();
    let has_row = |name: &String| rows.contains(&name.as_str());
    let excused =
        |name: &String| apart.contains(&name.as_str()) || others.contains(&name.split('.').next().unwrap());
    let names = mayfly_states::modules::names();
    let without: Vec<&String> = names.iter().filter(|name| !has_row(name) && !excused(name)).collect();
    assert!(without.is_empty(), "no row in targets.rs for {without:?}");
}
