//! Starting again in place, as the program that is on the disk by then: an upgrade that stops no service.
//!
//! The process stays the same, so its children stay its children; the built-in supervisor finds them by its records.
// Effects: executes a program.
#![allow(clippy::disallowed_methods)]

use super::console::say;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether to start again, and as what.
#[derive(Debug, Clone)]
pub(super) struct Again {
    asked: Arc<AtomicBool>,
    /// Resolved while our own file is still there under its name.
    program: Arc<PathBuf>,
}

impl Again {
    /// The program that runs now.
    pub(super) fn here() -> Self {
        let named = || PathBuf::from(std::env::args_os().next().unwrap_or_default());
        let program = std::env::current_exe().unwrap_or_else(|_| named());
        Self { asked: Arc::default(), program: Arc::new(program) }
    }

    /// Start again when all is put down.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Become the program of that name, with our arguments. Returns only when that failed; services run on.
    pub(super) fn execute(&self) -> std::io::Error {
        say(format!("SIGUSR2: starting {} again; services keep running", self.program.display()));
        Command::new(&*self.program).args(std::env::args_os().skip(1)).exec()
    }
}
