//! Cron expressions as operators write them, on instances and in `mayfly schedule`: 5 fields, or 6 with seconds first;
//! `never`. All times are UTC. Pure: the time is an argument.

use chrono::{DateTime, Utc};
use std::str::FromStr;
use std::time::Duration;

/// When something is due.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// Only when asked by signal.
    Never,
    /// At the earliest time that any of these gives: cron's rule for a day of month *or* a day of week needs two.
    At(Vec<cron::Schedule>),
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// Words that say what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Some(name) = text.strip_prefix('@') {
            return Self::parse(nickname(name)?);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let mut six: Vec<String> = match fields.len() {
            5 => std::iter::once("0").chain(fields).map(str::to_owned).collect(),
            6 => fields.into_iter().map(str::to_owned).collect(),
            n => {
                return Err(format!("a cron expression has 5 fields, or 6 with seconds first; this has {n}"));
            }
        };
        six[5] = weekdays(&six[5])?;
        let alternatives = split_days(&six);
        let parsed: Result<Vec<_>, _> =
            alternatives.iter().map(|f| cron::Schedule::from_str(&f.join(" "))).collect();
        parsed.map(Self::At).map_err(|e| format!("not a cron expression: {}", e.to_string().trim()))
    }

    /// The first time after `now`, delayed by `splay`.
    #[must_use]
    pub fn next(&self, now: DateTime<Utc>, splay: Duration) -> Option<DateTime<Utc>> {
        let Self::At(schedules) = self else { return None };
        let splay = chrono::Duration::from_std(splay).unwrap_or_default();
        let from = now - splay;
        schedules.iter().filter_map(|s| s.after(&from).next()).min().map(|t| t + splay)
    }
}

fn nickname(name: &str) -> Result<&'static str, String> {
    match name {
        "hourly" => Ok("0 * * * *"),
        "daily" | "midnight" => Ok("0 0 * * *"),
        "weekly" => Ok("0 0 * * 0"),
        "monthly" => Ok("0 0 1 * *"),
        "yearly" | "annually" => Ok("0 0 1 1 *"),
        other => Err(format!("@{other} is not known; use @hourly, @daily, @weekly, @monthly or @yearly")),
    }
}

/// Cron counts Sunday as 0 or 7 and may run over the end of the week; the crate counts from 1. Names say the same to both.
fn weekdays(field: &str) -> Result<String, String> {
    let items: Result<Vec<String>, String> = field.split(',').map(weekday_item).collect();
    Ok(items?.join(","))
}

fn weekday_item(item: &str) -> Result<String, String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => {
            let step = step.parse::<u32>().ok().filter(|s| *s > 0);
            (range, step.ok_or_else(|| format!("step in {item:?} is not a positive number"))?)
        }
        None => (item, 1),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" || range == "?" => {
            if step == 1 {
                return Ok(range.to_owned());
            }
            (0, 6)
        }
        Some((a, b)) => (weekday(a)?, weekday(b)?),
        None if item.contains('/') => (weekday(range)?, 6),
        None => (weekday(range)?, weekday(range)?),
    };
    let last = if last < first { last + 7 } else { last };
    let days: Vec<&str> = (first..=last).step_by(step as usize).map(|d| NAMES[(d % 7) as usize]).collect();
    Ok(days.join(","))
}

const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

fn weekday(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse::<u32>() {
        return if number <= 7 {
            Ok(number)
        } else {
            Err(format!("day of week {number} is not within 0 to 7"))
        };
    }
    let found = NAMES.iter().position(|n| text.get(..3).is_some_and(|start| n.eq_ignore_ascii_case(start)));
    found.and_then(|p| u32::try_from(p).ok()).ok_or_else(|| format!("{text:?} is not a day of the week"))
}

/// With both days restricted, cron means either; the crate means both.
fn split_days(six: &[String]) -> Vec<Vec<String>> {
    let open = |f: &str| f.starts_with('*') || f == "?";
    if open(&six[3]) || open(&six[5]) {
        return vec![six.to_vec()];
    }
    let with = |index: usize| {
        let mut fields = six.to_vec();
        fields[index] = "*".into();
        fields
    };
    vec![with(3), with(5)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, now: &str) -> String {
        let now = DateTime::parse_from_rfc3339(now).unwrap().to_utc();
        let next = Schedule::parse(text).unwrap().next(now, Duration::ZERO).unwrap();
        next.format("%a %F %T").to_string()
    }

    #[test]
    fn a_day_in_other_letters_is_refused_and_no_panic() {
        assert!(Schedule::parse("0 3 * * mo\u{458}-fri").is_err());
    }

    #[test]
    fn five_fields_and_six() {
        assert_eq!(next("* * * * *", "2026-01-01T00:00:01Z"), "Thu 2026-01-01 00:01:00");
        assert_eq!(next("*/2 * * * * *", "2026-01-01T00:00:01Z"), "Thu 2026-01-01 00:00:02");
        assert_eq!(next("@hourly", "2026-01-01T00:00:01Z"), "Thu 2026-01-01 01:00:00");
    }

    #[test]
    fn weekdays_count_as_in_cron() {
        let thursday = "2026-01-01T00:00:00Z";
        assert_eq!(next("0 5 * * 0", thursday), "Sun 2026-01-04 05:00:00");
        assert_eq!(next("0 5 * * 7", thursday), "Sun 2026-01-04 05:00:00");
        assert_eq!(next("0 5 * * 1-5", "2026-01-02T06:00:00Z"), "Mon 2026-01-05 05:00:00");
        assert_eq!(next("0 5 * * 6-7", thursday), "Sat 2026-01-03 05:00:00");
        assert_eq!(next("0 5 * * mon", thursday), "Mon 2026-01-05 05:00:00");
    }

    #[test]
    fn two_restricted_days_mean_either() {
        assert_eq!(next("0 5 13 * 5", "2026-01-01T00:00:00Z"), "Fri 2026-01-02 05:00:00");
        assert_eq!(next("0 5 13 * 5", "2026-01-10T00:00:00Z"), "Tue 2026-01-13 05:00:00");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "* * *", "61 * * * *", "* * * * 8", "@now", "a b c d e"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        assert!(Schedule::parse("never").unwrap().next(DateTime::UNIX_EPOCH, Duration::ZERO).is_none());
    }

    #[test]
    fn a_splay_delays_every_tick() {
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:05Z").unwrap().to_utc();
        let every = Schedule::parse("* * * * *").unwrap();
        let at = every.next(now, Duration::from_secs(10)).unwrap();
        assert_eq!(at.format("%T").to_string(), "00:00:10");
    }
}
