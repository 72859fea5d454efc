//! What the port of libyaml has to be spared: two kinds of text that libyaml reads and that make the port panic.
//!
//! A text that ends inside a line gets a line break, and a comma right behind a tag (`[!!str, a]`) gets a blank before it.
//! Which commas are behind a tag only a scanner can tell: the port's own is asked, with a blank before each that may be.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use libyaml_safer::{Mark, Scanner, TokenData};

use super::Pos;
use super::compose::MAX_DEPTH;

/// Ends a text that ends inside a line. It stays what it is where it is read, so that it can be taken away again.
pub(super) const LAST_BREAK: char = '\u{2028}';

/// How many tags with a comma inside (`!<tag:example.com,2002:x>`) are read beside tags that look as if a comma followed.
const MAX_TRIES: usize = 20;

/// A text that can be read without a panic.
pub(super) struct Spared<'t> {
    text: Cow<'t, str>,
    blanks: Vec<Blank>,
    pub(super) has_last_break: bool,
}

/// A blank that was put into the text.
struct Blank {
    index: usize,
    line: usize,
    /// How many there are in this line so far.
    nth: usize,
}

/// A comma that may be right behind a tag.
#[derive(Clone, Copy)]
struct Comma {
    index: usize,
    line: usize,
}

impl<'t> Spared<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        // A byte order mark is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let has_last_break = !text.is_empty() && !text.ends_with(is_break);
        let commas = behind_tags(text, commas(text));
        if commas.is_empty() {
            return Self { text: Cow::Borrowed(text), blanks: Vec::new(), has_last_break };
        }
        let text = Cow::Owned(with_blanks(text, &commas));
        Self { text, blanks: blanks(&commas), has_last_break }
    }

    /// The bytes to be read, a piece at a time.
    pub(super) fn input(&self) -> impl BufRead {
        input(&self.text, self.has_last_break)
    }

    /// Whether a scalar that ends here ends with the line break that was put in.
    pub(super) fn ends_at(&self, mark: Mark) -> bool {
        let end = self.text.len() + LAST_BREAK.len_utf8();
        self.has_last_break && mark.index == end as u64
    }

    /// The place in the text as it was written.
    pub(super) fn place(&self, mark: Mark) -> Pos {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX - 1);
        let (index, line) = (number(mark.index), number(mark.line));
        let before = self.blanks.partition_point(|blank| blank.index < index);
        let last = before.checked_sub(1).map(|i| &self.blanks[i]).filter(|blank| blank.line == line);
        let added = last.map_or(0, |blank| blank.nth);
        Pos { line: line + 1, column: number(mark.column).saturating_sub(added) + 1 }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn input(text: &str, has_last_break: bool) -> impl BufRead {
    let last: &'static [u8] = if has_last_break { "\u{2028}".as_bytes() } else { b"" };
    BufReader::new(text.as_bytes().chain(last))
}

/// The commas of words with a `!` before them.
fn commas(text: &str) -> Vec<Comma> {
    let mut found = Vec::new();
    let (mut marked, mut line, mut previous) = (false, 0, ' ');
    for (index, c) in text.char_indices() {
        match c {
            ',' if marked => found.push(Comma { index, line }),
            '!' => marked = true,
            ' ' | '\t' => marked = false,
            c if is_break(c) => {
                marked = false;
                line += usize::from(!(previous == '\r' && c == '\n'));
            }
            _ => {}
        }
        previous = c;
    }
    found
}

/// The commas among these that are behind a tag, and those after the first fault of the text.
fn behind_tags(text: &str, mut commas: Vec<Comma>) -> Vec<Comma> {
    for _ in 0..MAX_TRIES {
        if commas.is_empty() {
            break;
        }
        let seen = scan(&with_blanks(text, &commas));
        // A blank inside `!<…>` breaks it: there the comma is a part of the tag.
        let broken = seen.broken.and_then(|index| blanks(&commas).iter().position(|b| b.index == index));
        if let Some(broken) = broken {
            commas.remove(broken);
            continue;
        }
        let kept = |i: usize, comma: &Comma| {
            let index = comma.index + i;
            seen.tag_ends.contains(&index) || index >= seen.until
        };
        return commas.iter().enumerate().filter(|(i, c)| kept(*i, c)).map(|(_, c)| *c).collect();
    }
    commas
}

fn with_blanks(text: &str, commas: &[Comma]) -> String {
    let mut made = String::with_capacity(text.len() + commas.len());
    let mut from = 0;
    for comma in commas {
        let before = &text[from..comma.index];
        made.push_str(before);
        // A blank would make a key of a text with `:,` in it. A tag that ends so is unknown: no matter how it is refused.
        made.push(if before.ends_with(':') { '^' } else { ' ' });
        from = comma.index;
    }
    made.push_str(&text[from..]);
    made
}

fn blanks(commas: &[Comma]) -> Vec<Blank> {
    let mut made: Vec<Blank> = Vec::with_capacity(commas.len());
    for (i, comma) in commas.iter().enumerate() {
        let nth = made.last().filter(|last| last.line == comma.line).map_or(0, |last| last.nth) + 1;
        made.push(Blank { index: comma.index + i, line: comma.line, nth });
    }
    made
}

/// What the scanner saw.
struct Seen {
    /// Where tags end.
    tag_ends: HashSet<usize>,
    /// How far it came: the end of its last token before a fault, behind which others may have waited.
    until: usize,
    /// Where a tag in `<>` could not go on.
    broken: Option<usize>,
}

fn scan(text: &str) -> Seen {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut scanner = Scanner::new();
    scanner.set_input(input(text, true));
    scanner.set_encoding(libyaml_safer::Encoding::Utf8);
    let mut seen = Seen { tag_ends: HashSet::new(), until: 0, broken: None };
    let mut depth = 0usize;
    for token in scanner {
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                let unclosed = error.problem().contains("'>'");
                seen.broken = error.problem_mark().filter(|_| unclosed).map(|mark| number(mark.index));
                return seen;
            }
        };
        seen.until = number(token.end_mark.index);
        match token.data {
            TokenData::Tag { .. } => _ = seen.tag_ends.insert(seen.until),
            TokenData::FlowSequenceStart | TokenData::FlowMappingStart => depth += 1,
            TokenData::FlowSequenceEnd | TokenData::FlowMappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        // Every open bracket makes the scanner slower, and so many will be refused.
        if depth > MAX_DEPTH {
            return seen;
        }
    }
    seen.until = usize::MAX;
    seen
}
