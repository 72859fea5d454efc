//! Python's operators, subscripts and slices.

use std::cmp::Ordering;
use std::rc::Rc;

use super::args::{CallArgs, Res, iterate, runtime, undefined};
use super::ast::{BinOp, CmpOp};
use super::value::{Callable, Key, Py};
use crate::error::{Error, Fault};

/// The longest text or sequence that an operator may make.
pub(crate) const MAX_LENGTH: usize = 8 << 20;

fn too_long() -> Error {
    Error::new(Fault::Limit(format!("a value longer than {MAX_LENGTH}")))
}

/// Refuses a length that is too long.
pub(crate) fn check_length(length: Option<usize>) -> Res<()> {
    match length {
        Some(length) if length <= MAX_LENGTH => Ok(()),
        _ => Err(too_long()),
    }
}

/// The most elements that a text may be cut into.
const MAX_PIECES: usize = 1 << 20;

/// Refuses to cut a text into too many pieces, each of which is a value of its own.
pub(crate) fn check_pieces(count: usize) -> Res<()> {
    if count > MAX_PIECES { Err(too_long()) } else { Ok(()) }
}

/// How much one value may hold, whatever it shares: elements, and text in pieces of sixteen bytes.
const MAX_WEIGHT: usize = 2_000_000;

/// Refuses a value that would take too long to walk through or to print: lists of the same lists of the same lists.
///
/// The answer is what it holds.
pub(crate) fn check_weight(value: &Py) -> Res<usize> {
    let mut left = MAX_WEIGHT;
    if weighed(value, &mut left, 0) { Ok(MAX_WEIGHT - left) } else { Err(too_long()) }
}

/// Whether there are other values in a value.
pub(crate) fn is_container(value: &Py) -> bool {
    match value {
        Py::Call(call) => matches!(**call, Callable::Method(..)),
        Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::View(..) | Py::DictView(..) | Py::Gen(..) => true,
        Py::Namespace(_) | Py::Module(_) | Py::Loop(_) | Py::Cycler(_) => true,
        _ => false,
    }
}

/// Refuses arguments that would take too long to walk through.
pub(crate) fn check_arguments(args: &CallArgs) -> Res<()> {
    let all = args.positional.iter().chain(args.named.iter().map(|(_, v)| v));
    all.into_iter().filter(|v| is_container(v)).try_for_each(|v| check_weight(v).map(|_| ()))
}

fn weighed(value: &Py, left: &mut usize, depth: usize) -> bool {
    let cost = 1 + own_bytes(value) / 16;
    if depth > 200 || *left < cost {
        return false;
    }
    *left -= cost;
    let mut inside = |v: &Py| weighed(v, left, depth + 1);
    match value {
        Py::List(l) => l.borrow().iter().all(inside),
        Py::Tuple(t) | Py::View(_, t) => t.iter().all(inside),
        Py::Dict(d) | Py::DictView(_, d) | Py::Namespace(d) => {
            d.borrow().iter().all(|(k, v)| inside(k.value()) && inside(v))
        }
        Py::Gen(_, once) => once.borrow().items.iter().all(inside),
        Py::Module(m) => m.exports.borrow().values().all(inside),
        Py::Cycler(c) => c.items.iter().all(inside),
        Py::Loop(l) => {
            (0..l.items.len()).filter_map(|i| l.items.get(i)).all(|v| inside(&v))
                && l.last_changed.borrow().as_ref().is_none_or(inside)
        }
        Py::Call(call) => match &**call {
            Callable::Method(receiver, _) if is_container(receiver) => inside(receiver),
            _ => true,
        },
        _ => true,
    }
}

/// The bytes of text that a value is made of itself.
fn own_bytes(value: &Py) -> usize {
    match value {
        Py::Str(s) => s.len(),
        Py::Bytes(b) => b.len(),
        Py::Module(m) => m.text.borrow().len(),
        Py::Range(..) => value.len().unwrap_or(0).saturating_mul(16),
        _ => 0,
    }
}

