//! Events to nodes: anchors, merge keys, duplicate keys, tags, and what one document may use up.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{Data, Node, Pos, resolve};
use crate::error::{Error, Fault};

/// Nodes that one document may have, aliases expanded.
const MAX_NODES: usize = 1_000_000;
/// Bytes that one document may have.
const MAX_BYTES: usize = 32 << 20;
/// Collections inside collections.
const MAX_DEPTH: usize = 100;

/// Reads one YAML document; `name` is the file, for errors.
///
/// # Errors
/// The first fault, with its place.
pub(crate) fn load(text: &str, name: &str) -> Result<Node, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(Fault::Limit(format!("a YAML document of more than {MAX_BYTES} bytes"))));
    }
    let mut loader = Loader { text, name, anchors: HashMap::new(), nodes: 0 };
    loader.document()
}

struct Loader<'t> {
    text: &'t str,
    name: &'t str,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Node>,
    nodes_before: usize,
}

fn pos(marker: &Marker) -> Pos {
    Pos { line: marker.line().max(1), column: marker.col() + 1 }
}

impl Loader<'_> {
    fn fail<T>(&self, message: impl Into<String>, at: Pos) -> Result<T, Error> {
        let error = Error::new(Fault::Yaml(message.into())).at(at.in_file(self.name));
        let line = self.text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        let error = error.in_text(self.text);
        let indent = &line[..line.len() - line.trim_start().len()];
        Err(if indent.contains('\t') {
            error.help("YAML is indented with spaces: replace the tab")
        } else {
            error
        })
    }

    fn document(&mut self) -> Result<Node, Error> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let parser = Parser::new_from_str_with_options(self.text, options);
        let mut stack: Vec<Open> = Vec::new();
        let mut root = None;
        let mut documents = 0;
        for event in parser {
            let (event, span) = match event {
                Ok(next) => next,
                Err(e) => return self.fail(e.info(), pos(e.marker())),
            };
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
            }
            if documents > 1 {
                return self.fail("expected a single document, found another", pos(&span.start));
            }
            if let Some(done) = self.event(event, &span, &mut stack)? {
                root = Some(done);
            }
        }
        Ok(root.unwrap_or(Node { at: Pos { line: 1, column: 1 }, data: Data::Null }))
    }

    /// Takes one event in; gives the root when it is complete.
    fn event(&mut self, event: Event<'_>, span: &Span, stack: &mut Vec<Open>) -> Result<Option<Node>, Error> {
        let at = pos(&span.start);
        let tag_at = span.tag_start.as_ref().map_or(at, pos);
        let open =
            |data, anchor, nodes_before| Open { node: Node { at, data }, anchor, key: None, nodes_before };
        let (node, anchor, nodes_before) = match event {
            Event::SequenceStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), &["seq", "omap", "pairs"], tag_at)?;
                stack.push(open(Data::List(Vec::new()), anchor, self.nodes));
                return self.count(1, at).map(|()| None);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), &["map", "omap", "set"], tag_at)?;
                stack.push(open(Data::Map(Vec::new()), anchor, self.nodes));
                return self.count(1, at).map(|()| None);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = stack.pop() else { return Ok(None) };
                let node = self.finished(done.node)?;
                (node, done.anchor, done.nodes_before)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let before = self.nodes;
                self.count(1, at)?;
                (Node { at, data: self.scalar(&text, style, tag.as_deref(), tag_at)? }, anchor, before)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return self.fail("an alias to a value that contains it", at);
                };
                let before = self.nodes;
                self.count(size, at)?;
                (node, 0, before)
            }
            _ => return Ok(None),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - nodes_before));
        }
        self.place(node, stack)
    }

    fn count(&mut self, nodes: usize, at: Pos) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let fault =
                Fault::Limit(format!("YAML with more than {MAX_NODES} values once its aliases are expanded"));
            return Err(Error::new(fault).at(at.in_file(self.name)).in_text(self.text));
        }
        Ok(())
    }

    fn place(&self, mut node: Node, stack: &mut [Open]) -> Result<Option<Node>, Error> {
        let is_key =
            matches!(stack.last(), Some(Open { node: Node { data: Data::Map(_), .. }, key: None, .. }));
        if node.as_str() == Some(MERGE) && !is_key {
            node.data = Data::Str("<<".to_owned());
        }
        let Some(parent) = stack.last_mut() else { return Ok(Some(node)) };
        match (&mut parent.node.data, parent.key.take()) {
            (Data::List(items), _) => items.push(node),
            (Data::Map(pairs), Some(key)) => pairs.push((key, node)),
            (_, None) if matches!(node.data, Data::List(_) | Data::Map(_)) => {
                return self.fail("found unacceptable key: a list or mapping cannot be a key", node.at);
            }
            (_, None) => parent.key = Some(node),
            _ => {}
        }
        Ok(None)
    }

    /// A collection at its end: merge keys applied, duplicates refused.
    fn finished(&mut self, node: Node) -> Result<Node, Error> {
        let Data::Map(pairs) = node.data else { return Ok(node) };
        let mut merged: Vec<(Node, Node)> = Vec::new();
        let mut own = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if key.as_str() == Some(MERGE) {
                merged.extend(self.merge_source(value)?);
            } else {
                own.push((key, value));
            }
        }
        let mut pairs = own;
        if !merged.is_empty() {
            // What the mapping says itself wins. Two sources that say the same are a conflict, as in Salt.
            let taken: HashSet<String> = pairs.iter().map(|(k, _)| k.key()).collect();
            merged.retain(|(k, _)| !taken.contains(&k.key()));
            merged.append(&mut pairs);
            pairs = merged;
        }
        // Keys of nodes are scalars: nothing in them can change.
        #[allow(clippy::mutable_key_type)]
        let mut seen = HashSet::new();
        for (key, _) in &pairs {
            let new = crate::jinja::Key::new(key.to_py()).is_ok_and(|k| seen.insert(k));
            if !new {
                return self
                    .fail(format!("found conflicting ID '{}': the key is there twice", key.key()), key.at);
            }
        }
        Ok(Node { at: node.at, data: Data::Map(pairs) })
    }

    fn merge_source(&mut self, value: Node) -> Result<Vec<(Node, Node)>, Error> {
        let at = value.at;
        let refuse = |me: &Self, node: &Node| {
            let found = node.kind();
            me.fail(format!("expected a mapping or list of mappings for merging, but found {found}"), at)
        };
        match value.data {
            Data::Map(pairs) => Ok(pairs),
            Data::List(items) => {
                let mut all = Vec::new();
                for item in items.into_iter().rev() {
                    match item.data {
                        Data::Map(pairs) => all.extend(pairs),
                        _ => return refuse(self, &item),
                    }
                }
                Ok(all)
            }
            _ => refuse(self, &value),
        }
    }

    fn check_collection_tag(&self, tag: Option<&Tag>, known: &[&str], at: Pos) -> Result<(), Error> {
        match tag.map(name_of) {
            None => Ok(()),
            Some(tag) if known.contains(&tag.as_str()) => Ok(()),
            Some(tag) => self.fail(format!("could not determine a constructor for the tag '{tag}'"), at),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Pos) -> Result<Data, Error> {
        let Some(tag) = tag.map(name_of) else {
            return Ok(match (style, text) {
                (ScalarStyle::Plain, "<<") => Data::Str(MERGE.to_owned()),
                (ScalarStyle::Plain, text) => resolve::plain(text),
                _ => Data::Str(text.to_owned()),
            });
        };
        let resolved = resolve::plain(text);
        let fits = match tag.as_str() {
            "str" | "!" | "python/unicode" | "python/str" | "timestamp" | "value" => {
                Some(Data::Str(text.to_owned()))
            }
            "null" => Some(Data::Null),
            "bool" => Some(resolved).filter(|d| matches!(d, Data::Bool(_))),
            "int" => Some(resolved).filter(|d| matches!(d, Data::Int(_))),
            "float" => match resolved {
                Data::Float(f) => Some(Data::Float(f)),
                _ => text.parse().ok().map(Data::Float),
            },
            "binary" => {
                use base64::Engine as _;
                let bare: String = text.split_whitespace().collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(bare).ok();
                bytes.and_then(|b| String::from_utf8(b).ok()).map(Data::Str)
            }
            "merge" => Some(Data::Str(MERGE.to_owned())),
            _ => return self.fail(format!("could not determine a constructor for the tag '{tag}'"), at),
        };
        fits.map_or_else(|| self.fail(format!("'{text}' does not fit its tag '!!{tag}'"), at), Ok)
    }
}

/// How a plain `<<` is kept apart from a quoted one until its mapping is complete.
const MERGE: &str = "\0<<";

fn name_of(tag: &Tag) -> String {
    let (handle, suffix) = (tag.handle(), tag.suffix());
    match handle {
        "tag:yaml.org,2002:" => suffix.to_owned(),
        "" | "!" if suffix.is_empty() => "!".to_owned(),
        handle => format!("{handle}{suffix}"),
    }
}
