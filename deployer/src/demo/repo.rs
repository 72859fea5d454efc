//! The demo's state repository: the starter tree, committed to a bare repository and edited as a person would.
// Effects: git repositories are files.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature};
use include_dir::{Dir, include_dir};

/// The tree that teams copy to begin with.
static STARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../states/starter");
const BRANCH: &str = "main";

/// A working copy beside the bare repository that instances pull from.
pub(super) struct StateRepo {
    work: Repository,
    folder: PathBuf,
}

impl StateRepo {
    /// Makes `bare` (served over HTTP) and `work` (edited here), with the starter tree as first commit.
    pub(super) fn create(bare: &Path, work: &Path) -> Result<Self> {
        let options = |is_bare| {
            let mut options = RepositoryInitOptions::new();
            options.bare(is_bare).initial_head(BRANCH).mkpath(true);
            options
        };
        let origin = Repository::init_opts(bare, &options(true)).context("make the demo's git repository")?;
        // Instances may ask for the very commit that a deployment pinned.
        origin.config()?.set_bool("uploadpack.allowReachableSHA1InWant", true)?;
        let repo = Repository::init_opts(work, &options(false)).context("make the demo's working copy")?;
        repo.remote("origin", bare.to_str().context("the demo's folder is not UTF-8")?)?;
        STARTER.extract(work).context("write the starter tree")?;
        let this = Self { work: repo, folder: work.to_owned() };
        this.commit_and_push("Begin with the starter tree")?;
        Ok(this)
    }

    /// Replaces `old` by `new` in one file of the tree, commits and pushes.
    pub(super) fn edit(&self, file: &str, old: &str, new: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        ensure!(text.contains(old), "{file} has no {old:?} to edit");
        std::fs::write(&path, text.replace(old, new)).with_context(|| format!("write {file}"))?;
        self.commit_and_push(&format!("Say {new:?} instead of {old:?}"))
    }

    fn commit_and_push(&self, message: &str) -> Result<()> {
        let mut index = self.work.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = self.work.find_tree(index.write_tree()?)?;
        let who = Signature::now("Mayfly demo", "demo@mayfly.invalid")?;
        let head = self.work.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = head.iter().collect();
        self.work.commit(Some("HEAD"), &who, &who, message, &tree, &parents)?;
        let branch = format!("refs/heads/{BRANCH}:refs/heads/{BRANCH}");
        self.work.find_remote("origin")?.push(&[branch], None).context("push to the demo's git repository")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_reaches_the_bare_repository() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let repo = StateRepo::create(&folder.path().join("states.git"), &folder.path().join("work"))?;
        repo.edit("pillar/greeter.sls", "greeting: Hello", "greeting: Servus")?;
        let bare = Repository::open_bare(folder.path().join("states.git"))?;
        let tree = bare.find_reference("refs/heads/main")?.peel_to_tree()?;
        let blob = tree.get_path(Path::new("pillar/greeter.sls"))?.to_object(&bare)?;
        let text = String::from_utf8_lossy(blob.as_blob().context("a file")?.content()).into_owned();
        assert!(text.contains("greeting: Servus"), "{text}");
        assert!(repo.edit("pillar/greeter.sls", "no such text", "x").is_err());
        Ok(())
    }
}
