//! Filters that lay text out: wrapped, cut, with links, as attributes of a tag.

use std::sync::LazyLock;

use super::super::args::{Res, flag, int_arg, iterate, runtime};
use super::super::repr::text;
use super::super::text::is_space;
use super::super::value::Py;
use super::{Call, matched, pattern};
use crate::python::urls::quote;

pub(super) const NAMES: &[&str] =
    &["filesizeformat", "striptags", "truncate", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let Call { name, subject, args, .. } = call;
    let size = |value: Option<Py>, default: usize| -> Res<usize> {
        Ok(int_arg(name, "length", value)?
            .map_or(default, |i| usize::try_from(i).unwrap_or(0))
            .min(1_000_000))
    };
    Ok(match name {
        "filesizeformat" => {
            let [binary] = args.bind(name, ["binary"])?;
            Py::str(file_size(&subject, flag(binary.as_ref(), false))?)
        }
        "striptags" => Py::str(without_tags(&text(&subject))?),
        "truncate" => {
            let [length, kill, end, leeway] = args.bind(name, ["length", "killwords", "end", "leeway"])?;
            let Py::Str(subject) = &subject else {
                return runtime(format!("object of type '{}' has no len()", subject.type_name()));
            };
            let end = end.map_or_else(|| "...".to_owned(), |e| text(&e));
            let (length, leeway) = (size(length, 255)?, size(leeway, 5)?);
            if length < end.chars().count() {
                return runtime(format!("expected length >= {}, got {length}", end.chars().count()));
            }
            Py::str(truncated(subject, length, flag(kill.as_ref(), false), &end, leeway))
        }
        "urlencode" => Py::str(url_encoded(&subject)?),
        "urlize" => Py::str(linked(&text(&subject), args)?),
        "wordcount" => {
            let words = matched(
                WORDS
                    .as_ref()
                    .map_err(Clone::clone)
                    .or_else(runtime)?
                    .find_iter(&text(&subject))
                    .collect::<Result<Vec<_>, _>>()
                    .map(|w| w.len()),
            )?;
            Py::Int(i64::try_from(words).unwrap_or(0))
        }
        "wordwrap" => {
            let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
            let [width, long, string, hyphens] = args.bind(name, names)?;
            let wrap = Wrap {
                width: size(width, 79)?.max(1),
                long: flag(long.as_ref(), true),
                hyphens: flag(hyphens.as_ref(), true),
            };
            let string =
                string.filter(|s| !matches!(s, Py::None)).map_or_else(|| "\n".to_owned(), |s| text(&s));
            Py::str(wrap.text(&text(&subject), &string)?)
        }
        _ => {
            let [space] = args.bind(name, ["autospace"])?;
            Py::str(attributes(&subject, flag(space.as_ref(), true))?)
        }
    })
}

static WORDS: LazyLock<Result<fancy_regex::Regex, String>> =
    LazyLock::new(|| crate::python::regex::build(r"\w+", false, false));

fn file_size(value: &Py, binary: bool) -> Res<String> {
    let number = match value {
        Py::Str(s) => s.trim().parse().ok(),
        other => other.as_float(),
    };
    let Some(bytes): Option<f64> = number else {
        return runtime(format!("could not convert string to float: {}", super::super::repr::repr(value)));
    };
    let (base, units) = if binary {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut unit = base * base;
    let mut at = 0;
    while bytes >= unit && at + 1 < units.len() {
        unit *= base;
        at += 1;
    }
    Ok(format!("{:.1} {}", base * bytes / unit, units[at]))
}

/// Without comments and tags, blanks drawn together, the commonest entities as what they mean.
fn without_tags(text: &str) -> Res<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once("<!--") {
        let Some((_, after)) = tail.split_once("-->") else { break };
        out.push_str(before);
        rest = after;
    }
    out.push_str(rest);
    let tags = pattern("<.*?>", false, false)?;
    let bare = crate::python::regex::replaced(&tags, &out, |_| String::new()).or_else(runtime)?;
    let bare = bare.split(is_space).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", "\u{a0}"),
        ("&amp;", "&"),
    ];
    Ok(entities.into_iter().fold(bare, |text, (entity, meant)| text.replace(entity, meant)))
}

fn truncated(text: &str, length: usize, kill: bool, end: &str, leeway: usize) -> String {
    if text.chars().count() <= length + leeway {
        return text.to_owned();
    }
    let cut: String = text.chars().take(length - end.chars().count()).collect();
    if kill {
        return cut + end;
    }
    cut.rsplit_once(' ').map_or(cut.as_str(), |(kept, _)| kept).to_owned() + end
}

