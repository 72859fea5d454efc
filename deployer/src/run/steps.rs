//! What each step of a plan does.

use super::{Failure, Run};
use crate::cloud::{Kind, Tags, Template};
use crate::lock;
use crate::naming;
use crate::plan::{Action, Plan};
use std::time::Duration;

impl Run<'_> {
    pub(super) async fn act(&self, action: Action) -> Result<(), Failure> {
        match action {
            Action::Lock => self.take_lock().await,
            Action::CleanUp => self.clean_up().await,
            Action::Record => self.record().await,
            Action::Launch => self.launch().await,
            Action::Running => self.wait_running().await,
            Action::Probe => self.wait_ready().await,
            Action::Register => self.register_new().await,
            Action::InService => self.wait_new_in_service().await,
            Action::DeregisterOld => self.deregister_old().await,
            Action::DrainOld => self.drain_old().await,
            Action::TerminateOld => self.terminate_old().await,
            Action::MarkDefault => self.mark_default().await,
            Action::Unlock => self.unlock().await,
        }
    }

    async fn take_lock(&self) -> Result<(), Failure> {
        let request = lock::Request {
            service: &self.order.spec.service,
            environment: &self.order.spec.environment,
            me: &self.order.holder,
            now: self.context.now.as_ref(),
            alive: self.context.alive.as_ref(),
        };
        let held = lock::acquire(self.context.cloud.as_ref(), &request).await?;
        self.journal().held = Some(held);
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), Failure> {
        let ids: Vec<String> = self.current_plan()?.leftovers.into_iter().map(|left| left.id).collect();
        self.still_ours().await?;
        self.take_out(&ids, true).await?;
        self.terminate(&ids).await
    }

    async fn record(&self) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let cloud = self.context.cloud.as_ref();
        let name = naming::record(&plan.service, &plan.environment);
        let description = plan.identity.description();
        let existing = match cloud.template(&name).await? {
            Some(template) => Some(template),
            None => {
                let tags = naming::ownership(&plan.service, &plan.environment);
                match cloud.create_template(&name, &tags, &description, &plan.template).await {
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
            let version = cloud.create_version(&template.id, &description, &plan.template).await?;
            self.journal().record = Some((template.id, version));
        }
        if self.journal().record.is_none() {
            let evidence = Vec::new();
            return Err(Failure::Hopeless {
                what: format!("the launch template {name} could not be made"),
                evidence,
            });
        }
        Ok(())
    }

    async fn deregister_old(&self) -> Result<(), Failure> {
        let ids = registered_old(&self.current_plan()?);
        self.still_ours().await?;
        self.journal().touched_old = true;
        self.deregister(&ids).await
    }

    async fn drain_old(&self) -> Result<(), Failure> {
        let ids = registered_old(&self.current_plan()?);
        self.wait_drained(&ids, true).await
    }

    async fn terminate_old(&self) -> Result<(), Failure> {
        let ids: Vec<String> = self.current_plan()?.old.into_iter().map(|old| old.id).collect();
        self.still_ours().await?;
        self.journal().terminating_old = true;
        self.terminate(&ids).await
    }

    /// The default version is the last that succeeded; the tags keep the older successes apart from the failures.
    async fn mark_default(&self) -> Result<(), Failure> {
        self.journal().terminating_old = true;
        let Some((template, version)) = self.journal().record.clone() else { return Ok(()) };
        let current = (naming::CURRENT.to_owned(), self.order.identity.deployment.clone());
        let mut tags = self.with_version(naming::SUCCEEDED, version).await?;
        tags.extend([current]);
        let cloud = &self.context.cloud;
        self.persist(async || cloud.set_default(&template, version).await).await?;
        self.persist(async || cloud.tag(&template, &tags).await).await
    }

    async fn unlock(&self) -> Result<(), Failure> {
        let held = self.journal().held.clone();
        let Some(held) = held else { return Ok(()) };
        self.persist(async || lock::release(self.context.cloud.as_ref(), &held).await).await?;
        self.journal().held = None;
        Ok(())
    }

    /// The tags of the record that tell how versions ended and how long they took, with one more.
    pub(super) async fn with_version(&self, key: &str, version: i64) -> Result<Tags, Failure> {
        let name = naming::record(&self.order.spec.service, &self.order.spec.environment);
        let cloud = &self.context.cloud;
        let record = self.persist(async || cloud.template(&name).await).await?;
        let tags = record.map(|record| record.tags).unwrap_or_default();
        let text = |key: &str| tags.get(key).map_or("", String::as_str);
        let mut versions = naming::read_ranges(text(key));
        versions.push(version);
        let took = (self.context.now)().signed_duration_since(self.order.identity.started);
        let seconds = u64::try_from(took.num_seconds()).unwrap_or_default();
        Ok(Tags::from([
            (key.to_owned(), naming::write_ranges(&versions)),
            (naming::TOOK.to_owned(), naming::add_seconds(text(naming::TOOK), version, seconds)),
        ]))
    }

    /// Does a call that may be repeated without harm until it is through, for half a minute.
    pub(super) async fn persist<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T, crate::cloud::CloudError>,
    ) -> Result<T, Failure> {
        let mut pause = Duration::from_millis(250);
        for _ in 0..6 {
            match call().await {
                Err(error) if matches!(error.kind, Kind::Throttled | Kind::Ambiguous) => {}
                other => return Ok(other?),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(call().await?)
    }
}

pub(super) fn registered_old(plan: &Plan) -> Vec<String> {
    plan.old.iter().filter(|old| old.registered).map(|old| old.id.clone()).collect()
}
