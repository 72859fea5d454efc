//! `release.active`: one release of an application is the current one, and its service has come up with it.
//!
//! The artefact is fetched and checked, unpacked beside the others, and `current` is turned to it in one step. Then the
//! service is restarted and asked how it is; when it does not come up in time, `current` is turned back.

mod health;
mod install;
mod origin;
mod store;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::file::source_hash::SourceHash;
use crate::modules::file::{Ids, Wish};
use crate::value::{Map, Value};

use health::Service;
use install::Pack;
use origin::{Artefact, From};
use store::{Failed, Record, Shelf, Store, target};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "jenkins",
    "github",
    "github_url",
    "workflow",
    "artifact",
    "asset",
    "version",
    "source_hash",
    "skip_verify",
    "username",
    "token",
    "token_pillar",
    "archive_format",
    "strip",
    "mode",
    "user",
    "group",
    "keep",
    "attempt",
    "service",
    "health_url",
    "health_cmd",
    "health_timeout",
];

/// The declaration.
pub(crate) struct Want {
    store: Store,
    from: From,
    /// `source_hash`, with `{version}` in it.
    hash: Option<String>,
    skip_verify: bool,
    pack: Pack,
    wish: Wish,
    /// How many old releases stay.
    keep: usize,
    /// Another number has a release that did not come up tried again.
    attempt: u32,
    service: Service,
}

/// What is there, and what should be.
pub(crate) struct Observed {
    shelf: Shelf,
    /// `None`: what is asked for is the current release.
    artefact: Option<Artefact>,
    ids: Ids,
}

/// What is to be done.
pub(crate) struct Plan {
    artefact: Artefact,
    /// `None`: it has to be fetched and unpacked.
    record: Option<Record>,
    /// What `current` is turned back to.
    old: Option<String>,
    remove: Vec<String>,
    ids: Ids,
}

/// `release.active`.
pub(crate) struct Active;

