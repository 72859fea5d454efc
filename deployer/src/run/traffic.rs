//! Putting instances in service and taking them out.

use super::{Failure, Look, Run, poll};
use crate::cloud::{Health, Member};
use crate::plan::BalancerPlan;
use std::time::Duration;

/// Time for the balancer itself, beyond its draining time.
const SLACK: Duration = Duration::from_secs(60);

impl Run<'_> {
    pub(super) async fn register_new(&self) -> Result<(), Failure> {
        self.journal().registered_new = true;
        self.register(&self.new_ids()).await
    }

    pub(super) async fn wait_new_in_service(&self) -> Result<(), Failure> {
        let ids = self.new_ids();
        self.wait_in_service(&ids, true).await
    }

    pub(super) async fn register(&self, ids: &[String]) -> Result<(), Failure> {
        let Some(balancer) = self.balancer()? else { return Ok(()) };
        if ids.is_empty() {
            return Ok(());
        }
        let cloud = &self.context.cloud;
        self.persist(async || cloud.register(&balancer.name, ids).await).await
    }

    /// Waits until all are in service at one look.
    pub(super) async fn wait_in_service(&self, ids: &[String], new: bool) -> Result<(), Failure> {
        let Some(balancer) = self.balancer()? else { return Ok(()) };
        let what = format!("{} instances to be in service with {}", ids.len(), balancer.name);
        let wait = self.wait(what, self.order.spec.timeouts.in_service, new);
        poll(wait, async || {
            let members = self.context.cloud.members(&balancer.name).await?;
            let waiting: Vec<String> = ids.iter().filter_map(|id| not_in_service(id, &members)).collect();
            if waiting.is_empty() {
                return Ok(Look::Done(()));
            }
            if new {
                self.alive_new(ids).await?;
            }
            let done = ids.len() - waiting.len();
            Ok(Look::NotYet { done, total: ids.len(), evidence: waiting.join("; ") })
        })
        .await
    }

    /// Deregisters those that are members, and waits until the balancer has let all of them go.
    pub(super) async fn take_out(&self, ids: &[String], cancel: bool) -> Result<(), Failure> {
        self.deregister(ids).await?;
        self.wait_drained(ids, cancel).await
    }

    /// Only members are deregistered: for others the balancer would refuse the whole request.
    pub(super) async fn deregister(&self, ids: &[String]) -> Result<(), Failure> {
        let Some(balancer) = self.balancer()? else { return Ok(()) };
        let cloud = &self.context.cloud;
        let members = self.persist(async || cloud.members(&balancer.name).await).await?;
        let is_member =
            |id: &&String| members.iter().any(|m| m.instance == **id && m.health != Health::Draining);
        let present: Vec<String> = ids.iter().filter(is_member).cloned().collect();
        if present.is_empty() {
            return Ok(());
        }
        self.persist(async || cloud.deregister(&balancer.name, &present).await).await
    }

    pub(super) async fn wait_drained(&self, ids: &[String], cancel: bool) -> Result<(), Failure> {
        let Some(balancer) = self.balancer()? else { return Ok(()) };
        let deadline = balancer.drain + self.order.spec.timeouts.drain + SLACK;
        let wait =
            self.wait(format!("{} instances to drain from {}", ids.len(), balancer.name), deadline, cancel);
        poll(wait, async || {
            let members = self.context.cloud.members(&balancer.name).await?;
            let still: Vec<String> =
                members.iter().filter(|member| ids.contains(&member.instance)).map(words).collect();
            if still.is_empty() {
                return Ok(Look::Done(()));
            }
            let done = ids.len().saturating_sub(still.len());
            Ok(Look::NotYet { done, total: ids.len(), evidence: still.join("; ") })
        })
        .await
    }

    fn balancer(&self) -> Result<Option<BalancerPlan>, Failure> {
        Ok(self.current_plan()?.balancer)
    }
}

fn not_in_service(id: &str, members: &[Member]) -> Option<String> {
    match members.iter().find(|member| member.instance == id) {
        Some(member) if member.health == Health::InService => None,
        Some(member) => Some(words(member)),
        None => Some(format!("{id} is not among the members")),
    }
}

/// One member's health for people; the reason code says whose fault it is.
pub(crate) fn words(member: &Member) -> String {
    let health = match member.health {
        Health::InService => "in service",
        Health::OutOfService => "out of service",
        Health::Draining => "draining",
        Health::Unknown => "unknown to the balancer",
    };
    let whose = match member.reason_code.as_deref() {
        Some("ELB") => " on the balancer's side",
        Some("Instance") => " on the instance's side",
        _ => "",
    };
    let description = member.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{} {health}{whose}{description}", member.instance)
}
