//! `file.hardlink`: another name of the same file.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, relocate};
use crate::modules::args::Args;
use crate::modules::file::{self, Ids, Place, Wish};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["target", "force", "makedirs", "user", "group", "dir_mode"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    target: Place,
    force: bool,
    makedirs: bool,
    /// Of directories that are made.
    wish: Wish,
    rehearsal: bool,
}

/// What stands at both places.
pub(crate) struct Observed {
    target: Kind,
    now: Kind,
    /// The path is one of several names of its file.
    linked: bool,
    same: bool,
    parent: bool,
    ids: Ids,
}

/// Owner and mode of directories to be made.
pub(crate) struct Plan {
    parents: Option<fsys::Owner>,
}

/// `file.hardlink`.
pub(crate) struct HardLink;

impl StateFn for HardLink {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let target = args.text("target")?.filter(|target| !target.is_empty());
        let target =
            target.ok_or_else(|| Failure::declaration("`target` is missing: the file to link to"))?;
        Ok(Want {
            place: Place::of(call)?,
            target: Place::named(&target, call)?,
            force: args.flag("force", false)?,
            makedirs: args.flag("makedirs", false)?,
            wish: Wish::read(args, "dir_mode")?,
            rehearsal: call.test,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let (path, target) = (&want.place.path, &want.target.path);
        let kinds = (fsys::stat(target)?.kind, fsys::stat(path)?.kind);
        let files = kinds == (Kind::File, Kind::File);
        Ok(Observed {
            target: kinds.0,
            now: kinds.1,
            linked: kinds.1 == Kind::File && relocate::names(path)? > 1,
            same: files && relocate::same(path, target)?,
            parent: file::parent_exists(path)?,
            ids: want.wish.ids(call)?,
        })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let (name, target) = (&want.place.name, &want.target.name);
        match (observed.target, observed.now) {
            (Kind::File, Kind::File | Kind::Missing) => {}
            (Kind::File, kind) => return Diff::Refuse(file::odd(&want.place, kind, "a regular file")),
            (Kind::Missing, _) => return Diff::Refuse(format!("{target} is not there to be linked to")),
            (kind, _) => return Diff::Refuse(format!("{target} is {kind}, to which no hard link is made")),
        }
        if observed.same {
            return Diff::Same(format!("{name} is a name of {target}"));
        }
        if observed.now == Kind::File && !observed.linked && !want.force {
            return Diff::Refuse(format!("{name} is another file; set force: true to replace it"));
        }
        if !observed.parent && !want.makedirs {
            return Diff::Refuse(format!("the directory of {name} is not there; set makedirs: true"));
        }
        let mode = want.wish.mode.unwrap_or(0o755);
        let plan = Plan { parents: (!observed.parent).then(|| observed.ids.fresh(mode)) };
        Diff::Change {
            plan,
            changes: changes(want, observed),
            would: format!("{name} would be a name of {target}"),
        }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        if let Some(owner) = plan.parents {
            file::make_parents(&want.place.path, owner)?;
        }
        relocate::hard_link(&want.target.path, &want.place.path)?;
        Ok(Applied::done(format!("{} is now a name of {}", want.place.name, want.target.name)))
    }
}

fn changes(want: &Want, observed: &Observed) -> Map {
    let name = || Value::Str(want.place.name.clone());
    match (observed.now, observed.linked) {
        (Kind::File, true) if want.rehearsal => Map::from([("change".to_owned(), name())]),
        (Kind::File, false) => Map::from([
            ("forced".to_owned(), Value::Str("the file that stood there goes".to_owned())),
            ("new".to_owned(), name()),
        ]),
        _ => Map::from([("new".to_owned(), name())]),
    }
}
