//! Putting instances in service and taking them out, with every balancer.

use super::{Failure, Look, Run, few, persist, poll};
use crate::cloud::{BalancerRef, Health, Member, TargetKind, name_members};
use crate::plan::{BalancerPlan, Existing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Time for the balancer itself, beyond its draining time.
const SLACK: Duration = Duration::from_secs(60);
/// AWS's code for a target to which nothing leads.
const NOT_IN_USE: &str = "Target.NotInUse";

impl Run<'_> {
    pub(super) async fn register_new(&self, wave: u32) -> Result<(), Failure> {
        let ids = self.journal().new_of(wave);
        self.still_ours().await?;
        self.journal().registered_new = true;
        let found = self.context.cloud.instances(&ids).await?;
        self.learn(&found);
        for balancer in self.balancers()? {
            self.register(&balancer, &ids).await?;
        }
        Ok(())
    }

    /// Waits until all the new so far are in service with every balancer, and for as long as a slow start takes.
    pub(super) async fn wait_new_in_service(&self, wave: u32) -> Result<(), Failure> {
        let ids = self.journal_new_until(wave);
        let slow_start = self.current_plan()?.slow_start();
        let names = self.balancer_names()?;
        let what = format!("{} instances to be in service with {names}", ids.len());
        let wait = self.wait(what, self.order.spec.timeouts.in_service + slow_start, true);
        let mut since: Option<Instant> = None;
        let waited = poll(wait, async || {
            let waiting = self.not_in_service(&ids).await?;
            if !waiting.is_empty() {
                since = None;
                self.alive_new(&ids).await?;
                // One may be waiting with several balancers.
                let done = ids.len().saturating_sub(waiting.len());
                return Ok(Look::NotYet { done, total: ids.len(), evidence: few(&waiting, "; ") });
            }
            if since.get_or_insert_with(Instant::now).elapsed() >= slow_start {
                return Ok(Look::Done(()));
            }
            let evidence = "in service, starting slowly".to_owned();
            Ok(Look::NotYet { done: ids.len(), total: ids.len(), evidence })
        });
        match waited.await {
            Err(mut failure @ Failure::TimedOut { .. }) => {
                failure.add_evidence(self.checks().await);
                Err(failure)
            }
            other => other,
        }
    }

    /// What the balancers ask of an instance, as evidence: it need not be what the probe asks.
    async fn checks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for balancer in self.balancers().unwrap_or_default() {
            let Ok(found) = self.context.cloud.balancer(&balancer.reference).await else { continue };
            lines.extend(found.health_check.map(|check| format!("{} checks {check}", balancer.name)));
        }
        lines
    }

    /// Who of these is not in service with every balancer, in words. Where nothing leads to a target, waiting is no use.
    pub(super) async fn not_in_service(&self, ids: &[String]) -> Result<Vec<String>, Failure> {
        let mut waiting = Vec::new();
        for balancer in self.balancers()? {
            let members = self.members(&balancer).await?;
            let members = by_id(&members);
            let unused = ids.iter().filter_map(|id| members.get(id.as_str())).find(|m| is_unused(m));
            if let Some(unused) = unused {
                let what = format!(
                    "nothing leads to {} through {}: a listener has to forward to it, and its zone has to be enabled",
                    unused.instance, balancer.name
                );
                return Err(Failure::Hopeless { what, evidence: vec![words(unused)] });
            }
            for line in ids.iter().filter_map(|id| not_in_service(id, &members)) {
                waiting.push((line, balancer.name.clone()));
            }
        }
        let many = self.current_plan()?.balancers.len() > 1;
        let told = |(line, name): (String, String)| if many { format!("{line} ({name})") } else { line };
        Ok(waiting.into_iter().map(told).collect())
    }

    /// Waits until the old of a wave can be spared: all the new so far in service, and capacity with every balancer not
    /// below its floor without those that are to go. A health that flaps is given the time that a new instance gets.
    pub(super) async fn wait_spare(&self, wave: u32, go: &[String]) -> Result<(), Failure> {
        let new = self.journal_new_until(wave);
        let stay: BTreeSet<String> = self.known()?.into_iter().filter(|id| !go.contains(id)).collect();
        let what = format!("{} instances to be spared", go.len());
        let wait = self.wait(what, self.order.spec.timeouts.in_service, true);
        poll(wait, async || {
            let mut short = self.not_in_service(&new).await?;
            if !short.is_empty() {
                self.alive_new(&new).await?;
            }
            for balancer in self.balancers()? {
                let members = self.members(&balancer).await?;
                let stays = |m: &&Member| m.health == Health::InService && stay.contains(&m.instance);
                let left = members.iter().filter(stays).count();
                if left < balancer.floor as usize {
                    let (name, floor) = (&balancer.name, balancer.floor);
                    short.push(format!("{left} would stay in service with {name}, {floor} have to"));
                }
            }
            if short.is_empty() {
                return Ok(Look::Done(()));
            }
            Ok(Look::NotYet { done: 0, total: go.len(), evidence: few(&short, "; ") })
        })
        .await
    }

    /// Registers with one balancer. An address cannot come back before it has drained, so that is waited out.
    pub(super) async fn register(&self, balancer: &BalancerPlan, ids: &[String]) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        if balancer.targets == TargetKind::Ip {
            self.wait_not_draining(balancer, ids).await?;
        }
        let targets = self.targets(balancer, ids)?;
        let cloud = &self.context.cloud;
        Ok(persist(async || cloud.register(&balancer.reference, &targets).await).await?)
    }

    async fn wait_not_draining(&self, balancer: &BalancerPlan, ids: &[String]) -> Result<(), Failure> {
        let what = format!("the addresses of {} instances to be free of {}", ids.len(), balancer.name);
        let deadline = balancer.drain + self.order.spec.timeouts.drain + SLACK;
        poll(self.wait(what, deadline, false), async || {
            let members = self.members(balancer).await?;
            let drains = |m: &&Member| m.health == Health::Draining && ids.contains(&m.instance);
            let still: Vec<String> = members.iter().filter(drains).map(words).collect();
            if still.is_empty() {
                return Ok(Look::Done(()));
            }
            let done = ids.len().saturating_sub(still.len());
            Ok(Look::NotYet { done, total: ids.len(), evidence: few(&still, "; ") })
        })
        .await
    }

    /// Puts instances back where they were registered, and waits until those that served serve again.
    pub(super) async fn put_back(&self, old: &[Existing]) -> Result<(), Failure> {
        let with = |list: fn(&Existing) -> &Vec<BalancerRef>, balancer: &BalancerPlan| -> Vec<String> {
            let those = old.iter().filter(|old| list(old).contains(&balancer.reference));
            those.map(|old| old.id.clone()).collect()
        };
        let balancers = self.balancers()?;
        for balancer in &balancers {
            self.register(balancer, &with(|old| &old.registered, balancer)).await?;
        }
        for balancer in &balancers {
            self.wait_serving(balancer, &with(|old| &old.serving, balancer)).await?;
        }
        Ok(())
    }

    async fn wait_serving(&self, balancer: &BalancerPlan, ids: &[String]) -> Result<(), Failure> {
        let what = format!("{} instances to be in service with {}", ids.len(), balancer.name);
        poll(self.wait(what, self.order.spec.timeouts.in_service, false), async || {
            let members = self.members(balancer).await?;
            let members = by_id(&members);
            let waiting: Vec<String> = ids.iter().filter_map(|id| not_in_service(id, &members)).collect();
            if waiting.is_empty() {
                return Ok(Look::Done(()));
            }
            let done = ids.len() - waiting.len();
            Ok(Look::NotYet { done, total: ids.len(), evidence: few(&waiting, "; ") })
        })
        .await
    }

    /// Deregisters those that are members, and waits until every balancer has let all of them go.
    pub(super) async fn take_out(&self, ids: &[String], cancel: bool) -> Result<(), Failure> {
        self.deregister(ids).await?;
        self.wait_drained(ids, cancel).await
    }

    /// Only members are deregistered: for others a balancer would refuse the whole request.
    pub(super) async fn deregister(&self, ids: &[String]) -> Result<(), Failure> {
        let cloud = &self.context.cloud;
        for balancer in self.balancers()? {
            let members = self.members_surely(&balancer).await?;
            let members = by_id(&members);
            let is_member =
                |id: &&String| members.get(id.as_str()).is_some_and(|m| m.health != Health::Draining);
            let present: Vec<String> = ids.iter().filter(is_member).cloned().collect();
            if present.is_empty() {
                continue;
            }
            let targets = self.targets(&balancer, &present)?;
            persist(async || cloud.deregister(&balancer.reference, &targets).await).await?;
        }
        Ok(())
    }

    /// Waits out the draining with every balancer, each with its own time.
    pub(super) async fn wait_drained(&self, ids: &[String], cancel: bool) -> Result<(), Failure> {
        for balancer in self.balancers()? {
            let deadline = balancer.drain + self.order.spec.timeouts.drain + SLACK;
            let what = format!("{} instances to drain from {}", ids.len(), balancer.name);
            let ids: BTreeSet<&String> = ids.iter().collect();
            poll(self.wait(what, deadline, cancel), async || {
                let members = self.members(&balancer).await?;
                let still: Vec<String> =
                    members.iter().filter(|member| ids.contains(&member.instance)).map(words).collect();
                if still.is_empty() {
                    return Ok(Look::Done(()));
                }
                let done = ids.len().saturating_sub(still.len());
                Ok(Look::NotYet { done, total: ids.len(), evidence: few(&still, "; ") })
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn members(&self, balancer: &BalancerPlan) -> Result<Vec<Member>, Failure> {
        let members = self.context.cloud.members(&balancer.reference).await?;
        Ok(self.named(balancer, members))
    }

    /// The same, asked again while the cloud does not answer.
    pub(super) async fn members_surely(&self, balancer: &BalancerPlan) -> Result<Vec<Member>, Failure> {
        let cloud = &self.context.cloud;
        let members = persist(async || cloud.members(&balancer.reference).await).await?;
        Ok(self.named(balancer, members))
    }

    fn named(&self, balancer: &BalancerPlan, members: Vec<Member>) -> Vec<Member> {
        let journal = self.journal();
        let addresses = journal.addresses.iter().map(|(id, address)| (id.as_str(), address.as_str()));
        name_members(members, balancer.targets, addresses)
    }

    /// What a balancer calls these instances.
    fn targets(&self, balancer: &BalancerPlan, ids: &[String]) -> Result<Vec<String>, Failure> {
        if balancer.targets == TargetKind::Instance {
            return Ok(ids.to_vec());
        }
        let journal = self.journal();
        let address = |id: &String| {
            journal.addresses.get(id).cloned().ok_or_else(|| Failure::Hopeless {
                what: format!("{id} has no private address for {}", balancer.name),
                evidence: Vec::new(),
            })
        };
        ids.iter().map(address).collect()
    }

    /// All instances of this service that this run knows.
    pub(super) fn known(&self) -> Result<Vec<String>, Failure> {
        let plan = self.current_plan()?;
        let old = plan.old().into_iter().chain(&plan.leftovers).chain(&plan.kept).map(|old| old.id.clone());
        Ok(old.chain(self.new_ids()).collect())
    }

    pub(super) fn balancers(&self) -> Result<Vec<BalancerPlan>, Failure> {
        Ok(self.current_plan()?.balancers.clone())
    }

    fn balancer_names(&self) -> Result<String, Failure> {
        let balancers = self.balancers()?;
        Ok(balancers.iter().map(|balancer| balancer.name.as_str()).collect::<Vec<_>>().join(", "))
    }
}

fn is_unused(member: &Member) -> bool {
    member.health == Health::Unused && member.reason_code.as_deref() == Some(NOT_IN_USE)
}

fn by_id(members: &[Member]) -> BTreeMap<&str, &Member> {
    members.iter().map(|member| (member.instance.as_str(), member)).collect()
}

fn not_in_service(id: &str, members: &BTreeMap<&str, &Member>) -> Option<String> {
    match members.get(id) {
        Some(member) if member.health == Health::InService => None,
        Some(member) => Some(words(member)),
        None => Some(format!("{id} is not among the members")),
    }
}

/// One member's health for people; the reason code says whose fault it is.
pub(crate) fn words(member: &Member) -> String {
    let whose = match member.reason_code.as_deref() {
        Some("ELB") => " on the balancer's side".to_owned(),
        Some("Instance") => " on the instance's side".to_owned(),
        Some(code) => format!(" ({code})"),
        None => String::new(),
    };
    let description = member.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{} {}{whose}{description}", member.instance, member.health.words())
}
