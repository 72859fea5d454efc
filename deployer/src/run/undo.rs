//! Undoing: the old back in service first, then the new out, drained and terminated; or saying what is left.

use super::steps::registered_old;
use super::{Event, Failure, Journal, Outcome, Run};
use crate::cloud::Kind;
use crate::lock::LockError;
use crate::naming;
use std::time::Duration;

/// Sweeps by tag for instances whose launch was never answered; one empty sweep proves no absence.
const SWEEPS: u32 = 4;

impl Run<'_> {
    /// Ends a failed run. What was begun is undone in reverse; where undoing could do harm, it stops and says so.
    pub(super) async fn settle(&self, cause: Failure) -> Outcome {
        let refused = matches!(cause, Failure::Plan(_) | Failure::PlanChanged);
        match self.undo(&cause).await {
            Ok(()) if refused => Outcome::Refused(cause),
            Ok(()) => Outcome::RolledBack(cause),
            Err(Failure::Killed(point)) => Outcome::Killed(point),
            Err(second) => {
                self.note(format!("undoing stopped: {second}"));
                Outcome::Dirty { cause, left: self.left() }
            }
        }
    }

    async fn undo(&self, cause: &Failure) -> Result<(), Failure> {
        if let Failure::Lock(LockError::Lost { .. }) = cause {
            return Err(cause.clone());
        }
        if self.is_past_return() && !self.nothing_ended().await? {
            return Err(cause.clone());
        }
        if self.journal().plan.is_some() {
            self.still_ours().await?;
            self.put_old_back().await?;
            self.remove_new().await?;
            self.note_failure().await;
        }
        self.boundary("before-undo-unlock")?;
        self.act(crate::plan::Action::Unlock).await
    }

    /// Whether every old instance still runs although their termination was begun: then it can still be undone.
    async fn nothing_ended(&self) -> Result<bool, Failure> {
        let ids: Vec<String> = self.current_plan()?.old.into_iter().map(|old| old.id).collect();
        let cloud = &self.context.cloud;
        let seen = self.persist(async || cloud.instances(&ids).await).await?;
        let unmarked = self.journal().plan.as_ref().is_some_and(|plan| !plan.old.is_empty());
        Ok(unmarked && seen.len() == ids.len() && seen.iter().all(|instance| !instance.state.is_ending()))
    }

    async fn put_old_back(&self) -> Result<(), Failure> {
        if !self.journal().touched_old {
            return Ok(());
        }
        let plan = self.current_plan()?;
        self.boundary("before-undo-restore-old")?;
        self.undoing("put the old instances back in service");
        self.register(&registered_old(&plan)).await?;
        let served: Vec<String> =
            plan.old.iter().filter(|old| old.in_service).map(|old| old.id.clone()).collect();
        self.wait_in_service(&served, false).await?;
        self.boundary("after-undo-restore-old")
    }

    async fn remove_new(&self) -> Result<(), Failure> {
        if !self.journal().launched {
            return Ok(());
        }
        let ids = self.sweep().await?;
        if ids.is_empty() {
            return Ok(());
        }
        if self.journal().registered_new {
            self.boundary("before-undo-deregister-new")?;
            self.undoing("deregister the new instances and wait out their draining");
            self.take_out(&ids, false).await?;
        }
        self.boundary("before-undo-terminate-new")?;
        self.undoing("terminate the new instances");
        self.still_ours().await?;
        self.terminate(&ids).await?;
        self.boundary("after-undo-terminate-new")
    }

    /// All instances of this deployment: those that were answered, and those that only their tags tell of.
    async fn sweep(&self) -> Result<Vec<String>, Failure> {
        let cloud = &self.context.cloud;
        let mut tags = naming::ownership(&self.order.spec.service, &self.order.spec.environment);
        tags.insert(naming::DEPLOYMENT.to_owned(), self.order.identity.deployment.clone());
        let sweeps = if self.journal().launch_unsure { SWEEPS } else { 1 };
        for number in 0..sweeps {
            if number > 0 {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            let found = self.persist(async || cloud.instances_tagged(&tags).await).await?;
            let live =
                found.into_iter().filter(|instance| !instance.state.is_ending()).map(|instance| instance.id);
            self.journal().new.extend(live);
        }
        Ok(self.new_ids())
    }

    fn undoing(&self, what: &str) {
        self.context.sink.event(&Event::Undoing { what: what.to_owned() });
    }

    /// Best effort: history shows the failure; nothing depends on it.
    async fn note_failure(&self) {
        let Some((template, version)) = self.journal().record.clone() else { return };
        let Ok(tags) = self.with_version(naming::FAILED, version).await else { return };
        if let Err(error) = self.context.cloud.tag(&template, &tags).await
            && error.kind != Kind::NotFound
        {
            self.note(format!("the failure could not be recorded: {error}"));
        }
    }

    /// What is left when a run ends without having been undone, and how to finish.
    pub(super) fn left(&self) -> Vec<String> {
        let journal = self.journal().clone();
        let mut left = Vec::new();
        if !journal.new.is_empty() {
            let ids: Vec<&str> = journal.new.iter().map(String::as_str).collect();
            left.push(format!("instances of this deployment: {}", ids.join(", ")));
        } else if journal.launch_unsure {
            left.push(format!(
                "perhaps instances tagged {}={}",
                naming::DEPLOYMENT,
                self.order.identity.deployment
            ));
        }
        left.extend(old_left(&journal));
        if let Some(held) = &journal.held {
            left.push(format!("the lock {}", held.name));
        }
        if !left.is_empty() {
            left.push(
                "finish with `mayfly deploy`: it takes over, keeps what serves and removes the rest"
                    .to_owned(),
            );
        }
        left
    }
}

fn old_left(journal: &Journal) -> Option<String> {
    let plan = journal.plan.as_ref().filter(|_| journal.touched_old || journal.terminating_old)?;
    let ids: Vec<&str> = plan.old.iter().map(|old| old.id.as_str()).collect();
    let how = if journal.terminating_old { "perhaps terminated" } else { "perhaps out of the balancer" };
    (!ids.is_empty()).then(|| format!("old instances, {how}: {}", ids.join(", ")))
}
