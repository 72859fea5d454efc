//! Classic ELB parameters to typed calls.
use super::ec2_parse::unknown_action;
use super::form::Params;
use crate::world::{
    ApiError, ApiResult, BalancerGroups, BalancerInstances, BalancerListeners, BalancerPorts,
    BalancerSubnets, BalancerTags, BalancerUntag, BalancerZones, ConfigureHealthCheck, CreateBalancer,
    DescribeBalancers, ElbRequest, HealthCheck, Listener, ModifyBalancer, ProbeTarget, Protocol,
};

const NAME: &str = "LoadBalancerName";

/// The call that an action and its parameters mean.
pub(super) fn parse(action: &str, p: &Params<'_>) -> ApiResult<ElbRequest> {
    use ElbRequest as R;
    Ok(match action {
        "CreateLoadBalancer" => R::CreateLoadBalancer(CreateBalancer {
            name: p.need(NAME)?,
            listeners: listeners(p)?,
            zones: p.list("AvailabilityZones"),
            subnets: p.list("Subnets"),
            groups: p.list("SecurityGroups"),
            scheme: p.said("Scheme"),
            tags: p.tags("Tags")?,
        }),
        "DeleteLoadBalancer" => R::DeleteLoadBalancer(p.need(NAME)?),
        "DescribeLoadBalancers" => R::DescribeLoadBalancers(DescribeBalancers {
            names: p.list("LoadBalancerNames"),
            page_size: p.number("PageSize")?,
            marker: p.said("Marker"),
        }),
        "CreateLoadBalancerListeners" => R::CreateLoadBalancerListeners(BalancerListeners {
            name: p.need(NAME)?,
            listeners: listeners(p)?,
        }),
        "DeleteLoadBalancerListeners" => {
            let ports =
                p.list("LoadBalancerPorts").iter().map(|text| port(text)).collect::<ApiResult<_>>()?;
            R::DeleteLoadBalancerListeners(BalancerPorts { name: p.need(NAME)?, ports })
        }
        "DescribeLoadBalancerAttributes" => R::DescribeLoadBalancerAttributes(p.need(NAME)?),
        "ModifyLoadBalancerAttributes" => R::ModifyLoadBalancerAttributes(modify(p)?),
        "ConfigureHealthCheck" => {
            R::ConfigureHealthCheck(ConfigureHealthCheck { name: p.need(NAME)?, check: health_check(p)? })
        }
        "RegisterInstancesWithLoadBalancer" => R::RegisterInstancesWithLoadBalancer(instances(p)?),
        "DeregisterInstancesFromLoadBalancer" => R::DeregisterInstancesFromLoadBalancer(instances(p)?),
        "DescribeInstanceHealth" => R::DescribeInstanceHealth(instances(p)?),
        "EnableAvailabilityZonesForLoadBalancer" => R::EnableAvailabilityZonesForLoadBalancer(zones(p)?),
        "DisableAvailabilityZonesForLoadBalancer" => R::DisableAvailabilityZonesForLoadBalancer(zones(p)?),
        "AttachLoadBalancerToSubnets" => R::AttachLoadBalancerToSubnets(subnets(p)?),
        "DetachLoadBalancerFromSubnets" => R::DetachLoadBalancerFromSubnets(subnets(p)?),
        "ApplySecurityGroupsToLoadBalancer" => R::ApplySecurityGroupsToLoadBalancer(BalancerGroups {
            name: p.need(NAME)?,
            groups: p.list("SecurityGroups"),
        }),
        "AddTags" => R::AddTags(BalancerTags { names: p.list("LoadBalancerNames"), tags: p.tags("Tags")? }),
        "RemoveTags" => {
            let keys = p.structs("Tags").iter().map(|tag| tag.need("Key")).collect::<ApiResult<_>>()?;
            R::RemoveTags(BalancerUntag { names: p.list("LoadBalancerNames"), keys })
        }
        "DescribeTags" => R::DescribeTags(p.list("LoadBalancerNames")),
        _ => return Err(unknown_action(action)),
    })
}

fn instances(p: &Params<'_>) -> ApiResult<BalancerInstances> {
    let ids = p
        .structs("Instances")
        .iter()
        .map(|instance| instance.need("InstanceId"))
        .collect::<ApiResult<_>>()?;
    Ok(BalancerInstances { name: p.need(NAME)?, ids })
}

