//! Typed reading of one mapping: unknown keys are refused at once, and every error names the key and its place.

use super::error::{Problem, nearest};
use super::node::{At, Node, Value};
use serde_json::Map;
use std::time::Duration;

/// A problem and its place; the file is added by the caller.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: Option<At>,
    pub(super) problem: Problem,
}

pub(super) type Read<T> = Result<T, Wrong>;

/// One mapping whose keys are all known.
pub(super) struct Table<'a> {
    path: String,
    node: &'a Node,
    entries: &'a [(super::node::Key, Node)],
}

impl<'a> Table<'a> {
    /// Takes the mapping at `path` (empty for the file itself) and refuses keys that are not in `known`.
    pub(super) fn open(node: &'a Node, path: &str, known: &[&str]) -> Read<Self> {
        let Value::Map(entries) = &node.value else {
            let key = if path.is_empty() { "the file" } else { path };
            return Err(kind(node, key, "a mapping"));
        };
        let table = Self { path: path.to_owned(), node, entries };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let problem = Problem::UnknownKey {
                    key: table.key(&key.name),
                    nearest: nearest(&key.name, known),
                    known: known.iter().map(|&k| k.to_owned()).collect(),
                };
                return Err(Wrong { at: Some(key.at), problem });
            }
        }
        Ok(table)
    }

    /// The value of a key; `null` is the same as leaving the key out.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
            .filter(|n| n.value != Value::Null)
    }

    /// The key with its path, as errors show it.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn missing(&self, name: &str) -> Wrong {
        Wrong { at: Some(self.node.at), problem: Problem::Missing(self.key(name)) }
    }

    pub(super) fn text(&self, name: &str) -> Read<Option<String>> {
        self.get(name).map(|node| text(node, &self.key(name))).transpose()
    }

    /// Text or a list of text.
    pub(super) fn texts(&self, name: &str) -> Read<Option<Vec<String>>> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let key = self.key(name);
        let items = match &node.value {
            Value::List(items) => items.iter().map(|item| text(item, &key)).collect::<Read<Vec<_>>>()?,
            _ => vec![text(node, &key)?],
        };
        Ok(Some(items))
    }

    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.get(name)
            .map(|node| match node.value {
                Value::Bool(flag) => Ok(flag),
                _ => Err(kind(node, &self.key(name), "true or false")),
            })
            .transpose()
    }

    /// A whole number between two bounds, both allowed.
    pub(super) fn number(&self, name: &str, low: u64, high: u64) -> Read<Option<u64>> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let wanted = format!("a whole number from {low} to {high}");
        match &node.value {
            Value::Number(number) => match number.as_u64().filter(|n| (low..=high).contains(n)) {
                Some(number) => Ok(Some(number)),
                None => Err(self.value(name, format!("{number} is not {wanted}"))),
            },
            _ => Err(kind(node, &self.key(name), &wanted)),
        }
    }

    /// A duration as `90s`, `5m`, `1h 30m`, or a whole number of seconds.
    pub(super) fn duration(&self, name: &str) -> Read<Option<Duration>> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let wanted = "a duration such as `90s` or `5m`";
        match &node.value {
            Value::Number(number) => match number.as_u64() {
                Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
                None => Err(self.value(name, format!("{number} is not {wanted}"))),
            },
            Value::Text(text) => match humantime::parse_duration(text) {
                Ok(duration) => Ok(Some(duration)),
                Err(error) => Err(self.value(name, format!("`{text}` is not {wanted}: {error}"))),
            },
            _ => Err(kind(node, &self.key(name), wanted)),
        }
    }

    /// Free-form data below a key.
    pub(super) fn free(&self, name: &str) -> Read<Map<String, serde_json::Value>> {
        let Some(node) = self.get(name) else { return Ok(Map::new()) };
        match node.to_json() {
            serde_json::Value::Object(map) => Ok(map),
            _ => Err(kind(node, &self.key(name), "a mapping")),
        }
    }

    /// An error about the value of a key that is there.
    pub(super) fn value(&self, name: &str, why: impl Into<String>) -> Wrong {
        let at = self.get(name).map_or(self.node.at, |node| node.at);
        Wrong { at: Some(at), problem: Problem::Value { key: self.key(name), why: why.into() } }
    }
}

/// A scalar as text; a number is refused, for `1.10` would have become `1.1`.
pub(super) fn text(node: &Node, key: &str) -> Read<String> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Err(kind(node, key, "text (put it in quotes)")),
        _ => Err(kind(node, key, "text")),
    }
}

pub(super) fn kind(node: &Node, key: &str, wanted: &str) -> Wrong {
    let problem =
        Problem::Kind { key: key.to_owned(), wanted: wanted.to_owned(), found: node.value.kind().to_owned() };
    Wrong { at: Some(node.at), problem }
}
