//! Filters over sequences and mappings.

use super::super::args::{CallArgs, Res, first, flag, int_arg, iterate, required, runtime, undefined};
use super::super::ast::BinOp;
use super::super::eval::{attribute, hashable};
use super::super::methods::sort;
use super::super::ops::{binary, contains};
use super::super::repr::text;
use super::super::value::{Dict, Key, Part, Py};
use super::Call;

pub(super) const NAMES: &[&str] = &[
    "attr",
    "avg",
    "batch",
    "count",
    "dictsort",
    "difference",
    "first",
    "flatten",
    "groupby",
    "intersect",
    "items",
    "join",
    "last",
    "length",
    "list",
    "map",
    "max",
    "min",
    "random",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "slice",
    "sort",
    "sorted_ignorecase",
    "sum",
    "symmetric_difference",
    "union",
    "unique",
    "sequence",
    "combinations",
    "combinations_with_replacement",
    "compress",
    "permutations",
    "product",
    "zip",
    "zip_longest",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    match call.name {
        "length" | "count" => match call.subject.len() {
            Some(n) => Ok(Py::Int(i64::try_from(n).unwrap_or(i64::MAX))),
            None => runtime(format!("object of type '{}' has no len()", call.subject.type_name())),
        },
        "attr" => {
            let [name] = call.args.bind("attr", ["name"])?;
            let name = text(&required("attr", "name", name)?);
            let missing = || Py::Undefined(format!("no attribute '{name}'").into());
            Ok(super::super::eval::python_attribute(&call.subject, &name).unwrap_or_else(missing))
        }
        "items" => Ok(match &call.subject {
            Py::Undefined(_) | Py::Void => Py::once("generator", Vec::new()),
            Py::Dict(d) => Py::once("generator", iterate(&Py::DictView(Part::Items, d.clone()))?),
            _ => {
                let failure = runtime::<Py>("Can only get item pairs from a mapping.").err();
                Py::once_until("generator", Vec::new(), failure)
            }
        }),
        "sequence" => Ok(match call.subject {
            s @ (Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::View(..)) => s,
            other => Py::list(vec![other]),
        }),
        "reverse" if matches!(call.subject, Py::Str(_)) => {
            Ok(Py::str(text(&call.subject).chars().rev().collect::<String>()))
        }
        "map" => map(call),
        "select" | "reject" | "selectattr" | "rejectattr" => select(call),
        "sort" | "dictsort" | "groupby" | "sorted_ignorecase" => sorted(call),
        "union" | "intersect" | "difference" | "symmetric_difference" => set_theory(call),
        // What Python can hash is taken for a number.
        "avg" if hashable_container(&call.subject) => {
            let number = call.subject.as_float().or_else(|| call.subject.as_str()?.trim().parse().ok());
            number.map(Py::Float).map_or_else(|| runtime("avg needs a list of numbers, or a number"), Ok)
        }
        "sum" | "min" | "max" | "avg" | "join" => folded(call),
        "first" | "last" => end(&call),
        _ => shaped(call),
    }
}

