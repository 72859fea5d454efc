//! Filters that make text.

use super::super::args::{Res, flag, int_arg, runtime, text_arg};
use super::super::eval::weight;
use super::super::repr::{repr, text};
use super::super::value::{Key, Py};
use super::{Call, matched, pattern};
use crate::jinja::json_text;

pub(super) const NAMES: &[&str] = &[
    "base64_decode",
    "base64_encode",
    "capitalize",
    "center",
    "contains_whitespace",
    "e",
    "escape",
    "filesizeformat",
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
    "sha256",
    "skip",
    "string",
    "striptags",
    "strftime",
    "title",
    "to_camelcase",
    "to_snake_case",
    "tojson",
    "trim",
    "truncate",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
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
        "replace" | "trim" | "center" | "truncate" | "wordwrap" | "indent" | "format" => with_args(call),
        "path_join" => {
            let mut path = text(&call.subject);
            for part in &call.args.positional {
                path = join_path(&path, &text(part));
            }
            Ok(Py::str(path))
        }
        "strftime" => runtime("the filter 'strftime' is not supported"),
        "contains_whitespace" => Ok(Py::Bool(text(&call.subject).contains(char::is_whitespace))),
        "is_hex" => Ok(Py::Bool(i64::from_str_radix(&text(&call.subject), 16).is_ok())),
        "wordcount" => {
            Ok(Py::Int(i64::try_from(text(&call.subject).split_whitespace().count()).unwrap_or(0)))
        }
        "yaml_dquote" | "yaml_encode" | "yaml_squote" => yaml_scalar(call.name, &call.subject),
        "urlencode" => Ok(Py::str(url_encoded(&call.subject)?)),
        _ => Ok(Py::str(simple(call.name, &text(&call.subject))?)),
    }
}

/// Joins paths as Salt's `path_join` does: a rooted part does not start over.
pub(super) fn join_path(base: &str, part: &str) -> String {
    let part = part.trim_start_matches('/');
    if base.is_empty() { part.to_owned() } else { format!("{}/{part}", base.trim_end_matches('/')) }
}

fn simple(name: &str, s: &str) -> Res<String> {
    use base64::Engine as _;
    let engine = &base64::engine::general_purpose::STANDARD;
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
        "striptags" => {
            let bare = pattern("(?s)<!--.*?-->|<[^>]*>", false, false)?;
            let bare = matched(bare.try_replacen(s, 0, ""))?;
            bare.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        "base64_encode" => engine.encode(s),
        "base64_decode" => match engine.decode(s).map(String::from_utf8) {
            Ok(Ok(decoded)) => decoded,
            _ => return runtime("base64_decode: no base64 of text"),
        },
        "sha256" => {
            use sha2::Digest as _;
            hex::encode(sha2::Sha256::digest(s.as_bytes()))
        }
        "to_snake_case" => {
            let border = pattern("([a-z0-9])([A-Z])", false, false)?;
            matched(border.try_replacen(s, 0, "${1}_$2"))?.to_lowercase()
        }
        "to_camelcase" => camel(s),
        "filesizeformat" => file_size(s),
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

fn camel(s: &str) -> String {
    let mut parts = s.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + &crate::jinja::text::capitalized(part))
}

fn escaped(s: &str) -> String {
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
    Ok(Py::str(match value {
        Py::Str(s) if name == "yaml_squote" => format!("'{}'", s.replace('\'', "''")),
        Py::Str(s) => crate::yaml::double_quoted(s),
        Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) if name == "yaml_encode" => {
            crate::yaml::dump(value, true)?.lines().next().unwrap_or_default().to_owned()
        }
        other => return runtime(format!("{name} cannot write a {}", other.type_name())),
    }))
}

fn file_size(s: &str) -> String {
    let bytes: f64 = s.parse().unwrap_or(0.0);
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000.0 {
        return format!("{bytes:.0} Bytes");
    }
    let mut value = bytes / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

fn url_encoded(value: &Py) -> Res<String> {
    let quote = |s: &str, safe: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b) || safe.as_bytes().contains(&b);
        s.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let field = |s: String| quote(&s, " ").replace(' ', "+");
    let Py::Dict(pairs) = value else { return Ok(quote(&text(value), "/")) };
    let pairs = pairs.borrow();
    let pairs = pairs.iter().map(|(k, v)| format!("{}={}", field(text(k.value())), field(text(v))));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

fn serialised(call: Call<'_, '_>) -> Res<Py> {
    let layout = |sort_keys, indent, ascii| crate::jinja::json::Layout { sort_keys, indent, ascii };
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
        "tojson" => {
            let [indent, sort] = call.args.bind("tojson", ["indent", "sort_keys"])?;
            let json = json_text(&call.subject, layout(flag(sort.as_ref(), false), width(indent)?, true))?;
            json.replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026")
                .replace('\'', "\\u0027")
        }
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
        _ => repr(&call.subject),
    };
    Ok(Py::str(out))
}

