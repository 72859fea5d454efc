//! Drift: now and then the tree that is applied is walked once more without changing anything, and what it would change is told.
// Effects: the clock, and everything that a dry run looks at.
#![allow(clippy::disallowed_methods)]

use super::{Instance, function_of};
use crate::fetch::Link;
use crate::run::Stopped;
use crate::run::board::epoch;
use crate::run::console::say;
use crate::run::phase::{Phase, short};
use crate::run::status::{Drift, Drifted};
use mayfly_states::engine::{Options, Silent};
use mayfly_states::low::{Chunk, LowState};
use mayfly_states::report::{Outcome, Report, StepReport};
use std::collections::HashMap;
use std::time::Instant;

/// Steps that are named; all are counted.
const NAMED: usize = 50;
/// What keeps a command from being run each time.
const CONDITIONS: [&str; 7] =
    ["onlyif", "unless", "creates", "onchanges", "onchanges_any", "watch", "watch_any"];

impl Instance<'_> {
    /// When drift is looked for next.
    pub(super) fn next_drift(&self) -> Option<Instant> {
        let now = chrono::Utc::now();
        let next = self.user.drift.next(now, self.splay)?;
        Some(Instant::now() + (next - now).to_std().unwrap_or_default())
    }

    /// Looks for drift when it is time, unless there is something to mend already.
    pub(in crate::run) fn look_for_drift(&mut self) -> Result<(), Stopped> {
        if self.drift_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.drift_at = self.next_drift();
        let Phase::Ready { commit } = self.resident.board.phase() else { return Ok(()) };
        let _lock = self.lock()?;
        let checked = epoch();
        let seen = match self.rehearsed(&commit) {
            Ok((low, report)) => found(&low, &report, checked),
            Err(error) => Drift { checked, error: Some(error), ..Drift::default() },
        };
        if self.resident.cancel.is_set() {
            return Err(Stopped);
        }
        self.tell(&commit, &seen);
        self.resident.board.note(|status| status.drift = Some(seen));
        Ok(())
    }

    /// A dry run of what is applied.
    fn rehearsed(&self, commit: &str) -> Result<(LowState, Report), String> {
        let current = self.trees.kept(Link::Current).filter(|kept| kept.commit == commit);
        let converge = self.prepared(&current.ok_or("its tree is not there any more")?);
        let keeper = crate::converge::keeper(self.resident.root(), "run").only_reading();
        let low = converge.compile(&[], &keeper).map_err(|errors| errors.to_string())?;
        let report = converge.apply(&low, Options { test: true, ..Options::default() }, &mut Silent);
        Ok((low, report))
    }

    /// One line where it is another than the last time.
    fn tell(&self, commit: &str, seen: &Drift) {
        let before = self.resident.board.snapshot().drift.map_or(0, |drift| drift.count);
        match (&seen.error, seen.states.first()) {
            (Some(error), _) => say(format!("drift: cannot be looked for: {error}")),
            (None, Some(first)) if seen.count != before => {
                let more = seen.count - 1;
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                say(format!("drift: {} {} ({}){more}", first.function, first.name, first.origin));
            }
            (None, None) if before > 0 => say(format!("drift: none any more, as {} says", short(commit))),
            _ => {}
        }
    }
}

/// What of a dry run is drift: steps that would change something, or cannot be looked at.
fn found(low: &LowState, report: &Report, checked: f64) -> Drift {
    let chunks: HashMap<String, &Chunk> = low.chunks.iter().map(|chunk| (chunk.tag(), chunk)).collect();
    let always = |step: &StepReport| chunks.get(&step.tag).is_some_and(|chunk| runs_always(chunk));
    let would = report.steps.iter().filter(|s| s.outcome == Outcome::WouldChange && !always(s));
    let states: Vec<Drifted> = would.map(drifted).collect();
    Drift {
        checked,
        count: states.len(),
        failed: report.failed().count(),
        error: report.stopped.clone(),
        states: states.into_iter().take(NAMED).collect(),
    }
}

/// A command that nothing keeps from running is run by every converge: that it would be is no drift.
fn runs_always(chunk: &Chunk) -> bool {
    let is_command = matches!(chunk.state.as_str(), "cmd" | "module" | "test" | "http");
    is_command && !CONDITIONS.iter().any(|key| chunk.arg(key).is_some())
}

fn drifted(step: &StepReport) -> Drifted {
    Drifted {
        function: function_of(step),
        id: step.id.clone(),
        name: step.name.clone(),
        origin: step.origin.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_states::value::Value;

    #[test]
    fn a_command_without_a_condition_is_no_drift() {
        let chunk = |state: &str, keys: &[&str]| Chunk {
            state: state.to_owned(),
            args: keys.iter().map(|key| ((*key).to_owned(), Value::Bool(true))).collect(),
            ..Chunk::default()
        };
        assert!(runs_always(&chunk("cmd", &["cwd"])));
        assert!(!runs_always(&chunk("cmd", &["unless"])));
        assert!(!runs_always(&chunk("file", &[])));
    }
}
