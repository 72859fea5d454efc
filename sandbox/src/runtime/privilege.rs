//! Gives the daemon the rights that it needs: a mount namespace, and for ordinary users one user namespace around all.
// Effects: changes this process's namespaces.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use crate::entry;

/// Why the kernel does not let us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    /// User namespaces are off for this user; the text says how to turn them on.
    #[error("this kernel does not let an ordinary user make namespaces ({reason}). {advice}")]
    UserNamespace {
        /// What the kernel said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The id map was refused.
    #[error("cannot map user ids into the sandbox: {0}")]
    Map(std::io::Error),
    /// Mount namespaces are refused even to root.
    #[error(
        "the kernel refuses a mount namespace ({0}). In a container, run it with --privileged, or as an ordinary user \
         on the host"
    )]
    Mounts(nix::errno::Errno),
}

/// Facts of the host that decide over user namespaces, read from /proc/sys; `None` where the kernel has no such switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu 23.10 and newer).
    pub(crate) apparmor_restricts: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (older Debian).
    pub(crate) debian_clone: Option<u64>,
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
}

impl Switches {
    /// Reads them.
    #[must_use]
    pub(crate) fn read() -> Self {
        let value =
            |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok();
        Self {
            apparmor_restricts: value("kernel/apparmor_restrict_unprivileged_userns"),
            debian_clone: value("kernel/unprivileged_userns_clone"),
            max_user_namespaces: value("user/max_user_namespaces"),
        }
    }

    /// What to do about a refusal.
    #[must_use]
    pub(crate) fn advice(self) -> String {
        let command = if self.max_user_namespaces == Some(0) {
            "sudo sysctl -w user.max_user_namespaces=15000"
        } else if self.debian_clone == Some(0) {
            "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        } else if self.apparmor_restricts.is_some_and(|value| value != 0) {
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        } else {
            return "Run it as root (sudo), or in a container started with --privileged.".to_owned();
        };
        format!("Run `{command}` (it lasts until the next boot), or run as root (sudo).")
    }
}

/// Which owners files and processes inside instances can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    /// Any.
    All,
    /// Root alone; the text says how to have more.
    RootOnly,
}

impl Owners {
    /// What people should know about it.
    pub(crate) fn note(self) -> Option<String> {
        let note = "inside instances there is no user but root (useradd, chown and su to others fail): install uidmap \
                    (apt-get install uidmap) and have a line for you in /etc/subuid and /etc/subgid, or run as root";
        (self == Self::RootOnly).then(|| note.to_owned())
    }
}

/// Enters the namespaces. Call while the process has a single thread.
///
/// # Errors
/// When the kernel refuses, saying what to do.
pub(crate) fn enter() -> Result<Owners, PrivilegeError> {
    let owners = if Uid::effective().is_root() { Owners::All } else { user_namespace()? };
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| refused(errno).unwrap_or(PrivilegeError::Mounts(errno)))?;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(PrivilegeError::Mounts)?;
    Ok(owners)
}

/// Ubuntu lets the user namespace be made and takes its rights away: the next step fails.
fn refused(errno: nix::errno::Errno) -> Option<PrivilegeError> {
    crate::runtime::in_user_namespace().then(|| PrivilegeError::UserNamespace {
        reason: errno.to_string(),
        advice: Switches::read().advice(),
    })
}

fn user_namespace() -> Result<Owners, PrivilegeError> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mapper = range_mapper(uid);
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| PrivilegeError::UserNamespace {
        reason: errno.to_string(),
        advice: Switches::read().advice(),
    })?;
    if let Some(mut mapper) = mapper {
        // Closing its input tells the helper that the namespace exists.
        drop(mapper.stdin.take());
        if mapper.wait().is_ok_and(|status| status.success()) {
            return Ok(Owners::All);
        }
    }
    single_map(uid, gid).map_err(PrivilegeError::Map)?;
    Ok(Owners::RootOnly)
}

/// Maps this user alone to root inside; other owners are not available then.
fn single_map(uid: Uid, gid: Gid) -> std::io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// A helper that waits outside and then runs `newuidmap` on us, where the system has it and grants us a range.
fn range_mapper(uid: Uid) -> Option<std::process::Child> {
    let ranges = fs::read_to_string("/etc/subuid").ok()?;
    let user = nix::unistd::User::from_uid(uid).ok()??.name;
    sub_range(&ranges, &user, uid.as_raw())?;
    Command::new(entry::SELF)
        .args([entry::MARK, entry::MAPPER, &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .ok()
}

/// The first range in a subuid(5) file that `user` has: start and count.
fn sub_range(text: &str, user: &str, uid: u32) -> Option<(u64, u64)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (name == user || name == uid.to_string()).then_some(range)
    })
}

/// The helper's body: waits for the namespace of `pid`, then maps the user and its subordinate ranges.
pub(crate) fn map_ranges(pid: &str) -> bool {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let (uid, gid) = (Uid::current(), Gid::current());
    let Ok(Some(user)) = nix::unistd::User::from_uid(uid) else { return false };
    let map = |program: &str, file: &str, own: u32| {
        let ranges = fs::read_to_string(file).unwrap_or_default();
        let Some((start, count)) = sub_range(&ranges, &user.name, uid.as_raw()) else { return false };
        let map = [0, u64::from(own), 1, 1, start, count].map(|number| number.to_string());
        Command::new(program).arg(pid).args(map).status().is_ok_and(|status| status.success())
    };
    map("newuidmap", "/etc/subuid", uid.as_raw()) && map("newgidmap", "/etc/subgid", gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_switch_that_is_off() {
        let none = Switches { max_user_namespaces: Some(0), ..Switches::default() };
        assert!(none.advice().contains("user.max_user_namespaces=15000"));
        let ubuntu =
            Switches { apparmor_restricts: Some(1), max_user_namespaces: Some(9), debian_clone: Some(1) };
        assert!(ubuntu.advice().contains("kernel.apparmor_restrict_unprivileged_userns=0"));
        let debian = Switches { debian_clone: Some(0), ..Switches::default() };
        assert!(debian.advice().contains("kernel.unprivileged_userns_clone=1"));
        assert!(Switches::default().advice().contains("root"));
    }

    #[test]
    fn subordinate_ranges_are_found_by_name_or_number() {
        let text = "root:100000:65536\nalice:165536:65536\n1001:300000:10\n";
        assert_eq!(sub_range(text, "alice", 1000), Some((165_536, 65_536)));
        assert_eq!(sub_range(text, "bob", 1001), Some((300_000, 10)));
        assert_eq!(sub_range(text, "eve", 1002), None);
    }
}
