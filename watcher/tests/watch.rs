//! Watching with real files: every way of saving, and what must and must not follow.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{until, write_whole};
use mayfly_watcher::supervisor::{Error, Status, Supervisor};
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Action, Cause, Event, OnEdit, Rate, Rule, Watcher};
use rustix::fs::inotify;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Notes what it is told, and what the first watched file held then.
#[derive(Default)]
struct Notes {
    told: Mutex<Vec<String>>,
    broken: Mutex<bool>,
}

impl Notes {
    fn tell(&self, verb: &str, service: &str) -> Result<(), Error> {
        if *self.broken.lock().unwrap() {
            let (service, reason) = (service.to_owned(), "broken".to_owned());
            return Err(Error::Failed { supervisor: "notes", service, verb: "restart", reason });
        }
        self.told.lock().unwrap().push(format!("{verb} {service}"));
        Ok(())
    }

    fn count(&self, what: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|t| *t == what).count()
    }
}

impl Supervisor for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }
    fn status(&self, _: &str) -> Result<Status, Error> {
        Ok(Status::Stopped)
    }
    fn start(&self, service: &str) -> Result<(), Error> {
        self.tell("start", service)
    }
    fn stop(&self, service: &str) -> Result<(), Error> {
        self.tell("stop", service)
    }
    fn restart(&self, service: &str) -> Result<(), Error> {
        self.tell("restart", service)
    }
    fn reload(&self, service: &str) -> Result<(), Error> {
        self.tell("reload", service)
    }
    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        self.tell(&format!("signal {signal}"), service)
    }
    fn enabled(&self, _: &str) -> Result<Option<bool>, Error> {
        Ok(None)
    }
    fn set_enabled(&self, _: &str, _: bool) -> Result<(), Error> {
        Ok(())
    }
}

/// A directory under watch. `barrier` is a file of another service: when its restart has come, everything that happened
/// before it was written has been seen and decided on.
struct Bench {
    dir: tempfile::TempDir,
    notes: Arc<Notes>,
    events: Arc<Mutex<Vec<Event>>>,
    watcher: Watcher,
    rules: Vec<Rule>,
    barriers: Mutex<usize>,
}

const DEBOUNCE: Duration = Duration::from_millis(30);

fn rule(name: &str, service: &str, paths: &[PathBuf]) -> Rule {
    Rule {
        name: name.into(),
        paths: paths.to_vec(),
        service: service.into(),
        debounce: DEBOUNCE,
        ..Rule::default()
    }
}

impl Bench {
    fn new(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (notes, events) = (Arc::new(Notes::default()), Arc::new(Mutex::new(vec![])));
        let heard = events.clone();
        let listener = move |event: &Event| heard.lock().unwrap().push(event.clone());
        let watcher = Watcher::start_with(notes.clone(), Arc::new(listener), options).unwrap();
        let rules = vec![rule("barrier", "barrier", &[dir.path().join("barrier")])];
        Self { dir, notes, events, watcher, rules, barriers: Mutex::new(0) }
    }

    /// One rule for service `web` on these paths below the directory.
    fn on(paths: &[&str]) -> Self {
        let mut bench = Self::new(Options::default());
        let paths: Vec<_> = paths.iter().map(|p| bench.path(p)).collect();
        bench.rules.push(rule("web", "web", &paths));
        bench
    }

