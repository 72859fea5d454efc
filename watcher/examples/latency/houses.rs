//! The supervisors that are measured, each with the service in a directory of its own.

use super::systemd::Machine;
use super::{Bench, Watching, command_line, mayfly};
use mayfly_watcher::Supervisor;
use mayfly_watcher::supervisor::Supervisord;
use mayfly_watcher::supervisor::builtin::{Builtin, Options};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One supervisor with the service `bench`.
pub(super) struct House {
    pub(super) name: &'static str,
    supervisor: Arc<dyn Supervisor>,
    kind: Kind,
}

enum Kind {
    Plain(tempfile::TempDir),
    Daemon {
        _daemon: Daemon,
        dir: tempfile::TempDir,
    },
    /// The same, and a shell loop in place of our watcher.
    ByHand {
        _daemon: Daemon,
        dir: tempfile::TempDir,
    },
    Machine(Machine),
}

/// A supervisord of our own.
pub(super) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

impl House {
    pub(super) fn dir(&self) -> &Path {
        match &self.kind {
            Kind::Plain(dir) | Kind::Daemon { dir, .. } | Kind::ByHand { dir, .. } => dir.path(),
            Kind::Machine(machine) => machine.dir.path(),
        }
    }

    pub(super) fn start(&self) {
        self.supervisor.start("bench").unwrap();
    }

    pub(super) fn stop(&self) {
        self.supervisor.stop("bench").unwrap();
    }

    /// Watch the configuration; the loop made by hand has no debounce.
    pub(super) fn watch(&self, bench: &Bench, debounce: Duration) -> (Watching, Duration) {
        match &self.kind {
            Kind::ByHand { dir, .. } => (Watching::ByHand(Loop::start(dir.path())), Duration::ZERO),
            _ => (mayfly(self.supervisor.clone(), &bench.configuration, debounce), debounce),
        }
    }
}

pub(super) fn builtin() -> Result<House, String> {
    let dir = tempfile::tempdir().unwrap();
    let units = dir.path().join("etc/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::write(units.join("bench.service"), unit(dir.path())).unwrap();
    let supervisor = Arc::new(Builtin::new(Options::at(dir.path())));
    Ok(House { name: "built-in", supervisor, kind: Kind::Plain(dir) })
}

fn unit(dir: &Path) -> String {
    format!("[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={}\n", command_line(dir))
}

pub(super) fn systemd() -> Result<House, String> {
    if !Path::new("/lib/systemd/systemd").exists() || !nix::unistd::geteuid().is_root() {
        return Err("systemd: not measured: it needs root and the package systemd".into());
    }
    let machine = Machine::new();
    machine.unit("bench.service", &unit(machine.dir.path()));
    Ok(House {
        name: "systemd",
        supervisor: Arc::new(machine.supervisor.clone()),
        kind: Kind::Machine(machine),
    })
}

pub(super) fn supervisord() -> Result<House, String> {
    let (dir, supervisor, daemon) = daemon().ok_or("supervisord: not measured: it is missing")?;
    Ok(House {
        name: "supervisord",
        supervisor: Arc::new(supervisor),
        kind: Kind::Daemon { _daemon: daemon, dir },
    })
}

pub(super) fn by_hand() -> Result<House, String> {
    let missing = "inotifywait + supervisorctl: not measured: inotify-tools or supervisor is missing";
    if !Path::new("/usr/bin/inotifywait").exists() {
        return Err(missing.into());
    }
    let (dir, supervisor, daemon) = daemon().ok_or(missing)?;
    let (supervisor, kind) = (Arc::new(supervisor), Kind::ByHand { _daemon: daemon, dir });
    Ok(House { name: "inotifywait + supervisorctl", supervisor, kind })
}

fn daemon() -> Option<(tempfile::TempDir, Supervisord, Daemon)> {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let text = format!(
        "[unix_http_server]\nfile={at}/s.sock\n[supervisord]\nlogfile={at}/log\npidfile={at}/pid\nchildlogdir={at}\n\
         nodaemon=true\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{at}/s.sock\n\
         [program:bench]\ncommand={}\nautostart=false\nstartsecs=0\n",
        command_line(dir.path())
    );
    std::fs::write(dir.path().join("supervisord.conf"), text).unwrap();
    let mut command = Command::new("/usr/bin/supervisord");
    command.arg("-c").arg(dir.path().join("supervisord.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Daemon(command.spawn().ok()?);
    let supervisor = Supervisord::new(dir.path().join("s.sock"));
    let deadline = Instant::now() + super::LONG;
    while !supervisor.answers() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    Some((dir, supervisor, daemon))
}

/// What people write: a loop over `inotifywait` that restarts by `supervisorctl`.
pub(super) struct Loop {
    shell: Child,
    lines: Mutex<BufReader<ChildStdout>>,
}

impl Loop {
    fn start(dir: &Path) -> Self {
        let script = "inotifywait -m -e close_write conf 2>&1 | while read -r line; do case $line in *CLOSE_WRITE*)
            supervisorctl -c supervisord.conf restart bench >/dev/null; echo done;; *established*) echo ready;; esac; done";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(dir).process_group(0).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let lines = Mutex::new(BufReader::new(shell.stdout.take().unwrap()));
        let made = Self { shell, lines };
        made.settle();
        made
    }

    /// Wait for its next line: it is ready, or a restart is done.
    pub(super) fn settle(&self) {
        let mut line = String::new();
        self.lines.lock().unwrap().read_line(&mut line).unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.shell.id().cast_signed());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}
