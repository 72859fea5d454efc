//! Starting a service: from its unit to a process that is ready, and all that is done before the one that runs is touched.

// Effects: starts, signals and reaps processes, reads the clock.
#![allow(clippy::disallowed_methods)]

use super::ends::{Life, could_not_start};
use super::process::Waited;
use super::{Keeper, LONGEST, NAME, Process, State};
use crate::supervisor::Error;
use crate::supervisor::builtin::decide::Ended;
use crate::supervisor::builtin::events::Event;
use crate::supervisor::builtin::load::Loaded;
use crate::supervisor::builtin::notify::Notice;
use crate::supervisor::builtin::prepare::{Setting, setting};
use crate::supervisor::builtin::sockets::Held;
use crate::supervisor::builtin::spawn::{Launch, Ready};
use crate::supervisor::builtin::unit::{Command, Kind};
use nix::sys::signal::{Signal, killpg};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// What a start needs of the unit and its sockets.
pub(super) struct Plan {
    pub(super) setting: Setting,
    held: Held,
    fd_name: String,
}

/// The main process, but for the start of it, and where it will tell that it is ready.
pub(super) struct Main {
    ready: Ready,
    notice: Option<Notice>,
}

impl Keeper {
    /// Read the unit and resolve what can be wrong, with the sockets that it wants. Nothing is changed.
    pub(super) fn resolve(&mut self, verb: &'static str) -> Result<Plan, Error> {
        let unknown = || Error::Unknown { supervisor: NAME, service: self.service.clone() };
        let Loaded { service, sockets } = self.house.units.load(&self.service)?.ok_or_else(unknown)?;
        let of_sockets = sockets.iter().flat_map(|sockets| &sockets.notes);
        let notes: Vec<String> = service.notes.iter().chain(of_sockets).cloned().collect();
        if self.noted != notes {
            self.noted.clone_from(&notes);
            self.house.listener.event(&Event::Noted { service: self.service.clone(), notes });
        }
        let setting = setting(&self.service, service, &self.house.root, &self.house.logs);
        let setting = setting.map_err(|e| self.failed(verb, e))?;
        let fd_name = sockets.as_ref().map_or(String::new(), |s| s.fd_name.clone());
        let held = match &sockets {
            Some(wanted) => self.held.adjusted(wanted, &self.house.root).map_err(|e| self.failed(verb, e))?,
            None => Held::default(),
        };
        Ok(Plan { setting, held, fd_name })
    }

    pub(super) fn start(&mut self, verb: &'static str, failures: u32) -> Result<(), Error> {
        let plan = self.resolve(verb)?;
        self.begin(verb, plan, None, failures)
    }

