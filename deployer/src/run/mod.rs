//! Runs a plan: lock, snapshot, steps; on failure the undo of what was begun, in reverse; always an outcome.
//!
//! The plan that is run is made under the lock, from a fresh snapshot: whatever an earlier deployer did, killed or
//! not, is part of it. What is known so far is kept in a [`Journal`], so that stopping at any point can say what is left.

mod cancel;
mod event;
mod failure;
mod fleet;
mod hold;
mod hooks;
mod journal;
mod marks;
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
pub(crate) use wait::{Look, Wait, few, persist, poll};

use crate::cloud::Cloud;
use crate::lock::{self, Holder, LockError};
use crate::plan::{Action, Ending, Identity, Intent, Plan, Step};
use crate::spec::Spec;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use journal::Journal;
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
    /// Who is asked at a pause; without anybody, the pause waits for `mayfly promote`.
    pub asker: Option<Arc<dyn Asker>>,
}

/// Somebody who can be asked.
#[async_trait]
pub trait Asker: Send + Sync {
    /// Whether to go on.
    async fn ask(&self, question: &str) -> bool;
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is deployed.
    pub spec: Spec,
    /// Deployment, who, when, commit.
    pub identity: Identity,
    /// What is to be done with it.
    pub intent: Intent,
    /// Who takes the lock.
    pub holder: Holder,
    /// The plan that somebody approved; another one is then refused.
    pub approved: Option<Plan>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// What was to be done is done.
    Done,
    /// A part of the deployment serves, as was asked for; the rest comes with `mayfly promote`.
    Partial,
    /// A canary serves, until `mayfly promote` or `mayfly abort`.
    Canary,
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
            Self::Partial => "partial",
            Self::Canary => "canary",
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
            Self::Done | Self::Partial | Self::Canary => None,
            Self::RolledBack(cause) | Self::Refused(cause) | Self::Dirty { cause, .. } => {
                Some(cause.summary())
            }
            Self::Locked(holder) => Some(holder.to_string()),
            Self::Killed(point) => Some(format!("killed at {point}")),
        }
    }
}

/// Does what the order says. Always comes back with an outcome; a second request to stop cuts even the undoing short.
pub async fn deploy(context: &Context, order: &Order, cancel: &Cancel) -> Outcome {
    let began = Instant::now();
    let run = Run::new(context, order, cancel);
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
    let is_good = matches!(outcome, Outcome::Done | Outcome::Partial | Outcome::Canary);
    let instances = if is_good { run.new_ids() } else { Vec::new() };
    let seconds = began.elapsed().as_secs_f64();
    context.sink.event(&Event::Finished {
        outcome: outcome.word().to_owned(),
        deployment: run.deployment(),
        instances,
        cause: outcome.cause(),
        left,
        seconds,
    });
    outcome
}

/// One run: what it is told, and what it knows so far.
struct Run<'a> {
    context: &'a Context,
    order: &'a Order,
    cancel: &'a Cancel,
    /// What its boundaries begin with: nothing, or `restore-` while the last success is put back.
    stage: &'static str,
    began: Instant,
    journal: Mutex<Journal>,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context, order: &'a Order, cancel: &'a Cancel) -> Self {
        let journal = Mutex::default();
        Self { context, order, cancel, stage: "", began: Instant::now(), journal }
    }

    async fn whole(&self) -> Outcome {
        match self.forward().await {
            Ok(Ending::Partial) => Outcome::Partial,
            Ok(Ending::Canary) => Outcome::Canary,
            Ok(_) => Outcome::Done,
            Err(Failure::Killed(point)) => Outcome::Killed(point),
            Err(Failure::Lock(LockError::Taken(holder))) => Outcome::Locked(holder),
            Err(cause) => self.settle(cause).await,
        }
    }

    async fn forward(&self) -> Result<Ending, Failure> {
        let what = format!("take the lock of {} in {}", self.order.spec.service, self.order.spec.environment);
        let undo = crate::plan::Undo::Unlock;
        self.step(&Step { action: Action::Lock, wave: None, what, undo }).await?;
        let plan = self.plan().await?;
        self.journal().start(plan.clone());
        self.context.sink.event(&Event::Planned { plan: plan.to_json(), text: plan.to_string() });
        self.steps(&plan).await?;
        Ok(plan.ending)
    }

    async fn steps(&self, plan: &Plan) -> Result<(), Failure> {
        for step in plan.steps.iter().filter(|step| step.action != Action::Lock) {
            if self.cancel.is_asked() && !self.is_past_return() {
                return Err(Failure::Interrupted);
            }
            self.step(step).await?;
        }
        Ok(())
    }

    /// Makes the plan under the lock. One that was approved must still be what would be done.
    async fn plan(&self) -> Result<Plan, Failure> {
        let Order { spec, identity, intent, .. } = self.order;
        let snapshot = self.settled(intent.task).await?;
        let plan = crate::plan::build(spec, &snapshot, identity, intent)?;
        match &self.order.approved {
            Some(approved) if *approved != plan => Err(Failure::PlanChanged),
            _ => Ok(plan),
        }
    }

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        let began = Instant::now();
        let (action, point) = (step.action, step.point());
        self.boundary(&format!("before-{point}"))?;
        let what = step.what.clone();
        self.context.sink.event(&Event::StepStarted { step: action, wave: step.wave, what });
        let result = self.hooked(step).await;
        if let Err(mut cause) = result {
            let consoles = self.consoles(&cause).await;
            cause.explain(consoles.iter().find(|line| line.contains(mayfly_ami::bake::FAILED)));
            cause.add_evidence(consoles);
            let (wave, evidence, cause_text) = (step.wave, cause.evidence(), cause.to_string());
            self.context.sink.event(&Event::StepFailed { step: action, wave, cause: cause_text, evidence });
            return Err(cause);
        }
        let seconds = began.elapsed().as_secs_f64();
        self.context.sink.event(&Event::StepDone { step: action, wave: step.wave, seconds });
        self.boundary(&format!("after-{point}"))
    }

    fn boundary(&self, point: &str) -> Result<(), Failure> {
        let point = format!("{}{point}", self.stage);
        if (self.context.boundary)(&point) { Err(Failure::Killed(point)) } else { Ok(()) }
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
        self.journal().all_new()
    }

    /// Whether going on is safer than going back: in the last wave, once its old instances are being ended.
    fn is_past_return(&self) -> bool {
        self.journal().is_past_return()
    }

    /// The deployment that serves in the end, or that was to.
    fn deployment(&self) -> String {
        let planned = self.journal().plan.as_ref().map(|plan| plan.identity.deployment.clone());
        planned.unwrap_or_else(|| self.order.identity.deployment.clone())
    }

    fn note(&self, text: String) {
        self.context.sink.event(&Event::Note { text });
    }

    /// The plan of this run. Only steps ask, and they come after it was made.
    fn current_plan(&self) -> Result<Arc<Plan>, Failure> {
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
            interval: (Duration::from_millis(250), Duration::from_secs(10)),
            cancel: cancel.then_some(self.cancel),
            sink: self.context.sink.as_ref(),
        }
    }
}
