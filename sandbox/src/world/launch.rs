//! `RunInstances`: from parameters, template and token to recorded instances and the effects that boot them.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;

use super::config::{FaultKind, ms};
use super::error::{ApiError, ApiResult};
use super::ids::is_well_formed;
use super::model::{
    ImageState, Instance, InstanceState, LaunchSpec, MetadataOptions, StateReason, Subnet, Timestamp,
};
use super::request::{RunInstances, TemplateRef};
use super::response::{InstanceType, Reservation, Response};
use super::{World, network, seed, tags};

/// EC2's limit on user-data, before base64.
const USER_DATA_LIMIT: usize = 16_384;

/// Idempotency tokens of launches: by scope (a zone, or the region) and token.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    launches: BTreeMap<(String, String), (Fingerprint, Vec<String>)>,
}

/// What must be equal for a token to mean the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    spec: LaunchSpec,
    template: Option<(TemplateRef, Option<String>)>,
    min: u32,
    max: u32,
}

impl Tokens {
    /// Keeps the tokens whose instances satisfy the condition.
    pub(super) fn retain(&mut self, keep: impl Fn(&[String]) -> bool) {
        self.launches.retain(|_, (_, ids)| keep(ids));
    }
}

/// A launch with every question answered but where and how many.
struct Order {
    image_id: String,
    instance_type: InstanceType,
    groups: Vec<String>,
    terminate_on_shutdown: bool,
    metadata: MetadataOptions,
    user_data: Option<Arc<[u8]>>,
    tags: super::Tags,
    spec: LaunchSpec,
}

impl World {
    pub(super) fn run_instances(
        &mut self,
        now: Timestamp,
        body: &RunInstances,
        fault: Option<&FaultKind>,
    ) -> ApiResult<Response> {
        check_counts(body)?;
        let fingerprint = Fingerprint {
            spec: body.spec.clone(),
            template: body.template.clone().map(|template| (template, body.template_version.clone())),
            min: body.min,
            max: body.max,
        };
        let key = self.token_key(body)?;
        if let Some((first, ids)) = key.as_ref().and_then(|key| self.tokens.launches.get(key)) {
            return self.repeat_launch(&fingerprint, first, ids);
        }
        let order = self.order(body)?;
        let (subnet, count) = self.place(&order, body)?;
        let addresses = self.addresses(&subnet, count, body)?;
        if !self.buckets.take(now, "RunInstances:resources", count) {
            return Err(ApiError::with_status(503, "RequestLimitExceeded", "Request limit exceeded."));
        }
        let doomed = match fault {
            Some(FaultKind::LaunchDies { code, message }) => Some(StateReason::new(code, message)),
            _ => None,
        };
        let reservation_id = self.ids.resource("r");
        let mut instances = Vec::new();
        for (index, address) in (0u32..).zip(addresses) {
            let mut instance = self.instance_of(now, &order, &subnet, address, body.client_token.as_ref());
            instance.reservation_id.clone_from(&reservation_id);
            instance.launch_index = index;
            instance.doomed.clone_from(&doomed);
            instances.push(self.boot(instance));
        }
        if let Some(key) = key {
            let ids = instances.iter().map(|instance| instance.id.clone()).collect();
            self.tokens.launches.insert(key, (fingerprint, ids));
        }
        Ok(Response::Launched(self.reservation(reservation_id, instances)))
    }

    fn boot(&mut self, instance: Instance) -> Instance {
        if instance.doomed.is_none() {
            let effect = self.machine(&instance);
            self.outbox.push(effect);
        }
        self.instances.insert(instance.id.clone(), instance.clone());
        instance
    }

    fn reservation(&self, id: String, instances: Vec<Instance>) -> Reservation {
        let groups =
            instances.iter().flat_map(|instance| &instance.groups).filter_map(|id| self.groups.get(id));
        let group_names = groups.map(|group| (group.id.clone(), group.name.clone())).collect();
        Reservation { id, instances, group_names }
    }

