//! Watch rules as people write them, in user-data and in pillar under `mayfly:watch`, to the watcher's rules. Pure.

use super::raw::{RawRule, unknown_key};
use super::validate::{duration, safe_name};
use mayfly_states::value::Value;
use mayfly_watcher::rule::{Action, Rule};
use std::path::{Component, PathBuf};
use std::time::Duration;

const DEBOUNCE: Duration = Duration::from_millis(100);
const MAX_RULES: usize = 256;
const KEYS: &[&str] = &["name", "paths", "service", "action", "debounce", "check"];

/// Checks one rule; the error says what is wrong and what to write.
pub(super) fn rule(raw: RawRule) -> Result<Rule, String> {
    let action = raw.action.as_deref().map_or(Ok(Action::Restart), action)?;
    let service = match (raw.service, &action) {
        (Some(service), _) => safe_name("service", service)?,
        (None, Action::Run(_)) => String::new(),
        (None, _) => return Err("`service` is required unless the action is `run COMMAND`".into()),
    };
    let paths: Vec<PathBuf> = raw.paths.iter().map(|p| watched_path(p)).collect::<Result<_, _>>()?;
    if paths.is_empty() {
        return Err("`paths` is empty; name at least one file, folder or glob".into());
    }
    let debounce = raw
        .debounce
        .as_deref()
        .map_or(Ok(DEBOUNCE), |d| duration("debounce", d, Duration::from_secs(3600)))?;
    let check = raw.check.as_deref().map(|c| command("check", c)).transpose()?;
    let name = raw.name.unwrap_or_else(|| default_name(&service, &paths));
    Ok(Rule { name, paths, service, action, debounce, check })
}

/// The rules that the tree declares in pillar, under `mayfly:watch`.
///
/// # Errors
/// A sentence that names the entry, since pillar has no positions left.
pub(crate) fn rules_from_pillar(pillar: &mayfly_states::value::Map) -> Result<Vec<Rule>, String> {
    let Some(watch) = pillar.get("mayfly").and_then(Value::as_map).and_then(|m| m.get("watch")) else {
        return Ok(Vec::new());
    };
    let place = |index: usize, e: String| format!("pillar mayfly:watch:{index}: {e}");
    let list = watch.as_list().ok_or("pillar mayfly:watch: must be a list of rules")?;
    if list.len() > MAX_RULES {
        return Err(format!("pillar mayfly:watch: more than {MAX_RULES} rules"));
    }
    let each = list.iter().enumerate();
    each.map(|(index, value)| from_value(value).and_then(rule).map_err(|e| place(index, e))).collect()
}

fn from_value(value: &Value) -> Result<RawRule, String> {
    let map = value.as_map().ok_or("must be a mapping with `paths` and `service`")?;
    if let Some(key) = map.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(unknown_key(key, KEYS));
    }
    serde_json::to_value(value).and_then(serde_json::from_value).map_err(|e| e.to_string())
}

fn action(text: &str) -> Result<Action, String> {
    let (verb, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    match (verb, rest.trim()) {
        ("restart", "") => Ok(Action::Restart),
        ("reload", "") => Ok(Action::Reload),
        ("signal", name) => signal(name),
        ("run", line) => command("action: run", line).map(Action::Run),
        _ => Err(format!("action {text:?} is not `restart`, `reload`, `signal NAME` or `run COMMAND`")),
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
        Err(_) => Err(format!("{key}: the quotes in {line:?} do not match")),
    }
}

fn watched_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    match path.is_absolute() && plain && !text.contains('\0') {
        true => Ok(path),
        false => Err(format!("paths: {text:?} must be absolute, without `..`")),
    }
}

fn default_name(service: &str, paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    format!("{service}: {}", paths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(action: Option<&str>) -> RawRule {
        RawRule {
            name: None,
            paths: vec!["/etc/nginx/*.conf".into()],
            service: Some("nginx".into()),
            action: action.map(str::to_owned),
            debounce: None,
            check: Some("nginx -t -c '/etc/my nginx.conf'".into()),
        }
    }

    #[test]
    fn a_rule_has_defaults_and_a_name() {
        let rule = rule(raw(None)).unwrap();
        assert_eq!((rule.name.as_str(), rule.action), ("nginx: /etc/nginx/*.conf", Action::Restart));
        assert_eq!(rule.check.unwrap(), ["nginx", "-t", "-c", "/etc/my nginx.conf"]);
        assert_eq!(rule.debounce, DEBOUNCE);
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
        one.paths = vec!["etc/../x".into()];
        assert!(rule(one).unwrap_err().contains("absolute"));
        let mut two = raw(None);
        two.service = None;
        assert!(rule(two).unwrap_err().contains("required"));
    }

    #[test]
    fn pillar_rules_are_read_and_their_typos_named() {
        let entry = |key: &str| {
            let rule = mayfly_states::value::Map::from([
                ("service".to_owned(), Value::Str("web".into())),
                (key.to_owned(), Value::List(vec![Value::Str("/etc/web".into())])),
            ]);
            let watch =
                mayfly_states::value::Map::from([("watch".to_owned(), Value::List(vec![Value::Map(rule)]))]);
            mayfly_states::value::Map::from([("mayfly".to_owned(), Value::Map(watch))])
        };
        assert_eq!(rules_from_pillar(&entry("paths")).unwrap()[0].service, "web");
        let error = rules_from_pillar(&entry("path")).unwrap_err();
        assert_eq!(error, "pillar mayfly:watch:0: unknown key `path`; did you mean `paths`?");
        assert_eq!(rules_from_pillar(&mayfly_states::value::Map::new()).unwrap(), vec![]);
    }
}
