//! Python's methods of text.

use std::rc::Rc;

use super::args::{CallArgs, Res, flag, int_arg, iterate, required, runtime, text_arg};
use super::ops::{check_length, check_pieces};
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
    "isascii",
    "isprintable",
    "maketrans",
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
    let by_name = matches!(name, "format" | "split" | "rsplit" | "splitlines" | "expandtabs" | "encode");
    if !by_name && !args.named.is_empty() {
        return runtime(format!("str.{name}() takes no keyword arguments"));
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
            check_pieces(this.matches(LINE_ENDS).count())?;
            Ok(Py::list(lines(this, flag(keep.as_ref(), false)).into_iter().map(Py::str).collect()))
        }
        "expandtabs" => {
            let [size] = args.bind(name, ["tabsize"])?;
            let size = usize::try_from(int_arg(name, "tabsize", size)?.unwrap_or(8)).unwrap_or(0).min(1000);
            check_length(this.matches('\t').count().checked_mul(size))?;
            Ok(Py::str(untabbed(this, size)))
        }
        "encode" => encoded(this, args),
        "maketrans" => mapping(args),
        "translate" => translate(this, args),
        other => runtime(format!("str.{other}() takes other arguments")),
    }
}

fn recased(s: &str, name: &str) -> Option<String> {
    Some(match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "casefold" => s.to_lowercase().replace('ß', "ss"),
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
    let superscript = |c| matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '①'..='⑨');
    let decimal = |c: char| c.is_ascii_digit() || (c.is_numeric() && !superscript(c) && in_tens(c));
    Some(match name {
        "isascii" => s.is_ascii(),
        "isprintable" => s.chars().all(super::repr::printable),
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isdecimal" => !s.is_empty() && s.chars().all(decimal),
        "isdigit" => !s.is_empty() && s.chars().all(|c| decimal(c) || superscript(c)),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "islower" => s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase),
        "isupper" => s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase),
        "istitle" => s.chars().any(char::is_alphabetic) && titled(s) == s,
        "isidentifier" => {
            all(|c| c == '_' || c.is_alphanumeric()) && !s.starts_with(|c: char| c.is_numeric())
        }
        _ => return None,
    })
}

/// Python's notion of white space: four separators more than Unicode's.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// Decimal digits of other scripts come in tens that start at a multiple of 16, or of 16 and 6.
fn in_tens(c: char) -> bool {
    let low = u32::from(c) % 16;
    u32::from(c) >= 0x660 && !matches!(u32::from(c), 0x2070..=0x4dff) && (low < 10 || low >= 6)
}

fn encoded(this: &Rc<str>, args: CallArgs) -> Res<Py> {
    let [encoding, _] = args.bind("encode", ["encoding", "errors"])?;
    let encoding = encoding.map_or_else(|| "utf-8".to_owned(), |e| super::repr::text(&e).to_lowercase());
    let known = matches!(encoding.replace('_', "-").as_str(), "utf-8" | "utf8") || this.is_ascii();
    if !known {
        return runtime(format!("the encoding '{encoding}' is not supported"));
    }
    Ok(Py::Bytes(this.as_bytes().into()))
}

fn untabbed(text: &str, size: usize) -> String {
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\t' => {}
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    out
}

/// `str.maketrans`.
fn mapping(args: CallArgs) -> Res<Py> {
    let [from, to, gone] = args.bind_positional("maketrans", ["x", "y", "z"])?;
    let code = |c: char| Py::Int(i64::from(u32::from(c)));
    let mut table = super::value::Dict::new();
    let mut put = |from: Py, to: Py| Key::new(from).map(|key| table.insert(key, to)).is_ok();
    match (required("maketrans", "x", from)?, to) {
        (Py::Dict(d), None) => {
            for (key, value) in d.borrow().iter() {
                let key = key.value();
                let one = key.as_str().and_then(|s| s.chars().next()).map_or_else(|| key.clone(), code);
                put(one, value.clone());
            }
        }
        (Py::Str(from), Some(Py::Str(to))) if from.chars().count() == to.chars().count() => {
            for (from, to) in from.chars().zip(to.chars()) {
                put(code(from), code(to));
            }
        }
        _ => return runtime("maketrans() takes a mapping, or two texts of equal length"),
    }
    for c in gone.as_ref().and_then(Py::as_str).unwrap_or_default().chars() {
        put(code(c), Py::None);
    }
    Ok(Py::dict(table))
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
    check_pieces(parts.len())?;
    Ok(Py::list(parts.into_iter().map(Py::str).collect()))
}

