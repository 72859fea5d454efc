//! Which rules to arm: those of the states, of user-data and of pillar, as one set without two of a name. Pure.

use crate::userdata::{How, WatchRule};
use mayfly_states::low::{Chunk, LowState};
use mayfly_states::watches::{Action as Wanted, Watch, keeps, watches};
use mayfly_watcher::rule::{Action, OnEdit, Rule};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Makes the set. Explicit rules come first; a later rule with a taken name gets a number. Paths are looked for below
/// `root`. Rules without paths are about those of the states; the first that says something of a service holds.
pub(crate) fn rules(low: &LowState, declared: &[WatchRule], root: &Path) -> Vec<Rule> {
    let mut taken = BTreeSet::new();
    let kept: Vec<PathBuf> = low.chunks.iter().filter(|c| keeps(c)).map(|c| place(root, c)).collect();
    let explicit = declared.iter().filter(|rule| !rule.paths.is_empty()).map(explicit);
    let watches = watches(low);
    let all = explicit.chain(watches.iter().map(|watch| from_states(watch, declared)));
    all.map(|mut rule| {
        rule.paths = rule.paths.iter().map(|p| below(root, p)).collect();
        rule.name = free_name(&rule.name, &taken);
        if rule.on_edit != OnEdit::Act {
            rule.kept =
                kept.iter().filter(|kept| rule.paths.iter().any(|p| meet(p, kept))).cloned().collect();
        }
        taken.insert(rule.name.clone());
        rule
    })
    .collect()
}

/// Sentences on rules without paths whose services watch nothing.
pub(crate) fn idle(low: &LowState, declared: &[WatchRule]) -> Vec<String> {
    let watched: BTreeSet<String> = watches(low).into_iter().map(|watch| watch.service).collect();
    let idle = declared.iter().filter(|rule| rule.paths.is_empty() && !watched.contains(&rule.service));
    idle.map(|rule| {
        format!(
            "the watch rule {:?} has no `paths`, and no state lets {} watch a file",
            rule.name, rule.service
        )
    })
    .collect()
}

/// Sentences on rules with paths whose services nobody knows.
pub(crate) fn of_unknown_services(
    declared: &[WatchRule],
    manager: &str,
    is_unknown: impl Fn(&str) -> bool,
) -> Vec<String> {
    let named = declared.iter().filter(|rule| !rule.paths.is_empty() && !rule.service.is_empty());
    let unknown = named.filter(|rule| is_unknown(&rule.service));
    unknown
        .map(|r| format!("the watch rule {:?}: {manager} knows no service {}", r.name, r.service))
        .collect()
}

/// Sentences on rules whose check or command names a program that is not there.
pub(crate) fn of_missing_programs(declared: &[WatchRule], finds: impl Fn(&str) -> bool) -> Vec<String> {
    let commands = |rule: &WatchRule| {
        let check = rule.how.check.iter().map(|argv| ("check", argv.clone()));
        let run = match &rule.how.action {
            Some(Action::Run(argv)) => Some(("action", argv.clone())),
            _ => None,
        };
        check.chain(run).collect::<Vec<_>>()
    };
    let sentence = |rule: &WatchRule, key: &str, argv: &[String]| {
        let program = argv.first().filter(|program| !finds(program))?;
        Some(format!(
            "the watch rule {:?}: there is no program {program}, which its {key} is to run",
            rule.name
        ))
    };
    let all = declared.iter().flat_map(|rule| commands(rule).into_iter().map(move |command| (rule, command)));
    all.filter_map(|(rule, (key, argv))| sentence(rule, key, &argv)).collect()
}

/// The paths that are kept for rules that want edits of them reverted or reported.
pub(crate) fn guarded(rules: &[Rule]) -> BTreeSet<PathBuf> {
    rules.iter().flat_map(|rule| rule.kept.iter().cloned()).collect()
}

/// Where a step's path is on this machine.
pub(crate) fn place(root: &Path, chunk: &Chunk) -> PathBuf {
    below(root, Path::new(&chunk.name))
}

fn explicit(declared: &WatchRule) -> Rule {
    let rule = Rule {
        name: declared.name.clone(),
        paths: declared.paths.clone(),
        service: declared.service.clone(),
        ..Rule::default()
    };
    with(rule, &declared.how)
}

fn from_states(watch: &Watch, declared: &[WatchRule]) -> Rule {
    let rule = Rule {
        name: format!("states: {}", watch.service),
        paths: watch.paths.iter().map(PathBuf::from).collect(),
        service: watch.service.clone(),
        action: if watch.action == Wanted::Reload { Action::Reload } else { Action::Restart },
        ..Rule::default()
    };
    let of_service = declared.iter().filter(|d| d.paths.is_empty() && d.service == watch.service);
    // What was said first is laid on last.
    of_service.rev().fold(rule, |rule, declared| with(rule, &declared.how))
}

