//! The boot matrix of docs/booting.md: how the git server fares, what is on the disk, and whether the newest tree is sound.
//! Each row is a real `mayfly-boot` against a real git server; the table in the document is compared with what was seen.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use support::INSTANCE;
use support::boot::{Boot, get, until};
use support::git_http::{Fault, GitHttp};
use support::git_repo::GitRepo;
use support::imds::Imds;

/// Another instance than the one that made the image.
const FROM_IMAGE: &str = "i-0fedcba9876543210";

/// How the git server fares, in the words of the document.
const SERVERS: [(&str, Fault); 8] = [
    ("up", Fault::None),
    ("slow", Fault::Slow),
    ("down", Fault::Down),
    ("silent", Fault::Silent),
    ("corrupt", Fault::Corrupt),
    ("moved, and says where", Fault::Moved),
    ("moved, 404", Fault::Gone),
    ("branch deleted", Fault::None),
];
const DISKS: [&str; 3] = ["first boot", "cached", "baked"];

/// A repository with an old tree and a newer one, which compiles or not, and the disk of an instance that knew the old.
struct Tree {
    word: &'static str,
    dir: PathBuf,
    old: String,
    new: String,
    /// The root after the old tree was converged: what an image holds.
    image: PathBuf,
    /// The root of an instance that is booted again.
    cached: PathBuf,
}

impl Tree {
    fn make(dir: &Path, word: &'static str) -> Self {
        let dir = dir.join(word);
        fs::create_dir(&dir).unwrap();
        let repo = GitRepo::new(&dir, "states");
        write_tree(&repo);
        let old = repo.push("old");
        let (image, cached) = (dir.join("image"), dir.join("cached"));
        fs::create_dir(&cached).unwrap();
        let server = GitHttp::start(&dir, None);
        let starts = dir.join("first-starts");
        let imds = Imds::start(INSTANCE, user_data(&server, "main", &starts));
        let mut boot = Boot::start(&cached, &imds.url, &[]);
        boot.line("mayfly: ready ");
        copy(&cached, &image);
        match word {
            "sound" => repo.write("pillar/app.sls", "greeting: new\n"),
            _ => repo.write("app/init.sls", "app-conf:\n  file.managed:\n    - name: {{ pillar.greeting\n"),
        }
        let new = repo.push("new");
        if word == "broken" {
            // It was met before the machine went down.
            boot.signal("HUP");
            boot.line("mayfly: failed: ");
        }
        assert!(boot.stop().success());
        Self { word, dir, old, new, image, cached }
    }

