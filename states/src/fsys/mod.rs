//! Every change to the file system: replacements that are whole or not at all.
//!
//! A new file is written beside its destination under a temporary name, with its final owner and mode, synced, renamed
//! over the destination, and the directory is synced. Temporary files carry a lock while their writer lives, so leftovers
//! of a killed run are told from files in use and are removed by the next write to the directory.

// Effects: this is where files are read and written.
#![allow(clippy::disallowed_methods)]

pub mod guarded;
pub mod lock;
pub mod node;
pub mod relocate;
pub mod scratch;

use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

const TEMP_PREFIX: &str = ".mayfly-tmp-";
/// How much of a stream is in memory at once.
const BLOCK: usize = 64 * 1024;

/// Why the file system refused, with the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct Error {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl Error {
    fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error { action, path: path.to_owned(), source }
    }
}

/// Shorthand for this module's results.
pub type Result<T> = std::result::Result<T, Error>;

/// What stands at a path; a symbolic link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Missing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it points to.
    Symlink,
    /// A FIFO, socket or device.
    Special,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Missing => "missing",
            Kind::File => "a regular file",
            Kind::Directory => "a directory",
            Kind::Symlink => "a symbolic link",
            Kind::Special => "a FIFO, socket or device",
        })
    }
}

/// Kind, permissions, owner and size of what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Bytes.
    pub len: u64,
    /// The file system's number.
    pub device: u64,
}

impl Stat {
    const MISSING: Stat = Stat { kind: Kind::Missing, mode: 0, uid: 0, gid: 0, len: 0, device: 0 };

    fn of(meta: &Metadata) -> Self {
        let kind = match meta.file_type() {
            t if t.is_file() => Kind::File,
            t if t.is_dir() => Kind::Directory,
            t if t.is_symlink() => Kind::Symlink,
            t if t.is_fifo() || t.is_socket() || t.is_block_device() || t.is_char_device() => Kind::Special,
            _ => Kind::Special,
        };
        Self {
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            len: meta.len(),
            device: meta.dev(),
        }
    }
}

/// What stands at `path`, links not followed. A missing path is not an error; one below a file is.
pub fn stat(path: &Path) -> Result<Stat> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) => Ok(Stat::of(&meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Stat::MISSING),
        Err(e) => Err(Error::at("look at", path)(e)),
    }
}

/// How many bytes root can still write to the file system of `path`; `None` when that cannot be told.
pub fn room(path: &Path) -> Option<u64> {
    let told = nix::sys::statvfs::statvfs(path).ok()?;
    // Their width differs between machines.
    #[allow(clippy::useless_conversion)]
    let bytes = u64::from(told.blocks_free()).saturating_mul(told.fragment_size().into());
    Some(bytes)
}

/// Where a symbolic link points, as written in it.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    std::fs::read_link(path).map_err(Error::at("read the link", path))
}

/// The path with all links resolved; an error when something on the way is missing.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(Error::at("resolve", path))
}

/// Open a regular file for reading; never blocks on a FIFO and never follows a link in the last place.
pub fn open(path: &Path) -> Result<File> {
    open_regular(path).map(|(file, _)| file)
}

fn open_regular(path: &Path) -> Result<(File, Stat)> {
    let file = open_any(path)?;
    let stat = Stat::of(&file.metadata().map_err(Error::at("look at", path))?);
    regular(path, &stat).map(|()| (file, stat))
}

fn open_any(path: &Path) -> Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(Error::at("open", path))
}

fn regular(path: &Path, stat: &Stat) -> Result<()> {
    match stat.kind {
        Kind::File => Ok(()),
        _ => Err(Error::at("read", path)(io::Error::other("not a regular file"))),
    }
}

/// The content of a regular file: all of it, or when that is more than a limit what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// All bytes.
    Whole(Vec<u8>),
    /// Length in bytes and SHA-256 in hex.
    Digest {
        /// Bytes.
        len: u64,
        /// SHA-256 in hex.
        sha256: String,
    },
}

