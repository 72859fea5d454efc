//! Calls about application and network load balancers, their listeners and default rules.
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::config::ms;
use super::error::{ApiError, ApiResult};
use super::model::{Tags, Timestamp};
use super::response::{ListenerRecord, LoadBalancerRecord, Page, Response};
use super::target_groups::{ARN, check_name, merged_tags, page, tag_error};
use super::target_model::{
    Attributes, BalancerKind, ForwardTo, LoadBalancer, TargetListener, TargetProtocol,
};
use super::target_request::{
    CreateListener, CreateLoadBalancer, DescribeListeners, DescribeLoadBalancers, DescribeRules,
    ModifyListener, SetAttributes, SetIds, TagArns, UntagArns,
};
use super::{World, attributes, network, seed, tags};

impl World {
    /// The balancer, or the error that ELB gives.
    pub(super) fn load_balancer(&self, arn: &str) -> ApiResult<&LoadBalancer> {
        self.load_balancers.get(arn).ok_or_else(|| no_balancer(arn))
    }

    fn load_balancer_mut(&mut self, arn: &str) -> ApiResult<&mut LoadBalancer> {
        self.load_balancers.get_mut(arn).ok_or_else(|| no_balancer(arn))
    }

    pub(super) fn create_load_balancer(
        &mut self,
        now: Timestamp,
        body: &CreateLoadBalancer,
    ) -> ApiResult<Response> {
        check_name("Load balancer", &body.name)?;
        tags::check(&body.tags).map_err(tag_error)?;
        let zones = self.subnet_zones(body.kind, &body.subnets)?;
        self.check_groups(&body.groups)?;
        let scheme = body.scheme.clone().unwrap_or_else(|| "internet-facing".to_owned());
        if let Some(existing) = self.load_balancers.values().find(|balancer| balancer.name == body.name) {
            if (existing.kind, &existing.zones, &existing.scheme) == (body.kind, &zones, &scheme) {
                return Ok(Response::LoadBalancers(Page::whole(vec![record(existing)])));
            }
            let text = format!(
                "A load balancer with the same name '{}' exists, but with different settings",
                body.name
            );
            return Err(ApiError::client("DuplicateLoadBalancerName", text));
        }
        let groups = match body.kind {
            BalancerKind::Application if body.groups.is_empty() => vec![seed::DEFAULT_GROUP.to_owned()],
            _ => body.groups.clone(),
        };
        let path = format!("{}/{}/{}", body.kind.short(), body.name, self.ids.hex());
        let balancer = LoadBalancer {
            arn: format!("{ARN}:loadbalancer/{path}"),
            name: body.name.clone(),
            kind: body.kind,
            created: now,
            provisioning_until: Some(now + ms(self.config.delays.provisioning_ms)),
            address: self.free_balancer_address()?,
            scheme,
            zones,
            groups,
            attributes: attributes::of_balancer(body.kind),
            tags: body.tags.clone(),
            listeners: BTreeMap::new(),
        };
        let answer = record(&balancer);
        self.load_balancers.insert(balancer.arn.clone(), balancer);
        self.advance_targets(now);
        Ok(Response::LoadBalancers(Page::whole(vec![answer])))
    }

    /// An address that no balancer of any kind has.
    pub(super) fn free_balancer_address(&self) -> ApiResult<Ipv4Addr> {
        let classic = self.balancers.values().map(|balancer| balancer.address);
        let used: BTreeSet<Ipv4Addr> =
            classic.chain(self.load_balancers.values().map(|balancer| balancer.address)).collect();
        let octet = self.config.balancer_octet();
        let free =
            (1..=254).map(|host| Ipv4Addr::new(127, octet, 0, host)).find(|address| !used.contains(address));
        free.ok_or_else(|| ApiError::client("TooManyLoadBalancers", "There are 254 balancers already."))
    }

    fn subnet_zones(&self, kind: BalancerKind, subnets: &[String]) -> ApiResult<BTreeMap<String, String>> {
        let mut zones = BTreeMap::new();
        for id in subnets {
            let text = || format!("The subnet ID '{id}' does not exist");
            let subnet = self.subnets.get(id).ok_or_else(|| ApiError::client("SubnetNotFound", text()))?;
            if zones.insert(subnet.zone.clone(), id.clone()).is_some() {
                let text =
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone";
                return Err(ApiError::client("InvalidConfigurationRequest", text));
            }
        }
        match kind {
            BalancerKind::Application if zones.len() < 2 => Err(ApiError::validation(
                "At least two subnets in two different Availability Zones must be specified",
            )),
            _ if zones.is_empty() => Err(ApiError::validation("At least one subnet must be specified")),
            _ => Ok(zones),
        }
    }

