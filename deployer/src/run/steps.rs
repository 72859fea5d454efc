//! What each step of a plan does.

use super::{Failure, Run, persist};
use crate::cloud::{Kind, Template};
use crate::lock;
use crate::naming;
use crate::plan::{Action, Recording, Step, Task, Wave};
use crate::snapshot::Snapshot;
use std::time::Duration;

/// Looks for what a deployment that was killed has launched: one empty answer proves no absence.
pub(super) const SWEEPS: u32 = 3;

impl Run<'_> {
    pub(super) async fn act(&self, step: &Step) -> Result<(), Failure> {
        let wave = step.wave.unwrap_or_default();
        match step.action {
            Action::Lock => self.take_lock().await,
            Action::CleanUp => self.clean_up().await,
            Action::Record => self.record().await,
            Action::Launch => self.launch(wave).await,
            Action::Running => self.wait_running(wave).await,
            Action::Probe => self.wait_ready(wave).await,
            Action::Register => self.register_new(wave).await,
            Action::InService => self.wait_new_in_service(wave).await,
            Action::Soak => self.soak(wave).await,
            Action::Pause => self.pause_step(step).await,
            Action::DeregisterOld => self.deregister_old(wave).await,
            Action::DrainOld => self.drain_old(wave).await,
            Action::TerminateOld => self.terminate_old(wave).await,
            Action::MarkDefault => self.mark_default().await,
            Action::Hold => self.mark_held().await,
            Action::MarkAborted => self.mark_aborted().await,
            Action::Unlock => self.unlock().await,
        }
    }

    pub(super) async fn snapshot(&self, task: Task) -> Result<Snapshot, Failure> {
        Ok(Snapshot::read_for(self.context.cloud.as_ref(), &self.order.spec, task).await?)
    }

    /// What the cloud looks like once it had time to show what a deployment that was killed just now has launched.
    pub(super) async fn settled(&self, task: Task) -> Result<Snapshot, Failure> {
        let mut snapshot = self.snapshot(task).await?;
        for _ in 0..SWEEPS {
            if !snapshot.is_fresh_and_unfinished((self.context.now)()) {
                break;
            }
            self.pause(Duration::from_secs(2)).await?;
            let before = snapshot.instances.len();
            snapshot = self.snapshot(task).await?;
            if snapshot.instances.len() > before {
                self.note("instances of an unfinished deployment have come to light".to_owned());
            }
        }
        Ok(snapshot)
    }

    /// The wave of a step. Only steps of the plan ask.
    pub(super) fn wave(&self, number: u32) -> Result<Wave, Failure> {
        self.current_plan()?.wave(number).cloned().ok_or(Failure::PlanChanged)
    }

    async fn take_lock(&self) -> Result<(), Failure> {
        let request = lock::Request {
            service: &self.order.spec.service,
            environment: &self.order.spec.environment,
            place: lock::Place::of(&self.order.spec),
            me: &self.order.holder,
            now: self.context.now.as_ref(),
            alive: self.context.alive.as_ref(),
        };
        self.journal().locking = true;
        let held = lock::acquire(self.context.cloud.as_ref(), &request).await?;
        let mut journal = self.journal();
        (journal.held, journal.locking) = (Some(held), false);
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), Failure> {
        let ids: Vec<String> = self.current_plan()?.leftovers.iter().map(|left| left.id.clone()).collect();
        self.still_ours().await?;
        self.take_out(&ids, true).await?;
        self.still_ours().await?;
        self.terminate(&ids).await
    }

    async fn record(&self) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let Recording::New(description) = &plan.record else { return Ok(()) };
        let cloud = self.context.cloud.as_ref();
        let name = naming::record(&plan.service, &plan.environment);
        let existing = match cloud.template(&name).await? {
            Some(template) => Some(template),
            None => {
                let tags = naming::ownership(&plan.service, &plan.environment);
                match cloud.create_template(&name, &tags, description, &plan.template).await {
                    Ok(Template { id, latest_version, .. }) => {
                        self.journal().record = Some((id, latest_version));
                        None
                    }
                    Err(error) if matches!(error.kind, Kind::Duplicate | Kind::Ambiguous) => {
                        cloud.template(&name).await?
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if let Some(template) = existing {
            let version = cloud.create_version(&template.id, description, &plan.template).await?;
            self.journal().record = Some((template.id, version));
        }
        if self.journal().record.is_none() {
            let what = format!("the launch template {name} could not be made");
            return Err(Failure::Hopeless { what, evidence: Vec::new() });
        }
        Ok(())
    }

    async fn deregister_old(&self, wave: u32) -> Result<(), Failure> {
        let ids = self.registered_old(wave)?;
        self.wait_spare(wave, &ids).await?;
        self.still_ours().await?;
        self.journal().touched.insert(wave);
        self.deregister(&ids).await
    }

    async fn drain_old(&self, wave: u32) -> Result<(), Failure> {
        let old = self.wave(wave)?.old.into_iter();
        let ids: Vec<String> =
            old.filter(|old| old.is_registered() || old.draining).map(|old| old.id).collect();
        self.wait_drained(&ids, true).await
    }

    async fn terminate_old(&self, wave: u32) -> Result<(), Failure> {
        let ids: Vec<String> = self.wave(wave)?.old.into_iter().map(|old| old.id).collect();
        // Draining took its time: what was healthy then has to be so now, while there still is a way back.
        self.alive_new(&self.journal_new_until(wave)).await?;
        self.wait_spare(wave, &ids).await?;
        self.still_ours().await?;
        self.journal().ended.insert(wave);
        self.terminate(&ids).await
    }

    fn registered_old(&self, wave: u32) -> Result<Vec<String>, Failure> {
        let old = self.wave(wave)?.old.into_iter();
        Ok(old.filter(|old| old.is_registered()).map(|old| old.id).collect())
    }

    pub(super) fn journal_new_until(&self, wave: u32) -> Vec<String> {
        self.journal().new_until(wave)
    }

    pub(super) async fn unlock(&self) -> Result<(), Failure> {
        let held = self.journal().held.clone();
        let Some(held) = held else { return Ok(()) };
        persist(async || lock::release(self.context.cloud.as_ref(), &held).await).await?;
        self.journal().held = None;
        Ok(())
    }
}
