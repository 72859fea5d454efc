//! Jinja2's and Salt's filters: the table of names, and what the groups share.

mod data;
mod iterators;
mod sequence;
mod strings;

use super::args::{CallArgs, Res, runtime, undefined};
use super::eval::{Frame, Interp};
use super::value::Py;
use crate::error::{Error, Fault};

/// What a filter is given.
pub(super) struct Call<'i, 'w> {
    interp: &'i mut Interp<'w>,
    name: &'i str,
    subject: Py,
    args: CallArgs,
    frame: &'i Frame,
}

/// Whether a filter of this name exists.
pub(super) fn known(name: &str) -> bool {
    matches!(name, "default" | "d")
        || strings::NAMES.contains(&name)
        || sequence::NAMES.contains(&name)
        || data::NAMES.contains(&name)
}

/// `subject|name(args)`.
pub(super) fn apply(
    interp: &mut Interp<'_>,
    name: &str,
    subject: Py,
    args: CallArgs,
    frame: &Frame,
) -> Res<Py> {
    if matches!(name, "default" | "d") {
        return default(subject, args);
    }
    if !known(name) {
        return Err(Error::new(Fault::Syntax(format!("no filter named '{name}'"))));
    }
    if SERIALISERS.contains(&name) {
        // Salt hands something undefined on, so that `default` can follow.
        if let Some(message) = undefined_within(&subject, 0) {
            return Ok(Py::Undefined(message));
        }
    }
    if let (Py::Undefined(message), false) = (&subject, matches!(name, "items" | "skip")) {
        return undefined(message);
    }
    let call = Call { interp, name, subject, args, frame };
    if strings::NAMES.contains(&name) {
        strings::apply(call)
    } else if sequence::NAMES.contains(&name) {
        sequence::apply(call)
    } else {
        data::apply(call)
    }
}

/// Filters of Salt that answer something undefined with something undefined.
const SERIALISERS: &[&str] = &[
    "combinations",
    "combinations_with_replacement",
    "compress",
    "dict_to_sls_yaml_params",
    "json",
    "load_json",
    "load_text",
    "load_yaml",
    "permutations",
    "product",
    "python",
    "tojson",
    "xml",
    "yaml",
    "zip",
    "zip_longest",
];

fn undefined_within(value: &Py, depth: usize) -> Option<std::rc::Rc<str>> {
    let inside = |items: &[Py]| items.iter().find_map(|i| undefined_within(i, depth + 1));
    match value {
        Py::Undefined(message) => Some(message.clone()),
        Py::List(l) if depth < 200 => inside(&l.borrow()),
        Py::Tuple(t) if depth < 200 => inside(t),
        Py::Dict(d) if depth < 200 => d.borrow().values().find_map(|v| undefined_within(v, depth + 1)),
        _ => None,
    }
}

/// The one filter that accepts something undefined.
fn default(subject: Py, args: CallArgs) -> Res<Py> {
    let [value, boolean] = args.bind("default", ["default_value", "boolean"])?;
    let replace = subject.is_undefined() || (boolean.is_some_and(|b| b.truth()) && !subject.truth());
    Ok(if replace { value.unwrap_or_else(|| Py::str("")) } else { subject })
}

/// A Python regular expression.
pub(super) fn pattern(pattern: &str, ignore_case: bool, multi_line: bool) -> Res<fancy_regex::Regex> {
    crate::pyregex::build(pattern, ignore_case, multi_line).or_else(runtime)
}

/// What matching an expression answers: an error where it would take too long.
pub(super) fn matched<T>(answer: Result<T, fancy_regex::Error>) -> Res<T> {
    answer.or_else(|e| runtime(format!("matching a regular expression: {e}")))
}
