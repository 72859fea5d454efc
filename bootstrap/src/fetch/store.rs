//! The trees on disk: `releases/<commit>`, the links `current` and `good`, and what is swept away.
// Effects: the state directory.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const KEEP: usize = 5;
const UNFINISHED: &str = ".unfinished-";

/// A link in the state directory that names a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// What is (being) applied.
    Current,
    /// The last that was applied without a failure.
    Good,
}

impl Link {
    fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Good => "good",
        }
    }
}

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens it, making what is missing, and sweeps what an interrupted run left. Trees may hold secrets (pillar), so
    /// only root looks into them.
    ///
    /// # Errors
    /// The disk's words, with the path.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let releases = dir.join("releases");
        DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(|e| named(dir, e))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&releases).map_err(|e| named(&releases, e))?;
        fs::set_permissions(&releases, fs::Permissions::from_mode(0o700)).map_err(|e| named(&releases, e))?;
        let store = Self { dir: dir.to_owned() };
        store.sweep()?;
        Ok(store)
    }

    /// The state directory itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn commit_file(&self, commit: &str) -> PathBuf {
        self.dir.join("commits").join(commit)
    }

    /// Keeps a commit as git stores it, beside its release: who signed it can be asked again later.
    pub(super) fn keep_commit(&self, commit: &str, raw: &[u8]) -> io::Result<()> {
        let path = self.commit_file(commit);
        let dir = self.dir.join("commits");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| named(&dir, e))?;
        fs::write(&path, raw).map_err(|e| named(&path, e))
    }

    /// A commit as git stores it; `None` when it was not kept, or is not that commit.
    pub(super) fn commit_object(&self, commit: &str) -> Option<Vec<u8>> {
        let raw = fs::read(self.commit_file(commit)).ok()?;
        let id = git2::Oid::hash_object(git2::ObjectType::Commit, &raw).ok()?;
        (id.to_string() == commit).then_some(raw)
    }

    /// The reference that a commit was taken for, where that was noted.
    pub(super) fn reference(&self, commit: &str) -> Option<String> {
        fs::read_to_string(self.beside(commit, "reference")).ok()
    }

    /// Notes it. Without the note it is taken for any reference.
    pub(super) fn keep_reference(&self, commit: &str, reference: &str) {
        if self.reference(commit).as_deref() != Some(reference) {
            let _ = fs::write(self.beside(commit, "reference"), reference);
        }
    }

    /// Where the store of a submodule is.
    pub(super) fn submodule(&self, name: &str) -> PathBuf {
        self.dir.join("submodules").join(name)
    }

    /// Notes the stores of a commit's submodules.
    pub(super) fn keep_submodules(&self, commit: &str, stores: &BTreeSet<String>) -> io::Result<()> {
        if stores.is_empty() {
            return Ok(());
        }
        let path = self.beside(commit, "submodules");
        let names: Vec<&str> = stores.iter().map(String::as_str).collect();
        fs::write(&path, names.join("\n")).map_err(|e| named(&path, e))
    }

    /// Removes the stores of submodules but those of `also` and of the trees in use: what is current and what was good; in
    /// the store of a submodule, where nothing is linked, all that are there.
    pub(super) fn sweep_submodules(&self, also: &BTreeSet<String>) -> io::Result<()> {
        let linked = [self.linked(Link::Current), self.linked(Link::Good)];
        let mut users: Vec<String> = linked.into_iter().flatten().collect();
        if users.is_empty() {
            users = self.releases()?;
        }
        let of = |commit: &String| fs::read_to_string(self.beside(commit, "submodules")).ok();
        let lists: Vec<String> = users.iter().filter_map(of).collect();
        let used: BTreeSet<&str> = lists.iter().flat_map(|list| list.lines()).collect();
        let Ok(stores) = fs::read_dir(self.dir.join("submodules")) else { return Ok(()) };
        for store in stores.flatten() {
            let name = store.file_name().to_string_lossy().into_owned();
            if !used.contains(name.as_str()) && !also.contains(&name) {
                fs::remove_dir_all(store.path()).map_err(|e| named(&store.path(), e))?;
            }
        }
        Ok(())
    }

    /// The commits that are there, whole.
    fn releases(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.dir.join("releases"))?.flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// What else is known of a commit.
    fn beside(&self, commit: &str, what: &str) -> PathBuf {
        self.dir.join("commits").join(format!("{commit}.{what}"))
    }

    /// Where objects are kept between fetches.
    pub(super) fn objects(&self) -> PathBuf {
        self.dir.join("objects.git")
    }

    /// The folder of a commit that is there, whole.
    pub(crate) fn release(&self, commit: &str) -> Option<PathBuf> {
        let path = self.folder(commit);
        path.is_dir().then_some(path)
    }

    fn folder(&self, commit: &str) -> PathBuf {
        self.dir.join("releases").join(commit)
    }

    fn unfinished(&self, commit: &str) -> PathBuf {
        self.dir.join("releases").join(format!("{UNFINISHED}{commit}-{}", std::process::id()))
    }

    /// Where a commit's tree is prepared; nothing is there.
    pub(super) fn prepare(&self, commit: &str) -> PathBuf {
        let prepared = self.unfinished(commit);
        self.discard(&prepared);
        prepared
    }

    /// Removes what was prepared. What stays is swept when the store is opened next.
    pub(super) fn discard(&self, prepared: &Path) {
        let _ = fs::remove_dir_all(prepared);
    }

    /// Makes a prepared tree a release.
    pub(super) fn finish(&self, prepared: &Path, commit: &str) -> io::Result<PathBuf> {
        let releases = self.dir.join("releases");
        let path = releases.join(commit);
        match fs::rename(prepared, &path) {
            Ok(()) => {}
            // Somebody else finished the same commit.
            Err(_) if path.is_dir() => fs::remove_dir_all(prepared).map_err(|e| named(prepared, e))?,
            Err(error) => return Err(named(&path, error)),
        }
        sync_dir(&releases)?;
        Ok(path)
    }

    /// The commit that a link names, if its release is there.
    pub(crate) fn linked(&self, link: Link) -> Option<String> {
        let target = fs::read_link(self.dir.join(link.name())).ok()?;
        let commit = target.file_name()?.to_str()?.to_owned();
        self.release(&commit).map(|_| commit)
    }

    /// Points a link at a release: the old target or the new one is seen, never nothing.
    ///
    /// # Errors
    /// The disk's words, with the path.
    pub(crate) fn flip(&self, link: Link, commit: &str) -> io::Result<()> {
        if self.linked(link).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.dir.join(link.name());
        let fresh = self.dir.join(format!(".{}-{}", link.name(), std::process::id()));
        let _ = fs::remove_file(&fresh);
        symlink(Path::new("releases").join(commit), &fresh).map_err(|e| named(&fresh, e))?;
        fs::rename(&fresh, &path).map_err(|e| named(&path, e))?;
        sync_dir(&self.dir)
    }

    /// Removes all but the newest releases; linked ones stay. And what is kept for submodules that no linked one has.
    pub(crate) fn prune(&self) -> io::Result<()> {
        let linked = [self.linked(Link::Current), self.linked(Link::Good)];
        let kept: Vec<String> = linked.into_iter().flatten().collect();
        let mut others = Vec::new();
        for commit in self.releases()?.into_iter().filter(|commit| !kept.contains(commit)) {
            others.push((fs::symlink_metadata(self.folder(&commit))?.modified()?, commit));
        }
        others.sort();
        let extra = others.len().saturating_sub(KEEP.saturating_sub(kept.len()));
        others.iter().take(extra).try_for_each(|(_, commit)| self.remove(commit))?;
        self.sweep_submodules(&BTreeSet::new())
    }

    /// Removes a release and what is known of it.
    fn remove(&self, commit: &str) -> io::Result<()> {
        let folder = self.folder(commit);
        fs::remove_dir_all(&folder).map_err(|e| named(&folder, e))?;
        let beside = ["reference", "submodules"].map(|what| self.beside(commit, what));
        for file in std::iter::once(self.commit_file(commit)).chain(beside) {
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join("releases"))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).map_err(|e| named(&entry.path(), e))?;
            }
        }
        Ok(())
    }
}