fn zones(p: &Params<'_>) -> ApiResult<BalancerZones> {
    Ok(BalancerZones { name: p.need(NAME)?, zones: p.list("AvailabilityZones") })
}

fn subnets(p: &Params<'_>) -> ApiResult<BalancerSubnets> {
    Ok(BalancerSubnets { name: p.need(NAME)?, subnets: p.list("Subnets") })
}

fn listeners(p: &Params<'_>) -> ApiResult<Vec<Listener>> {
    let listener = |p: Params<'_>| {
        let front = protocol(&p.need("Protocol")?)?;
        let back = p.said("InstanceProtocol").map_or(Ok(front), |text| protocol(&text))?;
        if front != back {
            return Err(ApiError::validation("Protocol and InstanceProtocol must be at the same layer."));
        }
        Ok(Listener {
            protocol: front,
            port: nonzero(p.need_number("LoadBalancerPort")?)?,
            instance_protocol: back,
            instance_port: nonzero(p.need_number("InstancePort")?)?,
        })
    };
    p.structs("Listeners").into_iter().map(listener).collect()
}

fn protocol(text: &str) -> ApiResult<Protocol> {
    match text.to_ascii_uppercase().as_str() {
        "HTTP" => Ok(Protocol::Http),
        "TCP" => Ok(Protocol::Tcp),
        "HTTPS" | "SSL" => {
            let text = format!("The sandbox has no certificates, so no {text} listener; use HTTP or TCP.");
            Err(ApiError::client("CertificateNotFound", text))
        }
        other => {
            Err(ApiError::client("UnsupportedProtocol", format!("Protocol '{other}' is not supported.")))
        }
    }
}

fn nonzero(port: u16) -> ApiResult<u16> {
    if port == 0 { Err(ApiError::validation("A port must be between 1 and 65535.")) } else { Ok(port) }
}

fn port(text: &str) -> ApiResult<u16> {
    let bad = || ApiError::validation(format!("'{text}' is not a port."));
    text.parse().ok().filter(|port| *port > 0).ok_or_else(bad)
}

fn modify(p: &Params<'_>) -> ApiResult<ModifyBalancer> {
    let attributes = p.inner("LoadBalancerAttributes");
    let draining = attributes.inner("ConnectionDraining");
    let enabled = draining.flag("Enabled")?;
    let timeout = draining.number("Timeout")?;
    attributes.inner("AccessLog").flag("Enabled")?;
    Ok(ModifyBalancer {
        name: p.need(NAME)?,
        cross_zone: attributes.inner("CrossZoneLoadBalancing").flag("Enabled")?,
        draining: enabled.map(|enabled| (enabled, timeout)),
        idle_timeout: attributes.inner("ConnectionSettings").number("IdleTimeout")?,
    })
}

fn health_check(p: &Params<'_>) -> ApiResult<HealthCheck> {
    let check = p.inner("HealthCheck");
    Ok(HealthCheck {
        target: target(&check.need("Target")?)?,
        interval: check.need_number("Interval")?,
        timeout: check.need_number("Timeout")?,
        healthy_threshold: check.need_number("HealthyThreshold")?,
        unhealthy_threshold: check.need_number("UnhealthyThreshold")?,
    })
}

/// `HTTP:port/path` or `TCP:port`.
fn target(text: &str) -> ApiResult<ProbeTarget> {
    let bad = || {
        ApiError::validation(format!(
            "HealthCheck Target '{text}' must have the form HTTP:port/path or TCP:port."
        ))
    };
    let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
    match kind.to_ascii_uppercase().as_str() {
        "TCP" => Ok(ProbeTarget::Tcp { port: port(rest)? }),
        "HTTP" => {
            let slash = rest.find('/').ok_or_else(bad)?;
            let (number, path) = rest.split_at(slash);
            if path.len() > 1024 || path.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
                return Err(bad());
            }
            Ok(ProbeTarget::Http { port: port(number)?, path: path.to_owned() })
        }
        "HTTPS" | "SSL" => {
            Err(ApiError::validation(format!("The sandbox probes by HTTP or TCP; the Target is '{text}'.")))
        }
        _ => Err(bad()),
    }
}
