//! EC2 parameters to typed calls.
use super::form::Params;
use crate::world::{
    ApiError, ApiResult, AttributeOf, CopyImage, CreateGroup, CreateImage, CreateTemplate,
    CreateTemplateVersion, DeleteTemplateVersions, DeregisterImage, Describe, DescribeGroups, DescribeImages,
    DescribeInstanceStatus, DescribeTemplateVersions, DescribeTemplates, Ec2Request, GroupPorts, GroupRef,
    InstanceAttribute, InstanceIds, LaunchSpec, ModifyInstanceAttribute, ModifyMetadata, ModifyTemplate,
    PortRange, RunInstances, Share, TagResources, TemplateRef, UntagResources,
};

/// The call that an action and its parameters mean.
pub(super) fn parse(action: &str, p: &Params<'_>) -> ApiResult<Ec2Request> {
    use Ec2Request as R;
    Ok(match action {
        "RunInstances" => R::RunInstances(run_instances(p)?),
        "DescribeInstances" => R::DescribeInstances(describe(p, "InstanceId")?),
        "DescribeInstanceStatus" => R::DescribeInstanceStatus(DescribeInstanceStatus {
            describe: describe(p, "InstanceId")?,
            include_all: p.flag("IncludeAllInstances")?.unwrap_or(false),
        }),
        "DescribeInstanceTypes" => R::DescribeInstanceTypes(describe(p, "InstanceType")?),
        "TerminateInstances" => R::TerminateInstances(instance_ids(p)?),
        "StopInstances" => R::StopInstances(instance_ids(p)?),
        "StartInstances" => R::StartInstances(instance_ids(p)?),
        "RebootInstances" => R::RebootInstances(instance_ids(p)?),
        "ModifyInstanceAttribute" => R::ModifyInstanceAttribute(modify_instance(p)?),
        "DescribeInstanceAttribute" => R::DescribeInstanceAttribute(InstanceAttribute {
            id: p.need("InstanceId")?,
            attribute: p.need("Attribute")?,
        }),
        "ModifyInstanceMetadataOptions" => {
            let mut spec = LaunchSpec::default();
            metadata(p, &mut spec)?;
            R::ModifyInstanceMetadataOptions(ModifyMetadata { id: p.need("InstanceId")?, spec })
        }
        "GetConsoleOutput" => {
            p.flag("Latest")?;
            R::GetConsoleOutput(p.need("InstanceId")?)
        }
        "CreateTags" => R::CreateTags(TagResources { ids: p.list("ResourceId"), tags: p.tags("Tag")? }),
        "DeleteTags" => R::DeleteTags(untag(p)?),
        "DescribeTags" => R::DescribeTags(describe(p, "")?),
        "DescribeImages" => R::DescribeImages(describe_images(p)?),
        "CreateImage" => R::CreateImage(create_image(p)?),
        "CopyImage" => R::CopyImage(copy_image(p)?),
        "ModifyImageAttribute" => R::ModifyImageAttribute(share(p, "ImageId", "LaunchPermission")?),
        "ModifySnapshotAttribute" => {
            R::ModifySnapshotAttribute(share(p, "SnapshotId", "CreateVolumePermission")?)
        }
        "DescribeImageAttribute" => R::DescribeImageAttribute(attribute_of(p, "ImageId")?),
        "DescribeSnapshotAttribute" => R::DescribeSnapshotAttribute(attribute_of(p, "SnapshotId")?),
        "DeregisterImage" => R::DeregisterImage(DeregisterImage {
            id: p.need("ImageId")?,
            delete_snapshots: p.flag("DeleteAssociatedSnapshots")?.unwrap_or(false),
        }),
        "DescribeSnapshots" => R::DescribeSnapshots(describe_snapshots(p)?),
        "DeleteSnapshot" => R::DeleteSnapshot(p.need("SnapshotId")?),
        _ => return parse_network(action, p),
    })
}