    /// A token is zonal where the call names a subnet or a zone, and regional otherwise.
    fn token_key(&self, body: &RunInstances) -> ApiResult<Option<(String, String)>> {
        let Some(token) = &body.client_token else { return Ok(None) };
        if token.is_empty() || token.len() > 64 || !token.is_ascii() {
            return Err(ApiError::invalid("clientToken", token, "It must be 1 to 64 ASCII characters."));
        }
        let subnet = body.spec.subnet_id.as_ref().and_then(|id| self.subnets.get(id));
        let zone = subnet.map(|subnet| subnet.zone.clone()).or_else(|| body.spec.zone.clone());
        Ok(Some((zone.unwrap_or_else(|| seed::REGION.to_owned()), token.clone())))
    }

    /// The instances of the first call with this token, dead or alive.
    fn repeat_launch(&self, asked: &Fingerprint, first: &Fingerprint, ids: &[String]) -> ApiResult<Response> {
        if asked != first {
            let text = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
            return Err(ApiError::client("IdempotentParameterMismatch", text));
        }
        let instances: Vec<Instance> = ids.iter().filter_map(|id| self.instances.get(id)).cloned().collect();
        let id = instances.first().map(|instance| instance.reservation_id.clone()).unwrap_or_default();
        Ok(Response::Launched(self.reservation(id, instances)))
    }

    /// Merges the call over its template and validates everything but place and number.
    fn order(&self, body: &RunInstances) -> ApiResult<Order> {
        let mut spec = body.spec.clone();
        let mut template_tags = super::Tags::new();
        if let Some(reference) = &body.template {
            let template = self.template(reference)?;
            let version =
                self.template_version(template, body.template_version.as_deref().unwrap_or("$Default"))?;
            spec = version.spec.clone().overlaid(body.spec.clone());
            template_tags.insert("aws:ec2launchtemplate:id".to_owned(), template.id.clone());
            template_tags.insert("aws:ec2launchtemplate:version".to_owned(), version.number.to_string());
        }
        let image_id = spec.image_id.clone().ok_or_else(|| ApiError::missing("ImageId"))?;
        self.check_image(&image_id)?;
        let kind = spec.instance_type.as_deref().unwrap_or("t3.micro");
        let instance_type = find_type(kind).ok_or_else(|| unknown_type(kind))?;
        tags::check_specifications(
            &spec.tags,
            &["instance", "volume", "network-interface", "spot-instances-request"],
        )?;
        let mut instance_tags = spec.tags.get("instance").cloned().unwrap_or_default();
        instance_tags.extend(template_tags);
        Ok(Order {
            image_id,
            instance_type,
            groups: self.launch_groups(&spec)?,
            terminate_on_shutdown: spec.shutdown.as_deref().map_or(Ok(false), terminates_on_shutdown)?,
            metadata: metadata_options(&MetadataOptions::default(), &spec)?,
            user_data: spec.user_data.as_deref().map(decode_user_data).transpose()?,
            tags: instance_tags,
            spec,
        })
    }

