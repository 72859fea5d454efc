//! Starting again in place, as the program that is on the disk by then: an upgrade that stops no service.
//!
//! The process stays the same, so its children stay its children; the built-in supervisor finds them by its records. What is
//! on the disk is tried first, and never by a shell: a program that does not start would take the services along.
// Effects: reads and executes a program.
#![allow(clippy::disallowed_methods)]

use super::board::{Board, epoch};
use super::console::say;
use super::status::UpgradeRefused;
use nix::unistd::execv;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The program that runs now, whatever has become of its file.
const OURSELVES: &str = "/proc/self/exe";
/// What the kernel adds to the name of a file that is gone.
const GONE: &[u8] = b" (deleted)";
const WITHIN: Duration = Duration::from_secs(10);
/// How much of a version is read.
const SAYS: u64 = 4096;

/// Why the program on the disk is not started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It is not there, or cannot be read.
    #[error("{0}")]
    Unread(std::io::Error),
    /// A text, a half-copied file, a program for another machine.
    #[error("it is no program for this machine")]
    Foreign,
    /// The kernel does not take it.
    #[error("`--version` cannot be run: {0}")]
    NotStarted(std::io::Error),
    /// It hangs.
    #[error("`--version` has not answered within {}s", WITHIN.as_secs())]
    Silent,
    /// It crashed, or failed.
    #[error("`--version` ended with {0}")]
    Failed(std::process::ExitStatus),
    /// Another program has its name.
    #[error("it says {0:?} of itself, which is not mayfly-boot")]
    Stranger(String),
}

/// Whether to start again, and as what.
#[derive(Debug, Clone)]
pub(super) struct Again {
    asked: Arc<AtomicBool>,
    program: Arc<PathBuf>,
}

impl Again {
    /// The program that runs now.
    pub(super) fn here() -> Self {
        let named = || PathBuf::from(std::env::args_os().next().unwrap_or_default());
        let program = std::env::current_exe().map_or_else(|_| named(), |path| whole(&path));
        Self { asked: Arc::default(), program: Arc::new(program) }
    }

    /// Looks whether the program on the disk is one, and gives what it says of itself.
    ///
    /// # Errors
    /// It would not start.
    pub(super) async fn try_out(&self) -> Result<String, Unfit> {
        let header = |path: &Path| header(path).map_err(Unfit::Unread);
        if header(&self.program)? != header(Path::new(OURSELVES))? {
            return Err(Unfit::Foreign);
        }
        let said =
            tokio::time::timeout(WITHIN, version(&self.program)).await.map_err(|_| Unfit::Silent)??;
        if said.starts_with("mayfly-boot ") { Ok(said) } else { Err(Unfit::Stranger(said)) }
    }

    /// Says that the program on the disk is not started, where people look.
    pub(super) fn refuse(&self, why: &Unfit, board: &Board) {
        let path = self.program.display();
        // Noted first: who reads the line finds it in `/status` too.
        board.note(|status| {
            status.upgrade_refused =
                Some(UpgradeRefused { at: epoch(), program: path.to_string(), reason: why.to_string() });
        });
        say(format!("SIGUSR2: {path} is not started: {why}; going on as {}", env!("CARGO_PKG_VERSION")));
    }

    /// Start again when all is put down.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Become the program of that name, with our arguments; when it has gone since it was tried, ourselves once more.
    /// Returns only when neither can be; services run on.
    pub(super) fn execute(&self) -> std::io::Error {
        say(format!("SIGUSR2: starting {} again; services keep running", self.program.display()));
        let error = turn_into(&self.program);
        say(format!("{}: {error}; starting the old one again", self.program.display()));
        turn_into(Path::new(OURSELVES))
    }
}

/// What tells programs of this machine from others: the magic number, the class and order of its words; its type may be
/// another; the machine.
fn header(path: &Path) -> std::io::Result<([u8; 6], [u8; 2])> {
    let mut start = [0; 20];
    match File::open(path)?.read_exact(&mut start) {
        // Shorter than a header: no program, as any other bytes.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => start = [0; 20],
        read => read?,
    }
    let [a, b, c, d, e, f, .., x, y] = start;
    Ok(([a, b, c, d, e, f], [x, y]))
}

/// The first line of `--version`.
async fn version(program: &Path) -> Result<String, Unfit> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().map_err(Unfit::NotStarted)?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(SAYS).read_to_end(&mut said).await.map_err(Unfit::NotStarted)?;
    }
    let status = child.wait().await.map_err(Unfit::NotStarted)?;
    let line = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
    if status.success() { Ok(line) } else { Err(Unfit::Failed(status)) }
}

/// Unlike what finds programs by their names, this gives a file that the kernel refuses to no shell.
fn turn_into(program: &Path) -> std::io::Error {
    let words: Result<Vec<CString>, _> =
        std::env::args_os().map(|word| CString::new(word.into_vec())).collect();
    match (CString::new(program.as_os_str().as_bytes()), words) {
        (Ok(program), Ok(words)) => match execv(&program, &words) {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        (Err(error), _) | (_, Err(error)) => error.into(),
    }
}

/// The name of our file, which may have been replaced while we ran.
fn whole(path: &Path) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(GONE) {
        Some(before) if !path.exists() => OsString::from_vec(before.to_vec()).into(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_while_we_ran_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("boot (deleted)");
        assert_eq!(whole(&odd), dir.path().join("boot"));
        std::fs::write(&odd, "").unwrap();
        assert_eq!(whole(&odd), odd);
    }

    #[test]
    fn the_header_is_that_of_programs_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        let mut bytes = std::fs::read(OURSELVES).unwrap()[..64].to_vec();
        std::fs::write(&other, &bytes).unwrap();
        let ours = header(Path::new(OURSELVES)).unwrap();
        assert_eq!(header(&other).unwrap(), ours);
        bytes[18] ^= 1;
        std::fs::write(&other, &bytes).unwrap();
        assert_ne!(header(&other).unwrap(), ours, "another machine");
        std::fs::write(&other, "short").unwrap();
        assert_ne!(header(&other).unwrap(), ours);
    }
}
