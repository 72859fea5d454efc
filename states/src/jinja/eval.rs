//! Expressions: from syntax tree to Python value.

use std::rc::Rc;

use super::args::{CallArgs, Res, iterate, runtime, undefined};
use super::ast::{Args, At, CmpOp, Expr, ExprKind, Template};
use super::context::Context;
use super::guess::placed_in;
use super::ops;
use super::repr::text;
use super::scope::{Captured, Scope};
use super::value::{Callable, Dict, Key, LoopState, Module, Part, Py};
use super::{Limits, Spent, World};
use crate::error::{Error, Fault};
use crate::low::Origin;

/// Where a piece of template runs.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(super) template: Rc<Template>,
    pub(super) scope: Rc<Scope>,
    /// What is set here is exported by the template: its top level.
    pub(super) module: Option<Rc<Module>>,
    /// The blocks, and the top level of the template.
    pub(super) context: Rc<Context>,
    /// What is written here is dropped once the template extends another one.
    pub(super) checked: bool,
}

impl Frame {
    /// The top level of a template.
    pub(super) fn of(template: &Rc<Template>, scope: Rc<Scope>, module: Option<Rc<Module>>) -> Frame {
        let context = Context::of(template, scope.clone());
        Frame { template: template.clone(), scope, module, context, checked: true }
    }

    /// The same place with another scope, whose variables are not exported.
    pub(super) fn inside(&self, scope: Rc<Scope>) -> Frame {
        Frame { scope, module: None, ..self.clone() }
    }

    pub(super) fn is_extended(&self) -> bool {
        self.checked && self.context.is_extended()
    }
}

/// One rendering: the template, what it imports, and what it may still use up.
pub(crate) struct Interp<'w> {
    pub(super) world: &'w dyn World,
    pub(super) limits: Limits,
    pub(super) spent: &'w Spent,
    /// Variables of the environment, seen by every template.
    pub(super) globals: Scope,
    pub(super) loaded: indexmap::IndexMap<Rc<str>, Rc<Template>>,
    /// What templates imported without context export: one module for all who import it.
    pub(super) modules: indexmap::IndexMap<Rc<str>, Rc<Module>>,
    pub(super) captured: Captured,
}

/// How many steps there are between two looks at the clock.
const LOOK_EVERY: u64 = 4096;
/// Expressions inside of expressions, over all calls: each takes its share of the stack.
const MAX_NESTED: usize = 20_000;

