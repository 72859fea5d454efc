//! Reads YAML into a tree in which every key and value knows its line and column.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};
use std::fmt;

/// Most bytes of a spec file.
const LIMIT: usize = 1024 * 1024;
const DEPTH: usize = 64;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub at: At,
    /// The key.
    pub name: String,
}

/// The kinds of value that a spec can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, the same as leaving the key out.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(Number),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<(Key, Node)>),
}

/// Text that is no YAML, or too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Where the reader stopped, when it knows.
    pub at: Option<At>,
    /// Its words.
    pub message: String,
}

impl Node {
    /// Reads one YAML document.
    ///
    /// # Errors
    /// [`Malformed`] with the place: a syntax error, a key given twice, or more than [`LIMIT`] bytes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > LIMIT {
            let message = format!("the file is {} bytes long; {LIMIT} are the most", text.len());
            return Err(Malformed { at: None, message });
        }
        let options = serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: true,
            budget: serde_saphyr::budget! { max_depth: DEPTH },
        };
        let root: Spanned<Value> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| Malformed::from(&error))?;
        Ok(Self::from(root))
    }

    /// The same data without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect()
            }
        }
    }

    /// This node with another merged over it: mappings key by key, anything else replaced.
    #[must_use]
    pub fn merged(self, over: Self) -> Self {
        match (self.value, over.value) {
            (Value::Map(mut under), Value::Map(entries)) => {
                for (key, node) in entries {
                    merge_entry(&mut under, key, node);
                }
                Self { at: self.at, value: Value::Map(under) }
            }
            (_, value) => Self { at: over.at, value },
        }
    }
}

fn merge_entry(under: &mut Vec<(Key, Node)>, key: Key, node: Node) {
    match under.iter().position(|(have, _)| have.name == key.name) {
        Some(index) => {
            let (_, old) = under.remove(index);
            under.insert(index, (key, old.merged(node)));
        }
        None => under.push((key, node)),
    }
}

impl Value {
    /// What a person would call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl From<serde_saphyr::Location> for At {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { at: spanned.referenced.into(), value: spanned.value }
    }
}

impl From<&serde_saphyr::Error> for Malformed {
    fn from(error: &serde_saphyr::Error) -> Self {
        let at = error.location().map(At::from).filter(|at| at.line > 0);
        Self { at, message: UserMessageFormatter.format_message(error).into_owned() }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            map.push((Key { at: key.referenced.into(), name: key.value }, value.into()));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = Node::parse("a: 1\nb:\n  c: [x, {d: yes}]\n").expect("yaml");
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        let (key, b) = &entries[1];
        assert_eq!((key.name.as_str(), key.at), ("b", At { line: 2, column: 1 }));
        let Value::Map(inner) = &b.value else { panic!("{b:?}") };
        let Value::List(items) = &inner[0].1.value else { panic!("{inner:?}") };
        assert_eq!(items[1].at, At { line: 3, column: 10 });
        let Value::Map(deep) = &items[1].value else { panic!("{items:?}") };
        assert_eq!(
            (deep[0].0.at, deep[0].1.value.clone()),
            (At { line: 3, column: 11 }, Value::Text("yes".into()))
        );
    }

    #[test]
    fn a_key_given_twice_is_refused_with_its_place() {
        let error = Node::parse("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!(error.at, Some(At { line: 3, column: 1 }), "{error:?}");
    }

    #[test]
    fn mappings_merge_by_key_and_the_rest_is_replaced() {
        let under = Node::parse("a: {x: 1, y: [1, 2]}\nb: text\n").expect("yaml");
        let over = Node::parse("a: {y: [3], z: 4}\nb: {c: 1}\n").expect("yaml");
        let expected = serde_json::json!({"a": {"x": 1, "y": [3], "z": 4}, "b": {"c": 1}});
        assert_eq!(under.merged(over).to_json(), expected);
    }
}
