//! Events to composed nodes: tags resolved, anchors shared, and bounds on what one document may use up.

use std::collections::HashMap;
use std::io::BufRead;
use std::rc::Rc;

use super::events::{Event, Events, Properties};
use super::guard::Spared;
use super::resolve::Tag;
use super::{Pos, complaint};
use crate::error::{Error, Fault};

/// Nodes that one document may have, aliases expanded; long text counts as several.
const MAX_NODES: usize = 1_000_000;
/// Bytes of text that count as one node.
const TEXT_UNIT: usize = 64;
/// Bytes that one document may have.
const MAX_BYTES: usize = 32 << 20;
/// Collections inside collections, aliases expanded.
pub(super) const MAX_DEPTH: usize = 100;

/// A node as it is written, before its value is made.
pub(super) struct Composed {
    pub(super) at: Pos,
    pub(super) tag: Tag,
    pub(super) content: Content,
    size: usize,
    depth: usize,
}

/// What a node holds.
#[derive(Clone)]
pub(super) enum Content {
    Scalar(String),
    Seq(Vec<Rc<Composed>>),
    Map(Pairs),
}

/// Keys and values in the order written.
pub(super) type Pairs = Vec<(Rc<Composed>, Rc<Composed>)>;

/// Why a document cannot be composed.
pub(super) enum Stop {
    /// It is no YAML, in a sentence.
    Fault(String, Pos),
    /// It asks for too much.
    Limit(String, Pos),
}

/// The one document of a text; `None` when it holds none.
pub(super) fn compose(text: &str, name: &str) -> Result<Option<Rc<Composed>>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(Fault::Limit(format!("a YAML document of more than {MAX_BYTES} bytes"))));
    }
    complaint::check_characters(text, name)?;
    document(text).map_err(|stop| match stop {
        Stop::Fault(message, at) => complaint::at(&message, at, text, name),
        Stop::Limit(message, at) => Error::new(Fault::Limit(message)).at(at.in_file(name)).in_text(text),
    })
}

/// Whether one more collection may be opened inside so many.
fn check_depth(depth: usize, at: Pos) -> Result<(), Stop> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(Stop::Limit(format!("YAML with more than {MAX_DEPTH} collections inside each other"), at))
}

impl Composed {
    fn scalar(text: String, tag: Tag, at: Pos) -> Self {
        let size = 1 + text.len() / TEXT_UNIT;
        Self { at, tag, content: Content::Scalar(text), size, depth: 0 }
    }

    fn seq(items: Vec<Rc<Composed>>, tag: Tag, at: Pos) -> Result<Self, Stop> {
        let (size, depth) = measure(items.iter(), at)?;
        Ok(Self { at, tag, content: Content::Seq(items), size, depth })
    }

    fn map(pairs: Pairs, tag: Tag, at: Pos) -> Result<Self, Stop> {
        let (size, depth) = measure(pairs.iter().flat_map(|(k, v)| [k, v]), at)?;
        Ok(Self { at, tag, content: Content::Map(pairs), size, depth })
    }
}

/// The size and depth of a collection, aliases expanded: chains of aliases make much of little.
fn measure<'n>(items: impl Iterator<Item = &'n Rc<Composed>>, at: Pos) -> Result<(usize, usize), Stop> {
    let (mut size, mut depth) = (1usize, 0);
    for item in items {
        size = size.saturating_add(item.size);
        depth = depth.max(item.depth);
    }
    if size > MAX_NODES {
        let message = format!("YAML with more than {MAX_NODES} values once its aliases are expanded");
        return Err(Stop::Limit(message, at));
    }
    check_depth(depth, at)?;
    Ok((size, depth + 1))
}

fn fault<T>(message: impl Into<String>, at: Pos) -> Result<T, Stop> {
    Err(Stop::Fault(message.into(), at))
}