    fn check_image(&self, id: &str) -> ApiResult<()> {
        if !is_well_formed(id, "ami") {
            return Err(ApiError::client("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\"")));
        }
        match self.images.get(id).filter(|image| image.region == super::REGION).map(|image| image.state) {
            Some(ImageState::Available) => Ok(()),
            Some(ImageState::Pending | ImageState::Failed) => Err(ApiError::client(
                "InvalidAMIID.Unavailable",
                format!("The image ID '{id}' is not available"),
            )),
            Some(ImageState::Deregistered) | None => Err(ApiError::client(
                "InvalidAMIID.NotFound",
                format!("The image id '[{id}]' does not exist"),
            )),
        }
    }

    fn launch_groups(&self, spec: &LaunchSpec) -> ApiResult<Vec<String>> {
        let mut groups = Vec::new();
        for id in &spec.group_ids {
            groups.push(self.groups.get(id).ok_or_else(|| network::no_group(id))?.id.clone());
        }
        for name in &spec.group_names {
            let group = self.groups.values().find(|group| group.name == *name);
            groups.push(group.ok_or_else(|| network::no_group(name))?.id.clone());
        }
        Ok(if groups.is_empty() { vec![seed::DEFAULT_GROUP.to_owned()] } else { groups })
    }

    /// The subnet, and how many fit: as many as possible up to the maximum, or an error below the minimum.
    fn place(&self, order: &Order, body: &RunInstances) -> ApiResult<(Subnet, u32)> {
        let candidates = self.candidate_subnets(&order.spec)?;
        let live = self.instances.values().filter(|instance| instance.holds_capacity()).count();
        let account = self.config.max_instances.saturating_sub(u32::try_from(live).unwrap_or(u32::MAX));
        if account < body.min {
            let text = format!("You have requested more instances ({}) than your limit allows.", body.min);
            return Err(ApiError::client("InstanceLimitExceeded", text));
        }
        // The first with room for all; otherwise the one with the most room.
        let wanted = body.max.min(account);
        let fits = |subnet: &&Subnet| self.room(order.instance_type.name, &subnet.zone) >= wanted;
        let roomiest =
            || candidates.iter().copied().max_by_key(|s| self.room(order.instance_type.name, &s.zone));
        let Some(subnet) = candidates.iter().copied().find(fits).or_else(roomiest) else {
            return Err(ApiError::missing("SubnetId"));
        };
        let count = wanted.min(self.room(order.instance_type.name, &subnet.zone));
        if count < body.min {
            let text = format!(
                "There is not enough {} capacity in the Availability Zone {} now. Try another type or zone, or fewer instances.",
                order.instance_type.name, subnet.zone
            );
            return Err(ApiError::with_status(500, "InsufficientInstanceCapacity", text));
        }
        Ok((subnet.clone(), count))
    }

    fn candidate_subnets(&self, spec: &LaunchSpec) -> ApiResult<Vec<&Subnet>> {
        if let Some(id) = &spec.subnet_id {
            let subnet = self.subnet(id)?;
            if spec.zone.as_ref().is_some_and(|zone| *zone != subnet.zone) {
                let text = format!("The subnet {id} is not in the Availability Zone that was asked for.");
                return Err(ApiError::combination(text));
            }
            return Ok(vec![subnet]);
        }
        let zone = spec.zone.as_ref();
        let found: Vec<&Subnet> =
            self.subnets.values().filter(|subnet| zone.is_none_or(|zone| subnet.zone == *zone)).collect();
        match zone {
            Some(zone) if found.is_empty() => {
                Err(ApiError::client("InvalidParameterValue", format!("Invalid availability zone: [{zone}]")))
            }
            _ => Ok(found),
        }
    }

    fn room(&self, kind: &str, zone: &str) -> u32 {
        let rules = self.config.capacity.iter().filter(|rule| {
            rule.instance_type.as_deref().is_none_or(|wanted| wanted == kind)
                && rule.zone.as_deref().is_none_or(|wanted| wanted == zone)
        });
        let free = rules.map(|rule| {
            let used = self.instances.values().filter(|i| {
                i.holds_capacity()
                    && rule.instance_type.as_deref().is_none_or(|wanted| wanted == i.instance_type)
                    && rule.zone.as_deref().is_none_or(|wanted| wanted == i.zone)
            });
            rule.max.saturating_sub(u32::try_from(used.count()).unwrap_or(u32::MAX))
        });
        free.min().unwrap_or(u32::MAX)
    }

    fn addresses(&mut self, subnet: &Subnet, count: u32, body: &RunInstances) -> ApiResult<Vec<Ipv4Addr>> {
        if let Some(text) = &body.private_ip {
            return self.chosen_address(subnet, count, text).map(|address| vec![address]);
        }
        let hosts = (1u32 << (32 - subnet.prefix)) - 1;
        let mut next = subnet.next_host;
        let mut found = Vec::new();
        for _ in 4..hosts {
            if found.len() == usize::try_from(count).unwrap_or(usize::MAX) {
                break;
            }
            let address = Ipv4Addr::from(u32::from(subnet.network) + next);
            // The first four and the last address of a subnet are reserved.
            next = if next + 1 < hosts { next + 1 } else { 4 };
            if self.is_free(address) {
                found.push(address);
            }
        }
        if found.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            let text = format!("There are not enough free addresses in subnet '{}'.", subnet.id);
            return Err(ApiError::client("InsufficientFreeAddressesInSubnet", text));
        }
        if let Some(record) = self.subnets.get_mut(&subnet.id) {
            record.next_host = next;
        }
        Ok(found)
    }

    fn chosen_address(&self, subnet: &Subnet, count: u32, text: &str) -> ApiResult<Ipv4Addr> {
        let address: Ipv4Addr = text
            .parse()
            .map_err(|_| ApiError::invalid("privateIpAddress", text, "It is not an IPv4 address."))?;
        let inside =
            u32::from(address) >> (32 - subnet.prefix) == u32::from(subnet.network) >> (32 - subnet.prefix);
        if count != 1 || !inside {
            let why = "It must be in the subnet, and only one instance can have it.";
            return Err(ApiError::invalid("privateIpAddress", text, why));
        }
        if !self.is_free(address) {
            return Err(ApiError::client("InvalidIPAddress.InUse", format!("Address {text} is in use.")));
        }
        Ok(address)
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        !self.instances.values().any(|instance| instance.state.is_alive() && instance.private_ip == address)
    }

    fn instance_of(
        &mut self,
        now: Timestamp,
        order: &Order,
        subnet: &Subnet,
        address: Ipv4Addr,
        token: Option<&String>,
    ) -> Instance {
        let [_, _, x, y] = address.octets();
        let delays = &self.config.delays;
        Instance {
            id: self.ids.resource("i"),
            reservation_id: String::new(),
            launch_index: 0,
            image_id: order.image_id.clone(),
            instance_type: order.instance_type.name.to_owned(),
            key_name: order.spec.key_name.clone(),
            subnet_id: subnet.id.clone(),
            zone: subnet.zone.clone(),
            private_ip: address,
            public_ip: Ipv4Addr::new(127, self.config.public_octet(), x, y),
            groups: order.groups.clone(),
            instance_profile: order.spec.instance_profile.as_deref().map(profile_name),
            terminate_on_shutdown: order.terminate_on_shutdown,
            termination_protection: order.spec.termination_protection.unwrap_or(false),
            metadata: order.metadata.clone(),
            user_data: order.user_data.clone(),
            tags: order.tags.clone(),
            state: InstanceState::Pending,
            reason: None,
            transition: String::new(),
            client_token: token.cloned(),
            launch_time: now,
            volume_id: self.ids.resource("vol"),
            interface_id: self.ids.resource("eni"),
            visible_at: now + ms(delays.visible_ms),
            running_since: None,
            terminated_at: None,
            due: now + ms(delays.pending_ms),
            observed: false,
            doomed: None,
        }
    }
}

