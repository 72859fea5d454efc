//! What a converge says: a line for each step that is worth one, and how it ended.
// Effects: the clock.
#![allow(clippy::disallowed_methods)]

use super::put_back::Approve;
use super::{FailedStep, Instance, Summary};
use crate::run::board::epoch;
use crate::run::console::say;
use crate::run::phase::short;
use crate::run::running::Running;
use crate::run::server::Beside;
use crate::run::status::Step;
use mayfly_states::engine::Observer;
use mayfly_states::low::{Chunk, LowState};
use mayfly_states::report::{Outcome, Report, StepReport};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether a step takes long.
const LOOK: Duration = Duration::from_secs(1);

/// Fills the summary; gives the reason when a step failed.
pub(super) fn describe(report: &Report, summary: &mut Summary) -> Option<String> {
    summary.steps = report.steps.len();
    summary.changed = report.changed();
    summary.failed = report.failed().map(failed_step).collect();
    if let Some(stopped) = &report.stopped {
        return Some(stopped.clone());
    }
    let first = summary.failed.first()?;
    let more = summary.failed.len() - 1;
    let more =
        if more == 0 { String::new() } else { format!(" (and {more} more of {} steps)", summary.steps) };
    Some(format!("{}: {} {}: {}{more}", first.origin, first.function, first.name, first.comment))
}

fn failed_step(step: &StepReport) -> FailedStep {
    FailedStep {
        function: function_of(step),
        id: step.id.clone(),
        name: step.name.clone(),
        origin: step.origin.to_string(),
        comment: step.comment.clone(),
    }
}

/// `state.fun` out of a tag `state_|-id_|-name_|-fun`.
pub(super) fn function_of(step: &StepReport) -> String {
    let mut parts = step.tag.split("_|-");
    let (state, fun) = (parts.next().unwrap_or(""), parts.last().unwrap_or(""));
    format!("{state}.{fun}")
}

pub(super) fn ready_line(summary: &Summary, uptime: f64) -> String {
    format!(
        "ready {} in {:.3}s ({:.3}s since start): {} steps, {} changed",
        short(&summary.commit),
        summary.duration_ms / 1000.0,
        uptime,
        summary.steps,
        summary.changed
    )
}

/// One line: the first error's. What else there is to say is on `/ready`.
pub(super) fn failed_line(reason: &str) -> String {
    format!("failed: {}", reason.lines().next().unwrap_or_default())
}

/// A line for every step that changed something, failed or takes long; and what a step keeps is as it should be from its end
/// on.
pub(super) struct Announce<'a> {
    approve: Approve<'a>,
    running: Arc<Running>,
    _tells: Beside,
}

impl<'a> Announce<'a> {
    /// For the steps of `low`.
    pub(super) fn new(instance: &Instance<'_>, low: &LowState, approve: Approve<'a>) -> Self {
        let running = instance.resident.board.running().clone();
        running.start(&low.lines);
        let _tells = instance.resident.server.beside(tell_of_long_ones(running.clone()));
        Self { approve, running, _tells }
    }
}

impl Drop for Announce<'_> {
    fn drop(&mut self) {
        self.running.start(&Default::default());
    }
}

/// A step that hangs is seen while it does.
async fn tell_of_long_ones(running: Arc<Running>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let running = running.clone();
        let overdue = running.overdue(Instant::now());
        if !overdue.is_empty() {
            // A console may be slow, and the endpoints answer all the same.
            let _ = tokio::task::spawn_blocking(move || {
                overdue.iter().for_each(|(step, mark)| say(format!("{} is running for {mark}", place(step))));
            })
            .await;
        }
    }
}

fn place(step: &Step) -> String {
    let Step { index, total, function, name, origin, .. } = step;
    format!("[{index}/{total}] {function} {name} ({origin})")
}

impl Observer for Announce<'_> {
    fn on_step_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
        let step = Step {
            index: n + 1,
            total,
            function: format!("{}.{}", chunk.state, chunk.fun),
            name: chunk.name.clone(),
            origin: String::new(),
            since: epoch(),
            beside: 0,
        };
        self.running.begin(step, &chunk.origin, Instant::now());
    }

    fn on_step_end(&mut self, step: &StepReport, total: usize) {
        self.running.end(step.run_num + 1);
        self.approve.step(step);
        let place =
            format!("[{}/{total}] {} {} ({})", step.run_num + 1, function_of(step), step.name, step.origin);
        match step.outcome {
            Outcome::Failed => say(format!("{place} failed: {}", step.comment)),
            _ if !step.changes.is_empty() => say(format!("{place} changed")),
            _ => {}
        }
        for warning in &step.warnings {
            say(format!("{place} warning: {warning}"));
        }
    }
}
