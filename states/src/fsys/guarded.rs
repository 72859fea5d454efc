//! Files that decide who is believed, or that nobody else may know. They are opened once, and what was opened is looked at:
//! a path that is changed in between changes nothing. Links are followed; whose the file is that they lead to, counts.

// Effects: files are read here.
#![allow(clippy::disallowed_methods)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What no other account may do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Read or write it: it holds a secret.
    Secret,
    /// Write it: it says who is believed.
    Trust,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a folder, a device or a pipe.
    #[error("is no regular file")]
    NoFile,
    /// It is another account's.
    #[error("belongs to user {0}, who could change it; chown it to root")]
    Foreign(u32),
    /// Others can read it.
    #[error("mode {0:o} lets others read it; chmod 0600 it")]
    Readable(u32),
    /// Others can write it.
    #[error("mode {0:o} lets others write it; chmod go-w it")]
    Writable(u32),
    /// It is longer than anybody's would be.
    #[error("longer than {} KiB", .0 / 1024)]
    TooLong(u64),
    /// It is not text.
    #[error("is not UTF-8 text")]
    NoText,
}

/// Open a file that is root's or this program's own, and that no other account can read or write, as `guard` says.
///
/// # Errors
/// See [`GuardError`].
pub fn open(path: &Path, guard: Guard) -> Result<File, GuardError> {
    // A pipe would be waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    let mode = meta.mode() & 0o777;
    match guard {
        _ if !meta.is_file() => Err(GuardError::NoFile),
        _ if meta.uid() != 0 && meta.uid() != nix::unistd::geteuid().as_raw() => {
            Err(GuardError::Foreign(meta.uid()))
        }
        Guard::Secret if mode & 0o077 != 0 => Err(GuardError::Readable(mode)),
        Guard::Trust if mode & 0o022 != 0 => Err(GuardError::Writable(mode)),
        _ => Ok(file),
    }
}

/// Read such a file of at most `limit` bytes.
///
/// # Errors
/// See [`GuardError`].
pub fn read(path: &Path, guard: Guard, limit: u64) -> Result<String, GuardError> {
    let mut bytes = Vec::new();
    open(path, guard)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(GuardError::TooLong(limit)),
        false => String::from_utf8(bytes).map_err(|_| GuardError::NoText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn who_else_can_read_or_write_a_file_decides_whether_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "text").unwrap();
        let read = |guard, mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read(&path, guard, 4).map_err(|error| error.to_string())
        };
        for mode in [0o600, 0o400] {
            assert_eq!(read(Guard::Secret, mode).as_deref(), Ok("text"));
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610] {
            assert!(read(Guard::Secret, mode).unwrap_err().ends_with("chmod 0600 it"), "{mode:o}");
        }
        assert_eq!(read(Guard::Trust, 0o644).as_deref(), Ok("text"));
        for mode in [0o664, 0o646, 0o666] {
            assert!(read(Guard::Trust, mode).unwrap_err().ends_with("chmod go-w it"), "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_judged_where_links_lead_and_by_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&path, "12345").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        assert_eq!(read(&link, Guard::Secret, 5).unwrap(), "12345");
        assert!(matches!(read(&link, Guard::Secret, 4), Err(GuardError::TooLong(4))));
        fs::write(&path, b"\xff").unwrap();
        assert!(matches!(read(&link, Guard::Secret, 4), Err(GuardError::NoText)));
        assert!(matches!(read(dir.path(), Guard::Secret, 4), Err(GuardError::NoFile)));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(read(&pipe, Guard::Secret, 4), Err(GuardError::NoFile)));
        assert!(matches!(read(&dir.path().join("none"), Guard::Secret, 4), Err(GuardError::Io(_))));
        // The link is root's, and the file is not.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert!(matches!(read(&link, Guard::Secret, 4), Err(GuardError::Foreign(65_534))));
            assert!(matches!(read(&link, Guard::Trust, 4), Err(GuardError::Foreign(65_534))));
        }
    }
}
