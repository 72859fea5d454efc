//! Answers of API version 2015-12-01 (application and network load balancers) as XML.
use std::collections::BTreeMap;

use super::ec2_render::time;
use super::elb_render::tag_list;
use super::xml::{El, list, maybe, node, text, texts};
use crate::world::{
    BalancerKind, ForwardTo, GroupRecord, ListenerRecord, LoadBalancerRecord, Page, Response, Tags,
    TargetGroup, TargetHealth, TargetListener, TargetProtocol, VPC,
};

/// Children of the `…Result` element.
pub(super) fn result(response: &Response) -> Vec<El> {
    match response {
        Response::LoadBalancers(page) => paged("LoadBalancers", page, load_balancer),
        Response::TargetGroups(page) => paged("TargetGroups", page, target_group),
        Response::Listeners(page) => paged("Listeners", page, listener),
        Response::Rules(page) => paged("Rules", page, rule),
        Response::Attributes(all) => {
            let pair = |(key, value): (&String, &String)| vec![text("Key", key), text("Value", value)];
            vec![list("Attributes", "member", all.iter().map(pair))]
        }
        Response::SubnetZones(zones) => vec![zone_list(zones), text("IpAddressType", "ipv4")],
        Response::SecurityGroupIds(ids) => vec![texts("SecurityGroupIds", "member", ids)],
        Response::TargetHealth(all) => {
            vec![list("TargetHealthDescriptions", "member", all.iter().map(health))]
        }
        Response::ArnTags(all) => {
            let entry = |(arn, tags): &(String, Tags)| vec![text("ResourceArn", arn), tag_list(tags)];
            vec![list("TagDescriptions", "member", all.iter().map(entry))]
        }
        _ => Vec::new(),
    }
}

fn paged<T>(name: &'static str, page: &Page<T>, entry: impl Fn(&T) -> Vec<El>) -> Vec<El> {
    let mut children = vec![list(name, "member", page.items.iter().map(entry))];
    children.extend(maybe("NextMarker", page.next_token.as_ref()));
    children
}

fn load_balancer(record: &LoadBalancerRecord) -> Vec<El> {
    let b = &record.balancer;
    vec![
        text("LoadBalancerArn", &b.arn),
        text("DNSName", b.address),
        text("CanonicalHostedZoneId", "Z35SXDOTRQ7X7K"),
        text("CreatedTime", time(b.created)),
        text("LoadBalancerName", &b.name),
        text("Scheme", &b.scheme),
        text("VpcId", VPC),
        node("State", [text("Code", if record.active { "active" } else { "provisioning" })]),
        text("Type", b.kind.name()),
        zone_list(&b.zones),
        texts("SecurityGroups", "member", &b.groups),
        text("IpAddressType", "ipv4"),
    ]
}

fn zone_list(zones: &BTreeMap<String, String>) -> El {
    let zone = |(zone, subnet): (&String, &String)| {
        vec![text("ZoneName", zone), text("SubnetId", subnet), node("LoadBalancerAddresses", [])]
    };
    list("AvailabilityZones", "member", zones.iter().map(zone))
}

fn target_group(record: &GroupRecord) -> Vec<El> {
    let group: &TargetGroup = &record.group;
    let check = &group.check;
    let mut children = vec![
        text("TargetGroupArn", &group.arn),
        text("TargetGroupName", &group.name),
        text("Protocol", group.protocol.name()),
        text("Port", group.port),
        text("VpcId", VPC),
        text("TargetType", group.target_type.name()),
        text("HealthCheckEnabled", true),
        text("HealthCheckProtocol", check.protocol.name()),
        text("HealthCheckPort", check.port.map_or("traffic-port".to_owned(), |port| port.to_string())),
        text("HealthCheckIntervalSeconds", check.interval),
        text("HealthCheckTimeoutSeconds", check.timeout),
        text("HealthyThresholdCount", check.healthy_threshold),
        text("UnhealthyThresholdCount", check.unhealthy_threshold),
        texts("LoadBalancerArns", "member", &record.load_balancers),
        text("IpAddressType", "ipv4"),
    ];
    if check.protocol != TargetProtocol::Tcp {
        children.push(text("HealthCheckPath", &check.path));
        children.push(node("Matcher", [text("HttpCode", &check.matcher)]));
    }
    if group.protocol.kind() == BalancerKind::Application {
        children.push(text("ProtocolVersion", "HTTP1"));
    }
    children
}

fn listener(record: &ListenerRecord) -> Vec<El> {
    let listener = &record.listener;
    vec![
        text("ListenerArn", &listener.arn),
        text("LoadBalancerArn", &record.load_balancer),
        text("Port", listener.port),
        text("Protocol", listener.protocol.name()),
        list("DefaultActions", "member", [action(listener)]),
    ]
}

fn rule(record: &ListenerRecord) -> Vec<El> {
    vec![
        text("RuleArn", &record.listener.rule_arn),
        text("Priority", "default"),
        node("Conditions", []),
        list("Actions", "member", [action(&record.listener)]),
        text("IsDefault", true),
    ]
}

/// The group is named beside the configuration where there is only one.
fn action(listener: &TargetListener) -> Vec<El> {
    let to = |to: &ForwardTo| vec![text("TargetGroupArn", &to.group), text("Weight", to.weight)];
    let config = [
        list("TargetGroups", "member", listener.forward.iter().map(to)),
        node("TargetGroupStickinessConfig", [text("Enabled", false)]),
    ];
    let mut children = vec![text("Type", "forward")];
    if let [one] = listener.forward.as_slice() {
        children.push(text("TargetGroupArn", &one.group));
    }
    children.push(node("ForwardConfig", config));
    children
}

fn health(health: &TargetHealth) -> Vec<El> {
    let (state, reason, description) = &health.status;
    let mut target = vec![text("Id", &health.key.id), text("Port", health.key.port)];
    target.extend(maybe("AvailabilityZone", health.zone.as_ref()));
    let mut status = vec![text("State", state)];
    status.extend(maybe("Reason", reason.as_ref()));
    status.extend(maybe("Description", description.as_ref()));
    vec![node("Target", target), text("HealthCheckPort", health.check_port), node("TargetHealth", status)]
}
