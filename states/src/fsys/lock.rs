//! The converge lock: one run at a time on a machine, and who holds it.

// Effects: opens and locks a file.
#![allow(clippy::disallowed_methods)]

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("another converge is running here (process {holder}, since {since}); the lock is {}", path.display())]
    Held {
        /// The process id that the holder wrote, or `unknown`.
        holder: String,
        /// When it took the lock, in UTC, or `an unknown time`.
        since: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The file could not be opened or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The lock, held until dropped; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub struct ConvergeLock {
    _file: File,
}

impl ConvergeLock {
    /// Take the lock at `path` at once, or say who has it. The directory must exist.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (holder, since) = (holder(&mut file), since(&file));
                return Err(LockError::Held { holder, since, path: path.to_owned() });
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        // Whoever can open it can lock it.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// When the holder wrote its process id.
fn since(file: &File) -> String {
    let written = file.metadata().and_then(|meta| meta.modified());
    let text = |time| chrono::DateTime::<chrono::Utc>::from(time).format("%Y-%m-%d %H:%M:%S UTC").to_string();
    written.map_or_else(|_| "an unknown time".to_owned(), text)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock_and_gets_it_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("converge.lock");
        let first = ConvergeLock::acquire(&path).unwrap();
        let refused = ConvergeLock::acquire(&path).unwrap_err().to_string();
        let now = chrono::Utc::now().format("%Y-").to_string();
        let told = format!("process {}, since {now}", std::process::id());
        assert!(refused.contains(&told), "{refused}");
        drop(first);
        ConvergeLock::acquire(&path).unwrap();
    }
}
