//! One commit's tree as plain files in a fresh folder: no filters, no hooks, nothing that leads out of it.
// Effects: writes files.
#![allow(clippy::disallowed_methods)]

use super::budget::Measure;
use git2::{ObjectType, Repository, Tree};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

const MAX_DEPTH: usize = 64;

/// Why a tree was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// The tree has something in it that is refused.
    #[error("{path}: {message}")]
    Refused {
        /// Path in the repository.
        path: String,
        /// Why.
        message: String,
    },
    /// The object store is not whole.
    #[error("{0}")]
    Git(#[from] git2::Error),
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// Path on disk.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

struct Export<'a> {
    repository: &'a Repository,
    submodules: Vec<Submodule>,
}

/// A place in a tree where a commit of another repository belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submodule {
    /// In the tree.
    pub(super) path: String,
    /// 40 hex digits.
    pub(super) commit: String,
}

/// Writes `tree` into `into`, which must not exist. Gives the submodules, whose folders are left empty, and what the tree
/// comes to with those around it; `around` has the list of `tree` itself.
pub(super) fn export(
    repository: &Repository,
    tree: &Tree<'_>,
    into: &Path,
    around: Measure,
) -> Result<(Vec<Submodule>, Measure), ExportError> {
    let mut measure = around;
    count(&mut measure, repository, tree, Path::new(""))?;
    let mut export = Export { repository, submodules: Vec::new() };
    export.folder(tree, into, Path::new(""))?;
    Ok((export.submodules, measure))
}

/// A few objects can say that they are a billion files, so all is counted before anything is written.
fn count(
    measure: &mut Measure,
    repository: &Repository,
    tree: &Tree<'_>,
    shown: &Path,
) -> Result<(), ExportError> {
    if shown.components().count() > MAX_DEPTH {
        return refuse(shown, format!("folders nest more than {MAX_DEPTH} deep"));
    }
    for entry in tree {
        let shown = shown.join(String::from_utf8_lossy(entry.name_bytes()).as_ref());
        measure.entry().map_err(|m| refused(&shown, m))?;
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let inner = folder(repository, entry.id(), &shown, measure)?;
                count(measure, repository, &inner, &shown)?;
            }
            Some(ObjectType::Commit) => {}
            // A blob's size is asked of its header: a small pack can hold one that no memory has room for.
            _ => {
                let (size, _) = repository.odb()?.read_header(entry.id())?;
                measure.bytes(size as u64).map_err(|m| refused(&shown, m))?;
            }
        }
    }
    Ok(())
}

impl Export<'_> {
    fn folder(&mut self, tree: &Tree<'_>, dir: &Path, shown: &Path) -> Result<(), ExportError> {
        // `create`, never `create_all`: a path that exists is a second entry of the same name.
        DirBuilder::new().mode(0o755).create(dir).map_err(|e| io(dir, e))?;
        for entry in tree {
            let name = plain_name(entry.name_bytes()).map_err(|m| refused(shown, m))?;
            self.entry(&entry, &dir.join(name), &shown.join(name))?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &git2::TreeEntry<'_>, path: &Path, shown: &Path) -> Result<(), ExportError> {
        match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => self.folder(&self.repository.find_tree(entry.id())?, path, shown),
            (Some(ObjectType::Commit), _) => {
                let commit = entry.id().to_string();
                self.submodules.push(Submodule { path: shown.display().to_string(), commit });
                DirBuilder::new().mode(0o755).create(path).map_err(|e| io(path, e))
            }
            (_, 0o120_000) => self.symlink(entry.id(), path, shown),
            (_, mode) => self.file(entry.id(), if mode & 0o111 == 0 { 0o644 } else { 0o755 }, path),
        }
    }

    fn file(&self, id: git2::Oid, mode: u32, path: &Path) -> Result<(), ExportError> {
        let blob = self.repository.find_blob(id)?;
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| file.write_all(blob.content()));
        written.map_err(|e| io(path, e))
    }

    fn symlink(&self, id: git2::Oid, path: &Path, shown: &Path) -> Result<(), ExportError> {
        let blob = self.repository.find_blob(id)?;
        let target = std::str::from_utf8(blob.content())
            .map_err(|_| refused(shown, "symlink target is not text".into()))?;
        let depth = shown.components().count().saturating_sub(1);
        if !stays_inside(target, depth) {
            return refuse(shown, format!("symlink to {target:?} leads out of the repository"));
        }
        std::os::unix::fs::symlink(target, path).map_err(|e| io(path, e))
    }
}

