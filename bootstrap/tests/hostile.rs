//! Hostile trees and hostile user-data, by the whole program: every one ends within bounds of time and memory that the system
//! enforces, with one clear error or the right outcome, and touches nothing but what it names.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

#[path = "support/corpus.rs"]
mod corpus;
mod support;

use corpus::{bombs, documents};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use support::Stage;
use support::boot::{PROGRAM, get};

/// Address space and processor seconds that a run may use: a bound, not a measure. Templates have a stack of 512 MiB.
const MEMORY: &str = "--as=3221225472";
const SECONDS: &str = "--cpu=100";
/// What was in memory at most, in KiB.
const RESIDENT: i64 = 900 * 1024;

/// A tree, a root, and what lies outside of both and must stay as it is.
struct Lair {
    dir: tempfile::TempDir,
}

impl Lair {
    fn new() -> Self {
        let lair = Self { dir: tempfile::tempdir().unwrap() };
        for (path, text) in [
            ("root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("root/etc/group", "root:x:0:\n"),
            ("root/etc/hostname", "box\n"),
            ("states/top.sls", "base:\n  '*':\n    - a\n"),
            ("outside/secret", "canary-outside\n"),
            ("outside/secret.sls", "canary-outside:\n  test.nop\n"),
        ] {
            lair.write(path, text);
        }
        lair
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file that says it is this long.
    fn long(&self, path: &str, length: u64) {
        self.write(path, "");
        fs::OpenOptions::new().write(true).open(self.path(path)).unwrap().set_len(length).unwrap();
    }

    /// `mayfly-boot` within its bounds, after `before` (a tracer, say).
    fn run(&self, before: &[&str], args: &[&str]) -> Output {
        let mut command = Command::new("prlimit");
        command.args([MEMORY, SECONDS]).args(before).arg(PROGRAM).args(args);
        command.arg("--root").arg(self.path("root")).arg("--file-root").arg(self.path("states"));
        let output = command.args(["--id", "web1"]).output().expect("prlimit runs: install util-linux");
        // Largest of all children so far, those of other tests too.
        let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
        assert!(used.max_rss() < RESIDENT, "{} KiB in memory", used.max_rss());
        output
    }

    /// What is outside, by path, with contents.
    fn outside(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for top in ["", "outside"] {
            for entry in fs::read_dir(self.path(top)).unwrap().flatten() {
                all.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
            }
        }
        all.sort();
        all
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn bombs_are_refused_within_bounds() {
    let mut wrong = Vec::new();
    for (name, sls, word) in bombs() {
        let lair = Lair::new();
        lair.write("states/a.sls", sls);
        let output = lair.run(&[], &["show", "low"]);
        let said = said(&output);
        if output.status.code() != Some(1) || !said.contains(word) || said.len() > 4_000 {
            wrong.push(format!("{name}: {:?} {said:.400}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn giant_files_are_refused_unread() {
    let lair = Lair::new();
    lair.long("states/a.sls", 1 << 40);
    let output = lair.run(&[], &["show", "low"]);
    assert_eq!(output.status.code(), Some(1), "{:.400}", said(&output));
    assert!(said(&output).contains("larger than"), "{}", said(&output));
    lair.write(
        "states/a.sls",
        "/etc/big:\n  file.managed:\n    - source: salt://big\n    - template: jinja\n",
    );
    lair.long("states/big", 1 << 40);
    let output = lair.run(&[], &["apply"]);
    assert_eq!(output.status.code(), Some(2), "{:.400}", said(&output));
    assert!(!lair.path("root/etc/big").exists());
}

/// Ways out of the tree: none is taken, and nothing of what is outside is read.
#[test]
fn paths_of_a_tree_do_not_lead_out_of_it() {
    let managed = |source: &str| format!("/etc/got:\n  file.managed:\n    - source: {source}\n");
    for (sls, code) in [
        (managed("salt://../outside/secret"), 2),
        (managed("salt://../../../../../../../../etc/shadow"), 2),
        (managed("salt:///etc/shadow"), 2),
        (managed("salt://x/../../outside/secret"), 2),
        ("/etc/got:\n  file.recurse:\n    - source: salt://../outside\n".to_owned(), 2),
        ("{% import_text '../outside/secret' as x %}\n'{{ x }}':\n  test.nop\n".to_owned(), 1),
        ("{% include '../outside/secret' %}\n".to_owned(), 1),
        ("{% include '/etc/shadow' %}\n".to_owned(), 1),
        ("{{ salt['cp.get_file_str']('salt://../outside/secret') }}:\n  test.nop\n".to_owned(), 1),
        ("include:\n  - ../outside/secret\n".to_owned(), 1),
        ("include:\n  - ...outside.secret\n".to_owned(), 1),
    ] {
        let lair = Lair::new();
        lair.write("states/a.sls", &sls);
        let before = lair.outside();
        let output = lair.run(&[], &["apply"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{sls}: {said}");
        assert!(!said.contains("canary-outside"), "{sls}: {said}");
        assert!(!lair.path("root/etc/got").exists(), "{sls}");
        assert_eq!(lair.outside(), before, "{sls}");
    }
}

/// An archive whose members climb, are absolute, or go through a link that they bring along.
#[test]
fn members_of_an_archive_stay_below_its_folder() {
    let lair = Lair::new();
    lair.write(
        "make.py",
        "import io, sys, tarfile\n\
         def add(t, name, data=b'canary-member', link=None):\n\
         \x20   i = tarfile.TarInfo(name)\n\
         \x20   if link: i.type, i.linkname = tarfile.SYMTYPE, link\n\
         \x20   else: i.size = len(data)\n\
         \x20   t.addfile(i, None if link else io.BytesIO(data))\n\
         base = sys.argv[1]\n\
         for n, members in enumerate([\n\
         \x20   [('../../../outside/climbed', None)], [(base + '/outside/absolute', None)],\n\
         \x20   [('link', base + '/outside'), ('link/through', None)],\n\
         \x20   [('link', '../../../outside'), ('link/through', None)]]):\n\
         \x20   with tarfile.open(f'{base}/states/{n}.tar', 'w') as t:\n\
         \x20       for name, link in members: add(t, name, link=link)\n",
    );
    let made = Command::new("python3").arg(lair.path("make.py")).arg(lair.dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    for number in 0..4 {
        lair.write(
            "states/a.sls",
            format!(
                "/srv/x/{number}:\n  archive.extracted:\n    - source: salt://{number}.tar\n    - enforce_toplevel: False\n"
            ),
        );
        let before = lair.outside();
        let output = lair.run(&[], &["apply"]);
        assert_eq!(lair.outside(), before, "{number}: {}", said(&output));
        assert!(output.status.code().is_some(), "{number}: {:?}", output.status);
    }
}

/// What a shell would obey, where no shell is asked for.
const METACHARACTERS: [&str; 7] = [
    "$(touch OUT)",
    "`touch OUT`",
    ";touch OUT;",
    "|touch OUT",
    "&& touch OUT",
    "\ntouch OUT\n",
    "'\"; touch OUT #",
];

#[test]
fn no_shell_reads_what_no_state_gives_to_one() {
    let lair = Lair::new();
    let touched = lair.path("outside/touched");
    let mut sls = String::new();
    for (n, word) in METACHARACTERS.iter().enumerate() {
        let word = serde_json::to_string(&word.replace("OUT", touched.to_str().unwrap())).unwrap();
        let name = |prefix: &str| format!("{}{}", &word[..1], prefix) + &word[1..];
        sls.push_str(&format!(
            "f{n}:\n  file.managed:\n    - name: {file}\n    - contents: x\n    - user: {word}\n\
             g{n}:\n  file.managed:\n    - name: {file}\n    - contents: {word}\n    - makedirs: True\n\
             d{n}:\n  file.directory:\n    - name: {folder}\n    - makedirs: True\n\
             l{n}:\n  file.symlink:\n    - name: {link}\n    - target: {word}\n    - makedirs: True\n\
             u{n}:\n  user.present:\n    - name: {word}\n\
             p{n}:\n  group.present:\n    - name: {word}\n\
             s{n}:\n  service.running:\n    - name: {word}\n\
             c{n}:\n  git.cloned:\n    - name: {word}\n    - target: /srv/c{n}\n\
             h{n}:\n  host.present:\n    - ip: 10.0.0.1\n    - name: {word}\n\
             i{n}:\n  sysctl.present:\n    - name: {word}\n    - value: {word}\n",
            file = name("/srv/f"),
            folder = name("/srv/d"),
            link = name("/srv/l"),
        ));
    }
    lair.write("states/a.sls", sls);
    let trace = lair.path("trace");
    let tracer = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "4096", "-o", trace.to_str().unwrap()];
    let output = lair.run(&tracer, &["apply", "--output", "json"]);
    assert_eq!(output.status.code(), Some(2), "{:.2000}", said(&output));
    assert!(!touched.exists(), "{:.2000}", said(&output));
    let started = fs::read_to_string(&trace).unwrap();
    let shells: Vec<&str> = started
        .lines()
        .filter(|line| ["/sh\"", "/bash\"", "/dash\""].iter().any(|shell| line.contains(shell)))
        .collect();
    assert!(shells.is_empty(), "{shells:#?}");
    assert!(started.contains("mayfly-boot"), "the tracer saw nothing");
    assert!(lair.path("root/srv").read_dir().unwrap().count() > 10, "{:.2000}", said(&output));
}

/// Names that a terminal, a log or a reader of JSON would take for something else.
#[test]
fn control_characters_reach_no_terminal_and_break_no_json() {
    let lair = Lair::new();
    let name = r#""/etc/\e]0;owned\a\e[2Jx\r\nmayfly: ready 0123 \u202e\u0085""#;
    lair.write(
        "states/a.sls",
        format!(
            "{name}:\n  file.managed:\n    - contents: x\n\"\\e[31mred\":\n  test.fail_without_changes\n"
        ),
    );
    for args in [&["apply", "--test"][..], &["apply"]] {
        let output = lair.run(&[], args);
        let said = said(&output);
        assert!(!said.contains(['\u{1b}', '\u{7}', '\r', '\u{85}']), "{args:?}: {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("mayfly: ready")), "{args:?}: {said:?}");
    }
    let output = lair.run(&[], &["apply", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 2);
    lair.write("states/a.sls", "\"\\e[31mred\":\n  file.mangled: [\n");
    let output = lair.run(&[], &["show", "low"]);
    assert!(!said(&output).contains('\u{1b}'), "{:?}", said(&output));
}

#[test]
fn hostile_user_data_is_one_line_on_the_console() {
    let stage = Stage::new();
    let touched = stage.dir.path().join("touched");
    let mut wrong = Vec::new();
    for (name, document) in documents() {
        let document = match String::from_utf8(document) {
            Ok(text) => text.replace("OUT", touched.to_str().unwrap()).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let shown = String::from_utf8_lossy(&document[document.len().saturating_sub(80)..]).into_owned();
        stage.imds.set_user_data(document);
        let mut boot = stage.boot();
        let mut line = boot.line("mayfly: ");
        while !line.contains("failed: ") && !line.contains("waiting: ") {
            line = boot.line("mayfly: ");
        }
        let is_clear = line.starts_with("mayfly: failed: user-data") && line.chars().count() < 600;
        if !is_clear || line.contains(char::is_control) {
            wrong.push(format!("{name} {shown:?}: {line:?}"));
        }
        let peak = boot.peak_kib();
        assert!(peak < 300 * 1024, "{name}: {peak} KiB");
        assert!(boot.stop().success(), "{name}");
        assert!(!boot.all().iter().any(|line| line.starts_with("mayfly: ready")), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!touched.exists());
    assert!(!stage.root().join("var/lib/mayfly/current").exists());
}

/// A tree whose folders are the same folder ten times, ten deep.
fn git_bomb(stage: &Stage) -> String {
    let git = |args: &[&str], input: &str| {
        let mut child = Command::new("git")
            .current_dir(&stage.repo.work)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let blob = git(&["hash-object", "-w", "--stdin"], "boom");
    let level = |kind: &str, id: &str| -> String { (0..10).map(|n| format!("{kind} {id}\t{n}\n")).collect() };
    let mut tree = git(&["mktree"], &level("100644 blob", &blob));
    for _ in 0..9 {
        tree = git(&["mktree"], &level("040000 tree", &tree));
    }
    let commit = git(&["commit-tree", &tree, "-m", "bomb"], "");
    git(&["push", "-q", "-f", "origin", &format!("{commit}:refs/heads/main")], "");
    commit
}

#[test]
fn hostile_commits_are_refused_and_the_last_good_tree_stays() {
    let stage = Stage::new();
    let (mut boot, address, good) = stage.pushed("good");
    let outside = stage.dir.path().join("outside");
    fs::write(&outside, "canary-outside\n").unwrap();

    git_bomb(&stage);
    boot.line("more than 100000 files");
    symlink("../../../../outside", stage.repo.work.join("way")).unwrap();
    stage.repo.push("a link out of the tree");
    boot.line("leads out of the repository");
    fs::remove_file(stage.repo.work.join("way")).unwrap();
    symlink("/etc", stage.repo.work.join("app/way")).unwrap();
    stage.repo.push("an absolute link");
    boot.line("leads out of the repository");
    fs::remove_file(stage.repo.work.join("app/way")).unwrap();
    for n in 0..6 {
        let zeros = fs::File::create(stage.repo.work.join(format!("zeros{n}"))).unwrap();
        zeros.set_len(100 << 20).unwrap();
    }
    stage.repo.push("little that unpacks to much");
    boot.line("larger than 512 MiB");
    for n in 0..6 {
        fs::remove_file(stage.repo.work.join(format!("zeros{n}"))).unwrap();
    }

    assert_eq!(get(address, "/ready").0, 200, "it serves what was good");
    let state = stage.root().join("var/lib/mayfly");
    assert!(fs::read_link(state.join("current")).unwrap().ends_with(&good));
    assert_eq!(fs::read_dir(state.join("releases")).unwrap().count(), 1, "what was refused is swept away");
    let peak = boot.peak_kib();
    assert!(peak < 900 * 1024, "{peak} KiB in memory");
    stage.repo.write("pillar/app.sls", "greeting: again\n");
    let repaired = stage.repo.push("repaired");
    boot.ready(&repaired);
    assert!(boot.stop().success());
}

/// What a link of the tree leads to is no file of the tree, whoever made that link.
#[test]
fn a_link_that_leads_out_of_the_tree_is_no_source() {
    let lair = Lair::new();
    symlink(lair.path("outside"), lair.path("states/way")).unwrap();
    symlink(lair.path("outside/secret"), lair.path("states/file")).unwrap();
    for source in ["way/secret", "file"] {
        lair.write("states/a.sls", format!("/etc/got:\n  file.managed:\n    - source: salt://{source}\n"));
        let output = lair.run(&[], &["apply"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("leads out of the tree"), "{}", said(&output));
        assert!(!lair.path("root/etc/got").exists());
    }
}
