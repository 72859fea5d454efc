//! Starts one process of a service: descriptors, limits, identity, directory, then the program.

// Effects: forks and executes.
#![allow(clippy::disallowed_methods)]

use super::identity::Identity;
use super::unit::Limit;
use nix::sys::resource::setrlimit;
use nix::unistd::Pid;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Descriptors of ours that the child moves to their places start from here, clear of those places.
const HIGH: RawFd = 256;
/// As systemd: the exit status of a child that could not execute its program.
const EXIT_EXEC: i32 = 203;

/// Everything about one process, resolved.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) identity: Option<Identity>,
    pub(crate) directory: Option<(PathBuf, bool)>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) umask: u32,
    pub(crate) no_new_privileges: bool,
    /// `None`: the supervisor's own.
    pub(crate) stdout: Option<File>,
    pub(crate) stderr: Option<File>,
    /// Listening sockets, passed from descriptor 3 on, and the name given to each.
    pub(crate) sockets: Vec<Arc<OwnedFd>>,
    pub(crate) fd_name: String,
}

/// Where the child was when it failed. The numbers travel through a pipe.
const STEPS: [&str; 9] = [
    "",
    "passing sockets",
    "a resource limit",
    "its groups",
    "its group",
    "its user",
    "its working directory",
    "no-new-privileges",
    "executing",
];

/// What the child needs, prepared before the fork: after it, nothing may allocate.
struct Prepared {
    program: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Where the digits of `LISTEN_PID` go.
    listen_pid: Option<*mut libc::c_char>,
    sockets: Vec<OwnedFd>,
    report: OwnedFd,
    directory: Option<(CString, bool)>,
    limits: Vec<Limit>,
    identity: Option<Identity>,
    umask: u32,
    no_new_privileges: bool,
    // Own what the pointers point to.
    _strings: Vec<CString>,
    _listen_pid: Option<Box<[u8]>>,
}

// SAFETY: the raw pointers point into heap memory that `Prepared` itself owns and that never moves.
#[allow(unsafe_code)]
unsafe impl Send for Prepared {}
// SAFETY: as above; the closure that reads them runs in one forked child.
#[allow(unsafe_code)]
unsafe impl Sync for Prepared {}

impl Launch {
    /// Fork, prepare and execute. When this returns `Ok` the program is executing.
    pub(crate) fn spawn(mut self) -> Result<Pid, String> {
        let (reader, writer) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| format!("pipe: {e}"))?;
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null());
        command.stdout(self.stdout.take().map_or_else(Stdio::inherit, Stdio::from));
        command.stderr(self.stderr.take().map_or_else(Stdio::inherit, Stdio::from));
        let program = self.program.display().to_string();
        let prepared = self.prepare(high(writer.as_fd())?)?;
        drop(writer);
        // The child never returns from this: it becomes the program, or ends.
        before_exec(&mut command, move || prepared.become_program());
        let child = command.spawn().map_err(|e| format!("fork: {e}"))?;
        // The closure holds the writing end; with it gone, only the child keeps the pipe open until it executes.
        drop(command);
        let pid = Pid::from_raw(child.id().cast_signed());
        match failure(reader) {
            None => Ok(pid),
            Some((step, errno)) => {
                let _ = nix::sys::wait::waitpid(pid, None);
                Err(format!("{step} failed for {program}: {}", errno.desc()))
            }
        }
    }

    fn prepare(self, report: OwnedFd) -> Result<Prepared, String> {
        let c = |text: &str| CString::new(text).map_err(|_| format!("a zero byte in {text:?}"));
        let mut strings = Vec::new();
        for arg in &self.argv {
            strings.push(c(arg)?);
        }
        let arguments = strings.len();
        for (name, value) in &self.environment {
            strings.push(c(&format!("{name}={value}"))?);
        }
        if !self.sockets.is_empty() {
            strings.push(c(&format!("LISTEN_FDS={}", self.sockets.len()))?);
            strings.push(c(&format!(
                "LISTEN_FDNAMES={}",
                vec![self.fd_name.as_str(); self.sockets.len()].join(":")
            ))?);
        }
        let mut argv: Vec<_> = strings[..arguments].iter().map(|s| s.as_ptr()).collect();
        let mut envp: Vec<_> = strings[arguments..].iter().map(|s| s.as_ptr()).collect();
        let mut buffer = (!self.sockets.is_empty())
            .then(|| Box::<[u8]>::from(&b"LISTEN_PID=\0\0\0\0\0\0\0\0\0\0\0\0"[..]));
        let listen_pid = buffer.as_mut().map(|b| b.as_mut_ptr().cast::<libc::c_char>());
        envp.extend(listen_pid.map(<*mut libc::c_char>::cast_const));
        argv.push(std::ptr::null());
        envp.push(std::ptr::null());
        Ok(Prepared {
            program: c(&self.program.display().to_string())?,
            argv,
            envp,
            listen_pid,
            sockets: self.sockets.iter().map(|fd| high(fd.as_fd())).collect::<Result<_, _>>()?,
            report,
            directory: self
                .directory
                .map(|(d, optional)| c(&d.display().to_string()).map(|d| (d, optional)))
                .transpose()?,
            limits: self.limits,
            identity: self.identity,
            umask: self.umask,
            no_new_privileges: self.no_new_privileges,
            _strings: strings,
            _listen_pid: buffer,
        })
    }
}

