//! Answers as data. The wire renders them.
use std::collections::BTreeMap;

use super::effect::HealthCheck;
use super::model::{
    Balancer, Image, Instance, InstanceState, SecurityGroup, Snapshot, Subnet, Tags, Template,
    TemplateVersion, Timestamp,
};
use super::parameters::Parameter;
use super::target_model::{Attributes, LoadBalancer, TargetGroup, TargetKey, TargetListener};

/// What a call answers. Records are copies: an answer is a moment.
#[derive(Debug, Clone)]
pub enum Response {
    /// Nothing but success.
    Done,
    /// `RunInstances`.
    Launched(Reservation),
    /// `DescribeInstances`.
    Instances(Page<Reservation>),
    /// `DescribeInstanceStatus`.
    Statuses(Page<InstanceStatus>),
    /// `DescribeInstanceTypes`.
    InstanceTypes(Vec<InstanceType>),
    /// Terminate, stop and start.
    StateChanges(Vec<StateChange>),
    /// `DescribeInstanceAttribute`.
    Attribute {
        /// Instance id.
        id: String,
        /// Element name and value.
        value: (String, Option<String>),
        /// Security groups, for `groupSet`.
        groups: Option<Vec<String>>,
    },
    /// `ModifyInstanceMetadataOptions`.
    Metadata(Box<Instance>),
    /// `GetConsoleOutput`; the text itself is the runtime's.
    Console {
        /// Instance id.
        id: String,
        /// When the console was read.
        at: Timestamp,
        /// Whether there can be any output yet.
        started: bool,
    },
    /// EC2 `DescribeTags`.
    Tags(Page<TagRecord>),
    /// `DescribeImages`.
    Images(Page<Image>),
    /// `CreateImage`.
    ImageId(String),
    /// `DescribeImageAttribute`, `DescribeSnapshotAttribute`.
    SharedWith {
        /// Image or snapshot id.
        id: String,
        /// Which of them.
        of_image: bool,
        /// Account ids, or the group `all`.
        accounts: super::model::Accounts,
    },
    /// `DescribeSnapshots`.
    Snapshots(Page<Snapshot>),
    /// `DescribeSubnets`, with the free addresses of each.
    Subnets(Page<(Subnet, u32)>),
    /// `DescribeVpcs`.
    Vpcs(Vec<Tags>),
    /// `DescribeSecurityGroups`.
    Groups(Page<SecurityGroup>),
    /// `CreateSecurityGroup`.
    GroupId(String),
    /// `DescribeAvailabilityZones`: name and id.
    Zones(Vec<(String, String)>),
    /// `DescribeRegions`.
    Regions(Vec<String>),
    /// Create, modify and delete of a template.
    Template(Box<Template>),
    /// `DescribeLaunchTemplates`.
    Templates(Page<Template>),
    /// `CreateLaunchTemplateVersion`.
    TemplateVersion(Box<VersionRecord>),
    /// `DescribeLaunchTemplateVersions`.
    TemplateVersions(Page<VersionRecord>),
    /// `DeleteLaunchTemplateVersions`.
    DeletedVersions(Vec<DeletedVersion>),
    /// `CreateLoadBalancer`.
    DnsName(String),
    /// `DescribeLoadBalancers`.
    Balancers(Page<Balancer>),
    /// Describe and modify of balancer attributes.
    BalancerAttributes(Box<Balancer>),
    /// `ConfigureHealthCheck`.
    HealthCheck(HealthCheck),
    /// Register and deregister: who is registered now.
    Registered(Vec<String>),
    /// `DescribeInstanceHealth`.
    Health(Vec<InstanceHealth>),
    /// Enable and disable of zones.
    BalancerZones(Vec<String>),
    /// Attach and detach of subnets.
    BalancerSubnets(Vec<String>),
    /// `ApplySecurityGroupsToLoadBalancer`.
    BalancerGroups(Vec<String>),
    /// ELB `DescribeTags`.
    BalancerTags(Vec<(String, Tags)>),
    /// `GetCallerIdentity`.
    CallerIdentity,
    /// ELBv2 `CreateLoadBalancer` and `DescribeLoadBalancers`.
    LoadBalancers(Page<LoadBalancerRecord>),
    /// Attributes of a balancer or target group.
    Attributes(Attributes),
    /// `SetSubnets`: zones with their subnets.
    SubnetZones(BTreeMap<String, String>),
    /// `SetSecurityGroups`.
    SecurityGroupIds(Vec<String>),
    /// Create, modify and describe of target groups.
    TargetGroups(Page<GroupRecord>),
    /// Create, modify and describe of listeners.
    Listeners(Page<ListenerRecord>),
    /// `DescribeRules`: the default rule of each of these listeners.
    Rules(Page<ListenerRecord>),
    /// `DescribeTargetHealth`.
    TargetHealth(Vec<TargetHealth>),
    /// ELBv2 `DescribeTags`.
    ArnTags(Vec<(String, Tags)>),
    /// `GetParameter`.
    Parameter(Parameter),
    /// `GetParameters`.
    Parameters {
        /// Those that are there.
        found: Vec<Parameter>,
        /// Names of those that are not.
        unknown: Vec<String>,
    },
    /// `PutParameter`.
    ParameterVersion(u64),
}

