//! What the built-in supervisor tells without being asked: ends that nobody wanted, and notes on units.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, until};
use mayfly_watcher::Listener;
use mayfly_watcher::supervisor::Supervisor;
use mayfly_watcher::supervisor::builtin::{Builtin, Ended, Event, Next, Options};
use std::sync::{Arc, Mutex};

/// Keeps what it hears, and lets nobody read `topsecret`.
#[derive(Default)]
struct Ear(Mutex<Vec<Event>>);

impl Listener<Event> for Ear {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }

    fn hide(&self, text: &str) -> String {
        text.replace("topsecret", "<hidden>")
    }
}

impl Ear {
    fn ended(&self) -> Vec<Ended> {
        let events = self.0.lock().unwrap();
        events.iter().filter_map(|e| if let Event::Ended(e) = e { Some(e.clone()) } else { None }).collect()
    }

    fn again(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|e| matches!(e, Event::StartedAgain { .. })).count()
    }

    fn notes(&self) -> Vec<Vec<String>> {
        let events = self.0.lock().unwrap();
        let notes = events.iter().filter_map(|e| match e {
            Event::Noted { notes, .. } => Some(notes.clone()),
            _ => None,
        });
        notes.collect()
    }
}

/// A house whose supervisor is heard.
fn heard() -> (House, Arc<Ear>) {
    let (mut house, ear) = (House::new(), Arc::new(Ear::default()));
    let options = Options::at(house.dir.path()).heard_by(ear.clone());
    house.supervisor = Arc::new(Builtin::new(options));
    (house, ear)
}

#[test]
fn a_crash_is_told_with_its_last_line_and_what_follows() {
    let (house, ear) = heard();
    let script = "echo one; echo 'no port \u{1b}[31mtopsecret' >&2; exit 3";
    house.shell("web", script, "Restart=on-failure\nRestartSec=5ms\n");
    house.supervisor.start("web").unwrap();
    until("three ends", || ear.ended().len() >= 3);
    let ended = ear.ended();
    assert_eq!((ended[0].how.as_str(), ended[0].times), ("exited with status 3", 1));
    assert_eq!(ended[0].next, Next::Again(std::time::Duration::from_millis(5)));
    assert_eq!(ended[0].said.as_deref(), Some("no port  [31m<hidden>"));
    assert_eq!(ended[0].log.as_deref(), Some(house.path("var/log/mayfly/web.log").as_path()));
    assert_eq!((ended[1].times, ended[2].times), (2, 3));
    assert!(ear.again() >= 2);
    let ends = house.supervisor.ends("web").unwrap();
    assert!(ends.failures >= 2 && ends.last.as_deref() == Some("exited with status 3"), "{ends:?}");
    house.supervisor.stop("web").unwrap();
    let ends = house.supervisor.ends("web").unwrap();
    assert_eq!((ends.down, ends.next_try, ends.failures), (None, None, 0), "it was stopped on purpose");
}

#[test]
fn a_service_that_is_not_started_again_says_so() {
    let (house, ear) = heard();
    house.shell("web", "exit 4", "");
    house.supervisor.start("web").unwrap();
    until("its end", || ear.ended().len() == 1);
    assert_eq!((ear.ended()[0].next, ear.ended()[0].said.clone()), (Next::Never(""), None));
    let ends = house.supervisor.ends("web").unwrap();
    assert_eq!((ends.down, ends.next_try), (ear.ended().pop(), None));
    house.shell("web", "exit 0", "Restart=on-failure\n");
    house.supervisor.start("web").unwrap();
    until("its other end", || ear.ended().len() == 2);
    assert_eq!(ear.ended()[1].next, Next::Never("on-failure"));
}

#[test]
fn the_last_line_is_that_of_the_run_that_ended() {
    let (house, ear) = heard();
    let first = house.path("first");
    let script = format!("[ -e {0} ] && exit 3; touch {0}; echo words of the first; exit 3", first.display());
    house.shell("web", &script, "Restart=always\nRestartSec=5ms\n");
    house.supervisor.start("web").unwrap();
    until("two ends", || ear.ended().len() >= 2);
    let said: Vec<_> = ear.ended().into_iter().take(2).map(|ended| ended.said).collect();
    assert_eq!(said, [Some("words of the first".to_owned()), None]);
}

