//! Whether and when a service that ended is started again. Pure.

use super::unit::Restart;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Somebody else reaped it.
    Unseen,
}

impl Ended {
    /// A clean end, as systemd sees it: status 0, or the polite signals.
    pub(crate) fn clean(self) -> bool {
        matches!(
            self,
            Self::Exited(0) | Self::Killed(libc::SIGHUP | libc::SIGINT | libc::SIGTERM | libc::SIGPIPE)
        )
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(named) => write!(f, "was killed by {named}"),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
            Self::Unseen => write!(f, "ended, reaped elsewhere"),
        }
    }
}

/// A run at least this long is no part of a crash loop.
pub(crate) const STEADY: Duration = Duration::from_secs(10);

/// Where no pause is asked for, a second failure in a row has one all the same, or a crash loop would have a processor.
const NO_PAUSE: Duration = Duration::from_millis(10);

/// How many failures in a row this end makes, after a run of this length.
pub(crate) fn failures(before: u32, ran: Duration) -> u32 {
    if ran >= STEADY { 1 } else { before.saturating_add(1) }
}

/// The delay before the next start: `RestartSec` doubled with every failure in a row, up to the cap; `None` when the
/// policy says that it stays down.
pub(crate) fn delay(
    policy: Restart,
    ended: Ended,
    failures: u32,
    first: Duration,
    cap: Duration,
) -> Option<Duration> {
    let again = match policy {
        Restart::No => false,
        Restart::OnSuccess => ended.clean(),
        Restart::OnFailure => !ended.clean(),
        Restart::OnAbnormal => matches!(ended, Ended::Killed(_)) && !ended.clean(),
        Restart::Always => true,
    };
    let first = if first.is_zero() && failures > 1 { NO_PAUSE } else { first };
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    again.then(|| first.saturating_mul(factor).min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let ms = Duration::from_millis;
        let delays: Vec<_> =
            (1..8).map(|n| delay(Restart::Always, Ended::Exited(1), n, ms(100), ms(1000)).unwrap()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000, 1000].map(ms));
        assert_eq!(delay(Restart::Always, Ended::Exited(1), u32::MAX, ms(100), ms(1000)), Some(ms(1000)));
    }

    #[test]
    fn policies() {
        let again = |policy, ended| delay(policy, ended, 1, Duration::ZERO, Duration::ZERO).is_some();
        let (fine, bad, crash) = (Ended::Exited(0), Ended::Exited(1), Ended::Killed(libc::SIGSEGV));
        let table = [
            (Restart::No, [false, false, false]),
            (Restart::OnSuccess, [true, false, false]),
            (Restart::OnFailure, [false, true, true]),
            (Restart::OnAbnormal, [false, false, true]),
            (Restart::Always, [true, true, true]),
        ];
        for (policy, expected) in table {
            assert_eq!([fine, bad, crash].map(|e| again(policy, e)), expected, "{policy:?}");
        }
        assert!(Ended::Killed(libc::SIGTERM).clean());
    }

    #[test]
    fn a_steady_run_forgives() {
        assert_eq!(failures(5, Duration::from_secs(11)), 1);
        assert_eq!(failures(5, Duration::from_secs(1)), 6);
    }
}
