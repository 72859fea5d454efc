//! Instances behind classic load balancers: registration, health, draining, and the data path that follows.
use super::World;
use super::config::ms;
use super::elb_request::BalancerInstances;
use super::error::{ApiError, ApiResult};
use super::model::{Balancer, Instance, InstanceState, Registration, Timestamp};
use super::response::{InstanceHealth, Response};

impl World {
    pub(super) fn register(&mut self, now: Timestamp, body: &BalancerInstances) -> ApiResult<Response> {
        self.balancer(&body.name)?;
        self.check_members(now, &body.ids)?;
        let until = now + ms(self.config.delays.registration_ms);
        let balancer = self.balancer_mut(&body.name)?;
        for id in &body.ids {
            let member = balancer.members.get(id);
            // Registering again changes nothing, unless the instance was on its way out.
            if member.is_none_or(|member| matches!(member, Registration::Draining { .. })) {
                balancer.members.insert(id.clone(), Registration::Registering { until });
            }
        }
        Ok(registered(balancer))
    }

    /// With draining on, an instance in service stays for the timeout; any other leaves at once.
    pub(super) fn deregister(&mut self, now: Timestamp, body: &BalancerInstances) -> ApiResult<Response> {
        self.balancer(&body.name)?;
        self.check_members(now, &body.ids)?;
        let divisor = u64::from(self.config.delays.drain_divisor.max(1));
        let balancer = self.balancer_mut(&body.name)?;
        let until = now + ms(u64::from(balancer.drain_timeout) * 1000 / divisor);
        for id in &body.ids {
            match balancer.members.get(id) {
                Some(Registration::Draining { .. }) | None => {}
                Some(Registration::InService { .. }) if balancer.draining => {
                    balancer.members.insert(id.clone(), Registration::Draining { until });
                }
                Some(_) => {
                    balancer.members.remove(id);
                }
            }
        }
        Ok(registered(balancer))
    }

    fn check_members(&self, now: Timestamp, ids: &[String]) -> ApiResult<()> {
        if ids.is_empty() {
            return Err(ApiError::validation("At least one instance must be named."));
        }
        match ids.iter().find(|id| !self.elb_knows(now, id)) {
            Some(id) => Err(no_instance(id)),
            None => Ok(()),
        }
    }

    fn elb_knows(&self, now: Timestamp, id: &str) -> bool {
        let live = |i: &Instance| self.sees(now, i) && i.state != InstanceState::Terminated;
        self.instances.get(id).is_some_and(live)
    }

    pub(super) fn describe_health(&self, now: Timestamp, body: &BalancerInstances) -> ApiResult<Response> {
        let balancer = self.balancer(&body.name)?;
        if body.ids.is_empty() {
            let health = |(id, member): (&String, &Registration)| self.health_of(balancer, id, Some(member));
            return Ok(Response::Health(balancer.members.iter().map(health).collect()));
        }
        if let Some(id) = body.ids.iter().find(|id| !self.elb_knows(now, id)) {
            return Err(no_instance(id));
        }
        let health = |id: &String| self.health_of(balancer, id, balancer.members.get(id));
        Ok(Response::Health(body.ids.iter().map(health).collect()))
    }

    fn health_of(&self, balancer: &Balancer, id: &str, member: Option<&Registration>) -> InstanceHealth {
        let instance = self.instances.get(id);
        let out = |reason_code, description| ("OutOfService", reason_code, description);
        let (state, reason_code, description) = match (member, instance) {
            (None, _) | (_, None) => {
                out("Instance", "Instance is not currently registered with the LoadBalancer.")
            }
            (Some(Registration::Draining { .. }), _) => {
                ("InService", "N/A", "Instance deregistration currently in progress.")
            }
            (_, Some(i)) if matches!(i.state, InstanceState::Stopping | InstanceState::Stopped) => {
                out("Instance", "Instance is in stopped state.")
            }
            (_, Some(i)) if i.state == InstanceState::ShuttingDown => {
                out("Instance", "Instance is in terminated state.")
            }
            (_, Some(i)) if !balancer.zones.contains(&i.zone) => out(
                "ELB",
                "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
            ),
            (Some(Registration::Registering { .. }), _) => {
                out("ELB", "Instance registration is still in progress.")
            }
            (Some(Registration::Unproven), _) => out(
                "Instance",
                "Instance has not passed the configured HealthyThreshold number of health checks consecutively.",
            ),
            (Some(Registration::Unhealthy { .. }), _) => out(
                "Instance",
                "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
            ),
            (Some(Registration::InService { .. }), _) => ("InService", "N/A", "N/A"),
        };
        InstanceHealth { instance_id: id.to_owned(), state, reason_code, description }
    }

