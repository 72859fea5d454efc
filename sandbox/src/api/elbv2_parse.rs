//! Parameters of API version 2015-12-01 (application and network load balancers) to typed calls.
use super::ec2_parse::unknown_action;
use super::form::Params;
use crate::world::{
    ApiError, ApiResult, BalancerKind, CheckSettings, CreateListener, CreateLoadBalancer, CreateTargetGroup,
    DescribeListeners, DescribeLoadBalancers, DescribeRules, DescribeTargetGroups, Elbv2Request, ForwardTo,
    GroupTargets, ModifyListener, ModifyTargetGroup, PageOf, SetAttributes, SetIds, TagArns, TargetProtocol,
    TargetRef, TargetType, UntagArns,
};

const BALANCER: &str = "LoadBalancerArn";
const LISTENER: &str = "ListenerArn";
const GROUP: &str = "TargetGroupArn";

/// The call that an action and its parameters mean.
pub(super) fn parse(action: &str, p: &Params<'_>) -> ApiResult<Elbv2Request> {
    use Elbv2Request as R;
    Ok(match action {
        "CreateLoadBalancer" => R::CreateLoadBalancer(create_load_balancer(p)?),
        "DeleteLoadBalancer" => R::DeleteLoadBalancer(p.need(BALANCER)?),
        "DescribeLoadBalancers" => R::DescribeLoadBalancers(DescribeLoadBalancers {
            arns: p.list("LoadBalancerArns"),
            names: p.list("Names"),
            page: page(p)?,
        }),
        "DescribeLoadBalancerAttributes" => R::DescribeLoadBalancerAttributes(p.need(BALANCER)?),
        "ModifyLoadBalancerAttributes" => R::ModifyLoadBalancerAttributes(attributes(p, BALANCER)?),
        "SetSubnets" => R::SetSubnets(SetIds { arn: p.need(BALANCER)?, ids: subnets(p)? }),
        "SetSecurityGroups" => {
            R::SetSecurityGroups(SetIds { arn: p.need(BALANCER)?, ids: p.list("SecurityGroups") })
        }
        "CreateListener" => R::CreateListener(create_listener(p)?),
        "ModifyListener" => R::ModifyListener(modify_listener(p)?),
        "DeleteListener" => R::DeleteListener(p.need(LISTENER)?),
        "DescribeListeners" => R::DescribeListeners(DescribeListeners {
            load_balancer: p.said(BALANCER),
            arns: p.list("ListenerArns"),
            page: page(p)?,
        }),
        "DescribeRules" => R::DescribeRules(DescribeRules {
            listener: p.said(LISTENER),
            arns: p.list("RuleArns"),
            page: page(p)?,
        }),
        "AddTags" => R::AddTags(TagArns { arns: p.list("ResourceArns"), tags: p.tags("Tags")? }),
        "RemoveTags" => R::RemoveTags(UntagArns { arns: p.list("ResourceArns"), keys: p.list("TagKeys") }),
        "DescribeTags" => R::DescribeTags(p.list("ResourceArns")),
        _ => return parse_groups(action, p),
    })
}

/// The calls about target groups.
fn parse_groups(action: &str, p: &Params<'_>) -> ApiResult<Elbv2Request> {
    use Elbv2Request as R;
    Ok(match action {
        "CreateTargetGroup" => R::CreateTargetGroup(create_target_group(p)?),
        "ModifyTargetGroup" => {
            R::ModifyTargetGroup(ModifyTargetGroup { arn: p.need(GROUP)?, check: check(p)? })
        }
        "DeleteTargetGroup" => R::DeleteTargetGroup(p.need(GROUP)?),
        "DescribeTargetGroups" => R::DescribeTargetGroups(DescribeTargetGroups {
            load_balancer: p.said(BALANCER),
            arns: p.list("TargetGroupArns"),
            names: p.list("Names"),
            page: page(p)?,
        }),
        "DescribeTargetGroupAttributes" => R::DescribeTargetGroupAttributes(p.need(GROUP)?),
        "ModifyTargetGroupAttributes" => R::ModifyTargetGroupAttributes(attributes(p, GROUP)?),
        "RegisterTargets" => R::RegisterTargets(targets(p)?),
        "DeregisterTargets" => R::DeregisterTargets(targets(p)?),
        "DescribeTargetHealth" => R::DescribeTargetHealth(targets(p)?),
        _ => return Err(unknown_action(action)),
    })
}

fn page(p: &Params<'_>) -> ApiResult<PageOf> {
    Ok(PageOf { size: p.number("PageSize")?, marker: p.said("Marker") })
}

fn attributes(p: &Params<'_>, arn: &str) -> ApiResult<SetAttributes> {
    let pair = |p: &Params<'_>| Ok((p.need("Key")?, p.text("Value").unwrap_or_default()));
    let attributes = p.structs("Attributes").iter().map(pair).collect::<ApiResult<_>>()?;
    Ok(SetAttributes { arn: p.need(arn)?, attributes })
}

fn subnets(p: &Params<'_>) -> ApiResult<Vec<String>> {
    let mut ids = p.list("Subnets");
    for mapping in p.structs("SubnetMappings") {
        ids.push(mapping.need("SubnetId")?);
    }
    only(p, "IpAddressType", "ipv4")?;
    Ok(ids)
}

/// Refuses what the sandbox has no other kind of.
fn only(p: &Params<'_>, name: &str, value: &str) -> ApiResult<()> {
    match p.said(name) {
        Some(said) if said != value => {
            let text = format!("The sandbox has the {name} '{value}' only, not '{said}'");
            Err(ApiError::client("InvalidConfigurationRequest", text))
        }
        _ => Ok(()),
    }
}

