//! The `ssh` program as a pipe to `git-upload-pack`: its arguments (pure) and the running process.
// Effects: starts ssh; the clock, for its silences.
#![allow(clippy::disallowed_methods)]

use super::wire::{STALL, WireError};
use crate::http::Cancel;
use crate::userdata::SshAddress;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const MAX_COMPLAINT: u64 = 4096;

/// The argument vector of `ssh`: never asks, never trusts a new host, uses only the key it was given.
pub(super) fn arguments(
    address: &SshAddress,
    key_file: Option<&Path>,
    known_hosts_file: Option<&Path>,
) -> Vec<String> {
    let mut args: Vec<String> = vec!["-T".into(), "-x".into(), "-a".into()];
    let mut option = |text: String| args.extend(["-o".to_owned(), text]);
    for fixed in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=10",
        "ClearAllForwardings=yes",
        "ControlPath=none",
    ] {
        option(fixed.to_owned());
    }
    if let Some(file) = known_hosts_file {
        option(format!("UserKnownHostsFile={}", quoted(file)));
        option("GlobalKnownHostsFile=/dev/null".to_owned());
    }
    if let Some(file) = key_file {
        option("IdentitiesOnly=yes".to_owned());
        option(format!("IdentityFile={}", quoted(file)));
    }
    if let Some(port) = address.port {
        args.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &address.user {
        args.extend(["-l".to_owned(), user.clone()]);
    }
    args.extend([
        "--".to_owned(),
        address.host.clone(),
        format!("git-upload-pack {}", shell_quoted(&address.path)),
    ]);
    args
}

/// ssh splits option values at blanks and expands `%`.
fn quoted(file: &Path) -> String {
    format!("\"{}\"", file.display().to_string().replace('%', "%%"))
}

/// The far side hands the command to the login's shell.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A running ssh. Dropping it ends the process.
pub(super) struct SshSession {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    complaint: Arc<Mutex<Vec<u8>>>,
    listener: Option<std::thread::JoinHandle<()>>,
    received: u64,
    cancel: Cancel,
}

impl SshSession {
    /// Starts ssh.
    pub(super) fn open(
        address: &SshAddress,
        key_file: Option<&Path>,
        known_hosts_file: Option<&Path>,
        cancel: Cancel,
    ) -> Result<Self, WireError> {
        let mut child = Command::new("ssh")
            .args(arguments(address, key_file, known_hosts_file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SSH_ASKPASS")
            .env_remove("DISPLAY")
            .process_group(0)
            .spawn()
            .map_err(|e| {
                WireError::Unreachable(format!("cannot start `ssh`: {e}; install openssh-client"))
            })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(WireError::Unreachable("ssh has no pipes".into()));
        };
        let complaint = Arc::new(Mutex::new(Vec::new()));
        let kept = complaint.clone();
        let listener = std::thread::spawn(move || listen(stderr, &kept));
        Ok(Self { child, stdin, stdout, complaint, listener: Some(listener), received: 0, cancel })
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Reads what is there, waiting at most [`STALL`]; 0 at the end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, WireError> {
        let silent_since = Instant::now();
        loop {
            if self.cancel.is_set() {
                return Err(WireError::Cancelled);
            }
            let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
            match nix::poll::poll(&mut fds, PollTimeout::from(100u8)) {
                Ok(0) | Err(nix::errno::Errno::EINTR) if silent_since.elapsed() < STALL => {}
                Ok(0) => return Err(WireError::Unreachable(format!("silent for {}s", STALL.as_secs()))),
                _ => break,
            }
        }
        let read = self.stdout.read(out).map_err(|e| WireError::Unreachable(e.to_string()))?;
        if read == 0 && self.received == 0 {
            return Err(self.end());
        }
        self.received += read as u64;
        Ok(read)
    }

    /// Sends bytes; what is sent is small (wants and haves), so that the pipe does not fill.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, WireError> {
        let written = self.stdin.as_mut().map_or(Ok(0), |stdin| stdin.write_all(bytes).map(|()| bytes.len()));
        written.map_err(|_| self.end())
    }

    /// Why the other side said nothing: ssh's own words.
    fn end(&mut self) -> WireError {
        self.stdin = None;
        self.kill();
        let complaint = self.complaint.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = String::from_utf8_lossy(&complaint);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let last = lines.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join("; ");
        let words = if last.is_empty() { "ssh ended without an answer".to_owned() } else { last };
        // ssh itself ends with 255 for network and for login alike; both are worth another try later.
        WireError::Unreachable(words)
    }

    fn kill(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // A moment for the far side's last words is given by its closing of stderr, not by waiting.
            let group = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        }
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Drop for SshSession {
    fn drop(&mut self) {
        self.stdin = None;
        self.kill();
    }
}

fn listen(stderr: std::process::ChildStderr, kept: &Mutex<Vec<u8>>) {
    let mut stderr = stderr;
    let mut buffer = [0; 512];
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() as u64 + read as u64 <= MAX_COMPLAINT {
            kept.extend_from_slice(&buffer[..read]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_never_ask_and_never_trust_a_new_host() {
        let address = SshAddress {
            user: Some("git".into()),
            host: "h".into(),
            port: Some(2222),
            path: "/a'b.git".into(),
        };
        let args = arguments(&address, Some(Path::new("/k y/id")), Some(Path::new("/kh")));
        let text = args.join(" ");
        for part in [
            "-o BatchMode=yes",
            "-o StrictHostKeyChecking=yes",
            "-o IdentitiesOnly=yes",
            "-o IdentityFile=\"/k y/id\"",
            "-o UserKnownHostsFile=\"/kh\"",
            "-p 2222 -l git -- h git-upload-pack '/a'\\''b.git'",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
