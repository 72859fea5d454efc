//! Targets: registration, health as the API tells it, draining, and what checks make of it.
use std::net::Ipv4Addr;

use super::config::ms;
use super::effect::{ProbeOutcome, SlowStart};
use super::error::{ApiError, ApiResult};
use super::ids::is_well_formed;
use super::model::{Instance, InstanceState, Timestamp};
use super::response::{Response, TargetHealth};
use super::target_model::{
    BalancerKind, CheckFailure, LoadBalancer, Target, TargetGroup, TargetKey, TargetState, TargetType,
};
use super::target_request::{GroupTargets, TargetRef};
use super::{World, attributes, seed};

/// Why no balancer can use a target: reason and description.
type Unusable = (&'static str, &'static str);

const NOT_IN_USE: Unusable =
    ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer");
const ZONE_OFF: Unusable =
    ("Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer");
const STOPPED: Unusable = ("Target.InvalidState", "Target is in the stopped state");
const TERMINATED: Unusable = ("Target.InvalidState", "Target is in the terminated state");
const NOT_REGISTERED: Unusable = ("Target.NotRegistered", "Target is not registered to the target group");

impl World {
    /// All or none. An instance that is on its way out is taken back; an address is not, until its delay is over.
    pub(super) fn register_targets(&mut self, now: Timestamp, body: &GroupTargets) -> ApiResult<Response> {
        let group = self.target_group(&body.group)?;
        if body.targets.is_empty() {
            return Err(ApiError::validation("At least one target must be specified"));
        }
        for target in &body.targets {
            self.check_target(now, group, target)?;
        }
        let group = self.target_group_mut(&body.group)?;
        for target in &body.targets {
            let key = key(group, target);
            let leaving = |target: &Target| matches!(target.state, TargetState::Draining { .. });
            if group.targets.get(&key).is_none_or(leaving) {
                let zone = target.zone.clone();
                group.targets.insert(key, Target { zone, state: TargetState::Idle });
            }
        }
        self.advance_targets(now);
        Ok(Response::Done)
    }

    fn check_target(&self, now: Timestamp, group: &TargetGroup, target: &TargetRef) -> ApiResult<()> {
        check_form(group.target_type, &target.id)?;
        if group.target_type == TargetType::Ip {
            self.check_address(target)?;
            let draining = |known: &Target| matches!(known.state, TargetState::Draining { .. });
            if group.targets.get(&key(group, target)).is_some_and(draining) {
                let text = format!(
                    "The following targets are deregistering and cannot be registered again before the \
                     deregistration delay is over: '{}'",
                    target.id
                );
                return Err(ApiError::client("InvalidTarget", text));
            }
            return Ok(());
        }
        let known = self.instances.get(&target.id).filter(|instance| self.sees(now, instance));
        let instance = known.ok_or_else(|| no_instance(&target.id))?;
        if instance.state == InstanceState::Running {
            return Ok(());
        }
        let text = format!(
            "The following targets are not in a running state and cannot be registered: '{}'",
            target.id
        );
        Err(ApiError::client("InvalidTarget", text))
    }

    /// Private addresses only; one outside of the VPC needs a zone.
    fn check_address(&self, target: &TargetRef) -> ApiResult<()> {
        let address: Option<Ipv4Addr> = target.id.parse().ok();
        let Some([a, b, ..]) = address.map(|address| address.octets()) else { return Ok(()) };
        let private = matches!((a, b), (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127));
        if !private {
            let text = format!("The IP address '{}' is not within a valid CIDR block", target.id);
            return Err(ApiError::validation(text));
        }
        let inside = (a, b) == (10, 77);
        let zone = target.zone.as_deref();
        let known = |zone: &str| zone == "all" || seed::ZONES.iter().any(|(name, _)| *name == zone);
        if !zone.is_none_or(known) || (zone.is_none() && !inside) {
            let text = format!(
                "You must specify an Availability Zone or 'all' for the IP address '{}', which is outside the VPC",
                target.id
            );
            return Err(ApiError::validation(text));
        }
        Ok(())
    }

