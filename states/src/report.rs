//! What a converge did, in the shape of Salt's state returns.

use crate::low::Origin;
use crate::value::Map;

/// A step's outcome (Salt: `true`, `false`, and `null` for "would change" in test mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Ok,
    /// Not as asked.
    Failed,
    /// Test mode: it would change.
    WouldChange,
}

/// One step's return.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// `state_|-id_|-name_|-fun`.
    pub tag: String,
    /// The declaration's id.
    pub id: String,
    /// The name it worked on.
    pub name: String,
    /// The SLS it came from.
    pub sls: String,
    /// Where it was declared.
    pub origin: Origin,
    /// How it ended.
    pub outcome: Outcome,
    /// What changed, as Salt words it; empty when nothing did.
    pub changes: Map,
    /// One line for people.
    pub comment: String,
    /// Position in the run, from 0.
    pub run_num: usize,
    /// Milliseconds.
    pub duration_ms: f64,
    /// Start, as seconds since the epoch.
    pub started: f64,
}

/// A whole converge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// In run order.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Whether no step failed.
    pub fn ok(&self) -> bool {
        self.steps.iter().all(|s| s.outcome != Outcome::Failed)
    }

    /// How many steps changed something.
    pub fn changed(&self) -> usize {
        self.steps.iter().filter(|s| !s.changes.is_empty()).count()
    }
}
