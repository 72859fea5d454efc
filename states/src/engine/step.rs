//! What a state function is: observe, diff, apply; and how one call of it becomes a return.

use crate::engine::{Context, Facts};
use crate::low::{Chunk, LowState};
use crate::modules::args::Args;
use crate::report::Outcome;
use crate::value::{Map, Value};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The declaration is wrong: no machine would make it right.
    #[error("{0}")]
    Declaration(String),
    /// The machine is not as the step needs it.
    #[error("{0}")]
    Machine(String),
}

impl Failure {
    /// A wrong declaration.
    pub(crate) fn declaration(message: impl Into<String>) -> Self {
        Self::Declaration(message.into())
    }

    /// A machine that will not.
    pub(crate) fn machine(message: impl Into<String>) -> Self {
        Self::Machine(message.into())
    }
}

impl From<crate::fsys::Error> for Failure {
    fn from(error: crate::fsys::Error) -> Self {
        Self::Machine(error.to_string())
    }
}

impl From<crate::host::CommandError> for Failure {
    fn from(error: crate::host::CommandError) -> Self {
        Self::Machine(error.to_string())
    }
}

/// What is to be done, as data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Diff<P> {
    /// All is as asked; the comment says so.
    Same(String),
    /// This plan leads to these changes.
    Change {
        plan: P,
        changes: Map,
        /// Said in test mode.
        would: String,
    },
    /// It cannot or must not be done.
    Refuse(String),
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Applied {
    pub(crate) comment: String,
    /// `None`: the changes of the diff happened.
    pub(crate) changes: Option<Map>,
    /// `Some`: it was done and yet is a failure (a command's exit code).
    pub(crate) failed: bool,
}

impl Applied {
    /// As planned.
    pub(crate) fn done(comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), changes: None, failed: false }
    }
}

/// One state function. The four parts are called in order; only `apply` changes the machine.
pub(crate) trait StateFn {
    /// The declaration, checked.
    type Want;
    /// What matters of the machine.
    type Observed;
    /// What to do.
    type Plan;

    /// Read the arguments.
    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure>;
    /// Look at the machine; changes nothing.
    fn observe(want: &Self::Want, call: &Call<'_>) -> Result<Self::Observed, Failure>;
    /// Compare. A function of its arguments.
    fn diff(want: &Self::Want, observed: &Self::Observed) -> Diff<Self::Plan>;
    /// Carry out the plan.
    fn apply(want: &Self::Want, plan: Self::Plan, call: &Call<'_>) -> Result<Applied, Failure>;
}

/// One call of a state function: whose, and with what around it.
pub(crate) struct Call<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) low: &'a LowState,
    pub(crate) context: &'a Context<'a>,
    pub(crate) facts: &'a Facts,
    pub(crate) test: bool,
    /// Only find out whether all is as asked.
    pub(crate) look: bool,
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Return {
    pub(crate) outcome: Outcome,
    pub(crate) changes: Map,
    pub(crate) comment: String,
    pub(crate) warnings: Vec<String>,
    /// Failed for want of something on the machine: in test mode an earlier step may bring it.
    pub(crate) lacking: bool,
    /// Failed because of how it was declared.
    pub(crate) misdeclared: bool,
    /// A condition said that nothing is to be done, mod_watch included.
    pub(crate) skip_watch: bool,
}

impl Return {
    pub(crate) fn ok(comment: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Ok,
            changes: Map::new(),
            comment: comment.into(),
            warnings: Vec::new(),
            lacking: false,
            misdeclared: false,
            skip_watch: false,
        }
    }

    pub(crate) fn failed(comment: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, ..Self::ok(comment) }
    }

    /// The same without anything that could be a secret (`no_log`).
    pub(crate) fn hidden(self) -> Self {
        let text = || Value::Str("<hidden>".to_owned());
        let changes = self.changes.into_iter().map(|(key, _)| (key, text())).collect();
        Self { changes, comment: "<hidden by no_log>".to_owned(), ..self }
    }

    pub(crate) fn from_failure(failure: &Failure) -> Self {
        let lacking = matches!(failure, Failure::Machine(_));
        Self { lacking, misdeclared: !lacking, ..Self::failed(failure.to_string()) }
    }
}

/// Observe, diff and, unless this is a test, apply.
pub(crate) fn perform<F: StateFn>(call: &Call<'_>) -> Return {
    let args = Args::new(&call.chunk.args);
    let result = F::want(&args, call).and_then(|want| attempt::<F>(&want, call));
    result.unwrap_or_else(|failure| Return::from_failure(&failure))
}

fn attempt<F: StateFn>(want: &F::Want, call: &Call<'_>) -> Result<Return, Failure> {
    let observed = F::observe(want, call)?;
    let (plan, changes) = match F::diff(want, &observed) {
        Diff::Same(comment) => return Ok(Return::ok(comment)),
        Diff::Refuse(why) => return Ok(Return { lacking: true, ..Return::failed(why) }),
        Diff::Change { changes, would, .. } if call.test || call.look => {
            return Ok(Return { outcome: Outcome::WouldChange, changes, ..Return::ok(would) });
        }
        Diff::Change { plan, changes, .. } => (plan, changes),
    };
    call.facts.effects.set(call.facts.effects.get() + 1);
    let applied = F::apply(want, plan, call)?;
    let outcome = if applied.failed { Outcome::Failed } else { Outcome::Ok };
    let changes = applied.changes.unwrap_or(changes);
    Ok(Return { outcome, changes, ..Return::ok(applied.comment) })
}