    /// The root of one row.
    fn root(&self, disk: &str, name: &str) -> PathBuf {
        let root = self.dir.join(name);
        match disk {
            "cached" => copy(&self.cached, &root),
            "baked" => copy(&self.image, &root),
            _ => fs::create_dir(&root).unwrap(),
        }
        root
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn user_data(server: &GitHttp, reference: &str, starts: &Path) -> String {
    let more = format!("  ref: {reference}\npillar: {{starts: {}}}\n", starts.display());
    // Asked once and not again: each row is one boot.
    support::user_data(&server.url("states.git"), &more).replace("'* * * * * *'", "never")
}

fn write_tree(repo: &GitRepo) {
    repo.write("top.sls", "base:\n  '*':\n    - app\n");
    repo.write("pillar/top.sls", "base:\n  '*':\n    - app\n");
    repo.write("pillar/app.sls", "greeting: old\n");
    repo.write(
        "app/init.sls",
        "app-unit:\n  file.managed:\n    - name: /etc/systemd/system/app.service\n    - source: salt://app/app.service\n    \
         - makedirs: True\n    - template: jinja\n\napp-conf:\n  file.managed:\n    - name: /etc/app.conf\n    \
         - contents: {{ pillar.greeting }}\n\napp:\n  service.running:\n    - require:\n      - file: app-unit\n      \
         - file: app-conf\n",
    );
    repo.write(
        "app/app.service",
        "[Service]\nExecStart=/bin/sh -c 'echo $$$$ >> {{ pillar.starts }}; exec sleep 100000'\n",
    );
}

/// What one boot came to, in the words of the document.
fn row(tree: &Tree, server: &str, fault: &Fault, disk: &str, name: &str) -> String {
    let root = tree.root(disk, name);
    let starts = tree.dir.join(format!("{name}-starts"));
    let git = GitHttp::start(&tree.dir, None);
    git.set(fault.clone());
    let reference = if server == "branch deleted" { "gone" } else { "main" };
    let id = if disk == "baked" { FROM_IMAGE } else { INSTANCE };
    let imds = Imds::start(id, user_data(&git, reference, &starts));
    let mut boot = Boot::start(&root, &imds.url, &[]);
    let address = boot.address();
    let ended = boot.line_of(&["mayfly: ready ", "mayfly: failed: ", "waiting: no state tree yet"]);
    let said = boot.all().iter().any(|line| line.contains("using the last good tree"));
    let conf = || fs::read_to_string(root.join("etc/app.conf")).unwrap_or_default();
    let current = fs::read_link(root.join("var/lib/mayfly/current"));
    let current = current.map(|l| l.file_name().unwrap().to_string_lossy().into_owned()).unwrap_or_default();
    let runs = || fs::read_to_string(&starts).is_ok_and(|text| text.ends_with('\n'));
    let does = if ended.contains("ready ") && current == tree.new {
        until("the service", || runs().then_some(()));
        assert_eq!((conf().trim(), said), ("new", false));
        "applies the newest tree"
    } else if ended.contains("ready ") && current == tree.old {
        until("the service", || runs().then_some(()));
        assert_eq!((conf().trim(), said), ("old", true));
        "says what is wrong, applies the last good tree"
    } else if ended.contains("waiting: ") {
        assert!(!runs() && conf().is_empty() && current.is_empty());
        "says what is wrong, asks again until there is a tree"
    } else if disk == "first boot" {
        assert!(ended.contains("app/init.sls:3:") && conf().is_empty() && current == tree.new, "{ended}");
        "says which line is wrong, changes nothing"
    } else {
        assert!(ended.contains("app/init.sls:3:") && current == tree.new, "{ended}");
        boot.line(&format!("running what the last good tree {} says", &tree.old[..12]));
        until("the service", || runs().then_some(()));
        assert_eq!(conf().trim(), "old");
        "says which line is wrong, runs the services of the last good tree"
    };
    let code = until("an answer of the end of the boot", || {
        let (code, reason) = get(address, "/ready");
        let ready = ended.contains("ready ");
        (ready == (code == 200) && !reason.contains("converging")).then_some(code)
    });
    assert!(boot.stop().success());
    format!("| {server} | {disk} | {} | {does} | {code} |", tree.word)
}

#[test]
fn every_row_of_the_boot_matrix_is_what_the_document_says() {
    let dir = tempfile::tempdir().unwrap();
    let trees = [Tree::make(dir.path(), "sound"), Tree::make(dir.path(), "broken")];
    let mut cases = Vec::new();
    for (server, fault) in &SERVERS {
        for disk in DISKS {
            for tree in &trees {
                cases.push((cases.len(), *server, fault, disk, tree));
            }
        }
    }
    // Those that wait for a silent server first, so that the others need no time of their own.
    let mut order: Vec<_> = cases.iter().collect();
    order.sort_by_key(|case| case.1 == "silent");
    let (queue, seen) = (Mutex::new(order), Mutex::new(vec![String::new(); cases.len()]));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some((n, server, fault, disk, tree)) = queue.lock().unwrap().pop() else { return };
                    let line = row(tree, server, fault, disk, &format!("row{n}"));
                    seen.lock().unwrap()[*n] = line;
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    let document = include_str!("../../docs/booting.md");
    let marks = |line: &&str| SERVERS.iter().any(|(server, _)| line.starts_with(&format!("| {server} |")));
    let written: Vec<&str> = document.lines().filter(marks).collect();
    assert!(written == seen, "docs/booting.md should have these rows:\n{}", seen.join("\n"));
}