    /// Registration delays that are over, drains that are cut off, members whose machine is not there.
    pub(super) fn advance_health(&mut self, now: Timestamp) {
        let instances = &self.instances;
        for balancer in self.balancers.values_mut() {
            let zones = &balancer.zones;
            for (id, member) in &mut balancer.members {
                let able = instances
                    .get(id)
                    .is_some_and(|i| i.state == InstanceState::Running && zones.contains(&i.zone));
                match member {
                    Registration::Registering { until } if now >= *until => *member = Registration::Unproven,
                    // Back after a stop, or after its zone was enabled, an instance proves itself anew.
                    Registration::InService { .. } | Registration::Unhealthy { .. } if !able => {
                        *member = Registration::Unproven;
                    }
                    _ => {}
                }
            }
            balancer.members.retain(|id, member| {
                let over = matches!(member, Registration::Draining { until } if now >= *until);
                let gone = instances.get(id).is_none_or(|i| i.state == InstanceState::Terminated);
                !over && !gone
            });
        }
    }

    /// When the next registration or drain is due.
    pub(super) fn health_due(&self) -> Option<Timestamp> {
        let members = self.balancers.values().flat_map(|balancer| balancer.members.values());
        let due = |member: &Registration| match member {
            Registration::Registering { until } | Registration::Draining { until } => Some(*until),
            _ => None,
        };
        members.filter_map(due).min()
    }

    /// One probe: the first pass after registration puts an instance in service; later the thresholds rule.
    pub(super) fn probed(&mut self, balancer: &str, id: &str, passed: bool) {
        let Some(instance) = self.instances.get(id) else { return };
        let Some(balancer) = self.balancers.get_mut(balancer) else { return };
        if !probes(balancer, instance) {
            return;
        }
        let check = &balancer.health_check;
        let Some(member) = balancer.members.get_mut(id) else { return };
        *member = match (&*member, passed) {
            (Registration::Unproven, true) => Registration::InService { failures: 0 },
            (Registration::Unproven, false) => Registration::Unproven,
            (Registration::InService { .. }, true) => Registration::InService { failures: 0 },
            (Registration::InService { failures }, false) if failures + 1 >= check.unhealthy_threshold => {
                Registration::Unhealthy { passes: 0 }
            }
            (Registration::InService { failures }, false) => {
                Registration::InService { failures: failures + 1 }
            }
            (Registration::Unhealthy { passes }, true) if passes + 1 >= check.healthy_threshold => {
                Registration::InService { failures: 0 }
            }
            (Registration::Unhealthy { passes }, true) => Registration::Unhealthy { passes: passes + 1 },
            (Registration::Unhealthy { .. }, false) => Registration::Unhealthy { passes: 0 },
            (other, _) => other.clone(),
        };
    }

    /// A drain that has nothing left in flight is over.
    pub(super) fn drained(&mut self, balancer: &str, id: &str) {
        if let Some(balancer) = self.balancers.get_mut(balancer)
            && matches!(balancer.members.get(id), Some(Registration::Draining { .. }))
        {
            balancer.members.remove(id);
        }
    }

    /// Takes a terminated instance out of every balancer.
    pub(super) fn forget_member(&mut self, id: &str) {
        for balancer in self.balancers.values_mut() {
            balancer.members.remove(id);
        }
    }
}

/// Whether health checks of this instance count.
pub(super) fn probes(balancer: &Balancer, instance: &Instance) -> bool {
    let asked = matches!(
        balancer.members.get(&instance.id),
        Some(Registration::Unproven | Registration::InService { .. } | Registration::Unhealthy { .. })
    );
    asked && instance.state == InstanceState::Running && balancer.zones.contains(&instance.zone)
}

fn registered(balancer: &Balancer) -> Response {
    let staying = |(_, member): &(&String, &Registration)| !matches!(member, Registration::Draining { .. });
    Response::Registered(balancer.members.iter().filter(staying).map(|(id, _)| id.clone()).collect())
}

fn no_instance(id: &str) -> ApiError {
    ApiError::client("InvalidInstance", format!("Could not find EC2 instance {id}."))
}
