//! Turns the machine off, for image builders whose work is done.
// Effects: the machine itself.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

/// Writes everything to disk and powers off: through systemd where it runs, else by the kernel. Returns only on failure.
///
/// # Errors
/// What refused, in one line.
pub(crate) fn poweroff(root: &Path) -> Result<(), String> {
    nix::unistd::sync();
    if root.join("run/systemd/system").is_dir() {
        let status =
            Command::new("systemctl").arg("poweroff").status().map_err(|e| format!("systemctl: {e}"))?;
        return if status.success() { Ok(()) } else { Err(format!("systemctl poweroff: {status}")) };
    }
    match nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(error) => Err(format!("reboot(POWER_OFF): {error}")),
    }
}
