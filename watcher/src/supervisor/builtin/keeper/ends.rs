//! The ends of a keeper's process: those that are asked for, those that are not, and what follows.

// Effects: signals and reaps processes, reads the clock.
#![allow(clippy::disallowed_methods)]

use super::{Ask, Keeper, LONGEST, Message, Process, State};
use crate::supervisor::Error;
use crate::supervisor::builtin::decide::{Ended, delay, failures};
use crate::supervisor::builtin::events::{Ended as Fallen, Event, Next, last_line};
use crate::supervisor::builtin::unit::{KillMode, Output, Restart, Service};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How a process ends, and what follows: what the unit said when it was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) kill_signal: Signal,
    pub(super) kill_mode: KillMode,
    pub(super) timeout_stop: Option<Duration>,
    pub(super) restart: Restart,
    pub(super) restart_sec: Duration,
    pub(super) restart_max: Duration,
}

impl Life {
    pub(super) fn of(service: &Service) -> Self {
        Self {
            kill_signal: service.kill_signal,
            kill_mode: service.kill_mode,
            timeout_stop: service.timeout_stop,
            restart: service.restart,
            restart_sec: service.restart_sec,
            restart_max: service.restart_max,
        }
    }
}

/// Of a process whose unit is gone or cannot be read any more.
impl Default for Life {
    fn default() -> Self {
        Self {
            kill_signal: Signal::SIGTERM,
            kill_mode: KillMode::Group,
            timeout_stop: Some(Duration::from_secs(90)),
            restart: Restart::No,
            restart_sec: Duration::ZERO,
            restart_max: Duration::ZERO,
        }
    }
}

impl Keeper {
    /// Stop the process if there is one; the sockets stay.
    pub(super) fn end(&mut self, verb: &'static str) -> Result<(), Error> {
        self.forgive();
        let State::Running(process) = std::mem::replace(&mut self.state, State::Stopped) else {
            return Ok(());
        };
        let (pid, identity, life) = (process.pid, process.identity, process.life);
        let timeout = life.timeout_stop.unwrap_or(LONGEST);
        let deadline = Instant::now() + timeout;
        if identity.is_anothers() {
            self.remember_end(Ended::Unseen);
            return Ok(());
        }
        let told = match life.kill_mode {
            KillMode::Group => killpg(pid, life.kill_signal),
            KillMode::Mixed | KillMode::Process => kill(pid, life.kill_signal),
        };
        if told.is_err() {
            tracing::debug!(service = self.service, "it had ended before it was told");
        }
        let how = match self.wait_for_end(identity, deadline) {
            Some(how) => how,
            None => {
                tracing::warn!(service = self.service, "still there after {timeout:?}: SIGKILL");
                let _ = killpg(pid, Signal::SIGKILL);
                self.wait_for_end(identity, Instant::now() + LONGEST)
                    .ok_or_else(|| self.failed(verb, "it cannot be killed"))?
            }
        };
        self.remember_end(how);
        match life.kill_mode {
            KillMode::Group => self.finish_group(pid, deadline.saturating_duration_since(Instant::now())),
            KillMode::Mixed => self.finish_group(pid, Duration::ZERO),
            KillMode::Process => {}
        }
        Ok(())
    }

    /// Our process ended, or one that does not matter any more did.
    pub(super) fn on_end(&mut self, pid: Pid) {
        if !matches!(&self.state, State::Running(process) if process.pid == pid) {
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            return;
        }
        let State::Running(process) = std::mem::replace(&mut self.state, State::Stopped) else { return };
        let life = process.life;
        let takes_its_group_along = life.kill_mode != KillMode::Process && !process.identity.is_anothers();
        if takes_its_group_along {
            // Before it is reaped, the group's number cannot be anybody else's.
            let _ = killpg(pid, life.kill_signal);
        }
        let how = self.reap(pid);
        self.remember_end(how);
        tracing::warn!(service = self.service, "it {how}");
        if takes_its_group_along {
            self.finish_group(pid, life.timeout_stop.unwrap_or(LONGEST));
        }
        let in_a_row = failures(process.failures, process.since.elapsed());
        let ended = self.back_off(life, how, &how.to_string(), in_a_row);
        self.tell(ended);
    }