fn shaped(call: Call<'_, '_>) -> Res<Py> {
    let items = iterate(&call.subject)?;
    call.interp.charge(items.len() / 4)?;
    match call.name {
        "random" if items.is_empty() => Ok(Py::Undefined("no random item: the sequence is empty".into())),
        "random" => {
            runtime("the filter 'random' is not supported: a template must render the same every time")
        }
        "list" => Ok(Py::list(items)),
        "reverse" => {
            let reversed = items.into_iter().rev().collect();
            Ok(match &call.subject {
                Py::Gen(..) | Py::View(..) => Py::list(reversed),
                _ => Py::once("list_reverseiterator", reversed),
            })
        }
        "unique" if compares_all(call.interp, &items)? && hashable_container(&call.subject) => {
            Ok(set_of(items))
        }
        "unique" => Ok(Py::list(unique(items))),
        "flatten" => {
            let [levels, nulls] = call.args.bind("flatten", ["levels", "preserve_nulls"])?;
            let levels = int_arg("flatten", "levels", levels)?.unwrap_or(200).min(200);
            let mut flat = Vec::new();
            flatten(&mut flat, items, levels, flag(nulls.as_ref(), false))?;
            Ok(Py::list(flat))
        }
        "batch" | "slice" => {
            let [count, fill] = call.args.bind(call.name, ["count", "fill_with"])?;
            let count =
                int_arg(call.name, "count", count)?.and_then(|c| usize::try_from(c).ok()).unwrap_or(0);
            if count == 0 {
                return runtime(format!("the filter '{}' needs a count above 0", call.name));
            }
            let groups = if call.name == "batch" {
                batch(&items, count, fill)
            } else {
                slices(&items, count, fill.as_ref())
            };
            Ok(Py::once("generator", groups))
        }
        name => super::iterators::apply(name, &items, call.args),
    }
}

/// The first or the last element.
fn end(call: &Call<'_, '_>) -> Res<Py> {
    let none = || Py::Undefined(format!("no {} item: the sequence is empty", call.name).into());
    if call.name == "first" {
        return Ok(first(&call.subject)?.unwrap_or_else(none));
    }
    if let Py::Gen(kind, _) | Py::View(kind, _) = &call.subject {
        return runtime(format!("'{kind}' object is not reversible"));
    }
    Ok(iterate(&call.subject)?.pop().unwrap_or_else(none))
}

/// The elements without those that were there before.
fn unique(items: Vec<Py>) -> Vec<Py> {
    let mut seen = indexmap::IndexSet::new();
    let mut odd: Vec<Py> = Vec::new();
    let new = |item: &Py| match Key::new(item.clone()) {
        Ok(key) => seen.insert(key),
        Err(_) => {
            let new = !odd.iter().any(|o| o.equals(item));
            odd.extend(new.then(|| item.clone()));
            new
        }
    };
    items.into_iter().filter(new).collect()
}

/// Charges for what cannot be hashed: each is compared with each.
fn compares_all(interp: &mut super::super::eval::Interp<'_>, items: &[Py]) -> Res<bool> {
    let odd = items.iter().filter(|i| Key::new((*i).clone()).is_err()).count();
    interp.charge(odd.saturating_mul(odd) / 16)?;
    Ok(true)
}

/// What Python can hash, though it holds other values: of these Salt makes sets, of all else lists.
fn hashable_container(value: &Py) -> bool {
    !matches!(value, Py::List(_) | Py::Dict(_) | Py::View(..) | Py::DictView(Part::Keys | Part::Items, _))
}

/// A set; small whole numbers come in order, as in Python.
fn set_of(items: Vec<Py>) -> Py {
    let mut items = unique(items);
    if items.iter().all(|i| i.as_int().is_some_and(|n| n >= 0)) {
        items.sort_by_key(Py::as_int);
    }
    Py::set(items)
}

fn flatten(out: &mut Vec<Py>, items: Vec<Py>, levels: i64, nulls: bool) -> Res<()> {
    for item in items {
        let null = matches!(item, Py::None) || matches!(item.as_str(), Some("None" | "null"));
        if null && !nulls {
            continue;
        }
        if levels >= 1 && item.is_iterable() && item.as_str().is_none() {
            flatten(out, iterate(&item)?, levels - 1, nulls)?;
        } else {
            out.push(item);
        }
    }
    Ok(())
}

fn batch(items: &[Py], count: usize, fill: Option<Py>) -> Vec<Py> {
    let fill = fill.filter(|f| !matches!(f, Py::None));
    let group = |chunk: &[Py]| {
        let mut group = chunk.to_vec();
        if let Some(fill) = &fill {
            group.resize(count.min(100_000), fill.clone());
        }
        Py::list(group)
    };
    items.chunks(count).map(group).collect()
}