    /// Everything that can be known to fail is done before the running process is touched.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.holds_ours) {
            self.end("restart")?;
            return self.start("restart", 0);
        }
        let plan = self.resolve("restart")?;
        let main = match self.state {
            // What it says last is not to be the first of a log that is emptied.
            State::Running(_) if !plan.setting.service.empties_a_log() => {
                plan.setting.make_directories().map_err(|e| self.failed("restart", e))?;
                self.main("restart", &plan.setting, &plan.held, &plan.fd_name)?
            }
            _ => None,
        };
        self.end("restart")?;
        self.begin("restart", plan, main, 0)
    }

    /// Run the commands of the start in order and settle in the state that follows.
    pub(super) fn begin(
        &mut self,
        verb: &'static str,
        plan: Plan,
        main: Option<Main>,
        failures: u32,
    ) -> Result<(), Error> {
        let Plan { setting, held, fd_name } = plan;
        self.held = held;
        self.state = State::Stopped;
        self.complaints = (setting.service.complaints().clone(), self.house.logs.length(&self.service));
        let result = self.launch(verb, &setting, &fd_name, main, failures);
        match &result {
            Ok(()) if setting.service.kind == Kind::Oneshot && setting.service.remain => {
                self.state = State::Done;
            }
            Err(error) if verb != "start" || failures > 0 => {
                // It was meant to run and does not: keep trying as the policy says. Who asked for a restart is told so.
                let (life, how) = (Life::of(&setting.service), could_not_start(error));
                let ended = self.back_off(life, Ended::Exited(1), &how, failures.saturating_add(1));
                if verb == "start" {
                    self.tell(ended);
                }
            }
            _ => {}
        }
        result
    }

    fn launch(
        &mut self,
        verb: &'static str,
        setting: &Setting,
        fd_name: &str,
        main: Option<Main>,
        failures: u32,
    ) -> Result<(), Error> {
        self.fleeting = setting.service.fleeting(&self.house.root);
        setting.make_directories().map_err(|e| self.failed(verb, e))?;
        let timeout = setting.service.timeout_start.unwrap_or(LONGEST);
        for command in &setting.service.start_pre {
            self.run(verb, setting, command, &[], timeout)?;
        }
        if setting.service.kind == Kind::Oneshot {
            let timeout = LONGEST;
            return setting.service.start.iter().try_for_each(|c| self.run(verb, setting, c, &[], timeout));
        }
        let main = match main {
            Some(main) => Some(main),
            None => self.main(verb, setting, &self.held, fd_name)?,
        };
        let Some(Main { ready, notice }) = main else { return Ok(()) };
        let pid = ready.start().map_err(|e| self.failed(verb, e))?;
        notice.iter().for_each(|notice| notice.is_of(pid));
        self.ready_on = notice;
        let identity = self.await_child(pid);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).starts += 1;
        let life = Life::of(&setting.service);
        self.state = State::Running(Process { pid, identity, since: Instant::now(), failures, life });
        self.forgive();
        self.settle();
        self.await_ready(verb, pid, setting, Instant::now() + timeout)
    }

    /// The main process, but for the start of it; a oneshot has none.
    fn main(
        &self,
        verb: &'static str,
        setting: &Setting,
        held: &Held,
        fd_name: &str,
    ) -> Result<Option<Main>, Error> {
        let command = setting.service.start.first().filter(|_| setting.service.kind != Kind::Oneshot);
        let Some(command) = command else { return Ok(None) };
        let notice = self.notify_socket(setting).map_err(|e| self.failed(verb, e))?;
        let told_on = |notice: &Notice| ("NOTIFY_SOCKET", notice.path.display().to_string());
        let extra: Vec<_> = notice.iter().map(told_on).collect();
        let launch = setting.launch(command, &extra, held.descriptors(), fd_name);
        let ready = launch.and_then(Launch::ready).map_err(|e| self.failed(verb, e))?;
        Ok(Some(Main { ready, notice }))
    }

    pub(super) fn log(&self) -> String {
        self.house.logs.path(&self.service).display().to_string()
    }

    /// Run a command to its end.
    pub(super) fn run(
        &mut self,
        verb: &'static str,
        setting: &Setting,
        command: &Command,
        extra: &[(&str, String)],
        timeout: Duration,
    ) -> Result<(), Error> {
        let started = setting.launch(command, extra, vec![], "").and_then(Launch::spawn);
        let result = started.and_then(|pid| {
            self.await_child(pid);
            let program = command.words.join(" ");
            let reason = match self.wait(pid, Instant::now() + timeout) {
                Waited::Ended(Ended::Exited(0)) => return Ok(()),
                Waited::Ended(how) => return Err(format!("`{program}` {how}; see {}", self.log())),
                Waited::Cancelled => format!("`{program}` was cut short by a stop"),
                _ => format!("`{program}` was not done within {}s", timeout.as_secs_f64()),
            };
            let _ = killpg(pid, Signal::SIGKILL);
            self.reap(pid);
            Err(reason)
        });
        result.or_else(|e| if command.ignore_failure { Ok(()) } else { Err(self.failed(verb, e)) })
    }
}
