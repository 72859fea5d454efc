//! Values as templates see them: Python's, shared and mutable.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use indexmap::{Equivalent, IndexMap};

use super::ast::{For, Macro, Template};
use super::context::Context;
pub(crate) use super::dict::Dict;
use super::eval::Frame;
use super::scope::Scope;
use crate::error::Error;
use crate::value::{Map, Value};

/// A Python value.
#[derive(Clone)]
pub(crate) enum Py {
    /// Jinja's strict undefined: any use of it is an error that says `0`.
    Undefined(Rc<str>),
    /// What `a if false` gives: undefined, but lenient. It prints as nothing and is empty.
    Void,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    List(Rc<RefCell<Vec<Py>>>),
    Tuple(Rc<Vec<Py>>),
    Dict(Rc<RefCell<Dict>>),
    /// A set, by the name of its type: what Salt's set filters make of what is no list.
    View(&'static str, Rc<Vec<Py>>),
    /// `keys()`, `values()` or `items()`: follows its mapping.
    DictView(Part, Rc<RefCell<Dict>>),
    /// `range(start, stop, step)`.
    Range(i64, i64, i64),
    /// What `map`, `select`, `zip` … give, by the name of its type: it can be gone through once.
    Gen(&'static str, Rc<RefCell<Once>>),
    /// Bytes that a text was encoded to.
    Bytes(Rc<[u8]>),
    /// `namespace()`.
    Namespace(Rc<RefCell<Dict>>),
    Module(Rc<Module>),
    Loop(Rc<LoopState>),
    Cycler(Rc<Cycler>),
    Joiner(Rc<(Rc<str>, Cell<bool>)>),
    /// The variable `salt`.
    Salt,
    /// `salt.pillar`.
    SaltModule(Rc<str>),
    /// The `self` of template inheritance.
    Blocks(Rc<Context>),
    Call(Rc<Callable>),
}

impl std::fmt::Debug for Py {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::repr::repr(self))
    }
}

/// Which part of a mapping a view shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Values,
    Items,
}

/// What a generator has not given yet, and the error that it ends with.
#[derive(Default)]
pub(crate) struct Once {
    pub(crate) items: std::collections::VecDeque<Py>,
    pub(crate) failure: Option<Error>,
}

/// What can be called.
pub(crate) enum Callable {
    Macro(MacroValue),
    /// A bound method.
    Method(Py, Rc<str>),
    /// `salt['module.function']`.
    Function(Rc<str>),
    /// A function of the environment, such as `range`.
    Global(&'static str),
    /// `super()` or `self.name()`: the block `.0`, `.1` steps towards the base.
    Block(Rc<str>, usize, Rc<Context>),
}

/// A macro with what it closes over.
pub(crate) struct MacroValue {
    pub(super) decl: Rc<Macro>,
    pub(super) template: Rc<Template>,
    pub(super) scope: Rc<Scope>,
    pub(super) context: Rc<Context>,
}

/// An imported template.
pub(crate) struct Module {
    pub(crate) name: Rc<str>,
    pub(crate) exports: RefCell<IndexMap<Rc<str>, Py>>,
    pub(crate) text: RefCell<Rc<str>>,
}

/// What a loop goes through.
pub(crate) enum Items {
    Fixed(Vec<Py>),
    /// A list that the loop's body may change while the loop runs.
    List(Rc<RefCell<Vec<Py>>>),
    /// The keys or pairs of a mapping, which must not grow or shrink meanwhile.
    Dict(Vec<Py>, Rc<RefCell<Dict>>),
}

impl Items {
    pub(crate) fn len(&self) -> usize {
        match self {
            Items::Fixed(items) | Items::Dict(items, _) => items.len(),
            Items::List(list) => list.borrow().len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Py> {
        match self {
            Items::Fixed(items) | Items::Dict(items, _) => items.get(index).cloned(),
            Items::List(list) => list.borrow().get(index).cloned(),
        }
    }

    /// Whether a mapping has another size than when the loop began.
    pub(crate) fn resized(&self) -> bool {
        matches!(self, Items::Dict(items, dict) if dict.borrow().len() != items.len())
    }
}

/// The variable `loop`.
pub(crate) struct LoopState {
    pub(crate) items: Items,
    pub(crate) index0: Cell<usize>,
    pub(crate) depth0: usize,
    pub(crate) last_changed: RefCell<Option<Py>>,
    /// What `loop(children)` runs again.
    pub(super) recursive: Option<(Rc<For>, Frame)>,
}

/// `cycler(…)`.
pub(crate) struct Cycler {
    pub(crate) items: Vec<Py>,
    pub(crate) pos: Cell<usize>,
}

/// A hashable value as a key: `1`, `1.0` and `True` are the same key, as in Python.
#[derive(Clone)]
pub(crate) struct Key(Py);

impl Key {
    /// The key, or the type's name when it cannot be one.
    pub(crate) fn new(value: Py) -> Result<Self, &'static str> {
        match &value {
            Py::Tuple(items) => {
                for item in items.iter() {
                    Key::new(item.clone())?;
                }
                Ok(Key(value))
            }
            Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) | Py::Str(_) => Ok(Key(value)),
            other => Err(other.type_name()),
        }
    }

