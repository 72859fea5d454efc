//! The pillar top: which pillar files the minion is given, and which of them may be missing.

use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};

use super::file::{Entry, Section, Target};
use super::written::Written;
use super::{Found, Matches};
use crate::error::Error;
use crate::options::Merging;
use crate::session::Session;
use crate::targets::Subject;

/// What the pillar top gives to the minion.
#[derive(Debug, Default)]
pub(crate) struct PillarTop {
    pub(crate) matches: Matches,
    /// Environment and SLS names that need not be there.
    pub(crate) ignored: HashSet<(String, String)>,
    pub(crate) written: Written,
}

/// The only pillar environment, where one is asked for.
pub(super) fn asked<'s>(session: &Session<'s>) -> Option<&'s str> {
    let options = &session.minion.options;
    let follows = session.minion.asked_env().filter(|_| options.pillarenv_from_saltenv);
    options.pillarenv.as_deref().or(follows)
}

/// The environments whose top files are read, in order.
pub(super) fn environments(session: &Session<'_>) -> Vec<String> {
    let roots = &session.tree.pillar_roots;
    if let Some(env) = asked(session) {
        return roots.contains_key(env).then(|| env.to_owned()).into_iter().collect();
    }
    let base = std::iter::once("base".to_owned());
    let envs: IndexSet<String> = base.chain(roots.keys().cloned()).filter(|env| env != "__env__").collect();
    match session.minion.options.pillar_source_merging_strategy {
        Merging::None => {
            let only = session.minion.asked_env().unwrap_or("base");
            envs.into_iter().filter(|env| env == only).collect()
        }
        _ => envs.into_iter().collect(),
    }
}

/// What the top files say together: a later one wins over an earlier one about the same target.
pub(super) fn matched(
    session: &Session<'_>,
    tops: &Found,
    subject: &Subject<'_>,
) -> Result<PillarTop, Vec<Error>> {
    let mut found = PillarTop::default();
    let mut merged: IndexMap<&str, IndexMap<&str, (&Target, i64)>> = IndexMap::new();
    let mut errors = Vec::new();
    for section in tops.values().flatten().flat_map(|file| &file.sections) {
        if let Err(error) = collect(section, &mut merged, &mut found.ignored) {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let only = asked(session);
    for (env, targets) in merged.into_iter().filter(|(env, _)| only.is_none_or(|only| only == *env)) {
        let mut targets: Vec<(&Target, i64)> = targets.into_values().collect();
        targets.sort_by_key(|(_, order)| *order);
        let mut names: Option<IndexSet<String>> = None;
        for (target, _) in targets {
            match super::means(target, subject) {
                Ok(true) => names.get_or_insert_default().extend(sls_names(target)),
                Ok(false) => {}
                Err(error) => errors.push(error),
            }
        }
        found.matches.extend(names.map(|names| (env.to_owned(), names.into_iter().collect())));
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

fn collect<'t>(
    section: &'t Section,
    merged: &mut IndexMap<&'t str, IndexMap<&'t str, (&'t Target, i64)>>,
    ignored: &mut HashSet<(String, String)>,
) -> Result<(), Error> {
    for target in section.targets.as_ref().map_err(Clone::clone)? {
        let entries = target.entries.as_ref().map_err(Clone::clone)?;
        let options = || {
            entries.iter().filter_map(|entry| match entry {
                Entry::Options(pairs, _) => Some(pairs),
                _ => None,
            })
        };
        let named = |name: &'static str| options().flatten().filter(move |(key, _)| key == name);
        if named("ignore_missing").any(|(_, value)| value.to_py().truth()) {
            ignored.extend(sls_names(target).map(|name| (section.env.clone(), name)));
        }
        let order =
            named("order").next_back().map_or(0, |(_, value)| value.key().trim().parse().unwrap_or(0));
        merged.entry(&section.env).or_default().insert(&target.shown, (target, order));
    }
    Ok(())
}

/// The SLS names that a target lists; what is none is passed over.
fn sls_names(target: &Target) -> impl Iterator<Item = String> {
    target.entries.iter().flatten().filter_map(|entry| match entry {
        Entry::Sls(name, _) => Some(name.clone()),
        _ => None,
    })
}
