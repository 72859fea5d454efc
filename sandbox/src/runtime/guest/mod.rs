//! The inside of an instance: what runs between `exec` and the instance's own first program.
//!
//! Two processes per instance, both this executable run again:
//! 1. the *guardian* ([`guardian`]) makes the namespaces, starts the init as their pid 1, passes signals on and
//!    reports how it ended; it dies with the daemon (`PR_SET_PDEATHSIG`);
//! 2. the *init* ([`init`]) builds the root ([`root`]), configures its network ([`net`]), gives up privileges, boots
//!    ([`boot`]) and then reaps, restarts and shuts down.
//!
//! Their standard input brings the word `go` when the daemon has plugged the network in; standard output carries one
//! word a line back (`unshared`, `up`, `error …`, `end …`); standard error is the console.

mod boot;
mod guardian;
mod init;
mod net;
mod root;

pub(crate) use boot::BOOT_BINARY;
pub(crate) use guardian::{FREEZE, KILL, REBOOT, STOP, THAW, guard};
pub(crate) use init::run as init;
pub(crate) use net::{INTERFACE, index as link_index};

use std::path::Path;

use super::spec::GuestSpec;

/// Why an instance could not come up; the text goes to its console and to the daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("cannot read the launch order {path}: {reason}")]
    Spec { path: String, reason: String },
    #[error("the kernel refuses {what}: {source}")]
    Kernel { what: String, source: nix::errno::Errno },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("cannot configure the network: {0}")]
    Network(String),
    #[error("cannot give up privileges: {0}")]
    Capabilities(String),
    #[error("the sandbox went away before the instance was up")]
    Orphaned,
}

impl GuestError {
    fn kernel(what: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Self {
        let what = what.into();
        move |source| Self::Kernel { what, source }
    }

    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

// Effects: the launch order is a file.
#[allow(clippy::disallowed_methods)]
fn load(path: &Path) -> Result<GuestSpec, GuestError> {
    let failed = |reason: String| GuestError::Spec { path: path.display().to_string(), reason };
    let text = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))
}

/// Says one word to the daemon; a daemon that is gone is noticed by the death signal, not here.
fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
