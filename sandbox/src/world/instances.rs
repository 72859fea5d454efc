//! Calls about instances that exist: describe, stop, start, terminate, attributes, console.
use std::collections::BTreeMap;

use super::config::ms;
use super::effect::Effect;
use super::error::{ApiError, ApiResult};
use super::filters::{self, Field, tag_field};
use super::ids::is_well_formed;
use super::lifecycle::transition_text;
use super::model::{Instance, InstanceState, StateReason, Tags, Timestamp};
use super::request::{
    Describe, DescribeInstanceStatus, InstanceAttribute, InstanceIds, ModifyInstanceAttribute, ModifyMetadata,
};
use super::response::{InstanceStatus, Page, Reservation, Response, StateChange};
use super::{World, launch, seed};

impl World {
    /// Whether answers mention the instance: launched long enough ago, and no corpse of long ago.
    pub(super) fn sees(&self, now: Timestamp, instance: &Instance) -> bool {
        let corpse = ms(self.config.delays.corpse_ms);
        now >= instance.visible_at && instance.terminated_at.is_none_or(|at| now - at <= corpse)
    }

    /// All named instances, or the error that names those which are malformed or not (yet, or any longer) known.
    pub(super) fn named(&self, now: Timestamp, ids: &[String]) -> ApiResult<()> {
        if let Some(id) = ids.iter().find(|id| !is_well_formed(id, "i")) {
            return Err(ApiError::client("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
        }
        let seen = |id: &&String| self.instances.get(*id).is_some_and(|instance| self.sees(now, instance));
        let absent: Vec<&str> = ids.iter().filter(|id| !seen(id)).map(String::as_str).collect();
        match absent[..] {
            [] => Ok(()),
            [one] => {
                let text = format!("The instance ID '{one}' does not exist");
                Err(ApiError::client("InvalidInstanceID.NotFound", text))
            }
            _ => {
                let text = format!("The instance IDs '{}' do not exist", absent.join(", "));
                Err(ApiError::client("InvalidInstanceID.NotFound", text))
            }
        }
    }

    fn some_named(&self, now: Timestamp, ids: &[String]) -> ApiResult<()> {
        if ids.is_empty() { Err(ApiError::missing("InstanceId")) } else { self.named(now, ids) }
    }

    fn one(&mut self, now: Timestamp, id: &str) -> ApiResult<&mut Instance> {
        self.some_named(now, std::slice::from_ref(&id.to_owned()))?;
        self.instances.get_mut(id).ok_or_else(|| ApiError::missing("InstanceId"))
    }

    /// Instances that a describe call selects, in order of id.
    fn selected(&self, now: Timestamp, body: &Describe) -> ApiResult<Vec<&Instance>> {
        filters::check(&body.filters, |name| self.instance_field(None, name))?;
        self.named(now, &body.ids)?;
        let named = |instance: &Instance| body.ids.is_empty() || body.ids.contains(&instance.id);
        let mut found = Vec::new();
        for instance in self.instances.values().filter(|i| named(i) && self.sees(now, i)) {
            if filters::matches(&body.filters, |name| self.instance_field(Some(instance), name))? {
                found.push(instance);
            }
        }
        let lost = |i: &&&Instance| !body.ids.is_empty() && self.config.impaired_zones.contains(&i.zone);
        match found.iter().find(lost) {
            Some(instance) => {
                let text = format!("The Availability Zone {} is impaired; try again later.", instance.zone);
                Err(ApiError::with_status(503, "Unavailable", text))
            }
            None => Ok(found),
        }
    }

    fn instance_field(&self, instance: Option<&Instance>, name: &str) -> Field {
        let Some(i) = instance else {
            let known =
                INSTANCE_FILTERS.contains(&name) || !matches!(tag_field(&Tags::new(), name), Field::Unknown);
            return if known { Field::Values(Vec::new()) } else { Field::Unknown };
        };
        match name {
            "instance-id" => Field::one(&i.id),
            "image-id" => Field::one(&i.image_id),
            "instance-type" => Field::one(&i.instance_type),
            "instance-state-name" => Field::one(i.state.name()),
            "instance-state-code" => Field::one(i.state.code().to_string()),
            "client-token" => Field::maybe(i.client_token.clone()),
            "private-ip-address" | "network-interface.addresses.private-ip-address" => {
                Field::one(i.private_ip.to_string())
            }
            "ip-address" => Field::one(i.public_ip.to_string()),
            "private-dns-name" => Field::one(format!("{}.ec2.internal", i.hostname())),
            "availability-zone" => Field::one(&i.zone),
            "subnet-id" | "network-interface.subnet-id" => Field::one(&i.subnet_id),
            "vpc-id" | "network-interface.vpc-id" => Field::one(seed::VPC),
            "instance.group-id" | "group-id" => Field::Values(i.groups.clone()),
            "instance.group-name" | "group-name" => {
                let groups = i.groups.iter().filter_map(|id| self.groups.get(id));
                Field::Values(groups.map(|group| group.name.clone()).collect())
            }
            "key-name" => Field::maybe(i.key_name.clone()),
            "reservation-id" => Field::one(&i.reservation_id),
            "owner-id" => Field::one(seed::ACCOUNT),
            "launch-index" => Field::one(i.launch_index.to_string()),
            "architecture" => Field::one("x86_64"),
            "root-device-type" => Field::one("ebs"),
            "state-reason-code" => Field::maybe(i.reason.as_ref().map(|reason| reason.code.clone())),
            "iam-instance-profile.arn" => Field::maybe(i.instance_profile.as_deref().map(profile_arn)),
            _ => tag_field(&i.tags, name),
        }
    }

    pub(super) fn describe_instances(&self, now: Timestamp, body: &Describe) -> ApiResult<Response> {
        let found = self.selected(now, body)?.into_iter().cloned().collect();
        let page = filters::page(body, (5, 1000), found, |instance: &Instance| instance.id.clone())?;
        Ok(Response::Instances(Page { items: self.reservations(page.items), next_token: page.next_token }))
    }

    /// Instances under the launches that they belong to.
    pub(super) fn reservations(&self, instances: Vec<Instance>) -> Vec<Reservation> {
        let mut by_launch: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for instance in instances {
            by_launch.entry(instance.reservation_id.clone()).or_default().push(instance);
        }
        let names = |instances: &[Instance]| {
            let ids = instances.iter().flat_map(|instance| &instance.groups);
            ids.filter_map(|id| self.groups.get(id)).map(|g| (g.id.clone(), g.name.clone())).collect()
        };
        let reservation = |(id, mut instances): (String, Vec<Instance>)| {
            instances.sort_by_key(|instance| instance.launch_index);
            Reservation { id, group_names: names(&instances), instances }
        };
        by_launch.into_iter().map(reservation).collect()
    }

    pub(super) fn describe_instance_status(
        &self,
        now: Timestamp,
        body: &DescribeInstanceStatus,
    ) -> ApiResult<Response> {
        let settled = ms(self.config.delays.status_ok_ms);
        let status = |i: &Instance| InstanceStatus {
            id: i.id.clone(),
            zone: i.zone.clone(),
            state: i.state,
            check: match i.running_since {
                Some(since) if now - since >= settled => "ok",
                Some(_) => "initializing",
                None => "not-applicable",
            },
        };
        let wanted = |i: &&Instance| body.include_all || i.state == InstanceState::Running;
        let found = self.selected(now, &body.describe)?.into_iter().filter(wanted).map(status).collect();
        let page =
            filters::page(&body.describe, (5, 1000), found, |status: &InstanceStatus| status.id.clone())?;
        Ok(Response::Statuses(page))
    }

    pub(super) fn describe_instance_types(body: &Describe) -> ApiResult<Response> {
        let absent: Vec<&str> =
            body.ids.iter().map(String::as_str).filter(|id| launch::find_type(id).is_none()).collect();
        if !absent.is_empty() {
            let text = format!("The following supplied instance types do not exist: [{}]", absent.join(", "));
            return Err(ApiError::client("InvalidInstanceType", text));
        }
        let field = |kind: &super::InstanceType, name: &str| match name {
            "instance-type" => Field::one(kind.name),
            "processor-info.supported-architecture" => Field::one(kind.architecture),
            "vcpu-info.default-vcpus" => Field::one(kind.vcpus.to_string()),
            "memory-info.size-in-mib" => Field::one(kind.memory_mib.to_string()),
            _ => Field::Unknown,
        };
        let mut found = Vec::new();
        for kind in seed::INSTANCE_TYPES {
            let named = body.ids.is_empty() || body.ids.iter().any(|id| id == kind.name);
            if named && filters::matches(&body.filters, |name| field(&kind, name))? {
                found.push(kind);
            }
        }
        Ok(Response::InstanceTypes(found))
    }

    /// All or none: the ids and the protections are checked before the first instance is touched.
    pub(super) fn terminate_instances(&mut self, now: Timestamp, body: &InstanceIds) -> ApiResult<Response> {
        self.some_named(now, &body.ids)?;
        let protected = |id: &&String| {
            self.instances
                .get(*id)
                .is_some_and(|i| i.termination_protection && i.state != InstanceState::Terminated)
        };
        if let Some(id) = body.ids.iter().find(protected) {
            let text = format!(
                "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
            );
            return Err(ApiError::client("OperationNotPermitted", text));
        }
        self.change(now, &body.ids, |world, now, id| {
            let Some(instance) = world.instances.get_mut(id) else { return };
            if matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
                return;
            }
            instance.reason =
                Some(StateReason::new("Client.UserInitiatedShutdown", "User initiated shutdown"));
            instance.transition = transition_text("User initiated", now);
            world.begin_termination(now, id);
        })
    }

    pub(super) fn stop_instances(&mut self, now: Timestamp, body: &InstanceIds) -> ApiResult<Response> {
        use InstanceState::{Running, Stopped, Stopping};
        self.some_named(now, &body.ids)?;
        self.refuse_unless(&body.ids, &[Running, Stopping, Stopped], "stopped")?;
        let force = body.force;
        self.change(now, &body.ids, move |world, now, id| {
            let due = now + ms(world.config.delays.stopping_ms);
            let Some(instance) = world.instances.get_mut(id).filter(|i| i.state == Running) else { return };
            instance.state = Stopping;
            instance.observed = false;
            instance.running_since = None;
            instance.due = due;
            instance.reason =
                Some(StateReason::new("Client.UserInitiatedShutdown", "User initiated shutdown"));
            instance.transition = transition_text("User initiated", now);
            world.outbox.push(Effect::StopMachine { id: id.to_owned(), force });
        })
    }

    pub(super) fn start_instances(&mut self, now: Timestamp, body: &InstanceIds) -> ApiResult<Response> {
        use InstanceState::{Pending, Running, Stopped};
        self.some_named(now, &body.ids)?;
        self.refuse_unless(&body.ids, &[Pending, Running, Stopped], "started")?;
        self.change(now, &body.ids, |world, now, id| {
            let due = now + ms(world.config.delays.pending_ms);
            let Some(instance) = world.instances.get_mut(id).filter(|i| i.state == Stopped) else { return };
            instance.state = Pending;
            instance.observed = false;
            instance.due = due;
            instance.launch_time = now;
            instance.reason = None;
            instance.transition = String::new();
            let instance = instance.clone();
            let effect = world.machine(&instance);
            world.outbox.push(effect);
        })
    }

    pub(super) fn reboot_instances(&mut self, now: Timestamp, body: &InstanceIds) -> ApiResult<Response> {
        self.some_named(now, &body.ids)?;
        self.refuse_unless(&body.ids, &[InstanceState::Running, InstanceState::Pending], "rebooted")?;
        let reboots = body.ids.iter().map(|id| Effect::RebootMachine { id: id.clone() });
        self.outbox.extend(reboots);
        Ok(Response::Done)
    }

    fn refuse_unless(&self, ids: &[String], allowed: &[InstanceState], verb: &str) -> ApiResult<()> {
        let wrong = |id: &&String| self.instances.get(*id).is_some_and(|i| !allowed.contains(&i.state));
        match ids.iter().find(wrong) {
            Some(id) => {
                let text = format!("The instance '{id}' is not in a state from which it can be {verb}.");
                Err(ApiError::client("IncorrectInstanceState", text))
            }
            None => Ok(()),
        }
    }

    fn change(
        &mut self,
        now: Timestamp,
        ids: &[String],
        step: impl Fn(&mut Self, Timestamp, &str),
    ) -> ApiResult<Response> {
        let state = |world: &Self, id: &str| world.instances.get(id).map(|instance| instance.state);
        let mut changes: Vec<StateChange> = Vec::new();
        for id in ids {
            if changes.iter().any(|change| change.id == *id) {
                continue;
            }
            let Some(previous) = state(self, id) else { continue };
            step(self, now, id);
            let current = state(self, id).unwrap_or(previous);
            changes.push(StateChange { id: id.clone(), previous, current });
        }
        Ok(Response::StateChanges(changes))
    }

    pub(super) fn modify_instance_attribute(
        &mut self,
        now: Timestamp,
        body: &ModifyInstanceAttribute,
    ) -> ApiResult<Response> {
        let shutdown = body.shutdown.as_deref().map(launch::terminates_on_shutdown).transpose()?;
        let user_data = body.user_data.as_deref().map(launch::decode_user_data).transpose()?;
        if body.instance_type.as_deref().is_some_and(|kind| launch::find_type(kind).is_none()) {
            return Err(launch::unknown_type(body.instance_type.as_deref().unwrap_or_default()));
        }
        if let Some(id) = body.group_ids.iter().find(|id| !self.groups.contains_key(*id)) {
            return Err(super::network::no_group(id));
        }
        let instance = self.one(now, &body.id)?;
        let needs_stop = body.instance_type.is_some() || user_data.is_some();
        if needs_stop && instance.state != InstanceState::Stopped {
            let text = format!("The instance '{}' is not in the 'stopped' state.", body.id);
            return Err(ApiError::client("IncorrectInstanceState", text));
        }
        instance.terminate_on_shutdown = shutdown.unwrap_or(instance.terminate_on_shutdown);
        instance.termination_protection =
            body.termination_protection.unwrap_or(instance.termination_protection);
        if let Some(kind) = &body.instance_type {
            instance.instance_type.clone_from(kind);
        }
        if let Some(bytes) = user_data {
            instance.user_data = Some(bytes);
        }
        if !body.group_ids.is_empty() {
            instance.groups.clone_from(&body.group_ids);
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_instance_attribute(
        &mut self,
        now: Timestamp,
        body: &InstanceAttribute,
    ) -> ApiResult<Response> {
        use base64::Engine as _;
        let encode = |bytes: &std::sync::Arc<[u8]>| base64::engine::general_purpose::STANDARD.encode(bytes);
        let i = self.one(now, &body.id)?;
        let value = match body.attribute.as_str() {
            "userData" => i.user_data.as_ref().map(encode),
            "instanceType" => Some(i.instance_type.clone()),
            "disableApiTermination" => Some(i.termination_protection.to_string()),
            "instanceInitiatedShutdownBehavior" => {
                Some(if i.terminate_on_shutdown { "terminate" } else { "stop" }.to_owned())
            }
            "groupSet" => None,
            "" => return Err(ApiError::missing("Attribute")),
            other => {
                return Err(ApiError::invalid(
                    "attribute",
                    other,
                    "The sandbox does not keep this attribute.",
                ));
            }
        };
        let groups = (body.attribute == "groupSet").then(|| i.groups.clone());
        Ok(Response::Attribute { id: body.id.clone(), value: (body.attribute.clone(), value), groups })
    }

    pub(super) fn modify_metadata(&mut self, now: Timestamp, body: &ModifyMetadata) -> ApiResult<Response> {
        let instance = self.one(now, &body.id)?;
        instance.metadata = launch::metadata_options(&instance.metadata, &body.spec)?;
        Ok(Response::Metadata(Box::new(instance.clone())))
    }

    pub(super) fn console_output(&mut self, now: Timestamp, id: &str) -> ApiResult<Response> {
        let instance = self.one(now, id)?;
        let started = instance.state != InstanceState::Pending || instance.observed;
        Ok(Response::Console { id: id.to_owned(), at: now, started })
    }
}

/// Names that `DescribeInstances` and `DescribeInstanceStatus` filter by, beside tags.
const INSTANCE_FILTERS: [&str; 27] = [
    "instance-id",
    "image-id",
    "instance-type",
    "instance-state-name",
    "instance-state-code",
    "client-token",
    "private-ip-address",
    "network-interface.addresses.private-ip-address",
    "ip-address",
    "private-dns-name",
    "availability-zone",
    "subnet-id",
    "network-interface.subnet-id",
    "vpc-id",
    "network-interface.vpc-id",
    "instance.group-id",
    "group-id",
    "instance.group-name",
    "group-name",
    "key-name",
    "reservation-id",
    "owner-id",
    "launch-index",
    "architecture",
    "root-device-type",
    "state-reason-code",
    "iam-instance-profile.arn",
];

/// ARN of an instance profile by name.
pub(crate) fn profile_arn(name: &str) -> String {
    format!("arn:aws:iam::{}:instance-profile/{name}", seed::ACCOUNT)
}
