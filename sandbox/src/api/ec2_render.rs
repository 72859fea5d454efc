//! EC2 answers as XML, in the shapes of API version 2016-11-15.
use base64::Engine as _;

use super::ec2_instance::{instance_state, reservation, template_data};
use super::xml::{El, list, maybe, node, text, texts};
use crate::world::{
    Accounts, DeletedVersion, Image, InstanceStatus, InstanceType, Page, REGION, Reservation, Response,
    SecurityGroup, Snapshot, StateChange, Subnet, TagRecord, Tags, Template, Timestamp, VPC, VersionRecord,
    ZONES,
};

/// Children of the answer's root element.
pub(super) fn body(response: &Response, console: Option<&[u8]>) -> Vec<El> {
    match response {
        Response::Done => vec![text("return", true)],
        Response::Launched(launch) => reservation(launch),
        Response::Instances(found) => paged("reservationSet", found, |r: &Reservation| reservation(r)),
        Response::Statuses(found) => paged("instanceStatusSet", found, status),
        Response::InstanceTypes(types) => {
            vec![list("instanceTypeSet", "item", types.iter().map(instance_type))]
        }
        Response::StateChanges(changes) => {
            vec![list("instancesSet", "item", changes.iter().map(state_change))]
        }
        Response::Attribute { id, value, groups } => attribute(id, value, groups.as_ref()),
        Response::Metadata(instance) => vec![
            text("instanceId", &instance.id),
            node("instanceMetadataOptions", super::ec2_instance::metadata(&instance.metadata)),
        ],
        Response::Console { id, at, .. } => {
            let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
            vec![
                text("instanceId", id),
                text("timestamp", time(*at)),
                text("output", console.map(encode).unwrap_or_default()),
            ]
        }
        Response::Tags(found) => paged("tagSet", found, tag_record),
        Response::Images(found) => paged("imagesSet", found, image),
        Response::ImageId(id) => vec![text("imageId", id)],
        Response::SharedWith { id, of_image, accounts } => shared_with(id, *of_image, accounts),
        Response::Snapshots(found) => paged("snapshotSet", found, snapshot),
        Response::Subnets(found) => paged("subnetSet", found, subnet),
        Response::Vpcs(vpcs) => vec![list("vpcSet", "item", vpcs.iter().map(vpc))],
        Response::Groups(found) => paged("securityGroupInfo", found, group),
        Response::GroupId(id) => vec![text("return", true), text("groupId", id), tag_set(&Tags::new())],
        Response::Zones(zones) => vec![list("availabilityZoneInfo", "item", zones.iter().map(zone))],
        Response::Regions(regions) => vec![list("regionInfo", "item", regions.iter().map(|r| region(r)))],
        Response::Template(record) => vec![node("launchTemplate", template(record))],
        Response::Templates(found) => paged("launchTemplates", found, template),
        Response::TemplateVersion(record) => vec![node("launchTemplateVersion", version(record))],
        Response::TemplateVersions(found) => paged("launchTemplateVersionSet", found, version),
        Response::DeletedVersions(versions) => deleted(versions),
        _ => Vec::new(),
    }
}

/// EC2's way to write a moment.
pub(super) fn time(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `tagSet`.
pub(super) fn tag_set(tags: &Tags) -> El {
    list("tagSet", "item", tags.iter().map(|(key, value)| vec![text("key", key), text("value", value)]))
}

fn paged<T>(name: &'static str, page: &Page<T>, entry: impl Fn(&T) -> Vec<El>) -> Vec<El> {
    let mut children = vec![list(name, "item", page.items.iter().map(entry))];
    children.extend(maybe("nextToken", page.next_token.as_ref()));
    children
}

fn status(status: &InstanceStatus) -> Vec<El> {
    let summary = |name: &'static str| {
        let mut children = vec![text("status", status.check)];
        if status.check != "not-applicable" {
            let detail = if status.check == "ok" { "passed" } else { "initializing" };
            let reachability = vec![text("name", "reachability"), text("status", detail)];
            children.push(list("details", "item", [reachability]));
        }
        node(name, children)
    };
    vec![
        text("instanceId", &status.id),
        text("availabilityZone", &status.zone),
        node("instanceState", instance_state(status.state)),
        summary("systemStatus"),
        summary("instanceStatus"),
    ]
}

