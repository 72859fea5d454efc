//! What a template shares with the templates that it extends: its top-level variables and the blocks of all of them.

use std::cell::RefCell;
use std::rc::Rc;

use indexmap::IndexMap;

use super::ast::{Block, Template};
use super::scope::Scope;

/// A block and the template that it is in.
pub(super) type BlockDef = (Rc<Template>, Rc<Block>);

/// The context of one template and its parents.
pub(crate) struct Context {
    /// Top-level variables: what a block that is not `scoped` sees.
    pub(super) root: Rc<Scope>,
    /// The definitions of each block, the most derived first.
    blocks: RefCell<IndexMap<Rc<str>, Vec<BlockDef>>>,
    /// The template that is extended, once its tag has run.
    parent: RefCell<Option<Rc<Template>>>,
}

impl Context {
    pub(super) fn of(template: &Rc<Template>, root: Rc<Scope>) -> Rc<Context> {
        let context = Context { root, blocks: RefCell::default(), parent: RefCell::default() };
        context.add(template);
        Rc::new(context)
    }

    /// The blocks of another template, below those that are known.
    fn add(&self, template: &Rc<Template>) {
        let mut blocks = self.blocks.borrow_mut();
        for block in &template.blocks {
            blocks.entry(block.name.clone()).or_default().push((template.clone(), block.clone()));
        }
    }

    /// Extends a template; `false` when another one is extended already.
    pub(super) fn extend(&self, parent: &Rc<Template>) -> bool {
        let first = self.parent.borrow().is_none();
        if first {
            self.add(parent);
            *self.parent.borrow_mut() = Some(parent.clone());
        }
        first
    }

    pub(super) fn is_extended(&self) -> bool {
        self.parent.borrow().is_some()
    }

    /// The template to go on with, once.
    pub(super) fn take_parent(&self) -> Option<Rc<Template>> {
        self.parent.borrow_mut().take()
    }

    /// The definition of a block, `level` steps towards the base, and whether it is the last one.
    pub(super) fn block(&self, name: &str, level: usize) -> Option<(BlockDef, bool)> {
        let blocks = self.blocks.borrow();
        let all = blocks.get(name)?;
        Some((all.get(level)?.clone(), level + 1 == all.len()))
    }
}
