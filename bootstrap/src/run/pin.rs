//! Which tree to ask for: the pinned commit until it was converged once on this instance, the reference after that.

use crate::converge::own;
use crate::fetch::Want;
use crate::userdata::Source;
use mayfly_states::fsys;
use std::path::{Path, PathBuf};

/// The note that a pinned commit was converged, which an image carries to other instances (and there means nothing).
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    file: PathBuf,
    instance_id: String,
    pub(crate) done: bool,
}

impl Pin {
    /// Reads the note of this instance for the commit that `source` pins.
    pub(crate) fn load(state_dir: &Path, instance_id: &str, source: &Source) -> Self {
        let file = state_dir.join("pinned");
        let noted = fsys::read_text(&file, 4096).unwrap_or_default();
        let done =
            source.commit.as_ref().is_none_or(|commit| noted.trim() == format!("{instance_id} {commit}"));
        Self { file, instance_id: instance_id.to_owned(), done }
    }

    /// What to ask for now.
    pub(crate) fn want<'a>(&self, source: &'a Source) -> Want<'a> {
        match &source.commit {
            Some(commit) if !self.done || !source.follow => Want::Commit { commit, near: &source.reference },
            _ => Want::Tip(&source.reference),
        }
    }

    /// Notes that `commit` was converged. A disk that refuses costs one converge of the pinned commit at the next boot.
    pub(crate) fn converged(&mut self, source: &Source, commit: &str) {
        if self.done || source.commit.as_deref() != Some(commit) {
            return;
        }
        self.done = true;
        let note = format!("{} {commit}\n", self.instance_id);
        if let Err(error) = fsys::replace(&self.file, note.as_bytes(), own(0o600)) {
            tracing::warn!(%error, "the pinned commit was not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "0123456789abcdef0123456789abcdef01234567";

    fn source(extra: &str) -> Source {
        let text = format!("#mayfly\nrole: web\nstates: {{url: 'file:///x'{extra}}}\n");
        crate::userdata::parse(text.as_bytes()).unwrap().states
    }

    #[test]
    fn a_pinned_commit_is_wanted_until_it_converged_on_this_instance() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(&format!(", commit: '{C}'"));
        let mut pin = Pin::load(dir.path(), "i-1", &source);
        assert_eq!(pin.want(&source), Want::Commit { commit: C, near: "main" });
        pin.converged(&source, "another");
        assert!(!pin.done);
        pin.converged(&source, C);
        assert_eq!(pin.want(&source), Want::Tip("main"));
        assert_eq!(Pin::load(dir.path(), "i-1", &source).want(&source), Want::Tip("main"));
        let on_another = Pin::load(dir.path(), "i-2", &source);
        assert_eq!(on_another.want(&source), Want::Commit { commit: C, near: "main" });
    }

    #[test]
    fn without_follow_the_commit_stays() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(&format!(", commit: '{C}', follow: false"));
        let mut pin = Pin::load(dir.path(), "i-1", &source);
        pin.converged(&source, C);
        assert_eq!(pin.want(&source), Want::Commit { commit: C, near: "main" });
    }
}
