//! Python's methods of mappings and sequences, and the dispatch to those of text.

use std::cell::RefCell;
use std::rc::Rc;

use super::args::{CallArgs, Res, int_arg, iterate, required, runtime};
use super::eval::{Interp, hashable};
use super::value::{Dict, LoopState, Part, Py};

const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const LIST: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];

/// Whether a value has a method of this name.
pub(super) fn has(object: &Py, name: &str) -> bool {
    match object {
        Py::Dict(_) => DICT.contains(&name),
        Py::List(_) => LIST.contains(&name),
        Py::Tuple(_) => matches!(name, "count" | "index"),
        Py::Str(_) => super::text::METHODS.contains(&name),
        Py::Cycler(_) => matches!(name, "next" | "reset"),
        Py::Bytes(_) => matches!(name, "decode" | "hex"),
        Py::Range(..) => matches!(name, "count" | "index"),
        _ => false,
    }
}

/// Calls `receiver.name(args)`.
pub(super) fn call(interp: &mut Interp<'_>, receiver: &Py, name: &str, args: CallArgs) -> Res<Py> {
    super::ops::check_arguments(&args)?;
    interp.charge(walked(receiver, name))?;
    match receiver {
        Py::Dict(d) => dict(d, name, args),
        Py::List(l) => list(interp, l, name, args),
        Py::Tuple(t) => sequence(t, name, args),
        Py::Str(s) => super::text::call(s, name, args),
        Py::Int(_) | Py::Float(_) | Py::Bool(_) => number(receiver, name),
        Py::Bytes(b) if name == "hex" => Ok(Py::str(hex::encode(b))),
        Py::Bytes(b) => match std::str::from_utf8(b) {
            Ok(text) => Ok(Py::str(text)),
            Err(e) => runtime(format!("the bytes are no UTF-8: {e}")),
        },
        Py::Range(..) => sequence(&iterate(receiver)?, name, args),
        Py::Salt => {
            let [name, default] = args.bind("get", ["key", "default"])?;
            let name = super::args::text_arg("get", "key", name)?;
            let found = interp.world.has(&name);
            let function = || Py::Call(Rc::new(super::value::Callable::Function(name)));
            Ok(if found { function() } else { default.unwrap_or(Py::None) })
        }
        Py::Loop(l) => loop_method(l, name, args),
        Py::Cycler(c) => {
            let at = c.pos.get();
            c.pos.set(if name == "reset" { 0 } else { (at + 1) % c.items.len().max(1) });
            Ok(if name == "reset" { Py::None } else { c.items.get(at).cloned().unwrap_or(Py::None) })
        }
        other => runtime(format!("'{}' object has no method '{name}'", other.type_name())),
    }
}

/// What a method walks through of its own value.
fn walked(receiver: &Py, name: &str) -> usize {
    match (receiver, name) {
        (Py::List(_) | Py::Tuple(_), "count" | "index" | "remove" | "copy" | "sort" | "reverse") => {
            super::eval::weight(receiver)
        }
        (Py::List(l), "insert" | "pop") => l.borrow().len() / 256,
        (Py::Dict(d), "pop") => d.borrow().len() / 256,
        (Py::Dict(_), "copy") | (Py::Str(_) | Py::Bytes(_) | Py::Range(..), _) => {
            super::eval::weight(receiver)
        }
        _ => 0,
    }
}

fn loop_method(state: &LoopState, name: &str, args: CallArgs) -> Res<Py> {
    if name == "cycle" {
        let count = args.positional.len();
        if count == 0 {
            return runtime("no items for cycling given");
        }
        return Ok(args.positional[state.index0.get() % count].clone());
    }
    let now = Py::tuple(args.positional);
    let changed = state.last_changed.borrow().as_ref().is_none_or(|last| !last.equals(&now));
    *state.last_changed.borrow_mut() = Some(now);
    Ok(Py::Bool(changed))
}

