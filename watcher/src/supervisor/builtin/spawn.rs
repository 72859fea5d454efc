//! Starts one process of a service: descriptors, limits, identity, directory, then the program.
//!
//! The child shares our memory, and our thread waits, until it executes its program, as posix_spawn(3) does it: copying
//! the tables of our memory, as fork(2) does, is most of what a start would cost. Until then the child may only make
//! system calls that change itself alone, and none by the functions of libc that change all threads of a process.
//!
//! A child that becomes another user has a copy of our memory: the kernel judges who may look into a process by its memory,
//! and ours would count as that user's from then on.

// Effects: starts processes.
#![allow(clippy::disallowed_methods)]

use super::identity::Identity;
use super::unit::Limit;
use nix::sched::CloneFlags;
use nix::sys::resource::setrlimit;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Descriptors of ours that the child moves to their places start from here, clear of those places.
const HIGH: RawFd = 256;
/// As systemd: the exit status of a child that could not execute its program.
const EXIT_EXEC: isize = 203;
/// The child's stack until it executes; it calls nothing deep.
const STACK: usize = 64 * 1024;

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

/// Where the child was when it failed.
const STEPS: [&str; 9] = [
    "its standard streams",
    "passing sockets",
    "a resource limit",
    "its groups",
    "its group",
    "its user",
    "its working directory",
    "no-new-privileges",
    "executing",
];

/// What the child needs, prepared before it is there: it may not allocate.
struct Prepared {
    program: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Where the digits of `LISTEN_PID` go.
    listen_pid: Option<*mut libc::c_char>,
    /// What becomes of the descriptors 0, 1 and 2; `None`: they stay ours.
    streams: [Option<OwnedFd>; 3],
    sockets: Vec<OwnedFd>,
    directory: Option<(CString, bool)>,
    limits: Vec<Limit>,
    identity: Option<Identity>,
    umask: u32,
    no_new_privileges: bool,
    // Own what the pointers point to.
    _strings: Vec<CString>,
    _listen_pid: Option<Box<[u8]>>,
}

/// A process, but for the start of it.
pub(crate) struct Ready {
    program: String,
    prepared: Prepared,
    failure: Failure,
    stack: Vec<u8>,
}

impl Ready {
    /// Starts the process. When this returns `Ok` the program is executing.
    pub(crate) fn start(mut self) -> Result<Pid, String> {
        let shared = self.prepared.identity.is_none();
        let child = || self.prepared.become_program(&self.failure);
        let pid = start_child(child, &mut self.stack, shared).map_err(|e| format!("clone: {}", e.desc()))?;
        match self.failure.seen() {
            None => Ok(pid),
            Some((step, errno)) => {
                let _ = nix::sys::wait::waitpid(pid, None);
                Err(format!("{step} failed for {}: {}", self.program, errno.desc()))
            }
        }
    }
}

impl Launch {
    /// Has all at hand: what can fail after this is the kernel's to refuse.
    pub(crate) fn ready(mut self) -> Result<Ready, String> {
        let null = File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
        let streams = [Some(null), self.stdout.take(), self.stderr.take()];
        let [stdin, stdout, stderr] = streams.map(|stream| stream.map(|file| high(file.as_fd())).transpose());
        let program = self.program.display().to_string();
        let prepared = self.prepare([stdin?, stdout?, stderr?])?;
        let failure = Failure::new().map_err(|e| format!("mmap: {}", e.desc()))?;
        Ok(Ready { program, prepared, failure, stack: vec![0; STACK] })
    }

    /// Starts the process at once.
    pub(crate) fn spawn(self) -> Result<Pid, String> {
        self.ready()?.start()
    }

    fn prepare(self, streams: [Option<OwnedFd>; 3]) -> Result<Prepared, String> {
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
            streams,
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

/// What a child that failed leaves in a page that it shares with us: the step, and the error.
struct Failure(NonNull<AtomicU64>);

impl Failure {
    #[allow(unsafe_code)]
    fn new() -> nix::Result<Self> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new page, nobody's before. It is zero, and aligned for anything.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<AtomicU64>(), access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(nix::Error::last());
        }
        NonNull::new(page.cast()).map(Self).ok_or(nix::Error::ENOMEM)
    }

