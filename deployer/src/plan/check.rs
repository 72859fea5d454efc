//! What is refused before anything is done, and what a reader should know.

use super::steps::short;
use super::{Existing, PlanError};
use crate::cloud::{Balancer, InstanceState, Subnet};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn check(spec: &Spec, snapshot: &Snapshot) -> Result<(), PlanError> {
    if let Some(odd) = snapshot.instances.iter().find(|instance| instance.state == InstanceState::Unknown) {
        return Err(PlanError::UnknownState(odd.id.clone()));
    }
    if let Some(record) = &snapshot.record
        && !naming::owned_by(&record.tags, &spec.service, &spec.environment)
    {
        return Err(PlanError::ForeignRecord(record.name.clone()));
    }
    snapshot.balancers.iter().try_for_each(|(balancer, _)| check_balancer(spec, snapshot, balancer))?;
    match snapshot.subnets.is_empty() || !usable_subnets(spec, snapshot).is_empty() {
        true => Ok(()),
        false => Err(PlanError::NoCommonZone),
    }
}

fn check_balancer(spec: &Spec, snapshot: &Snapshot, balancer: &Balancer) -> Result<(), PlanError> {
    if !balancer.in_use {
        return Err(PlanError::NotInUse(balancer.name.clone()));
    }
    let timeout = spec.timeouts.in_service;
    if let Some(check) = balancer.check.filter(|check| timeout < check.interval) {
        let (timeout, interval) = (short(timeout), short(check.interval));
        return Err(PlanError::TooShort { balancer: balancer.name.clone(), timeout, interval });
    }
    match unserved(spec, snapshot, balancer) {
        Some(subnet) => Err(PlanError::ZoneNotEnabled {
            balancer: balancer.name.clone(),
            subnet: subnet.id.clone(),
            zone: subnet.zone.clone(),
            zones: balancer.zones.join(", "),
        }),
        None => Ok(()),
    }
}

/// A subnet that would be used although the balancer does not serve its zone: any that the spec names, or a default
/// one when no default one is served. A balancer that lists no zone is one whose zones cannot be read.
fn unserved<'a>(spec: &Spec, snapshot: &'a Snapshot, balancer: &Balancer) -> Option<&'a Subnet> {
    let is_unserved = |subnet: &&Subnet| !balancer.zones.contains(&subnet.zone);
    if balancer.zones.is_empty()
        || (spec.subnets.is_empty() && !snapshot.subnets.iter().all(|s| is_unserved(&s)))
    {
        return None;
    }
    snapshot.subnets.iter().find(is_unserved)
}

/// Default subnets are narrowed to the zones that every balancer serves; subnets that the spec names are its own
/// choice, which was checked.
pub(super) fn usable_subnets(spec: &Spec, snapshot: &Snapshot) -> Vec<Subnet> {
    if !spec.subnets.is_empty() {
        return snapshot.subnets.clone();
    }
    let served = |subnet: &&Subnet| {
        let by = |balancer: &Balancer| balancer.zones.is_empty() || balancer.zones.contains(&subnet.zone);
        snapshot.balancers.iter().all(|(balancer, _)| by(balancer))
    };
    snapshot.subnets.iter().filter(served).cloned().collect()
}

pub(super) fn notes(spec: &Spec, snapshot: &Snapshot, old: &[Existing]) -> Vec<String> {
    let ids: BTreeSet<&str> = snapshot.instances.iter().map(|instance| instance.id.as_str()).collect();
    let mut notes = Vec::new();
    for (balancer, members) in &snapshot.balancers {
        let foreign = members.iter().filter(|member| !ids.contains(member.instance.as_str())).count();
        if foreign > 0 {
            notes.push(format!(
                "{foreign} member(s) of {} carry no tags of this service and environment; they are left alone",
                balancer.name
            ));
        }
        notes.extend(slow_check(spec.timeouts.in_service, balancer));
    }
    let idle = old.iter().filter(|instance| !instance.is_in_service()).count();
    if idle > 0 && !snapshot.balancers.is_empty() {
        notes.push(format!("{idle} of the old instance(s) are not in service now"));
    }
    notes
}

fn slow_check(timeout: Duration, balancer: &Balancer) -> Option<String> {
    let check = balancer.check?;
    let needed = check.interval * check.healthy;
    (timeout < needed).then(|| {
        format!(
            "{} wants {} passing checks {} apart of a member that failed one; `timeouts.in_service` is {}",
            balancer.name,
            check.healthy,
            short(check.interval),
            short(timeout)
        )
    })
}
