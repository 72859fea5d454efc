//! Calls as data. The wire parses them; a simulation builds them directly.
use std::collections::BTreeMap;

use super::effect::PortRange;
use super::elb_request::{
    BalancerGroups, BalancerInstances, BalancerListeners, BalancerPorts, BalancerSubnets, BalancerTags,
    BalancerUntag, BalancerZones, ConfigureHealthCheck, CreateBalancer, DescribeBalancers, ModifyBalancer,
};
use super::model::{LaunchSpec, Tags};
use super::parameters::SsmRequest;
use super::target_request::Elbv2Request;

macro_rules! calls {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident($body:ty),)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub enum $name { $($(#[$variant_doc])* $variant($body),)* }

        impl $name {
            /// The action's name on the wire.
            #[must_use]
            pub fn action(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant),)* }
            }
        }
    };
}

pub(super) use calls;

/// A call to any of the services.
#[derive(Debug, Clone)]
pub enum Request {
    /// EC2, and whether `DryRun` was asked for.
    Ec2(Box<Ec2Request>, bool),
    /// Classic ELB.
    Elb(Box<ElbRequest>),
    /// Application and network load balancers.
    Elbv2(Box<Elbv2Request>),
    /// SSM parameters.
    Ssm(Box<SsmRequest>),
    /// STS `GetCallerIdentity`.
    CallerIdentity,
}

impl Request {
    /// The action's name on the wire.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Ec2(request, _) => request.action(),
            Self::Elb(request) => request.action(),
            Self::Elbv2(request) => request.action(),
            Self::Ssm(request) => request.action(),
            Self::CallerIdentity => "GetCallerIdentity",
        }
    }

    /// Whether it changes nothing by itself.
    pub(super) fn only_reads(&self) -> bool {
        let action = self.action();
        action.starts_with("Describe") || action.starts_with("Get")
    }
}

calls! {
    /// EC2 calls.
    Ec2Request {
        /// Launch.
        RunInstances(RunInstances),
        /// List instances.
        DescribeInstances(Describe),
        /// Status checks.
        DescribeInstanceStatus(DescribeInstanceStatus),
        /// Known types.
        DescribeInstanceTypes(Describe),
        /// End instances.
        TerminateInstances(InstanceIds),
        /// Power off.
        StopInstances(InstanceIds),
        /// Power on.
        StartInstances(InstanceIds),
        /// Reboot.
        RebootInstances(InstanceIds),
        /// Set one attribute.
        ModifyInstanceAttribute(ModifyInstanceAttribute),
        /// Read one attribute.
        DescribeInstanceAttribute(InstanceAttribute),
        /// Change IMDS settings.
        ModifyInstanceMetadataOptions(ModifyMetadata),
        /// Console.
        GetConsoleOutput(String),
        /// Tag resources.
        CreateTags(TagResources),
        /// Untag resources.
        DeleteTags(UntagResources),
        /// List tags.
        DescribeTags(Describe),
        /// List images.
        DescribeImages(DescribeImages),
        /// Make an image of an instance.
        CreateImage(CreateImage),
        /// Copy an image to the region that is asked.
        CopyImage(CopyImage),
        /// Who else may launch an image.
        ModifyImageAttribute(Share),
        /// Who may.
        DescribeImageAttribute(AttributeOf),
        /// Who else may use a snapshot.
        ModifySnapshotAttribute(Share),
        /// Who may.
        DescribeSnapshotAttribute(AttributeOf),
        /// Remove an image.
        DeregisterImage(DeregisterImage),
        /// List snapshots.
        DescribeSnapshots(Describe),
        /// Remove a snapshot.
        DeleteSnapshot(String),
        /// List subnets.
        DescribeSubnets(Describe),
        /// List VPCs.
        DescribeVpcs(Describe),
        /// List security groups.
        DescribeSecurityGroups(DescribeGroups),
        /// Make a security group.
        CreateSecurityGroup(CreateGroup),
        /// Remove a security group.
        DeleteSecurityGroup(GroupRef),
        /// Open ports.
        AuthorizeSecurityGroupIngress(GroupPorts),
        /// Close ports.
        RevokeSecurityGroupIngress(GroupPorts),
        /// List zones.
        DescribeAvailabilityZones(Describe),
        /// List regions.
        DescribeRegions(Describe),
        /// Make a launch template.
        CreateLaunchTemplate(CreateTemplate),
        /// Add a version.
        CreateLaunchTemplateVersion(CreateTemplateVersion),
        /// List templates.
        DescribeLaunchTemplates(DescribeTemplates),
        /// List versions.
        DescribeLaunchTemplateVersions(DescribeTemplateVersions),
        /// Set the default version.
        ModifyLaunchTemplate(ModifyTemplate),
        /// Remove a template.
        DeleteLaunchTemplate(TemplateRef),
        /// Remove versions.
        DeleteLaunchTemplateVersions(DeleteTemplateVersions),
    }
}