/// Whether a symlink in a folder `depth` levels down stays below the top, whatever other such links it passes: `..` only
/// at the beginning, at most `depth` times. (Folders of the tree are real, so climbing from one is climbing the tree.)
fn stays_inside(target: &str, depth: usize) -> bool {
    let mut climbed = 0;
    let mut descended = false;
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir if descended => return false,
            Component::ParentDir => climbed += 1,
            Component::Normal(_) => descended = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.is_empty() && target.len() < 4096 && climbed <= depth
}

/// A name that is one component and means nothing else.
fn plain_name(bytes: &[u8]) -> Result<&str, String> {
    let name = std::str::from_utf8(bytes).map_err(|_| "a file name that is not UTF-8".to_owned())?;
    let special = name.is_empty() || name == "." || name == ".." || name.eq_ignore_ascii_case(".git");
    match special || name.contains(['/', '\0']) || name.len() > 255 {
        true => Err(format!("the file name {name:?} is not allowed")),
        false => Ok(name),
    }
}

/// Gives the files of one release a second name below another tree. The folder `to` is there and empty; in the tree it is
/// `shown`.
pub(super) fn join(from: &Path, to: &Path, shown: &Path, measure: &mut Measure) -> Result<(), ExportError> {
    for entry in fs::read_dir(from).map_err(|e| io(from, e))? {
        let entry = entry.map_err(|e| io(from, e))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let shown = shown.join(entry.file_name());
        let meta = entry.metadata().map_err(|e| io(&path, e))?;
        measure.entry().map_err(|m| refused(&shown, m))?;
        if meta.is_dir() {
            fs::create_dir(&target).map_err(|e| io(&target, e))?;
            join(&path, &target, &shown, measure)?;
        } else if meta.is_symlink() {
            let link = fs::read_link(&path).map_err(|e| io(&path, e))?;
            std::os::unix::fs::symlink(link, &target).map_err(|e| io(&target, e))?;
        } else {
            measure.bytes(meta.len()).map_err(|m| refused(&shown, m))?;
            fs::hard_link(&path, &target).map_err(|e| io(&target, e))?;
        }
    }
    Ok(())
}

/// A folder, whose list is measured by its header first: it is read whole.
pub(super) fn folder<'r>(
    repository: &'r Repository,
    id: git2::Oid,
    shown: &Path,
    measure: &mut Measure,
) -> Result<Tree<'r>, ExportError> {
    let (size, _) = repository.odb()?.read_header(id)?;
    measure.list(size as u64).map_err(|m| refused(shown, m))?;
    Ok(repository.find_tree(id)?)
}

/// Makes what was written last: every file and folder on disk before anybody points at it.
pub(super) fn sync(dir: &Path) -> Result<(), ExportError> {
    let handle = fs::File::open(dir).map_err(|e| io(dir, e))?;
    rustix::fs::syncfs(&handle).map_err(|e| io(dir, e.into()))
}

fn refuse<T>(shown: &Path, message: String) -> Result<T, ExportError> {
    Err(refused(shown, message))
}

pub(super) fn refused(shown: &Path, message: String) -> ExportError {
    ExportError::Refused { path: shown.display().to_string(), message }
}

