//! Template text to tokens, with Jinja2's whitespace control.

use super::Header;
use super::ast::At;
use crate::error::{Error, Fault};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Literal text.
    Data(String),
    /// `{{` and `}}`.
    VarBegin,
    VarEnd,
    /// `{%` and `%}`.
    BlockBegin,
    BlockEnd,
    Name(String),
    Int(i64),
    Float(f64),
    Str(String),
    Op(&'static str),
    End,
}

/// How an environment trims around tags (`#jinja2:` header).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Whitespace {
    pub(crate) trim_blocks: bool,
    pub(crate) lstrip_blocks: bool,
    /// The line break that ends the template is text like any other.
    pub(crate) keep_end: bool,
}

/// Longest first, so that `**` wins over `*`.
const OPERATORS: &[&str] = &[
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "(", ")", "[", "]", "{", "}", "<", ">",
    "=", ".", ":", "|", ",", ";",
];

/// What kind of tag opens at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Var,
    Block,
    Comment,
}

/// A fault at an offset; the caller knows the file.
pub(super) type LexError = (Error, At);

pub(super) struct Lexer<'a> {
    source: &'a str,
    pos: usize,
    whitespace: Whitespace,
    tokens: Vec<(Token, At)>,
    /// The last tag ended with `-`.
    strip_next: bool,
    /// A block or comment just ended, and `trim_blocks` is on.
    trim_newline: bool,
}

/// Cuts a template into tokens.
pub(super) fn lex(source: &str, header: Header) -> Result<Vec<(Token, At)>, LexError> {
    let Header { shebang, start, whitespace } = header;
    let bare = source.strip_suffix("\r\n").or_else(|| source.strip_suffix('\n'));
    let end = bare.filter(|_| !whitespace.keep_end).map_or(source.len(), str::len);
    let mut lexer = Lexer {
        source: &source[..end.max(start)],
        pos: start,
        whitespace,
        tokens: Vec::new(),
        strip_next: false,
        trim_newline: false,
    };
    if start > 0 && shebang > 0 {
        lexer.push(Token::Data(source[..shebang].to_owned()), 0);
    }
    lexer.run()?;
    let end = lexer.pos;
    lexer.push(Token::End, end);
    Ok(lexer.tokens)
}

fn syntax(message: impl Into<String>, at: usize) -> LexError {
    (Error::new(Fault::Syntax(message.into())), offset(at))
}

fn offset(at: usize) -> At {
    At::try_from(at).unwrap_or(At::MAX)
}

