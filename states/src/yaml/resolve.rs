//! The types of scalars: YAML 1.1 as PyYAML resolves and constructs it, with Salt's reading of leading zeros.

use std::sync::LazyLock;

use regex::Regex;

use super::Data;

/// What a node is, by its tag or by the look of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Str,
    Binary,
    /// A plain `<<`.
    Merge,
    /// A plain `=`.
    Value,
    Seq,
    Map,
    Pairs,
    Set,
    /// No constructor is known.
    Other(String),
}

const YAML: &str = "tag:yaml.org,2002:";

impl Tag {
    /// The meaning of a tag that was written, its handle resolved.
    pub(super) fn named(tag: &str) -> Tag {
        match tag.strip_prefix(YAML) {
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("timestamp") => Tag::Timestamp,
            Some("str" | "python/unicode") => Tag::Str,
            Some("binary") => Tag::Binary,
            Some("merge") => Tag::Merge,
            Some("value") => Tag::Value,
            Some("seq") => Tag::Seq,
            // Salt reads an ordered mapping as a mapping; a list of pairs it refuses.
            Some("map" | "omap") => Tag::Map,
            Some("pairs") => Tag::Pairs,
            Some("set") => Tag::Set,
            Some(other) => Tag::Other(format!("!!{other}")),
            None => Tag::Other(tag.to_owned()),
        }
    }

    /// The meaning of a plain scalar.
    pub(super) fn plain(text: &str) -> Tag {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Tag::Null,
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Tag::Bool,
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Tag::Bool,
            "<<" => Tag::Merge,
            "=" => Tag::Value,
            _ if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => Tag::Str,
            _ if FLOAT.is_match(text) => Tag::Float,
            _ if INT.is_match(text) => Tag::Int,
            _ if TIMESTAMP.is_match(text) => Tag::Timestamp,
            _ => Tag::Str,
        }
    }
}

fn pattern(text: &str) -> Regex {
    #[allow(clippy::expect_used)] // The patterns are constants, and every one is used by the tests.
    Regex::new(text).expect("a valid pattern")
}

static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)\A(?: [-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?
        | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
        | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
        | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN) )\z",
    )
});
static INT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)\A(?: [-+]?0b[01_]+ | [-+]?0[0-7_]+ | [-+]?(?:0|[1-9][0-9_]*) | [-+]?0x[0-9a-fA-F_]+
        | [-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+ )\z",
    )
});
static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)\A(?: [0-9]{4}-[0-9]{2}-[0-9]{2}
        | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} (?:[Tt]|[\ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2} (?:\.[0-9]*)?
          (?:[\ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))? )\z",
    )
});

/// The value of a scalar of this type; `None` when the text does not fit.
pub(super) fn scalar(tag: &Tag, text: &str) -> Option<Data> {
    match tag {
        Tag::Null => Some(Data::Null),
        Tag::Bool => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" => Some(Data::Bool(true)),
            "no" | "false" | "off" => Some(Data::Bool(false)),
            _ => None,
        },
        Tag::Int => int(text),
        Tag::Float => float(text).map(Data::Float),
        // Salt keeps dates as they are written.
        Tag::Timestamp | Tag::Str => Some(Data::Str(text.to_owned())),
        Tag::Binary => binary(text).map(Data::Str),
        _ => None,
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn int(text: &str) -> Option<Data> {
    // Salt strips leading zeros, so that `mode: 0644` is 644 and not 420.
    let zeros = text.starts_with('0') && !text.starts_with("0b") && !text.starts_with("0x");
    let bare = if zeros && text.trim_start_matches('0').is_empty() {
        "0"
    } else if zeros {
        text.trim_start_matches('0')
    } else {
        text
    };
    let bare = bare.replace('_', "");
    let (negative, digits) = split_sign(&bare);
    let whole = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if digits.starts_with('0') && digits != "0" {
        radix(digits.strip_prefix("0o").unwrap_or(digits), 8)
    } else {
        sexagesimal(digits)
    }?;
    Some(match whole {
        Whole::Fits(value) => {
            let value = if negative { value.checked_neg()? } else { value };
            i64::try_from(value).map_or_else(|_| Data::Str(value.to_string()), Data::Int)
        }
        // The digits are kept as text.
        Whole::Huge if negative => Data::Str(format!("-{digits}")),
        Whole::Huge => Data::Str(digits.to_owned()),
    })
}

enum Whole {
    Fits(i128),
    Huge,
}

fn radix(digits: &str, radix: u32) -> Option<Whole> {
    let digits = digits.trim();
    let shaped = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    shaped.then(|| i128::from_str_radix(digits, radix).map_or(Whole::Huge, Whole::Fits))
}

/// `190:20:30` is base sixty; one part alone is decimal.
fn sexagesimal(digits: &str) -> Option<Whole> {
    digits.split(':').try_fold(Whole::Fits(0), |sum, part| match (sum, radix(part, 10)?) {
        (Whole::Fits(sum), Whole::Fits(part)) => {
            let next = sum.checked_mul(60).and_then(|sum| sum.checked_add(part));
            Some(next.map_or(Whole::Huge, Whole::Fits))
        }
        _ => Some(Whole::Huge),
    })
}

fn float(text: &str) -> Option<f64> {
    let bare = text.replace('_', "").to_ascii_lowercase();
    let (negative, digits) = split_sign(&bare);
    let sign = if negative { -1.0 } else { 1.0 };
    match digits {
        ".inf" => return Some(sign * f64::INFINITY),
        ".nan" => return Some(f64::NAN),
        _ => {}
    }
    // Python adds the parts up from the last one.
    let mut base = 1.0;
    let parts = digits.rsplit(':').try_fold(0.0, |sum, part| {
        let sum = sum + part.trim().parse::<f64>().ok()? * base;
        base *= 60.0;
        Some(sum)
    });
    Some(sign * parts?)
}

fn binary(text: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let bare = base64_digits(text)?;
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    String::from_utf8(engine.decode(bare).ok()?).ok()
}

/// The digits that Python reads: it skips what is none, and stops at the padding, which Salt adds where it is missing.
fn base64_digits(text: &str) -> Option<String> {
    let mut digits = String::new();
    let mut pads = 0;
    let missing = text.len() % 4;
    let added = if missing > 0 { 4 - missing } else { 0 };
    for c in text.chars().chain(std::iter::repeat_n('=', added)) {
        match c {
            '=' => {
                pads += 1;
                if digits.len() % 4 >= 2 && digits.len() % 4 + pads >= 4 {
                    return Some(digits);
                }
            }
            c if !c.is_ascii() => return None,
            c if c.is_ascii_alphanumeric() || matches!(c, '+' | '/') => {
                pads = 0;
                digits.push(c);
            }
            _ => {}
        }
    }
    digits.len().is_multiple_of(4).then_some(digits)
}