calls! {
    /// Classic ELB calls.
    ElbRequest {
        /// Make a balancer.
        CreateLoadBalancer(CreateBalancer),
        /// Remove a balancer; one that is not there is no error.
        DeleteLoadBalancer(String),
        /// List balancers.
        DescribeLoadBalancers(DescribeBalancers),
        /// Add listeners.
        CreateLoadBalancerListeners(BalancerListeners),
        /// Remove listeners by port.
        DeleteLoadBalancerListeners(BalancerPorts),
        /// Read attributes.
        DescribeLoadBalancerAttributes(String),
        /// Change attributes.
        ModifyLoadBalancerAttributes(ModifyBalancer),
        /// Set the health check.
        ConfigureHealthCheck(ConfigureHealthCheck),
        /// Register.
        RegisterInstancesWithLoadBalancer(BalancerInstances),
        /// Deregister, draining where that is on.
        DeregisterInstancesFromLoadBalancer(BalancerInstances),
        /// States of instances.
        DescribeInstanceHealth(BalancerInstances),
        /// Enable zones.
        EnableAvailabilityZonesForLoadBalancer(BalancerZones),
        /// Disable zones.
        DisableAvailabilityZonesForLoadBalancer(BalancerZones),
        /// Add subnets.
        AttachLoadBalancerToSubnets(BalancerSubnets),
        /// Remove subnets.
        DetachLoadBalancerFromSubnets(BalancerSubnets),
        /// Replace the security groups.
        ApplySecurityGroupsToLoadBalancer(BalancerGroups),
        /// Tag balancers.
        AddTags(BalancerTags),
        /// Untag balancers.
        RemoveTags(BalancerUntag),
        /// List tags of balancers.
        DescribeTags(Vec<String>),
    }
}

/// One filter: any of the values, each with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Filter name.
    pub name: String,
    /// Values, joined by "or".
    pub values: Vec<String>,
}

/// What most `Describe…` calls take.
#[derive(Debug, Clone, Default)]
pub struct Describe {
    /// Ids; empty is "all".
    pub ids: Vec<String>,
    /// Filters, joined by "and".
    pub filters: Vec<Filter>,
    /// Page size.
    pub max_results: Option<i64>,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// Body of `RunInstances`.
#[derive(Debug, Clone, Default)]
pub struct RunInstances {
    /// Parameters said in the call.
    pub spec: LaunchSpec,
    /// Template to start from.
    pub template: Option<TemplateRef>,
    /// `$Default` when absent.
    pub template_version: Option<String>,
    /// At least.
    pub min: u32,
    /// At most.
    pub max: u32,
    /// Idempotency token.
    pub client_token: Option<String>,
    /// Address asked for.
    pub private_ip: Option<String>,
}

/// Ids and whether to be harsh.
#[derive(Debug, Clone, Default)]
pub struct InstanceIds {
    /// Instance ids.
    pub ids: Vec<String>,
    /// `Force` of StopInstances.
    pub force: bool,
}

/// Body of `DescribeInstanceStatus`.
#[derive(Debug, Clone, Default)]
pub struct DescribeInstanceStatus {
    /// Ids, filters and page.
    pub describe: Describe,
    /// Also those that do not run.
    pub include_all: bool,
}

/// Body of `ModifyInstanceAttribute`.
#[derive(Debug, Clone, Default)]
pub struct ModifyInstanceAttribute {
    /// Instance id.
    pub id: String,
    /// New value of the protection.
    pub termination_protection: Option<bool>,
    /// New shutdown behaviour.
    pub shutdown: Option<String>,
    /// New type; only while stopped.
    pub instance_type: Option<String>,
    /// New user-data in base64; only while stopped.
    pub user_data: Option<String>,
    /// New security groups; empty is "not said".
    pub group_ids: Vec<String>,
}

/// Body of `DescribeInstanceAttribute`.
#[derive(Debug, Clone, Default)]
pub struct InstanceAttribute {
    /// Instance id.
    pub id: String,
    /// Attribute name.
    pub attribute: String,
}

/// Body of `ModifyInstanceMetadataOptions`.
#[derive(Debug, Clone, Default)]
pub struct ModifyMetadata {
    /// Instance id.
    pub id: String,
    /// The options, in the fields that a launch has for them.
    pub spec: LaunchSpec,
}

/// Body of `CreateTags`.
#[derive(Debug, Clone, Default)]
pub struct TagResources {
    /// Any ids.
    pub ids: Vec<String>,
    /// Tags to set.
    pub tags: Tags,
}

/// Body of `DeleteTags`.
#[derive(Debug, Clone, Default)]
pub struct UntagResources {
    /// Any ids.
    pub ids: Vec<String>,
    /// Keys, with the value that a tag must have to be removed; empty is "all tags".
    pub tags: BTreeMap<String, Option<String>>,
}

/// Body of `DescribeImages`.
#[derive(Debug, Clone, Default)]
pub struct DescribeImages {
    /// Ids, filters and page.
    pub describe: Describe,
    /// `self`, `amazon`, account ids.
    pub owners: Vec<String>,
}

/// Body of `CreateImage`.
#[derive(Debug, Clone, Default)]
pub struct CreateImage {
    /// Instance id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Text.
    pub description: String,
    /// Copy the disk live.
    pub no_reboot: bool,
    /// Tags by resource type: `image`, `snapshot`.
    pub tags: BTreeMap<String, Tags>,
}

impl Ec2Request {
    /// Whether it is about images, snapshots, tags or regions: what a region without instances has.
    pub(super) fn is_of_images(&self) -> bool {
        let action = self.action();
        ["Image", "Snapshot", "Tags", "Regions"].iter().any(|part| action.contains(part))
            && action != "CreateImage"
    }
}

/// Body of `CopyImage`.
#[derive(Debug, Clone, Default)]
pub struct CopyImage {
    /// Image id.
    pub source: String,
    /// The region that has it.
    pub region: String,
    /// Name of the copy.
    pub name: String,
    /// Text.
    pub description: String,
    /// The copy gets the tags of the image.
    pub copy_tags: bool,
    /// Tags by resource type: `image`, `snapshot`.
    pub tags: BTreeMap<String, Tags>,
    /// Idempotency token.
    pub client_token: Option<String>,
}

/// Body of `ModifyImageAttribute` and `ModifySnapshotAttribute`: accounts, or the group `all`.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// Image or snapshot id.
    pub id: String,
    /// Who may from now on.
    pub add: Vec<String>,
    /// Who may no more.
    pub remove: Vec<String>,
}

