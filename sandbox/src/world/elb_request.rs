//! Bodies of classic ELB calls.
use super::effect::{HealthCheck, Listener};
use super::model::Tags;

/// Body of `CreateLoadBalancer`.
#[derive(Debug, Clone, Default)]
pub struct CreateBalancer {
    /// Name.
    pub name: String,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Zones to enable.
    pub zones: Vec<String>,
    /// Subnets to attach.
    pub subnets: Vec<String>,
    /// Security groups.
    pub groups: Vec<String>,
    /// `internal` or absent.
    pub scheme: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// Body of `DescribeLoadBalancers`.
#[derive(Debug, Clone, Default)]
pub struct DescribeBalancers {
    /// Names; empty is "all".
    pub names: Vec<String>,
    /// `PageSize`, 1–400.
    pub page_size: Option<i64>,
    /// Where the page before ended.
    pub marker: Option<String>,
}

/// Listeners of one balancer.
#[derive(Debug, Clone)]
pub struct BalancerListeners {
    /// Balancer name.
    pub name: String,
    /// Listeners.
    pub listeners: Vec<Listener>,
}

/// Ports of one balancer.
#[derive(Debug, Clone)]
pub struct BalancerPorts {
    /// Balancer name.
    pub name: String,
    /// Ports.
    pub ports: Vec<u16>,
}

/// Body of `ModifyLoadBalancerAttributes`.
#[derive(Debug, Clone, Default)]
pub struct ModifyBalancer {
    /// Balancer name.
    pub name: String,
    /// `CrossZoneLoadBalancing.Enabled`.
    pub cross_zone: Option<bool>,
    /// `ConnectionDraining`: on or off, seconds.
    pub draining: Option<(bool, Option<u32>)>,
    /// `ConnectionSettings.IdleTimeout`.
    pub idle_timeout: Option<u32>,
}

/// Body of `ConfigureHealthCheck`.
#[derive(Debug, Clone)]
pub struct ConfigureHealthCheck {
    /// Balancer name.
    pub name: String,
    /// The check.
    pub check: HealthCheck,
}

/// Instances of one balancer.
#[derive(Debug, Clone, Default)]
pub struct BalancerInstances {
    /// Balancer name.
    pub name: String,
    /// Instance ids.
    pub ids: Vec<String>,
}

/// Zones of one balancer.
#[derive(Debug, Clone, Default)]
pub struct BalancerZones {
    /// Balancer name.
    pub name: String,
    /// Zones.
    pub zones: Vec<String>,
}

/// Subnets of one balancer.
#[derive(Debug, Clone, Default)]
pub struct BalancerSubnets {
    /// Balancer name.
    pub name: String,
    /// Subnets.
    pub subnets: Vec<String>,
}

/// Security groups of one balancer.
#[derive(Debug, Clone, Default)]
pub struct BalancerGroups {
    /// Balancer name.
    pub name: String,
    /// Security groups.
    pub groups: Vec<String>,
}

/// Tags for balancers.
#[derive(Debug, Clone, Default)]
pub struct BalancerTags {
    /// Balancer names.
    pub names: Vec<String>,
    /// Tags to set.
    pub tags: Tags,
}

/// Tag keys to take from balancers.
#[derive(Debug, Clone, Default)]
pub struct BalancerUntag {
    /// Balancer names.
    pub names: Vec<String>,
    /// Keys.
    pub keys: Vec<String>,
}
