//! Watch rules as people write them, checked. Pure. Errors say what was written as it was written: what is decrypted is
//! hidden in them by its text.

use super::raw::RawRule;
use super::validate::{duration, safe_name};
use mayfly_watcher::rule::{Action, OnEdit, Rate};
use mayfly_watcher::watch::understands;
use std::path::{Component, PathBuf};
use std::time::Duration;

pub(super) const MAX_RULES: usize = 256;
const MAX_DEBOUNCE: Duration = Duration::from_secs(3600);
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);
const MAX_ACTIONS: u32 = 1000;
/// What a rule may say.
pub(super) const KEYS: &[&str] =
    &["name", "paths", "service", "action", "debounce", "check", "rate", "on_edit"];

/// One rule; what was not written is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchRule {
    /// Written, or made of the service and the paths.
    pub(crate) name: String,
    /// None: the files that the states let the service watch.
    pub(crate) paths: Vec<PathBuf>,
    /// On whom to act; empty when a command is run instead.
    pub(crate) service: String,
    /// How.
    pub(crate) how: How,
}

/// What is done and when, as far as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct How {
    /// What a change leads to.
    pub(crate) action: Option<Action>,
    /// How long the paths must be quiet before.
    pub(crate) debounce: Option<Duration>,
    /// What must pass before.
    pub(crate) check: Option<Vec<String>>,
    /// How often at most.
    pub(crate) rate: Option<Rate>,
    /// What an edit of a file of the states leads to.
    pub(crate) on_edit: Option<OnEdit>,
}

/// Checks one rule; the error says what is wrong and what to write.
pub(super) fn rule(raw: RawRule) -> Result<WatchRule, String> {
    let how = How {
        action: raw.action.as_deref().map(action).transpose()?,
        debounce: raw.debounce.as_deref().map(|d| duration("debounce", d, MAX_DEBOUNCE)).transpose()?,
        check: raw.check.as_deref().map(|c| command("check", c)).transpose()?,
        rate: raw.rate.as_deref().map(rate).transpose()?,
        on_edit: raw.on_edit.as_deref().map(on_edit).transpose()?,
    };
    let of_states = raw.paths.is_none();
    let service = match (raw.service, &how.action) {
        (Some(service), _) => safe_name("service", service)?,
        (None, Some(Action::Run(_))) if !of_states => String::new(),
        (None, _) => return Err("`service` is required unless the action is `run COMMAND`".into()),
    };
    if of_states && how == How::default() {
        return Err("without `paths` it is about the files that the states let the service watch, and says nothing of \
                    them; give `paths`, or one of `action`, `debounce`, `check`, `rate`, `on_edit`"
            .into());
    }
    let paths: Vec<PathBuf> =
        raw.paths.unwrap_or_default().iter().map(|p| watched_path(p)).collect::<Result<_, _>>()?;
    if paths.is_empty() && !of_states {
        return Err("`paths` is empty; name at least one file, folder or glob".into());
    }
    let name = raw.name.unwrap_or_else(|| default_name(&service, &paths));
    Ok(WatchRule { name, paths, service, how })
}

fn action(text: &str) -> Result<Action, String> {
    let (verb, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    match (verb, rest.trim()) {
        ("restart", "") => Ok(Action::Restart),
        ("reload", "") => Ok(Action::Reload),
        ("signal", name) => signal(name),
        ("run", line) => command("action: run", line).map(Action::Run),
        _ => Err(format!("action \"{text}\" is not `restart`, `reload`, `signal NAME` or `run COMMAND`")),
    }
}

/// `3/1m`: three in a minute.
fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("rate \"{text}\" is not NUMBER/TIME; write `3/1m` for at most three in a minute");
    let (actions, window) = text.split_once('/').ok_or_else(wrong)?;
    let actions = actions.trim().parse().ok().filter(|n| (1..=MAX_ACTIONS).contains(n)).ok_or_else(wrong)?;
    match duration("rate", window.trim(), MAX_WINDOW)? {
        Duration::ZERO => Err(wrong()),
        window => Ok(Rate { actions, window }),
    }
}

