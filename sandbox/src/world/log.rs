//! Remembers the calls: what was asked, without its secrets, and how it ended.
use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::model::Timestamp;

/// How many calls are kept.
const KEPT: usize = 20_000;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// Number since the start, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// `ec2`, `elasticloadbalancing` or `sts`.
    pub service: String,
    /// Action.
    pub action: String,
    /// Parameters; user-data is given by its length only.
    pub parameters: BTreeMap<String, String>,
    /// Parameters that the sandbox does not know and passed over.
    pub ignored: Vec<String>,
    /// `ok`, or the error code.
    pub outcome: String,
    /// The fault that the call met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The last calls, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    records: VecDeque<CallRecord>,
    count: u64,
}

impl Calls {
    /// Keeps a call under the next number.
    pub(super) fn push(&mut self, mut record: CallRecord) {
        self.count += 1;
        record.number = self.count;
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// Those after the given number.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &CallRecord> {
        self.records.iter().filter(move |record| record.number > number)
    }
}
