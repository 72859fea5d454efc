//! `user.*` and `group.*`: who is who.

use super::asked::{Asked, text};
use super::{Answer, Table, list, map, number, string};
use crate::modules::accounts::{self, Account, Accounts, Group};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("group.getent", group_getent),
    ("group.info", group_info),
    ("user.get_loginclass", no_loginclass),
    ("user.getent", user_getent),
    ("user.info", user_info),
    ("user.list_groups", list_groups),
    ("user.list_users", list_users),
    ("user.primary_group", primary_group),
];

fn all(asked: &Asked<'_>) -> Result<Accounts, String> {
    Accounts::read(asked.host.root()).map_err(|e| e.to_string())
}

/// Names of all groups of a user, sorted.
fn groups_of(all: &Accounts, name: &str, account: Option<&Account>) -> Vec<String> {
    let own = account.map(|a| a.groups.as_slice()).unwrap_or_default();
    let mut names: Vec<String> =
        own.iter().filter_map(|gid| all.group_name(*gid)).map(str::to_owned).collect();
    names.extend(all.supplementary(name));
    names.sort();
    names.dedup();
    names
}

fn about_user(all: &Accounts, account: &Account) -> Value {
    let mut gecos = account.gecos.splitn(5, ',').map(str::to_owned);
    let mut part = || Value::Str(gecos.next().unwrap_or_default());
    map([
        ("gid", number(account.gid)),
        ("groups", list(groups_of(all, &account.name, Some(account)))),
        ("home", string(&*account.home)),
        ("name", string(&*account.name)),
        ("passwd", string("x")),
        ("shell", string(&*account.shell)),
        ("uid", number(account.uid)),
        ("fullname", part()),
        ("roomnumber", part()),
        ("workphone", part()),
        ("homephone", part()),
        ("other", part()),
    ])
}

fn user_info(asked: &Asked<'_>) -> Answer {
    let [name, _] = asked.bind(["name", "root"])?;
    let name = text("name", name)?;
    match known(asked, &name)? {
        Some(account) => Ok(about_user(&all(asked)?, &account)),
        None => Ok(Value::Map(Map::new())),
    }
}

/// The account of a name; a number is no name here.
fn known(asked: &Asked<'_>, name: &str) -> Result<Option<Account>, String> {
    let found = accounts::account(asked.host.root(), name).map_err(|e| e.to_string())?;
    Ok(found.filter(|account| account.name == name))
}

fn user_getent(asked: &Asked<'_>) -> Answer {
    let all = all(asked)?;
    Ok(Value::List(all.users.iter().map(|account| about_user(&all, account)).collect()))
}

fn list_users(asked: &Asked<'_>) -> Answer {
    let mut names: Vec<String> = all(asked)?.users.into_iter().map(|a| a.name).collect();
    names.sort();
    Ok(list(names))
}

fn list_groups(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let account = known(asked, &name)?;
    Ok(list(groups_of(&all(asked)?, &name, account.as_ref())))
}

fn primary_group(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let Some(account) = known(asked, &name)? else {
        return Ok(string(format!("id: '{name}': no such user")));
    };
    let all = all(asked)?;
    Ok(string(all.group_name(account.gid).map_or_else(|| account.gid.to_string(), str::to_owned)))
}

/// Login classes are a matter of OpenBSD.
fn no_loginclass(asked: &Asked<'_>) -> Answer {
    asked.only("name").map(|_| Value::Bool(false))
}

fn about_group(group: &Group) -> Value {
    map([
        ("name", string(&*group.name)),
        ("passwd", string("x")),
        ("gid", number(group.gid)),
        ("members", list(group.members.iter().map(String::as_str))),
    ])
}

fn group_info(asked: &Asked<'_>) -> Answer {
    let [name, _] = asked.bind(["name", "root"])?;
    let name = text("name", name)?;
    if asked.host.root() == std::path::Path::new("/") {
        // Groups may come from elsewhere than the file.
        let found = nix::unistd::Group::from_name(&name).map_err(|e| e.to_string())?;
        let group = found.map(|g| Group { name: g.name, gid: g.gid.as_raw(), members: g.mem });
        return Ok(group.map_or_else(|| Value::Map(Map::new()), |group| about_group(&group)));
    }
    let all = all(asked)?;
    Ok(all.group(&name).map_or_else(|| Value::Map(Map::new()), about_group))
}

fn group_getent(asked: &Asked<'_>) -> Answer {
    Ok(Value::List(all(asked)?.groups.iter().map(about_group).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn users_and_groups_of_the_databases() {
        let bench = Bench::new(&[
            ("/etc/passwd", "web:x:33:33:Web,12,,,x:/srv:/bin/sh\nadm:x:3:4:::\n"),
            ("/etc/group", "web:x:33:\nadm:x:4:web\nsudo:x:27:web,adm\n"),
        ]);
        assert_eq!(
            bench.json("user.info", &["web"]),
            "{\"gid\":33,\"groups\":[\"adm\",\"sudo\",\"web\"],\"home\":\"/srv\",\"name\":\"web\",\"passwd\":\"x\",\
             \"shell\":\"/bin/sh\",\"uid\":33,\"fullname\":\"Web\",\"roomnumber\":\"12\",\"workphone\":\"\",\
             \"homephone\":\"\",\"other\":\"x\"}"
        );
        assert_eq!(bench.json("user.info", &["nobody"]), "{}");
        assert_eq!(bench.json("user.info", &["33"]), "{}");
        assert_eq!(bench.json("user.list_users", &[]), "[\"adm\",\"web\"]");
        assert_eq!(bench.json("user.list_groups", &["adm"]), "[\"adm\",\"sudo\"]");
        assert_eq!(bench.json("user.primary_group", &["adm"]), "\"adm\"");
        assert_eq!(
            bench.json("group.info", &["sudo"]),
            "{\"name\":\"sudo\",\"passwd\":\"x\",\"gid\":27,\"members\":[\"web\",\"adm\"]}"
        );
        assert_eq!(bench.json("group.info", &["nobody"]), "{}");
    }
}