/// A mapping may not come to contain itself: it could be neither printed nor freed.
pub(super) fn refuse_cycle(container: &Py, value: &Py, depth: usize) -> Res<()> {
    if !super::ops::is_container(value) {
        return Ok(());
    }
    let inside = |items: &[Py]| items.iter().try_for_each(|v| refuse_cycle(container, v, depth + 1));
    if depth == 0 {
        super::ops::check_weight(value)?;
    }
    if depth > 200 {
        return runtime("a structure nested too deeply");
    }
    match (container, value) {
        (Py::Dict(a), Py::Dict(b) | Py::DictView(_, b)) if Rc::ptr_eq(a, b) => {
            runtime("a mapping cannot contain itself")
        }
        (Py::Namespace(a), Py::Namespace(b)) if Rc::ptr_eq(a, b) => {
            runtime("a namespace cannot contain itself")
        }
        (Py::List(a), Py::List(b)) if Rc::ptr_eq(a, b) => runtime("a list cannot contain itself"),
        (_, Py::Dict(d) | Py::DictView(_, d) | Py::Namespace(d)) => {
            d.borrow().values().try_for_each(|v| refuse_cycle(container, v, depth + 1))
        }
        (_, Py::Gen(_, once)) => {
            once.borrow().items.iter().try_for_each(|v| refuse_cycle(container, v, depth + 1))
        }
        (_, Py::Cycler(c)) => inside(&c.items),
        (_, Py::Module(m)) => {
            m.exports.borrow().values().try_for_each(|v| refuse_cycle(container, v, depth + 1))
        }
        (_, Py::List(l)) => inside(&l.borrow()),
        (_, Py::Tuple(t) | Py::View(_, t)) => inside(t),
        _ => Ok(()),
    }
}

fn dict(this: &Rc<RefCell<Dict>>, name: &str, args: CallArgs) -> Res<Py> {
    match name {
        "items" | "keys" | "values" => {
            let [] = args.bind_positional(name, [])?;
            let part = match name {
                "items" => Part::Items,
                "keys" => Part::Keys,
                _ => Part::Values,
            };
            Ok(Py::DictView(part, this.clone()))
        }
        "get" => {
            let [key, default] = args.bind_positional("get", ["key", "default"])?;
            let key = hashable(required("get", "key", key)?)?;
            let found = this.borrow().get(&key).cloned();
            Ok(found.or(default).unwrap_or(Py::None))
        }
        "update" => {
            let more = super::globals::dict(args)?;
            let container = Py::Dict(this.clone());
            more.values().try_for_each(|v| refuse_cycle(&container, v, 0))?;
            this.borrow_mut().extend(more);
            Ok(Py::None)
        }
        "setdefault" => {
            let [key, default] = args.bind_positional("setdefault", ["key", "default"])?;
            let key = hashable(required("setdefault", "key", key)?)?;
            let default = default.unwrap_or(Py::None);
            refuse_cycle(&Py::Dict(this.clone()), &default, 0)?;
            Ok(this.borrow_mut().entry(key).or_insert(default).clone())
        }
        "pop" => {
            let [key, default] = args.bind_positional("pop", ["key", "default"])?;
            let key = required("pop", "key", key)?;
            let found = this.borrow_mut().shift_remove(&hashable(key.clone())?);
            match found.or(default) {
                Some(value) => Ok(value),
                None => runtime(format!("KeyError: {}", super::repr::repr(&key))),
            }
        }
        "popitem" => match this.borrow_mut().pop() {
            Some((key, value)) => Ok(Py::tuple(vec![key.value().clone(), value])),
            None => runtime("KeyError: 'dictionary is empty'"),
        },
        "clear" => {
            this.borrow_mut().clear();
            Ok(Py::None)
        }
        "copy" => Ok(Py::dict(this.borrow().clone())),
        _ => {
            let [keys, value] = args.bind_positional("fromkeys", ["iterable", "value"])?;
            let value = value.unwrap_or(Py::None);
            let mut new = Dict::new();
            for key in iterate(&required("fromkeys", "iterable", keys)?)? {
                new.insert(hashable(key)?, value.clone());
            }
            Ok(Py::dict(new))
        }
    }
}

