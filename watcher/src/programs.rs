//! Where programs are looked for when a name has no path. Ours does not count: it may be anybody's.

// Effects: looks at files.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// As a login of root has it.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether somebody may execute it.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The program of that name in a list of directories.
pub(crate) fn search(path: &str, name: &str) -> Option<PathBuf> {
    path.split(':').map(|directory| Path::new(directory).join(name)).find(|program| is_executable(program))
}
