//! The names and tags that Mayfly leaves in a cloud, so that it finds its own again.

use crate::cloud::{Image, Tags};
use crate::spec::Spec;
use chrono::{DateTime, Utc};
/// Tag of an image: what it was seeded with, a role or `bare`; `mayfly bake` writes it.
pub use mayfly_ami::bake::RECIPE;
use mayfly_ami::bake::{BAKE, is_name_of};
use sha2::{Digest, Sha256};

/// Tag: the service.
pub const SERVICE: &str = "mayfly:service";
/// Tag: the environment.
pub const ENVIRONMENT: &str = "mayfly:environment";
/// Tag: the deployment that launched it.
pub const DEPLOYMENT: &str = "mayfly:deployment";
/// Tag: the role.
pub const ROLE: &str = "mayfly:role";
/// Tag of an instance: which batch of its deployment launched it.
pub const SLOT: &str = "mayfly:slot";
/// The recipe that has no role.
pub const BARE: &str = "bare";
/// Tag of the record: the id of the last deployment that succeeded.
pub const CURRENT: &str = "mayfly:current";
/// Tag of the record: the version numbers that succeeded, as ranges.
pub const SUCCEEDED: &str = "mayfly:succeeded";
/// Tag of the record: the version numbers that were rolled back, as ranges.
pub const FAILED: &str = "mayfly:failed";

/// Tag of the record: the version numbers of canaries that were left for somebody to promote, as ranges.
pub const CANARY: &str = "mayfly:canary";
/// Tag of the record: the version numbers that were deployed to a part of the instances only, as ranges.
pub const PARTIAL: &str = "mayfly:partial";
/// Tag of the record: the version numbers that were taken back by somebody, as ranges.
pub const ABORTED: &str = "mayfly:aborted";
/// Tag of the record: when deployments ended and how long they took, see [`write_times`].
pub const TIMES: &str = "mayfly:times";
/// Tag of the record: the deployment that waits in a pause, and the step it waits before.
pub const PAUSED: &str = "mayfly:paused";
/// Tag of the record: what was answered to a pause, `go DEPLOYMENT` or `abort DEPLOYMENT`.
pub const ANSWER: &str = "mayfly:answer";

/// The launch template that records a service's deployments in one environment.
#[must_use]
pub fn record(service: &str, environment: &str) -> String {
    format!("mayfly-{service}-{environment}")
}

/// The launch template whose existence is the lock. A spec refuses services named `lock-…`, so no record has this name.
#[must_use]
pub fn lock(service: &str, environment: &str) -> String {
    format!("mayfly-lock-{service}-{environment}")
}

/// The id of a deployment: service, environment, second and four hex digits.
#[must_use]
pub fn deployment(service: &str, environment: &str, now: DateTime<Utc>, nonce: u16) -> String {
    format!("{service}-{environment}-{}-{nonce:04x}", stamp(now))
}

/// A second as `20260102T030405Z`.
#[must_use]
pub fn stamp(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%SZ").to_string()
}

/// The tags that make a thing belong to a service and environment.
#[must_use]
pub fn ownership(service: &str, environment: &str) -> Tags {
    Tags::from([(SERVICE.to_owned(), service.to_owned()), (ENVIRONMENT.to_owned(), environment.to_owned())])
}

/// Whether tags say that a thing belongs to a service and environment.
#[must_use]
pub fn owned_by(tags: &Tags, service: &str, environment: &str) -> bool {
    ownership(service, environment).iter().all(|(key, value)| tags.get(key) == Some(value))
}

/// The bake that tags name, if its name is one that a bake of the recipe they name gives. Tags alone prove nothing: what
/// nobody changes, an image's name or an instance's launch token, has to say the same.
#[must_use]
pub fn bake_of(tags: &Tags) -> Option<&str> {
    let (bake, recipe) = (tags.get(BAKE)?, tags.get(RECIPE)?);
    is_name_of(bake, recipe).then_some(bake)
}

/// Whether a bake made the image: by its tags, and by its name, which nobody changes later.
#[must_use]
pub fn is_of_a_bake(image: &Image) -> bool {
    bake_of(&image.tags) == Some(&image.name)
}

/// All tags of a deployment's instances.
#[must_use]
pub fn instance_tags(spec: &Spec, deployment: &str) -> Tags {
    let mut tags = spec.tags.clone();
    tags.extend(ownership(&spec.service, &spec.environment));
    tags.insert(DEPLOYMENT.to_owned(), deployment.to_owned());
    tags.insert(ROLE.to_owned(), spec.role.clone());
    tags.insert("Name".to_owned(), format!("{}-{}", spec.service, spec.environment));
    tags
}

