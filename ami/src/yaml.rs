//! Writes JSON values as block YAML that YAML 1.1 and 1.2 readers take for the same data.
//!
//! A scalar stays plain only where no reader could see a number, a boolean, a date or an indicator in it; everything
//! else is a double-quoted string with JSON's escapes, which YAML shares.

use serde_json::Value;
use std::fmt::Write;

const RESERVED: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];

/// Writes the entries of a mapping, one a line, at the given depth. An empty mapping writes nothing.
pub(crate) fn write_entries<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a Value)>,
    depth: usize,
    out: &mut String,
) {
    for (key, value) in entries {
        indent(depth, out);
        write_string(key, out);
        out.push(':');
        write_after_key(value, depth, out);
    }
}

fn write_after_key(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_entries(map.iter().map(|(k, v)| (k.as_str(), v)), depth + 1, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_items(items, depth, out);
        }
        _ => {
            out.push(' ');
            write_scalar(value, out);
            out.push('\n');
        }
    }
}

/// Items of a sequence stand one level in; a nested collection is written in flow style, which keeps this short.
fn write_items(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        indent(depth + 1, out);
        out.push_str("- ");
        write_flow(item, out);
        out.push('\n');
    }
}

fn write_flow(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (n, (key, value)) in map.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                write_quoted(key, out);
                out.push_str(": ");
                write_flow(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, value) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                write_flow(value, out);
            }
            out.push(']');
        }
        Value::String(text) => write_quoted(text, out),
        other => write_scalar(other, out),
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn write_string(text: &str, out: &mut String) {
    if is_plain(text) { out.push_str(text) } else { write_quoted(text, out) }
}

fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let inside = text.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-@+:".contains(c));
    let reserved = RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text));
    starts && inside && !reserved && !text.ends_with(':')
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unprintable(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::write_entries;
    use serde_json::{Value, json};

    fn text(value: &Value) -> String {
        let mut out = String::new();
        let map = value.as_object().expect("a mapping");
        write_entries(map.iter().map(|(k, v)| (k.as_str(), v)), 0, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let value = json!({
            "plain": "web", "number": 3, "like a number": "3", "version": "1.10", "yes": "no", "null": null, "empty": "",
            "url": "https://github.com/acme/states.git", "colon": "a: b", "hash": "a #b", "tail": "a:", "bin": "0b1",
            "lines": "one\ntwo\t\u{1}\u{7f}\u{2028}\u{85}", "quote": "say \"hi\" \\ done", "sexagesimal": "12:30:45",
            "nested": {"on": {"deep": [1, "two", {"three": [true, null, "x: y"]}]}, "none": {}}, "list": [], "unicode": "größe ☂",
            "date": "2026-01-02", "dash": "- x", "tilde": "~", "merge": "<<", "<<": "merge"
        });
        let read: Value = serde_saphyr::from_str(&text(&value)).expect("readable");
        let mut value = value;
        let merge = value.as_object_mut().expect("a mapping").remove("<<");
        assert_eq!(merge, Some(json!("merge")));
        let mut read = read;
        assert_eq!(read.as_object_mut().expect("a mapping").remove("<<"), merge);
        assert_eq!(read, value);
    }

    #[test]
    fn ordinary_words_stay_readable() {
        let value =
            json!({"role": "web", "states": {"url": "ssh://git@host/x.git", "ref": "main"}, "n": [1, "a"]});
        assert_eq!(
            text(&value),
            "role: web\nstates:\n  url: ssh://git@host/x.git\n  ref: main\n\"n\":\n  - 1\n  - \"a\"\n"
        );
    }
}
