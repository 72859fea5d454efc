//! What is watched, and what is to happen when it changes.

use std::path::{Path, PathBuf};
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

/// At most so many actions in any time of this length. What comes beyond is held until there is room, and done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub actions: u32,
    /// In how long.
    pub window: Duration,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}s", self.actions, self.window.as_secs_f64())
    }
}

/// What follows when a kept path is changed by somebody else than its keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnEdit {
    /// The rule's action, as for any change.
    #[default]
    Act,
    /// The keeper is told, and nothing is done to the service until it has put the path back.
    Revert,
    /// It is told; the service is left alone.
    Report,
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
    /// How often at most.
    pub rate: Option<Rate>,
    /// What follows when one of `kept` is changed by somebody else.
    pub on_edit: OnEdit,
    /// Files, and directories with all below them, that somebody keeps as they are, who says so by
    /// [`crate::Watcher::approve`] whenever that is done.
    pub kept: Vec<PathBuf>,
}

impl Default for Rule {
    /// Restarts, 200 ms after the last event: writes a tenth of a second apart are one change.
    fn default() -> Self {
        Self {
            name: String::new(),
            paths: Vec::new(),
            service: String::new(),
            action: Action::Restart,
            debounce: Duration::from_millis(200),
            check: None,
            rate: None,
            on_edit: OnEdit::Act,
            kept: Vec::new(),
        }
    }
}

impl Rule {
    /// Whether the path is one that somebody keeps, and whose edits are more than a change to act on.
    pub(crate) fn guards(&self, path: &Path) -> bool {
        self.on_edit != OnEdit::Act && self.kept.iter().any(|kept| path.starts_with(kept))
    }
}