pub(crate) fn binary(op: BinOp, a: &Py, b: &Py) -> Res<Py> {
    for side in [a, b] {
        if let Py::Undefined(message) = side {
            return undefined(message);
        }
    }
    match (op, a, b) {
        (BinOp::Add, Py::Str(a), Py::Str(b)) => {
            check_length(a.len().checked_add(b.len()))?;
            Ok(Py::str(format!("{a}{b}")))
        }
        (BinOp::Add, Py::List(a), Py::List(b)) => {
            let mut all = a.borrow().clone();
            check_length(all.len().checked_add(b.borrow().len()))?;
            all.extend(b.borrow().iter().cloned());
            Ok(Py::list(all))
        }
        (BinOp::Add, Py::Tuple(a), Py::Tuple(b)) => {
            check_length(a.len().checked_add(b.len()))?;
            Ok(Py::tuple(a.iter().chain(b.iter()).cloned().collect()))
        }
        (BinOp::Sub, Py::DictView(super::value::Part::Keys, _) | Py::View(..), other)
            if other.is_iterable() =>
        {
            let without = iterate(other)?;
            let kept = iterate(a)?.into_iter().filter(|i| !without.iter().any(|o| o.equals(i)));
            Ok(Py::set(kept.collect()))
        }
        (BinOp::Mod, Py::Str(format), args) => super::format::percent(format, args).map(Py::str),
        (BinOp::Mul, sequence, times) if times.as_int().is_some() && sequence.len().is_some() => {
            repeat(sequence, times.as_int().unwrap_or(0))
        }
        (BinOp::Mul, times, sequence) if times.as_int().is_some() && sequence.len().is_some() => {
            repeat(sequence, times.as_int().unwrap_or(0))
        }
        _ => match (a.as_int(), b.as_int()) {
            (Some(x), Some(y)) => whole(op, x, y),
            _ => match (a.as_float(), b.as_float()) {
                (Some(x), Some(y)) => fractional(op, x, y).map(Py::Float),
                _ => unsupported(op, a, b),
            },
        },
    }
}

fn symbol(op: BinOp) -> &'static str {
    match op {
        BinOp::Add => "+",
        BinOp::Sub => "-",
        BinOp::Mul => "*",
        BinOp::Div => "/",
        BinOp::FloorDiv => "//",
        BinOp::Mod => "%",
        BinOp::Pow => "** or pow()",
    }
}

fn unsupported(op: BinOp, a: &Py, b: &Py) -> Res<Py> {
    if op == BinOp::Add && matches!(a, Py::Str(_) | Py::List(_)) {
        let (a, b) = (a.type_name(), b.type_name());
        return runtime(format!("can only concatenate {a} (not \"{b}\") to {a}"));
    }
    let (a, b) = (a.type_name(), b.type_name());
    runtime(format!("unsupported operand type(s) for {}: '{a}' and '{b}'", symbol(op)))
}

fn repeat(sequence: &Py, times: i64) -> Res<Py> {
    let times = usize::try_from(times).unwrap_or(0);
    let length = match sequence {
        Py::Str(s) => s.len(),
        other => other.len().unwrap_or(0),
    };
    check_length(length.checked_mul(times))?;
    match sequence {
        Py::Str(s) => Ok(Py::str(s.repeat(times))),
        Py::List(l) => Ok(Py::list(l.borrow().repeat_py(times))),
        Py::Tuple(t) => Ok(Py::tuple(t.as_slice().repeat_py(times))),
        other => runtime(format!("unsupported operand type(s) for *: '{}' and 'int'", other.type_name())),
    }
}

trait RepeatPy {
    fn repeat_py(&self, times: usize) -> Vec<Py>;
}

impl RepeatPy for [Py] {
    fn repeat_py(&self, times: usize) -> Vec<Py> {
        std::iter::repeat_n(self, times).flatten().cloned().collect()
    }
}

fn whole(op: BinOp, a: i64, b: i64) -> Res<Py> {
    #[allow(clippy::cast_precision_loss)] // As Python: true division is in floating point.
    let floats = (a as f64, b as f64);
    let result = match op {
        BinOp::Add => a.checked_add(b),
        BinOp::Sub => a.checked_sub(b),
        BinOp::Mul => a.checked_mul(b),
        BinOp::Div => return fractional(op, floats.0, floats.1).map(Py::Float),
        BinOp::FloorDiv | BinOp::Mod if b == 0 => return runtime("integer division or modulo by zero"),
        BinOp::FloorDiv => a.checked_div_euclid(b).map(|_| floor_div(a, b)),
        BinOp::Mod => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        BinOp::Pow if b < 0 => return fractional(op, floats.0, floats.1).map(Py::Float),
        BinOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    };
    match result {
        Some(i) => Ok(Py::Int(i)),
        None => Err(Error::new(Fault::Limit("a whole number beyond 64 bits".to_owned()))),
    }
}

