//! Jinja2's and Salt's filters: the table of names, and what the groups share.

mod data;
mod dates;
mod dicts;
mod hashes;
mod iterators;
mod network;
mod pretty;
mod prose;
mod sequence;
mod strings;
mod xml;

use super::args::{CallArgs, Res, runtime, undefined};
use super::eval::{Frame, Interp};
use super::value::Py;
use crate::error::{Error, Fault};
use crate::nearest::did_you_mean;

/// What a filter is given.
pub(super) struct Call<'i, 'w> {
    interp: &'i mut Interp<'w>,
    name: &'i str,
    subject: Py,
    args: CallArgs,
    frame: &'i Frame,
}

/// A group of filters: their names, and what applies one of them.
type Group = (&'static [&'static str], fn(Call<'_, '_>) -> Res<Py>);

const GROUPS: &[Group] = &[
    (strings::NAMES, strings::apply),
    (sequence::NAMES, sequence::apply),
    (data::NAMES, data::apply),
    (dicts::NAMES, dicts::apply),
    (prose::NAMES, prose::apply),
    (hashes::NAMES, hashes::apply),
    (network::NAMES, network::apply),
    (dates::NAMES, dates::apply),
    (REFUSED, refused),
];

/// Filters of Salt that are known and not done, because a template must render the same every time, or because they
/// reach out of the machine, or answer with Python's bytes.
const REFUSED: &[&str] = &[
    "dns_check",
    "gen_mac",
    "http_query",
    "is_bin_file",
    "is_text_file",
    "json_decode_dict",
    "json_decode_list",
    "json_encode_dict",
    "json_encode_list",
    "list_files",
    "rand_str",
    "random_hash",
    "random_sample",
    "random_shuffle",
    "random_str",
];

#[allow(clippy::needless_pass_by_value)] // One of the groups' functions, which consume their call.
fn refused(call: Call<'_, '_>) -> Res<Py> {
    let why = match call.name {
        "http_query" | "dns_check" => "a template must not wait for the network",
        "is_bin_file" | "is_text_file" | "list_files" => "use the functions of the module `file`",
        name if name.starts_with("json_") => "it gives bytes, which nothing in a tree can use",
        _ => "a template must render the same every time",
    };
    runtime(format!("the filter '{}' is not supported: {why}", call.name))
}

fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|(names, _)| names.contains(&name))
}

/// Whether a filter of this name exists.
pub(super) fn known(name: &str) -> bool {
    matches!(name, "default" | "d") || group(name).is_some()
}

/// The error of a filter that there is not.
fn unknown(name: &str) -> Error {
    let error = Error::new(Fault::Syntax(format!("no filter named '{name}'")));
    let names = GROUPS.iter().flat_map(|(names, _)| names.iter().copied()).chain(["default"]);
    match did_you_mean(name, names.filter(|known| !REFUSED.contains(known))) {
        Some(help) => error.help(help),
        None => error,
    }
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
    let Some((_, run)) = group(name) else {
        return Err(unknown(name));
    };
    let cheap = matches!(name, "length" | "count" | "first" | "items");
    if super::ops::is_container(&subject) && !cheap {
        super::ops::check_weight(&subject)?;
    }
    super::ops::check_arguments(&args)?;
    if let Py::Str(text) = &subject {
        interp.charge(text.len() / 128)?;
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
    let result = run(Call { interp: &mut *interp, name, subject, args, frame })?;
    interp.charge_text(&result)?;
    Ok(result)
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
    crate::python::regex::build(pattern, ignore_case, multi_line).or_else(runtime)
}

/// What matching an expression answers: an error where it would take too long.
pub(super) fn matched<T>(answer: Result<T, fancy_regex::Error>) -> Res<T> {
    answer.or_else(|e| runtime(format!("matching a regular expression: {e}")))
}
