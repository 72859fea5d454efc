//! YAML as PyYAML's safe dumper writes it, for the `yaml` filter.

use std::fmt::Write as _;

use super::resolve::Tag;
use crate::jinja::{Py, Res, float_text, runtime};

/// PyYAML's preferred line width.
const WIDTH: usize = 80;

/// Writes a value; `flow` puts it all into `{…}` and `[…]`.
pub(crate) fn dump(value: &Py, flow: bool) -> Res<String> {
    written(value, flow, false)
}

/// Writes a value; collections of nothing but scalars are put into `{…}` and `[…]`.
pub(crate) fn dump_compact(value: &Py) -> Res<String> {
    written(value, false, true)
}

fn written(value: &Py, flow: bool, compact: bool) -> Res<String> {
    let mut out = Writer { out: String::new(), column: 0, compact };
    let collection = matches!(value, Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::View(..));
    if flow || (collection && !out.nests(value)) {
        out.flow(value, 2, 0)?;
    } else {
        out.block(value, 0, 0, false)?;
    }
    let open_ended = !collection && !out.out.ends_with(['\'', '"']);
    out.out.push('\n');
    if open_ended {
        out.out.push_str("...\n");
    }
    Ok(out.out)
}

/// A text as a YAML double-quoted scalar.
pub(crate) fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                _ = write!(out, "\\x{:02X}", c as u32)
            }
            '\u{feff}' => out.push_str("\\uFEFF"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Writer {
    out: String,
    column: usize,
    /// Collections of nothing but scalars go into one line.
    compact: bool,
}

fn sorted(d: &crate::jinja::Dict) -> Vec<(Py, Py)> {
    let mut pairs: Vec<(Py, Py)> = d.iter().map(|(k, v)| (k.value().clone(), v.clone())).collect();
    // PyYAML sorts keys, and leaves them as they are where they cannot be compared.
    if pairs.iter().all(|(k, _)| k.as_str().is_some()) {
        pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
    } else if pairs.iter().all(|(k, _)| k.as_float().is_some()) {
        pairs.sort_by(|(a, _), (b, _)| {
            a.as_float().partial_cmp(&b.as_float()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    pairs
}

/// PyYAML writes keys from this length on with a mark of their own; a reader takes none of over 1,024 without.
const LONG_KEY: usize = 128;

fn is_long(key: &Py) -> bool {
    key.as_str().is_some_and(|text| text.chars().count() >= LONG_KEY)
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        match text.rfind('\n') {
            Some(at) => self.column = text[at + 1..].chars().count(),
            None => self.column += text.chars().count(),
        }
    }

    fn indent(&mut self, indent: usize) {
        self.put("\n");
        self.put(&" ".repeat(indent));
    }

    fn flow(&mut self, value: &Py, indent: usize, depth: usize) -> Res<()> {
        if depth > 100 {
            return runtime("a structure nested too deeply for YAML");
        }
        match value {
            Py::Dict(d) => {
                self.put("{");
                for (i, (key, value)) in sorted(&d.borrow()).iter().enumerate() {
                    self.separate(i, indent);
                    let long = is_long(key);
                    self.put(if long { "? " } else { "" });
                    self.scalar(key, indent, true, true)?;
                    self.put(if long { " : " } else { ": " });
                    self.flow(value, indent + 2, depth + 1)?;
                }
                self.put("}");
            }
            Py::List(_) | Py::Tuple(_) | Py::View(..) => {
                self.put("[");
                for (i, item) in value.elements().unwrap_or_default().iter().enumerate() {
                    self.separate(i, indent);
                    self.flow(item, indent + 2, depth + 1)?;
                }
                self.put("]");
            }
            scalar => self.scalar(scalar, indent, true, false)?,
        }
        Ok(())
    }

    fn separate(&mut self, index: usize, indent: usize) {
        if index > 0 {
            self.put(",");
        }
        if self.column > WIDTH {
            self.indent(indent);
        } else if index > 0 {
            self.put(" ");
        }
    }

    /// `in_sequence`: the value stands right after a `- `.
    fn block(&mut self, value: &Py, indent: usize, depth: usize, in_sequence: bool) -> Res<()> {
        if depth > 100 {
            return runtime("a structure nested too deeply for YAML");
        }
        match value {
            Py::Dict(d) if self.nests(value) => {
                for (i, (key, value)) in sorted(&d.borrow()).iter().enumerate() {
                    if i > 0 || (depth > 0 && !in_sequence) {
                        self.indent(indent);
                    }
                    if is_long(key) {
                        self.long_pair(key, value, indent, depth)?;
                        continue;
                    }
                    self.scalar(key, indent, false, true)?;
                    self.put(":");
                    let list = matches!(value, Py::List(_) | Py::Tuple(_));
                    if !self.nests(value) {
                        self.put(" ");
                    }
                    // Sequences in mappings are not indented.
                    self.block(value, if list { indent } else { indent + 2 }, depth + 1, false)?;
                }
            }
            Py::List(_) | Py::Tuple(_) | Py::View(..) if self.nests(value) => {
                for (i, item) in value.elements().unwrap_or_default().iter().enumerate() {
                    if i > 0 || (depth > 0 && !in_sequence) {
                        self.indent(indent);
                    }
                    self.put("- ");
                    self.block(item, indent + 2, depth + 1, true)?;
                }
            }
            Py::Dict(_) | Py::List(_) | Py::Tuple(_) | Py::View(..) => self.flow(value, indent, depth)?,
            scalar => self.scalar(scalar, indent.max(2), false, false)?,
        }
        Ok(())
    }

    /// A key that is too long for one line of its own and its value: on two lines, each with its mark.
    fn long_pair(&mut self, key: &Py, value: &Py, indent: usize, depth: usize) -> Res<()> {
        self.put("? ");
        self.scalar(key, indent + 2, false, true)?;
        self.indent(indent);
        self.put(": ");
        self.block(value, indent + 2, depth + 1, true)
    }

    /// Whether a value is written over several lines.
    fn nests(&self, value: &Py) -> bool {
        let values = match value {
            Py::Dict(d) => d.borrow().values().cloned().collect(),
            Py::List(l) => l.borrow().clone(),
            Py::Tuple(t) | Py::View(_, t) => t.to_vec(),
            _ => Vec::new(),
        };
        let leaf = |v: &Py| !matches!(v, Py::Dict(_) | Py::List(_) | Py::Tuple(_) | Py::View(..));
        let flat = values.is_empty() || (self.compact && values.iter().all(leaf));
        !flat
    }

    fn scalar(&mut self, value: &Py, indent: usize, flow: bool, key: bool) -> Res<()> {
        match value {
            Py::None => self.put("null"),
            Py::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Py::Int(i) => self.put(&i.to_string()),
            Py::Float(f) if f.is_nan() => self.put(".nan"),
            Py::Float(f) if f.is_infinite() => self.put(if *f > 0.0 { ".inf" } else { "-.inf" }),
            Py::Float(f) => {
                let text = float_text(*f);
                let text =
                    if text.contains('.') || !text.contains('e') { text } else { text.replace('e', ".0e") };
                self.put(&text);
            }
            Py::Str(s) => self.text(s, indent, flow, key),
            Py::Undefined(message) => {
                return Err(crate::error::Error::new(crate::error::Fault::Undefined(message.to_string())));
            }
            other => return runtime(format!("cannot represent a {} in YAML", other.type_name())),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, indent: usize, flow: bool, key: bool) {
        let style = style(text, flow, key);
        match style {
            Style::Plain => self.folded(text, indent, key, |s| s.to_owned()),
            Style::Single => {
                self.put("'");
                let mut rest = text;
                while !rest.is_empty() {
                    let breaks = rest.len() - rest.trim_start_matches('\n').len();
                    if breaks > 0 {
                        // Reading folds one line break away: one more is written than is meant.
                        self.put(&"\n".repeat(breaks));
                        self.indent(indent);
                    }
                    rest = &rest[breaks..];
                    let line = rest.find('\n').map_or(rest, |end| &rest[..end]);
                    self.folded(line, indent, key, |s| s.replace('\'', "''"));
                    rest = &rest[line.len()..];
                }
                self.put("'");
            }
            Style::Double => self.put(&double_quoted(text)),
        }
    }

    /// Writes a line, broken at single spaces beyond the width.
    fn folded(&mut self, text: &str, indent: usize, key: bool, escape: impl Fn(&str) -> String) {
        let words: Vec<&str> = text.split(' ').collect();
        for (i, word) in words.iter().enumerate() {
            if i > 0 {
                let single = !word.is_empty() && !words[i - 1].is_empty();
                if single && !key && self.column > WIDTH {
                    self.indent(indent);
                } else {
                    self.put(" ");
                }
            }
            self.put(&escape(word));
        }
    }
}

#[derive(PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// The style that PyYAML would choose.
fn style(text: &str, flow: bool, key: bool) -> Style {
    let printable = |c: char| {
        c == '\n'
            || (' '..='~').contains(&c)
            || (c >= '\u{a0}' && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    if !text.chars().all(printable) || text.contains(" \n") || text.contains("\n ") {
        return Style::Double;
    }
    if key && text.contains('\n') {
        return Style::Double;
    }
    let plain = !text.is_empty()
        && !text.contains('\n')
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !has_indicators(text, flow)
        && Tag::plain(text) == Tag::Str;
    if plain { Style::Plain } else { Style::Single }
}

fn has_indicators(text: &str, flow: bool) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let chars: Vec<char> = text.chars().collect();
    let blank_after = |i: usize| chars.get(i + 1).is_none_or(|c| c.is_whitespace());
    chars.iter().enumerate().any(|(i, c)| match c {
        '#' if i == 0 => true,
        '#' => chars[i - 1].is_whitespace(),
        ',' | '[' | ']' | '{' | '}' => i == 0 || flow,
        '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => i == 0,
        '?' => flow || (i == 0 && blank_after(i)),
        ':' => flow || blank_after(i),
        '-' => i == 0 && blank_after(i),
        _ => false,
    })
}
