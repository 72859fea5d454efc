//! Tokens to nodes: the grammar of documents, block collections and flow collections, as libyaml has it.

use std::collections::HashMap;
use std::rc::Rc;

use super::Pos;
use super::compose::{Composed, Pairs, Stop, check_depth};
use super::resolve::Tag;
use super::scan::{Problem, Scanner, Token};

type Parsed<T> = Result<T, Stop>;
type Shared = Rc<Composed>;

const YAML: &str = "tag:yaml.org,2002:";

/// The one document of a text.
pub(super) fn document(text: &str) -> Parsed<Option<Shared>> {
    let mut parser = Parser {
        scanner: Scanner::new(text),
        prefixes: HashMap::new(),
        slots: Vec::new(),
        anchors: HashMap::new(),
        depth: 0,
    };
    let found = parser.first()?;
    parser.nothing_more()?;
    Ok(found)
}

struct Parser {
    scanner: Scanner,
    /// What tag handles stand for.
    prefixes: HashMap<String, String>,
    /// Every node with an anchor; `None` while it is open.
    slots: Vec<Option<Shared>>,
    /// Where the node with this anchor is.
    anchors: HashMap<String, usize>,
    depth: usize,
}

/// What is written before a node.
#[derive(Default)]
struct Properties {
    anchor: Option<usize>,
    tag: Option<String>,
    at: Option<Pos>,
}

fn fail<T>(message: &'static str, at: Pos) -> Parsed<T> {
    Err(Problem { message, at }.into())
}

/// The tag that is written; `!` alone says that the node is what it looks like.
fn meaning(tag: Option<&str>, otherwise: impl FnOnce() -> Tag) -> Tag {
    match tag {
        None | Some("" | "!") => otherwise(),
        Some(tag) => Tag::named(tag),
    }
}

fn empty(at: Pos) -> Shared {
    Rc::new(Composed::scalar(String::new(), Tag::Null, at))
}

impl Parser {
    fn at(&mut self) -> Parsed<Pos> {
        Ok(self.scanner.peek()?.1)
    }

    fn sees(&mut self, tokens: &[Token]) -> Parsed<bool> {
        let next = &self.scanner.peek()?.0;
        Ok(tokens.contains(next))
    }

    /// Takes the next token if it is this one.
    fn takes(&mut self, token: &Token) -> Parsed<bool> {
        let found = self.scanner.peek()?.0 == *token;
        if found {
            self.scanner.next()?;
        }
        Ok(found)
    }

    fn first(&mut self) -> Parsed<Option<Shared>> {
        if self.sees(&[Token::End])? {
            return Ok(None);
        }
        self.directives()?;
        if self.takes(&Token::DocumentStart)? {
            let at = self.at()?;
            let ends = matches!(
                self.scanner.peek()?.0,
                Token::Version { .. }
                    | Token::TagPrefix { .. }
                    | Token::DocumentStart
                    | Token::DocumentEnd
                    | Token::End
            );
            return if ends { Ok(Some(empty(at))) } else { self.node(true, false).map(Some) };
        }
        self.node(true, false).map(Some)
    }

    /// Behind the document there may be ends of documents, and no other document.
    fn nothing_more(&mut self) -> Parsed<()> {
        while self.takes(&Token::DocumentEnd)? {}
        let at = self.at()?;
        if self.sees(&[Token::End])? {
            return Ok(());
        }
        if self.sees(&[Token::DocumentStart])? {
            return fail("expected a single document in the text, but found another", at);
        }
        fail("did not find expected <document start>", at)
    }

    fn directives(&mut self) -> Parsed<()> {
        let (mut versioned, mut any) = (false, false);
        loop {
            let (token, at) = self.scanner.peek()?.clone();
            match token {
                Token::Version { .. } if versioned => return fail("found duplicate %YAML directive", at),
                Token::Version { major: 1, minor: 1 | 2 } => versioned = true,
                Token::Version { .. } => return fail("found incompatible YAML document", at),
                Token::TagPrefix { handle, prefix } => {
                    if self.prefixes.insert(handle, prefix).is_some() {
                        return fail("found duplicate %TAG directive", at);
                    }
                }
                Token::DocumentStart => break,
                _ if any => return fail("did not find expected <document start>", at),
                _ => break,
            }
            any = true;
            self.scanner.next()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", YAML)] {
            self.prefixes.entry(handle.to_owned()).or_insert_with(|| prefix.to_owned());
        }
        Ok(())
    }

