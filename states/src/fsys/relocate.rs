//! Moving, linking, touching and copying of what exists, whole trees among it.

// Effects: changes the file system.
#![allow(clippy::disallowed_methods)]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::{
    Error, Kind, Owner, Result, Stat, TEMP_PREFIX, births, copy, parent, plain, read_link, remove,
    replace_symlink, set_mode, set_owner, stat, sweep, sync_dir, walk,
};

/// More than this below one directory is not copied.
const MOST_ENTRIES: usize = 200_000;

/// Whether something is at the path when links are followed.
pub fn exists(path: &Path) -> bool {
    path.metadata().is_ok()
}

/// Give something another name, on another file system too. What stands there goes: a file in the same step, a directory
/// just before.
pub fn rename(source: &Path, dest: &Path) -> Result<()> {
    let (from, to) = (stat(source)?.kind, stat(dest)?.kind);
    if to == Kind::Directory || (to != Kind::Missing && from == Kind::Directory) {
        remove(dest)?;
    }
    match std::fs::rename(source, dest) {
        Err(e) if e.raw_os_error() == Some(libc::EXDEV) => across(source, from, dest)?,
        done => done.map_err(Error::at("move", source))?,
    }
    sync_dir(parent(dest))?;
    sync_dir(parent(source))
}

fn across(source: &Path, kind: Kind, dest: &Path) -> Result<()> {
    match kind {
        Kind::File => copy(source, dest)?,
        Kind::Symlink => copy_link(source, dest, None)?,
        Kind::Directory => copy_tree(source, dest, None)?,
        Kind::Missing | Kind::Special => {
            return Err(Error::at("move", source)(io::Error::other("it cannot leave its file system")));
        }
    }
    remove(source)
}

fn copy_link(source: &Path, dest: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let now = stat(source)?;
    replace_symlink(dest, &read_link(source)?.to_string_lossy(), owner.or(Some((now.uid, now.gid))))
}

/// Make `path` another name of the file `target`, in the place of the file that stands there.
pub fn hard_link(target: &Path, path: &Path) -> Result<()> {
    let dir = parent(path);
    sweep(dir);
    let births = births();
    let named =
        tempfile::Builder::new().prefix(TEMP_PREFIX).make_in(dir, |temp| std::fs::hard_link(target, temp));
    let temp = named.map_err(plain).map_err(Error::at("make a link in", dir))?.into_temp_path();
    temp.persist(path).map_err(|e| Error::at("replace", path)(e.error))?;
    drop(births);
    sync_dir(dir)
}

/// How many names a file has; links are not followed.
pub fn names(path: &Path) -> Result<u64> {
    Ok(path.symlink_metadata().map_err(Error::at("look at", path))?.nlink())
}

/// Whether both paths are names of one file; links are not followed.
pub fn same(a: &Path, b: &Path) -> Result<bool> {
    let identity = |path: &Path| {
        let meta = path.symlink_metadata().map_err(Error::at("look at", path))?;
        Ok((meta.dev(), meta.ino()))
    };
    Ok(identity(a)? == identity(b)?)
}

/// When it was last read and changed, in seconds since the epoch.
pub fn times(path: &Path) -> Result<(f64, f64)> {
    let meta = path.symlink_metadata().map_err(Error::at("look at", path))?;
    let seconds = |whole: i64, nanos: i64| whole as f64 + nanos as f64 / 1e9;
    Ok((seconds(meta.atime(), meta.atime_nsec()), seconds(meta.mtime(), meta.mtime_nsec())))
}

/// Set when it was last read and changed; `None`: now.
pub fn set_times(path: &Path, read: Option<f64>, changed: Option<f64>) -> Result<()> {
    let spec = |seconds: Option<f64>| match seconds {
        None => TimeSpec::UTIME_NOW,
        Some(s) => TimeSpec::new(s.floor() as i64, ((s - s.floor()) * 1e9) as i64),
    };
    utimensat(AT_FDCWD, path, &spec(read), &spec(changed), UtimensatFlags::NoFollowSymlink)
        .map_err(|errno| Error::at("set the times of", path)(errno.into()))
}