fn parse_network(action: &str, p: &Params<'_>) -> ApiResult<Ec2Request> {
    use Ec2Request as R;
    Ok(match action {
        "DescribeSubnets" => R::DescribeSubnets(describe(p, "SubnetId")?),
        "DescribeVpcs" => R::DescribeVpcs(describe(p, "VpcId")?),
        "DescribeSecurityGroups" => R::DescribeSecurityGroups(DescribeGroups {
            describe: describe(p, "GroupId")?,
            names: p.list("GroupName"),
        }),
        "CreateSecurityGroup" => R::CreateSecurityGroup(CreateGroup {
            name: p.need("GroupName")?,
            description: p.need("GroupDescription")?,
            vpc_id: p.said("VpcId"),
            tags: p.tag_specifications()?.remove("security-group").unwrap_or_default(),
        }),
        "DeleteSecurityGroup" => R::DeleteSecurityGroup(group(p)),
        "AuthorizeSecurityGroupIngress" => R::AuthorizeSecurityGroupIngress(group_ports(p)?),
        "RevokeSecurityGroupIngress" => R::RevokeSecurityGroupIngress(group_ports(p)?),
        "DescribeAvailabilityZones" => {
            p.flag("AllAvailabilityZones")?;
            let mut zones = describe(p, "ZoneName")?;
            zones.ids.extend(p.list("ZoneId"));
            R::DescribeAvailabilityZones(zones)
        }
        "DescribeRegions" => {
            p.flag("AllRegions")?;
            R::DescribeRegions(describe(p, "RegionName")?)
        }
        _ => return parse_templates(action, p),
    })
}

fn parse_templates(action: &str, p: &Params<'_>) -> ApiResult<Ec2Request> {
    use Ec2Request as R;
    Ok(match action {
        "CreateLaunchTemplate" => R::CreateLaunchTemplate(create_template(p)?),
        "CreateLaunchTemplateVersion" => R::CreateLaunchTemplateVersion(CreateTemplateVersion {
            template: template(p),
            source: p.said("SourceVersion"),
            description: p.said("VersionDescription"),
            spec: template_data(p)?,
            client_token: p.said("ClientToken"),
        }),
        "DescribeLaunchTemplates" => R::DescribeLaunchTemplates(DescribeTemplates {
            describe: describe(p, "LaunchTemplateId")?,
            names: p.list("LaunchTemplateName"),
        }),
        "DescribeLaunchTemplateVersions" => R::DescribeLaunchTemplateVersions(DescribeTemplateVersions {
            template: template(p),
            versions: p.list("LaunchTemplateVersion"),
            min: p.number("MinVersion")?,
            max: p.number("MaxVersion")?,
            describe: describe(p, "")?,
        }),
        "ModifyLaunchTemplate" => {
            // The call is idempotent as it is.
            p.text("ClientToken");
            let default_version = p.need("SetDefaultVersion")?;
            R::ModifyLaunchTemplate(ModifyTemplate { template: template(p), default_version })
        }
        "DeleteLaunchTemplate" => R::DeleteLaunchTemplate(template(p)),
        "DeleteLaunchTemplateVersions" => R::DeleteLaunchTemplateVersions(DeleteTemplateVersions {
            template: template(p),
            versions: p.list("LaunchTemplateVersion"),
        }),
        _ => return Err(unknown_action(action)),
    })
}

/// The error for an action that the sandbox does not have.
pub(super) fn unknown_action(action: &str) -> ApiError {
    ApiError::client("InvalidAction", format!("The action {action} is not valid for this web service."))
}

fn describe(p: &Params<'_>, id: &str) -> ApiResult<Describe> {
    Ok(Describe {
        ids: if id.is_empty() { Vec::new() } else { p.list(id) },
        filters: p.filters()?,
        max_results: p.number("MaxResults")?,
        next_token: p.said("NextToken"),
    })
}

fn instance_ids(p: &Params<'_>) -> ApiResult<InstanceIds> {
    p.flag("Hibernate")?;
    Ok(InstanceIds { ids: p.list("InstanceId"), force: p.flag("Force")?.unwrap_or(false) })
}

fn run_instances(p: &Params<'_>) -> ApiResult<RunInstances> {
    let template_params = p.inner("LaunchTemplate");
    let (template, template_version) = if template_params.is_empty() {
        (None, None)
    } else {
        (Some(template(&template_params)), template_params.said("Version"))
    };
    Ok(RunInstances {
        spec: launch_spec(p)?,
        template,
        template_version,
        min: p.need_number("MinCount")?,
        max: p.need_number("MaxCount")?,
        client_token: p.said("ClientToken"),
        private_ip: p.said("PrivateIpAddress"),
    })
}

