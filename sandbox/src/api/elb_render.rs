//! Classic ELB and STS answers as XML, in the shapes of API versions 2012-06-01 and 2011-06-15.
use super::ec2_render::time;
use super::xml::{El, list, maybe, node, text, texts};
use crate::world::{
    ACCOUNT, Balancer, HealthCheck, InstanceHealth, Listener, ProbeTarget, Registration, Response, Tags, VPC,
};

/// Children of the `…Result` element.
pub(super) fn result(response: &Response) -> Vec<El> {
    match response {
        Response::DnsName(name) => vec![text("DNSName", name)],
        Response::Balancers(page) => {
            let mut children =
                vec![list("LoadBalancerDescriptions", "member", page.items.iter().map(balancer))];
            children.extend(maybe("NextMarker", page.next_token.as_ref()));
            children
        }
        Response::BalancerAttributes(balancer) => {
            vec![text("LoadBalancerName", &balancer.name), attributes(balancer)]
        }
        Response::HealthCheck(check) => vec![health_check(check)],
        Response::Registered(ids) => vec![instances(ids)],
        Response::Health(states) => vec![list("InstanceStates", "member", states.iter().map(health))],
        Response::BalancerZones(zones) => vec![texts("AvailabilityZones", "member", zones)],
        Response::BalancerSubnets(subnets) => vec![texts("Subnets", "member", subnets)],
        Response::BalancerGroups(groups) => vec![texts("SecurityGroups", "member", groups)],
        Response::BalancerTags(all) => {
            let entry = |(name, tags): &(String, Tags)| vec![text("LoadBalancerName", name), tag_list(tags)];
            vec![list("TagDescriptions", "member", all.iter().map(entry))]
        }
        Response::CallerIdentity => vec![
            text("Arn", format!("arn:aws:iam::{ACCOUNT}:root")),
            text("UserId", ACCOUNT),
            text("Account", ACCOUNT),
        ],
        _ => Vec::new(),
    }
}

fn instances(ids: &[String]) -> El {
    list("Instances", "member", ids.iter().map(|id| vec![text("InstanceId", id)]))
}

/// Tags as a list of keys and values.
pub(super) fn tag_list(tags: &Tags) -> El {
    list("Tags", "member", tags.iter().map(|(key, value)| vec![text("Key", key), text("Value", value)]))
}

fn balancer(b: &Balancer) -> Vec<El> {
    let staying = |(_, member): &(&String, &Registration)| !matches!(member, Registration::Draining { .. });
    let ids: Vec<String> = b.members.iter().filter(staying).map(|(id, _)| id.clone()).collect();
    let policies = ["AppCookieStickinessPolicies", "LBCookieStickinessPolicies", "OtherPolicies"];
    vec![
        text("LoadBalancerName", &b.name),
        text("DNSName", b.address),
        text("CanonicalHostedZoneName", b.address),
        text("CanonicalHostedZoneNameID", "Z35SXDOTRQ7X7K"),
        list("ListenerDescriptions", "member", b.listeners.values().map(listener)),
        node("Policies", policies.map(|name| node(name, []))),
        node("BackendServerDescriptions", []),
        texts("AvailabilityZones", "member", &b.zones),
        texts("Subnets", "member", &b.subnets),
        text("VPCId", VPC),
        instances(&ids),
        health_check(&b.health_check),
        node("SourceSecurityGroup", [text("OwnerAlias", ACCOUNT), text("GroupName", "default")]),
        texts("SecurityGroups", "member", &b.groups),
        text("CreatedTime", time(b.created)),
        text("Scheme", &b.scheme),
    ]
}

fn listener(listener: &Listener) -> Vec<El> {
    let fields = [
        text("Protocol", listener.protocol.as_str()),
        text("LoadBalancerPort", listener.port),
        text("InstanceProtocol", listener.instance_protocol.as_str()),
        text("InstancePort", listener.instance_port),
    ];
    vec![node("Listener", fields), node("PolicyNames", [])]
}

fn attributes(b: &Balancer) -> El {
    let draining = [text("Enabled", b.draining), text("Timeout", b.drain_timeout)];
    node(
        "LoadBalancerAttributes",
        [
            node("CrossZoneLoadBalancing", [text("Enabled", b.cross_zone)]),
            node("AccessLog", [text("Enabled", false)]),
            node("ConnectionDraining", draining),
            node("ConnectionSettings", [text("IdleTimeout", b.idle_timeout)]),
        ],
    )
}

fn health_check(check: &HealthCheck) -> El {
    let target = match &check.target {
        ProbeTarget::Http { port, path } => format!("HTTP:{port}{path}"),
        ProbeTarget::Tcp { port } => format!("TCP:{port}"),
    };
    node(
        "HealthCheck",
        [
            text("Target", target),
            text("Interval", check.interval),
            text("Timeout", check.timeout),
            text("UnhealthyThreshold", check.unhealthy_threshold),
            text("HealthyThreshold", check.healthy_threshold),
        ],
    )
}

fn health(health: &InstanceHealth) -> Vec<El> {
    vec![
        text("InstanceId", &health.instance_id),
        text("State", health.state),
        text("ReasonCode", health.reason_code),
        text("Description", health.description),
    ]
}
