//! Salt's ways of merging nested mappings.

use std::rc::Rc;

use crate::jinja::{Key, Py, Res, runtime};

/// `salt.utils.dictupdate.update`: merges `upd` into `dest` in place and gives `dest` back.
pub(crate) fn update(dest: &Py, upd: &Py, recursive: bool, merge_lists: bool) -> Res<Py> {
    update_within(dest, upd, recursive, merge_lists, 0)
}

fn update_within(dest: &Py, upd: &Py, recursive: bool, merge_lists: bool, depth: usize) -> Res<Py> {
    let (Py::Dict(into), Py::Dict(from)) = (dest, upd) else {
        return runtime(format!(
            "cannot merge {} into {}: both must be mappings",
            upd.type_name(),
            dest.type_name()
        ));
    };
    if depth > 200 {
        return runtime("mappings nested too deeply to be merged");
    }
    if Rc::ptr_eq(into, from) {
        return Ok(dest.clone());
    }
    let pairs: Vec<(Key, Py)> = from.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (key, value) in pairs {
        let old = if recursive { into.borrow().get(&key).cloned() } else { None };
        let new = match (&old, &value) {
            (Some(old @ Py::Dict(_)), Py::Dict(_)) => {
                update_within(old, &value, true, merge_lists, depth + 1)?
            }
            (Some(Py::List(old)), Py::List(more)) if merge_lists => {
                let mut merged: Vec<Py> = old.borrow().iter().map(Py::deep_copy).collect();
                let fresh: Vec<Py> =
                    more.borrow().iter().filter(|m| !merged.iter().any(|o| o.equals(m))).cloned().collect();
                merged.extend(fresh);
                Py::list(merged)
            }
            _ => value,
        };
        into.borrow_mut().insert(key, new);
    }
    Ok(dest.clone())
}

/// `salt.utils.dictupdate.merge`: a merged copy by one of Salt's strategies.
pub(crate) fn merge(a: &Py, b: &Py, strategy: &str, merge_lists: bool) -> Res<Py> {
    merge_into(&a.deep_copy(), b, strategy, merge_lists)
}

/// As [`merge`], where nobody else looks at `a`: it may become the result.
pub(crate) fn merge_into(a: &Py, b: &Py, strategy: &str, merge_lists: bool) -> Res<Py> {
    match strategy {
        "list" => list(a, b),
        // What is not marked for aggregation (the `yamlex` renderer does that) is replaced.
        "overwrite" | "aggregate" => update(a, &b.deep_copy(), false, false),
        "none" => update(a, &b.deep_copy(), true, false),
        // Salt takes a strategy that it does not know for `recurse`, without lists.
        other => update(a, &b.deep_copy(), true, merge_lists && matches!(other, "smart" | "recurse")),
    }
}

/// Both values of each key of `a`; what only `b` has is lost.
fn list(a: &Py, b: &Py) -> Res<Py> {
    let (Py::Dict(first), Py::Dict(second)) = (a, b) else {
        return runtime("the strategy 'list' merges mappings");
    };
    let (first, second) = (first.borrow(), second.borrow());
    let both = |(key, value): (&Key, &Py)| match second.get(key) {
        Some(other) => (key.clone(), Py::list(vec![value.clone(), other.clone()])),
        None => (key.clone(), value.clone()),
    };
    Ok(Py::dict(first.iter().map(both).collect()))
}