fn floor_div(a: i64, b: i64) -> i64 {
    let (q, r) = (a / b, a % b);
    if r != 0 && (r < 0) != (b < 0) { q - 1 } else { q }
}

fn fractional(op: BinOp, a: f64, b: f64) -> Res<f64> {
    Ok(match op {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::Div | BinOp::FloorDiv | BinOp::Mod if b == 0.0 => return runtime("division by zero"),
        BinOp::Div => a / b,
        BinOp::FloorDiv => (a / b).floor(),
        BinOp::Mod => a - b * (a / b).floor(),
        BinOp::Pow => a.powf(b),
    })
}

/// `-value`.
pub(crate) fn negate(value: &Py) -> Res<Py> {
    match value {
        Py::Undefined(message) => undefined(message),
        Py::Float(f) => Ok(Py::Float(-f)),
        other => match other.as_int().and_then(i64::checked_neg) {
            Some(i) => Ok(Py::Int(i)),
            None => runtime(format!("bad operand type for unary -: '{}'", other.type_name())),
        },
    }
}

pub(crate) fn compare(op: CmpOp, a: &Py, b: &Py) -> Res<bool> {
    if matches!((op, b.len()), (CmpOp::In | CmpOp::NotIn, Some(0))) && !matches!(b, Py::Str(_) | Py::Void) {
        return Ok(op == CmpOp::NotIn);
    }
    for side in [a, b] {
        if let Py::Undefined(message) = side {
            return undefined(message);
        }
    }
    match op {
        CmpOp::Eq => Ok(a.equals(b)),
        CmpOp::Ne => Ok(!a.equals(b)),
        CmpOp::In => contains(b, a),
        CmpOp::NotIn => contains(b, a).map(|found| !found),
        CmpOp::Lt => order(a, b, "<").map(|o| o == Some(Ordering::Less)),
        CmpOp::Le => order(a, b, "<=").map(|o| o.is_some_and(Ordering::is_le)),
        CmpOp::Gt => order(a, b, ">").map(|o| o == Some(Ordering::Greater)),
        CmpOp::Ge => order(a, b, ">=").map(|o| o.is_some_and(Ordering::is_ge)),
    }
}

/// The order of two values; `None` where a NaN is compared.
pub(crate) fn order(a: &Py, b: &Py, symbol: &str) -> Res<Option<Ordering>> {
    order_within(a, b, symbol, 0)
}

fn order_within(a: &Py, b: &Py, symbol: &str, depth: usize) -> Res<Option<Ordering>> {
    if depth > 200 {
        return runtime("a comparison nested too deeply");
    }
    let sequences = |a: &[Py], b: &[Py]| {
        for (x, y) in a.iter().zip(b) {
            if !x.equals(y) {
                return order_within(x, y, symbol, depth + 1);
            }
        }
        Ok(Some(a.len().cmp(&b.len())))
    };
    match (a, b) {
        (Py::Str(a), Py::Str(b)) => Ok(Some(a.cmp(b))),
        (Py::Int(a), Py::Int(b)) => Ok(Some(a.cmp(b))),
        (Py::List(a), Py::List(b)) => sequences(&a.borrow(), &b.borrow()),
        (Py::Tuple(a), Py::Tuple(b)) => sequences(a, b),
        (a, b) => match (a.as_float(), b.as_float()) {
            (Some(x), Some(y)) => Ok(x.partial_cmp(&y)),
            _ => {
                let (a, b) = (a.type_name(), b.type_name());
                runtime(format!("'{symbol}' not supported between instances of '{a}' and '{b}'"))
            }
        },
    }
}

