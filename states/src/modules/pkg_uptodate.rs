//! `pkg.uptodate` with apt: every installed package at the newest version that there is.

use std::collections::BTreeMap;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::apt::{self, package_name, packages, run, versions};
use crate::modules::args::Args;
use crate::modules::dpkg::compare;
use crate::value::Map;

pub(crate) const ARGS: &[&str] = &["pkgs", "refresh", "dist_upgrade"];
pub(crate) const IGNORED: &[&str] = &["cache_valid_time", "download_only", "force_yes"];

/// The declaration.
pub(crate) struct Want {
    /// These alone.
    only: Option<Vec<String>>,
    refresh: bool,
    dist: bool,
}

/// Old and new version by package.
type Upgrades = BTreeMap<String, (String, String)>;

/// `pkg.uptodate`.
pub(crate) struct Uptodate;

impl StateFn for Uptodate {
    type Want = Want;
    type Observed = Upgrades;
    type Plan = Upgrades;

    fn want(args: &Args<'_>, _: &Call<'_>) -> Result<Want, Failure> {
        let only = args.list("pkgs")?;
        let only =
            only.map(|l| l.iter().map(|n| package_name(n)).collect::<Result<Vec<_>, _>>()).transpose()?;
        let dist = args.flag("dist_upgrade", true)?;
        Ok(Want { only, refresh: args.flag("refresh", false)?, dist })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Upgrades, Failure> {
        // What is newest is told by the lists; a rehearsal takes them as they are.
        if want.refresh && !call.test {
            apt::refresh(Some(true), call)?;
        }
        let now = packages(call)?;
        let asked = |name: &&String| want.only.as_ref().is_none_or(|only| only.contains(name));
        let names: Vec<String> = now.names().filter(asked).filter(|n| !now.held(n)).cloned().collect();
        let newest = apt::candidates(&names, None, call)?;
        let newer = newest.into_iter().filter_map(|(name, candidate)| {
            let version = now.version(&name)?.to_owned();
            compare(&candidate, &version).is_gt().then_some((name, (version, candidate)))
        });
        Ok(newer.collect())
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
            apt::finish(call)?;
        }
        let mut argv = apt::apt(call);
        match &want.only {
            Some(_) => {
                argv.extend(["install", "--only-upgrade", "--"].map(str::to_owned));
                argv.extend(upgrades.keys().cloned());
            }
            None => argv.push(if want.dist { "dist-upgrade" } else { "upgrade" }.to_owned()),
        }
        let ended = run(call, &argv);
        let changes = apt::changes(&before, &*packages(call)?);
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