/// Line and column of an offset, from 1.
pub(super) fn position(source: &str, at: At) -> (usize, usize) {
    let mut at = usize::try_from(at).unwrap_or(usize::MAX).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The place of an offset in a template.
pub(super) fn origin(template: &Template, at: At) -> Origin {
    let (line, column) = position(&template.source, at);
    Origin { file: (&*template.name).into(), line, column }
}

/// The error with its place, unless it has one.
pub(super) fn placed(error: Error, template: &Template, at: At) -> Error {
    if error.place.origin.is_some() {
        return error;
    }
    error.at(origin(template, at)).in_text(&template.source)
}

impl<'w> Interp<'w> {
    /// Counts `n` units of work against the limit.
    pub(super) fn charge(&mut self, n: usize) -> Res<()> {
        let steps = self.spent.steps.get().saturating_add(n as u64);
        self.spent.steps.set(steps);
        if steps >= self.spent.look_at.get() {
            self.spent.look_at.set(steps.saturating_add(LOOK_EVERY));
            if self.world.out_of_time() {
                let message = format!("the template takes longer than {} seconds", super::SECONDS);
                return Err(Error::new(Fault::Limit(message)).help("look for a loop that never ends"));
            }
        }
        if steps > self.limits.steps {
            let message = format!("the template takes more than {} steps", self.limits.steps);
            return Err(Error::new(Fault::Limit(message)).help("look for a loop that never ends"));
        }
        Ok(())
    }

    /// Charges for what a filter or a method made: what it makes longer can be made longer again.
    pub(super) fn charge_text(&mut self, made: &Py) -> Res<()> {
        if let Py::Str(text) = made {
            ops::check_length(Some(text.len()))?;
        }
        self.charge(weight(made))
    }

    /// Runs one level deeper.
    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        let depth = self.spent.depth.get();
        if depth >= self.limits.depth {
            let message = format!("calls are nested more than {} levels deep", self.limits.depth);
            return Err(
                Error::new(Fault::Limit(message)).help("look for a macro or include that reaches itself")
            );
        }
        self.spent.depth.set(depth + 1);
        let result = run(self);
        self.spent.depth.set(depth);
        result
    }

    /// The value of an expression; it may be undefined.
    pub(super) fn eval(&mut self, expr: &Expr, frame: &Frame) -> Res<Py> {
        self.charge(1)?;
        let nested = self.spent.nested.get();
        if nested >= MAX_NESTED {
            let message = format!("expressions are nested more than {MAX_NESTED} levels deep");
            return Err(placed(Error::new(Fault::Limit(message)), &frame.template, expr.at));
        }
        self.spent.nested.set(nested + 1);
        let value = self.eval_kind(expr, frame);
        self.spent.nested.set(nested);
        value.map_err(|e| placed_in(e, frame, expr, expr.at))
    }

    /// The value of an expression that must be defined.
    pub(super) fn defined(&mut self, expr: &Expr, frame: &Frame) -> Res<Py> {
        match self.eval(expr, frame)? {
            Py::Undefined(message) => undefined(&message).map_err(|e| placed_in(e, frame, expr, expr.at)),
            value => Ok(value),
        }
    }

    fn truth(&mut self, expr: &Expr, frame: &Frame) -> Res<bool> {
        Ok(self.defined(expr, frame)?.truth())
    }

    pub(super) fn all(&mut self, exprs: &[Expr], frame: &Frame) -> Res<Vec<Py>> {
        exprs.iter().map(|e| self.eval(e, frame)).collect()
    }

    fn eval_kind(&mut self, expr: &Expr, frame: &Frame) -> Res<Py> {
        Ok(match &expr.kind {
            ExprKind::None => Py::None,
            ExprKind::Bool(b) => Py::Bool(*b),
            ExprKind::Int(i) => Py::Int(*i),
            ExprKind::Float(f) => Py::Float(*f),
            ExprKind::Str(s) => Py::Str(s.clone()),
            ExprKind::Name(name) => self.name(name, frame),
            ExprKind::List(items) => bounded(Py::list(self.all(items, frame)?))?,
            ExprKind::Tuple(items) => bounded(Py::tuple(self.all(items, frame)?))?,
            ExprKind::Dict(pairs) => bounded(self.dict(pairs, frame)?)?,
            ExprKind::Not(inner) => Py::Bool(!self.truth(inner, frame)?),
            ExprKind::Neg(inner) => ops::negate(&self.eval(inner, frame)?)?,
            ExprKind::Pos(inner) => match self.defined(inner, frame)? {
                Py::Bool(b) => Py::Int(i64::from(b)),
                number @ (Py::Int(_) | Py::Float(_)) => number,
                other => return runtime(format!("bad operand type for unary +: '{}'", other.type_name())),
            },
            ExprKind::And(a, b) => {
                let left = self.defined(a, frame)?;
                if left.truth() { self.eval(b, frame)? } else { left }
            }
            ExprKind::Or(a, b) => {
                let left = self.defined(a, frame)?;
                if left.truth() { left } else { self.eval(b, frame)? }
            }
            ExprKind::Cond(test, a, b) => match (self.truth(test, frame)?, b) {
                (true, _) => self.eval(a, frame)?,
                (false, Some(b)) => self.eval(b, frame)?,
                (false, None) => Py::Void,
            },
            ExprKind::Bin(op, a, b) => {
                let (a, b) = (self.defined(a, frame)?, self.defined(b, frame)?);
                let result = bounded(ops::binary(*op, &a, &b)?)?;
                self.charge(weight(&result))?;
                result
            }
            ExprKind::Concat(parts) => self.concat(parts, frame)?,
            ExprKind::Compare(first, rest) => {
                // Something undefined may be looked for in what is empty.
                let is_in = rest.first().is_some_and(|(op, _)| matches!(op, CmpOp::In | CmpOp::NotIn));
                let mut left = if is_in { self.eval(first, frame)? } else { self.defined(first, frame)? };
                for (op, right) in rest {
                    let right = self.defined(right, frame)?;
                    if !self.compare(*op, &left, &right)? {
                        return Ok(Py::Bool(false));
                    }
                    left = right;
                }
                Py::Bool(true)
            }
            ExprKind::Attr(object, name) => attribute(&self.defined(object, frame)?, name),
            ExprKind::Item(object, key) => {
                let object = self.defined(object, frame)?;
                let key = self.defined(key, frame)?;
                if let Py::Str(text) = &object {
                    // A character is counted up to.
                    self.charge(text.len() / 128)?;
                }
                self.item(&object, &key)
            }
            _ => self.eval_reference(expr, frame)?,
        })
    }

    /// Slices, calls, filters and tests.
    fn eval_reference(&mut self, expr: &Expr, frame: &Frame) -> Res<Py> {
        Ok(match &expr.kind {
            ExprKind::Slice(object, bounds) => self.slice(object, bounds, frame)?,
            ExprKind::Call(callee, args) => self.call_expr(callee, args, frame)?,
            ExprKind::Filter(subject, name, args) => {
                let subject = match subject {
                    Some(subject) => self.eval(subject, frame)?,
                    None => frame.scope.get(super::exec::BLOCK_TEXT).unwrap_or(Py::None),
                };
                let args = self.args(args, frame)?;
                self.deeper(|me| super::filters::apply(me, name, subject, args, frame))?
            }
            ExprKind::Test(subject, name, args) => {
                let subject = self.eval(subject, frame)?;
                let args = self.args(args, frame)?;
                Py::Bool(self.test(name, &subject, &args)?)
            }
            _ => Py::None,
        })
    }

    fn compare(&mut self, op: CmpOp, left: &Py, right: &Py) -> Res<bool> {
        if let (CmpOp::In | CmpOp::NotIn, Py::Salt, Py::Str(name)) = (op, right, left) {
            return Ok(self.world.has(name) == (op == CmpOp::In));
        }
        self.compared(op, left, right)?;
        ops::compare(op, left, right)
    }

    /// Charges for what a comparison looks through.
    pub(super) fn compared(&mut self, op: CmpOp, left: &Py, right: &Py) -> Res<()> {
        let searched = matches!(op, CmpOp::In | CmpOp::NotIn);
        let deep = |side: &Py| if ops::is_container(side) { ops::check_weight(side) } else { Ok(0) };
        let work = match right {
            Py::Str(_) | Py::Range(..) if searched => weight(right),
            // A key is found without a search, or without a look at the values.
            Py::Dict(_) if searched => deep(left)? / 16,
            Py::DictView(Part::Keys, d) if searched => (deep(left)? + d.borrow().len()) / 16,
            _ if searched || (ops::is_container(left) && ops::is_container(right)) => {
                (deep(left)? + deep(right)?) / 16
            }
            _ => weight(left).min(weight(right)),
        };
        self.charge(1 + work)
    }

    /// A variable, a global, or undefined.
    fn name(&self, name: &Rc<str>, frame: &Frame) -> Py {
        frame
            .scope
            .get(name)
            .or_else(|| (&**name == "self").then(|| Py::Blocks(frame.context.clone())))
            .or_else(|| super::globals::builtin(name))
            .unwrap_or_else(|| Py::Undefined(format!("'{name}' is undefined").into()))
    }

    fn dict(&mut self, pairs: &[(Expr, Expr)], frame: &Frame) -> Res<Py> {
        let mut dict = Dict::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = hashable(self.defined(key, frame)?)?;
            dict.insert(key, self.eval(value, frame)?);
        }
        Ok(Py::dict(dict))
    }

    fn concat(&mut self, parts: &[Expr], frame: &Frame) -> Res<Py> {
        let mut out = String::new();
        for part in parts {
            let part = self.defined(part, frame)?;
            ops::check_weight(&part)?;
            out.push_str(&text(&part));
            ops::check_length(Some(out.len()))?;
        }
        self.charge(out.len() / 16)?;
        Ok(Py::str(out))
    }

    fn slice(&mut self, object: &Expr, bounds: &[Option<Box<Expr>>; 3], frame: &Frame) -> Res<Py> {
        let object = self.defined(object, frame)?;
        let mut numbers = [None; 3];
        for (number, bound) in numbers.iter_mut().zip(bounds) {
            let Some(bound) = bound else { continue };
            *number = match self.defined(bound, frame)? {
                Py::None => None,
                value => match value.as_int() {
                    Some(i) => Some(i),
                    None => return runtime("slice indices must be integers or None"),
                },
            };
        }
        self.charge(weight(&object))?;
        let result = ops::slice(&object, numbers[0], numbers[1], numbers[2])?;
        Ok(result)
    }

    pub(super) fn args(&mut self, args: &Args, frame: &Frame) -> Res<CallArgs> {
        let mut all = CallArgs::of(self.all(&args.positional, frame)?);
        for (name, value) in &args.named {
            all.named.push((name.clone(), self.eval(value, frame)?));
        }
        if let Some(star) = &args.star {
            all.positional.extend(iterate(&self.defined(star, frame)?)?);
        }
        if let Some(double_star) = &args.double_star {
            let Py::Dict(more) = self.defined(double_star, frame)? else {
                return runtime("argument after ** must be a mapping");
            };
            for (key, value) in more.borrow().iter() {
                let Some(name) = key.value().as_str() else { return runtime("keywords must be strings") };
                all.named.push((name.into(), value.clone()));
            }
        }
        Ok(all)
    }

    fn call_expr(&mut self, callee: &Expr, args: &Args, frame: &Frame) -> Res<Py> {
        let function = self.defined(callee, frame)?;
        let args = self.args(args, frame)?;
        let result = self.call(&function, args, frame);
        result.map_err(|e| {
            let here = origin(&frame.template, callee.at);
            let inside = e.place.origin.as_ref().is_some_and(|o| *o != here);
            let is_macro = matches!(&function, Py::Call(c) if matches!(**c, Callable::Macro(_)));
            if inside && is_macro { e.through("called from", here) } else { e }
        })
    }

    /// Calls something.
    pub(super) fn call(&mut self, function: &Py, args: CallArgs, frame: &Frame) -> Res<Py> {
        self.charge(1)?;
        match function {
            Py::Undefined(message) => undefined(message),
            Py::Loop(state) => self.loop_again(state, args),
            Py::Joiner(state) => {
                Ok(if state.1.replace(true) { Py::Str(state.0.clone()) } else { Py::str("") })
            }
            Py::Call(callable) => self.deeper(|me| me.call_callable(callable, args, frame)),
            other => runtime(format!("'{}' object is not callable", other.type_name())),
        }
    }

    fn call_callable(&mut self, callable: &Rc<Callable>, args: CallArgs, frame: &Frame) -> Res<Py> {
        let result = match &**callable {
            Callable::Macro(value) => return self.call_macro(value, args),
            Callable::Method(receiver, name) => {
                let result = super::methods::call(self, receiver, name, args)?;
                self.charge_text(&result)?;
                return Ok(result);
            }
            Callable::Function(name) => {
                let given = args.positional.iter().chain(args.named.iter().map(|(_, v)| v));
                self.charge(100 + given.map(weight).sum::<usize>())?;
                ops::check_arguments(&args)?;
                self.world.call(name, args)?
            }
            Callable::Global(name) => {
                ops::check_arguments(&args)?;
                super::globals::call(self, name, args, frame)?
            }
            Callable::Block(name, level, context) => {
                let inner = Frame { context: context.clone(), ..frame.inside(context.root.clone()) };
                return self.call_block(name, *level, &inner);
            }
        };
        self.charge(weight(&result))?;
        Ok(result)
    }

    fn loop_again(&mut self, state: &Rc<LoopState>, args: CallArgs) -> Res<Py> {
        let Some((node, frame)) = &state.recursive else {
            return runtime("the loop is not `recursive`: it cannot be called");
        };
        let [children] = args.bind("loop", ["iterable"])?;
        let children = super::args::required("loop", "iterable", children)?;
        let mut out = String::new();
        let items = super::exec::items(&children)?;
        self.deeper(|me| me.run_loop(node, items, frame, state.depth0 + 1, &mut out))?;
        Ok(Py::str(out))
    }

    /// `object[key]`: the item, else the attribute.
    pub(super) fn item(&self, object: &Py, key: &Py) -> Py {
        let found = match (object, key) {
            (Py::Dict(d), key) => Key::new(key.clone()).ok().and_then(|k| d.borrow().get(&k).cloned()),
            (Py::List(_) | Py::Tuple(_) | Py::Str(_) | Py::Range(..) | Py::Bytes(_), key) => {
                key.as_int().and_then(|i| ops::index(object, i))
            }
            _ => None,
        };
        match (found, key) {
            (Some(value), _) => value,
            (None, Py::Str(name)) => by_attribute(object, name),
            (None, key) => missing(object, &super::repr::repr(key)),
        }
    }
}

