//! Submodules: what `.gitmodules` says of them, fetching them, and joining them to the tree that asks for them.
// Effects: files.
#![allow(clippy::disallowed_methods)]

use super::export::Submodule;
use super::{Error, Fetcher, Store, Want};
use crate::userdata::{Login, Remote, Source};
use mayfly_states::tree::Roots;
use sha2::Digest;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How deep submodules may nest, and how many a tree may have.
const MAX_NESTING: usize = 3;
const MAX_SUBMODULES: usize = 64;

impl Fetcher {
    /// Fetches submodules into their folders of a tree that is being written.
    pub(super) fn fill(&self, prepared: &Path, wanted: &[Submodule]) -> Result<Vec<String>, Error> {
        let file = prepared.join(".gitmodules");
        let is_file = std::fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file());
        let text = if is_file && self.source.submodules {
            std::fs::read_to_string(&file)
        } else {
            Ok(String::new())
        };
        let text = text.unwrap_or_default();
        let mut notes = Vec::new();
        for (n, submodule) in wanted.iter().enumerate() {
            let address = address(&text, &submodule.path);
            match address.filter(|_| n < MAX_SUBMODULES && self.nesting < MAX_NESTING) {
                None => notes.push(format!("submodule {} is not fetched", submodule.path)),
                Some(url) => {
                    let part = |cause: Error| match cause {
                        Error::Cancelled => Error::Cancelled,
                        cause => Error::Submodule { path: submodule.path.clone(), cause: Box::new(cause) },
                    };
                    let path = self.submodule(&url, &submodule.commit).map_err(part)?;
                    join(&path, &prepared.join(&submodule.path)).map_err(Error::Disk)?;
                }
            }
        }
        Ok(notes)
    }

    /// The folder of a submodule's commit, in a store of its own.
    fn submodule(&self, url: &str, commit: &str) -> Result<PathBuf, Error> {
        let remote = self.remote.submodule(url);
        let remote = remote.map_err(|cause| Error::Refused { url: self.url.clone(), cause })?;
        let name: String =
            sha2::Sha256::digest(remote.url()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let store = Store::open(&self.store.dir().join("submodules").join(name))?;
        let source = Source {
            login: self.login_for(&remote),
            remote,
            mirrors: Vec::new(),
            reference: "HEAD".to_owned(),
            commit: None,
            follow: false,
            file_roots: Roots::new(),
            pillar_roots: Roots::new(),
            // The commit that is named by a signed one needs no signature.
            signed_by: Vec::new(),
            submodules: true,
            formulas: Vec::new(),
        };
        let mut fetcher = Self::new(source, store.clone(), self.vault.clone(), self.cancel.clone());
        fetcher.nesting = self.nesting + 1;
        let fetched = fetcher.get(Want::Commit { commit, near: "HEAD" })?;
        store.prune()?;
        Ok(fetched.path)
    }

    /// What lets us in was given for the host of the first remote: a mirror that stands in for it is another, and so is
    /// what is beside that one. An SSH key is never sent, and has let us in at the mirror already.
    fn login_for(&self, remote: &Remote) -> Login {
        let login = &self.source.login;
        if remote.same_host(&self.source.remote) {
            return login.clone();
        }
        let beside = matches!(remote, Remote::Ssh(_)) && remote.same_host(&self.remote);
        Login { ssh_key: login.ssh_key.clone().filter(|_| beside), ..login.elsewhere() }
    }
}

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