/// Copy a directory with all that is below it, links as links, under a temporary name; then give it its own, in the place
/// of what stands there. Modes are kept; owners too, unless one is given.
pub fn copy_tree(source: &Path, dest: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let (dir, failed) = (parent(dest), || Error::at("copy", source));
    if dest.starts_with(source) {
        return Err(failed()(io::Error::other("it cannot be copied into itself")));
    }
    sweep(dir);
    let births = births();
    let temp = tempfile::Builder::new().prefix(TEMP_PREFIX).tempdir_in(dir);
    let temp = temp.map_err(plain).map_err(Error::at("make a directory in", dir))?;
    // Marks it as in use: see `sweep`.
    let lock = File::open(temp.path()).map_err(failed())?;
    lock.try_lock().map_err(|e| failed()(e.into()))?;
    drop(births);
    let below = walk(source)?;
    if below.len() > MOST_ENTRIES {
        return Err(failed()(io::Error::other(format!("it holds more than {MOST_ENTRIES} entries"))));
    }
    fill(source, temp.path(), &below, owner)?;
    let top = stat(source)?;
    dress(temp.path(), &top, owner)?;
    remove(dest)?;
    std::fs::rename(temp.path(), dest).map_err(Error::at("move to", dest))?;
    // It has another name now: nothing is left to be removed.
    let _ = temp.keep();
    sync_dir(dir)
}

fn fill(
    source: &Path,
    into: &Path,
    below: &[(std::path::PathBuf, Stat)],
    owner: Option<(u32, u32)>,
) -> Result<()> {
    let place = |path: &Path| path.strip_prefix(source).map(|rest| into.join(rest)).unwrap_or_default();
    for (path, now) in below {
        let to = place(path);
        match now.kind {
            Kind::Directory => std::fs::create_dir(&to).map_err(Error::at("make the directory", &to))?,
            Kind::Symlink => copy_link(path, &to, owner)?,
            Kind::File => {
                copy(path, &to)?;
                dress(&to, now, owner)?;
            }
            Kind::Missing => {}
            Kind::Special => {
                return Err(Error::at("copy", path)(io::Error::other("it is a FIFO, socket or device")));
            }
        }
    }
    // A directory may forbid what is done in it: its mode comes last.
    for (path, now) in below.iter().rev().filter(|(_, now)| now.kind == Kind::Directory) {
        dress(&place(path), now, owner)?;
        sync_dir(&place(path))?;
    }
    Ok(())
}

fn dress(path: &Path, now: &Stat, owner: Option<(u32, u32)>) -> Result<()> {
    let (uid, gid) = owner.unwrap_or((now.uid, now.gid));
    let owner = Owner { mode: now.mode, uid, gid };
    set_owner(path, owner.uid, owner.gid)?;
    set_mode(path, owner.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_whole_and_a_dead_copy_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("a/d")).unwrap();
        std::fs::write(at("a/d/f"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", at("a/l")).unwrap();
        set_mode(&at("a/d"), 0o500).unwrap();
        std::fs::create_dir(at(".mayfly-tmp-dead")).unwrap();
        copy_tree(&at("a"), &at("b"), None).unwrap();
        assert_eq!(std::fs::read_to_string(at("b/d/f")).unwrap(), "x");
        assert_eq!(read_link(&at("b/l")).unwrap(), Path::new("nowhere"));
        assert_eq!(stat(&at("b/d")).unwrap().mode, 0o500);
        assert!(!exists(&at(".mayfly-tmp-dead")));
        let left: Vec<_> =
            walk(dir.path()).unwrap().into_iter().filter(|(p, _)| p.parent() == Some(dir.path())).collect();
        assert_eq!(left.len(), 2);
        assert!(copy_tree(&at("a"), &at("a/d/e"), None).is_err());
    }

    #[test]
    fn a_tree_with_a_fifo_is_not_copied_by_half() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir(at("a")).unwrap();
        nix::unistd::mkfifo(&at("a/f"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(copy_tree(&at("a"), &at("b"), None).is_err());
        assert_eq!(walk(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_hard_link_takes_the_place_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::write(at("a"), "x").unwrap();
        std::fs::write(at("b"), "y").unwrap();
        hard_link(&at("a"), &at("b")).unwrap();
        assert!(same(&at("a"), &at("b")).unwrap());
        assert_eq!(names(&at("a")).unwrap(), 2);
        set_times(&at("a"), Some(1.0), Some(2.5)).unwrap();
        assert_eq!(times(&at("b")).unwrap(), (1.0, 2.5));
    }
}
