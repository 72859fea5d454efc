//! A folder that is held open. What is in it is reached through it alone: whoever may write there can exchange a folder
//! for a link at any moment, and is never followed by it.
// Effects: removes and empties files.
#![allow(clippy::disallowed_methods)]

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, ftruncate, openat, statat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Each level below is one descriptor more.
const MAX_DEPTH: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// Where it was when it was opened, to be shown.
    shown: PathBuf,
    device: u64,
    depth: usize,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Folder,
    File,
    /// A link, a pipe, a device.
    Other,
}

impl Folder {
    /// Opens `relative` below `root`. A link on the way counts only where nobody but root could have placed it.
    pub(super) fn open(root: &Path, relative: &str) -> io::Result<Self> {
        let mut folder = Self::new(openat(CWD, root, FOLDER, Mode::empty())?, root.to_owned(), 0)?;
        for name in relative.split('/').filter(|name| !name.is_empty()) {
            let flags = if folder.is_ours_alone()? { FOLDER } else { FOLDER | OFlags::NOFOLLOW };
            let fd = openat(&folder.fd, name, flags, Mode::empty())?;
            folder = Self::new(fd, folder.shown.join(name), 0)?;
        }
        Ok(folder)
    }

    fn new(fd: OwnedFd, shown: PathBuf, depth: usize) -> io::Result<Self> {
        let device = fstat(&fd)?.st_dev;
        Ok(Self { fd, shown, device, depth })
    }

    fn is_ours_alone(&self) -> io::Result<bool> {
        let meta = fstat(&self.fd)?;
        let ours = meta.st_uid == 0 || meta.st_uid == rustix::process::geteuid().as_raw();
        Ok(ours && meta.st_mode & 0o022 == 0)
    }

    /// The names of its entries, in order.
    pub(super) fn names(&self) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Where an entry is, to be shown.
    pub(super) fn shown(&self, name: &CStr) -> PathBuf {
        self.shown.join(name.to_string_lossy().as_ref())
    }

    /// What an entry is now; it may be another by the time it is opened.
    pub(super) fn kind(&self, name: &CStr) -> io::Result<Is> {
        Ok(match FileType::from_raw_mode(self.stat(name)?.st_mode) {
            FileType::Directory => Is::Folder,
            FileType::RegularFile => Is::File,
            _ => Is::Other,
        })
    }

    fn stat(&self, name: &CStr) -> io::Result<Stat> {
        Ok(statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// A folder in it, which may be another file system, as homes are. No link.
    pub(super) fn folder(&self, name: &CStr) -> io::Result<Self> {
        if self.depth == MAX_DEPTH {
            return Err(io::Error::other(format!("folders nest more than {MAX_DEPTH} deep")));
        }
        let fd = openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        Self::new(fd, self.shown(name), self.depth + 1)
    }

    /// The same of this file system: what is mounted there is no part of what is cleaned.
    pub(super) fn below(&self, name: &CStr) -> io::Result<Self> {
        let inner = self.folder(name)?;
        match inner.device == self.device {
            true => Ok(inner),
            false => Err(io::Error::other("another file system is mounted there")),
        }
    }

    /// Removes an entry, with all below it. `false`: there is none.
    pub(super) fn remove(&self, name: &CStr) -> io::Result<bool> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => return Ok(true),
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let inner = self.below(name)?;
        for below in inner.names()? {
            inner.remove(&below)?;
        }
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?;
        Ok(true)
    }

    /// Empties a file. What is no file goes, and so does one that has a second name, or another owner than a folder that
    /// others may change: it may be a file of the system.
    /// `false`: there was nothing to do.
    pub(super) fn empty(&self, name: &CStr) -> io::Result<bool> {
        // A pipe would keep an open that is not non-blocking waiting.
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return self.remove(name),
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let meta = fstat(&file)?;
        let foreign = !self.is_ours_alone()? && meta.st_uid != fstat(&self.fd)?.st_uid;
        let is_file = FileType::from_raw_mode(meta.st_mode) == FileType::RegularFile;
        if !is_file || meta.st_nlink != 1 || foreign {
            return self.remove(name);
        }
        if meta.st_size == 0 {
            return Ok(false);
        }
        ftruncate(&file, 0)?;
        Ok(true)
    }
}
