//! `pip.removed` and `pip.uptodate`.

use std::collections::BTreeMap;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::packages::versions;
use crate::modules::pip_env::Pip;
use crate::modules::pip_wish::{Wish, normal};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["bin_env", "user", "cwd"];
pub(crate) const IGNORED: &[&str] = &["log", "proxy", "use_vt", "requirements"];

fn pip(args: &Args<'_>, call: &Call<'_>) -> Result<Pip, Failure> {
    Pip::read(args.text("bin_env")?.as_deref(), args, call)
}

/// `pip.removed`.
pub(crate) struct Remove;

impl StateFn for Remove {
    type Want = (Pip, String);
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let wish = Wish::parse(&call.chunk.name).map_err(Failure::declaration)?;
        match normal(&call.chunk.name) == wish.name {
            true => Ok((pip(args, call)?, call.chunk.name.clone())),
            false => Err(Failure::declaration("the name of a package to remove has no version")),
        }
    }

    fn observe((pip, name): &Self::Want, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(pip.list(call)?.contains_key(&normal(name)))
    }

    fn diff((_, name): &Self::Want, there: &bool) -> Diff<()> {
        if !there {
            return Diff::Same("Package is not installed.".to_owned());
        }
        let changes = Map::from([(name.clone(), Value::Str("Removed".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("Package {name} would be removed") }
    }

    fn apply((pip, name): &Self::Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        Pip::changed(call);
        pip.must(&["uninstall", "--yes", "--", name].map(str::to_owned), call)?;
        match pip.list(call)?.contains_key(&normal(name)) {
            true => Err(Failure::machine(format!("pip ended well, yet {name} is still there"))),
            false => Ok(Applied::done("Package was successfully removed.")),
        }
    }
}

/// `pip.uptodate`.
pub(crate) struct Uptodate;

impl StateFn for Uptodate {
    type Want = Pip;
    type Observed = BTreeMap<String, (String, String)>;
    type Plan = Vec<String>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Pip, Failure> {
        pip(args, call)
    }

    fn observe(pip: &Pip, call: &Call<'_>) -> Result<Self::Observed, Failure> {
        let installed = pip.list(call)?;
        let newer = pip.outdated(&[], call)?.into_iter();
        Ok(newer
            .filter_map(|(name, new)| Some((name.clone(), (installed.get(&name)?.clone(), new))))
            .collect())
    }

    fn diff(_: &Pip, newer: &Self::Observed) -> Diff<Vec<String>> {
        if newer.is_empty() {
            return Diff::Same("System is already up-to-date.".to_owned());
        }
        let pair = |(name, (old, new)): (&String, &(String, String))| {
            (name.clone(), versions(old.clone(), new.clone()))
        };
        let plan: Vec<String> = newer.keys().cloned().collect();
        let would = format!("Would be upgraded: {}", plan.join(", "));
        Diff::Change { plan, changes: newer.iter().map(pair).collect(), would }
    }

    fn apply(pip: &Pip, names: Vec<String>, call: &Call<'_>) -> Result<Applied, Failure> {
        let before = pip.list(call)?;
        Pip::changed(call);
        let argv = ["install", "--upgrade", "--"].map(str::to_owned).to_vec();
        pip.must(&[argv, names].concat(), call)?;
        let after = pip.list(call)?;
        let all = before.keys().chain(after.keys());
        let told = |of: &BTreeMap<String, String>, name: &String| of.get(name).cloned().unwrap_or_default();
        let changes = all
            .filter(|n| before.get(*n) != after.get(*n))
            .map(|n| (n.clone(), versions(told(&before, n), told(&after, n))))
            .collect();
        Ok(Applied { comment: "Upgrade successful.".to_owned(), changes: Some(changes), failed: false })
    }
}