    /// Whoever is not registered is passed over. A target that no balancer can use is gone at once.
    pub(super) fn deregister_targets(&mut self, now: Timestamp, body: &GroupTargets) -> ApiResult<Response> {
        let divisor = u64::from(self.config.delays.drain_divisor.max(1));
        let group = self.target_group_mut(&body.group)?;
        if body.targets.is_empty() {
            return Err(ApiError::validation("At least one target must be specified"));
        }
        for target in &body.targets {
            check_form(group.target_type, &target.id)?;
        }
        let delay = u64::from(group.number(attributes::DEREGISTRATION_DELAY)) * 1000;
        let until = now + ms(delay / divisor);
        for target in &body.targets {
            let key = key(group, target);
            let Some(target) = group.targets.get_mut(&key) else { continue };
            match target.state {
                TargetState::Draining { .. } => {}
                TargetState::Idle => drop(group.targets.remove(&key)),
                _ => target.state = TargetState::Draining { until },
            }
        }
        self.advance_targets(now);
        Ok(Response::Done)
    }

    pub(super) fn describe_target_health(&self, now: Timestamp, body: &GroupTargets) -> ApiResult<Response> {
        let group = self.target_group(&body.group)?;
        let balancer = self.balancer_of(&group.arn);
        let shown = |key: &TargetKey, target: Option<&Target>| TargetHealth {
            key: key.clone(),
            zone: target
                .filter(|_| group.target_type == TargetType::Ip)
                .map(|target| self.zone_of(key, target).to_owned()),
            check_port: group.check.port.unwrap_or(key.port),
            status: self.status(group, balancer, key, target),
        };
        if body.targets.is_empty() {
            let all = group.targets.iter().map(|(key, target)| shown(key, Some(target)));
            return Ok(Response::TargetHealth(all.collect()));
        }
        for target in &body.targets {
            check_form(group.target_type, &target.id)?;
            let known = |id: &str| self.instances.get(id).is_some_and(|instance| self.sees(now, instance));
            if group.target_type == TargetType::Instance && !known(&target.id) {
                return Err(no_instance(&target.id));
            }
        }
        let named = body.targets.iter().map(|target| key(group, target));
        Ok(Response::TargetHealth(named.map(|key| shown(&key, group.targets.get(&key))).collect()))
    }

    /// State, reason and description.
    fn status(
        &self,
        group: &TargetGroup,
        balancer: Option<&LoadBalancer>,
        key: &TargetKey,
        target: Option<&Target>,
    ) -> (&'static str, Option<&'static str>, Option<String>) {
        let said = |state, (reason, text): Unusable| (state, Some(reason), Some(text.to_owned()));
        let Some(target) = target else { return said("unused", NOT_REGISTERED) };
        if let TargetState::Draining { .. } = target.state {
            return said(
                "draining",
                ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
            );
        }
        if let Some(why) = self.unusable(balancer, key, target) {
            return said("unused", why);
        }
        if self.config.unavailable_groups.contains(&group.name) {
            return said("unavailable", ("Target.HealthCheckDisabled", "Health checks are disabled"));
        }
        match &target.state {
            TargetState::Idle | TargetState::Registering { .. } => {
                said("initial", ("Elb.RegistrationInProgress", "Target registration is in progress"))
            }
            TargetState::Initial { .. } => {
                said("initial", ("Elb.InitialHealthChecking", "Initial health checks in progress"))
            }
            TargetState::Healthy { .. } => ("healthy", None, None),
            TargetState::Unhealthy { failure, draining_until, .. } => {
                let state = if draining_until.is_some() { "unhealthy.draining" } else { "unhealthy" };
                let (reason, text) = failure_text(*failure, group);
                (state, Some(reason), Some(text))
            }
            TargetState::Draining { .. } => said("draining", NOT_REGISTERED),
        }
    }

    /// Why no balancer can use this target, if none can. It does not get over it by itself.
    fn unusable(
        &self,
        balancer: Option<&LoadBalancer>,
        key: &TargetKey,
        target: &Target,
    ) -> Option<Unusable> {
        let instance = self.instances.get(&key.id);
        if let Some(instance) = instance.filter(|instance| instance.state != InstanceState::Running) {
            let stopping = matches!(instance.state, InstanceState::Stopping | InstanceState::Stopped);
            return Some(if stopping { STOPPED } else { TERMINATED });
        }
        let Some(balancer) = balancer else { return Some(NOT_IN_USE) };
        let zone = self.zone_of(key, target);
        let enabled = zone == "all" || balancer.zones.contains_key(zone);
        (!enabled).then_some(ZONE_OFF)
    }