fn slices(items: &[Py], count: usize, fill: Option<&Py>) -> Vec<Py> {
    let count = count.min(100_000);
    let (size, extra) = (items.len() / count, items.len() % count);
    let mut at = 0;
    let mut groups = Vec::new();
    for index in 0..count {
        let end = at + size + usize::from(index < extra);
        let mut group = items[at..end].to_vec();
        if let (Some(fill), true) = (fill, index >= extra) {
            group.push(fill.clone());
        }
        groups.push(Py::list(group));
        at = end;
    }
    groups
}

/// An attribute path (`a.b.0`) of an item.
fn path(item: &Py, attribute_path: &Py) -> Py {
    if let Some(index) = attribute_path.as_int() {
        return super::super::ops::index(item, index).unwrap_or_else(|| Py::Undefined("no such item".into()));
    }
    let mut value = item.clone();
    for part in text(attribute_path).split('.') {
        value = match (part.parse::<i64>(), &value) {
            (_, Py::Undefined(_)) => return value,
            (Ok(i), Py::Dict(d)) if value.item(part).is_none() => {
                let found = Key::new(Py::Int(i)).ok().and_then(|k| d.borrow().get(&k).cloned());
                found.unwrap_or_else(|| Py::Undefined("no such item".into()))
            }
            (Ok(i), Py::List(_) | Py::Tuple(_) | Py::Str(_)) => {
                super::super::ops::index(&value, i).unwrap_or_else(|| Py::Undefined("no such item".into()))
            }
            // Jinja2's attribute getters look up items before attributes.
            _ => value.item(part).unwrap_or_else(|| attribute(&value, part)),
        };
    }
    value
}

fn map(call: Call<'_, '_>) -> Res<Py> {
    let Call { interp, subject, mut args, frame, .. } = call;
    if !matches!(subject, Py::Undefined(_)) && !subject.truth() {
        return Ok(Py::once("generator", Vec::new()));
    }
    let items = iterate(&subject)?;
    let named =
        |args: &CallArgs, name: &str| args.named.iter().find(|(n, _)| &**n == name).map(|(_, v)| v.clone());
    let mut out = Vec::with_capacity(items.len());
    if let Some(attribute_path) = named(&args, "attribute") {
        let default = named(&args, "default");
        for item in &items {
            let value = path(item, &attribute_path);
            out.push(if value.is_undefined() { default.clone().unwrap_or(value) } else { value });
        }
    } else {
        if args.positional.is_empty() {
            return runtime("map requires a filter argument");
        }
        let filter = text(&args.positional.remove(0));
        if !super::known(&filter) {
            return Err(super::unknown(&filter));
        }
        for item in items {
            interp.charge(1)?;
            match super::apply(interp, &filter, item, args.clone(), frame) {
                Ok(value) => out.push(value),
                // It fails where the generator comes to this element, if it does.
                Err(error) => return Ok(Py::once_until("generator", out, Some(error))),
            }
        }
    }
    Ok(Py::once("generator", out))
}

fn select(call: Call<'_, '_>) -> Res<Py> {
    let Call { interp, name, subject, mut args, .. } = call;
    let by_attribute = name.ends_with("attr");
    let wanted = name.starts_with("select");
    let attribute_path = if by_attribute {
        if args.positional.is_empty() {
            return runtime(format!("{name} requires an attribute"));
        }
        Some(args.positional.remove(0))
    } else {
        None
    };
    let test = if args.positional.is_empty() { None } else { Some(text(&args.positional.remove(0))) };
    if let Some(test) = test.as_deref().filter(|t| !super::super::checks::known(t)) {
        return Err(super::super::checks::unknown(test));
    }
    if !matches!(subject, Py::Undefined(_)) && !subject.truth() {
        return Ok(Py::once("generator", Vec::new()));
    }
    let mut kept = Vec::new();
    for item in iterate(&subject)? {
        interp.charge(1)?;
        let value = attribute_path.as_ref().map_or_else(|| item.clone(), |p| path(&item, p));
        let passes = match (&test, &value) {
            (Some(test), value) => interp.test(test, value, &args),
            (None, Py::Undefined(message)) => undefined(message),
            (None, value) => Ok(value.truth()),
        };
        match passes {
            Ok(passes) if passes == wanted => kept.push(item),
            Ok(_) => {}
            Err(error) => return Ok(Py::once_until("generator", kept, Some(error))),
        }
    }
    Ok(Py::once("generator", kept))
}

