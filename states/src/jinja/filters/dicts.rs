//! Salt's filters over nested data.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::args::{CallArgs, Res, int_arg, iterate, required, runtime, text_arg};
use super::super::ops::contains;
use super::super::repr::text;
use super::super::value::{Dict, Key, Py};
use super::data::to_number;
use super::sequence::dict_of;
use super::{Call, pattern};

pub(super) const NAMES: &[&str] = &[
    "append_dict_key_value",
    "check_whitelist_blacklist",
    "compare_dicts",
    "compare_lists",
    "exactly_n_true",
    "exactly_one_true",
    "extend_dict_key_value",
    "from_entries",
    "json_query",
    "mysql_to_dict",
    "set_dict_key_value",
    "to_entries",
    "update_dict_key_value",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let Call { interp, name, subject, args, .. } = call;
    match name {
        "set_dict_key_value"
        | "append_dict_key_value"
        | "extend_dict_key_value"
        | "update_dict_key_value" => {
            let method = name.split('_').next().unwrap_or_default();
            let names = ["keys", "value", "delimiter", "ordered_dict"];
            let [keys, value, delimiter, _] = args.bind(name, names)?;
            let keys = text_arg(name, "keys", keys)?;
            let value = value.map_or_else(|| runtime(format!("{name}() missing 'value'")), Ok)?;
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            let (place, key) = placed(&subject, &keys, &delimiter)?;
            let value = match method {
                "set" => value,
                method => {
                    let found = place.borrow().get(&key).cloned().filter(|v| !matches!(v, Py::None));
                    let empty =
                        || if method == "update" { Py::dict(Dict::new()) } else { Py::list(Vec::new()) };
                    let inner = found.unwrap_or_else(empty);
                    if !super::super::methods::has(&inner, method) {
                        return runtime(format!(
                            "The last key contains a {}, which cannot {method}.",
                            inner.type_name()
                        ));
                    }
                    super::super::methods::call(interp, &inner, method, CallArgs::of(vec![value]))?;
                    inner
                }
            };
            let pair = Py::dict([(key, value)].into_iter().collect());
            super::super::methods::call(interp, &Py::Dict(place), "update", CallArgs::of(vec![pair]))?;
            Ok(subject)
        }
        "compare_lists" | "compare_dicts" => {
            let [new] = args.bind(name, ["new"])?;
            compare(interp, name, &subject, &new.unwrap_or(Py::None))
        }
        "exactly_one_true" | "exactly_n_true" => {
            let [amount] = args.bind(name, ["amount"])?;
            let amount = int_arg(name, "amount", amount)?.unwrap_or(1);
            let truths = iterate(&subject)?.iter().filter(|v| v.truth()).count();
            Ok(Py::Bool(i64::try_from(truths).is_ok_and(|n| n == amount.max(0))))
        }
        "check_whitelist_blacklist" => {
            let [white, black] = args.bind(name, ["whitelist", "blacklist"])?;
            listed(&subject, white, black)
        }
        "json_query" => {
            let [expression] = args.bind(name, ["expr"])?;
            query(&subject, &text_arg(name, "expr", expression)?)
        }
        "mysql_to_dict" => {
            let [key] = args.bind(name, ["key"])?;
            table(&subject, &required(name, "key", key)?)
        }
        "to_entries" => entries(&subject),
        _ => from_entries(&subject),
    }
}

/// The mapping that a path leads to but for its last key; mappings on the way are made.
fn placed(subject: &Py, keys: &str, delimiter: &str) -> Res<(Rc<RefCell<Dict>>, Key)> {
    let Py::Dict(start) = subject else {
        return runtime(format!("'{}' object does not support item assignment", subject.type_name()));
    };
    let mut place = start.clone();
    let (way, last) = match keys.rsplit_once(delimiter) {
        Some((way, last)) if !delimiter.is_empty() => (way.split(delimiter).collect(), last),
        _ => (Vec::new(), keys),
    };
    if way.len() > 100 {
        return runtime("a path of more than 100 keys");
    }
    for key in way {
        let inner = place.borrow().get(key).cloned();
        let inner = match inner {
            Some(Py::Dict(inner)) => inner,
            _ => {
                let new = Rc::new(RefCell::new(Dict::new()));
                place.borrow_mut().insert(Key::str(key), Py::Dict(new.clone()));
                new
            }
        };
        place = inner;
    }
    Ok((place, Key::str(last)))
}

/// The difference between two lists, or two mappings.
fn compare(interp: &mut super::super::eval::Interp<'_>, name: &str, old: &Py, new: &Py) -> Res<Py> {
    let [old_len, new_len] = [old, new].map(|side| side.len().unwrap_or(0));
    interp.charge(old_len.saturating_mul(new_len) / 16)?;
    if name == "compare_lists" { compared_lists(old, new) } else { compared(old, new) }
}

