//! Calls about classic load balancers but not their instances.
use std::collections::{BTreeMap, BTreeSet};

use super::effect::{HealthCheck, Listener, ProbeTarget};
use super::elb_request::{
    BalancerGroups, BalancerListeners, BalancerPorts, BalancerSubnets, BalancerTags, BalancerUntag,
    BalancerZones, ConfigureHealthCheck, CreateBalancer, DescribeBalancers, ModifyBalancer,
};
use super::error::{ApiError, ApiResult};
use super::filters;
use super::model::{Balancer, Tags, Timestamp};
use super::request::Describe;
use super::response::Response;
use super::target_groups::{check_name, tag_error};
use super::{World, network, seed, tags};

impl World {
    /// The balancer, or the error that ELB gives.
    pub(super) fn balancer(&self, name: &str) -> ApiResult<&Balancer> {
        self.balancers.get(name).ok_or_else(|| no_balancer(name))
    }

    pub(super) fn balancer_mut(&mut self, name: &str) -> ApiResult<&mut Balancer> {
        self.balancers.get_mut(name).ok_or_else(|| no_balancer(name))
    }

    pub(super) fn create_balancer(&mut self, now: Timestamp, body: &CreateBalancer) -> ApiResult<Response> {
        check_name("Load balancer", &body.name)?;
        tags::check(&body.tags).map_err(tag_error)?;
        if self.balancers.contains_key(&body.name) {
            // With the same parameters ELB hands out the existing one; with others it refuses.
            return self.existing_balancer(body);
        }
        let first = body
            .listeners
            .first()
            .ok_or_else(|| ApiError::validation("At least one listener is required."))?;
        let zones = self.balancer_zones(&body.zones, &body.subnets)?;
        for id in &body.groups {
            self.groups.get(id).ok_or_else(|| elb_group(id))?;
        }
        let address = self.free_balancer_address()?;
        let groups =
            if body.groups.is_empty() { vec![seed::DEFAULT_GROUP.to_owned()] } else { body.groups.clone() };
        let balancer = Balancer {
            name: body.name.clone(),
            created: now,
            address,
            scheme: body.scheme.clone().unwrap_or_else(|| "internet-facing".to_owned()),
            zones,
            subnets: body.subnets.iter().cloned().collect(),
            groups,
            listeners: distinct(&body.listeners)?,
            health_check: default_check(first.instance_port),
            draining: false,
            drain_timeout: 300,
            cross_zone: false,
            idle_timeout: 60,
            tags: body.tags.clone(),
            members: BTreeMap::new(),
        };
        self.balancers.insert(body.name.clone(), balancer);
        Ok(Response::DnsName(address.to_string()))
    }

    fn existing_balancer(&self, body: &CreateBalancer) -> ApiResult<Response> {
        let balancer = self.balancer(&body.name)?;
        let same = balancer.listeners.values().eq(&body.listeners)
            && balancer.zones == self.balancer_zones(&body.zones, &body.subnets)?
            && body.scheme.as_deref().unwrap_or("internet-facing") == balancer.scheme;
        if same {
            return Ok(Response::DnsName(balancer.address.to_string()));
        }
        let text = format!("The load balancer '{}' already exists with another configuration.", body.name);
        Err(ApiError::client("DuplicateLoadBalancerName", text))
    }

    fn balancer_zones(&self, zones: &[String], subnets: &[String]) -> ApiResult<BTreeSet<String>> {
        if zones.is_empty() == subnets.is_empty() {
            let text = "Exactly one of AvailabilityZones and Subnets must be given.";
            return Err(ApiError::validation(text));
        }
        let mut enabled = checked_zones(zones)?;
        for id in subnets {
            enabled.insert(self.elb_subnet(id)?);
        }
        Ok(enabled)
    }

    /// The zone of a subnet.
    fn elb_subnet(&self, id: &str) -> ApiResult<String> {
        let text = || format!("The subnet '{id}' does not exist.");
        let subnet = self.subnets.get(id).ok_or_else(|| ApiError::client("SubnetNotFound", text()))?;
        Ok(subnet.zone.clone())
    }

    pub(super) fn delete_balancer(&mut self, name: &str) -> ApiResult<Response> {
        self.balancers.remove(name);
        Ok(Response::Done)
    }

