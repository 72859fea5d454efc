//! Filters that convert, and Salt's filters over nested data.

use super::super::args::{Res, int_arg, iterate, required, runtime, text_arg};
use super::super::ast::Format;
use super::super::exec::load_data;
use super::super::repr::text;
use super::super::value::Py;
use super::Call;
use super::sequence::any_contains;
use crate::error::{Error, Fault};

pub(super) const NAMES: &[&str] = &[
    "abs",
    "file_hashsum",
    "get_uid",
    "human_to_bytes",
    "is_empty",
    "float",
    "int",
    "is_iter",
    "is_list",
    "load_json",
    "load_text",
    "load_yaml",
    "method_call",
    "round",
    "str_to_num",
    "substring_in_list",
    "to_bool",
    "to_num",
    "traverse",
    "which",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let subject = &call.subject;
    match call.name {
        "int" | "float" | "abs" | "round" => number(call),
        "to_bool" => Ok(Py::Bool(to_bool(subject))),
        "str_to_num" | "to_num" => match subject {
            Py::Str(s) => Ok(to_number(s).unwrap_or_else(|| subject.clone())),
            Py::Float(f) => {
                truncated(*f).map_or_else(|| runtime("cannot convert float to integer"), |i| Ok(Py::Int(i)))
            }
            other => match other.as_int() {
                Some(i) => Ok(Py::Int(i)),
                None => runtime(format!(
                    "int() argument must be a string or a number, not '{}'",
                    other.type_name()
                )),
            },
        },
        "human_to_bytes" => bytes_of(call),
        "file_hashsum" | "get_uid" | "is_empty" => of_machine(call),
        "is_list" => Ok(Py::Bool(matches!(subject, Py::List(_)))),
        "is_iter" => Ok(Py::Bool(subject.is_iterable() && !matches!(subject, Py::Str(_)))),
        "load_text" if !matches!(subject, Py::Module(_)) => Ok(subject.clone()),
        "load_yaml" | "load_json" if !matches!(subject, Py::Str(_) | Py::Module(_)) => {
            runtime(format!("{} needs text, not {}", call.name, subject.type_name()))
        }
        "load_yaml" => load_data(Format::Yaml, &text(subject), &loaded(&call)),
        "load_json" => load_data(Format::Json, &text(subject), &loaded(&call)),
        "load_text" => Ok(Py::str(text(subject))),
        "which" => call.interp.world.call("cmd.which", crate::jinja::CallArgs::of(vec![call.subject])),
        "method_call" => {
            let mut args = call.args;
            if args.positional.is_empty() {
                return runtime("method_call needs the name of a method");
            }
            let name = text(&args.positional.remove(0));
            if !super::super::methods::has(&call.subject, &name) {
                return Ok(Py::None);
            }
            super::super::methods::call(call.interp, &call.subject, &name, args)
        }
        "traverse" => {
            let [path, default, delimiter] = call.args.bind("traverse", ["key", "default", "delimiter"])?;
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            let found = match required("traverse", "key", path)? {
                path @ (Py::List(_) | Py::Tuple(_)) => iterate(&path)?
                    .iter()
                    .try_fold(subject.clone(), |at, key| crate::functions::traverse(&at, &text(key), "")),
                path => crate::functions::traverse(subject, &text(&path), &delimiter),
            };
            Ok(found.or(default).unwrap_or(Py::None))
        }
        "substring_in_list" => {
            let list = call.args.positional.first().cloned().unwrap_or(Py::None);
            any_contains(&list, subject).map(Py::Bool)
        }
        other => runtime(format!("the filter '{other}' is not supported")),
    }
}

fn loaded(call: &Call<'_, '_>) -> String {
    format!("{} (loaded text)", call.frame.template.name)
}

fn to_bool(value: &Py) -> bool {
    match value {
        Py::Bool(b) => *b,
        Py::Str(s) => matches!(s.to_lowercase().as_str(), "yes" | "1" | "true"),
        Py::Int(i) => *i > 0,
        Py::List(_) | Py::Dict(_) | Py::View(..) => value.truth(),
        Py::DictView(super::super::value::Part::Keys | super::super::value::Part::Items, _) => value.truth(),
        _ => false,
    }
}

/// What Python's `int(text)` makes of a text, or its `float(text)`.
pub(super) fn to_number(s: &str) -> Option<Py> {
    let s = s.trim_matches(super::super::text::is_space);
    let odd = s.starts_with('_') || s.ends_with('_') || s.contains("__");
    let s = if odd { s.to_owned() } else { s.replace('_', "") };
    s.parse().map(Py::Int).or_else(|_| s.parse().map(Py::Float)).ok()
}

/// `3.5MB` as a number of bytes.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Sizes, within bounds.
fn bytes_of(call: Call<'_, '_>) -> Res<Py> {
    let [unit, metric] = call.args.bind("human_to_bytes", ["default_unit", "handle_metric"])?;
    let size = text(&call.subject);
    let size = size.trim();
    let digits = size.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(size.len());
    let written = size[digits..].trim_start().to_lowercase();
    let default = unit.map_or_else(|| "b".to_owned(), |u| text(&u).to_lowercase());
    let unit = if written.is_empty() { default } else { written };
    let (Ok(value), Some(power)) =
        (size[..digits].parse::<f64>(), unit.chars().next().and_then(|c| "bkmgtpezy".find(c)))
    else {
        return Ok(Py::Int(0));
    };
    let base = match &unit[1..] {
        "b" if power > 0 && super::super::args::flag(metric.as_ref(), false) => 1000f64,
        "" | "b" | "ib" if power > 0 || unit.len() == 1 => 1024f64,
        _ => return Ok(Py::Int(0)),
    };
    let bytes = value * base.powi(i32::try_from(power).unwrap_or(0));
    match truncated(bytes) {
        Some(bytes) => Ok(Py::Int(bytes)),
        None => runtime("human_to_bytes: a whole number beyond 64 bits"),
    }
}

