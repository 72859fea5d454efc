//! How balancers of every kind stand with their members, from the world's records and by instance.

use mayfly_sandbox::world::{InstanceState, Registration, TargetState, TargetType, World};

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It gets requests, and its machine runs.
    Serving,
    /// It is being taken out.
    Draining,
    /// It is a member, and gets nothing.
    Waiting,
}

/// Names of all balancers: classic ones and target groups.
pub fn names(world: &World) -> impl Iterator<Item = &str> {
    let classic = world.balancers().map(|balancer| balancer.name.as_str());
    classic.chain(world.target_groups().map(|group| group.name.as_str()))
}

/// The members of a balancer with their instances' ids.
#[must_use]
pub fn members<'a>(world: &'a World, name: &str) -> Vec<(&'a str, Standing)> {
    let mut found = Vec::new();
    for balancer in world.balancers().filter(|balancer| balancer.name == name) {
        for (id, registration) in &balancer.members {
            let served = world.instance(id).is_some_and(|instance| balancer.zones.contains(&instance.zone));
            let standing = match registration {
                Registration::InService { .. } if served => Standing::Serving,
                Registration::Draining { .. } => Standing::Draining,
                _ => Standing::Waiting,
            };
            found.push((id.as_str(), running(world, id, standing)));
        }
    }
    for group in world.target_groups().filter(|group| group.name == name) {
        for (key, target) in &group.targets {
            let id = match group.target_type {
                TargetType::Instance => key.id.as_str(),
                TargetType::Ip => owner(world, &key.id),
            };
            let standing = match target.state {
                TargetState::Healthy { .. } => Standing::Serving,
                TargetState::Draining { .. } => Standing::Draining,
                _ => Standing::Waiting,
            };
            found.push((id, running(world, id, standing)));
        }
    }
    found
}

/// A machine that does not run serves nobody, whatever is recorded.
fn running(world: &World, id: &str, standing: Standing) -> Standing {
    let runs = world.instance(id).is_some_and(|instance| instance.state == InstanceState::Running);
    if standing == Standing::Serving && !runs { Standing::Waiting } else { standing }
}

/// The newest instance that has, or had, an address.
fn owner<'a>(world: &'a World, address: &str) -> &'a str {
    let had = world.instances().filter(|instance| instance.private_ip.to_string() == address);
    let newest = had.max_by_key(|instance| (instance.state.is_alive(), instance.launch_time));
    newest.map_or("", |instance| instance.id.as_str())
}