impl StateFn for Active {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let keep = args.number("keep")?.unwrap_or(3);
        Ok(Want {
            store: Store::of(call)?,
            from: From::read(args, call)?,
            hash: args.text("source_hash")?.filter(|hash| !hash.is_empty()),
            skip_verify: args.flag("skip_verify", false)?,
            pack: Pack::read(args)?,
            wish: Wish { user: args.text("user")?, group: args.text("group")?, mode: None },
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            attempt: args.number("attempt")?.unwrap_or(1),
            service: Service::read(args)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let shelf = want.store.look()?;
        let ids = want.wish.ids(call)?;
        let settled = want.from.version.as_ref().filter(|version| shelf.is_settled(version));
        if let Some(version) = settled {
            want.unchanged(version, &shelf)?;
            return Ok(Observed { shelf, artefact: None, ids });
        }
        let artefact = want.from.find(call)?;
        want.unchanged(&artefact.version, &shelf)?;
        let artefact = (!shelf.is_settled(&artefact.version)).then_some(artefact);
        Ok(Observed { shelf, artefact, ids })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let name = &want.store.name;
        let shown = |target: &str| target.strip_prefix("releases/").unwrap_or(target).to_owned();
        let Some(artefact) = &now.artefact else {
            let current = now.shelf.current.as_deref().map(shown).unwrap_or_default();
            return Diff::Same(format!("{current} is the current release in {name}"));
        };
        if let Some(failed) = now.shelf.given_up(&artefact.version, want.attempt) {
            return Diff::Refuse(format!(
                "{} was tried in {name} and did not come up: {}; it is tried again when `version` or `attempt` changes",
                failed.version, failed.why
            ));
        }
        let old = match &now.shelf.unfinished {
            Some(unfinished) => unfinished.old.clone(),
            None => now.shelf.current.clone(),
        };
        let remove = now.shelf.surplus(&artefact.version, old.as_deref(), want.keep);
        let text = |text: Option<String>| text.map_or(Value::Null, Value::Str);
        let pair = Map::from([
            ("old".to_owned(), text(old.as_deref().map(shown))),
            ("new".to_owned(), text(Some(artefact.version.clone()))),
        ]);
        let mut changes = Map::from([("release".to_owned(), Value::Map(pair))]);
        if !remove.is_empty() {
            let list = remove.iter().cloned().map(Value::Str).collect();
            changes.insert("removed".to_owned(), Value::List(list));
        }
        let would = format!("{} would be the current release in {name}", artefact.version);
        let record = now.shelf.record(&artefact.version).cloned();
        let plan = Plan { artefact: artefact.clone(), record, old, remove, ids: now.ids };
        Diff::Change { plan, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let version = &plan.artefact.version;
        let record = match plan.record.clone() {
            Some(record) => record,
            None => install::install(want, &plan, call)?,
        };
        want.store.begin(plan.old.clone())?;
        want.store.turn(Some(&target(version)))?;
        match want.service.come_up(call) {
            Ok(said) => {
                want.store.write(version, &record)?;
                want.store.end()?;
                plan.remove.iter().try_for_each(|old| want.store.drop(old))?;
                Ok(Applied::done(format!("{version} is the current release in {}{said}", want.store.name)))
            }
            // The next run completes it, whichever way it then goes.
            Err(_) if call.context.host.cancelled() => Err(Failure::machine(format!(
                "the run was cancelled before {version} had come up; the next run completes it"
            ))),
            Err(why) => back(want, &plan, &why, call),
        }
    }
}

/// Turn back to the old release, and say why.
fn back(want: &Want, plan: &Plan, why: &str, call: &Call<'_>) -> Result<Applied, Failure> {
    let version = &plan.artefact.version;
    let failed = |rest: String| {
        let comment = format!("{version} did not come up: {why}; {rest}");
        Applied { comment, changes: Some(Map::new()), failed: true }
    };
    if plan.old == Some(target(version)) {
        return Ok(failed("there is no other release to go back to, so it stays the current one".to_owned()));
    }
    want.store.turn(plan.old.as_deref())?;
    let rest = match &plan.old {
        None => match want.service.stop(call) {
            Ok(()) => "there is no release to go back to, so there is no current one".to_owned(),
            Err(why) => format!("there is no current release any more, and {why}"),
        },
        Some(old) => match want.service.come_up(call) {
            Ok(said) => format!("{old} is the current release again{said}"),
            Err(why) => format!("{old} is the current release again, but did not come up either: {why}"),
        },
    };
    // Where nothing runs, nothing is broken by trying again.
    let given_up = Failed { version: version.clone(), attempt: want.attempt, why: why.to_owned() };
    want.store.give_up(plan.old.as_ref().map(|_| &given_up))?;
    Ok(failed(rest))
}

impl Want {
    /// The digest that a version must have: as asked, with the version in it.
    fn digest(&self, version: &str) -> Option<String> {
        self.hash.as_ref().map(|hash| hash.replace("{version}", version))
    }

    /// A release does not change: another artefact needs another version.
    fn unchanged(&self, version: &str, shelf: &Shelf) -> Result<(), Failure> {
        let Some(record) = shelf.record(version) else { return Ok(()) };
        let Some(Ok(wanted)) = self.digest(version).map(|hash| SourceHash::parse(&hash)) else {
            return Ok(());
        };
        let asked = format!("{}={}", wanted.algorithm, wanted.hex);
        let same = match wanted.algorithm {
            "sha256" => record.sha256 == wanted.hex,
            _ => record.asked.as_ref().is_none_or(|before| *before == asked),
        };
        match same {
            true => Ok(()),
            false => Err(Failure::declaration(format!(
                "release {version} in {} was made of something else than {asked}; give what is new another version",
                self.store.name
            ))),
        }
    }
}

impl Shelf {
    fn record(&self, version: &str) -> Option<&Record> {
        self.releases.iter().find(|(name, _)| name == version).map(|(_, record)| record)
    }

    /// Whether a version is the current one, whole, and known to have come up.
    fn is_settled(&self, version: &str) -> bool {
        let current = self.current.as_deref() == Some(target(version).as_str());
        current && self.unfinished.is_none() && self.record(version).is_some()
    }

    /// That a version did not come up, and that nothing has changed since.
    fn given_up(&self, version: &str, attempt: u32) -> Option<&Failed> {
        let settled = self.unfinished.is_none() && self.current.is_some();
        self.failed.as_ref().filter(|f| settled && f.version == version && f.attempt == attempt)
    }

    /// Releases that go once `new` is there: all but the last `keep`, and never the one that was the current one.
    fn surplus(&self, new: &str, old: Option<&str>, keep: usize) -> Vec<String> {
        let others = self.releases.iter().map(|(version, _)| version).filter(|version| *version != new);
        let spare = |version: &&String| old != Some(target(version).as_str());
        others.skip(keep).filter(spare).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_releases_stay_and_so_does_the_one_to_go_back_to() {
        let record = Record { sha256: String::new(), asked: None, source: String::new() };
        let releases = ["5", "4", "3", "2", "1"].map(|version| (version.to_owned(), record.clone()));
        let shelf = Shelf { releases: releases.to_vec(), ..Shelf::default() };
        let goes = |new, old: Option<&str>, keep| shelf.surplus(new, old, keep).join(" ");
        assert_eq!(goes("6", Some("releases/5"), 2), "3 2 1");
        assert_eq!(goes("5", Some("releases/4"), 2), "2 1");
        assert_eq!(goes("6", Some("releases/2"), 3), "1");
        assert_eq!(goes("6", None, 0), "5 4 3 2 1");
        assert_eq!(goes("6", Some("releases/5"), 9), "");
    }
}
