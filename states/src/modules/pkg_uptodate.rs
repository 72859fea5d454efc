//! `pkg.uptodate`: every installed package at the newest version that there is.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::packages::{self, Manager, Upgrades, manager, package_name, packages, run, versions};
use crate::value::Map;

pub(crate) const ARGS: &[&str] = &["pkgs", "refresh", "dist_upgrade"];
pub(crate) const IGNORED: &[&str] = &["cache_valid_time", "download_only", "force_yes"];

/// The declaration.
pub(crate) struct Want {
    manager: Manager,
    /// These alone.
    only: Option<Vec<String>>,
    refresh: bool,
    dist: bool,
}

/// `pkg.uptodate`.
pub(crate) struct Uptodate;

impl StateFn for Uptodate {
    type Want = Want;
    type Observed = Upgrades;
    type Plan = Upgrades;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let manager = manager(call)?;
        let named =
            |list: Vec<String>| list.iter().map(|n| package_name(n, manager)).collect::<Result<_, _>>();
        let only = args.list("pkgs")?.map(named).transpose()?;
        let dist = args.flag("dist_upgrade", true)?;
        Ok(Want { manager, only, refresh: args.flag("refresh", false)?, dist })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Upgrades, Failure> {
        // What is newest is told by the lists; a rehearsal takes them as they are.
        if want.refresh && !call.test {
            packages::refresh(Some(true), call)?;
        }
        let now = packages(call)?;
        let mut upgrades = want.manager.upgrades(&now, call)?;
        upgrades
            .retain(|name, _| !now.held(name) && want.only.as_ref().is_none_or(|only| only.contains(name)));
        Ok(upgrades)
    }

    fn diff(_: &Want, upgrades: &Upgrades) -> Diff<Upgrades> {
        if upgrades.is_empty() {
            return Diff::Same("System is already up-to-date".to_owned());
        }
        let changes: Map = upgrades
            .iter()
            .map(|(name, (old, new))| (name.clone(), versions(old.clone(), new.clone())))
            .collect();
        let names: Vec<&str> = upgrades.keys().map(String::as_str).collect();
        let would = format!("Would be upgraded: {}", names.join(", "));
        Diff::Change { plan: upgrades.clone(), changes, would }
    }

    fn apply(want: &Want, upgrades: Upgrades, call: &Call<'_>) -> Result<Applied, Failure> {
        let before = packages(call)?;
        call.facts.packages.replace(None);
        if !before.unfinished.is_empty() {
            want.manager.finish(call)?;
        }
        let names: Vec<String> = upgrades.keys().cloned().collect();
        let only = want.only.is_some().then_some(names.as_slice());
        let argv = want.manager.upgrade(only, want.dist, call.context.host.root());
        let ended = run(want.manager, &argv, call);
        let changes = packages::changes(&before, &*packages(call)?);
        let missing: Vec<&str> =
            upgrades.keys().filter(|n| !changes.contains_key(*n)).map(String::as_str).collect();
        let (comment, failed) = match ended {
            Err(e) => (e.to_string(), true),
            Ok(()) if want.only.is_some() && !missing.is_empty() => {
                (format!("These packages were not upgraded: {}", missing.join(", ")), true)
            }
            Ok(()) => ("Upgrade ran successfully".to_owned(), false),
        };
        Ok(Applied { comment, changes: Some(changes), failed })
    }
}
