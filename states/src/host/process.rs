//! One command from start to end: its user, its process group, its bounded output and its deadline.

// Effects: processes are started and clocks read here.
#![allow(clippy::disallowed_methods)]

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::{Command, CommandError, Host, Output, Program};
use crate::modules::accounts::{self, Account};

/// How long a terminated process group has before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is awaited after the command itself has ended: its children may hold the pipes for ever.
const LINGER: Duration = Duration::from_secs(1);
/// The longest time that a command is given: the clock cannot count to any time that somebody may write down.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the cancel flag is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often a process is looked at where the kernel has no pidfd (before 5.3), beside the end of its output.
const LOOK: Duration = Duration::from_millis(5);
/// What a pipe takes without a reader.
const PIPE: usize = 64 * 1024;
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Run `command` on `host`.
pub(super) fn run(command: &Command, host: &dyn Host) -> Result<Output, CommandError> {
    let name = label(&command.program);
    let account = lookup(command, host, &name)?;
    let start = |source| CommandError::Start { program: name.clone(), source };
    let mut built = build(command, account.as_ref(), host);
    let merged = if command.merge_errors { Some(merge(&mut built).map_err(start)?) } else { None };
    let mut child = built.spawn().map_err(start)?;
    // Our ends of the pipes must not outlive the command's.
    drop(built);
    feed(&mut child, &command.stdin);
    Running::new(child, merged, name, command.timeout.min(LONGEST))?.wait(host)
}

/// The search path with the system's own directories at its end: a service manager may have given us a short one.
fn search_path(inherited: Option<&str>) -> String {
    let mut all: Vec<&str> =
        inherited.into_iter().flat_map(|p| p.split(':')).filter(|p| !p.is_empty()).collect();
    for dir in DEFAULT_PATH.split(':') {
        if !all.contains(&dir) {
            all.push(dir);
        }
    }
    all.join(":")
}

/// One pipe for output and errors, so that they come in the order in which they were written.
fn merge(built: &mut std::process::Command) -> io::Result<OwnedFd> {
    let (reader, writer) = io::pipe()?;
    built.stdout(writer.try_clone()?).stderr(writer);
    Ok(reader.into())
}

/// Give the command its input. It fits into the pipe, so this does not block; who does not read it says so by its exit
/// code.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input.get(..PIPE).unwrap_or(input));
    }
}

fn label(program: &Program) -> String {
    match program {
        Program::Argv(argv) => argv.first().cloned().unwrap_or_default(),
        Program::Shell { line, .. } => line.lines().next().unwrap_or_default().to_owned(),
    }
}

fn lookup(command: &Command, host: &dyn Host, name: &str) -> Result<Option<Account>, CommandError> {
    let Some(user) = &command.user else { return Ok(None) };
    let missing = || CommandError::NoUser { program: name.to_owned(), user: user.clone() };
    let start = |source| CommandError::Start { program: name.to_owned(), source };
    accounts::account(host.root(), user).map_err(start)?.ok_or_else(missing).map(Some)
}

fn build(command: &Command, account: Option<&Account>, host: &dyn Host) -> std::process::Command {
    let mut built = match &command.program {
        Program::Argv(argv) => {
            let mut built = std::process::Command::new(argv.first().map(String::as_str).unwrap_or_default());
            built.args(argv.iter().skip(1));
            built
        }
        Program::Shell { shell, line } => {
            let mut built = std::process::Command::new(shell);
            built.arg("-c").arg(line);
            built
        }
    };
    let stdin = if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    built.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    built.current_dir(host.path(command.cwd.as_deref().unwrap_or("/")));
    environment(&mut built, command, account, host);
    if account.is_some() || command.umask.is_some() {
        before_exec(&mut built, account.map(Identity::of), command.umask);
    }
    built
}

fn environment(
    built: &mut std::process::Command,
    command: &Command,
    account: Option<&Account>,
    host: &dyn Host,
) {
    if command.clean_env {
        built.env_clear();
    } else if account.is_some_and(|account| account.uid != nix::unistd::geteuid().as_raw()) {
        built.env_clear().envs(std::env::vars_os().filter(|(key, _)| is_everybodys(key)));
    }
    built.env("PATH", search_path(std::env::var("PATH").ok().as_deref()));
    if host.root() != std::path::Path::new("/") {
        built.env("MAYFLY_ROOT", host.root());
    }
    if let Some(account) = account {
        built.env("HOME", &account.home).env("USER", &account.name).env("LOGNAME", &account.name);
        built.env("SHELL", &account.shell);
    }
    for (key, value) in &command.env {
        match value {
            Some(value) => built.env(key, value),
            None => built.env_remove(key),
        };
    }
}

/// What of our environment is for other accounts too: there may be credentials in the rest.
fn is_everybodys(key: &std::ffi::OsStr) -> bool {
    let key = key.to_str().unwrap_or_default();
    matches!(key, "LANG" | "TZ")
        || key.starts_with("LC_")
        || key.ends_with("_proxy")
        || key.ends_with("_PROXY")
}

