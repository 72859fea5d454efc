//! What data paths are told: a plan a balancer, built from the records, and told when it is not as it was told last.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::attributes;
use super::effect::{
    Algorithm, Backend, BalancerPlan, Effect, ListenerPlan, PoolPlan, ProbePlan, ProbeTarget, Protocol,
    Route, Traffic,
};
use super::health::probes;
use super::model::{Balancer, InstanceState, Registration};
use super::target_groups::codes;
use super::target_model::{
    BalancerKind, LoadBalancer, Target, TargetGroup, TargetListener, TargetProtocol, TargetState,
};
use super::targets::is_up;

/// How long a network balancer keeps a silent connection; it cannot be changed here.
const NETWORK_IDLE: Duration = Duration::from_secs(350);

impl World {
    /// Tells every data path that is not as it was told last.
    pub(super) fn settle_balancers(&mut self) {
        let classic = self.balancers.values().map(|balancer| self.classic_plan(balancer));
        let active = self.load_balancers.values().filter(|balancer| balancer.is_active());
        let plans: BTreeMap<String, BalancerPlan> = classic
            .chain(active.map(|balancer| self.target_plan(balancer)))
            .map(|plan| (plan.name.clone(), plan))
            .collect();
        for (name, plan) in &plans {
            if self.shown_balancers.get(name) != Some(plan) {
                self.outbox.push(Effect::BalancerChanged(Box::new(plan.clone())));
            }
        }
        let gone = self.shown_balancers.keys().filter(|name| !plans.contains_key(*name));
        self.outbox.extend(gone.map(|name| Effect::BalancerGone { name: name.clone() }));
        self.shown_balancers = plans;
    }

    fn classic_plan(&self, balancer: &Balancer) -> BalancerPlan {
        let check = &balancer.health_check;
        let probe = Arc::new(ProbePlan {
            target: check.target.clone(),
            interval: check.interval,
            timeout: check.timeout,
            accept: vec![(200, 200)],
            agent: "ELB-HealthChecker/1.0",
        });
        let backend = |(id, member): (&String, &Registration)| {
            let instance = self.instances.get(id)?;
            let traffic = match member {
                Registration::InService { .. } => Traffic::New,
                Registration::Draining { .. } => Traffic::Draining,
                _ => Traffic::None,
            };
            let up = instance.state == InstanceState::Running;
            Some(Backend {
                id: id.clone(),
                instance_id: Some(id.clone()),
                address: instance.private_ip,
                port: 0,
                zone: instance.zone.clone(),
                probe: probes(balancer, instance).then(|| Arc::clone(&probe)),
                traffic: if up { traffic } else { Traffic::None },
                slow_start: None,
            })
        };
        let pool = PoolPlan {
            name: balancer.name.clone(),
            algorithm: Algorithm::LeastOutstanding,
            cut: true,
            backends: balancer.members.iter().filter_map(backend).collect(),
        };
        let listener = |listener: &super::Listener| ListenerPlan {
            protocol: listener.protocol,
            port: listener.port,
            instance_port: Some(listener.instance_port),
            routes: vec![Route { pool: balancer.name.clone(), weight: 1 }],
        };
        BalancerPlan {
            name: balancer.name.clone(),
            address: balancer.address,
            listeners: balancer.listeners.values().map(listener).collect(),
            pools: vec![pool],
            idle_timeout: Duration::from_secs(u64::from(balancer.idle_timeout)),
            cross_zone: balancer.cross_zone,
        }
    }

    fn target_plan(&self, balancer: &LoadBalancer) -> BalancerPlan {
        let attribute = |key: &str| balancer.attributes.get(key).map(String::as_str);
        let idle = attribute(attributes::IDLE_TIMEOUT).and_then(|seconds| seconds.parse().ok());
        let used: BTreeMap<&String, ()> = balancer
            .listeners
            .values()
            .flat_map(|listener| listener.forward.iter().map(|to| (&to.group, ())))
            .collect();
        let groups = used.keys().filter_map(|arn| self.target_groups.get(*arn));
        BalancerPlan {
            name: balancer.path().to_owned(),
            address: balancer.address,
            listeners: balancer.listeners.values().map(target_listener).collect(),
            pools: groups.map(|group| self.target_pool(group)).collect(),
            idle_timeout: idle.map_or(NETWORK_IDLE, Duration::from_secs),
            cross_zone: attribute(attributes::CROSS_ZONE) == Some("true"),
        }
    }

