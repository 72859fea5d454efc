//! What is watched, and what is to happen when it changes.

use std::path::PathBuf;
use std::time::Duration;

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stop and start the service.
    Restart,
    /// Ask the service to reload.
    Reload,
    /// Send a signal, by name without `SIG` (`HUP`).
    Signal(String),
    /// Run a command (argument vector, no shell).
    Run(Vec<String>),
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Restart => write!(f, "restart"),
            Self::Reload => write!(f, "reload"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Run(argv) => write!(f, "run {}", argv.join(" ")),
        }
    }
}

/// One rule: these paths, that service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique; two sets of rules are compared by it.
    pub name: String,
    /// Absolute paths or globs (`*`, `?`, `[…]`, `{…,…}` within a name, `**` for any depth). A directory stands for
    /// every file below it.
    pub paths: Vec<PathBuf>,
    /// The service to act on.
    pub service: String,
    /// What to do.
    pub action: Action,
    /// How long the paths must be quiet before the action.
    pub debounce: Duration,
    /// A command (argument vector) that must exit 0 first, such as `nginx -t`.
    pub check: Option<Vec<String>>,
}
