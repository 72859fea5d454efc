//! Jinja2's and Salt's tests: what stands after `is`.

use std::rc::Rc;

use super::args::{CallArgs, Res, runtime, undefined};
use super::ast::CmpOp;
use super::eval::Interp;
use super::ops;
use super::repr::text;
use super::value::{Callable, Py};
use crate::error::{Error, Fault};
use crate::nearest::did_you_mean;

impl Interp<'_> {
    /// `subject is name(args)`.
    pub(super) fn test(&mut self, name: &str, subject: &Py, args: &CallArgs) -> Res<bool> {
        match name {
            "defined" => return Ok(self.is_defined(subject)),
            "undefined" => return Ok(!self.is_defined(subject)),
            "filter" => return Ok(super::filters::known(&text(subject))),
            "test" => return Ok(known(&text(subject))),
            _ => {}
        }
        // Type tests of something undefined are false rather than an error, as `isinstance` is.
        if let Some(answer) = by_type(name, subject) {
            return Ok(answer);
        }
        if let ("sameas", Py::Undefined(_)) = (name, subject) {
            return Ok(false);
        }
        if let Py::Undefined(message) = subject {
            return undefined(message);
        }
        let other = args.positional.first();
        if let Some(op) = comparison(name) {
            let Some(other) = other else { return runtime(format!("the test '{name}' needs an argument")) };
            if let (CmpOp::In, Py::Salt, Py::Str(function)) = (op, other, subject) {
                return Ok(self.world.has(function));
            }
            self.compared(op, subject, other)?;
            return ops::compare(op, subject, other);
        }
        match name {
            "odd" => remainder(subject, &Py::Int(2)).map(|r| r.equals(&Py::Int(1))),
            "even" => remainder(subject, &Py::Int(2)).map(|r| !r.truth()),
            "divisibleby" => remainder(subject, other.unwrap_or(&Py::None)).map(|r| !r.truth()),
            "lower" => Ok(is_cased(&text(subject), char::is_uppercase)),
            "upper" => Ok(is_cased(&text(subject), char::is_lowercase)),
            "sameas" => Ok(other.is_some_and(|o| same(subject, o))),
            "match" => {
                let [pattern, ignorecase, multiline] =
                    args.clone().bind("match", ["rgx", "ignorecase", "multiline"])?;
                let pattern = super::args::text_arg("match", "rgx", pattern)?;
                let flags = (
                    super::args::flag(ignorecase.as_ref(), false),
                    super::args::flag(multiline.as_ref(), false),
                );
                let regex = super::filters::pattern(&pattern, flags.0, flags.1)?;
                let subject = super::args::text_arg("match", "txt", Some(subject.clone()))?;
                let found = super::filters::matched(regex.find(&*subject))?;
                Ok(found.is_some_and(|m| m.start() == 0))
            }
            _ => Err(unknown(name)),
        }
    }

    fn is_defined(&self, subject: &Py) -> bool {
        match subject {
            Py::Undefined(_) | Py::Void => false,
            Py::SaltModule(module) => self.world.has_module(module),
            Py::Call(call) => match &**call {
                Callable::Function(name) => self.world.has(name),
                _ => true,
            },
            _ => true,
        }
    }
}

/// The tests that are neither of a type nor a comparison.
const MORE: &[&str] = &[
    "defined",
    "undefined",
    "filter",
    "test",
    "odd",
    "even",
    "divisibleby",
    "lower",
    "upper",
    "sameas",
    "match",
];

/// The tests of a type, and the comparisons that have a name: those that a misspelt one may mean.
const OTHERS: &[&str] = &[
    "boolean",
    "callable",
    "eq",
    "equalto",
    "escaped",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "list",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "sequence",
    "string",
    "true",
];

/// The error of a test that there is not.
pub(super) fn unknown(name: &str) -> Error {
    let error = Error::new(Fault::Syntax(format!("no test named '{name}'")));
    match did_you_mean(name, MORE.iter().chain(OTHERS).copied()) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// Whether a test of this name exists.
pub(super) fn known(name: &str) -> bool {
    MORE.contains(&name) || comparison(name).is_some() || by_type(name, &Py::None).is_some()
}

fn comparison(name: &str) -> Option<CmpOp> {
    Some(match name {
        "eq" | "equalto" | "==" => CmpOp::Eq,
        "ne" | "!=" => CmpOp::Ne,
        "lt" | "lessthan" | "<" => CmpOp::Lt,
        "le" | "<=" => CmpOp::Le,
        "gt" | "greaterthan" | ">" => CmpOp::Gt,
        "ge" | ">=" => CmpOp::Ge,
        "in" => CmpOp::In,
        _ => return None,
    })
}

fn by_type(name: &str, subject: &Py) -> Option<bool> {
    Some(match name {
        "none" => matches!(subject, Py::None),
        "boolean" => matches!(subject, Py::Bool(_)),
        "true" => matches!(subject, Py::Bool(true)),
        "false" => matches!(subject, Py::Bool(false)),
        "integer" => matches!(subject, Py::Int(_)),
        "float" => matches!(subject, Py::Float(_)),
        "number" => matches!(subject, Py::Bool(_) | Py::Int(_) | Py::Float(_)),
        "string" => matches!(subject, Py::Str(_)),
        "mapping" => matches!(subject, Py::Dict(_)),
        "list" => matches!(subject, Py::List(_)),
        "sequence" => {
            matches!(
                subject,
                Py::Str(_) | Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::Range(..) | Py::Bytes(_)
            )
        }
        "iterable" if !matches!(subject, Py::Undefined(_)) => subject.is_iterable(),
        "callable" => matches!(subject, Py::Call(_) | Py::Joiner(_) | Py::Undefined(_) | Py::Void),
        "escaped" => false,
        _ => return None,
    })
}

fn remainder(subject: &Py, by: &Py) -> Res<Py> {
    ops::binary(super::ast::BinOp::Mod, subject, by)
}

fn is_cased(text: &str, wrong: fn(char) -> bool) -> bool {
    text.chars().any(char::is_alphabetic) && !text.chars().any(wrong)
}

/// Python's `is`.
fn same(a: &Py, b: &Py) -> bool {
    match (a, b) {
        (Py::List(a), Py::List(b)) => Rc::ptr_eq(a, b),
        (Py::Dict(a), Py::Dict(b)) => Rc::ptr_eq(a, b),
        (Py::Tuple(a), Py::Tuple(b)) => Rc::ptr_eq(a, b),
        (a, b) => a.type_name() == b.type_name() && a.equals(b),
    }
}

#[cfg(test)]
mod tests {
    use super::{OTHERS, known};

    #[test]
    fn every_test_that_is_proposed_exists() {
        assert!(OTHERS.iter().all(|name| known(name)));
    }
}
