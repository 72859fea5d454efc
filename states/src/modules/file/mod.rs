//! What the `file.*` states share: where a path is, whose it is to be, and the directories above it.

pub(crate) mod absent;
pub(crate) mod accumulated;
pub(crate) mod cached;
pub(crate) mod copy;
pub(crate) mod dataset;
pub(crate) mod decode;
pub(crate) mod difference;
pub(crate) mod directory;
pub(crate) mod edit;
pub(crate) mod hardlink;
pub(crate) mod listing;
pub(crate) mod managed;
pub(crate) mod mknod;
pub(crate) mod patch;
pub(crate) mod patterns;
pub(crate) mod presence;
pub(crate) mod reading;
pub(crate) mod recurse;
pub(crate) mod remote;
pub(crate) mod rename;
pub(crate) mod serialize;
pub(crate) mod source;
pub(crate) mod source_hash;
pub(crate) mod symlink;
pub(crate) mod tidied;
pub(crate) mod touch;
pub(crate) mod way;

use std::path::{Path, PathBuf};

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind, Owner, Stat};
use crate::modules::accounts;
use crate::modules::args::Args;
use crate::value::{Map, Value};

/// Copies of replaced files are kept here with `backup: minion`.
const BACKUPS: &str = "/var/cache/mayfly/file_backup";

/// A path as the tree names it and as it is on the machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl Place {
    /// The step's name as a path: absolute and without `..`, so that what is written is what is read in the tree.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Failure> {
        Self::named(&call.chunk.name, call)
    }

    /// A path that an argument names.
    pub(crate) fn named(name: &str, call: &Call<'_>) -> Result<Self, Failure> {
        let name = name.to_owned();
        if !name.starts_with('/') {
            return Err(Failure::declaration(format!("{name:?} is not an absolute path")));
        }
        if name.contains('\0') || name.split('/').any(|part| part == "..") {
            return Err(Failure::declaration(format!("{name:?} must not hold `..` or a zero byte")));
        }
        let path = call.context.host.path(&name);
        stays_inside(&path, call.context.host.root())?;
        way::check(&path, call)?;
        Ok(Self { path, name })
    }

    /// The path to write: a link's end when links are to be followed, and then inside the root.
    pub(crate) fn target(&self, follow: bool, call: &Call<'_>) -> Result<PathBuf, Failure> {
        if !follow || fsys::stat(&self.path)?.kind != Kind::Symlink {
            return Ok(self.path.clone());
        }
        let end = fsys::canonical(&self.path)?;
        match end.starts_with(fsys::canonical(call.context.host.root())?) {
            true => Ok(end),
            false => Err(Failure::machine(format!("{} is a link that leads out of the root", self.name))),
        }
    }
}

/// With a root of its own, a link on the way must not lead out of it: the machine itself would be changed.
fn stays_inside(path: &Path, root: &Path) -> Result<(), Failure> {
    if root == Path::new("/") || path == root {
        return Ok(());
    }
    let Some(there) = path.ancestors().skip(1).find(|p| p.exists()) else { return Ok(()) };
    match fsys::canonical(there)?.starts_with(fsys::canonical(root)?) {
        true => Ok(()),
        false => Err(Failure::machine(format!(
            "{} is reached by a link that leads out of the root",
            path.display()
        ))),
    }
}

/// The owner and mode that a declaration asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Wish {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mode: Option<u32>,
}

/// The same as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ids {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

impl Wish {
    /// From `user`, `group` and the mode under the given key.
    pub(crate) fn read(args: &Args<'_>, mode: &str) -> Result<Self, Failure> {
        Ok(Self { user: args.text("user")?, group: args.text("group")?, mode: args.mode(mode)? })
    }

    /// Look the names up on the machine.
    pub(crate) fn ids(&self, call: &Call<'_>) -> Result<Ids, Failure> {
        let root = call.context.host.root();
        let failed = |e: std::io::Error| Failure::machine(format!("cannot look up accounts: {e}"));
        let none =
            |what, name: &str| Failure::machine(format!("there is no {what} `{name}` on this machine"));
        let uid = match &self.user {
            Some(user) => Some(accounts::uid(root, user).map_err(failed)?.ok_or_else(|| none("user", user))?),
            None => None,
        };
        let gid = match &self.group {
            Some(group) => {
                Some(accounts::gid(root, group).map_err(failed)?.ok_or_else(|| none("group", group))?)
            }
            None => None,
        };
        Ok(Ids { uid, gid })
    }
}