fn folded_case(value: &Py, case_sensitive: bool) -> Py {
    match value {
        Py::Str(s) if !case_sensitive => Py::str(s.to_lowercase()),
        other => other.clone(),
    }
}

fn sorted(call: Call<'_, '_>) -> Res<Py> {
    let name = call.name;
    match name {
        "dictsort" => {
            let Py::Dict(d) = &call.subject else { return runtime("dictsort needs a mapping") };
            let [case, by, reverse] = call.args.bind(name, ["case_sensitive", "by", "reverse"])?;
            let (case, reverse) = (flag(case.as_ref(), false), flag(reverse.as_ref(), false));
            let by_value = match by.as_ref().map(text).as_deref() {
                None | Some("key") => false,
                Some("value") => true,
                _ => return runtime("You can only sort by either \"key\" or \"value\""),
            };
            let mut pairs: Vec<Py> =
                d.borrow().iter().map(|(k, v)| Py::tuple(vec![k.value().clone(), v.clone()])).collect();
            let key = |pair: &Py| {
                let part = super::super::ops::index(pair, i64::from(by_value)).unwrap_or(Py::None);
                Ok(folded_case(&part, case))
            };
            sort(&mut pairs, key, reverse)?;
            Ok(Py::list(pairs))
        }
        "sorted_ignorecase" => {
            let mut items = iterate(&call.subject)?;
            let key = |i: &Py| match i {
                Py::Str(s) => Ok(Py::str(s.to_lowercase())),
                other => runtime(format!("'{}' object has no attribute 'lower'", other.type_name())),
            };
            sort(&mut items, key, false)?;
            Ok(Py::list(items))
        }
        "groupby" => {
            let [by, default, case] = call.args.bind(name, ["attribute", "default", "case_sensitive"])?;
            let by = required(name, "attribute", by)?;
            group_by(&call.subject, &by, default.as_ref(), flag(case.as_ref(), false))
        }
        _ => {
            let [reverse, case, by] = call.args.bind(name, ["reverse", "case_sensitive", "attribute"])?;
            let case = flag(case.as_ref(), false);
            let mut items = iterate(&call.subject)?;
            call.interp.charge(items.len())?;
            let key = |item: &Py| match by.as_ref().filter(|b| !matches!(b, Py::None)) {
                None => Ok(folded_case(item, case)),
                Some(by) => {
                    let paths = text(by);
                    let parts = paths.split(',').map(|p| folded_case(&path(item, &Py::str(p)), case));
                    Ok(Py::tuple(parts.collect()))
                }
            };
            sort(&mut items, key, flag(reverse.as_ref(), false))?;
            Ok(Py::list(items))
        }
    }
}

fn group_by(subject: &Py, by: &Py, default: Option<&Py>, case_sensitive: bool) -> Res<Py> {
    let mut items = iterate(subject)?;
    let value = |item: &Py| {
        let value = path(item, by);
        if value.is_undefined() { default.cloned().unwrap_or(value) } else { value }
    };
    sort(&mut items, |i| Ok(folded_case(&value(i), case_sensitive)), false)?;
    let mut groups: Vec<(Py, Vec<Py>)> = Vec::new();
    for item in items {
        let key = value(&item);
        match groups.last_mut() {
            Some((last, members))
                if folded_case(last, case_sensitive).equals(&folded_case(&key, case_sensitive)) =>
            {
                members.push(item);
            }
            _ => groups.push((key, vec![item])),
        }
    }
    Ok(Py::list(groups.into_iter().map(|(k, v)| Py::tuple(vec![k, Py::list(v)])).collect()))
}

