//! Decides who is old, who is left over, and which steps lead to the spec.

use super::{Action, BalancerPlan, Batch, Existing, Identity, Plan, PlanError, Step, Undo};
use crate::cloud::{Balancer, Health, Instance, InstanceState, Member, Subnet, TemplateData};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::{Hook, Spec, StatesSpec};
use base64::Engine;
use mayfly_ami::user_data::{Finish, States, UserData, UserDataError};
use std::time::Duration;

/// Most instances in one request; more go in several, side by side.
const BATCH: u32 = 200;

/// Makes the plan. The same arguments make the same plan.
///
/// # Errors
/// [`PlanError`] where going on could do harm.
pub fn build(spec: &Spec, snapshot: &Snapshot, identity: &Identity) -> Result<Plan, PlanError> {
    check(spec, snapshot)?;
    let (old, leftovers) = sort(spec, snapshot);
    let tags = naming::instance_tags(spec, &identity.deployment);
    let mut plan = Plan {
        service: spec.service.clone(),
        environment: spec.environment.clone(),
        identity: identity.clone(),
        template: template(spec, snapshot, identity)?,
        tags,
        instance_types: spec.instance_types.clone(),
        batches: batches(spec.count, &usable_subnets(spec, snapshot)),
        probe: spec.probe.clone(),
        balancer: snapshot.balancer.as_ref().map(|(balancer, _)| balancer_plan(balancer)),
        timeouts: spec.timeouts,
        steps: Vec::new(),
        notes: notes(spec, snapshot, &old),
        old,
        leftovers,
    };
    plan.steps = steps(&plan);
    Ok(plan)
}

