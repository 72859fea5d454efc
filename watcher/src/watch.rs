//! Watching: rules in, restarts and events out.
//!
//! The kernel's events only wake us. What decides is the content of a rule's files against the content that was there
//! when the service last (re)started. So a touch gives no restart, an overflowed queue loses nothing, and whichever way
//! an editor saves a file, the change is seen once.

mod arms;
mod board;
mod engine;
mod entry;
mod inotify;
mod pattern;
mod reading;
mod report;
mod survey;
mod work;
mod wrap;

pub use board::Cause;
pub use report::{Failure, RuleStatus, Snapshot};

use crate::Listener;
use crate::rule::{Action, Rule};
use crate::supervisor::{Supervisor, builtin::signal_named};
use engine::{Command, Engine, Message};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What listeners are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A change was carried out: exactly one of these for each action.
    Restarted {
        /// The service.
        service: String,
        /// The rule, or the first of those that had a change.
        rule: String,
        /// The first path that had changed.
        path: PathBuf,
        /// What happened to it.
        cause: Cause,
        /// What was done: a restart, or what the rule says.
        action: Action,
    },
    /// A check said no; the running service is kept. Told once for each content that fails.
    CheckFailed {
        /// The service.
        service: String,
        /// The first rule with a change.
        rule: String,
        /// The first path that had changed.
        path: PathBuf,
        /// The check's last words.
        reason: String,
    },
    /// The action failed. It is tried again; told once for each content that fails.
    ActionFailed {
        /// The service.
        service: String,
        /// The first rule with a change.
        rule: String,
        /// The first path that had changed.
        path: PathBuf,
        /// What was to be done.
        action: Action,
        /// What went wrong.
        reason: String,
    },
    /// A change waits, since its rule has acted as often as its rate allows. Told once for each time that begins.
    Held {
        /// The service.
        service: String,
        /// The rule.
        rule: String,
        /// The first path that had changed.
        path: PathBuf,
        /// How long.
        wait: Duration,
    },
    /// Kept paths were changed by somebody else than their keeper. Told once for each content, and where they are to be
    /// put back, now and then until they are.
    Edited {
        /// The service.
        service: String,
        /// The rule.
        rule: String,
        /// All that are not as they were kept.
        paths: Vec<PathBuf>,
        /// They are to be put back, and nothing is done to the service until then.
        revert: bool,
    },
    /// Changes are seen later than they should be, and why: a limit of the kernel was reached.
    Degraded {
        /// What is short and what to do.
        reason: String,
    },
}

/// Times and limits.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often paths are looked at that the kernel has no watch left for.
    pub poll: Duration,
    /// How often everything is looked at, for what makes no event: writes through `mmap`, hard links, network mounts.
    pub rescan: Duration,
    /// How long a check or a `run` action may take.
    pub command_timeout: Duration,
    /// How long a service that was just started may be reading its files: what they hold only for a moment meanwhile,
    /// it may run with, and is restarted for.
    pub reading: Duration,
    /// At most this many kernel watches; `None`: as many as the kernel gives.
    pub max_watches: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            rescan: Duration::from_secs(60),
            command_timeout: Duration::from_secs(60),
            reading: Duration::from_secs(2),
            max_watches: None,
        }
    }
}

/// Why rules were refused, or watching could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule makes no sense.
    #[error("watch rule {rule:?}: {reason}")]
    Rule {
        /// The rule's name.
        rule: String,
        /// What is wrong.
        reason: String,
    },
    /// A thread could not be started.
    #[error("watching could not begin: {0}")]
    Thread(std::io::Error),
    /// The watcher was stopped.
    #[error("the watcher has stopped")]
    Stopped,
}

/// A running watcher. Dropping it stops it; services are left as they are.
pub struct Watcher {
    messages: Sender<Message>,
    snapshot: Arc<Mutex<Snapshot>>,
    supervisor: Arc<dyn Supervisor>,
    listener: Arc<dyn Listener<Event>>,
    command_timeout: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    /// Start with no rules.
    pub fn start(supervisor: Arc<dyn Supervisor>, listener: Arc<dyn Listener<Event>>) -> Result<Self, Error> {
        Self::start_with(supervisor, listener, Options::default())
    }

