//! Targets that name a path into grains or pillar, and what is to be found there.

use std::cell::Cell;

use super::{DELIMITER, at_start};
use crate::functions::traverse;
use crate::jinja::{Dict, Py, text};
use crate::python::glob::fnmatch;

/// How what is found is compared; never by the case of its letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Glob,
    Regex,
    Exact,
}

/// Comparisons of one target: enough for every honest one, and an end for those that multiply.
const MAX_STEPS: usize = 20_000;
/// Mappings inside mappings.
const MAX_DEPTH: usize = 100;

/// `path:to:key:pattern`: every way of cutting it into path and pattern is tried, the longest path first.
///
/// # Errors
/// It takes too many comparisons.
pub(super) fn matches(data: &Py, target: &str, delimiter: &str, pattern: Pattern) -> Result<bool, String> {
    Search { pattern, steps: Cell::new(0) }.below(data, target, delimiter, 0)
}

struct Search {
    pattern: Pattern,
    steps: Cell<usize>,
}

impl Search {
    fn step(&self, depth: usize) -> Result<(), String> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS || depth > MAX_DEPTH {
            return Err("the target asks for too many comparisons".to_owned());
        }
        Ok(())
    }

    fn below(&self, data: &Py, target: &str, delimiter: &str, depth: usize) -> Result<bool, String> {
        self.step(depth)?;
        let parts: Vec<&str> = target.split(delimiter).collect();
        for cut in (1..parts.len()).rev() {
            let path = parts[..cut].join(delimiter);
            // A path that is `*` alone means everything below the top.
            let (found, wanted) = match path.as_str() {
                "*" => (Some(data.clone()), target.to_owned()),
                _ => (traverse(data, &path, delimiter), parts[cut..].join(delimiter)),
            };
            if let Some(found) = found
                && self.value(&found, &wanted, depth)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn value(&self, value: &Py, wanted: &str, depth: usize) -> Result<bool, String> {
        match value {
            Py::Dict(d) => Ok(!d.borrow().is_empty() && self.mapping(value, &d.borrow(), wanted, depth + 1)?),
            Py::List(items) => {
                for item in items.borrow().iter() {
                    let inside = match item {
                        Py::Dict(d) => self.mapping(item, &d.borrow(), wanted, depth + 1)?,
                        _ => false,
                    };
                    if inside || self.plain(item, wanted)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            value => self.plain(value, wanted),
        }
    }

    /// A key of the mapping, or something further down; behind `*:`, a value of it at any depth.
    fn mapping(&self, whole: &Py, dict: &Dict, wanted: &str, depth: usize) -> Result<bool, String> {
        self.step(depth)?;
        let (wanted, anywhere) = wanted.strip_prefix("*:").map_or((wanted, false), |rest| (rest, true));
        if wanted == "*" || dict.get(wanted).is_some() {
            return Ok(true);
        }
        for key in dict.keys() {
            if self.plain(key.value(), wanted)? {
                return Ok(true);
            }
        }
        if self.below(whole, wanted, DELIMITER, depth + 1)? {
            return Ok(true);
        }
        for value in dict.values().filter(|_| anywhere) {
            let found = match value {
                Py::Dict(inner) => self.mapping(value, &inner.borrow(), wanted, depth + 1)?,
                Py::List(items) => self.any(&items.borrow(), wanted)?,
                value => self.plain(value, wanted)?,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn any(&self, items: &[Py], wanted: &str) -> Result<bool, String> {
        for item in items {
            if self.plain(item, wanted)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn plain(&self, value: &Py, wanted: &str) -> Result<bool, String> {
        self.step(0)?;
        let (value, wanted) = (text(value).to_lowercase(), wanted.to_lowercase());
        Ok(match self.pattern {
            Pattern::Glob => fnmatch(&value, &wanted),
            // An expression that is none fits nothing: Salt logs it and goes on.
            Pattern::Regex => at_start(&wanted, &value).unwrap_or(false),
            Pattern::Exact => value == wanted,
        })
    }
}
