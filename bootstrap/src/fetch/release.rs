//! A commit whose objects are at hand, as a release: judged, written, and made one of those that are there.
// Effects: writes files.
#![allow(clippy::disallowed_methods)]

use super::export::{self, ExportError};
use super::submodules::{FillError, Filled};
use super::{Error, Failure, Fetched, Fetcher, signed};
use git2::{Oid, Repository, Tree};
use std::path::Path;

impl Fetcher {
    /// Writes the release of a commit whose objects are at hand; `None` when they are not.
    pub(super) fn release(&self, repository: &Repository, commit: &str) -> Result<Option<Fetched>, Failure> {
        let Ok(found) = Oid::from_str(commit).and_then(|oid| repository.find_commit(oid)) else {
            return Ok(None);
        };
        let Ok(tree) = found.tree() else { return Ok(None) };
        let damaged = |error: git2::Error| Failure::Store(error.message().to_owned());
        let raw =
            repository.odb().and_then(|odb| Ok(odb.read(found.id())?.data().to_vec())).map_err(damaged)?;
        signed::check(&raw, &self.source.signed_by, self.store.dir(), &self.cancel)
            .map_err(|cause| Error::NotSigned { commit: commit.to_owned(), cause })?;
        let prepared = self.store.unfinished(commit);
        let _ = std::fs::remove_dir_all(&prepared);
        let written = self.write(repository, &tree, &prepared, commit);
        let filled = written.inspect_err(|_| drop(std::fs::remove_dir_all(&prepared)))?;
        self.store.keep_commit(commit, &raw).map_err(Error::Disk)?;
        self.store.keep_submodules(commit, &filled.stores).map_err(Error::Disk)?;
        let path = self.store.finish(&prepared, commit).map_err(Error::Disk)?;
        Ok(Some(Fetched { commit: commit.to_owned(), path, notes: filled.notes, formulas: Vec::new() }))
    }

    /// Writes a tree and its submodules.
    fn write(
        &self,
        repository: &Repository,
        tree: &Tree<'_>,
        prepared: &Path,
        commit: &str,
    ) -> Result<Filled, Failure> {
        let failed = |error: ExportError| match error {
            ExportError::Io { path, source } => {
                let said = std::io::Error::new(source.kind(), format!("{}: {source}", path.display()));
                Failure::from(Error::Disk(said))
            }
            // What was kept between fetches is damaged: worth another download.
            ExportError::Git(error) => Failure::Store(error.message().to_owned()),
            other => Error::Tree { commit: commit.to_owned(), cause: other.to_string() }.into(),
        };
        let (submodules, measure) =
            export::export(repository, tree, prepared, self.around).map_err(failed)?;
        let filled = self.fill(prepared, &submodules, measure).map_err(|error| match error {
            FillError::Tree(error) => failed(error),
            FillError::Fetch(error) => error.into(),
        })?;
        export::sync(prepared).map_err(failed)?;
        Ok(filled)
    }
}