impl Lexer<'_> {
    fn push(&mut self, token: Token, at: usize) {
        self.tokens.push((token, offset(at)));
    }

    fn rest(&self) -> &str {
        &self.source[self.pos..]
    }

    fn run(&mut self) -> Result<(), LexError> {
        while self.pos < self.source.len() {
            let found = next_tag(self.rest());
            let Some((ahead, tag)) = found else {
                self.data(self.source.len(), None);
                break;
            };
            let at = self.pos + ahead;
            let sign = self.source[at + 2..].chars().next().filter(|c| *c == '-' || *c == '+');
            self.data(at, Some((tag, sign)));
            self.pos = at + 2 + usize::from(sign.is_some());
            match tag {
                Tag::Comment => self.comment(at)?,
                Tag::Var => self.tag(Token::VarBegin, at)?,
                Tag::Block if self.raw(at)? => {}
                Tag::Block => self.tag(Token::BlockBegin, at)?,
            }
        }
        Ok(())
    }

    /// Emits the text up to `end`, trimmed as the tags on both sides ask.
    fn data(&mut self, end: usize, next: Option<(Tag, Option<char>)>) {
        let start = self.pos;
        let at_line_start = start == 0 || self.source[..start].ends_with('\n');
        let text = self.source[start..end].replace("\r\n", "\n").replace('\r', "\n");
        let text = trimmed(&text, self.strip_next, self.trim_newline, next, self.whitespace, at_line_start);
        let text = text.to_owned();
        (self.strip_next, self.trim_newline) = (false, false);
        self.pos = end;
        if !text.is_empty() {
            self.push(Token::Data(text), start);
        }
    }

    /// Skips a comment; `self.pos` is after `{#`.
    fn comment(&mut self, at: usize) -> Result<(), LexError> {
        let Some(len) = self.rest().find("#}") else {
            return Err(syntax("the comment that starts here is never closed with `#}`", at));
        };
        let sign = self.rest()[..len].chars().next_back();
        self.strip_next = sign == Some('-');
        self.trim_newline = self.whitespace.trim_blocks && sign != Some('+');
        self.pos += len + 2;
        Ok(())
    }

    /// Handles `{% raw %}`; `false` when this is another tag.
    fn raw(&mut self, at: usize) -> Result<bool, LexError> {
        let rest = self.rest();
        let Some(after) = rest.trim_start().strip_prefix("raw") else { return Ok(false) };
        let after = after.trim_start();
        let (strip, after) = after.strip_prefix('-').map_or((false, after), |a| (true, a));
        let Some(body) = after.strip_prefix("%}") else { return Ok(false) };
        let start = self.source.len() - body.len();
        let mut from = start;
        while let Some(found) = self.source[from..].find("{%") {
            let open = from + found;
            let tail = &self.source[open + 2..];
            let (before, tail) = tail.strip_prefix('-').map_or((None, tail), |t| (Some('-'), t));
            let closing = tail.trim_start().strip_prefix("endraw").map(str::trim_start);
            let closing = closing.and_then(|t| {
                let (dash, t) = t.strip_prefix('-').map_or((false, t), |t| (true, t));
                t.strip_prefix("%}").map(|t| (dash, self.source.len() - t.len()))
            });
            if let Some((dash, end)) = closing {
                self.pos = start;
                self.strip_next = strip;
                self.trim_newline = self.whitespace.trim_blocks;
                self.data(open, Some((Tag::Block, before)));
                self.strip_next = dash;
                self.trim_newline = self.whitespace.trim_blocks;
                self.pos = end;
                return Ok(true);
            }
            from = open + 2;
        }
        Err(syntax("the raw block that starts here has no `{% endraw %}`", at))
    }

    /// The tokens of one tag; `self.pos` is after its opening.
    fn tag(&mut self, begin: Token, at: usize) -> Result<(), LexError> {
        let (close, end) = match begin {
            Token::VarBegin => ("}}", Token::VarEnd),
            _ => ("%}", Token::BlockEnd),
        };
        self.push(begin, at);
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            self.pos = self.source.len() - self.rest().trim_start().len();
            if self.rest().is_empty() {
                return Err(syntax(format!("the tag that starts here is never closed with `{close}`"), at));
            }
            if open.is_empty() && self.close(close, &end) {
                return Ok(());
            }
            let here = self.pos;
            match self.token()? {
                Token::Op("(") => open.push(")"),
                Token::Op("[") => open.push("]"),
                Token::Op("{") => open.push("}"),
                Token::Op(op @ (")" | "]" | "}")) => match open.pop() {
                    Some(expected) if expected != op => {
                        return Err(syntax(format!("expected `{expected}`, found `{op}`"), here));
                    }
                    None => return Err(syntax(format!("unexpected `{op}`"), here)),
                    Some(_) => {}
                },
                _ => {}
            }
        }
    }

    /// Ends the tag when `close` (with `-` or `+` before it) is next.
    fn close(&mut self, close: &str, end: &Token) -> bool {
        let rest = self.rest();
        let sign = rest.chars().next().filter(|c| *c == '-' || *c == '+');
        let body = if sign.is_some() { &rest[1..] } else { rest };
        if !body.starts_with(close) {
            return false;
        }
        let at = self.pos;
        self.pos += close.len() + usize::from(sign.is_some());
        self.strip_next = sign == Some('-');
        self.trim_newline = *end == Token::BlockEnd && self.whitespace.trim_blocks && sign != Some('+');
        self.push(end.clone(), at);
        true
    }

    fn token(&mut self) -> Result<Token, LexError> {
        let at = self.pos;
        let first = self.rest().chars().next().unwrap_or(' ');
        let token = match first {
            '"' | '\'' => self.string(first)?,
            c if c.is_ascii_digit() => self.number()?,
            c if c == '_' || c.is_alphabetic() => {
                let name: String =
                    self.rest().chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
                self.pos += name.len();
                Token::Name(name)
            }
            c => {
                let Some(op) = OPERATORS.iter().find(|op| self.rest().starts_with(**op)) else {
                    return Err(syntax(format!("unexpected character `{c}`"), at));
                };
                self.pos += op.len();
                Token::Op(op)
            }
        };
        self.push(token.clone(), at);
        Ok(token)
    }

    fn string(&mut self, quote: char) -> Result<Token, LexError> {
        let at = self.pos;
        let mut chars = self.rest()[1..].char_indices();
        let mut escaped = false;
        let end = chars.find_map(|(i, c)| {
            let end = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            end.then_some(i)
        });
        let Some(end) = end else { return Err(syntax("the string that starts here is never closed", at)) };
        let raw = self.rest()[1..=end].replace("\r\n", "\n");
        self.pos += end + 2;
        unescape(&raw)
            .map(Token::Str)
            .ok_or_else(|| syntax("a broken escape in the string that starts here", at))
    }

    fn number(&mut self) -> Result<Token, LexError> {
        let at = self.pos;
        let rest = self.rest();
        // Behind a dot there are no fractions: `x.1.0` is the item 0 of the item 1. Zeros before a number stand alone.
        let behind_dot = matches!(self.tokens.last(), Some((Token::Op("."), _)));
        let len = number_len(rest, behind_dot);
        let text = rest[..len].replace('_', "");
        self.pos += len;
        let parsed = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => i64::from_str_radix(&text[2..], 16).ok().map(Token::Int),
            Some("0o") => i64::from_str_radix(&text[2..], 8).ok().map(Token::Int),
            Some("0b") => i64::from_str_radix(&text[2..], 2).ok().map(Token::Int),
            _ if text.contains(['.', 'e', 'E']) => text.parse().ok().map(Token::Float),
            _ => text.parse().ok().map(Token::Int),
        };
        parsed.ok_or_else(|| syntax(format!("`{text}` is no number that fits"), at))
    }
}

