//! Composed nodes to values, as PyYAML's safe constructor with Salt's changes: merge keys, duplicate keys, types.

use std::collections::HashSet;
use std::rc::Rc;

use super::compose::{Composed, Content, Pairs, compose};
use super::resolve::{self, Tag};
use super::{Data, Node, Pos, complaint};
use crate::error::Error;

/// Reads one YAML document; `name` is the file, for errors.
///
/// # Errors
/// The first fault, with its place.
pub(crate) fn load(text: &str, name: &str) -> Result<Node, Error> {
    let nothing = Node { at: Pos { line: 1, column: 1 }, data: Data::Null };
    let Some(root) = compose(text, name)? else { return Ok(nothing) };
    Constructor { text, name }.node(root)
}

struct Constructor<'t> {
    text: &'t str,
    name: &'t str,
}

impl Constructor<'_> {
    fn fail<T>(&self, message: impl AsRef<str>, at: Pos) -> Result<T, Error> {
        Err(complaint::at(message.as_ref(), at, self.text, self.name))
    }

    /// The value of a node. One that nothing else means (an alias does) is taken apart as it is made.
    fn node(&self, node: Rc<Composed>) -> Result<Node, Error> {
        let (at, tag, content) = parts(node);
        let data = match (tag, content) {
            (Tag::Seq, Content::Seq(items)) => self.list(items)?,
            (Tag::Pairs, Content::Seq(items)) => self.pairs(items, at)?,
            (Tag::Map, Content::Map(pairs)) => self.map(pairs)?,
            (Tag::Set, Content::Map(pairs)) => self.set(pairs)?,
            (tag @ (Tag::Other(_) | Tag::Merge | Tag::Value), _) => {
                return self.fail(no_constructor(&tag), at);
            }
            (Tag::Seq | Tag::Pairs, content) => return self.fail(expected("a sequence", &content), at),
            (Tag::Map | Tag::Set, content) => return self.fail(expected("a mapping", &content), at),
            (Tag::Str | Tag::Timestamp, Content::Scalar(text)) => Data::Str(text),
            (tag, content) => self.scalar(&tag, &content, at)?,
        };
        Ok(Node { at, data })
    }

    fn scalar(&self, tag: &Tag, content: &Content, at: Pos) -> Result<Data, Error> {
        match content {
            Content::Scalar(text) => match resolve::scalar(tag, text) {
                Some(data) => Ok(data),
                None => self.fail(format!("'{text}' does not fit its tag {}", name_of(tag)), at),
            },
            // YAML 1.1: the value of a mapping is that of its key `=`.
            // Salt's reading of leading zeros expects the text of a whole number at hand.
            Content::Map(pairs) if *tag != Tag::Int => {
                match pairs.iter().find(|(key, _)| key.tag == Tag::Value) {
                    Some((_, value)) => self.scalar(tag, &value.content, at),
                    None => self.fail(expected("a scalar", content), at),
                }
            }
            _ => self.fail(expected("a scalar", content), at),
        }
    }

    fn list(&self, items: Vec<Rc<Composed>>) -> Result<Data, Error> {
        items.into_iter().map(|item| self.node(item)).collect::<Result<_, _>>().map(Data::List)
    }

    /// `!!pairs`: a list of lists of two.
    fn pairs(&self, items: Vec<Rc<Composed>>, at: Pos) -> Result<Data, Error> {
        let pair = |item: Rc<Composed>| match &item.content {
            Content::Map(pairs) if pairs.len() == 1 => {
                let (key, value) = pairs[0].clone();
                Ok(Node { at: item.at, data: Data::List(vec![self.node(key)?, self.node(value)?]) })
            }
            _ => self.fail("expected a list of mappings with one key each", at),
        };
        items.into_iter().map(pair).collect::<Result<_, _>>().map(Data::List)
    }

    fn map(&self, pairs: Pairs) -> Result<Data, Error> {
        let flat = self.flattened(pairs)?;
        let mut made = Vec::with_capacity(flat.len());
        for (key, value) in flat {
            made.push((self.key(key)?, self.node(value)?));
        }
        match repeated(&made) {
            Some(key) => {
                let message = format!("found conflicting ID '{}': the key is there twice", key.key());
                let first = made.iter().map(|(other, _)| other).find(|o| o.to_py().equals(&key.to_py()));
                self.fail(message, key.at).map_err(|error: Error| match first {
                    Some(first) => error.through("first at", first.at.in_file(self.name)),
                    None => error,
                })
            }
            None => Ok(Data::Map(made)),
        }
    }

    /// A set is kept as a mapping to nothing.
    fn set(&self, pairs: Pairs) -> Result<Data, Error> {
        let mut data = self.map(pairs)?;
        if let Data::Map(pairs) = &mut data {
            pairs.iter_mut().for_each(|(_, value)| value.data = Data::Null);
        }
        Ok(data)
    }

    fn key(&self, key: Rc<Composed>) -> Result<Node, Error> {
        let at = key.at;
        if let (Tag::Value, Content::Scalar(text)) = (&key.tag, &key.content) {
            return Ok(Node { at, data: Data::Str(text.clone()) });
        }
        let made = self.node(key)?;
        if matches!(made.data, Data::List(_) | Data::Map(_)) {
            return self.fail("found unacceptable key: a list or mapping cannot be a key", at);
        }
        Ok(made)
    }

    /// A mapping with its merge keys replaced by what they stand for, which comes first. What the mapping says itself
    /// wins; two sources that say the same are duplicates, as in Salt.
    fn flattened(&self, pairs: Pairs) -> Result<Pairs, Error> {
        if !pairs.iter().any(|(key, _)| key.tag == Tag::Merge) {
            return Ok(pairs);
        }
        let mut merged = Vec::new();
        let mut own = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match (&key.tag, &value.content) {
                (Tag::Merge, Content::Map(pairs)) => merged.extend(self.flattened(pairs.clone())?),
                (Tag::Merge, Content::Seq(items)) => {
                    for item in items.iter().rev() {
                        let Content::Map(pairs) = &item.content else {
                            return self.fail(expected("a mapping for merging", &item.content), value.at);
                        };
                        merged.extend(self.flattened(pairs.clone())?);
                    }
                }
                (Tag::Merge, content) => {
                    return self
                        .fail(expected("a mapping or list of mappings for merging", content), value.at);
                }
                _ => own.push((key, value)),
            }
        }
        // Keys are compared as they are written.
        let said: HashSet<&str> = own.iter().filter_map(|(k, _)| text_of(k)).collect();
        merged.retain(|(k, _)| text_of(k).is_none_or(|k| !said.contains(k)));
        drop(said);
        merged.append(&mut own);
        Ok(merged)
    }
}

