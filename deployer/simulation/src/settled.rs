//! What must be there once a deployment has ended well: the wanted instances, in service, and nothing else.

use crate::scenario::{ENVIRONMENT, SERVICE, Scenario};
use crate::universe::Universe;
use mayfly_deployer::naming;
use mayfly_sandbox::world::{Instance, InstanceState, Registration};

/// What should be there.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// How many instances.
    pub count: usize,
    /// How many of them may have died since.
    pub died: usize,
    /// Whether those that live are well.
    pub well: bool,
    /// The release that runs; any one, if it is not known.
    pub release: Option<&'a str>,
}

/// What is wrong, in words; nothing when all is as it should be.
#[must_use]
pub fn faults(universe: &Universe, scenario: &Scenario, expected: &Expected<'_>) -> Vec<String> {
    let ours = naming::ownership(SERVICE, ENVIRONMENT);
    let live: Vec<&Instance> = universe.live(&ours).collect();
    let mut wrong = Vec::new();
    let Expected { count, died, .. } = *expected;
    if live.len() > count || live.len() + died < count {
        wrong.push(format!("{} instances live, {count} should", live.len()));
    }
    wrong.extend(releases(universe, &live, expected.release));
    for name in scenario.behind.balancers() {
        wrong.extend(membership(universe, &name, &live, expected.well));
    }
    wrong.extend(records(universe, &live));
    wrong
}

fn releases(universe: &Universe, live: &[&Instance], wanted: Option<&str>) -> Vec<String> {
    let mut running: Vec<&str> = live.iter().map(|i| universe.machines.release(&i.id)).collect();
    running.sort_unstable();
    running.dedup();
    let right = match wanted {
        Some(wanted) => running.iter().all(|release| *release == wanted),
        None => running.len() <= 1,
    };
    if right { Vec::new() } else { vec![format!("releases {running:?} run, {wanted:?} should")] }
}

/// All live ones are in service, or at least members where they need not be well, and nothing else of ours is.
fn membership(universe: &Universe, name: &str, live: &[&Instance], well: bool) -> Vec<String> {
    let Some(balancer) = universe.world.balancers().find(|balancer| balancer.name == name) else {
        return vec![format!("{name} is gone")];
    };
    let mut wrong = Vec::new();
    for instance in live {
        match balancer.members.get(&instance.id) {
            Some(Registration::InService { .. }) if instance.state == InstanceState::Running => {}
            Some(Registration::Unproven | Registration::Unhealthy { .. }) if !well => {}
            other => wrong.push(format!("{} is {other:?} with {name}", instance.id)),
        }
    }
    for id in balancer.members.keys().filter(|id| !live.iter().any(|instance| instance.id == **id)) {
        let tags = universe.world.instance(id).map(|instance| &instance.tags);
        if tags.is_none_or(|tags| naming::owned_by(tags, SERVICE, ENVIRONMENT)) {
            wrong.push(format!("{id} is left with {name}"));
        }
    }
    wrong
}

/// Whether somebody holds the service's lock.
#[must_use]
pub fn is_locked(universe: &Universe) -> bool {
    let lock = naming::lock(SERVICE, ENVIRONMENT);
    universe.world.templates().any(|template| template.name == lock)
}

/// No lock, and a record whose default and current deployment are the one that runs.
fn records(universe: &Universe, live: &[&Instance]) -> Vec<String> {
    let mut wrong = Vec::new();
    if is_locked(universe) {
        wrong.push("the lock is left".to_owned());
    }
    let Some(instance) = live.first() else { return wrong };
    let deployment = instance.tags.get(naming::DEPLOYMENT).cloned().unwrap_or_default();
    let record = naming::record(SERVICE, ENVIRONMENT);
    let Some(record) = universe.world.templates().find(|template| template.name == record) else {
        wrong.push("there is no record".to_owned());
        return wrong;
    };
    if record.tags.get(naming::CURRENT) != Some(&deployment) {
        let current = record.tags.get(naming::CURRENT);
        wrong.push(format!("the current deployment is {current:?}, and {deployment} runs"));
    }
    let default = record.versions.get(&record.default_version).and_then(|v| v.description.clone());
    if !default.as_deref().is_some_and(|text| text.contains(&format!("deployment={deployment} "))) {
        wrong.push(format!("the record's default is {default:?}, and {deployment} runs"));
    }
    wrong
}