fn check(spec: &Spec, snapshot: &Snapshot) -> Result<(), PlanError> {
    if let Some(odd) = snapshot.instances.iter().find(|instance| instance.state == InstanceState::Unknown) {
        return Err(PlanError::UnknownState(odd.id.clone()));
    }
    if let Some(record) = &snapshot.record
        && !naming::owned_by(&record.tags, &spec.service, &spec.environment)
    {
        return Err(PlanError::ForeignRecord(record.name.clone()));
    }
    let Some((balancer, _)) = &snapshot.balancer else { return Ok(()) };
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

/// Left over: out of service while others serve, so that nobody misses it; what an unfinished deployment launched or
/// had already drained. Old: everything else, replaced once the new are healthy. An instance of the last good
/// deployment that the balancer still lists is old even when it fails its check now.
fn sort(spec: &Spec, snapshot: &Snapshot) -> (Vec<Existing>, Vec<Existing>) {
    let current = snapshot.record.as_ref().and_then(|record| record.tags.get(naming::CURRENT));
    let members = snapshot.balancer.as_ref().map_or(&[][..], |(_, members)| members);
    let existing: Vec<Existing> =
        snapshot.instances.iter().map(|instance| existing(instance, members)).collect();
    let anything_serves = spec.load_balancer.is_some() && existing.iter().any(|instance| instance.in_service);
    let is_leftover = |instance: &Existing| {
        let is_current = current.is_some() && instance.deployment.as_ref() == current;
        anything_serves && !instance.in_service && !(is_current && instance.registered)
    };
    let (leftovers, old) = existing.into_iter().partition(is_leftover);
    (old, leftovers)
}

fn existing(instance: &Instance, members: &[Member]) -> Existing {
    let member = members.iter().find(|member| member.instance == instance.id);
    Existing {
        id: instance.id.clone(),
        deployment: instance.tags.get(naming::DEPLOYMENT).cloned(),
        registered: member.is_some_and(|member| member.health != Health::Draining),
        in_service: member.is_some_and(|member| member.health == Health::InService),
    }
}

fn notes(spec: &Spec, snapshot: &Snapshot, old: &[Existing]) -> Vec<String> {
    let mut notes: Vec<String> = spec.hooks.iter().map(Hook::words).collect();
    let Some((balancer, members)) = &snapshot.balancer else { return notes };
    let ours = |member: &&Member| snapshot.instances.iter().any(|instance| instance.id == member.instance);
    let foreign = members.iter().filter(|member| !ours(member)).count();
    if foreign > 0 {
        notes.push(format!(
            "{foreign} member(s) of {} carry no tags of this service and environment; they are left alone",
            balancer.name
        ));
    }
    let idle = old.iter().filter(|instance| !instance.in_service).count();
    if idle > 0 {
        notes.push(format!("{idle} of the old instance(s) are not in service now"));
    }
    notes
}

fn balancer_plan(balancer: &Balancer) -> BalancerPlan {
    BalancerPlan { name: balancer.name.clone(), drain: balancer.drain.unwrap_or(Duration::ZERO) }
}

fn template(spec: &Spec, snapshot: &Snapshot, identity: &Identity) -> Result<TemplateData, UserDataError> {
    let user_data = user_data(spec, identity).bytes()?;
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

/// Default subnets are narrowed to the zones that the balancer serves; subnets that the spec names are its own choice,
/// which was checked.
fn usable_subnets(spec: &Spec, snapshot: &Snapshot) -> Vec<Subnet> {
    let zones = snapshot.balancer.as_ref().map_or(&[][..], |(balancer, _)| &balancer.zones);
    if zones.is_empty() || !spec.subnets.is_empty() {
        return snapshot.subnets.clone();
    }
    snapshot.subnets.iter().filter(|subnet| zones.contains(&subnet.zone)).cloned().collect()
}

/// Spreads the count evenly over the subnets, the first ones taking what is odd. Each batch tries its own subnet
/// first and then the others.
fn batches(count: u32, subnets: &[Subnet]) -> Vec<Batch> {
    let ids: Vec<String> = subnets.iter().map(|subnet| subnet.id.clone()).collect();
    let spread = u32::try_from(ids.len().max(1)).unwrap_or(1);
    let mut batches = Vec::new();
    for place in 0..spread {
        let mut rest = count / spread + u32::from(place < count % spread);
        let mut order = ids.clone();
        order.rotate_left(if ids.is_empty() { 0 } else { place as usize });
        while rest > 0 {
            let count = rest.min(BATCH);
            let slot = u32::try_from(batches.len()).unwrap_or(u32::MAX);
            batches.push(Batch { slot, count, subnets: order.clone() });
            rest -= count;
        }
    }
    batches
}

fn steps(plan: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |action, undo, what: String| steps.push(Step { action, what, undo });
    let count = plan.count();
    add(Action::Lock, Undo::Unlock, format!("take the lock of {} in {}", plan.service, plan.environment));
    if !plan.leftovers.is_empty() {
        add(Action::CleanUp, Undo::Nothing, format!("remove what is left over: {}", ids(&plan.leftovers)));
    }
    add(Action::Record, Undo::NoteFailure, format!("record deployment {}", plan.identity.deployment));
    add(Action::Launch, Undo::TerminateNew, plan.launch_words());
    add(
        Action::Running,
        Undo::Nothing,
        format!("wait until {count} run, at most {}", short(plan.timeouts.running)),
    );
    if let Some(probe) = &plan.probe {
        let (port, path, most) = (probe.port, &probe.path, short(plan.timeouts.probe));
        add(
            Action::Probe,
            Undo::Nothing,
            format!("wait until each answers 200 at :{port}{path}, at most {most}"),
        );
    }
    if let Some(balancer) = &plan.balancer {
        let most = short(plan.timeouts.in_service);
        add(Action::Register, Undo::TakeOutNew, format!("register {count} with {}", balancer.name));
        add(Action::InService, Undo::Nothing, format!("wait until {count} are in service, at most {most}"));
        if plan.old.iter().any(|old| old.registered) {
            let drain = short(balancer.drain + plan.timeouts.drain);
            add(Action::DeregisterOld, Undo::PutOldBack, format!("deregister {}", ids(&plan.old)));
            add(Action::DrainOld, Undo::Nothing, format!("wait until they have drained, at most {drain}"));
        }
    }
    if !plan.old.is_empty() {
        add(Action::TerminateOld, Undo::Impossible, format!("terminate {}", ids(&plan.old)));
    }
    add(Action::MarkDefault, Undo::Impossible, "mark this deployment as the last that succeeded".to_owned());
    add(Action::Unlock, Undo::Nothing, "give the lock back".to_owned());
    steps
}

impl Plan {
    /// How many instances are launched.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.batches.iter().map(|batch| batch.count).sum()
    }

    fn launch_words(&self) -> String {
        let places: Vec<String> = self
            .batches
            .iter()
            .filter_map(|batch| batch.subnets.first().map(|subnet| format!("{} in {subnet}", batch.count)))
            .collect();
        let spread = if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) };
        let (count, kind, image) = (self.count(), self.instance_types.join(" or "), &self.template.image);
        format!("launch {count} {kind} from {image}{spread}")
    }
}

fn ids(existing: &[Existing]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<&str> = existing.iter().take(SHOWN).map(|instance| instance.id.as_str()).collect();
    let more = existing.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// A duration in as few words as it takes.
pub(crate) fn short(duration: Duration) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        .to_string()
}