fn list(interp: &mut Interp<'_>, this: &Rc<RefCell<Vec<Py>>>, name: &str, args: CallArgs) -> Res<Py> {
    let container = Py::List(this.clone());
    match name {
        "append" => {
            let [value] = args.bind_positional("append", ["object"])?;
            let value = value.map_or_else(|| runtime("append() takes exactly one argument (0 given)"), Ok)?;
            refuse_cycle(&container, &value, 0)?;
            this.borrow_mut().push(value);
        }
        "extend" => {
            let [more] = args.bind_positional("extend", ["iterable"])?;
            let more = iterate(&required("extend", "iterable", more)?)?;
            interp.charge(more.len() / 4)?;
            more.iter().try_for_each(|v| refuse_cycle(&container, v, 0))?;
            super::ops::check_length(this.borrow().len().checked_add(more.len()))?;
            this.borrow_mut().extend(more);
        }
        "insert" => {
            let [at, value] = args.bind_positional("insert", ["index", "object"])?;
            let at = int_arg("insert", "index", at)?.unwrap_or(0);
            let value = required("insert", "object", value)?;
            refuse_cycle(&container, &value, 0)?;
            let len = this.borrow().len();
            this.borrow_mut().insert(clamp(at, len), value);
        }
        "pop" => {
            let [at] = args.bind_positional("pop", ["index"])?;
            let at = int_arg("pop", "index", at)?.unwrap_or(-1);
            let len = this.borrow().len();
            return match place(at, len) {
                Some(at) => Ok(this.borrow_mut().remove(at)),
                None => runtime("IndexError: pop index out of range"),
            };
        }
        "remove" => {
            let [value] = args.bind_positional("remove", ["value"])?;
            let value = required("remove", "value", value)?;
            let at = this.borrow().iter().position(|v| v.equals(&value));
            return match at {
                Some(at) => {
                    this.borrow_mut().remove(at);
                    Ok(Py::None)
                }
                None => runtime("ValueError: list.remove(x): x not in list"),
            };
        }
        "reverse" => this.borrow_mut().reverse(),
        "clear" => this.borrow_mut().clear(),
        "copy" => return Ok(Py::list(this.borrow().clone())),
        "sort" => {
            sort_list(this, args)?;
        }
        _ => return sequence(&this.borrow().clone(), name, args),
    }
    Ok(Py::None)
}

fn sort_list(this: &Rc<RefCell<Vec<Py>>>, args: CallArgs) -> Res<()> {
    if !args.positional.is_empty() {
        return runtime("sort() takes no positional arguments");
    }
    let [key, reverse] = args.bind("sort", ["key", "reverse"])?;
    if key.is_some_and(|k| !matches!(k, Py::None)) {
        return runtime("sort(key=…) is not supported: use the filter `sort(attribute=…)`");
    }
    let mut items = this.borrow().clone();
    sort(&mut items, |v| Ok(v.clone()), reverse.is_some_and(|r| r.truth()))?;
    *this.borrow_mut() = items;
    Ok(())
}

fn sequence(items: &[Py], name: &str, args: CallArgs) -> Res<Py> {
    let [value, start, stop] = args.bind_positional(name, ["value", "start", "stop"])?;
    let value = required(name, "value", value)?;
    let number = |n: usize| Py::Int(i64::try_from(n).unwrap_or(i64::MAX));
    if name == "count" {
        return Ok(number(items.iter().filter(|v| v.equals(&value)).count()));
    }
    let start = clamp(int_arg(name, "start", start)?.unwrap_or(0), items.len());
    let stop = clamp(int_arg(name, "stop", stop)?.unwrap_or(i64::MAX), items.len());
    let within = |i: &usize| (start..stop).contains(i);
    match items.iter().enumerate().position(|(i, v)| within(&i) && v.equals(&value)) {
        Some(at) => Ok(number(at)),
        None => runtime(format!("ValueError: {} is not in list", super::repr::repr(&value))),
    }
}

