//! `group.present`, with groupadd and groupmod.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::accounts::{Accounts, Group};
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, tool};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["gid", "system", "members", "addusers", "delusers", "non_unique"];

/// The declaration.
pub(crate) struct Want {
    name: String,
    gid: Option<u32>,
    system: bool,
    non_unique: bool,
    /// `Some`: exactly these.
    members: Option<Vec<String>>,
    add: Vec<String>,
    remove: Vec<String>,
}

/// What is to be done.
pub(crate) struct Plan {
    create: bool,
    gid: Option<u32>,
    /// `Some`: the members as they are to be.
    members: Option<Vec<String>>,
}

/// A name that the account tools and databases take; never read as an option.
pub(crate) fn account_name(name: &str, what: &str) -> Result<String, Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || ":,/".contains(c);
    if name.is_empty() || name.starts_with('-') || name.contains(odd) || name.len() > 32 {
        return Err(Failure::declaration(format!("{name:?} cannot be the name of a {what}")));
    }
    Ok(name.to_owned())
}

/// An account tool below the host's root.
pub(crate) fn account_tool(name: &str, call: &Call<'_>) -> Vec<String> {
    let mut argv = vec![name.to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.extend(["--prefix".to_owned(), root.to_string_lossy().into_owned()]);
    }
    argv
}

/// The account databases as they are now.
pub(crate) fn read(call: &Call<'_>) -> Result<Accounts, Failure> {
    let failed = |e| Failure::machine(format!("cannot read the account databases: {e}"));
    Accounts::read(call.context.host.root()).map_err(failed)
}

/// A list of texts as a value.
pub(crate) fn texts(list: &[String]) -> Value {
    Value::List(list.iter().cloned().map(Value::Str).collect())
}

/// `group.present`.
pub(crate) struct Present;

impl StateFn for Present {
    type Want = Want;
    type Observed = Option<Group>;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let names = |key: &str| -> Result<Option<Vec<String>>, Failure> {
            let list = args.list(key)?;
            list.map(|l| l.iter().map(|n| account_name(n, "user")).collect()).transpose()
        };
        let want = Want {
            name: account_name(&call.chunk.name, "group")?,
            gid: args.number("gid")?,
            system: args.flag("system", false)?,
            non_unique: args.flag("non_unique", false)?,
            members: names("members")?,
            add: names("addusers")?.unwrap_or_default(),
            remove: names("delusers")?.unwrap_or_default(),
        };
        if want.members.is_some() && !(want.add.is_empty() && want.remove.is_empty()) {
            return Err(Failure::declaration(
                "`members` says who is in the group; addusers and delusers cannot add to it",
            ));
        }
        if let Some(both) = want.add.iter().find(|n| want.remove.contains(n)) {
            return Err(Failure::declaration(format!("`{both}` is in addusers and in delusers")));
        }
        Ok(want)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Option<Group>, Failure> {
        Ok(read(call)?.group(&want.name).cloned())
    }

    fn diff(want: &Want, now: &Option<Group>) -> Diff<Plan> {
        let current = now.as_ref().map(|g| g.members.clone()).unwrap_or_default();
        let members = Some(wanted_members(want, &current)).filter(|m| !same(m, &current));
        let mut changes = Map::new();
        let gid = want.gid.filter(|gid| now.as_ref().is_none_or(|g| g.gid != *gid));
        if let Some(gid) = gid {
            changes.insert("gid".to_owned(), Value::Int(gid.into()));
        }
        if let Some(members) = &members {
            changes.insert("members".to_owned(), texts(members));
        }
        if now.is_none() {
            changes.insert("name".to_owned(), Value::Str(want.name.clone()));
        }
        if changes.is_empty() {
            return Diff::Same(format!("The group {} is as asked", want.name));
        }
        let would = match now {
            None => format!("The group {} would be added", want.name),
            Some(_) => format!("The group {} would be changed", want.name),
        };
        Diff::Change { plan: Plan { create: now.is_none(), gid, members }, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let mut argv = account_tool(if plan.create { "groupadd" } else { "groupmod" }, call);
        if plan.create && want.system {
            argv.push("-r".to_owned());
        }
        if want.non_unique && plan.gid.is_some() {
            argv.push("-o".to_owned());
        }
        if let Some(gid) = plan.gid {
            argv.extend(["-g".to_owned(), gid.to_string()]);
        }
        if let Some(members) = &plan.members {
            argv.extend(["-U".to_owned(), members.join(",")]);
        }
        argv.push(want.name.clone());
        tool(call, &argv, TOOL_TIMEOUT)?;
        if !plan.create {
            return Ok(Applied::done(format!("Group {} changed", want.name)));
        }
        let changes = read(call)?.group(&want.name).map(told);
        Ok(Applied { changes, ..Applied::done(format!("Group {} added", want.name)) })
    }
}

/// What Salt tells of a group that was made.
fn told(group: &Group) -> Map {
    Map::from([
        ("name".to_owned(), Value::Str(group.name.clone())),
        ("passwd".to_owned(), Value::Str("x".to_owned())),
        ("gid".to_owned(), Value::Int(group.gid.into())),
        ("members".to_owned(), texts(&group.members)),
    ])
}

fn wanted_members(want: &Want, current: &[String]) -> Vec<String> {
    if let Some(members) = &want.members {
        return members.clone();
    }
    let mut members: Vec<String> = current.iter().filter(|m| !want.remove.contains(m)).cloned().collect();
    members.extend(want.add.iter().filter(|m| !current.contains(m)).cloned());
    members
}

fn same(a: &[String], b: &[String]) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    sorted(a) == sorted(b)
}
