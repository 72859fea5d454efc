//! Every way in which watched files come to hold something else, on a real file system, with real services of the
//! built-in supervisor and of supervisord: one restart each where the content is another, none where it is not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/supervisord.rs"]
mod daemon;

use common::storm::overflow;
use common::{House, until, write_whole};
use daemon::Daemon;
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Action, Event, Rule, Supervisor, Watcher};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const DEBOUNCE: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// What the service `web` watches, below a directory.
const WATCHED: [&str; 6] =
    ["etc/web.conf", "etc/conf.d/*.conf", "current/app.conf", "mount/key", "link.conf", "later/a/b/web.conf"];

struct Way {
    name: &'static str,
    restarts: u64,
    go: fn(&Path),
}

const fn way(name: &'static str, restarts: u64, go: fn(&Path)) -> Way {
    Way { name, restarts, go }
}

fn put(path: PathBuf, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).current_dir(dir).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; see .ci/install"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// Mount other content as Kubernetes mounts it: `..data` is a link to a directory with a name of its own.
fn mount(dir: &Path, name: &str, content: &str) {
    put(dir.join("mount").join(name).join("key"), content);
    let old = fs::read_link(dir.join("mount/..data"));
    symlink(name, dir.join("mount/..data_tmp")).unwrap();
    fs::rename(dir.join("mount/..data_tmp"), dir.join("mount/..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(dir.join("mount").join(old)).unwrap();
    }
}

/// Flip `current` to another release as one step.
fn flip(dir: &Path, release: &str) {
    symlink(release, dir.join("current.new")).unwrap();
    fs::rename(dir.join("current.new"), dir.join("current")).unwrap();
}

/// What is there at the beginning.
fn furnish(dir: &Path) {
    put(dir.join("etc/web.conf"), "start\n");
    put(dir.join("etc/conf.d/a.conf"), "start\n");
    for release in ["releases/1", "releases/2", "releases/3"] {
        put(dir.join(release).join("app.conf"), if release.ends_with('1') { "one\n" } else { "two\n" });
    }
    symlink("releases/1", dir.join("current")).unwrap();
    mount(dir, "..2026_1", "start\n");
    symlink("..data/key", dir.join("mount/key")).unwrap();
    put(dir.join("targets/1"), "one\n");
    put(dir.join("targets/2"), "two\n");
    symlink("targets/1", dir.join("link.conf")).unwrap();
}

static WAYS: &[Way] = &[
    way("written in place", 1, |d| put(d.join("etc/web.conf"), "in place\n")),
    way("written in pieces", 1, |d| {
        use std::io::Write;
        let mut file = fs::File::create(d.join("etc/web.conf")).unwrap();
        "in pieces\n".chars().for_each(|c| write!(file, "{c}").unwrap());
    }),
    way("a burst of thousands", 1, |d| {
        (0..5000).for_each(|n| fs::write(d.join("etc/web.conf"), format!("{n}\n")).unwrap());
    }),
    way("renamed over", 1, |d| {
        put(d.join("etc/.web.conf.tmp"), "renamed over\n");
        fs::rename(d.join("etc/.web.conf.tmp"), d.join("etc/web.conf")).unwrap();
    }),
    way("sed -i", 1, |d| run(d, "sed", &["-i", "s/.*/by sed/", "etc/web.conf"])),
    way("vim, which backs up and renames", 1, |d| {
        let how = "set writebackup nobackup backupcopy=no";
        run(d, "vi", &["-es", "-u", "NONE", "-c", how, "-c", "%s/.*/by vim/", "-c", "wq", "etc/web.conf"]);
    }),
    way("vim, in place", 1, |d| {
        let how = "set writebackup nobackup backupcopy=yes";
        run(
            d,
            "vi",
            &["-es", "-u", "NONE", "-c", how, "-c", "%s/.*/by vim, in place/", "-c", "wq", "etc/web.conf"],
        );
    }),
    way("a backup that stays, as emacs leaves it", 1, |d| {
        fs::rename(d.join("etc/web.conf"), d.join("etc/web.conf~")).unwrap();
        put(d.join("etc/web.conf"), "backed up\n");
    }),
    way("the backup put back", 1, |d| fs::rename(d.join("etc/web.conf~"), d.join("etc/web.conf")).unwrap()),
    way("install", 1, |d| {
        put(d.join("new"), "installed\n");
        run(d, "install", &["-m", "600", "new", "etc/web.conf"]);
    }),
    way("touched", 0, |d| run(d, "touch", &["etc/web.conf"])),
    way("another mode", 0, |d| {
        fs::set_permissions(d.join("etc/web.conf"), fs::Permissions::from_mode(0o640)).unwrap();
    }),
    way("the same content", 0, |d| put(d.join("etc/web.conf"), "installed\n")),
    way("the same content, renamed over", 0, |d| {
        put(d.join("etc/new"), "installed\n");
        fs::rename(d.join("etc/new"), d.join("etc/web.conf")).unwrap();
    }),
    way("there and back", 0, |d| {
        put(d.join("etc/web.conf"), "there\n");
        put(d.join("etc/web.conf"), "installed\n");
    }),
    way("a neighbour", 0, |d| put(d.join("etc/other.conf"), "x\n")),
    way("deleted", 1, |d| fs::remove_file(d.join("etc/web.conf")).unwrap()),
    way("created again", 1, |d| put(d.join("etc/web.conf"), "again\n")),
    way("deleted and created at once", 1, |d| {
        fs::remove_file(d.join("etc/web.conf")).unwrap();
        put(d.join("etc/web.conf"), "at once\n");
    }),
    way("a match of the glob appears", 1, |d| put(d.join("etc/conf.d/b.conf"), "b\n")),
    way("a match of the glob goes", 1, |d| fs::remove_file(d.join("etc/conf.d/b.conf")).unwrap()),
    way("what does not match", 0, |d| put(d.join("etc/conf.d/b.conf.bak"), "b\n")),
    way("a part of the way appears", 0, |d| fs::create_dir_all(d.join("later/a")).unwrap()),
    way("the rest of the way and the file", 1, |d| put(d.join("later/a/b/web.conf"), "later\n")),
    way("written where all was missing", 1, |d| put(d.join("later/a/b/web.conf"), "later still\n")),
    way("its directory is moved away", 1, |d| fs::rename(d.join("later/a"), d.join("moved")).unwrap()),
    way("written where it was moved to", 0, |d| put(d.join("moved/b/web.conf"), "moved\n")),
    way("moved back", 1, |d| fs::rename(d.join("moved"), d.join("later/a")).unwrap()),
    way("away and back", 0, |d| {
        fs::rename(d.join("later"), d.join("moved")).unwrap();
        fs::rename(d.join("moved"), d.join("later")).unwrap();
    }),
    way("another directory in its place", 1, |d| {
        put(d.join("new-b/web.conf"), "another directory\n");
        fs::rename(d.join("later/a/b"), d.join("old-b")).unwrap();
        fs::rename(d.join("new-b"), d.join("later/a/b")).unwrap();
    }),
    way("written in the other directory", 1, |d| put(d.join("later/a/b/web.conf"), "written there\n")),
    way("written in the one before", 0, |d| put(d.join("old-b/web.conf"), "nobody reads this\n")),
    way("the two change places", 1, |d| {
        renameat_with(CWD, d.join("old-b"), CWD, d.join("later/a/b"), RenameFlags::EXCHANGE).unwrap();
    }),
    way("written after that", 1, |d| put(d.join("later/a/b/web.conf"), "exchanged\n")),
    way("all of it removed", 1, |d| fs::remove_dir_all(d.join("later")).unwrap()),
    way("and back", 1, |d| put(d.join("later/a/b/web.conf"), "back\n")),
    way("the link of the path itself flips", 1, |d| run(d, "ln", &["-sfn", "targets/2", "link.conf"])),
    way("its target is written", 1, |d| put(d.join("targets/2"), "two, written\n")),
    way("its former target is written", 0, |d| put(d.join("targets/1"), "one, written\n")),
    way("the link becomes a file", 1, |d| {
        fs::remove_file(d.join("link.conf")).unwrap();
        put(d.join("link.conf"), "a file\n");
    }),
    way("the link of a parent flips", 1, |d| flip(d, "releases/2")),
    way("it flips to the same content", 0, |d| flip(d, "releases/3")),
    way("written where it leads", 1, |d| put(d.join("releases/3/app.conf"), "three\n")),
    way("written where it led", 0, |d| put(d.join("releases/2/app.conf"), "nobody reads this\n")),
    way("it leads nowhere", 1, |d| flip(d, "nowhere")),
    way("it leads to itself", 0, |d| flip(d, "current")),
    way("and somewhere again", 1, |d| flip(d, "releases/3")),
    way("mounted anew as Kubernetes does it", 1, |d| mount(d, "..2026_2", "mounted\n")),
    way("mounted anew with the same content", 0, |d| mount(d, "..2026_3", "mounted\n")),
    way("and once more", 1, |d| mount(d, "..2026_4", "mounted once more\n")),
];

/// A service under watch, of whichever supervisor.
struct Bench {
    watcher: Watcher,
    dir: PathBuf,
    told: PathBuf,
    passed: Receiver<()>,
}

impl Bench {
    /// `define` tells the supervisor of the service whose text it is given.
    fn new(dir: PathBuf, supervisor: Arc<dyn Supervisor>, define: impl FnOnce(&str)) -> Self {
        fs::create_dir(&dir).unwrap();
        furnish(&dir);
        let told = dir.with_extension("told");
        let files: Vec<_> = WATCHED.iter().map(|path| dir.join(path).display().to_string()).collect();
        let line = "read -r line < \"$f\" && all=\"$all $line\"";
        define(&format!(
            "for f in {}; do {line}; done\necho \"$all\" > {}\nexec sleep 100000\n",
            files.join(" "),
            told.display()
        ));
        supervisor.start("web").unwrap();
        let (pass, passed) = channel();
        let listener = move |event: &Event| match event {
            Event::Restarted { service, .. } if service == "barrier" => _ = pass.send(()),
            Event::Restarted { .. } => {}
            other => panic!("{other:?}"),
        };
        // Each way begins when the service has read what the one before it left.
        let options = Options { reading: Duration::ZERO, ..Options::default() };
        let watcher = Watcher::start_with(supervisor, Arc::new(listener), options).unwrap();
        let paths = WATCHED.iter().map(|path| dir.join(path)).collect();
        let barrier = Rule {
            action: Action::Run(vec!["/bin/true".into()]),
            ..rule("barrier", vec![dir.with_extension("barrier")])
        };
        watcher.set_rules(vec![rule("web", paths), barrier]).unwrap();
        Self { watcher, dir, told, passed }
    }

    /// What the service would tell now.
    fn content(&self) -> String {
        let conf_d = fs::read_dir(self.dir.join("etc/conf.d")).unwrap().flatten().map(|entry| entry.path());
        let mut matches: Vec<_> = conf_d.filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
        matches.sort();
        let files = WATCHED
            .iter()
            .flat_map(|path| if path.contains('*') { matches.clone() } else { vec![self.dir.join(path)] });
        files.filter_map(|file| Some(format!(" {}", fs::read_to_string(file).ok()?.trim_end()))).collect()
    }

    /// Go a way as one change, however slow the machine is, and see what follows.
    fn go(&self, way: &Way) {
        let before = self.restarts();
        let pause = self.watcher.pause();
        (way.go)(&self.dir);
        drop(pause);
        self.settle(way.name);
        assert_eq!(self.restarts() - before, way.restarts, "{}", way.name);
        let content = self.content();
        until(&format!("{}: {content:?} is what runs", way.name), || {
            fs::read_to_string(&self.told).is_ok_and(|told| told.trim_end() == content)
        });
    }

    fn settle(&self, word: &str) {
        write_whole(&self.dir.with_extension("barrier"), word);
        self.passed.recv_timeout(LONG).expect("the barrier");
        until("quiet", || self.watcher.status().rules.iter().all(|rule| rule.state == "quiet"));
    }

    fn restarts(&self) -> u64 {
        self.watcher.status().rules.iter().find(|rule| rule.rule == "web").unwrap().actions
    }

    fn go_every_way(&self) {
        WAYS.iter().for_each(|way| self.go(way));
        self.overflow();
    }

    /// The kernel's own queue overflows, and the change behind what it could hold is found.
    fn overflow(&self) {
        let (before, overflows) = (self.restarts(), self.watcher.status().overflows);
        let pause = self.watcher.pause();
        overflow(
            &self.dir.join("etc"),
            || self.watcher.status().overflows,
            || {
                put(self.dir.join("etc/web.conf"), "behind the overflow\n");
                fs::rename(self.dir.join("later"), self.dir.join("moved")).unwrap();
                put(self.dir.join("later/a/b/web.conf"), "where all was replaced\n");
            },
        );
        drop(pause);
        self.settle("overflow");
        assert!(self.watcher.status().overflows > overflows);
        assert_eq!(self.restarts(), before + 1);
        self.go(&way("written after the overflow", 1, |d| put(d.join("etc/web.conf"), "after\n")));
        self.go(&way("and where all was replaced", 1, |d| put(d.join("later/a/b/web.conf"), "after\n")));
        self.go(&way("but not where it was moved to", 0, |d| put(d.join("moved/a/b/web.conf"), "after\n")));
    }
}

fn rule(name: &str, paths: Vec<PathBuf>) -> Rule {
    Rule { name: name.into(), service: name.into(), paths, debounce: DEBOUNCE, ..Rule::default() }
}

#[test]
fn every_way_of_change_with_the_built_in_supervisor() {
    let house = House::new();
    let define = |text: &str| _ = house.shell("web", text, "");
    Bench::new(house.path("watched"), house.supervisor.clone(), define).go_every_way();
}

#[test]
fn every_way_of_change_with_supervisord() {
    let daemon = Daemon::new();
    let define = |text: &str| daemon.program("web", text, "");
    Bench::new(daemon.path("watched"), Arc::new(daemon.supervisor.clone()), define).go_every_way();
}
