//! A compile that is kept: the low state of the last one, used again when nothing that it has looked at is different.
//!
//! While a compile runs, [`witness`] takes down each question to the tree and its answer; whatever else it looks at (the machine,
//! the clock) makes it one that is not kept. [`key`] is what the compile was given. A kept compile stands for a new one when the
//! key is the same, and the same questions have the same answers: they are all asked again, and files are read, not believed by
//! their times. [`form`] is how it is written, [`place`] where.
//!
//! Whatever is wrong with what was kept, it is passed over and replaced; whatever hinders keeping, the compile is there.

pub(crate) mod form;
mod key;
mod place;
mod witness;

use std::path::PathBuf;

use crate::compile;
use crate::error::Errors;
use crate::low::LowState;
use crate::minion::Minion;
use crate::modules::Registry;
use crate::session::{Functions, Session};
use crate::tree::Tree;

use key::Key;
pub(crate) use key::MOVING_GRAINS;
pub(crate) use witness::{Answer, Question, Record, during, read, record, volatile};

/// Where one compile is kept: a file in a directory of its own, which only its owner can look into (pillar is in it).
#[derive(Debug, Clone)]
pub struct Keeper {
    file: PathBuf,
    write: bool,
}

/// Where a low state is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From what was kept.
    Kept,
    /// Compiled now, and kept.
    Fresh,
    /// Compiled now, and not kept: it looked at more than the tree, or nothing was to be written, or could be.
    Passing,
}

impl Keeper {
    /// Keeps in this file; its directory is made when it is missing.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), write: true }
    }

    /// Uses what is kept, and writes nothing.
    #[must_use]
    pub fn only_reading(self) -> Self {
        Self { write: false, ..self }
    }

    /// The low state of these SLS names, or of the top file when there are none: what [`compile::sls`] or
    /// [`compile::highstate`] would give for the states of this engine.
    ///
    /// # Errors
    /// As [`compile::highstate`].
    pub fn compile(
        &self,
        tree: &Tree,
        minion: &Minion,
        functions: &dyn Functions,
        names: &[String],
    ) -> Result<(LowState, Source), Errors> {
        let key = Key::new(tree, minion, functions, names);
        if let Some(low) = key.as_ref().and_then(|key| self.kept(key)) {
            return Ok((low, Source::Kept));
        }
        let session = Session { tree, minion, functions, states: &Registry };
        let compiled = compile::witnessed(&session, names);
        if self.write && !matches!(&compiled, Ok((_, Some(_)))) {
            // It will not be used again, and the pillar in it may have been changed because it was known.
            place::remove(&self.file);
        }
        let (low, seen) = compiled?;
        let seen = seen.filter(|_| self.write);
        let written = key.zip(seen).and_then(|(key, seen)| form::encoded(&key, &seen, &low));
        let source = match written.is_some_and(|bytes| place::write(&self.file, &bytes).is_some()) {
            true => Source::Fresh,
            false => Source::Passing,
        };
        Ok((low, source))
    }

    /// Takes away what is kept.
    pub fn forget(&self) {
        place::remove(&self.file);
    }

    /// What is kept, where a compile would give the same.
    fn kept(&self, key: &Key) -> Option<LowState> {
        let bytes = place::read(&self.file)?;
        let (seen, low) = form::opened(&bytes, key)?;
        if seen.holds() { form::low(low) } else { None }
    }
}

#[cfg(test)]
mod tests;