    /// Start with no rules, with other times and limits.
    pub fn start_with(
        supervisor: Arc<dyn Supervisor>,
        listener: Arc<dyn Listener<Event>>,
        options: Options,
    ) -> Result<Self, Error> {
        let (messages, inbox) = channel();
        let snapshot: Arc<Mutex<Snapshot>> = Arc::default();
        let command_timeout = options.command_timeout;
        let mut engine =
            Engine::new(supervisor.clone(), listener.clone(), options, messages.clone(), snapshot.clone());
        let thread = std::thread::Builder::new().name("watch".into());
        let run = move || {
            // The kernel may be late by this; the end of a debounce should not be.
            let _ = nix::sys::prctl::set_timerslack(1);
            engine.run(&inbox);
        };
        let thread = thread.spawn(run).map_err(Error::Thread)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { messages, snapshot, supervisor, listener, command_timeout, thread })
    }

    /// These are the rules from now on. Compared by name: a rule that is as it was keeps its state; of a new
    /// one, or of another one's new paths, the content at this moment counts as what the service runs with. When this returns, every change is seen.
    /// On error nothing is changed.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), Error> {
        let rules = validated(rules)?;
        self.tell(|done| Command::SetRules(rules, done))
    }

    /// The service was (re)started by somebody else just now: what its files hold now is what it runs with. Where a
    /// change between the restart and this call must not be lost, restart through [`Watcher::supervisor`] instead.
    pub fn rebaseline(&self, service: &str) {
        let _ = self.tell(|done| Command::Rebaseline(service.to_owned(), done));
    }

    /// The keeper of these paths has just left them, and what is below them, as they should be: other content from now on
    /// is an edit. What they hold now is a change like any other.
    pub fn approve(&self, paths: Vec<PathBuf>) {
        let _ = self.tell(|done| Command::Approve(paths, done));
    }

    /// Hold actions until the guard is dropped, while events are noted: for a converge that writes files and restarts
    /// services itself.
    #[must_use = "actions are held as long as this lives"]
    pub fn pause(&self) -> Pause {
        let _ = self.tell(Command::Pause);
        Pause { messages: self.messages.clone() }
    }

    /// The supervisor, such that what is started, restarted or reloaded through it counts as having read its files:
    /// one change gives exactly one restart, whoever makes it, and none is lost. A service that runs is restarted or
    /// reloaded through it only when the checks of its rules pass.
    pub fn supervisor(&self) -> Arc<dyn Supervisor> {
        Arc::new(wrap::Wrapped {
            inner: self.supervisor.clone(),
            messages: self.messages.clone(),
            listener: self.listener.clone(),
            timeout: self.command_timeout,
        })
    }

    /// Where every rule stands.
    pub fn status(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stop watching and wait until the thread has ended. An action that has begun is finished by itself.
    pub fn stop(&self) {
        let _ = self.messages.send(Message::Command(Command::Stop));
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    fn tell(&self, command: impl FnOnce(Sender<()>) -> Command) -> Result<(), Error> {
        let (done, wait) = channel();
        self.messages.send(Message::Command(command(done))).map_err(|_| Error::Stopped)?;
        wait.recv().map_err(|_| Error::Stopped)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// While this lives, no action begins.
pub struct Pause {
    messages: Sender<Message>,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Command(Command::Resume));
    }
}

/// Whether a rule may have this path or glob; the error is a sentence without the path.
pub fn understands(path: &Path) -> Result<(), String> {
    pattern::parts(path).map(drop)
}

/// Whether the program of a check or a command is there.
pub fn finds(program: &str) -> bool {
    crate::command::finds(program)
}

/// A rule with its paths understood.
pub(crate) struct Understood {
    pub(crate) rule: Rule,
    pub(crate) patterns: Vec<Vec<pattern::Part>>,
}

const MAX_DEBOUNCE: Duration = Duration::from_secs(3600);

fn validated(rules: Vec<Rule>) -> Result<Vec<Understood>, Error> {
    let mut names = std::collections::BTreeSet::new();
    let mut understood = Vec::with_capacity(rules.len());
    for rule in rules {
        let wrong = |reason: String| Error::Rule { rule: rule.name.clone(), reason };
        if !names.insert(rule.name.clone()) {
            return Err(wrong("another rule has this name".into()));
        }
        let patterns = rule.paths.iter().map(|path| {
            pattern::parts(path).map_err(|reason| wrong(format!("path {} {reason}", path.display())))
        });
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        sensible(&rule).map_err(wrong)?;
        understood.push(Understood { rule, patterns });
    }
    Ok(understood)
}

fn sensible(rule: &Rule) -> Result<(), String> {
    if rule.paths.is_empty() {
        return Err("has no paths".into());
    }
    if rule.rate.is_some_and(|rate| rate.actions == 0 || rate.window.is_zero()) {
        return Err("a rate must allow something in some time".into());
    }
    if rule.debounce > MAX_DEBOUNCE {
        return Err("the debounce is longer than an hour".into());
    }
    match &rule.action {
        Action::Signal(name) => _ = signal_named(name)?,
        Action::Run(argv) if argv.is_empty() => return Err("the command of `run` is empty".into()),
        _ => {}
    }
    if rule.check.as_ref().is_some_and(Vec::is_empty) {
        return Err("the check command is empty".into());
    }
    Ok(())
}
