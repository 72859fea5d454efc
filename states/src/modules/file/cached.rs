//! `file.cached` and `file.not_cached`: whether a copy of what is on another machine is kept here.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::file::remote::{self, Fetched, is_remote};
use crate::modules::file::source::{Check, Named, Source};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] =
    &["source_hash", "source_hash_name", "source_hash_sig", "signature", "skip_verify", "use_etag"];

/// `file.cached`.
pub(crate) struct Cached;
/// `file.not_cached`.
pub(crate) struct NotCached;

/// What is kept, and what should be.
pub(crate) struct Copies {
    /// The digest of the copy that is kept.
    old: Option<String>,
    new: Option<New>,
}

/// A copy that has just come.
pub(crate) struct New {
    digest: String,
    fetched: Shared,
}

/// Observed once, and taken by whoever carries out the plan.
type Shared = Rc<Cell<Option<Fetched>>>;

impl StateFn for Cached {
    type Want = (Named, Check);
    type Observed = Copies;
    type Plan = Shared;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        Ok((Named::new(&call.chunk.name), Check::read(args)?))
    }

    fn observe((named, check): &Self::Want, call: &Call<'_>) -> Result<Copies, Failure> {
        if !is_remote(&named.name) {
            Source::at(&named.name, check, call)?;
            return Ok(Copies { old: None, new: None });
        }
        let wanted = check.wanted(named, remote::path_of(&named.name), call)?;
        let kept = remote::kept(&named.name, call)?;
        let old = kept.map(|path| remote::digest(&path, wanted.as_ref())).transpose()?;
        let fetched = remote::get(&named.name, wanted.as_ref(), call)?;
        let digest = wanted.map_or_else(|| fetched.content.sha256().into_owned(), |wanted| wanted.hex);
        Ok(Copies { old, new: Some(New { digest, fetched: Rc::new(Cell::new(Some(fetched))) }) })
    }

    fn diff((named, _): &Self::Want, copies: &Copies) -> Diff<Self::Plan> {
        let name = redact::url(&named.name);
        let Some(new) = &copies.new else {
            return Diff::Same(format!("{name} is on this machine; nothing needs to be fetched"));
        };
        if copies.old.as_ref() == Some(&new.digest) {
            return Diff::Same(format!("a copy of {name} is kept, with the digest {}", new.digest));
        }
        let old = copies.old.clone().map_or(Value::Null, Value::Str);
        let hash = Map::from([("old".to_owned(), old), ("new".to_owned(), Value::Str(new.digest.clone()))]);
        Diff::Change {
            plan: new.fetched.clone(),
            changes: Map::from([("hash".to_owned(), Value::Map(hash))]),
            would: format!("a copy of {name} would be kept"),
        }
    }

    fn apply((named, _): &Self::Want, plan: Self::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        plan.take().map(|fetched| fetched.keep(&named.name, call)).transpose()?;
        Ok(Applied::done(format!("a copy of {} is kept", redact::url(&named.name))))
    }
}

impl StateFn for NotCached {
    type Want = String;
    type Observed = bool;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        Ok(call.chunk.name.clone())
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(is_remote(name) && remote::kept(name, call)?.is_some())
    }

    fn diff(name: &String, kept: &bool) -> Diff<()> {
        let name = redact::url(name);
        match kept {
            false => Diff::Same(format!("no copy of {name} is kept here")),
            true => Diff::Change {
                plan: (),
                changes: Map::from([("deleted".to_owned(), Value::Bool(true))]),
                would: format!("the copy of {name} would be removed"),
            },
        }
    }

    fn apply(name: &String, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        remote::forget(name, call)?;
        Ok(Applied::done(format!("the copy of {} is removed", redact::url(name))))
    }
}
