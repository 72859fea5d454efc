//! The types of plain scalars: YAML 1.1 as PyYAML resolves it, with Salt's reading of leading zeros.

use super::Data;

/// The value of a plain scalar.
pub(super) fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Data::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Data::Bool(false),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Data::Str(text.to_owned());
    }
    if is_int(text) {
        // Beyond 64 bits the digits are kept as text.
        return int(text).map_or_else(|| Data::Str(text.to_owned()), Data::Int);
    }
    float(text).map_or_else(|| Data::Str(text.to_owned()), Data::Float)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn all(text: &str, test: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(test)
}

/// Whether PyYAML takes this for a whole number.
pub(super) fn is_int(text: &str) -> bool {
    let digits = unsigned(text);
    let decimal =
        |t: &str| t.starts_with(|c: char| c.is_ascii_digit()) && all(t, |c| c.is_ascii_digit() || c == '_');
    if let Some(binary) = digits.strip_prefix("0b") {
        return all(binary, |c| matches!(c, '0' | '1' | '_'));
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return all(hex, |c| c.is_ascii_hexdigit() || c == '_');
    }
    if let Some(octal) = digits.strip_prefix('0') {
        return octal.is_empty() || all(octal, |c| matches!(c, '0'..='7' | '_'));
    }
    match digits.split_once(':') {
        Some((first, rest)) => decimal(first) && rest.split(':').all(is_sixty),
        None => decimal(digits),
    }
}

/// A part of a base-60 number: up to `59`.
fn is_sixty(part: &str) -> bool {
    match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    }
}

fn int(text: &str) -> Option<i64> {
    // Salt strips leading zeros, so that `mode: 0644` is 644 and not 420.
    let zeros = text.starts_with('0') && !text.starts_with("0b") && !text.starts_with("0x");
    let text = if zeros { text.trim_start_matches('0') } else { text };
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1i64, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let value = if digits.is_empty() || digits == "0" {
        0
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.split(':').try_fold(0i64, |all, part| all.checked_mul(60)?.checked_add(part.parse().ok()?))?
    };
    value.checked_mul(sign)
}

/// The value, where PyYAML takes this for a floating-point number.
pub(super) fn float(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let bare = unsigned(text);
    match bare {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if bare == text => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match bare.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (bare, None),
    };
    let signed_digits = |e: &str| e.strip_prefix(['+', '-']).is_some_and(|d| all(d, |c| c.is_ascii_digit()));
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |t: &str| t.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !digits(fraction) || !exponent.is_none_or(signed_digits) {
        return None;
    }
    if let Some((first, rest)) = whole.split_once(':') {
        return sexagesimal(first, rest, fraction, exponent).map(|f| f * sign);
    }
    let number_first = |t: &str| t.starts_with(|c: char| c.is_ascii_digit());
    let shaped = (number_first(whole) && digits(whole))
        || (whole.is_empty() && number_first(fraction) && bare == text);
    if !shaped {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn sexagesimal(first: &str, rest: &str, fraction: &str, exponent: Option<&str>) -> Option<f64> {
    let decimal =
        first.starts_with(|c: char| c.is_ascii_digit()) && all(first, |c| c.is_ascii_digit() || c == '_');
    if exponent.is_some() || !decimal || !rest.split(':').all(is_sixty) {
        return None;
    }
    let start: f64 = first.replace('_', "").parse().ok()?;
    let whole = rest.split(':').try_fold(start, |all, part| Some(all * 60.0 + part.parse::<f64>().ok()?))?;
    let fraction = fraction.replace('_', "");
    Some(whole + format!("0.{fraction}0").parse::<f64>().ok()?)
}
