//! `retry`: a step that failed is tried again, so often and so far apart.

use std::time::Duration;

use crate::engine::step::{Call, Failure, Return};
use crate::engine::{carry, conditions};
use crate::modules::Entry;
use crate::modules::args::{Args, joined};
use crate::report::Outcome;
use crate::value::Value;

/// Nobody waits longer than a day.
const LONGEST_SPLAY: Duration = Duration::from_secs(86_400);

/// Salt's defaults are 2 attempts, 30 seconds apart.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Policy {
    attempts: u32,
    interval: Duration,
    /// At most this much longer, by chance, so that not all machines come at once.
    splay: Duration,
    /// The outcome to try for.
    until: bool,
}

const ONCE: Policy = Policy { attempts: 1, interval: Duration::ZERO, splay: Duration::ZERO, until: true };

impl Policy {
    fn pause(&self) -> Duration {
        self.interval + self.splay.mul_f64(rand::random::<f64>())
    }
}

/// Perform the step with its conditions, again and again where `retry` says so. With `watch`, something that it watches
/// has changed, and its mod_watch is due.
pub(crate) fn perform(call: &Call<'_>, entry: &Entry, watch: bool) -> Return {
    let policy = match policy(call.chunk.arg("retry")) {
        Ok(policy) => policy,
        Err(e) => return Return::failed(e.to_string()),
    };
    let attempts = if call.test { 1 } else { policy.attempts };
    let mut watch = watch;
    let mut ret = once(call, entry, &mut watch);
    let mut made = 1;
    let satisfied = |ret: &Return| (ret.outcome != Outcome::Failed) == policy.until;
    while !satisfied(&ret) && made < attempts && !call.context.host.cancelled() {
        call.context.host.pause(policy.pause());
        let again = once(call, entry, &mut watch);
        let changes = if again.changes.is_empty() { ret.changes } else { again.changes.clone() };
        ret = Return { changes, ..again };
        made += 1;
    }
    if made > 1 {
        ret.comment = format!("{} (attempt {made} of {attempts})", ret.comment);
    }
    ret
}

/// One attempt. What has reacted well to a change does not do so again (`watch`).
fn once(call: &Call<'_>, entry: &Entry, watch: &mut bool) -> Return {
    match conditions::hold_back(call) {
        Err(e @ Failure::Declaration(_)) => Return::failed(e.to_string()),
        Err(e @ Failure::Machine(_)) => Return { lacking: true, ..Return::failed(e.to_string()) },
        Ok(Some(skipped)) => skipped,
        Ok(None) => {
            let ret = (entry.perform)(call);
            if entry.own_check {
                return ret;
            }
            let due = *watch && carry::still(entry, &ret);
            let ret = if due { carry::react(call, entry, ret) } else { ret };
            *watch &= !(due && ret.outcome != Outcome::Failed);
            conditions::check(ret, call)
        }
    }
}

fn policy(value: Option<&Value>) -> Result<Policy, Failure> {
    let default = Policy { attempts: 2, interval: Duration::from_secs(30), ..ONCE };
    let value = match value {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(ONCE),
        Some(Value::Bool(true)) => return Ok(default),
        Some(value) => value,
    };
    let map = joined(value).ok_or_else(|| {
        Failure::declaration("`retry` must be true, or a mapping with attempts, interval and until")
    })?;
    let args = Args::new(&map);
    let bounded = args.number("attempts")?.unwrap_or(default.attempts).clamp(1, 1000);
    let interval = args.seconds("interval")?.unwrap_or(default.interval);
    let splay = args.seconds("splay")?.unwrap_or(default.splay).min(LONGEST_SPLAY);
    Ok(Policy { attempts: bounded, interval, splay, until: args.flag("until", true)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    #[test]
    fn a_pause_is_longer_by_chance_and_never_by_more_than_the_splay() {
        let words = [("attempts", 5), ("interval", 10), ("splay", 4)];
        let map: Map = words.into_iter().map(|(key, n)| (key.to_owned(), Value::Int(n))).collect();
        let policy = policy(Some(&Value::Map(map))).unwrap();
        assert_eq!((policy.attempts, policy.until), (5, true));
        let pauses: Vec<f64> = (0..100).map(|_| policy.pause().as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (10.0..=14.0).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }

    #[test]
    fn true_is_salts_default_and_false_is_once() {
        assert_eq!(policy(Some(&Value::Bool(false))).unwrap(), ONCE);
        let default = policy(Some(&Value::Bool(true))).unwrap();
        assert_eq!((default.attempts, default.pause()), (2, Duration::from_secs(30)));
    }
}