    pub(crate) fn str(text: impl Into<Rc<str>>) -> Self {
        Key(Py::Str(text.into()))
    }

    pub(crate) fn value(&self) -> &Py {
        &self.0
    }
}

fn as_number(value: &Py) -> Option<f64> {
    match value {
        Py::Bool(b) => Some(f64::from(u8::from(*b))),
        #[allow(clippy::cast_precision_loss)] // Hashing only; equality compares whole numbers exactly.
        Py::Int(i) => Some(*i as f64),
        Py::Float(f) => Some(*f),
        _ => None,
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Py::Str(s) => s.hash(state),
            Py::Tuple(items) => items.iter().for_each(|i| Key(i.clone()).hash(state)),
            other => as_number(other).map(f64::to_bits).hash(state),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Py::Float(a), Py::Float(b)) => a.to_bits() == b.to_bits() || a == b,
            (a, b) => a.equals(b),
        }
    }
}

impl Eq for Key {}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.0, Py::Str(s) if **s == *self)
    }
}

impl Py {
    pub(crate) fn str(text: impl Into<Rc<str>>) -> Py {
        Py::Str(text.into())
    }

    pub(crate) fn list(items: Vec<Py>) -> Py {
        Py::List(Rc::new(RefCell::new(items)))
    }

    pub(crate) fn tuple(items: Vec<Py>) -> Py {
        Py::Tuple(Rc::new(items))
    }

    pub(crate) fn dict(items: Dict) -> Py {
        Py::Dict(Rc::new(RefCell::new(items)))
    }

    /// A set of values that are known to differ.
    pub(crate) fn set(items: Vec<Py>) -> Py {
        Py::View("set", Rc::new(items))
    }

    /// A generator of these values.
    pub(crate) fn once(kind: &'static str, items: Vec<Py>) -> Py {
        Py::once_until(kind, items, None)
    }

    /// A generator of these values that then fails.
    pub(crate) fn once_until(kind: &'static str, items: Vec<Py>, failure: Option<Error>) -> Py {
        Py::Gen(kind, Rc::new(RefCell::new(Once { items: items.into(), failure })))
    }

