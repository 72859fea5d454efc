//! The file of a kept compile: it holds secrets, and it is believed only where nobody else could have written it.
// Effects: reads and writes that file.
#![allow(clippy::disallowed_methods)]

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::form::LARGEST;
use crate::fsys::{self, Kind, Owner};

/// The directory, the file.
const MODES: (u32, u32) = (0o700, 0o600);

/// What the file holds, where it is ours alone.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    if !is_private(path.parent()?) {
        return None;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let stat = file.metadata().ok()?;
    let ours = stat.uid() == user() && stat.mode() & 0o077 == 0;
    let size = usize::try_from(stat.len()).ok().filter(|size| *size <= LARGEST)?;
    if !ours || !stat.is_file() {
        return None;
    }
    let mut bytes = vec![0; size];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes the file in one step. `None`: it cannot be, or others could look into its directory.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Option<()> {
    let directory = path.parent()?;
    let owner = |mode| Owner { mode, uid: user(), gid: nix::unistd::getegid().as_raw() };
    if fsys::stat(directory).ok()?.kind == Kind::Missing {
        fsys::make_dirs(directory.parent()?, owner(0o755)).ok()?;
        fsys::make_dirs(directory, owner(MODES.0)).ok()?;
    }
    if !is_private(directory) {
        return None;
    }
    fsys::replace(path, bytes, owner(MODES.1)).ok()
}

/// Takes the file away, where it is ours alone.
pub(super) fn remove(path: &Path) {
    if path.parent().is_some_and(is_private) {
        let _ = std::fs::remove_file(path);
    }
}

/// A directory itself, no link to one, which is ours and which nobody else can look into.
fn is_private(directory: &Path) -> bool {
    let stat = fsys::stat(directory);
    stat.is_ok_and(|stat| stat.kind == Kind::Directory && stat.uid == user() && stat.mode & 0o077 == 0)
}

fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}
