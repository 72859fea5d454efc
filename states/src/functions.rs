//! The execution functions that need nothing of the machine: pillar, grains, configuration, merging, paths.

use crate::error::{Error, Fault};
use crate::glob::fnmatch;
use crate::jinja::{CallArgs, Dict, Key, Py, Res, flag, required, runtime, text, text_arg};
use crate::merge;

/// What these functions look at.
pub(crate) struct Known {
    pub(crate) grains: Py,
    pub(crate) pillar: Py,
    pub(crate) opts: Py,
}

const NAMES: &[&str] = &[
    "config.get",
    "config.option",
    "defaults.deepcopy",
    "defaults.merge",
    "defaults.update",
    "file.basename",
    "file.dirname",
    "file.join",
    "file.normpath",
    "grains.equals",
    "grains.filter_by",
    "grains.get",
    "grains.has_value",
    "grains.item",
    "grains.items",
    "match.filter_by",
    "mine.get",
    "pillar.data",
    "pillar.exists",
    "pillar.fetch",
    "pillar.get",
    "pillar.item",
    "pillar.items",
    "pillar.keys",
    "pillar.raw",
    "saltutil.sync_all",
    "slsutil.boolstr",
    "slsutil.merge",
    "slsutil.merge_all",
    "slsutil.update",
    "test.echo",
    "test.false",
    "test.ping",
    "test.true",
    "test.version",
];

/// Whether this is one of these functions.
pub(crate) fn has(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with("log.") || name.starts_with("saltutil.")
}

/// The version of Salt whose language this is.
pub(crate) const SALT_VERSION: &str = "3008.3";

/// Calls one of these functions; `None` when it is none of them.
pub(crate) fn call(known: &Known, name: &str, args: &CallArgs) -> Option<Res<Py>> {
    if !has(name) {
        return None;
    }
    let args = args.clone();
    let result = match name.split_once('.')? {
        ("pillar", fun) => pillar(known, fun, args),
        ("grains", fun) => grains(known, fun, args),
        ("config", "get" | "option") => config(known, args),
        ("slsutil" | "defaults", fun) => merging(name, fun, args),
        ("file", fun) => path(fun, args),
        ("match", "filter_by") => runtime("match.filter_by is not supported"),
        ("mine", _) => Ok(Py::dict(Dict::new())),
        ("log", _) => Ok(Py::Bool(true)),
        ("test", fun) => test(fun, args),
        _ => Ok(Py::None),
    };
    Some(result.map_err(|e| named(e, name)))
}

/// An error of a function, naming the function.
fn named(error: Error, name: &str) -> Error {
    match error.fault {
        Fault::Runtime(cause) => {
            Error { fault: Fault::Function { name: name.to_owned(), cause }, place: error.place }
        }
        _ => error,
    }
}

fn test(fun: &str, args: CallArgs) -> Res<Py> {
    match fun {
        "echo" => {
            let [value] = args.bind("echo", ["text"])?;
            required("echo", "text", value)
        }
        "false" => Ok(Py::Bool(false)),
        "version" => Ok(Py::str(SALT_VERSION)),
        _ => Ok(Py::Bool(true)),
    }
}

/// `salt.utils.data.traverse_dict_and_list`: the value at a path through mappings and sequences.
pub(crate) fn traverse(data: &Py, path: &str, delimiter: &str) -> Option<Py> {
    let parts: Vec<&str> = if delimiter.is_empty() { vec![path] } else { path.split(delimiter).collect() };
    parts.into_iter().try_fold(data.clone(), |at, part| step(&at, part))
}

fn step(at: &Py, part: &str) -> Option<Py> {
    match at {
        Py::Dict(d) => {
            let by_text = d.borrow().get(part).cloned();
            by_text.or_else(|| {
                let number = part.parse().ok().and_then(|i| Key::new(Py::Int(i)).ok())?;
                d.borrow().get(&number).cloned()
            })
        }
        Py::List(items) => {
            let inner = items.borrow().iter().find_map(|i| i.item(part));
            let index = || {
                let index = part.parse::<i64>().ok()?;
                let len = i64::try_from(items.borrow().len()).ok()?;
                let index = usize::try_from(if index < 0 { index + len } else { index }).ok()?;
                items.borrow().get(index).cloned()
            };
            inner.or_else(index)
        }
        _ => None,
    }
}