    #[allow(unsafe_code)]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page lives as long as `self`, and is only ever used as this word.
        unsafe { self.0.as_ref() }
    }

    fn tell(&self, step: usize, errno: nix::Error) {
        let errno = u64::from((errno as i32).unsigned_abs());
        self.word().store(((step as u64 + 1) << 32) | errno, Ordering::SeqCst);
    }

    fn seen(&self) -> Option<(&'static str, nix::Error)> {
        let told = self.word().load(Ordering::SeqCst);
        let step = usize::try_from(told >> 32).ok()?.checked_sub(1)?;
        let errno = i32::try_from(told & 0xffff_ffff).unwrap_or_default();
        Some((STEPS.get(step).copied().unwrap_or(""), nix::Error::from_raw(errno)))
    }
}

impl Drop for Failure {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the page is ours, and nobody has it any more.
        let _ = unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU64>()) };
    }
}

/// Run the closure in a child, which has our memory or a copy of it, while this thread waits until it executes or ends.
#[allow(unsafe_code)]
fn start_child(in_child: impl FnMut() -> isize, stack: &mut [u8], shared: bool) -> nix::Result<Pid> {
    let memory = if shared { CloneFlags::CLONE_VM } else { CloneFlags::empty() };
    let flags = memory | CloneFlags::CLONE_VFORK;
    // No handler of ours may run in the child, which begins with our mask and our handlers.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the child has a stack of its own, and all else that it uses outlives it in this memory, since this thread
    // waits. The closure makes only system calls on what was prepared; it neither allocates, locks nor panics.
    let started =
        unsafe { nix::sched::clone(Box::new(in_child), stack, flags, Some(Signal::SIGCHLD as i32)) };
    mask.thread_set_mask()?;
    started
}

impl Prepared {
    /// In the child: take the steps in order, then execute. What is returned is the exit status of a child that could not.
    #[allow(unsafe_code)]
    fn become_program(&self, failure: &Failure) -> isize {
        let (step, errno) = match self.steps() {
            Err(failed) => failed,
            Ok(()) => {
                // SAFETY: both arrays end in null and point to strings that `self` owns.
                unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
                (8, nix::Error::last())
            }
        };
        failure.tell(step, errno);
        EXIT_EXEC
    }

    fn steps(&self) -> Result<(), (usize, nix::Error)> {
        let _ = nix::unistd::setsid();
        default_signals();
        SigSet::empty().thread_set_mask().map_err(|e| (0, e))?;
        self.pass_streams().map_err(|e| (0, e))?;
        self.pass_sockets().map_err(|e| (1, e))?;
        for (resource, soft, hard) in &self.limits {
            let number = |limit: &Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
            setrlimit(*resource, number(soft), number(hard)).map_err(|e| (2, e))?;
        }
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(self.umask));
        if let Some(identity) = &self.identity {
            identity.become_it()?;
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

    #[allow(unsafe_code)]
    fn pass_streams(&self) -> Result<(), nix::Error> {
        for (place, stream) in (0..).zip(&self.streams) {
            if let Some(stream) = stream {
                // SAFETY: plain system call in the child, whose descriptors are its own.
                nix::Error::result(unsafe { libc::dup2(stream.as_raw_fd(), place) })?;
            }
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

impl Identity {
    /// By the calls of the kernel, which are for one thread: those of libc would make our threads somebody else too.
    fn become_it(&self) -> Result<(), (usize, nix::Error)> {
        use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
        let failed = |e: rustix::io::Errno| nix::Error::from_raw(e.raw_os_error());
        if let Some(groups) = &self.groups {
            set_thread_groups(groups).map_err(|e| (3, failed(e)))?;
        }
        set_thread_gid(rustix::fs::Gid::from_raw(self.gid.as_raw())).map_err(|e| (4, failed(e)))?;
        set_thread_uid(rustix::fs::Uid::from_raw(self.uid.as_raw())).map_err(|e| (5, failed(e)))
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
