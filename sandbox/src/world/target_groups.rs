//! Calls about target groups but not their targets.
use std::collections::BTreeMap;

use super::error::{ApiError, ApiResult};
use super::model::Tags;
use super::request::Describe;
use super::response::{GroupRecord, Page, Response};
use super::target_model::{Attributes, BalancerKind, LoadBalancer, TargetCheck, TargetGroup, TargetProtocol};
use super::target_request::{
    CheckSettings, CreateTargetGroup, DescribeTargetGroups, ModifyTargetGroup, PageOf, SetAttributes,
};
use super::{World, attributes, filters, seed, tags};

/// How ARNs of this service begin.
pub(super) const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000";

impl World {
    /// The target group, or the error that ELB gives.
    pub(super) fn target_group(&self, arn: &str) -> ApiResult<&TargetGroup> {
        self.target_groups.get(arn).ok_or_else(no_group)
    }

    pub(super) fn target_group_mut(&mut self, arn: &str) -> ApiResult<&mut TargetGroup> {
        self.target_groups.get_mut(arn).ok_or_else(no_group)
    }

    pub(super) fn create_target_group(&mut self, body: &CreateTargetGroup) -> ApiResult<Response> {
        check_name("Target group", &body.name)?;
        tags::check(&body.tags).map_err(tag_error)?;
        let protocol = body.protocol.ok_or_else(|| needed("protocol"))?;
        let port = body.port.ok_or_else(|| needed("port"))?;
        match body.vpc_id.as_deref() {
            None => return Err(needed("VPC ID")),
            Some(seed::VPC) => {}
            Some(other) => {
                return Err(ApiError::validation(format!("The VPC ID '{other}' is not found")));
            }
        }
        let check = merged(protocol, default_check(protocol), &body.check)?;
        if let Some(existing) = self.target_groups.values().find(|group| group.name == body.name) {
            let same = (existing.protocol, existing.port, existing.target_type, &existing.check)
                == (protocol, port, body.target_type, &check);
            if same {
                return Ok(Response::TargetGroups(Page::whole(vec![self.group_record(existing)])));
            }
            let text = format!(
                "A target group with the same name '{}' exists, but with different settings",
                body.name
            );
            return Err(ApiError::client("DuplicateTargetGroupName", text));
        }
        let group = TargetGroup {
            arn: format!("{ARN}:targetgroup/{}/{}", body.name, self.ids.hex()),
            name: body.name.clone(),
            protocol,
            port,
            target_type: body.target_type,
            check,
            attributes: attributes::of_group(protocol, body.target_type),
            tags: body.tags.clone(),
            targets: BTreeMap::new(),
        };
        let record = self.group_record(&group);
        self.target_groups.insert(group.arn.clone(), group);
        Ok(Response::TargetGroups(Page::whole(vec![record])))
    }

    pub(super) fn modify_target_group(&mut self, body: &ModifyTargetGroup) -> ApiResult<Response> {
        let group = self.target_group(&body.arn)?;
        let check = merged(group.protocol, group.check.clone(), &body.check)?;
        self.target_group_mut(&body.arn)?.check = check;
        let record = self.group_record(self.target_group(&body.arn)?);
        Ok(Response::TargetGroups(Page::whole(vec![record])))
    }

    pub(super) fn delete_target_group(&mut self, arn: &str) -> ApiResult<Response> {
        if self.balancer_of(arn).is_some() {
            let text = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(ApiError::client("ResourceInUse", text));
        }
        self.target_groups.remove(arn);
        Ok(Response::Done)
    }

    pub(super) fn describe_target_groups(&self, body: &DescribeTargetGroups) -> ApiResult<Response> {
        let kinds = [body.load_balancer.is_some(), !body.arns.is_empty(), !body.names.is_empty()];
        if kinds.into_iter().filter(|given| *given).count() > 1 {
            let text =
                "Target group ARNs, target group names and a load balancer ARN cannot be specified together";
            return Err(ApiError::validation(text));
        }
        for arn in &body.arns {
            self.target_group(arn)?;
        }
        let known = |name: &String| self.target_groups.values().any(|group| group.name == *name);
        if !body.names.iter().all(known) {
            return Err(no_group());
        }
        let balancer = body.load_balancer.as_deref().map(|arn| self.load_balancer(arn)).transpose()?;
        let asked = |group: &&TargetGroup| {
            (body.arns.is_empty() || body.arns.contains(&group.arn))
                && (body.names.is_empty() || body.names.contains(&group.name))
                && balancer.is_none_or(|balancer| uses(balancer, &group.arn))
        };
        let found = self.target_groups.values().filter(asked).map(|group| self.group_record(group)).collect();
        Ok(Response::TargetGroups(page(&body.page, found, |record| record.group.arn.clone())?))
    }

    pub(super) fn target_group_attributes(&self, arn: &str) -> ApiResult<Response> {
        Ok(Response::Attributes(self.target_group(arn)?.attributes.clone()))
    }

    pub(super) fn modify_target_group_attributes(&mut self, body: &SetAttributes) -> ApiResult<Response> {
        let group = self.target_group_mut(&body.arn)?;
        group.attributes = attributes::changed(&group.attributes, &body.attributes)?;
        let changed = body.attributes.iter().map(|(key, _)| key);
        let shown: Attributes =
            changed.filter_map(|key| group.attributes.get_key_value(key)).map(own).collect();
        Ok(Response::Attributes(shown))
    }

    fn group_record(&self, group: &TargetGroup) -> GroupRecord {
        let balancers = self.balancer_of(&group.arn).map(|balancer| balancer.arn.clone());
        // Targets are not part of the answer.
        let group = TargetGroup { targets: BTreeMap::new(), ..group.clone() };
        GroupRecord { group, load_balancers: balancers.into_iter().collect() }
    }

