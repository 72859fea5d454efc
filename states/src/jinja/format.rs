//! Python's `%` formatting and `str.format`.

use super::args::{CallArgs, Res, runtime, undefined};
use super::eval::attribute;
use super::ops::check_length;
use super::repr::{float, repr, text};
use super::value::{Key, Py};

/// One `%…x` or `{:…x}` directive.
#[derive(Debug, Default, Clone)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `format % args`.
pub(crate) fn percent(format: &str, args: &Py) -> Res<String> {
    let positional = match args {
        Py::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut next = positional.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut key = None;
        if chars.next_if_eq(&'(').is_some() {
            key = Some(chars.by_ref().take_while(|c| *c != ')').collect::<String>());
        }
        let mut spec = percent_flags(&mut chars);
        if chars.next_if_eq(&'*').is_some() {
            let width = next.next().and_then(Py::as_int).unwrap_or(0);
            spec.width = usize::try_from(width).unwrap_or(0);
        } else {
            spec.width = digits(&mut chars).unwrap_or(0);
        }
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars).unwrap_or(0));
        }
        while chars.next_if(|c| matches!(c, 'l' | 'h' | 'L')).is_some() {}
        let Some(kind) = chars.next() else { return runtime("incomplete format") };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match key {
            Some(key) => match args {
                Py::Dict(d) => d.borrow().get(key.as_str()).cloned(),
                _ => return runtime("format requires a mapping"),
            },
            None => next.next().cloned(),
        };
        let Some(value) = value else { return runtime("not enough arguments for format string") };
        if let Py::Undefined(message) = &value {
            return undefined(message);
        }
        check_length(Some(spec.width))?;
        out.push_str(&percent_value(&spec, kind, &value)?);
        check_length(Some(out.len()))?;
    }
    // Python counts the arguments only where there is a tuple of them, or one that has no items.
    let counted = matches!(args, Py::Tuple(_) | Py::Str(_)) || args.len().is_none();
    if next.next().is_some() && counted {
        return runtime("not all arguments converted during string formatting");
    }
    Ok(out)
}

fn percent_flags(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Spec {
    let mut spec = Spec { align: Some('>'), ..Spec::default() };
    while let Some(flag) = chars.next_if(|c| "-+ 0#".contains(*c)) {
        match flag {
            '-' => spec.align = Some('<'),
            '0' if spec.align != Some('<') => (spec.fill, spec.align) = (Some('0'), Some('=')),
            '#' => spec.alternate = true,
            sign => spec.sign = Some(sign),
        }
    }
    spec
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut all = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        all.push(c);
    }
    // Rust formats at most 65535 digits; nobody asks for more.
    all.parse().ok().map(|n: usize| n.min(60_000))
}

fn percent_value(spec: &Spec, kind: char, value: &Py) -> Res<String> {
    let mut spec = spec.clone();
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => text(value),
                'r' => repr(value),
                _ => ascii(&repr(value)),
            };
            spec.fill = None;
            spec.align = if spec.align == Some('=') { Some('>') } else { spec.align };
            Ok(pad(&spec, cut(&text, spec.precision)))
        }
        'd' | 'i' | 'u' => {
            let Some(number) = value.as_int().or_else(|| value.as_float().and_then(truncated)) else {
                return runtime(format!(
                    "%{kind} format: a real number is required, not {}",
                    value.type_name()
                ));
            };
            if let Some(width) = spec.precision.take() {
                let sign = if number < 0 { "-" } else { sign_of(&spec) };
                return Ok(pad(&spec, format!("{sign}{:0width$}", number.unsigned_abs())));
            }
            spec.kind = Some('d');
            number_text(&spec, &Py::Int(number))
        }
        'c' => match value {
            Py::Int(i) => match u32::try_from(*i).ok().and_then(char::from_u32) {
                Some(c) => Ok(pad(&spec, c.to_string())),
                None => runtime("%c arg not in range"),
            },
            other => Ok(pad(&spec, text(other))),
        },
        'x' | 'X' | 'o' if matches!(value, Py::Float(_)) => {
            runtime(format!("%{kind} format: an integer is required, not float"))
        }
        'x' | 'X' | 'o' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
            spec.kind = Some(kind);
            number_text(&spec, value)
        }
        other => runtime(format!("unsupported format character '{other}'")),
    }
}

