//! User and group names to numbers.

use nix::unistd::{Gid, Group, Uid, User};
use std::ffi::CString;

/// Who a process becomes.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// `None`: it keeps those that it has.
    pub(crate) groups: Option<Vec<rustix::fs::Gid>>,
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// The identity of `User=` and `Group=`; `None` when neither is given.
pub(crate) fn identity(
    user: Option<&str>,
    group: Option<&str>,
    supplementary: &[String],
) -> Result<Option<Identity>, String> {
    if user.is_none() && group.is_none() && supplementary.is_empty() {
        return Ok(None);
    }
    let entry = user.map(user_entry).transpose()?.or_else(|| User::from_uid(Uid::current()).ok().flatten());
    let entry = entry.ok_or_else(|| "the current user has no entry in passwd".to_owned())?;
    let gid = group.map(group_id).transpose()?.unwrap_or(entry.gid);
    let name = CString::new(entry.name.as_str()).map_err(|_| "a user name holds a zero byte".to_owned())?;
    let mut groups =
        nix::unistd::getgrouplist(&name, gid).map_err(|e| format!("groups of {}: {e}", entry.name))?;
    for extra in supplementary {
        groups.push(group_id(extra)?);
    }
    let is_ourselves = entry.uid == Uid::effective() && gid == Gid::effective();
    let groups = groups.iter().map(|group| rustix::fs::Gid::from_raw(group.as_raw())).collect();
    let groups = if is_ourselves && may_not_set_groups() { None } else { Some(groups) };
    let (home, shell) = (entry.dir.display().to_string(), entry.shell.display().to_string());
    Ok(Some(Identity { uid: entry.uid, gid, groups, name: entry.name, home, shell }))
}

/// In a user namespace of an ordinary user nobody sets groups, and root there has no others to give up
/// (user_namespaces(7), `/proc/self/setgroups`).
// Effects: asks the kernel.
#[allow(clippy::disallowed_methods)]
fn may_not_set_groups() -> bool {
    std::fs::read("/proc/self/setgroups").is_ok_and(|said| said.starts_with(b"deny"))
}

/// The numbers of a user and group for a file's owner.
pub(crate) fn ids(user: Option<&str>, group: Option<&str>) -> Result<(Option<u32>, Option<u32>), String> {
    let entry = user.map(user_entry).transpose()?;
    let gid = group.map(group_id).transpose()?.or(entry.as_ref().map(|e| e.gid));
    Ok((entry.map(|e| e.uid.as_raw()), gid.map(Gid::as_raw)))
}

fn user_entry(user: &str) -> Result<User, String> {
    let by_number = || user.parse().ok().and_then(|id| User::from_uid(Uid::from_raw(id)).ok().flatten());
    let found = User::from_name(user).map_err(|e| format!("looking up user `{user}`: {e}"))?;
    found.or_else(by_number).ok_or_else(|| format!("User={user}: there is no such user"))
}

fn group_id(group: &str) -> Result<Gid, String> {
    let found = Group::from_name(group).map_err(|e| format!("looking up group `{group}`: {e}"))?;
    let by_number = || group.parse().ok().map(Gid::from_raw);
    found.map(|g| g.gid).or_else(by_number).ok_or_else(|| format!("Group={group}: there is no such group"))
}
