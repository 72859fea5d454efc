//! The watch rules that the tree declares in pillar, under `mayfly:watch`, and what is odd beside them. Pure.

use super::raw::{RawRule, unknown_key};
use super::rule::{KEYS, MAX_RULES, WatchRule, rule};
use mayfly_states::low::LowState;
use mayfly_states::value::{Map, Value};

/// The rules of a compiled tree.
///
/// # Errors
/// The sentence, without what was decrypted, and without what a terminal would obey.
pub(crate) fn rules_of(low: &LowState) -> Result<Vec<WatchRule>, String> {
    rules_from_pillar(&low.pillar).map_err(|error| low.secrets.hide(&error).replace(char::is_control, " "))
}

/// The rules: a mapping by their names, which pillar merges, or a list, which another list replaces.
///
/// # Errors
/// A sentence that names the entry, since pillar has no positions left.
fn rules_from_pillar(pillar: &Map) -> Result<Vec<WatchRule>, String> {
    let Some(watch) = own(pillar).and_then(|own| own.get("watch")) else { return Ok(Vec::new()) };
    let wrong = |reason: &str| Err(format!("pillar mayfly:watch: {reason}"));
    let written_rules = watch.as_list().map(<[Value]>::len).or_else(|| watch.as_map().map(Map::len));
    if written_rules.is_some_and(|count| count > MAX_RULES) {
        return wrong(&format!("more than {MAX_RULES} rules"));
    }
    let entries: Vec<(String, Result<RawRule, String>)> = match watch {
        Value::Null => return Ok(Vec::new()),
        Value::List(list) => list.iter().map(written).enumerate().map(|(n, e)| (n.to_string(), e)).collect(),
        Value::Map(map) if is_one_rule(map) => {
            return wrong("a rule stands below its name: `watch: {NAME: {service: nginx, check: nginx -t}}`");
        }
        Value::Map(map) => map.iter().map(|(name, value)| (name.clone(), named(name, value))).collect(),
        _ => return wrong("must be a mapping of rules by their names, or a list of rules"),
    };
    let checked = |(place, entry): (String, Result<RawRule, String>)| {
        entry.and_then(rule).map_err(|e| format!("pillar mayfly:watch:{place}: {e}"))
    };
    entries.into_iter().map(checked).collect()
}

/// Sentences on what stands below `mayfly:` in pillar and means nothing.
pub(crate) fn odd_in_pillar(pillar: &Map) -> Vec<String> {
    match pillar.get("mayfly") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(own)) => {
            let odd = own.keys().filter(|key| *key != "watch");
            odd.map(|key| format!("pillar mayfly: {}", unknown_key(key, &["watch"]))).collect()
        }
        Some(_) => vec!["pillar mayfly: is no mapping; watch rules stand below `mayfly:watch`".to_owned()],
    }
}

fn own(pillar: &Map) -> Option<&Map> {
    pillar.get("mayfly").and_then(Value::as_map)
}

/// The keys of a rule where names of rules should be.
fn is_one_rule(map: &Map) -> bool {
    map.contains_key("service") && map.iter().all(|(k, v)| KEYS.contains(&k.as_str()) && v.as_map().is_none())
}

fn named(name: &str, value: &Value) -> Result<RawRule, String> {
    let mut rule = written(value)?;
    rule.name.get_or_insert_with(|| name.to_owned());
    Ok(rule)
}

/// A rule as it is written.
fn written(value: &Value) -> Result<RawRule, String> {
    let map = value
        .as_map()
        .ok_or("must be a mapping with `service`, such as `{service: nginx, check: nginx -t}`")?;
    if let Some(key) = map.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(unknown_key(key, KEYS));
    }
    Ok(RawRule {
        name: text(map, "name", "web")?,
        paths: paths(map)?,
        service: text(map, "service", "nginx")?,
        action: text(map, "action", "reload")?,
        debounce: text(map, "debounce", "200ms")?,
        check: text(map, "check", "nginx -t")?,
        rate: text(map, "rate", "3/1m")?,
        on_edit: text(map, "on_edit", "revert")?,
    })
}

