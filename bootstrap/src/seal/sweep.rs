//! Cleans the [places](super::places), and tells of what could not be cleaned.
// Effects: removes and empties files.

use super::folder::{Folder, Is};
use super::places::{Act, OWN, PLACES, Place};
use std::ffi::{CStr, CString};
use std::io;
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
    PLACES.iter().for_each(|place| swept.place(root, place));
    if let Err(error) = Folder::open(state_dir, "").and_then(|own| swept.own(&own)) {
        swept.note(Err(error), state_dir, "the builder's own state", true);
    }
    swept
}

impl Swept {
    fn place(&mut self, root: &Path, place: &Place) {
        let folders = folders(root, place.folder).unwrap_or_else(|error| {
            // What root may not even look into is not this machine's own: a user namespace has such places.
            let vital = place.vital && error.kind() != io::ErrorKind::PermissionDenied;
            self.note(Err(error), &root.join(place.folder), place.what, vital);
            Vec::new()
        });
        for (path, folder) in folders {
            if let Err(error) = folder.and_then(|folder| self.clean(place, &folder)) {
                self.note(Err(error), &path, place.what, place.vital);
            }
        }
    }

    fn clean(&mut self, place: &Place, folder: &Folder) -> io::Result<()> {
        for name in folder.names()? {
            let named = is_named(&name, place.names);
            let done = match place.act {
                Act::Remove if named => folder.remove(&name),
                Act::Empty if named => folder.empty(&name),
                Act::Clear(spared) if !is_named(&name, spared) => folder.remove(&name),
                Act::Logs => {
                    self.log(place, folder, &name);
                    continue;
                }
                Act::Remove | Act::Empty | Act::Clear(_) => continue,
            };
            self.note(done, &folder.shown(&name), place.what, place.vital);
        }
        Ok(())
    }

    fn log(&mut self, place: &Place, folder: &Folder, name: &CStr) {
        let done = match folder.kind(name) {
            Ok(Is::Folder) => folder.below(name).and_then(|inner| {
                inner.names()?.iter().for_each(|name| self.log(place, &inner, name));
                Ok(false)
            }),
            Ok(Is::File) if is_old(name) => folder.remove(name),
            Ok(Is::File) => folder.empty(name),
            Ok(Is::Other) => Ok(false),
            Err(error) => Err(error),
        };
        self.note(done, &folder.shown(name), place.what, place.vital);
    }

    fn own(&mut self, folder: &Folder) -> io::Result<()> {
        for name in folder.names()?.iter().filter(|name| is_named(name, OWN)) {
            self.note(folder.remove(name), &folder.shown(name), "the builder's own state", true);
        }
        Ok(())
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

/// The folders that a place means, if there are any, each with where it is. A link below `home` is nobody's home.
///
/// # Errors
/// That of the fixed part of the place; each home has its own.
fn folders(root: &Path, pattern: &str) -> io::Result<Vec<(PathBuf, io::Result<Folder>)>> {
    let (fixed, each) = pattern.strip_suffix("/*").map_or((pattern, false), |parent| (parent, true));
    let folder = match Folder::open(root, fixed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    if !each {
        return Ok(vec![(root.join(fixed), Ok(folder))]);
    }
    let names = match folder.names() {
        Ok(names) => names,
        Err(error) => return Ok(vec![(root.join(fixed), Err(error))]),
    };
    let inner = |name: &CString| inner(&folder, name).map(|inner| (folder.shown(name), inner));
    Ok(names.iter().filter_map(inner).collect())
}

/// A folder in another; `None` when the name is another thing, or has gone meanwhile.
fn inner(folder: &Folder, name: &CStr) -> Option<io::Result<Folder>> {
    let is_folder = folder.kind(name).map(|kind| kind == Is::Folder);
    match is_folder.and_then(|is| is.then(|| folder.folder(name)).transpose()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        inner => inner.transpose(),
    }
}

fn is_named(name: &CStr, names: &[&str]) -> bool {
    let own = name.to_string_lossy();
    names.iter().any(|name| match name.split_once('*') {
        Some((head, tail)) => {
            own.len() >= head.len() + tail.len() && own.starts_with(head) && own.ends_with(tail)
        }
        None => own == *name,
    })
}

/// Rotated and journal files: nobody expects them.
fn is_old(name: &CStr) -> bool {
    let name = name.to_string_lossy();
    let ends = [".gz", ".xz", ".bz2", ".zst", ".old", ".journal", ".journal~"];
    let number = name
        .rsplit_once(['.', '-'])
        .is_some_and(|(_, end)| !end.is_empty() && end.chars().all(|c| c.is_ascii_digit()));
    number || ends.iter().any(|end| name.ends_with(end))
}