/// Place, tag and content of a node, taken out of it unless something else means it too.
fn parts(node: Rc<Composed>) -> (Pos, Tag, Content) {
    let at = node.at;
    match Rc::try_unwrap(node) {
        Ok(Composed { tag, content, .. }) => (at, tag, content),
        Err(shared) => (at, shared.tag.clone(), shared.content.clone()),
    }
}

/// The first key that is there a second time, by Python's equality.
fn repeated(pairs: &[(Node, Node)]) -> Option<&Node> {
    if pairs.len() < 2 {
        return None;
    }
    let mut texts = HashSet::with_capacity(pairs.len());
    if pairs.iter().all(|(key, _)| key.as_str().is_some_and(|text| texts.insert(text))) {
        return None;
    }
    // Keys of nodes are scalars: nothing in them can change.
    #[allow(clippy::mutable_key_type)]
    let mut seen = HashSet::with_capacity(pairs.len());
    let mut keys = pairs.iter().map(|(key, _)| key);
    keys.find(|key| !crate::jinja::Key::new(key.to_py()).is_ok_and(|key| seen.insert(key)))
}

fn text_of(node: &Composed) -> Option<&str> {
    match &node.content {
        Content::Scalar(text) => Some(text),
        _ => None,
    }
}

fn expected(what: &str, found: &Content) -> String {
    let found = match found {
        Content::Scalar(_) => "a scalar",
        Content::Seq(_) => "a sequence",
        Content::Map(_) => "a mapping",
    };
    format!("expected {what}, but found {found}")
}

fn no_constructor(tag: &Tag) -> String {
    match tag {
        Tag::Merge => "`<<` is no value by itself: put it into quotes".to_owned(),
        Tag::Value => "`=` is no value by itself: put it into quotes".to_owned(),
        tag => format!("could not determine a constructor for the tag '{}'", name_of(tag)),
    }
}

fn name_of(tag: &Tag) -> &str {
    match tag {
        Tag::Null => "!!null",
        Tag::Bool => "!!bool",
        Tag::Int => "!!int",
        Tag::Float => "!!float",
        Tag::Timestamp => "!!timestamp",
        Tag::Str => "!!str",
        Tag::Binary => "!!binary",
        Tag::Merge => "!!merge",
        Tag::Value => "!!value",
        Tag::Seq => "!!seq",
        Tag::Map => "!!map",
        Tag::Pairs => "!!pairs",
        Tag::Set => "!!set",
        Tag::Other(name) => name,
    }
}
