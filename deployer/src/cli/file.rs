//! The spec's file.
// Effects: reads it.
#![allow(clippy::disallowed_methods)]

use crate::spec::{Problem, SpecError};
use std::path::Path;

/// Its text, and its name for messages.
pub(super) fn text(file: &Path) -> Result<(String, String), SpecError> {
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => Ok((text, name)),
        Err(error) => {
            Err(SpecError { file: name, at: None, problem: Box::new(Problem::Unreadable(error.to_string())) })
        }
    }
}