fn url_encoded(value: &Py) -> Res<String> {
    let field = |value: &Py| quote(&text(value), " ").replace(' ', "+");
    let pairs = match value {
        Py::Dict(d) => iterate(&Py::DictView(super::super::value::Part::Items, d.clone()))?,
        Py::Str(_) => return Ok(quote(&text(value), "/")),
        other if other.is_iterable() => iterate(other)?,
        other => return Ok(quote(&text(other), "/")),
    };
    let mut fields = Vec::new();
    for pair in pairs {
        match iterate(&pair)?.as_slice() {
            [key, value] => fields.push(format!("{}={}", field(key), field(value))),
            other => return runtime(format!("cannot unpack {} values into 2 names", other.len())),
        }
    }
    Ok(fields.join("&"))
}

fn attributes(value: &Py, space: bool) -> Res<String> {
    let Py::Dict(d) = value else {
        return runtime(format!("'{}' object has no attribute 'items'", value.type_name()));
    };
    let mut parts = Vec::new();
    for (key, value) in
        d.borrow().iter().filter(|(_, v)| !matches!(v, Py::None | Py::Undefined(_) | Py::Void))
    {
        let key = text(key.value());
        if key.contains(|c: char| is_space(c) || "/>=".contains(c)) {
            return runtime(format!("Invalid character in attribute name: {key:?}"));
        }
        parts.push(format!(
            "{}=\"{}\"",
            super::strings::escaped(&key),
            super::strings::escaped(&text(value))
        ));
    }
    let joined = parts.join(" ");
    Ok(if space && !joined.is_empty() { format!(" {joined}") } else { joined })
}

/// How Python's `textwrap` is asked to wrap.
struct Wrap {
    width: usize,
    long: bool,
    hyphens: bool,
}

impl Wrap {
    fn text(&self, text: &str, joint: &str) -> Res<String> {
        super::super::ops::check_length(Some(text.len().saturating_mul(16)))?;
        let chunks = pattern(CHUNKS, false, false)?;
        let mut written = 0usize;
        let mut lines = Vec::new();
        for line in super::super::text::lines(text, false) {
            let wrapped = self.line(&line, &chunks)?;
            written = written.saturating_add(joint.len().saturating_mul(wrapped.len().max(1)));
            super::super::ops::check_length(written.checked_add(text.len()))?;
            lines.push(wrapped.join(joint));
        }
        Ok(lines.join(joint))
    }

    fn line(&self, line: &str, chunks: &fancy_regex::Regex) -> Res<Vec<String>> {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
        let mut pieces: std::collections::VecDeque<String> = if self.hyphens {
            matched(
                chunks.find_iter(line).map(|m| m.map(|m| m.as_str().to_owned())).collect::<Result<_, _>>(),
            )?
        } else {
            let mut all = std::collections::VecDeque::<String>::new();
            for c in line.chars() {
                match all.back_mut() {
                    Some(last) if last.ends_with(blank) == blank(c) => last.push(c),
                    _ => all.push_back(c.to_string()),
                }
            }
            all
        };
        let mut lines = Vec::new();
        while !pieces.is_empty() {
            let mut current: Vec<String> = Vec::new();
            let mut used = 0;
            if !lines.is_empty() && pieces.front().is_some_and(|p| p.trim_matches(blank).is_empty()) {
                pieces.pop_front();
            }
            while let Some(piece) = pieces.front() {
                let length = piece.chars().count();
                if used + length > self.width {
                    break;
                }
                used += length;
                current.extend(pieces.pop_front());
            }
            if let Some(piece) = pieces.front().filter(|p| p.chars().count() > self.width).cloned() {
                self.break_long(&piece, &mut current, used, &mut pieces);
            }
            if current.last().is_some_and(|p| p.trim_matches(blank).is_empty()) {
                current.pop();
            }
            if !current.is_empty() {
                lines.push(current.concat());
            }
        }
        Ok(lines)
    }

    /// Cuts a piece that is longer than a line, at a hyphen where it has one.
    fn break_long(
        &self,
        piece: &str,
        current: &mut Vec<String>,
        used: usize,
        pieces: &mut std::collections::VecDeque<String>,
    ) {
        let left = self.width.saturating_sub(used).max(usize::from(used == 0));
        if !self.long {
            if current.is_empty() {
                current.extend(pieces.pop_front());
            }
            return;
        }
        let chars: Vec<char> = piece.chars().collect();
        let mut end = left;
        if self.hyphens && chars.len() > left {
            let hyphen = chars[..left].iter().rposition(|c| *c == '-').filter(|h| *h > 0);
            if let Some(hyphen) = hyphen.filter(|h| chars[..*h].iter().any(|c| *c != '-')) {
                end = hyphen + 1;
            }
        }
        if left == 0 {
            return;
        }
        current.push(chars[..end].iter().collect());
        pieces.pop_front();
        if end < chars.len() {
            pieces.push_front(chars[end..].iter().collect());
        }
    }
}