    fn check_groups(&self, groups: &[String]) -> ApiResult<()> {
        match groups.iter().find(|id| !self.groups.contains_key(*id)) {
            Some(id) => Err(ApiError::client("InvalidSecurityGroup", network::no_group(id).message)),
            None => Ok(()),
        }
    }

    /// Its listeners go with it, its target groups stay.
    pub(super) fn delete_load_balancer(&mut self, arn: &str) -> ApiResult<Response> {
        let protected = |balancer: &LoadBalancer| {
            balancer.attributes.get(attributes::DELETION_PROTECTION).is_some_and(|on| on == "true")
        };
        if self.load_balancers.get(arn).is_some_and(protected) {
            let text =
                format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
            return Err(ApiError::client("OperationNotPermitted", text));
        }
        self.load_balancers.remove(arn);
        Ok(Response::Done)
    }

    pub(super) fn describe_load_balancers(&self, body: &DescribeLoadBalancers) -> ApiResult<Response> {
        if !body.arns.is_empty() && !body.names.is_empty() {
            let text = "Load balancer ARNs and load balancer names cannot be specified at the same time";
            return Err(ApiError::validation(text));
        }
        for arn in &body.arns {
            self.load_balancer(arn)?;
        }
        let known = |name: &&String| self.load_balancers.values().any(|balancer| balancer.name == **name);
        if let Some(name) = body.names.iter().find(|name| !known(name)) {
            let text = format!("Load balancers '[{name}]' not found");
            return Err(ApiError::client("LoadBalancerNotFound", text));
        }
        let asked = |balancer: &&LoadBalancer| {
            (body.arns.is_empty() || body.arns.contains(&balancer.arn))
                && (body.names.is_empty() || body.names.contains(&balancer.name))
        };
        let found = self.load_balancers.values().filter(asked).map(record).collect();
        Ok(Response::LoadBalancers(page(&body.page, found, |record| record.balancer.arn.clone())?))
    }

    pub(super) fn load_balancer_attributes(&self, arn: &str) -> ApiResult<Response> {
        Ok(Response::Attributes(self.load_balancer(arn)?.attributes.clone()))
    }

    pub(super) fn modify_load_balancer_attributes(&mut self, body: &SetAttributes) -> ApiResult<Response> {
        let balancer = self.load_balancer_mut(&body.arn)?;
        balancer.attributes = attributes::changed(&balancer.attributes, &body.attributes)?;
        let changed = body.attributes.iter().map(|(key, _)| key.clone());
        let value = |key: String| balancer.attributes.get(&key).map(|value| (key.clone(), value.clone()));
        Ok(Response::Attributes(changed.filter_map(value).collect::<Attributes>()))
    }

    pub(super) fn set_subnets(&mut self, body: &SetIds) -> ApiResult<Response> {
        let zones = self.subnet_zones(self.load_balancer(&body.arn)?.kind, &body.ids)?;
        let balancer = self.load_balancer_mut(&body.arn)?;
        balancer.zones = zones;
        Ok(Response::SubnetZones(balancer.zones.clone()))
    }

    pub(super) fn set_security_groups(&mut self, body: &SetIds) -> ApiResult<Response> {
        self.check_groups(&body.ids)?;
        self.load_balancer_mut(&body.arn)?.groups.clone_from(&body.ids);
        Ok(Response::SecurityGroupIds(body.ids.clone()))
    }

    pub(super) fn create_listener(&mut self, body: &CreateListener) -> ApiResult<Response> {
        let balancer = self.load_balancer(&body.load_balancer)?;
        if balancer.listeners.contains_key(&body.port) {
            return Err(duplicate_listener(&balancer.arn));
        }
        tags::check(&body.tags).map_err(tag_error)?;
        Self::check_protocol(balancer.kind, body.protocol)?;
        self.check_forward(balancer, &body.forward)?;
        let path = balancer.path().to_owned();
        let id = self.ids.hex();
        let rule = self.ids.hex();
        let listener = TargetListener {
            arn: format!("{ARN}:listener/{path}/{id}"),
            rule_arn: format!("{ARN}:listener-rule/{path}/{id}/{rule}"),
            port: body.port,
            protocol: body.protocol,
            forward: body.forward.clone(),
            tags: body.tags.clone(),
        };
        let balancer = self.load_balancer_mut(&body.load_balancer)?;
        balancer.listeners.insert(body.port, listener.clone());
        let record = ListenerRecord { load_balancer: body.load_balancer.clone(), listener };
        Ok(Response::Listeners(Page::whole(vec![record])))
    }

