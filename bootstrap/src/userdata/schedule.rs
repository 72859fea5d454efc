//! When an instance asks the remote: its schedule, and the delay that keeps many instances apart. Pure.

pub(crate) use mayfly_ami::schedule::Schedule;

use chrono::{DateTime, Utc};
use sha2::Digest;
use std::time::Duration;

/// The longest splay that nobody asked for: a change is on its way within a minute of its tick.
const LONGEST_DEFAULT: Duration = Duration::from_secs(60);

/// The splay where user-data says nothing: the time between two ticks, so that the questions of a fleet are spread over
/// all of it, but at most a minute. A schedule that asks once a minute still asks once in every minute.
pub(crate) fn default_splay(schedule: &Schedule, now: DateTime<Utc>) -> Duration {
    let first = schedule.next(now, Duration::ZERO);
    let second = first.and_then(|first| schedule.next(first, Duration::ZERO));
    let gap = first.zip(second).and_then(|(first, second)| (second - first).to_std().ok());
    gap.unwrap_or_default().min(LONGEST_DEFAULT)
}

/// The delay of one instance: the same for its whole life, spread evenly over `splay`.
pub(crate) fn splay_of(instance_id: &str, splay: Duration) -> Duration {
    let digest = sha2::Sha256::digest(instance_id.as_bytes());
    let number = digest.iter().take(8).fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
    let millis = u64::try_from(splay.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { Duration::ZERO } else { Duration::from_millis(number % millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn without_a_splay_the_fleet_is_spread_over_the_time_between_ticks() {
        let splay =
            |cron: &str| default_splay(&Schedule::parse(cron).unwrap(), at("2026-01-01T00:00:07Z")).as_secs();
        assert_eq!([splay("* * * * *"), splay("*/2 * * * * *"), splay("* * * * * *")], [60, 2, 1]);
        assert_eq!([splay("@hourly"), splay("*/5 * * * *"), splay("never")], [60, 60, 0]);
    }

    /// What a git server sees of a fleet in an hour: the most questions in one second, and the mean of them.
    fn load(instances: usize, cron: &str, splay: Option<Duration>) -> (usize, f64) {
        let (start, seconds) = (at("2026-01-01T00:00:00Z"), 3600_usize);
        let schedule = Schedule::parse(cron).unwrap();
        let splay = splay.unwrap_or_else(|| default_splay(&schedule, start));
        let mut asked = vec![0_usize; seconds];
        for n in 0..instances {
            let own = splay_of(&format!("i-{n:017x}"), splay);
            let mut now = start;
            while let Some(next) = schedule.next(now, own) {
                let Some(second) =
                    usize::try_from((next - start).num_seconds()).ok().and_then(|s| asked.get_mut(s))
                else {
                    break;
                };
                *second += 1;
                now = next;
            }
        }
        let mean = asked.iter().sum::<usize>() as f64 / seconds as f64;
        (asked.into_iter().max().unwrap_or(0), mean)
    }

    #[test]
    fn five_hundred_instances_do_not_ask_at_once() {
        let tell = |what: &str, (peak, mean): (usize, f64)| {
            println!("{what}: peak {peak}/s, mean {mean:.1}/s, {:.1} times", peak as f64 / mean);
            peak as f64 / mean
        };
        let bare = tell("500, every minute, no splay", load(500, "* * * * *", Some(Duration::ZERO)));
        let spread = tell("500, every minute, by default", load(500, "* * * * *", None));
        let slow = tell("500, every 5 minutes, by default", load(500, "*/5 * * * *", None));
        let wide = Some(Duration::from_secs(300));
        let widest = tell("500, every 5 minutes, splay 5m", load(500, "*/5 * * * *", wide));
        assert!(bare > 59.0 && spread < 2.5 && slow < 11.0 && widest < 6.0);
    }

    #[test]
    fn splay_is_fixed_for_an_id_and_delays_every_tick() {
        let day = Duration::from_secs(60);
        assert_eq!(splay_of("i-1", day), splay_of("i-1", day));
        assert_ne!(splay_of("i-1", day), splay_of("i-2", day));
        assert!(splay_of("i-1", day) < day);
        assert_eq!(splay_of("i-1", Duration::ZERO), Duration::ZERO);
    }
}
