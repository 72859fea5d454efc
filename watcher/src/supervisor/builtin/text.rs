//! The syntax of unit files: sections, keys, quoting, specifiers, variables and time spans. Pure.
//!
//! Imitates systemd.syntax(7), systemd.service(5) "COMMAND LINES" and systemd.time(7).

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with a unit file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {reason}", file.display())]
pub struct UnitError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub reason: String,
}

/// One `Key=value` of a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Directive {
    /// An error that points at this directive's value.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> UnitError {
        UnitError { file: self.file.clone(), line: self.line, column: self.column, reason: reason.into() }
    }
}

/// The directives of one file, in order. Continued lines are joined by a space.
pub(crate) fn directives(file: &Path, text: &str) -> Result<Vec<Directive>, UnitError> {
    let wrong =
        |line, reason: &str| UnitError { file: file.to_owned(), line, column: 1, reason: reason.into() };
    let mut found = Vec::new();
    let mut section = None;
    for (line, content) in logical_lines(text) {
        if let Some(rest) = content.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or_else(|| wrong(line, "a section ends with `]`"))?;
            section = Some(name.to_owned());
            continue;
        }
        let (key, value) =
            content.split_once('=').ok_or_else(|| wrong(line, "expected `Key=value` or `[Section]`"))?;
        let section = section.clone().ok_or_else(|| wrong(line, "a key before the first `[Section]`"))?;
        let value_start = key.len() + 1 + (value.len() - value.trim_start().len());
        found.push(Directive {
            section,
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            file: file.to_owned(),
            line,
            column: value_start + 1,
        });
    }
    Ok(found)
}

/// Lines with their numbers: comments and empty lines left out, a trailing backslash continues on the next line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued: Option<(usize, String)> = None;
    for (index, raw) in text.lines().enumerate() {
        let trimmed = raw.trim();
        if trimmed.starts_with(['#', ';']) || (trimmed.is_empty() && continued.is_none()) {
            continue;
        }
        let (number, before) = continued.take().unwrap_or((index + 1, String::new()));
        match trimmed.strip_suffix('\\') {
            Some(part) => continued = Some((number, before + part + " ")),
            None => lines.push((number, before + trimmed)),
        }
    }
    lines.extend(continued);
    lines.into_iter().filter(|(_, l)| !l.trim().is_empty()).collect()
}

/// Split into words: blanks separate, quotes group, backslash escapes as in C.
pub(crate) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().push(escape(&mut chars)?),
            (q, Some(open)) if q == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) if word.is_none() => {
                quote = Some(c);
                word = Some(String::new());
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => found.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    found.extend(word);
    Ok(found)
}

/// The character after a backslash.
fn escape(chars: &mut std::str::Chars) -> Result<char, String> {
    let hex = |chars: &mut std::str::Chars, digits: usize| {
        let text: String = chars.by_ref().take(digits).collect();
        u32::from_str_radix(&text, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or(format!("wrong escape `\\x{text}`"))
    };
    match chars.next() {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('s') => Ok(' '),
        Some('x') => hex(chars, 2),
        Some('u') => hex(chars, 4),
        Some(c @ ('\\' | '"' | '\'' | ' ' | '$' | ';')) => Ok(c),
        Some(c) => Err(format!("unknown escape `\\{c}`")),
        None => Err("nothing follows the last backslash".into()),
    }
}

/// What the specifiers of a unit stand for.
#[derive(Debug, Clone)]
pub(crate) struct Specifiers {
    /// The unit's name without `.service`.
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) home: String,
    pub(crate) hostname: String,
}

impl Specifiers {
    /// Replace `%x`; an unknown one is an error.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let (prefix, instance) = self.name.split_once('@').unwrap_or((&self.name, ""));
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('n') => out.extend([self.name.as_str(), ".service"]),
                Some('N') => out.push_str(&self.name),
                Some('p' | 'P') => out.push_str(prefix),
                Some('i' | 'I') => out.push_str(instance),
                Some('u') => out.push_str(&self.user),
                Some('h') => out.push_str(&self.home),
                Some('H') => out.push_str(&self.hostname),
                Some('t') => out.push_str("/run"),
                Some('S') => out.push_str("/var/lib"),
                Some('C') => out.push_str("/var/cache"),
                Some('L') => out.push_str("/var/log"),
                Some('E') => out.push_str("/etc"),
                other => {
                    let other = other.map_or(String::new(), String::from);
                    return Err(format!(
                        "the specifier `%{other}` is not supported; write `%%` for a percent sign"
                    ));
                }
            }
        }
        Ok(out)
    }
}

/// Replace `${NAME}` inside words, and a word that is `$NAME` by the words of its value; `$$` is a dollar sign.
/// What is not set becomes empty, as systemd does.
pub(crate) fn substitute(words: &[String], lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        let bare = word.strip_prefix('$').filter(|n| is_variable(n));
        match bare {
            Some(name) => {
                let value = lookup(name).unwrap_or_default();
                out.extend(value.split_whitespace().map(str::to_owned));
            }
            None => out.push(substitute_inside(word, &lookup)),
        }
    }
    out
}

