//! Hears the watcher: its events go to the console and on the board, and what commands said loses what was decrypted first.

use super::put_back::listed;
use super::words::{self, Now};
use crate::run::Resident;
use crate::run::board::{Board, epoch};
use crate::run::console::say;
use crate::run::revert::Edits;
use crate::run::status::Restart;
use mayfly_states::secrets::{HIDDEN, Secrets};
use mayfly_watcher::Listener;
use mayfly_watcher::rule::Action;
use mayfly_watcher::watch::Event;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(super) struct Hearer {
    pub(super) board: Arc<Board>,
    edits: Arc<Edits>,
    /// Of all trees so far: a rule of the last one may still be told of. Before the first tree nobody knows them, and a
    /// service that outlived the program before us may say one all the same.
    secrets: Mutex<Option<Secrets>>,
}

impl Hearer {
    pub(super) fn new(resident: &Resident) -> Self {
        Self { board: resident.board.clone(), edits: resident.edits.clone(), secrets: Mutex::default() }
    }

    /// From now on these are hidden too.
    pub(super) fn hides(&self, secrets: &Secrets) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().join(secrets);
    }

    pub(super) fn without_secrets(&self, text: &str) -> String {
        match &*self.secrets.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(secrets) => secrets.hide(text).into_owned(),
            None => HIDDEN.to_owned(),
        }
    }
}

impl Listener<Event> for Hearer {
    fn event(&self, event: &Event) {
        self.heard(event);
    }

    fn hide(&self, text: &str) -> String {
        self.without_secrets(text)
    }
}

impl Hearer {
    fn heard(&self, event: &Event) {
        match event {
            Event::Restarted { service, path, action, .. } => self.acted(action, service, path),
            Event::CheckFailed { service, path, reason, .. } => {
                say(words::refused(service, path, reason));
                self.board.note(|status| status.totals.checks_failed += 1);
            }
            Event::ActionFailed { service, path, action, reason, .. } => {
                let now = self.now(service);
                say(words::failed(action, service, path, &self.without_secrets(reason), &now));
                self.board.note(|status| status.totals.actions_failed += 1);
            }
            Event::Held { service, rule, path, wait } => {
                say(words::held(service, rule, path, wait.as_secs_f64()));
            }
            Event::Edited { service, paths, revert: false, .. } => {
                say(words::edited(service, &listed(paths)));
            }
            Event::Edited { paths, revert: true, .. } => {
                say(format!("{} edited by hand, to be put back", listed(paths)));
                self.edits.note(paths);
            }
            Event::Degraded { reason } => say(format!("watching: {reason}")),
        }
    }

    fn acted(&self, action: &Action, service: &str, path: &Path) {
        say(self.without_secrets(&words::acted(action, service, path)));
        let (at, service, cause) = (epoch(), service.to_owned(), path.display().to_string());
        let action = self.without_secrets(&action.to_string());
        self.board.note(|status| {
            status.totals.watch_restarts += 1;
            status.add_restart(Restart { at, service, action, cause, times: None });
        });
    }

    fn now(&self, service: &str) -> Now {
        let seen = self.board.look_at(service).filter(|_| !service.is_empty());
        match seen {
            Some(seen) if seen.state == "running" => Now::Runs,
            Some(seen) if seen.state == "stopped" => Now::Down(seen.next_try.map(|at| at - epoch())),
            _ => Now::Unknown,
        }
    }
}
