//! Waiting for the processes of a keeper: their ends, their readiness, the rest of their groups.

// Effects: signals and reaps processes, reads the clock.
#![allow(clippy::disallowed_methods)]

use super::adopt::{await_stranger, ended_before};
use super::{Ask, Keeper, Message};
use crate::supervisor::builtin::decide::Ended;
use crate::supervisor::builtin::record::Identified;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How often the rest of a process group is looked at while it ends: nobody tells of processes that are not ours.
const GROUP_INTERVAL: Duration = Duration::from_millis(5);

/// What a wait ended with.
pub(super) enum Waited {
    Ended(Ended),
    Ready,
    Deadline,
    /// Somebody asks for a stop meanwhile.
    Cancelled,
}

impl Keeper {
    /// Give the rest of a process group, whose leader is gone, this long to end; then kill it.
    pub(super) fn finish_group(&mut self, group: Pid, grace: Duration) {
        let deadline = Instant::now() + grace;
        while group_lives(group) {
            if Instant::now() >= deadline {
                let _ = killpg(group, Signal::SIGKILL);
                return;
            }
            if let Ok(message) = self.inbox.recv_timeout(GROUP_INTERVAL) {
                self.later.push_back(message);
            }
        }
    }

    /// Wait for the end of the process, whatever else comes: by a pidfd of our own, since the thread that awaits the end
    /// would tell us a moment later.
    pub(super) fn wait_for_end(&mut self, process: Identified, deadline: Instant) -> Option<Ended> {
        let pid = Pid::from_raw(process.pid);
        match ended_before(process, deadline) {
            Some(true) => return Some(self.reap(pid)),
            Some(false) => return None,
            None => {}
        }
        loop {
            match self.wait_until(pid, deadline, false) {
                Waited::Ended(how) => return Some(how),
                Waited::Deadline => return None,
                Waited::Ready | Waited::Cancelled => {}
            }
        }
    }

    pub(super) fn wait(&mut self, pid: Pid, deadline: Instant) -> Waited {
        self.wait_until(pid, deadline, true)
    }

    /// Wait for a child's end or readiness; what else comes is kept for later.
    pub(super) fn wait_until(&mut self, pid: Pid, deadline: Instant, cancellable: bool) -> Waited {
        if let Some(at) = self.later.iter().position(|m| matches!(m, Message::Ended(p) if *p == pid)) {
            self.later.remove(at);
            return Waited::Ended(self.reap(pid));
        }
        loop {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Message::Ended(ended)) if ended == pid => return Waited::Ended(self.reap(pid)),
                Ok(Message::Ready(socket)) if self.ready_on.as_ref().is_some_and(|on| on.path == socket) => {
                    return Waited::Ready;
                }
                Ok(Message::Ready(_)) => {}
                Ok(message) => {
                    let stop = matches!(message, Message::Ask(Ask::Stop, _));
                    self.later.push_back(message);
                    if stop && cancellable {
                        return Waited::Cancelled;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Waited::Deadline,
            }
        }
    }

    /// Have a thread tell us when the child ends. It does not reap: until we do, the process id is nobody else's, so
    /// that a signal never meets a stranger. Only this child is waited for; others are somebody else's.
    pub(super) fn await_end_of(&self, process: Identified) {
        let to_self = self.to_self.clone();
        let pid = Pid::from_raw(process.pid);
        let watch = move || {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            let waited = loop {
                match waitid(Id::Pid(pid), flags) {
                    Err(nix::Error::EINTR) => {}
                    other => break other,
                }
            };
            if waited == Err(nix::Error::ECHILD) {
                await_stranger(process);
            }
            let _ = to_self.send(Message::Ended(pid));
        };
        let thread = std::thread::Builder::new().name("await".into()).stack_size(256 * 1024);
        if let Err(error) = thread.spawn(watch) {
            tracing::error!(service = self.service, "no thread to await process {pid}: {error}");
        }
    }

    /// The same for a child that was just started.
    pub(super) fn await_child(&self, pid: Pid) -> Identified {
        // Until it is reaped, a child is there, if only as a zombie.
        let unseen = Identified { pid: pid.as_raw(), started: 0 };
        let process = Identified::of(pid.as_raw()).unwrap_or(unseen);
        self.await_end_of(process);
        process
    }

    pub(super) fn reap(&self, pid: Pid) -> Ended {
        loop {
            match waitpid(pid, None) {
                Ok(WaitStatus::Exited(_, status)) => return Ended::Exited(status),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Killed(signal as i32),
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(_) => return Ended::Unseen,
            }
        }
    }
}

/// Whether the group has a member that is more than a zombie: those of children that lost their parent are reaped by
/// process 1, whenever it likes. Its leader has ended: where one lives that has its number, group and number are another's.
fn group_lives(group: Pid) -> bool {
    if killpg(group, None).is_err() {
        return false;
    }
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes
        .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())))
        .filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok());
    let mut lives = false;
    for (pid, member_of) in stats.filter_map(|stat| living(&stat)) {
        if pid == group.as_raw() {
            return false;
        }
        lives |= member_of == group.as_raw();
    }
    lives
}

/// Number and group of a process that is no zombie, from `pid (name) state ppid pgrp …`; the name may hold anything.
fn living(stat: &str) -> Option<(i32, i32)> {
    let (start, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let (state, member_of) = (fields.next()?, fields.nth(1)?.parse().ok()?);
    let pid = start.split_once(' ')?.0.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some((pid, member_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_is_read_whatever_its_name() {
        assert_eq!(living("7 (a) b) S 1 5 5 0"), Some((7, 5)));
        assert_eq!(living("7 (a) Z 1 5 5 0"), None);
        assert_eq!(living("7 (a"), None);
    }

    #[test]
    fn a_group_whose_number_is_another_process_s_is_not_ours() {
        use std::os::unix::process::CommandExt;
        let mut leader = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(leader.id().cast_signed());
        assert!(!group_lives(group), "its leader lives: it is not the one that we reaped");
        let mut member =
            std::process::Command::new("sleep").arg("1000").process_group(group.as_raw()).spawn().unwrap();
        leader.kill().unwrap();
        leader.wait().unwrap();
        assert!(group_lives(group), "a member is left");
        member.kill().unwrap();
        member.wait().unwrap();
        assert!(!group_lives(group));
    }
}