    fn node(&mut self, block: bool, indentless: bool) -> Parsed<Shared> {
        if let (Token::Alias(name), at) = self.scanner.peek()?.clone() {
            self.scanner.next()?;
            return self.alias(&name, at);
        }
        let properties = self.properties()?;
        let (token, here) = self.scanner.peek()?.clone();
        let at = properties.at.unwrap_or(here);
        let tag = properties.tag.as_deref();
        let node = match token {
            Token::Scalar { text, plain } => {
                self.scanner.next()?;
                let by_look = || if plain || tag.is_some() { Tag::plain(&text) } else { Tag::Str };
                let tag = meaning(tag, by_look);
                Composed::scalar(text, tag, at)
            }
            Token::Entry if indentless => self.inside(at, |p| p.indentless_seq(tag, at))?,
            Token::FlowSeq => self.inside(at, |p| p.flow_seq(tag, at))?,
            Token::FlowMap => self.inside(at, |p| p.flow_map(tag, at))?,
            Token::BlockSeq if block => self.inside(at, |p| p.block_seq(tag, at))?,
            Token::BlockMap if block => self.inside(at, |p| p.block_map(tag, at))?,
            _ if properties.at.is_some() => {
                let otherwise = if tag.is_some() { Tag::Str } else { Tag::Null };
                Composed::scalar(String::new(), meaning(tag, || otherwise), at)
            }
            _ => return fail("did not find expected node content", here),
        };
        let node = Rc::new(node);
        if let Some(slot) = properties.anchor {
            self.slots[slot] = Some(node.clone());
        }
        Ok(node)
    }

    fn inside(&mut self, at: Pos, read: impl FnOnce(&mut Self) -> Parsed<Composed>) -> Parsed<Composed> {
        check_depth(self.depth, at)?;
        self.depth += 1;
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn alias(&self, name: &str, at: Pos) -> Parsed<Shared> {
        let Some(slot) = self.anchors.get(name) else {
            return Err(Stop::Named(format!("found undefined alias '{name}'"), at));
        };
        let inside = || Stop::Named(format!("the alias '{name}' is inside the value that it means"), at);
        self.slots[*slot].clone().ok_or_else(inside)
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self) -> Parsed<Properties> {
        let mut found = Properties::default();
        loop {
            let (token, at) = self.scanner.peek()?.clone();
            match token {
                Token::Anchor(name) if found.anchor.is_none() => {
                    if self.anchors.contains_key(&name) {
                        return Err(Stop::Named(format!("found duplicate anchor '{name}'"), at));
                    }
                    self.slots.push(None);
                    self.anchors.insert(name, self.slots.len() - 1);
                    found.anchor = Some(self.slots.len() - 1);
                }
                Token::Tag { handle, suffix } if found.tag.is_none() => {
                    found.tag = Some(self.resolved(&handle, suffix, at)?);
                }
                _ => return Ok(found),
            }
            self.scanner.next()?;
            found.at.get_or_insert(at);
        }
    }

    fn resolved(&self, handle: &str, suffix: String, at: Pos) -> Parsed<String> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        match self.prefixes.get(handle) {
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => fail("found undefined tag handle", at),
        }
    }

    /// A node, or nothing where one of these comes next.
    fn node_unless(&mut self, ends: &[Token], block: bool, indentless: bool) -> Parsed<Shared> {
        if self.sees(ends)? { Ok(empty(self.at()?)) } else { self.node(block, indentless) }
    }

