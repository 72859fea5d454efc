//! A commit whose objects are at hand, as a release: judged, written, and made one of those that are there.

use super::export::{self, ExportError};
use super::submodules::{FillError, Filled};
use super::{Error, Failure, Fetched, Fetcher, signed};
use git2::{ObjectType, Oid, Repository};
use std::path::Path;

/// A commit without its tree: its message and its signature.
const MAX_COMMIT: usize = 1024 * 1024;

impl Fetcher {
    /// Writes the release of a commit whose objects are at hand; `None` when they are not.
    pub(super) fn release(&self, repository: &Repository, commit: &str) -> Result<Option<Fetched>, Failure> {
        let damaged = |error: git2::Error| Failure::Store(error.message().to_owned());
        let objects = repository.odb().map_err(damaged)?;
        let Ok(id) = Oid::from_str(commit) else { return Ok(None) };
        // Its size first: it is read whole.
        match objects.read_header(id) {
            Ok((size, ObjectType::Commit)) if size > MAX_COMMIT => {
                let cause = format!("what it says of itself is longer than {} KiB", MAX_COMMIT / 1024);
                return Err(Error::Tree { commit: commit.to_owned(), cause }.into());
            }
            Ok((_, ObjectType::Commit)) => {}
            _ => return Ok(None),
        }
        let raw = objects.read(id).map_err(damaged)?.data().to_vec();
        let Ok(root) = repository.find_commit(id).map(|found| found.tree_id()) else { return Ok(None) };
        if !objects.exists(root) {
            return Ok(None);
        }
        signed::check(&raw, &self.source.signed_by, self.store.dir(), &self.cancel)
            .map_err(|cause| Error::NotSigned { commit: commit.to_owned(), cause })?;
        let prepared = self.store.prepare(commit);
        let written = self.write(repository, root, &prepared, commit);
        let filled = written.inspect_err(|_| self.store.discard(&prepared))?;
        self.store.keep_commit(commit, &raw).map_err(Error::Disk)?;
        self.store.keep_submodules(commit, &filled.stores).map_err(Error::Disk)?;
        let path = self.store.finish(&prepared, commit).map_err(Error::Disk)?;
        Ok(Some(Fetched { commit: commit.to_owned(), path, notes: filled.notes, formulas: Vec::new() }))
    }

    /// Writes a tree and its submodules.
    fn write(
        &self,
        repository: &Repository,
        root: Oid,
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
        let mut around = self.around;
        let tree = export::folder(repository, root, Path::new(""), &mut around).map_err(failed)?;
        let (submodules, measure) = export::export(repository, &tree, prepared, around).map_err(failed)?;
        let filled = self.fill(prepared, &submodules, measure).map_err(|error| match error {
            FillError::Tree(error) => failed(error),
            FillError::Fetch(error) => error.into(),
        })?;
        export::sync(prepared).map_err(failed)?;
        Ok(filled)
    }
}