fn create_load_balancer(p: &Params<'_>) -> ApiResult<CreateLoadBalancer> {
    let kind = match p.said("Type").as_deref() {
        None | Some("application") => BalancerKind::Application,
        Some("network") => BalancerKind::Network,
        Some(other) => {
            let text = format!("Load balancer type '{other}' is not one of application and network");
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
    };
    Ok(CreateLoadBalancer {
        name: p.need("Name")?,
        kind,
        subnets: subnets(p)?,
        groups: p.list("SecurityGroups"),
        scheme: p.said("Scheme"),
        tags: p.tags("Tags")?,
    })
}

fn create_target_group(p: &Params<'_>) -> ApiResult<CreateTargetGroup> {
    only(p, "ProtocolVersion", "HTTP1")?;
    only(p, "IpAddressType", "ipv4")?;
    let target_type = match p.said("TargetType").as_deref() {
        None | Some("instance") => TargetType::Instance,
        Some("ip") => TargetType::Ip,
        Some(other) => {
            let text = format!("The sandbox has the target types instance and ip only, not '{other}'");
            return Err(ApiError::client("InvalidConfigurationRequest", text));
        }
    };
    Ok(CreateTargetGroup {
        name: p.need("Name")?,
        protocol: p.said("Protocol").map(|text| protocol(&text)).transpose()?,
        port: port(p, "Port")?,
        vpc_id: p.said("VpcId"),
        target_type,
        check: check(p)?,
        tags: p.tags("Tags")?,
    })
}

fn check(p: &Params<'_>) -> ApiResult<CheckSettings> {
    Ok(CheckSettings {
        enabled: p.flag("HealthCheckEnabled")?,
        protocol: p.said("HealthCheckProtocol").map(|text| protocol(&text)).transpose()?,
        port: p.said("HealthCheckPort"),
        path: p.said("HealthCheckPath"),
        matcher: p.inner("Matcher").said("HttpCode"),
        interval: p.number("HealthCheckIntervalSeconds")?,
        timeout: p.number("HealthCheckTimeoutSeconds")?,
        healthy_threshold: p.number("HealthyThresholdCount")?,
        unhealthy_threshold: p.number("UnhealthyThresholdCount")?,
    })
}

fn create_listener(p: &Params<'_>) -> ApiResult<CreateListener> {
    let missing = |name: &str| ApiError::validation(format!("A listener {name} must be specified"));
    Ok(CreateListener {
        load_balancer: p.need(BALANCER)?,
        protocol: protocol(&p.said("Protocol").ok_or_else(|| missing("protocol"))?)?,
        port: port(p, "Port")?.ok_or_else(|| missing("port"))?,
        forward: forward(p)?,
        tags: p.tags("Tags")?,
    })
}

fn modify_listener(p: &Params<'_>) -> ApiResult<ModifyListener> {
    Ok(ModifyListener {
        arn: p.need(LISTENER)?,
        protocol: p.said("Protocol").map(|text| protocol(&text)).transpose()?,
        port: port(p, "Port")?,
        forward: forward(p)?,
    })
}

/// The one default action: `forward`, to one group or to several by weight.
fn forward(p: &Params<'_>) -> ApiResult<Vec<ForwardTo>> {
    let actions = p.structs("DefaultActions");
    let Some(action) = actions.first() else { return Ok(Vec::new()) };
    let kind = action.need("Type")?;
    if actions.len() > 1 || kind != "forward" {
        let text = format!("The sandbox's listeners have one action of type 'forward', not '{kind}'");
        return Err(ApiError::client("InvalidLoadBalancerAction", text));
    }
    action.number::<u32>("Order")?;
    let to =
        |p: &Params<'_>| Ok(ForwardTo { group: p.need(GROUP)?, weight: p.number("Weight")?.unwrap_or(1) });
    let config = action.inner("ForwardConfig");
    let several = config.structs("TargetGroups").iter().map(to).collect::<ApiResult<Vec<_>>>()?;
    let sticky = config.inner("TargetGroupStickinessConfig").flag("Enabled")?;
    if sticky == Some(true) {
        let text = "The sandbox has no stickiness of target groups";
        return Err(ApiError::client("InvalidLoadBalancerAction", text));
    }
    match action.said(GROUP) {
        Some(group) if several.is_empty() => Ok(vec![ForwardTo { group, weight: 1 }]),
        Some(group) if several.len() > 1 || several[0].group != group => {
            let text = "The target group of an action must be the one of its forward configuration";
            Err(ApiError::client("InvalidLoadBalancerAction", text))
        }
        _ => Ok(several),
    }
}

fn targets(p: &Params<'_>) -> ApiResult<GroupTargets> {
    let target = |p: &Params<'_>| {
        Ok(TargetRef { id: p.need("Id")?, port: port(p, "Port")?, zone: p.said("AvailabilityZone") })
    };
    let targets = p.structs("Targets").iter().map(target).collect::<ApiResult<_>>()?;
    Ok(GroupTargets { group: p.need(GROUP)?, targets })
}

fn port(p: &Params<'_>, name: &str) -> ApiResult<Option<u16>> {
    match p.number(name)? {
        Some(0) => Err(ApiError::validation(format!("{name} '0' must be between 1 and 65535"))),
        port => Ok(port),
    }
}

fn protocol(text: &str) -> ApiResult<TargetProtocol> {
    match text {
        "HTTP" => Ok(TargetProtocol::Http),
        "HTTPS" => Ok(TargetProtocol::Https),
        "TCP" => Ok(TargetProtocol::Tcp),
        other => {
            let text = format!("The sandbox has the protocols HTTP, HTTPS and TCP only, not '{other}'");
            Err(ApiError::client("UnsupportedProtocol", text))
        }
    }
}
