//! Exit codes: what a script can tell from how `mayfly` ended.

use crate::run::{Failure, Outcome};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// Bad usage or bad input; nothing was changed.
    Usage = 1,
    /// It failed, and all is as it was before.
    RolledBack = 2,
    /// It failed, and something is left; the message says what.
    FailedDirty = 3,
    /// Somebody else holds the lock.
    Locked = 4,
    /// Refused, because going on could have done harm; nothing was changed.
    Refused = 5,
    /// Interrupted, and all is as it was before.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<&Outcome> for ExitCode {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done | Outcome::Partial | Outcome::Canary => Self::Done,
            Outcome::RolledBack(Failure::Interrupted) => Self::Interrupted,
            Outcome::RolledBack(_) => Self::RolledBack,
            Outcome::Dirty { .. } | Outcome::Killed(_) => Self::FailedDirty,
            Outcome::Locked(_) => Self::Locked,
            Outcome::Refused(_) => Self::Refused,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit.code())
    }
}
