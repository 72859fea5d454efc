//! Shell patterns as Python's `fnmatch` reads them.

use std::cell::RefCell;
use std::collections::HashMap;

/// Whether `text` matches `pattern` (`*`, `?`, `[seq]`, `[!seq]`), case-sensitively and as a whole.
pub(crate) fn fnmatch(text: &str, pattern: &str) -> bool {
    if !is_pattern(pattern) {
        return text == pattern;
    }
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| compile(pattern));
        regex.as_ref().is_some_and(|r| r.is_match(text))
    })
}

/// Patterns kept compiled.
const KEPT: usize = 500;

thread_local! {
    /// The same few patterns are held against many names: compiling one takes longer than matching it a hundred times.
    static COMPILED: RefCell<HashMap<String, Option<regex::Regex>>> = RefCell::default();
}

/// The pattern as a regular expression; one that means nothing, such as `[z-a]`, matches nothing.
fn compile(pattern: &str) -> Option<regex::Regex> {
    let mut regex = String::from(r"(?s)\A");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match class_end(rest) {
                Some(end) => {
                    let body = rest[..end].replace('\\', r"\\").replace('[', r"\[").replace("&&", r"&\&");
                    let body = body.strip_prefix('!').map_or_else(|| body.clone(), |b| format!("^{b}"));
                    regex.push_str(&format!("[{body}]"));
                    rest = &rest[end + 1..];
                }
                None => regex.push_str(r"\["),
            },
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(r"\z");
    regex::RegexBuilder::new(&regex).size_limit(1 << 20).build().ok()
}

/// Whether `text` has any of the special characters.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

/// Where the class whose text starts here ends; a `]` that comes first is part of it.
fn class_end(rest: &str) -> Option<usize> {
    let skip = usize::from(rest.starts_with('!'));
    let first = skip + usize::from(rest[skip..].starts_with(']'));
    rest.get(first..)?.find(']').map(|i| i + first)
}

#[cfg(test)]
mod tests {
    use super::fnmatch;

    #[test]
    fn matches_as_python_does() {
        for (text, pattern, expected) in [
            ("web1", "web*", true),
            ("web1", "web?", true),
            ("web12", "web?", false),
            ("web1", "web[0-3]", true),
            ("web1", "web[!0-3]", false),
            ("a.b", "a.b", true),
            ("axb", "a.b", false),
            ("a]b", "a[]]b", true),
            ("a[b", "a[b", true),
            ("multi\nline", "multi*", true),
        ] {
            assert_eq!(fnmatch(text, pattern), expected, "{text} {pattern}");
        }
    }
}
