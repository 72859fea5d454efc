//! A real overflow of the kernel's queue: every watcher's threads stand still in a signal handler while more events are
//! made than the queue holds.
// Effects: signals to single threads, for which there is no safe call.
#![allow(unsafe_code)]

use super::until;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Fill the queue with events of a directory under watch, do something of which no event can be had any more, and wait
/// until the overflow is counted.
pub fn overflow(dir: &Path, overflows: impl Fn() -> u64, unseen: impl FnOnce()) {
    let before = overflows();
    while_they_stand_still(|| {
        rage(dir);
        unseen();
    });
    until("the overflow is told", || overflows() > before);
}

/// More events than the queue holds.
fn rage(dir: &Path) {
    let capacity = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let (a, b) = (dir.join("storm-a"), dir.join("storm-b"));
    fs::write(&a, "").unwrap();
    for _ in 0..capacity.trim().parse::<usize>().unwrap() / 4 + 1 {
        fs::rename(&a, &b).unwrap();
        fs::rename(&b, &a).unwrap();
    }
    fs::remove_file(a).unwrap();
}

/// Where those who stand still wait for a byte each.
static GATE: AtomicI32 = AtomicI32::new(-1);
static STANDING: AtomicUsize = AtomicUsize::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

extern "C" fn stand_still(_: i32) {
    STANDING.fetch_add(1, Ordering::SeqCst);
    let mut byte = 0u8;
    // SAFETY: read(2) may be called in a handler, and writes one byte to a place of ours.
    unsafe { libc::read(GATE.load(Ordering::SeqCst), (&raw mut byte).cast(), 1) };
}

fn while_they_stand_still(work: impl FnOnce()) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (gate, key) = std::io::pipe().unwrap();
    GATE.store(gate.as_raw_fd(), Ordering::SeqCst);
    STANDING.store(0, Ordering::SeqCst);
    let action = SigAction::new(SigHandler::Handler(stand_still), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler calls nothing but read(2).
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    // One that belongs to a test which ends just now may be gone before, or while, it is told.
    // SAFETY: numbers alone; a thread that has ended is an error.
    let tell = |thread: &i32| unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), *thread, libc::SIGUSR1) } == 0;
    let told: Vec<i32> = watchers().into_iter().filter(tell).collect();
    let alive = || watchers().iter().filter(|thread| told.contains(thread)).count();
    until("they stand still", || STANDING.load(Ordering::SeqCst) >= alive());
    work();
    // Each of them reads one byte; none is left for anybody else.
    std::io::Write::write_all(&mut &key, &vec![0; STANDING.load(Ordering::SeqCst)]).unwrap();
    until("they go on", || {
        let mut left = 0;
        // SAFETY: FIONREAD writes the number of bytes in the pipe to a place of ours.
        unsafe { libc::ioctl(gate.as_raw_fd(), libc::FIONREAD, &raw mut left) };
        left == 0
    });
}

fn watchers() -> Vec<i32> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten().map(|entry| entry.path());
    let name = |thread: &Path| fs::read_to_string(thread.join("comm")).unwrap_or_default();
    let named = threads.filter(|thread| matches!(name(thread).trim(), "watch" | "watch-events"));
    named.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}