/// Numbers that the child takes on between fork and exec.
struct Identity {
    uid: u32,
    gid: u32,
    /// `None`: it keeps those that it has.
    groups: Option<Vec<libc::gid_t>>,
}

impl Identity {
    fn of(account: &Account) -> Self {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let is_ourselves = account.uid == uid && account.gid == gid;
        let groups = if is_ourselves && may_not_set_groups() { None } else { Some(account.groups.clone()) };
        Self { uid: account.uid, gid: account.gid, groups }
    }
}

/// In a user namespace of an ordinary user nobody sets groups, and root there has no others to give up
/// (user_namespaces(7), `/proc/self/setgroups`).
fn may_not_set_groups() -> bool {
    std::fs::read("/proc/self/setgroups").is_ok_and(|said| said.starts_with(b"deny"))
}

// SAFETY: between fork and exec only the async-signal-safe calls setgroups, setgid, setuid and umask are made, on memory
// that was allocated before the fork.
#[allow(unsafe_code)]
fn before_exec(built: &mut std::process::Command, identity: Option<Identity>, umask: Option<u32>) {
    let become_it = move || -> io::Result<()> {
        if let Some(mask) = umask {
            unsafe { libc::umask(mask) };
        }
        let Some(id) = &identity else { return Ok(()) };
        let done = unsafe {
            id.groups.as_ref().is_none_or(|groups| libc::setgroups(groups.len(), groups.as_ptr()) == 0)
                && libc::setgid(id.gid) == 0
                && libc::setuid(id.uid) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    unsafe { built.pre_exec(become_it) };
}

/// A started command, the two ends of its pipes and when it must be over.
struct Running {
    child: Child,
    pidfd: Option<OwnedFd>,
    program: String,
    limit: Duration,
    pipes: [Pipe; 2],
}

/// One stream of the command; `None` once it has ended.
struct Pipe {
    fd: Option<OwnedFd>,
    kept: Vec<u8>,
}

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd: Some(fd), kept: Vec::new() })
    }

    /// Take what is there; close at the end of the stream.
    fn drain(&mut self) -> io::Result<()> {
        let Some(fd) = self.fd.take() else { return Ok(()) };
        let mut file = std::fs::File::from(fd);
        let mut block = [0_u8; 16 * 1024];
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(n) => self.keep(block.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.fd = Some(file.into());
        Ok(())
    }

    /// Keep the last bytes only; memory stays bounded at twice the limit.
    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * Output::LIMIT {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let excess = self.kept.len().saturating_sub(Output::LIMIT);
        self.kept.drain(..excess);
    }
}

/// Why waiting came to an end.
enum End {
    Exited,
    TimedOut,
    Cancelled,
}

impl Running {
    fn new(
        mut child: Child,
        merged: Option<OwnedFd>,
        program: String,
        limit: Duration,
    ) -> Result<Self, CommandError> {
        match Self::ends(&mut child, merged) {
            Ok((pidfd, pipes)) => Ok(Self { child, pidfd, program, limit, pipes }),
            Err(source) => {
                // Nobody could watch over it: it must not run on.
                let _ = rustix::process::kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                Err(CommandError::Watch { program, source })
            }
        }
    }

