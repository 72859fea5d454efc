//! Bodies of the calls about application and network load balancers and target groups (API version 2015-12-01).
use super::model::Tags;
use super::request::calls;
use super::target_model::{BalancerKind, ForwardTo, TargetProtocol, TargetType};

calls! {
    /// Calls about application and network load balancers.
    Elbv2Request {
        /// Make a balancer.
        CreateLoadBalancer(CreateLoadBalancer),
        /// Remove a balancer by ARN.
        DeleteLoadBalancer(String),
        /// List balancers.
        DescribeLoadBalancers(DescribeLoadBalancers),
        /// Read attributes by ARN.
        DescribeLoadBalancerAttributes(String),
        /// Set attributes.
        ModifyLoadBalancerAttributes(SetAttributes),
        /// Set subnets.
        SetSubnets(SetIds),
        /// Set security groups.
        SetSecurityGroups(SetIds),
        /// Add a listener.
        CreateListener(CreateListener),
        /// Change a listener.
        ModifyListener(ModifyListener),
        /// Remove a listener by ARN.
        DeleteListener(String),
        /// List listeners.
        DescribeListeners(DescribeListeners),
        /// List rules.
        DescribeRules(DescribeRules),
        /// Make a target group.
        CreateTargetGroup(CreateTargetGroup),
        /// Change its health check.
        ModifyTargetGroup(ModifyTargetGroup),
        /// Remove a target group by ARN.
        DeleteTargetGroup(String),
        /// List target groups.
        DescribeTargetGroups(DescribeTargetGroups),
        /// Read attributes by ARN.
        DescribeTargetGroupAttributes(String),
        /// Set attributes.
        ModifyTargetGroupAttributes(SetAttributes),
        /// Register.
        RegisterTargets(GroupTargets),
        /// Deregister.
        DeregisterTargets(GroupTargets),
        /// Health of targets.
        DescribeTargetHealth(GroupTargets),
        /// Tag.
        AddTags(TagArns),
        /// Untag.
        RemoveTags(UntagArns),
        /// List tags, by ARN.
        DescribeTags(Vec<String>),
    }
}

/// Body of `CreateLoadBalancer`.
#[derive(Debug, Clone, Default)]
pub struct CreateLoadBalancer {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: BalancerKind,
    /// Subnets, one a zone.
    pub subnets: Vec<String>,
    /// Security groups.
    pub groups: Vec<String>,
    /// `internal` or absent.
    pub scheme: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// Page of a list.
#[derive(Debug, Clone, Default)]
pub struct PageOf {
    /// `PageSize`, 1–400.
    pub size: Option<i64>,
    /// Where the page before ended.
    pub marker: Option<String>,
}

/// Body of `DescribeLoadBalancers`.
#[derive(Debug, Clone, Default)]
pub struct DescribeLoadBalancers {
    /// ARNs; empty is "all".
    pub arns: Vec<String>,
    /// Names; empty is "all".
    pub names: Vec<String>,
    /// Page.
    pub page: PageOf,
}

/// Attributes of one balancer or target group.
#[derive(Debug, Clone, Default)]
pub struct SetAttributes {
    /// Its ARN.
    pub arn: String,
    /// Key and value, as given.
    pub attributes: Vec<(String, String)>,
}

/// Body of `SetSubnets` and `SetSecurityGroups`.
#[derive(Debug, Clone, Default)]
pub struct SetIds {
    /// ARN of the balancer.
    pub arn: String,
    /// What it shall have.
    pub ids: Vec<String>,
}

/// Health check settings as far as they are said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckSettings {
    /// Whether there are any checks.
    pub enabled: Option<bool>,
    /// Protocol.
    pub protocol: Option<TargetProtocol>,
    /// `traffic-port` or a number.
    pub port: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// Codes that pass.
    pub matcher: Option<String>,
    /// Seconds between checks.
    pub interval: Option<u32>,
    /// Seconds until a check counts as failed.
    pub timeout: Option<u32>,
    /// Passes in a row.
    pub healthy_threshold: Option<u32>,
    /// Failures in a row.
    pub unhealthy_threshold: Option<u32>,
}

/// Body of `CreateTargetGroup`.
#[derive(Debug, Clone, Default)]
pub struct CreateTargetGroup {
    /// Name.
    pub name: String,
    /// Protocol.
    pub protocol: Option<TargetProtocol>,
    /// Port.
    pub port: Option<u16>,
    /// VPC.
    pub vpc_id: Option<String>,
    /// Type of the targets.
    pub target_type: TargetType,
    /// Health check.
    pub check: CheckSettings,
    /// Tags.
    pub tags: Tags,
}

/// Body of `ModifyTargetGroup`.
#[derive(Debug, Clone, Default)]
pub struct ModifyTargetGroup {
    /// ARN.
    pub arn: String,
    /// What changes.
    pub check: CheckSettings,
}

/// Body of `DescribeTargetGroups`.
#[derive(Debug, Clone, Default)]
pub struct DescribeTargetGroups {
    /// Those of one balancer.
    pub load_balancer: Option<String>,
    /// ARNs; empty is "all".
    pub arns: Vec<String>,
    /// Names; empty is "all".
    pub names: Vec<String>,
    /// Page.
    pub page: PageOf,
}

/// Body of `CreateListener`.
#[derive(Debug, Clone, Default)]
pub struct CreateListener {
    /// ARN of the balancer.
    pub load_balancer: String,
    /// Protocol.
    pub protocol: TargetProtocol,
    /// Port.
    pub port: u16,
    /// Where it forwards to.
    pub forward: Vec<ForwardTo>,
    /// Tags.
    pub tags: Tags,
}

/// Body of `ModifyListener`.
#[derive(Debug, Clone, Default)]
pub struct ModifyListener {
    /// ARN.
    pub arn: String,
    /// Protocol.
    pub protocol: Option<TargetProtocol>,
    /// Port.
    pub port: Option<u16>,
    /// Where it forwards to; empty is "as before".
    pub forward: Vec<ForwardTo>,
}

/// Body of `DescribeListeners`.
#[derive(Debug, Clone, Default)]
pub struct DescribeListeners {
    /// Those of one balancer.
    pub load_balancer: Option<String>,
    /// ARNs.
    pub arns: Vec<String>,
    /// Page.
    pub page: PageOf,
}

/// Body of `DescribeRules`.
#[derive(Debug, Clone, Default)]
pub struct DescribeRules {
    /// Those of one listener.
    pub listener: Option<String>,
    /// ARNs.
    pub arns: Vec<String>,
    /// Page.
    pub page: PageOf,
}

/// A target as a call names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetRef {
    /// Instance id or address.
    pub id: String,
    /// Port, where it is not the group's.
    pub port: Option<u16>,
    /// Zone of an address, or `all`.
    pub zone: Option<String>,
}

/// Body of `RegisterTargets`, `DeregisterTargets` and `DescribeTargetHealth`.
#[derive(Debug, Clone, Default)]
pub struct GroupTargets {
    /// ARN of the target group.
    pub group: String,
    /// Targets; for `DescribeTargetHealth` empty is "all".
    pub targets: Vec<TargetRef>,
}

/// Body of `AddTags`.
#[derive(Debug, Clone, Default)]
pub struct TagArns {
    /// ARNs.
    pub arns: Vec<String>,
    /// Tags to set.
    pub tags: Tags,
}

/// Body of `RemoveTags`.
#[derive(Debug, Clone, Default)]
pub struct UntagArns {
    /// ARNs.
    pub arns: Vec<String>,
    /// Keys.
    pub keys: Vec<String>,
}
