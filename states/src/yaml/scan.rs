//! Text to tokens: where collections begin and end, by indentation and by bracket, and which scalars are keys.
//!
//! Every rule is that of libyaml, the C parser below PyYAML, where it departs from the YAML specification too: what Salt
//! reads is read and what Salt refuses is refused. `scan_text` reads scalars, `scan_props` tags, anchors and directives.

use std::collections::VecDeque;

use super::Pos;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    End,
    Version { major: u32, minor: u32 },
    TagPrefix { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSeq,
    BlockMap,
    BlockEnd,
    FlowSeq,
    FlowSeqEnd,
    FlowMap,
    FlowMapEnd,
    Entry,
    Comma,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, plain: bool },
}

/// Why a text is no YAML, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: &'static str,
    pub(super) at: Pos,
}

pub(super) type Scan<T> = Result<T, Problem>;

/// A key without `?` must be on one line and this short.
const MAX_KEY: usize = 1024;

/// A place where a key may have begun: known for sure only when its colon comes.
#[derive(Clone, Copy)]
struct MaybeKey {
    /// Nothing but a key can stand here.
    required: bool,
    /// The number of its first token, counted from the start of the text.
    token: usize,
    index: usize,
    at: Pos,
}

/// Cuts a text into tokens.
pub(super) struct Scanner {
    chars: Vec<char>,
    index: usize,
    line: usize,
    column: usize,
    tokens: VecDeque<(Token, Pos)>,
    /// Tokens handed out so far.
    taken: usize,
    ended: bool,
    /// The column of the innermost block collection; -1 outside of all.
    pub(super) indent: isize,
    indents: Vec<isize>,
    /// One place for the block context and one for each open bracket.
    keys: Vec<Option<MaybeKey>>,
    /// Whether a key may begin here.
    pub(super) key_allowed: bool,
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// A blank, a line break or the end of the text.
pub(super) fn is_gap(c: char) -> bool {
    is_blank(c) || is_break(c) || c == Scanner::END
}

impl Scanner {
    /// Stands for the end of the text; it cannot be in a text itself.
    pub(super) const END: char = '\0';

    pub(super) fn new(text: &str) -> Self {
        // A byte order mark is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            chars: text.chars().collect(),
            index: 0,
            line: 1,
            column: 0,
            tokens: VecDeque::new(),
            taken: 0,
            ended: false,
            indent: -1,
            indents: Vec::new(),
            keys: vec![None],
            key_allowed: true,
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Scan<&(Token, Pos)> {
        while self.needs_more()? {
            self.fetch()?;
        }
        // The end is never taken away.
        static END: (Token, Pos) = (Token::End, Pos { line: 1, column: 1 });
        Ok(self.tokens.front().unwrap_or(&END))
    }

    /// Takes the next token away.
    pub(super) fn next(&mut self) -> Scan<(Token, Pos)> {
        self.peek()?;
        self.taken += 1;
        Ok(self.tokens.pop_front().unwrap_or((Token::End, self.pos())))
    }

    /// A token can be handed out when no `Key` may still have to go before it.
    fn needs_more(&mut self) -> Scan<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        self.forget_stale_keys()?;
        Ok(self.keys.iter().flatten().any(|key| key.token == self.taken))
    }

    pub(super) fn pos(&self) -> Pos {
        Pos { line: self.line, column: self.column + 1 }
    }

    pub(super) fn column(&self) -> isize {
        isize::try_from(self.column).unwrap_or(isize::MAX)
    }

    pub(super) fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// The character `n` places on.
    pub(super) fn look(&self, n: usize) -> char {
        self.chars.get(self.index + n).copied().unwrap_or(Self::END)
    }

    pub(super) fn fail<T>(&self, message: &'static str) -> Scan<T> {
        Err(Problem { message, at: self.pos() })
    }

    /// Goes on by one character, which is no line break.
    pub(super) fn skip(&mut self) -> char {
        let c = self.look(0);
        if c != Self::END {
            self.index += 1;
            self.column += 1;
        }
        c
    }

