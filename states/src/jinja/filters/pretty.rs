//! Python's `pprint`: a value in as few lines as fit into 80 columns.

use super::super::repr::{quoted, repr};
use super::super::value::{Dict, Key, Part, Py};

const WIDTH: usize = 80;

/// The value as `pprint.pformat` writes it.
pub(super) fn pretty(value: &Py) -> String {
    let mut out = String::new();
    write(&mut out, &sorted(value, 0), 0, 0, 1);
    out
}

/// The value with the keys of its mappings in order.
fn sorted(value: &Py, depth: usize) -> Py {
    let all = |items: &[Py]| items.iter().map(|i| sorted(i, depth + 1)).collect();
    match value {
        _ if depth > 200 => value.clone(),
        Py::List(l) => Py::list(all(&l.borrow())),
        Py::Tuple(t) => Py::tuple(all(t)),
        Py::Dict(d) => {
            let mut pairs: Vec<(Key, Py)> =
                d.borrow().iter().map(|(k, v)| (k.clone(), sorted(v, depth + 1))).collect();
            let before = |(a, _): &(Key, Py), (b, _): &(Key, Py)| {
                let by_type = || {
                    (a.value().type_name(), repr(a.value())).cmp(&(b.value().type_name(), repr(b.value())))
                };
                let order = super::super::ops::order(a.value(), b.value(), "<").ok().flatten();
                Ok(order.unwrap_or_else(by_type).is_lt())
            };
            // It never fails, so there is always an answer.
            pairs = super::super::methods::merge_sorted(pairs, before).unwrap_or_default();
            Py::dict(pairs.into_iter().collect::<Dict>())
        }
        other => other.clone(),
    }
}

/// Writes a value at a column; `allowance` characters of closing brackets follow it.
fn write(out: &mut String, value: &Py, indent: usize, allowance: usize, depth: usize) {
    let flat = repr(value);
    let room = WIDTH.saturating_sub(indent + allowance);
    if flat.chars().count() <= room || depth > 200 {
        out.push_str(&flat);
        return;
    }
    match value {
        Py::Dict(d) => {
            out.push('{');
            let pairs = Py::DictView(Part::Items, d.clone()).elements().unwrap_or_default();
            let last = pairs.len().saturating_sub(1);
            for (index, (key, value)) in d.borrow().iter().enumerate() {
                separate(out, index, indent + 1);
                let key = repr(key.value());
                out.push_str(&key);
                out.push_str(": ");
                let after = if index == last { allowance + 1 } else { 1 };
                write(out, value, indent + 3 + key.chars().count(), after, depth + 1);
            }
            out.push('}');
        }
        Py::List(l) => sequence(out, &l.borrow(), ("[", "]"), indent, allowance, depth),
        Py::Tuple(t) => {
            sequence(out, t, ("(", if t.len() == 1 { ",)" } else { ")" }), indent, allowance, depth)
        }
        Py::Str(s) => long_text(out, s, indent, allowance, depth),
        _ => out.push_str(&flat),
    }
}

fn separate(out: &mut String, index: usize, indent: usize) {
    if index > 0 {
        out.push_str(",\n");
        out.extend(std::iter::repeat_n(' ', indent.min(10_000)));
    }
}

fn sequence(
    out: &mut String,
    items: &[Py],
    (open, close): (&str, &str),
    indent: usize,
    allowance: usize,
    depth: usize,
) {
    out.push_str(open);
    for (index, item) in items.iter().enumerate() {
        separate(out, index, indent + 1);
        let after = if index + 1 == items.len() { allowance + close.len() } else { 1 };
        write(out, item, indent + 1, after, depth + 1);
    }
    out.push_str(close);
}

/// A text in pieces that fit, cut behind blanks.
fn long_text(out: &mut String, text: &str, indent: usize, allowance: usize, depth: usize) {
    let (indent, allowance) = if depth == 1 { (indent + 1, allowance + 1) } else { (indent, allowance) };
    let width = WIDTH.saturating_sub(indent);
    let mut pieces = Vec::new();
    let lines = super::super::text::lines(text, true);
    for (index, line) in lines.iter().enumerate() {
        let last_line = index + 1 == lines.len();
        let room = if last_line { width.saturating_sub(allowance) } else { width };
        if quoted(line).chars().count() <= room {
            pieces.push(quoted(line));
            continue;
        }
        let mut current = String::new();
        let parts: Vec<&str> = blanks_kept(line);
        for (at, part) in parts.iter().enumerate() {
            let longer = format!("{current}{part}");
            let room =
                if last_line && at + 1 == parts.len() { width.saturating_sub(allowance) } else { width };
            if quoted(&longer).chars().count() > room {
                if !current.is_empty() {
                    pieces.push(quoted(&current));
                }
                current = (*part).to_owned();
            } else {
                current = longer;
            }
        }
        if !current.is_empty() {
            pieces.push(quoted(&current));
        }
    }
    let bracketed = depth == 1 && pieces.len() > 1;
    let joint = format!("\n{}", " ".repeat(indent.min(10_000)));
    let text = pieces.join(&joint);
    out.push_str(&if bracketed { format!("({text})") } else { text });
}

/// Words, each with the blanks that follow it.
fn blanks_kept(line: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let blanks = rest[word..].find(|c: char| !c.is_whitespace()).unwrap_or(rest.len() - word);
        all.push(&rest[..word + blanks]);
        rest = &rest[word + blanks..];
    }
    all
}