impl LaunchSpec {
    /// These parameters with those of `over` in their place where it says something.
    #[must_use]
    pub fn overlaid(self, over: Self) -> Self {
        let mut tags = self.tags;
        for (kind, added) in over.tags {
            tags.entry(kind).or_default().extend(added);
        }
        // Ids and names of groups are one setting, as are subnet and zone.
        let groups_said = !over.group_ids.is_empty() || !over.group_names.is_empty();
        let (group_ids, group_names) =
            if groups_said { (over.group_ids, over.group_names) } else { (self.group_ids, self.group_names) };
        Self {
            image_id: over.image_id.or(self.image_id),
            instance_type: over.instance_type.or(self.instance_type),
            key_name: over.key_name.or(self.key_name),
            user_data: over.user_data.or(self.user_data),
            subnet_id: over.subnet_id.or(self.subnet_id),
            zone: over.zone.or(self.zone),
            group_ids,
            group_names,
            instance_profile: over.instance_profile.or(self.instance_profile),
            shutdown: over.shutdown.or(self.shutdown),
            http_tokens: over.http_tokens.or(self.http_tokens),
            hop_limit: over.hop_limit.or(self.hop_limit),
            http_endpoint: over.http_endpoint.or(self.http_endpoint),
            metadata_tags: over.metadata_tags.or(self.metadata_tags),
            termination_protection: over.termination_protection.or(self.termination_protection),
            ebs_optimized: over.ebs_optimized.or(self.ebs_optimized),
            tags,
        }
    }
}

