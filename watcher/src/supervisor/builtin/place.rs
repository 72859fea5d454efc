//! Opens and makes what a unit names, as root, where its service may write: no link that a service placed is followed.
//!
//! A link in a directory that only root can change was meant by root and is followed (`/var/run`). Anywhere else it could
//! have been put there by the service, to have a file of the system given to it or written to.

// Effects: opens files, makes directories, changes their owner and mode.
#![allow(clippy::disallowed_methods)]

use super::identity::Identity;
use rustix::fs::{CWD, Mode, OFlags, fchmod, fchown, fstat, mkdirat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// Make the directory `relative` below `root`, with those above it, and give it its owner and mode.
pub(super) fn directory(root: &Path, relative: &Path, who: Option<&Identity>, mode: u32) -> io::Result<()> {
    let mut at = openat(CWD, root, FOLDER | OFlags::CLOEXEC, Mode::empty())?;
    for name in names(relative) {
        match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        at = step(&at, name, FOLDER, Mode::empty())?;
    }
    if let Some(who) = who {
        let uid = rustix::fs::Uid::from_raw(who.uid.as_raw());
        fchown(&at, Some(uid), Some(rustix::fs::Gid::from_raw(who.gid.as_raw())))?;
    }
    Ok(fchmod(&at, Mode::from_raw_mode(mode))?)
}

/// Open the file `relative` below `root` for appending, made when it is missing, emptied when asked.
pub(super) fn append(root: &Path, relative: &Path, truncate: bool) -> io::Result<File> {
    let mut at = openat(CWD, root, FOLDER | OFlags::CLOEXEC, Mode::empty())?;
    let mut names: Vec<&Path> = names(relative).collect();
    let last = names.pop().ok_or_else(|| io::Error::other("not the name of a file"))?;
    for name in names {
        at = step(&at, name, FOLDER, Mode::empty())?;
    }
    let cut = if truncate { OFlags::TRUNC } else { OFlags::empty() };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY | cut;
    step(&at, last, flags, Mode::from_raw_mode(0o640)).map(File::from)
}

fn names(relative: &Path) -> impl Iterator<Item = &Path> {
    relative.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Path::new(name)),
        Component::ParentDir => Some(Path::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Open one name in a directory; through a link only where nobody but root could have placed it.
fn step(at: &OwnedFd, name: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    match openat(at, name, flags | OFlags::NOFOLLOW, mode) {
        Err(Errno::LOOP | Errno::NOTDIR) if is_ours_alone(at)? => Ok(openat(at, name, flags, mode)?),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(io::Error::other(format!(
            "`{}` is a symbolic link (or no directory) in a place that others than root can change; it is not followed",
            name.display()
        ))),
        other => Ok(other?),
    }
}

fn is_ours_alone(directory: &OwnedFd) -> io::Result<bool> {
    let meta = fstat(directory)?;
    let ours = meta.st_uid == 0 || meta.st_uid == rustix::process::geteuid().as_raw();
    Ok(ours && meta.st_mode & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    /// A directory that anybody may write to, with a link to a directory and one to a file that are none of theirs.
    fn trap() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["system", "service"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let mode = std::fs::Permissions::from_mode(if name == "service" { 0o777 } else { 0o755 });
            std::fs::set_permissions(dir.path().join(name), mode).unwrap();
        }
        std::fs::write(dir.path().join("system/passwd"), "root\n").unwrap();
        symlink("../system", dir.path().join("service/data")).unwrap();
        symlink("../system/passwd", dir.path().join("service/out.log")).unwrap();
        symlink("system", dir.path().join("alias")).unwrap();
        dir
    }

    #[test]
    fn a_link_that_a_service_placed_gives_it_no_directory_and_no_file() {
        let dir = trap();
        let error = directory(dir.path(), Path::new("service/data"), None, 0o700).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(dir.path().join("system").metadata().unwrap().mode() & 0o777, 0o755);
        for truncate in [false, true] {
            append(dir.path(), Path::new("/service/out.log"), truncate).unwrap_err();
            append(dir.path(), Path::new("/service/data/passwd"), truncate).unwrap_err();
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("system/passwd")).unwrap(), "root\n");
    }

    #[test]
    fn a_link_in_a_place_of_our_own_is_followed() {
        let dir = trap();
        directory(dir.path(), Path::new("alias/new/er"), None, 0o750).unwrap();
        assert_eq!(dir.path().join("system/new/er").metadata().unwrap().mode() & 0o777, 0o750);
        append(dir.path(), Path::new("/alias/passwd"), true).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("system/passwd")).unwrap(), "");
    }
}
