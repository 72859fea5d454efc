//! What is told of a user: by Salt's names, and what a step has changed of it.

use crate::engine::step::{Call, Failure};
use crate::modules::accounts::Accounts;
use crate::modules::gecos;
use crate::modules::group::{read, texts};
use crate::modules::shadow::Shadow;
use crate::value::{Map, Value};

/// A user as the databases have it.
pub(crate) struct Known {
    user: Option<Map>,
    shadow: Option<Shadow>,
}

impl Known {
    /// As they are now; of the password only where it matters.
    pub(crate) fn of(name: &str, shadow: bool, call: &Call<'_>) -> Result<Self, Failure> {
        let shadow = if shadow { Shadow::of(name, call)? } else { None };
        Ok(Self { user: info(name, &read(call)?), shadow })
    }

    /// What has changed: of a new user everything, else what is another than it was.
    pub(crate) fn until(self, after: &Self) -> Map {
        let mut changes = after.user.clone().unwrap_or_default();
        let Some(before) = self.user else { return changes };
        changes.retain(|key, value| before.get(key) != Some(value));
        if let (Some(before), Some(after)) = (&self.shadow, &after.shadow) {
            changes.extend(after.since(before));
        }
        changes
    }
}

/// What Salt tells of a user.
fn info(name: &str, accounts: &Accounts) -> Option<Map> {
    let user = accounts.user(name)?;
    let mut groups = accounts.supplementary(name);
    groups.extend(accounts.group_name(user.gid).map(str::to_owned));
    groups.sort();
    groups.dedup();
    let number = |n: u32| Value::Int(n.into());
    let text = |t: &str| Value::Str(t.to_owned());
    let mut info = Map::from([
        ("uid".to_owned(), number(user.uid)),
        ("gid".to_owned(), number(user.gid)),
        ("groups".to_owned(), texts(&groups)),
        ("home".to_owned(), text(&user.home)),
        ("name".to_owned(), text(name)),
        ("passwd".to_owned(), text("x")),
        ("shell".to_owned(), text(&user.shell)),
    ]);
    info.extend(gecos::told(&user.gecos));
    Some(info)
}