#[test]
fn a_log_that_is_not_ours_is_named_and_not_read() {
    let (house, ear) = heard();
    let log = house.path("own.log");
    house.shell("web", "echo secret >&2; exit 3", "StandardError=append:/own.log\n");
    house.supervisor.start("web").unwrap();
    until("its end", || ear.ended().len() == 1);
    assert_eq!((ear.ended()[0].log.as_ref(), ear.ended()[0].said.as_ref()), (Some(&log), None));
}

#[test]
fn a_start_that_fails_after_a_crash_is_told_as_well() {
    let (house, ear) = heard();
    house.shell("web", "exec sleep 1000", "Restart=always\nRestartSec=5ms\n");
    house.supervisor.start("web").unwrap();
    house.shell("web", "exec sleep 1000", "Restart=sometimes\n");
    house.supervisor.signal("web", "KILL").unwrap();
    until("the failed start", || ear.ended().len() >= 2);
    let ended = &ear.ended()[1];
    assert!(ended.how.starts_with("could not be started: ") && ended.how.contains("sometimes"), "{ended:?}");
    assert!(matches!(ended.next, Next::Again(_)));
}

#[test]
fn each_failed_start_is_told_once_also_without_a_pause() {
    let (house, ear) = heard();
    let (up, pre) = (house.path("up"), house.path("pre.sh"));
    std::fs::write(&pre, format!("[ -e {0} ] && exit 1; touch {0}", up.display())).unwrap();
    let unit = format!("ExecStartPre=/bin/sh {}\nRestart=always\nRestartSec=0\n", pre.display());
    house.shell("web", "exec sleep 1000", &unit);
    house.supervisor.start("web").unwrap();
    house.supervisor.signal("web", "KILL").unwrap();
    until("failed starts", || ear.ended().len() >= 4);
    let times: Vec<_> = ear.ended().iter().take(4).map(|ended| ended.times).collect();
    assert_eq!(times, [1, 2, 3, 4]);
    let Next::Again(pause) = ear.ended()[1].next else { panic!("{:?}", ear.ended()) };
    assert!(!pause.is_zero(), "a row of failures without a pause has a processor");
}

#[test]
fn a_restart_that_is_asked_for_is_no_end() {
    let (house, ear) = heard();
    house.shell("web", "exec sleep 1000", "Restart=always\nRestartSec=5ms\n");
    house.supervisor.start("web").unwrap();
    house.supervisor.restart("web").unwrap();
    house.supervisor.stop("web").unwrap();
    assert_eq!(*ear.0.lock().unwrap(), []);
}

#[test]
fn notes_are_told_once_for_each_change_of_them() {
    let (house, ear) = heard();
    house.unit("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nBacklgo=3\n");
    house.shell("web", "exec sleep 1000", "Restrat=always\n");
    house.supervisor.start("web").unwrap();
    house.supervisor.restart("web").unwrap();
    let notes = ear.notes();
    assert_eq!((notes.len(), notes[0].len()), (1, 2), "{notes:?}");
    assert!(notes[0][0].contains("web.service:3: Restrat="), "{notes:?}");
    assert!(notes[0][0].ends_with("did you mean `Restart`?"), "{notes:?}");
    assert!(notes[0][1].ends_with("did you mean `Backlog`?"), "{notes:?}");
    house.shell("web", "exec sleep 1000", "Restart=always\n");
    house.supervisor.restart("web").unwrap();
    assert_eq!((ear.notes().len(), ear.notes()[1].len()), (2, 1));
}

#[test]
fn a_key_of_our_own_that_nobody_knows_keeps_the_service_from_starting() {
    let (house, _ear) = heard();
    house.shell("web", "exec sleep 1000", "X-Mayfly-ReadyProt=80\n");
    let error = house.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("web.service:3:1: unknown key `X-Mayfly-ReadyProt`"), "{error}");
    assert!(error.ends_with("did you mean `X-Mayfly-ReadyPort`?"), "{error}");
}
