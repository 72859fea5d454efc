//! What a watcher costs that has nothing to do: `cargo run --release -p mayfly-watcher --example idle -- [SECONDS]`.
//!
//! A hundred watched files in ten directories, in a process of its own beside nothing else; wake-ups are the voluntary
//! context switches of the watcher's threads.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use mayfly_watcher::supervisor::builtin::{Builtin, Options};
use mayfly_watcher::{Event, Rule, Watcher};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(130);
    let dir = tempfile::tempdir().unwrap();
    for n in 0..100 {
        fs::create_dir_all(dir.path().join(format!("{}", n % 10))).unwrap();
        fs::write(dir.path().join(format!("{}/{n}.conf", n % 10)), format!("{n}\n").repeat(1000)).unwrap();
    }
    let before = memory();
    let supervisor = Arc::new(Builtin::new(Options::at(dir.path())));
    let watcher = Watcher::start(supervisor, Arc::new(|_: &Event| ())).unwrap();
    let rule = |n: usize| Rule {
        name: n.to_string(),
        service: n.to_string(),
        paths: vec![dir.path().join(format!("{}/{n}.conf", n % 10))],
        ..Rule::default()
    };
    watcher.set_rules((0..100).map(rule).collect()).unwrap();
    println!(
        "100 rules and files, {} kernel watches, {} KiB more than before",
        watcher.status().watches,
        memory() - before
    );
    let (wakeups, clock) = (wakeups(), cpu());
    std::thread::sleep(Duration::from_secs(seconds));
    println!(
        "in {seconds} s: {} wake-ups, {} ms of processor, {} looks at everything",
        self::wakeups() - wakeups,
        (cpu() - clock) * 10,
        watcher.status().looks
    );
}

/// Resident memory in KiB.
fn memory() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap(), "VmRSS:")
}

/// Voluntary context switches of all threads but this.
fn wakeups() -> u64 {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = threads.filter(|t| fs::read_to_string(t.path().join("comm")).unwrap().starts_with("watch"));
    let count = |status: String| field(&status, "voluntary_ctxt_switches:");
    named.map(|t| count(fs::read_to_string(t.path().join("status")).unwrap())).sum()
}

/// Ticks of processor time, of this process.
fn cpu() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|f| f.parse().ok()).collect();
    fields[10] + fields[11]
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
