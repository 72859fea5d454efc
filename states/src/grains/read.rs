//! The machine's files below a root, read for grains: bounded, never waiting, never failing.
// Effects: this is where grains touch the machine's files.
#![allow(clippy::disallowed_methods)]

use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// No file that tells of a machine is larger; `/proc/cpuinfo` of 900 processors is half of it.
const LIMIT: u64 = 4 << 20;

/// A folder has no more entries than this that are looked at.
const ENTRIES: usize = 4096;

/// Where programs are beside `$PATH`.
const FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A root folder, `/` but in tests and for images.
pub(crate) struct Root<'a>(pub(crate) &'a Path);

impl Root<'_> {
    /// A regular file's bytes, at most [`LIMIT`] of them. A pipe or a device is not waited for.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.0.join(path)).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(path)?).into_owned())
    }

    /// The same without white space around it.
    pub(crate) fn line(&self, path: &str) -> Option<String> {
        Some(self.text(path)?.trim().to_owned())
    }

    /// The text of the first of these files that is there.
    pub(crate) fn first(&self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.text(path))
    }

    /// Whether something is there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// The names in a folder, as the kernel lists them.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(folder)) else { return Vec::new() };
        entries.flatten().take(ENTRIES).filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Where a symbolic link points.
    pub(crate) fn link(&self, path: &str) -> Option<PathBuf> {
        std::fs::read_link(self.0.join(path)).ok()
    }

    /// Whether two paths are one folder; unknown where one cannot be looked at.
    pub(crate) fn same(&self, one: &str, other: &str) -> Option<bool> {
        let of = |path: &str| std::fs::metadata(self.0.join(path)).ok().map(|m| (m.dev(), m.ino()));
        Some(of(one)? == of(other)?)
    }

    /// A program found as a shell finds it, as an absolute path without the root.
    pub(crate) fn program(&self, name: &str) -> Option<String> {
        let executable = |path: &str| {
            let found = |meta: &Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
            std::fs::metadata(self.0.join(path.trim_start_matches('/'))).is_ok_and(|meta| found(&meta))
        };
        if name.starts_with('/') {
            return executable(name).then(|| name.to_owned());
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let folders = path.split(':').chain(FOLDERS.split(':')).filter(|folder| folder.starts_with('/'));
        folders.map(|folder| format!("{folder}/{name}")).find(|path| executable(path))
    }
}

/// A root folder with these files, for tests.
#[cfg(test)]
pub(crate) fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_and_a_huge_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root(folder.path());
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(root.bytes("pipe"), None);
        std::fs::File::create(folder.path().join("huge")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(root.bytes("huge").unwrap().len() as u64, LIMIT);
        assert_eq!(root.bytes("absent"), None);
        assert_eq!(root.bytes("."), None);
    }

    #[test]
    fn a_program_is_an_executable_file_in_the_usual_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
        let file = folder.path().join("usr/bin/tool-of-this-test");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Root(folder.path()).program("tool-of-this-test"), None);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(Root(folder.path()).program("tool-of-this-test").unwrap(), "/usr/bin/tool-of-this-test");
    }
}
