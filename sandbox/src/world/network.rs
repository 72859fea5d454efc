//! Calls about the network and the region: subnets, VPCs, security groups, zones.
use super::effect::PortRange;
use super::error::{ApiError, ApiResult};
use super::filters::{self, Field, tag_field};
use super::ids::is_well_formed;
use super::model::{SecurityGroup, Subnet, Tags};
use super::request::{CreateGroup, Describe, DescribeGroups, GroupPorts, GroupRef};
use super::response::Response;
use super::{World, seed};

impl World {
    /// The subnet, or the error that EC2 gives.
    pub(super) fn subnet(&self, id: &str) -> ApiResult<&Subnet> {
        let text = || format!("The subnet ID '{id}' does not exist");
        self.subnets.get(id).ok_or_else(|| ApiError::client("InvalidSubnetID.NotFound", text()))
    }

    pub(super) fn describe_subnets(&self, body: &Describe) -> ApiResult<Response> {
        filters::check(&body.filters, |name| subnet_field(None, name))?;
        for id in &body.ids {
            self.subnet(id)?;
        }
        let mut found = Vec::new();
        for subnet in self.subnets.values().filter(|s| body.ids.is_empty() || body.ids.contains(&s.id)) {
            if filters::matches(&body.filters, |name| subnet_field(Some(subnet), name))? {
                found.push((subnet.clone(), self.free_addresses(subnet)));
            }
        }
        Ok(Response::Subnets(filters::page(body, (5, 1000), found, |(subnet, _)| subnet.id.clone())?))
    }

