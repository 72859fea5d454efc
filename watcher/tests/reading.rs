//! What a service may have read: content that was there only while it started, and content that it was never started
//! with. It ends up running with what is there last.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use common::{House, lines, until, write_whole};
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Action, Event, Rule, Supervisor, Watcher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A service that reads `web.conf` only when it is let go on, and tells what it has read, one line a start.
struct Slow {
    // First to go: what it has begun may need the service still.
    watcher: Watcher,
    events: Arc<Mutex<Vec<Event>>>,
    house: House,
}

impl Slow {
    fn new(more: &str, options: Options) -> Self {
        let house = House::new();
        let at = |name: &str| house.path(name).display().to_string();
        let script = format!(
            "echo >> {}\nwhile [ ! -e {} ]; do sleep 0.01; done\ncat {} >> {}\nexec sleep 100000\n",
            at("up"),
            at("go"),
            at("web.conf"),
            at("told")
        );
        write_whole(&house.path("web.conf"), "1\n");
        write_whole(&house.path("go"), "");
        house.shell("web", &script, &more.replace("@", &at("")));
        house.supervisor.start("web").unwrap();
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let heard = events.clone();
        let listener = move |event: &Event| heard.lock().unwrap().push(event.clone());
        let watcher = Watcher::start_with(house.supervisor.clone(), Arc::new(listener), options).unwrap();
        let rule = Rule {
            name: "web".into(),
            service: "web".into(),
            paths: vec![house.path("web.conf")],
            debounce: Duration::from_millis(20),
            ..Rule::default()
        };
        let slow = Self { watcher, events, house };
        until("the first was read", || slow.told() == ["1"]);
        slow.watcher.set_rules(vec![rule]).unwrap();
        slow
    }

    fn path(&self, name: &str) -> PathBuf {
        self.house.path(name)
    }

    fn write(&self, content: &str) {
        write_whole(&self.path("web.conf"), &format!("{content}\n"));
    }

    fn told(&self) -> Vec<String> {
        lines(&self.path("told"))
    }

    fn restarted(&self) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| matches!(event, Event::Restarted { .. })).count()
    }
}

#[test]
fn what_was_there_only_while_the_service_started_is_not_what_it_runs_with() {
    let slow = Slow::new("", Options::default());
    std::fs::remove_file(slow.path("go")).unwrap();
    slow.write("2");
    until("it was restarted", || slow.restarted() == 1 && lines(&slow.path("up")).len() == 2);
    {
        let _held = slow.watcher.pause();
        slow.write("3");
        write_whole(&slow.path("go"), "");
        until("it read what is there for a moment", || slow.told() == ["1", "3"]);
        slow.write("2");
    }
    until("it runs with what is there", || slow.told().last().is_some_and(|line| line == "2"));
    until("quiet", || slow.watcher.status().rules[0].state == "quiet");
    assert_eq!(slow.restarted(), 2);
}

#[test]
fn a_restart_through_the_watcher_is_no_different() {
    let slow = Slow::new("", Options::default());
    std::fs::remove_file(slow.path("go")).unwrap();
    {
        let _held = slow.watcher.pause();
        slow.write("2");
        slow.watcher.supervisor().restart("web").unwrap();
        slow.write("3");
        write_whole(&slow.path("go"), "");
        until("it read what is there for a moment", || slow.told() == ["1", "3"]);
        slow.write("2");
    }
    until("it runs with what is there", || slow.told().last().is_some_and(|line| line == "2"));
}

#[test]
fn content_that_is_put_back_after_a_failed_restart_is_tried() {
    let slow = Slow::new("ExecStartPre=/bin/grep -qv bad @web.conf\nRestart=no\n", Options::default());
    slow.write("bad");
    until("it failed", || matches!(slow.events.lock().unwrap().last(), Some(Event::ActionFailed { .. })));
    slow.write("1");
    until("it runs with what was put back", || slow.told() == ["1", "1"]);
}

#[test]
fn a_look_at_everything_takes_no_change_for_a_new_one() {
    let options = Options {
        rescan: Duration::from_millis(200),
        reading: Duration::from_secs(60),
        ..Options::default()
    };
    let slow = Slow::new("", options);
    for restarts in 1..=4 {
        slow.write(&format!("content {restarts}"));
        until("it was restarted", || slow.restarted() == restarts);
        let looks = slow.watcher.status().looks;
        until("more looks", || {
            let status = slow.watcher.status();
            status.looks > looks + 2 && status.rules[0].state == "quiet"
        });
        assert_eq!(slow.restarted(), restarts);
    }
}

/// The kernel tells of the end of a directory when the last one that has it open lets go of it: its content went before.
#[test]
fn a_directory_that_somebody_has_open_goes_once() {
    let slow = Slow::new("", Options { reading: Duration::from_secs(60), ..Options::default() });
    let (folder, barrier) = (slow.path("conf.d"), slow.path("barrier"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.conf"), "").unwrap();
    let rule = |name: &str, path: PathBuf, action: Action| {
        let debounce = Duration::from_millis(20);
        Rule {
            name: name.into(),
            service: name.into(),
            paths: vec![path],
            action,
            debounce,
            ..Rule::default()
        }
    };
    let run = Action::Run(vec!["/bin/true".into()]);
    let rules =
        vec![rule("web", folder.join("*.conf"), Action::Restart), rule("barrier", barrier.clone(), run)];
    slow.watcher.set_rules(rules).unwrap();
    let restarts = |of: &str| {
        let is = |event: &Event| matches!(event, Event::Restarted { service, .. } if service == of);
        slow.events.lock().unwrap().iter().filter(|event| is(event)).count()
    };
    let open = std::fs::File::open(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    until("it is restarted", || restarts("web") == 1);
    drop(open);
    std::fs::write(barrier, "").unwrap();
    until("all before that was seen", || restarts("barrier") == 1);
    until("all was dealt with", || slow.watcher.status().rules.iter().all(|rule| rule.state == "quiet"));
    assert_eq!(restarts("web"), 1);
}