fn compared_lists(old: &Py, new: &Py) -> Res<Py> {
    let without = |a: &Py, b: &Py| -> Res<Vec<Py>> {
        let mut kept = Vec::new();
        for item in iterate(a)? {
            if !contains(b, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    };
    let pairs = [("new", without(new, old)?), ("old", without(old, new)?)];
    let pairs = pairs.into_iter().filter(|(_, v)| !v.is_empty());
    dict_of(pairs.map(|(k, v)| (Py::str(k), Py::list(v))).collect())
}

fn compared(old: &Py, new: &Py) -> Res<Py> {
    let (Py::Dict(a), Py::Dict(b)) = (old, new) else { return runtime("compare_dicts needs two mappings") };
    let (a, b) = (a.borrow(), b.borrow());
    let mut changed = Dict::new();
    let added = b.keys().filter(|k| !a.contains_key(*k));
    for key in a.keys().chain(added) {
        let (old, new) = (a.get(key).cloned(), b.get(key).cloned());
        if let (Some(old), Some(new)) = (&old, &new)
            && old.equals(new)
        {
            continue;
        }
        let side = |value: Option<Py>| value.unwrap_or_else(|| Py::str(""));
        let pair = if new.is_none() {
            vec![(Py::str("new"), side(new)), (Py::str("old"), side(old))]
        } else {
            vec![(Py::str("old"), side(old)), (Py::str("new"), side(new))]
        };
        changed.insert(key.clone(), dict_of(pair)?);
    }
    drop((a, b));
    Ok(Py::dict(changed))
}

fn listed(subject: &Py, white: Option<Py>, black: Option<Py>) -> Res<Py> {
    let expressions = |list: Option<Py>| match list.filter(Py::truth) {
        None => Ok(None),
        Some(Py::Str(one)) => Ok(Some(vec![Py::Str(one)])),
        Some(list) => iterate(&list).map(Some),
    };
    let fits = |all: &[Py]| all.iter().any(|expression| fits(subject, expression));
    let (white, black) = (expressions(white)?, expressions(black)?);
    Ok(Py::Bool(white.is_none_or(|w| fits(&w)) && !black.is_some_and(|b| fits(&b))))
}

/// A glob of the whole value, or a regular expression of it.
fn fits(value: &Py, expression: &Py) -> bool {
    let (Py::Str(value), Py::Str(expression)) = (value, expression) else { return false };
    let regex = || pattern(&format!("\\A{expression}\\Z"), false, false).ok();
    crate::python::glob::fnmatch(value, expression)
        || regex().is_some_and(|r| r.is_match(&**value).unwrap_or(false))
}

fn query(subject: &Py, expression: &str) -> Res<Py> {
    if expression.len() > 2000 {
        return runtime("json_query: an expression of more than 2000 bytes");
    }
    let layout = crate::jinja::json::Layout::plain();
    let data = crate::jinja::json_text(subject, layout)?;
    super::super::ops::check_length(copies(expression).checked_mul(data.len().max(expression.len())))?;
    let compiled = jmespath::compile(expression).or_else(|e| runtime(format!("json_query: {e}")))?;
    let data = jmespath::Variable::from_json(&data).or_else(|e| runtime(format!("json_query: {e}")))?;
    let found = compiled.search(data).or_else(|e| runtime(format!("json_query: {e}")))?;
    crate::jinja::parse_json(&found.to_string(), "json_query")
}

/// How often an expression can have its data in its answer at most: what is chosen together is so one inside of the
/// other.
fn copies(expression: &str) -> usize {
    let (mut groups, mut quote, mut all) = (Vec::new(), None, 1usize);
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => _ = chars.next(),
            (c, Some(open)) => quote = quote.filter(|_| c != open),
            ('\'' | '"' | '`', None) => quote = Some(c),
            ('[' | '{' | '(', None) => groups.push(1usize),
            (',', None) => groups.iter_mut().next_back().into_iter().for_each(|n| *n += 1),
            (']' | '}' | ')', None) => all = all.saturating_mul(groups.pop().unwrap_or(1)),
            _ => {}
        }
    }
    all
}

/// What the `mysql` client prints, as rows by one of their fields.
fn table(subject: &Py, key: &Py) -> Res<Py> {
    let mut rows = Dict::new();
    let mut headers: Vec<String> = Vec::new();
    for line in iterate(subject)? {
        let line = text(&line);
        if line.is_empty() || line.starts_with('+') {
            continue;
        }
        let fields: Vec<String> = line.split('|').map(|f| f.trim().to_owned()).collect();
        if headers.len() <= 1 {
            headers = fields;
            continue;
        }
        let mut row = Dict::new();
        for (index, header) in headers.iter().enumerate().take(headers.len() - 1).skip(1) {
            let Some(field) = fields.get(index) else { return runtime("mysql_to_dict: a row is too short") };
            row.insert(
                Key::str(header.as_str()),
                to_number(field).unwrap_or_else(|| Py::str(field.as_str())),
            );
        }
        let Some(id) = Key::new(key.clone()).ok().and_then(|k| row.get(&k).cloned()) else {
            return runtime(format!("KeyError: {}", super::super::repr::repr(key)));
        };
        rows.insert(super::super::eval::hashable(id)?, Py::dict(row));
    }
    Ok(Py::dict(rows))
}

fn entries(subject: &Py) -> Res<Py> {
    let entry = |key: Py, value: &Py| dict_of(vec![(Py::str("key"), key), (Py::str("value"), value.clone())]);
    let all: Res<Vec<Py>> = match subject {
        Py::Dict(d) => d.borrow().iter().map(|(k, v)| entry(k.value().clone(), v)).collect(),
        Py::List(l) => {
            let index = |i: usize| Py::Int(i64::try_from(i).unwrap_or(i64::MAX));
            l.borrow().iter().enumerate().map(|(i, v)| entry(index(i), v)).collect()
        }
        _ => runtime("Input data must be a dict or list"),
    };
    Ok(Py::list(all?))
}

fn from_entries(subject: &Py) -> Res<Py> {
    let field = |entry: &Py, name: &str| match entry {
        Py::Dict(d) => {
            let d = d.borrow();
            let found = d.iter().find(|(k, _)| k.value().as_str().is_some_and(|k| k.to_lowercase() == name));
            found.map(|(_, v)| v.clone())
        }
        _ => None,
    };
    let mut pairs = Vec::new();
    for entry in iterate(subject)? {
        let key = ["key", "name"].into_iter().find_map(|name| field(&entry, name).filter(Py::truth));
        pairs.extend(key.map(|key| (key, field(&entry, "value").unwrap_or(Py::None))));
    }
    dict_of(pairs)
}
