//! Random edits against a model, with real services: every settled change leads to exactly one restart after it, none is
//! lost, and the last content is what runs. Several trees are edited at once, each in every way in which files come to
//! hold something else; now and then the kernel's queue is made to overflow. `MAYFLY_SEED` and `MAYFLY_EDITS` choose
//! another run.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::storm::overflow;
use common::{House, comes_true, until, write_whole};
use mayfly_watcher::{Action, Event, Rule, Watcher};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEBOUNCE: Duration = Duration::from_millis(20);
const TREES: usize = 16;
/// How long a service that was started may be reading, as the watcher sees it, and more.
const READING: Duration = Duration::from_millis(2200);
const LONG: Duration = Duration::from_secs(60);

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

/// What one service watches: `current/conf/*.conf`, where `current` is a link to `releases/N`; `mount/app.conf`, a link
/// to `..data/app.conf`, where `..data` is a link to a directory with a name of its own, as Kubernetes mounts
/// configuration; and `link.conf`, a link to a file elsewhere.
struct Tree {
    name: String,
    root: PathBuf,
    made: u64,
    random: Random,
    /// The ways of this round.
    last: Vec<&'static str>,
    /// How often each way was gone.
    ways: BTreeMap<&'static str, u64>,
}

impl Tree {
    fn new(name: String, root: PathBuf, seed: u64) -> Self {
        let mut tree =
            Self { name, root, made: 0, random: Random(seed), last: Vec::new(), ways: BTreeMap::new() };
        fs::create_dir_all(tree.at("mount")).unwrap();
        tree.flip(Some("start\n"));
        tree.mount("start\n");
        symlink("..data/app.conf", tree.at("mount/app.conf")).unwrap();
        tree.link("start\n");
        tree
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn file(&self) -> PathBuf {
        self.at("current/conf/web.conf")
    }

    fn paths(&self) -> [PathBuf; 3] {
        ["current/conf/*.conf", "mount/app.conf", "link.conf"].map(|path| self.at(path))
    }

    /// The text that a service runs, which tells in one line what it reads at its start.
    fn script(&self, told: &Path) -> String {
        let [conf, mount, link] = self.paths().map(|path| path.display().to_string());
        let line = "read -r line < \"$f\" && all=\"$all ${f##*/}=$line\"";
        format!(
            "for f in {conf} {mount} {link}; do {line}; done\necho \"$all\" > {}\nexec sleep 100000\n",
            told.display()
        )
    }

    /// What that line would be now.
    fn content(&self) -> String {
        let conf = fs::read_dir(self.at("current/conf")).into_iter().flatten().flatten().map(|e| e.path());
        let mut all: Vec<_> = conf.filter(|path| path.extension().is_some_and(|e| e == "conf")).collect();
        all.sort();
        all.extend([self.at("mount/app.conf"), self.at("link.conf")]);
        let one = |path: &PathBuf| {
            let text = fs::read_to_string(path).ok()?;
            Some(format!(" {}={}", path.file_name()?.to_str()?, text.trim_end()))
        };
        all.iter().filter_map(one).collect()
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn fresh(&mut self) -> String {
        format!("content-{}\n", self.number())
    }

    /// Another link in the place of a link, as one step.
    fn relink(&self, to: impl AsRef<Path>, link: &str) {
        let new = self.at("new-link");
        symlink(to, &new).unwrap();
        fs::rename(new, self.at(link)).unwrap();
    }

    /// Put a new release in place by flipping the link.
    fn flip(&mut self, content: Option<&str>) {
        let release = format!("releases/{}", self.number());
        fs::create_dir_all(self.at(&release).join("conf")).unwrap();
        if let Some(content) = content {
            fs::write(self.at(&release).join("conf/web.conf"), content).unwrap();
        }
        let old = fs::read_link(self.at("current"));
        self.relink(release, "current");
        if let Ok(old) = old {
            let _ = fs::remove_dir_all(self.root.join(old));
        }
    }

    /// Mount other content as Kubernetes does.
    fn mount(&mut self, content: &str) {
        let data = format!("..data-{}", self.number());
        fs::create_dir(self.at("mount").join(&data)).unwrap();
        fs::write(self.at("mount").join(&data).join("app.conf"), content).unwrap();
        let old = fs::read_link(self.at("mount/..data"));
        self.relink(data, "mount/..data");
        if let Ok(old) = old {
            fs::remove_dir_all(self.at("mount").join(old)).unwrap();
        }
    }

    /// Let `link.conf` lead to a new file, as `ln -sfn` does.
    fn link(&mut self, content: &str) {
        let target = format!("elsewhere-{}", self.number());
        fs::write(self.at(&target), content).unwrap();
        let old = fs::read_link(self.at("link.conf"));
        let _ = fs::remove_file(self.at("link.conf"));
        symlink(target, self.at("link.conf")).unwrap();
        if let Ok(old) = old {
            let _ = fs::remove_file(self.root.join(old));
        }
    }

    fn edit(&mut self) {
        let choice = self.random.below(WAYS.len() as u64) as usize;
        let (way, edit) = WAYS[choice];
        *self.ways.entry(way).or_default() += 1;
        self.last.push(way);
        if !self.file().exists() && way != "a new release" {
            // Everything is there for an edit of it.
            if !self.at("current").exists() {
                self.flip(None);
            }
            fs::create_dir_all(self.at("current/conf")).unwrap();
            let fresh = self.fresh();
            fs::write(self.file(), fresh).unwrap();
        }
        let fresh = self.fresh();
        edit(self, &fresh);
    }
}

type Way = (&'static str, fn(&mut Tree, &str));

const WAYS: &[Way] = &[
    ("in place", |t, new| fs::write(t.file(), new).unwrap()),
    ("in place, in pieces", |t, new| {
        use std::io::Write;
        let mut file = fs::File::create(t.file()).unwrap();
        new.chars().for_each(|c| write!(file, "{c}").unwrap());
    }),
    ("a burst", |t, new| {
        (0..100).for_each(|n| fs::write(t.file(), n.to_string()).unwrap());
        fs::write(t.file(), new).unwrap();
    }),
    ("rename over", |t, new| {
        fs::write(t.at("current/conf/.web.tmp"), new).unwrap();
        fs::rename(t.at("current/conf/.web.tmp"), t.file()).unwrap();
    }),
    ("rename over from elsewhere", |t, new| {
        fs::write(t.at("aside"), new).unwrap();
        fs::rename(t.at("aside"), t.file()).unwrap();
    }),
    ("backup and rename", |t, new| {
        fs::rename(t.file(), t.at("current/conf/web.conf~")).unwrap();
        fs::write(t.file(), new).unwrap();
        fs::remove_file(t.at("current/conf/web.conf~")).unwrap();
    }),
    ("a backup that stays", |t, new| {
        fs::rename(t.file(), t.at("current/conf/web.conf~")).unwrap();
        fs::write(t.file(), new).unwrap();
    }),
    ("deleted", |t, _| fs::remove_file(t.file()).unwrap()),
    ("deleted and created", |t, new| {
        fs::remove_file(t.file()).unwrap();
        fs::write(t.file(), new).unwrap();
    }),
    ("the same content", |t, _| fs::write(t.file(), fs::read(t.file()).unwrap()).unwrap()),
    ("a touch", |t, _| {
        fs::File::open(t.file()).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    }),
    ("another mode", |t, new| {
        let mode = if new.len() % 2 == 0 { 0o600 } else { 0o644 };
        fs::set_permissions(t.file(), fs::Permissions::from_mode(mode)).unwrap();
    }),
    ("a neighbour that matches", |t, new| fs::write(t.at("current/conf/b.conf"), new).unwrap()),
    ("a neighbour that does not", |t, new| fs::write(t.at("current/conf/b.txt"), new).unwrap()),
    ("the neighbour goes", |t, _| _ = fs::remove_file(t.at("current/conf/b.conf"))),
    ("a hard link in its place", |t, new| {
        fs::write(t.at("aside"), new).unwrap();
        fs::remove_file(t.file()).unwrap();
        fs::hard_link(t.at("aside"), t.file()).unwrap();
        fs::remove_file(t.at("aside")).unwrap();
    }),
    ("it becomes a link", |t, new| {
        fs::write(t.at("aside"), new).unwrap();
        fs::remove_file(t.file()).unwrap();
        symlink("../../../aside", t.file()).unwrap();
    }),
    ("a new release", |t, new| t.flip(Some(new))),
    ("a new release with the same content", |t, _| {
        let same = fs::read_to_string(t.file()).unwrap();
        t.flip(Some(&same));
    }),
    ("a new release that lacks it", |t, _| t.flip(None)),
    ("the link leads nowhere", |t, _| t.relink("nowhere", "current")),
    ("the release is moved away", |t, _| {
        let release = fs::canonicalize(t.at("current")).unwrap();
        fs::rename(release, t.at(&format!("old-{}", t.made))).unwrap();
    }),
    ("the directory is replaced", |t, new| {
        let old = t.at(&format!("old-{}", t.made));
        fs::rename(t.at("current/conf"), &old).unwrap();
        fs::create_dir(t.at("current/conf")).unwrap();
        fs::write(t.file(), new).unwrap();
        fs::remove_dir_all(old).unwrap();
    }),
    ("the directory is moved away and back", |t, _| {
        fs::rename(t.at("current/conf"), t.at("away")).unwrap();
        fs::rename(t.at("away"), t.at("current/conf")).unwrap();
    }),
    ("the directory is moved away, written, and back", |t, new| {
        fs::rename(t.at("current/conf"), t.at("away")).unwrap();
        let _ = fs::remove_file(t.at("away/web.conf"));
        fs::write(t.at("away/web.conf"), new).unwrap();
        fs::rename(t.at("away"), t.at("current/conf")).unwrap();
    }),
    ("two directories change places", |t, new| {
        let other = t.at("other");
        fs::create_dir_all(&other).unwrap();
        let _ = fs::remove_file(other.join("web.conf"));
        fs::write(other.join("web.conf"), new).unwrap();
        renameat_with(CWD, &other, CWD, t.at("current/conf"), RenameFlags::EXCHANGE).unwrap();
    }),
    ("the directory is removed", |t, _| fs::remove_dir_all(t.at("current/conf")).unwrap()),
    ("the whole tree is moved away and back", |t, _| {
        let away = t.root.with_extension("away");
        fs::rename(&t.root, &away).unwrap();
        fs::rename(&away, &t.root).unwrap();
    }),
    ("mounted anew", |t, new| t.mount(new)),
    ("mounted anew with the same content", |t, _| {
        let same = fs::read_to_string(t.at("mount/app.conf")).unwrap();
        t.mount(&same);
    }),
    ("the linked file is written", |t, new| fs::write(t.at("link.conf"), new).unwrap()),
    ("another file is linked", |t, new| t.link(new)),
];

/// All trees under watch, with a service for each. `barrier` is a file of its own: when its turn has come, everything
/// before it has been seen.
struct Bench {
    // First to go: what it has begun may need a service still.
    watcher: Watcher,
    house: House,
    trees: Vec<Tree>,
    passed: Receiver<()>,
    seed: u64,
    /// Since when nothing was restarted.
    quiet: Instant,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let house = House::new();
        let tree = |n: usize| {
            let root = house.path(&format!("app-{n}"));
            fs::create_dir(&root).unwrap();
            Tree::new(format!("web-{n}"), root, seed.wrapping_mul(2 * n as u64 + 1).max(1))
        };
        let trees: Vec<Tree> = (0..TREES).map(tree).collect();
        for tree in &trees {
            house.shell(&tree.name, &tree.script(&house.path(&format!("{}.told", tree.name))), "");
            mayfly_watcher::Supervisor::start(&*house.supervisor, &tree.name).unwrap();
        }
        let (pass, passed) = channel();
        let listener = move |event: &Event| match event {
            Event::Restarted { service, .. } if service == "barrier" => pass.send(()).unwrap(),
            Event::Restarted { .. } => {}
            other => panic!("{other:?}"),
        };
        let watcher = Watcher::start(house.supervisor.clone(), Arc::new(listener)).unwrap();
        let mut rules: Vec<Rule> = trees.iter().map(|t| rule(&t.name, &t.paths(), Action::Restart)).collect();
        let copy = ["/bin/cp", "barrier", "passed"].map(|word| match word.strip_prefix('/') {
            Some(_) => word.to_owned(),
            None => house.path(word).display().to_string(),
        });
        rules.push(rule("barrier", &[house.path("barrier")], Action::Run(copy.into())));
        watcher.set_rules(rules).unwrap();
        Self { house, trees, watcher, passed, seed, quiet: Instant::now() }
    }

    fn starts(&self) -> BTreeMap<String, u64> {
        self.house.supervisor.report().into_iter().map(|r| (r.service, r.starts)).collect()
    }

    /// A few edits of each tree; then wait until all has been dealt with, and judge. Gives how many edits there were,
    /// and how many trees could be judged exactly.
    fn round(&mut self, number: u64) -> (u64, u64) {
        if number.is_multiple_of(5) {
            until("all have been reading long enough", || self.quiet.elapsed() > READING);
        }
        let all_read = self.quiet.elapsed() > READING;
        let (before, starts) = (self.contents(), self.starts());
        // Some rounds are held as a converge holds them: one change, however slow the machine is.
        let stormy = number % 64 == 3;
        let held = (stormy || number.is_multiple_of(2)).then(|| self.watcher.pause());
        let mut edits = 0;
        let mut at_once = Vec::new();
        for tree in &mut self.trees {
            let began = Instant::now();
            tree.last.clear();
            let burst = 1 + tree.random.below(8);
            // Of these the kernel has no event left to tell.
            if stormy && tree.random.below(4) == 0 {
                let root = tree.root.clone();
                let unseen = || (0..burst).for_each(|_| tree.edit());
                overflow(&root, || self.watcher.status().overflows, unseen);
            } else {
                (0..burst).for_each(|_| {
                    tree.edit();
                    // Slow rounds meet services that were started for the edit before and are reading now.
                    if number % 4 == 1 {
                        std::thread::sleep(Duration::from_millis(tree.random.below(40)));
                    }
                });
            }
            edits += burst;
            at_once.push(held.is_some() || began.elapsed() < DEBOUNCE);
        }
        drop(held);
        self.settle(number);
        self.quiet = Instant::now();
        let (after, restarts) = (self.contents(), self.starts());
        for (n, tree) in self.trees.iter().enumerate() {
            let context =
                format!("seed {}, round {number}, {}: {} to {}", self.seed, tree.name, before[n], after[n]);
            if at_once[n] {
                let more = restarts[&tree.name] - starts[&tree.name];
                let changed = before[n] != after[n];
                // Edits that end where they began, while the service may be reading, may or may not lead to one.
                let right = more == u64::from(changed) || (more == 1 && !all_read);
                assert!(right, "{more} restarts; {context}: {:?}", tree.last);
            }
            let told = self.house.path(&format!("{}.told", tree.name));
            let line = || fs::read_to_string(&told).unwrap_or_default().trim_end().to_owned();
            let runs = || line() == after[n];
            if !comes_true(runs) {
                let rules = self.watcher.status().rules;
                let rule = rules.iter().find(|rule| rule.rule == tree.name);
                let more = restarts[&tree.name] - starts[&tree.name];
                panic!(
                    "never read, but {:?}; {more} restarts of {:?}; {context}; {rule:?}",
                    line(),
                    tree.last
                );
            }
        }
        (edits, at_once.iter().filter(|at_once| **at_once).count() as u64)
    }

    fn contents(&self) -> Vec<String> {
        self.trees.iter().map(Tree::content).collect()
    }

    /// Its turn may come twice: what may have been read for a moment is acted on once more. So it says which one it was.
    fn settle(&self, number: u64) {
        let number = number.to_string();
        write_whole(&self.house.path("barrier"), &number);
        loop {
            self.passed.recv_timeout(LONG).expect("the barrier");
            if fs::read_to_string(self.house.path("passed")).unwrap() == number {
                break;
            }
        }
        until("quiet", || self.watcher.status().rules.iter().all(|r| r.state == "quiet"));
    }
}

fn rule(name: &str, paths: &[PathBuf], action: Action) -> Rule {
    let (name, paths) = (name.to_owned(), paths.to_vec());
    Rule { service: name.clone(), name, paths, action, debounce: DEBOUNCE, ..Rule::default() }
}

#[test]
fn every_settled_change_leads_to_exactly_one_restart() {
    let (seed, edits) = (number("MAYFLY_SEED", 0x9E37_79B9_7F4A_7C15).max(1), number("MAYFLY_EDITS", 600));
    let mut bench = Bench::new(seed);
    let began = Instant::now();
    let first: u64 = bench.starts().values().sum();
    let (mut done, mut exact, mut rounds) = (0, 0, 0);
    while done < edits {
        rounds += 1;
        let (more, judged) = bench.round(rounds);
        (done, exact) = (done + more, exact + judged);
    }
    let restarts = bench.starts().values().sum::<u64>() - first;
    let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
    bench.trees.iter().flat_map(|tree| &tree.ways).for_each(|(way, n)| *ways.entry(way).or_default() += n);
    println!(
        "{done} edits in {:.0?}: {restarts} restarts; {exact} of {} bursts judged exactly; {} overflows; {ways:?}",
        began.elapsed(),
        rounds * TREES as u64,
        bench.watcher.status().overflows
    );
    assert!(exact >= rounds * TREES as u64 / 4, "the machine is too slow to judge anything");
    assert!(ways.len() == WAYS.len() && bench.watcher.status().overflows > 0);
}