/// Launch parameters as `RunInstances` and `LaunchTemplateData` both write them.
fn launch_spec(p: &Params<'_>) -> ApiResult<LaunchSpec> {
    let interfaces = p.structs("NetworkInterface");
    let interface = interfaces.first();
    let subnet_id = p.said("SubnetId").or_else(|| interface.and_then(|i| i.said("SubnetId")));
    let mut group_ids = p.list("SecurityGroupId");
    group_ids.extend(interface.into_iter().flat_map(|i| i.list("SecurityGroupId")));
    if let Some(interface) = interface {
        interface.text("DeviceIndex");
        interface.text("AssociatePublicIpAddress");
        interface.text("DeleteOnTermination");
    }
    let profile = p.inner("IamInstanceProfile");
    let mut spec = LaunchSpec {
        image_id: p.said("ImageId"),
        instance_type: p.said("InstanceType"),
        key_name: p.said("KeyName"),
        user_data: p.said("UserData"),
        subnet_id,
        zone: p.inner("Placement").said("AvailabilityZone"),
        group_ids,
        group_names: p.list("SecurityGroup"),
        instance_profile: profile.said("Name").or_else(|| profile.said("Arn")),
        shutdown: p.said("InstanceInitiatedShutdownBehavior"),
        termination_protection: p.flag("DisableApiTermination")?,
        ebs_optimized: p.flag("EbsOptimized")?,
        tags: p.tag_specifications()?,
        ..LaunchSpec::default()
    };
    metadata(&p.inner("MetadataOptions"), &mut spec)?;
    Ok(spec)
}

fn metadata(p: &Params<'_>, spec: &mut LaunchSpec) -> ApiResult<()> {
    spec.http_tokens = p.said("HttpTokens");
    spec.hop_limit = p.number("HttpPutResponseHopLimit")?;
    spec.http_endpoint = p.said("HttpEndpoint");
    spec.metadata_tags = p.said("InstanceMetadataTags");
    Ok(())
}

/// Both forms: `Attribute` and `Value`, or the attribute's own parameter.
fn modify_instance(p: &Params<'_>) -> ApiResult<ModifyInstanceAttribute> {
    let named = p.said("Attribute");
    let value = |parameter: &str, attribute: &str| {
        let own = p.inner(parameter).said("Value");
        own.or_else(|| p.said("Value").filter(|_| named.as_deref() == Some(attribute)))
    };
    let flag = |text: String| match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ApiError::invalid("disableApiTermination", &text, "Expecting true or false.")),
    };
    Ok(ModifyInstanceAttribute {
        id: p.need("InstanceId")?,
        termination_protection: value("DisableApiTermination", "disableApiTermination")
            .map(flag)
            .transpose()?,
        shutdown: value("InstanceInitiatedShutdownBehavior", "instanceInitiatedShutdownBehavior"),
        instance_type: value("InstanceType", "instanceType"),
        user_data: value("UserData", "userData").or_else(|| p.said("UserData")),
        group_ids: p.list("GroupId"),
    })
}

fn untag(p: &Params<'_>) -> ApiResult<UntagResources> {
    let tag = |tag: Params<'_>| Ok((tag.need("Key")?, tag.text("Value")));
    let tags = p.structs("Tag").into_iter().map(tag).collect::<ApiResult<_>>()?;
    Ok(UntagResources { ids: p.list("ResourceId"), tags })
}

fn describe_images(p: &Params<'_>) -> ApiResult<DescribeImages> {
    p.flag("IncludeDeprecated")?;
    p.flag("IncludeDisabled")?;
    Ok(DescribeImages { describe: describe(p, "ImageId")?, owners: p.list("Owner") })
}

fn create_image(p: &Params<'_>) -> ApiResult<CreateImage> {
    Ok(CreateImage {
        id: p.need("InstanceId")?,
        name: p.need("Name")?,
        description: p.said("Description").unwrap_or_default(),
        no_reboot: p.flag("NoReboot")?.unwrap_or(false),
        tags: p.tag_specifications()?,
    })
}

fn copy_image(p: &Params<'_>) -> ApiResult<CopyImage> {
    Ok(CopyImage {
        source: p.need("SourceImageId")?,
        region: p.need("SourceRegion")?,
        name: p.need("Name")?,
        description: p.said("Description").unwrap_or_default(),
        copy_tags: p.flag("CopyImageTags")?.unwrap_or(false),
        tags: p.tag_specifications()?,
        client_token: p.said("ClientToken"),
    })
}

