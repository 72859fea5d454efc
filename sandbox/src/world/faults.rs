//! Decides which call meets a fault or an empty token bucket.
use std::collections::BTreeMap;

use super::config::{Fault, FaultKind, Throttle};
use super::model::Timestamp;

/// Faults with what is left of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    armed: Vec<Armed>,
}

#[derive(Debug, Clone)]
struct Armed {
    fault: Fault,
    skip: u32,
    left: Option<u32>,
}

impl Faults {
    pub(super) fn new(faults: &[Fault]) -> Self {
        let arm = |fault: &Fault| Armed {
            fault: fault.clone(),
            skip: fault.skip,
            left: (fault.times > 0).then_some(fault.times),
        };
        Self { armed: faults.iter().map(arm).collect() }
    }

    /// The fault that this call meets, which is used up by it.
    pub(super) fn meet(&mut self, action: &str) -> Option<FaultKind> {
        let matching = |armed: &&mut Armed| armed.fault.action == action || armed.fault.action == "*";
        for armed in self.armed.iter_mut().filter(matching) {
            match (&mut armed.skip, &mut armed.left) {
                (1.., _) => armed.skip -= 1,
                (0, Some(0)) => {}
                (0, left) => {
                    if let Some(left) = left {
                        *left -= 1;
                    }
                    return Some(armed.fault.kind.clone());
                }
            }
        }
        None
    }
}

/// Token buckets, one an action.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    rules: Vec<Throttle>,
    levels: BTreeMap<String, (f64, Timestamp)>,
}

impl Buckets {
    pub(super) fn new(rules: &[Throttle]) -> Self {
        Self { rules: rules.to_vec(), levels: BTreeMap::new() }
    }

    /// Takes `amount` from the bucket of `key`, or tells that it does not hold so much.
    pub(super) fn take(&mut self, now: Timestamp, key: &str, amount: u32) -> bool {
        let wildcard = |rule: &&Throttle| rule.action == "*" && !key.contains(':');
        let named = self.rules.iter().find(|rule| rule.action == key);
        let Some(rule) = named.or_else(|| self.rules.iter().find(wildcard)) else { return true };
        let (level, since) = self.levels.get(key).copied().unwrap_or((f64::from(rule.burst), now));
        let seconds = (now - since).as_seconds_f64().max(0.0);
        let level = (level + seconds * rule.per_second).min(f64::from(rule.burst));
        let enough = level >= f64::from(amount);
        let left = if enough { level - f64::from(amount) } else { level };
        self.levels.insert(key.to_owned(), (left, now));
        enough
    }
}