fn io(path: &Path, source: std::io::Error) -> ExportError {
    ExportError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Bounds;
    use super::*;

    #[test]
    fn links_may_climb_to_the_top_and_no_further() {
        assert!(stays_inside("b", 0));
        assert!(stays_inside("../../x", 2));
        assert!(stays_inside("./../x/y", 1));
        for (target, depth) in
            [("/etc/passwd", 3), ("../x", 0), ("../../x", 1), ("a/../../x", 5), ("", 0), ("x/..", 1)]
        {
            assert!(!stays_inside(target, depth), "{target}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        assert_eq!(plain_name(b"a.sls"), Ok("a.sls"));
        for name in [&b".."[..], b".", b"", b".git", b".GIT", b"a/b", b"\xff"] {
            assert!(plain_name(name).is_err(), "{name:?}");
        }
    }

    /// Everything below a folder: paths, and what files hold and links name.
    fn listing(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let (kind, path) = (entry.file_type().unwrap(), entry.path());
            let holds = match (kind.is_dir(), kind.is_symlink()) {
                (true, _) => Vec::new(),
                (_, true) => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                _ => fs::read(&path).unwrap(),
            };
            if kind.is_dir() {
                all.extend(listing(&path));
            }
            all.push((path, holds));
        }
        all.sort();
        all
    }

    /// A tree of several entries, written as it is.
    fn tree_of<'r>(repository: &'r Repository, entries: &[(&str, &str, git2::Oid)]) -> Tree<'r> {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(id.as_bytes());
        }
        repository.find_tree(repository.odb().unwrap().write(ObjectType::Tree, &raw).unwrap()).unwrap()
    }

    #[test]
    fn hostile_trees_write_nothing_outside() {
        let (dir, objects) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let repository = Repository::init_bare(objects.path()).unwrap();
        fs::create_dir_all(dir.path().join("in/outside")).unwrap();
        fs::write(dir.path().join("in/outside/kept"), "as it was").unwrap();
        let blob = |text: &str| repository.odb().unwrap().write(ObjectType::Blob, text.as_bytes()).unwrap();
        let (evil, out) = (blob("evil"), blob("../outside"));
        let below = |name: &str| tree_of(&repository, &[("100644", name, evil)]).id();
        let trees = [
            vec![("100644", "..", evil)],
            vec![("100644", ".git", evil)],
            vec![("40000", ".git", below("config"))],
            vec![("40000", "..", below("outside"))],
            vec![("100644", "../outside/kept", evil)],
            vec![("100644", "../evil", evil)],
            vec![("120000", "l", blob("/etc"))],
            vec![("120000", "l", out)],
            // A link, and then files where it leads.
            vec![("120000", "l", out), ("40000", "l", below("evil"))],
            vec![("120000", "l", blob(".")), ("40000", "l", below("evil"))],
            vec![("40000", "d", below("../../evil"))],
        ];
        for (n, entries) in trees.iter().enumerate() {
            let tree = tree_of(&repository, entries);
            let before = listing(dir.path());
            let into = dir.path().join("in/tree");
            let result = export(&repository, &tree, &into, Measure::new(Bounds::default()));
            fs::remove_dir_all(&into).unwrap();
            assert_eq!(listing(dir.path()), before, "{n}");
            let refused = matches!(result, Err(ExportError::Refused { .. } | ExportError::Io { .. }));
            assert!(refused, "{n}: {result:?}");
        }
    }

    /// An object that says it is a TiB, and its id.
    fn giant(repository: &Repository, kind: &str) -> git2::Oid {
        let id = "ab".repeat(20);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(format!("{kind} 1099511627776\0begins").as_bytes()).unwrap();
        let folder = repository.path().join("objects").join(&id[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&id[2..]), packed.finish().unwrap()).unwrap();
        git2::Oid::from_str(&id).unwrap()
    }

    #[test]
    fn a_folder_that_is_too_large_is_never_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("r.git")).unwrap();
        let tree = tree_of(&repository, &[("40000", "big", giant(&repository, "tree"))]);
        let around = Measure::new(Bounds::default());
        let error = export(&repository, &tree, &dir.path().join("out"), around).unwrap_err();
        assert!(
            error.to_string().contains("big: lists of folders that are longer than 32 MiB together"),
            "{error}"
        );
    }

    #[test]
    fn folders_that_are_too_large_together_are_never_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("r.git")).unwrap();
        let file = repository.blob(b"x").unwrap();
        let names: Vec<String> = (0..45_000).map(|n| format!("b{n:0240}")).collect();
        // What comes first in a list is looked into while the list is there.
        let mut inner = tree_of(&repository, &[("100644", "a", file)]).id();
        for _ in 0..3 {
            let rest = names.iter().map(|name| ("100644", name.as_str(), file));
            let entries: Vec<_> = std::iter::once(("40000", "a", inner)).chain(rest).collect();
            inner = tree_of(&repository, &entries).id();
        }
        let tree = tree_of(&repository, &[("40000", "a", inner)]);
        let around = Measure::new(Bounds::default());
        let error = export(&repository, &tree, &dir.path().join("out"), around).unwrap_err();
        assert!(error.to_string().contains("a/a/a: lists of folders"), "{error}");
        // The list of the tree itself is one of them.
        let mut around = around;
        let root = folder(&repository, inner, Path::new(""), &mut around).unwrap();
        let error = export(&repository, &root, &dir.path().join("out"), around).unwrap_err();
        assert!(error.to_string().starts_with("a/a: lists of folders"), "{error}");
    }

    #[test]
    fn a_blob_that_is_too_large_is_never_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("r.git")).unwrap();
        let id = giant(&repository, "blob");
        for mode in ["100644", "120000"] {
            let tree = tree_of(&repository, &[(mode, "big", id)]);
            let around = Measure::new(Bounds::default());
            let error = export(&repository, &tree, &dir.path().join(mode), around).unwrap_err();
            assert!(error.to_string().contains("larger than 512 MiB"), "{error}");
        }
    }
}
