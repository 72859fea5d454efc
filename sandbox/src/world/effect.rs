//! What the world asks of whoever runs it (`Effect`) and what that reports back (`Observation`). Plain data.
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::model::{MetadataOptions, Tags};

/// A wish of the world, to be carried out in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Boot a machine: a new one, or one that was stopped and has a disk. Answer: `MachineStarted` or `MachineFailed`.
    StartMachine(Box<MachineSpec>),
    /// Power the machine off (gently unless `force`) and keep its disk. Answer: `MachineStopped`, also when it was off.
    StopMachine {
        /// Instance id.
        id: String,
        /// No time for an orderly shutdown.
        force: bool,
    },
    /// Restart the machine on its disk. No answer expected.
    RebootMachine {
        /// Instance id.
        id: String,
    },
    /// End the machine and drop its disk; also of one that is off. Answer: `MachineGone`.
    DestroyMachine {
        /// Instance id.
        id: String,
    },
    /// The security groups of a machine changed: these ports are open from the host now.
    OpenPorts {
        /// Instance id.
        id: String,
        /// TCP ports.
        ports: Vec<PortRange>,
    },
    /// Copy a machine's disk into a new image. Answer: `ImageCopied` or `ImageFailed`.
    CopyImage {
        /// The new image.
        image_id: String,
        /// The machine whose disk is copied.
        instance_id: String,
        /// Stop a running machine first and start it again after (CreateImage without NoReboot). Otherwise copy it live.
        reboot: bool,
    },
    /// Make an image with the disk of another one. Answer: `ImageCopied`.
    CloneImage {
        /// The new image.
        image_id: String,
        /// The other one.
        of: String,
    },
    /// Remove an image's disk. Machines that run from it keep running.
    DropImage {
        /// The image.
        image_id: String,
    },
    /// The whole wanted state of one balancer's data path; replaces what was said before.
    BalancerChanged(Box<BalancerPlan>),
    /// The balancer was deleted: close its listeners and connections.
    BalancerGone {
        /// Its name, as in its plan.
        name: String,
    },
}

/// What the runtime saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The machine's init runs.
    MachineStarted {
        /// Instance id.
        id: String,
    },
    /// The machine could not be started.
    MachineFailed {
        /// Instance id.
        id: String,
        /// Why, for people; becomes the state reason.
        reason: String,
    },
    /// The machine is off and its disk kept, as `StopMachine` asked.
    MachineStopped {
        /// Instance id.
        id: String,
    },
    /// The machine and its disk are gone, as `DestroyMachine` asked.
    MachineGone {
        /// Instance id.
        id: String,
    },
    /// The machine powered itself off: it stops or terminates by its shutdown behaviour.
    MachinePoweredOff {
        /// Instance id.
        id: String,
    },
    /// The machine died without having been asked to: it is terminated, with the reason.
    MachineDied {
        /// Instance id.
        id: String,
        /// How, for people.
        reason: String,
    },
    /// One health check of one backend, as it fell out.
    Probed {
        /// Pool name: the classic balancer, or the ARN of the target group.
        pool: String,
        /// Backend id.
        backend: String,
        /// How it fell out.
        outcome: ProbeOutcome,
    },
    /// A draining backend has no request in flight any more.
    Drained {
        /// Pool name.
        pool: String,
        /// Backend id.
        backend: String,
    },
    /// The disk of an image is complete.
    ImageCopied {
        /// The image.
        image_id: String,
    },
    /// The disk of an image could not be copied.
    ImageFailed {
        /// The image.
        image_id: String,
        /// Why, for people.
        reason: String,
    },
}

/// A machine to boot.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineSpec {
    /// Instance id.
    pub id: String,
    /// The image whose disk it starts from (ignored when it has a disk of its own already).
    pub image_id: String,
    /// For instance `t3.micro`.
    pub instance_type: String,
    /// For instance `us-east-1a`.
    pub zone: String,
    /// For instance `us-east-1`.
    pub region: String,
    /// Address inside the fabric, 10.77.x.y.
    pub private_ip: Ipv4Addr,
    /// Address on the host, 127.77.x.y.
    pub public_ip: Ipv4Addr,
    /// `ip-10-77-x-y`.
    pub hostname: String,
    /// Raw, already decoded.
    pub user_data: Option<Arc<[u8]>>,
    /// Ports that the host may reach.
    pub ports: Vec<PortRange>,
    /// Tags at the moment of the start.
    pub tags: Tags,
    /// IMDS settings.
    pub metadata: MetadataOptions,
    /// Name of the instance profile.
    pub instance_profile: Option<String>,
    /// Key pair name.
    pub key_name: Option<String>,
    /// When it was launched.
    pub launch_time: DateTime<Utc>,
}

/// TCP ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortRange {
    /// First port.
    pub from: u16,
    /// Last port.
    pub to: u16,
}

