//! What the engine tells: events to the listener, and where everything stands to whoever asks.

// Effects: reads the clock.
#![allow(clippy::disallowed_methods)]

use super::super::Event;
use super::super::board::{Act, Edit, Held, Job};
use super::super::entry::State;
use super::super::report::{Failure, Snapshot};
use super::Engine;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

impl Engine {
    /// Tell once when a limit is reached, and forget it when it is over.
    pub(super) fn tell_degraded(&mut self) {
        let reason = self.arms.limited.clone().filter(|_| self.is_polling());
        if let Some(reason) = reason.clone().filter(|_| self.degraded.is_none()) {
            self.listener.event(&Event::Degraded { reason });
        }
        self.degraded = reason;
    }

    /// Kept paths were edited.
    pub(super) fn tell_edits(&mut self, edits: Vec<Edit>) {
        if !edits.is_empty() {
            self.show();
        }
        for Edit { service, rule, paths, revert } in edits {
            self.listener.event(&Event::Edited { service, rule, paths, revert });
        }
    }

    /// Changes are held by their rules' rates.
    pub(super) fn tell_held(&mut self, held: Vec<Held>) {
        if !held.is_empty() {
            self.show();
        }
        let now = self.now();
        for Held { service, member, until } in held {
            let wait = until.saturating_sub(now);
            self.listener.event(&Event::Held { service, rule: member.rule, path: member.path, wait });
        }
    }

    /// A job begins.
    pub(super) fn note_changes(&mut self, job: &Job) {
        let at = unix_time();
        for member in job.rules() {
            if let Some(status) = self.ground.get_mut(&member.rule).map(|g| &mut g.status) {
                status.changes += 1;
                status.last_change = Some(at);
                status.last_path = Some(member.path.clone());
            }
        }
    }

    pub(super) fn on_success(&mut self, service: &str, act: &Act) {
        let at = unix_time();
        for member in &act.members {
            let Some(status) = self.ground.get_mut(&member.rule).map(|g| &mut g.status) else { continue };
            status.actions += 1;
            status.last_action = Some(at);
        }
        let Some(first) = act.members.first() else { return };
        // Seen in the status by who is told.
        self.show();
        self.listener.event(&Event::Restarted {
            service: service.to_owned(),
            rule: first.rule.clone(),
            path: first.path.clone(),
            cause: first.cause,
            action: act.action.clone(),
        });
    }

    pub(super) fn on_failure(
        &mut self,
        job: &Job,
        acts: &[&Act],
        what: &'static str,
        reason: String,
        first_time: bool,
    ) {
        let failure = Failure { at: unix_time(), what, reason: reason.clone(), standing: true };
        for member in acts.iter().flat_map(|act| &act.members) {
            let Some(status) = self.ground.get_mut(&member.rule).map(|g| &mut g.status) else { continue };
            let counter =
                if what == "check" { &mut status.check_failures } else { &mut status.action_failures };
            *counter += 1;
            status.last_failure = Some(failure.clone());
        }
        let Some((act, member)) = acts.first().and_then(|act| Some((act, act.members.first()?))) else {
            return;
        };
        if !first_time {
            return;
        }
        self.show();
        let (service, rule, path) = (job.service.clone(), member.rule.clone(), member.path.clone());
        self.listener.event(&match what {
            "check" => Event::CheckFailed { service, rule, path, reason },
            _ => Event::ActionFailed { service, rule, path, action: act.action.clone(), reason },
        });
    }

    /// Show others where everything stands.
    pub(super) fn show(&mut self) {
        for (name, ground) in &mut self.ground {
            let Some(entry) = self.board.entries.get(name) else { continue };
            ground.status.state = match entry.state {
                State::Quiet => "quiet",
                State::Pending { .. } => "pending",
                State::Checking { .. } => "checking",
                State::Acting { .. } => "acting",
                State::Refused { .. } => "refused",
                State::Held { .. } => "held",
                State::Edited { .. } => "edited",
            };
            ground.status.edited = entry.edited();
            ground.status.held_until = match entry.state {
                State::Held { until } => Some(self.born + until.as_secs_f64()),
                _ => None,
            };
            if let Some(failure) = &mut ground.status.last_failure {
                failure.standing = entry.failing();
            }
        }
        let snapshot = Snapshot {
            rules: self.ground.values().map(|g| g.status.clone()).collect(),
            watches: self.arms.len(),
            looks: self.looks,
            overflows: self.arms.overflows,
            degraded: self.degraded.clone(),
            paused: self.pauses > 0,
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// Seconds since the epoch, for people and programs that read the status.
pub(super) fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
