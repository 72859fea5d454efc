//! `file.*`: owners, modes and times.
// Effects: looks at files below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::super::asked::{Asked, flag, text, truth};
use super::super::{Answer, Table, map, number, string};
use super::{absolute, below_root, sum};
use crate::modules::accounts::{self, Accounts};
use crate::value::{Map, Value};

pub(crate) const FUNCTIONS: Table = &[
    ("file.get_gid", get_gid),
    ("file.get_group", get_group),
    ("file.get_mode", get_mode),
    ("file.get_uid", get_uid),
    ("file.get_user", get_user),
    ("file.gid_to_group", gid_to_group),
    ("file.group_to_gid", group_to_gid),
    ("file.lstat", lstat),
    ("file.stats", stats),
    ("file.uid_to_user", uid_to_user),
    ("file.user_to_uid", user_to_uid),
];

/// The name of a user number, or the number itself.
pub(super) fn user_name(asked: &Asked<'_>, uid: u32) -> Value {
    let root = asked.host.root();
    let found = if root == std::path::Path::new("/") {
        nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|u| u.name)
    } else {
        let all = Accounts::read(root).unwrap_or_default();
        all.users.iter().find(|u| u.uid == uid).map(|u| u.name.clone())
    };
    found.map_or_else(|| Value::Int(i64::from(uid)), Value::Str)
}

/// The name of a group number, or the number itself.
pub(super) fn group_name(asked: &Asked<'_>, gid: u32) -> Value {
    let root = asked.host.root();
    let found = if root == std::path::Path::new("/") {
        nix::unistd::Group::from_gid(gid.into()).ok().flatten().map(|g| g.name)
    } else {
        Accounts::read(root).unwrap_or_default().group_name(gid).map(str::to_owned)
    };
    found.map_or_else(|| Value::Int(i64::from(gid)), Value::Str)
}

/// A file and what is known of it.
fn found(asked: &Asked<'_>) -> Result<(String, Metadata, bool), String> {
    let [path, follow] = asked.bind(["path", "follow_symlinks"])?;
    metadata(asked, &text("path", path)?, flag(follow, true))
}

fn metadata(asked: &Asked<'_>, path: &str, follow: bool) -> Result<(String, Metadata, bool), String> {
    let full = asked.path(path);
    let metadata =
        if follow { full.metadata().or_else(|_| full.symlink_metadata()) } else { full.symlink_metadata() };
    match metadata {
        Ok(metadata) => Ok((path.to_owned(), metadata, follow)),
        Err(_) => Err(format!("Path not found: {path}")),
    }
}

fn get_uid(asked: &Asked<'_>) -> Answer {
    found(asked).map(|(_, m, _)| number(m.uid()))
}

fn get_gid(asked: &Asked<'_>) -> Answer {
    found(asked).map(|(_, m, _)| number(m.gid()))
}

fn get_user(asked: &Asked<'_>) -> Answer {
    found(asked).map(|(_, m, _)| user_name(asked, m.uid()))
}

fn get_group(asked: &Asked<'_>) -> Answer {
    found(asked).map(|(_, m, _)| group_name(asked, m.gid()))
}

fn get_mode(asked: &Asked<'_>) -> Answer {
    found(asked).map(|(_, m, _)| string(mode(&m)))
}

/// The permission bits as four digits.
fn mode(metadata: &Metadata) -> String {
    format!("{:04o}", metadata.mode() & 0o7777)
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => "dir",
        () if kind.is_symlink() => "link",
        () if kind.is_char_device() => "char",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () => "file",
    }
}

#[allow(clippy::cast_precision_loss)] // As Python has the times of a file.
fn time(seconds: i64, nanoseconds: i64) -> Value {
    Value::Float(seconds as f64 + nanoseconds as f64 / 1e9)
}