    pub(super) fn describe_balancers(&self, body: &DescribeBalancers) -> ApiResult<Response> {
        for name in &body.names {
            self.balancer(name)?;
        }
        let named = |balancer: &&Balancer| body.names.is_empty() || body.names.contains(&balancer.name);
        let found: Vec<Balancer> = self.balancers.values().filter(named).cloned().collect();
        let describe =
            Describe { max_results: body.page_size, next_token: body.marker.clone(), ..Describe::default() };
        let page = filters::page(&describe, (1, 400), found, |balancer| balancer.name.clone());
        Ok(Response::Balancers(page.map_err(|error| ApiError::validation(error.message))?))
    }

    pub(super) fn create_listeners(&mut self, body: &BalancerListeners) -> ApiResult<Response> {
        let balancer = self.balancer(&body.name)?;
        let mut listeners = balancer.listeners.clone();
        for (port, listener) in distinct(&body.listeners)? {
            if listeners.insert(port, listener.clone()).is_some_and(|before| before != listener) {
                let text = format!("There is another listener on port {port} of '{}'.", body.name);
                return Err(ApiError::client("DuplicateListener", text));
            }
        }
        self.balancer_mut(&body.name)?.listeners = listeners;
        Ok(Response::Done)
    }

    pub(super) fn delete_listeners(&mut self, body: &BalancerPorts) -> ApiResult<Response> {
        self.balancer_mut(&body.name)?.listeners.retain(|port, _| !body.ports.contains(port));
        Ok(Response::Done)
    }

    pub(super) fn balancer_attributes(&self, name: &str) -> ApiResult<Response> {
        Ok(Response::BalancerAttributes(Box::new(self.balancer(name)?.clone())))
    }

