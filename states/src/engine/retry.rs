//! `retry`: a step that failed is tried again, so often and so far apart.

use std::time::Duration;

use crate::engine::conditions;
use crate::engine::step::{Call, Failure, Return};
use crate::modules::Entry;
use crate::modules::args::{Args, joined};
use crate::report::Outcome;
use crate::value::Value;

/// Salt's defaults are 2 attempts, 30 seconds apart.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Policy {
    attempts: u32,
    interval: Duration,
    /// The outcome to try for.
    until: bool,
}

const ONCE: Policy = Policy { attempts: 1, interval: Duration::ZERO, until: true };

/// Perform the step with its conditions, again and again where `retry` says so.
pub(crate) fn perform(call: &Call<'_>, entry: &Entry) -> Return {
    let policy = match policy(call.chunk.arg("retry")) {
        Ok(policy) => policy,
        Err(e) => return Return::failed(e.to_string()),
    };
    let attempts = if call.test { 1 } else { policy.attempts };
    let mut ret = once(call, entry);
    let mut made = 1;
    let satisfied = |ret: &Return| (ret.outcome != Outcome::Failed) == policy.until;
    while !satisfied(&ret) && made < attempts && !call.context.host.cancelled() {
        call.context.host.pause(policy.interval);
        let again = once(call, entry);
        let changes = if again.changes.is_empty() { ret.changes } else { again.changes.clone() };
        ret = Return { changes, ..again };
        made += 1;
    }
    if made > 1 {
        ret.comment = format!("{} (attempt {made} of {attempts})", ret.comment);
    }
    ret
}

fn once(call: &Call<'_>, entry: &Entry) -> Return {
    match conditions::hold_back(call) {
        Err(e @ Failure::Declaration(_)) => Return::failed(e.to_string()),
        Err(e @ Failure::Machine(_)) => Return { lacking: true, ..Return::failed(e.to_string()) },
        Ok(Some(skipped)) => skipped,
        Ok(None) => {
            let ret = (entry.perform)(call);
            if entry.own_check { ret } else { conditions::check(ret, call) }
        }
    }
}

fn policy(value: Option<&Value>) -> Result<Policy, Failure> {
    let default = Policy { attempts: 2, interval: Duration::from_secs(30), until: true };
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
    Ok(Policy { attempts: bounded, interval, until: args.flag("until", true)? })
}