    fn watch(&self) -> &Self {
        self.watcher.set_rules(self.rules.clone()).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Wait until all that happened has been dealt with.
    #[track_caller]
    fn settle(&self) {
        let mut count = self.barriers.lock().unwrap();
        *count += 1;
        write_whole(&self.path("barrier"), &count.to_string());
        until("the barrier", || self.notes.count("restart barrier") == *count);
        until("quiet", || {
            self.watcher.status().rules.iter().all(|r| r.state == "quiet" || r.state == "refused")
        });
    }

    fn restarts(&self) -> usize {
        self.notes.count("restart web")
    }

    /// Do it as one change, however slow the machine is, and see exactly this many restarts follow.
    #[track_caller]
    fn expect(&self, restarts: usize, what: &str, change: impl FnOnce(&Path)) {
        let before = self.restarts();
        {
            let _pause = self.watcher.pause();
            change(self.dir.path());
        }
        self.settle();
        assert_eq!(self.restarts() - before, restarts, "{what}");
    }

    fn last_event(&self) -> Event {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .rev()
            .find(|e| !matches!(e, Event::Restarted { service, .. } if service == "barrier"))
            .unwrap()
            .clone()
    }
}

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
fn a_failing_check_keeps_the_service_until_the_file_is_right() {
    let mut bench = Bench::new(Options::default());
    let file = bench.path("web.conf");
    fs::write(&file, "good").unwrap();
    let mut web = rule("web", "web", std::slice::from_ref(&file));
    let script = format!("grep -q good {} || {{ echo no good >&2; exit 1; }}", file.display());
    web.check = Some(["/bin/sh", "-c", &script].map(String::from).into());
    bench.rules.push(web);
    bench.watch();
    bench.expect(0, "bad", |_| fs::write(&file, "bad").unwrap());
    until("told", || matches!(bench.last_event(), Event::CheckFailed { .. }));
    let Event::CheckFailed { reason, path, .. } = bench.last_event() else { panic!() };
    assert!(reason.ends_with("no good") && path == file, "{reason}");
    let status = &bench.watcher.status().rules[1];
    assert!(status.last_failure.as_ref().unwrap().standing && status.check_failures >= 1);
    bench.expect(1, "good again, and other", |_| fs::write(&file, "good 2").unwrap());
    let status = &bench.watcher.status().rules[1];
    assert!(!status.last_failure.as_ref().unwrap().standing);
    assert_eq!((status.actions, status.state), (1, "quiet"));
    bench.expect(0, "bad once more", |_| fs::write(&file, "bad").unwrap());
    until("refused", || bench.watcher.status().rules[1].state == "refused");
    bench.expect(0, "and put back", |_| fs::write(&file, "good 2").unwrap());
    assert!(!bench.watcher.status().rules[1].last_failure.as_ref().unwrap().standing);
}

#[test]
fn an_action_that_fails_is_tried_again_until_it_succeeds() {
    let bench = Bench::on(&["web.conf"]);
    bench.watch();
    *bench.notes.broken.lock().unwrap() = true;
    bench.write("web.conf", "1");
    until("told", || !bench.events.lock().unwrap().is_empty());
    assert!(matches!(bench.last_event(), Event::ActionFailed { reason, .. } if reason.contains("broken")));
    *bench.notes.broken.lock().unwrap() = false;
    until("it was tried again", || bench.restarts() == 1);
}

#[test]
fn other_actions_do_what_they_say() {
    let mut bench = Bench::new(Options::default());
    let done = bench.path("done");
    let run = ["/bin/sh".to_owned(), "-c".into(), format!("echo x >> {}", done.display())];
    for (name, action) in
        [("r", Action::Reload), ("s", Action::Signal("HUP".into())), ("c", Action::Run(run.to_vec()))]
    {
        let mut one = rule(name, name, &[bench.path(name)]);
        one.action = action;
        bench.rules.push(one);
    }
    bench.watch();
    ["r", "s", "c"].iter().for_each(|n| bench.write(n, "1"));
    bench.settle();
    assert_eq!((bench.notes.count("reload r"), bench.notes.count("signal HUP s")), (1, 1));
    assert_eq!(fs::read_to_string(done).unwrap(), "x\n");
}

#[test]
fn rules_are_reconciled_and_wrong_ones_change_nothing() {
    let mut bench = Bench::on(&["web.conf"]);
    bench.write("web.conf", "0");
    bench.watch();
    let pause = bench.watcher.pause();
    bench.write("web.conf", "1");
    bench.rules.push(rule("other", "web2", &[bench.path("other")]));
    bench.watch();
    drop(pause);
    bench.settle();
    assert_eq!(bench.restarts(), 1, "an unchanged rule keeps what it has seen");
    for wrong in
        [rule("x", "x", &[]), rule("web", "x", &[bench.path("x")]), rule("x", "x", &["relative".into()])]
    {
        let rules = [bench.rules.clone(), vec![wrong]].concat();
        assert!(bench.watcher.set_rules(rules).is_err());
    }
    bench.expect(1, "as before", |d| fs::write(d.join("web.conf"), "2").unwrap());
    bench.rules.retain(|r| r.name == "barrier");
    bench.watch();
    bench.expect(0, "the rule is gone", |d| fs::write(d.join("web.conf"), "3").unwrap());
    assert_eq!(bench.watcher.status().rules.len(), 1);
}

#[test]
fn a_converge_that_restarts_by_itself_gives_no_second_restart() {
    let bench = Bench::on(&["web.conf"]);
    bench.write("web.conf", "0");
    bench.watch();
    let supervisor = bench.watcher.supervisor();
    bench.expect(1, "write and restart, held", |d| {
        fs::write(d.join("web.conf"), "1").unwrap();
        supervisor.restart("web").unwrap();
    });
    bench.expect(1, "write and restart by other means, then say so", |d| {
        fs::write(d.join("web.conf"), "2").unwrap();
        bench.notes.restart("web").unwrap();
        bench.watcher.rebaseline("web");
    });
    bench.expect(2, "a write after the restart is not lost", |d| {
        fs::write(d.join("web.conf"), "3").unwrap();
        supervisor.restart("web").unwrap();
        fs::write(d.join("web.conf"), "4").unwrap();
    });
    bench.expect(1, "a reload alone does not serve a rule that restarts", |d| {
        fs::write(d.join("web.conf"), "5").unwrap();
        supervisor.reload("web").unwrap();
    });
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
fn a_rate_holds_what_comes_beyond_it_and_does_it_in_the_end() {
    let mut bench = Bench::on(&["web.conf"]);
    let rate = Rate { actions: 2, window: Duration::from_secs(2) };
    bench.rules[1].rate = Some(rate);
    bench.watch();
    for n in 0..2 {
        bench.expect(1, "within the rate", |d| fs::write(d.join("web.conf"), n.to_string()).unwrap());
    }
    for n in 2..5 {
        bench.write("web.conf", &n.to_string());
        until("it is held", || bench.watcher.status().rules[1].state == "held");
    }
    assert_eq!(bench.restarts(), 2);
    let held = bench.watcher.status().rules[1].clone();
    let room = held.held_until.unwrap() - held.last_action.unwrap();
    assert!(room > 0.0 && room <= rate.window.as_secs_f64(), "{room}");
    until("it is done", || bench.restarts() == 3);
    bench.settle();
    assert_eq!((bench.restarts(), bench.watcher.status().rules[1].held_until), (3, None));
    let held = |event: &&Event| matches!(event, Event::Held { service, wait, .. } if service == "web" && *wait <= rate.window);
    assert_eq!(bench.events.lock().unwrap().iter().filter(held).count(), 1, "told once");
}

#[test]
fn edits_of_kept_paths_are_told_and_what_their_keeper_writes_is_acted_on() {
    for (on_edit, revert) in [(OnEdit::Revert, true), (OnEdit::Report, false)] {
        let mut bench = Bench::on(&["conf.d/*.conf"]);
        (bench.rules[1].on_edit, bench.rules[1].kept) = (on_edit, vec![bench.path("conf.d/kept.conf")]);
        bench.write("conf.d/kept.conf", "0");
        bench.watch();
        let kept = bench.path("conf.d/kept.conf");
        bench.write("conf.d/kept.conf", "by hand");
        let edited = || bench.watcher.status().rules[1].edited.clone();
        until("the edit is seen", || edited() == [kept.clone()]);
        let told =
            Event::Edited { service: "web".into(), rule: "web".into(), paths: vec![kept.clone()], revert };
        until("the edit is told", || bench.events.lock().unwrap().contains(&told));
        bench.write("conf.d/kept.conf", "0");
        until("it is put back", || edited().is_empty());
        bench.expect(1, "what nobody keeps", |d| fs::write(d.join("conf.d/other.conf"), "1").unwrap());
        bench.expect(1, "what the keeper writes", |d| {
            fs::write(d.join("conf.d/kept.conf"), "1").unwrap();
            bench.watcher.approve(vec![kept.clone()]);
        });
        assert!(edited().is_empty());
    }
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
    until("the first looks, of which one reads", || looks() > 3 && quiet());
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
fn an_overflowed_queue_loses_nothing() {
    let bench = Bench::on(&["conf.d/*.conf", "last.conf"]);
    fs::create_dir(bench.path("conf.d")).unwrap();
    bench.watch();
    let capacity: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    bench.expect(1, "more events than the queue holds, then a change", |d| {
        let (a, b) = (d.join("conf.d/x"), d.join("conf.d/y"));
        fs::write(&a, "").unwrap();
        for _ in 0..capacity {
            fs::rename(&a, &b).unwrap();
            fs::rename(&b, &a).unwrap();
        }
        fs::write(d.join("last.conf"), "1").unwrap();
    });
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
