//! What a directory of the tree holds, over all its file roots.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind};
use crate::modules::file::source::{Address, roots};

/// More than this is not listed.
const MOST_ENTRIES: usize = 200_000;

/// One entry of a directory of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    File,
    Directory,
    /// A link, and where it points; only when links are to be kept.
    Link(String),
}

/// Everything below `salt://…` by relative path, of the first root that has it; `None`: there is no such directory.
pub(crate) fn list(
    address: &Address,
    keep_links: bool,
    call: &Call<'_>,
) -> Result<Option<BTreeMap<String, Entry>>, Failure> {
    let mut all = BTreeMap::new();
    let mut there = false;
    for root in roots(&address.env, call) {
        let top = root.join(&address.path);
        if !top.is_dir() {
            continue;
        }
        if !fsys::canonical(&top)?.starts_with(fsys::canonical(root)?) {
            return Err(Failure::declaration(format!("salt://{} leads out of the tree", address.path)));
        }
        there = true;
        collect(&top, keep_links, &mut all)?;
    }
    Ok(there.then_some(all))
}

/// Links to directories are walked into, unless links are kept; one that leads back to itself is an error.
fn collect(top: &Path, keep_links: bool, all: &mut BTreeMap<String, Entry>) -> Result<(), Failure> {
    let walk = walkdir::WalkDir::new(top).min_depth(1).follow_links(!keep_links).sort_by_file_name();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            // A link that leads nowhere is no file.
            Err(e) if e.path().is_some_and(Path::is_symlink) && e.loop_ancestor().is_none() => continue,
            Err(e) => return Err(Failure::machine(format!("cannot look through {}: {e}", top.display()))),
        };
        let Some(below) = entry.path().strip_prefix(top).ok().and_then(Path::to_str) else { continue };
        let kind = match entry.file_type() {
            t if t.is_symlink() => Entry::Link(fsys::read_link(entry.path())?.to_string_lossy().into_owned()),
            t if t.is_dir() => Entry::Directory,
            t if t.is_file() && fsys::stat(entry.path())?.kind != Kind::Missing => Entry::File,
            _ => continue,
        };
        all.entry(below.to_owned()).or_insert(kind);
        if all.len() > MOST_ENTRIES {
            return Err(Failure::machine(format!(
                "{} holds more than {MOST_ENTRIES} entries",
                top.display()
            )));
        }
    }
    Ok(())
}
