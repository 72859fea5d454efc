//! The account databases below a root: who is who, by name or number.

// Effects: reads the account databases.
#![allow(clippy::disallowed_methods)]

use std::ffi::CString;
use std::io;
use std::path::Path;

/// A user, with all its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) gecos: String,
    pub(crate) home: String,
    pub(crate) shell: String,
    /// Numbers of the primary and all supplementary groups.
    pub(crate) groups: Vec<u32>,
}

/// A group as its database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
    pub(crate) members: Vec<String>,
}

/// The databases as text, read once for a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) users: Vec<Account>,
    pub(crate) groups: Vec<Group>,
}

impl Accounts {
    /// Read `etc/passwd` and `etc/group` below `root`; an absent file is an empty database.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let text = |name: &str| match std::fs::read_to_string(root.join("etc").join(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            other => other,
        };
        Ok(Self::parse(&text("passwd")?, &text("group")?))
    }

    /// Pure: from the text of passwd(5) and group(5). Lines that are not entries are passed over, as libc does.
    pub(crate) fn parse(passwd: &str, group: &str) -> Self {
        let groups: Vec<Group> = group.lines().filter_map(parse_group).collect();
        let users = passwd.lines().filter_map(|line| parse_user(line, &groups)).collect();
        Self { users, groups }
    }

    pub(crate) fn user(&self, name: &str) -> Option<&Account> {
        self.users.iter().find(|u| u.name == name)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// The name of a group number.
    pub(crate) fn group_name(&self, gid: u32) -> Option<&str> {
        self.groups.iter().find(|g| g.gid == gid).map(|g| g.name.as_str())
    }

    /// Names of the groups that list the user, sorted; without the primary one.
    pub(crate) fn supplementary(&self, user: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .groups
            .iter()
            .filter(|g| g.members.iter().any(|m| m == user))
            .map(|g| g.name.clone())
            .collect();
        names.sort();
        names
    }
}

fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|n| !n.is_empty())?.to_owned();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or_default();
    let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    Some(Group { name, gid, members })
}

fn parse_user(line: &str, groups: &[Group]) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|n| !n.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let mut text = || fields.next().unwrap_or_default().to_owned();
    let (gecos, home, shell) = (text(), text(), text());
    let listed = groups.iter().filter(|g| g.gid != gid && g.members.contains(&name)).map(|g| g.gid);
    let groups = std::iter::once(gid).chain(listed).collect();
    Some(Account { name, uid, gid, gecos, home, shell, groups })
}

/// The account of a user by name or number, below `root`; on the machine itself through its name services.
pub(crate) fn account(root: &Path, user: &str) -> io::Result<Option<Account>> {
    if root != Path::new("/") {
        let all = Accounts::read(root)?;
        let number = user.parse::<u32>().ok();
        let found = all.user(user).or_else(|| all.users.iter().find(|u| Some(u.uid) == number));
        return Ok(found.cloned());
    }
    let by_name = nix::unistd::User::from_name(user).map_err(io::Error::from)?;
    let found = match (by_name, user.parse::<u32>()) {
        (None, Ok(uid)) => nix::unistd::User::from_uid(uid.into()).map_err(io::Error::from)?,
        (found, _) => found,
    };
    found.map(with_groups).transpose()
}

fn with_groups(user: nix::unistd::User) -> io::Result<Account> {
    let name = CString::new(user.name.as_str()).map_err(io::Error::other)?;
    let groups = nix::unistd::getgrouplist(&name, user.gid).map_err(io::Error::from)?;
    Ok(Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        gecos: user.gecos.to_string_lossy().into_owned(),
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        name: user.name,
    })
}

/// The number of a group by name or number, below `root`.
pub(crate) fn gid(root: &Path, group: &str) -> io::Result<Option<u32>> {
    let number = group.parse::<u32>().ok();
    if root != Path::new("/") {
        return Ok(Accounts::read(root)?.group(group).map(|g| g.gid).or(number));
    }
    let found = nix::unistd::Group::from_name(group).map_err(io::Error::from)?;
    Ok(found.map(|g| g.gid.as_raw()).or(number))
}

/// The number of a user by name or number, below `root`.
pub(crate) fn uid(root: &Path, user: &str) -> io::Result<Option<u32>> {
    Ok(account(root, user)?.map(|a| a.uid).or_else(|| user.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_and_group_are_joined() {
        let all = Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\n\n+::::::\nweb:x:33:33:Web,,,:/srv:/bin/false\n",
            "root:x:0:\nweb:x:33:\nadm:x:4:syslog,web\n",
        );
        let web = all.user("web").unwrap();
        assert_eq!((web.uid, web.gid, web.groups.clone()), (33, 33, vec![33, 4]));
        assert_eq!((web.gecos.as_str(), web.home.as_str()), ("Web,,,", "/srv"));
        assert_eq!(all.supplementary("web"), ["adm"]);
        assert_eq!(all.users.len(), 2);
        assert_eq!(all.group_name(4), Some("adm"));
    }
}