/// An attribute of a number, or a method of it.
pub(super) fn number_attribute(object: &Py, name: &str) -> Option<Py> {
    let whole = !matches!(object, Py::Float(_));
    Some(match name {
        "real" if whole => Py::Int(object.as_int()?),
        "real" => object.clone(),
        "imag" if whole => Py::Int(0),
        "imag" => Py::Float(0.0),
        "numerator" if whole => Py::Int(object.as_int()?),
        "denominator" if whole => Py::Int(1),
        "bit_length" | "bit_count" if whole => method(object, name),
        "is_integer" if !whole => method(object, name),
        "conjugate" => method(object, name),
        _ => return None,
    })
}

fn method(object: &Py, name: &str) -> Py {
    Py::Call(Rc::new(super::value::Callable::Method(object.clone(), name.into())))
}

fn number(value: &Py, name: &str) -> Res<Py> {
    let bits = value.as_int().unwrap_or(0).unsigned_abs();
    Ok(match (name, value) {
        ("bit_length", _) => Py::Int(i64::from(u64::BITS - bits.leading_zeros())),
        ("bit_count", _) => Py::Int(i64::from(bits.count_ones())),
        ("is_integer", Py::Float(f)) => Py::Bool(f.is_finite() && f.fract() == 0.0),
        _ => value.as_int().map_or_else(|| value.clone(), Py::Int),
    })
}

/// An index of Python's: from the end when negative.
fn place(at: i64, len: usize) -> Option<usize> {
    let from_end = i64::try_from(len).ok()?.checked_add(at)?;
    usize::try_from(if at < 0 { from_end } else { at }).ok().filter(|i| *i < len)
}

/// An index that is moved into the sequence.
fn clamp(at: i64, len: usize) -> usize {
    let end = i64::try_from(len).unwrap_or(i64::MAX);
    usize::try_from(if at < 0 { (at + end).max(0) } else { at.min(end) }).unwrap_or(0)
}

/// Sorts stably by a key, as Python does; what cannot be compared is an error.
pub(super) fn sort(items: &mut Vec<Py>, mut key: impl FnMut(&Py) -> Res<Py>, reverse: bool) -> Res<()> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        keyed.push((key(&item)?, item));
    }
    let before = |(a, _): &(Py, Py), (b, _): &(Py, Py)| {
        let (a, b) = if reverse { (b, a) } else { (a, b) };
        super::ops::order(a, b, "<").map(|o| o == Some(std::cmp::Ordering::Less))
    };
    items.extend(merge_sorted(keyed, before)?.into_iter().map(|(_, item)| item));
    Ok(())
}

/// Sorts stably by what `before` says, until it fails. Values need not have an order that makes sense: a NaN is before
/// nothing and behind nothing, which the standard library's sort takes for a mistake of ours.
pub(super) fn merge_sorted<T: Clone>(
    items: Vec<T>,
    mut before: impl FnMut(&T, &T) -> Res<bool>,
) -> Res<Vec<T>> {
    let (mut sorted, mut width) = (items, 1);
    while width < sorted.len() {
        let mut next = Vec::with_capacity(sorted.len());
        for pair in sorted.chunks(width.saturating_mul(2)) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                let from = if before(b, a)? { &mut right } else { &mut left };
                let (first, rest) = from.split_at(1);
                next.extend_from_slice(first);
                *from = rest;
            }
            next.extend(left.iter().chain(right).cloned());
        }
        sorted = next;
        width = width.saturating_mul(2);
    }
    Ok(sorted)
}
