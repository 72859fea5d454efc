//! `file.rename`: another name for what stands somewhere.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, relocate};
use crate::modules::args::Args;
use crate::modules::file::{self, Ids, Place};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["source", "force", "makedirs"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    source: Place,
    force: bool,
    makedirs: bool,
}

/// What stands at both places.
pub(crate) struct Observed {
    source: Kind,
    dest: Kind,
    parent: bool,
}

/// `file.rename`.
pub(crate) struct Rename;

impl StateFn for Rename {
    type Want = Want;
    type Observed = Observed;
    /// Whether directories are to be made.
    type Plan = bool;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        Ok(Want {
            place: Place::of(call)?,
            source: source(args, call)?,
            force: args.flag("force", false)?,
            makedirs: args.flag("makedirs", false)?,
        })
    }

    fn observe(want: &Want, _: &Call<'_>) -> Result<Observed, Failure> {
        Ok(Observed {
            source: fsys::stat(&want.source.path)?.kind,
            dest: fsys::stat(&want.place.path)?.kind,
            parent: file::parent_exists(&want.place.path)?,
        })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<bool> {
        let (source, name) = (&want.source.name, &want.place.name);
        if observed.source == Kind::Missing {
            return Diff::Same(format!("{source} is not there any more"));
        }
        if observed.dest != Kind::Missing && !want.force {
            return Diff::Same(format!("{name} is there and stays; set force: true to replace it"));
        }
        if !observed.parent && !want.makedirs {
            return Diff::Refuse(format!("the directory of {name} is not there; set makedirs: true"));
        }
        let changes = Map::from([(name.clone(), Value::Str(source.clone()))]);
        Diff::Change { plan: !observed.parent, changes, would: format!("{source} would become {name}") }
    }

    fn apply(want: &Want, parents: bool, _: &Call<'_>) -> Result<Applied, Failure> {
        if parents {
            file::make_parents(&want.place.path, Ids::default().fresh(0o755))?;
        }
        relocate::rename(&want.source.path, &want.place.path)?;
        Ok(Applied::done(format!("{} is now {}", want.source.name, want.place.name)))
    }
}

/// The path that `source` names.
pub(crate) fn source(args: &Args<'_>, call: &Call<'_>) -> Result<Place, Failure> {
    let source = args.text("source")?;
    Place::named(&source.ok_or_else(|| Failure::declaration("`source` is missing"))?, call)
}
