//! What happens during a run, as data; sinks turn it into lines, bars or JSON.

use crate::plan::Action;
use serde::Serialize;

/// One event. `--output json` prints each as one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The plan that is run.
    Planned {
        /// As `mayfly plan --output json` shows it.
        plan: serde_json::Value,
        /// As `mayfly plan` shows it.
        #[serde(skip)]
        text: String,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: Action,
        /// In which wave, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        wave: Option<u32>,
        /// What it does.
        what: String,
    },
    /// A wait saw something new.
    Waiting {
        /// What is waited for.
        what: String,
        /// How many are there.
        done: usize,
        /// How many are needed.
        total: usize,
        /// What was seen last.
        evidence: String,
    },
    /// A step ended well.
    StepDone {
        /// Which.
        step: Action,
        /// In which wave, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        wave: Option<u32>,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// A step failed; undoing follows.
    StepFailed {
        /// Which.
        step: Action,
        /// In which wave, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        wave: Option<u32>,
        /// Why.
        cause: String,
        /// What was seen: last answers, reason codes, console lines.
        evidence: Vec<String>,
    },
    /// Something is undone.
    Undoing {
        /// What is done about it.
        what: String,
    },
    /// Something a reader should know.
    Note {
        /// It.
        text: String,
    },
    /// The end.
    Finished {
        /// `done`, `partial`, `canary`, `rolled-back`, `dirty`, `locked`, `refused`.
        outcome: String,
        /// The deployment.
        deployment: String,
        /// The instances that this deployment launched and that live.
        instances: Vec<String>,
        /// Why, unless it is done.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        /// What is left to be cleaned up.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
        /// How long all of it took, in seconds.
        seconds: f64,
    },
}

/// Where events go. Called from many tasks; never blocks for long.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Sink for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}