    fn check_protocol(kind: BalancerKind, protocol: TargetProtocol) -> ApiResult<()> {
        if protocol == TargetProtocol::Https {
            let text = "The sandbox has no certificates, so no HTTPS listener; use HTTP or TCP";
            return Err(ApiError::client("CertificateNotFound", text));
        }
        if protocol.kind() == kind {
            return Ok(());
        }
        let text =
            format!("Protocol '{}' is not supported by {} load balancers", protocol.name(), kind.name());
        Err(ApiError::client("UnsupportedProtocol", text))
    }

    fn check_forward(&self, balancer: &LoadBalancer, forward: &[ForwardTo]) -> ApiResult<()> {
        if forward.is_empty() || forward.len() > 5 {
            return Err(ApiError::validation("A forward action has 1 to 5 target groups"));
        }
        for to in forward {
            let group = self.target_group(&to.group)?;
            if group.protocol.kind() != balancer.kind {
                let text = format!(
                    "The protocol '{}' of target group '{}' is not compatible with {} load balancers",
                    group.protocol.name(),
                    group.arn,
                    balancer.kind.name()
                );
                return Err(ApiError::client("IncompatibleProtocols", text));
            }
            if self.balancer_of(&group.arn).is_some_and(|other| other.arn != balancer.arn) {
                let text = format!(
                    "The following target groups cannot be associated with more than one load balancer: {}",
                    group.arn
                );
                return Err(ApiError::client("TargetGroupAssociationLimit", text));
            }
            if to.weight > 999 {
                return Err(ApiError::validation("The weight of a target group is between 0 and 999"));
            }
        }
        Ok(())
    }

    pub(super) fn modify_listener(&mut self, body: &ModifyListener) -> ApiResult<Response> {
        let (balancer, listener) = self.listener(&body.arn)?;
        let port = body.port.unwrap_or(listener.port);
        if port != listener.port && balancer.listeners.contains_key(&port) {
            return Err(duplicate_listener(&balancer.arn));
        }
        let protocol = body.protocol.unwrap_or(listener.protocol);
        Self::check_protocol(balancer.kind, protocol)?;
        let forward = if body.forward.is_empty() { &listener.forward } else { &body.forward };
        self.check_forward(balancer, forward)?;
        let changed = TargetListener { port, protocol, forward: forward.clone(), ..listener.clone() };
        let (arn, before) = (balancer.arn.clone(), listener.port);
        let balancer = self.load_balancer_mut(&arn)?;
        balancer.listeners.remove(&before);
        balancer.listeners.insert(port, changed.clone());
        let record = ListenerRecord { load_balancer: arn, listener: changed };
        Ok(Response::Listeners(Page::whole(vec![record])))
    }

    pub(super) fn delete_listener(&mut self, arn: &str) -> ApiResult<Response> {
        let (balancer, listener) = self.listener(arn)?;
        let (balancer, port) = (balancer.arn.clone(), listener.port);
        self.load_balancer_mut(&balancer)?.listeners.remove(&port);
        Ok(Response::Done)
    }

    pub(super) fn describe_listeners(&self, body: &DescribeListeners) -> ApiResult<Response> {
        if body.load_balancer.is_none() == body.arns.is_empty() {
            let text = "Either a load balancer ARN or listener ARNs must be specified";
            return Err(ApiError::validation(text));
        }
        if let Some(arn) = &body.load_balancer {
            self.load_balancer(arn)?;
        }
        for arn in &body.arns {
            self.listener(arn)?;
        }
        let asked = |record: &ListenerRecord| {
            body.load_balancer.as_ref().is_none_or(|arn| *arn == record.load_balancer)
                && (body.arns.is_empty() || body.arns.contains(&record.listener.arn))
        };
        let found = self.listener_records().filter(asked).collect();
        Ok(Response::Listeners(page(&body.page, found, |record| record.listener.arn.clone())?))
    }

