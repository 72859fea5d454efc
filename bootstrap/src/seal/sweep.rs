//! Cleans the [places](super::places) and looks that they are clean. No link is followed: what services own may lie there.
// Effects: removes and empties files.
#![allow(clippy::disallowed_methods)]

use super::places::{Act, OWN, PLACES, Place};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Files and folders that were removed or emptied.
    pub(super) cleaned: usize,
    /// What must not be in an image and is still there.
    pub(super) problems: Vec<String>,
    /// What is still there and may be.
    pub(super) notes: Vec<String>,
}

pub(super) fn sweep(root: &Path, state_dir: &Path) -> Swept {
    let mut swept = Swept::default();
    for place in PLACES {
        for folder in folders(root, place.folder) {
            swept.clean(place, &folder);
        }
    }
    for name in OWN {
        let path = state_dir.join(name);
        let done = remove(&path);
        swept.note(done, &path, "the builder's own state", true);
    }
    swept
}

impl Swept {
    fn clean(&mut self, place: &Place, folder: &Path) {
        match place.act {
            Act::Remove | Act::Empty => {
                let named = entries(folder).into_iter().filter(|path| is_named(path, place.names));
                for path in named {
                    let done = if place.act == Act::Empty { empty(&path) } else { remove(&path) };
                    self.note(done, &path, place.what, place.vital);
                }
            }
            Act::Clear(spared) => {
                for path in entries(folder).into_iter().filter(|path| !is_named(path, spared)) {
                    let done = remove(&path);
                    self.note(done, &path, place.what, place.vital);
                }
            }
            Act::Logs => self.logs(place, folder),
        }
    }

    fn logs(&mut self, place: &Place, folder: &Path) {
        for path in entries(folder) {
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.is_dir() {
                self.logs(place, &path);
            } else if meta.is_file() {
                let done = if is_old(&path) { remove(&path) } else { empty(&path) };
                self.note(done, &path, place.what, place.vital);
            }
        }
    }

    /// `Ok(false)`: there was nothing to do.
    fn note(&mut self, done: io::Result<bool>, path: &Path, what: &str, vital: bool) {
        match done {
            Ok(done) => self.cleaned += usize::from(done),
            Err(error) => {
                let list = if vital { &mut self.problems } else { &mut self.notes };
                list.push(format!("{what}: {}: {error}", path.display()));
            }
        }
    }
}

/// The folders that a place means, links left out: below the root nothing is another's.
fn folders(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let all = match pattern.strip_suffix("/*") {
        Some(parent) => entries(&root.join(parent)),
        None => vec![root.join(pattern)],
    };
    all.into_iter().filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir())).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn is_named(path: &Path, names: &[&str]) -> bool {
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    names.iter().any(|name| match name.split_once('*') {
        Some((head, tail)) => {
            own.len() >= head.len() + tail.len() && own.starts_with(head) && own.ends_with(tail)
        }
        None => own == *name,
    })
}

/// Rotated and journal files: nobody expects them.
fn is_old(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ends = [".gz", ".xz", ".bz2", ".zst", ".old", ".journal", ".journal~"];
    let number = name
        .rsplit_once(['.', '-'])
        .is_some_and(|(_, end)| !end.is_empty() && end.chars().all(|c| c.is_ascii_digit()));
    number || ends.iter().any(|end| name.ends_with(end))
}

fn remove(path: &Path) -> io::Result<bool> {
    let gone = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    gone.map(|()| true)
}

fn empty(path: &Path) -> io::Result<bool> {
    let meta = path.symlink_metadata()?;
    if !meta.is_file() {
        return remove(path);
    }
    if meta.len() == 0 {
        return Ok(false);
    }
    OpenOptions::new().write(true).truncate(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    Ok(true)
}