    /// The balancer that sends to a target group; there is one at most.
    pub(super) fn balancer_of(&self, group: &str) -> Option<&LoadBalancer> {
        self.load_balancers.values().find(|balancer| uses(balancer, group))
    }
}

fn own((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Whether a listener of the balancer forwards to the group.
pub(super) fn uses(balancer: &LoadBalancer, group: &str) -> bool {
    balancer.listeners.values().any(|listener| listener.forward.iter().any(|to| to.group == group))
}

fn no_group() -> ApiError {
    ApiError::client("TargetGroupNotFound", "One or more target groups not found")
}

fn needed(what: &str) -> ApiError {
    ApiError::validation(format!("A {what} must be specified"))
}

/// What ELB calls the refusals of tags.
pub(super) fn tag_error(error: ApiError) -> ApiError {
    if error.code == "TagLimitExceeded" {
        return ApiError::client("TooManyTags", error.message);
    }
    ApiError::validation(error.message)
}

/// The rule of names that balancers and target groups share.
pub(super) fn check_name(what: &str, name: &str) -> ApiResult<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && (1..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    let text = format!("{what} name '{name}' must have 1 to 32 letters, digits and inner hyphens");
    Err(ApiError::validation(text))
}

/// The page that is asked for.
pub(super) fn page<T>(asked: &PageOf, items: Vec<T>, key: impl Fn(&T) -> String) -> ApiResult<Page<T>> {
    let describe =
        Describe { max_results: asked.size, next_token: asked.marker.clone(), ..Describe::default() };
    filters::page(&describe, (1, 400), items, key).map_err(|error| ApiError::validation(error.message))
}

/// Tags of one resource: what the calls about tags take and give.
pub(super) fn merged_tags(present: &Tags, added: &Tags) -> ApiResult<Tags> {
    let all: Tags = present.clone().into_iter().chain(added.clone()).collect();
    tags::check(&all).map_err(tag_error)?;
    Ok(all)
}

fn default_check(protocol: TargetProtocol) -> TargetCheck {
    let application = protocol.kind() == BalancerKind::Application;
    TargetCheck {
        protocol: if application { TargetProtocol::Http } else { TargetProtocol::Tcp },
        port: None,
        path: "/".to_owned(),
        matcher: "200".to_owned(),
        interval: 30,
        timeout: if application { 6 } else { 10 },
        healthy_threshold: 5,
        unhealthy_threshold: 2,
    }
}

/// Settings over what is there. AWS's ranges, except that intervals and timeouts are taken from 1 second on.
fn merged(group: TargetProtocol, mut check: TargetCheck, settings: &CheckSettings) -> ApiResult<TargetCheck> {
    if settings.enabled == Some(false) {
        let text = "Health check enabled must be true for target groups with target type 'instance' or 'ip'";
        return Err(ApiError::client("InvalidConfigurationRequest", text));
    }
    check.protocol = settings.protocol.unwrap_or(check.protocol);
    if group.kind() == BalancerKind::Application && check.protocol == TargetProtocol::Tcp {
        let text = format!("Health check protocol 'TCP' is not supported for protocol '{}'", group.name());
        return Err(ApiError::client("InvalidConfigurationRequest", text));
    }
    if let Some(port) = &settings.port {
        check.port = check_port(port)?;
    }
    if let Some(path) = &settings.path {
        if !path.starts_with('/') || path.len() > 1024 || path.bytes().any(|b| b.is_ascii_whitespace()) {
            return Err(ApiError::validation(format!("Health check path '{path}' is not valid")));
        }
        check.path.clone_from(path);
    }
    if let Some(matcher) = &settings.matcher {
        let most = if group.kind() == BalancerKind::Application { 499 } else { 599 };
        codes(matcher, most).ok_or_else(|| {
            ApiError::validation(format!(
                "Health check matcher HTTP code '{matcher}' must be within '200-{most}' inclusive"
            ))
        })?;
        check.matcher.clone_from(matcher);
    }
    check.interval = in_range("interval", settings.interval, check.interval, 1, 300)?;
    check.timeout = in_range("timeout", settings.timeout, check.timeout, 1, 120)?;
    let (healthy, unhealthy) = (settings.healthy_threshold, settings.unhealthy_threshold);
    check.healthy_threshold = in_range("healthy threshold count", healthy, check.healthy_threshold, 2, 10)?;
    check.unhealthy_threshold =
        in_range("unhealthy threshold count", unhealthy, check.unhealthy_threshold, 2, 10)?;
    if check.timeout >= check.interval && check.interval > 1 {
        let text = format!("Health check timeout '{}' must be smaller than the interval", check.timeout);
        return Err(ApiError::validation(text));
    }
    Ok(check)
}

fn check_port(text: &str) -> ApiResult<Option<u16>> {
    if text == "traffic-port" {
        return Ok(None);
    }
    let bad =
        || ApiError::validation(format!("Health check port '{text}' must be 'traffic-port' or 1-65535"));
    text.parse().ok().filter(|port| *port > 0).map(Some).ok_or_else(bad)
}

fn in_range(name: &str, said: Option<u32>, before: u32, least: u32, most: u32) -> ApiResult<u32> {
    let value = said.unwrap_or(before);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let text = format!("Health check {name} '{value}' must be between '{least}' and '{most}' inclusive");
    Err(ApiError::validation(text))
}

/// `200`, `200,202` and `200-299` as ranges.
pub(super) fn codes(matcher: &str, most: u16) -> Option<Vec<(u16, u16)>> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (200 <= from && from <= to && to <= most).then_some((from, to))
    };
    matcher.split(',').map(range).collect()
}
