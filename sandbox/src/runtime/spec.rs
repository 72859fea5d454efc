//! What the daemon tells an instance's first process: the launch order, as data, and where its files lie.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The gateway-side address of the sandbox in every instance's network; git and forwards answer here.
pub const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 254);
/// Where instance metadata answers, as on EC2.
pub const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The hardware address behind both. Fixed, so that instances need not ask for it.
pub const HOST_MAC: [u8; 6] = [0x02, 0x4d, 0x46, 0xff, 0xff, 0xfe];
/// Length of the network prefix that instances share.
pub const PREFIX_LENGTH: u8 = 16;

/// The hardware address of the instance that has `address`.
#[must_use]
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [_, _, high, low] = address.octets();
    [0x02, 0x4d, 0x46, 0x00, high, low]
}

/// One directory that is grafted into an instance's root by an overlay of its own.
///
/// The whole-root form has the single graft `name: "root", at: "/"`.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Graft {
    /// Folder name of this graft inside every layer (`root`, `usr`, …).
    pub name: String,
    /// Absolute path inside the instance.
    pub at: PathBuf,
    /// Read-only directories below the layers, topmost first.
    pub base: Vec<PathBuf>,
}

/// Everything that an instance's first process needs; written to `spec.json` (mode 0600) in its directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GuestSpec {
    /// Instance id.
    pub id: String,
    /// Host name inside.
    pub hostname: String,
    /// Private address.
    pub address: Ipv4Addr,
    /// State directory of the sandbox; layer paths are relative to it to keep mount options short.
    pub state_dir: PathBuf,
    /// The instance's own directory.
    pub dir: PathBuf,
    /// Image layers, topmost first, relative to `state_dir`.
    pub layers: Vec<PathBuf>,
    /// How the root is put together.
    pub grafts: Vec<Graft>,
    /// How long processes get between SIGTERM and SIGKILL when the instance stops, in milliseconds.
    pub grace_ms: u64,
}

impl GuestSpec {
    /// Where the launch order of the instance in `dir` is written.
    #[must_use]
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("spec.json")
    }

    /// The mount point of the instance's root, before it becomes `/`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }
}

/// How an instance's processes ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Powered itself off, or shut down because it was told to.
    PowerOff,
    /// Asked for a reboot.
    Reboot,
    /// Was killed.
    Killed,
    /// Its first process failed to start or broke.
    Failed,
}

impl Ending {
    /// The word on the status pipe between an instance's guardian and the daemon.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PowerOff => "poweroff",
            Self::Reboot => "reboot",
            Self::Killed => "killed",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`Ending::word`]; anything unknown counts as killed.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "poweroff" => Self::PowerOff,
            "reboot" => Self::Reboot,
            "failed" => Self::Failed,
            _ => Self::Killed,
        }
    }
}
