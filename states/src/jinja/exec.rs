//! Statements: running a template's body.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::args::{CallArgs, Res, iterate, runtime, undefined};
use super::ast::{At, Expr, For, Format, Stmt, StmtKind, Target};
use super::context::Context;
use super::eval::{Frame, Interp, origin, placed};
use super::repr::printed;
use super::scope::Scope;
use super::value::{Callable, Items, LoopState, MacroValue, Part, Py};
use crate::error::{Error, Fault};

/// The name under which a filter block's text is its filter's subject; no template can write it.
pub(super) const BLOCK_TEXT: &str = "\0text";

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

impl Interp<'_> {
    pub(super) fn exec(&mut self, body: &[Stmt], frame: &Frame, out: &mut String) -> Res<Flow> {
        for stmt in body {
            self.charge(1)?;
            let flow = self.stmt(stmt, frame, out).map_err(|e| placed(e, &frame.template, stmt.at))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Runs a body in a scope of its own.
    fn exec_inside(
        &mut self,
        body: &[Stmt],
        frame: &Frame,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Res<Flow> {
        self.exec(body, &frame.inside(scope.clone()), out)
    }

    /// The text of a body in a scope of its own.
    fn captured(&mut self, body: &[Stmt], frame: &Frame) -> Res<String> {
        let mut out = String::new();
        let inner = Frame { checked: false, ..frame.inside(Scope::inside(&frame.scope)) };
        self.exec(body, &inner, &mut out)?;
        Ok(out)
    }

    fn write(&mut self, out: &mut String, text: &str) -> Res<()> {
        let written = self.spent.written.get().saturating_add(text.len());
        self.spent.written.set(written);
        if written > self.limits.output {
            return Err(Error::new(Fault::Limit(format!(
                "the template writes more than {} bytes",
                self.limits.output
            ))));
        }
        out.push_str(text);
        Ok(())
    }

    fn print(&mut self, value: &Py, out: &mut String) -> Res<()> {
        let text = printed(value)?;
        self.charge(text.len() / 16)?;
        self.write(out, &text)
    }

    fn stmt(&mut self, stmt: &Stmt, frame: &Frame, out: &mut String) -> Res<Flow> {
        match &stmt.kind {
            // What stands beside the blocks of a child template is not part of the result.
            StmtKind::Text(_) | StmtKind::Print(_) | StmtKind::Block(_) if frame.is_extended() => {}
            StmtKind::Text(text) => self.write(out, text)?,
            StmtKind::Print(expr) => {
                let value = self.defined(expr, frame)?;
                self.print(&value, out)?;
            }
            StmtKind::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.defined(test, frame)?.truth() {
                        return self.exec(body, frame, out);
                    }
                }
                return self.exec(otherwise, frame, out);
            }
            StmtKind::For(node) => self.for_loop(node, frame, out)?,
            StmtKind::Do(expr) => _ = self.eval(expr, frame)?,
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Set(target, expr) => {
                let value = self.eval(expr, frame)?;
                self.assign(target, value, frame)?;
            }
            StmtKind::SetBlock(target, filter, body) => {
                let text = Py::str(self.captured(body, frame)?);
                let value = self.filtered(filter.as_ref(), text, frame)?;
                self.assign(target, value, frame)?;
            }
            StmtKind::FilterBlock(filter, body) => {
                let text = Py::str(self.captured(body, frame)?);
                let value = self.filtered(Some(filter), text, frame)?;
                self.print(&value, out)?;
            }
            StmtKind::Macro(decl) => {
                let value = self.macro_value(decl, frame);
                self.bind(&decl.name, value, frame, true);
            }
            StmtKind::CallBlock(decl, call) => self.call_with_caller(decl, call, frame, out)?,
            StmtKind::LoadBlock(format, target, body) => {
                let text = self.captured(body, frame)?;
                let value = load(*format, &text, &frame.template.name, stmt.at, frame)?;
                self.assign(target, value, frame)?;
            }
            other => return self.multi(other, stmt.at, frame, out),
        }
        Ok(Flow::Next)
    }

    /// Statements with scopes of their own, and those that involve other templates.
    fn multi(&mut self, kind: &StmtKind, at: At, frame: &Frame, out: &mut String) -> Res<Flow> {
        match kind {
            StmtKind::ImportData { format, from, name, context } => {
                // As in Salt, the file is a template first, and data then.
                let module = self.import(from, *context, at, frame)?;
                let text = module.text.borrow().clone();
                let value = load_data(*format, &text, &module.name)
                    .map_err(|e| e.through("imported from", origin(&frame.template, at)))?;
                self.bind(name, value, frame, true);
            }
            StmtKind::Import { from, name, context } => {
                let module = self.import(from, *context, at, frame)?;
                self.bind(name, Py::Module(module), frame, false);
            }
            StmtKind::From { from, names, context } => {
                let module = self.import(from, *context, at, frame)?;
                for (name, alias) in names {
                    let value = module.exports.borrow().get(name).cloned().unwrap_or_else(|| {
                        let message = format!("the template '{}' does not export '{name}'", module.name);
                        Py::Undefined(message.into())
                    });
                    self.bind(alias, value, frame, false);
                }
            }
            StmtKind::Include { names, ignore_missing, context } => {
                self.include(names, *ignore_missing, *context, at, frame, out)?;
            }
            StmtKind::With(assignments, body) => {
                let inner = frame.inside(Scope::inside(&frame.scope));
                for (target, expr) in assignments {
                    let value = self.eval(expr, frame)?;
                    self.assign(target, value, &inner)?;
                }
                return self.exec(body, &inner, out);
            }
            StmtKind::Autoescape(on, body) => {
                if self.defined(on, frame)?.truth() {
                    return runtime(
                        "escaping everything that is printed is not supported: use the filter `e`",
                    );
                }
                return self.exec_inside(body, frame, &Scope::inside(&frame.scope), out);
            }
            StmtKind::Block(block) => {
                let inner =
                    if block.scoped { frame.clone() } else { frame.inside(frame.context.root.clone()) };
                let text = self.call_block(&block.name, 0, &inner)?;
                self.print(&text, out)?;
            }
            StmtKind::Extends(from) => {
                let name = self.path(from, frame)?;
                let Some(parent) = self.template(&name)? else { return self.not_found(&name) };
                if !frame.context.extend(&parent) {
                    return runtime("extended multiple times");
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    fn filtered(&mut self, filter: Option<&Expr>, text: Py, frame: &Frame) -> Res<Py> {
        let Some(filter) = filter else { return Ok(text) };
        let inner = frame.inside(Scope::inside(&frame.scope));
        inner.scope.set(BLOCK_TEXT.into(), text);
        self.defined(filter, &inner)
    }

    /// Binds a name in the frame; `export` offers it to importers where this is the top level.
    fn bind(&mut self, name: &Rc<str>, value: Py, frame: &Frame, export: bool) {
        frame.scope.set(name.clone(), value.clone());
        if let Some(module) = &frame.module {
            if export && !name.starts_with('_') {
                module.exports.borrow_mut().insert(name.clone(), value);
            } else {
                module.exports.borrow_mut().shift_remove(name);
            }
        }
    }

    fn assign(&mut self, target: &Target, value: Py, frame: &Frame) -> Res<()> {
        match target {
            Target::Name(name) => self.bind(name, value, frame, true),
            Target::Attr(name, attr) => match frame.scope.get(name) {
                Some(Py::Namespace(d)) => {
                    super::methods::refuse_cycle(&Py::Namespace(d.clone()), &value, 0)?;
                    d.borrow_mut().insert(super::value::Key::str(attr.clone()), value);
                }
                _ => return runtime(format!("cannot assign attribute on `{name}`: it is no namespace")),
            },
            Target::Tuple(targets) => {
                let values = iterate(&value)?;
                if values.len() != targets.len() {
                    let (found, wanted) = (values.len(), targets.len());
                    return runtime(format!("cannot unpack {found} values into {wanted} names"));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, frame)?;
                }
            }
        }
        Ok(())
    }

    fn for_loop(&mut self, node: &Rc<For>, frame: &Frame, out: &mut String) -> Res<()> {
        let iterable = self.defined(&node.iter, frame)?;
        let items = items(&iterable).map_err(|e| placed(e, &frame.template, node.iter.at))?;
        self.run_loop(node, items, frame, 0, out)
    }

    pub(super) fn run_loop(
        &mut self,
        node: &Rc<For>,
        items: Items,
        frame: &Frame,
        depth0: usize,
        out: &mut String,
    ) -> Res<()> {
        let items = self.loop_filter(node, items, frame)?;
        let recursive = node.recursive.then(|| (node.clone(), frame.clone()));
        let (index0, last_changed) = (Cell::new(0), RefCell::new(None));
        let state = Rc::new(LoopState { items, index0, depth0, last_changed, recursive });
        let mut completed = false;
        let mut index = 0;
        while let Some(item) = next_item(&state.items, index)? {
            self.charge(1)?;
            state.index0.set(index);
            index += 1;
            let inner = frame.inside(Scope::inside(&frame.scope));
            if node.uses_loop {
                inner.scope.set("loop".into(), Py::Loop(state.clone()));
            }
            self.assign(&node.target, item, &inner)?;
            match self.exec(&node.body, &inner, out)? {
                Flow::Break => break,
                Flow::Next => completed = true,
                Flow::Continue => {}
            }
        }
        // Jinja2 takes a loop none of whose rounds came to its end for an empty one.
        if !completed {
            self.exec_inside(&node.otherwise, frame, &Scope::inside(&frame.scope), out)?;
        }
        Ok(())
    }

    /// The items that pass the loop's `if`.
    fn loop_filter(&mut self, node: &For, items: Items, frame: &Frame) -> Res<Items> {
        let Some(filter) = &node.filter else { return Ok(items) };
        let mut kept = Vec::new();
        let mut index = 0;
        while let Some(item) = next_item(&items, index)? {
            self.charge(1)?;
            index += 1;
            let inner = frame.inside(Scope::inside(&frame.scope));
            self.assign(&node.target, item.clone(), &inner)?;
            if self.defined(filter, &inner)?.truth() {
                kept.push(item);
            }
        }
        Ok(Items::Fixed(kept))
    }

    fn macro_value(&mut self, decl: &Rc<super::ast::Macro>, frame: &Frame) -> Py {
        self.captured.add(&frame.scope);
        let value = MacroValue {
            decl: decl.clone(),
            template: frame.template.clone(),
            scope: frame.scope.clone(),
            context: frame.context.clone(),
        };
        Py::Call(Rc::new(Callable::Macro(value)))
    }

    fn call_with_caller(
        &mut self,
        decl: &Rc<super::ast::Macro>,
        call: &Expr,
        frame: &Frame,
        out: &mut String,
    ) -> Res<()> {
        let super::ast::ExprKind::Call(callee, args) = &call.kind else { return Ok(()) };
        let function = self.defined(callee, frame)?;
        let mut args = self.args(args, frame)?;
        args.named.push(("caller".into(), self.macro_value(decl, frame)));
        let result = self
            .call(&function, args, frame)
            .map_err(|e| e.through("called from", origin(&frame.template, call.at)))?;
        self.print(&result, out)
    }

    pub(super) fn call_macro(&mut self, value: &MacroValue, args: CallArgs) -> Res<Py> {
        let scope = Scope::inside(&value.scope);
        let (template, context) = (value.template.clone(), value.context.clone());
        let frame = Frame { template, scope, module: None, context, checked: false };
        self.bind_macro_args(value, args, &frame)?;
        let mut out = String::new();
        self.exec(&value.decl.body, &frame, &mut out)?;
        Ok(Py::str(out))
    }

    fn bind_macro_args(&mut self, value: &MacroValue, args: CallArgs, frame: &Frame) -> Res<()> {
        let decl = &value.decl;
        let (name, count) = (&decl.name, decl.params.len());
        let mut positional = args.positional.into_iter();
        let mut named = args.named;
        for (param, default) in &decl.params {
            let by_name = named.iter().position(|(n, _)| n == param);
            let given = match (positional.next(), by_name) {
                (Some(_), Some(_)) => {
                    return runtime(format!("macro '{name}' got multiple values for argument '{param}'"));
                }
                (Some(value), None) => Some(value),
                (None, at) => at.map(|at| named.remove(at).1),
            };
            let value = match (given, default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default, frame)?,
                (None, None) => Py::Undefined(format!("parameter '{param}' was not provided").into()),
            };
            frame.scope.set(param.clone(), value);
        }
        if decl.uses.caller && !decl.params.iter().any(|(p, _)| &**p == "caller") {
            let at = named.iter().position(|(n, _)| &**n == "caller");
            let caller = at.map(|at| named.remove(at).1);
            let none = || Py::Undefined("No caller defined".into());
            frame.scope.set("caller".into(), caller.unwrap_or_else(none));
        }
        let extra: Vec<Py> = positional.collect();
        if decl.uses.kwargs {
            let pairs = named.drain(..).map(|(n, v)| (super::value::Key::str(n), v)).collect();
            frame.scope.set("kwargs".into(), Py::dict(pairs));
        } else if let Some((unknown, _)) = named.first() {
            return runtime(format!("macro '{name}' takes no keyword argument '{unknown}'"));
        }
        if decl.uses.varargs {
            frame.scope.set("varargs".into(), Py::tuple(extra));
        } else if !extra.is_empty() {
            return runtime(format!("macro '{name}' takes not more than {count} argument(s)"));
        }
        Ok(())
    }

    /// Runs a whole template, and the templates that it extends after it, in the same context.
    pub(super) fn run_template(&mut self, frame: &Frame, out: &mut String) -> Res<()> {
        self.exec(&frame.template.body, frame, out)?;
        let Some(parent) = frame.context.take_parent() else { return Ok(()) };
        let inner = Frame { template: parent, ..frame.clone() };
        let extends = frame.template.body.iter().find(|s| matches!(s.kind, StmtKind::Extends(_)));
        let here = origin(&frame.template, extends.map_or(0, |s| s.at));
        self.deeper(|me| me.run_template(&inner, out)).map_err(|e| e.through("extended from", here))
    }

    /// The text of a block, or of the one `level` steps towards the base that it overrides.
    pub(super) fn call_block(&mut self, name: &Rc<str>, level: usize, frame: &Frame) -> Res<Py> {
        let Some(((template, block), last)) = frame.context.block(name, level) else {
            return undefined(&format!("there is no block '{name}' here"));
        };
        if block.required && last {
            return runtime(format!("the required block '{name}' is not there"));
        }
        let scope = Scope::inside(&frame.scope);
        scope.set("super".into(), super_block(&frame.context, name, level));
        let inner = Frame { template, scope, module: None, context: frame.context.clone(), checked: false };
        let mut out = String::new();
        self.deeper(|me| me.exec(&block.body, &inner, &mut out))?;
        Ok(Py::str(out))
    }
}

/// The block that another one overrides, as a function.
pub(super) fn super_block(context: &Rc<Context>, name: &Rc<str>, level: usize) -> Py {
    if context.block(name, level + 1).is_none() {
        return Py::Undefined(format!("there is no parent block called '{name}'").into());
    }
    Py::Call(Rc::new(Callable::Block(name.clone(), level + 1, context.clone())))
}

/// What a loop over a value goes through.
pub(super) fn items(value: &Py) -> Res<Items> {
    Ok(match value {
        Py::List(list) => Items::List(list.clone()),
        Py::Dict(dict) => Items::Dict(iterate(value)?, dict.clone()),
        Py::DictView(Part::Keys | Part::Items | Part::Values, dict) => {
            Items::Dict(iterate(value)?, dict.clone())
        }
        _ => Items::Fixed(iterate(value)?),
    })
}

fn next_item(items: &Items, index: usize) -> Res<Option<Py>> {
    if items.resized() {
        return runtime("dictionary changed size during iteration");
    }
    Ok(items.get(index))
}

/// The value of a `load_*` block, whose text starts at `at` in this file.
fn load(format: Format, text: &str, name: &str, at: At, frame: &Frame) -> Res<Py> {
    if format == Format::Text {
        return Ok(Py::str(text));
    }
    load_data(format, text, &format!("{name} (loaded text)"))
        .map_err(|e| e.through("loaded from", origin(&frame.template, at)))
}

/// Text to data.
pub(super) fn load_data(format: Format, text: &str, name: &str) -> Res<Py> {
    match format {
        Format::Yaml => Ok(crate::yaml::load(text, name)?.to_py()),
        Format::Json => super::json::parse(text, name),
        Format::Text => Ok(Py::str(text)),
    }
}
