//! When `mayfly schedule` deploys: which entries are due, and which were missed. Pure: the time is an argument.

use crate::spec::ScheduleEntry;
use chrono::{DateTime, TimeDelta, Utc};
use mayfly_ami::schedule::Schedule;
use std::time::Duration;

/// A time that lies back further than this was missed: the machine slept, or this program did not run.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// Missed times of one entry that are told one by one.
const TOLD: usize = 100;

/// What is to be done about a time that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The entry of this number is due.
    Due(usize),
    /// The entry of this number should have run then.
    Missed(usize, DateTime<Utc>),
}

/// The entries of a spec with what their expressions mean. They were checked when the spec was read.
#[must_use]
pub fn meanings(entries: &[ScheduleEntry]) -> Vec<Schedule> {
    entries.iter().map(|entry| Schedule::parse(&entry.cron).unwrap_or(Schedule::Never)).collect()
}

/// The next time after `from` at which any entry is due.
#[must_use]
pub fn next(schedules: &[Schedule], from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    schedules.iter().filter_map(|schedule| schedule.next(from, Duration::ZERO)).min()
}

/// What came due after `from` and until `now`. Of several times of one entry only the last can still be kept.
#[must_use]
pub fn turns(schedules: &[Schedule], from: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (number, schedule) in schedules.iter().enumerate() {
        let mut times = Vec::new();
        let mut at = from;
        while let Some(time) = schedule.next(at, Duration::ZERO).filter(|time| *time <= now) {
            times.push(time);
            at = time;
            if times.len() > TOLD {
                times.remove(0);
            }
        }
        let Some(last) = times.pop() else { continue };
        turns.extend(times.into_iter().map(|time| Turn::Missed(number, time)));
        let is_late = now.signed_duration_since(last) > GRACE;
        turns.push(if is_late { Turn::Missed(number, last) } else { Turn::Due(number) });
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    fn schedules(crons: &[&str]) -> Vec<Schedule> {
        crons.iter().map(|cron| Schedule::parse(cron).expect("an expression")).collect()
    }

    #[test]
    fn what_is_due_runs_and_what_is_long_past_is_missed() {
        let entries = schedules(&["0 3 * * *", "*/10 * * * *"]);
        let at = |from: &str, now: &str| turns(&entries, time(from), time(now));
        assert_eq!(next(&entries, time("2026-01-01T02:55:00Z")), Some(time("2026-01-01T03:00:00Z")));
        assert_eq!(at("2026-01-01T02:55:00Z", "2026-01-01T02:59:59Z"), []);
        assert_eq!(at("2026-01-01T02:55:00Z", "2026-01-01T03:00:00Z"), [Turn::Due(0), Turn::Due(1)]);
        assert_eq!(at("2026-01-01T03:00:00Z", "2026-01-01T03:00:01Z"), []);
        let slept = at("2026-01-01T02:55:00Z", "2026-01-01T03:20:30Z");
        let missed = |number, text| Turn::Missed(number, time(text));
        let expected = [
            missed(0, "2026-01-01T03:00:00Z"),
            missed(1, "2026-01-01T03:00:00Z"),
            missed(1, "2026-01-01T03:10:00Z"),
            Turn::Due(1),
        ];
        assert_eq!(slept, expected);
    }

    #[test]
    fn a_long_sleep_is_told_in_few_words() {
        let entries = schedules(&["* * * * * *"]);
        let turns = turns(&entries, time("2026-01-01T00:00:00Z"), time("2026-01-01T01:00:00Z"));
        assert_eq!(turns.len(), TOLD);
        assert_eq!(turns.last(), Some(&Turn::Due(0)));
    }
}
