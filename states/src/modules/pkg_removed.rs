//! `pkg.removed` and `pkg.purged`.

use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::{Args, joined, scalar};
use crate::modules::packages::{
    self, Constraint, Manager, Packages, manager, package_name, packages, run, versions,
};
use crate::value::Map;

pub(crate) const ARGS: &[&str] = &["pkgs", "version"];
pub(crate) const IGNORED: &[&str] = &["normalize", "ignore_epoch", "split_arch"];

/// Packages that are not to be there.
pub(crate) struct Want {
    manager: Manager,
    /// With the version that is meant, or any.
    packages: Vec<(String, Constraint)>,
    purge: bool,
}

impl Want {
    fn verb(&self) -> &'static str {
        if self.purge { "purge" } else { "remove" }
    }

    fn there(&self, packages: &Packages) -> Vec<String> {
        let order = self.manager.order();
        let is = |(name, constraint): &&(String, Constraint)| {
            let installed = packages.versions(name).iter().any(|v| constraint.allows(v, order));
            installed || (self.purge && packages.remains(name))
        };
        self.packages.iter().filter(is).map(|(name, _)| name.clone()).collect()
    }

    /// As the command line names them: of a package that is there more than once perhaps only some versions.
    fn targets(&self, packages: &Packages) -> Vec<String> {
        let order = self.manager.order();
        let one = |(name, constraint): &(String, Constraint)| -> Vec<String> {
            let (some, others): (Vec<&String>, Vec<&String>) =
                packages.versions(name).iter().partition(|v| constraint.allows(v, order));
            match others.is_empty() {
                true => vec![name.clone()],
                false => some.into_iter().map(|v| self.manager.exactly(name, v)).collect(),
            }
        };
        let there = self.there(packages);
        self.packages.iter().filter(|(name, _)| there.contains(name)).flat_map(one).collect()
    }
}

fn want(args: &Args<'_>, call: &Call<'_>, purge: bool) -> Result<Want, Failure> {
    let version = args.text("version")?.unwrap_or_default();
    let given = match args.get("pkgs") {
        None => vec![(call.chunk.name.clone(), version)],
        Some(value) => {
            let bad = || Failure::declaration("`pkgs` must be a list of names and of {name: version}");
            let all = joined(value).ok_or_else(bad)?;
            all.iter().map(|(name, v)| (name.clone(), scalar(v).unwrap_or_default())).collect()
        }
    };
    let manager = manager(call)?;
    let one =
        |(name, version): &(String, String)| Ok((package_name(name, manager)?, Constraint::parse(version)));
    Ok(Want { manager, packages: given.iter().map(one).collect::<Result<_, Failure>>()?, purge })
}

fn diff(want: &Want, now: &Rc<Packages>) -> Diff<Vec<String>> {
    let there = want.there(now);
    if there.is_empty() {
        let partly = if want.purge { " or partially installed" } else { "" };
        return Diff::Same(format!("None of the targeted packages are installed{partly}"));
    }
    let changes: Map = there.iter().map(|n| (n.clone(), versions("", format!("{}d", want.verb())))).collect();
    let would = format!("Would be {}d: {}", want.verb(), there.join(", "));
    Diff::Change { plan: there, changes, would }
}

fn apply(want: &Want, there: &[String], call: &Call<'_>) -> Result<Applied, Failure> {
    let before = packages(call)?;
    call.facts.packages.replace(None);
    if !before.unfinished.is_empty() {
        want.manager.finish(call)?;
    }
    let argv = want.manager.remove(&want.targets(&before), want.purge, call.context.host.root());
    let ended = run(want.manager, &argv, call);
    let after = packages(call)?;
    let changes = Some(told(want, there, &before, &after));
    if let Err(e) = ended {
        return Ok(Applied { comment: e.to_string(), changes, failed: true });
    }
    let left = want.there(&after);
    if !left.is_empty() {
        let comment =
            format!("{} ended well, yet these are still there: {}", want.manager.program(), left.join(", "));
        return Ok(Applied { comment, changes, failed: true });
    }
    let comment = format!("All targeted packages were {}d.", want.verb());
    Ok(Applied { comment, changes, failed: false })
}

/// Every package that differs; what had only its configuration left is told by Salt below `removed`.
fn told(want: &Want, there: &[String], before: &Packages, after: &Packages) -> Map {
    let mut changes = packages::changes(before, after);
    for name in there.iter().filter(|n| want.purge && before.remains(n) && !after.remains(n)) {
        changes.insert(name.clone(), versions("", ""));
    }
    changes
}

/// `pkg.removed`, and with `true` `pkg.purged`, which leaves nothing of the configuration.
pub(crate) struct Removed<const PURGE: bool>;

impl<const PURGE: bool> StateFn for Removed<PURGE> {
    type Want = Want;
    type Observed = Rc<Packages>;
    type Plan = Vec<String>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call, PURGE)
    }

    fn observe(_: &Want, call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
        packages(call)
    }

    fn diff(want: &Want, now: &Rc<Packages>) -> Diff<Vec<String>> {
        diff(want, now)
    }

    fn apply(want: &Want, there: Vec<String>, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(want, &there, call)
    }
}
