//! Tokens to composed nodes: tags resolved, anchors shared, and bounds on what one document may use up.

use std::rc::Rc;

use super::grammar;
use super::resolve::Tag;
use super::scan::Problem;
use super::{Pos, complaint};
use crate::error::{Error, Fault};

/// Nodes that one document may have, aliases expanded; long text counts as several.
const MAX_NODES: usize = 1_000_000;
/// Bytes of text that count as one node.
const TEXT_UNIT: usize = 64;
/// Bytes that one document may have.
const MAX_BYTES: usize = 32 << 20;
/// Collections inside collections, aliases expanded.
const MAX_DEPTH: usize = 100;

/// A node as it is written, before its value is made.
pub(super) struct Composed {
    pub(super) at: Pos,
    pub(super) tag: Tag,
    pub(super) content: Content,
    size: usize,
    depth: usize,
}

/// What a node holds.
pub(super) enum Content {
    Scalar(String),
    Seq(Vec<Rc<Composed>>),
    Map(Pairs),
}

/// Keys and values in the order written.
pub(super) type Pairs = Vec<(Rc<Composed>, Rc<Composed>)>;

/// Why a document cannot be composed.
pub(super) enum Stop {
    /// It is no YAML.
    Problem(Problem),
    /// Something in it is not to be found, or is there once too often: a sentence.
    Named(String, Pos),
    /// It asks for too much.
    Limit(String, Pos),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Problem(problem)
    }
}

/// The one document of a text; `None` when it holds none.
pub(super) fn compose(text: &str, name: &str) -> Result<Option<Rc<Composed>>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(Fault::Limit(format!("a YAML document of more than {MAX_BYTES} bytes"))));
    }
    complaint::check_characters(text, name)?;
    grammar::document(text).map_err(|stop| match stop {
        Stop::Problem(problem) => complaint::at(problem.message, problem.at, text, name),
        Stop::Named(message, at) => complaint::at(&message, at, text, name),
        Stop::Limit(message, at) => Error::new(Fault::Limit(message)).at(at.in_file(name)).in_text(text),
    })
}

/// Whether one more collection may be opened inside so many.
pub(super) fn check_depth(depth: usize, at: Pos) -> Result<(), Stop> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(Stop::Limit(format!("YAML with more than {MAX_DEPTH} collections inside each other"), at))
}

impl Composed {
    pub(super) fn scalar(text: String, tag: Tag, at: Pos) -> Self {
        let size = 1 + text.len() / TEXT_UNIT;
        Self { at, tag, content: Content::Scalar(text), size, depth: 0 }
    }

    pub(super) fn seq(items: Vec<Rc<Composed>>, tag: Tag, at: Pos) -> Result<Self, Stop> {
        let (size, depth) = measure(items.iter(), at)?;
        Ok(Self { at, tag, content: Content::Seq(items), size, depth })
    }

    pub(super) fn map(pairs: Pairs, tag: Tag, at: Pos) -> Result<Self, Stop> {
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
