//! Filters that convert, and Salt's filters over nested data.

use super::super::args::{Res, int_arg, iterate, required, runtime, text_arg};
use super::super::ast::Format;
use super::super::exec::load_data;
use super::super::repr::text;
use super::super::value::Py;
use super::Call;
use super::sequence::{any_contains, dict_of};

pub(super) const NAMES: &[&str] = &[
    "abs",
    "bool",
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
    "to_entries",
    "from_entries",
    "to_num",
    "traverse",
    "which",
    "is_ip",
    "is_ipv4",
    "is_ipv6",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let subject = &call.subject;
    match call.name {
        "int" | "float" | "abs" | "round" => number(call),
        "bool" | "to_bool" => Ok(Py::Bool(to_bool(subject))),
        "str_to_num" | "to_num" => Ok(to_number(&text(subject)).unwrap_or_else(|| subject.clone())),
        "is_list" => Ok(Py::Bool(matches!(subject, Py::List(_)))),
        "is_iter" => Ok(Py::Bool(subject.len().is_some() && !matches!(subject, Py::Str(_)))),
        "is_ip" | "is_ipv4" | "is_ipv6" => {
            let address = text(subject);
            let address = address.split('/').next().unwrap_or_default().parse::<std::net::IpAddr>();
            Ok(Py::Bool(address.is_ok_and(|a| match call.name {
                "is_ipv4" => a.is_ipv4(),
                "is_ipv6" => a.is_ipv6(),
                _ => true,
            })))
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
            super::super::methods::call(call.interp, &call.subject, &name, args)
        }
        "traverse" => {
            let [path, default, delimiter] = call.args.bind("traverse", ["key", "default", "delimiter"])?;
            let path = text(&required("traverse", "key", path)?);
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            let found = crate::functions::traverse(subject, &path, &delimiter);
            Ok(found.or(default).unwrap_or_else(|| Py::str("")))
        }
        "to_entries" => {
            let Py::Dict(d) = subject else { return runtime("to_entries needs a mapping") };
            let entry = |key: &Py, value: &Py| {
                dict_of(vec![(Py::str("key"), key.clone()), (Py::str("value"), value.clone())])
            };
            let entries: Res<Vec<Py>> = d.borrow().iter().map(|(k, v)| entry(k.value(), v)).collect();
            Ok(Py::list(entries?))
        }
        "from_entries" => {
            let field = |entry: &Py, names: [&str; 4]| names.iter().find_map(|n| entry.item(n));
            let pairs = iterate(subject)?.into_iter().map(|entry| {
                let key = field(&entry, ["key", "Key", "name", "Name"]).unwrap_or(Py::None);
                (key, field(&entry, ["value", "Value", "val", "Val"]).unwrap_or(Py::None))
            });
            dict_of(pairs.collect())
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
        Py::List(_) | Py::Dict(_) => value.truth(),
        _ => false,
    }
}

fn to_number(s: &str) -> Option<Py> {
    s.trim().parse().map(Py::Int).or_else(|_| s.trim().parse().map(Py::Float)).ok()
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
            let base = u32::try_from(int_arg("int", "base", base)?.unwrap_or(10)).unwrap_or(10).clamp(2, 36);
            let parsed = match &subject {
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
            let Some(value) = subject.as_float() else { return runtime("round needs a number") };
            Ok(Py::Float(rounded(value, i32::try_from(precision).unwrap_or(0), &method)))
        }
    }
}

fn whole(s: &str, base: u32) -> Option<i64> {
    let s = s.replace('_', "");
    let (sign, digits) = s.strip_prefix('-').map_or((1, s.as_str()), |d| (-1, d));
    let digits = digits.trim_start_matches('+');
    let bare = match base {
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o"),
        2 => digits.trim_start_matches("0b"),
        _ => digits,
    };
    let whole = i64::from_str_radix(bare, base).ok().map(|i| sign * i);
    whole.or_else(|| s.parse().ok().and_then(truncated))
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