fn on_edit(text: &str) -> Result<OnEdit, String> {
    match text {
        "restart" => Ok(OnEdit::Act),
        "revert" => Ok(OnEdit::Revert),
        "report" => Ok(OnEdit::Report),
        _ => Err(format!("on_edit \"{text}\" is not `restart`, `revert` or `report`")),
    }
}

fn signal(name: &str) -> Result<Action, String> {
    let short = name.to_ascii_uppercase();
    let short = short.strip_prefix("SIG").unwrap_or(&short);
    match format!("SIG{short}").parse::<nix::sys::signal::Signal>() {
        Ok(_) => Ok(Action::Signal(short.to_owned())),
        Err(_) => Err(format!("action `signal {name}`: no such signal; write `signal HUP`")),
    }
}

fn command(key: &str, line: &str) -> Result<Vec<String>, String> {
    match shell_words::split(line) {
        Ok(words) if words.is_empty() => Err(format!("{key}: the command is empty")),
        Ok(words) => Ok(words),
        Err(_) => Err(format!("{key}: the quotes in `{line}` do not match")),
    }
}

fn watched_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    if !path.is_absolute() || !plain || text.contains('\0') {
        return Err(format!("paths: \"{text}\" must be absolute, without `..`"));
    }
    understands(&path).map_err(|reason| format!("paths: \"{text}\": {reason}"))?;
    Ok(path)
}

fn default_name(service: &str, paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return format!("states: {service}");
    }
    let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    format!("{service}: {}", paths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(action: Option<&str>) -> RawRule {
        RawRule {
            name: None,
            paths: Some(vec!["/etc/nginx/*.conf".into()]),
            service: Some("nginx".into()),
            action: action.map(str::to_owned),
            debounce: None,
            check: Some("nginx -t -c '/etc/my nginx.conf'".into()),
            rate: None,
            on_edit: None,
        }
    }

    #[test]
    fn a_rule_has_defaults_and_a_name() {
        let rule = rule(raw(None)).unwrap();
        assert_eq!((rule.name.as_str(), rule.how.action), ("nginx: /etc/nginx/*.conf", None));
        assert_eq!(rule.how.check.unwrap(), ["nginx", "-t", "-c", "/etc/my nginx.conf"]);
    }

    #[test]
    fn the_four_actions() {
        assert_eq!(action("reload"), Ok(Action::Reload));
        assert_eq!(action("signal sighup"), Ok(Action::Signal("HUP".into())));
        assert_eq!(action("run /bin/a 'b c'"), Ok(Action::Run(vec!["/bin/a".into(), "b c".into()])));
        for bad in ["explode", "signal", "signal XYZ", "run", "restart now", "run 'a"] {
            assert!(action(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn relative_paths_and_missing_services_are_refused() {
        let mut one = raw(None);
        one.paths = Some(vec!["etc/../x".into()]);
        assert!(rule(one).unwrap_err().contains("absolute"));
        let mut two = raw(None);
        two.service = None;
        assert!(rule(two).unwrap_err().contains("required"));
    }

    #[test]
    fn rates_and_what_follows_an_edit() {
        assert_eq!(rate("3/1m"), Ok(Rate { actions: 3, window: Duration::from_secs(60) }));
        for bad in ["3", "0/1m", "x/1m", "3/0s", "3/soon", "3/25h", "-1/1m", "1001/1h"] {
            assert!(rate(bad).unwrap_err().starts_with("rate "), "{bad}");
        }
        assert_eq!(on_edit("revert"), Ok(OnEdit::Revert));
        assert!(on_edit("undo").unwrap_err().contains("`restart`, `revert` or `report`"));
    }

    #[test]
    fn without_paths_it_is_about_the_files_of_the_states() {
        let mut about = raw(None);
        about.paths = None;
        let read = rule(about.clone()).unwrap();
        assert_eq!((read.name.as_str(), read.paths.len()), ("states: nginx", 0));
        about.check = None;
        assert!(rule(about.clone()).unwrap_err().contains("give `paths`"));
        about.paths = Some(vec![]);
        assert!(rule(about.clone()).unwrap_err().contains("is empty"));
        (about.paths, about.service, about.action) = (None, None, Some("run /bin/true".into()));
        assert!(rule(about).unwrap_err().contains("required"));
    }
}