fn substitute_inside(word: &str, lookup: &impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|a| a.split_once('}')).filter(|(n, _)| is_variable(n));
        rest = if let Some((name, tail)) = braced {
            out.push_str(&lookup(name).unwrap_or_default());
            tail
        } else {
            out.push('$');
            after.strip_prefix('$').unwrap_or(after)
        };
    }
    out + rest
}

/// Whether this can be a variable's name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A time span: `90`, `1min 30s`, `100ms`; `None` for `infinity`.
pub(crate) fn span(text: &str) -> Result<Option<Duration>, String> {
    let wrong = || format!("`{text}` is not a time span such as `5s`, `1min 30s`, `100ms` or `infinity`");
    if text == "infinity" {
        return Ok(None);
    }
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].trim_start();
        let length = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        seconds += number * seconds_in(&unit[..length]).ok_or_else(wrong)?;
        rest = unit[length..].trim_start();
    }
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| wrong())
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "us" | "usec" => 1e-6,
        "ms" | "msec" => 1e-3,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

/// The variables of an `EnvironmentFile=`: `NAME=value` lines, `#` and `;` comments, quotes around the value.
pub(crate) fn environment_file(file: &Path, text: &str) -> Result<Vec<(String, String)>, UnitError> {
    let mut found = Vec::new();
    for (line, content) in logical_lines(text) {
        let wrong = |reason: String| UnitError { file: file.to_owned(), line, column: 1, reason };
        let content = content.strip_prefix("export ").unwrap_or(&content);
        let (name, value) = content.split_once('=').ok_or_else(|| wrong("expected `NAME=value`".into()))?;
        if !is_variable(name.trim()) {
            return Err(wrong("a variable's name is made of letters, digits and `_`".into()));
        }
        found.push((name.trim().to_owned(), unquoted(value.trim()).map_err(wrong)?));
    }
    Ok(found)
}

fn unquoted(value: &str) -> Result<String, String> {
    if value.starts_with(['"', '\'']) {
        return Ok(words(value)?.join(" "));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        words(text).unwrap()
    }

    #[test]
    fn words_follow_quotes_and_escapes() {
        assert_eq!(
            split(r#"/bin/a "b c" 'd "e"' f\x20g '' h"i j"k"#),
            ["/bin/a", "b c", "d \"e\"", "f g", "", "hi jk"]
        );
        assert!(words("a 'b").is_err());
        assert!(words("a\\").is_err());
    }

    #[test]
    fn lines_continue_and_comments_do_not_break_them() {
        let text = "[Service]\nExecStart=/bin/a \\\n  b \\\n# not this\n  c\n; nor this\nUser = web \n";
        let found = directives(Path::new("x.service"), text).unwrap();
        assert_eq!(found[0].value.split_whitespace().collect::<Vec<_>>(), ["/bin/a", "b", "c"]);
        assert_eq!((found[1].key.as_str(), found[1].value.as_str()), ("User", "web"));
        assert_eq!((found[1].line, found[1].column), (7, 8));
    }

    #[test]
    fn errors_point_at_their_line() {
        let error = directives(Path::new("/etc/x.service"), "[Service]\nnonsense\n").unwrap_err();
        assert!(error.to_string().starts_with("/etc/x.service:2:1: expected"), "{error}");
        assert!(directives(Path::new("x"), "User=a\n").is_err());
        assert!(directives(Path::new("x"), "[Service\n").is_err());
    }

    #[test]
    fn specifiers() {
        let with = Specifiers {
            name: "web@blue".into(),
            user: "www".into(),
            home: "/srv".into(),
            hostname: "box".into(),
        };
        assert_eq!(
            with.expand("%n %N %p %i %u %h %H 5%%").unwrap(),
            "web@blue.service web@blue web blue www /srv box 5%"
        );
        assert!(with.expand("%q").unwrap_err().contains("%q"));
        assert!(with.expand("100%").is_err());
    }

    #[test]
    fn variables() {
        let lookup = |n: &str| match n {
            "A" => Some("1 2".to_owned()),
            _ => None,
        };
        let words: Vec<String> =
            ["x", "$A", "${A}", "p${A}q$$", "$NONE", "${NONE}", "$a-b", "5$"].map(String::from).into();
        assert_eq!(substitute(&words, lookup), ["x", "1", "2", "1 2", "p1 2q$", "", "$a-b", "5$"]);
    }

    #[test]
    fn spans() {
        assert_eq!(span("5").unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(span("1min 30s").unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(span("100ms").unwrap(), Some(Duration::from_millis(100)));
        assert_eq!(span("2 h").unwrap(), Some(Duration::from_secs(7200)));
        assert_eq!(span("infinity").unwrap(), None);
        for wrong in ["", "x", "5 parsecs", "-1", "1e400", "99999999999999999999999w"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn environment_files() {
        let text = "# c\nA=1\nexport B='two words'\nC=plain words # kept\nD=\"x\\\"y\"\n";
        let found = environment_file(Path::new("e"), text).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "plain words # kept"), ("D", "x\"y")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(environment_file(Path::new("e"), "A=1\n2B=3\n").unwrap_err().line, 2);
    }
}
