//! What is said when a text is no YAML: the parser's problem, its place, and what to do.

use super::Pos;
use crate::error::{Error, Fault};

/// A fault at a place of the text, with the help that its line suggests.
pub(super) fn at(message: &str, at: Pos, text: &str, name: &str) -> Error {
    let at = inside(at, text);
    let error = Error::new(Fault::Yaml(message.to_owned())).at(at.in_file(name)).in_text(text);
    match advice(message, at, text) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// The end of a text is the end of its last line, not the start of the one that is not there.
fn inside(at: Pos, text: &str) -> Pos {
    let lines = text.lines().count().max(1);
    if at.line <= lines {
        return at;
    }
    Pos { line: lines, column: text.lines().last().map_or(0, |l| l.chars().count()) + 1 }
}

/// Refuses characters that YAML may not hold, anywhere in the text.
pub(super) fn check_characters(text: &str, name: &str) -> Result<(), Error> {
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
        c => c >= '\u{a0}' && c != '\u{fffe}' && c != '\u{ffff}',
    };
    let Some(index) = text.find(|c| !allowed(c)) else { return Ok(()) };
    let before = &text[..index];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let place =
        Pos { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 };
    let code = text[index..].chars().next().map_or(0, u32::from);
    Err(at(&format!("the character U+{code:04X} is not allowed"), place, text, name)
        .help(format!("in a double-quoted text it can be written as \"\\x{code:02X}\"")))
}

/// A space that is missing behind the `-` or the `:` of the line, or of the one before it.
fn unspaced(message: &str, at: Pos, text: &str) -> Option<&'static str> {
    let lines = || text.lines().skip(at.line.saturating_sub(2)).take(2.min(at.line)).map(str::trim_start);
    if message.contains("did not find expected") && lines().any(dash_without_space) {
        return Some("a list entry begins with `- `: put a space behind the `-`");
    }
    let of_keys =
        message.contains("could not find expected ':'") || message.contains("mapping values are not");
    let is_key = |line: &str| colon_without_space(line.strip_prefix("- ").unwrap_or(line));
    (of_keys && lines().any(is_key))
        .then_some("a key ends with a colon and a space: put a space behind the `:`")
}

/// Whether a text begins like a list entry, without the space.
pub(crate) fn dash_without_space(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether a text begins like `key: value`, without the space.
pub(crate) fn colon_without_space(text: &str) -> bool {
    let Some((key, value)) = text.split_once(':') else { return false };
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_key && value.starts_with(|c: char| !c.is_whitespace() && c != ':') && !value.starts_with("//")
}

fn advice(message: &str, at: Pos, text: &str) -> Option<&'static str> {
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let here = line.chars().nth(at.column.saturating_sub(1));
    if indent.contains('\t') || here == Some('\t') {
        return Some("YAML is indented with spaces: replace the tab");
    }
    if let Some(help) = unspaced(message, at, text) {
        return Some(help);
    }
    if line.contains(": {{") || line.contains("- {{") || line.contains(": {%") {
        return Some("a value that begins with `{` is a mapping in YAML: put it into quotes");
    }
    if matches!(here, Some('%' | '@' | '`')) && message.contains("cannot start any token") {
        return Some("no plain value may begin with `%`, `@` or a backtick: put it into quotes");
    }
    if message.contains("mapping values are not allowed") {
        return Some(
            "a value with `: ` in it needs quotes; a key must not be indented deeper than its siblings",
        );
    }
    if message.contains("could not find expected ':'") {
        return Some("a key ends with a colon and a space");
    }
    if message.contains("did not find expected key") || message.contains("did not find expected '-'") {
        return Some("look at the indentation: this line does not line up with the ones above it");
    }
    if message.contains("end of stream while scanning a quoted scalar") {
        return Some("a quoted text ends with the quote that it begins with");
    }
    if message.contains("constructor for the tag") || message.contains("undefined tag handle") {
        return Some("`!` begins a tag: put a text that begins with it into quotes");
    }
    if message.contains("undefined alias") || message.contains("scanning an alias") {
        return Some("`*` begins an alias: put a text that begins with it into quotes");
    }
    None
}
