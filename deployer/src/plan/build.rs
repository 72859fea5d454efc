//! Decides who is new, who is old, who is left over, and which waves and steps lead to the goal.

use super::check::{check, notes, usable_subnets};
use super::waves::{Whole, cuts, waves};
use super::{
    BalancerPlan, Description, Ending, Existing, Identity, Intent, Plan, PlanError, Recording, Task, Wave,
    resume, steps,
};
use crate::cloud::{Balancer, BalancerRef, Health, Instance, InstanceState, Member, Tags, TemplateData};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::{Share, Spec, StatesSpec, Strategy};
use base64::Engine;
use mayfly_ami::recipe::RecipeError;
use mayfly_ami::user_data::{Finish, States, UserData};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Makes the plan. The same arguments make the same plan. `identity` is that of a new deployment; what goes on with
/// one that is recorded has the record's.
///
/// # Errors
/// [`PlanError`] where going on could do harm, and where there is nothing to do.
pub fn build(
    spec: &Spec,
    snapshot: &Snapshot,
    identity: &Identity,
    intent: &Intent,
) -> Result<Plan, PlanError> {
    check(spec, snapshot)?;
    let plan = match intent.task {
        Task::Deploy => toward(spec, snapshot, deploy(spec, snapshot, identity, intent)?),
        Task::Rollback(number) => {
            toward(spec, snapshot, resume::rollback(spec, snapshot, identity, intent, number)?)
        }
        Task::Promote => toward(spec, snapshot, resume::promote(spec, snapshot)?),
        Task::Abort => resume::abort(spec, snapshot)?,
        Task::Recover => resume::recover(spec, snapshot)?,
    };
    match &intent.pause_before {
        Some(step) => steps::with_pause(plan, step),
        None => Ok(plan),
    }
}

/// What is to serve in the end, and how to get there.
pub(super) struct Goal {
    pub(super) task: Task,
    pub(super) identity: Identity,
    pub(super) record: Recording,
    pub(super) template: TemplateData,
    pub(super) tags: Tags,
    pub(super) attempt: String,
    pub(super) count: u32,
    pub(super) strategy: Strategy,
    pub(super) only: Option<Share>,
    pub(super) ending: Ending,
    pub(super) replaced: u32,
    pub(super) notes: Vec<String>,
}

fn deploy(
    spec: &Spec,
    snapshot: &Snapshot,
    identity: &Identity,
    intent: &Intent,
) -> Result<Goal, RecipeError> {
    let description = Description {
        deployment: identity.deployment.clone(),
        who: identity.who.clone(),
        commit: identity.commit.clone(),
        count: Some(spec.count),
        rollback_of: None,
    };
    Ok(Goal {
        task: Task::Deploy,
        identity: identity.clone(),
        record: Recording::New(description.write()),
        template: template(spec, snapshot, identity)?,
        tags: naming::instance_tags(spec, &identity.deployment),
        attempt: String::new(),
        count: spec.count,
        strategy: spec.strategy,
        only: intent.only,
        ending: if intent.only.is_some() { Ending::Partial } else { Ending::Success },
        replaced: 0,
        notes: resume::held_note(snapshot).into_iter().collect(),
    })
}

/// The plan that leads from what the cloud has to the goal.
pub(super) fn toward(spec: &Spec, snapshot: &Snapshot, goal: Goal) -> Plan {
    let Sorted { have, sick, mut old, leftovers } = sort(spec, snapshot, &goal);
    let most = goal.count as usize;
    let mut adopted = have;
    let excess = adopted.split_off(adopted.len().min(most.saturating_sub(sick.len())));
    old.extend(excess);
    let whole = Whole {
        strategy: goal.strategy,
        count: goal.count,
        have: small(adopted.len() + sick.len()),
        old: small(old.len()),
        only: goal.only,
    };
    let (cuts, is_held) = cuts(&whole);
    let retired = cuts.iter().map(|cut| cut.retires as usize).sum::<usize>().min(old.len());
    let kept = old.get(retired..).unwrap_or_default().iter().chain(&sick).cloned().collect();
    let first_slot = snapshot.free_slots.get(&goal.identity.deployment).copied().unwrap_or_default();
    let notes = notes(spec, snapshot, &old);
    let waves = waves(&cuts, adopted, &old, &usable_subnets(spec, snapshot), first_slot);
    let waves = waves.into_iter().filter(|wave| wave.size() > 0 || !wave.old.is_empty()).collect();
    let floor = floor(&goal).saturating_sub(small(sick.len()));
    steps::with_steps(Plan {
        service: spec.service.clone(),
        environment: spec.environment.clone(),
        task: goal.task,
        instance_types: instance_types(spec, &goal),
        identity: goal.identity,
        record: goal.record,
        template: goal.template,
        attempt: goal.attempt,
        tags: goal.tags,
        strategy: goal.strategy.name(),
        count: goal.count,
        waves,
        ending: if is_held { Ending::Canary } else { goal.ending },
        probe: spec.probe.clone(),
        balancers: snapshot
            .balancers
            .iter()
            .map(|(b, members)| balancer(b, members, snapshot, floor))
            .collect(),
        replaced: goal.replaced,
        timeouts: spec.timeouts,
        steps: Vec::new(),
        notes: notes.into_iter().chain(goal.notes).collect(),
        leftovers,
        kept,
    })
}