/// The data path of one load balancer, of whatever kind.
#[derive(Debug, Clone, PartialEq)]
pub struct BalancerPlan {
    /// A classic balancer's name; of the others `app/NAME/ID` or `net/NAME/ID`, as their ARN ends.
    pub name: String,
    /// Where its listeners are, 127.78.0.N.
    pub address: Ipv4Addr,
    /// What it listens to.
    pub listeners: Vec<ListenerPlan>,
    /// Whom it sends to: a classic balancer has one pool, the others one a target group that they use.
    pub pools: Vec<PoolPlan>,
    /// Close a connection that is silent for this long.
    pub idle_timeout: Duration,
    /// Whether a balancer node sends to backends of other zones. The sandbox has one node, so this is only shown.
    pub cross_zone: bool,
}

impl BalancerPlan {
    /// Everybody who is to be probed, each with its pool's name.
    pub fn probed(&self) -> impl Iterator<Item = (&str, &Backend)> {
        let all = self.pools.iter().flat_map(|pool| pool.backends.iter().map(|b| (pool.name.as_str(), b)));
        all.filter(|(_, backend)| backend.probe.is_some())
    }
}

/// One listener of a data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerPlan {
    /// Clients' side.
    pub protocol: Protocol,
    /// Clients' port.
    pub port: u16,
    /// The port of every backend; absent where each has its own.
    pub instance_port: Option<u16>,
    /// Which pools get its requests, by weight.
    pub routes: Vec<Route>,
}

/// A pool's share of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of the pool.
    pub pool: String,
    /// Its part of the sum of all weights; 0 gets nothing.
    pub weight: u32,
}

/// Backends that share what is sent to them.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolPlan {
    /// The balancer's name, or the ARN of the target group.
    pub name: String,
    /// Who gets the next request.
    pub algorithm: Algorithm,
    /// Whether what is in flight is cut when its backend leaves; otherwise it ends by itself.
    pub cut: bool,
    /// Registered and draining backends.
    pub backends: Vec<Backend>,
}

/// Who gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Who has the fewest in flight; in turn among equals.
    LeastOutstanding,
    /// In turn.
    RoundRobin,
}

/// One backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Unique in its pool: the instance's id, or `ID:PORT` of a target.
    pub id: String,
    /// The instance; absent where an address was registered.
    pub instance_id: Option<String>,
    /// Where to send.
    pub address: Ipv4Addr,
    /// Which port, where the listener names none.
    pub port: u16,
    /// Its zone.
    pub zone: String,
    /// How to probe it; absent when it is not (not running, its zone off, registration under way, draining).
    pub probe: Option<Arc<ProbePlan>>,
    /// What to send it.
    pub traffic: Traffic,
    /// While its share of the requests grows.
    pub slow_start: Option<SlowStart>,
}

/// The time in which a backend's share grows from nothing to that of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowStart {
    /// Beginning.
    pub since: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
}

/// What a data path must know to probe a backend. Thresholds are the world's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePlan {
    /// What is asked.
    pub target: ProbeTarget,
    /// Seconds between probes.
    pub interval: u32,
    /// Seconds until a probe counts as failed.
    pub timeout: u32,
    /// Codes that pass, as ranges with both ends.
    pub accept: Vec<(u16, u16)>,
    /// How the balancer introduces itself.
    pub agent: &'static str,
}

/// How one probe fell out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Well.
    Passed,
    /// No answer within the timeout.
    TimedOut,
    /// No connection, or something that is not HTTP came back.
    ConnectionError,
    /// An answer with a code that does not pass.
    CodeMismatch(u16),
    /// The balancer itself could not probe.
    InternalError,
}

impl ProbeOutcome {
    /// Whether it passed.
    #[must_use]
    pub fn passed(self) -> bool {
        self == Self::Passed
    }
}

/// What a backend gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// Nothing: not in service.
    None,
    /// New requests.
    New,
    /// No new request; those in flight may finish until the world drops the backend. Answer: `Drained` when none is left.
    Draining,
}

/// One listener of a classic load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Clients' side.
    pub protocol: Protocol,
    /// Clients' port.
    pub port: u16,
    /// Instances' side.
    pub instance_protocol: Protocol,
    /// Instances' port.
    pub instance_port: u16,
}

/// What the sandbox's balancers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Requests are balanced.
    Http,
    /// Connections are balanced.
    Tcp,
}

impl Protocol {
    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tcp => "TCP",
        }
    }
}

/// A classic health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What is asked.
    pub target: ProbeTarget,
    /// Seconds between probes of one backend, 5–300 (the sandbox takes 1 as well).
    pub interval: u32,
    /// Seconds until a probe counts as failed, 2–60 (the sandbox takes 1 as well).
    pub timeout: u32,
    /// Passes in a row until `InService` again.
    pub healthy_threshold: u32,
    /// Failures in a row until `OutOfService`.
    pub unhealthy_threshold: u32,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeTarget {
    /// `GET path`; 200 passes.
    Http {
        /// Port.
        port: u16,
        /// Path, with its leading slash.
        path: String,
    },
    /// A connection that opens passes.
    Tcp {
        /// Port.
        port: u16,
    },
}
