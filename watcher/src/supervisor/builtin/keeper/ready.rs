//! When a service that was started is ready: it tells so itself, its port answers, a command succeeds.

// Effects: connects to a port, reads the clock.
#![allow(clippy::disallowed_methods)]

use super::process::Waited;
use super::{Ask, Keeper, Message};
use crate::supervisor::Error;
use crate::supervisor::builtin::notify::{self, Notice};
use crate::supervisor::builtin::prepare::Setting;
use crate::supervisor::builtin::unit::{Kind, Ready};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Tries of a port or command are this far apart: quickly first.
const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);
/// One try takes no longer.
const TRY: Duration = Duration::from_secs(10);

impl Keeper {
    /// The socket on which a `Type=notify` service tells that it is ready.
    pub(super) fn notify_socket(&self, setting: &Setting) -> Result<Option<Notice>, String> {
        if setting.service.kind != Kind::Notify {
            return Ok(None);
        }
        let to_self = self.to_self.clone();
        let told = move |socket| _ = to_self.send(Message::Ready(socket));
        notify::listen(&self.house.notify_dir, &self.service, setting.user(), told).map(Some)
    }

    /// Wait until the process does what it was started for, by all that its unit asks; else end it.
    pub(super) fn await_ready(
        &mut self,
        verb: &'static str,
        pid: Pid,
        setting: &Setting,
        deadline: Instant,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut waited = if self.ready_on.is_some() { self.wait(pid, deadline) } else { Waited::Ready };
        self.ready_on = None;
        let mut what = "READY=1".to_owned();
        for ready in &setting.service.ready {
            if matches!(waited, Waited::Ready) {
                (what, waited) = self.try_until(verb, pid, setting, ready, deadline);
            }
        }
        let reason = match waited {
            Waited::Ready => return self.after_start(verb, setting, deadline),
            Waited::Ended(how) => {
                self.remember_end(how);
                self.finish_group(pid, Duration::ZERO);
                self.state = super::State::Stopped;
                return Err(self.failed(verb, format!("it {how} before it was ready; see {}", self.log())));
            }
            Waited::Cancelled => "a stop was asked for meanwhile".to_owned(),
            Waited::Deadline => {
                format!("it was not ready ({what}) within {}s", (deadline - started).as_secs_f64().round())
            }
        };
        self.end(verb)?;
        Err(self.failed(verb, reason))
    }

    /// Try until it succeeds, the process ends, a stop is asked for, or the time is over.
    fn try_until(
        &mut self,
        verb: &'static str,
        pid: Pid,
        setting: &Setting,
        ready: &Ready,
        deadline: Instant,
    ) -> (String, Waited) {
        let mut pause = FIRST;
        loop {
            let end = deadline.min(Instant::now() + TRY);
            let tried = match ready {
                Ready::Port(address) => connect(*address, end),
                Ready::Command(command) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.run(verb, setting, command, &[], left).map_err(|e| e.to_string())
                }
            };
            let Err(why) = tried else { return (String::new(), Waited::Ready) };
            if self.later.iter().any(|m| matches!(m, Message::Ask(Ask::Stop, _))) {
                return (why, Waited::Cancelled);
            }
            match self.wait(pid, deadline.min(Instant::now() + pause)) {
                // The process lives and says nothing: once more.
                Waited::Deadline | Waited::Ready if Instant::now() < deadline => {}
                other => return (why, other),
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// `ExecStartPost=`; a service for which it fails has not started.
    fn after_start(&mut self, verb: &'static str, setting: &Setting, deadline: Instant) -> Result<(), Error> {
        let extra: Vec<_> = self.pid().map(|pid| ("MAINPID", pid.to_string())).into_iter().collect();
        for command in &setting.service.start_post {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(error) = self.run(verb, setting, command, &extra, left) {
                self.end(verb)?;
                return Err(error);
            }
        }
        Ok(())
    }
}

fn connect(address: SocketAddr, end: Instant) -> Result<(), String> {
    let left = end.saturating_duration_since(Instant::now()).max(FIRST);
    TcpStream::connect_timeout(&address, left).map(drop).map_err(|e| format!("{address}: {e}"))
}
