//! A directory under watch and a supervisor that only notes what it is asked: what the watcher decides, and when.
#![allow(dead_code, unreachable_pub, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use super::common::{until, write_whole};
use mayfly_watcher::supervisor::builtin::Ends;
use mayfly_watcher::supervisor::{Error, Status, Supervisor};
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Event, Rule, Watcher};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Notes what it is told, and what the first watched file held then.
#[derive(Default)]
pub struct Notes {
    pub told: Mutex<Vec<String>>,
    pub broken: Mutex<bool>,
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

    pub fn count(&self, what: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|t| *t == what).count()
    }
}

impl Supervisor for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }
    fn status(&self, _: &str) -> Result<Status, Error> {
        Ok(Status::Running(None))
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
    fn masked(&self, _: &str, _: bool) -> Result<bool, Error> {
        Ok(true)
    }
    fn set_masked(&self, service: &str, _: bool, masked: bool) -> Result<(), Error> {
        self.tell(if masked { "mask" } else { "unmask" }, service)
    }
    fn ends(&self, service: &str) -> Option<Ends> {
        Some(Ends { last: Some(format!("{service} exited")), ..Ends::default() })
    }
    fn offline(&self) -> bool {
        true
    }
    fn shutdown(&self) -> Result<(), Error> {
        self.tell("shutdown", "all")
    }
}

/// A directory under watch. `barrier` is a file of another service: when its restart has come, everything that happened
/// before it was written has been seen and decided on.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub notes: Arc<Notes>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub watcher: Watcher,
    pub rules: Vec<Rule>,
    barriers: Mutex<usize>,
}

const DEBOUNCE: Duration = Duration::from_millis(30);

pub fn rule(name: &str, service: &str, paths: &[PathBuf]) -> Rule {
    Rule {
        name: name.into(),
        paths: paths.to_vec(),
        service: service.into(),
        debounce: DEBOUNCE,
        ..Rule::default()
    }
}

impl Bench {
    pub fn new(mut options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (notes, events) = (Arc::new(Notes::default()), Arc::new(Mutex::new(vec![])));
        let heard = events.clone();
        let listener = move |event: &Event| heard.lock().unwrap().push(event.clone());
        // The notes have read all there is when they are told.
        options.reading = Duration::ZERO;
        let watcher = Watcher::start_with(notes.clone(), Arc::new(listener), options).unwrap();
        let rules = vec![rule("barrier", "barrier", &[dir.path().join("barrier")])];
        Self { dir, notes, events, watcher, rules, barriers: Mutex::new(0) }
    }

    /// One rule for service `web` on these paths below the directory.
    pub fn on(paths: &[&str]) -> Self {
        let mut bench = Self::new(Options::default());
        let paths: Vec<_> = paths.iter().map(|p| bench.path(p)).collect();
        bench.rules.push(rule("web", "web", &paths));
        bench
    }

    pub fn watch(&self) -> &Self {
        self.watcher.set_rules(self.rules.clone()).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Wait until all that happened has been dealt with.
    #[track_caller]
    pub fn settle(&self) {
        let mut count = self.barriers.lock().unwrap();
        *count += 1;
        write_whole(&self.path("barrier"), &count.to_string());
        until("the barrier", || self.notes.count("restart barrier") == *count);
        until("quiet", || {
            self.watcher.status().rules.iter().all(|r| r.state == "quiet" || r.state == "refused")
        });
    }

    pub fn restarts(&self) -> usize {
        self.notes.count("restart web")
    }

    /// Do it as one change, however slow the machine is, and see exactly this many restarts follow.
    #[track_caller]
    pub fn expect(&self, restarts: usize, what: &str, change: impl FnOnce(&Path)) {
        let before = self.restarts();
        {
            let _pause = self.watcher.pause();
            change(self.dir.path());
        }
        self.settle();
        assert_eq!(self.restarts() - before, restarts, "{what}");
    }

    pub fn last_event(&self) -> Event {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .rev()
            .find(|e| !matches!(e, Event::Restarted { service, .. } if service == "barrier"))
            .unwrap()
            .clone()
    }
}