/// The text under a key, of which an example is given.
fn text(map: &Map, key: &str, example: &str) -> Result<Option<String>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{key}` must be text, not {}; write `{key}: {example}`", kind(other))),
    }
}

fn paths(map: &Map) -> Result<Option<Vec<String>>, String> {
    let wrong =
        |what: String| format!("`paths` must be a list of texts, not {what}; write `paths: [/etc/web.conf]`");
    match map.get("paths") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::List(all)) => {
            let path = |value: &Value| {
                value.as_str().map(str::to_owned).ok_or_else(|| wrong(format!("one with {}", kind(value))))
            };
            all.iter().map(path).collect::<Result<_, _>>().map(Some)
        }
        Some(other) => Err(wrong(kind(other))),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Bool(is) => format!("the truth value {is}"),
        Value::Int(n) => format!("the number {n}"),
        Value::Float(n) => format!("the number {n}"),
        Value::Str(text) => format!("the text \"{text}\""),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        _ => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillar with this below `mayfly:`, as JSON.
    fn pillar(text: &str) -> Map {
        let value: serde_json::Value = serde_json::from_str(&format!("{{\"mayfly\": {text}}}")).unwrap();
        crate::convert::value(value).as_map().unwrap().clone()
    }

    fn wrong(text: &str) -> String {
        rules_from_pillar(&pillar(text)).unwrap_err()
    }

    #[test]
    fn rules_are_a_list_or_a_mapping_by_name() {
        let list = rules_from_pillar(&pillar(r#"{"watch": [{"service": "web", "paths": ["/etc/web"]}]}"#));
        assert_eq!(list.unwrap()[0].name, "web: /etc/web");
        let mapping =
            r#"{"watch": {"a": {"service": "web", "check": "x"}, "b": {"service": "db", "rate": "1/1m"}}}"#;
        let rules = rules_from_pillar(&pillar(mapping)).unwrap();
        let seen: Vec<_> = rules.iter().map(|r| (r.name.as_str(), r.service.as_str())).collect();
        assert_eq!(seen, [("a", "web"), ("b", "db")]);
        assert_eq!(rules_from_pillar(&Map::new()), Ok(vec![]));
        assert_eq!(rules_from_pillar(&pillar(r#"{"watch": null}"#)), Ok(vec![]));
    }

    #[test]
    fn errors_name_the_entry_the_key_and_what_to_write() {
        for (text, expected) in [
            (
                r#"{"watch": [{"service": "web", "path": []}]}"#,
                "0: unknown key `path`; did you mean `paths`?",
            ),
            (
                r#"{"watch": [{"service": 3}]}"#,
                "0: `service` must be text, not the number 3; write `service: nginx`",
            ),
            (
                r#"{"watch": {"web": {"service": "web", "debounce": 1}}}"#,
                "web: `debounce` must be text, not the number 1; write `debounce: 200ms`",
            ),
            (
                r#"{"watch": {"web": {"service": "web", "paths": "/etc/web"}}}"#,
                "web: `paths` must be a list of texts, not the text \"/etc/web\"; write `paths: [/etc/web.conf]`",
            ),
            (
                r#"{"watch": {"web": {"service": "web", "paths": ["/etc/web", true]}}}"#,
                "web: `paths` must be a list of texts, not one with the truth value true; write `paths: [/etc/web.conf]`",
            ),
            (r#"{"watch": {"web": {"service": "web", "paths": ["/a/["]}}}"#, "web: paths: \"/a/[\": "),
            (r#"{"watch": {"web": "x"}}"#, "web: must be a mapping with `service`"),
        ] {
            let error = wrong(text);
            assert!(error.starts_with(&format!("pillar mayfly:watch:{expected}")), "{error}");
        }
        let error = wrong(r#"{"watch": {"service": "web", "paths": ["/etc/web"]}}"#);
        assert!(error.starts_with("pillar mayfly:watch: a rule stands below its name"), "{error}");
        assert!(wrong(r#"{"watch": 3}"#).starts_with("pillar mayfly:watch: must be a mapping"));
    }

    #[test]
    fn a_key_beside_watch_is_odd() {
        let odd = odd_in_pillar(&pillar(r#"{"watch": {}, "wacth": []}"#));
        assert_eq!(odd, ["pillar mayfly: unknown key `wacth`; did you mean `watch`?"]);
        assert_eq!(odd_in_pillar(&pillar("3")).len(), 1);
        assert_eq!(odd_in_pillar(&pillar("{}")), odd_in_pillar(&Map::new()));
    }
}
