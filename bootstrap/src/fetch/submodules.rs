//! Submodules: what `.gitmodules` says of them, fetching them, and joining them to the tree that asks for them.
// Effects: files.
#![allow(clippy::disallowed_methods)]

use super::budget::Measure;
use super::export::{ExportError, Submodule, join, refused};
use super::{Error, Fetcher, Store, Want};
use crate::userdata::{Login, Remote, Source};
use mayfly_states::tree::Roots;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What names at most 64 submodules is never longer.
const MAX_MODULES: u64 = 1024 * 1024;
/// How many of those that are left out are named.
const NAMED: usize = 20;

/// What became of the submodules of a tree.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// What was left out.
    pub(super) notes: Vec<String>,
    /// The stores of those that were fetched.
    pub(super) stores: BTreeSet<String>,
}

/// Why submodules did not join their tree.
#[derive(Debug, thiserror::Error)]
pub(super) enum FillError {
    /// The tree asks for what is refused, or the disk refuses.
    #[error(transparent)]
    Tree(#[from] ExportError),
    /// One of them cannot be had.
    #[error(transparent)]
    Fetch(#[from] Error),
}

/// What is wrong with one of them, which is that of its tree; an end that was asked for is nobody's.
fn part(path: &str, cause: Error) -> Error {
    match cause {
        Error::Cancelled => Error::Cancelled,
        cause => Error::Submodule { path: path.to_owned(), cause: Box::new(cause) },
    }
}

/// A submodule and where it comes from.
struct Planned<'a> {
    submodule: &'a Submodule,
    remote: Remote,
    /// The folder of its store.
    store: String,
}

impl Fetcher {
    /// Fetches submodules into their folders of a tree that is being written, and that comes to `measure` without them.
    pub(super) fn fill(
        &self,
        prepared: &Path,
        wanted: &[Submodule],
        mut measure: Measure,
    ) -> Result<Filled, FillError> {
        let addresses = match self.source.submodules && !wanted.is_empty() {
            true => addresses(&read(prepared)?),
            false => BTreeMap::new(),
        };
        let (mut named, mut others) = (Vec::new(), Vec::new());
        for submodule in wanted {
            match addresses.get(&submodule.path) {
                Some(url) => named.push((submodule, url.as_str())),
                None => others.push(submodule),
            }
        }
        let planned = self.plan(&named)?;
        let stores = planned.iter().map(|planned| planned.store.clone()).collect();
        if !planned.is_empty() {
            self.store.sweep_submodules(&stores).map_err(Error::Disk)?;
        }
        for planned in planned {
            let path = Path::new(&planned.submodule.path);
            self.budget.submodule().map_err(|m| refused(path, m))?;
            let release = self.submodule(&planned, measure);
            let release = release.map_err(|cause| part(&planned.submodule.path, cause))?;
            join(&release, &prepared.join(path), path, &mut measure)?;
        }
        Ok(Filled { notes: left_out(&others), stores })
    }

