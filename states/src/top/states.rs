//! The state top: which environments' top files speak, and for what.

use indexmap::{IndexMap, IndexSet};

use super::file::{Entry, Section, Target, TopFile};
use super::{Found, Matches};
use crate::error::{Error, Errors, Fault};
use crate::options::TopMerging;
use crate::session::Session;
use crate::targets::Subject;

/// The targets that count, by environment and expression.
pub(super) type Merged = IndexMap<String, IndexMap<String, Target>>;

/// The environments whose top files are read, in order.
pub(super) fn environments(session: &Session<'_>) -> Vec<String> {
    let options = &session.minion.options;
    if let Some(env) = session.minion.asked_env().or(options.state_top_saltenv.as_deref()) {
        return vec![env.to_owned()];
    }
    all_environments(session)
}

/// Every environment of the tree, `base` first unless `env_order` says otherwise.
fn all_environments(session: &Session<'_>) -> Vec<String> {
    let roots = &session.tree.file_roots;
    let order = &session.minion.options.env_order;
    let mut envs: IndexSet<String> = if order.is_empty() {
        std::iter::once("base".to_owned()).chain(roots.keys().cloned()).collect()
    } else {
        order.iter().filter(|env| roots.contains_key(*env)).cloned().collect()
    };
    envs.shift_remove("__env__");
    envs.into_iter().collect()
}

/// What the top files say together.
pub(super) fn merged(session: &Session<'_>, tops: &Found) -> Result<Merged, Error> {
    match session.minion.options.top_file_merging_strategy {
        TopMerging::Merge => merge(tops),
        TopMerging::MergeAll => merge_all(tops),
        TopMerging::Same => same(tops, &session.minion.options.default_top),
    }
}

fn add(merged: &mut Merged, section: &Section) -> Result<(), Error> {
    for target in section.targets.as_ref().map_err(Clone::clone)? {
        let env = merged.entry(section.env.clone()).or_default();
        env.insert(target.shown.clone(), target.clone());
    }
    Ok(())
}

/// `base` decides; the others speak for themselves, where it is silent.
fn merge(tops: &Found) -> Result<Merged, Error> {
    let mut merged = Merged::new();
    for section in tops.get("base").into_iter().flatten().flat_map(|file| &file.sections) {
        add(&mut merged, section)?;
    }
    for (env, files) in tops.iter().filter(|(env, _)| *env != "base") {
        for file in files {
            // Salt asks again for each section whether it is there already, so only the first of an environment counts.
            for section in file.sections.iter().filter(|s| s.env == *env) {
                if !merged.contains_key(env) {
                    add(&mut merged, section)?;
                }
            }
        }
    }
    Ok(merged)
}

/// Everything counts; what two files list for one target is joined.
fn merge_all(tops: &Found) -> Result<Merged, Error> {
    let mut merged = Merged::new();
    for section in tops.values().flatten().flat_map(|file| &file.sections) {
        for target in section.targets.as_ref().map_err(Clone::clone)? {
            let env = merged.entry(section.env.clone()).or_default();
            match env.get_mut(&target.shown) {
                Some(first) => first.entries = joined(first, target),
                None => _ = env.insert(target.shown.clone(), target.clone()),
            }
        }
    }
    Ok(merged)
}