    fn target_pool(&self, group: &TargetGroup) -> PoolPlan {
        let open = fails_open(group);
        // Most targets have the same port, so most share one plan.
        let mut probes: BTreeMap<u16, Arc<ProbePlan>> = BTreeMap::new();
        let mut backends = Vec::with_capacity(group.targets.len());
        for (key, target) in &group.targets {
            let instance = self.instances.get(&key.id);
            let address = instance.map(|instance| instance.private_ip);
            let Some(address) = address.or_else(|| key.id.parse::<Ipv4Addr>().ok()) else { continue };
            let port = group.check.port.unwrap_or(key.port);
            let probe = is_probed(target)
                .then(|| Arc::clone(probes.entry(port).or_insert_with(|| Arc::new(probe(group, port)))));
            backends.push(Backend {
                id: key.backend(),
                instance_id: instance.map(|instance| instance.id.clone()),
                address,
                port: key.port,
                zone: self.zone_of(key, target).to_owned(),
                probe,
                traffic: if is_up(instance) { traffic(target, open) } else { Traffic::None },
                slow_start: match target.state {
                    TargetState::Healthy { slow_start, .. } => slow_start,
                    _ => None,
                },
            });
        }
        let least = group.attributes.get(attributes::ALGORITHM).is_some_and(|name| name.starts_with("least"));
        let algorithm = if least { Algorithm::LeastOutstanding } else { Algorithm::RoundRobin };
        // Absent for application balancers, which cut.
        let kept = group.attributes.get(attributes::DRAINED_CUT).is_some_and(|cut| cut == "false");
        PoolPlan { name: group.arn.clone(), algorithm, cut: !kept, backends }
    }
}

fn target_listener(listener: &TargetListener) -> ListenerPlan {
    let protocol = match listener.protocol {
        TargetProtocol::Http | TargetProtocol::Https => Protocol::Http,
        TargetProtocol::Tcp => Protocol::Tcp,
    };
    let route = |to: &super::ForwardTo| Route { pool: to.group.clone(), weight: to.weight };
    let routes = listener.forward.iter().map(route).collect();
    ListenerPlan { protocol, port: listener.port, instance_port: None, routes }
}

fn probe(group: &TargetGroup, port: u16) -> ProbePlan {
    let check = &group.check;
    let target = match check.protocol {
        TargetProtocol::Tcp => ProbeTarget::Tcp { port },
        TargetProtocol::Http | TargetProtocol::Https => ProbeTarget::Http { port, path: check.path.clone() },
    };
    let most = if group.protocol.kind() == BalancerKind::Application { 499 } else { 599 };
    ProbePlan {
        target,
        interval: check.interval,
        timeout: check.timeout,
        accept: codes(&check.matcher, most).unwrap_or_default(),
        agent: "ELB-HealthChecker/2.0",
    }
}

fn is_probed(target: &Target) -> bool {
    matches!(
        target.state,
        TargetState::Initial { .. } | TargetState::Healthy { .. } | TargetState::Unhealthy { .. }
    )
}

/// With fewer healthy targets than the least that is asked for, the balancer sends to all that it checks.
fn fails_open(group: &TargetGroup) -> bool {
    let healthy = |target: &&Target| matches!(target.state, TargetState::Healthy { .. });
    let count = group.targets.values().filter(healthy).count();
    count < usize::try_from(group.number(attributes::MINIMUM_HEALTHY).max(1)).unwrap_or(usize::MAX)
}

fn traffic(target: &Target, open: bool) -> Traffic {
    match &target.state {
        TargetState::Healthy { .. } => Traffic::New,
        TargetState::Initial { .. } | TargetState::Unhealthy { .. } if open => Traffic::New,
        TargetState::Unhealthy { draining_until: Some(_), .. } | TargetState::Draining { .. } => {
            Traffic::Draining
        }
        _ => Traffic::None,
    }
}
