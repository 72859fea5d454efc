//! Watching with real files: every way of saving, and what must and must not follow.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::{Bench, rule};
use common::until;
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Action, Cause, Event};
use rustix::fs::inotify;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

#[test]
fn every_way_of_saving_gives_one_restart() {
    let bench = Bench::on(&["etc/web.conf"]);
    bench.write("etc/web.conf", "0");
    bench.watch();
    bench.expect(1, "written in place", |d| fs::write(d.join("etc/web.conf"), "1").unwrap());
    bench.expect(1, "renamed over", |d| {
        fs::write(d.join("etc/.web.conf.swp"), "2").unwrap();
        fs::rename(d.join("etc/.web.conf.swp"), d.join("etc/web.conf")).unwrap();
    });
    bench.expect(1, "backup and rename", |d| {
        fs::rename(d.join("etc/web.conf"), d.join("etc/web.conf~")).unwrap();
        fs::write(d.join("etc/web.conf"), "3").unwrap();
        fs::remove_file(d.join("etc/web.conf~")).unwrap();
    });
    bench.expect(1, "deleted and created", |d| {
        fs::remove_file(d.join("etc/web.conf")).unwrap();
        fs::write(d.join("etc/web.conf"), "4").unwrap();
    });
    bench.expect(1, "in pieces", |d| {
        use std::io::Write;
        let mut file = fs::File::create(d.join("etc/web.conf")).unwrap();
        (0..100).for_each(|n| writeln!(file, "{n}").unwrap());
    });
    bench.expect(1, "a burst of thousands", |d| {
        (0..3000).for_each(|n| fs::write(d.join("etc/web.conf"), n.to_string()).unwrap());
    });
    assert_eq!(fs::read_to_string(bench.path("etc/web.conf")).unwrap(), "2999");
    bench.expect(1, "removed", |d| fs::remove_file(d.join("etc/web.conf")).unwrap());
    assert!(matches!(bench.last_event(), Event::Restarted { cause: Cause::Removed, .. }));
    bench.expect(1, "created", |d| fs::write(d.join("etc/web.conf"), "again").unwrap());
    let expected = Event::Restarted {
        service: "web".into(),
        rule: "web".into(),
        path: bench.path("etc/web.conf"),
        cause: Cause::Created,
        action: Action::Restart,
    };
    assert_eq!(bench.last_event(), expected);
}

