//! The picture of a sandbox that `status` shows: plain data, the same in the daemon and its clients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that runs in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Process id of the daemon.
    pub pid: u32,
    /// URL of the APIs.
    pub endpoint: String,
    /// URL of git on the host.
    pub git_url: Option<String>,
    /// URL of git inside instances.
    pub instance_git_url: Option<String>,
    /// Whether it has the rights of root, or those of an ordinary user.
    pub root: bool,
    /// Instances, terminated ones too.
    pub instances: Vec<InstanceStatus>,
    /// Load balancers.
    pub balancers: Vec<BalancerStatus>,
    /// Images.
    pub images: Vec<ImageStatus>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Instance id.
    pub id: String,
    /// State as AWS names it.
    pub state: String,
    /// Image.
    pub image_id: String,
    /// Private address.
    pub private_ip: String,
    /// Address on the host.
    pub public_ip: String,
    /// Zone.
    pub zone: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Why it is in that state, when there is something to say.
    pub reason: Option<String>,
}

/// One load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerStatus {
    /// Name.
    pub name: String,
    /// Address on the host.
    pub address: String,
    /// `HTTP:80 → HTTP:8080` and the like.
    pub listeners: Vec<String>,
    /// Instance id to what it gets: `none`, `new` or `draining`.
    pub backends: BTreeMap<String, String>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStatus {
    /// AMI id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State as AWS names it.
    pub state: String,
}
