//! A running `mayfly-boot run` below a root of its own: its console, its endpoints, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mayfly-boot");
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Console {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

pub struct Boot {
    pub child: Child,
    console: Arc<Console>,
    read: usize,
}

impl Boot {
    /// Starts it below `root`, with what its environment must say for the test.
    pub fn start(root: &Path, imds: &str, env: &[(&str, &Path)]) -> Self {
        Self::start_program(Path::new(PROGRAM), root, imds, env)
    }

    /// The same of a copy of the program.
    pub fn start_program(program: &Path, root: &Path, imds: &str, env: &[(&str, &Path)]) -> Self {
        let mut command = Self::command(program, root, imds, env);
        Self::of(command.env("MAYFLY_LOG", "warn"))
    }

    /// The same with its state somewhere else.
    pub fn start_elsewhere(root: &Path, imds: &str, state_dir: &Path) -> Self {
        let mut command = Self::command(Path::new(PROGRAM), root, imds, &[]);
        Self::of(command.arg("--state-dir").arg(state_dir))
    }

    /// The same, saying everything on standard error, which is a file.
    pub fn start_logged(root: &Path, imds: &str, env: &[(&str, &Path)], log: &Path) -> Self {
        let mut command = Self::command(Path::new(PROGRAM), root, imds, env);
        Self::of(command.env("MAYFLY_LOG", "trace").stderr(std::fs::File::create(log).unwrap()))
    }

    fn command(program: &Path, root: &Path, imds: &str, env: &[(&str, &Path)]) -> Command {
        let mut command = Command::new(program);
        command.args(["run", "--imds", imds, "--root"]).arg(root).envs(env.iter().copied());
        command
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let console = Arc::new(Console::default());
        let (stdout, shared) = (child.stdout.take().unwrap(), console.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                shared.lines.lock().unwrap().push(line);
                shared.more.notify_all();
            }
        });
        Self { child, console, read: 0 }
    }

    /// Waits for the next console line that contains `part`; lines before it are passed over.
    pub fn line(&mut self, part: &str) -> String {
        self.line_of(&[part])
    }

    /// The same for any of several.
    pub fn line_of(&mut self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.console.lines.lock().unwrap();
        loop {
            if let Some(at) =
                lines[self.read..].iter().position(|l| parts.iter().any(|part| l.contains(part)))
            {
                self.read += at + 1;
                return lines[self.read - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line with {parts:?} on the console:\n{}", lines.join("\n"));
            lines = self.console.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.console.lines.lock().unwrap().clone()
    }

    /// The address of the endpoints, from the console.
    pub fn address(&mut self) -> SocketAddr {
        listening(&self.line("listening on ")).unwrap()
    }

    /// The last one that was said, whatever has been read.
    pub fn last_address(&self) -> Option<SocketAddr> {
        self.all().iter().rev().find_map(|line| listening(line))
    }

    /// Waits until it is ready with a commit.
    pub fn ready(&mut self, commit: &str) {
        self.line(&format!("mayfly: ready {}", &commit[..12]));
    }

    /// What it had in memory at most.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        // Gently first: a killed supervisor leaves its services running.
        if let Ok(None) = self.child.try_wait() {
            self.signal("TERM");
            let deadline = Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that a line of the console names.
fn listening(line: &str) -> Option<SocketAddr> {
    line.split("listening on ").nth(1)?.split(' ').next()?.parse().ok()
}

/// One GET: status and body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split("\r\n\r\n").nth(1).unwrap_or("").to_owned())
}

/// The document behind `/status`.
pub fn status(address: SocketAddr) -> serde_json::Value {
    serde_json::from_str(&get(address, "/status").1).unwrap()
}

/// Waits until `ask` gives something.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