#[test]
fn what_changes_no_content_gives_no_restart() {
    let bench = Bench::on(&["etc/web.conf"]);
    bench.write("etc/web.conf", "0");
    bench.watch();
    bench.expect(0, "the same bytes", |d| fs::write(d.join("etc/web.conf"), "0").unwrap());
    bench.expect(0, "another mode", |d| {
        fs::set_permissions(d.join("etc/web.conf"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    });
    bench.expect(0, "another time", |d| {
        fs::File::open(d.join("etc/web.conf"))
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
    });
    bench.expect(0, "a neighbour", |d| fs::write(d.join("etc/other.conf"), "x").unwrap());
    bench.expect(0, "there and back", |d| {
        fs::write(d.join("etc/web.conf"), "1").unwrap();
        fs::write(d.join("etc/web.conf"), "0").unwrap();
    });
    bench.expect(0, "read", |d| _ = fs::read(d.join("etc/web.conf")).unwrap());
}

#[test]
fn directories_that_appear_later_and_move_are_followed() {
    let bench = Bench::on(&["a/b/c/web.conf"]);
    bench.watch();
    bench.expect(0, "a parent appears", |d| fs::create_dir_all(d.join("a/b")).unwrap());
    bench.expect(1, "the file appears", |d| {
        fs::create_dir_all(d.join("a/b/c")).unwrap();
        fs::write(d.join("a/b/c/web.conf"), "1").unwrap();
    });
    bench.expect(1, "changed in there", |d| fs::write(d.join("a/b/c/web.conf"), "2").unwrap());
    bench.expect(1, "a parent is replaced", |d| {
        fs::create_dir_all(d.join("new/c")).unwrap();
        fs::write(d.join("new/c/web.conf"), "3").unwrap();
        fs::rename(d.join("a/b"), d.join("old")).unwrap();
        fs::rename(d.join("new"), d.join("a/b")).unwrap();
    });
    bench.expect(0, "the old place is not watched any more", |d| {
        fs::write(d.join("old/c/web.conf"), "x").unwrap()
    });
    let watches = bench.watcher.status().watches;
    bench.expect(1, "a parent is moved away", |d| fs::rename(d.join("a"), d.join("away")).unwrap());
    assert_eq!(bench.watcher.status().watches, watches - 3, "nobody listens to what was moved away");
    bench.expect(1, "and back", |d| fs::rename(d.join("away"), d.join("a")).unwrap());
    assert_eq!(bench.watcher.status().watches, watches);
    bench.expect(1, "the new place is", |d| fs::write(d.join("a/b/c/web.conf"), "4").unwrap());
    bench.expect(1, "all gone", |d| fs::remove_dir_all(d.join("a")).unwrap());
    bench.expect(1, "and back", |d| {
        fs::create_dir_all(d.join("a/b/c")).unwrap();
        fs::write(d.join("a/b/c/web.conf"), "5").unwrap();
    });
    bench.expect(1, "and changed", |d| fs::write(d.join("a/b/c/web.conf"), "6").unwrap());
}

#[test]
fn directories_that_swap_places_are_both_followed() {
    let bench = Bench::on(&["a/web.conf"]);
    bench.write("a/web.conf", "a0");
    bench.write("b/web.conf", "b0");
    bench.watch();
    for round in 1..6 {
        bench.expect(1, "swapped", |d| {
            fs::rename(d.join("a"), d.join("t")).unwrap();
            fs::rename(d.join("b"), d.join("a")).unwrap();
            fs::rename(d.join("t"), d.join("b")).unwrap();
        });
        bench.expect(1, "written after", |d| fs::write(d.join("a/web.conf"), format!("w{round}")).unwrap());
        bench.expect(0, "the other", |d| fs::write(d.join("b/web.conf"), format!("x{round}")).unwrap());
    }
}

#[test]
fn symlinks_of_the_path_and_of_parents_are_followed() {
    let bench = Bench::on(&["current/conf/web.conf"]);
    for release in ["r1", "r2", "r3"] {
        bench.write(&format!("releases/{release}/conf/web.conf"), release);
    }
    let flip = |d: &Path, to: &str| {
        symlink(to, d.join("current.new")).unwrap();
        fs::rename(d.join("current.new"), d.join("current")).unwrap();
    };
    symlink("releases/r1", bench.path("current")).unwrap();
    bench.watch();
    bench.expect(1, "a parent flips", |d| flip(d, "releases/r2"));
    bench.expect(1, "the target is edited", |d| {
        fs::write(d.join("releases/r2/conf/web.conf"), "edited").unwrap()
    });
    bench.expect(0, "the former target is edited", |d| {
        fs::write(d.join("releases/r1/conf/web.conf"), "x").unwrap()
    });
    bench.expect(1, "flip to an absolute target", |d| flip(d, &d.join("releases/r3").display().to_string()));
    bench.expect(1, "the file itself becomes a link", |d| {
        fs::write(d.join("elsewhere"), "elsewhere").unwrap();
        fs::remove_file(d.join("releases/r3/conf/web.conf")).unwrap();
        symlink("../../../elsewhere", d.join("releases/r3/conf/web.conf")).unwrap();
    });
    bench.expect(1, "its target is edited", |d| fs::write(d.join("elsewhere"), "more").unwrap());
    bench.expect(0, "flip to the same content", |d| {
        fs::create_dir_all(d.join("releases/r4/conf")).unwrap();
        fs::write(d.join("releases/r4/conf/web.conf"), "more").unwrap();
        flip(d, "releases/r4");
    });
    bench.expect(1, "a link that leads nowhere", |d| flip(d, "nowhere"));
    bench.expect(0, "a link to itself", |d| flip(d, "current"));
    bench.expect(1, "and back", |d| flip(d, "releases/r4"));
}

#[test]
fn globs_and_directories_cover_what_matches() {
    let bench = Bench::on(&["conf.d/*.conf", "sites/**/*.site", "tree"]);
    bench.watch();
    bench.expect(1, "the directory and a match appear", |d| {
        fs::create_dir(d.join("conf.d")).unwrap();
        fs::write(d.join("conf.d/a.conf"), "1").unwrap();
    });
    bench.expect(0, "no match", |d| fs::write(d.join("conf.d/a.conf.swp"), "1").unwrap());
    bench.expect(1, "a second match", |d| fs::write(d.join("conf.d/b.conf"), "1").unwrap());
    bench.expect(1, "one is removed", |d| fs::remove_file(d.join("conf.d/a.conf")).unwrap());
    bench.expect(1, "deep", |d| {
        fs::create_dir_all(d.join("sites/x/y")).unwrap();
        fs::write(d.join("sites/x/y/z.site"), "1").unwrap();
    });
    bench.expect(1, "deeper, later", |d| {
        fs::create_dir_all(d.join("sites/x/y/1/2/3")).unwrap();
        fs::write(d.join("sites/x/y/1/2/3/q.site"), "1").unwrap();
    });
    bench.expect(1, "changed there", |d| fs::write(d.join("sites/x/y/1/2/3/q.site"), "2").unwrap());
    bench.expect(1, "a directory is moved away", |d| fs::rename(d.join("sites/x/y"), d.join("y")).unwrap());
    bench.expect(0, "and written", |d| fs::write(d.join("y/z.site"), "9").unwrap());
    bench.expect(1, "a linked match", |d| {
        fs::create_dir(d.join("available")).unwrap();
        fs::write(d.join("available/l"), "1").unwrap();
        symlink("../available/l", d.join("conf.d/l.conf")).unwrap();
    });
    bench.expect(1, "the target of a linked match", |d| fs::write(d.join("available/l"), "2").unwrap());
    bench.expect(1, "all below a directory", |d| {
        fs::create_dir_all(d.join("tree/p/q")).unwrap();
        fs::write(d.join("tree/p/q/r"), "1").unwrap();
    });
    bench.expect(1, "changed below", |d| fs::write(d.join("tree/p/q/r"), "2").unwrap());
}

#[test]
fn without_watches_left_the_rest_is_polled_and_said_so() {
    let options = Options { max_watches: Some(1), poll: Duration::from_millis(10), ..Options::default() };
    let mut bench = Bench::new(options);
    bench.rules.push(rule("web", "web", &[bench.path("a/b/web.conf")]));
    bench.write("a/b/web.conf", "0");
    bench.watch();
    let Event::Degraded { reason } = bench.last_event() else { panic!("{:?}", bench.last_event()) };
    assert!(reason.contains("fs.inotify.max_user_watches"), "{reason}");
    bench.expect(1, "polled", |d| fs::write(d.join("a/b/web.conf"), "1").unwrap());
    let status = bench.watcher.status();
    assert!(status.degraded.is_some() && status.rules.iter().all(|r| r.polled) && status.watches == 1);
}

#[test]
fn a_look_at_everything_reads_no_file_that_is_as_it_was() {
    let options = Options { rescan: Duration::from_millis(10), ..Options::default() };
    let mut bench = Bench::new(options);
    bench.rules.push(rule("web", "web", &[bench.path("conf.d/*.conf")]));
    (0..100).for_each(|n| bench.write(&format!("conf.d/{n}.conf"), "x"));
    bench.watch();
    let looks = || bench.watcher.status().looks;
    let quiet = || bench.watcher.status().rules.iter().all(|rule| rule.state == "quiet");
    // There were looks before there were rules.
    let first = looks();
    until("the first looks, of which one reads", || looks() > first + 3 && quiet());
    let opened = Opened::new(&bench.path("conf.d"));
    let before = looks();
    until("more looks", || looks() > before + 10);
    assert_eq!(opened.files(), 0);
    fs::read(bench.path("conf.d/1.conf")).unwrap();
    assert_eq!(opened.files(), 1, "that would have been seen");
}

/// Counts how often files of a directory are opened.
struct Opened(rustix::fd::OwnedFd);

impl Opened {
    fn new(dir: &Path) -> Self {
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&queue, dir, inotify::WatchFlags::OPEN).unwrap();
        Self(queue)
    }

    fn files(&self) -> usize {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let opened = std::iter::from_fn(|| Some(reader.next().ok()?.events()));
        opened.filter(|events| !events.contains(inotify::ReadFlags::ISDIR)).count()
    }
}

#[test]
fn a_stopped_watcher_does_nothing_more() {
    let bench = Bench::on(&["web.conf"]);
    bench.watch();
    bench.watcher.stop();
    bench.write("web.conf", "1");
    assert!(bench.watcher.set_rules(vec![]).is_err());
    bench.watcher.rebaseline("web");
    bench.watcher.supervisor().restart("web").unwrap();
    assert_eq!(bench.restarts(), 1);
}