/// The text with every character beyond ASCII escaped.
fn ascii(text: &str) -> String {
    let escaped = |c: char| match u32::from(c) {
        0..=0x7f => c.to_string(),
        code @ 0x80..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escaped).collect()
}

#[allow(clippy::cast_possible_truncation)] // As Python's int(float).
fn truncated(f: f64) -> Option<i64> {
    (f.is_finite() && f.abs() < 9.2e18).then_some(f as i64)
}

fn cut(text: &str, precision: Option<usize>) -> String {
    precision.map_or_else(|| text.to_owned(), |p| text.chars().take(p).collect())
}

/// Fills a finished text up to the width.
fn pad(spec: &Spec, text: String) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let fill = spec.fill.unwrap_or(' ');
    let fills = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    match spec.align {
        Some('>') => fills(missing) + &text,
        Some('^') => fills(missing / 2) + &text + &fills(missing - missing / 2),
        Some('=') => {
            let signed = usize::from(text.starts_with(['-', '+', ' ']));
            let based = ["0x", "0X", "0o", "0b"].iter().any(|p| text[signed..].starts_with(p));
            let signed = if based { signed + 2 } else { signed };
            format!("{}{}{}", &text[..signed], fills(missing), &text[signed..])
        }
        _ => text + &fills(missing),
    }
}

/// A number as its spec wants it.
fn number_text(spec: &Spec, value: &Py) -> Res<String> {
    let kind = spec.kind.unwrap_or(if matches!(value, Py::Float(_)) { 'r' } else { 'd' });
    let whole = value.as_int();
    let real = value.as_float();
    let (negative, mut digits) = match (kind, whole, real) {
        ('d' | 'n', Some(i), _) => (i < 0, i.unsigned_abs().to_string()),
        ('x', Some(i), _) => {
            (i < 0, format!("{}{:x}", if spec.alternate { "0x" } else { "" }, i.unsigned_abs()))
        }
        ('X', Some(i), _) => {
            (i < 0, format!("{}{:X}", if spec.alternate { "0X" } else { "" }, i.unsigned_abs()))
        }
        ('o', Some(i), _) => {
            (i < 0, format!("{}{:o}", if spec.alternate { "0o" } else { "" }, i.unsigned_abs()))
        }
        ('b', Some(i), _) => {
            (i < 0, format!("{}{:b}", if spec.alternate { "0b" } else { "" }, i.unsigned_abs()))
        }
        (kind, _, Some(f)) if !f.is_finite() && !"bcdoxXns".contains(kind) => {
            (f < 0.0, if f.is_nan() { "nan".to_owned() } else { "inf".to_owned() })
        }
        ('c', Some(i), _) => match u32::try_from(i).ok().and_then(char::from_u32) {
            Some(c) => (false, c.to_string()),
            None => return runtime("%c arg not in range(0x110000)"),
        },
        ('f' | 'F', _, Some(f)) => {
            (f.is_sign_negative(), format!("{:.*}", spec.precision.unwrap_or(6), f.abs()))
        }
        ('%', _, Some(f)) => (f < 0.0, format!("{:.*}%", spec.precision.unwrap_or(6), (f * 100.0).abs())),
        ('e' | 'E', _, Some(f)) => {
            (f.is_sign_negative(), exponent(f.abs(), spec.precision.unwrap_or(6), kind))
        }
        ('g', _, Some(f)) | ('n', None, Some(f)) => {
            (f.is_sign_negative(), general(f.abs(), spec.precision.unwrap_or(6), spec.alternate))
        }
        ('G', _, Some(f)) => {
            let text = general(f.abs(), spec.precision.unwrap_or(6), spec.alternate);
            (f.is_sign_negative(), text.to_uppercase())
        }
        ('r', _, Some(f)) => match spec.precision {
            Some(p) => (f.is_sign_negative(), with_point(general(f.abs(), p, false))),
            None => (f.is_sign_negative(), float(f.abs())),
        },
        _ => return runtime(format!("format code '{kind}' does not fit a {}", value.type_name())),
    };
    let sign = if negative { "-" } else { sign_of(spec) };
    let mut spec = spec.clone();
    if let Some(separator) = spec.grouping {
        let every = if matches!(kind, 'x' | 'X' | 'o' | 'b') { 4 } else { 3 };
        // Zeros that fill up are grouped with the digits.
        let zeros = spec.fill == Some('0') && spec.align == Some('=');
        if zeros {
            let whole = digits.find('.').unwrap_or(digits.len());
            let missing =
                missing_zeros(whole, spec.width.saturating_sub(digits.len() - whole + sign.len()), every);
            digits.insert_str(0, &"0".repeat(missing));
        }
        digits = grouped(&digits, separator, every);
    }
    spec.align = spec.align.or(Some('>'));
    Ok(pad(&spec, format!("{sign}{digits}")))
}

