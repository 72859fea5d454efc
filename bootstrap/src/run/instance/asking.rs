//! Asking the remote: the first tree, then what is new at each tick; and when that is.
// Effects: the clock, and everything that a fetch does.
#![allow(clippy::disallowed_methods)]

use super::Instance;
use crate::fetch::{self, Fetched, Link};
use crate::run::Stopped;
use crate::run::board::epoch;
use crate::run::console::say;
use crate::run::phase::short;
use std::time::Instant;

impl Instance<'_> {
    pub(super) fn first_tree(&mut self) -> Result<Fetched, Stopped> {
        let mut attempt = 0;
        loop {
            let error = match self.ask()? {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            if let Some(fetched) = self.fall_back(&error) {
                return Ok(fetched);
            }
            let pause = self.resident.pause_before(attempt);
            attempt += 1;
            say(format!(
                "waiting: no state tree yet: {error}; trying again in {}s",
                pause.as_secs_f32().ceil()
            ));
            let next = Instant::now() + pause;
            self.resident
                .board
                .step(|p| p.not_fetched(error.to_string()), |status| status.next_tick = Some(epoch_of(next)));
            self.resident.wait_until(Some(next))?;
        }
    }

    /// The tree to boot with while the remote cannot give one: the last that was applied well, or else the last one.
    /// A pinned commit that the remote does not have is no passing trouble: another tree would hide it.
    fn fall_back(&mut self, error: &fetch::Error) -> Option<Fetched> {
        if !self.pin.done && error.is_mistake() {
            return None;
        }
        let kept = self.trees.kept(Link::Good).or_else(|| self.trees.kept(Link::Current))?;
        say(format!("using the last good tree {}: {error}", short(&kept.commit)));
        self.trouble = Some(Trouble::of(error));
        Some(kept)
    }

    /// Asks the remote, and notes how that went.
    fn ask(&mut self) -> Result<Result<Fetched, fetch::Error>, Stopped> {
        let want = self.pin.want(&self.user.states);
        let result = self.trees.get(want);
        let error = match &result {
            Err(fetch::Error::Cancelled) => return Err(Stopped),
            Err(error) => Some(error.to_string()),
            Ok(_) => None,
        };
        match error {
            None => self.away.answered(),
            Some(_) => self.away.failed(Instant::now(), rand::random()),
        }
        let is_news = self.resident.board.remark(|status| {
            let counter = if error.is_none() {
                &mut status.totals.fetches_ok
            } else {
                &mut status.totals.fetches_failed
            };
            *counter += 1;
            self.trees.answered().clone_into(&mut status.remote.url);
            status.remote.checked = Some(epoch());
            status.remote.error.clone_from(&error);
            std::mem::replace(&mut status.remote.ok, error.is_none()) != error.is_none()
        });
        // An answer like the last one is not worth a write to the disk.
        if is_news {
            self.resident.board.write();
        }
        Ok(result)
    }

    /// When to wake: the next tick, the next try of a failed converge, or the next look for drift.
    pub(in crate::run) fn next_wake(&mut self) -> Option<Instant> {
        let now = chrono::Utc::now();
        let tick = self.user.schedule.next(now, self.splay);
        let tick = tick.map(|t| Instant::now() + (t - now).to_std().unwrap_or_default());
        let tick = tick.map(|tick| self.away.not_before(tick));
        let retry = self.failed.map(|(_, at)| at);
        self.tick_at = [tick, retry].into_iter().flatten().min();
        let (next_tick, retry_at) = (self.tick_at.map(epoch_of), self.retry_at());
        self.resident.board.remark(|status| (status.next_tick, status.retry_at) = (next_tick, retry_at));
        if self.drift_at.is_none() {
            self.drift_at = self.next_drift();
        }
        [self.tick_at, self.drift_at].into_iter().flatten().min()
    }

    /// When the failed converge is tried again, for people.
    pub(super) fn retry_at(&self) -> Option<f64> {
        self.failed.map(|(_, at)| epoch_of(at))
    }

    /// Does what it was woken for: two things may be due at once.
    pub(in crate::run) fn due(&mut self) -> Result<(), Stopped> {
        if self.tick_at.is_some_and(|at| Instant::now() >= at) {
            self.tick(false)?;
        }
        self.look_for_drift()
    }

    /// Asks the remote, and converges when there is something new, when it was asked for, or when the last failed.
    pub(in crate::run) fn tick(&mut self, forced: bool) -> Result<(), Stopped> {
        let retry = self.failed.is_some_and(|(_, at)| Instant::now() >= at);
        self.resident.board.remark(|status| status.next_tick = None);
        let fetched = match self.ask()? {
            Ok(fetched) => {
                self.say_remote(None, None);
                Some(fetched)
            }
            Err(error) => {
                let kept = self.trees.kept(Link::Current);
                self.say_remote(Some(&error), kept.as_ref().map(|kept| kept.commit.as_str()));
                kept
            }
        };
        match fetched {
            Some(fetched) if forced || retry || self.trees.is_news(&fetched) => self.converge(&fetched),
            _ => Ok(()),
        }
    }

    /// Says that the remote went away or came back, once each.
    fn say_remote(&mut self, error: Option<&fetch::Error>, current: Option<&str>) {
        let now = error.map(Trouble::of);
        match (&self.trouble, &now) {
            (before, Some(now)) if before.as_ref() != Some(now) => {
                say(format!("{}; keeping {}", now.said, current.map_or("what there is", short)));
            }
            (Some(Trouble { away: true, .. }), None) => say("the remote answers again"),
            (Some(_), None) => say("fetching works again"),
            _ => {}
        }
        self.trouble = now;
    }
}

/// Why the last question to the remote was in vain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    said: String,
    /// The remote did not answer, or refused to.
    away: bool,
}

impl Trouble {
    fn of(error: &fetch::Error) -> Self {
        let away = matches!(error, fetch::Error::Unreachable { .. } | fetch::Error::Refused { .. });
        Self { said: error.to_string(), away }
    }
}

/// A time of the clock that never goes back, as one that people read.
fn epoch_of(at: Instant) -> f64 {
    epoch() + at.saturating_duration_since(Instant::now()).as_secs_f64()
}