fn split_blanks(text: &str, limit: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    // What is left over by a limit keeps the blanks at its far end.
    let near = |rest: &'_ str| if from_end { rest.trim_end_matches(is_space).len() } else { rest.len() };
    let mut rest = if from_end { text } else { text.trim_start_matches(is_space) };
    rest = &rest[..near(rest)];
    while !rest.trim_matches(is_space).is_empty() {
        if parts.len() == limit {
            parts.push(rest);
            break;
        }
        let cut = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        match cut {
            None => {
                parts.push(rest);
                break;
            }
            Some(at) if from_end => {
                let space = rest[at..].chars().next().map_or(1, char::len_utf8);
                parts.push(&rest[at + space..]);
                rest = rest[..at].trim_end_matches(is_space);
            }
            Some(at) => {
                parts.push(&rest[..at]);
                rest = rest[at..].trim_start_matches(is_space);
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
    let matches = |c: char| set.as_ref().map_or_else(|| is_space(c), |s| s.contains(&c));
    Ok(Py::str(match name {
        "strip" => this.trim_matches(matches),
        "lstrip" => this.trim_start_matches(matches),
        _ => this.trim_end_matches(matches),
    }))
}

fn affix(this: &str, name: &str, args: CallArgs) -> Res<Py> {
    let [affix, start, end] = args.bind(name, ["affix", "start", "end"])?;
    let (start, end) = (int_arg(name, "start", start)?, int_arg(name, "end", end)?);
    if start.is_some_and(|s| usize::try_from(s).is_ok_and(|s| s > this.chars().count())) {
        return Ok(Py::Bool(false));
    }
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
    let beyond = start.is_some_and(|s| usize::try_from(s).is_ok_and(|s| s > this.chars().count()));
    let within = super::ops::slice(&Py::str(this), start, end, None)?;
    let within = within.as_str().unwrap_or_default();
    let chars = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    if name == "count" {
        let count = if beyond {
            0
        } else if part.is_empty() {
            within.chars().count() + 1
        } else {
            within.matches(&*part).count()
        };
        return Ok(Py::Int(chars(count)));
    }
    let at = if beyond {
        None
    } else if name.starts_with('r') {
        within.rfind(&*part)
    } else {
        within.find(&*part)
    };
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
    let width = required(name, "width", width)?;
    let width = usize::try_from(int_arg(name, "width", Some(width))?.unwrap_or(0)).unwrap_or(0);
    check_length(Some(width))?;
    let fill = match fill {
        None => ' ',
        Some(fill) => {
            let fill = text_arg(name, "fillchar", Some(fill))?;
            let mut chars = fill.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => c,
                _ => return runtime("The fill character must be exactly one character long"),
            }
        }
    };
    let missing = width.saturating_sub(this.chars().count());
    let fills = |c: char, n: usize| std::iter::repeat_n(c, n).collect::<String>();
    Ok(Py::str(match name {
        "ljust" => format!("{this}{}", fills(fill, missing)),
        "rjust" => format!("{}{this}", fills(fill, missing)),
        "zfill" => {
            let signed = usize::from(this.starts_with(['-', '+']));
            format!("{}{}{}", &this[..signed], fills('0', missing), &this[signed..])
        }
        _ => centred(this, width, fill),
    }))
}

/// `str.center`: Python puts the odd blank to the left when the width is odd.
pub(super) fn centred(text: &str, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    let fills = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    format!("{}{text}{}", fills(left), fills(missing - left))
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

/// What ends a line.
pub(super) const LINE_ENDS: &[char] =
    &['\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}'];

/// Python's `splitlines`, which knows ten ways to end a line.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for piece in text.split_inclusive(LINE_ENDS) {
        match all.last_mut() {
            Some(last) if piece == "\n" && last.ends_with('\r') => last.push('\n'),
            _ => all.push(piece.to_owned()),
        }
    }
    if keep_ends {
        return all;
    }
    let bare = |line: String| {
        let line = line.strip_suffix("\r\n").or_else(|| line.strip_suffix(LINE_ENDS)).unwrap_or(&line);
        line.to_owned()
    };
    all.into_iter().map(bare).collect()
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
            Some(Py::Str(s)) => {
                out.push_str(&s);
                check_length(Some(out.len()))?;
            }
            Some(Py::Int(i)) => out.extend(u32::try_from(i).ok().and_then(char::from_u32)),
            _ => out.push(c),
        }
    }
    Ok(Py::str(out))
}