fn sign_of(spec: &Spec) -> &'static str {
    match spec.sign {
        Some('+') => "+",
        Some(' ') => " ",
        _ => "",
    }
}

/// Python shows a float without a kind with at least one digit behind the point.
fn with_point(text: String) -> String {
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}

/// How many zeros fill `digits` digits in groups up to a width, or one beyond it: no number begins with a separator.
fn missing_zeros(digits: usize, width: usize, every: usize) -> usize {
    // With n digits there are (n - 1) / every separators.
    let group = every + 1;
    let most = width - width / group + usize::from(width > 0 && width.is_multiple_of(group));
    most.saturating_sub(digits)
}

fn grouped(digits: &str, separator: char, every: usize) -> String {
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % every == 0 {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}

fn exponent(f: f64, precision: usize, kind: char) -> String {
    let text = format!("{f:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
    format!("{digits}{kind}{sign}{power:0>2}")
}

fn general(f: f64, precision: usize, all_digits: bool) -> String {
    let precision = precision.max(1);
    if f == 0.0 && !all_digits {
        return "0".to_owned();
    }
    let scientific = format!("{f:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, p)| p.parse().ok()).unwrap_or(0);
    let in_range = power >= -4 && usize::try_from(power.max(0)).is_ok_and(|p| p < precision);
    let text = if in_range {
        let decimals = i32::try_from(precision).unwrap_or(i32::MAX) - 1 - power;
        format!("{f:.*}", usize::try_from(decimals).unwrap_or(0))
    } else {
        exponent(f, precision - 1, 'e')
    };
    if all_digits {
        return text;
    }
    let (digits, tail) = text.split_at(text.find('e').unwrap_or(text.len()));
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{tail}")
}

/// Whether fields are numbered by hand, and how many were not.
#[derive(Default)]
struct Numbering {
    count: usize,
    manual: bool,
}

impl Numbering {
    fn next(&mut self) -> usize {
        self.count += 1;
        self.count - 1
    }
}

/// `format.format(*args, **kwargs)`.
pub(crate) fn braces(format: &str, args: &CallArgs) -> Res<String> {
    let mut out = String::new();
    let mut automatic = Numbering::default();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let Some(end) = tail.starts_with('{').then(|| field_end(tail)).flatten() else {
            return runtime("a single brace in a format string");
        };
        out.push_str(&field(&tail[1..end], args, &mut automatic)?);
        check_length(Some(out.len()))?;
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The closing brace of a field that may contain fields.
fn field_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

fn field(field: &str, args: &CallArgs, automatic: &mut Numbering) -> Res<String> {
    let (path, spec) = field.split_once(':').unwrap_or((field, ""));
    let (path, conversion) = path.split_once('!').unwrap_or((path, ""));
    let value = lookup(path, args, automatic)?;
    let spec =
        if spec.contains('{') && spec.len() < 100 { nested(spec, args, automatic)? } else { spec.to_owned() };
    match conversion {
        "r" => by_spec(&Py::str(repr(&value)), &spec),
        "a" => by_spec(&Py::str(ascii(&repr(&value))), &spec),
        "s" => by_spec(&Py::str(text(&value)), &spec),
        _ => by_spec(&value, &spec),
    }
}

fn nested(spec: &str, args: &CallArgs, automatic: &mut Numbering) -> Res<String> {
    let mut out = String::new();
    let mut rest = spec;
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((path, after)) = tail.split_once('}') else {
            return runtime("a single brace in a format string");
        };
        out.push_str(before);
        out.push_str(&text(&lookup(path, args, automatic)?));
        rest = after;
    }
    Ok(out + rest)
}

fn lookup(path: &str, args: &CallArgs, automatic: &mut Numbering) -> Res<Py> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(end);
    let index = if first.is_empty() { Some(automatic.next()) } else { first.parse().ok() };
    automatic.manual |= !first.is_empty() && index.is_some();
    if automatic.manual && automatic.count > 0 {
        return runtime("cannot switch between manual field specification and automatic field numbering");
    }
    let found = match index {
        Some(i) => args.positional.get(i).cloned(),
        None => args.named.iter().find(|(n, _)| **n == *first).map(|(_, v)| v.clone()),
    };
    let Some(mut value) = found else { return runtime(format!("format: no argument for '{{{path}}}'")) };
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            value = attribute(&value, &tail[..end]);
            rest = &tail[end..];
        } else {
            let Some(tail) = rest.strip_prefix('[') else {
                return runtime("format: only '.' or '[' may follow ']' in a field");
            };
            let Some((key, after)) = tail.split_once(']') else {
                return runtime("format: expected ']'");
            };
            value = item(&value, key);
            rest = after;
        }
    }
    if let Py::Undefined(message) = &value {
        return undefined(message);
    }
    Ok(value)
}