    /// Where each comes from. One tree with parts of it missing would be taken for whole later on, so that what is too much
    /// is refused rather than left out.
    fn plan<'a>(&self, named: &[(&'a Submodule, &str)]) -> Result<Vec<Planned<'a>>, FillError> {
        let bounds = self.budget.bounds();
        let Some((first, _)) = named.first() else { return Ok(Vec::new()) };
        let refuse = |what: String| {
            let message = format!("{what}; `submodules: false` leaves all of them out");
            Err(refused(Path::new(&first.path), message).into())
        };
        if self.nesting >= bounds.nesting {
            return refuse(format!("submodules nest more than {} deep", bounds.nesting));
        }
        if named.len() > bounds.submodules {
            return refuse(format!("more than {} submodules", bounds.submodules));
        }
        let plan = |(submodule, url): &(&'a Submodule, &str)| {
            let refused = |cause| part(&submodule.path, Error::Refused { url: self.url.clone(), cause });
            let remote = self.remote.submodule(url).map_err(refused)?;
            let sum = sha2::Sha256::digest(remote.url());
            let store = sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            Ok(Planned { submodule, remote, store })
        };
        named.iter().map(plan).collect()
    }

    /// The folder of a submodule's commit, in a store of its own. `around` is what the trees around it come to.
    fn submodule(&self, planned: &Planned<'_>, around: Measure) -> Result<PathBuf, Error> {
        let store = Store::open(&self.store.submodule(&planned.store))?;
        let source = Source {
            login: self.login_for(&planned.remote),
            remote: planned.remote.clone(),
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
        (fetcher.nesting, fetcher.around) = (self.nesting + 1, around);
        fetcher.budget = self.budget.clone();
        let fetched = fetcher.get(Want::Commit { commit: &planned.submodule.commit, near: "HEAD" })?;
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

/// `.gitmodules` of a tree; nothing when there is none.
fn read(prepared: &Path) -> Result<String, FillError> {
    let path = prepared.join(".gitmodules");
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() > MAX_MODULES => {
            let message = format!("longer than {} KiB", MAX_MODULES / 1024);
            Err(refused(Path::new(".gitmodules"), message).into())
        }
        Ok(meta) if meta.is_file() => {
            let bytes = fs::read(&path).map_err(Error::Disk)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => Ok(String::new()),
    }
}

/// A section of `.gitmodules`: the first of each that it says.
#[derive(Default)]
struct Section<'t> {
    is_submodule: bool,
    path: Option<&'t str>,
    url: Option<&'t str>,
}

/// The addresses of submodules by their paths, as `.gitmodules` gives them; of several for a path the last. Read by hand:
/// git2's `Config` follows an `include.path` of the hostile file, and `Repository::submodules` wants a work tree.
fn addresses(gitmodules: &str) -> BTreeMap<String, String> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in gitmodules.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            sections.push(Section { is_submodule: head.starts_with("submodule "), ..Section::default() });
        } else if let (Some(open), Some((key, value))) = (sections.last_mut(), line.split_once('=')) {
            let said = match key.trim() {
                "path" => &mut open.path,
                "url" => &mut open.url,
                _ => continue,
            };
            said.get_or_insert(value.trim().trim_matches('"'));
        }
    }
    let modules = sections.iter().filter(|section| section.is_submodule);
    modules.filter_map(|module| Some((module.path?.to_owned(), module.url?.to_owned()))).collect()
}

/// What is said of submodules that have no address, or are not asked for.
fn left_out(submodules: &[&Submodule]) -> Vec<String> {
    let named = submodules.iter().take(NAMED).map(|s| format!("submodule {} is not fetched", s.path));
    let more = submodules.len().saturating_sub(NAMED);
    named.chain((more > 0).then(|| format!("{more} more submodules are not fetched"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_by_path() {
        let text = "[submodule \"a\"]\n\tpath = formulas/a\n\turl = ../a.git\n[submodule \"b\"]\n\turl = \"https://h/b\"\n\tpath = b\n";
        let found = addresses(text);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(path, url)| (path.as_str(), url.as_str())).collect();
        assert_eq!(found, [("b", "https://h/b"), ("formulas/a", "../a.git")]);
    }

    #[test]
    fn a_section_is_not_given_what_an_indented_one_says() {
        let text = "[submodule \"a\"]\n\tpath = a\n\t[submodule \"b\"]\n\tpath = b\n\turl = ../b.git\n  [other]\npath = c\nurl = c\n";
        let found = addresses(text);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "../b.git".to_owned())]);
    }

    #[test]
    fn those_that_are_left_out_do_not_flood_the_console() {
        let all: Vec<Submodule> =
            (0..30).map(|n| Submodule { path: format!("m{n}"), commit: String::new() }).collect();
        let notes = left_out(&all.iter().collect::<Vec<_>>());
        assert_eq!((notes.len(), notes[0].as_str()), (21, "submodule m0 is not fetched"));
        assert_eq!(notes[20], "10 more submodules are not fetched");
    }
}