    pub(super) fn modify_balancer(&mut self, body: &ModifyBalancer) -> ApiResult<Response> {
        let balancer = self.balancer_mut(&body.name)?;
        let timeout = body.draining.and_then(|(_, timeout)| timeout);
        if timeout.is_some_and(|seconds| !(1..=3600).contains(&seconds)) {
            let text = "ConnectionDraining.Timeout must be between 1 and 3600 seconds.";
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
        if body.idle_timeout.is_some_and(|seconds| !(1..=4000).contains(&seconds)) {
            let text = "ConnectionSettings.IdleTimeout must be between 1 and 4000 seconds.";
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
        if let Some((enabled, timeout)) = body.draining {
            balancer.draining = enabled;
            balancer.drain_timeout = timeout.unwrap_or(300);
        }
        balancer.cross_zone = body.cross_zone.unwrap_or(balancer.cross_zone);
        balancer.idle_timeout = body.idle_timeout.unwrap_or(balancer.idle_timeout);
        Ok(Response::BalancerAttributes(Box::new(balancer.clone())))
    }

    pub(super) fn configure_health_check(&mut self, body: &ConfigureHealthCheck) -> ApiResult<Response> {
        let balancer = self.balancer_mut(&body.name)?;
        check_health_check(&body.check)?;
        balancer.health_check = body.check.clone();
        Ok(Response::HealthCheck(body.check.clone()))
    }

    pub(super) fn enable_zones(&mut self, body: &BalancerZones) -> ApiResult<Response> {
        let added = checked_zones(&body.zones)?;
        let balancer = self.balancer_mut(&body.name)?;
        balancer.zones.extend(added);
        Ok(Response::BalancerZones(balancer.zones.iter().cloned().collect()))
    }

    pub(super) fn disable_zones(&mut self, body: &BalancerZones) -> ApiResult<Response> {
        let balancer = self.balancer_mut(&body.name)?;
        let left: BTreeSet<String> =
            balancer.zones.iter().filter(|z| !body.zones.contains(z)).cloned().collect();
        if left.is_empty() {
            let text = "A load balancer needs at least one Availability Zone.";
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
        balancer.zones = left;
        Ok(Response::BalancerZones(balancer.zones.iter().cloned().collect()))
    }

    pub(super) fn attach_subnets(&mut self, body: &BalancerSubnets) -> ApiResult<Response> {
        let zones = body.subnets.iter().map(|id| self.elb_subnet(id)).collect::<ApiResult<Vec<_>>>()?;
        let balancer = self.balancer_mut(&body.name)?;
        balancer.zones.extend(zones);
        balancer.subnets.extend(body.subnets.iter().cloned());
        Ok(Response::BalancerSubnets(balancer.subnets.iter().cloned().collect()))
    }

    pub(super) fn detach_subnets(&mut self, body: &BalancerSubnets) -> ApiResult<Response> {
        let balancer = self.balancer(&body.name)?;
        let left: BTreeSet<String> =
            balancer.subnets.iter().filter(|id| !body.subnets.contains(id)).cloned().collect();
        let zones = left.iter().map(|id| self.elb_subnet(id)).collect::<ApiResult<BTreeSet<_>>>()?;
        if zones.is_empty() {
            let text = "A load balancer needs at least one subnet.";
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
        let balancer = self.balancer_mut(&body.name)?;
        (balancer.subnets, balancer.zones) = (left, zones);
        Ok(Response::BalancerSubnets(balancer.subnets.iter().cloned().collect()))
    }

    pub(super) fn apply_groups(&mut self, body: &BalancerGroups) -> ApiResult<Response> {
        for id in &body.groups {
            self.groups.get(id).ok_or_else(|| elb_group(id))?;
        }
        self.balancer_mut(&body.name)?.groups.clone_from(&body.groups);
        Ok(Response::BalancerGroups(body.groups.clone()))
    }

    pub(super) fn add_balancer_tags(&mut self, body: &BalancerTags) -> ApiResult<Response> {
        tags::check(&body.tags).map_err(tag_error)?;
        for name in &body.names {
            let merged: Tags =
                self.balancer(name)?.tags.clone().into_iter().chain(body.tags.clone()).collect();
            tags::check(&merged).map_err(tag_error)?;
        }
        for name in &body.names {
            self.balancer_mut(name)?.tags.extend(body.tags.clone());
        }
        Ok(Response::Done)
    }

    pub(super) fn remove_balancer_tags(&mut self, body: &BalancerUntag) -> ApiResult<Response> {
        for name in &body.names {
            self.balancer_mut(name)?.tags.retain(|key, _| !body.keys.contains(key));
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_balancer_tags(&self, names: &[String]) -> ApiResult<Response> {
        if names.is_empty() {
            return Err(ApiError::validation("LoadBalancerNames must not be empty."));
        }
        let tags = |name: &String| self.balancer(name).map(|balancer| (name.clone(), balancer.tags.clone()));
        Ok(Response::BalancerTags(names.iter().map(tags).collect::<ApiResult<_>>()?))
    }
}

fn no_balancer(name: &str) -> ApiError {
    ApiError::client("LoadBalancerNotFound", format!("There is no ACTIVE Load Balancer named '{name}'"))
}

fn elb_group(id: &str) -> ApiError {
    ApiError::client("InvalidSecurityGroup", network::no_group(id).message)
}

fn checked_zones(zones: &[String]) -> ApiResult<BTreeSet<String>> {
    match zones.iter().find(|zone| !seed::ZONES.iter().any(|(name, _)| name == zone)) {
        Some(zone) => Err(ApiError::validation(format!("Invalid Availability Zone: {zone}"))),
        None => Ok(zones.iter().cloned().collect()),
    }
}

fn distinct(listeners: &[Listener]) -> ApiResult<BTreeMap<u16, Listener>> {
    let mut by_port = BTreeMap::new();
    for listener in listeners {
        if by_port.insert(listener.port, listener.clone()).is_some() {
            let text = format!("Two listeners on port {}.", listener.port);
            return Err(ApiError::client("DuplicateListener", text));
        }
    }
    Ok(by_port)
}

fn default_check(port: u16) -> HealthCheck {
    let target = ProbeTarget::Tcp { port };
    HealthCheck { target, interval: 30, timeout: 5, healthy_threshold: 10, unhealthy_threshold: 2 }
}

/// AWS's ranges, except that the sandbox takes intervals and timeouts from 1 second on.
fn check_health_check(check: &HealthCheck) -> ApiResult<()> {
    let in_range = |name: &str, value: u32, least: u32, most: u32| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(ApiError::validation(format!(
            "HealthCheck {name} must be between {least} and {most}; it is {value}."
        )))
    };
    in_range("Interval", check.interval, 1, 300)?;
    in_range("Timeout", check.timeout, 1, 60)?;
    in_range("HealthyThreshold", check.healthy_threshold, 2, 10)?;
    in_range("UnhealthyThreshold", check.unhealthy_threshold, 2, 10)?;
    if check.timeout >= check.interval && check.interval > 1 {
        return Err(ApiError::validation("HealthCheck timeout must be less than interval"));
    }
    Ok(())
}
