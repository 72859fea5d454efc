//! Text as Python cuts it into lines, and the expression by which Salt finds a text whatever its white space.

use crate::python::regex::{self, Flags};

/// `str.splitlines()`: without the line ends, of which Python knows many.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !ends_line(c) {
            line.push(c);
            continue;
        }
        if c == '\r' {
            chars.next_if_eq(&'\n');
        }
        lines.push(std::mem::take(&mut line));
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Lines with their ends, where `\r` alone ends one too.
pub(super) fn universal(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
        let ends = c == '\n' || (c == '\r' && chars.peek() != Some(&'\n'));
        if ends && chars.peek().is_some() {
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// Whether a Python expression (of bytes, line by line) is found.
pub(super) fn found(pattern: &str, text: &str) -> Result<bool, String> {
    let flags = Flags { multi_line: true, ascii: true, ..Flags::default() };
    regex::build_with(pattern, flags)?.is_match(text).map_err(|e| e.to_string())
}

/// Whether the text holds a chunk from the start of a line to the end of one, whatever the white space between its words.
pub(super) fn holds(text: &str, chunk: &str) -> Result<bool, String> {
    let mut all = Vec::new();
    for line in lines(chunk) {
        all.extend(words(&line, quotes(&line))?);
    }
    if all.is_empty() {
        return Ok(text.is_empty()
            || text.ends_with('\n')
            || text.lines().any(|line| line.trim().is_empty()));
    }
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    Ok(std::iter::once(0).chain(starts).any(|at| text.get(at..).is_some_and(|rest| stands(rest, &all))))
}

/// Whether the words stand at the start, and nothing else on the line of the last.
fn stands(text: &str, words: &[String]) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    if line.trim_matches(space).is_empty() {
        return false;
    }
    let mut rest = text;
    for word in words {
        let Some(after) = rest.trim_start_matches(space).strip_prefix(word.as_str()) else { return false };
        rest = after;
    }
    rest.split('\n').next().unwrap_or_default().trim_matches(space).is_empty()
}

fn space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The quotes that hold a word together in this text.
fn quotes(text: &str) -> &'static str {
    match (text.contains("'\\\""), text.contains('\''), text.contains('"')) {
        (true, ..) => "",
        (_, true, _) => "\"",
        (_, _, true) => "'",
        _ => "'\"",
    }
}

/// Words as Python's `shlex` cuts them at white space: a word that begins with a quote ends with it.
fn words(line: &str, quotes: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut open: Option<char> = None;
    for c in line.chars() {
        let space = matches!(c, ' ' | '\t' | '\r' | '\n');
        match open {
            Some(quote) => {
                word.push(c);
                if c == quote {
                    open = None;
                    words.push(std::mem::take(&mut word));
                }
            }
            None if space => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            None => {
                open = (word.is_empty() && quotes.contains(c)).then_some(c);
                word.push(c);
            }
        }
    }
    if open.is_some() {
        return Err(format!("a quote is not closed in {line:?}"));
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

/// A literal as an expression.
pub(super) fn escaped(text: &str) -> String {
    let escape = |c: char| match c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' {
        true => format!("\\{c}"),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(lines("a\r\nb\rc\n\nd\u{2028}e"), ["a", "b", "c", "", "d", "e"]);
        assert_eq!(lines("a\n"), ["a"]);
        assert!(lines("").is_empty());
        assert_eq!(universal("a\r\nb\rc\n\nd"), ["a\r\n", "b\r", "c\n", "\n", "d"]);
        assert!(universal("").is_empty());
    }

    #[test]
    fn a_chunk_is_found_whatever_its_white_space() {
        for (text, chunk, expected) in [
            ("a\n  key  =\tvalue \n", "key = value", true),
            ("a\nmonkey = value\n", "key = value", false),
            ("a.b\n", "a.b", true),
            ("aXb\n", "a.b", false),
            ("one\n\n  two\n", "one\ntwo\n", true),
            ("one\nthree\n", "one\ntwo", false),
            ("say \"a  b\"\n", "say \"a b\"", true),
            ("'a  b'\n", "'a b'", true),
            ("", "", true),
            ("a b c\n", "a b", false),
            ("a b  \n\nc", "a b", true),
            ("a\n\n\nb", "a b", true),
            ("one", "\n", false),
            ("one\n", "\n", true),
        ] {
            assert_eq!(holds(text, chunk).unwrap(), expected, "{text:?} {chunk:?}");
        }
        assert!(holds("x", "\"a 'b").is_err());
    }
}