fn instance_type(kind: &InstanceType) -> Vec<El> {
    let architectures = texts("supportedArchitectures", "item", [kind.architecture]);
    vec![
        text("instanceType", kind.name),
        text("currentGeneration", true),
        text("freeTierEligible", kind.name == "t3.micro" || kind.name == "t2.micro"),
        text("bareMetal", false),
        text("hypervisor", "nitro"),
        node("processorInfo", [architectures]),
        node("vCpuInfo", [text("defaultVCpus", kind.vcpus), text("defaultCores", kind.vcpus)]),
        node("memoryInfo", [text("sizeInMiB", kind.memory_mib)]),
        texts("supportedUsageClasses", "item", ["on-demand"]),
        texts("supportedRootDeviceTypes", "item", ["ebs"]),
        texts("supportedVirtualizationTypes", "item", ["hvm"]),
    ]
}

fn state_change(change: &StateChange) -> Vec<El> {
    vec![
        text("instanceId", &change.id),
        node("currentState", instance_state(change.current)),
        node("previousState", instance_state(change.previous)),
    ]
}

fn attribute(id: &str, (name, value): &(String, Option<String>), groups: Option<&Vec<String>>) -> Vec<El> {
    let content = match groups {
        Some(groups) => list("groupSet", "item", groups.iter().map(|id| vec![text("groupId", id)])),
        None => node(name.clone(), value.as_ref().map(|value| text("value", value))),
    };
    vec![text("instanceId", id), content]
}

fn tag_record(tag: &TagRecord) -> Vec<El> {
    vec![
        text("resourceId", &tag.resource_id),
        text("resourceType", tag.resource_type),
        text("key", &tag.key),
        text("value", &tag.value),
    ]
}

fn image(image: &Image) -> Vec<El> {
    let ebs = [
        text("snapshotId", &image.snapshot_id),
        text("volumeSize", 8),
        text("deleteOnTermination", true),
        text("volumeType", "gp3"),
        text("encrypted", false),
    ];
    let root = vec![text("deviceName", "/dev/xvda"), node("ebs", ebs)];
    let location = format!("{}/{}", image.owner, image.name);
    let mut children = vec![
        text("imageId", &image.id),
        text("imageLocation", location),
        text("imageState", image.state.name()),
        text("imageOwnerId", &image.owner),
        text("creationDate", time(image.created)),
        text("isPublic", image.stock),
        text("architecture", "x86_64"),
        text("imageType", "machine"),
        text("name", &image.name),
        text("description", &image.description),
        text("rootDeviceType", "ebs"),
        text("rootDeviceName", "/dev/xvda"),
        list("blockDeviceMapping", "item", [root]),
        text("virtualizationType", "hvm"),
        text("enaSupport", true),
        text("hypervisor", "xen"),
        text("platformDetails", "Linux/UNIX"),
        text("usageOperation", "RunInstances"),
        tag_set(&image.tags),
    ];
    children.extend(image.stock.then(|| text("imageOwnerAlias", "amazon")));
    children.extend(maybe("sourceInstanceId", image.source_instance.as_ref()));
    if let Some((source, region)) = &image.source_image {
        children.extend([text("sourceImageId", source), text("sourceImageRegion", region)]);
    }
    if let Some(reason) = &image.reason {
        let code = text("code", "Client.ImageCreationFailed");
        children.push(node("stateReason", [code, text("message", reason)]));
    }
    children
}

fn shared_with(id: &str, of_image: bool, accounts: &Accounts) -> Vec<El> {
    let (name, list_name) =
        if of_image { ("imageId", "launchPermission") } else { ("snapshotId", "createVolumePermission") };
    let entry = |account: &String| vec![text(if account == "all" { "group" } else { "userId" }, account)];
    vec![text(name, id), list(list_name, "item", accounts.iter().map(entry))]
}

fn snapshot(snapshot: &Snapshot) -> Vec<El> {
    vec![
        text("snapshotId", &snapshot.id),
        text("volumeId", &snapshot.volume_id),
        text("status", if snapshot.completed { "completed" } else { "pending" }),
        text("startTime", time(snapshot.started)),
        text("progress", if snapshot.completed { "100%" } else { "0%" }),
        text("ownerId", &snapshot.owner),
        text("volumeSize", 8),
        text("description", &snapshot.description),
        text("encrypted", false),
        text("storageTier", "standard"),
        tag_set(&snapshot.tags),
    ]
}

