//! Python's methods of text.

use std::rc::Rc;

use super::args::{CallArgs, Res, flag, int_arg, iterate, required, runtime, text_arg};
use super::ops::check_length;
use super::value::{Key, Py};

pub(super) const METHODS: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Calls a method of text.
pub(super) fn call(this: &Rc<str>, name: &str, args: CallArgs) -> Res<Py> {
    let no_args = |args: &CallArgs| args.positional.is_empty() && args.named.is_empty();
    if let Some(changed) = no_args(&args).then(|| recased(this, name)).flatten() {
        return Ok(Py::str(changed));
    }
    if let Some(answer) = no_args(&args).then(|| is_kind(this, name)).flatten() {
        return Ok(Py::Bool(answer));
    }
    match name {
        "format" => super::format::braces(this, &args).map(Py::str),
        "format_map" => {
            let [mapping] = args.bind(name, ["mapping"])?;
            let Py::Dict(d) = required(name, "mapping", mapping)? else {
                return runtime("format_map() needs a mapping");
            };
            let named =
                d.borrow().iter().map(|(k, v)| (super::repr::text(k.value()).into(), v.clone())).collect();
            super::format::braces(this, &CallArgs { positional: Vec::new(), named }).map(Py::str)
        }
        "join" => join(this, args),
        "split" | "rsplit" => split(this, name, args),
        "strip" | "lstrip" | "rstrip" => strip(this, name, args),
        "startswith" | "endswith" => affix(this, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => find(this, name, args),
        "partition" | "rpartition" => partition(this, name, args),
        "center" | "ljust" | "rjust" | "zfill" => justify(this, name, args),
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let (old, new) = (text_arg(name, "old", old)?, text_arg(name, "new", new)?);
            let count = int_arg(name, "count", count)?.unwrap_or(-1);
            replace(this, &old, &new, usize::try_from(count).ok()).map(Py::str)
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = args.bind(name, ["affix"])?;
            let affix = text_arg(name, "affix", affix)?;
            let cut =
                if name == "removeprefix" { this.strip_prefix(&*affix) } else { this.strip_suffix(&*affix) };
            Ok(Py::str(cut.unwrap_or(this)))
        }
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            Ok(Py::list(lines(this, flag(keep.as_ref(), false)).into_iter().map(Py::str).collect()))
        }
        "expandtabs" => Ok(Py::str(this.replace('\t', "        "))),
        // Python's bytes are text here: templates only ever decode them again.
        "encode" => Ok(Py::Str(this.clone())),
        "translate" => translate(this, args),
        other => runtime(format!("str.{other}() takes other arguments")),
    }
}

fn recased(s: &str, name: &str) -> Option<String> {
    Some(match name {
        "upper" => s.to_uppercase(),
        "lower" | "casefold" => s.to_lowercase(),
        "capitalize" => capitalized(s),
        "title" => titled(s),
        "swapcase" => s
            .chars()
            .flat_map(|c| {
                if c.is_uppercase() {
                    c.to_lowercase().collect::<Vec<_>>()
                } else {
                    c.to_uppercase().collect()
                }
            })
            .collect(),
        _ => return None,
    })
}

/// The first letter large, the rest small.
pub(super) fn capitalized(s: &str) -> String {
    let mut chars = s.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
}

fn titled(s: &str) -> String {
    let mut after_letter = false;
    let mut out = String::new();
    for c in s.chars() {
        if after_letter {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        after_letter = c.is_alphabetic();
    }
    out
}

fn is_kind(s: &str, name: &str) -> Option<bool> {
    let all = |test: fn(char) -> bool| !s.is_empty() && s.chars().all(test);
    Some(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isdecimal" | "isdigit" | "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase),
        "isupper" => s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase),
        "istitle" => s.chars().any(char::is_alphabetic) && titled(s) == s,
        "isidentifier" => {
            all(|c| c == '_' || c.is_alphanumeric()) && !s.starts_with(|c: char| c.is_numeric())
        }
        _ => return None,
    })
}