/// Part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Records.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next_token: Option<String>,
}

impl<T> Page<T> {
    /// Everything on one page.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next_token: None }
    }
}

/// The instances of one launch.
#[derive(Debug, Clone)]
pub struct Reservation {
    /// `r-` and 17 hex digits.
    pub id: String,
    /// Instances, by launch index.
    pub instances: Vec<Instance>,
    /// Names of the security groups that the instances have, by id.
    pub group_names: Tags,
}

/// Status checks of one instance.
#[derive(Debug, Clone)]
pub struct InstanceStatus {
    /// Instance id.
    pub id: String,
    /// Zone.
    pub zone: String,
    /// State.
    pub state: InstanceState,
    /// `ok`, `initializing` or `not-applicable`.
    pub check: &'static str,
}

/// A known instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceType {
    /// For instance `t3.micro`.
    pub name: &'static str,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
}

/// A transition that a call began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Instance id.
    pub id: String,
    /// Before.
    pub previous: InstanceState,
    /// Now.
    pub current: InstanceState,
}

/// One tag of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRecord {
    /// Resource id.
    pub resource_id: String,
    /// For instance `instance`.
    pub resource_type: &'static str,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// A template version with what it belongs to.
#[derive(Debug, Clone)]
pub struct VersionRecord {
    /// Template id.
    pub template_id: String,
    /// Template name.
    pub template_name: String,
    /// Whether it is the default.
    pub is_default: bool,
    /// The version.
    pub version: TemplateVersion,
}

/// The end of one version, or why it stays.
#[derive(Debug, Clone)]
pub struct DeletedVersion {
    /// Template id.
    pub template_id: String,
    /// Template name.
    pub template_name: String,
    /// Its number.
    pub number: u64,
    /// Code and message where it stays.
    pub refused: Option<(String, String)>,
}

/// State of one instance behind a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceHealth {
    /// Instance id.
    pub instance_id: String,
    /// `InService`, `OutOfService` or `Unknown`.
    pub state: &'static str,
    /// `ELB`, `Instance` or `N/A`.
    pub reason_code: &'static str,
    /// Text.
    pub description: &'static str,
}

/// An application or network load balancer as it is now.
#[derive(Debug, Clone)]
pub struct LoadBalancerRecord {
    /// The balancer.
    pub balancer: LoadBalancer,
    /// Whether it serves already.
    pub active: bool,
}

/// A target group, without its targets, and who sends to it.
#[derive(Debug, Clone)]
pub struct GroupRecord {
    /// The group.
    pub group: TargetGroup,
    /// ARNs of balancers.
    pub load_balancers: Vec<String>,
}

/// A listener and its balancer.
#[derive(Debug, Clone)]
pub struct ListenerRecord {
    /// ARN of the balancer.
    pub load_balancer: String,
    /// The listener.
    pub listener: TargetListener,
}

/// Health of one target.
#[derive(Debug, Clone)]
pub struct TargetHealth {
    /// The target.
    pub key: TargetKey,
    /// Zone of an address.
    pub zone: Option<String>,
    /// The port on which it is checked.
    pub check_port: u16,
    /// State, reason and description.
    pub status: (&'static str, Option<&'static str>, Option<String>),
}
