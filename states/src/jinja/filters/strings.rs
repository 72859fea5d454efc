//! Filters that make text.

use super::super::args::{CallArgs, Res, flag, int_arg, iterate, required, runtime, text_arg};
use super::super::eval::weight;
use super::super::repr::text;
use super::super::value::{Key, Py};
use super::{Call, matched, pattern};
use crate::jinja::json::Layout;
use crate::jinja::json_text;
use crate::python::paths::normal;

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "center",
    "contains_whitespace",
    "e",
    "escape",
    "forceescape",
    "format",
    "indent",
    "is_hex",
    "json",
    "lower",
    "pprint",
    "python",
    "quote",
    "regex_escape",
    "regex_match",
    "regex_replace",
    "regex_search",
    "replace",
    "safe",
    "skip",
    "string",
    "title",
    "to_camelcase",
    "to_snake_case",
    "tojson",
    "trim",
    "upper",
    "xml",
    "yaml",
    "yaml_dquote",
    "yaml_encode",
    "yaml_squote",
    "dict_to_sls_yaml_params",
    "path_join",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    call.interp.charge(weight(&call.subject))?;
    match call.name {
        "json" | "tojson" | "yaml" | "python" | "pprint" | "dict_to_sls_yaml_params" => serialised(call),
        "regex_search" | "regex_match" | "regex_replace" => regular(call),
        "replace" | "trim" | "center" | "indent" | "format" | "to_camelcase" => with_args(call),
        "quote" | "regex_escape" | "to_snake_case" | "contains_whitespace"
            if !matches!(call.subject, Py::Str(_)) =>
        {
            runtime(format!("the filter '{}' needs text, not {}", call.name, call.subject.type_name()))
        }
        "xml" => super::xml::xml(&call.subject).map(Py::str),
        "path_join" => {
            let parts = call.args.positional.iter().map(text);
            Ok(Py::str(parts.fold(normal(&text(&call.subject)), |path, part| join_path(&path, &part))))
        }
        "contains_whitespace" => Ok(Py::Bool(text(&call.subject).contains(crate::jinja::text::is_space))),
        "is_hex" => Ok(Py::Bool(call.subject.as_str().is_some_and(is_hex))),
        "yaml_dquote" | "yaml_encode" | "yaml_squote" => yaml_scalar(call.name, &call.subject),
        _ => Ok(Py::str(simple(call.name, &text(&call.subject))?)),
    }
}

/// Joins paths as Salt's `path_join` does: a rooted part does not start over.
pub(super) fn join_path(base: &str, part: &str) -> String {
    let part = normal(part);
    let part = part.trim_start_matches('/');
    match base {
        "" => normal(part),
        base if base.ends_with('/') => normal(&format!("{base}{part}")),
        base => normal(&format!("{base}/{part}")),
    }
}

fn is_hex(s: &str) -> bool {
    let s = s.trim_matches(crate::jinja::text::is_space);
    let digits = s.strip_prefix(['-', '+']).unwrap_or(s);
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    let neighbours = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    !digits.is_empty() && !neighbours && digits.chars().all(|c| c == '_' || c.is_ascii_hexdigit())
}

fn simple(name: &str, s: &str) -> Res<String> {
    Ok(match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "capitalize" => crate::jinja::text::capitalized(s),
        "title" => title(s),
        "safe" | "string" => s.to_owned(),
        "skip" => String::new(),
        "escape" | "e" | "forceescape" => escaped(s),
        "quote" => shell_quoted(s),
        "regex_escape" => regex_escaped(s),
        "to_snake_case" => snake(s)?,
        other => return runtime(format!("the filter '{other}' is not supported")),
    })
}

fn title(s: &str) -> String {
    let mut start = true;
    let mut out = String::new();
    for c in s.chars() {
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.extend(c.to_lowercase())
        }
        start = c.is_whitespace() || "-([{<".contains(c);
    }
    out
}

fn camel(s: &str, upper: bool) -> String {
    let mut parts = s.split('_');
    let first = parts.next().unwrap_or_default();
    let first = if upper { crate::jinja::text::capitalized(first) } else { first.to_owned() };
    parts.fold(first, |all, part| all + &crate::jinja::text::capitalized(part))
}

fn snake(s: &str) -> Res<String> {
    let chars: Vec<char> = s.chars().collect();
    if chars.is_empty() {
        return runtime("string index out of range");
    }
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before_small = chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        if i > 0 && c.is_uppercase() && (chars[i - 1].is_lowercase() || before_small) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    Ok(out)
}

pub(super) fn escaped(s: &str) -> String {
    s.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
        .replace('"', "&#34;")
}