/// Where a line may be broken: at blanks, behind hyphens inside of words, around dashes.
const CHUNKS: &str = concat!(
    r"[\t\n\x0b\x0c\r ]+",
    r"|(?<=[\w!\x22'&.,?])-{2,}(?=\w)",
    r"|[^\t\n\x0b\x0c\r ](?:",
    r"[^\t\n\x0b\x0c\r ]*?",
    r"(?:-(?:(?<=[^\d\W]{2}-)|(?<=[^\d\W]-[^\d\W]-))(?=[^\d\W]-?[^\d\W])",
    r"|(?=[\t\n\x0b\x0c\r ]|\Z)",
    r"|(?<=[\w!\x22'&.,?])(?=-{2,}\w)))"
);

/// Links instead of the addresses in a text.
fn linked(subject: &str, args: super::super::args::CallArgs) -> Res<String> {
    let names = ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"];
    let [limit, nofollow, target, rel, _] = args.bind("urlize", names)?;
    let limit = int_arg("urlize", "trim_url_limit", limit)?.and_then(|l| usize::try_from(l).ok());
    let shortened = |url: &str| match limit {
        Some(limit) if url.chars().count() > limit => url.chars().take(limit).collect::<String>() + "...",
        _ => url.to_owned(),
    };
    let given = rel.filter(Py::truth).map(|r| text(&r)).unwrap_or_default();
    let mut rels: Vec<&str> = given.split_whitespace().collect();
    if flag(nofollow.as_ref(), false) {
        rels.push("nofollow");
    }
    rels.push("noopener");
    rels.sort_unstable();
    rels.dedup();
    let target = target
        .filter(Py::truth)
        .map_or_else(String::new, |t| format!(" target=\"{}\"", super::strings::escaped(&text(&t))));
    let attributes = format!(" rel=\"{}\"{target}", super::strings::escaped(&rels.join(" ")));
    let http = pattern(HTTP, true, false)?;
    let mail = pattern(r"^\S+@\w[\w.-]*\.\w+$", false, false)?;
    let mut out = String::new();
    for word in words(&super::strings::escaped(subject)) {
        let (head, middle, tail) = bare_word(&word);
        let is_http = matched(http.is_match(middle))?;
        let is_mail = matched(mail.is_match(middle))?;
        let address = middle.strip_prefix("mailto:").unwrap_or(middle);
        let link = if is_http {
            let rooted = middle.starts_with("https://") || middle.starts_with("http://");
            let url = if rooted { middle.to_owned() } else { format!("https://{middle}") };
            format!("<a href=\"{url}\"{attributes}>{}</a>", shortened(middle))
        } else if middle.starts_with("mailto:") && matched(mail.is_match(address))? {
            format!("<a href=\"{middle}\">{address}</a>")
        } else if is_mail && !middle.starts_with("www.") && !middle.contains(':') {
            format!("<a href=\"mailto:{middle}\">{middle}</a>")
        } else {
            middle.to_owned()
        };
        out.push_str(&format!("{head}{link}{tail}"));
        super::super::ops::check_length(Some(out.len()))?;
    }
    Ok(out)
}

/// What is taken for an address of the web.
const HTTP: &str = concat!(
    r"^((https?://|www\.)(([A-Za-z0-9_%-]+\.)+)?([a-z]{2,63}|xn--[A-Za-z0-9_%]{2,59})",
    r"|([A-Za-z0-9_%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)",
    r"|(https?://)((([0-9]{1,3})(\.[0-9]{1,3}){3})|(\[([0-9a-f]{0,4}:){2}([0-9a-f]{0,4}:?){1,6}\])))(?::[0-9]{1,5})?(?:[/?#]\S*)?$"
);

/// A word without the brackets before it and the punctuation behind it.
fn bare_word(word: &str) -> (&str, &str, &str) {
    let openings = ["(", "<", "&lt;"];
    let mut start = 0;
    while let Some(opening) = openings.iter().find(|o| word[start..].starts_with(**o)) {
        start += opening.len();
    }
    let closings = [")", ">", ".", ",", "\n", "&gt;"];
    let mut end = word.len();
    while let Some(closing) = closings.iter().find(|c| word[start..end].ends_with(**c)) {
        end -= closing.len();
    }
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let middle = &word[start..end];
        let missing = middle.matches(open).count().saturating_sub(middle.matches(close).count());
        for _ in 0..missing {
            let Some(at) = word[end..].find(close) else { break };
            end += at + close.len();
        }
    }
    (&word[..start], &word[start..end], &word[end..])
}

/// Words and the blanks between them.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::<String>::new();
    for c in text.chars() {
        match all.last_mut() {
            Some(last) if last.ends_with(is_space) == is_space(c) => last.push(c),
            _ => all.push(c.to_string()),
        }
    }
    all
}