impl Content {
    /// The content that these bytes make.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes)
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Digest { len, .. } => *len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, unless they are more than the limit.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Digest { .. } => None,
        }
    }

    /// The same, without a copy.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Digest { .. } => None,
        }
    }

    /// SHA-256 in hex.
    pub fn sha256(&self) -> Cow<'_, str> {
        match self {
            Self::Whole(bytes) => Cow::Owned(hex::encode(Sha256::digest(bytes))),
            Self::Digest { sha256, .. } => Cow::Borrowed(sha256),
        }
    }

    /// Whether both are the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(two)) => one == two,
            _ => self.len() == other.len() && self.sha256() == other.sha256(),
        }
    }
}

/// Read a regular file once: kept when it is no longer than `keep` bytes, else hashed as it streams by.
pub fn read(path: &Path, keep: usize) -> Result<Content> {
    let (file, stat) = open_regular(path)?;
    read_open(file, stat.len, keep).map_err(Error::at("read", path))
}

/// The same for a file that was looked at a moment ago. Should something else stand there now, no link is followed and
/// nothing is waited for.
pub fn read_seen(path: &Path, stat: &Stat, keep: usize) -> Result<Content> {
    regular(path, stat)?;
    read_open(open_any(path)?, stat.len, keep).map_err(Error::at("read", path))
}

fn read_open(mut file: File, size: u64, keep: usize) -> io::Result<Content> {
    let mut bytes = Vec::new();
    if size <= keep as u64 {
        let size = usize::try_from(size).unwrap_or(keep);
        // A byte of room: a file that ends where it was said to end shows that by the first read.
        bytes.resize(size.saturating_add(1), 0);
        let mut len = file.read(&mut bytes)?;
        bytes.truncate(len);
        if len != size || len == 0 {
            len += (&mut file).take((keep + 1).saturating_sub(len) as u64).read_to_end(&mut bytes)?;
        }
        if len <= keep {
            return Ok(Content::Whole(bytes));
        }
    }
    digest(&mut io::Cursor::new(bytes).chain(file))
}

fn digest(from: &mut dyn Read) -> io::Result<Content> {
    let mut len = 0_u64;
    let sha256 = hashing(from, |bytes| {
        len += bytes.len() as u64;
        Ok(())
    })?;
    Ok(Content::Digest { len, sha256 })
}

/// SHA-256 in hex of a stream, each part of which is also given to `part`.
fn hashing(from: &mut dyn Read, mut part: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut block = vec![0_u8; BLOCK];
    loop {
        let n = match from.read(&mut block) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let bytes = block.get(..n).unwrap_or_default();
        hash.update(bytes);
        part(bytes)?;
    }
}

/// Read a text file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: usize) -> Result<String> {
    let too_long = || Error::at("read", path)(io::Error::other(format!("longer than {limit} bytes")));
    let (file, stat) = open_regular(path)?;
    // A sparse file says that it is longer than anybody can read.
    if stat.len > limit as u64 {
        return Err(too_long());
    }
    let content = read_open(file, stat.len, limit).map_err(Error::at("read", path))?;
    let Content::Whole(bytes) = content else { return Err(too_long()) };
    String::from_utf8(bytes).map_err(|_| Error::at("read", path)(io::Error::other("not UTF-8 text")))
}

/// Permission bits and owner of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Permission bits.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
}

/// A new file beside its destination, complete and synced, but not yet in its place. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    // Open for as long as the file is temporary: holds the lock that marks it as in use.
    temp: NamedTempFile,
    dest: PathBuf,
    /// SHA-256 of what was written, in hex.
    pub sha256: String,
}

impl Staged {
    /// Write everything from `content` to a temporary file in `dest`'s directory with its final owner and mode, and
    /// sync it.
    pub fn write(dest: &Path, content: &mut dyn Read, owner: Owner) -> Result<Self> {
        let dir = parent(dest);
        sweep(dir);
        let mut temp = create_temp(dir).map_err(Error::at("create a file in", dir))?;
        let sha256 = hashing(content, |bytes| temp.as_file_mut().write_all(bytes))
            .map_err(Error::at("write", dest))?;
        dress(temp.as_file(), owner).map_err(Error::at("set owner and mode of", dest))?;
        temp.as_file().sync_all().map_err(Error::at("sync", dest))?;
        Ok(Self { temp, dest: dest.to_owned(), sha256 })
    }

