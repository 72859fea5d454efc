//! Kept files that were edited by hand and are to be put back: who noted them, and the steps that keep them. The watcher
//! knows nothing of states, and says only which paths are not as they were left.

use super::server::Asked;
use super::watches::place;
use mayfly_states::low::LowState;
use mayfly_states::watches::keeps;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

/// Paths that wait to be put back.
pub(crate) struct Edits {
    waiting: Mutex<BTreeSet<PathBuf>>,
    tell: Sender<Asked>,
}

impl Edits {
    /// None yet; the main thread is told by `tell`.
    pub(crate) fn new(tell: Sender<Asked>) -> Self {
        Self { waiting: Mutex::default(), tell }
    }

    /// Note them, and wake the main thread.
    pub(crate) fn note(&self, paths: &[PathBuf]) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(paths.iter().cloned());
        let _ = self.tell.send(Asked::Edited);
    }

    /// Take all that wait.
    pub(crate) fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
            .into_iter()
            .collect()
    }
}

/// The steps that keep these paths, and nothing else. What gathers text for them comes along.
pub(crate) fn steps(low: &LowState, paths: &[PathBuf], root: &Path) -> LowState {
    low.alone(|chunk| {
        let gathers = chunk.state == "file" && chunk.fun == "accumulated";
        gathers || (keeps(chunk) && paths.iter().any(|path| path.starts_with(place(root, chunk))))
    })
}
