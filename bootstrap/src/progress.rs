//! What is seen of an `apply` while it runs: one line on a terminal, and what failed above it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mayfly_states::engine::Observer;
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, StepReport};
use std::io::IsTerminal;
use std::time::Duration;

/// How often the line is drawn anew while a step takes its time.
const TICK: Duration = Duration::from_millis(250);
const LINE: &str = "[{pos}/{len}] {wide_msg} {elapsed}";

/// The line; hidden where standard error is no terminal. Gone when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A line on standard error.
    pub(crate) fn new() -> Self {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(LINE) {
            bar.set_style(style);
        }
        if shown {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }
}

impl Observer for Progress {
    fn on_step_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
        self.bar.set_length(total.max(n + 1) as u64);
        self.bar.set_message(format!("{}.{} {}", chunk.state, chunk.fun, first_line(&chunk.name)));
    }

    fn on_step_end(&mut self, step: &StepReport, _total: usize) {
        if step.outcome == Outcome::Failed {
            self.bar.println(format!("failed: {} ({})", first_line(&step.name), step.origin));
        }
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A name may be a whole script.
fn first_line(name: &str) -> &str {
    name.lines().next().unwrap_or_default()
}