    /// Where the file is now, for a command that checks it.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Put it in its place in one step, and sync the directory.
    pub fn place(self) -> Result<()> {
        let Self { temp, dest, .. } = self;
        temp.persist(&dest).map_err(|e| Error::at("replace", &dest)(e.error))?;
        sync_dir(parent(&dest))
    }
}

/// Replace or create a file in one step: [`Staged::write`] then [`Staged::place`].
pub fn replace(dest: &Path, content: &[u8], owner: Owner) -> Result<()> {
    Staged::write(dest, &mut &*content, owner)?.place()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Owner first: changing it clears the set-id bits.
fn dress(file: &File, owner: Owner) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (owner.uid, owner.gid) {
        fchown(file, Some(owner.uid), Some(owner.gid))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(owner.mode))
}

/// Held by whoever makes something temporary until it is marked as in use or has its name, and by whoever sweeps: steps
/// that run at once write to the same directories.
fn births() -> MutexGuard<'static, ()> {
    static BIRTHS: Mutex<()> = Mutex::new(());
    BIRTHS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create_temp(dir: &Path) -> io::Result<NamedTempFile> {
    let _births = births();
    for _ in 0..16 {
        let temp = tempfile::Builder::new().prefix(TEMP_PREFIX).tempfile_in(dir).map_err(plain)?;
        // A sweeper of another process may have taken it for a leftover between creation and lock.
        if temp.as_file().try_lock().is_ok() && temp.as_file().metadata()?.nlink() == 1 {
            return Ok(temp);
        }
    }
    Err(io::Error::other("temporary files vanish as fast as they are made"))
}

/// The system's own error, without the temporary name that `tempfile` wraps around it.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().or_else(|| source_code(&error)).map_or(error, io::Error::from_raw_os_error)
}

fn source_code(error: &io::Error) -> Option<i32> {
    let inner = error.get_ref()?.source()?.downcast_ref::<io::Error>()?;
    inner.raw_os_error()
}

/// Remove temporary files whose writer is dead. Failures are left to the next one.
fn sweep(dir: &Path) {
    let _births = births();
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let ours =
        entries.flatten().filter(|e| e.file_name().as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes()));
    for entry in ours {
        let path = entry.path();
        let stale = match stat(&path) {
            Ok(Stat { kind: Kind::Symlink, .. }) => true,
            Ok(Stat { kind: Kind::File, .. }) => open(&path).is_ok_and(|file| file.try_lock().is_ok()),
            // A tree that was being copied.
            Ok(Stat { kind: Kind::Directory, .. }) => {
                let _ = open_dir(&path, libc::O_NOFOLLOW)
                    .is_ok_and(|dir| dir.try_lock().is_ok() && remove_tree(&path).is_ok());
                false
            }
            _ => false,
        };
        if stale {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A directory; never waits for a FIFO that stands there instead.
fn open_dir(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(flags | libc::O_DIRECTORY | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// Make what happened in a directory last.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let opened = open_dir(dir, 0).and_then(|d| d.sync_all());
    match opened {
        // Some file systems cannot sync directories; nothing better can be had there.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EROFS)) => Ok(()),
        other => other.map_err(Error::at("sync", dir)),
    }
}

/// Make a directory and those above it that are missing, each with `owner`; what exists stays as it is.
pub fn make_dirs(path: &Path, owner: Owner) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.exists()).collect();
    for dir in missing.into_iter().rev() {
        match std::fs::DirBuilder::new().mode(owner.mode & 0o777).create(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => continue,
            other => other.map_err(Error::at("make the directory", dir))?,
        }
        set_owner(dir, owner.uid, owner.gid)?;
        set_mode(dir, owner.mode)?;
        sync_dir(parent(dir))?;
    }
    Ok(())
}

/// Set the owner of what stands at `path`, itself even when it is a link.
pub fn set_owner(path: &Path, uid: u32, gid: u32) -> Result<()> {
    let now = stat(path)?;
    if (now.uid, now.gid) == (uid, gid) {
        return Ok(());
    }
    lchown(path, Some(uid), Some(gid)).map_err(Error::at("change the owner of", path))
}

/// Set the permission bits of a file or directory; a link is refused, even one that was put there a moment ago.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let failed = Error::at("change the mode of", path);
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // A handle on the very thing that was looked at; chmod by way of /proc follows nothing else.
    let change = || -> io::Result<()> {
        let handle = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let now = Stat::of(&handle.metadata()?);
        match now.kind {
            Kind::Symlink => Err(io::Error::other("it is a symbolic link")),
            _ if now.mode == mode => Ok(()),
            _ => {
                let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
                std::fs::set_permissions(itself, std::fs::Permissions::from_mode(mode))
            }
        }
    };
    change().map_err(failed)
}