/// The options of the later one (else of the first), then the names of both.
fn joined(first: &Target, second: &Target) -> Result<Vec<Entry>, Error> {
    let (first, second) = (first.entries.clone()?, second.entries.clone()?);
    let options = |all: &[Entry]| all.iter().rfind(|e| matches!(e, Entry::Options(..))).cloned();
    let names = |all: Vec<Entry>| all.into_iter().filter(|e| matches!(e, Entry::Sls(..)));
    let mut entries: Vec<Entry> = options(&second).or_else(|| options(&first)).into_iter().collect();
    entries.extend(names(first));
    for entry in names(second) {
        let known =
            entries.iter().any(|e| matches!((e, &entry), (Entry::Sls(a, _), Entry::Sls(b, _)) if a == b));
        if !known {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Each for itself; `default_top` speaks for those without a top file.
fn same(tops: &Found, default_top: &str) -> Result<Merged, Error> {
    let silent = |files: &[TopFile]| files.iter().all(|file| file.sections.is_empty());
    let fallback = tops.get(default_top).map_or(&[][..], Vec::as_slice);
    let mut merged = Merged::new();
    for (env, files) in tops {
        for file in if silent(files) { fallback } else { files } {
            for section in file.sections.iter().filter(|s| s.env == *env) {
                add(&mut merged, section)?;
            }
        }
    }
    Ok(merged)
}

/// What the merged top gives to the minion. Every target is checked, whether it means the minion or not.
pub(super) fn matched(session: &Session<'_>, top: &Merged, subject: &Subject<'_>) -> Result<Matches, Errors> {
    let mut errors: Vec<Error> = top.values().flat_map(IndexMap::values).flat_map(malformed).collect();
    let mut matches: IndexMap<String, Vec<String>> = IndexMap::new();
    let asked = session.minion.asked_env();
    for (env, targets) in top.iter().filter(|(env, _)| asked.is_none_or(|asked| asked == *env)) {
        for target in targets.values().filter(|t| t.entries.is_ok()) {
            if let Err(error) = give(session, env, target, subject, &mut matches) {
                errors.push(error);
            }
        }
    }
    if errors.is_empty() { Ok(matches.into_iter().collect()) } else { Err(Errors(errors)) }
}

fn malformed(target: &Target) -> Vec<Error> {
    let entries = match &target.entries {
        Ok(entries) => entries,
        Err(error) => return vec![error.clone()],
    };
    let options = entries.iter().filter_map(|entry| match entry {
        Entry::Options(pairs, place) => Some((pairs, place)),
        _ => None,
    });
    let empty = options.flat_map(|(pairs, place)| {
        pairs.iter().filter(|(_, value)| !value.to_py().truth()).map(move |(key, _)| (key, place))
    });
    empty
        .map(|(key, place)| place.error(format!("`{key}` of the target '{}' is empty", target.shown)))
        .collect()
}

fn give(
    session: &Session<'_>,
    env: &str,
    target: &Target,
    subject: &Subject<'_>,
    matches: &mut IndexMap<String, Vec<String>>,
) -> Result<(), Error> {
    if !super::means(target, subject)? {
        return Ok(());
    }
    matches.entry(env.to_owned()).or_default();
    for entry in target.entries.as_ref().map_err(Clone::clone)? {
        match entry {
            Entry::Sls(name, _) => matches.entry(env.to_owned()).or_default().push(name.clone()),
            Entry::Options(pairs, place) => {
                if pairs.iter().any(|(key, _)| key == "subfilter") {
                    return Err(place.error("`subfilter` is not supported").help("write a compound target"));
                }
                // `environment: sls`; whatever else stands there names no environment.
                let Some((other, name)) = pairs.last() else { continue };
                if other == "base" || all_environments(session).contains(other) {
                    let name = name.as_str().map(str::to_owned);
                    let name = name.ok_or_else(|| place.error(format!("`{other}` must name an SLS")))?;
                    matches.entry(other.clone()).or_default().push(name);
                }
            }
            Entry::Other(kind, place) => {
                let message = format!("an entry of the target '{}' is {kind}, not an SLS name", target.shown);
                return Err(place.error(message));
            }
        }
    }
    Ok(())
}

/// There is no top file at all.
pub(super) fn missing(session: &Session<'_>) -> Error {
    let name = &session.minion.options.state_top;
    let roots: Vec<String> =
        session.tree.file_roots.values().flatten().map(|r| r.display().to_string()).collect();
    let fault = Fault::NotFound(format!("there is no {name} in {}", roots.join(", ")));
    Error::new(fault).help("a top.sls says which states go to which minion")
}
