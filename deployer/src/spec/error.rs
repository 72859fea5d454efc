//! What can be wrong with a spec, and the words for it: `file:line:column: what; what to do`.

use super::node::At;
use std::fmt;

/// A spec that cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The file as the user named it, or the flag.
    pub file: String,
    /// The place, where there is one.
    pub at: Option<At>,
    /// What is wrong there.
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(String),
    /// It is no YAML.
    #[error("{0}")]
    Malformed(String),
    /// A key that means nothing here.
    #[error("unknown key `{key}`{}", suggestion(.nearest, .known))]
    UnknownKey {
        /// The key as written, with its path.
        key: String,
        /// The valid key most like it.
        nearest: Option<String>,
        /// All keys that are valid there.
        known: Vec<String>,
    },
    /// A key that must be there.
    #[error("`{0}` is missing; docs/spec.md shows what it takes")]
    Missing(String),
    /// A value of the wrong kind.
    #[error("`{key}` must be {wanted}, but is {found}")]
    Kind {
        /// The key, with its path.
        key: String,
        /// What is needed.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A value of the right kind that cannot be.
    #[error("`{key}`: {why}")]
    Value {
        /// The key, with its path.
        key: String,
        /// Why not.
        why: String,
    },
    /// An environment that the spec does not list.
    #[error("there is no environment `{name}`{}", suggestion(.nearest, .known))]
    UnknownEnvironment {
        /// As asked for.
        name: String,
        /// The listed one most like it.
        nearest: Option<String>,
        /// All that are listed.
        known: Vec<String>,
    },
}

fn suggestion(nearest: &Option<String>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; valid here: {}", known.join(", ")),
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(At { line, column }) => write!(f, "{}:{line}:{column}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

impl std::error::Error for SpecError {}

/// The candidate most like `word`, if any is like enough to be a slip of the fingers.
#[must_use]
pub fn nearest(word: &str, candidates: &[&str]) -> Option<String> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
