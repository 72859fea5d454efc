//! A service that outlived the supervisor before us: found again, kept on, its sockets taken back.
//!
//! When we were replaced in place its process is our child still; when the one before us was killed it is a stranger's,
//! whose end is told by a pidfd and whose exit status nobody tells.

// Effects: looks at processes, copies their descriptors, reads the clock, pauses between looks.
#![allow(clippy::disallowed_methods)]

use super::{Keeper, Life, Process, State};
use crate::supervisor::builtin::record::{Identified, Record};
use crate::supervisor::builtin::sockets::Held;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// One wait is no longer, so that its milliseconds fit.
const LONG: Duration = Duration::from_secs(3600);
/// poll(2) counts in milliseconds, and must not wake before the deadline.
const ROUNDED: Duration = Duration::from_millis(1);
/// How often a stranger is looked at where the kernel has no pidfd (before 5.3).
const STRANGER_INTERVAL: Duration = Duration::from_millis(100);

impl Keeper {
    /// Take over what the record says still runs.
    pub(super) fn adopt(&mut self) {
        let Some(record) = self.house.records.read(&self.service) else { return };
        let unit = self.house.units.load(&self.service).ok().flatten().map(|loaded| loaded.service);
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).starts = record.starts;
        let Some(process) = record.process else {
            self.state = State::Done;
            self.kept = Some(super::Kept::Done);
            return;
        };
        if !process.is_there() {
            self.house.records.remove(&self.service);
            return;
        }
        if let Some(unit) = &unit {
            self.fleeting = unit.fleeting(&self.house.root);
        }
        self.held = Held::taken_back(process.pid, &record.sockets);
        self.holds_ours = self.held.descriptors().len() < record.sockets.len();
        let pid = nix::unistd::Pid::from_raw(process.pid);
        self.await_end_of(process);
        tracing::info!(service = self.service, "process {pid} runs already and is kept");
        let output = unit.as_ref().map(|unit| unit.complaints().clone()).unwrap_or_default();
        self.complaints = (output, self.house.logs.length(&self.service));
        let life = unit.as_ref().map_or_else(Life::default, Life::of);
        self.state =
            State::Running(Process { pid, identity: process, since: Instant::now(), failures: 0, life });
    }

    /// Keep what runs now for who comes after us.
    pub(super) fn record(&self) {
        let process = match &self.state {
            State::Running(process) => Some(process.identity),
            State::Done => None,
            State::Stopped | State::Backoff { .. } => return self.house.records.remove(&self.service),
        };
        let starts = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).starts;
        let record = Record { process, boot: String::new(), starts, sockets: self.held.by_inode() };
        if let Err(error) = self.house.records.write(&self.service, record) {
            tracing::warn!(
                service = self.service,
                "it would not be found again after a crash of ours: {error}"
            );
        }
    }
}

/// Wait for the end of a process that is no child of ours.
pub(super) fn await_stranger(process: Identified) {
    while process.is_there() {
        match ended_before(process, Instant::now() + LONG) {
            Some(true) => return,
            Some(false) => {}
            None => std::thread::sleep(STRANGER_INTERVAL),
        }
    }
}

/// Whether the process, a child or not, ends before the deadline; waits until either. Nothing where the kernel has no
/// pidfd.
pub(super) fn ended_before(process: Identified, deadline: Instant) -> Option<bool> {
    let pidfd = match pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Some(true),
        other => other.ok()?,
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(LONG);
        // Readable when it has ended.
        let mut wanted = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left + ROUNDED).unwrap_or(PollTimeout::MAX);
        match poll(&mut wanted, timeout) {
            Ok(0) if Instant::now() < deadline => {}
            Ok(ready) => return Some(ready > 0),
            Err(nix::Error::EINTR) => {}
            Err(_) => return None,
        }
    }
}
