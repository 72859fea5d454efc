//! Typed reading of one mapping: unknown keys are refused at once, and every error names the key and its place.

use super::error::{Problem, nearest};
use super::keys::{Field, Kind, field};
use super::node::{At, Key, Node, Value};
use serde_json::Map;
use std::collections::BTreeMap;
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
    fields: &'static [Field],
    node: &'a Node,
    entries: &'a [(Key, Node)],
}

impl<'a> Table<'a> {
    /// Takes the mapping at `path` (empty for the file itself) and refuses keys that are not in `fields`.
    pub(super) fn open(node: &'a Node, path: &str, fields: &'static [Field]) -> Read<Self> {
        let Value::Map(entries) = &node.value else {
            let key = if path.is_empty() { "the file" } else { path };
            return Err(kind(node, key, "a mapping"));
        };
        let table = Self { path: path.to_owned(), fields, node, entries };
        match entries.iter().find(|(key, _)| field(fields, &key.name).is_none()) {
            Some((key, _)) => Err(table.unknown(&key.name, key.at)),
            None => Ok(table),
        }
    }

    fn unknown(&self, name: &str, at: At) -> Wrong {
        let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
        let problem = Problem::UnknownKey {
            key: self.key(name),
            nearest: nearest(name, &known),
            known: known.iter().map(|&name| name.to_owned()).collect(),
        };
        Wrong { at: Some(at), problem }
    }

    /// What the table of keys says of a key. A name that is not in it is a slip in this program: no kind.
    fn kind_of(&self, name: &str) -> Option<&'static Kind> {
        debug_assert!(field(self.fields, name).is_some(), "{name} is in no table of keys");
        field(self.fields, name).map(|field| &field.kind)
    }

    /// The mapping below a key.
    pub(super) fn section(&self, name: &str) -> Read<Option<Self>> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let fields = self.kind_of(name).and_then(Kind::section).unwrap_or_default();
        Self::open(node, &self.key(name), fields).map(Some)
    }

    /// The list of mappings below a key.
    pub(super) fn sections(&self, name: &str) -> Read<Vec<Self>> {
        let Some(node) = self.get(name) else { return Ok(Vec::new()) };
        let key = self.key(name);
        let Value::List(items) = &node.value else { return Err(kind(node, &key, "a list of mappings")) };
        let fields = self.kind_of(name).and_then(Kind::section).unwrap_or_default();
        let open = |(number, item)| Self::open(item, &format!("{key}[{number}]"), fields);
        items.iter().enumerate().map(open).collect()
    }

    /// Whether a key has this very word, as `none` in place of a mapping.
    pub(super) fn is_word(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|node| matches!(&node.value, Value::Text(text) if text == word))
    }

    /// One of the words that the table of keys lists.
    pub(super) fn word(&self, name: &str) -> Read<Option<String>> {
        match self.kind_of(name) {
            Some(Kind::Word(words)) => self.one_of(name, words),
            _ => self.text(name),
        }
    }

    fn one_of(&self, name: &str, words: &[&str]) -> Read<Option<String>> {
        let Some(word) = self.text(name)? else { return Ok(None) };
        if words.contains(&word.as_str()) {
            return Ok(Some(word));
        }
        Err(self.value(name, format!("`{word}` is not one of {}", words.join(", "))))
    }

    /// Whether all of it, at any depth, is what the table of keys says: for what is handed on as it is written.
    pub(super) fn checked(&self) -> Read<()> {
        self.fields.iter().try_for_each(|field| match self.get(field.name) {
            None if field.required => Err(self.missing(field.name)),
            _ => self.is_a(field.name, &field.kind),
        })
    }

    /// Whether a key, if it is there, is of that kind; of several kinds the first is named where none is met.
    fn is_a(&self, name: &str, kind: &'static Kind) -> Read<()> {
        match kind {
            Kind::Text => self.text(name).map(drop),
            Kind::Texts => self.texts(name).map(drop),
            Kind::List => self.list(name).map(drop),
            Kind::Flag => self.flag(name).map(drop),
            Kind::Whole(low, high) => self.whole(name, *low, *high).map(drop),
            Kind::Duration => self.duration(name).map(drop),
            Kind::Word(words) => self.one_of(name, words).map(drop),
            Kind::Free => self.free(name).map(drop),
            Kind::TextMap => self.text_map(name).map(drop),
            Kind::Section(_) => self.section(name)?.map_or(Ok(()), |table| table.checked()),
            Kind::Sections(_) => self.sections(name)?.iter().try_for_each(Self::checked),
            Kind::Either(kinds) => {
                let mut tried = kinds.iter().map(|kind| self.is_a(name, kind));
                let first = tried.next().unwrap_or(Ok(()));
                if tried.any(|other| other.is_ok()) { Ok(()) } else { first }
            }
            // Whole specs, which their own reader checks.
            Kind::Environments => Ok(()),
        }
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

    /// All of it, without places.
    pub(super) fn to_json(&self) -> serde_json::Value {
        self.node.to_json()
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

    /// A list of text.
    pub(super) fn list(&self, name: &str) -> Read<Option<Vec<String>>> {
        match self.get(name) {
            Some(node) if !matches!(node.value, Value::List(_)) => {
                Err(kind(node, &self.key(name), "a list of text"))
            }
            _ => self.texts(name),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.get(name)
            .map(|node| match node.value {
                Value::Bool(flag) => Ok(flag),
                _ => Err(kind(node, &self.key(name), "true or false")),
            })
            .transpose()
    }

    /// A whole number between the bounds that the table of keys gives, both allowed.
    pub(super) fn number(&self, name: &str) -> Read<Option<u64>> {
        let (low, high) = match self.kind_of(name) {
            Some(Kind::Whole(low, high)) => (*low, *high),
            _ => (0, u64::MAX),
        };
        self.whole(name, low, high)
    }

    fn whole(&self, name: &str, low: u64, high: u64) -> Read<Option<u64>> {
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

    /// A duration as instances read it, who take no bare number of seconds.
    pub(super) fn duration_text(&self, name: &str) -> Read<Option<String>> {
        Ok(self.duration(name)?.map(|duration| humantime::format_duration(duration).to_string()))
    }

    /// Free-form data below a key.
    pub(super) fn free(&self, name: &str) -> Read<Map<String, serde_json::Value>> {
        let Some(node) = self.get(name) else { return Ok(Map::new()) };
        match node.to_json() {
            serde_json::Value::Object(map) => Ok(map),
            _ => Err(kind(node, &self.key(name), "a mapping")),
        }
    }

    /// Text by names of the user's own.
    pub(super) fn text_map(&self, name: &str) -> Read<BTreeMap<String, String>> {
        let Some(node) = self.get(name) else { return Ok(BTreeMap::new()) };
        let path = self.key(name);
        let Value::Map(entries) = &node.value else { return Err(kind(node, &path, "a mapping")) };
        let entry = |(key, value): &(Key, Node)| {
            Ok((key.name.clone(), text(value, &format!("{path}.{}", key.name))?))
        };
        entries.iter().map(entry).collect()
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
