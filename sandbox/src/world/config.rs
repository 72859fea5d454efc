//! What can be set about the cloud: delays, limits, capacity and faults. All of it is data and serialisable.
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the cloud takes for its own part of things. Milliseconds; the defaults keep a demonstration quick while
/// every state remains visible to a client that polls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// Launch or start until `running`, at least (the machine must have started too).
    pub pending_ms: u64,
    /// `StopInstances` until `stopped`, at least.
    pub stopping_ms: u64,
    /// `TerminateInstances` until `terminated`, at least.
    pub shutting_down_ms: u64,
    /// `running` until the status checks leave `initializing` for `ok`.
    pub status_ok_ms: u64,
    /// Eventual consistency: a new instance or image is absent from every answer but its own for this long.
    pub visible_ms: u64,
    /// Registration with a classic or application load balancer until its first health check.
    pub registration_ms: u64,
    /// Registration with a network load balancer until its first health check; on AWS these are minutes.
    pub nlb_registration_ms: u64,
    /// Creation of an application or network load balancer until it is `active`.
    pub provisioning_ms: u64,
    /// Image copied until `available`.
    pub image_ms: u64,
    /// How long a terminated instance stays in the answers.
    pub corpse_ms: u64,
    /// How long a client token is remembered after the last of its instances has terminated.
    pub token_ms: u64,
    /// Divisor of every draining timeout and deregistration delay: 1 is the real second.
    pub drain_divisor: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            pending_ms: 400,
            stopping_ms: 200,
            shutting_down_ms: 200,
            status_ok_ms: 500,
            visible_ms: 150,
            registration_ms: 500,
            nlb_registration_ms: 1_500,
            provisioning_ms: 300,
            image_ms: 300,
            corpse_ms: 3_600_000,
            token_ms: 86_400_000,
            drain_divisor: 1,
        }
    }
}

impl Delays {
    /// Everything at once: for tests that look at something else.
    #[must_use]
    pub fn none() -> Self {
        Self {
            pending_ms: 0,
            stopping_ms: 0,
            shutting_down_ms: 0,
            status_ok_ms: 0,
            visible_ms: 0,
            registration_ms: 0,
            nlb_registration_ms: 0,
            provisioning_ms: 0,
            image_ms: 0,
            ..Self::default()
        }
    }
}

/// A ceiling on running instances, of one type and zone where those are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Only this instance type; all when absent.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// Only this availability zone; all when absent.
    #[serde(default)]
    pub zone: Option<String>,
    /// How many may exist at once (terminated and stopped ones do not count).
    pub max: u32,
}

/// A token bucket for one action, or for each action on its own where `action` is `*`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Action name, or `*`. `RunInstances:resources` limits launched instances instead of calls.
    pub action: String,
    /// Size of the bucket.
    pub burst: u32,
    /// Tokens added a second.
    pub per_second: f64,
}

/// What a fault does to the call that it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The call has no effect and is answered with this error.
    Error {
        /// AWS error code.
        code: String,
        /// HTTP status.
        #[serde(default = "default_status")]
        status: u16,
        /// Text; a plain one when empty.
        #[serde(default)]
        message: String,
    },
    /// The call has no effect and is never answered.
    Hang,
    /// The call takes effect; the connection is closed before an answer.
    LostAfterEffect,
    /// The call takes effect and is answered late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// `RunInstances` answers 200; its instances go from pending to terminated with this reason.
    LaunchDies {
        /// `StateReason` code.
        #[serde(default = "default_death")]
        code: String,
        /// `StateReason` message.
        #[serde(default)]
        message: String,
    },
}

fn default_status() -> u16 {
    500
}

fn default_death() -> String {
    "Server.InternalError".to_owned()
}

/// A fault waiting for its call.
// Unknown keys fall through to the flattened kind, which refuses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Action name, for instance `RunInstances`; `*` is any action.
    pub action: String,
    /// How many matching calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many matching calls after those are hit; 0 is every one.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn one() -> u32 {
    1
}

/// Everything that can be set, at start or while running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The cloud's own delays.
    pub delays: Delays,
    /// Faults, in the order in which they are tried.
    pub faults: Vec<Fault>,
    /// Ceilings; a launch above one is `InsufficientInstanceCapacity`.
    pub capacity: Vec<Capacity>,
    /// Token buckets; none by default.
    pub throttles: Vec<Throttle>,
    /// Zones whose instances cannot be described by id.
    pub impaired_zones: Vec<String>,
    /// Names of target groups whose health the service does not check: their targets are `unavailable`.
    pub unavailable_groups: Vec<String>,
    /// SSM parameters that nobody put, by name: public ones as `/aws/service/…`.
    pub parameters: BTreeMap<String, String>,
    /// The account's ceiling on live instances.
    pub max_instances: u32,
    /// Which pair of loopback networks the addresses on the host come from: 0 is 127.77 for instances and 127.78 for
    /// balancers, 1 is 127.79 and 127.80, and so on. Several sandboxes of one host differ in it.
    pub loopback_block: u8,
}

impl Config {
    /// How many blocks there are.
    pub const BLOCKS: u8 = 32;

    /// Second octet of instances' addresses on the host.
    #[must_use]
    pub fn public_octet(&self) -> u8 {
        77 + 2 * (self.loopback_block % Self::BLOCKS)
    }

    /// Second octet of balancers' addresses on the host.
    #[must_use]
    pub fn balancer_octet(&self) -> u8 {
        self.public_octet() + 1
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delays: Delays::default(),
            faults: Vec::new(),
            capacity: Vec::new(),
            throttles: Vec::new(),
            impaired_zones: Vec::new(),
            unavailable_groups: Vec::new(),
            parameters: BTreeMap::new(),
            max_instances: 256,
            loopback_block: 0,
        }
    }
}

/// Milliseconds as the signed duration that timestamps take.
pub(super) fn ms(milliseconds: u64) -> chrono::TimeDelta {
    let longest = Duration::from_secs(365 * 86_400);
    chrono::TimeDelta::from_std(Duration::from_millis(milliseconds).min(longest)).unwrap_or_default()
}
