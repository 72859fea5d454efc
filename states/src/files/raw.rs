//! Questions to the tree, as they are asked of the file system.
// Effects: reads files below the roots of the tree, nothing else.
#![allow(clippy::disallowed_methods)]

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Fault};

/// Files of a tree are not larger than this.
const MAX_FILE: u64 = 32 << 20;

/// The first of `roots` that has the file, by its number, and the file.
pub(crate) fn find(roots: &[PathBuf], path: &str) -> Option<(usize, PathBuf)> {
    let path = crate::jinja::normalise("", path)?;
    roots.iter().map(|root| root.join(&path)).enumerate().find(|(_, full)| full.is_file())
}

/// Whether one of `roots` has the directory.
pub(crate) fn find_dir(roots: &[PathBuf], path: &str) -> bool {
    let path = crate::jinja::normalise("", path);
    path.is_some_and(|path| roots.iter().any(|root| root.join(&path).is_dir()))
}

/// Every file (or every directory) below the roots, by its path from there, sorted.
pub(crate) fn listing(roots: &[PathBuf], directories: bool) -> Vec<String> {
    let mut all = Vec::new();
    for root in roots {
        let walk = walkdir::WalkDir::new(root)
            .follow_links(true)
            .min_depth(1)
            .max_depth(32)
            .into_iter()
            .filter_map(Result::ok);
        for entry in walk.take(100_000).filter(|e| e.path().is_dir() == directories) {
            all.extend(entry.path().strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Every SLS name below the roots, sorted, for patterns in top files.
pub(crate) fn sls_names(roots: &[PathBuf]) -> Vec<String> {
    let mut names = Vec::new();
    for root in roots {
        // As Salt's file server does, links to folders are followed; a link that leads back is passed over.
        let walk = walkdir::WalkDir::new(root).follow_links(true).max_depth(32);
        for entry in walk.into_iter().filter_map(Result::ok).take(100_000) {
            let Ok(relative) = entry.path().strip_prefix(root) else { continue };
            let Some(name) = relative.to_str().and_then(|r| r.strip_suffix(".sls")) else { continue };
            let name = name.replace('/', ".");
            names.push(name.strip_suffix(".init").map_or_else(|| name.clone(), str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or is too large.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let cannot = |cause: String| Error::new(Fault::Read { path: path.display().to_string(), cause });
    let io = |e: std::io::Error| cannot(e.to_string());
    // A pipe is not waited for, and what says nothing of its size (below /proc) is read no further than the limit.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(cannot("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_FILE)).unwrap_or_default());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(cannot(format!("it is larger than {MAX_FILE} bytes"))),
        false => Ok(bytes),
    }
}
