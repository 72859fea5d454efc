//! Functions that every template sees, and the variable `loop`.

use std::cell::Cell;
use std::rc::Rc;

use super::args::{CallArgs, Res, iterate, required, runtime};
use super::eval::{Frame, Interp, hashable};
use super::repr::text;
use super::value::{Callable, Cycler, Dict, Key, LoopState, Py};

/// A global function by name.
pub(super) fn builtin(name: &str) -> Option<Py> {
    const NAMES: &[&str] = &[
        "range",
        "dict",
        "odict",
        "namespace",
        "cycler",
        "joiner",
        "raise",
        "show_full_context",
        "ifelse",
        "lipsum",
    ];
    NAMES.iter().find(|n| **n == name).map(|n| Py::global(n))
}

pub(super) fn call(interp: &mut Interp<'_>, name: &str, args: CallArgs, frame: &Frame) -> Res<Py> {
    match name {
        "range" => range(interp, &args),
        "dict" | "odict" => {
            let mut new = dict(args)?;
            new.ordered = name == "odict";
            Ok(Py::dict(new))
        }
        "namespace" => match Py::dict(dict(args)?) {
            Py::Dict(d) => Ok(Py::Namespace(d)),
            other => Ok(other),
        },
        "cycler" if args.positional.is_empty() => runtime("at least one item has to be provided"),
        "cycler" => Ok(Py::Cycler(Rc::new(Cycler { items: args.positional, pos: Cell::new(0) }))),
        "joiner" => {
            let [separator] = args.bind("joiner", ["sep"])?;
            let separator = separator.map_or_else(|| ", ".to_owned(), |s| text(&s));
            Ok(Py::Joiner(Rc::new((separator.into(), Cell::new(false)))))
        }
        "ifelse" => {
            let names = ["condition", "true", "false"];
            runtime(format!("the function 'ifelse' is not supported: write `a if {} else b`", names[0]))
        }
        "lipsum" => {
            runtime("the function 'lipsum' is not supported: a template must render the same every time")
        }
        "raise" => {
            let [message] = args.bind("raise", ["msg"])?;
            runtime(text(&required("raise", "msg", message)?))
        }
        _ => {
            let plain = |v: &Py| !matches!(v, Py::Call(_) | Py::Salt | Py::Module(_) | Py::Loop(_));
            let all = frame.scope.all().into_iter().filter(|(_, v)| plain(v));
            Ok(Py::dict(all.map(|(k, v)| (Key::str(k), v)).collect()))
        }
    }
}

/// The sandbox of Jinja2 refuses longer ranges.
const MAX_RANGE: usize = 100_000;

fn range(interp: &mut Interp<'_>, args: &CallArgs) -> Res<Py> {
    let mut numbers = Vec::new();
    for value in &args.positional {
        match value.as_int() {
            Some(i) => numbers.push(i),
            None => {
                return runtime(format!(
                    "'{}' object cannot be interpreted as an integer",
                    value.type_name()
                ));
            }
        }
    }
    let (start, stop, step) = match *numbers {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => return runtime(format!("range expected 1 to 3 arguments, got {}", numbers.len())),
    };
    if step == 0 {
        return runtime("range() arg 3 must not be zero");
    }
    if super::value::range_len(start, stop, step) > MAX_RANGE {
        return runtime(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MAX_RANGE})."
        ));
    }
    interp.charge(super::value::range_len(start, stop, step) / 4)?;
    Ok(Py::Range(start, stop, step))
}

/// Python's `dict(mapping_or_pairs, **kwargs)`.
pub(super) fn dict(args: CallArgs) -> Res<Dict> {
    let mut dict = Dict::new();
    if args.positional.len() > 1 {
        return runtime(format!("dict expected at most 1 argument, got {}", args.positional.len()));
    }
    if let Some(first) = args.positional.first() {
        extend(&mut dict, first)?;
    }
    dict.extend(args.named.into_iter().map(|(k, v)| (Key::str(k), v)));
    Ok(dict)
}

/// Adds a mapping's pairs, or a sequence of pairs.
pub(super) fn extend(dict: &mut Dict, more: &Py) -> Res<()> {
    if let Py::Dict(d) | Py::Namespace(d) = more {
        let pairs: Vec<(Key, Py)> = d.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        dict.extend(pairs);
        return Ok(());
    }
    for pair in iterate(more)? {
        let pair = iterate(&pair)?;
        let [key, value] = pair.as_slice() else {
            return runtime(format!(
                "dictionary update sequence element has length {}; 2 is required",
                pair.len()
            ));
        };
        dict.insert(hashable(key.clone())?, value.clone());
    }
    Ok(())
}

/// An attribute of `loop`.
pub(super) fn loop_attribute(state: &Rc<LoopState>, object: &Py, name: &str) -> Option<Py> {
    let (index0, length) = (state.index0.get(), state.items.len());
    let number = |n: usize| Some(Py::Int(i64::try_from(n).unwrap_or(i64::MAX)));
    let neighbour = |item: Option<Py>, what: &str| {
        Some(item.unwrap_or_else(|| Py::Undefined(format!("there is no {what} item").into())))
    };
    match name {
        "index" => number(index0 + 1),
        "index0" => number(index0),
        "revindex" => number(length.saturating_sub(index0)),
        "revindex0" => number(length.saturating_sub(index0 + 1)),
        "first" => Some(Py::Bool(index0 == 0)),
        "last" => Some(Py::Bool(index0 + 1 >= length)),
        "length" => number(length),
        "depth" => number(state.depth0 + 1),
        "depth0" => number(state.depth0),
        "previtem" => neighbour(index0.checked_sub(1).and_then(|i| state.items.get(i)), "previous"),
        "nextitem" => neighbour(state.items.get(index0 + 1), "next"),
        "cycle" | "changed" => Some(Py::Call(Rc::new(Callable::Method(object.clone(), name.into())))),
        _ => None,
    }
}
