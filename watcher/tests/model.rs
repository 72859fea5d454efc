//! Random edits against a model, with a real service: every settled change leads to exactly one restart after it, and
//! none is lost. `MAYFLY_SEED` and `MAYFLY_EDITS` choose another run.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, lines, until};
use mayfly_watcher::{Action, Event, Rule, Supervisor, Watcher};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DEBOUNCE: Duration = Duration::from_millis(20);

/// A small generator: the same seed gives the same edits.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The directory `current` is a link to `releases/N`; the watched path is `current/conf/web.conf`.
struct Tree {
    root: PathBuf,
    release: u64,
    random: Random,
    written: u64,
}

impl Tree {
    fn new(root: &Path, seed: u64) -> Self {
        let mut tree = Self { root: root.to_owned(), release: 0, random: Random(seed), written: 0 };
        tree.flip(Some("start"));
        tree
    }

    fn file(&self) -> PathBuf {
        self.root.join("current/conf/web.conf")
    }

    /// What the service would read now.
    fn content(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_else(|_| "absent".into())
    }

    fn fresh(&mut self) -> String {
        self.written += 1;
        format!("content-{}", self.written)
    }

    /// Put a new release in place by flipping the link.
    fn flip(&mut self, content: Option<&str>) {
        self.release += 1;
        let release = format!("releases/{}", self.release);
        fs::create_dir_all(self.root.join(&release).join("conf")).unwrap();
        if let Some(content) = content {
            fs::write(self.root.join(&release).join("conf/web.conf"), content).unwrap();
        }
        symlink(&release, self.root.join("current.new")).unwrap();
        fs::rename(self.root.join("current.new"), self.root.join("current")).unwrap();
    }

    fn edit(&mut self) {
        let (file, aside) = (self.file(), self.file().with_extension("aside"));
        let fresh = self.fresh();
        let missing = !file.exists();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        match self.random.below(12) {
            0 | 1 => fs::write(&file, fresh).unwrap(),
            2 | 3 => {
                fs::write(&aside, fresh).unwrap();
                fs::rename(&aside, &file).unwrap();
            }
            4 if !missing => {
                fs::rename(&file, &aside).unwrap();
                fs::write(&file, fresh).unwrap();
            }
            5 => _ = fs::remove_file(&file),
            6 => {
                let _ = fs::remove_file(&file);
                fs::write(&file, fresh).unwrap();
            }
            7 if !missing => fs::write(&file, self.content()).unwrap(),
            8 if !missing => {
                fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
            }
            9 => self.flip(Some(&fresh)),
            10 => {
                let content = self.content();
                self.flip((!missing).then_some(content.as_str()));
            }
            _ => self.replace_parent(&fresh),
        }
    }

    /// Move the directory away and another one to its place.
    fn replace_parent(&mut self, content: &str) {
        let conf = self.root.join("current/conf");
        let old = self.root.join(format!("old-{}", self.written));
        fs::rename(&conf, &old).unwrap();
        fs::create_dir(&conf).unwrap();
        fs::write(conf.join("web.conf"), content).unwrap();
        fs::remove_dir_all(old).unwrap();
    }
}

fn rule(name: &str, path: PathBuf, action: Action) -> Rule {
    Rule {
        name: name.into(),
        paths: vec![path],
        service: name.into(),
        action,
        debounce: DEBOUNCE,
        ..Rule::default()
    }
}

#[test]
fn every_settled_change_leads_to_exactly_one_restart() {
    let (seed, edits) = (number("MAYFLY_SEED", 0x9E37_79B9_7F4A_7C15).max(1), number("MAYFLY_EDITS", 300));
    let house = House::new();
    let root = house.path("app");
    fs::create_dir(&root).unwrap();
    let mut tree = Tree::new(&root, seed);
    let (told, file) = (house.path("told"), tree.file());
    let script = format!(
        "echo $(cat {} 2>/dev/null || echo absent) >> {}; exec sleep 1000",
        file.display(),
        told.display()
    );
    house.shell("web", &script, "");
    house.supervisor.start("web").unwrap();
    until("it runs", || lines(&told) == ["start"]);

    let barriers = Arc::new(AtomicUsize::new(0));
    let heard = barriers.clone();
    let listener = move |event: &Event| match event {
        Event::Restarted { service, .. } if service == "barrier" => _ = heard.fetch_add(1, Ordering::SeqCst),
        Event::Restarted { .. } => {}
        other => panic!("{other:?}"),
    };
    let watcher = Watcher::start(house.supervisor.clone(), Arc::new(listener)).unwrap();
    let barrier = house.path("barrier");
    let run = Action::Run(vec!["/bin/true".into()]);
    watcher
        .set_rules(vec![rule("web", file, Action::Restart), rule("barrier", barrier.clone(), run)])
        .unwrap();

    let (mut done, mut exact) = (0, 0);
    while done < edits {
        let (before, starts) = (tree.content(), house.supervisor.report()[0].starts);
        let began = Instant::now();
        let burst = 1 + tree.random.below(4);
        (0..burst).for_each(|_| tree.edit());
        // On a machine that stood still meanwhile, a state between may have settled.
        let at_once = began.elapsed() < DEBOUNCE;
        done += burst;
        let passed = barriers.load(Ordering::SeqCst);
        fs::write(&barrier, done.to_string()).unwrap();
        until("the barrier", || barriers.load(Ordering::SeqCst) > passed);
        until("quiet", || watcher.status().rules.iter().all(|r| r.state == "quiet"));
        let restarts = house.supervisor.report()[0].starts - starts;
        let content = tree.content();
        let context = format!("seed {seed}, after {done} edits: {before} to {content}");
        if at_once {
            assert_eq!(restarts, u64::from(before != content), "{context}");
            exact += 1;
        }
        until(&format!("the last content is read; {context}"), || lines(&told).last() == Some(&content));
    }
    println!(
        "{done} edits; {exact} bursts judged exactly; {} restarts",
        house.supervisor.report()[0].starts - 1
    );
    assert!(exact > 0, "the machine is too slow to judge anything");
}
