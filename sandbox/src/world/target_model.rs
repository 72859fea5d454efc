//! Records of the newer load balancers: balancers, listeners, target groups and their targets.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::effect::SlowStart;
use super::model::{Tags, Timestamp};

/// Attribute name to value, as the API has them.
pub type Attributes = BTreeMap<String, String>;

/// The two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BalancerKind {
    /// HTTP.
    #[default]
    Application,
    /// TCP.
    Network,
}

impl BalancerKind {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }

    /// As ARNs have it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Network => "net",
        }
    }
}

/// What listeners, target groups and health checks speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TargetProtocol {
    /// HTTP.
    #[default]
    Http,
    /// HTTP over TLS. The sandbox keeps and shows it, and speaks without TLS.
    Https,
    /// TCP.
    Tcp,
}

impl TargetProtocol {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
        }
    }

    /// The kind of balancer that can use it for its traffic.
    #[must_use]
    pub fn kind(self) -> BalancerKind {
        match self {
            Self::Http | Self::Https => BalancerKind::Application,
            Self::Tcp => BalancerKind::Network,
        }
    }
}

/// What a target's id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TargetType {
    /// An instance id.
    #[default]
    Instance,
    /// An address.
    Ip,
}

impl TargetType {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
        }
    }
}

/// A balancer of type application or network.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    /// `arn:…:loadbalancer/app/NAME/ID`.
    pub arn: String,
    /// Unique among these.
    pub name: String,
    /// Kind.
    pub kind: BalancerKind,
    /// When.
    pub created: Timestamp,
    /// `provisioning` until this moment; absent once it is active.
    pub provisioning_until: Option<Timestamp>,
    /// 127.78.0.N.
    pub address: Ipv4Addr,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Enabled zones, each with its subnet.
    pub zones: BTreeMap<String, String>,
    /// Security groups.
    pub groups: Vec<String>,
    /// Attributes.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// Listeners by port.
    pub listeners: BTreeMap<u16, TargetListener>,
}

impl LoadBalancer {
    /// `app/NAME/ID`: the name of its data path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.arn.split_once("loadbalancer/").map_or(self.arn.as_str(), |(_, path)| path)
    }

    /// Whether it serves already.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.provisioning_until.is_none()
    }
}

/// A listener with its default action, which forwards.
#[derive(Debug, Clone)]
pub struct TargetListener {
    /// `arn:…:listener/app/NAME/ID/ID`.
    pub arn: String,
    /// The ARN of its default rule.
    pub rule_arn: String,
    /// Port.
    pub port: u16,
    /// Protocol.
    pub protocol: TargetProtocol,
    /// Where it forwards to.
    pub forward: Vec<ForwardTo>,
    /// Tags.
    pub tags: Tags,
}

/// One target group of a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardTo {
    /// ARN of the target group.
    pub group: String,
    /// 0–999.
    pub weight: u32,
}

/// Health check settings of a target group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetCheck {
    /// Protocol.
    pub protocol: TargetProtocol,
    /// A port, or the one on which the target gets its traffic.
    pub port: Option<u16>,
    /// Path, for HTTP.
    pub path: String,
    /// Codes that pass, as they were given: `200`, `200,202`, `200-299`.
    pub matcher: String,
    /// Seconds between checks of one target.
    pub interval: u32,
    /// Seconds until a check counts as failed.
    pub timeout: u32,
    /// Passes in a row until healthy again.
    pub healthy_threshold: u32,
    /// Failures in a row until unhealthy.
    pub unhealthy_threshold: u32,
}

/// A target group.
#[derive(Debug, Clone)]
pub struct TargetGroup {
    /// `arn:…:targetgroup/NAME/ID`.
    pub arn: String,
    /// Unique.
    pub name: String,
    /// What targets get.
    pub protocol: TargetProtocol,
    /// Port of targets that are registered without one.
    pub port: u16,
    /// Type of its targets.
    pub target_type: TargetType,
    /// Health check.
    pub check: TargetCheck,
    /// Attributes.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// Registered and draining targets.
    pub targets: BTreeMap<TargetKey, Target>,
}

impl TargetGroup {
    /// A number among the attributes.
    #[must_use]
    pub fn number(&self, attribute: &str) -> u32 {
        self.attributes.get(attribute).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// A target: instance id or address, and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// Instance id or address.
    pub id: String,
    /// Port.
    pub port: u16,
}

impl TargetKey {
    /// `ID:PORT`: the backend's id in the data path.
    #[must_use]
    pub fn backend(&self) -> String {
        format!("{}:{}", self.id, self.port)
    }

    /// The inverse of [`TargetKey::backend`].
    #[must_use]
    pub fn of_backend(backend: &str) -> Option<Self> {
        let (id, port) = backend.rsplit_once(':')?;
        Some(Self { id: id.to_owned(), port: port.parse().ok()? })
    }
}

/// A registered target.
#[derive(Debug, Clone)]
pub struct Target {
    /// The zone that was named with an address: a zone, or `all`.
    pub zone: Option<String>,
    /// Where it stands.
    pub state: TargetState,
}

/// Where a target stands with its group.
///
/// ```text
/// idle → registering → initial → healthy ⇄ unhealthy
///   └─────────┴───────────┴────────┴──────────┴→ draining → gone
/// ```
/// A target that cannot be used any more (stopped, zone off, no listener) is idle again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetState {
    /// No balancer can use it.
    Idle,
    /// Registered; no check before the moment.
    Registering {
        /// When checks start.
        until: Timestamp,
    },
    /// Being checked; has neither passed nor failed often enough.
    Initial {
        /// Failures in a row.
        failures: u32,
    },
    /// In service.
    Healthy {
        /// Failures in a row.
        failures: u32,
        /// The time in which its share grows.
        slow_start: Option<SlowStart>,
    },
    /// Failed too often.
    Unhealthy {
        /// Passes in a row.
        passes: u32,
        /// How the last check failed.
        failure: CheckFailure,
        /// Connections may go on until then.
        draining_until: Option<Timestamp>,
    },
    /// Deregistered; shown until the delay is over, whatever is in flight.
    Draining {
        /// When it is gone.
        until: Timestamp,
    },
}

/// How a check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckFailure {
    /// No answer in time.
    Timeout,
    /// No connection, or nonsense.
    Connection,
    /// Another code than those that pass.
    Code(u16),
    /// The balancer's own.
    Internal,
}
