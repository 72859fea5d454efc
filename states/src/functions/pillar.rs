//! `pillar.*`: what the minion was given.

use super::grains::filter_by;
use super::traverse::traverse_key;
use super::{Call, Table, default_of, text_or};
use crate::jinja::{Dict, Key, Py, Res, flag, runtime, text};
use crate::merge;

pub(super) const FUNCTIONS: Table = &[
    ("pillar.data", items),
    ("pillar.fetch", get),
    ("pillar.file_exists", file_exists),
    ("pillar.filter_by", by_pillar),
    ("pillar.get", get),
    ("pillar.item", item),
    ("pillar.items", items),
    ("pillar.keys", keys),
    ("pillar.ls", ls),
    ("pillar.obfuscate", obfuscate),
    ("pillar.raw", raw),
];

fn get(call: &mut Call<'_>) -> Res<Py> {
    let names =
        ["key", "default", "merge", "merge_nested_lists", "delimiter", "pillarenv", "saltenv", "unmask"];
    let [key, default, merging, nested, delimiter, _, _, _] = call.bind(names)?;
    let key = call.required("key", key)?;
    let found = traverse_key(&call.known().pillar, &key, &text_or(delimiter.as_ref(), ":"));
    let default = default_of(default)?;
    if merging.is_some_and(|m| m.truth()) {
        return merged(&default, found, flag(nested.as_ref(), false));
    }
    Ok(found.unwrap_or(default))
}

/// The pillar over a default of the same kind; other kinds are not merged, as in Salt.
fn merged(default: &Py, found: Option<Py>, merge_lists: bool) -> Res<Py> {
    match (default, found) {
        (Py::Dict(_), Some(value @ Py::Dict(_))) => {
            merge::update(&default.deep_copy(), &value, true, merge_lists)
        }
        (Py::List(base), Some(Py::List(more))) => {
            let mut all: Vec<Py> = base.borrow().iter().map(Py::deep_copy).collect();
            let fresh = |item: &&Py| !base.borrow().iter().any(|old| old.equals(item));
            all.extend(more.borrow().iter().filter(fresh).cloned());
            Ok(Py::list(all))
        }
        (_, Some(value)) => Ok(value),
        (_, None) => Ok(default.clone()),
    }
}

fn items(call: &mut Call<'_>) -> Res<Py> {
    if call.args.positional.is_empty() { Ok(call.known().pillar.clone()) } else { item(call) }
}

fn ls(call: &mut Call<'_>) -> Res<Py> {
    Ok(Py::list(call.known().pillar.elements().unwrap_or_default()))
}

fn item(call: &mut Call<'_>) -> Res<Py> {
    let named = |name: &str| call.args.named.iter().find(|(n, _)| &**n == name).map(|(_, v)| v);
    let delimiter = text_or(named("delimiter"), ":");
    let default = named("default").filter(|d| !matches!(d, Py::None)).cloned().unwrap_or_else(|| Py::str(""));
    items_of(&call.known().pillar, &call.args.positional, &delimiter, &default)
}

/// The values at some paths, by path.
pub(super) fn items_of(data: &Py, keys: &[Py], delimiter: &str, default: &Py) -> Res<Py> {
    let mut found = Dict::new();
    for key in keys {
        let value = traverse_key(data, key, delimiter).unwrap_or_else(|| default.clone());
        let key = Key::new(key.clone()).or_else(|kind| runtime(format!("unhashable type: '{kind}'")))?;
        found.insert(key, value);
    }
    Ok(Py::dict(found))
}

fn raw(call: &mut Call<'_>) -> Res<Py> {
    let [key, _] = call.bind(["key", "unmask"])?;
    match key.filter(Py::truth) {
        None => Ok(call.known().pillar.clone()),
        Some(key) => Ok(call.known().pillar.item(&text(&key)).unwrap_or_else(|| Py::dict(Dict::new()))),
    }
}

fn keys(call: &mut Call<'_>) -> Res<Py> {
    let [key, delimiter, _] = call.bind(["key", "delimiter", "unmask"])?;
    let key = call.required("key", key)?;
    match traverse_key(&call.known().pillar, &key, &text_or(delimiter.as_ref(), ":")) {
        Some(value @ Py::Dict(_)) => Ok(Py::list(value.elements().unwrap_or_default())),
        Some(_) => runtime(format!("Pillar value in key {} is not a dict", text(&key))),
        None => runtime(format!("Pillar key not found: {}", text(&key))),
    }
}

fn by_pillar(call: &mut Call<'_>) -> Res<Py> {
    let [lookup, pillar, merge, default, base] =
        call.bind(["lookup_dict", "pillar", "merge", "default", "base"])?;
    let lookup = call.required("lookup_dict", lookup)?;
    let pillar = call.text("pillar", pillar)?;
    let default = default.unwrap_or_else(|| Py::str("default"));
    filter_by(&call.known().pillar, &lookup, &pillar, merge.as_ref(), &default, base.as_ref())
}

fn file_exists(call: &mut Call<'_>) -> Res<Py> {
    let [path, saltenv] = call.bind(["path", "saltenv"])?;
    let path = call.text("path", path)?;
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    Ok(Py::Bool(call.scene.pillar_file_exists(&path, env.as_deref())))
}

/// The shape of the pillar: the kind of every value instead of the value.
fn obfuscate(call: &mut Call<'_>) -> Res<Py> {
    Ok(kinds(&items(call)?, 0))
}

fn kinds(value: &Py, depth: usize) -> Py {
    match value {
        Py::Dict(d) if depth < 200 => {
            Py::dict(d.borrow().iter().map(|(k, v)| (k.clone(), kinds(v, depth + 1))).collect())
        }
        Py::List(l) if depth < 200 => Py::list(l.borrow().iter().map(|v| kinds(v, depth + 1)).collect()),
        other => Py::str(format!("<{}>", other.type_name())),
    }
}