    /// A process may have ended a moment ago, with the message still on its way.
    pub(super) fn notice_end(&mut self) {
        let State::Running(Process { pid, identity, .. }) = self.state else { return };
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let lives = match waitid(Id::Pid(pid), flags) {
            Ok(status) => status == WaitStatus::StillAlive,
            // No child of ours: one that outlived the supervisor before us.
            Err(_) => identity.is_there(),
        };
        if !lives {
            self.on_end(pid);
        }
    }

    /// It is down: until it is started again, if the policy says so.
    pub(super) fn back_off(&mut self, life: Life, how: Ended, words: &str, times: u32) -> Fallen {
        let pause = delay(life.restart, how, times, life.restart_sec, life.restart_max);
        if let Some(pause) = pause {
            tracing::info!(service = self.service, "starting again in {pause:?}");
            self.state = State::Backoff { until: Instant::now() + pause, failures: times };
        }
        self.fall(words, times, pause.map_or(Next::Never(life.restart.name()), Next::Again))
    }

    /// Show that it is down, how it came to be and what follows.
    fn fall(&mut self, how: &str, times: u32, next: Next) -> Fallen {
        let hide = |text: &str| self.house.listener.hide(text);
        let (output, from) = &self.complaints;
        let (log, said) = match output {
            Output::Log => {
                let said = self.house.logs.end(&self.service, *from);
                (Some(self.house.logs.path(&self.service)), said.and_then(|said| last_line(&hide(&said))))
            }
            // These belong to others, who may have put a link to anything there.
            Output::Append(path) | Output::Truncate(path) => {
                (Some(self.house.root.join(path.strip_prefix("/").unwrap_or(path))), None)
            }
            Output::Inherit | Output::Null => (None, None),
        };
        let ended = Fallen { service: self.service.clone(), how: hide(how), times, next, log, said };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).down = Some(ended.clone());
        self.show();
        ended
    }

    /// It runs, or was stopped on purpose: what it had ended with before is past.
    pub(super) fn forgive(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).down = None;
    }

    /// Unless a stop was asked for meanwhile: then nobody wants to know.
    pub(super) fn tell(&self, ended: Fallen) {
        if !self.later.iter().any(|m| matches!(m, Message::Ask(Ask::Stop, _))) {
            self.house.listener.event(&Event::Ended(ended));
        }
    }

    pub(super) fn on_deadline(&mut self) {
        let State::Backoff { failures, until } = self.state else { return self.cut_log() };
        if Instant::now() < until {
            return;
        }
        let down = self.seen.lock().unwrap_or_else(PoisonError::into_inner).down.clone();
        let plan = match self.resolve("start") {
            Ok(plan) => plan,
            Err(error) => return self.put_off(&error, failures),
        };
        match self.begin("start", plan, None, failures) {
            Ok(()) => {
                let after = down.map(|down| down.how).unwrap_or_default();
                self.house.listener.event(&Event::StartedAgain { service: self.service.clone(), after });
            }
            Err(error) => tracing::warn!(service = self.service, "{error}"),
        }
    }

    /// The unit or its sockets cannot be used now; look again later.
    fn put_off(&mut self, error: &Error, failures: u32) {
        tracing::warn!(service = self.service, "{error}");
        let (pause, failures) = (Duration::from_secs(1 << failures.min(5)), failures.saturating_add(1));
        self.state = State::Backoff { until: Instant::now() + pause, failures };
        let ended = self.fall(&could_not_start(error), failures, Next::Again(pause));
        self.tell(ended);
    }
}

/// What a failed start is called when it is told as an end.
pub(super) fn could_not_start(error: &Error) -> String {
    match error {
        Error::Failed { reason, .. } => format!("could not be started: {reason}"),
        other => format!("could not be started: {other}"),
    }
}
