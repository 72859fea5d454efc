//! Undoing: the old back in service first, then the last success in the place of what had ended, then the new out,
//! drained and terminated; or saying what is left.

use super::steps::SWEEPS;
use super::{Event, Failure, Outcome, Run, cancel, persist};
use crate::cloud::Health;
use crate::lock::{self, LockError};
use crate::naming;
use crate::plan::{Action, Existing, Task, restore};
use std::collections::BTreeSet;
use std::time::Duration;

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
                // What is left needs a hand, and whoever lends it should not have to wait for the lease to run out.
                if let Err(error) = self.unlock().await {
                    self.note(format!("the lock could not be given back: {error}"));
                }
                match self.left() {
                    left if left.is_empty() => Outcome::RolledBack(cause),
                    left => Outcome::Dirty { cause, left },
                }
            }
        }
    }

    async fn undo(&self, cause: &Failure) -> Result<(), Failure> {
        if let Failure::Lock(LockError::Lost { .. }) = cause {
            return Err(cause.clone());
        }
        let plan = self.journal().plan.clone();
        let Some(plan) = plan else { return self.let_go().await };
        let gone = self.gone().await?;
        let is_past = self.is_past_return() && (gone > 0 || self.journal().ended.is_empty());
        // What leads back to the last success is finished by going on: there is nothing better to go back to.
        if is_past || !plan.can_be_undone() {
            return Err(cause.clone());
        }
        self.still_ours().await?;
        let was_held = plan.record.is_existing();
        if gone > 0 || !was_held {
            self.note_failure().await;
        }
        self.put_old_back().await?;
        if gone > 0 || self.lack().await?.is_some() {
            self.restore_last_success(gone + plan.replaced).await?;
        }
        self.remove_new().await?;
        self.let_go().await
    }

    async fn let_go(&self) -> Result<(), Failure> {
        self.boundary("before-undo-unlock")?;
        self.find_own_lock().await;
        self.unlock().await
    }

    /// A lock whose taking failed half-way may be held all the same: its token tells.
    async fn find_own_lock(&self) {
        if !self.journal().locking {
            return;
        }
        if let Ok(found) = lock::holder_of(self.context.cloud.as_ref(), &self.order.spec).await {
            let own = found.filter(|held| held.holder.token == self.order.holder.token);
            let mut journal = self.journal();
            (journal.held, journal.locking) = (own, false);
        }
    }

    /// How many old instances this run has ended.
    async fn gone(&self) -> Result<u32, Failure> {
        let old = self.journal().ended_old();
        let alive = self.alive(&old).await?.len();
        Ok(u32::try_from(old.len() - alive).unwrap_or(u32::MAX))
    }

    /// Those that still run.
    async fn alive(&self, old: &[Existing]) -> Result<Vec<Existing>, Failure> {
        let ids: Vec<String> = old.iter().map(|old| old.id.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let cloud = &self.context.cloud;
        let seen = persist(async || cloud.instances(&ids).await).await?;
        let lives = |old: &&Existing| seen.iter().any(|i| i.id == old.id && !i.state.is_ending());
        Ok(old.iter().filter(lives).cloned().collect())
    }

    async fn put_old_back(&self) -> Result<(), Failure> {
        let touched = self.journal().touched_old();
        if touched.is_empty() {
            return Ok(());
        }
        let old = self.alive(&touched).await?;
        if old.is_empty() {
            return Ok(());
        }
        self.boundary("before-undo-restore-old")?;
        self.undoing("put the old instances back in service");
        self.put_back(&old).await?;
        self.boundary("after-undo-restore-old")
    }

    /// Launches the last success again in the place of what had ended, and takes the failed deployment out once that
    /// serves. A run of its own, which nothing interrupts.
    async fn restore_last_success(&self, gone: u32) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let deployment = plan.identity.deployment.clone();
        let snapshot = self.snapshot(Task::Abort).await?;
        // What a partial deployment was to leave counts too: it is part of what was there.
        let left = u32::try_from(plan.old().len() + plan.kept.len()).unwrap_or(u32::MAX);
        let count = left.saturating_add(plan.replaced).max(gone);
        let Some(plan) = restore(&self.order.spec, &snapshot, &deployment, count) else {
            let what = "no deployment ever succeeded, so there is none to put back".to_owned();
            return Err(Failure::Hopeless { what, evidence: Vec::new() });
        };
        self.undoing(&format!("put {} back in the place of what was replaced", plan.identity.deployment));
        let (_never, cancel) = cancel::channel();
        let run = Run { stage: "restore-", ..Run::new(self.context, self.order, &cancel) };
        run.journal().held = self.journal().held.clone();
        run.journal().start(plan.clone());
        let steps = plan.steps.iter().filter(|step| !matches!(step.action, Action::Lock | Action::Unlock));
        for step in steps {
            run.step(step).await?;
        }
        Ok(())
    }

    /// What this run launched. Instances that it found and counted among the new stay, as they were before.
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
            self.still_ours().await?;
            if let Some(what) = self.lack().await? {
                return Err(Failure::Hopeless { what, evidence: Vec::new() });
            }
            self.undoing("deregister the new instances and wait out their draining");
            self.take_out(&ids, false).await?;
        }
        self.boundary("before-undo-terminate-new")?;
        self.undoing("terminate the new instances");
        self.still_ours().await?;
        self.terminate(&ids).await?;
        self.boundary("after-undo-terminate-new")
    }

    /// Whether the new are needed: some of them serve, and what serves besides is less than has to.
    async fn lack(&self) -> Result<Option<String>, Failure> {
        if !self.journal().registered_new {
            return Ok(None);
        }
        let (new, ours) = (self.launched_ids(), self.ours().await?);
        for balancer in self.balancers()? {
            let members = self.members_surely(&balancer).await?;
            let serving = members.iter().filter(|m| m.health == Health::InService).map(|m| &m.instance);
            let (fresh, others): (Vec<_>, Vec<_>) =
                serving.filter(|id| ours.contains(*id)).partition(|id| new.contains(id));
            if !fresh.is_empty() && others.len() < balancer.floor as usize {
                let (others, name, floor) = (others.len(), &balancer.name, balancer.floor);
                return Ok(Some(format!(
                    "without the new instances {others} would serve with {name}, and {floor} have to"
                )));
            }
        }
        Ok(None)
    }

    /// All instances of this service, however they came.
    async fn ours(&self) -> Result<BTreeSet<String>, Failure> {
        let cloud = &self.context.cloud;
        let tags = naming::ownership(&self.order.spec.service, &self.order.spec.environment);
        let found = persist(async || cloud.instances_tagged(&tags).await).await?;
        self.learn(&found);
        Ok(found.into_iter().map(|instance| instance.id).collect())
    }

    /// The new but for those that were there before.
    fn launched_ids(&self) -> Vec<String> {
        let journal = self.journal();
        let adopted = journal.plan.iter().flat_map(|plan| &plan.waves).flat_map(|wave| &wave.adopted);
        let adopted: BTreeSet<&String> = adopted.map(|own| &own.id).collect();
        journal.all_new().into_iter().filter(|id| !adopted.contains(id)).collect()
    }

    /// All instances of this deployment: those that were answered, and those that only their tags tell of.
    async fn sweep(&self) -> Result<Vec<String>, Failure> {
        let cloud = &self.context.cloud;
        let mut tags = naming::ownership(&self.order.spec.service, &self.order.spec.environment);
        tags.insert(naming::DEPLOYMENT.to_owned(), self.deployment());
        let sweeps = if self.journal().launch_unsure { SWEEPS + 1 } else { 1 };
        for number in 0..sweeps {
            if number > 0 {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            let found = persist(async || cloud.instances_tagged(&tags).await).await?;
            let found: Vec<_> = found.into_iter().filter(|instance| !instance.state.is_ending()).collect();
            self.learn(&found);
            let own =
                self.journal().plan.iter().flat_map(|plan| &plan.waves).any(|wave| !wave.adopted.is_empty());
            if !own {
                self.journal().add_new(0, found.into_iter().map(|instance| instance.id));
            }
        }
        Ok(self.launched_ids())
    }

    fn undoing(&self, what: &str) {
        self.context.sink.event(&Event::Undoing { what: what.to_owned() });
    }

    /// What is left when a run ends without having been undone, and how to finish.
    pub(super) fn left(&self) -> Vec<String> {
        let journal = self.journal().clone();
        let mut left = Vec::new();
        let new: BTreeSet<String> = journal.all_new().into_iter().collect();
        if !new.is_empty() {
            let new: Vec<String> = new.into_iter().collect();
            left.push(format!("instances of this deployment: {}", new.join(", ")));
        } else if journal.launch_unsure {
            left.push(format!("perhaps instances tagged {}={}", naming::DEPLOYMENT, self.deployment()));
        }
        let ended = journal.ended_old();
        let touched: Vec<Existing> =
            journal.touched_old().into_iter().filter(|old| !ended.contains(old)).collect();
        left.extend(old_left(&ended, "perhaps terminated"));
        left.extend(old_left(&touched, "perhaps out of the balancer"));
        if let Some(held) = &journal.held {
            left.push(format!("the lock {}", held.name));
        } else if journal.locking {
            left.push("perhaps the lock".to_owned());
        }
        if !left.is_empty() {
            left.push(
                "finish with `mayfly recover`, which completes or undoes it, or with `mayfly deploy`, which \
                 takes over, keeps what serves and removes the rest"
                    .to_owned(),
            );
        }
        left
    }
}

fn old_left(old: &[Existing], how: &str) -> Option<String> {
    let ids: Vec<&str> = old.iter().map(|old| old.id.as_str()).collect();
    (!ids.is_empty()).then(|| format!("old instances, {how}: {}", ids.join(", ")))
}
