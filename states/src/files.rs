//! Reading the tree: the one place of the language half that touches files.
// Effects: reads files below the roots of the tree, nothing else.
#![allow(clippy::disallowed_methods)]

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Fault};
use crate::nearest::did_you_mean;
use crate::python::glob::{fnmatch, is_pattern};

/// Files of a tree are not larger than this.
const MAX_FILE: u64 = 32 << 20;

/// The first of `roots` that has the file.
pub(crate) fn find(roots: &[PathBuf], path: &str) -> Option<PathBuf> {
    let path = crate::jinja::normalise("", path)?;
    roots.iter().map(|root| root.join(&path)).find(|full| full.is_file())
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

/// The text of a file.
///
/// # Errors
/// It cannot be read, is too large, or is no UTF-8.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let cannot = |cause: String| Error::new(Fault::Read { path: path.display().to_string(), cause });
    String::from_utf8(bytes(path)?).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        cannot(format!("it is no UTF-8 text (line {line})"))
    })
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

/// What was likely meant by the name of an SLS that is not there: one that is written as a path, or the nearest.
pub(crate) fn sls_meant(roots: &[PathBuf], name: &str) -> Option<String> {
    let all = sls_names(roots);
    let bare = name.trim_start_matches("salt://").trim_matches('/');
    let bare = bare.strip_suffix(".sls").unwrap_or(bare).replace('/', ".");
    let bare = bare.strip_suffix(".init").unwrap_or(&bare);
    if bare != name && all.iter().any(|known| known == bare) {
        return Some(format!("an SLS is named without `.sls`, and with dots for folders: write `{bare}`"));
    }
    // Where only the case or the form differs, the nearest is that of the bare name too.
    did_you_mean(bare, all.iter().map(String::as_str))
}

/// The SLS names that a name or pattern means, sorted; a plain name means itself, whether it exists or not.
pub(crate) fn sls_matching(roots: &[PathBuf], name: &str) -> Vec<String> {
    if is_pattern(name) { sls_available(roots, name) } else { vec![name.to_owned()] }
}

/// The SLS names that are there and that a name or pattern means, sorted.
pub(crate) fn sls_available(roots: &[PathBuf], name: &str) -> Vec<String> {
    let mut all = sls_names(roots);
    all.retain(|found| fnmatch(found, name));
    all
}