    pub(crate) fn global(name: &'static str) -> Py {
        Py::Call(Rc::new(Callable::Global(name)))
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Py::Undefined(_) | Py::Void)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Py::Str(s) => Some(s),
            _ => None,
        }
    }

    /// A whole number; `True` is 1.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Py::Int(i) => Some(*i),
            Py::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        as_number(self)
    }

    /// Python's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Py::Undefined(_) | Py::Void => "Undefined",
            Py::None => "NoneType",
            Py::Bool(_) => "bool",
            Py::Int(_) => "int",
            Py::Float(_) => "float",
            Py::Str(_) => "str",
            Py::List(_) => "list",
            Py::Tuple(_) => "tuple",
            Py::Dict(_) => "dict",
            Py::View(kind, _) | Py::Gen(kind, _) => kind,
            Py::DictView(Part::Keys, _) => "dict_keys",
            Py::DictView(Part::Values, _) => "dict_values",
            Py::DictView(Part::Items, _) => "dict_items",
            Py::Range(..) => "range",
            Py::Bytes(_) => "bytes",
            Py::Namespace(_) => "Namespace",
            Py::Module(_) => "TemplateModule",
            Py::Loop(_) => "LoopContext",
            Py::Cycler(_) => "Cycler",
            Py::Joiner(_) => "Joiner",
            Py::Salt => "AliasedLoader",
            Py::SaltModule(_) => "AliasedModule",
            Py::Blocks(_) => "TemplateReference",
            Py::Call(call) => match &**call {
                Callable::Macro(_) => "Macro",
                Callable::Method(..) => "builtin_function_or_method",
                _ => "function",
            },
        }
    }

    /// The elements, if this can be iterated over: a string's characters, a mapping's keys.
    pub(crate) fn elements(&self) -> Option<Vec<Py>> {
        match self {
            Py::List(l) => Some(l.borrow().clone()),
            Py::Tuple(t) => Some(t.to_vec()),
            Py::View(_, v) => Some(v.to_vec()),
            Py::Dict(d) => Some(d.borrow().keys().map(|k| k.0.clone()).collect()),
            Py::Str(s) => Some(s.chars().map(|c| Py::str(c.to_string())).collect()),
            Py::DictView(part, d) => Some(view_items(*part, &d.borrow())),
            Py::Range(start, _, step) => {
                let count = self.len().unwrap_or(0);
                Some(
                    std::iter::successors(Some(*start), |i| i.checked_add(*step))
                        .take(count)
                        .map(Py::Int)
                        .collect(),
                )
            }
            Py::Gen(_, once) => Some(std::mem::take(&mut once.borrow_mut().items).into()),
            Py::Bytes(b) => Some(b.iter().map(|b| Py::Int(i64::from(*b))).collect()),
            Py::Loop(l) => Some((0..l.items.len()).filter_map(|i| l.items.get(i)).collect()),
            Py::Void => Some(Vec::new()),
            _ => None,
        }
    }

    /// Whether this can be iterated over.
    pub(crate) fn is_iterable(&self) -> bool {
        self.len().is_some() || matches!(self, Py::Gen(..))
    }

    /// Python's `len()`.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Py::List(l) => Some(l.borrow().len()),
            Py::Tuple(t) => Some(t.len()),
            Py::View(_, v) => Some(v.len()),
            Py::Dict(d) => Some(d.borrow().len()),
            Py::Str(s) => Some(s.chars().count()),
            Py::DictView(_, d) => Some(d.borrow().len()),
            Py::Range(start, stop, step) => Some(range_len(*start, *stop, *step)),
            Py::Bytes(b) => Some(b.len()),
            Py::Loop(l) => Some(l.items.len()),
            Py::Void => Some(0),
            _ => None,
        }
    }

    /// Python's truth; undefined counts as false here and is refused by the evaluator.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Py::Undefined(_) | Py::Void | Py::None => false,
            Py::Bool(b) => *b,
            Py::Int(i) => *i != 0,
            Py::Float(f) => *f != 0.0,
            Py::Str(s) => !s.is_empty(),
            Py::List(l) => !l.borrow().is_empty(),
            Py::Tuple(t) => !t.is_empty(),
            Py::Dict(d) => !d.borrow().is_empty(),
            Py::View(..) | Py::DictView(..) | Py::Range(..) | Py::Bytes(_) => self.len() != Some(0),
            _ => true,
        }
    }

    /// Python's `==`.
    pub(crate) fn equals(&self, other: &Py) -> bool {
        self.equals_within(other, 0, &Cell::new(MAX_NODES))
    }

    fn equals_within(&self, other: &Py, depth: usize, left: &Cell<usize>) -> bool {
        // A structure that contains itself is never equal to another, rather than a crash.
        if depth > 200 || !spend(left) {
            return false;
        }
        let all = |a: &[Py], b: &[Py]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals_within(b, depth + 1, left))
        };
        match (self, other) {
            (Py::None, Py::None) | (Py::Void, Py::Void) => true,
            (Py::Str(a), Py::Str(b)) => a == b,
            (Py::List(a), Py::List(b)) => Rc::ptr_eq(a, b) || all(&a.borrow(), &b.borrow()),
            (Py::Tuple(a), Py::Tuple(b)) | (Py::View(_, a), Py::View(_, b)) => all(a, b),
            (Py::Dict(a), Py::Dict(b)) => {
                let same = |a: &Dict, b: &Dict| {
                    let has =
                        |(k, v): (&Key, &Py)| b.get(k).is_some_and(|o| v.equals_within(o, depth + 1, left));
                    a.len() == b.len() && a.iter().all(has)
                };
                Rc::ptr_eq(a, b) || same(&a.borrow(), &b.borrow())
            }
            (Py::Int(a), Py::Int(b)) => a == b,
            (Py::Bytes(a), Py::Bytes(b)) => a == b,
            (Py::Range(..), Py::Range(..)) | (Py::DictView(Part::Items, _), Py::DictView(Part::Items, _)) => {
                all(&self.elements().unwrap_or_default(), &other.elements().unwrap_or_default())
            }
            (Py::DictView(Part::Keys, a), Py::DictView(Part::Keys, b)) => {
                let (a, b) = (a.borrow(), b.borrow());
                a.len() == b.len() && a.keys().all(|k| b.contains_key(k))
            }
            (Py::Gen(_, a), Py::Gen(_, b)) => Rc::ptr_eq(a, b),
            (Py::Call(a), Py::Call(b)) => Rc::ptr_eq(a, b),
            (Py::Namespace(a), Py::Namespace(b)) => Rc::ptr_eq(a, b),
            (a, b) => match (as_number(a), as_number(b)) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }

    /// A copy that shares nothing mutable with this.
    pub(crate) fn deep_copy(&self) -> Py {
        self.deep_copy_within(0, &Cell::new(MAX_NODES))
    }

    fn deep_copy_within(&self, depth: usize, left: &Cell<usize>) -> Py {
        if depth > 200 || !spend(left) {
            return Py::None;
        }
        match self {
            Py::List(l) => Py::list(l.borrow().iter().map(|i| i.deep_copy_within(depth + 1, left)).collect()),
            Py::Tuple(t) => Py::tuple(t.iter().map(|i| i.deep_copy_within(depth + 1, left)).collect()),
            Py::Dict(d) => {
                let d = d.borrow();
                let mut copy: Dict =
                    d.iter().map(|(k, v)| (k.clone(), v.deep_copy_within(depth + 1, left))).collect();
                copy.ordered = d.ordered;
                Py::dict(copy)
            }
            other => other.clone(),
        }
    }

    /// The same value, whose mappings print as `OrderedDict`: what Salt's renderers make of YAML.
    pub(crate) fn into_ordered(self) -> Py {
        self.mark_ordered(0);
        self
    }

    fn mark_ordered(&self, depth: usize) {
        match self {
            _ if depth > 200 => {}
            Py::Dict(d) => {
                d.borrow_mut().ordered = true;
                d.borrow().values().for_each(|v| v.mark_ordered(depth + 1));
            }
            Py::List(l) => l.borrow().iter().for_each(|v| v.mark_ordered(depth + 1)),
            _ => {}
        }
    }

    /// An item of a mapping, by a text key.
    pub(crate) fn item(&self, key: &str) -> Option<Py> {
        match self {
            Py::Dict(d) => d.borrow().get(key).cloned(),
            _ => None,
        }
    }
}

