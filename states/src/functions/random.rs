//! `random.*` functions that give the same whenever they are asked; the others are of the machine.

use base64::Engine as _;

use super::{Call, Table, int_or, text_or};
use crate::jinja::{Py, Res, runtime, text};
use crate::python::digests::hex_digest;
use crate::python::random::PyRandom;

pub(super) const FUNCTIONS: Table =
    &[("random.hash", hash), ("random.seed", seed), ("random.str_encode", str_encode)];

fn hash(call: &mut Call<'_>) -> Res<Py> {
    let [value, algorithm] = call.bind(["value", "algorithm"])?;
    let Py::Str(value) = call.required("value", value)? else {
        return runtime("only text can be hashed");
    };
    match hex_digest(&text_or(algorithm.as_ref(), "sha512"), value.as_bytes()) {
        Some(sum) => Ok(Py::str(sum)),
        None => runtime("You must specify a valid algorithm."),
    }
}

/// A number below `range` that is always the same for this minion, or for this `hash`.
fn seed(call: &mut Call<'_>) -> Res<Py> {
    let [range, hash] = call.bind(["range", "hash"])?;
    let range = int_or("range", range.as_ref(), 10)?;
    let hash = hash.filter(|h| !matches!(h, Py::None));
    let hash = hash.or_else(|| call.known().grains.item("id")).unwrap_or(Py::None);
    let mut random = match &hash {
        Py::Str(text) => PyRandom::of_text(text),
        other => match other.as_int() {
            Some(number) => PyRandom::of_number(number),
            None => return runtime("a seed must be a text or a whole number"),
        },
    };
    match u64::try_from(range) {
        Ok(range) if range > 0 => Ok(Py::Int(i64::try_from(random.below(range)).unwrap_or(0))),
        _ => runtime("empty range for randrange()"),
    }
}

fn str_encode(call: &mut Call<'_>) -> Res<Py> {
    let [value, encoder] = call.bind(["value", "encoder"])?;
    let value = call.required("value", value)?;
    let encoder = text_or(encoder.as_ref(), "base64");
    match (&value, encoder.as_str()) {
        (Py::Str(value), "base64") => {
            Ok(Py::str(base64::engine::general_purpose::STANDARD.encode(value.as_bytes())))
        }
        (_, "base64") => runtime("Value must be an encode-able string"),
        // Salt has made bytes of the text by then, which have no other encoding.
        _ => runtime(format!("{} cannot be encoded as {encoder}", text(&value))),
    }
}
