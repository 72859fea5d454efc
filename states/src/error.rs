//! What can be wrong with a tree: every message of the language half, with where it is and what to do.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::low::Origin;

/// What is wrong. The messages are here and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Fault {
    /// The text is no YAML that Salt would load.
    #[error("YAML: {0}")]
    Yaml(String),
    /// The text is no JSON.
    #[error("JSON: {0}")]
    Json(String),
    /// The template does not parse.
    #[error("Jinja syntax: {0}")]
    Syntax(String),
    /// A template used something that is not defined.
    #[error("Jinja: {0}")]
    Undefined(String),
    /// A template failed while it ran (what Python would raise as a `TypeError`, `KeyError`, …).
    #[error("Jinja: {0}")]
    Runtime(String),
    /// A template called a function that is not known.
    #[error("unknown function `{0}` in a template")]
    UnknownFunction(String),
    /// A template called a function that Salt has and this program has not.
    #[error("function `{0}` of Salt is not supported in templates here")]
    UnsupportedFunction(String),
    /// A function that a template called failed.
    #[error("function `{name}` failed: {cause}")]
    Function {
        /// `module.function`.
        name: String,
        /// Its own words.
        cause: String,
    },
    /// An encrypted value that cannot be opened.
    #[error("cannot decrypt: {0}")]
    Decrypt(String),
    /// A template asked for too much.
    #[error("limit: {0}")]
    Limit(String),
    /// A file that should be there is not.
    #[error("{0}")]
    NotFound(String),
    /// An SLS that was named is not there.
    #[error("{0}")]
    NoSls(String),
    /// A file could not be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The path.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// The renderer named on the first line is not one of ours.
    #[error("renderer `{0}` is not supported")]
    Renderer(String),
    /// The top file has a shape that Salt refuses.
    #[error("top file: {0}")]
    Top(String),
    /// A pillar file has a shape that Salt refuses.
    #[error("pillar: {0}")]
    Pillar(String),
    /// A state file has a shape that Salt refuses.
    #[error("{0}")]
    High(String),
    /// A state function that does not exist.
    #[error("unknown state function `{0}`")]
    UnknownState(String),
    /// A requisite that points at nothing.
    #[error("{0}")]
    Requisite(String),
    /// Requisites that wait for each other.
    #[error("requisites form a cycle: {0}")]
    Cycle(String),
}

impl Fault {
    /// The words that came from the tree.
    fn words(&mut self) -> Vec<&mut String> {
        match self {
            Fault::Function { name, cause } => vec![name, cause],
            Fault::Read { path, cause } => vec![path, cause],
            Fault::Yaml(s)
            | Fault::Json(s)
            | Fault::Syntax(s)
            | Fault::Undefined(s)
            | Fault::Runtime(s)
            | Fault::UnknownFunction(s)
            | Fault::UnsupportedFunction(s)
            | Fault::Decrypt(s)
            | Fault::Limit(s)
            | Fault::NotFound(s)
            | Fault::NoSls(s)
            | Fault::Renderer(s)
            | Fault::Top(s)
            | Fault::Pillar(s)
            | Fault::High(s)
            | Fault::UnknownState(s)
            | Fault::Requisite(s)
            | Fault::Cycle(s) => vec![s],
        }
    }
}

/// One error: what, where, in which line, through which files, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What is wrong.
    pub fault: Fault,
    /// Where it is, how one came there and what to do.
    pub place: Box<Place>,
}

/// Where an error is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// File, line and column.
    pub origin: Option<Origin>,
    /// The text of the line at `origin`.
    pub line: Option<String>,
    /// The files that led here (include, import, macro call), innermost first.
    pub chain: Vec<(Cow<'static, str>, Origin)>,
    /// What to do about it.
    pub help: Option<String>,
    /// The origin is one of the file as it was written, not of what a template made of it.
    pub(crate) placed: bool,
}

impl Error {
    /// An error without a place yet.
    pub fn new(fault: Fault) -> Self {
        Self { fault, place: Box::default() }
    }

    /// The same error, at a place; an error that has one already keeps it.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.place.origin.get_or_insert(origin);
        self
    }

    /// The same error, with the offending line cut out of the file's text.
    #[must_use]
    pub fn in_text(mut self, text: &str) -> Self {
        if let (None, Some(origin)) = (&self.place.line, &self.place.origin) {
            let line = text.lines().nth(origin.line.saturating_sub(1));
            self.place.line = line.map(|l| l.chars().take(200).collect());
        }
        self
    }

    /// The same error, with advice; the first advice given stays.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.place.help.get_or_insert_with(|| help.into());
        self
    }

    /// The same error, with something to know beside the advice.
    #[must_use]
    pub(crate) fn note(mut self, note: &str) -> Self {
        let help = self.place.help.take();
        self.place.help = Some(help.map_or_else(|| note.to_owned(), |help| format!("{help} ({note})")));
        self
    }

    /// The same error, seen from one file further out.
    #[must_use]
    pub fn through(mut self, how: &'static str, origin: Origin) -> Self {
        if self.place.chain.len() < 32 {
            self.place.chain.push((Cow::Borrowed(how), origin));
        }
        self
    }
}

/// The longest message that is printed, in characters.
const LONGEST: usize = 4000;

/// A text of the tree on one line: it may hold what a terminal would obey, or a line that looks like another's.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        match c {
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(origin) = &self.place.origin {
            write!(f, "{}: ", shown(&origin.to_string()))?;
        }
        write!(f, "{}", shown(&self.fault.to_string()))?;
        if let Some(line) = &self.place.line {
            let line = shown(&line.replace('\t', " "));
            let number = self.place.origin.as_ref().map_or(0, |o| o.line);
            let column = self.place.origin.as_ref().map_or(1, |o| o.column);
            let number = number.to_string();
            write!(f, "\n  {number} | {line}")?;
            let indent = " ".repeat(number.len() + column.saturating_sub(1).min(200));
            write!(f, "\n     {indent}^")?;
        }
        for (how, origin) in &self.place.chain {
            write!(f, "\n  {how} {}", shown(&origin.to_string()))?;
        }
        match &self.place.help {
            Some(help) => write!(f, "\n  help: {}", shown(help)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::new(fault)
    }
}

/// What the stages of a compile find: what is wrong, and what Salt accepts in silence though it is likely a mistake.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Error>,
    pub(crate) warnings: Vec<Error>,
}

/// Errors that one compile collects: those after them mostly follow from them.
pub(crate) const COLLECTED: usize = 100;

impl Findings {
    /// Ends the compile if anything is wrong.
    pub(crate) fn stop(&mut self) -> Result<(), Errors> {
        if self.errors.is_empty() { Ok(()) } else { Err(Errors(std::mem::take(&mut self.errors))) }
    }
}

/// All errors of one compile; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors(pub Vec<Error>);

/// How many errors are printed: those after them mostly follow from them.
const SHOWN: usize = 25;

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, error) in self.0.iter().take(SHOWN).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more errors"),
        }
    }
}

impl std::error::Error for Errors {}

impl Errors {
    /// The same errors without these texts, which are nobody's to read.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        for error in &mut self.0 {
            let place = &mut error.place;
            for text in [&mut place.line, &mut place.help].into_iter().flatten().chain(error.fault.words()) {
                for secret in secrets {
                    if text.contains(secret.as_str()) {
                        *text = text.replace(secret.as_str(), "(hidden)");
                    }
                }
            }
        }
        self
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Errors(vec![error])
    }
}
