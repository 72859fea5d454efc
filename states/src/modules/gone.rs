//! `user.absent` and `group.absent`, with userdel and groupdel.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::Command;
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, last_words, tool};
use crate::modules::group::{account_name, account_tool, read};
use crate::value::{Map, Value};

pub(crate) const USER: &[&str] = &["purge", "force"];
pub(crate) const IGNORED: &[&str] = &["local"];

/// What userdel ends with when the user is gone and something of its home is left.
const HOME_REMAINS: i32 = 12;

/// A user that is not to be there.
pub(crate) struct Unwanted {
    name: String,
    purge: bool,
    force: bool,
}

/// `user.absent`.
pub(crate) struct UserAbsent;

impl StateFn for UserAbsent {
    type Want = Unwanted;
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Unwanted, Failure> {
        Ok(Unwanted {
            name: account_name(&call.chunk.name, "user")?,
            purge: args.flag("purge", false)?,
            force: args.flag("force", false)?,
        })
    }

    fn observe(want: &Unwanted, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(read(call)?.user(&want.name).is_some())
    }

    fn diff(want: &Unwanted, there: &bool) -> Diff<()> {
        if !there {
            return Diff::Same(format!("User {} is not present", want.name));
        }
        let changes = Map::from([(want.name.clone(), Value::Str("removed".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("User {} would be removed", want.name) }
    }

    fn apply(want: &Unwanted, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let before = read(call)?;
        let mut argv = account_tool("userdel", call);
        argv.extend(want.purge.then(|| "-r".to_owned()));
        argv.extend(want.force.then(|| "-f".to_owned()));
        argv.push(want.name.clone());
        let output = call.context.host.run(&Command::argv(argv).env("LC_ALL", "C.UTF-8"))?;
        let after = read(call)?;
        if !matches!(output.code, 0 | HOME_REMAINS) || after.user(&want.name).is_some() {
            let words = last_words(&output);
            return Err(Failure::machine(format!("`userdel` ended with exit code {}{words}", output.code)));
        }
        let own = before.groups.iter().filter(|g| after.group(&g.name).is_none());
        let removed = || Value::Str("removed".to_owned());
        let mut changes: Map = own.map(|g| (format!("{} group", g.name), removed())).collect();
        changes.insert(want.name.clone(), removed());
        let comment = format!("Removed user {}", want.name);
        Ok(Applied { comment, changes: Some(changes), failed: false })
    }
}

/// `group.absent`.
pub(crate) struct GroupAbsent;

impl StateFn for GroupAbsent {
    type Want = String;
    type Observed = bool;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        account_name(&call.chunk.name, "group")
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(read(call)?.group(name).is_some())
    }

    fn diff(name: &String, there: &bool) -> Diff<()> {
        if !there {
            return Diff::Same("Group not present".to_owned());
        }
        let changes = Map::from([(name.clone(), Value::Str(String::new()))]);
        Diff::Change { plan: (), changes, would: format!("Group {name} would be removed") }
    }

    fn apply(name: &String, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let mut argv = account_tool("groupdel", call);
        argv.push(name.clone());
        tool(call, &argv, TOOL_TIMEOUT)?;
        Ok(Applied::done(format!("Removed group {name}")))
    }
}
