//! Which rules to arm: those of the states, of user-data and of pillar, as one set without two of a name. Pure.

use mayfly_states::watches::{Action as Wanted, Watch};
use mayfly_watcher::rule::{Action, Rule};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEBOUNCE: Duration = Duration::from_millis(100);

/// Makes the set. Explicit rules come first; a later rule with a taken name gets a number. Paths are looked for below
/// `root`.
pub(crate) fn rules(states: &[Watch], explicit: impl IntoIterator<Item = Rule>, root: &Path) -> Vec<Rule> {
    let mut taken = BTreeSet::new();
    let all = explicit.into_iter().chain(states.iter().filter(|w| !w.paths.is_empty()).map(from_states));
    all.map(|mut rule| {
        rule.paths = rule.paths.iter().map(|p| below(root, p)).collect();
        rule.name = free_name(&rule.name, &taken);
        taken.insert(rule.name.clone());
        rule
    })
    .collect()
}

fn from_states(watch: &Watch) -> Rule {
    Rule {
        name: format!("states: {}", watch.service),
        paths: watch.paths.iter().map(PathBuf::from).collect(),
        service: watch.service.clone(),
        action: if watch.action == Wanted::Reload { Action::Reload } else { Action::Restart },
        debounce: DEBOUNCE,
        check: None,
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
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

    fn watch(service: &str, paths: &[&str]) -> Watch {
        Watch {
            service: service.into(),
            paths: paths.iter().map(ToString::to_string).collect(),
            action: Wanted::Restart,
        }
    }

    #[test]
    fn states_become_rules_below_the_root_with_names_of_their_own() {
        let states = [watch("web", &["/etc/web"]), watch("web", &["/etc/more"]), watch("idle", &[])];
        let rules = rules(&states, [], Path::new("/r"));
        let seen: Vec<_> = rules.iter().map(|r| (r.name.as_str(), r.paths[0].to_str().unwrap())).collect();
        assert_eq!(seen, [("states: web", "/r/etc/web"), ("states: web (2)", "/r/etc/more")]);
    }
}
