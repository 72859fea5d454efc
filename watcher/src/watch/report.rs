//! What a watcher tells of itself, as data for `/status`.

use serde::Serialize;
use std::path::PathBuf;

/// Everything at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Every rule, by name.
    pub rules: Vec<RuleStatus>,
    /// Kernel watches in use.
    pub watches: usize,
    /// How often everything was looked at, for what makes no event.
    pub looks: u64,
    /// How often the kernel threw events away, so that everything was looked at.
    pub overflows: u64,
    /// Why some paths are polled instead of watched.
    pub degraded: Option<String>,
    /// Whether actions are held.
    pub paused: bool,
}

/// One rule at one moment. Times are seconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleStatus {
    /// The rule.
    pub rule: String,
    /// Its service.
    pub service: String,
    /// `quiet`, `pending`, `checking`, `acting`, `refused` (the change failed and is tried again), `held` (the rate allows it
    /// later), `edited` (an edit is to be put back first).
    pub state: &'static str,
    /// How many files its paths stand for now.
    pub files: usize,
    /// Its paths stand for more than can be watched.
    pub truncated: bool,
    /// Looked at now and then, since the kernel had no watch left.
    pub polled: bool,
    /// Counters since the rule was set.
    pub changes: u64,
    /// Actions that succeeded.
    pub actions: u64,
    /// Checks that failed.
    pub check_failures: u64,
    /// Actions that failed.
    pub action_failures: u64,
    /// When content last changed.
    pub last_change: Option<f64>,
    /// The first path of that change.
    pub last_path: Option<PathBuf>,
    /// When the action was last carried out.
    pub last_action: Option<f64>,
    /// Until when the rate holds the change.
    pub held_until: Option<f64>,
    /// Kept paths that somebody else than their keeper has changed.
    pub edited: Vec<PathBuf>,
    /// The failure that came last; it stands as long as `state` is `refused`.
    pub last_failure: Option<Failure>,
}

/// A failed check or action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// When, in seconds since the epoch.
    pub at: f64,
    /// `check` or `action`.
    pub what: &'static str,
    /// The last words.
    pub reason: String,
    /// Whether it still stands: nothing newer has succeeded.
    pub standing: bool,
}
