//! The first process of an instance: brings it up, then reaps, restarts its main program and shuts it down.
// Effects: this is pid 1; time, signals and processes are what it is about.
#![allow(clippy::disallowed_methods)]

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::guardian::{FREEZE, REBOOT, STOP, THAW};
use super::{GuestError, boot, load, net, root, say};
use crate::runtime::spec::GuestSpec;

/// `poweroff` and `halt` inside the instance, the signals that busybox's init listens to.
const POWER_OFF: Signal = Signal::SIGUSR2;
const HALT: Signal = Signal::SIGUSR1;
/// How long a main program that failed waits before it is started again.
const RESTART_DELAY: Duration = Duration::from_secs(2);
const EVERYONE: Pid = Pid::from_raw(-1);

/// Runs pid 1 for the launch order at `path`; returns only when the instance could not come up.
pub(crate) fn run(path: &Path) -> ExitCode {
    match bring_up(path) {
        Ok((spec, signals)) => {
            let grace = Duration::from_millis(spec.grace_ms);
            Life { signals, main: None, restart_at: None, plan: boot::plan(&spec.id), grace }.live()
        }
        Err(error) => {
            eprintln!("sandbox: {error}");
            say(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn handled() -> SigSet {
    [STOP, REBOOT, FREEZE, THAW, POWER_OFF, HALT, Signal::SIGPWR, Signal::SIGCHLD].into_iter().collect()
}

fn bring_up(path: &Path) -> Result<(GuestSpec, SignalFd), GuestError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(GuestError::kernel("the death signal"))?;
    handled().thread_block().map_err(GuestError::kernel("blocking signals"))?;
    let spec = load(path)?;
    root::enter(&spec)?;
    nix::unistd::sethostname(&spec.hostname).map_err(GuestError::kernel("a host name"))?;
    wait_for_go()?;
    net::configure(spec.address)?;
    drop_capabilities()?;
    say("up");
    leave_pipes()?;
    let signals = SignalFd::with_flags(&handled(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(GuestError::kernel("a signal descriptor"))?;
    Ok((spec, signals))
}

/// Blocks until the daemon says that the network is plugged in; end of file means that it is gone.
fn wait_for_go() -> Result<(), GuestError> {
    let mut word = [0_u8; 3];
    std::io::stdin().read_exact(&mut word).map_err(|_| GuestError::Orphaned)?;
    if &word == b"go\n" { Ok(()) } else { Err(GuestError::Orphaned) }
}

/// The pipes to the daemon end here: input becomes `/dev/null`, output the console.
fn leave_pipes() -> Result<(), GuestError> {
    let null = std::fs::File::open("/dev/null").map_err(GuestError::io("open /dev/null"))?;
    nix::unistd::dup2_stdin(null).map_err(GuestError::kernel("replacing the input"))?;
    nix::unistd::dup2_stdout(std::io::stderr()).map_err(GuestError::kernel("replacing the output"))
}

/// What root inside keeps: enough for packages, users, services and a shutdown; nothing that reaches the host's
/// network, devices, clock or kernel.
fn drop_capabilities() -> Result<(), GuestError> {
    use caps::{CapSet, Capability as C, CapsHashSet};
    let keep: CapsHashSet = [
        C::CAP_CHOWN,
        C::CAP_DAC_OVERRIDE,
        C::CAP_FOWNER,
        C::CAP_FSETID,
        C::CAP_KILL,
        C::CAP_NET_BIND_SERVICE,
        C::CAP_SETFCAP,
        C::CAP_SETGID,
        C::CAP_SETPCAP,
        C::CAP_SETUID,
        C::CAP_SYS_BOOT,
        C::CAP_SYS_CHROOT,
    ]
    .into_iter()
    .collect();
    let failed = |e: caps::errors::CapsError| GuestError::Capabilities(e.to_string());
    for capability in caps::read(None, CapSet::Bounding).map_err(failed)? {
        if !keep.contains(&capability) {
            caps::drop(None, CapSet::Bounding, capability).map_err(failed)?;
        }
    }
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: CapsHashSet = held.intersection(&keep).copied().collect();
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}

/// The running system of an instance.
struct Life {
    signals: SignalFd,
    main: Option<Pid>,
    restart_at: Option<Instant>,
    plan: Option<boot::Program>,
    grace: Duration,
}

impl Life {
    fn live(mut self) -> ExitCode {
        self.start_main();
        loop {
            self.wait(self.restart_at);
            while let Some(order) = self.next_signal() {
                match order {
                    Signal::SIGCHLD => self.reap(),
                    FREEZE => drop(kill(EVERYONE, Signal::SIGSTOP)),
                    THAW => drop(kill(EVERYONE, Signal::SIGCONT)),
                    REBOOT => return self.shut_down(RebootMode::RB_AUTOBOOT),
                    _ => return self.shut_down(RebootMode::RB_POWER_OFF),
                }
            }
            if self.restart_at.is_some_and(|at| Instant::now() >= at) {
                self.start_main();
            }
        }
    }

    fn start_main(&mut self) {
        self.restart_at = None;
        let Some(program) = &self.plan else { return };
        match spawn(program) {
            Ok(pid) => self.main = Some(pid),
            Err(error) => eprintln!("sandbox: cannot run {}: {error}", program.path.display()),
        }
    }

    /// Waits for a signal, or until `deadline`.
    fn wait(&self, deadline: Option<Instant>) {
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_duration_since(Instant::now()).as_millis() + 1;
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)], timeout);
    }

    fn next_signal(&self) -> Option<Signal> {
        let info = self.signals.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }

    /// Collects every process that ended.
    fn reap(&mut self) {
        while let Ok(status) = waitpid(EVERYONE, Some(WaitPidFlag::WNOHANG)) {
            match status {
                WaitStatus::StillAlive => return,
                other if other.pid().is_some() && other.pid() == self.main => self.main_ended(other),
                _ => {}
            }
        }
    }

    fn main_ended(&mut self, status: WaitStatus) {
        self.main = None;
        let Some(program) = &self.plan else { return };
        let how = match status {
            WaitStatus::Exited(_, 0) => return,
            WaitStatus::Exited(_, code) => format!("exit code {code}"),
            WaitStatus::Signaled(_, signal, _) => signal.to_string(),
            _ => return,
        };
        let name = program.path.display();
        if program.restart {
            eprintln!("sandbox: {name} ended with {how}; starting it again in {}s", RESTART_DELAY.as_secs());
            self.restart_at = Some(Instant::now() + RESTART_DELAY);
        } else {
            eprintln!("sandbox: {name} ended with {how}");
        }
    }

    /// Ends every process, politely first, and then this system: the kernel turns `reboot` inside a pid namespace into
    /// the end of its init.
    fn shut_down(mut self, mode: RebootMode) -> ExitCode {
        eprintln!("sandbox: shutting down");
        self.plan = None;
        let deadline = Instant::now() + self.grace;
        let _ = kill(EVERYONE, Signal::SIGCONT);
        let _ = kill(EVERYONE, Signal::SIGTERM);
        while !self.alone() && Instant::now() < deadline {
            self.wait(Some(deadline));
            while self.next_signal().is_some() {}
        }
        let _ = kill(EVERYONE, Signal::SIGKILL);
        nix::unistd::sync();
        let _ = reboot(mode);
        ExitCode::SUCCESS
    }

    fn alone(&mut self) -> bool {
        self.reap();
        matches!(waitpid(EVERYONE, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD))
    }
}

/// Starts `program` in a session of its own with a clean environment and no blocked signals.
#[allow(unsafe_code)]
fn spawn(program: &boot::Program) -> std::io::Result<Pid> {
    let mut command = Command::new(&program.path);
    command.args(&program.args).env_clear().current_dir("/");
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("LANG", "C.UTF-8").env("TERM", "dumb");
    // SAFETY: the closure runs between fork and exec and makes two async-signal-safe system calls, nothing else.
    unsafe {
        command.pre_exec(|| {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            nix::unistd::setsid()?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}
