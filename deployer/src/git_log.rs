//! The commits between two, from a repository on this machine.
// Effects: reads a repository.
#![allow(clippy::disallowed_methods)]

use crate::clean;
use crate::diff::Log;
use git2::{Oid, Repository};
use std::path::{Path, PathBuf};

/// Commits that are shown on each side.
const MOST: usize = 200;

/// The log from one commit to another, out of the first place that has both.
#[must_use]
pub fn between(places: &[PathBuf], from: &str, to: &str) -> Log {
    let mut reasons = Vec::new();
    for place in places {
        match read(place, from, to) {
            Ok(log) => return log,
            Err(why) => reasons.push(format!("{}: {why}", place.display())),
        }
    }
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    let unknown =
        format!("no clone of the states' repository here has both commits{why}; run this in a clone of it");
    Log::Unknown { unknown }
}

/// Where the repository may be: the addresses that are paths, and around the spec.
#[must_use]
pub fn places(addresses: &[&str], spec: &Path) -> Vec<PathBuf> {
    let local = |address: &&str| {
        let path = address.strip_prefix("file://").or_else(|| address.starts_with('/').then_some(*address));
        path.map(PathBuf::from)
    };
    let mut places: Vec<PathBuf> = addresses.iter().filter_map(local).collect();
    let around = spec.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    places.extend(around.filter(|folder| Repository::discover(folder).is_ok()));
    places
}

fn read(place: &Path, from: &str, to: &str) -> Result<Log, String> {
    let words = |error: git2::Error| error.message().to_owned();
    let repository = Repository::discover(place).map_err(words)?;
    let id = |text: &str| {
        let id = Oid::from_str(text).map_err(words)?;
        let found = repository.find_commit(id).map(|commit| commit.id());
        found.map_err(|_| format!("it has no commit {}", text.get(..12).unwrap_or(text)))
    };
    let (from, to) = (id(from)?, id(to)?);
    let added = walk(&repository, to, from).map_err(words)?;
    let removed = walk(&repository, from, to).map_err(words)?;
    Ok(Log::Commits { added, removed })
}

/// Commits that `of` reaches and `without` does not, newest first.
fn walk(repository: &Repository, of: Oid, without: Oid) -> Result<Vec<String>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL)?;
    walk.push(of)?;
    walk.hide(without)?;
    let mut lines = Vec::new();
    for id in walk {
        if lines.len() == MOST {
            lines.push("…".to_owned());
            break;
        }
        let commit = repository.find_commit(id?)?;
        let short: String = commit.id().to_string().chars().take(12).collect();
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
        let subject = message.lines().next().unwrap_or_default();
        lines.push(clean::line(&format!("{short} {subject} ({author})")));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(repository: &Repository, message: &str) -> String {
        let who = git2::Signature::now("Ann", "ann@example.com").expect("a signature");
        let tree = repository.index().and_then(|mut index| index.write_tree()).expect("a tree");
        let tree = repository.find_tree(tree).expect("the tree");
        let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let id = repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).expect("a commit");
        id.to_string()
    }

    #[test]
    fn the_log_goes_both_ways_and_says_where_it_cannot_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = Repository::init(folder.path()).expect("a repository");
        let [one, two, three] = ["one", "two", "three"].map(|message| commit(&repository, message));
        let places = [folder.path().to_owned()];
        let line = |id: &str, text: &str| format!("{} {text} (Ann)", &id[..12]);
        let both = vec![line(&three, "three"), line(&two, "two")];
        assert_eq!(between(&places, &one, &three), Log::Commits { added: both.clone(), removed: vec![] });
        assert_eq!(between(&places, &three, &one), Log::Commits { added: vec![], removed: both });
        let why = |log: Log| match log {
            Log::Unknown { unknown } => unknown,
            Log::Commits { .. } => String::new(),
        };
        let unknown = why(between(&places, &one, &"f".repeat(40)));
        assert!(unknown.contains("it has no commit ffffffffffff"), "{unknown}");
        let unknown = why(between(&[], &one, &two));
        assert!(unknown.ends_with("run this in a clone of it"), "{unknown}");
    }
}
