//! The XML of an instance and of launch parameters, the two largest records of EC2.
use super::ec2_render::{tag_set, time};
use super::xml::{El, list, maybe, node, text, texts};
use crate::world::{
    ACCOUNT, Instance, InstanceState, LaunchSpec, MetadataOptions, Reservation, Tags, VPC, profile_arn,
};

/// Children of a reservation.
pub(super) fn reservation(reservation: &Reservation) -> Vec<El> {
    let instance = |i: &Instance| instance(i, &reservation.group_names);
    vec![
        text("reservationId", &reservation.id),
        text("ownerId", ACCOUNT),
        node("groupSet", []),
        list("instancesSet", "item", reservation.instances.iter().map(instance)),
    ]
}

/// `code` and `name`.
pub(super) fn instance_state(state: InstanceState) -> Vec<El> {
    vec![text("code", state.code()), text("name", state.name())]
}

/// Children of `metadataOptions`.
pub(super) fn metadata(options: &MetadataOptions) -> Vec<El> {
    let switch = |on: bool| if on { "enabled" } else { "disabled" };
    vec![
        text("state", "applied"),
        text("httpTokens", if options.tokens_required { "required" } else { "optional" }),
        text("httpPutResponseHopLimit", options.hop_limit),
        text("httpEndpoint", switch(options.enabled)),
        text("httpProtocolIpv6", "disabled"),
        text("instanceMetadataTags", switch(options.tags)),
    ]
}

fn instance(i: &Instance, groups: &Tags) -> Vec<El> {
    // A terminated instance has given back its network and its disk.
    let there = i.state != InstanceState::Terminated;
    let mut children = identity(i);
    if there {
        children.extend(network(i, groups));
        children.push(node("blockDeviceMapping", [node("item", disk(i))]));
    } else {
        children.extend([
            node("blockDeviceMapping", []),
            node("networkInterfaceSet", []),
            node("groupSet", []),
        ]);
    }
    if let Some(reason) = &i.reason {
        children.push(node("stateReason", [text("code", &reason.code), text("message", &reason.message)]));
    }
    if let Some(name) = &i.instance_profile {
        children.push(node(
            "iamInstanceProfile",
            [text("arn", profile_arn(name)), text("id", "AIPASANDBOX000000000")],
        ));
    }
    children.push(tag_set(&i.tags));
    children.push(node("metadataOptions", metadata(&i.metadata)));
    children
}

fn identity(i: &Instance) -> Vec<El> {
    let there = i.state != InstanceState::Terminated;
    let dns = |suffix: &str| if there { format!("{}{suffix}", i.hostname()) } else { String::new() };
    let mut children = vec![
        text("instanceId", &i.id),
        text("imageId", &i.image_id),
        node("instanceState", instance_state(i.state)),
        text("privateDnsName", dns(".ec2.internal")),
        // The host has no resolver for instances, so the public name is the address itself.
        text("dnsName", if there { i.public_ip.to_string() } else { String::new() }),
        text("reason", &i.transition),
        text("amiLaunchIndex", i.launch_index),
        node("productCodes", []),
        text("instanceType", &i.instance_type),
        text("launchTime", time(i.launch_time)),
        node(
            "placement",
            [text("availabilityZone", &i.zone), text("groupName", ""), text("tenancy", "default")],
        ),
        node("monitoring", [text("state", "disabled")]),
        text("architecture", "x86_64"),
        text("rootDeviceType", "ebs"),
        text("rootDeviceName", "/dev/xvda"),
        text("virtualizationType", "hvm"),
        text("hypervisor", "xen"),
        text("ebsOptimized", false),
        text("enaSupport", true),
        text("clientToken", i.client_token.as_deref().unwrap_or_default()),
        node("cpuOptions", [text("coreCount", 1), text("threadsPerCore", 2)]),
        text("platformDetails", "Linux/UNIX"),
        text("usageOperation", "RunInstances"),
    ];
    children.extend(maybe("keyName", i.key_name.as_ref()));
    children
}

fn group_set(i: &Instance, names: &Tags) -> El {
    let group = |id: &String| {
        vec![text("groupId", id), text("groupName", names.get(id).cloned().unwrap_or_default())]
    };
    list("groupSet", "item", i.groups.iter().map(group))
}

