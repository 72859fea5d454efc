//! From the SDK's types to the deployer's, and back.

use crate::cloud::{
    Health, Image, Instance, InstanceState, Member, Subnet, Tags, Template, TemplateData, Version,
};
use aws_sdk_ec2::primitives::DateTime as SdkTime;
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancing::types as elb;
use chrono::{DateTime, Utc};

/// The words with which classic ELB marks an instance that it lets go while still calling it `InService`.
const DRAINING: &str = "deregistration currently in progress";
/// The words with which it says that an instance has not been checked yet, while already calling it `OutOfService`.
const REGISTERING: &str = "registration is still in progress";

pub(super) fn time(time: &SdkTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

pub(super) fn tags(tags: &[ec2::Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect()
}

pub(super) fn sdk_tags(tags: &Tags) -> Vec<ec2::Tag> {
    tags.iter().map(|(key, value)| ec2::Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn tag_specification(kind: ec2::ResourceType, tags: &Tags) -> ec2::TagSpecification {
    ec2::TagSpecification::builder().resource_type(kind).set_tags(Some(sdk_tags(tags))).build()
}

/// One filter; any of the values will do.
pub(super) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> ec2::Filter {
    let values = values.into_iter().map(Into::into).collect();
    ec2::Filter::builder().name(name).set_values(Some(values)).build()
}

fn state(state: Option<&ec2::InstanceStateName>) -> InstanceState {
    match state {
        Some(ec2::InstanceStateName::Pending) => InstanceState::Pending,
        Some(ec2::InstanceStateName::Running) => InstanceState::Running,
        Some(ec2::InstanceStateName::Stopping) => InstanceState::Stopping,
        Some(ec2::InstanceStateName::Stopped) => InstanceState::Stopped,
        Some(ec2::InstanceStateName::ShuttingDown) => InstanceState::ShuttingDown,
        Some(ec2::InstanceStateName::Terminated) => InstanceState::Terminated,
        _ => InstanceState::Unknown,
    }
}

pub(super) fn instance(instance: &ec2::Instance) -> Option<Instance> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let reason = instance.state_reason().and_then(|reason| text(reason.message()));
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        state: state(instance.state().and_then(ec2::InstanceState::name)),
        reason: reason.or_else(|| text(instance.state_transition_reason())),
        private_ip: text(instance.private_ip_address()),
        public_ip: text(instance.public_ip_address()),
        subnet: text(instance.subnet_id()),
        zone: instance.placement().and_then(|placement| text(placement.availability_zone())),
        instance_type: instance.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        image: instance.image_id().unwrap_or_default().to_owned(),
        client_token: text(instance.client_token()),
        launched: instance.launch_time().and_then(time),
        tags: tags(instance.tags()),
    })
}

pub(super) fn image(image: &ec2::Image) -> Option<Image> {
    let disks = || image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs());
    Some(Image {
        id: image.image_id()?.to_owned(),
        name: image.name().unwrap_or_default().to_owned(),
        state: image.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        reason: image.state_reason().and_then(|reason| reason.message()).map(str::to_owned),
        created: image.creation_date().unwrap_or_default().to_owned(),
        // Of a copy EC2 names the image that was copied, and no instance.
        parent: image.source_instance_id().and(image.source_image_id()).map(str::to_owned),
        tags: tags(image.tags()),
        snapshots: disks().filter_map(|disk| disk.snapshot_id().map(str::to_owned)).collect(),
        encrypted: disks().any(|disk| disk.encrypted().unwrap_or_default()),
    })
}

pub(super) fn subnet(subnet: &ec2::Subnet) -> Option<Subnet> {
    Some(Subnet { id: subnet.subnet_id()?.to_owned(), zone: subnet.availability_zone()?.to_owned() })
}

pub(super) fn template(template: &ec2::LaunchTemplate) -> Option<Template> {
    Some(Template {
        id: template.launch_template_id()?.to_owned(),
        name: template.launch_template_name()?.to_owned(),
        default_version: template.default_version_number()?,
        latest_version: template.latest_version_number()?,
        tags: tags(template.tags()),
        created: template.create_time().and_then(time),
    })
}

pub(super) fn version(version: &ec2::LaunchTemplateVersion) -> Option<Version> {
    Some(Version {
        number: version.version_number()?,
        description: version.version_description().unwrap_or_default().to_owned(),
        created: version.create_time().and_then(time),
        created_by: version.created_by().map(str::to_owned),
        data: version.launch_template_data().map(template_data).unwrap_or_default(),
    })
}

fn template_data(data: &ec2::ResponseLaunchTemplateData) -> TemplateData {
    let of_instances = data
        .tag_specifications()
        .iter()
        .find(|spec| spec.resource_type() == Some(&ec2::ResourceType::Instance));
    TemplateData {
        image: data.image_id().unwrap_or_default().to_owned(),
        instance_type: data.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        user_data: data.user_data().unwrap_or_default().to_owned(),
        security_groups: data.security_group_ids().to_vec(),
        instance_profile: data.iam_instance_profile().and_then(|profile| profile.name()).map(str::to_owned),
        key_name: data.key_name().map(str::to_owned),
        tags: of_instances.map(|spec| tags(spec.tags())).unwrap_or_default(),
    }
}

pub(super) fn sdk_template_data(data: &TemplateData) -> ec2::RequestLaunchTemplateData {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut builder = ec2::RequestLaunchTemplateData::builder()
        .set_image_id(some(&data.image))
        .set_user_data(some(&data.user_data))
        .set_key_name(data.key_name.clone())
        .set_instance_type(some(&data.instance_type).map(|kind| kind.as_str().into()));
    if !data.security_groups.is_empty() {
        builder = builder.set_security_group_ids(Some(data.security_groups.clone()));
    }
    if let Some(profile) = &data.instance_profile {
        let profile =
            ec2::LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(profile).build();
        builder = builder.iam_instance_profile(profile);
    }
    if !data.image.is_empty() {
        builder = builder.metadata_options(
            ec2::LaunchTemplateInstanceMetadataOptionsRequest::builder()
                .http_tokens(ec2::LaunchTemplateHttpTokensState::Required)
                .http_endpoint(ec2::LaunchTemplateInstanceMetadataEndpointState::Enabled)
                .http_put_response_hop_limit(2)
                .build(),
        );
    }
    if !data.tags.is_empty() {
        let of = |kind: ec2::ResourceType| {
            let tags = Some(sdk_tags(&data.tags));
            ec2::LaunchTemplateTagSpecificationRequest::builder().resource_type(kind).set_tags(tags).build()
        };
        builder = builder.tag_specifications(of(ec2::ResourceType::Instance));
        builder = builder.tag_specifications(of(ec2::ResourceType::Volume));
    }
    builder.build()
}

pub(super) fn member(member: &elb::InstanceState) -> Option<Member> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty() && *text != "N/A").map(str::to_owned);
    let description = text(member.description());
    let draining = description.as_deref().is_some_and(|text| text.contains(DRAINING));
    let health = match member.state() {
        _ if draining => Health::Draining,
        Some("InService") => Health::InService,
        _ if description.as_deref().is_some_and(|text| text.contains(REGISTERING)) => Health::Initial,
        Some("OutOfService") => Health::OutOfService,
        _ => Health::Unknown,
    };
    Some(Member {
        instance: member.instance_id()?.to_owned(),
        health,
        reason_code: text(member.reason_code()),
        description,
    })
}