fn pillar(known: &Known, fun: &str, args: CallArgs) -> Res<Py> {
    match fun {
        "get" | "fetch" => {
            let names =
                ["key", "default", "merge", "merge_nested_lists", "delimiter", "pillarenv", "saltenv"];
            let [key, default, merge, nested, delimiter, _, _] = args.bind("pillar.get", names)?;
            let key = text(&required("pillar.get", "key", key)?);
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            if let Some(Py::Undefined(message)) = &default {
                return Err(Error::new(Fault::Undefined(message.to_string())));
            }
            let default = default.unwrap_or_else(|| Py::str(""));
            let found = traverse(&known.pillar, &key, &delimiter);
            let merging = merge.is_some_and(|m| m.truth());
            match found {
                Some(value @ Py::Dict(_)) if merging && matches!(default, Py::Dict(_)) => {
                    merge::update(&default.deep_copy(), &value, true, flag(nested.as_ref(), false))
                }
                Some(value) => Ok(value),
                None => Ok(default),
            }
        }
        "item" => item(&known.pillar, &args),
        "exists" => {
            let [key] = args.bind("pillar.exists", ["key"])?;
            let key = text_arg("pillar.exists", "key", key)?;
            Ok(Py::Bool(traverse(&known.pillar, &key, ":").is_some()))
        }
        "keys" => {
            let [key, delimiter] = args.bind("pillar.keys", ["key", "delimiter"])?;
            let key = text_arg("pillar.keys", "key", key)?;
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            match traverse(&known.pillar, &key, &delimiter) {
                Some(Py::Dict(d)) => Ok(Py::list(d.borrow().keys().map(|k| k.value().clone()).collect())),
                Some(other) => {
                    runtime(format!("the pillar at '{key}' is a {}, not a mapping", other.type_name()))
                }
                None => runtime(format!("Pillar key not found: {key}")),
            }
        }
        _ => Ok(known.pillar.clone()),
    }
}

fn item(data: &Py, args: &CallArgs) -> Res<Py> {
    let mut found = Dict::new();
    for key in &args.positional {
        let value = traverse(data, &text(key), ":").unwrap_or_else(|| Py::str(""));
        found.insert(Key::str(text(key)), value);
    }
    Ok(Py::dict(found))
}

fn grains(known: &Known, fun: &str, args: CallArgs) -> Res<Py> {
    match fun {
        "get" => {
            let [key, default, delimiter, _] =
                args.bind("grains.get", ["key", "default", "delimiter", "ordered"])?;
            let key = text(&required("grains.get", "key", key)?);
            let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
            let found = traverse(&known.grains, &key, &delimiter);
            Ok(found.unwrap_or_else(|| default.unwrap_or_else(|| Py::str(""))))
        }
        "item" => item(&known.grains, &args),
        "has_value" => {
            let [key] = args.bind("grains.has_value", ["key"])?;
            let key = text_arg("grains.has_value", "key", key)?;
            Ok(Py::Bool(traverse(&known.grains, &key, ":").is_some_and(|v| v.truth())))
        }
        "equals" => {
            let [key, value] = args.bind("grains.equals", ["key", "value"])?;
            let key = text_arg("grains.equals", "key", key)?;
            let value = required("grains.equals", "value", value)?;
            Ok(Py::Bool(traverse(&known.grains, &key, ":").is_some_and(|v| text(&v) == text(&value))))
        }
        "filter_by" => {
            let names = ["lookup_dict", "grain", "merge", "default", "base"];
            let [lookup, grain, merge, default, base] = args.bind("grains.filter_by", names)?;
            let lookup = required("grains.filter_by", "lookup_dict", lookup)?;
            let grain = grain.map_or_else(|| "os_family".to_owned(), |g| text(&g));
            let default = default.unwrap_or_else(|| Py::str("default"));
            filter_by(&known.grains, &lookup, &grain, merge.as_ref(), &default, base.as_ref())
        }
        _ => Ok(known.grains.clone()),
    }
}

