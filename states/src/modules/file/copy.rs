//! `file.copy`: a copy of a file or of a whole tree on this machine.

use std::path::Path;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Owner, Staged, Stat, relocate};
use crate::modules::args::Args;
use crate::modules::file::{self, Ids, Place, Wish, rename, way};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] =
    &["source", "force", "makedirs", "preserve", "user", "group", "mode", "dir_mode", "subdir"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    source: Place,
    force: bool,
    makedirs: bool,
    preserve: bool,
    wish: Wish,
    dir_mode: Option<u32>,
    subdir: bool,
}

/// What stands at both places.
pub(crate) struct Observed {
    /// The source behind links.
    source: Stat,
    dest: Place,
    now: Stat,
    /// The copy has the source's content.
    alike: bool,
    parent: bool,
    ids: Ids,
}

/// What is to be done.
pub(crate) struct Plan {
    dest: Place,
    tree: bool,
    owner: Owner,
    parents: Option<Owner>,
    /// A directory stands in the way.
    clear: bool,
}

/// `file.copy`.
pub(crate) struct Copy;

impl StateFn for Copy {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        Ok(Want {
            place: Place::of(call)?,
            source: rename::source(args, call)?,
            force: args.flag("force", false)?,
            makedirs: args.flag("makedirs", false)?,
            preserve: args.flag("preserve", false)?,
            wish: Wish::read(args, "mode")?,
            dir_mode: args.mode("dir_mode")?,
            subdir: args.flag("subdir", false)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        way::check_link(&want.source.path)?;
        let source = behind(&want.source.path)?;
        let dest = dest(want, call)?;
        let now = fsys::stat(&dest.path)?;
        let alike = want.force && alike(&want.source.path, &source, &dest.path, &now)?;
        let parent = file::parent_exists(&dest.path)?;
        Ok(Observed { source, dest, now, alike, parent, ids: want.wish.ids(call)? })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let (source, name) = (&want.source.name, &observed.dest.name);
        match observed.source.kind {
            Kind::File | Kind::Directory => {}
            Kind::Missing => return Diff::Refuse(format!("{source} is not there to be copied")),
            kind => return Diff::Refuse(format!("{source} is {kind}, which is not copied")),
        }
        if observed.now.kind != Kind::Missing && !want.force {
            return Diff::Same(format!("{name} is there and stays; set force: true to replace it"));
        }
        let owner = owner(want, observed);
        if observed.alike && observed.ids.over(&observed.now, Some(owner.mode)) == owner_of(&observed.now) {
            return Diff::Same(format!("{name} is a copy of {source}"));
        }
        if !observed.parent && !want.makedirs {
            return Diff::Refuse(format!("the directory of {name} is not there; set makedirs: true"));
        }
        let plan = Plan {
            dest: observed.dest.clone(),
            tree: observed.source.kind == Kind::Directory,
            owner,
            parents: (!observed.parent).then(|| parents(want, observed, &owner)),
            clear: observed.now.kind == Kind::Directory,
        };
        Diff::Change {
            changes: changes(want, observed, &owner),
            plan,
            would: format!("{source} would be copied to {name}"),
        }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        let (source, dest) = (fsys::canonical(&want.source.path)?, &plan.dest.path);
        if let Some(owner) = plan.parents {
            file::make_parents(dest, owner)?;
        }
        if plan.tree {
            let owner = (!want.preserve).then_some((plan.owner.uid, plan.owner.gid));
            relocate::copy_tree(&source, dest, owner)?;
            fsys::set_mode(dest, plan.owner.mode)?;
        } else {
            let staged = Staged::write(dest, &mut fsys::open(&source)?, plan.owner)?;
            if plan.clear {
                fsys::remove(dest)?;
            }
            staged.place()?;
        }
        Ok(Applied::done(format!("{} copied to {}", want.source.name, plan.dest.name)))
    }
}

/// What stands behind a link; nothing, when it leads nowhere.
fn behind(path: &Path) -> Result<Stat, Failure> {
    let now = fsys::stat(path)?;
    match now.kind {
        Kind::Symlink if relocate::exists(path) => Ok(fsys::stat(&fsys::canonical(path)?)?),
        Kind::Symlink => Ok(Stat { kind: Kind::Missing, ..now }),
        _ => Ok(now),
    }
}

/// With `subdir`, the copy goes below a directory that is there.
fn dest(want: &Want, call: &Call<'_>) -> Result<Place, Failure> {
    if !want.subdir || fsys::stat(&want.place.path)?.kind != Kind::Directory {
        return Ok(want.place.clone());
    }
    let own = want.source.name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Place::named(&format!("{}/{own}", want.place.name.trim_end_matches('/')), call)
}

/// Whether a file or tree has the content of another.
fn alike(source: &Path, from: &Stat, dest: &Path, now: &Stat) -> Result<bool, Failure> {
    match (from.kind, now.kind) {
        (Kind::File, Kind::File) => {
            let source = fsys::canonical(source)?;
            Ok(from.len == now.len && fsys::read(&source, 0)?.is_same(&fsys::read(dest, 0)?))
        }
        (Kind::Directory, Kind::Directory) => trees_alike(&fsys::canonical(source)?, dest),
        _ => Ok(false),
    }
}

fn trees_alike(source: &Path, dest: &Path) -> Result<bool, Failure> {
    let (ours, theirs) = (fsys::walk(source)?, fsys::walk(dest)?);
    if ours.len() != theirs.len() {
        return Ok(false);
    }
    for ((from, a), (to, b)) in ours.iter().zip(&theirs) {
        let same = from.strip_prefix(source).ok() == to.strip_prefix(dest).ok()
            && (a.kind, a.mode) == (b.kind, b.mode)
            && match a.kind {
                Kind::Symlink => fsys::read_link(from)? == fsys::read_link(to)?,
                Kind::File => alike(from, a, to, b)?,
                _ => true,
            };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Owner and mode of the copy: the source's mode unless another is asked for, and ours unless the source's is kept.
fn owner(want: &Want, observed: &Observed) -> Owner {
    let source = &observed.source;
    match want.preserve {
        true => owner_of(source),
        false => observed.ids.fresh(want.wish.mode.unwrap_or(source.mode)),
    }
}

fn owner_of(stat: &Stat) -> Owner {
    Owner { mode: stat.mode, uid: stat.uid, gid: stat.gid }
}

fn parents(want: &Want, observed: &Observed, owner: &Owner) -> Owner {
    let like_file = file::dir_mode_for(Some(owner.mode));
    observed.ids.fresh(want.dir_mode.unwrap_or(like_file))
}

fn changes(want: &Want, observed: &Observed, owner: &Owner) -> Map {
    let source = Value::Str(want.source.name.clone());
    let mut changes = Map::from([(observed.dest.name.clone(), source)]);
    if !want.preserve {
        let own = Ids::default().fresh(observed.source.mode);
        let fresh = Stat { mode: own.mode, uid: own.uid, gid: own.gid, ..observed.source };
        file::dress_changes(&fresh, owner, &want.wish, &mut changes);
    }
    changes
}
