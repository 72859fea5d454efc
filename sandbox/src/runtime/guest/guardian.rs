//! The guardian of one instance: makes its namespaces, starts its init, passes signals on, reports the end.
// Effects: this is a process of its own; all it does is talk to the kernel.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Child, Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{GuestError, say};
use crate::entry;
use crate::runtime::spec::Ending;

/// Orders that the daemon gives by signal.
pub(crate) const STOP: Signal = Signal::SIGTERM;
/// Kill at once; the end is still reported.
pub(crate) const KILL: Signal = Signal::SIGUSR1;
/// Stop every process where it stands, for a consistent copy of the disk.
pub(crate) const FREEZE: Signal = Signal::SIGTTIN;
/// Undo [`FREEZE`].
pub(crate) const THAW: Signal = Signal::SIGTTOU;
/// Restart the instance's system.
pub(crate) const REBOOT: Signal = Signal::SIGINT;

/// Runs the guardian for the launch order at `spec`; `parent` is the daemon's process id.
pub(crate) fn guard(spec: &Path, parent: i32) -> ExitCode {
    match start(spec, parent) {
        Ok(child) => {
            let ending = watch(&child);
            say(&format!("end {}", ending.word()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sandbox: {error}");
            say(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn orders() -> SigSet {
    [STOP, KILL, FREEZE, THAW, REBOOT, Signal::SIGCHLD].into_iter().collect()
}

fn start(spec: &Path, parent: i32) -> Result<Child, GuestError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(GuestError::kernel("the death signal"))?;
    if nix::unistd::getppid().as_raw() != parent {
        return Err(GuestError::Orphaned);
    }
    nix::unistd::setsid().map_err(GuestError::kernel("a session"))?;
    orders().thread_block().map_err(GuestError::kernel("blocking signals"))?;
    let spaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWPID;
    unshare(spaces).map_err(GuestError::kernel("new namespaces"))?;
    let child = Command::new(entry::SELF)
        .args([entry::MARK, entry::INIT])
        .arg(spec)
        .env_clear()
        .spawn()
        .map_err(GuestError::io("start the init"))?;
    say("unshared");
    Ok(child)
}

/// Passes orders to the init until it ends.
fn watch(child: &Child) -> Ending {
    let init = Pid::from_raw(child.id().cast_signed());
    loop {
        match orders().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(ending) = ended(init) {
                    return ending;
                }
            }
            Ok(KILL) => drop(kill(init, Signal::SIGKILL)),
            Ok(order) => drop(kill(init, order)),
            Err(_) => return Ending::Failed,
        }
    }
}

/// How the init ended, if it has. `reboot(2)` in a pid namespace kills the init by SIGINT (power off) or SIGHUP
/// (restart), see reboot(2).
fn ended(init: Pid) -> Option<Ending> {
    match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, 0)) | Ok(WaitStatus::Signaled(_, Signal::SIGINT, _)) => {
            Some(Ending::PowerOff)
        }
        Ok(WaitStatus::Signaled(_, Signal::SIGHUP, _)) => Some(Ending::Reboot),
        Ok(WaitStatus::Exited(..)) => Some(Ending::Failed),
        Ok(WaitStatus::Signaled(..)) => Some(Ending::Killed),
        Ok(_) => None,
        Err(_) => Some(Ending::Failed),
    }
}