    /// The instance's zone, the one that was named with an address, or that of the subnet which holds it.
    pub(super) fn zone_of<'a>(&'a self, key: &TargetKey, target: &'a Target) -> &'a str {
        if let Some(instance) = self.instances.get(&key.id) {
            return &instance.zone;
        }
        if let Some(named) = &target.zone {
            return named;
        }
        let address = key.id.parse::<Ipv4Addr>().ok().map(u32::from);
        let holds = |subnet: &&super::Subnet| {
            let shift = 32 - u32::from(subnet.prefix);
            address.is_some_and(|address| address >> shift == u32::from(subnet.network) >> shift)
        };
        self.subnets.values().find(holds).map_or("all", |subnet| &subnet.zone)
    }

    /// Registrations and drains whose time is over, targets that came into use or went out of it.
    pub(super) fn advance_targets(&mut self, now: Timestamp) {
        for balancer in self.load_balancers.values_mut() {
            balancer.provisioning_until = balancer.provisioning_until.filter(|until| now < *until);
        }
        let arns: Vec<String> = self.target_groups.keys().cloned().collect();
        for arn in arns {
            self.advance_group(now, &arn);
        }
    }

    fn advance_group(&mut self, now: Timestamp, arn: &str) {
        let Some(group) = self.target_groups.get(arn) else { return };
        let balancer = self.balancer_of(arn);
        let active = balancer.is_some_and(|balancer| balancer.is_active());
        let usable: Vec<bool> = group
            .targets
            .iter()
            .map(|(key, target)| active && self.unusable(balancer, key, target).is_none())
            .collect();
        let delays = &self.config.delays;
        let wait = match group.protocol.kind() {
            BalancerKind::Application => delays.registration_ms,
            BalancerKind::Network => delays.nlb_registration_ms,
        };
        let instances = &self.instances;
        let gone = |key: &TargetKey| {
            is_well_formed(&key.id, "i")
                && instances.get(&key.id).is_none_or(|i| i.state == InstanceState::Terminated)
        };
        let Some(group) = self.target_groups.get_mut(arn) else { return };
        for (target, usable) in group.targets.values_mut().zip(usable) {
            step(now, usable, now + ms(wait), &mut target.state);
        }
        // A drain goes on though its instance has ended.
        group.targets.retain(|key, target| match target.state {
            TargetState::Draining { until } => now < until,
            _ => !gone(key),
        });
    }

    /// When the next registration, drain, slow start or provisioning is due.
    pub(super) fn targets_due(&self) -> Option<Timestamp> {
        let targets = self.target_groups.values().flat_map(|group| group.targets.values());
        let due = |target: &Target| match &target.state {
            TargetState::Registering { until } | TargetState::Draining { until } => Some(*until),
            TargetState::Healthy { slow_start, .. } => slow_start.map(|slow| slow.until),
            TargetState::Unhealthy { draining_until, .. } => *draining_until,
            _ => None,
        };
        let provisioning = self.load_balancers.values().filter_map(|balancer| balancer.provisioning_until);
        targets.filter_map(due).chain(provisioning).min()
    }

    /// One check of a target.
    pub(super) fn target_probed(&mut self, now: Timestamp, arn: &str, backend: &str, outcome: ProbeOutcome) {
        let Some(key) = TargetKey::of_backend(backend) else { return };
        let Some(group) = self.target_groups.get_mut(arn) else { return };
        let slow = slow_start(now, group, &key);
        let drain = unhealthy_drain(now, group);
        let check = group.check.clone();
        let Some(target) = group.targets.get_mut(&key) else { return };
        let failure = failure_of(outcome);
        let unhealthy = |failure| TargetState::Unhealthy { passes: 0, failure, draining_until: drain };
        target.state = match (&target.state, failure) {
            (TargetState::Initial { .. }, None) => TargetState::Healthy { failures: 0, slow_start: slow },
            (TargetState::Initial { failures }, Some(failure)) => {
                let failures = failures + 1;
                if failures >= check.unhealthy_threshold {
                    unhealthy(failure)
                } else {
                    TargetState::Initial { failures }
                }
            }
            (TargetState::Healthy { slow_start, .. }, None) => {
                TargetState::Healthy { failures: 0, slow_start: *slow_start }
            }
            (TargetState::Healthy { failures, slow_start }, Some(failure)) => {
                let failures = failures + 1;
                if failures >= check.unhealthy_threshold {
                    unhealthy(failure)
                } else {
                    TargetState::Healthy { failures, slow_start: *slow_start }
                }
            }
            (TargetState::Unhealthy { passes, failure, draining_until }, None) => {
                if passes + 1 >= check.healthy_threshold {
                    TargetState::Healthy { failures: 0, slow_start: slow }
                } else {
                    let (failure, draining_until) = (*failure, *draining_until);
                    TargetState::Unhealthy { passes: passes + 1, failure, draining_until }
                }
            }
            (TargetState::Unhealthy { draining_until, .. }, Some(failure)) => {
                TargetState::Unhealthy { passes: 0, failure, draining_until: *draining_until }
            }
            (other, _) => other.clone(),
        };
    }
}

