//! `file.absent`: nothing at this path; a link is removed, never what it points to.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::Args;
use crate::modules::file::Place;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[];

/// `file.absent`.
pub(crate) struct Absent;

impl StateFn for Absent {
    type Want = Place;
    type Observed = Kind;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<Place, Failure> {
        let place = Place::of(call)?;
        if place.name.split('/').all(|part| part.is_empty() || part == ".") {
            return Err(Failure::declaration("/ is not removed"));
        }
        Ok(place)
    }

    fn observe(place: &Place, _: &Call<'_>) -> Result<Kind, Failure> {
        Ok(fsys::stat(&place.path)?.kind)
    }

    fn diff(place: &Place, kind: &Kind) -> Diff<()> {
        if *kind == Kind::Missing {
            return Diff::Same(format!("{} is not there", place.name));
        }
        let changes = Map::from([("removed".to_owned(), Value::Str(place.name.clone()))]);
        Diff::Change { plan: (), changes, would: format!("{} ({kind}) would be removed", place.name) }
    }

    fn apply(place: &Place, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        fsys::remove(&place.path)?;
        Ok(Applied::done(format!("{} removed", place.name)))
    }
}
