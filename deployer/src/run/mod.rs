//! Runs a plan: lock, snapshot, steps; on failure the undo of what was begun, in reverse; always an outcome.
//!
//! The plan that is run is made under the lock, from a fresh snapshot: whatever an earlier deployer did, killed or
//! not, is part of it. What is known so far is kept in a [`Journal`], so that stopping at any point can say what is left.

mod cancel;
mod event;
mod failure;
mod fleet;
mod hooks;
mod probe;
mod steps;
#[cfg(test)]
mod tests;
mod traffic;
mod undo;
mod wait;

pub use cancel::{Cancel, Canceller, channel};
pub use event::{Event, Sink};
pub use failure::Failure;
pub use probe::{HttpProber, ProbeAnswer, Prober};
pub(crate) use wait::{Look, Wait, poll};

use crate::cloud::Cloud;
use crate::lock::{self, Held, Holder, LockError};
use crate::plan::{Action, Identity, Plan};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The outer world of a run.
#[derive(Clone)]
pub struct Context {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
    /// How instances are asked.
    pub prober: Arc<dyn Prober>,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// The wall clock.
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// Whether a process of this place lives, see [`Holder::process`].
    pub alive: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Told each boundary, `before-launch`, `after-launch`, …; true ends the run there as a kill would. For tests.
    pub boundary: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is deployed.
    pub spec: Spec,
    /// Deployment, who, when, commit.
    pub identity: Identity,
    /// Who takes the lock.
    pub holder: Holder,
    /// The plan that somebody approved; another one is then refused.
    pub approved: Option<Plan>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The new serve, the old are gone.
    Done,
    /// It failed, and everything is as it was before.
    RolledBack(Failure),
    /// It failed, and this is left.
    Dirty {
        /// Why.
        cause: Failure,
        /// What is left, and how to finish.
        left: Vec<String>,
    },
    /// Somebody else deploys.
    Locked(Box<Holder>),
    /// Nothing was done, because going on could have done harm.
    Refused(Failure),
    /// It was told to die; only tests see this.
    Killed(String),
}

impl Outcome {
    /// The word in [`Event::Finished`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack(_) => "rolled-back",
            Self::Dirty { .. } => "dirty",
            Self::Locked(_) => "locked",
            Self::Refused(_) => "refused",
            Self::Killed(_) => "killed",
        }
    }

    /// Why, unless it is done.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::RolledBack(cause) | Self::Refused(cause) | Self::Dirty { cause, .. } => {
                Some(cause.to_string())
            }
            Self::Locked(holder) => Some(holder.to_string()),
            Self::Killed(point) => Some(format!("killed at {point}")),
        }
    }
}

/// What is known of a run so far.
#[derive(Debug, Clone, Default)]
struct Journal {
    plan: Option<Plan>,
    held: Option<Held>,
    /// Launch template id and version.
    record: Option<(String, i64)>,
    /// Whether instances were asked for, answered or not.
    launched: bool,
    /// Whether an answer to a launch was lost, so that more may exist than are known.
    launch_unsure: bool,
    new: BTreeSet<String>,
    registered_new: bool,
    touched_old: bool,
    terminating_old: bool,
}

struct Run<'a> {
    context: &'a Context,
    order: &'a Order,
    cancel: &'a Cancel,
    journal: Mutex<Journal>,
}

/// Deploys. Always comes back with an outcome; a second request to stop cuts even the undoing short.
pub async fn deploy(context: &Context, order: &Order, cancel: &Cancel) -> Outcome {
    let began = Instant::now();
    let run = Run { context, order, cancel, journal: Mutex::default() };
    let outcome = tokio::select! {
        biased;
        () = cancel.stop() => Outcome::Dirty { cause: Failure::Interrupted, left: run.left() },
        outcome = run.whole() => outcome,
        never = run.heartbeat() => match never {},
    };
    run.end_hooks(&outcome).await;
    let left = match &outcome {
        Outcome::Dirty { left, .. } => left.clone(),
        _ => Vec::new(),
    };
    let instances = if outcome == Outcome::Done { run.new_ids() } else { Vec::new() };
    let seconds = began.elapsed().as_secs_f64();
    context.sink.event(&Event::Finished {
        outcome: outcome.word().to_owned(),
        deployment: order.identity.deployment.clone(),
        instances,
        cause: outcome.cause(),
        left,
        seconds,
    });
    outcome
}