    fn free_addresses(&self, subnet: &Subnet) -> u32 {
        let used = self.instances.values().filter(|i| i.state.is_alive() && i.subnet_id == subnet.id).count();
        let all = (1u32 << (32 - subnet.prefix)) - 5;
        all.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    pub(super) fn describe_vpcs(&self, body: &Describe) -> ApiResult<Response> {
        let field = |name: &str| match name {
            "vpc-id" => Field::one(seed::VPC),
            "is-default" | "isDefault" => Field::one("true"),
            "state" => Field::one("available"),
            "cidr" | "cidr-block-association.cidr-block" => Field::one("10.77.0.0/16"),
            "owner-id" => Field::one(seed::ACCOUNT),
            _ => tag_field(&self.vpc_tags, name),
        };
        filters::check(&body.filters, field)?;
        if let Some(id) = body.ids.iter().find(|id| *id != seed::VPC) {
            return Err(no_vpc(id));
        }
        let hit = filters::matches(&body.filters, field)?;
        Ok(Response::Vpcs(hit.then(|| self.vpc_tags.clone()).into_iter().collect()))
    }

    pub(super) fn describe_groups(&self, body: &DescribeGroups) -> ApiResult<Response> {
        filters::check(&body.describe.filters, |name| group_field(None, name))?;
        for id in &body.describe.ids {
            self.group(&GroupRef { id: Some(id.clone()), name: None })?;
        }
        for name in &body.names {
            self.group(&GroupRef { id: None, name: Some(name.clone()) })?;
        }
        let all = body.describe.ids.is_empty() && body.names.is_empty();
        let mut found = Vec::new();
        for group in self.groups.values() {
            let named = all || body.describe.ids.contains(&group.id) || body.names.contains(&group.name);
            if named && filters::matches(&body.describe.filters, |name| group_field(Some(group), name))? {
                found.push(group.clone());
            }
        }
        Ok(Response::Groups(filters::page(&body.describe, (5, 1000), found, |group| group.id.clone())?))
    }

    fn group(&self, reference: &GroupRef) -> ApiResult<&SecurityGroup> {
        match (&reference.id, &reference.name) {
            (Some(id), _) if !is_well_formed(id, "sg") => {
                Err(ApiError::client("InvalidGroupId.Malformed", format!("Invalid id: \"{id}\"")))
            }
            (Some(id), _) => self.groups.get(id).ok_or_else(|| no_group(id)),
            (None, Some(name)) => {
                self.groups.values().find(|g| g.name == *name).ok_or_else(|| no_group(name))
            }
            (None, None) => Err(ApiError::missing("GroupId")),
        }
    }

    pub(super) fn create_group(&mut self, body: &CreateGroup) -> ApiResult<Response> {
        if let Some(id) = body.vpc_id.as_ref().filter(|id| *id != seed::VPC) {
            return Err(no_vpc(id));
        }
        super::tags::check(&body.tags)?;
        if self.groups.values().any(|group| group.name == body.name) {
            let text = format!("The security group '{}' already exists for VPC '{}'", body.name, seed::VPC);
            return Err(ApiError::client("InvalidGroup.Duplicate", text));
        }
        let id = self.ids.resource("sg");
        let group = SecurityGroup {
            id: id.clone(),
            name: body.name.clone(),
            description: body.description.clone(),
            ports: Vec::new(),
            tags: body.tags.clone(),
        };
        self.groups.insert(id.clone(), group);
        Ok(Response::GroupId(id))
    }

    pub(super) fn delete_group(&mut self, body: &GroupRef) -> ApiResult<Response> {
        let id = self.group(body)?.id.clone();
        if id == seed::DEFAULT_GROUP {
            let text = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
            return Err(ApiError::client("CannotDelete", text));
        }
        let by_instance = self.instances.values().any(|i| i.state.is_alive() && i.groups.contains(&id));
        let by_balancer = self.balancers.values().any(|balancer| balancer.groups.contains(&id));
        if by_instance || by_balancer {
            return Err(ApiError::client(
                "DependencyViolation",
                format!("resource {id} has a dependent object"),
            ));
        }
        self.groups.remove(&id);
        Ok(Response::Done)
    }

    pub(super) fn authorize_ingress(&mut self, body: &GroupPorts) -> ApiResult<Response> {
        let id = self.group(&body.group)?.id.clone();
        let Some(group) = self.groups.get_mut(&id) else { return Err(no_group(&id)) };
        if let Some(known) = body.ports.iter().find(|port| group.ports.contains(port)) {
            let PortRange { from, to } = known;
            let text = format!(
                "the specified rule \"peer: 0.0.0.0/0, TCP, from port: {from}, to port: {to}, ALLOW\" already exists"
            );
            return Err(ApiError::client("InvalidPermission.Duplicate", text));
        }
        group.ports.extend(&body.ports);
        Ok(Response::Done)
    }

    pub(super) fn revoke_ingress(&mut self, body: &GroupPorts) -> ApiResult<Response> {
        let id = self.group(&body.group)?.id.clone();
        let Some(group) = self.groups.get_mut(&id) else { return Err(no_group(&id)) };
        if body.ports.iter().any(|port| !group.ports.contains(port)) {
            let text = "The specified rule does not exist in this security group.";
            return Err(ApiError::client("InvalidPermission.NotFound", text));
        }
        group.ports.retain(|port| !body.ports.contains(port));
        Ok(Response::Done)
    }

    pub(super) fn describe_zones(body: &Describe) -> ApiResult<Response> {
        let known = |wanted: &String| seed::ZONES.iter().any(|(name, id)| name == wanted || id == wanted);
        if let Some(wanted) = body.ids.iter().find(|wanted| !known(wanted)) {
            let text = format!("Invalid availability zone: [{wanted}]");
            return Err(ApiError::client("InvalidParameterValue", text));
        }
        let field = |(name, id): (&str, &str), filter: &str| match filter {
            "zone-name" => Field::one(name),
            "zone-id" => Field::one(id),
            "region-name" => Field::one(seed::REGION),
            "state" => Field::one("available"),
            "zone-type" => Field::one("availability-zone"),
            "opt-in-status" => Field::one("opt-in-not-required"),
            "group-name" => Field::one(seed::REGION),
            _ => Field::Unknown,
        };
        let mut found = Vec::new();
        for zone in seed::ZONES {
            let named = body.ids.is_empty() || body.ids.iter().any(|id| id == zone.0 || id == zone.1);
            if named && filters::matches(&body.filters, |name| field(zone, name))? {
                found.push((zone.0.to_owned(), zone.1.to_owned()));
            }
        }
        Ok(Response::Zones(found))
    }

    pub(super) fn describe_regions(body: &Describe) -> ApiResult<Response> {
        let known = [seed::REGION, seed::OTHER_REGION];
        if let Some(id) = body.ids.iter().find(|id| !known.contains(&id.as_str())) {
            return Err(ApiError::client("InvalidParameterValue", format!("Invalid region: [{id}]")));
        }
        let mut found = Vec::new();
        for region in known {
            let field = |name: &str| match name {
                "region-name" => Field::one(region),
                "endpoint" => Field::one(format!("ec2.{region}.amazonaws.com")),
                "opt-in-status" => Field::one("opt-in-not-required"),
                _ => Field::Unknown,
            };
            let named = body.ids.is_empty() || body.ids.iter().any(|id| id == region);
            if named && filters::matches(&body.filters, field)? {
                found.push(region.to_owned());
            }
        }
        Ok(Response::Regions(found))
    }
}

/// The error for a group that is not there.
pub(super) fn no_group(name: &str) -> ApiError {
    ApiError::client("InvalidGroup.NotFound", format!("The security group '{name}' does not exist"))
}

fn no_vpc(id: &str) -> ApiError {
    ApiError::client("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

fn subnet_field(subnet: Option<&Subnet>, name: &str) -> Field {
    let known = [
        "subnet-id",
        "availability-zone",
        "availabilityZone",
        "availability-zone-id",
        "vpc-id",
        "default-for-az",
        "defaultForAz",
        "state",
        "cidr-block",
        "cidr",
        "map-public-ip-on-launch",
        "owner-id",
    ];
    let Some(s) = subnet else {
        return if known.contains(&name) { Field::Values(Vec::new()) } else { tag_field(&Tags::new(), name) };
    };
    match name {
        "subnet-id" => Field::one(&s.id),
        "availability-zone" | "availabilityZone" => Field::one(&s.zone),
        "availability-zone-id" => {
            Field::maybe(seed::ZONES.iter().find(|(zone, _)| *zone == s.zone).map(|(_, id)| *id))
        }
        "vpc-id" => Field::one(seed::VPC),
        "default-for-az" | "defaultForAz" | "map-public-ip-on-launch" => Field::one("true"),
        "state" => Field::one("available"),
        "cidr-block" | "cidr" => Field::one(format!("{}/{}", s.network, s.prefix)),
        "owner-id" => Field::one(seed::ACCOUNT),
        _ => tag_field(&s.tags, name),
    }
}

fn group_field(group: Option<&SecurityGroup>, name: &str) -> Field {
    let known = ["group-id", "group-name", "description", "vpc-id", "owner-id"];
    let Some(g) = group else {
        return if known.contains(&name) { Field::Values(Vec::new()) } else { tag_field(&Tags::new(), name) };
    };
    match name {
        "group-id" => Field::one(&g.id),
        "group-name" => Field::one(&g.name),
        "description" => Field::one(&g.description),
        "vpc-id" => Field::one(seed::VPC),
        "owner-id" => Field::one(seed::ACCOUNT),
        _ => tag_field(&g.tags, name),
    }
}