/// The value, unless it is a structure that grew too large.
fn bounded(value: Py) -> Res<Py> {
    if ops::is_container(&value) {
        ops::check_weight(&value)?;
    }
    Ok(value)
}

/// How much work a value of this size is.
pub(super) fn weight(value: &Py) -> usize {
    match value {
        Py::Str(s) => s.len() / 16,
        Py::Bytes(b) => b.len() / 16,
        Py::List(l) => l.borrow().len() / 2,
        Py::Tuple(t) | Py::View(_, t) => t.len() / 2,
        Py::Gen(_, once) => once.borrow().items.len() / 2,
        Py::Dict(d) | Py::Namespace(d) => d.borrow().len(),
        Py::Range(..) => value.len().unwrap_or(0) / 2,
        _ => 0,
    }
}

/// A mapping's key.
pub(super) fn hashable(value: Py) -> Res<Key> {
    Key::new(value).or_else(|kind| runtime(format!("unhashable type: '{kind}'")))
}

fn missing(object: &Py, what: &str) -> Py {
    let kind = object.type_name();
    Py::Undefined(format!("'{kind} object' has no attribute {what}").into())
}

/// `object.name` as Jinja looks it up: Python's attribute first, then the item.
pub(super) fn attribute(object: &Py, name: &str) -> Py {
    if let Some(found) = python_attribute(object, name) {
        return found;
    }
    object.item(name).unwrap_or_else(|| missing(object, &super::repr::quoted(name)))
}