/// The same error with the path it is about.
#[allow(clippy::needless_pass_by_value)] // The shape that `map_err` asks for.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(|e| named(dir, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(store: &Store, n: usize) -> String {
        let commit = format!("{n:040x}");
        let prepared = store.unfinished(&commit);
        fs::create_dir(&prepared).unwrap();
        store.finish(&prepared, &commit).unwrap();
        let handle = fs::File::open(store.release(&commit).unwrap()).unwrap();
        handle.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(n as u64)).unwrap();
        commit
    }

    #[test]
    fn links_flip_and_old_releases_go_but_never_linked_ones() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let commits: Vec<String> = (0..9).map(|n| release(&store, n)).collect();
        assert_eq!(store.linked(Link::Current), None);
        store.flip(Link::Good, &commits[0]).unwrap();
        store.flip(Link::Current, &commits[8]).unwrap();
        store.prune().unwrap();
        let left = commits.iter().filter(|c| store.release(c).is_some()).count();
        assert_eq!(left, KEEP);
        assert_eq!(store.linked(Link::Good).as_deref(), Some(commits[0].as_str()));
        assert_eq!(store.linked(Link::Current).as_deref(), Some(commits[8].as_str()));
    }

    #[test]
    fn what_an_interrupted_run_left_is_swept_and_never_linked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        fs::create_dir(store.unfinished("abc")).unwrap();
        symlink("releases/gone", dir.path().join("current")).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(!store.unfinished("abc").exists());
        assert_eq!(store.linked(Link::Current), None);
    }
}