/// Filters that look at the machine, by the execution functions that do the same.
fn of_machine(call: Call<'_, '_>) -> Res<Py> {
    let mut args = crate::jinja::CallArgs::of(vec![call.subject]);
    let world = call.interp.world;
    match call.name {
        "file_hashsum" => {
            args.positional.extend(call.args.positional);
            world.call("file.get_hash", args)
        }
        "get_uid" => world.call("file.user_to_uid", args),
        _ => {
            if !world.call("file.file_exists", args.clone())?.truth() {
                return Ok(Py::Bool(false));
            }
            let stats = world.call("file.stats", args)?;
            Ok(Py::Bool(stats.item("size").and_then(|s| s.as_int()) == Some(0)))
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // As Python's int(float), within bounds.
fn truncated(f: f64) -> Option<i64> {
    (f.is_finite() && f.abs() < 9.2e18).then_some(f as i64)
}

fn number(call: Call<'_, '_>) -> Res<Py> {
    let subject = call.subject;
    match call.name {
        "abs" => match subject {
            Py::Float(f) => Ok(Py::Float(f.abs())),
            other => match other.as_int().and_then(i64::checked_abs) {
                Some(i) => Ok(Py::Int(i)),
                None => runtime(format!("bad operand type for abs(): '{}'", other.type_name())),
            },
        },
        "float" => {
            let [default] = call.args.bind("float", ["default"])?;
            let parsed = match &subject {
                Py::Str(s) => s.trim().replace('_', "").parse().ok(),
                other => other.as_float(),
            };
            Ok(parsed.map_or_else(|| default.unwrap_or(Py::Float(0.0)), Py::Float))
        }
        "int" => {
            let [default, base] = call.args.bind("int", ["default", "base"])?;
            let base = u32::try_from(int_arg("int", "base", base)?.unwrap_or(10)).unwrap_or(10);
            if base == 1 || base > 36 {
                return runtime("int() base must be >= 2 and <= 36, or 0");
            }
            let parsed = match &subject {
                Py::Float(f) if f.is_finite() && truncated(*f).is_none() => {
                    return Err(Error::new(Fault::Limit("a whole number beyond 64 bits".to_owned())));
                }
                Py::Float(f) => truncated(*f),
                Py::Str(s) => whole(s.trim(), base),
                other => other.as_int(),
            };
            Ok(parsed.map_or_else(|| default.unwrap_or(Py::Int(0)), Py::Int))
        }
        _ => {
            let [precision, method] = call.args.bind("round", ["precision", "method"])?;
            let precision = int_arg("round", "precision", precision)?.unwrap_or(0);
            let method =
                method.map_or_else(|| Ok("common".into()), |m| text_arg("round", "method", Some(m)))?;
            if !matches!(&*method, "common" | "ceil" | "floor") {
                return runtime("method must be common, ceil or floor");
            }
            let Some(value) = subject.as_float() else { return runtime("round needs a number") };
            if let (Some(i), "common") = (subject.as_int(), &*method) {
                return Ok(Py::Int(rounded_whole(i, precision)));
            }
            Ok(Py::Float(rounded(value, i32::try_from(precision).unwrap_or(0), &method)))
        }
    }
}

/// A literal whose base is in its prefix.
fn prefixed(digits: &str) -> Option<i64> {
    match digits.get(..2).map(str::to_lowercase).as_deref() {
        Some("0x") => i64::from_str_radix(&digits[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&digits[2..], 8).ok(),
        Some("0b") => i64::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse().ok(),
    }
}

fn whole(s: &str, base: u32) -> Option<i64> {
    let s = s.replace('_', "");
    let (sign, digits) = s.strip_prefix('-').map_or((1_i64, s.as_str()), |d| (-1, d));
    let digits = digits.trim_start_matches('+');
    let bare = match base {
        0 => return prefixed(digits).and_then(|i| i.checked_mul(sign)),
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o"),
        2 => digits.trim_start_matches("0b"),
        _ => digits,
    };
    let whole = i64::from_str_radix(bare, base).ok().and_then(|i| i.checked_mul(sign));
    whole.or_else(|| s.parse().ok().and_then(truncated))
}

/// Whole numbers stay whole; a negative precision rounds half to even.
fn rounded_whole(value: i64, precision: i64) -> i64 {
    let power = u32::try_from(precision.checked_neg().unwrap_or(0)).unwrap_or(0);
    let Some(unit) = 10i64.checked_pow(power).filter(|u| *u > 1) else { return value };
    let (down, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let up = rest * 2 > unit || (rest * 2 == unit && down % 2 != 0);
    (down + i64::from(up)).saturating_mul(unit)
}

fn rounded(value: f64, precision: i32, method: &str) -> f64 {
    let factor = 10f64.powi(precision.clamp(-300, 300));
    match method {
        "ceil" => (value * factor).ceil() / factor,
        "floor" => (value * factor).floor() / factor,
        // Python rounds half to even, on the exact binary value.
        _ if precision == 0 => value.round_ties_even(),
        _ if precision > 0 => {
            let text = format!("{value:.*}", usize::try_from(precision).unwrap_or(0).min(60));
            text.parse().unwrap_or(value)
        }
        _ => (value * factor).round_ties_even() / factor,
    }
}
