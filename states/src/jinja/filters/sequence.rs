//! Filters over sequences and mappings.

use super::super::args::{CallArgs, Res, flag, int_arg, iterate, required, runtime, undefined};
use super::super::ast::BinOp;
use super::super::eval::{attribute, hashable};
use super::super::methods::sort;
use super::super::ops::{binary, contains};
use super::super::repr::text;
use super::super::value::{Dict, Key, Py};
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
    "zip",
    "zip_longest",
    "product",
    "sequence",
];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    match call.name {
        "length" | "count" => match call.subject.len() {
            Some(n) => Ok(Py::Int(i64::try_from(n).unwrap_or(i64::MAX))),
            None => runtime(format!("object of type '{}' has no len()", call.subject.type_name())),
        },
        "attr" => {
            let [name] = call.args.bind("attr", ["name"])?;
            Ok(attribute(&call.subject, &text(&required("attr", "name", name)?)))
        }
        "items" => match &call.subject {
            Py::Dict(d) => {
                let pairs =
                    d.borrow().iter().map(|(k, v)| Py::tuple(vec![k.value().clone(), v.clone()])).collect();
                Ok(Py::view("generator", pairs))
            }
            _ => runtime("Can only get item pairs from a mapping."),
        },
        "sequence" => Ok(match call.subject {
            s @ (Py::List(_) | Py::Tuple(_) | Py::Dict(_)) => s,
            other => Py::list(vec![other]),
        }),
        "reverse" if matches!(call.subject, Py::Str(_)) => {
            Ok(Py::str(text(&call.subject).chars().rev().collect::<String>()))
        }
        "map" => map(call),
        "select" | "reject" | "selectattr" | "rejectattr" => select(call),
        "sort" | "dictsort" | "groupby" | "sorted_ignorecase" => sorted(call),
        "union" | "intersect" | "difference" | "symmetric_difference" => set_theory(call),
        "sum" | "min" | "max" | "avg" | "join" => folded(call),
        "random" => {
            runtime("the filter 'random' is not supported: a template must render the same every time")
        }
        _ => shaped(call),
    }
}

fn shaped(call: Call<'_, '_>) -> Res<Py> {
    let items = iterate(&call.subject)?;
    call.interp.charge(items.len() / 4)?;
    let none = || Py::Undefined(format!("no {} item: the sequence is empty", call.name).into());
    match call.name {
        "first" => Ok(items.first().cloned().unwrap_or_else(none)),
        "last" => Ok(items.last().cloned().unwrap_or_else(none)),
        "list" => Ok(Py::list(items)),
        "reverse" => Ok(Py::view("list_reverseiterator", items.into_iter().rev().collect())),
        "unique" => Ok(Py::list(unique(items))),
        "flatten" => {
            let [levels, _] = call.args.bind("flatten", ["levels", "preserve_nulls"])?;
            let levels = int_arg("flatten", "levels", levels)?.unwrap_or(100);
            let mut flat = Vec::new();
            flatten(&mut flat, &items, levels);
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
            Ok(Py::view("generator", groups))
        }
        _ => zipped(call.name, items, &call.args),
    }
}

fn zipped(name: &str, items: Vec<Py>, args: &CallArgs) -> Res<Py> {
    let mut columns = vec![items];
    for more in &args.positional {
        columns.push(iterate(more)?);
    }
    if name == "product" {
        let size = columns.iter().try_fold(1usize, |all, c| all.checked_mul(c.len()));
        super::super::ops::check_length(size)?;
        let rows = columns.iter().fold(vec![Vec::new()], |rows: Vec<Vec<Py>>, column| {
            rows.iter()
                .flat_map(|row| column.iter().map(|v| [row.as_slice(), std::slice::from_ref(v)].concat()))
                .collect()
        });
        return Ok(Py::view("itertools.product", rows.into_iter().map(Py::tuple).collect()));
    }
    let lengths = columns.iter().map(Vec::len);
    let rows = if name == "zip" { lengths.min() } else { lengths.max() }.unwrap_or(0);
    let row = |i: usize| Py::tuple(columns.iter().map(|c| c.get(i).cloned().unwrap_or(Py::None)).collect());
    Ok(Py::view("zip", (0..rows).map(row).collect()))
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

fn flatten(out: &mut Vec<Py>, items: &[Py], levels: i64) {
    for item in items {
        match item {
            Py::None => {}
            Py::List(inner) if levels > 0 => flatten(out, &inner.borrow(), levels - 1),
            Py::Tuple(inner) if levels > 0 => flatten(out, inner, levels - 1),
            other => out.push(other.clone()),
        }
    }
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
        if let (Some(fill), true) = (fill, index >= extra && extra > 0) {
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
            (Ok(i), Py::List(_) | Py::Tuple(_)) => {
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
        for item in items {
            interp.charge(1)?;
            out.push(super::apply(interp, &filter, item, args.clone(), frame)?);
        }
    }
    Ok(Py::view("generator", out))
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
    let mut kept = Vec::new();
    for item in iterate(&subject)? {
        interp.charge(1)?;
        let value = attribute_path.as_ref().map_or_else(|| item.clone(), |p| path(&item, p));
        let passes = match (&test, &value) {
            (Some(test), value) => interp.test(test, value, &args)?,
            (None, Py::Undefined(message)) => return undefined(message),
            (None, value) => value.truth(),
        };
        if passes == wanted {
            kept.push(item);
        }
    }
    Ok(Py::view("generator", kept))
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
            let by_value = by.is_some_and(|b| text(&b) == "value");
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
            sort(&mut items, |i| Ok(Py::str(text(i).to_lowercase())), false)?;
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
    let (a, b) = (iterate(&call.subject)?, iterate(&required(call.name, "lst2", other)?)?);
    call.interp.charge(a.len().saturating_mul(b.len().max(1)) / 4)?;
    let has = |all: &[Py], item: &Py| all.iter().any(|i| i.equals(item));
    let without = |x: &[Py], y: &[Py]| x.iter().filter(|i| !has(y, i)).cloned().collect::<Vec<_>>();
    Ok(Py::list(unique(match call.name {
        "union" => [a, b].concat(),
        "intersect" => a.iter().filter(|i| has(&b, i)).cloned().collect(),
        "difference" => without(&a, &b),
        _ => [without(&a, &b), without(&b, &a)].concat(),
    })))
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
            let mut parts = Vec::new();
            for item in picked(by) {
                if let Py::Undefined(message) = &item {
                    return undefined(message);
                }
                parts.push(text(&item));
            }
            super::super::ops::check_length(Some(parts.iter().map(|p| p.len() + separator.len()).sum()))?;
            Ok(Py::str(parts.join(&separator)))
        }
        "avg" => {
            let sum = items.iter().try_fold(Py::Int(0), |all, item| binary(BinOp::Add, &all, item))?;
            #[allow(clippy::cast_precision_loss)] // As Python's float division.
            let count = items.len() as f64;
            Ok(Py::Float(sum.as_float().unwrap_or(0.0) / count))
        }
        name => {
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