/// `salt.utils.data.filter_by`: the entry of `lookup` whose pattern fits the grain, over `base`, under `merge`.
fn filter_by(
    grains: &Py,
    lookup: &Py,
    grain: &str,
    merge: Option<&Py>,
    default: &Py,
    base: Option<&Py>,
) -> Res<Py> {
    let Py::Dict(entries) = lookup else {
        return runtime(format!("grains.filter_by needs a mapping, not {}", lookup.type_name()));
    };
    let values = match traverse(grains, grain, ":") {
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
    let mut result = values.iter().find_map(fits).or_else(|| by_key(default)).unwrap_or(Py::None);
    if let Some(base) = base.filter(|b| b.truth()).and_then(by_key) {
        result = match (&result, &base) {
            (Py::None, _) => base,
            (Py::Dict(_), Py::Dict(_)) => merge::update(&base.deep_copy(), &result, true, false)?,
            (_, Py::Dict(_)) => {
                return runtime("filter_by default and look-up values must both be dictionaries.");
            }
            _ => result,
        };
    }
    match merge.filter(|m| m.truth()) {
        None => Ok(result),
        Some(merge @ Py::Dict(_)) if matches!(result, Py::None) => Ok(merge.clone()),
        Some(merge @ Py::Dict(_)) => merge::update(&result, &merge.deep_copy(), true, false),
        Some(_) => runtime("filter_by merge argument must be a dictionary."),
    }
}

fn config(known: &Known, args: CallArgs) -> Res<Py> {
    let names =
        ["key", "default", "delimiter", "merge", "omit_opts", "omit_pillar", "omit_master", "omit_grains"];
    let [key, default, delimiter, merge, no_opts, no_pillar, _, no_grains] =
        args.bind("config.get", names)?;
    let key = text(&required("config.get", "key", key)?);
    let delimiter = delimiter.map_or_else(|| ":".to_owned(), |d| text(&d));
    let sources = [(&known.opts, no_opts), (&known.grains, no_grains), (&known.pillar, no_pillar)];
    let found = sources.into_iter().filter(|(_, omit)| !flag(omit.as_ref(), false));
    let mut found = found.filter_map(|(source, _)| traverse(source, &key, &delimiter));
    let default = default.unwrap_or_else(|| Py::str(""));
    let Some(merge) = merge.filter(|m| m.truth()) else { return Ok(found.next().unwrap_or(default)) };
    // With `merge`, what is found first wins over what is found later, and the default is the base of all.
    let all: Vec<Py> = found.collect();
    let mut result = if matches!(default, Py::Dict(_)) { default.clone() } else { Py::dict(Dict::new()) };
    if !all.iter().any(|v| matches!(v, Py::Dict(_))) {
        return Ok(all.into_iter().next().unwrap_or(default));
    }
    let strategy = if text(&merge) == "overwrite" { "overwrite" } else { "recurse" };
    for value in all.iter().rev().filter(|v| matches!(v, Py::Dict(_))) {
        result = merge::merge(&result, value, strategy, false)?;
    }
    Ok(result)
}

fn merging(name: &str, fun: &str, args: CallArgs) -> Res<Py> {
    match (name.split('.').next(), fun) {
        (_, "deepcopy") => {
            let [value] = args.bind(name, ["source"])?;
            Ok(required(name, "source", value)?.deep_copy())
        }
        (_, "boolstr") => {
            let [value, yes, no] = args.bind(name, ["value", "true", "false"])?;
            let truth = value.is_some_and(|v| v.truth());
            Ok(if truth {
                yes.unwrap_or_else(|| Py::str("true"))
            } else {
                no.unwrap_or_else(|| Py::str("false"))
            })
        }
        (_, "merge_all") => {
            let [all, strategy, _, lists] =
                args.bind(name, ["lst", "strategy", "renderer", "merge_lists"])?;
            let all = crate::jinja::iterate(&required(name, "lst", all)?)?;
            let strategy = strategy.map_or_else(|| "smart".to_owned(), |s| text(&s));
            let lists = flag(lists.as_ref(), false);
            all.iter().try_fold(Py::dict(Dict::new()), |a, b| merge::merge(&a, b, &strategy, lists))
        }
        (Some("slsutil"), "merge") => {
            let names = ["obj_a", "obj_b", "strategy", "renderer", "merge_lists"];
            let [a, b, strategy, _, lists] = args.bind(name, names)?;
            let (a, b) = (required(name, "obj_a", a)?, required(name, "obj_b", b)?);
            let strategy = strategy.map_or_else(|| "smart".to_owned(), |s| text(&s));
            merge::merge(&a, &b, &strategy, flag(lists.as_ref(), false))
        }
        (Some("slsutil"), "update") => {
            let [dest, upd, recursive, lists] =
                args.bind(name, ["dest", "upd", "recursive_update", "merge_lists"])?;
            let (dest, upd) = (required(name, "dest", dest)?, required(name, "upd", upd)?);
            merge::update(&dest, &upd, flag(recursive.as_ref(), true), flag(lists.as_ref(), false))
        }
        _ => {
            let names = ["dest", "upd", "merge_lists", "in_place", "convert_none"];
            let [dest, upd, lists, in_place, convert] = args.bind(name, names)?;
            let none_is_empty = |value: Py| {
                let empty = matches!(value, Py::None) && flag(convert.as_ref(), true);
                if empty { Py::dict(Dict::new()) } else { value }
            };
            let dest = none_is_empty(required(name, "dest", dest)?);
            let upd = none_is_empty(required(name, "upd", upd)?);
            let dest = if flag(in_place.as_ref(), true) { dest } else { dest.deep_copy() };
            merge::update(&dest, &upd, true, flag(lists.as_ref(), false))
        }
    }
}

fn path(fun: &str, args: CallArgs) -> Res<Py> {
    if fun == "join" {
        let parts: Vec<String> = args.positional.iter().map(text).collect();
        return Ok(Py::str(parts.iter().fold(String::new(), |base, part| match part {
            part if part.starts_with('/') || base.is_empty() => part.clone(),
            part => format!("{}/{part}", base.trim_end_matches('/')),
        })));
    }
    let [path] = args.bind(fun, ["path"])?;
    let path = text_arg(fun, "path", path)?;
    let (dir, base) = path.rsplit_once('/').unwrap_or(("", &path));
    Ok(match fun {
        "dirname" if dir.is_empty() && path.starts_with('/') => Py::str("/"),
        "dirname" => Py::str(dir.trim_end_matches('/')),
        "basename" => Py::str(base),
        _ => {
            let rooted = if path.starts_with('/') { "/" } else { "" };
            let normal = crate::jinja::normalise("", &path).unwrap_or_else(|| path.to_string());
            Py::str(format!("{rooted}{normal}"))
        }
    })
}
