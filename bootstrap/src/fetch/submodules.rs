//! What `.gitmodules` says, and joining a fetched submodule to the tree that asks for it.
// Effects: files.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io;
use std::path::Path;

/// The address of the submodule at `path`, as `.gitmodules` gives it.
pub(super) fn address(gitmodules: &str, path: &str) -> Option<String> {
    let mut found = None;
    for section in gitmodules.split("\n[").map(|text| text.trim_start_matches('[')) {
        if !section.starts_with("submodule ") {
            continue;
        }
        let value = |key: &str| {
            section.lines().skip(1).find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        if value("path").as_deref() == Some(path) {
            found = value("url");
        }
    }
    found
}

/// Gives the files of one release a second name below another tree. The folder `to` is there and empty.
pub(super) fn join(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&target)?;
            join(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_by_path() {
        let text = "[submodule \"a\"]\n\tpath = formulas/a\n\turl = ../a.git\n[submodule \"b\"]\n\turl = \"https://h/b\"\n\tpath = b\n";
        assert_eq!(address(text, "formulas/a").as_deref(), Some("../a.git"));
        assert_eq!(address(text, "b").as_deref(), Some("https://h/b"));
        assert_eq!(address(text, "c"), None);
    }
}
