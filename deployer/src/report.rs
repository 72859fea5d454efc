//! Sinks of events: bars on a terminal, plain lines elsewhere, or one JSON object a line.

use crate::clean;
use crate::run::{Event, Sink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How results and progress are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// Lines for /etc/hosts, of `inventory`.
    Hosts,
    /// Server lines for HAProxy, of `inventory`.
    Haproxy,
    /// What Ansible expects of an inventory script, of `inventory`.
    Ansible,
}

/// The sink for this output, on this terminal or none.
#[must_use]
pub fn sink(output: Output) -> Box<dyn Sink> {
    match output {
        Output::Json => Box::new(JsonLines),
        _ if io::stderr().is_terminal() => Box::new(Bars::new()),
        _ => Box::new(Lines),
    }
}

/// One event a line on standard output.
struct JsonLines;

impl Sink for JsonLines {
    fn event(&self, event: &Event) {
        let mut stdout = io::stdout().lock();
        // A reader that hung up must not end a deployment half-way.
        let _ = serde_json::to_writer(&mut stdout, event)
            .map(|()| stdout.write_all(b"\n").and_then(|()| stdout.flush()));
    }
}

/// Plain lines on standard error.
struct Lines;

impl Sink for Lines {
    fn event(&self, event: &Event) {
        let mut stderr = io::stderr().lock();
        for line in lines(event) {
            let _ = writeln!(stderr, "{line}");
        }
    }
}

/// A spinner for the step that runs; what is over stays above it.
struct Bars {
    bar: ProgressBar,
    step: Mutex<String>,
    colour: bool,
}

impl Bars {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let template =
            if colour { "{spinner:.cyan} {msg} ({elapsed})" } else { "{spinner} {msg} ({elapsed})" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, step: Mutex::default(), colour }
    }

    fn paint(&self, line: &str, event: &Event) -> String {
        let code = match event {
            Event::StepDone { .. } => "32",
            Event::StepFailed { .. } => "31",
            Event::Undoing { .. } => "33",
            _ => return line.to_owned(),
        };
        if self.colour { format!("\x1b[{code}m{line}\x1b[0m") } else { line.to_owned() }
    }
}

impl Sink for Bars {
    fn event(&self, event: &Event) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepStarted { what, .. } => {
                step.clone_from(what);
                self.bar.reset_elapsed();
                self.bar.enable_steady_tick(Duration::from_millis(120));
                self.bar.set_message(step.clone());
                return;
            }
            Event::Waiting { done, total, evidence, .. } => {
                self.bar.set_message(clean::line(&format!("{step}: {done}/{total} {}", clip(evidence))));
                return;
            }
            Event::Finished { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        for line in lines(event) {
            self.bar.println(self.paint(&line, event));
        }
    }
}

/// An event in lines for people. Much of it is what others wrote.
fn lines(event: &Event) -> Vec<String> {
    told(event).iter().map(|line| clean::line(line)).collect()
}

fn told(event: &Event) -> Vec<String> {
    match event {
        Event::Planned { text, .. } => text.lines().map(str::to_owned).collect(),
        Event::StepStarted { step, what, .. } => vec![format!("{}: {what}", step.name())],
        Event::Waiting { done, total, evidence, .. } => vec![format!("  {done}/{total} {}", clip(evidence))],
        Event::StepDone { step, seconds, .. } => vec![format!("{}: done in {seconds:.1} s", step.name())],
        Event::StepFailed { step, cause, evidence, .. } => {
            let head = format!("{}: failed: {cause}", step.name());
            std::iter::once(head).chain(evidence.iter().map(|line| format!("  {line}"))).collect()
        }
        Event::Undoing { what } => vec![format!("undo: {what}")],
        Event::Note { text } => vec![format!("note: {text}")],
        Event::Finished { outcome, deployment, cause, left, seconds, .. } => {
            let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            let head = format!("{deployment}: {outcome} after {seconds:.1} s{cause}");
            let left = left.iter().map(|line| format!("  left: {line}"));
            let next = next(outcome).map(|line| format!("  next: {line}"));
            std::iter::once(head).chain(left).chain(next).collect()
        }
    }
}

/// What there is to do after an end that asks for something. What is left says itself how it is finished.
fn next(outcome: &str) -> Option<&'static str> {
    match outcome {
        "canary" | "partial" => Some("`mayfly promote` goes on with the rest, `mayfly abort` takes it back"),
        "rolled-back" => Some(
            "nothing; all is as it was before (`mayfly history` lists this one, `mayfly diff` shows what it brought)",
        ),
        "locked" => Some("wait for it, or `mayfly unlock` once its holder is gone"),
        "refused" => Some("nothing was changed; mend the cause and ask again"),
        _ => None,
    }
}

fn clip(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain("…".chars()).collect()
    }
}
