//! (Snapshot, Spec) → Plan: which instances come, which go, and the ordered steps with what undoes each. Pure.

mod build;
mod check;
mod error;
mod resume;
mod show;
mod steps;
#[cfg(test)]
mod tests;
mod waves;

pub use build::build;
pub(crate) use build::states;
pub use error::PlanError;
pub use resume::{candidate, restore};
pub(crate) use steps::short;

use crate::cloud::{BalancerRef, Tags, TargetKind, TemplateData};
use crate::spec::{Probe, Share, Timeouts};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// What is to be done about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// A new deployment of what the spec says.
    #[default]
    Deploy,
    /// A new deployment of what an older record says: that number's, or the last success that does not run now.
    Rollback(Option<i64>),
    /// Go on with a canary or a partial deployment.
    Promote,
    /// Take back a canary, a partial deployment or one that was left half done.
    Abort,
    /// Complete or undo what a killed run left.
    Recover,
}

/// What is to be done, and how it differs from what the spec says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intent {
    /// What.
    pub task: Task,
    /// Only this part of the instances.
    pub only: Option<Share>,
    /// The step before which somebody has to agree, as [`Step::point`] names it.
    pub pause_before: Option<String>,
    /// A rollback goes in the spec's waves, not all at once.
    pub in_waves: bool,
}

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

/// What a record's description says: `KEY=VALUE` words, at most 255 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The deployment's id.
    pub deployment: String,
    /// Who deployed.
    pub who: String,
    /// The state commit.
    pub commit: Option<String>,
    /// How many instances it is, when it is whole.
    pub count: Option<u32>,
    /// The number of the record that it repeats.
    pub rollback_of: Option<i64>,
}

impl Description {
    /// As text.
    #[must_use]
    pub fn write(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("-");
        let who: String =
            self.who.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(64).collect();
        let mut text = format!("deployment={} who={who} commit={commit}", self.deployment);
        if let Some(count) = self.count {
            text.push_str(&format!(" count={count}"));
        }
        if let Some(number) = self.rollback_of {
            text.push_str(&format!(" rollback-of={number}"));
        }
        text
    }

    /// From text; what is not there is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let word = |key: &str| {
            let words = text.split_whitespace().filter_map(|word| word.split_once('='));
            words.into_iter().find(|(have, _)| *have == key).map(|(_, value)| value.to_owned())
        };
        Self {
            deployment: word("deployment").unwrap_or_default(),
            who: word("who").unwrap_or_default(),
            commit: word("commit").filter(|commit| commit != "-"),
            count: word("count").and_then(|count| count.parse().ok()),
            rollback_of: word("rollback-of").and_then(|number| number.parse().ok()),
        }
    }
}

/// A deployment as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// What is done.
    pub task: Task,
    /// Deployment, who, when, commit: of the deployment that serves in the end.
    pub identity: Identity,
    /// Where it is recorded.
    pub record: Recording,
    /// What the launch template version says.
    pub template: TemplateData,
    /// Told to EC2 with each launch, so that a launch in another's stead is another one.
    pub attempt: String,
    /// Tags of the new instances.
    pub tags: Tags,
    /// Types, in the order to try.
    pub instance_types: Vec<String>,
    /// The word of the strategy.
    pub strategy: &'static str,
    /// How many instances there are when the deployment is whole.
    pub count: u32,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// How it ends.
    pub ending: Ending,
    /// How readiness is asked.
    pub probe: Option<Probe>,
    /// The balancers.
    pub balancers: Vec<BalancerPlan>,
    /// What an unfinished deployment left, not in service: removed before anything else.
    pub leftovers: Vec<Existing>,
    /// What else of the service lives: it stays as it is.
    pub kept: Vec<Existing>,
    /// How many old instances this deployment had replaced before this plan began.
    pub replaced: u32,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

/// Where a deployment is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// In a new launch template version with this description.
    New(String),
    /// It is already.
    Existing {
        /// The launch template's id.
        template: String,
        /// The version.
        version: i64,
    },
    /// Nowhere: nothing is launched.
    None,
}

/// How a plan ends when all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The deployment is the last that succeeded.
    Success,
    /// A part of it serves beside a part of the old.
    Partial,
    /// A part of it serves beside all of the old, until somebody promotes or aborts it.
    Canary,
    /// The last success serves again; the record of this number was taken back.
    Aborted(i64),
    /// Nothing is marked.
    Nothing,
}