fn subnet((subnet, free): &(Subnet, u32)) -> Vec<El> {
    let zone_id = ZONES.iter().find(|(zone, _)| *zone == subnet.zone).map(|(_, id)| *id);
    let mut children = vec![
        text("subnetId", &subnet.id),
        text("subnetArn", arn(&format!("subnet/{}", subnet.id))),
        text("state", "available"),
        text("ownerId", crate::world::ACCOUNT),
        text("vpcId", VPC),
        text("cidrBlock", format!("{}/{}", subnet.network, subnet.prefix)),
        text("availableIpAddressCount", free),
        text("availabilityZone", &subnet.zone),
        text("defaultForAz", true),
        text("mapPublicIpOnLaunch", true),
        text("assignIpv6AddressOnCreation", false),
        tag_set(&subnet.tags),
    ];
    children.extend(maybe("availabilityZoneId", zone_id));
    children
}

fn arn(resource: &str) -> String {
    format!("arn:aws:ec2:{REGION}:{}:{resource}", crate::world::ACCOUNT)
}

fn vpc(tags: &Tags) -> Vec<El> {
    vec![
        text("vpcId", VPC),
        text("ownerId", crate::world::ACCOUNT),
        text("state", "available"),
        text("cidrBlock", "10.77.0.0/16"),
        text("dhcpOptionsId", "default"),
        text("instanceTenancy", "default"),
        text("isDefault", true),
        tag_set(tags),
    ]
}

fn group(group: &SecurityGroup) -> Vec<El> {
    let anywhere = || list("ipRanges", "item", [vec![text("cidrIp", "0.0.0.0/0")]]);
    let rule = |port: &crate::world::PortRange| {
        let ports = [text("ipProtocol", "tcp"), text("fromPort", port.from), text("toPort", port.to)];
        ports.into_iter().chain([node("groups", []), anywhere()]).collect()
    };
    let outward = vec![text("ipProtocol", "-1"), node("groups", []), anywhere()];
    vec![
        text("ownerId", crate::world::ACCOUNT),
        text("groupId", &group.id),
        text("groupName", &group.name),
        text("groupDescription", &group.description),
        text("vpcId", VPC),
        list("ipPermissions", "item", group.ports.iter().map(rule)),
        list("ipPermissionsEgress", "item", [outward]),
        tag_set(&group.tags),
    ]
}

fn zone((name, id): &(String, String)) -> Vec<El> {
    vec![
        text("zoneName", name),
        text("zoneId", id),
        text("zoneState", "available"),
        text("regionName", REGION),
        text("optInStatus", "opt-in-not-required"),
        text("groupName", REGION),
        text("networkBorderGroup", REGION),
        text("zoneType", "availability-zone"),
        node("messageSet", []),
    ]
}

fn region(name: &str) -> Vec<El> {
    vec![
        text("regionName", name),
        text("regionEndpoint", format!("ec2.{name}.amazonaws.com")),
        text("optInStatus", "opt-in-not-required"),
    ]
}

fn created_by() -> El {
    text("createdBy", format!("arn:aws:iam::{}:root", crate::world::ACCOUNT))
}

fn template(template: &Template) -> Vec<El> {
    vec![
        text("launchTemplateId", &template.id),
        text("launchTemplateName", &template.name),
        text("createTime", time(template.created)),
        created_by(),
        text("defaultVersionNumber", template.default_version),
        text("latestVersionNumber", template.latest_version),
        tag_set(&template.tags),
    ]
}

fn version(record: &VersionRecord) -> Vec<El> {
    let mut children = vec![
        text("launchTemplateId", &record.template_id),
        text("launchTemplateName", &record.template_name),
        text("versionNumber", record.version.number),
        text("createTime", time(record.version.created)),
        created_by(),
        text("defaultVersion", record.is_default),
        node("launchTemplateData", template_data(&record.version.spec)),
    ];
    children.extend(maybe("versionDescription", record.version.description.as_ref()));
    children
}

fn deleted(versions: &[DeletedVersion]) -> Vec<El> {
    let common = |version: &DeletedVersion| {
        vec![
            text("launchTemplateId", &version.template_id),
            text("launchTemplateName", &version.template_name),
            text("versionNumber", version.number),
        ]
    };
    let done = versions.iter().filter(|version| version.refused.is_none()).map(common);
    let failed = versions.iter().filter_map(|version| {
        let (code, message) = version.refused.as_ref()?;
        let error = node("responseError", [text("code", code), text("message", message)]);
        Some(common(version).into_iter().chain([error]).collect())
    });
    vec![
        list("successfullyDeletedLaunchTemplateVersionSet", "item", done),
        list("unsuccessfullyDeletedLaunchTemplateVersionSet", "item", failed),
    ]
}