/// What one request for instances is told apart by. A deployment never uses a slot twice, so the slot stands for the
/// wave as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The deployment whose instances they are.
    pub deployment: &'a str,
    /// The deployment in whose stead they are launched, if any: a restored one is another launch than the first.
    pub attempt: &'a str,
    /// The slot.
    pub slot: u32,
    /// How often this slot was answered with instances that were dead already.
    pub again: u32,
    /// The subnet.
    pub subnet: Option<&'a str>,
    /// The type.
    pub instance_type: &'a str,
    /// How many.
    pub count: u32,
}

/// The idempotency token of one request: the same request gets the same token, any other another. 64 characters.
#[must_use]
pub fn token(request: &Request<'_>) -> String {
    let Request { deployment, attempt, slot, again, subnet, instance_type, count } = request;
    let subnet = subnet.unwrap_or("-");
    let text = format!("{deployment}\n{attempt}\n{slot}\n{again}\n{subnet}\n{instance_type}\n{count}");
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// When a deployment ended and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The record's number.
    pub number: i64,
    /// When it ended.
    pub ended: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: u32,
}

/// Times as `NUMBER:END+SECONDS` words, the end in seconds since 1970 in hexadecimal; the newest kept when a tag cannot
/// hold them all (256 characters, a dozen deployments).
#[must_use]
pub fn write_times(times: &[Times]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_by_key(|times| times.number);
    let mut text = String::new();
    for Times { number, ended, seconds } in sorted.into_iter().rev() {
        let word = format!("{number}:{:x}+{seconds}", ended.timestamp().max(0));
        let longer = if text.is_empty() { word } else { format!("{word} {text}") };
        if longer.len() > 256 {
            break;
        }
        text = longer;
    }
    text
}

/// Reads what [`write_times`] wrote; words that make no sense are left out.
#[must_use]
pub fn read_times(text: &str) -> Vec<Times> {
    let word = |word: &str| {
        let (number, rest) = word.split_once(':')?;
        let (ended, seconds) = rest.split_once('+')?;
        let ended = DateTime::from_timestamp(i64::from_str_radix(ended, 16).ok()?, 0)?;
        Some(Times { number: number.parse().ok()?, ended, seconds: seconds.parse().ok()? })
    };
    text.split_whitespace().filter_map(word).collect()
}

/// Version numbers as ranges, `1-3,5`, newest kept when a tag cannot hold them all (256 characters).
#[must_use]
pub fn write_ranges(numbers: &[i64]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for number in sorted {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => ranges.push((number, number)),
        }
    }
    let mut text = String::new();
    for (start, end) in ranges.into_iter().rev() {
        let range = if start == end { start.to_string() } else { format!("{start}-{end}") };
        let longer = if text.is_empty() { range } else { format!("{range},{text}") };
        if longer.len() > 256 {
            break;
        }
        text = longer;
    }
    text
}

/// Reads what [`write_ranges`] wrote; parts that make no sense are left out.
#[must_use]
pub fn read_ranges(text: &str) -> Vec<i64> {
    const MOST: i64 = 10_000;
    let range = |part: &str| {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        let (start, end) = (start.trim().parse::<i64>().ok()?, end.trim().parse::<i64>().ok()?);
        (start >= 1 && end >= start && end - start <= MOST).then_some(start..=end)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_survive_writing_and_reading() {
        assert_eq!(write_ranges(&[5, 1, 2, 3, 2]), "1-3,5");
        assert_eq!(read_ranges("1-3,5"), [1, 2, 3, 5]);
        assert_eq!(read_ranges("x,9-2,,4"), [4]);
        let odd: Vec<i64> = (0..400).map(|n| n * 2 + 1).collect();
        let text = write_ranges(&odd);
        assert!(text.len() <= 256 && text.ends_with(",799"), "{text}");
    }

    #[test]
    fn a_token_is_one_requests_own() {
        let one = Request {
            deployment: "d",
            attempt: "",
            slot: 0,
            again: 0,
            subnet: Some("s"),
            instance_type: "t",
            count: 2,
        };
        assert_eq!(token(&one).len(), 64);
        assert_eq!(token(&one), token(&one.clone()));
        for other in [
            Request { attempt: "e", ..one },
            Request { slot: 1, ..one },
            Request { again: 1, ..one },
            Request { subnet: None, ..one },
            Request { instance_type: "u", ..one },
            Request { count: 1, ..one },
        ] {
            assert_ne!(token(&one), token(&other));
        }
    }

    #[test]
    fn times_survive_writing_and_reading_and_the_newest_are_kept() {
        let times = |number| Times {
            number,
            ended: DateTime::from_timestamp(1_800_000_000 + number, 0).expect("a time"),
            seconds: 300,
        };
        let all: Vec<Times> = (1..=40).map(times).collect();
        let text = write_times(&all);
        assert!(text.len() <= 256, "{text}");
        let kept = read_times(&text);
        assert!(kept.len() >= 12 && kept == all[all.len() - kept.len()..], "{text}");
        assert_eq!(read_times("x 1:zz+3 2:6b49d200+9 3:"), [Times { number: 2, seconds: 9, ..times(0) }]);
    }
}
