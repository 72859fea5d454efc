//! Why a command could not be run, and which exit code that is.

use crate::cloud::{CloudError, Kind};
use crate::exit::ExitCode;
use crate::git_ref::RefError;
use crate::lock::LockError;
use crate::plan::PlanError;
use crate::spec::SpecError;

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The state repository.
    #[error(
        "{0}; the deployer asks for the commit at `states.deploy_url`, or `states.url` when there is none"
    )]
    Ref(#[from] RefError),
    /// The cloud.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// No plan without harm.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// An image recipe.
    #[error(transparent)]
    Recipe(#[from] mayfly_ami::recipe::RecipeError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] Box<mayfly_sandbox::SandboxError>),
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// This machine.
    #[error("{0}")]
    Machine(String),
    /// The person at the terminal said no.
    #[error("not deployed")]
    Declined,
    /// Nobody said yes.
    #[error("nothing was removed; `--yes` removes it without asking")]
    Unswept,
    /// The person at the terminal said no.
    #[error("the lock was not removed")]
    Unremoved,
}

impl CliError {
    /// The demo's error with all its causes.
    pub(super) fn demo(
        error: impl std::fmt::Debug + std::fmt::Display + AsRef<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        let error: &(dyn std::error::Error + Send + Sync) = error.as_ref();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        Self::Machine(text)
    }

    /// Its exit code.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Spec(_) | Self::Usage(_) | Self::Recipe(_) => ExitCode::Usage,
            Self::Cloud(error) if matches!(error.kind, Kind::Setup | Kind::Invalid | Kind::NotFound) => {
                ExitCode::Usage
            }
            Self::Lock(LockError::Taken(_)) => ExitCode::Locked,
            Self::Plan(_)
            | Self::Declined
            | Self::Unremoved
            | Self::Unswept
            | Self::Lock(LockError::Foreign(_)) => ExitCode::Refused,
            Self::Ref(RefError::NoSuchRef { .. } | RefError::BadUrl(_)) => ExitCode::Usage,
            Self::Ref(_) | Self::Cloud(_) | Self::Machine(_) | Self::Lock(_) | Self::Sandbox(_) => {
                ExitCode::RolledBack
            }
        }
    }
}
