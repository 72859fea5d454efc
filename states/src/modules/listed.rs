//! Lists of installed packages that a run asks a program for once.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::engine::step::{Call, Failure};

/// Versions by name.
pub(crate) type Listed = BTreeMap<String, Vec<String>>;

/// Lists of this run, by program, place and user.
pub(crate) type Lists = BTreeMap<String, Rc<Listed>>;

/// What is known, or what is asked now.
pub(crate) fn listed(
    key: &str,
    call: &Call<'_>,
    ask: impl FnOnce() -> Result<Listed, Failure>,
) -> Result<Rc<Listed>, Failure> {
    if let Some(known) = call.facts.listed.borrow().get(key) {
        return Ok(Rc::clone(known));
    }
    let read = Rc::new(ask()?);
    call.facts.listed.borrow_mut().insert(key.to_owned(), Rc::clone(&read));
    Ok(read)
}
