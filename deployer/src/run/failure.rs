//! Why a run did not go to its end, with the evidence.

use crate::cloud::CloudError;
use crate::lock::LockError;
use crate::plan::PlanError;
use std::time::Duration;

/// Between what was waited for and the reason that an instance gives.
const REASON: &str = "; ";
/// Characters of what was seen that a line has room for.
const SEEN: usize = 240;

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A call failed for good.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A wait came to its deadline.
    #[error("waited {} for {what}", humantime::format_duration(*.deadline))]
    TimedOut {
        /// What for.
        what: String,
        /// How long.
        deadline: Duration,
        /// What was seen last.
        evidence: Vec<String>,
    },
    /// It cannot come true any more: no use in waiting.
    #[error("{what}")]
    Hopeless {
        /// Why.
        what: String,
        /// What was seen.
        evidence: Vec<String>,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The lock is taken or was lost.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no plan that does no harm.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The cloud changed between the plan that was shown and the one to be run.
    #[error("the cloud changed since the plan was shown; look at `mayfly plan` again")]
    PlanChanged,
    /// Instances that do not carry the tags they should, just before their end.
    #[error("{0} no longer carries this service's tags; it is left alone")]
    NotOurs(String),
    /// The process was told to die at this point; only tests ask for that.
    #[error("killed at {0}")]
    Killed(String),
}

impl Failure {
    /// What was seen, a line each.
    #[must_use]
    pub fn evidence(&self) -> Vec<String> {
        match self {
            Self::TimedOut { evidence, .. } | Self::Hopeless { evidence, .. } => {
                evidence.iter().filter(|line| !line.is_empty()).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// In one line for the end of a run and for notices, which have no room for all that was seen: what a wait saw last
    /// belongs to it, unless an instance itself gave the reason.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self::TimedOut { what, .. } = self else { return self.to_string() };
        let seen = self.evidence().into_iter().next().filter(|_| !what.contains(REASON));
        let seen = seen.map(|seen| format!("; last seen: {}", clip(&seen))).unwrap_or_default();
        format!("{self}{seen}")
    }

    /// Adds what an instance says of itself to a wait that came to its deadline: the reason belongs in the last line.
    pub(crate) fn explain(&mut self, word: Option<&String>) {
        if let (Self::TimedOut { what, .. }, Some(word)) = (self, word) {
            what.push_str(REASON);
            what.push_str(word);
        }
    }

    /// Adds to what was seen.
    pub(crate) fn add_evidence(&mut self, more: Vec<String>) {
        if let Self::TimedOut { evidence, .. } | Self::Hopeless { evidence, .. } = self {
            evidence.extend(more);
        }
    }
}

pub(super) fn clip(text: &str) -> String {
    if text.chars().count() <= SEEN {
        return text.to_owned();
    }
    text.chars().take(SEEN).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_wait_says_what_was_seen_last_or_the_reason_that_an_instance_gives() {
        let mut failure = Failure::TimedOut {
            what: "2 instances to answer 200".into(),
            deadline: Duration::from_secs(300),
            evidence: vec!["i-1 answered 503: no database".into()],
        };
        let waited = "waited 5m for 2 instances to answer 200";
        assert_eq!(failure.summary(), format!("{waited}; last seen: i-1 answered 503: no database"));
        failure.explain(Some(&"i-1 says it failed".to_owned()));
        assert_eq!(failure.summary(), format!("{waited}; i-1 says it failed"));
        assert_eq!(Failure::Interrupted.summary(), "interrupted");
    }
}