    fn block_seq(&mut self, tag: Option<&str>, at: Pos) -> Parsed<Composed> {
        self.scanner.next()?;
        let mut items = Vec::new();
        while self.takes(&Token::Entry)? {
            items.push(self.node_unless(&[Token::Entry, Token::BlockEnd], true, false)?);
        }
        if !self.takes(&Token::BlockEnd)? {
            return fail("did not find expected '-' indicator", self.at()?);
        }
        Composed::seq(items, meaning(tag, || Tag::Seq), at)
    }

    /// A sequence that stands at the column of its key.
    fn indentless_seq(&mut self, tag: Option<&str>, at: Pos) -> Parsed<Composed> {
        let mut items = Vec::new();
        while self.takes(&Token::Entry)? {
            let ends = [Token::Entry, Token::Key, Token::Value, Token::BlockEnd];
            items.push(self.node_unless(&ends, true, false)?);
        }
        Composed::seq(items, meaning(tag, || Tag::Seq), at)
    }

    fn block_map(&mut self, tag: Option<&str>, at: Pos) -> Parsed<Composed> {
        const ENDS: [Token; 3] = [Token::Key, Token::Value, Token::BlockEnd];
        self.scanner.next()?;
        let mut pairs = Pairs::new();
        while self.takes(&Token::Key)? {
            let key = self.node_unless(&ENDS, true, true)?;
            let value = if self.takes(&Token::Value)? {
                self.node_unless(&ENDS, true, true)?
            } else {
                empty(self.at()?)
            };
            pairs.push((key, value));
        }
        if !self.takes(&Token::BlockEnd)? {
            return fail("did not find expected key", self.at()?);
        }
        Composed::map(pairs, meaning(tag, || Tag::Map), at)
    }

    fn flow_seq(&mut self, tag: Option<&str>, at: Pos) -> Parsed<Composed> {
        self.scanner.next()?;
        let mut items = Vec::new();
        while !self.takes(&Token::FlowSeqEnd)? {
            if !items.is_empty() && !self.takes(&Token::Comma)? {
                return fail("did not find expected ',' or ']'", self.at()?);
            }
            if self.takes(&Token::FlowSeqEnd)? {
                break;
            }
            let here = self.at()?;
            if self.takes(&Token::Key)? {
                items.push(Rc::new(self.inside(here, |p| p.pair(here))?));
            } else {
                items.push(self.node(false, false)?);
            }
        }
        Composed::seq(items, meaning(tag, || Tag::Seq), at)
    }

    /// `[a: b]`: a mapping with one key.
    fn pair(&mut self, at: Pos) -> Parsed<Composed> {
        let pair = self.flow_pair(&Token::FlowSeqEnd)?;
        Composed::map(vec![pair], Tag::Map, at)
    }

    /// Key and value, once the `Key` is taken.
    fn flow_pair(&mut self, end: &Token) -> Parsed<(Shared, Shared)> {
        let ends = [Token::Value, Token::Comma, end.clone()];
        let at = self.at()?;
        let key = if !self.sees(&ends)? {
            self.node(false, false)?
        } else {
            // Behind a `?` without a key, libyaml overlooks one token in a sequence: `[?, b]` is refused.
            if *end == Token::FlowSeqEnd && !self.sees(&[Token::FlowSeqEnd])? {
                self.scanner.next()?;
            }
            empty(at)
        };
        let value = if self.takes(&Token::Value)? {
            self.node_unless(&[Token::Comma, end.clone()], false, false)?
        } else {
            empty(self.at()?)
        };
        Ok((key, value))
    }

    fn flow_map(&mut self, tag: Option<&str>, at: Pos) -> Parsed<Composed> {
        self.scanner.next()?;
        let mut pairs = Pairs::new();
        while !self.takes(&Token::FlowMapEnd)? {
            if !pairs.is_empty() && !self.takes(&Token::Comma)? {
                return fail("did not find expected ',' or '}'", self.at()?);
            }
            if self.takes(&Token::FlowMapEnd)? {
                break;
            }
            if self.takes(&Token::Key)? {
                pairs.push(self.flow_pair(&Token::FlowMapEnd)?);
            } else {
                let key = self.node(false, false)?;
                pairs.push((key, empty(self.at()?)));
            }
        }
        Composed::map(pairs, meaning(tag, || Tag::Map), at)
    }
}