/// The rule with what was written over its defaults.
fn with(rule: Rule, how: &How) -> Rule {
    let How { action, debounce, check, rate, on_edit } = how.clone();
    Rule {
        action: action.unwrap_or(rule.action),
        debounce: debounce.unwrap_or(rule.debounce),
        check: check.or(rule.check),
        rate: rate.or(rule.rate),
        on_edit: on_edit.unwrap_or(rule.on_edit),
        ..rule
    }
}

/// Whether a kept path may be among, above or below what a watched path means.
fn meet(watched: &Path, kept: &Path) -> bool {
    let wild = |name: &std::ffi::OsStr| name.to_string_lossy().contains(['*', '?', '[', '{', '\\']);
    let plain: PathBuf = watched.components().take_while(|c| !wild(c.as_os_str())).collect();
    kept.starts_with(&plain) || plain.starts_with(kept)
}

pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    if root == Path::new("/") { path.to_owned() } else { root.join(path.strip_prefix("/").unwrap_or(path)) }
}

fn free_name(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name} ({n})"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|n| !taken.contains(n))
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_states::value::{Map, Value};
    use mayfly_watcher::rule::Rate;
    use std::time::Duration;

    fn chunk(state: &str, fun: &str, name: &str, watch: Option<&str>) -> Chunk {
        let entry = |id: &str| Value::Map(Map::from([("file".to_owned(), Value::Str(id.to_owned()))]));
        let args = watch.map(|id| ("watch".to_owned(), Value::List(vec![entry(id)]))).into_iter().collect();
        let text = str::to_owned;
        Chunk {
            state: text(state),
            fun: text(fun),
            name: text(name),
            id: text(name),
            args,
            ..Chunk::default()
        }
    }

    /// `web` watches one file, `db` another.
    fn low() -> LowState {
        let chunks = vec![
            chunk("file", "managed", "/etc/web.conf", None),
            chunk("file", "managed", "/etc/db.conf", None),
            chunk("service", "running", "web", Some("/etc/web.conf")),
            chunk("service", "running", "db", Some("/etc/db.conf")),
        ];
        LowState { chunks, ..LowState::default() }
    }

    fn declared(service: &str, paths: &[&str], how: How) -> WatchRule {
        let paths = paths.iter().map(PathBuf::from).collect();
        WatchRule { name: format!("states: {service}"), paths, service: service.into(), how }
    }

    #[test]
    fn states_become_rules_below_the_root_with_names_of_their_own() {
        let explicit = declared("web", &["/etc/more"], How::default());
        let rules = rules(&low(), &[explicit], Path::new("/r"));
        let seen: Vec<_> = rules.iter().map(|r| (r.name.as_str(), r.paths[0].to_str().unwrap())).collect();
        assert_eq!(
            seen,
            [
                ("states: web", "/r/etc/more"),
                ("states: web (2)", "/r/etc/web.conf"),
                ("states: db", "/r/etc/db.conf")
            ]
        );
    }

    #[test]
    fn a_rule_without_paths_is_laid_over_that_of_the_states_and_the_first_word_holds() {
        let rate = Some(Rate { actions: 3, window: Duration::from_secs(60) });
        let first = How { on_edit: Some(OnEdit::Report), ..How::default() };
        let second = How { on_edit: Some(OnEdit::Revert), rate, ..How::default() };
        let declared = [
            declared("web", &[], first),
            declared("web", &[], second),
            declared("gone", &[], How::default()),
        ];
        let made = rules(&low(), &declared, Path::new("/"));
        assert_eq!((made.len(), made[0].on_edit, made[0].rate), (2, OnEdit::Report, rate));
        assert_eq!((made[1].on_edit, made[1].rate), (OnEdit::Act, None));
        assert_eq!(idle(&low(), &declared).len(), 1);
    }

    #[test]
    fn a_rule_knows_the_kept_files_that_it_may_meet() {
        let how = How { on_edit: Some(OnEdit::Revert), ..How::default() };
        for (watched, kept) in [
            ("/etc/*.conf", vec!["/r/etc/web.conf", "/r/etc/db.conf"]),
            ("/etc/web.conf", vec!["/r/etc/web.conf"]),
            ("/etc/web.conf/below", vec!["/r/etc/web.conf"]),
            ("/srv/**", vec![]),
        ] {
            let made = rules(&low(), &[declared("web", &[watched], how.clone())], Path::new("/r"));
            assert_eq!(made[0].kept, kept.iter().map(PathBuf::from).collect::<Vec<_>>(), "{watched}");
            assert_eq!(guarded(&made).len(), kept.len());
        }
    }
}
