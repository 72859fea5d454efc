//! Keeps one service: a thread that owns its process, its sockets and its state.

// Effects: signals and reaps processes, reads the clock.
#![allow(clippy::disallowed_methods)]

mod adopt;
mod ends;
mod handle;
mod launch;
mod process;
mod ready;

use super::decide::Ended;
use super::events::{self, Event};
use super::load::Units;
use super::notify::Notice;
use super::output::Logs;
use super::record::{Identified, Records};
use super::sockets::Held;
use super::unit::Output;
use crate::Listener;
use crate::supervisor::Error;
use ends::Life;
pub(crate) use handle::Handle;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const NAME: &str = "builtin";
/// A wait that the unit leaves open ends all the same.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often the size of a running service's log is looked at.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What a keeper needs to know of its supervisor.
pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) units: Units,
    pub(crate) logs: Logs,
    pub(crate) notify_dir: PathBuf,
    pub(crate) records: Records,
    pub(crate) listener: Arc<dyn Listener<Event>>,
}

/// What others may ask, each with where the answer goes.
pub(crate) enum Ask {
    Start,
    Stop,
    Restart,
    Reload,
    Signal(Signal),
}

enum Message {
    Ask(Ask, Sender<Result<(), Error>>),
    /// A child of ours has ended and waits to be reaped.
    Ended(Pid),
    /// `READY=1` came on this launch's socket.
    Ready(PathBuf),
    /// The supervisor is gone; leave the process running.
    Detach,
}

/// Where the service stands, for those who only look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) state: &'static str,
    pub(crate) running: bool,
    pub(crate) pid: Option<u32>,
    pub(crate) starts: u64,
    pub(crate) last_end: Option<String>,
    /// Ends in a row that nobody asked for, before the running process or up to now.
    pub(crate) failures: u32,
    /// When the running process was started.
    pub(crate) since: Option<Instant>,
    /// Such an end, since which it is down.
    pub(crate) down: Option<events::Ended>,
    /// When it is started again.
    pub(crate) next: Option<Instant>,
    pub(crate) addresses: Vec<SocketAddr>,
}

enum State {
    Stopped,
    Running(Process),
    /// A oneshot that did its work and counts as running.
    Done,
    /// Ended, to be started again at this time.
    Backoff {
        until: Instant,
        failures: u32,
    },
}

struct Process {
    pid: Pid,
    identity: Identified,
    since: Instant,
    /// Failures in a row before this start.
    failures: u32,
    life: Life,
}

struct Keeper {
    service: String,
    house: Arc<House>,
    inbox: Receiver<Message>,
    to_self: Sender<Message>,
    /// Came while we waited for something else.
    later: VecDeque<Message>,
    state: State,
    held: Held,
    seen: Arc<Mutex<Seen>>,
    noted: Vec<String>,
    /// Where the process tells that it is ready.
    ready_on: Option<Notice>,
    /// Directories that go when the service is stopped.
    fleeting: Vec<PathBuf>,
    /// What the record says.
    kept: Option<Kept>,
    /// Where the process complains, and how long its log was before.
    complaints: (Output, u64),
    /// The process has sockets of ours that could not be taken back: nobody can have them anew before it has ended.
    holds_ours: bool,
}

/// What a record was last written of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Done,
    Running(Identified, u64),
}

impl Keeper {
    fn live(&mut self) {
        loop {
            match self.next() {
                Some(Message::Ask(ask, answer)) => {
                    let result = self.answer(&ask);
                    self.settle();
                    let _ = answer.send(result);
                }
                Some(Message::Ended(pid)) => {
                    self.on_end(pid);
                    self.settle();
                }
                Some(Message::Ready(_)) => {}
                Some(Message::Detach) => return,
                None => {
                    self.on_deadline();
                    self.settle();
                }
            }
        }
    }

    /// The next message; `None` when the backoff is over, or it is time to look at the log.
    fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.later.pop_front() {
            return Some(message);
        }
        match &self.state {
            State::Backoff { until, .. } => {
                self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
            }
            State::Running(_) => match self.inbox.recv_timeout(LOG_INTERVAL) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Detach),
            },
            _ => Some(self.inbox.recv().unwrap_or(Message::Detach)),
        }
    }

    fn answer(&mut self, ask: &Ask) -> Result<(), Error> {
        if matches!(ask, Ask::Start | Ask::Reload | Ask::Signal(_)) {
            self.notice_end();
        }
        match ask {
            Ask::Start => match self.state {
                State::Running(_) | State::Done => Ok(()),
                _ => self.start("start", 0),
            },
            Ask::Stop => self.stop(),
            Ask::Restart => self.restart(),
            Ask::Reload => self.reload(),
            Ask::Signal(signal) => self.signal(*signal),
        }
    }

    /// Show others where we stand now, and keep it for who comes after us.
    fn settle(&mut self) {
        self.show();
        let starts = self.seen.lock().unwrap_or_else(PoisonError::into_inner).starts;
        let now = match &self.state {
            State::Running(process) => Kept::Running(process.identity, starts),
            State::Done => Kept::Done,
            State::Stopped | State::Backoff { .. } => Kept::Nothing,
        };
        if self.kept.replace(now) != Some(now) {
            self.record();
        }
    }

    /// Show others where we stand.
    fn show(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.state, seen.running, seen.pid) = match &self.state {
            State::Stopped => ("stopped", false, None),
            State::Running(process) => ("running", true, Some(process.pid.as_raw().cast_unsigned())),
            State::Done => ("done", true, None),
            State::Backoff { .. } => ("backoff", false, None),
        };
        seen.addresses = self.held.addresses();
        (seen.since, seen.next, seen.failures) = match &self.state {
            State::Running(process) => (Some(process.since), None, process.failures),
            State::Backoff { until, failures } => (None, Some(*until), *failures),
            State::Done | State::Stopped => (None, None, 0),
        };
        if let Some(down) = &seen.down {
            seen.failures = down.times;
        }
    }

    fn pid(&self) -> Option<Pid> {
        if let State::Running(process) = &self.state { Some(process.pid) } else { None }
    }

    fn failed(&self, verb: &'static str, reason: impl Into<String>) -> Error {
        Error::Failed { supervisor: NAME, service: self.service.clone(), verb, reason: reason.into() }
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.end("stop")?;
        for directory in self.fleeting.drain(..) {
            let _ = std::fs::remove_dir_all(directory);
        }
        self.held.close(&self.house.root);
        Ok(())
    }

    fn reload(&mut self) -> Result<(), Error> {
        let State::Running(process) = &self.state else {
            return Err(self.failed("reload", "it is not running"));
        };
        let pid = process.pid;
        let setting = self.resolve("reload")?.setting;
        if setting.service.reload.is_empty() {
            return Err(
                self.failed("reload", "its unit has no ExecReload=; add one, restart it, or signal HUP")
            );
        }
        let timeout = setting.service.timeout_start.unwrap_or(LONGEST);
        let extra = [("MAINPID", pid.to_string())];
        setting
            .service
            .reload
            .iter()
            .try_for_each(|command| self.run("reload", &setting, command, &extra, timeout))
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let State::Running(process) = &self.state else {
            return Err(self.failed("signal", "it is not running"));
        };
        kill(process.pid, signal).map_err(|e| self.failed("signal", e.desc()))
    }

    fn cut_log(&self) {
        if let Err(error) = self.house.logs.cut(&self.service) {
            tracing::warn!(service = self.service, "its log could not be cut: {error}");
        }
    }

    fn remember_end(&self, how: Ended) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last_end = Some(how.to_string());
    }
}
