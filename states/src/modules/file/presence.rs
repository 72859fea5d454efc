//! `file.exists`, `file.missing`, `file.cached` and `file.not_cached`: they look and change nothing.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::relocate;
use crate::modules::args::Args;
use crate::modules::file::Place;
use crate::modules::file::source::{Check, Source};

pub(crate) const ARGS: &[&str] = &[];
pub(crate) const CACHED_ARGS: &[&str] = &["source_hash", "source_hash_name", "skip_verify"];
pub(crate) const CACHED_IGNORED: &[&str] = &["use_etag"];

/// `file.exists`.
pub(crate) struct Exists;
/// `file.missing`.
pub(crate) struct Missing;
/// `file.cached`.
pub(crate) struct Cached;
/// `file.not_cached`.
pub(crate) struct NotCached;

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

impl StateFn for Cached {
    type Want = (String, Check);
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let check = if args.flag("skip_verify", false)? { Check::default() } else { Check::read(args)? };
        Ok((call.chunk.name.clone(), check))
    }

    fn observe((name, check): &Self::Want, call: &Call<'_>) -> Result<(), Failure> {
        Source::at(name, check, call)
    }

    fn diff((name, _): &Self::Want, (): &()) -> Diff<()> {
        Diff::Same(format!("{name} is on this machine; nothing needs to be fetched"))
    }

    fn apply((name, _): &Self::Want, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(name.clone()))
    }
}

impl StateFn for NotCached {
    type Want = String;
    type Observed = ();
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        Ok(call.chunk.name.clone())
    }

    fn observe(_: &String, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff(name: &String, (): &()) -> Diff<()> {
        Diff::Same(format!("no copy of {name} is kept here"))
    }

    fn apply(name: &String, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(name.clone()))
    }
}