fn check_counts(body: &RunInstances) -> ApiResult<()> {
    if body.min == 0 {
        return Err(ApiError::invalid("minCount", "0", "Expecting an integer of at least 1."));
    }
    if body.min > body.max {
        let (min, max) = (body.min.to_string(), body.max.to_string());
        return Err(ApiError::invalid("minCount", &min, &format!("It is greater than MaxCount ({max}).")));
    }
    Ok(())
}

/// The type by name.
pub(super) fn find_type(name: &str) -> Option<InstanceType> {
    seed::INSTANCE_TYPES.into_iter().find(|kind| kind.name == name)
}

pub(super) fn unknown_type(name: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", format!("Invalid value '{name}' for InstanceType."))
}

/// Raw bytes of base64 user-data within EC2's limit.
pub(super) fn decode_user_data(text: &str) -> ApiResult<Arc<[u8]>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| ApiError::client("InvalidParameterValue", "Invalid BASE64 encoding of user data."))?;
    if bytes.len() > USER_DATA_LIMIT {
        let text = format!("User data is limited to {USER_DATA_LIMIT} bytes; this has {}.", bytes.len());
        return Err(ApiError::client("InvalidParameterValue", text));
    }
    Ok(bytes.into())
}

/// `InstanceInitiatedShutdownBehavior`.
pub(super) fn terminates_on_shutdown(value: &str) -> ApiResult<bool> {
    match value {
        "terminate" => Ok(true),
        "stop" => Ok(false),
        other => {
            Err(ApiError::invalid("instanceInitiatedShutdownBehavior", other, "Expecting stop or terminate."))
        }
    }
}

/// IMDS settings with those of the spec over them.
pub(super) fn metadata_options(base: &MetadataOptions, spec: &LaunchSpec) -> ApiResult<MetadataOptions> {
    let switch =
        |value: &Option<String>, name: &str, on: &str, off: &str, before: bool| match value.as_deref() {
            None => Ok(before),
            Some(text) if text == on => Ok(true),
            Some(text) if text == off => Ok(false),
            Some(other) => Err(ApiError::invalid(name, other, &format!("Expecting {on} or {off}."))),
        };
    let hop_limit = spec.hop_limit.unwrap_or(base.hop_limit);
    if !(1..=64).contains(&hop_limit) {
        let why = "Expecting a value between 1 and 64.";
        return Err(ApiError::invalid("httpPutResponseHopLimit", &hop_limit.to_string(), why));
    }
    Ok(MetadataOptions {
        tokens_required: switch(
            &spec.http_tokens,
            "httpTokens",
            "required",
            "optional",
            base.tokens_required,
        )?,
        hop_limit,
        enabled: switch(&spec.http_endpoint, "httpEndpoint", "enabled", "disabled", base.enabled)?,
        tags: switch(&spec.metadata_tags, "instanceMetadataTags", "enabled", "disabled", base.tags)?,
    })
}

fn profile_name(name_or_arn: &str) -> String {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn).to_owned()
}