fn shell_quoted(s: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !s.is_empty() && s.chars().all(safe) {
        s.to_owned()
    } else {
        format!("'{}'", s.replace('\'', "'\"'\"'"))
    }
}

fn regex_escaped(s: &str) -> String {
    let special = |c: char| "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c);
    s.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A value as one YAML scalar, in the quotes that the filter's name says.
fn yaml_scalar(name: &str, value: &Py) -> Res<Py> {
    Ok(Py::str(match (name, value) {
        ("yaml_squote", value) => single_quoted(&text(value)),
        ("yaml_dquote", value) => double_quoted(&text(value)),
        (_, Py::Str(s)) => double_quoted(s),
        (_, Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_)) => {
            crate::yaml::dump(value, true)?.lines().next().unwrap_or_default().to_owned()
        }
        (_, other) => {
            return runtime(format!(
                "yaml_encode() only works with YAML scalar data; failed for {}",
                other.type_name()
            ));
        }
    }))
}

/// A double-quoted scalar in ASCII.
fn double_quoted(text: &str) -> String {
    let escaped = |c: char| match u32::from(c) {
        0..=0x7f => c.to_string(),
        code @ 0x80..=0xff => format!("\\x{code:02X}"),
        code @ 0x100..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    };
    crate::yaml::double_quoted(text).chars().map(escaped).collect()
}

/// A single-quoted scalar; a line break in it is written twice.
fn single_quoted(text: &str) -> String {
    let lines = text.replace('\'', "''").split('\n').collect::<Vec<_>>().join("\n\n");
    format!("'{lines}'")
}

fn serialised(call: Call<'_, '_>) -> Res<Py> {
    let layout = |sort_keys, indent, ascii| Layout { sort_keys, indent, ascii, ..Layout::plain() };
    let width = |value| {
        Ok::<_, crate::error::Error>(
            int_arg(call.name, "indent", value)?.and_then(|i| usize::try_from(i).ok()),
        )
    };
    let out = match call.name {
        "json" => {
            let [sort, indent] = call.args.bind("json", ["sort_keys", "indent"])?;
            json_text(&call.subject, layout(flag(sort.as_ref(), true), width(indent)?, false))?
        }
        "tojson" => tojson(&call.subject, call.args)?,
        "yaml" if matches!(call.subject, Py::DictView(..) | Py::Range(..) | Py::Gen(..)) => "NULL".to_owned(),
        "yaml" => {
            let [flow] = call.args.bind("yaml", ["flow_style"])?;
            let yaml = crate::yaml::dump(&call.subject, flag(flow.as_ref(), true))?;
            yaml.trim().strip_suffix("\n...").map_or_else(|| yaml.trim().to_owned(), str::to_owned)
        }
        "dict_to_sls_yaml_params" => {
            let [flow] = call.args.bind("dict_to_sls_yaml_params", ["flow_style"])?;
            let Py::Dict(pairs) = &call.subject else {
                return runtime("dict_to_sls_yaml_params needs a mapping");
            };
            let single = |(k, v): (&Key, &Py)| Py::dict([(k.clone(), v.clone())].into_iter().collect());
            let list = Py::list(pairs.borrow().iter().map(single).collect());
            crate::yaml::dump(&list, flag(flow.as_ref(), false))?.trim().to_owned()
        }
        _ => super::pretty::pretty(&call.subject),
    };
    Ok(Py::str(out))
}

/// Python's `json.dumps` with its options, safe inside of HTML.
fn tojson(value: &Py, args: CallArgs) -> Res<String> {
    let names = ["indent", "ensure_ascii", "sort_keys", "separators"];
    let [indent, ascii, sort, separators] = args.bind("tojson", names)?;
    let separators = match separators.filter(|s| !matches!(s, Py::None)) {
        None => None,
        Some(pair) => match iterate(&pair)?.as_slice() {
            [item, key] => Some((text(item), text(key))),
            _ => return runtime("tojson(): `separators` is a pair"),
        },
    };
    let layout = Layout {
        sort_keys: flag(sort.as_ref(), false),
        indent: int_arg("tojson", "indent", indent)?.and_then(|i| usize::try_from(i).ok()),
        ascii: flag(ascii.as_ref(), true),
        separators: separators.as_ref().map(|(a, b)| (a.as_str(), b.as_str())),
    };
    let json = json_text(value, layout)?;
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
    Ok(json.replace('&', "\\u0026").replace('\'', "\\u0027"))
}

