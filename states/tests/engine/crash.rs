//! A converge that is killed at any moment leaves every file whole, and the next run completes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command};

use crate::bench::{Bench, eventually, json, step, words};
use mayfly_states::low::Chunk;

const ROOM: &str = "MAYFLY_CRASH_ROOM";
const FILES: usize = 6;

fn content(version: usize, file: usize) -> String {
    format!("version {version} of file {file}\n").repeat(1000)
}

/// Files, a directory and a link, all of one version.
fn steps(version: usize) -> Vec<Chunk> {
    let managed = |i| {
        let args = json!({"contents": content(version, i), "makedirs": true, "mode": "0640"});
        step("file.managed", &format!("/srv/app/{i}.conf"), args)
    };
    let link = step("file.symlink", "/srv/current", json!({"target": format!("/srv/v{version}")}));
    (0..FILES).map(managed).chain([link]).collect()
}

/// Not a test of its own: the process that the test below kills. It converges to and fro for ever.
#[test]
fn the_process_that_is_killed() {
    let Some(room) = std::env::var_os(ROOM) else { return };
    let mut bench = Bench::new();
    bench.root = room.into();
    for version in (0..2).cycle() {
        assert!(bench.run(&steps(version)).ok());
    }
}

/// Killed when the test is over, however it ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(room: &Path) -> Victim {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::the_process_that_is_killed"]).env(ROOM, room);
    Victim(command.stdout(std::process::Stdio::null()).spawn().unwrap())
}

/// The versions that the files are of; panics when one is torn.
fn versions(bench: &Bench) -> Vec<usize> {
    let version = |i: usize| {
        let text = bench.read(&format!("/srv/app/{i}.conf"));
        (0..2)
            .find(|v| text == content(*v, i))
            .unwrap_or_else(|| panic!("file {i} is torn ({} bytes)", text.len()))
    };
    (0..FILES).map(version).collect()
}

#[test]
fn killed_at_any_moment_files_are_whole_and_the_next_run_completes() {
    let bench = Bench::new();
    assert!(bench.run(&steps(0)).ok());
    symlink("/srv/v0", bench.at("/srv/probe")).unwrap();
    for round in 0..12_u32 {
        let victim = start(&bench.root);
        // Let it change a file some times, a different number each round, then a little further.
        let path = bench.at("/srv/app/0.conf");
        let stamp = || std::fs::metadata(&path).map(|m| (m.ino(), m.mtime(), m.mtime_nsec())).unwrap();
        for _ in 0..=round % 3 {
            let before = stamp();
            assert!(eventually(|| stamp() != before), "nothing is converging");
        }
        for _ in 0..round * 3 {
            versions(&bench);
        }
        drop(victim);
        versions(&bench);
    }
    let target = (versions(&bench)[0] + 1) % 2;
    assert!(bench.run(&steps(target)).ok());
    assert_eq!(versions(&bench), vec![target; FILES]);
    assert_eq!(words(&bench.run(&steps(target))), vec!["ok"; FILES + 1]);
    let left = walkdir::WalkDir::new(bench.at("/srv")).into_iter().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with(".mayfly")).collect();
    assert!(left.is_empty(), "{left:?}");
}
