//! Whether a service has read what it is thought to run with. Pure.
//!
//! A service that is being started reads its files at a moment that nobody tells us. What was there for that moment
//! alone, between two looks with the same content, may be what it runs with: then it is started once more.

use super::board::Now;
use std::time::Duration;

/// A service whose files are written over and over with the same content is not started for ever.
const MOST: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Until when it may be reading.
    until: Option<Now>,
    /// It may have read something else, or does not run at all.
    unsure: bool,
    /// How often in a row it was started for that alone.
    again: u32,
}

impl Reading {
    /// Its files were looked at just now, and it is about to read them; with the content that it should have read before
    /// when `again`.
    pub(super) fn begins(&mut self, again: bool) {
        let again = if again { self.again.saturating_add(1) } else { 0 };
        *self = Self { until: Some(Now::MAX), unsure: false, again };
    }

    /// It was started, and will have read its files when this long has passed.
    pub(super) fn started(&mut self, now: Now, takes: Duration) {
        self.until = Some(now.saturating_add(takes));
    }

    /// It was to be started, and that failed: whatever its files hold is to be tried.
    pub(super) fn failed(&mut self) {
        (self.until, self.unsure) = (None, true);
    }

    /// Its files were something else for a moment, or are still.
    pub(super) fn altered(&mut self, now: Now) {
        self.unsure |= self.again < MOST && self.until.is_some_and(|until| now < until);
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.unsure
    }
}
