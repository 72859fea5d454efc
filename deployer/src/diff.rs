//! What differs between two deployments: image, type, user-data by key, pillar parameters, and the states' log.

use crate::history::{self, HIDDEN, Whole};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One thing that differs. A value that is not there is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What.
    pub key: String,
    /// In the first deployment.
    pub from: Option<Value>,
    /// In the second.
    pub to: Option<Value>,
}

/// The commits between two of the states' repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Log {
    /// One line a commit, newest first.
    Commits {
        /// Commits that the second has and the first has not.
        added: Vec<String>,
        /// Commits that the first has and the second has not: the second goes back, or elsewhere.
        removed: Vec<String>,
    },
    /// There is no log.
    Unknown {
        /// Why.
        unknown: String,
    },
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Number of the first.
    pub from: i64,
    /// Number of the second.
    pub to: i64,
    /// What differs, by key.
    pub changes: Vec<Change>,
    /// The states' log, when their commits differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
}

/// Compares two deployments; the log is added by the caller, who knows a repository. Values of pillar that were not set
/// on the command line are hidden unless asked for.
#[must_use]
pub fn compare(from: &Whole, to: &Whole, secrets: bool) -> Diff {
    let (before, after) = (facts(from), facts(to));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let change = |key: &String| Change {
        key: key.clone(),
        from: before.get(key).map(|value| shown(key, value, from, secrets)),
        to: after.get(key).map(|value| shown(key, value, to, secrets)),
    };
    Diff { from: from.entry.number, to: to.entry.number, changes: differs.map(change).collect(), log: None }
}

/// A deployment as flat facts.
fn facts(whole: &Whole) -> BTreeMap<String, Value> {
    let data = &whole.version.data;
    let mut facts = BTreeMap::from([
        ("image".to_owned(), json!(data.image)),
        ("instance_type".to_owned(), json!(data.instance_type)),
        ("security_groups".to_owned(), json!(data.security_groups)),
        ("instance_profile".to_owned(), json!(data.instance_profile)),
        ("key_name".to_owned(), json!(data.key_name)),
    ]);
    let tags = data.tags.iter().filter(|(key, _)| !key.starts_with("mayfly:"));
    facts.extend(tags.map(|(key, value)| (format!("tags.{key}"), json!(value))));
    if let Ok(Value::Object(told)) = &whole.user_data {
        let mut told = told.clone();
        told.remove("deployment");
        told.remove("record");
        flatten("", &Value::Object(told), &mut facts);
    }
    flatten("metadata", &Value::Object(whole.metadata()), &mut facts);
    facts.retain(|_, value| !value.is_null() && *value != json!([]));
    facts
}

fn flatten(path: &str, value: &Value, facts: &mut BTreeMap<String, Value>) {
    let Value::Object(map) = value else {
        facts.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        flatten(&path, value, facts);
    }
}

fn shown(key: &str, value: &Value, whole: &Whole, secrets: bool) -> Value {
    let Some(parameter) = key.strip_prefix("pillar.") else { return value.clone() };
    let was_set = whole.entry.parameters.contains_key(parameter);
    if secrets || (was_set && !history::is_secret(parameter)) { value.clone() } else { json!(HIDDEN) }
}

impl Diff {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.changes.is_empty() {
            let _ = writeln!(text, "deployments {} and {} were the same", self.from, self.to);
        }
        for change in &self.changes {
            let _ = writeln!(text, "{}: {}", change.key, change.words());
        }
        match &self.log {
            None => {}
            Some(Log::Unknown { unknown }) => {
                let _ = writeln!(text, "states: no log: {unknown}");
            }
            Some(Log::Commits { added, removed }) => {
                let signed = |sign, lines: &[String]| {
                    lines.iter().map(|line| format!("  {sign} {line}\n")).collect::<String>()
                };
                text.push_str(&signed('+', added));
                text.push_str(&signed('-', removed));
            }
        }
        text
    }
}

impl Change {
    fn words(&self) -> String {
        let (from, to) = (words(self.from.as_ref()), words(self.to.as_ref()));
        if from == HIDDEN && to == HIDDEN { "differs (hidden)".to_owned() } else { format!("{from} -> {to}") }
    }
}

fn words(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::{read_one, told};

    #[test]
    fn what_differs_is_listed_and_secrets_are_not_shown() {
        let pillar =
            |version: &str, pass: &str| json!({"app": {"version": version}, "db": {"pass": pass}, "x": 1});
        let one = told(&pillar("1", "a"), &json!({"set": {"app.version": "1"}}));
        let record = json!({"set": {"app.version": "2"}, "metadata": {"ticket": "OPS-1"}});
        let two = told(&pillar("2", "b"), &record);
        let diff = compare(&read_one(1, &one), &read_one(2, &two), false);
        let expected = "image: ami-1 -> ami-2\n\
                        metadata.ticket: (none) -> OPS-1\n\
                        pillar.app.version: 1 -> 2\n\
                        pillar.db.pass: differs (hidden)\n";
        assert_eq!(diff.text(), expected);
        let open = compare(&read_one(1, &one), &read_one(2, &two), true).text();
        assert!(open.contains("pillar.db.pass: a -> b"), "{open}");
        let same = compare(&read_one(1, &one), &read_one(1, &one), false).text();
        assert_eq!(same, "deployments 1 and 1 were the same\n");
    }
}
