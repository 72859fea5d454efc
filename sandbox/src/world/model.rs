//! The records that the cloud keeps.
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::effect::{HealthCheck, Listener, PortRange};

/// A moment. Always handed in.
pub type Timestamp = DateTime<Utc>;

/// Key to value.
pub type Tags = BTreeMap<String, String>;

/// Life of an instance.
///
/// ```text
/// pending → running → stopping → stopped → pending
///    └──────────┴─────────┴──────────┴→ shutting-down → terminated
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Asked for, not up yet.
    Pending,
    /// Up.
    Running,
    /// Being terminated.
    ShuttingDown,
    /// Over; visible for a while.
    Terminated,
    /// Being stopped.
    Stopping,
    /// Off, disk kept.
    Stopped,
}

impl InstanceState {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// AWS's number for it.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Whether it holds its address and counts against capacity or may do so again.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self != Self::Terminated
    }
}

/// Why an instance is in its state: code and message as `StateReason` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateReason {
    /// For instance `Client.UserInitiatedShutdown`.
    pub code: String,
    /// Text.
    pub message: String,
}

impl StateReason {
    /// Code and message as AWS joins them: the message begins with the code.
    pub(super) fn new(code: &str, text: &str) -> Self {
        Self { code: code.to_owned(), message: format!("{code}: {text}") }
    }
}

/// IMDS settings of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataOptions {
    /// `HttpTokens=required`: no answer without an IMDSv2 token.
    pub tokens_required: bool,
    /// 1–64; 1 by default, so that a container's bridge cannot reach it.
    pub hop_limit: u8,
    /// `HttpEndpoint=enabled`.
    pub enabled: bool,
    /// `InstanceMetadataTags=enabled`.
    pub tags: bool,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self { tokens_required: false, hop_limit: 1, enabled: true, tags: false }
    }
}

/// A set of launch parameters: what `RunInstances` and launch template versions share. Absent is "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LaunchSpec {
    /// AMI.
    pub image_id: Option<String>,
    /// Type.
    pub instance_type: Option<String>,
    /// Key pair.
    pub key_name: Option<String>,
    /// Base64 as it came.
    pub user_data: Option<String>,
    /// Subnet, of the request or of its first network interface.
    pub subnet_id: Option<String>,
    /// `Placement.AvailabilityZone`.
    pub zone: Option<String>,
    /// Security group ids; empty is "not said".
    pub group_ids: Vec<String>,
    /// Security group names; empty is "not said".
    pub group_names: Vec<String>,
    /// Instance profile, name or ARN.
    pub instance_profile: Option<String>,
    /// `stop` or `terminate`.
    pub shutdown: Option<String>,
    /// `HttpTokens`.
    pub http_tokens: Option<String>,
    /// `HttpPutResponseHopLimit`.
    pub hop_limit: Option<u8>,
    /// `HttpEndpoint`.
    pub http_endpoint: Option<String>,
    /// `InstanceMetadataTags`.
    pub metadata_tags: Option<String>,
    /// `DisableApiTermination`.
    pub termination_protection: Option<bool>,
    /// `EbsOptimized`.
    pub ebs_optimized: Option<bool>,
    /// Tags by the resource type that they go on.
    pub tags: BTreeMap<String, Tags>,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `i-` and 17 hex digits.
    pub id: String,
    /// The call that launched it.
    pub reservation_id: String,
    /// Its number within that call.
    pub launch_index: u32,
    /// AMI.
    pub image_id: String,
    /// Type.
    pub instance_type: String,
    /// Key pair.
    pub key_name: Option<String>,
    /// Subnet.
    pub subnet_id: String,
    /// Zone of the subnet.
    pub zone: String,
    /// 10.77.x.y.
    pub private_ip: Ipv4Addr,
    /// 127.77.x.y.
    pub public_ip: Ipv4Addr,
    /// Security groups.
    pub groups: Vec<String>,
    /// Instance profile name.
    pub instance_profile: Option<String>,
    /// Whether a shutdown from inside terminates.
    pub terminate_on_shutdown: bool,
    /// `TerminateInstances` is refused.
    pub termination_protection: bool,
    /// IMDS settings.
    pub metadata: MetadataOptions,
    /// Raw user-data.
    pub user_data: Option<Arc<[u8]>>,
    /// Tags.
    pub tags: Tags,
    /// State.
    pub state: InstanceState,
    /// Why it is in that state.
    pub reason: Option<StateReason>,
    /// When and why the last transition was asked for, as `reason` in answers.
    pub transition: String,
    /// Idempotency token of its launch.
    pub client_token: Option<String>,
    /// When it was launched or last started.
    pub launch_time: Timestamp,
    /// Root volume id.
    pub volume_id: String,
    /// Network interface id.
    pub interface_id: String,
    /// From here on others see it.
    pub visible_at: Timestamp,
    /// When it became running.
    pub running_since: Option<Timestamp>,
    /// When it terminated.
    pub terminated_at: Option<Timestamp>,
    /// A transition that waits: not before this moment.
    pub due: Timestamp,
    /// A transition that waits: the runtime has done its part.
    pub observed: bool,
    /// A launch that goes to `terminated` with this reason.
    pub doomed: Option<StateReason>,
}

impl Instance {
    /// `ip-10-77-0-4`.
    #[must_use]
    pub fn hostname(&self) -> String {
        format!("ip-{}", self.private_ip.to_string().replace('.', "-"))
    }

