//! Variables: nested scopes that macros can close over, and how they are freed again.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use indexmap::IndexMap;

use super::value::Py;

/// One level of variables.
#[derive(Default)]
pub(crate) struct Scope {
    vars: RefCell<IndexMap<Rc<str>, Py>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    /// A scope inside another.
    pub(super) fn inside(parent: &Rc<Scope>) -> Rc<Scope> {
        Rc::new(Scope { vars: RefCell::default(), parent: Some(parent.clone()) })
    }

    /// The value of a name here or further out.
    pub(super) fn get(&self, name: &str) -> Option<Py> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.vars.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }

    /// Sets a name here.
    pub(super) fn set(&self, name: Rc<str>, value: Py) {
        self.vars.borrow_mut().insert(name, value);
    }

    /// Every name that can be seen from here, the outermost first.
    pub(super) fn all(&self) -> Vec<(Rc<str>, Py)> {
        let mut all = self.parent.as_deref().map_or_else(Vec::new, Scope::all);
        all.extend(self.vars.borrow().iter().map(|(k, v)| (k.clone(), v.clone())));
        all
    }
}

/// Scopes that macros close over. A macro lives in the scope that it closes over, which reference counting alone would
/// never free: the owner of a rendering empties them when it is done.
#[derive(Default)]
pub(super) struct Captured(Vec<Weak<Scope>>);

impl Captured {
    pub(super) fn add(&mut self, scope: &Rc<Scope>) {
        self.0.push(Rc::downgrade(scope));
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        for scope in self.0.iter().filter_map(Weak::upgrade) {
            let mut scope = Some(scope);
            while let Some(current) = scope {
                let vars = std::mem::take(&mut *current.vars.borrow_mut());
                drop(vars);
                scope = current.parent.clone();
            }
        }
    }
}
