//! JSON as Python writes and reads it.

use super::args::{Res, runtime};
use super::repr::float;
use super::value::{Dict, Key, Py, key_text};
use crate::error::{Error, Fault};
use crate::low::Origin;

/// Reads JSON.
pub(crate) fn parse(text: &str, name: &str) -> Res<Py> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        let origin = Origin { file: name.into(), line: e.line(), column: e.column().max(1) };
        Error::new(Fault::Json(message)).at(origin).in_text(text)
    })?;
    Ok(from_json(&value))
}

fn from_json(value: &serde_json::Value) -> Py {
    match value {
        serde_json::Value::Null => Py::None,
        serde_json::Value::Bool(b) => Py::Bool(*b),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(i) => Py::Int(i),
            None => Py::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(s) => Py::str(s.as_str()),
        serde_json::Value::Array(a) => Py::list(a.iter().map(from_json).collect()),
        serde_json::Value::Object(o) => {
            Py::dict(o.iter().map(|(k, v)| (Key::str(k.as_str()), from_json(v))).collect::<Dict>())
        }
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Layout<'s> {
    pub(crate) sort_keys: bool,
    pub(crate) indent: Option<usize>,
    pub(crate) ascii: bool,
    /// Between items, and between a key and its value.
    pub(crate) separators: Option<(&'s str, &'s str)>,
}

impl Layout<'_> {
    /// On one line, as things come.
    pub(crate) fn plain() -> Self {
        Self { sort_keys: false, indent: None, ascii: false, separators: None }
    }
}

/// Writes JSON as Python's `json.dumps` lays it out.
pub(crate) fn text(value: &Py, layout: Layout<'_>) -> Res<String> {
    super::ops::check_weight(value)?;
    let mut out = String::new();
    write(&mut out, value, layout, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Py, layout: Layout<'_>, depth: usize) -> Res<()> {
    if depth > 200 {
        return runtime("a structure nested too deeply for JSON");
    }
    super::ops::check_length(Some(out.len()))?;
    match value {
        Py::None => out.push_str("null"),
        Py::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Py::Int(i) => out.push_str(&i.to_string()),
        Py::Float(f) if f.is_nan() => out.push_str("NaN"),
        Py::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Py::Float(f) => out.push_str(&float(*f)),
        Py::Str(s) => string(out, s, layout.ascii),
        Py::List(l) => sequence(out, &l.borrow(), layout, depth)?,
        Py::Tuple(t) => sequence(out, t, layout, depth)?,
        Py::Dict(d) => mapping(out, &d.borrow(), layout, depth)?,
        Py::Undefined(message) => return super::args::undefined(message),
        other => return runtime(format!("Object of type {} is not JSON serializable", other.type_name())),
    }
    Ok(())
}

/// More blanks a level than anybody reads.
const MAX_INDENT: usize = 100;

fn break_line(out: &mut String, layout: Layout<'_>, depth: usize) {
    if let Some(indent) = layout.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent.min(MAX_INDENT) * depth));
    }
}

fn separator(layout: Layout<'_>) -> &str {
    let default = if layout.indent.is_some() { "," } else { ", " };
    layout.separators.map_or(default, |(item, _)| item)
}

fn sequence(out: &mut String, items: &[Py], layout: Layout<'_>, depth: usize) -> Res<()> {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(separator(layout));
        }
        break_line(out, layout, depth + 1);
        write(out, item, layout, depth + 1)?;
    }
    if !items.is_empty() {
        break_line(out, layout, depth);
    }
    out.push(']');
    Ok(())
}

fn mapping(out: &mut String, items: &Dict, layout: Layout<'_>, depth: usize) -> Res<()> {
    let mut pairs: Vec<(String, &Py)> = items.iter().map(|(k, v)| (key_text(k.value()), v)).collect();
    if layout.sort_keys {
        let mixed = items.keys().any(|k| k.value().as_str().is_some())
            && items.keys().any(|k| k.value().as_str().is_none());
        if mixed {
            return runtime("'<' not supported between instances of 'int' and 'str'");
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
    }
    out.push('{');
    for (i, (key, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push_str(separator(layout));
        }
        break_line(out, layout, depth + 1);
        string(out, key, layout.ascii);
        out.push_str(layout.separators.map_or(": ", |(_, key)| key));
        write(out, value, layout, depth + 1)?;
    }
    if !pairs.is_empty() {
        break_line(out, layout, depth);
    }
    out.push('}');
    Ok(())
}

fn string(out: &mut String, s: &str, ascii: bool) {
    use std::fmt::Write as _;
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
