//! `file.symlink`: a link to this target, replaced in one step.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Stat, relocate};
use crate::modules::args::Args;
use crate::modules::file::{self, Ids, Place, Wish};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["target", "force", "backupname", "makedirs", "user", "group"];
pub(crate) const IGNORED: &[&str] = &["mode", "atomic", "follow_symlinks"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    target: String,
    force: bool,
    makedirs: Option<u32>,
    /// What stands there gets this name.
    aside: Option<Place>,
    wish: Wish,
    rehearsal: bool,
}

/// What stands there.
pub(crate) struct Observed {
    now: Stat,
    points_to: Option<String>,
    /// The name for what is put aside is taken.
    taken: bool,
    ids: Ids,
    parent: bool,
}

/// What is to be done.
pub(crate) enum Plan {
    /// Make or replace the link; `clear` what stands there first (a directory).
    Link { clear: bool, parents: bool, ids: Ids },
    /// Only its owner.
    Own { uid: u32, gid: u32 },
}

/// `file.symlink`.
pub(crate) struct Symlink;

impl StateFn for Symlink {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let target = args.text("target")?.filter(|t| !t.is_empty());
        let wish = Wish::read(args, "mode")?;
        Ok(Want {
            place: Place::of(call)?,
            target: target
                .ok_or_else(|| Failure::declaration("`target` is missing: where the link points to"))?,
            force: args.flag("force", false)?,
            makedirs: args.flag("makedirs", false)?.then(|| file::dir_mode_for(wish.mode)),
            aside: args.text("backupname")?.map(|name| Place::named(&name, call)).transpose()?,
            wish,
            rehearsal: call.test,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let now = fsys::stat(&want.place.path)?;
        let points_to = match now.kind {
            Kind::Symlink => Some(fsys::read_link(&want.place.path)?.to_string_lossy().into_owned()),
            _ => None,
        };
        let parent = file::parent_exists(&want.place.path)?;
        let taken = match &want.aside {
            Some(aside) => fsys::stat(&aside.path)?.kind != Kind::Missing,
            None => false,
        };
        Ok(Observed { now, points_to, taken, ids: want.wish.ids(call)?, parent })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let name = &want.place.name;
        match observed.now.kind {
            Kind::Symlink if observed.points_to.as_deref() == Some(want.target.as_str()) => {
                ownership(want, observed)
            }
            Kind::Symlink => {
                link(want, observed, false, format!("The link {name} would point to {}", want.target))
            }
            Kind::Missing if !observed.parent && want.makedirs.is_none() => {
                Diff::Refuse(format!("the directory of {name} is not there; set makedirs: true"))
            }
            Kind::Missing => link(want, observed, false, format!("The link {name} would be made")),
            Kind::File | Kind::Directory if observed.taken && !want.force => {
                Diff::Refuse(format!("{name} cannot be put aside: backupname is taken; set force: true"))
            }
            kind if want.aside.is_some() && kind != Kind::Special => {
                link(want, observed, false, format!("{name} ({kind}) would be put aside for a link"))
            }
            kind if want.force => {
                let clear = kind == Kind::Directory;
                link(want, observed, clear, format!("{name} ({kind}) would be replaced by a link"))
            }
            kind => Diff::Refuse(format!("{name} is {kind}; set force: true to replace it by a link")),
        }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        let path = &want.place.path;
        match plan {
            Plan::Own { uid, gid } => fsys::set_owner(path, uid, gid)?,
            Plan::Link { clear, parents, ids } => {
                if parents {
                    file::make_parents(path, ids.fresh(want.makedirs.unwrap_or(0o755)))?;
                }
                let aside = want
                    .aside
                    .as_ref()
                    .filter(|_| fsys::stat(path).is_ok_and(|now| now.kind != Kind::Symlink));
                if let Some(aside) = aside.filter(|_| relocate::exists(path)) {
                    relocate::rename(path, &aside.path)?;
                }
                if clear {
                    fsys::remove(path)?;
                }
                let owner = ids.fresh(0);
                fsys::replace_symlink(path, &want.target, Some((owner.uid, owner.gid)))?;
            }
        }
        Ok(Applied::done(format!("Link {} points to {}", want.place.name, want.target)))
    }
}

fn link(want: &Want, observed: &Observed, clear: bool, would: String) -> Diff<Plan> {
    // Salt's key in test mode for a link that points elsewhere is another one.
    let changes = match observed.now.kind {
        Kind::Symlink if want.rehearsal => ("change", &want.target),
        _ => ("new", &want.place.name),
    };
    let changes = Map::from([(changes.0.to_owned(), Value::Str(changes.1.clone()))]);
    let plan = Plan::Link { clear, parents: !observed.parent, ids: observed.ids };
    Diff::Change { plan, changes, would }
}

fn ownership(want: &Want, observed: &Observed) -> Diff<Plan> {
    let owner = observed.ids.over(&observed.now, None);
    let mut changes = Map::new();
    file::dress_changes(&observed.now, &owner, &want.wish, &mut changes);
    if changes.is_empty() {
        return Diff::Same(format!("The link {} points to {}", want.place.name, want.target));
    }
    let plan = Plan::Own { uid: owner.uid, gid: owner.gid };
    Diff::Change { plan, changes, would: format!("The owner of the link {} would be set", want.place.name) }
}