    /// Goes on by one line break, and says what it means: all but two are read as `\n`.
    pub(super) fn skip_break(&mut self) -> Option<char> {
        let c = self.look(0);
        if !is_break(c) {
            return None;
        }
        self.index += if c == '\r' && self.look(1) == '\n' { 2 } else { 1 };
        self.line += 1;
        self.column = 0;
        Some(if matches!(c, '\u{2028}' | '\u{2029}') { c } else { '\n' })
    }

    /// `---` or `...` at the start of a line.
    pub(super) fn at_document_mark(&self) -> Option<Token> {
        let three = |c| (0..3).all(|n| self.look(n) == c) && is_gap(self.look(3));
        match self.column {
            0 if three('-') => Some(Token::DocumentStart),
            0 if three('.') => Some(Token::DocumentEnd),
            _ => None,
        }
    }

    pub(super) fn skip_comment(&mut self) {
        if self.look(0) == '#' {
            while !is_break(self.look(0)) && self.look(0) != Self::END {
                self.skip();
            }
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.column == 0 && self.look(0) == '\u{feff}' {
                self.skip();
            }
            // A tab is no indentation: it separates only where no key can begin.
            while self.look(0) == ' ' || (self.look(0) == '\t' && (self.in_flow() || !self.key_allowed)) {
                self.skip();
            }
            self.skip_comment();
            if self.skip_break().is_none() {
                return;
            }
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    fn push(&mut self, token: Token, at: Pos) {
        self.tokens.push_back((token, at));
    }

    fn fetch(&mut self) -> Scan<()> {
        self.skip_to_token();
        self.forget_stale_keys()?;
        self.close_blocks(self.column());
        if self.look(0) == Self::END {
            return self.end();
        }
        if self.column == 0 && self.look(0) == '%' {
            self.close_blocks(-1);
            self.forget_key()?;
            self.key_allowed = false;
            let at = self.pos();
            let token = self.directive()?;
            self.push(token, at);
            return Ok(());
        }
        if let Some(token) = self.at_document_mark() {
            self.close_blocks(-1);
            self.forget_key()?;
            self.key_allowed = false;
            let at = self.pos();
            (0..3).for_each(|_| _ = self.skip());
            self.push(token, at);
            return Ok(());
        }
        self.fetch_inside()
    }

    fn fetch_inside(&mut self) -> Scan<()> {
        let (c, next) = (self.look(0), self.look(1));
        let (flow, gap) = (self.in_flow(), is_gap(next));
        match c {
            '[' => self.open(Token::FlowSeq),
            '{' => self.open(Token::FlowMap),
            ']' => self.close(Token::FlowSeqEnd),
            '}' => self.close(Token::FlowMapEnd),
            ',' => self.comma(),
            '-' if gap => self.entry(),
            '?' if flow || gap => self.question(),
            ':' if flow || gap => self.colon(),
            '*' | '&' => self.item(Self::anchor),
            '!' => self.item(Self::tag),
            '|' if !flow => self.block_text(true),
            '>' if !flow => self.block_text(false),
            '\'' | '"' => self.item(Self::quoted),
            '-' if is_blank(next) => self.fail("found character that cannot start any token"),
            '-' => self.item(Self::plain),
            '?' | ':' if !flow => self.item(Self::plain),
            '\t' => self.fail("found a tab character that cannot start any token"),
            '#' | '|' | '>' | '%' | '@' | '`' => self.fail("found character that cannot start any token"),
            _ => self.item(Self::plain),
        }
    }

    /// A scalar or what goes before one: it may begin a key, and no key can begin right after it.
    fn item(&mut self, read: impl FnOnce(&mut Self) -> Scan<Token>) -> Scan<()> {
        self.maybe_key()?;
        self.key_allowed = false;
        let at = self.pos();
        let token = read(self)?;
        self.push(token, at);
        Ok(())
    }

    fn block_text(&mut self, literal: bool) -> Scan<()> {
        self.forget_key()?;
        self.key_allowed = true;
        let at = self.pos();
        let token = self.block_scalar(literal)?;
        self.push(token, at);
        Ok(())
    }

    fn end(&mut self) -> Scan<()> {
        self.close_blocks(-1);
        self.forget_key()?;
        self.key_allowed = false;
        self.ended = true;
        self.push(Token::End, self.pos());
        Ok(())
    }

    fn open(&mut self, token: Token) -> Scan<()> {
        self.maybe_key()?;
        self.keys.push(None);
        self.key_allowed = true;
        self.indicator(token);
        Ok(())
    }

    fn close(&mut self, token: Token) -> Scan<()> {
        self.forget_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.indicator(token);
        Ok(())
    }

    fn comma(&mut self) -> Scan<()> {
        self.forget_key()?;
        self.key_allowed = true;
        self.indicator(Token::Comma);
        Ok(())
    }

    fn entry(&mut self) -> Scan<()> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.fail("block sequence entries are not allowed in this context");
            }
            self.open_block(self.column(), None, Token::BlockSeq, self.pos());
        }
        self.forget_key()?;
        self.key_allowed = true;
        self.indicator(Token::Entry);
        Ok(())
    }

