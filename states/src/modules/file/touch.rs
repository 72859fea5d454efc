//! `file.touch`: a file that is there, with these times.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, relocate};
use crate::modules::args::{Args, scalar};
use crate::modules::file::{self, Ids, Place};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["atime", "mtime", "makedirs"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    atime: Option<f64>,
    mtime: Option<f64>,
    makedirs: bool,
}

/// What stands there.
pub(crate) struct Observed {
    now: Kind,
    /// When it was read and changed.
    times: (f64, f64),
    parent: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    create: bool,
    parents: bool,
}

/// `file.touch`.
pub(crate) struct Touch;

impl StateFn for Touch {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        Ok(Want {
            place: Place::of(call)?,
            atime: seconds(args, "atime")?,
            mtime: seconds(args, "mtime")?,
            makedirs: args.flag("makedirs", false)?,
        })
    }

    fn observe(want: &Want, _: &Call<'_>) -> Result<Observed, Failure> {
        let path = &want.place.path;
        let now = fsys::stat(path)?.kind;
        let times = if now == Kind::Missing { (0.0, 0.0) } else { relocate::times(path)? };
        Ok(Observed { now, times, parent: file::parent_exists(path)? })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let name = &want.place.name;
        let change = |key: &str, create, would| {
            let changes = Map::from([(key.to_owned(), Value::Str(name.clone()))]);
            Diff::Change { plan: Plan { create, parents: !observed.parent }, changes, would }
        };
        match observed.now {
            Kind::Missing if !observed.parent && !want.makedirs => {
                Diff::Refuse(format!("the directory of {name} is not there; set makedirs: true"))
            }
            Kind::Missing => change("new", true, format!("{name} would be made")),
            Kind::File | Kind::Directory if as_asked(want, observed.times) => {
                Diff::Same(format!("{name} has these times"))
            }
            Kind::File | Kind::Directory => change("touched", false, format!("{name} would be touched")),
            kind => Diff::Refuse(file::odd(&want.place, kind, "a file or directory")),
        }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        let path = &want.place.path;
        if plan.parents {
            file::make_parents(path, Ids::default().fresh(0o755))?;
        }
        if plan.create {
            fsys::replace(path, b"", Ids::default().fresh(0o644))?;
        }
        if !plan.create || want.atime.is_some() || want.mtime.is_some() {
            relocate::set_times(path, want.atime, want.mtime)?;
        }
        Ok(Applied::done(format!("{} touched", want.place.name)))
    }
}

/// Whether a time was asked for, and each that was is there.
fn as_asked(want: &Want, (read, changed): (f64, f64)) -> bool {
    let holds = |wanted: Option<f64>, now: f64| wanted.is_none_or(|wanted| wanted == now);
    let asked = want.atime.is_some() || want.mtime.is_some();
    asked && holds(want.atime, read) && holds(want.mtime, changed)
}

fn seconds(args: &Args<'_>, key: &str) -> Result<Option<f64>, Failure> {
    let Some(value) = args.get(key) else { return Ok(None) };
    let seconds = scalar(value).and_then(|text| text.trim().parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| seconds.abs() < 1e12);
    seconds.map(Some).ok_or_else(|| Failure::declaration(format!("`{key}` must be seconds since the epoch")))
}
