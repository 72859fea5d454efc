//! `file.exists` and `file.missing`: they look and change nothing.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::relocate;
use crate::modules::args::Args;
use crate::modules::file::Place;

pub(crate) const ARGS: &[&str] = &[];

/// `file.exists`.
pub(crate) struct Exists;
/// `file.missing`.
pub(crate) struct Missing;

impl StateFn for Exists {
    type Want = Place;
    type Observed = bool;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<Place, Failure> {
        Place::of(call)
    }

    fn observe(place: &Place, _: &Call<'_>) -> Result<bool, Failure> {
        Ok(relocate::exists(&place.path))
    }

    fn diff(place: &Place, there: &bool) -> Diff<()> {
        match there {
            true => Diff::Same(format!("{} is there", place.name)),
            false => Diff::Refuse(format!("{} is not there", place.name)),
        }
    }

    fn apply(place: &Place, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(place.name.clone()))
    }
}

impl StateFn for Missing {
    type Want = Place;
    type Observed = bool;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<Place, Failure> {
        Place::of(call)
    }

    fn observe(place: &Place, _: &Call<'_>) -> Result<bool, Failure> {
        Ok(relocate::exists(&place.path))
    }

    fn diff(place: &Place, there: &bool) -> Diff<()> {
        match there {
            true => Diff::Refuse(format!("{} is there", place.name)),
            false => Diff::Same(format!("{} is not there", place.name)),
        }
    }

    fn apply(place: &Place, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(place.name.clone()))
    }
}