    fn question(&mut self) -> Scan<()> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.fail("mapping keys are not allowed in this context");
            }
            self.open_block(self.column(), None, Token::BlockMap, self.pos());
        }
        self.forget_key()?;
        self.key_allowed = !self.in_flow();
        self.indicator(Token::Key);
        Ok(())
    }

    fn colon(&mut self) -> Scan<()> {
        if let Some(key) = self.keys.last_mut().and_then(Option::take) {
            let column = isize::try_from(key.at.column - 1).unwrap_or(isize::MAX);
            self.tokens.insert(key.token - self.taken, (Token::Key, key.at));
            self.open_block(column, Some(key.token), Token::BlockMap, key.at);
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return self.fail("mapping values are not allowed in this context");
                }
                self.open_block(self.column(), None, Token::BlockMap, self.pos());
            }
            self.key_allowed = !self.in_flow();
        }
        self.indicator(Token::Value);
        Ok(())
    }

    fn indicator(&mut self, token: Token) {
        let at = self.pos();
        self.skip();
        self.push(token, at);
    }

    /// Opens a block collection when this column is deeper than the ones that are open.
    fn open_block(&mut self, column: isize, before: Option<usize>, token: Token, at: Pos) {
        if self.in_flow() || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        match before {
            Some(number) => self.tokens.insert(number - self.taken, (token, at)),
            None => self.push(token, at),
        }
    }

    /// Closes the block collections that are deeper than this column.
    fn close_blocks(&mut self, column: isize) {
        while !self.in_flow() && self.indent > column {
            self.push(Token::BlockEnd, self.pos());
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn maybe_key(&mut self) -> Scan<()> {
        if !self.key_allowed {
            return Ok(());
        }
        self.forget_key()?;
        let key = MaybeKey {
            required: !self.in_flow() && self.indent == self.column(),
            token: self.taken + self.tokens.len(),
            index: self.index,
            at: self.pos(),
        };
        if let Some(place) = self.keys.last_mut() {
            *place = Some(key);
        }
        Ok(())
    }

    fn forget_key(&mut self) -> Scan<()> {
        match self.keys.last_mut().and_then(Option::take) {
            Some(key) if key.required => self.no_colon(key),
            _ => Ok(()),
        }
    }

    fn no_colon(&self, key: MaybeKey) -> Scan<()> {
        Err(Problem { message: "could not find expected ':'", at: key.at })
    }

    fn forget_stale_keys(&mut self) -> Scan<()> {
        for at in 0..self.keys.len() {
            let Some(key) = self.keys[at] else { continue };
            if key.at.line == self.line && key.index + MAX_KEY >= self.index {
                continue;
            }
            if key.required {
                return self.no_colon(key);
            }
            self.keys[at] = None;
        }
        Ok(())
    }
}