/// Make `path` a link to `target` in one step, whatever file or link stood there.
pub fn replace_symlink(path: &Path, target: &str, owner: Option<(u32, u32)>) -> Result<()> {
    let dir = parent(path);
    sweep(dir);
    let births = births();
    let named = tempfile::Builder::new().prefix(TEMP_PREFIX).make_in(dir, |temp| symlink(target, temp));
    let temp = named.map_err(plain).map_err(Error::at("make a link in", dir))?.into_temp_path();
    if let Some((uid, gid)) = owner {
        set_owner(&temp, uid, gid)?;
    }
    temp.persist(path).map_err(|e| Error::at("replace", path)(e.error))?;
    drop(births);
    sync_dir(dir)
}

/// Remove a file, link or whole directory tree. A tree that holds a mount point is refused untouched.
pub fn remove(path: &Path) -> Result<()> {
    match stat(path)?.kind {
        Kind::Missing => return Ok(()),
        Kind::Directory => remove_tree(path)?,
        _ => std::fs::remove_file(path).map_err(Error::at("remove", path))?,
    }
    sync_dir(parent(path))
}

fn remove_tree(path: &Path) -> Result<()> {
    // Seen through links: a pinned directory is one.
    let above = std::fs::metadata(parent(path)).map_err(Error::at("look at", parent(path)))?;
    let device = above.dev();
    for entry in walkdir::WalkDir::new(path).into_iter().filter_entry(|e| e.file_type().is_dir()) {
        let entry = entry.map_err(|e| Error::at("look through", path)(e.into()))?;
        if stat(entry.path())?.device != device {
            let reason = format!("{} is a mount point", entry.path().display());
            return Err(Error::at("remove", path)(io::Error::other(reason)));
        }
    }
    std::fs::remove_dir_all(path).map_err(Error::at("remove", path))
}

/// A path whose directories cannot be exchanged for links while it is in use.
#[derive(Debug)]
pub struct Pinned {
    // What `path` leads through.
    _directory: File,
    path: PathBuf,
}

impl Pinned {
    /// Where the pinned thing is reached.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Hold on to the directory that `path` is in, reached from `top` through directories alone. What was seen below a
/// directory that somebody else may write to can be a link elsewhere by the time that it is changed.
pub fn pin(top: &Path, path: &Path) -> Result<Pinned> {
    let failed = || Error::at("reach", path);
    let outside = || failed()(io::Error::other(format!("it is not below {}", top.display())));
    let below = path.strip_prefix(top).map_err(|_| outside())?;
    let (above, name) = below.parent().zip(below.file_name()).ok_or_else(outside)?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let open = |at: &Path| OpenOptions::new().read(true).custom_flags(flags).open(at);
    let inside = |handle: &File| PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    let mut handle = open(top).map_err(failed())?;
    for part in above {
        handle = open(&inside(&handle).join(part)).map_err(failed())?;
    }
    let path = inside(&handle).join(name);
    Ok(Pinned { _directory: handle, path })
}

/// Everything below a directory, sorted by path; links are not followed and directories come before what they hold.
pub fn walk(path: &Path) -> Result<Vec<(PathBuf, Stat)>> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(path).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|e| Error::at("look through", path)(e.into()))?;
        found.push((entry.path().to_owned(), stat(entry.path())?));
    }
    Ok(found)
}

/// Copy a regular file to `dest`, atomically, with the source's mode and owner.
pub fn copy(source: &Path, dest: &Path) -> Result<()> {
    let mut file = open(source)?;
    let now = stat(source)?;
    let owner = Owner { mode: now.mode, uid: now.uid, gid: now.gid };
    Staged::write(dest, &mut file, owner)?.place()
}