fn regular(call: Call<'_, '_>) -> Res<Py> {
    let name = call.name;
    let subject = text_arg(name, "txt", Some(call.subject))?;
    if name == "regex_replace" {
        let [rgx, value, ignorecase, multiline] =
            call.args.bind(name, ["rgx", "val", "ignorecase", "multiline"])?;
        let regex = pattern(
            &text_arg(name, "rgx", rgx)?,
            flag(ignorecase.as_ref(), false),
            flag(multiline.as_ref(), false),
        )?;
        let value = text_arg(name, "val", value)?;
        let template = crate::python::regex::Template::parse(&value, &regex).or_else(runtime)?;
        let replaced = crate::python::regex::replaced(&regex, &subject, |found| template.fill(found));
        return replaced.map(Py::str).or_else(runtime);
    }
    let [rgx, ignorecase, multiline] = call.args.bind(name, ["rgx", "ignorecase", "multiline"])?;
    let regex = pattern(
        &text_arg(name, "rgx", rgx)?,
        flag(ignorecase.as_ref(), false),
        flag(multiline.as_ref(), false),
    )?;
    let found = matched(regex.captures(&*subject))?
        .filter(|c| name == "regex_search" || c.get(0).is_some_and(|m| m.start() == 0));
    let Some(found) = found else { return Ok(Py::None) };
    let group = |i: usize| found.get(i).map_or(Py::None, |m| Py::str(m.as_str()));
    let groups = if found.len() == 1 { vec![group(0)] } else { (1..found.len()).map(group).collect() };
    Ok(Py::tuple(groups))
}

fn with_args(call: Call<'_, '_>) -> Res<Py> {
    let name = call.name;
    let subject = text(&call.subject);
    let usize_of = |value: Option<Py>, default: usize| -> Res<usize> {
        Ok(int_arg(name, "width", value)?.map_or(default, |i| usize::try_from(i).unwrap_or(0)).min(100_000))
    };
    Ok(Py::str(match name {
        "replace" => {
            let [old, new, count] = call.args.bind(name, ["old", "new", "count"])?;
            let count = int_arg(name, "count", count)?.and_then(|c| usize::try_from(c).ok());
            let (old, new) = (text(&required(name, "old", old)?), text(&required(name, "new", new)?));
            crate::jinja::text::replace(&subject, &old, &new, count)?
        }
        "trim" => {
            let [chars] = call.args.bind(name, ["chars"])?;
            match chars.as_ref().and_then(Py::as_str) {
                Some(set) => subject.trim_matches(|c| set.contains(c)).to_owned(),
                None => subject.trim().to_owned(),
            }
        }
        "format" if !call.args.named.is_empty() && !call.args.positional.is_empty() => {
            return runtime("can't handle positional and keyword arguments at the same time");
        }
        "format" => match call.subject {
            Py::Str(format) if call.args.named.is_empty() => {
                crate::jinja::format::percent(&format, &Py::tuple(call.args.positional))?
            }
            Py::Str(format) => {
                let pairs = call.args.named.into_iter().map(|(k, v)| (Key::str(k), v)).collect();
                crate::jinja::format::percent(&format, &Py::dict(pairs))?
            }
            other => text(&other),
        },
        "center" => {
            let [width] = call.args.bind(name, ["width"])?;
            let width = usize_of(width, 80)?;
            crate::jinja::text::centred(&subject, width, ' ')
        }
        "to_camelcase" => {
            let [upper] = call.args.bind(name, ["uppercamel"])?;
            camel(&subject, flag(upper.as_ref(), false))
        }
        _ => {
            if !matches!(call.subject, Py::Str(_)) {
                return runtime(format!("the filter 'indent' needs text, not {}", call.subject.type_name()));
            }
            let [width, first, blank] = call.args.bind(name, ["width", "first", "blank"])?;
            let indention = match &width {
                Some(Py::Str(s)) => s.to_string(),
                _ => " ".repeat(usize_of(width, 4)?),
            };
            let lines = subject.matches(crate::jinja::text::LINE_ENDS).count() + 1;
            crate::jinja::ops::check_pieces(lines)?;
            let longest = lines.checked_mul(indention.len()).and_then(|n| n.checked_add(subject.len()));
            crate::jinja::ops::check_length(longest)?;
            indented(&subject, &indention, flag(first.as_ref(), false), flag(blank.as_ref(), false))
        }
    }))
}

fn indented(text: &str, indention: &str, first: bool, blank: bool) -> String {
    let with_end = format!("{text}\n");
    let mut out = String::new();
    for (i, line) in crate::jinja::text::lines(&with_end, false).iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if (i > 0 && (blank || !line.is_empty())) || (i == 0 && first) {
            out.push_str(indention);
        }
        out.push_str(line);
    }
    out
}