    /// Whether a shutdown or termination has nothing left to do with a machine.
    pub(super) fn holds_capacity(&self) -> bool {
        !matches!(self.state, InstanceState::Terminated | InstanceState::Stopped)
    }
}

/// Account ids, or the group `all`.
pub type Accounts = std::collections::BTreeSet<String>;

/// Life of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    /// Being copied.
    Pending,
    /// Usable.
    Available,
    /// The copy failed.
    Failed,
    /// Gone; kept only for the instances that name it.
    Deregistered,
}

impl ImageState {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Failed => "failed",
            Self::Deregistered => "deregistered",
        }
    }
}

/// An AMI.
#[derive(Debug, Clone)]
pub struct Image {
    /// `ami-` and 17 hex digits.
    pub id: String,
    /// Unique in the account among those that are registered.
    pub name: String,
    /// Text.
    pub description: String,
    /// Account id.
    pub owner: String,
    /// `amazon` or `self`: the alias that `Owner` takes besides the account id.
    pub stock: bool,
    /// State.
    pub state: ImageState,
    /// Why it failed.
    pub reason: Option<String>,
    /// When.
    pub created: Timestamp,
    /// The instance it was made of.
    pub source_instance: Option<String>,
    /// The image that it stems from, with its region: what that instance booted from, or of a copy what was copied.
    pub source_image: Option<(String, String)>,
    /// Its disk.
    pub snapshot_id: String,
    /// Tags.
    pub tags: Tags,
    /// The region it is in.
    pub region: &'static str,
    /// Accounts (or the group `all`) that may launch it besides its owner.
    pub shared_with: Accounts,
    /// From here on others see it.
    pub visible_at: Timestamp,
    /// Copied; available from `due` on.
    pub copied: bool,
    /// Not available before this moment.
    pub due: Timestamp,
}

/// A snapshot behind an image.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `snap-` and 17 hex digits.
    pub id: String,
    /// Text.
    pub description: String,
    /// When.
    pub started: Timestamp,
    /// Whether the copy is complete.
    pub completed: bool,
    /// The volume it was made of.
    pub volume_id: String,
    /// Tags.
    pub tags: Tags,
    /// Owner's account id.
    pub owner: String,
    /// The region it is in.
    pub region: &'static str,
    /// Accounts (or the group `all`) that may make volumes and images of it.
    pub shared_with: Accounts,
}

/// One immutable version of a launch template.
#[derive(Debug, Clone)]
pub struct TemplateVersion {
    /// Its number, given by the service.
    pub number: u64,
    /// Text.
    pub description: Option<String>,
    /// When.
    pub created: Timestamp,
    /// Launch parameters.
    pub spec: LaunchSpec,
}

/// A launch template.
#[derive(Debug, Clone)]
pub struct Template {
    /// `lt-` and 17 hex digits.
    pub id: String,
    /// Unique.
    pub name: String,
    /// When.
    pub created: Timestamp,
    /// Tags of the template itself; its versions have none.
    pub tags: Tags,
    /// The version that `$Default` means.
    pub default_version: u64,
    /// The highest number ever given.
    pub latest_version: u64,
    /// Versions by number.
    pub versions: BTreeMap<u64, TemplateVersion>,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroup {
    /// `sg-` and 17 hex digits.
    pub id: String,
    /// Unique in its VPC.
    pub name: String,
    /// Text.
    pub description: String,
    /// TCP ports open to everybody.
    pub ports: Vec<PortRange>,
    /// Tags.
    pub tags: Tags,
}

/// A subnet; one a zone.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// Id.
    pub id: String,
    /// Zone.
    pub zone: String,
    /// First address.
    pub network: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
    /// Tags.
    pub tags: Tags,
    /// Where the search for a free address goes on.
    pub next_host: u32,
}

/// Where a registered instance stands with its balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Registered; no probe before the moment.
    Registering {
        /// When probing starts.
        until: Timestamp,
    },
    /// Being probed; has not passed yet since its registration.
    Unproven,
    /// In service.
    InService {
        /// Failures in a row.
        failures: u32,
    },
    /// Failed too often.
    Unhealthy {
        /// Passes in a row.
        passes: u32,
    },
    /// Deregistered, requests may be in flight.
    Draining {
        /// When it is cut off.
        until: Timestamp,
    },
}

/// A classic load balancer.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// Unique.
    pub name: String,
    /// When.
    pub created: Timestamp,
    /// 127.78.0.N.
    pub address: Ipv4Addr,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Enabled zones.
    pub zones: BTreeSet<String>,
    /// Subnets, where it was made with subnets.
    pub subnets: BTreeSet<String>,
    /// Security groups.
    pub groups: Vec<String>,
    /// Listeners by port.
    pub listeners: BTreeMap<u16, Listener>,
    /// Health check.
    pub health_check: HealthCheck,
    /// `ConnectionDraining.Enabled`.
    pub draining: bool,
    /// `ConnectionDraining.Timeout`, seconds.
    pub drain_timeout: u32,
    /// `CrossZoneLoadBalancing.Enabled`.
    pub cross_zone: bool,
    /// `ConnectionSettings.IdleTimeout`, seconds.
    pub idle_timeout: u32,
    /// Tags.
    pub tags: Tags,
    /// Instances.
    pub members: BTreeMap<String, Registration>,
}