fn set_theory(call: Call<'_, '_>) -> Res<Py> {
    let [other] = call.args.bind(call.name, ["lst2"])?;
    let other = required(call.name, "lst2", other)?;
    let sets = hashable_container(&call.subject) && hashable_container(&other);
    if !sets && matches!(call.name, "union" | "symmetric_difference") {
        binary(BinOp::Add, &call.subject, &other)?;
    }
    let (a, b) = (iterate(&call.subject)?, iterate(&other)?);
    call.interp.charge(a.len().saturating_mul(b.len().max(1)) / 4)?;
    let has = |all: &[Py], item: &Py| all.iter().any(|i| i.equals(item));
    let without = |x: &[Py], y: &[Py]| x.iter().filter(|i| !has(y, i)).cloned().collect::<Vec<_>>();
    let all = match call.name {
        "union" => [a, b].concat(),
        "intersect" => a.iter().filter(|i| has(&b, i)).cloned().collect(),
        "difference" => without(&a, &b),
        _ => [without(&a, &b), without(&b, &a)].concat(),
    };
    Ok(if sets { set_of(all) } else { Py::list(unique(all)) })
}

fn folded(call: Call<'_, '_>) -> Res<Py> {
    let items = iterate(&call.subject)?;
    call.interp.charge(items.len() / 4)?;
    let picked = |by: Option<Py>| -> Vec<Py> {
        match by.filter(|b| !matches!(b, Py::None)) {
            Some(by) => items.iter().map(|i| path(i, &by)).collect(),
            None => items.clone(),
        }
    };
    match call.name {
        "sum" => {
            let [by, start] = call.args.bind("sum", ["attribute", "start"])?;
            picked(by)
                .iter()
                .try_fold(start.unwrap_or(Py::Int(0)), |all, item| binary(BinOp::Add, &all, item))
        }
        "join" => {
            let [separator, by] = call.args.bind("join", ["d", "attribute"])?;
            let separator = separator.map_or_else(String::new, |s| text(&s));
            let mut joined = String::new();
            for (index, item) in picked(by).iter().enumerate() {
                if let Py::Undefined(message) = item {
                    return undefined(message);
                }
                joined.push_str(if index > 0 { &separator } else { "" });
                match item {
                    Py::Str(part) => joined.push_str(part),
                    other => joined.push_str(&text(other)),
                }
                super::super::ops::check_length(Some(joined.len()))?;
            }
            Ok(Py::str(joined))
        }
        "avg" if items.is_empty() => runtime("division by zero"),
        "avg" => {
            let sum = items.iter().try_fold(Py::Int(0), |all, item| binary(BinOp::Add, &all, item))?;
            #[allow(clippy::cast_precision_loss)] // As Python's float division.
            let count = items.len() as f64;
            Ok(Py::Float(sum.as_float().unwrap_or(0.0) / count))
        }
        name => {
            let [] = call.args.bind(name, [])?;
            let mut all = items.clone();
            sort(&mut all, |i| Ok(i.clone()), false)?;
            let found = if name == "min" { all.first() } else { all.last() };
            found.cloned().map_or_else(|| runtime(format!("{name}() arg is an empty sequence")), Ok)
        }
    }
}

/// A mapping from pairs, for `from_entries` and friends.
pub(super) fn dict_of(pairs: Vec<(Py, Py)>) -> Res<Py> {
    let mut dict = Dict::new();
    for (key, value) in pairs {
        dict.insert(hashable(key)?, value);
    }
    Ok(Py::dict(dict))
}

/// Salt's `substring_in_list`.
pub(super) fn any_contains(list: &Py, part: &Py) -> Res<bool> {
    for item in iterate(list)? {
        if contains(&item, part)? {
            return Ok(true);
        }
    }
    Ok(false)
}
