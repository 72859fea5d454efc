//! A real overflow of the kernel's queue: the watcher's threads get next to no time on a processor that somebody else
//! keeps busy by making events.

use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Make events in a directory under watch until one more overflow is counted. What is there at the end is what was there
/// before.
pub fn overflow(dir: &Path, overflows: impl Fn() -> u64) {
    let (before, deadline) = (overflows(), Instant::now() + Duration::from_secs(60));
    while overflows() == before {
        assert!(Instant::now() < deadline, "the queue does not overflow");
        let slowed = Slowed::new();
        std::thread::scope(|scope| _ = scope.spawn(|| rage(dir)));
        drop(slowed);
        // The kernel tells of it behind what is in the queue.
        let told = Instant::now() + Duration::from_millis(500);
        while overflows() == before && Instant::now() < told {
            std::thread::yield_now();
        }
    }
}

/// More events than the queue holds.
fn rage(dir: &Path) {
    sched_setaffinity(None, &one_cpu()).unwrap();
    let capacity = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let (a, b) = (dir.join("storm-a"), dir.join("storm-b"));
    fs::write(&a, "").unwrap();
    for _ in 0..capacity.trim().parse::<usize>().unwrap() / 4 + 1000 {
        fs::rename(&a, &b).unwrap();
        fs::rename(&b, &a).unwrap();
    }
    fs::remove_file(a).unwrap();
}

/// As long as this lives, every watcher of this process is slow to hear.
struct Slowed {
    threads: Vec<Pid>,
    before: CpuSet,
}

impl Slowed {
    fn new() -> Self {
        let slowed = Self { threads: watchers(), before: sched_getaffinity(None).unwrap() };
        slowed.set(&one_cpu(), 19);
        slowed
    }

    fn set(&self, cpus: &CpuSet, nice: i32) {
        for thread in &self.threads {
            sched_setaffinity(Some(*thread), cpus).unwrap();
            setpriority_process(Some(*thread), nice).unwrap();
        }
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.set(&self.before, 0);
    }
}

/// The first processor that we may use.
fn one_cpu() -> CpuSet {
    let mine = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| mine.is_set(*cpu)).unwrap());
    one
}

fn watchers() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten().map(|entry| entry.path());
    let name = |thread: &PathBuf| fs::read_to_string(thread.join("comm")).unwrap_or_default();
    let named = threads.filter(|thread| matches!(name(thread).trim(), "watch" | "watch-events"));
    named.filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)).collect()
}