/// How many bytes of `text` are one number.
fn number_len(text: &str, whole: bool) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize, hex: bool| {
        let is = |b: &u8| *b == b'_' || b.is_ascii_digit() || (hex && b.is_ascii_hexdigit());
        from + bytes[from.min(bytes.len())..].iter().take_while(|b| is(b)).count()
    };
    if bytes.len() > 2 && bytes[0] == b'0' && b"xXoObB".contains(&bytes[1]) {
        return digits(2, b"xX".contains(&bytes[1]));
    }
    let mut end = digits(0, false);
    let mut fraction = false;
    if whole {
        return end;
    }
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1, false);
        fraction = true;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign, false);
            fraction = true;
        }
    }
    let zeros = bytes.iter().take_while(|b| **b == b'0').count();
    if !fraction && zeros > 0 { zeros } else { end }
}

/// The nearest opening of a tag.
fn next_tag(text: &str) -> Option<(usize, Tag)> {
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        let tag = match text.as_bytes().get(at + 1) {
            Some(b'{') => Some(Tag::Var),
            Some(b'%') => Some(Tag::Block),
            Some(b'#') => Some(Tag::Comment),
            _ => None,
        };
        if let Some(tag) = tag {
            return Some((at, tag));
        }
        from = at + 1;
    }
    None
}

fn trimmed(
    text: &str,
    strip: bool,
    newline: bool,
    next: Option<(Tag, Option<char>)>,
    whitespace: Whitespace,
    at_line_start: bool,
) -> &str {
    let mut text = text;
    let mut line_start = at_line_start;
    if strip {
        line_start = text.len() != text.trim_start().len() && text.trim_start().is_empty();
        text = text.trim_start();
    } else if newline && text.starts_with('\n') {
        (text, line_start) = (&text[1..], true);
    }
    match next {
        Some((_, Some('-'))) => text.trim_end(),
        Some((Tag::Block | Tag::Comment, None)) if whitespace.lstrip_blocks => {
            let bare = text.trim_end_matches([' ', '\t']);
            let clean = bare.ends_with('\n') || (bare.is_empty() && line_start);
            if clean { bare } else { text }
        }
        _ => text,
    }
}

/// Resolves the escapes of a Python string literal.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let digits = |chars: &mut std::str::Chars<'_>, n: usize| {
            let text: String = chars.take(n).collect();
            (text.len() == n).then(|| u32::from_str_radix(&text, 16).ok()).flatten().and_then(char::from_u32)
        };
        match chars.next()? {
            '\n' => {}
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            'x' => out.push(digits(&mut chars, 2)?),
            'u' => out.push(digits(&mut chars, 4)?),
            'U' => out.push(digits(&mut chars, 8)?),
            c @ ('\\' | '\'' | '"') => out.push(c),
            c @ '0'..='7' => {
                let mut value = c.to_digit(8)?;
                for _ in 0..2 {
                    let Some(d) = chars.clone().next().and_then(|c| c.to_digit(8)) else { break };
                    value = value * 8 + d;
                    chars.next();
                }
                out.push(char::from_u32(value)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Some(out)
}
