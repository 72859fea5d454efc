//! What must be there once a deployment has ended well: the wanted instances, in service, and nothing else.

use crate::membership::{self, Standing};
use crate::scenario::{ENVIRONMENT, SERVICE, Scenario};
use crate::universe::Universe;
use mayfly_deployer::naming;
use mayfly_sandbox::world::Instance;
use std::collections::BTreeMap;

/// What should be there.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// How many of them may have died since.
    pub died: usize,
    /// Whether those that live are well.
    pub well: bool,
    /// Whether they are the last success.
    pub whole: bool,
    /// Whether members may be left whose instance died by itself.
    pub ghosts: bool,
    /// The releases that run and how many of each; any single one where there is none.
    pub releases: &'a [(&'a str, usize)],
}

/// What is wrong, in words; nothing when all is as it should be.
#[must_use]
pub fn faults(universe: &Universe, scenario: &Scenario, expected: &Expected<'_>) -> Vec<String> {
    let ours = naming::ownership(SERVICE, ENVIRONMENT);
    let live: Vec<&Instance> = universe.live(&ours).collect();
    let mut wrong = releases(universe, &live, expected);
    for name in scenario.behind.balancers() {
        wrong.extend(members(universe, &name, &live, expected));
    }
    if expected.whole {
        wrong.extend(records(universe, &live));
    }
    if is_locked(universe) {
        wrong.push("the lock is left".to_owned());
    }
    wrong
}

fn releases(universe: &Universe, live: &[&Instance], expected: &Expected<'_>) -> Vec<String> {
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    for instance in live {
        *running.entry(universe.machines.release(&instance.id)).or_default() += 1;
    }
    let wanted: BTreeMap<&str, usize> = expected.releases.iter().copied().filter(|(_, n)| *n > 0).collect();
    if expected.releases.is_empty() {
        let single = running.len() <= 1;
        return if single { Vec::new() } else { vec![format!("{running:?} run, and one release should")] };
    }
    let at_most = |(release, count): (&&str, &usize)| wanted.get(release).is_some_and(|most| count <= most);
    let enough = live.len() + expected.died >= wanted.values().sum();
    if running.iter().all(at_most) && enough {
        return Vec::new();
    }
    vec![format!("{running:?} run, and {wanted:?} should")]
}

/// All live ones are in service, or at least members where they need not be well, and nothing else of ours is.
fn members(universe: &Universe, name: &str, live: &[&Instance], expected: &Expected<'_>) -> Vec<String> {
    let members = membership::members(&universe.world, name);
    let mut wrong = Vec::new();
    for instance in live {
        match members.iter().find(|(id, _)| *id == instance.id) {
            Some((_, Standing::Serving)) => {}
            Some((_, Standing::Waiting)) if !expected.well => {}
            other => wrong.push(format!("{} is {other:?} with {name}", instance.id)),
        }
    }
    for (id, standing) in members {
        let ours =
            universe.world.instance(id).is_none_or(|i| naming::owned_by(&i.tags, SERVICE, ENVIRONMENT));
        let ghost = expected.ghosts && standing == Standing::Waiting;
        if ours && !ghost && !live.iter().any(|instance| instance.id == id) {
            wrong.push(format!("{id} is left with {name}, {standing:?}"));
        }
    }
    wrong
}

/// Whether one of the live ones will never serve as it should.
#[must_use]
pub fn is_anyone_ill(universe: &Universe) -> bool {
    let ours = naming::ownership(SERVICE, ENVIRONMENT);
    universe.live(&ours).any(|instance| universe.machines.is_ill(&instance.id))
}

/// Whether somebody holds the service's lock.
#[must_use]
pub fn is_locked(universe: &Universe) -> bool {
    let lock = naming::lock(SERVICE, ENVIRONMENT);
    universe.world.templates().any(|template| template.name == lock)
}

/// A record whose default and current deployment are the one that runs.
fn records(universe: &Universe, live: &[&Instance]) -> Vec<String> {
    let mut wrong = Vec::new();
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
