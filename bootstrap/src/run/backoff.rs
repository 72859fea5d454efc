//! How long to wait before trying again. Pure: chance is an argument.

use std::time::{Duration, Instant};

/// Doubles from `first` to `longest`; `chance` (0 to 1) takes away up to half, so that a fleet spreads out.
pub(crate) fn pause(attempt: u32, first: Duration, longest: Duration, chance: f64) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(attempt.min(20))).min(longest);
    doubled.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

/// A remote that does not answer is asked less often than the schedule says, first after this long.
const AWAY_FIRST: Duration = Duration::from_secs(1);
const AWAY_LONGEST: Duration = Duration::from_secs(600);

/// How the remote has answered lately.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Away {
    failures: u32,
    until: Option<Instant>,
}

impl Away {
    /// It answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not: the pauses grow.
    pub(crate) fn failed(&mut self, now: Instant, chance: f64) {
        self.until = Some(now + pause(self.failures, AWAY_FIRST, AWAY_LONGEST, chance));
        self.failures = self.failures.saturating_add(1);
    }

    /// When to ask again, where the schedule says `tick`.
    pub(crate) fn not_before(&self, tick: Instant) -> Instant {
        self.until.map_or(tick, |until| until.max(tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_the_longest_and_chance_halves_at_most() {
        let at = |n, c| pause(n, Duration::from_secs(1), Duration::from_secs(60), c).as_millis();
        assert_eq!(
            [at(0, 0.0), at(1, 0.0), at(5, 0.0), at(6, 0.0), at(999, 0.0)],
            [1000, 2000, 32000, 60000, 60000]
        );
        assert_eq!([at(0, 1.0), at(1, 0.5)], [500, 1500]);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // There is no other way to an `Instant`.
    fn a_remote_that_is_away_is_asked_less_and_less_often_until_it_answers() {
        let now = Instant::now();
        let mut away = Away::default();
        let minute = now + Duration::from_secs(60);
        assert_eq!(away.not_before(minute), minute);
        let wakes: Vec<u64> = (0..12)
            .map(|_| {
                away.failed(now, 0.0);
                (away.not_before(minute) - now).as_secs()
            })
            .collect();
        assert_eq!(wakes, [60, 60, 60, 60, 60, 60, 64, 128, 256, 512, 600, 600]);
        away.answered();
        assert_eq!(away.not_before(minute), minute);
    }
}