fn join(this: &str, args: CallArgs) -> Res<Py> {
    let [items] = args.bind("join", ["iterable"])?;
    let mut parts = Vec::new();
    for (i, item) in iterate(&required("join", "iterable", items)?)?.into_iter().enumerate() {
        match item {
            Py::Str(s) => parts.push(s),
            Py::Undefined(message) => return super::args::undefined(&message),
            other => {
                return runtime(format!(
                    "sequence item {i}: expected str instance, {} found",
                    other.type_name()
                ));
            }
        }
    }
    let length = parts.iter().try_fold(0usize, |all, p| all.checked_add(p.len() + this.len()));
    check_length(length)?;
    Ok(Py::str(parts.join(this)))
}

fn split(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [separator, limit] = args.bind(name, ["sep", "maxsplit"])?;
    let limit =
        int_arg(name, "maxsplit", limit)?.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX - 1);
    let parts: Vec<&str> = match separator {
        None | Some(Py::None) => split_blanks(this, limit, name == "rsplit"),
        separator => {
            let separator = text_arg(name, "sep", separator)?;
            if separator.is_empty() {
                return runtime("empty separator");
            }
            if name == "rsplit" {
                let mut parts: Vec<&str> = this.rsplitn(limit + 1, &*separator).collect();
                parts.reverse();
                parts
            } else {
                this.splitn(limit + 1, &*separator).collect()
            }
        }
    };
    Ok(Py::list(parts.into_iter().map(Py::str).collect()))
}

fn split_blanks(text: &str, limit: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest);
            break;
        }
        let cut = if from_end { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
        match cut {
            None => {
                parts.push(rest);
                break;
            }
            Some(at) if from_end => {
                let space = rest[at..].chars().next().map_or(1, char::len_utf8);
                parts.push(&rest[at + space..]);
                rest = rest[..at].trim_end();
            }
            Some(at) => {
                parts.push(&rest[..at]);
                rest = rest[at..].trim_start();
            }
        }
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn strip(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [chars] = args.bind(name, ["chars"])?;
    let set: Option<Vec<char>> = match chars {
        None | Some(Py::None) => None,
        chars => Some(text_arg(name, "chars", chars)?.chars().collect()),
    };
    let matches = |c: char| set.as_ref().map_or_else(|| c.is_whitespace(), |s| s.contains(&c));
    Ok(Py::str(match name {
        "strip" => this.trim_matches(matches),
        "lstrip" => this.trim_start_matches(matches),
        _ => this.trim_end_matches(matches),
    }))
}

fn affix(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [affix, start, end] = args.bind(name, ["affix", "start", "end"])?;
    let (start, end) = (int_arg(name, "start", start)?, int_arg(name, "end", end)?);
    let part = super::ops::slice(&Py::str(this), start, end, None)?;
    let part = part.as_str().unwrap_or_default();
    let test = |affix: &Py| match affix {
        Py::Str(s) if name == "startswith" => Ok(part.starts_with(&**s)),
        Py::Str(s) => Ok(part.ends_with(&**s)),
        other => {
            runtime(format!("{name} first arg must be str or a tuple of str, not {}", other.type_name()))
        }
    };
    match required(name, "affix", affix)? {
        Py::Tuple(all) => {
            for affix in all.iter() {
                if test(affix)? {
                    return Ok(Py::Bool(true));
                }
            }
            Ok(Py::Bool(false))
        }
        affix => test(&affix).map(Py::Bool),
    }
}

fn find(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [part, start, end] = args.bind(name, ["sub", "start", "end"])?;
    let part = text_arg(name, "sub", part)?;
    let (start, end) = (int_arg(name, "start", start)?, int_arg(name, "end", end)?);
    let within = super::ops::slice(&Py::str(this), start, end, None)?;
    let within = within.as_str().unwrap_or_default();
    let chars = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    if name == "count" {
        let count = if part.is_empty() { within.chars().count() + 1 } else { within.matches(&*part).count() };
        return Ok(Py::Int(chars(count)));
    }
    let at = if name.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) };
    let len = chars(this.chars().count());
    let offset = start.map_or(0, |s| if s < 0 { (s + len).max(0) } else { s });
    match at {
        Some(at) => Ok(Py::Int(chars(within[..at].chars().count()) + offset)),
        None if name.ends_with("index") => runtime("ValueError: substring not found"),
        None => Ok(Py::Int(-1)),
    }
}

