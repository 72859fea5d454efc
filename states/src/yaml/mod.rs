//! YAML as Salt's loader reads it (PyYAML, YAML 1.1), with the line and column of every node kept.
//!
//! `parse` makes nodes of a parser's events, `resolve` gives plain scalars their types, `dump` writes.

mod dump;
mod parse;
mod resolve;

pub(crate) use dump::{double_quoted, dump};
pub(crate) use parse::load;

use crate::jinja::{Dict, Key, Py};
use crate::low::Origin;
use crate::value::{Map, Value};

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pos {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Pos {
    /// The place in a file.
    pub(crate) fn in_file(self, file: &str) -> Origin {
        Origin { file: file.to_owned(), line: self.line, column: self.column }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Pos,
    pub(crate) data: Data,
}

/// What YAML can say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    /// In the order written, keys of any scalar type.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value for templates, keys keeping their types.
    pub(crate) fn to_py(&self) -> Py {
        match &self.data {
            Data::Null => Py::None,
            Data::Bool(b) => Py::Bool(*b),
            Data::Int(i) => Py::Int(*i),
            Data::Float(f) => Py::Float(*f),
            Data::Str(s) => Py::str(s.as_str()),
            Data::List(l) => Py::list(l.iter().map(Node::to_py).collect()),
            Data::Map(m) => {
                let pair = |(k, v): &(Node, Node)| Key::new(k.to_py()).ok().map(|k| (k, v.to_py()));
                Py::dict(m.iter().filter_map(pair).collect::<Dict>())
            }
        }
    }

    /// The value for the compiler, keys as JSON writes them.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(b) => Value::Bool(*b),
            Data::Int(i) => Value::Int(*i),
            Data::Float(f) => Value::Float(*f),
            Data::Str(s) => Value::Str(s.clone()),
            Data::List(l) => Value::List(l.iter().map(Node::to_value).collect()),
            Data::Map(m) => Value::Map(m.iter().map(|(k, v)| (k.key(), v.to_value())).collect::<Map>()),
        }
    }

    /// The text of a key.
    pub(crate) fn key(&self) -> String {
        match &self.data {
            Data::Str(s) => s.clone(),
            _ => crate::jinja::key_text(&self.to_py()),
        }
    }

    /// The pairs, if this is a mapping.
    pub(crate) fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(m) => Some(m),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(l) => Some(l),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Str(s) => Some(s),
            _ => None,
        }
    }

    /// What this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Str(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}