fn regular(call: Call<'_, '_>) -> Res<Py> {
    let name = call.name;
    let subject = text(&call.subject);
    if name == "regex_replace" {
        let [rgx, value, ignorecase, multiline] =
            call.args.bind(name, ["rgx", "val", "ignorecase", "multiline"])?;
        let regex = pattern(
            &text_arg(name, "rgx", rgx)?,
            flag(ignorecase.as_ref(), false),
            flag(multiline.as_ref(), false),
        )?;
        let value = text_arg(name, "val", value)?;
        let expand = |found: &fancy_regex::Captures<'_, str>| python_template(&value, found);
        return Ok(Py::str(matched(regex.try_replacen(&subject, 0, expand))?));
    }
    let [rgx, ignorecase, multiline] = call.args.bind(name, ["rgx", "ignorecase", "multiline"])?;
    let regex = pattern(
        &text_arg(name, "rgx", rgx)?,
        flag(ignorecase.as_ref(), false),
        flag(multiline.as_ref(), false),
    )?;
    let found = matched(regex.captures(&subject))?
        .filter(|c| name == "regex_search" || c.get(0).is_some_and(|m| m.start() == 0));
    let Some(found) = found else { return Ok(Py::None) };
    let group = |i: usize| found.get(i).map_or(Py::None, |m| Py::str(m.as_str()));
    let groups = if found.len() == 1 { vec![group(0)] } else { (1..found.len()).map(group).collect() };
    Ok(Py::tuple(groups))
}

/// `\1` and `\g<name>` in a replacement.
fn python_template(template: &str, found: &fancy_regex::Captures<'_, str>) -> String {
    let mut out = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(d) if d.is_ascii_digit() => {
                let index = d.to_digit(10).unwrap_or(0) as usize;
                out.push_str(found.get(index).map_or("", |m| m.as_str()));
            }
            Some('g') => {
                let name: String = chars.by_ref().skip(1).take_while(|c| *c != '>').collect();
                let group = name.parse().map_or_else(|_| found.name(&name), |i: usize| found.get(i));
                out.push_str(group.map_or("", |m| m.as_str()));
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
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
            let (old, new) = (text(&old.unwrap_or(Py::None)), text(&new.unwrap_or(Py::None)));
            crate::jinja::text::replace(&subject, &old, &new, count)?
        }
        "trim" => {
            let [chars] = call.args.bind(name, ["chars"])?;
            match chars.as_ref().and_then(Py::as_str) {
                Some(set) => subject.trim_matches(|c| set.contains(c)).to_owned(),
                None => subject.trim().to_owned(),
            }
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
            let missing = usize_of(width, 80)?.saturating_sub(subject.chars().count());
            format!("{}{subject}{}", " ".repeat(missing / 2), " ".repeat(missing - missing / 2))
        }
        "truncate" => {
            let [length, kill, end, leeway] =
                call.args.bind(name, ["length", "killwords", "end", "leeway"])?;
            let end = end.map_or_else(|| "...".to_owned(), |e| text(&e));
            truncated(
                &subject,
                usize_of(length, 255)?,
                flag(kill.as_ref(), false),
                &end,
                usize_of(leeway, 5)?,
            )
        }
        "wordwrap" => {
            let [width, _, _, _] =
                call.args.bind(name, ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
            wrapped(&subject, usize_of(width, 79)?)
        }
        _ => {
            let [width, first, blank] = call.args.bind(name, ["width", "first", "blank"])?;
            let indention = match &width {
                Some(Py::Str(s)) => s.to_string(),
                _ => " ".repeat(usize_of(width, 4)?),
            };
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

fn truncated(text: &str, length: usize, kill: bool, end: &str, leeway: usize) -> String {
    if text.chars().count() <= length + leeway {
        return text.to_owned();
    }
    let cut: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    if kill {
        return cut + end;
    }
    cut.rsplit_once(' ').map_or(cut.as_str(), |(kept, _)| kept).to_owned() + end
}

fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines.join("\n")
}