    /// Every listener has its default rule and no other.
    pub(super) fn describe_rules(&self, body: &DescribeRules) -> ApiResult<Response> {
        if body.listener.is_none() == body.arns.is_empty() {
            return Err(ApiError::validation("Either a listener ARN or rule ARNs must be specified"));
        }
        if let Some(arn) = &body.listener {
            self.listener(arn)?;
        }
        let known = |arn: &String| self.listener_records().any(|record| record.listener.rule_arn == *arn);
        if !body.arns.iter().all(known) {
            return Err(ApiError::client("RuleNotFound", "One or more rules not found"));
        }
        let asked = |record: &ListenerRecord| {
            body.listener.as_ref().is_none_or(|arn| *arn == record.listener.arn)
                && (body.arns.is_empty() || body.arns.contains(&record.listener.rule_arn))
        };
        let found = self.listener_records().filter(asked).collect();
        Ok(Response::Rules(page(&body.page, found, |record| record.listener.rule_arn.clone())?))
    }

    fn listener(&self, arn: &str) -> ApiResult<(&LoadBalancer, &TargetListener)> {
        let all = self.load_balancers.values().flat_map(|b| b.listeners.values().map(move |l| (b, l)));
        let missing = || ApiError::client("ListenerNotFound", "One or more listeners not found");
        all.into_iter().find(|(_, listener)| listener.arn == arn).ok_or_else(missing)
    }

    fn listener_records(&self) -> impl Iterator<Item = ListenerRecord> {
        self.load_balancers.values().flat_map(|balancer| {
            balancer.listeners.values().map(|listener| ListenerRecord {
                load_balancer: balancer.arn.clone(),
                listener: listener.clone(),
            })
        })
    }

    pub(super) fn add_arn_tags(&mut self, body: &TagArns) -> ApiResult<Response> {
        tags::check(&body.tags).map_err(tag_error)?;
        let merged = body.arns.iter().map(|arn| merged_tags(self.arn_tags(arn)?, &body.tags));
        let merged = merged.collect::<ApiResult<Vec<_>>>()?;
        for (arn, tags) in body.arns.iter().zip(merged) {
            *self.arn_tags_mut(arn)? = tags;
        }
        Ok(Response::Done)
    }

    pub(super) fn remove_arn_tags(&mut self, body: &UntagArns) -> ApiResult<Response> {
        for arn in &body.arns {
            self.arn_tags(arn)?;
        }
        for arn in &body.arns {
            self.arn_tags_mut(arn)?.retain(|key, _| !body.keys.contains(key));
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_arn_tags(&self, arns: &[String]) -> ApiResult<Response> {
        if arns.is_empty() || arns.len() > 20 {
            return Err(ApiError::validation("Between 1 and 20 resource ARNs must be specified"));
        }
        let tags = |arn: &String| self.arn_tags(arn).map(|tags| (arn.clone(), tags.clone()));
        Ok(Response::ArnTags(arns.iter().map(tags).collect::<ApiResult<_>>()?))
    }

    fn arn_tags(&self, arn: &str) -> ApiResult<&Tags> {
        if arn.contains(":targetgroup/") {
            return self.target_group(arn).map(|group| &group.tags);
        }
        if arn.contains(":listener/") {
            return self.listener(arn).map(|(_, listener)| &listener.tags);
        }
        self.load_balancer(arn).map(|balancer| &balancer.tags)
    }

    fn arn_tags_mut(&mut self, arn: &str) -> ApiResult<&mut Tags> {
        if arn.contains(":targetgroup/") {
            return self.target_group_mut(arn).map(|group| &mut group.tags);
        }
        if arn.contains(":listener/") {
            let (balancer, listener) = self.listener(arn)?;
            let (balancer, port) = (balancer.arn.clone(), listener.port);
            let listeners = &mut self.load_balancer_mut(&balancer)?.listeners;
            let missing = || ApiError::client("ListenerNotFound", "One or more listeners not found");
            return listeners.get_mut(&port).map(|listener| &mut listener.tags).ok_or_else(missing);
        }
        self.load_balancer_mut(arn).map(|balancer| &mut balancer.tags)
    }
}

fn record(balancer: &LoadBalancer) -> LoadBalancerRecord {
    LoadBalancerRecord { balancer: balancer.clone(), active: balancer.is_active() }
}

fn no_balancer(arn: &str) -> ApiError {
    ApiError::client("LoadBalancerNotFound", format!("Load balancer '{arn}' not found"))
}

fn duplicate_listener(balancer: &str) -> ApiError {
    let text = format!("A listener already exists on this port for this load balancer '{balancer}'");
    ApiError::client("DuplicateListener", text)
}