fn stats(asked: &Asked<'_>) -> Answer {
    let [path, hash, follow] = asked.bind(["path", "hash_type", "follow_symlinks"])?;
    let (path, m, follow) = metadata(asked, &text("path", path)?, flag(follow, true))?;
    let full = asked.path(&path);
    let target = if follow { full.canonicalize().unwrap_or(full) } else { full };
    let mut all: Map = [
        ("inode", number(m.ino())),
        ("uid", number(m.uid())),
        ("gid", number(m.gid())),
        ("group", group_name(asked, m.gid())),
        ("user", user_name(asked, m.uid())),
        ("atime", time(m.atime(), m.atime_nsec())),
        ("mtime", time(m.mtime(), m.mtime_nsec())),
        ("ctime", time(m.ctime(), m.ctime_nsec())),
        ("size", number(m.size())),
        ("mode", string(mode(&m))),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect();
    if let Some(algorithm) = hash.filter(|h| truth(Some(h))) {
        all.insert(
            "sum".to_owned(),
            string(sum::of_file(asked, &path, &text("hash_type", Some(algorithm))?)?),
        );
    }
    all.insert("type".to_owned(), string(kind(&m)));
    all.insert("target".to_owned(), string(below_root(asked, &target)));
    Ok(Value::Map(all))
}

fn lstat(asked: &Asked<'_>) -> Answer {
    let path = absolute(&asked.only("path")?, "Path to file must be absolute.")?;
    let Ok(m) = asked.path(&path).symlink_metadata() else { return Ok(Value::Map(Map::new())) };
    Ok(map([
        ("st_atime", time(m.atime(), m.atime_nsec())),
        ("st_ctime", time(m.ctime(), m.ctime_nsec())),
        ("st_gid", number(m.gid())),
        ("st_mode", number(m.mode())),
        ("st_mtime", time(m.mtime(), m.mtime_nsec())),
        ("st_nlink", number(m.nlink())),
        ("st_size", number(m.size())),
        ("st_uid", number(m.uid())),
    ]))
}

fn id(value: &Value) -> Option<u32> {
    match value {
        Value::Int(i) => u32::try_from(*i).ok(),
        Value::Str(s) => s.trim().parse().ok(),
        _ => None,
    }
}

fn uid_to_user(asked: &Asked<'_>) -> Answer {
    let [uid] = asked.bind(["uid"])?;
    match uid {
        Some(Value::Int(number)) => {
            Ok(id(&Value::Int(*number)).map_or(Value::Int(*number), |uid| user_name(asked, uid)))
        }
        Some(_) => Err("uid should be integer".to_owned()),
        None => Err("missing required argument: 'uid'".to_owned()),
    }
}

fn gid_to_group(asked: &Asked<'_>) -> Answer {
    let [gid] = asked.bind(["gid"])?;
    let gid = gid.ok_or("missing required argument: 'gid'")?;
    if let Some(gid) = id(gid) {
        return Ok(group_name(asked, gid));
    }
    // A name is answered with itself, where there is such a group.
    let known = named_gid(asked, &text("gid", Some(gid))?)?;
    Ok(known.map_or_else(|| string(""), |gid| group_name(asked, gid)))
}

fn named_gid(asked: &Asked<'_>, group: &str) -> Result<Option<u32>, String> {
    let is_number = group.parse::<u32>().is_ok();
    Ok(accounts::gid(asked.host.root(), group).map_err(|e| e.to_string())?.filter(|_| !is_number))
}

fn group_to_gid(asked: &Asked<'_>) -> Answer {
    let [group] = asked.bind(["group"])?;
    match group {
        Some(Value::Int(gid)) => Ok(Value::Int(*gid)),
        Some(Value::Null) => Ok(string("")),
        other => Ok(named_gid(asked, &text("group", other)?)?.map_or_else(|| string(""), number)),
    }
}

fn user_to_uid(asked: &Asked<'_>) -> Answer {
    let [user] = asked.bind(["user"])?;
    match user {
        Some(Value::Int(uid)) => Ok(Value::Int(*uid)),
        Some(Value::Null) => Ok(number(nix::unistd::Uid::effective().as_raw())),
        other => {
            let user = text("user", other)?;
            let named = user.parse::<u32>().is_err();
            let uid = accounts::uid(asked.host.root(), &user).map_err(|e| e.to_string())?;
            Ok(uid.filter(|_| named).map_or_else(|| string(""), number))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::super::bench::Bench;
    use crate::value::Value;

    #[test]
    fn owners_are_named_by_the_accounts_below_the_root() {
        let bench = Bench::new(&[
            ("/etc/passwd", "me:x:0:0::/:/bin/sh\nweb:x:33:33::/srv:/bin/false\n"),
            ("/etc/group", "wheel:x:0:\nweb:x:33:\n"),
            ("/srv/a", "hello"),
        ]);
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(bench.root.path().join("srv/a"), mode).unwrap();
        assert_eq!(bench.json("file.get_mode", &["/srv/a"]), "\"0640\"");
        let user = |uid| bench.with("file.uid_to_user", &[], &[("uid", Value::Int(uid))]);
        assert_eq!((user(33), user(99)), (Ok(Value::Str("web".into())), Ok(Value::Int(99))));
        assert!(bench.call("file.uid_to_user", &["33"]).unwrap_err().contains("integer"));
        assert_eq!(bench.json("file.group_to_gid", &["web"]), "33");
        assert_eq!(bench.json("file.group_to_gid", &["nobody"]), "\"\"");
        assert_eq!(bench.json("file.user_to_uid", &["web"]), "33");
        assert_eq!(bench.json("file.lstat", &["/srv/b"]), "{}");
        let stats = bench.json("file.stats", &["/srv/a"]);
        assert!(stats.contains("\"size\":5") && stats.contains("\"target\":\"/srv/a\""), "{stats}");
        assert!(bench.call("file.get_user", &["/srv/b"]).unwrap_err().contains("Path not found: /srv/b"));
    }
}