fn item(value: &Py, key: &str) -> Py {
    let missing = || Py::Undefined(format!("format: no item '{key}'").into());
    match (value, key.parse::<i64>()) {
        (Py::Dict(d), Ok(i)) => {
            let number = Key::new(Py::Int(i)).ok().and_then(|k| d.borrow().get(&k).cloned());
            number.unwrap_or_else(missing)
        }
        (_, Ok(i)) => super::ops::index(value, i).unwrap_or_else(missing),
        _ => value.item(key).unwrap_or_else(missing),
    }
}

/// `format(value, spec)`.
fn by_spec(value: &Py, spec: &str) -> Res<String> {
    if spec.is_empty() {
        return Ok(text(value));
    }
    let parsed = parse_spec(spec);
    check_length(Some(parsed.width))?;
    match value {
        Py::Int(_) | Py::Float(_) | Py::Bool(_) => number_text(&parsed, value),
        Py::Str(_) if !matches!(parsed.kind, None | Some('s')) => {
            let kind = parsed.kind.unwrap_or(' ');
            runtime(format!("Unknown format code '{kind}' for object of type 'str'"))
        }
        Py::Str(s) => Ok(pad(&parsed, cut(s, parsed.precision))),
        other => runtime(format!("unsupported format string passed to {}.__format__", other.type_name())),
    }
}

fn parse_spec(spec: &str) -> Spec {
    let mut parsed = Spec::default();
    let mut chars = spec.chars().peekable();
    let is_align = |c: &char| "<>^=".contains(*c);
    let mut ahead = spec.chars();
    let (first, second) = (ahead.next(), ahead.next());
    if second.is_some_and(|c| is_align(&c)) {
        (parsed.fill, parsed.align) = (first, second);
        chars.next();
        chars.next();
    } else {
        parsed.align = chars.next_if(is_align);
    }
    parsed.sign = chars.next_if(|c| "+- ".contains(*c));
    parsed.alternate = chars.next_if_eq(&'#').is_some();
    if chars.next_if_eq(&'0').is_some() {
        parsed.fill = parsed.fill.or(Some('0'));
        parsed.align = parsed.align.or(Some('='));
    }
    parsed.width = digits(&mut chars).unwrap_or(0);
    parsed.grouping = chars.next_if(|c| ",_".contains(*c));
    if chars.next_if_eq(&'.').is_some() {
        parsed.precision = digits(&mut chars);
    }
    parsed.kind = chars.next();
    parsed
}
