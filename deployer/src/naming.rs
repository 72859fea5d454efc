//! The names and tags that Mayfly leaves in a cloud, so that it finds its own again.

use crate::cloud::Tags;
use crate::spec::Spec;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

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
/// Tag of an image: what it was seeded with, a role or `bare`; `mayfly bake` writes it.
pub const RECIPE: &str = "mayfly:recipe";
/// Tag of the record: how many seconds deployments took, by version number.
pub const TOOK: &str = "mayfly:took";
/// Tag of the record: the id of the last deployment that succeeded.
pub const CURRENT: &str = "mayfly:current";
/// Tag of the record: the version numbers that succeeded, as ranges.
pub const SUCCEEDED: &str = "mayfly:succeeded";
/// Tag of the record: the version numbers that were rolled back, as ranges.
pub const FAILED: &str = "mayfly:failed";

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

/// The idempotency token of one batch: the same request gets the same token, any other another. 64 characters.
#[must_use]
pub fn token(deployment: &str, slot: u32, subnet: Option<&str>, instance_type: &str, count: u32) -> String {
    let subnet = subnet.unwrap_or("-");
    let text = format!("{deployment}\n{slot}\n{subnet}\n{instance_type}\n{count}");
    hex::encode(Sha256::digest(text.as_bytes()))
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

/// One more version and its seconds, `5:93,6:120`; the oldest make room when a tag cannot hold them all.
#[must_use]
pub fn add_seconds(text: &str, version: i64, seconds: u64) -> String {
    let mut pairs = read_seconds(text);
    pairs.insert(version, seconds);
    let mut out = String::new();
    for (version, seconds) in pairs.into_iter().rev() {
        let pair = format!("{version}:{seconds}");
        let longer = if out.is_empty() { pair } else { format!("{pair},{out}") };
        if longer.len() > 256 {
            break;
        }
        out = longer;
    }
    out
}

/// Reads what [`add_seconds`] wrote; parts that make no sense are left out.
#[must_use]
pub fn read_seconds(text: &str) -> BTreeMap<i64, u64> {
    let pair = |part: &str| {
        let (version, seconds) = part.split_once(':')?;
        Some((version.parse().ok()?, seconds.parse().ok()?))
    };
    text.split(',').filter_map(pair).collect()
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
    fn seconds_survive_writing_and_reading_and_the_newest_are_kept() {
        let text = add_seconds(&add_seconds("x,1:2:3,7", 6, 120), 5, 93);
        assert_eq!(text, "5:93,6:120");
        let many = (1..200).fold(String::new(), |text, version| add_seconds(&text, version, 90));
        assert!(many.len() <= 256 && many.ends_with("199:90"), "{many}");
        assert_eq!(read_seconds(&many).get(&199), Some(&90));
    }

    #[test]
    fn a_token_is_one_requests_own() {
        let token = |slot, subnet, kind, count| super::token("d", slot, subnet, kind, count);
        let one = token(0, Some("s"), "t", 2);
        assert_eq!(one.len(), 64);
        assert_eq!(one, token(0, Some("s"), "t", 2));
        for other in [
            token(1, Some("s"), "t", 2),
            token(0, None, "t", 2),
            token(0, Some("s"), "u", 2),
            token(0, Some("s"), "t", 1),
        ] {
            assert_ne!(one, other);
        }
    }
}
