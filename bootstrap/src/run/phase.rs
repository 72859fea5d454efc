//! Where the resident program stands: an enum with data and one verb for each edge. Pure.
//!
//! ```text
//! Identity ──identified──▶ Fetching ──tree──▶ Converging ──converged──▶ Ready or Failed ──tree──▶ Converging
//!    ▲  │ unanswered: itself│    ▲ not_fetched
//!  again refused            │    └──┘
//!    │  ▼                   │
//!   Failed ◀──── refused ───┘                any ──▶ Stopping
//! ```

/// What the program is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Asking the metadata service who we are.
    Identity {
        /// Why it has not told so far.
        reason: Option<String>,
    },
    /// Getting the first tree.
    Fetching {
        /// Attempts that failed so far.
        failed: u32,
        /// Why the last one failed.
        reason: Option<String>,
    },
    /// Applying a commit.
    Converging {
        /// 40 hex digits.
        commit: String,
        /// What the converge before this one applied without a failure, so that the instance goes on serving meanwhile.
        ready: Option<String>,
    },
    /// The last converge succeeded.
    Ready {
        /// 40 hex digits.
        commit: String,
    },
    /// The last converge failed, or there can be none.
    Failed {
        /// The commit, where it came that far.
        commit: Option<String>,
        /// What to show: file, line and column where there are any.
        reason: String,
    },
    /// On the way out.
    Stopping,
}

/// An edge that does not exist: a fault of this program, never of its input.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot go from {from} by `{verb}`")]
pub(crate) struct IllegalEdge {
    from: &'static str,
    verb: &'static str,
}

impl Phase {
    /// One word, for status and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Identity { .. } => "identity",
            Self::Fetching { .. } => "fetching",
            Self::Converging { .. } => "converging",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
            Self::Stopping => "stopping",
        }
    }

    /// All words, for metrics.
    pub(crate) const NAMES: [&'static str; 6] =
        ["identity", "fetching", "converging", "ready", "failed", "stopping"];

    fn illegal<T>(&self, verb: &'static str) -> Result<T, IllegalEdge> {
        Err(IllegalEdge { from: self.name(), verb })
    }

    /// User-data is known; now for a tree.
    pub(crate) fn identified(&self) -> Result<Self, IllegalEdge> {
        match self {
            Self::Identity { .. } => Ok(Self::Fetching { failed: 0, reason: None }),
            other => other.illegal("identified"),
        }
    }

    /// The metadata service did not say; it is asked again.
    pub(crate) fn unanswered(&self, reason: String) -> Result<Self, IllegalEdge> {
        match self {
            Self::Identity { .. } => Ok(Self::Identity { reason: Some(reason) }),
            other => other.illegal("unanswered"),
        }
    }

    /// There will be no converge until something outside changes (user-data is wrong).
    pub(crate) fn refused(&self, reason: String) -> Result<Self, IllegalEdge> {
        match self {
            Self::Identity { .. } | Self::Fetching { .. } => Ok(Self::Failed { commit: None, reason }),
            other => other.illegal("refused"),
        }
    }

    /// Something outside may have changed: back to the question who we are.
    pub(crate) fn again(&self) -> Result<Self, IllegalEdge> {
        match self {
            Self::Failed { commit: None, .. } => Ok(Self::Identity { reason: None }),
            other => other.illegal("again"),
        }
    }

    /// The first tree did not come; it is tried again.
    pub(crate) fn not_fetched(&self, reason: String) -> Result<Self, IllegalEdge> {
        match self {
            Self::Fetching { failed, .. } => {
                Ok(Self::Fetching { failed: failed.saturating_add(1), reason: Some(reason) })
            }
            other => other.illegal("not_fetched"),
        }
    }

    /// A tree is at hand and is applied.
    pub(crate) fn tree(&self, commit: &str) -> Result<Self, IllegalEdge> {
        match self {
            Self::Fetching { .. } | Self::Ready { .. } | Self::Failed { commit: Some(_), .. } => {
                Ok(Self::Converging { commit: commit.to_owned(), ready: self.ready().map(str::to_owned) })
            }
            other => other.illegal("tree"),
        }
    }

    /// The converge ended well, or not.
    pub(crate) fn converged(&self, failure: Option<String>) -> Result<Self, IllegalEdge> {
        match (self, failure) {
            (Self::Converging { commit, .. }, None) => Ok(Self::Ready { commit: commit.clone() }),
            (Self::Converging { commit, .. }, Some(reason)) => {
                Ok(Self::Failed { commit: Some(commit.clone()), reason })
            }
            (other, _) => other.illegal("converged"),
        }
    }

    /// The commit that the instance is ready with, as far as the converge goes.
    pub(crate) fn ready(&self) -> Option<&str> {
        match self {
            Self::Ready { commit } => Some(commit),
            Self::Converging { ready, .. } => ready.as_deref(),
            _ => None,
        }
    }

    /// Why the instance is not ready; `None` when it is, as far as the converge goes.
    pub(crate) fn not_ready(&self) -> Option<String> {
        match self {
            Self::Ready { .. } | Self::Converging { ready: Some(_), .. } => None,
            Self::Identity { reason } => {
                let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                Some(format!("asking the metadata service who this instance is{because}"))
            }
            Self::Fetching { reason: None, .. } => Some("fetching the first state tree".into()),
            Self::Fetching { failed, reason: Some(reason) } => {
                Some(format!("no state tree yet after {failed} attempts: {reason}"))
            }
            Self::Converging { commit, .. } => Some(format!("converging {}", short(commit))),
            Self::Failed { reason, .. } => Some(reason.clone()),
            Self::Stopping => Some("stopping".into()),
        }
    }
}

/// The first twelve digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_boot_and_a_repair() {
        let phase = Phase::Identity { reason: None }.unanswered("403".into()).unwrap();
        assert_eq!(phase.not_ready().unwrap(), "asking the metadata service who this instance is: 403");
        let phase = phase.identified().unwrap();
        assert!(phase.unanswered(String::new()).is_err());
        let phase = phase.not_fetched("away".into()).unwrap().not_fetched("away".into()).unwrap();
        assert_eq!(phase.not_ready().unwrap(), "no state tree yet after 2 attempts: away");
        let phase = phase.tree(C).unwrap().converged(Some("top.sls:1:1: no".into())).unwrap();
        assert_eq!(phase.not_ready().unwrap(), "top.sls:1:1: no");
        let phase = phase.tree(C).unwrap().converged(None).unwrap();
        assert_eq!((phase.name(), phase.not_ready()), ("ready", None));
        let again = phase.tree("another").unwrap();
        let seen = (again.name(), again.not_ready(), again.ready());
        assert_eq!(seen, ("converging", None, Some(C)), "it serves while it converges again");
        let failed = again.converged(Some("no".into())).unwrap();
        assert!(failed.tree(C).unwrap().not_ready().is_some());
    }

    #[test]
    fn edges_that_are_not_drawn_are_refused() {
        let ready = Phase::Ready { commit: C.into() };
        assert!(Phase::Identity { reason: None }.tree(C).is_err());
        assert!(ready.identified().is_err());
        assert!(ready.converged(None).is_err());
        assert!(ready.not_fetched(String::new()).is_err());
        assert!(Phase::Stopping.tree(C).is_err());
        let refused = Phase::Identity { reason: None }.refused("user-data".into()).unwrap();
        assert!(refused.tree(C).is_err(), "without user-data there is nothing to apply");
        assert_eq!(refused.again(), Ok(Phase::Identity { reason: None }));
        assert!(ready.again().is_err());
    }
}