/// Some of the new in the place of some of the old.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wave {
    /// Its number, from 1.
    pub number: u32,
    /// Requests for instances.
    pub batches: Vec<Batch>,
    /// Instances that are there already and count among the new.
    pub adopted: Vec<Existing>,
    /// Live instances that the new ones replace.
    pub old: Vec<Existing>,
    /// How long its health has to hold before anything else is done.
    pub soak: Option<Duration>,
}

impl Wave {
    /// How many it launches.
    #[must_use]
    pub fn launches(&self) -> u32 {
        self.batches.iter().map(|batch| batch.count).sum()
    }

    /// How many of the new it brings in service.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.launches() + u32::try_from(self.adopted.len()).unwrap_or(u32::MAX)
    }
}

/// One request for instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 0 and never twice in a deployment; part of its idempotency token and of its instances' tags.
    pub slot: u32,
    /// How many instances.
    pub count: u32,
    /// Subnets in the order to try; empty lets EC2 choose.
    pub subnets: Vec<String>,
}

/// A balancer of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerPlan {
    /// Which.
    pub reference: BalancerRef,
    /// Its name.
    pub name: String,
    /// How long it drains by itself; zero where it does not.
    pub drain: Duration,
    /// How long a new member gets fewer requests beside others.
    pub slow_start: Duration,
    /// By what it knows its members.
    pub targets: TargetKind,
    /// How many of this service's instances must stay in service with it, whatever happens.
    pub floor: u32,
}

/// An instance that is there before the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: String,
    /// The deployment that launched it.
    pub deployment: Option<String>,
    /// Its private address.
    pub address: Option<String>,
    /// The balancers that list it, in service or not, and do not drain it.
    pub registered: Vec<BalancerRef>,
    /// The balancers that send it requests.
    pub serving: Vec<BalancerRef>,
    /// Whether a balancer is letting it go: what it has begun still has its time.
    pub draining: bool,
}

impl Existing {
    /// Whether any balancer lists it.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        !self.registered.is_empty()
    }

    /// Whether any balancer sends it requests.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        !self.serving.is_empty()
    }
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
    /// Wait until every balancer has them in service.
    InService,
    /// Watch that they stay healthy.
    Soak,
    /// Deregister the old.
    DeregisterOld,
    /// Wait out their draining.
    DrainOld,
    /// Terminate the old.
    TerminateOld,
    /// Wait until somebody agrees.
    Pause,
    /// Make the new version the default one: the last that succeeded.
    MarkDefault,
    /// Note that a part of the deployment serves, and let it be.
    Hold,
    /// Note that a deployment was taken back.
    MarkAborted,
    /// Give the lock back.
    Unlock,
}

impl Action {
    /// All of them, in the order they come in.
    pub const ALL: [Self; 17] = [
        Self::Lock,
        Self::CleanUp,
        Self::Record,
        Self::Launch,
        Self::Running,
        Self::Probe,
        Self::Register,
        Self::InService,
        Self::Soak,
        Self::DeregisterOld,
        Self::DrainOld,
        Self::TerminateOld,
        Self::Pause,
        Self::MarkDefault,
        Self::Hold,
        Self::MarkAborted,
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
            Self::Soak => "soak",
            Self::Pause => "pause",
            Self::DeregisterOld => "deregister-old",
            Self::DrainOld => "drain-old",
            Self::TerminateOld => "terminate-old",
            Self::MarkDefault => "mark-default",
            Self::Hold => "hold",
            Self::MarkAborted => "mark-aborted",
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
    /// The wave it belongs to, from 1; none for what is done once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    /// What it does, for people.
    pub what: String,
    /// What undoes it.
    pub undo: Undo,
}

impl Step {
    /// Its name among a plan's steps: the action's word, with the wave's number from the second wave on.
    #[must_use]
    pub fn point(&self) -> String {
        match self.wave {
            Some(wave) if wave > 1 => format!("{}-{wave}", self.action.name()),
            _ => self.action.name().to_owned(),
        }
    }
}

impl Plan {
    /// Everything that was there and goes.
    #[must_use]
    pub fn old(&self) -> Vec<&Existing> {
        self.waves.iter().flat_map(|wave| &wave.old).collect()
    }

    /// How many instances are launched.
    #[must_use]
    pub fn launches(&self) -> u32 {
        self.waves.iter().map(Wave::launches).sum()
    }

    /// Whether a run of it that fails can go back. What itself leads back is finished by going on.
    #[must_use]
    pub fn can_be_undone(&self) -> bool {
        matches!(self.ending, Ending::Success | Ending::Partial | Ending::Canary)
    }

    /// The wave of that number.
    #[must_use]
    pub fn wave(&self, number: u32) -> Option<&Wave> {
        self.waves.iter().find(|wave| wave.number == number)
    }
}