fn network(i: &Instance, groups: &Tags) -> Vec<El> {
    let attachment = [
        text("attachmentId", i.interface_id.replace("eni-", "eni-attach-")),
        text("deviceIndex", 0),
        text("status", "attached"),
        text("attachTime", time(i.launch_time)),
        text("deleteOnTermination", true),
    ];
    let association = || {
        let public =
            [text("publicIp", i.public_ip), text("publicDnsName", i.public_ip), text("ipOwnerId", "amazon")];
        node("association", public)
    };
    let address = vec![text("privateIpAddress", i.private_ip), text("primary", true), association()];
    let interface = vec![
        text("networkInterfaceId", &i.interface_id),
        text("subnetId", &i.subnet_id),
        text("vpcId", VPC),
        text("description", ""),
        text("ownerId", ACCOUNT),
        text("status", "in-use"),
        text("privateIpAddress", i.private_ip),
        text("sourceDestCheck", true),
        group_set(i, groups),
        node("attachment", attachment),
        association(),
        list("privateIpAddressesSet", "item", [address]),
        text("interfaceType", "interface"),
    ];
    vec![
        text("subnetId", &i.subnet_id),
        text("vpcId", VPC),
        text("privateIpAddress", i.private_ip),
        text("ipAddress", i.public_ip),
        text("sourceDestCheck", true),
        group_set(i, groups),
        list("networkInterfaceSet", "item", [interface]),
    ]
}

fn disk(i: &Instance) -> Vec<El> {
    let ebs = [
        text("volumeId", &i.volume_id),
        text("status", "attached"),
        text("attachTime", time(i.launch_time)),
        text("deleteOnTermination", true),
    ];
    vec![text("deviceName", "/dev/xvda"), node("ebs", ebs)]
}

/// Children of `launchTemplateData`.
pub(super) fn template_data(spec: &LaunchSpec) -> Vec<El> {
    let mut children: Vec<El> = [
        maybe("imageId", spec.image_id.as_ref()),
        maybe("instanceType", spec.instance_type.as_ref()),
        maybe("keyName", spec.key_name.as_ref()),
        maybe("userData", spec.user_data.as_ref()),
        maybe("ebsOptimized", spec.ebs_optimized),
        maybe("disableApiTermination", spec.termination_protection),
        maybe("instanceInitiatedShutdownBehavior", spec.shutdown.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(profile) = &spec.instance_profile {
        let name = if profile.starts_with("arn:") { "arn" } else { "name" };
        children.push(node("iamInstanceProfile", [text(name, profile)]));
    }
    if let Some(zone) = &spec.zone {
        children.push(node("placement", [text("availabilityZone", zone)]));
    }
    children.extend(template_network(spec));
    if !spec.tags.is_empty() {
        let specification = |(kind, tags)| vec![text("resourceType", kind), tag_set(tags)];
        children.push(list("tagSpecificationSet", "item", spec.tags.iter().map(specification)));
    }
    let options: Vec<El> = [
        maybe("httpTokens", spec.http_tokens.as_ref()),
        maybe("httpPutResponseHopLimit", spec.hop_limit),
        maybe("httpEndpoint", spec.http_endpoint.as_ref()),
        maybe("instanceMetadataTags", spec.metadata_tags.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !options.is_empty() {
        children.push(node("metadataOptions", options));
    }
    children
}

/// A subnet lives in a network interface there, and takes the groups with it.
fn template_network(spec: &LaunchSpec) -> Vec<El> {
    if let Some(subnet) = &spec.subnet_id {
        let interface = vec![
            text("deviceIndex", 0),
            text("subnetId", subnet),
            texts("groupSet", "groupId", &spec.group_ids),
        ];
        return vec![list("networkInterfaceSet", "item", [interface])];
    }
    let ids = (!spec.group_ids.is_empty()).then(|| texts("securityGroupIdSet", "item", &spec.group_ids));
    let names = (!spec.group_names.is_empty()).then(|| texts("securityGroupSet", "item", &spec.group_names));
    ids.into_iter().chain(names).collect()
}