impl From<&Value> for Py {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Py::None,
            Value::Bool(b) => Py::Bool(*b),
            Value::Int(i) => Py::Int(*i),
            Value::Float(f) => Py::Float(*f),
            Value::Str(s) => Py::str(s.as_str()),
            Value::List(l) => Py::list(l.iter().map(Py::from).collect()),
            Value::Map(m) => Py::from(m),
        }
    }
}

impl From<&Map> for Py {
    fn from(map: &Map) -> Self {
        Py::dict(map.iter().map(|(k, v)| (Key::str(k.as_str()), Py::from(v))).collect())
    }
}

/// How many numbers a range has.
pub(crate) fn range_len(start: i64, stop: i64, step: i64) -> usize {
    let (span, step) = (i128::from(stop) - i128::from(start), i128::from(step));
    let some = step != 0 && (span > 0) == (step > 0) && span != 0;
    if some { usize::try_from((span.abs() + step.abs() - 1) / step.abs()).unwrap_or(usize::MAX) } else { 0 }
}

fn view_items(part: Part, dict: &Dict) -> Vec<Py> {
    match part {
        Part::Keys => dict.keys().map(|k| k.0.clone()).collect(),
        Part::Values => dict.values().cloned().collect(),
        Part::Items => dict.iter().map(|(k, v)| Py::tuple(vec![k.0.clone(), v.clone()])).collect(),
    }
}

/// The text that JSON makes of a key that is no text.
pub(crate) fn key_text(key: &Py) -> String {
    match key {
        Py::Str(s) => s.to_string(),
        Py::None => "null".to_owned(),
        Py::Bool(b) => b.to_string(),
        other => super::repr::text(other),
    }
}

impl From<&Py> for Value {
    fn from(value: &Py) -> Self {
        to_value(value, 0, &Cell::new(MAX_NODES))
    }
}

/// How many values inside of one are walked through; who can refuse a larger one does so before.
const MAX_NODES: usize = 2_000_000;

fn spend(left: &Cell<usize>) -> bool {
    let rest = left.get();
    left.set(rest.saturating_sub(1));
    rest > 0
}

fn to_value(value: &Py, depth: usize, left: &Cell<usize>) -> Value {
    if depth > 200 || !spend(left) {
        return Value::Null;
    }
    let list = |items: &[Py]| Value::List(items.iter().map(|i| to_value(i, depth + 1, left)).collect());
    match value {
        Py::None | Py::Undefined(_) | Py::Void => Value::Null,
        Py::Bool(b) => Value::Bool(*b),
        Py::Int(i) => Value::Int(*i),
        Py::Float(f) => Value::Float(*f),
        Py::Str(s) => Value::Str(s.to_string()),
        Py::List(l) => list(&l.borrow()),
        Py::Tuple(l) | Py::View(_, l) => list(l),
        Py::DictView(..) | Py::Range(..) | Py::Gen(..) => list(&value.elements().unwrap_or_default()),
        Py::Dict(d) | Py::Namespace(d) => {
            let pairs = d.borrow();
            Value::Map(pairs.iter().map(|(k, v)| (key_text(&k.0), to_value(v, depth + 1, left))).collect())
        }
        other => Value::Str(super::repr::text(other)),
    }
}