/// A copy of the descriptor, high up and closed at execution.
fn high(fd: std::os::fd::BorrowedFd) -> Result<OwnedFd, String> {
    rustix::io::fcntl_dupfd_cloexec(fd, HIGH).map_err(|e| format!("duplicating a descriptor: {e}"))
}

/// The step and error that the child reported; `None` when it executed its program.
fn failure(reader: OwnedFd) -> Option<(&'static str, nix::Error)> {
    let mut bytes = [0u8; 5];
    File::from(reader).read_exact(&mut bytes).ok()?;
    let errno = i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    Some((STEPS.get(usize::from(bytes[0])).copied().unwrap_or(""), nix::Error::from_raw(errno)))
}

/// Run the closure in the child between fork and execution.
#[allow(unsafe_code)]
fn before_exec(command: &mut Command, in_child: impl Fn() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the closure makes only system calls on memory prepared before the fork; it neither allocates nor locks.
    unsafe { command.pre_exec(in_child) };
}

impl Prepared {
    /// In the child: take the steps in order, then execute. Returns never: the standard library's own error pipe may
    /// have had the place of a passed socket, so failure is told through ours and the child ends.
    #[allow(unsafe_code)]
    fn become_program(&self) -> std::io::Result<()> {
        let (step, errno) = match self.steps() {
            Err(failed) => failed,
            Ok(()) => {
                // SAFETY: both arrays end in null and point to strings that `self` owns.
                unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
                (8, nix::Error::last())
            }
        };
        let mut message = [step, 0, 0, 0, 0];
        message[1..].copy_from_slice(&(errno as i32).to_le_bytes());
        // SAFETY: the buffer outlives both calls; `_exit` runs no handlers of the parent.
        unsafe {
            libc::write(self.report.as_raw_fd(), message.as_ptr().cast(), message.len());
            libc::_exit(EXIT_EXEC)
        }
    }

    fn steps(&self) -> Result<(), (u8, nix::Error)> {
        let _ = nix::unistd::setsid();
        default_signals();
        self.pass_sockets().map_err(|e| (1, e))?;
        for (resource, soft, hard) in &self.limits {
            let number = |limit: &Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
            setrlimit(*resource, number(soft), number(hard)).map_err(|e| (2, e))?;
        }
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(self.umask));
        if let Some(identity) = &self.identity {
            if let Some(groups) = &identity.groups {
                nix::unistd::setgroups(groups).map_err(|e| (3, e))?;
            }
            nix::unistd::setgid(identity.gid).map_err(|e| (4, e))?;
            nix::unistd::setuid(identity.uid).map_err(|e| (5, e))?;
        }
        if let Some((directory, optional)) = &self.directory {
            let changed = nix::unistd::chdir(directory.as_c_str());
            changed.or(if *optional { Ok(()) } else { changed }).map_err(|e| (6, e))?;
        }
        if self.no_new_privileges {
            nix::sys::prctl::set_no_new_privs().map_err(|e| (7, e))?;
        }
        Ok(())
    }

    /// Move the sockets to 3, 4, … and write our process id where `LISTEN_PID` is; close the rest at execution.
    #[allow(unsafe_code)]
    fn pass_sockets(&self) -> Result<(), nix::Error> {
        let first = 3;
        for (place, fd) in (first..).zip(&self.sockets) {
            // SAFETY: plain system call; `place` is ours to overwrite, being below every descriptor still needed.
            nix::Error::result(unsafe { libc::dup2(fd.as_raw_fd(), place) })?;
        }
        let next = first.cast_unsigned() + u32::try_from(self.sockets.len()).unwrap_or(0);
        // SAFETY: plain system call that marks descriptors; kernels before 5.11 refuse it, and then what was opened
        // without close-on-exec is inherited as it would be by any child.
        unsafe { libc::syscall(libc::SYS_close_range, next, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        if let Some(buffer) = self.listen_pid {
            // SAFETY: the buffer has twelve bytes after the eleven of `LISTEN_PID=`; a process id has ten digits at most.
            unsafe { write_digits(buffer.add(11), nix::unistd::getpid().as_raw().cast_unsigned()) };
        }
        Ok(())
    }
}

/// As systemd starts services: what our own starter ignored (`nohup`, a shell's background) is not theirs to ignore, and
/// a shell could not even trap it. The few numbers that cannot be set are refused and stay as they are.
#[allow(unsafe_code)]
fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: plain system call in the child; no handler of ours outlives the execution anyway.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Write a number in decimal.
///
/// # Safety
/// `place` has room for ten bytes.
#[allow(unsafe_code)]
unsafe fn write_digits(place: *mut libc::c_char, number: u32) {
    let mut digits = [0u8; 10];
    let mut length = 0;
    let mut rest = number;
    while rest > 0 || length == 0 {
        digits[length] = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
    }
    for (offset, digit) in digits[..length].iter().rev().enumerate() {
        // SAFETY: at most ten bytes, which the caller has; a character of C is signed here and unsigned there.
        unsafe { place.add(offset).cast::<u8>().write(*digit) };
    }
}
