//! What a sandbox is started with, and where it keeps its state.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::world;

/// Where the API answers unless told otherwise.
pub const API_PORT: u16 = 4577;
/// Where git is served unless told otherwise.
pub const GIT_PORT: u16 = 4578;

/// How a sandbox is started. `..SandboxConfig::default()` fills in what does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Disks, logs and the lock; made if absent, mode 0700. One sandbox at a time.
    pub state_dir: PathBuf,
    /// Where the EC2 and ELB APIs answer. Loopback only. Port 0 picks a free one.
    pub api_addr: SocketAddr,
    /// Folder of bare git repositories to serve; none are when absent.
    pub git_root: Option<PathBuf>,
    /// Where they are served, on the host; inside instances the same port of 10.77.255.254. Port 0 picks a free one.
    pub git_addr: SocketAddr,
    /// The `mayfly-boot` program that goes into the image `mayfly-bare`.
    pub boot_binary: Option<PathBuf>,
    /// Servers of the host that instances reach at the given port of 10.77.255.254.
    pub forwards: Vec<Forward>,
    /// Delays, faults, capacity and limits of the cloud.
    pub world: world::Config,
    /// What processes get between SIGTERM and SIGKILL when an instance stops, in milliseconds.
    pub grace_ms: u64,
    /// Seed of all identifiers; a random one when absent.
    pub seed: Option<u64>,
    /// The program that is run again as the daemon: one that calls [`crate::entry::maybe_run`] first. This program when
    /// absent.
    pub program: Option<PathBuf>,
    /// End the sandbox when the [`crate::Handle`] that started it is dropped or its process dies.
    pub die_with_starter: bool,
}

/// One server of the host that instances may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Port of 10.77.255.254 inside.
    pub port: u16,
    /// Address on the host.
    pub to: SocketAddr,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            state_dir: default_state_dir(),
            api_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT)),
            git_root: None,
            git_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, GIT_PORT)),
            boot_binary: None,
            forwards: Vec::new(),
            world: world::Config::default(),
            grace_ms: 3_000,
            seed: None,
            program: None,
            die_with_starter: false,
        }
    }
}

impl SandboxConfig {
    /// A private sandbox in `state_dir` on free ports, as tests and demonstrations want it.
    #[must_use]
    pub fn private(state_dir: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { state_dir: state_dir.into(), api_addr: free, git_addr: free, ..Self::default() }
    }
}

/// `$XDG_RUNTIME_DIR/mayfly-sandbox`, or `/tmp/mayfly-sandbox-<uid>`.
#[must_use]
pub fn default_state_dir() -> PathBuf {
    let uid = nix::unistd::Uid::effective();
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() && !uid.is_root() => Path::new(&runtime).join("mayfly-sandbox"),
        _ => PathBuf::from(format!("/tmp/mayfly-sandbox-{uid}")),
    }
}