impl Ids {
    /// Owner and mode of something new.
    pub(crate) fn fresh(self, mode: u32) -> Owner {
        let uid = self.uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        let gid = self.gid.unwrap_or_else(|| nix::unistd::getegid().as_raw());
        Owner { mode, uid, gid }
    }

    /// Owner and mode of what exists, where nothing else is asked.
    pub(crate) fn over(self, now: &Stat, mode: Option<u32>) -> Owner {
        Owner {
            mode: mode.unwrap_or(now.mode),
            uid: self.uid.unwrap_or(now.uid),
            gid: self.gid.unwrap_or(now.gid),
        }
    }
}

/// A mode as Salt writes it.
pub(crate) fn octal(mode: u32) -> Value {
    Value::Str(format!("{mode:04o}"))
}

/// What owner and mode change from `now` to `then`, by Salt's keys; the wish gives the names.
pub(crate) fn dress_changes(now: &Stat, then: &Owner, wish: &Wish, changes: &mut Map) {
    let named =
        |name: &Option<String>, number: u32| Value::Str(name.clone().unwrap_or_else(|| number.to_string()));
    if now.mode != then.mode {
        changes.insert("mode".to_owned(), octal(then.mode));
    }
    if now.uid != then.uid {
        changes.insert("user".to_owned(), named(&wish.user, then.uid));
    }
    if now.gid != then.gid {
        changes.insert("group".to_owned(), named(&wish.group, then.gid));
    }
}

/// Give something that exists its owner and mode; the mode last, because a change of owner clears set-id bits.
pub(crate) fn dress(path: &Path, owner: &Owner) -> Result<(), fsys::Error> {
    fsys::set_owner(path, owner.uid, owner.gid)?;
    fsys::set_mode(path, owner.mode)
}

/// The directory above a path, seen through links: whether it is there.
pub(crate) fn parent_exists(path: &Path) -> Result<bool, Failure> {
    let Some(parent) = path.parent() else { return Ok(true) };
    match parent.metadata() {
        Ok(meta) if meta.is_dir() => Ok(true),
        Ok(_) => Err(Failure::machine(format!("{} is not a directory", parent.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Failure::machine(format!("cannot look at {}: {e}", parent.display()))),
    }
}

/// Make the directories above a path.
pub(crate) fn make_parents(path: &Path, owner: Owner) -> Result<(), fsys::Error> {
    path.parent().map_or(Ok(()), |parent| fsys::make_dirs(parent, owner))
}

/// The group that what is made at a path gets from a directory above it that passes its own on (set-group-id).
pub(crate) fn inherited(path: &Path) -> Result<Option<u32>, Failure> {
    let Some(above) = path.ancestors().skip(1).find(|dir| dir.exists()) else { return Ok(None) };
    let above = fsys::stat(&fsys::canonical(above)?)?;
    Ok((above.mode & 0o2000 != 0).then_some(above.gid))
}

/// The mode of directories that come with a file of some mode: readable ones may be entered too.
pub(crate) fn dir_mode_for(mode: Option<u32>) -> u32 {
    mode.map_or(0o755, |m| {
        let m = m & 0o777;
        m | (m & 0o444) >> 2 | 0o700
    })
}

/// A refusal for a path where something else stands.
pub(crate) fn odd(place: &Place, kind: Kind, wanted: &str) -> String {
    format!("{} is {kind}, not {wanted}; it is left as it is", place.name)
}

/// Keep a copy of a file that is about to be replaced.
pub(crate) fn keep_copy(place: &Place, target: &Path, call: &Call<'_>) -> Result<(), Failure> {
    let host = call.context.host;
    let copy = host.path(&format!("{BACKUPS}{}_{:.6}", place.name, host.now()));
    make_parents(&copy, Ids::default().fresh(0o700))?;
    Ok(fsys::copy(target, &copy)?)
}