fn partition(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [separator] = args.bind(name, ["sep"])?;
    let separator = text_arg(name, "sep", separator)?;
    if separator.is_empty() {
        return runtime("empty separator");
    }
    let found =
        if name == "partition" { this.split_once(&*separator) } else { this.rsplit_once(&*separator) };
    let parts = match found {
        Some((before, after)) => [before, &*separator, after],
        None if name == "partition" => [this, "", ""],
        None => ["", "", this],
    };
    Ok(Py::tuple(parts.into_iter().map(Py::str).collect()))
}

fn justify(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [width, fill] = args.bind(name, ["width", "fillchar"])?;
    let width = usize::try_from(int_arg(name, "width", width)?.unwrap_or(0)).unwrap_or(0);
    check_length(Some(width))?;
    let fill = fill.as_ref().and_then(Py::as_str).and_then(|s| s.chars().next()).unwrap_or(' ');
    let missing = width.saturating_sub(this.chars().count());
    let fills = |c: char, n: usize| std::iter::repeat_n(c, n).collect::<String>();
    Ok(Py::str(match name {
        "ljust" => format!("{this}{}", fills(fill, missing)),
        "rjust" => format!("{}{this}", fills(fill, missing)),
        "zfill" => {
            let signed = usize::from(this.starts_with(['-', '+']));
            format!("{}{}{}", &this[..signed], fills('0', missing), &this[signed..])
        }
        _ => {
            // Python puts the odd one to the left when the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{this}{}", fills(fill, left), fills(fill, missing - left))
        }
    }))
}

/// Replaces, without growing beyond what is allowed.
pub(super) fn replace(this: &str, old: &str, new: &str, count: Option<usize>) -> Res<String> {
    let times = this.matches(old).count().min(count.unwrap_or(usize::MAX));
    check_length(times.checked_mul(new.len()).and_then(|n| n.checked_add(this.len())))?;
    Ok(match count {
        Some(count) => this.replacen(old, new, count),
        None => this.replace(old, new),
    })
}

/// Python's `splitlines`.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<String> {
    text.split_inclusive(['\n', '\r'])
        .fold(Vec::<String>::new(), |mut all, piece| {
            match all.last_mut() {
                Some(last) if piece == "\n" && last.ends_with('\r') => last.push('\n'),
                _ => all.push(piece.to_owned()),
            }
            all
        })
        .into_iter()
        .map(|l| if keep_ends { l } else { l.trim_end_matches(['\n', '\r']).to_owned() })
        .collect()
}

fn translate(this: &str, args: CallArgs) -> Res<Py> {
    let [table] = args.bind("translate", ["table"])?;
    let Py::Dict(table) = required("translate", "table", table)? else {
        return runtime("translate() needs a mapping");
    };
    let mut out = String::new();
    for c in this.chars() {
        let key = Key::new(Py::Int(i64::from(u32::from(c)))).ok();
        match key.and_then(|k| table.borrow().get(&k).cloned()) {
            Some(Py::None) => {}
            Some(Py::Str(s)) => out.push_str(&s),
            Some(Py::Int(i)) => out.extend(u32::try_from(i).ok().and_then(char::from_u32)),
            _ => out.push(c),
        }
    }
    Ok(Py::str(out))
}
