//! Hears the watcher: its events go to the console and on the board, and what commands said loses what was decrypted first.

use super::put_back::listed;
use crate::run::Resident;
use crate::run::board::{Board, epoch};
use crate::run::console::say;
use crate::run::revert::Edits;
use crate::run::status::Restart;
use mayfly_states::secrets::Secrets;
use mayfly_watcher::watch::{Event, Listener};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(super) struct Hearer {
    board: Arc<Board>,
    edits: Arc<Edits>,
    /// Of all trees so far: a rule of the last one may still be told of.
    secrets: Mutex<Secrets>,
}

impl Hearer {
    pub(super) fn new(resident: &Resident) -> Self {
        Self { board: resident.board.clone(), edits: resident.edits.clone(), secrets: Mutex::default() }
    }

    /// From now on these are hidden too.
    pub(super) fn hides(&self, secrets: &Secrets) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).join(secrets);
    }
}

impl Listener for Hearer {
    fn event(&self, event: &Event) {
        heard(&self.board, &self.edits, event);
    }

    fn hide(&self, text: &str) -> String {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).hide(text).into_owned()
    }
}

fn heard(board: &Board, edits: &Edits, event: &Event) {
    match event {
        Event::Restarted { service, path, action, .. } => {
            say(format!("{action} {service}: {} changed", path.display()));
            board.note(|status| {
                status.totals.watch_restarts += 1;
                let cause = path.display().to_string();
                status.add_restart(Restart {
                    at: epoch(),
                    service: service.clone(),
                    action: action.to_string(),
                    cause,
                });
            });
        }
        Event::CheckFailed { service, path, reason, .. } => {
            say(format!(
                "{} changed but the check fails, {service} is kept as it runs: {reason}",
                path.display()
            ));
            board.note(|status| status.totals.checks_failed += 1);
        }
        Event::ActionFailed { service, path, reason, .. } => {
            say(format!("{} changed but {service} could not be told: {reason}", path.display()));
        }
        Event::Held { service, path, wait, .. } => {
            let wait = wait.as_secs_f64().ceil();
            say(format!(
                "{} changed, {service} has to wait {wait}s for it by the rule's rate",
                path.display()
            ));
        }
        Event::Edited { service, paths, revert: false, .. } => {
            say(format!("{} edited by hand, {service} is kept as it runs", listed(paths)));
        }
        Event::Edited { paths, revert: true, .. } => {
            say(format!("{} edited by hand, to be put back", listed(paths)));
            edits.note(paths);
        }
        Event::Degraded { reason } => say(format!("watching: {reason}")),
    }
}