    fn ends(child: &mut Child, merged: Option<OwnedFd>) -> io::Result<(Option<OwnedFd>, [Pipe; 2])> {
        let pidfd = match rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
            // An old kernel, or an old container's filter in front of a new one.
            Err(Errno::NOSYS | Errno::PERM) => None,
            opened => Some(opened?),
        };
        if let Some(both) = merged {
            return Ok((pidfd, [Pipe::new(both)?, Pipe { fd: None, kept: Vec::new() }]));
        }
        let gone = || io::Error::other("its output could not be opened");
        let out = Pipe::new(child.stdout.take().ok_or_else(gone)?.into())?;
        let err = Pipe::new(child.stderr.take().ok_or_else(gone)?.into())?;
        Ok((pidfd, [out, err]))
    }

    fn wait(mut self, host: &dyn Host) -> Result<Output, CommandError> {
        let end = self.watch(host);
        if !matches!(end, Ok(End::Exited)) {
            self.kill_group().map_err(|source| self.lost(source))?;
        }
        let status = self.child.wait().map_err(|source| self.lost(source))?;
        self.linger().map_err(|source| self.lost(source))?;
        match end.map_err(|source| self.lost(source))? {
            End::Exited => Ok(self.output(status)),
            End::TimedOut => Err(self.timed_out()),
            End::Cancelled => Err(CommandError::Cancelled { program: self.program }),
        }
    }

    fn lost(&self, source: io::Error) -> CommandError {
        CommandError::Watch { program: self.program.clone(), source }
    }

    /// Read output until the command ends, its time is up or the run is cancelled.
    fn watch(&mut self, host: &dyn Host) -> io::Result<End> {
        let deadline = Instant::now() + self.limit;
        loop {
            if host.cancelled() {
                return Ok(End::Cancelled);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(End::TimedOut);
            }
            if self.poll(left.min(TICK), true)? {
                return Ok(End::Exited);
            }
        }
    }

    /// Wait for output or, when asked, the end of the process; whether it has ended.
    fn poll(&mut self, at_most: Duration, process_too: bool) -> io::Result<bool> {
        // Where the kernel has no pidfd, nothing wakes us at the end.
        let unseen = process_too && self.pidfd.is_none();
        let at_most = if unseen { at_most.min(LOOK) } else { at_most };
        {
            let pipes: Vec<BorrowedFd<'_>> =
                self.pipes.iter().filter_map(|p| p.fd.as_ref().map(AsFd::as_fd)).collect();
            let process = self.pidfd.as_ref().filter(|_| process_too).map(AsFd::as_fd);
            let mut fds: Vec<PollFd<'_>> =
                process.into_iter().chain(pipes).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
            match nix::poll::poll(&mut fds, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        // Before the rest of its output is read: what it said last is in there.
        let ended = process_too && self.has_ended()?;
        for pipe in &mut self.pipes {
            pipe.drain()?;
        }
        Ok(ended)
    }

    /// Whether the process has ended; it is not reaped, so that its id stays ours.
    fn has_ended(&self) -> io::Result<bool> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), look)?.is_some())
    }

    /// Take the rest of the output, without waiting for children that keep the pipes.
    fn linger(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + LINGER;
        while self.pipes.iter().any(|p| p.fd.is_some()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.poll(left, false)?;
        }
        Ok(())
    }

    /// Terminate the group, wait a little, kill it.
    fn kill_group(&mut self) -> io::Result<()> {
        let group = Pid::from_child(&self.child);
        let gone = |r: rustix::io::Result<()>| matches!(r, Err(Errno::SRCH));
        if gone(rustix::process::kill_process_group(group, Signal::TERM)) {
            return Ok(());
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if self.poll(TICK, true)? {
                break;
            }
        }
        // The group outlives its leader while children run, and the leader is not yet reaped: the id is still ours.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        Ok(())
    }

    fn output(mut self, status: ExitStatus) -> Output {
        for pipe in &mut self.pipes {
            pipe.trim();
        }
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let [out, err] = self.pipes;
        Output { pid: self.child.id(), code, stdout: out.kept, stderr: err.kept }
    }

    fn timed_out(self) -> CommandError {
        let seconds = self.limit.as_secs();
        let [out, err] = self.pipes;
        let words = [out.kept, err.kept].concat();
        let text = String::from_utf8_lossy(&words);
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let tail = match last.is_empty() {
            true => String::new(),
            false => format!("; its last words: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | ")),
        };
        CommandError::TimedOut { program: self.program, seconds, tail }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::{Machine, NoServices};

    #[test]
    fn a_timeout_that_no_clock_can_count_to_is_a_day() {
        let host = Machine::new(Arc::new(NoServices));
        let command = Command { timeout: Duration::MAX, ..Command::argv(["true"]) };
        assert_eq!(run(&command, &host).unwrap().code, 0);
    }

    /// Runs a script where the kernel knows no `pidfd_open`, as before Linux 5.3.
    fn without_pidfd(script: &str, timeout: Duration) -> Result<Output, CommandError> {
        use seccompiler::{SeccompAction, SeccompFilter};
        let unknown = [(libc::SYS_pidfd_open, Vec::new())].into();
        let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let here = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(unknown, SeccompAction::Allow, refused, here).unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        let command = Command { timeout, ..Command::argv(["sh", "-c", script]) };
        std::thread::spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            run(&command, &Machine::new(Arc::new(NoServices)))
        })
        .join()
        .unwrap()
    }

    #[test]
    fn without_a_pidfd_a_command_is_awaited_and_its_time_is_kept() {
        let minute = Duration::from_secs(60);
        let said = without_pidfd("echo said; exit 3", minute).unwrap();
        assert_eq!((said.code, said.stdout.as_slice()), (3, b"said\n".as_slice()));
        assert_eq!(without_pidfd("exec >&- 2>&-; sleep 0.05; exit 4", minute).unwrap().code, 4);
        let late = without_pidfd("sleep 100", Duration::from_millis(50));
        assert!(matches!(late, Err(CommandError::TimedOut { .. })));
    }

    #[test]
    fn a_short_search_path_gets_the_systems_directories_behind_it() {
        assert_eq!(search_path(None), DEFAULT_PATH);
        let rest = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin";
        assert_eq!(search_path(Some("/opt/x:/usr/bin::/bin")), format!("/opt/x:/usr/bin:/bin:{rest}"));
    }
}
