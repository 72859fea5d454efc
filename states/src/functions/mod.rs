//! The execution functions that look at the compile alone (pillar, grains, options, the tree, their arguments), and how
//! any function of a template is found.
//!
//! Each file has a table of its functions; [`find`] looks through all of them, so that what can be called and what is
//! said to exist are one list. Functions that look at the machine are in [`crate::execution`].

mod config;
mod cp;
mod defaults;
mod grains;
mod hashing;
mod ipmath;
mod matching;
mod nearest;
mod paths;
mod pillar;
mod random;
mod salt_names;
mod slsutil;
mod system;
mod testing;
mod textwrap;
mod traverse;

pub(crate) use nearest::unknown;
pub(crate) use traverse::traverse;

use crate::error::{Error, Fault};
use crate::jinja::{CallArgs, Py, Res, flag, required, runtime, text};
use crate::render::Scene;

/// The version of Salt whose language this is.
pub(crate) const SALT_VERSION: &str = "3008.3";

/// What these functions look at.
pub(crate) struct Known {
    pub(crate) grains: Py,
    pub(crate) pillar: Py,
    pub(crate) opts: Py,
}

/// One call of a template.
pub(crate) struct Call<'c> {
    scene: &'c Scene<'c>,
    name: &'c str,
    args: CallArgs,
}

/// A function of a template.
type Function = fn(&mut Call<'_>) -> Res<Py>;
/// The functions of one file.
type Table = &'static [(&'static str, Function)];

const TABLES: &[Table] = &[
    config::FUNCTIONS,
    cp::FUNCTIONS,
    defaults::FUNCTIONS,
    grains::FUNCTIONS,
    hashing::FUNCTIONS,
    ipmath::FUNCTIONS,
    matching::FUNCTIONS,
    paths::FUNCTIONS,
    pillar::FUNCTIONS,
    random::FUNCTIONS,
    slsutil::FUNCTIONS,
    system::FUNCTIONS,
    testing::FUNCTIONS,
];

fn find(name: &str) -> Option<Function> {
    TABLES.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == name).map(|(_, f)| *f)
}

/// Whether this is one of these functions.
pub(crate) fn has(name: &str) -> bool {
    find(name).is_some()
}

/// The names of these functions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|(name, _)| *name)
}

/// Calls one of these functions; `None` when it is none of them.
pub(crate) fn call(scene: &Scene<'_>, name: &str, args: &CallArgs) -> Option<Res<Py>> {
    let function = find(name)?;
    let mut call = Call { scene, name, args: args.clone() };
    Some(function(&mut call).map_err(|e| named(e, name)))
}

/// An error of a function, naming the function.
fn named(error: Error, name: &str) -> Error {
    match error.fault {
        Fault::Runtime(cause) => {
            Error { fault: Fault::Function { name: name.to_owned(), cause }, place: error.place }
        }
        _ => error,
    }
}

impl<'c> Call<'c> {
    /// The arguments in the order of `names`.
    fn bind<const N: usize>(&mut self, names: [&str; N]) -> Res<[Option<Py>; N]> {
        std::mem::take(&mut self.args).bind(self.name, names)
    }

    /// An argument that must be given.
    fn required(&self, name: &str, value: Option<Py>) -> Res<Py> {
        required(self.name, name, value)
    }

    /// An argument that must be given, as Python's `str()` has it.
    fn text(&self, name: &str, value: Option<Py>) -> Res<String> {
        Ok(text(&self.required(name, value)?))
    }

    fn known(&self) -> &'c Known {
        self.scene.known()
    }
}

/// An optional text argument; `None` and nothing are the default.
fn text_or(value: Option<&Py>, default: &str) -> String {
    value.filter(|v| !matches!(v, Py::None)).map_or_else(|| default.to_owned(), text)
}

/// An optional whole number.
fn int_or(name: &str, value: Option<&Py>, default: i64) -> Res<i64> {
    match value {
        None => Ok(default),
        Some(value) => match value.as_int() {
            Some(number) => Ok(number),
            None => runtime(format!("`{name}` must be a whole number, not {}", value.type_name())),
        },
    }
}

/// An optional truth value.
fn flag_of(value: &Option<Py>, default: bool) -> bool {
    flag(value.as_ref(), default)
}

/// A default that a template gave: using something undefined as one is an error.
fn default_of(value: Option<Py>) -> Res<Py> {
    match value {
        Some(Py::Undefined(message)) => Err(Error::new(Fault::Undefined(message.to_string()))),
        value => Ok(value.unwrap_or_else(|| Py::str(""))),
    }
}

/// `Py` of some texts.
fn list_of<S: Into<std::rc::Rc<str>>>(all: impl IntoIterator<Item = S>) -> Py {
    Py::list(all.into_iter().map(Py::str).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use crate::execution::MachineFunctions;
    use crate::host::{Machine, NoServices};
    use crate::session::Functions;

    fn machine() -> Vec<&'static str> {
        MachineFunctions::new(Arc::new(Machine::new(Arc::new(NoServices)))).names()
    }

    #[test]
    fn the_documentation_lists_the_functions_that_there_are() {
        let page = include_str!("../../../docs/template-functions.md");
        let rows =
            page.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('|').nth(2));
        let documented: BTreeSet<&str> =
            rows.flat_map(|row| row.split('`')).filter(|w| w.contains('.')).collect();
        let there: BTreeSet<&str> = super::names().chain(machine()).collect();
        let missing: Vec<&&str> = there.difference(&documented).collect();
        let gone: Vec<&&str> = documented.difference(&there).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "not documented: {missing:?}; documented only: {gone:?}"
        );
    }

    #[test]
    fn no_name_is_in_two_tables() {
        let all: Vec<&str> = super::names().chain(machine()).collect();
        let different: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), different.len());
    }
}
