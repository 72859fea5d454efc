//! Arguments of calls, and how they are bound to parameters.

use std::rc::Rc;

use super::value::Py;
use crate::error::{Error, Fault};

/// A `Result` of the evaluator.
pub(crate) type Res<T> = Result<T, Error>;

/// Characters of a message: a template may put into one whatever it has.
const MAX_MESSAGE: usize = 1000;

/// A fault while a template runs, in Python's words where it has some.
pub(crate) fn runtime<T>(message: impl Into<String>) -> Res<T> {
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    Err(Error::new(Fault::Runtime(message)))
}

/// Evaluated arguments.
#[derive(Clone, Default)]
pub(crate) struct CallArgs {
    pub(crate) positional: Vec<Py>,
    pub(crate) named: Vec<(Rc<str>, Py)>,
}

impl CallArgs {
    /// Only positional arguments.
    pub(crate) fn of(positional: Vec<Py>) -> Self {
        Self { positional, named: Vec::new() }
    }

    /// The arguments of a function of Python's that takes none by name.
    pub(crate) fn bind_positional<const N: usize>(
        self,
        what: &str,
        names: [&str; N],
    ) -> Res<[Option<Py>; N]> {
        if !self.named.is_empty() {
            return runtime(format!("{what}() takes no keyword arguments"));
        }
        self.bind(what, names)
    }

    /// The arguments in the order of `names`.
    ///
    /// # Errors
    /// An argument too many, or one that is not in `names`.
    pub(crate) fn bind<const N: usize>(self, what: &str, names: [&str; N]) -> Res<[Option<Py>; N]> {
        let mut bound = [const { None }; N];
        let given = self.positional.len();
        if given > N {
            return runtime(format!("{what}() takes at most {N} arguments ({given} given)"));
        }
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let Some(index) = names.iter().position(|n| **n == *name) else {
                return runtime(format!("{what}() got an unexpected keyword argument '{name}'"));
            };
            if bound[index].replace(value).is_some() {
                return runtime(format!("{what}() got multiple values for argument '{name}'"));
            }
        }
        Ok(bound)
    }
}

/// A required argument.
pub(crate) fn required(what: &str, name: &str, value: Option<Py>) -> Res<Py> {
    match value {
        Some(Py::Undefined(message)) => undefined(&message),
        Some(value) => Ok(value),
        None => runtime(format!("{what}() missing required argument: '{name}'")),
    }
}

/// The error of using something undefined.
pub(crate) fn undefined<T>(message: &str) -> Res<T> {
    Err(Error::new(Fault::Undefined(message.to_owned())))
}

/// A required argument that is text.
pub(crate) fn text_arg(what: &str, name: &str, value: Option<Py>) -> Res<Rc<str>> {
    match required(what, name, value)? {
        Py::Str(s) => Ok(s),
        other => runtime(format!("{what}(): argument '{name}' must be str, not {}", other.type_name())),
    }
}

/// An optional argument that is a whole number; `None` is as good as missing.
pub(crate) fn int_arg(what: &str, name: &str, value: Option<Py>) -> Res<Option<i64>> {
    match value {
        None | Some(Py::None) => Ok(None),
        Some(Py::Undefined(message)) => undefined(&message),
        Some(value) => match value.as_int() {
            Some(i) => Ok(Some(i)),
            None => runtime(format!("{what}(): argument '{name}' must be int, not {}", value.type_name())),
        },
    }
}

/// The next element of a generator, or the first one of anything else.
pub(crate) fn first(value: &Py) -> Res<Option<Py>> {
    let Py::Gen(_, once) = value else { return Ok(iterate(value)?.into_iter().next()) };
    let mut once = once.borrow_mut();
    match once.items.pop_front() {
        Some(item) => Ok(Some(item)),
        None => once.failure.take().map_or(Ok(None), Err),
    }
}

/// An optional argument's truth.
pub(crate) fn flag(value: Option<&Py>, default: bool) -> bool {
    value.map_or(default, Py::truth)
}

/// The elements of something that can be iterated over.
pub(crate) fn iterate(value: &Py) -> Res<Vec<Py>> {
    match value {
        Py::Undefined(message) => return undefined(message),
        Py::Gen(_, once) if once.borrow().failure.is_some() => {
            let error = once.borrow_mut().failure.take();
            return error.map_or_else(|| Ok(Vec::new()), Err);
        }
        Py::Str(s) => super::ops::check_pieces(s.len())?,
        Py::Bytes(b) => super::ops::check_pieces(b.len())?,
        _ => {}
    }
    match value.elements() {
        Some(items) => Ok(items),
        None => runtime(format!("'{}' object is not iterable", value.type_name())),
    }
}