fn small(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// A plan that launches nothing and replaces nothing: what is left over goes, and that is all.
pub(super) fn tidy(spec: &Spec, snapshot: &Snapshot, goal: Goal, leftovers: Vec<Existing>) -> Plan {
    let ending = goal.ending;
    let mut plan = toward(spec, snapshot, goal);
    plan.kept = existing(snapshot).into_iter().filter(|i| !leftovers.contains(i)).collect();
    plan.waves = Vec::<Wave>::new();
    plan.leftovers = leftovers;
    plan.ending = ending;
    steps::with_steps(plan)
}

/// Who is who.
struct Sorted {
    /// The goal's own instances, in service or fit to be.
    have: Vec<Existing>,
    /// The goal's own that are out of service by themselves: they are let be.
    sick: Vec<Existing>,
    old: Vec<Existing>,
    leftovers: Vec<Existing>,
}

/// Left over: out of service while others serve, so that nobody misses it; what an unfinished deployment launched or
/// had already drained. Old: everything else, replaced once the new are healthy, the sick first. An instance of the
/// last good deployment that a balancer still lists is old even when it fails its check now.
fn sort(spec: &Spec, snapshot: &Snapshot, goal: &Goal) -> Sorted {
    let current = snapshot.record.as_ref().and_then(|record| record.tags.get(naming::CURRENT));
    let all = existing(snapshot);
    let anything_serves = !spec.load_balancers.is_empty() && all.iter().any(Existing::is_in_service);
    let is_leftover = |instance: &Existing| {
        let is_current = current.is_some() && instance.deployment.as_ref() == current;
        anything_serves && !instance.is_in_service() && !(is_current && instance.is_registered())
    };
    let can_serve = |i: &&Instance| matches!(i.state, InstanceState::Pending | InstanceState::Running);
    let fit: BTreeSet<&str> = snapshot.instances.iter().filter(can_serve).map(|i| i.id.as_str()).collect();
    let own = |instance: &Existing| {
        goal.record.is_existing() && instance.deployment.as_deref() == Some(&goal.identity.deployment)
    };
    let (mine, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|i| own(i) && fit.contains(i.id.as_str()));
    let takes_back = matches!(goal.ending, Ending::Aborted(_));
    let is_sick = |i: &Existing| takes_back && fails_its_check(snapshot, i) && is_older(snapshot, i);
    let (mut sick, mut have): (Vec<_>, Vec<_>) = mine.into_iter().partition(is_sick);
    have.sort_by_key(|instance| !instance.is_in_service());
    let (leftovers, mut old): (Vec<_>, Vec<_>) = others.into_iter().partition(is_leftover);
    if anything_serves {
        // One at least has to be well before what serves goes: it is launched in the place of a sick one.
        let spared = (goal.count.saturating_sub(1) as usize).min(sick.len());
        old.extend(sick.split_off(spared));
    }
    old.sort_by_key(Existing::is_in_service);
    Sorted { have, sick, old, leftovers }
}

/// Whether a balancer has checked an instance and found it ill. One that was just registered is only not checked yet: it is
/// waited for.
fn fails_its_check(snapshot: &Snapshot, existing: &Existing) -> bool {
    let members = snapshot.balancers.iter().flat_map(|(_, members)| members);
    let mut its = members.filter(|member| member.instance == existing.id);
    its.any(|member| matches!(member.health, Health::OutOfService | Health::Unused))
}

/// Whether an instance was there before the newest deployment: one that came after it may only not be in service yet.
fn is_older(snapshot: &Snapshot, existing: &Existing) -> bool {
    let begun = snapshot.latest().and_then(|latest| latest.created);
    let instance = snapshot.instances.iter().find(|instance| instance.id == existing.id);
    let launched = instance.and_then(|instance| instance.launched);
    launched.is_some_and(|launched| begun.is_some_and(|begun| launched < begun))
}

/// All live instances with what the balancers say of them.
pub(super) fn existing(snapshot: &Snapshot) -> Vec<Existing> {
    let lists: Vec<(&BalancerRef, BTreeMap<&str, Health>)> = snapshot
        .balancers
        .iter()
        .map(|(balancer, members)| {
            let healths = members.iter().map(|member| (member.instance.as_str(), member.health));
            (&balancer.reference, healths.collect())
        })
        .collect();
    snapshot.instances.iter().map(|instance| one(instance, &lists)).collect()
}

fn one(instance: &Instance, lists: &[(&BalancerRef, BTreeMap<&str, Health>)]) -> Existing {
    let those = |wanted: fn(Health) -> bool| -> Vec<BalancerRef> {
        let is = |healths: &BTreeMap<&str, Health>| {
            healths.get(instance.id.as_str()).is_some_and(|health| wanted(*health))
        };
        let found = lists.iter().filter(|(_, healths)| is(healths));
        found.map(|(balancer, _)| (*balancer).clone()).collect()
    };
    Existing {
        id: instance.id.clone(),
        deployment: instance.tags.get(naming::DEPLOYMENT).cloned(),
        address: instance.private_ip.clone(),
        registered: those(|health| health != Health::Draining),
        serving: those(|health| health == Health::InService),
        draining: !those(|health| health == Health::Draining).is_empty(),
    }
}

/// What has to stay in service: the declared minimum, or what the deployment is in the end.
fn floor(goal: &Goal) -> u32 {
    match goal.strategy {
        Strategy::Rolling { minimum: Some(minimum), .. } => minimum.of(goal.count),
        _ => goal.count,
    }
}

fn balancer(balancer: &Balancer, members: &[Member], snapshot: &Snapshot, floor: u32) -> BalancerPlan {
    let ids: BTreeSet<&str> = snapshot.instances.iter().map(|instance| instance.id.as_str()).collect();
    let ours =
        |member: &&Member| member.health == Health::InService && ids.contains(member.instance.as_str());
    BalancerPlan {
        reference: balancer.reference.clone(),
        name: balancer.name.clone(),
        drain: balancer.drain.unwrap_or(Duration::ZERO),
        slow_start: balancer.slow_start,
        targets: balancer.targets,
        floor: small(members.iter().filter(ours).count()).min(floor),
    }
}

/// The record's own type first, where there is one.
fn instance_types(spec: &Spec, goal: &Goal) -> Vec<String> {
    let recorded = &goal.template.instance_type;
    if goal.task == Task::Deploy || recorded.is_empty() {
        return spec.instance_types.clone();
    }
    let others = spec.instance_types.iter().filter(|kind| *kind != recorded).cloned();
    std::iter::once(recorded.clone()).chain(others).collect()
}

fn template(spec: &Spec, snapshot: &Snapshot, identity: &Identity) -> Result<TemplateData, RecipeError> {
    let user_data = user_data(spec, identity).bytes_with(spec.boot.as_ref())?;
    Ok(TemplateData {
        image: snapshot.image.clone(),
        instance_type: spec.instance_types.first().cloned().unwrap_or_default(),
        user_data: base64::engine::general_purpose::STANDARD.encode(user_data),
        security_groups: spec.security_groups.clone(),
        instance_profile: spec.instance_profile.clone(),
        key_name: spec.key_name.clone(),
        tags: naming::instance_tags(spec, &identity.deployment),
    })
}

fn user_data(spec: &Spec, identity: &Identity) -> UserData {
    UserData {
        role: spec.role.clone(),
        environment: spec.environment.clone(),
        deployment: Some(identity.deployment.clone()),
        states: states(&spec.states, identity.commit.clone()),
        pillar: spec.pillar.clone(),
        grains: spec.grains.clone(),
        saltenv: spec.saltenv.clone(),
        nodegroups: spec.nodegroups.clone(),
        options: spec.options.clone(),
        schedule: spec.schedule.clone(),
        splay: spec.splay.clone(),
        drift: spec.drift.clone(),
        listen: spec.listen.clone(),
        supervisor: spec.supervisor.clone(),
        watch: spec.watch.clone(),
        finish: Finish::Stay,
        record: spec.record(),
    }
}

/// The state tree as instances are told.
pub(crate) fn states(spec: &StatesSpec, commit: Option<String>) -> States {
    States { commit, ..spec.tree.clone() }
}

impl Recording {
    /// Whether the deployment was recorded before this plan.
    #[must_use]
    pub fn is_existing(&self) -> bool {
        matches!(self, Self::Existing { .. })
    }
}
