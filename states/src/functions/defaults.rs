//! `defaults.*`: the `defaults.yaml` of a formula, and merging with it.

use super::{Call, Table, flag_of, traverse};
use crate::jinja::{self, Dict, Py, Res, iterate, parse_json, runtime};
use crate::merge;
use crate::yaml;

pub(super) const FUNCTIONS: Table = &[
    ("defaults.deepcopy", deepcopy),
    ("defaults.get", get),
    ("defaults.merge", merge_into),
    ("defaults.update", update),
];

fn deepcopy(call: &mut Call<'_>) -> Res<Py> {
    let [source] = call.bind(["source"])?;
    Ok(call.required("source", source)?.deep_copy())
}

/// `formula:path:to:key` in `formula/defaults.yaml`, or else in `formula/defaults.json`.
fn get(call: &mut Call<'_>) -> Res<Py> {
    let [key, default] = call.bind(["key", "default"])?;
    let key = call.text("key", key)?;
    let (formula, key) = key.split_once(':').unwrap_or((&key, ""));
    let Some(defaults) = load(call, formula)? else {
        return Ok(if key.is_empty() { Py::None } else { default.unwrap_or_else(|| Py::str("")) });
    };
    if key.is_empty() {
        return Ok(defaults);
    }
    Ok(traverse(&defaults, key, ":").unwrap_or_else(|| default.unwrap_or_else(|| Py::str(""))))
}

fn load(call: &Call<'_>, formula: &str) -> Res<Option<Py>> {
    for kind in ["yaml", "json"] {
        let path = format!("{formula}/defaults.{kind}");
        let Some(text) = call.scene.tree_file(&path, None)? else { continue };
        let data = match kind {
            "yaml" => yaml::load(&text, &path)?.to_py(),
            _ => parse_json(&text, &path)?,
        };
        return Ok(Some(if data.truth() { data } else { Py::dict(Dict::new()) }));
    }
    Ok(None)
}

fn none_is_empty(value: Py, convert: bool) -> Py {
    if convert && matches!(value, Py::None) { Py::dict(Dict::new()) } else { value }
}

fn merge_into(call: &mut Call<'_>) -> Res<Py> {
    let [dest, src, lists, in_place, convert] =
        call.bind(["dest", "src", "merge_lists", "in_place", "convert_none"])?;
    let (dest, src) = (call.required("dest", dest)?, call.required("src", src)?);
    let (convert, in_place) = (flag_of(&convert, true), flag_of(&in_place, true));
    if in_place && convert && matches!(dest, Py::None) {
        return runtime("Can't perform in-place merge into NoneType");
    }
    let dest = if in_place { dest } else { none_is_empty(dest, convert).deep_copy() };
    merge::update(&dest, &none_is_empty(src, convert), true, flag_of(&lists, false))
}

/// Every entry of `dest` over its own copy of the defaults.
fn update(call: &mut Call<'_>) -> Res<Py> {
    let [dest, defaults, lists, in_place, convert] =
        call.bind(["dest", "defaults", "merge_lists", "in_place", "convert_none"])?;
    let (dest, defaults) = (call.required("dest", dest)?, call.required("defaults", defaults)?);
    let (convert, in_place) = (flag_of(&convert, true), flag_of(&in_place, true));
    if in_place && matches!(dest, Py::None) {
        return runtime("Can't perform in-place update into NoneType");
    }
    let nodes = if in_place { dest } else { none_is_empty(dest, convert).deep_copy() };
    let defaults = none_is_empty(defaults, convert);
    let Py::Dict(entries) = &nodes else {
        return runtime(format!("'{}' object has no attribute 'items'", nodes.type_name()));
    };
    for name in iterate(&nodes)? {
        let key = jinja::Key::new(name).or_else(runtime)?;
        let node = entries.borrow().get(&key).cloned().unwrap_or(Py::None);
        let node = none_is_empty(node, convert);
        let merged = merge::update(&defaults.deep_copy(), &node, true, flag_of(&lists, true))?;
        entries.borrow_mut().insert(key, merged);
    }
    Ok(nodes)
}
