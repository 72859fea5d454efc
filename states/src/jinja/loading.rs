//! Other templates: how they are found, and what importing and including them does.

use std::cell::RefCell;
use std::rc::Rc;

use super::args::{Res, iterate, runtime};
use super::ast::{At, Expr, Template};
use super::eval::{Frame, Interp, origin};
use super::repr::text;
use super::scope::Scope;
use super::value::{Module, Py};
use crate::error::{Error, Fault};

impl Interp<'_> {
    pub(super) fn path(&mut self, expr: &Expr, frame: &Frame) -> Res<Rc<str>> {
        match self.defined(expr, frame)? {
            Py::Str(s) => Ok(s),
            other => runtime(format!("the name of a template must be text, not {}", other.type_name())),
        }
    }

    pub(super) fn not_found<T>(&self, path: &str) -> Res<T> {
        Err(Error::new(Fault::NotFound(format!("template `{path}` not found")))
            .help("the path is relative to the file root, or to this template when it starts with `./`"))
    }

    /// The path below the file roots that a template name means.
    fn resolve(&self, name: &str) -> Res<String> {
        let relative = name.starts_with("./") || name.starts_with("../");
        if !relative && name.split('/').any(|part| part == "..") {
            return self.not_found(name);
        }
        if !relative {
            return Ok(name.to_owned());
        }
        let base = self.globals.get("tpldir").map(|d| text(&d)).unwrap_or_default();
        super::normalise(&base, name)
            .ok_or_else(|| Error::new(Fault::NotFound(format!("`{name}` leads out of the file root"))))
    }

    /// Loads and parses a template once by the name that it is asked for with, as Jinja2 does, though a relative name can
    /// mean two files. The environment's `tpl*` variables follow it, as Salt's loader does.
    pub(super) fn template(&mut self, name: &str) -> Res<Option<Rc<Template>>> {
        if let Some(found) = self.loaded.get(name) {
            return Ok(Some(found.clone()));
        }
        let path = self.resolve(name)?;
        self.charge(100)?;
        let Some(template) = self.parsed(&path)? else { return Ok(None) };
        let relative = name.starts_with("./") || name.starts_with("../");
        let own_dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        let dir = if relative { self.globals.get("tpldir").map_or(own_dir, |d| text(&d)) } else { own_dir };
        self.globals.set("tplfile".into(), Py::str(name));
        self.globals.set("tpldot".into(), Py::str(dir.replace('/', ".")));
        self.globals.set("tpldir".into(), Py::str(if dir.is_empty() { ".".to_owned() } else { dir }));
        self.loaded.insert(name.into(), template.clone());
        Ok(Some(template))
    }

    /// The template of a file, from an earlier rendering if it was parsed there.
    fn parsed(&self, path: &str) -> Res<Option<Rc<Template>>> {
        if let Some(template) = self.world.parsed().and_then(|all| all.get(path)) {
            return Ok(Some(template));
        }
        let Some(source) = self.world.load(path)? else { return Ok(None) };
        let template = Rc::new(super::parse(&source.name, &source.text)?);
        if let Some(all) = self.world.parsed() {
            all.keep(path, &template);
        }
        Ok(Some(template))
    }

    /// A scope with what every template of this environment sees.
    pub(super) fn root_scope(&self) -> Rc<Scope> {
        let scope = Rc::new(Scope::default());
        for (name, value) in self.globals.all() {
            scope.set(name, value);
        }
        scope
    }

    pub(super) fn import(&mut self, from: &Expr, context: bool, at: At, frame: &Frame) -> Res<Rc<Module>> {
        let name = self.path(from, frame)?;
        let Some(template) = self.template(&name)? else { return self.not_found(&name) };
        if let (false, Some(module)) = (context, self.modules.get(&name)) {
            return Ok(module.clone());
        }
        let root = self.root_scope();
        if context {
            for (name, value) in frame.scope.all() {
                root.set(name, value);
            }
        }
        let scope = Scope::inside(&root);
        let module = self
            .deeper(|me| me.module(&template, scope))
            .map_err(|e| e.through("imported from", origin(&frame.template, at)))?;
        if !context {
            self.modules.insert(name, module.clone());
        }
        Ok(module)
    }

    /// Runs a template for what it exports.
    fn module(&mut self, template: &Rc<Template>, scope: Rc<Scope>) -> Res<Rc<Module>> {
        let module = Rc::new(Module {
            name: template.name.clone(),
            exports: RefCell::default(),
            text: RefCell::new("".into()),
        });
        let mut out = String::new();
        self.run_template(&Frame::of(template, scope, Some(module.clone())), &mut out)?;
        *module.text.borrow_mut() = out.into();
        Ok(module)
    }

    pub(super) fn include(
        &mut self,
        names: &Expr,
        ignore_missing: bool,
        context: bool,
        at: At,
        frame: &Frame,
        out: &mut String,
    ) -> Res<()> {
        let names = match self.defined(names, frame)? {
            Py::Str(s) => vec![Py::Str(s)],
            other => iterate(&other)?,
        };
        let mut found = None;
        for name in &names {
            found = self.template(&text(name))?;
            if found.is_some() {
                break;
            }
        }
        let Some(template) = found else {
            let all: Vec<String> = names.iter().map(text).collect();
            return if ignore_missing { Ok(()) } else { self.not_found(&all.join(", ")) };
        };
        let scope = if context { Scope::inside(&frame.scope) } else { Scope::inside(&self.root_scope()) };
        let inner = Frame::of(&template, scope, None);
        self.deeper(|me| me.run_template(&inner, out))
            .map_err(|e| e.through("included from", origin(&frame.template, at)))
    }
}