impl Run<'_> {
    async fn whole(&self) -> Outcome {
        match self.forward().await {
            Ok(()) => Outcome::Done,
            Err(Failure::Killed(point)) => Outcome::Killed(point),
            Err(Failure::Lock(LockError::Taken(holder))) => Outcome::Locked(holder),
            Err(cause) => self.settle(cause).await,
        }
    }

    async fn forward(&self) -> Result<(), Failure> {
        let what = format!("take the lock of {} in {}", self.order.spec.service, self.order.spec.environment);
        self.step(Action::Lock, &what).await?;
        let plan = self.plan().await?;
        self.journal().plan = Some(plan.clone());
        self.context.sink.event(&Event::Planned { plan: plan.to_json(), text: plan.to_string() });
        for step in plan.steps.iter().filter(|step| step.action != Action::Lock) {
            if self.cancel.is_asked() && !self.is_past_return() {
                return Err(Failure::Interrupted);
            }
            self.step(step.action, &step.what).await?;
        }
        Ok(())
    }

    /// Makes the plan under the lock. One that was approved must still be what would be done.
    async fn plan(&self) -> Result<Plan, Failure> {
        let snapshot = Snapshot::read(self.context.cloud.as_ref(), &self.order.spec).await?;
        let plan = crate::plan::build(&self.order.spec, &snapshot, &self.order.identity)?;
        match &self.order.approved {
            Some(approved) if *approved != plan => Err(Failure::PlanChanged),
            _ => Ok(plan),
        }
    }

    async fn step(&self, action: Action, what: &str) -> Result<(), Failure> {
        let began = Instant::now();
        self.boundary(&format!("before-{}", action.name()))?;
        self.context.sink.event(&Event::StepStarted { step: action, what: what.to_owned() });
        let result = self.hooked(action).await;
        if let Err(mut cause) = result {
            let consoles = self.consoles(&cause).await;
            cause.explain(consoles.iter().find(|line| line.contains(mayfly_ami::bake::FAILED)));
            cause.add_evidence(consoles);
            let evidence = cause.evidence();
            self.context.sink.event(&Event::StepFailed { step: action, cause: cause.to_string(), evidence });
            return Err(cause);
        }
        self.context.sink.event(&Event::StepDone { step: action, seconds: began.elapsed().as_secs_f64() });
        self.boundary(&format!("after-{}", action.name()))
    }

    fn boundary(&self, point: &str) -> Result<(), Failure> {
        if (self.context.boundary)(point) { Err(Failure::Killed(point.to_owned())) } else { Ok(()) }
    }

    /// Renews the lease for as long as the run lasts.
    async fn heartbeat(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(lock::LEASE / 5).await;
            let held = self.journal().held.clone();
            if let Some(held) = held
                && let Err(error) =
                    lock::renew(self.context.cloud.as_ref(), &held, (self.context.now)()).await
            {
                self.note(format!("the lock's lease could not be renewed: {error}"));
            }
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_ids(&self) -> Vec<String> {
        self.journal().new.iter().cloned().collect()
    }

    fn is_past_return(&self) -> bool {
        self.journal().terminating_old
    }

    fn note(&self, text: String) {
        self.context.sink.event(&Event::Note { text });
    }

    /// The plan of this run. Only steps ask, and they come after it was made.
    fn current_plan(&self) -> Result<Plan, Failure> {
        self.journal().plan.clone().ok_or(Failure::PlanChanged)
    }

    /// Asks again whether the lock is ours; destructive steps begin with this.
    async fn still_ours(&self) -> Result<(), Failure> {
        let held = self.journal().held.clone();
        match held {
            Some(held) => Ok(lock::verify(self.context.cloud.as_ref(), &held).await?),
            None => Ok(()),
        }
    }

    fn wait<'w>(&'w self, what: impl Into<String>, deadline: Duration, cancel: bool) -> Wait<'w> {
        Wait {
            what: what.into(),
            deadline,
            interval: (Duration::from_millis(250), Duration::from_secs(5)),
            cancel: cancel.then_some(self.cancel),
            sink: self.context.sink.as_ref(),
        }
    }
}