/// `item in container`.
pub(crate) fn contains(container: &Py, item: &Py) -> Res<bool> {
    match (container, item) {
        (Py::Str(text), Py::Str(part)) => Ok(text.contains(&**part)),
        (Py::Str(_), other) => {
            runtime(format!("'in <string>' requires string as left operand, not {}", other.type_name()))
        }
        (Py::Dict(d), key) => match Key::new(key.clone()) {
            Ok(key) => Ok(d.borrow().contains_key(&key)),
            Err(kind) => runtime(format!("unhashable type: '{kind}'")),
        },
        (Py::Gen(_, _), item) => loop {
            match super::args::first(container)? {
                None => return Ok(false),
                Some(found) if found.equals(item) => return Ok(true),
                Some(_) => {}
            }
        },
        (container, item) => match container.len() {
            Some(_) => Ok(iterate(container)?.iter().any(|i| i.equals(item))),
            None => runtime(format!("argument of type '{}' is not iterable", container.type_name())),
        },
    }
}

/// `sequence[index]`; `None` when there is nothing there.
pub(crate) fn index(value: &Py, index: i64) -> Option<Py> {
    let len = i64::try_from(value.len()?).ok()?;
    let index = usize::try_from(if index < 0 { index + len } else { index }).ok()?;
    match value {
        Py::List(l) => l.borrow().get(index).cloned(),
        Py::Tuple(t) => t.get(index).cloned(),
        Py::Str(s) => s.chars().nth(index).map(|c| Py::str(c.to_string())),
        Py::Range(start, _, step) => {
            i64::try_from(index).ok()?.checked_mul(*step)?.checked_add(*start).map(Py::Int)
        }
        Py::Bytes(b) => b.get(index).map(|b| Py::Int(i64::from(*b))),
        _ => None,
    }
}

/// `sequence[start:stop:step]`.
pub(crate) fn slice(value: &Py, start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Res<Py> {
    if let Py::Str(s) = value {
        return slice_text(s, start, stop, step.unwrap_or(1)).map(Py::str);
    }
    let items = match value {
        Py::List(_) | Py::Tuple(_) | Py::Range(..) | Py::Bytes(_) => iterate(value)?,
        Py::Undefined(message) => return undefined(message),
        other => return runtime(format!("'{}' object is not subscriptable", other.type_name())),
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return runtime("slice step cannot be zero");
    }
    if let Py::Range(first, _, by) = value {
        let mut all = slice_indices(items.len(), start, stop, step);
        let at = |i: usize| first + by * i64::try_from(i).unwrap_or(0);
        let from = all.next().map(at);
        let count = i64::try_from(all.count()).unwrap_or(0) + 1;
        let stride = by.saturating_mul(step);
        let end = |from: i64| from.saturating_add(stride.saturating_mul(count));
        return Ok(from.map_or(Py::Range(0, 0, 1), |f| Py::Range(f, end(f), stride)));
    }
    let picked: Vec<Py> = slice_indices(items.len(), start, stop, step).map(|i| items[i].clone()).collect();
    Ok(match value {
        Py::Tuple(_) => Py::Tuple(Rc::new(picked)),
        Py::Bytes(_) => {
            Py::Bytes(picked.iter().filter_map(Py::as_int).filter_map(|b| u8::try_from(b).ok()).collect())
        }
        _ => Py::list(picked),
    })
}

fn slice_text(text: &str, start: Option<i64>, stop: Option<i64>, step: i64) -> Res<String> {
    if step == 0 {
        return runtime("slice step cannot be zero");
    }
    if text.is_ascii() {
        let bytes = text.as_bytes();
        return Ok(slice_indices(bytes.len(), start, stop, step).map(|i| char::from(bytes[i])).collect());
    }
    let chars: Vec<char> = text.chars().collect();
    Ok(slice_indices(chars.len(), start, stop, step).map(|i| chars[i]).collect())
}

fn slice_indices(
    len: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(b) if b < 0 => b.saturating_add(len).max(low),
        Some(b) => b.min(high),
    };
    let (first, end) =
        if step > 0 { (place(start, 0), place(stop, len)) } else { (place(start, len - 1), place(stop, -1)) };
    let mut at = first;
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { at > end };
        let current = at;
        at = at.saturating_add(step);
        if inside { usize::try_from(current).ok() } else { None }
    })
}
