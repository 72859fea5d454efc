//! A real systemd of the test's own, as process 1 of new namespaces: see `systemd.sh`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::new_without_default
)]

use super::common::{until, write_program};
use mayfly_watcher::supervisor::Systemd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Machine {
    pub dir: tempfile::TempDir,
    pub supervisor: Systemd,
    child: Child,
}

impl Machine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("systemd.sh"), "systemd.sh"]).arg(dir.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let systemctl = dir.path().join("systemctl");
        write_program(&systemctl, &enter(child.id()));
        let mut machine = Self { supervisor: Systemd::new(&systemctl).below(dir.path()), dir, child };
        machine.await_boot();
        machine
    }

    fn await_boot(&mut self) {
        until("systemd runs (as root, with a cgroup2 hierarchy and the package `systemd`)", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("systemd ended, {status}: {}", std::fs::read_to_string(self.path("log")).unwrap());
            }
            self.systemctl(&["is-system-running"]).trim() == "running"
        });
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `systemctl` prints there.
    pub fn systemctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.path("systemctl")).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn unit(&self, file: &str, text: &str) {
        std::fs::write(self.path("etc/systemd/system").join(file), text).unwrap();
    }

    /// A service whose main process is this shell text.
    pub fn shell(&self, name: &str, script: &str, more: &str) {
        let file = self.path(&format!("{name}.sh"));
        std::fs::write(&file, script).unwrap();
        self.unit(
            &format!("{name}.service"),
            &format!(
                "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh {}\n{more}",
                file.display()
            ),
        );
    }
}

/// `systemctl` in the namespaces of this process's children.
fn enter(pid: u32) -> String {
    format!(
        "#!/bin/sh\nns=/proc/{pid}/ns\nexec nsenter --mount=$ns/mnt --cgroup=$ns/cgroup --net=$ns/net \
         --pid=$ns/pid_for_children -- systemctl \"$@\"\n"
    )
}

impl Drop for Machine {
    fn drop(&mut self) {
        let group = std::fs::read_to_string(self.path("group")).unwrap_or_default();
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The processes of the group are gone a moment later, all with their process 1.
        let group = Path::new(group.trim());
        let deadline = Instant::now() + Duration::from_secs(10);
        while group.starts_with("/") && !remove(group) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Remove a cgroup with those below it.
fn remove(group: &Path) -> bool {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove(&entry.path());
        }
    }
    std::fs::remove_dir(group).is_ok() || !group.exists()
}