fn by_attribute(object: &Py, name: &str) -> Py {
    python_attribute(object, name).unwrap_or_else(|| missing(object, &super::repr::quoted(name)))
}

pub(super) fn python_attribute(object: &Py, name: &str) -> Option<Py> {
    let call = |callable| Some(Py::Call(Rc::new(callable)));
    match object {
        Py::Namespace(d) => d.borrow().get(name).cloned(),
        Py::Module(m) => m.exports.borrow().get(name).cloned(),
        Py::Loop(l) => super::globals::loop_attribute(l, object, name),
        Py::Cycler(c) if name == "current" => c.items.get(c.pos.get()).cloned(),
        Py::Salt if name == "get" => call(Callable::Method(object.clone(), name.into())),
        Py::Salt if name.contains('.') => call(Callable::Function(name.into())),
        Py::Salt => Some(Py::SaltModule(name.into())),
        Py::SaltModule(module) => call(Callable::Function(format!("{module}.{name}").into())),
        Py::Blocks(context) => {
            context.block(name, 0)?;
            call(Callable::Block(name.into(), 0, context.clone()))
        }
        Py::Int(_) | Py::Float(_) | Py::Bool(_) => super::methods::number_attribute(object, name),
        Py::Call(c) => match (&**c, name) {
            (Callable::Block(name, level, context), "super") => {
                Some(super::exec::super_block(context, name, *level))
            }
            (Callable::Global("dict" | "odict"), "fromkeys") => {
                call(Callable::Method(Py::dict(Dict::new()), name.into()))
            }
            (Callable::Macro(m), "name") if m.decl.name.is_empty() => Some(Py::None),
            (Callable::Macro(m), "name") => Some(Py::Str(m.decl.name.clone())),
            (Callable::Macro(m), "catch_kwargs") => Some(Py::Bool(m.decl.uses.kwargs)),
            (Callable::Macro(m), "catch_varargs") => Some(Py::Bool(m.decl.uses.varargs)),
            (Callable::Macro(m), "caller") => Some(Py::Bool(m.decl.uses.caller)),
            (Callable::Macro(m), "arguments") => {
                Some(Py::tuple(m.decl.params.iter().map(|(n, _)| Py::Str(n.clone())).collect()))
            }
            _ => None,
        },
        Py::Tuple(pair)
            if pair.len() == 2 && matches!((&pair[1], name), (Py::List(_), "grouper" | "list")) =>
        {
            // The pairs of `groupby` have names for their halves.
            pair.get(usize::from(name == "list")).cloned()
        }
        _ if super::methods::has(object, name) => call(Callable::Method(object.clone(), name.into())),
        _ => None,
    }
}