/// Body of `DescribeImageAttribute` and `DescribeSnapshotAttribute`.
#[derive(Debug, Clone, Default)]
pub struct AttributeOf {
    /// Image or snapshot id.
    pub id: String,
    /// Its name on the wire.
    pub attribute: String,
}

/// Body of `DeregisterImage`.
#[derive(Debug, Clone, Default)]
pub struct DeregisterImage {
    /// Image id.
    pub id: String,
    /// `DeleteAssociatedSnapshots`.
    pub delete_snapshots: bool,
}

/// Body of `DescribeSecurityGroups`.
#[derive(Debug, Clone, Default)]
pub struct DescribeGroups {
    /// Ids, filters and page.
    pub describe: Describe,
    /// Names; empty is "all".
    pub names: Vec<String>,
}

/// Body of `CreateSecurityGroup`.
#[derive(Debug, Clone, Default)]
pub struct CreateGroup {
    /// Name.
    pub name: String,
    /// Text.
    pub description: String,
    /// VPC; the default one when absent.
    pub vpc_id: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// A security group by id or by name.
#[derive(Debug, Clone, Default)]
pub struct GroupRef {
    /// Id.
    pub id: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// Body of the calls that open and close ports.
#[derive(Debug, Clone, Default)]
pub struct GroupPorts {
    /// Which group.
    pub group: GroupRef,
    /// Ports.
    pub ports: Vec<PortRange>,
}

/// A launch template by id or by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TemplateRef {
    /// Id.
    pub id: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// Body of `CreateLaunchTemplate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CreateTemplate {
    /// Name.
    pub name: String,
    /// Text of version 1.
    pub description: Option<String>,
    /// Parameters of version 1.
    pub spec: LaunchSpec,
    /// Tags of the template.
    pub tags: Tags,
    /// Idempotency token.
    pub client_token: Option<String>,
}

/// Body of `CreateLaunchTemplateVersion`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CreateTemplateVersion {
    /// Which template.
    pub template: TemplateRef,
    /// Version to start from.
    pub source: Option<String>,
    /// Text.
    pub description: Option<String>,
    /// Parameters, over those of the source.
    pub spec: LaunchSpec,
    /// Idempotency token.
    pub client_token: Option<String>,
}

/// Body of `DescribeLaunchTemplates`.
#[derive(Debug, Clone, Default)]
pub struct DescribeTemplates {
    /// Ids, filters and page.
    pub describe: Describe,
    /// Names; empty is "all".
    pub names: Vec<String>,
}

/// Body of `DescribeLaunchTemplateVersions`.
#[derive(Debug, Clone, Default)]
pub struct DescribeTemplateVersions {
    /// Which template; absent lists `$Latest` or `$Default` of all.
    pub template: TemplateRef,
    /// Numbers, `$Latest`, `$Default`; empty is "all".
    pub versions: Vec<String>,
    /// Lowest number.
    pub min: Option<u64>,
    /// Highest number.
    pub max: Option<u64>,
    /// Filters and page.
    pub describe: Describe,
}

/// Body of `ModifyLaunchTemplate`.
#[derive(Debug, Clone, Default)]
pub struct ModifyTemplate {
    /// Which template.
    pub template: TemplateRef,
    /// The new default: a number, or `$Latest`.
    pub default_version: String,
}

/// Body of `DeleteLaunchTemplateVersions`.
#[derive(Debug, Clone, Default)]
pub struct DeleteTemplateVersions {
    /// Which template.
    pub template: TemplateRef,
    /// Numbers.
    pub versions: Vec<String>,
}
