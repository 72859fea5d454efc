//! Python's `str()` and `repr()`, and the way Salt prints mappings.

use std::fmt::Write as _;

use super::args::{Res, undefined};
use super::value::{Callable, Dict, Py};

/// How strings inside mappings are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As Python.
    Plain,
    /// As Salt prints `{{ value }}`: a string with a line break becomes a YAML double-quoted scalar.
    Printed,
}

/// `str(value)`.
pub(crate) fn text(value: &Py) -> String {
    match value {
        Py::Str(s) => s.to_string(),
        other => {
            let mut out = String::new();
            repr_into(&mut out, other, Style::Plain, 0);
            out
        }
    }
}

/// What `{{ value }}` prints.
///
/// # Errors
/// Something undefined in a mapping.
pub(crate) fn printed(value: &Py) -> Res<String> {
    super::ops::check_weight(value)?;
    if let Some(message) = undefined_in(value, 0) {
        return undefined(&message);
    }
    Ok(match value {
        Py::Str(s) => s.to_string(),
        other => {
            let mut out = String::new();
            repr_into(&mut out, other, Style::Printed, 0);
            out
        }
    })
}

/// Something undefined that is a value of mappings in mappings; Salt prints those with `str`, other values with `repr`.
fn undefined_in(value: &Py, depth: usize) -> Option<std::rc::Rc<str>> {
    match value {
        Py::Undefined(message) => Some(message.clone()),
        Py::Dict(d) if depth < 200 => d.borrow().values().find_map(|v| undefined_in(v, depth + 1)),
        _ => None,
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Py) -> String {
    let mut out = String::new();
    repr_into(&mut out, value, Style::Plain, 0);
    out
}

/// No text of a value is longer; who can refuse a larger value does so before.
const MAX_TEXT: usize = 4 * super::ops::MAX_LENGTH;

fn repr_into(out: &mut String, value: &Py, style: Style, depth: usize) {
    if depth > 200 || out.len() > MAX_TEXT {
        out.push_str("...");
        return;
    }
    match value {
        Py::Undefined(_) => out.push_str("Undefined"),
        Py::Void if depth > 0 => out.push_str("Undefined"),
        Py::Void => {}
        Py::None => out.push_str("None"),
        Py::Bool(true) => out.push_str("True"),
        Py::Bool(false) => out.push_str("False"),
        Py::Int(i) => _ = write!(out, "{i}"),
        Py::Float(f) => out.push_str(&float(*f)),
        Py::Str(s) => out.push_str(&quoted(s)),
        Py::List(l) => sequence(out, &l.borrow(), ("[", "]"), style, depth),
        Py::Tuple(t) if t.len() == 1 => sequence(out, t, ("(", ",)"), style, depth),
        Py::Tuple(t) => sequence(out, t, ("(", ")"), style, depth),
        Py::Dict(d) => dict(out, &d.borrow(), style, depth),
        Py::DictView(_, d) => {
            out.push_str(if d.borrow().ordered { "o" } else { "" });
            out.push_str(value.type_name());
            sequence(out, &value.elements().unwrap_or_default(), ("([", "])"), Style::Plain, depth);
        }
        Py::View(_, items) if items.is_empty() => out.push_str("set()"),
        Py::View(_, items) => sequence(out, items, ("{", "}"), style, depth),
        Py::Range(start, stop, 1) => _ = write!(out, "range({start}, {stop})"),
        Py::Range(start, stop, step) => _ = write!(out, "range({start}, {stop}, {step})"),
        Py::Gen(kind, _) => _ = write!(out, "<{kind} object>"),
        Py::Bytes(bytes) => bytes_into(out, bytes),
        Py::Namespace(d) => {
            out.push_str("<Namespace ");
            dict(out, &d.borrow(), Style::Plain, depth);
            out.push('>');
        }
        Py::Module(m) => out.push_str(&m.text.borrow()),
        Py::Loop(l) => _ = write!(out, "<LoopContext {}/{}>", l.index0.get() + 1, l.items.len()),
        Py::Call(call) => match &**call {
            Callable::Macro(m) => _ = write!(out, "<Macro {}>", quoted(&m.decl.name)),
            Callable::Method(_, name) => _ = write!(out, "<built-in method {name}>"),
            Callable::Function(name) => _ = write!(out, "<function {name}>"),
            Callable::Global(name) => _ = write!(out, "<function {name}>"),
            Callable::Block(name, ..) => _ = write!(out, "<BlockReference {name}>"),
        },
        Py::Blocks(_) => out.push_str("<TemplateReference None>"),
        other => _ = write!(out, "<{}>", other.type_name()),
    }
}

fn bytes_into(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    out.push('b');
    out.push(quote);
    for byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b if char::from(*b) == quote => _ = write!(out, "\\{quote}"),
            b' '..=b'~' => out.push(char::from(*byte)),
            b => _ = write!(out, "\\x{b:02x}"),
        }
    }
    out.push(quote);
}

fn sequence(out: &mut String, items: &[Py], (open, close): (&str, &str), style: Style, depth: usize) {
    out.push_str(open);
    for (i, item) in items.iter().enumerate() {
        if out.len() > MAX_TEXT {
            break;
        }
        if i > 0 {
            out.push_str(", ");
        }
        repr_into(out, item, style, depth + 1);
    }
    out.push_str(close);
}

fn dict(out: &mut String, items: &Dict, style: Style, depth: usize) {
    if items.ordered && style == Style::Plain {
        return ordered(out, items, depth);
    }
    out.push('{');
    for (i, (key, value)) in items.iter().enumerate() {
        if out.len() > MAX_TEXT {
            break;
        }
        if i > 0 {
            out.push_str(", ");
        }
        repr_into(out, key.value(), Style::Plain, depth + 1);
        out.push_str(": ");
        match value {
            Py::Str(s) if style == Style::Printed && s.contains(['\n', '\r', '\t']) => {
                for c in crate::yaml::double_quoted(s).chars() {
                    match u32::from(c) {
                        code @ 0x1_0000.. => _ = write!(out, "\\U{code:08X}"),
                        _ => out.push(c),
                    }
                }
            }
            other => repr_into(out, other, style, depth + 1),
        }
    }
    out.push('}');
}

fn ordered(out: &mut String, items: &Dict, depth: usize) {
    out.push_str("OrderedDict(");
    for (i, (key, value)) in items.iter().enumerate() {
        if out.len() > MAX_TEXT {
            break;
        }
        out.push_str(if i == 0 { "[(" } else { ", (" });
        repr_into(out, key.value(), Style::Plain, depth + 1);
        out.push_str(", ");
        repr_into(out, value, Style::Plain, depth + 1);
        out.push(')');
    }
    out.push_str(if items.is_empty() { ")" } else { "])" });
}

/// `repr(float)`: the shortest digits that read back the same.
pub(crate) fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let magnitude = f.abs();
    if f != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{f:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = format!("{f}");
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// `repr(str)`.
pub(crate) fn quoted(s: &str) -> String {
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(s.len() + 2);
    out.push(quote);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) || c == '\u{ad}' => {
                _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if !printable(c) => {
                let (mark, width) = if (c as u32) < 0x1_0000 { ('u', 4) } else { ('U', 8) };
                _ = write!(out, "\\{mark}{:0width$x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Python's `str.isprintable`: what is neither a separator (but for the blank) nor of the categories `C*`.
pub(super) fn printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_control() => false,
        c if c.is_whitespace() => false,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' => false,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' => false,
        '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..='\u{10ffff}' => false,
        _ => true,
    }
}
