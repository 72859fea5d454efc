//! `grains.*`: what the minion is.

use super::pillar::items_of;
use super::traverse::traverse_key;
use super::{Call, Table, text_or, traverse};
use crate::jinja::{Dict, Key, Py, Res, flag, runtime, text};
use crate::merge;
use crate::python::glob::fnmatch;

pub(super) const FUNCTIONS: Table = &[
    ("grains.equals", equals),
    ("grains.fetch", get),
    ("grains.filter_by", by_grain),
    ("grains.get", get),
    ("grains.has_value", has_value),
    ("grains.item", item),
    ("grains.items", items),
    ("grains.ls", ls),
];

fn get(call: &mut Call<'_>) -> Res<Py> {
    let [key, default, delimiter, _] = call.bind(["key", "default", "delimiter", "ordered"])?;
    let key = call.required("key", key)?;
    let found = traverse_key(&call.known().grains, &key, &text_or(delimiter.as_ref(), ":"));
    Ok(found.unwrap_or_else(|| default.unwrap_or_else(|| Py::str(""))))
}

fn has_value(call: &mut Call<'_>) -> Res<Py> {
    let [key] = call.bind(["key"])?;
    let key = call.required("key", key)?;
    Ok(Py::Bool(traverse_key(&call.known().grains, &key, ":").is_some()))
}

fn equals(call: &mut Call<'_>) -> Res<Py> {
    let [key, value] = call.bind(["key", "value"])?;
    let (key, value) = (call.required("key", key)?, call.text("value", value)?);
    let found = traverse_key(&call.known().grains, &key, ":");
    Ok(Py::Bool(found.map(|v| text(&v)).unwrap_or_default() == value))
}

fn ls(call: &mut Call<'_>) -> Res<Py> {
    let mut all: Vec<String> = call.known().grains.elements().unwrap_or_default().iter().map(text).collect();
    all.sort();
    Ok(super::list_of(all))
}

fn items(call: &mut Call<'_>) -> Res<Py> {
    let [sanitize] = call.bind(["sanitize"])?;
    let all = match &call.known().grains {
        Py::Dict(d) => d.borrow().clone(),
        _ => Dict::new(),
    };
    let all = if flag(sanitize.as_ref(), false) { sanitized(all) } else { all };
    Ok(Py::dict(all))
}

fn item(call: &mut Call<'_>) -> Res<Py> {
    let named = |name: &str| call.args.named.iter().find(|(n, _)| &**n == name).map(|(_, v)| v);
    let default = named("default").cloned().unwrap_or_else(|| Py::str(""));
    let delimiter = text_or(named("delimiter"), ":");
    let found = items_of(&call.known().grains, &call.args.positional, &delimiter, &default)?;
    match found {
        Py::Dict(d) if flag(named("sanitize"), false) => Ok(Py::dict(sanitized(d.borrow().clone()))),
        found => Ok(found),
    }
}

/// Without what tells one machine from another, in Salt's words.
fn sanitized(mut all: Dict) -> Dict {
    let words = [
        ("domain", "DOMAINNAME"),
        ("fqdn", "MINION.DOMAINNAME"),
        ("id", "MINION.DOMAINNAME"),
        ("host", "MINION"),
        ("localhost", "MINION"),
        ("nodename", "MINION"),
    ];
    for (grain, word) in words {
        if let Some(value) = all.get_mut(grain) {
            *value = Py::str(word);
        }
    }
    if let Some(serial) = all.get_mut("serialnumber") {
        let number: Vec<char> = text(serial).chars().collect();
        let shown = number.len() * 3 / 4;
        let hidden = "X".repeat(number.len() - shown);
        *serial = Py::str(number[..shown].iter().collect::<String>() + &hidden);
    }
    all
}

fn by_grain(call: &mut Call<'_>) -> Res<Py> {
    let names = ["lookup_dict", "grain", "merge", "default", "base"];
    let [lookup, grain, merge, default, base] = call.bind(names)?;
    let lookup = call.required("lookup_dict", lookup)?;
    let grain = grain.map_or_else(|| "os_family".to_owned(), |g| text(&g));
    let default = default.unwrap_or_else(|| Py::str("default"));
    filter_by(&call.known().grains, &lookup, &grain, merge.as_ref(), &default, base.as_ref())
}

/// The entry of `lookup` whose pattern fits the value at a path, over `base`, under `merge`.
pub(super) fn filter_by(
    data: &Py,
    lookup: &Py,
    path: &str,
    merge: Option<&Py>,
    default: &Py,
    base: Option<&Py>,
) -> Res<Py> {
    let Py::Dict(entries) = lookup else {
        return runtime(format!("the look-up must be a mapping, not {}", lookup.type_name()));
    };
    let values = match traverse(data, path, ":") {
        Some(Py::List(l)) => l.borrow().clone(),
        Some(value) => vec![value],
        None => Vec::new(),
    };
    let fits = |value: &Py| {
        let entries = entries.borrow();
        let found = entries.iter().find(|(k, _)| fnmatch(&text(value), &text(k.value())));
        found.map(|(_, v)| v.clone()).filter(|v| !matches!(v, Py::None))
    };
    let by_key = |key: &Py| Key::new(key.clone()).ok().and_then(|k| entries.borrow().get(&k).cloned());
    let found = values.iter().find_map(fits).or_else(|| by_key(default)).unwrap_or(Py::None);
    let result = over(found, base.filter(|b| b.truth()).and_then(by_key))?;
    under(result, merge.filter(|m| m.truth()))
}

fn over(result: Py, base: Option<Py>) -> Res<Py> {
    match (&result, base) {
        (Py::None, Some(base)) => Ok(base),
        (Py::Dict(_), Some(base @ Py::Dict(_))) => merge::update(&base.deep_copy(), &result, true, false),
        (_, Some(Py::Dict(_))) => runtime("filter_by default and look-up values must both be dictionaries."),
        _ => Ok(result),
    }
}

/// In place, as in Salt: what the look-up holds is changed for the rest of the template.
fn under(result: Py, merge: Option<&Py>) -> Res<Py> {
    match merge {
        None => Ok(result),
        Some(merge @ Py::Dict(_)) if matches!(result, Py::None) => Ok(merge.clone()),
        Some(merge @ Py::Dict(_)) => merge::update(&result, &merge.deep_copy(), true, false),
        Some(_) => runtime("filter_by merge argument must be a dictionary."),
    }
}
