//! What the tests share: a root with units in it, and waiting for something to become true.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::new_without_default
)]

pub mod storm;

use mayfly_watcher::supervisor::builtin::{Builtin, Options};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Poll until it is true; panic with the words after the deadline.
#[track_caller]
pub fn until(what: &str, done: impl FnMut() -> bool) {
    assert!(comes_true(done), "never: {what}");
}

/// Poll until it is true, or the deadline has come.
pub fn comes_true(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Write a file such that nobody sees a half of it, however slow the machine is.
pub fn write_whole(path: &Path, content: &str) {
    std::fs::write(path.with_extension("part"), content).unwrap();
    std::fs::rename(path.with_extension("part"), path).unwrap();
}

/// Write a program. Another process puts it in place: what another test starts meanwhile would inherit our way to write
/// it, and a program that somebody can write is not started.
pub fn write_program(path: &Path, text: &str) {
    let from = path.with_extension("text");
    std::fs::write(&from, text).unwrap();
    let mut install = std::process::Command::new("install");
    assert!(install.args(["-m", "755"]).args([&from, path]).status().unwrap().success());
    std::fs::remove_file(from).unwrap();
}

/// A root with unit files and a supervisor in it; everything stops and goes with it.
pub struct House {
    pub dir: tempfile::TempDir,
    pub supervisor: Arc<Builtin>,
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/systemd/system")).unwrap();
        let supervisor = Arc::new(Builtin::new(Options::at(dir.path())));
        Self { dir, supervisor }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn unit(&self, file: &str, text: &str) -> &Self {
        std::fs::write(self.path("etc/systemd/system").join(file), text).unwrap();
        self
    }

    /// A service whose main process is this shell text.
    pub fn shell(&self, name: &str, script: &str, more: &str) -> &Self {
        let file = self.path(&format!("{name}.sh"));
        std::fs::write(&file, script).unwrap();
        self.unit(
            &format!("{name}.service"),
            &format!("[Service]\nExecStart=/bin/sh {}\n{more}", file.display()),
        )
    }

    pub fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.path("var/log/mayfly").join(format!("{service}.log")))
            .unwrap_or_default()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.supervisor.stop_all();
    }
}

/// The lines of a file, or none.
pub fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Whether a process exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}
