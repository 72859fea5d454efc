//! Reading the tree: the one place of the language half that touches files. A compile takes down what it asks here.

use std::path::{Path, PathBuf};

use crate::error::{Error, Fault};
use crate::kept::{self, Answer, Question};
use crate::nearest::did_you_mean;
use crate::python::glob::{fnmatch, is_pattern};

/// The first of `roots` that has the file.
pub(crate) fn find(roots: &[PathBuf], path: &str) -> Option<PathBuf> {
    let found = raw::find(roots, path);
    let place = found.as_ref().map(|(root, _)| *root);
    kept::record(roots, |at| Question::Find(at, path.to_owned()), || Answer::In(place));
    found.map(|(_, full)| full)
}

/// Whether one of `roots` has the directory.
pub(crate) fn find_dir(roots: &[PathBuf], path: &str) -> bool {
    let found = raw::find_dir(roots, path);
    kept::record(roots, |at| Question::Directory(at, path.to_owned()), || Answer::Is(found));
    found
}

/// Every file (or every directory) below the roots, by its path from there, sorted.
pub(crate) fn listing(roots: &[PathBuf], directories: bool) -> Vec<String> {
    let all = raw::listing(roots, directories);
    kept::record(roots, |at| Question::Listing(at, directories), || Answer::names(&all));
    all
}

/// Every SLS name below the roots, sorted, for patterns in top files.
pub(crate) fn sls_names(roots: &[PathBuf]) -> Vec<String> {
    let all = raw::sls_names(roots);
    kept::record(roots, Question::Names, || Answer::names(&all));
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
    let found = raw::bytes(path);
    match &found {
        Ok(bytes) => kept::read(path, bytes),
        // What it fails by may pass.
        Err(_) => kept::volatile(),
    }
    found
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

/// The same, not taken down: for whoever asks whether an answer is still the same.
pub(crate) mod raw;
