//! Looks at the file system for one rule: which files it has, what is in them, and which directories tell of changes.

// Effects: reads directories and files.
#![allow(clippy::disallowed_methods)]

use super::pattern::Part;
use globset::GlobMatcher;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Larger files are compared by size and time alone.
const MAX_HASHED: u64 = 64 << 20;
/// More files of one rule are not looked at.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 64;
/// As the kernel's own limit of symlinks in one path.
const MAX_LINKS: usize = 40;

/// What a file is by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// SHA-256 of a regular file's bytes.
    Content([u8; 32]),
    /// Where content is not read (too large, or only a quick look is wanted): inode, size, mtime and ctime.
    Stat(u64, u64, (i64, i64), (i64, i64)),
    /// Neither a file nor a directory (a socket, a device).
    Special,
    /// It is there and cannot be read.
    Unreadable,
}

/// What a rule's files are at one moment. Paths are as the rule writes them, wildcards resolved.
pub(crate) type Print = BTreeMap<PathBuf, Mark>;

/// Which entries of a directory matter to a rule.
#[derive(Debug, Default, Clone)]
pub(crate) struct Interest {
    names: BTreeSet<OsString>,
    /// Whatever its name.
    all: bool,
    wild: Vec<GlobMatcher>,
    /// Whatever is created, removed or renamed in it.
    structure: bool,
    /// It holds files whose content matters, not only a part of the way to them.
    pub(crate) content: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) print: Print,
    /// Directories by their real path.
    pub(crate) directories: BTreeMap<PathBuf, Interest>,
    /// More than can be watched was found.
    pub(crate) truncated: bool,
}

impl Survey {
    /// Whether a change of this path (by its real name) matters.
    pub(crate) fn concerns(&self, path: &Path, structural: bool) -> bool {
        if self.directories.contains_key(path) {
            return true;
        }
        let Some((directory, name)) = path.parent().zip(path.file_name()) else { return false };
        self.directories.get(directory).is_some_and(|interest| interest.covers(name, structural))
    }
}

impl Interest {
    fn covers(&self, name: &OsStr, structural: bool) -> bool {
        self.all
            || (self.structure && structural)
            || self.names.contains(name)
            || self.wild.iter().any(|m| m.is_match(Path::new(name)))
    }
}

/// Look at everything that the patterns name; hash the contents, or take a quick look by stat.
pub(crate) fn survey(patterns: &[Vec<Part>], hash: bool) -> Survey {
    let mut walk = Walk { found: Survey::default(), hash };
    for parts in patterns {
        walk.visit(Path::new("/"), Path::new("/"), parts, 0);
    }
    walk.found
}

struct Walk {
    found: Survey,
    hash: bool,
}

impl Walk {
    /// Go the remaining steps from a directory, known by the rule's name for it and by its real one.
    fn visit(&mut self, view: &Path, real: &Path, parts: &[Part], depth: usize) {
        if depth > MAX_DEPTH
            || self.found.print.len() >= MAX_FILES
            || self.found.directories.len() >= MAX_FILES
        {
            self.found.truncated = true;
            return;
        }
        match parts {
            [] => self.arrive(view, real, depth),
            [Part::Name(name), rest @ ..] => {
                if let Some(next) = self.enter(real, name, 0, rest.is_empty()) {
                    self.visit(&view.join(name), &next, rest, depth + 1);
                }
            }
            [Part::Wild(matcher), rest @ ..] => {
                self.interest(real).wild.push(matcher.clone());
                for name in entries(real).into_iter().filter(|n| matcher.is_match(Path::new(n))) {
                    if let Some(next) = self.enter(real, &name, 0, rest.is_empty()) {
                        self.visit(&view.join(&name), &next, rest, depth + 1);
                    }
                }
            }
            [Part::Deep, rest @ ..] => {
                self.interest(real).structure = true;
                self.visit(view, real, rest, depth + 1);
                for name in entries(real) {
                    let next = real.join(&name);
                    // Links are not followed here: they could lead in circles.
                    if next.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                        self.visit(&view.join(&name), &next, parts, depth + 1);
                    }
                }
            }
        }
    }

    /// The real path of a directory's entry, through symlinks, noting every directory on the way. Where the way ends
    /// (`last`), what happens to a file's content matters too.
    fn enter(&mut self, directory: &Path, name: &OsStr, links: usize, last: bool) -> Option<PathBuf> {
        self.interest(directory).names.insert(name.to_owned());
        let path = directory.join(name);
        let meta = path.symlink_metadata().ok()?;
        if !meta.is_symlink() {
            self.interest(directory).content |= last && !meta.is_dir();
            return Some(path);
        }
        if links >= MAX_LINKS {
            return None;
        }
        let mut at = directory.to_owned();
        let target = std::fs::read_link(&path).ok()?;
        let mut components = target.components().peekable();
        while let Some(component) = components.next() {
            let last = last && components.peek().is_none();
            match component {
                Component::RootDir | Component::Prefix(_) => at = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => _ = at.pop(),
                Component::Normal(next) => at = self.enter(&at, next, links + 1, last)?,
            }
        }
        Some(at)
    }

    fn interest(&mut self, directory: &Path) -> &mut Interest {
        self.found.directories.entry(directory.to_owned()).or_default()
    }

    /// The steps end here: a file, or a directory that stands for all below it.
    fn arrive(&mut self, view: &Path, real: &Path, depth: usize) {
        let Ok(meta) = real.symlink_metadata() else { return };
        if meta.is_dir() {
            if depth > 0 {
                // What is below is visited once more through `Deep`; directories met there stand for themselves.
                self.below(view, real, depth);
            }
            return;
        }
        let mark = match (meta.is_file(), self.hash) {
            (false, _) => Mark::Special,
            (true, true) if meta.len() <= MAX_HASHED => content(real).unwrap_or(Mark::Unreadable),
            (true, _) => Mark::Stat(
                meta.ino(),
                meta.len(),
                (meta.mtime(), meta.mtime_nsec()),
                (meta.ctime(), meta.ctime_nsec()),
            ),
        };
        self.found.print.insert(view.to_owned(), mark);
    }

    /// Every file below a directory.
    fn below(&mut self, view: &Path, real: &Path, depth: usize) {
        let interest = self.interest(real);
        if interest.structure {
            return;
        }
        (interest.structure, interest.all) = (true, true);
        for name in entries(real) {
            if let Some(next) = self.enter(real, &name, 0, true) {
                let link = real.join(&name) != next;
                if !(link && next.is_dir()) {
                    self.visit(&view.join(&name), &next, &[], depth + 1);
                }
            }
        }
    }
}

/// The names in a directory, sorted; none when it cannot be read.
fn entries(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name()).take(MAX_FILES).collect();
    names.sort();
    names
}

/// The hash of a regular file. It is opened without waiting, should it have become a pipe meanwhile.
fn content(path: &Path) -> Option<Mark> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return Some(Mark::Special);
    }
    let mut hasher = Sha256::new();
    let mut bounded = file.take(MAX_HASHED);
    let mut buffer = [0u8; 16 << 10];
    loop {
        match bounded.read(&mut buffer).ok()? {
            0 => return Some(Mark::Content(hasher.finalize().into())),
            length => hasher.update(&buffer[..length]),
        }
    }
}
