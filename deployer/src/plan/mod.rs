//! (Snapshot, Spec) → Plan: which instances come, which go, and the ordered steps with what undoes each. Pure.

mod build;
mod show;
#[cfg(test)]
mod tests;

pub use build::build;
pub(crate) use build::states;

use crate::cloud::{Tags, TemplateData};
use crate::spec::{Probe, Timeouts};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// What is decided outside the spec and the cloud, once for a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The deployment's id.
    pub deployment: String,
    /// Who deploys, as `user@host`.
    pub who: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// The state commit, 40 hex digits; `None` where the spec's tree cannot be asked.
    pub commit: Option<String>,
}

impl Identity {
    /// The description of the launch template version that records the deployment: `KEY=VALUE` words, at most 255
    /// characters.
    #[must_use]
    pub fn description(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("-");
        let who: String =
            self.who.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(64).collect();
        format!("deployment={} who={who} commit={commit}", self.deployment)
    }
}

/// A deployment as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// Deployment, who, when, commit.
    pub identity: Identity,
    /// What the new launch template version says.
    pub template: TemplateData,
    /// Tags of the new instances.
    pub tags: Tags,
    /// Types, in the order to try.
    pub instance_types: Vec<String>,
    /// Requests for instances.
    pub batches: Vec<Batch>,
    /// How readiness is asked.
    pub probe: Option<Probe>,
    /// The balancer, if there is one.
    pub balancer: Option<BalancerPlan>,
    /// Live instances that the new ones replace.
    pub old: Vec<Existing>,
    /// What an unfinished deployment left, not in service: removed before anything else.
    pub leftovers: Vec<Existing>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

/// One request for instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 0; part of its idempotency token and of its instances' tags.
    pub slot: u32,
    /// How many instances.
    pub count: u32,
    /// Subnets in the order to try; empty lets EC2 choose.
    pub subnets: Vec<String>,
}

/// The balancer of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerPlan {
    /// Its name.
    pub name: String,
    /// How long it drains by itself; zero where it does not.
    pub drain: Duration,
}

/// An instance that is there before the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: String,
    /// The deployment that launched it.
    pub deployment: Option<String>,
    /// Whether the balancer lists it, in service or not.
    pub registered: bool,
    /// Whether the balancer sends it requests.
    pub in_service: bool,
}

/// A step's kind; the words are part of `--output json` and of `--kill-at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Take the lock.
    Lock,
    /// Remove what an unfinished deployment left.
    CleanUp,
    /// Write the launch template version: the intent, before any instance.
    Record,
    /// Ask for the instances.
    Launch,
    /// Wait until they run.
    Running,
    /// Wait until each answers 200.
    Probe,
    /// Register them.
    Register,
    /// Wait until the balancer has them in service.
    InService,
    /// Deregister the old.
    DeregisterOld,
    /// Wait out their draining.
    DrainOld,
    /// Terminate the old.
    TerminateOld,
    /// Make the new version the default one: the last that succeeded.
    MarkDefault,
    /// Give the lock back.
    Unlock,
}

impl Action {
    /// All of them, in the order they come in.
    pub const ALL: [Self; 13] = [
        Self::Lock,
        Self::CleanUp,
        Self::Record,
        Self::Launch,
        Self::Running,
        Self::Probe,
        Self::Register,
        Self::InService,
        Self::DeregisterOld,
        Self::DrainOld,
        Self::TerminateOld,
        Self::MarkDefault,
        Self::Unlock,
    ];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::CleanUp => "clean-up",
            Self::Record => "record",
            Self::Launch => "launch",
            Self::Running => "running",
            Self::Probe => "probe",
            Self::Register => "register",
            Self::InService => "in-service",
            Self::DeregisterOld => "deregister-old",
            Self::DrainOld => "drain-old",
            Self::TerminateOld => "terminate-old",
            Self::MarkDefault => "mark-default",
            Self::Unlock => "unlock",
        }
    }
}

/// What undoes a step when a later one fails. The runner undoes in the reverse order of the steps it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// It changed nothing that must be undone.
    Nothing,
    /// Give the lock back.
    Unlock,
    /// Note in the record that the deployment failed.
    NoteFailure,
    /// Terminate the new instances.
    TerminateNew,
    /// Deregister the new instances and wait out their draining.
    TakeOutNew,
    /// Register the old again and wait until they are in service.
    PutOldBack,
    /// Nothing can: from here on the deployment is finished by going on.
    Impossible,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its kind.
    pub action: Action,
    /// What it does, for people.
    pub what: String,
    /// What undoes it.
    pub undo: Undo,
}

/// Why there is no plan: going on could do harm, so nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A state that this program does not know.
    #[error("{0} is in a state that this version does not know; nothing is decided on it")]
    UnknownState(String),
    /// The record's name is taken by something else.
    #[error(
        "the launch template {0} is not tagged as this service's and environment's record; rename the service or tag it"
    )]
    ForeignRecord(String),
    /// The balancer does not send requests to the subnets' zones.
    #[error(
        "load balancer {balancer} does not serve the zone {zone} of subnet {subnet}, so an instance there would stay \
         out of service for ever: enable the zone, or list `subnets` in {zones}"
    )]
    ZoneNotEnabled {
        /// The balancer.
        balancer: String,
        /// The subnet.
        subnet: String,
        /// Its zone.
        zone: String,
        /// The zones that are enabled.
        zones: String,
    },
    /// The user-data is too large.
    #[error(transparent)]
    UserData(#[from] mayfly_ami::user_data::UserDataError),
}