fn document(text: &str) -> Result<Option<Rc<Composed>>, Stop> {
    let text = Spared::new(text);
    let mut events = Events::new(&text, text.input());
    let mut event = events.next()?;
    while matches!(event.0, Event::Start | Event::DocumentStart) {
        event = events.next()?;
    }
    if matches!(event.0, Event::End) {
        return Ok(None);
    }
    let mut builder = Builder { events, slots: Vec::new(), anchors: HashMap::new(), depth: 0 };
    let root = builder.node(event)?;
    builder.events.next()?;
    match builder.events.next()? {
        (Event::End, _) => Ok(Some(root)),
        (_, at) => fault("expected a single document in the text, but found another", at),
    }
}

/// The tag that is written; `!` alone says that the node is what it looks like.
fn meaning(tag: Option<&str>, otherwise: impl FnOnce() -> Tag) -> Tag {
    match tag {
        None | Some("" | "!") => otherwise(),
        Some(tag) => Tag::named(tag),
    }
}

struct Builder<'t, R> {
    events: Events<'t, R>,
    /// Every node with an anchor; `None` while it is open.
    slots: Vec<Option<Rc<Composed>>>,
    /// Where the node with this anchor is.
    anchors: HashMap<String, usize>,
    depth: usize,
}

impl<R: BufRead> Builder<'_, R> {
    fn node(&mut self, (event, at): (Event, Pos)) -> Result<Rc<Composed>, Stop> {
        match event {
            Event::Alias(name) => self.alias(&name, at),
            Event::Scalar { properties, text, plain } => self.anchored(properties, at, |_, tag| {
                let tag = meaning(tag, || if plain { Tag::plain(&text) } else { Tag::Str });
                Ok(Composed::scalar(text, tag, at))
            }),
            Event::Seq(properties) => self.anchored(properties, at, |builder, tag| {
                Composed::seq(builder.inside(at, Self::items)?, meaning(tag, || Tag::Seq), at)
            }),
            Event::Map(properties) => self.anchored(properties, at, |builder, tag| {
                Composed::map(builder.inside(at, Self::pairs)?, meaning(tag, || Tag::Map), at)
            }),
            _ => fault("did not find expected node content", at),
        }
    }

    /// A node that aliases behind it can mean.
    fn anchored(
        &mut self,
        properties: Properties,
        at: Pos,
        make: impl FnOnce(&mut Self, Option<&str>) -> Result<Composed, Stop>,
    ) -> Result<Rc<Composed>, Stop> {
        let slot = self.slots.len();
        let is_anchored = properties.anchor.is_some();
        if let Some(name) = properties.anchor {
            if self.anchors.contains_key(&name) {
                return fault(format!("found duplicate anchor '{name}'"), at);
            }
            self.anchors.insert(name, slot);
            self.slots.push(None);
        }
        let node = Rc::new(make(self, properties.tag.as_deref())?);
        if is_anchored {
            self.slots[slot] = Some(node.clone());
        }
        Ok(node)
    }

    fn alias(&self, name: &str, at: Pos) -> Result<Rc<Composed>, Stop> {
        let Some(slot) = self.anchors.get(name) else {
            return fault(format!("found undefined alias '{name}'"), at);
        };
        match &self.slots[*slot] {
            Some(node) => Ok(node.clone()),
            None => fault(format!("the alias '{name}' is inside the value that it means"), at),
        }
    }

    fn inside<T>(&mut self, at: Pos, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        check_depth(self.depth, at)?;
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn items(&mut self) -> Result<Vec<Rc<Composed>>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.events.next()? {
                (Event::Close, _) => return Ok(items),
                event => items.push(self.node(event)?),
            }
        }
    }

    fn pairs(&mut self) -> Result<Pairs, Stop> {
        let mut pairs = Pairs::new();
        loop {
            let event = self.events.next()?;
            if matches!(event.0, Event::Close) {
                return Ok(pairs);
            }
            let key = self.node(event)?;
            let (value, at) = self.events.next()?;
            // A value that is not there has the place of its key.
            let at = if value.is_nothing() { key.at } else { at };
            pairs.push((key, self.node((value, at))?));
        }
    }
}