/// What the clock and the target's surroundings make of its state.
fn step(now: Timestamp, usable: bool, registered_at: Timestamp, state: &mut TargetState) {
    match state {
        TargetState::Draining { .. } => {}
        _ if !usable => *state = TargetState::Idle,
        TargetState::Idle => {
            *state = TargetState::Registering { until: registered_at };
            step(now, usable, registered_at, state);
        }
        TargetState::Registering { until } if now >= *until => {
            *state = TargetState::Initial { failures: 0 };
        }
        TargetState::Healthy { slow_start, .. } if slow_start.is_some_and(|slow| now >= slow.until) => {
            *slow_start = None;
        }
        TargetState::Unhealthy { draining_until, .. } if draining_until.is_some_and(|end| now >= end) => {
            *draining_until = None;
        }
        _ => {}
    }
}

/// A target that becomes healthy starts slowly only where another is healthy and past its own slow start.
fn slow_start(now: Timestamp, group: &TargetGroup, key: &TargetKey) -> Option<SlowStart> {
    let seconds = group.number(attributes::SLOW_START);
    let settled = |(other, target): (&TargetKey, &Target)| {
        other != key && matches!(target.state, TargetState::Healthy { slow_start: None, .. })
    };
    let applies = seconds > 0 && group.targets.iter().any(settled);
    applies.then(|| SlowStart { since: now, until: now + ms(u64::from(seconds) * 1000) })
}

/// Until when connections to a target that turns unhealthy go on: network balancers that are told not to cut them.
fn unhealthy_drain(now: Timestamp, group: &TargetGroup) -> Option<Timestamp> {
    let kept = group.attributes.get(attributes::UNHEALTHY_CUT).is_some_and(|cut| cut == "false");
    let seconds = group.number(attributes::UNHEALTHY_DRAIN);
    (kept && seconds > 0).then(|| now + ms(u64::from(seconds) * 1000))
}

fn failure_of(outcome: ProbeOutcome) -> Option<CheckFailure> {
    match outcome {
        ProbeOutcome::Passed => None,
        ProbeOutcome::TimedOut => Some(CheckFailure::Timeout),
        ProbeOutcome::ConnectionError => Some(CheckFailure::Connection),
        ProbeOutcome::CodeMismatch(code) => Some(CheckFailure::Code(code)),
        ProbeOutcome::InternalError => Some(CheckFailure::Internal),
    }
}

/// Only application balancers tell the kinds of failure apart.
fn failure_text(failure: CheckFailure, group: &TargetGroup) -> (&'static str, String) {
    let network = group.protocol.kind() == BalancerKind::Network;
    match failure {
        CheckFailure::Timeout if !network => ("Target.Timeout", "Request timed out".to_owned()),
        CheckFailure::Code(code) if !network => {
            ("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{code}]"))
        }
        CheckFailure::Internal if !network => {
            ("Elb.InternalError", "Health checks failed due to an internal error".to_owned())
        }
        _ => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
    }
}

fn key(group: &TargetGroup, target: &TargetRef) -> TargetKey {
    TargetKey { id: target.id.clone(), port: target.port.unwrap_or(group.port) }
}

/// The id's form must be that of the group's target type.
fn check_form(target_type: TargetType, id: &str) -> ApiResult<()> {
    match target_type {
        TargetType::Instance if !is_well_formed(id, "i") => {
            Err(ApiError::validation(format!("Instance ID '{id}' is not valid")))
        }
        TargetType::Ip if id.parse::<Ipv4Addr>().is_err() => {
            Err(ApiError::validation(format!("The IP address '{id}' is not a valid IPv4 address")))
        }
        _ => Ok(()),
    }
}

fn no_instance(id: &str) -> ApiError {
    ApiError::client("InvalidTarget", format!("The following targets are not valid instances: '{id}'"))
}

/// Whether the machine of a target can be reached; of an address nobody knows.
pub(super) fn is_up(instance: Option<&Instance>) -> bool {
    instance.is_none_or(|instance| instance.state == InstanceState::Running)
}