fn attribute_of(p: &Params<'_>, id: &str) -> ApiResult<AttributeOf> {
    Ok(AttributeOf { id: p.need(id)?, attribute: p.need("Attribute")? })
}

/// Both forms: `LaunchPermission.Add.1.UserId`, and `OperationType` with `UserId.1`.
fn share(p: &Params<'_>, id: &str, permission: &str) -> ApiResult<Share> {
    let permissions = p.inner(permission);
    let who = |list: &str| {
        let one = |entry: Params<'_>| entry.said("UserId").or_else(|| entry.said("Group"));
        permissions.structs(list).into_iter().filter_map(one).collect::<Vec<_>>()
    };
    let mut share = Share { id: p.need(id)?, add: who("Add"), remove: who("Remove") };
    let attribute = p.said("Attribute");
    if let Some(odd) = attribute.filter(|name| !name.eq_ignore_ascii_case(permission)) {
        return Err(ApiError::invalid("attribute", &odd, "The sandbox shares, and changes nothing else."));
    }
    let named = [p.list("UserId"), p.list("UserGroup")].concat();
    match p.said("OperationType").as_deref() {
        Some("remove") => share.remove.extend(named),
        _ => share.add.extend(named),
    }
    if share.add.is_empty() && share.remove.is_empty() {
        return Err(ApiError::missing(permission));
    }
    Ok(share)
}

/// `Owner` becomes a filter: all snapshots of the sandbox are one account's, or the stock images'.
fn describe_snapshots(p: &Params<'_>) -> ApiResult<Describe> {
    let mut body = describe(p, "SnapshotId")?;
    let owners = p.list("Owner");
    if !owners.is_empty() {
        let account = |owner: String| match owner.as_str() {
            "self" => crate::world::ACCOUNT.to_owned(),
            "amazon" => crate::world::STOCK_OWNER.to_owned(),
            _ => owner,
        };
        let values = owners.into_iter().map(account).collect();
        body.filters.push(crate::world::Filter { name: "owner-id".to_owned(), values });
    }
    Ok(body)
}

fn group(p: &Params<'_>) -> GroupRef {
    GroupRef { id: p.said("GroupId"), name: p.said("GroupName") }
}

/// Rules in the list form or in the old flat one. Sources are not modelled: an open port is open to the host.
fn group_ports(p: &Params<'_>) -> ApiResult<GroupPorts> {
    let rules = p.structs("IpPermissions");
    let rules = if rules.is_empty() { vec![p.clone()] } else { rules };
    let mut ports = Vec::new();
    for rule in rules {
        for range in rule.structs("IpRanges") {
            range.text("CidrIp");
            range.text("Description");
        }
        rule.text("CidrIp");
        match rule.need("IpProtocol")?.as_str() {
            "tcp" | "6" => {
                let range =
                    PortRange { from: rule.need_number("FromPort")?, to: rule.need_number("ToPort")? };
                if range.from > range.to {
                    return Err(ApiError::invalid(
                        "portRange",
                        &format!("{}-{}", range.from, range.to),
                        "It is empty.",
                    ));
                }
                ports.push(range);
            }
            "-1" => ports.push(PortRange { from: 1, to: u16::MAX }),
            // Only TCP is carried; other rules are taken and change nothing.
            _ => {
                rule.text("FromPort");
                rule.text("ToPort");
            }
        }
    }
    Ok(GroupPorts { group: group(p), ports })
}

fn template(p: &Params<'_>) -> TemplateRef {
    TemplateRef { id: p.said("LaunchTemplateId"), name: p.said("LaunchTemplateName") }
}

fn template_data(p: &Params<'_>) -> ApiResult<LaunchSpec> {
    let data = p.inner("LaunchTemplateData");
    if data.is_empty() { Err(ApiError::missing("LaunchTemplateData")) } else { launch_spec(&data) }
}

fn create_template(p: &Params<'_>) -> ApiResult<CreateTemplate> {
    Ok(CreateTemplate {
        name: p.need("LaunchTemplateName")?,
        description: p.said("VersionDescription"),
        spec: template_data(p)?,
        tags: p.tag_specifications()?.remove("launch-template").unwrap_or_default(),
        client_token: p.said("ClientToken"),
    })
}
