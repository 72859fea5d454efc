//! `pkg.held` and `pkg.unheld`: packages that are kept as they are.

use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::{Args, joined};
use crate::modules::packages::{Manager, Packages, manager, package_name, packages};
use crate::value::{Map, Value};

pub(crate) const HELD: &[&str] = &["pkgs", "replace"];
pub(crate) const UNHELD: &[&str] = &["pkgs", "all"];
/// Packages are held, not versions of them.
pub(crate) const IGNORED: &[&str] = &["version"];

/// The declaration.
pub(crate) struct Want {
    manager: Manager,
    packages: Vec<String>,
    /// `replace` of held, `all` of unheld: also those that are not named.
    others: bool,
}

/// Packages to hold, and packages to let go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    hold: Vec<String>,
    release: Vec<String>,
}

fn want(args: &Args<'_>, call: &Call<'_>, others: &str) -> Result<Want, Failure> {
    let names = match args.get("pkgs") {
        None => vec![call.chunk.name.clone()],
        Some(value) => {
            let bad = || Failure::declaration("`pkgs` must be a list of names");
            joined(value).ok_or_else(bad)?.keys().cloned().collect()
        }
    };
    let manager = manager(call)?;
    let packages = names.iter().map(|n| package_name(n, manager)).collect::<Result<_, _>>()?;
    Ok(Want { manager, packages, others: args.flag(others, false)? })
}

fn change(plan: Plan) -> Diff<Plan> {
    if plan.hold.is_empty() && plan.release.is_empty() {
        return Diff::Same("No changes made".to_owned());
    }
    let mut changes = Map::new();
    changes.extend(plan.hold.iter().map(|n| told(n, "install", "hold", "is now being held.")));
    changes.extend(plan.release.iter().map(|n| told(n, "hold", "install", "is no longer being held.")));
    let would = [("held", &plan.hold), ("unheld", &plan.release)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("Would be {word}: {}", names.join(", ")));
    Diff::Change { changes, would: would.collect::<Vec<_>>().join("; "), plan }
}

/// A whole return of its own is what Salt has under each name.
fn told(name: &str, old: &str, new: &str, words: &str) -> (String, Value) {
    let text = |s: &str| Value::Str(s.to_owned());
    let pair = Map::from([("old".to_owned(), text(old)), ("new".to_owned(), text(new))]);
    let all = Map::from([
        ("name".to_owned(), text(name)),
        ("changes".to_owned(), Value::Map(pair)),
        ("result".to_owned(), Value::Bool(true)),
        ("comment".to_owned(), text(&format!("Package {name} {words}"))),
    ]);
    (name.to_owned(), Value::Map(all))
}

fn apply(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Applied, Failure> {
    call.facts.packages.replace(None);
    if !plan.release.is_empty() {
        want.manager.hold(&plan.release, false, call)?;
    }
    if !plan.hold.is_empty() {
        want.manager.hold(&plan.hold, true, call)?;
    }
    let now = packages(call)?;
    let wrong = |names: &[String], held: bool| names.iter().any(|n| now.held(n) != held);
    if wrong(&plan.hold, true) || wrong(&plan.release, false) {
        let program = want.manager.program();
        return Err(Failure::machine(format!(
            "{program} ended well, yet the packages are not held as asked"
        )));
    }
    let all = [plan.hold.clone(), plan.release.clone()].concat();
    Ok(Applied::done(format!("Holds were changed: {}", all.join(", "))))
}

/// `pkg.held`.
pub(crate) struct Held;

impl StateFn for Held {
    type Want = Want;
    type Observed = Rc<Packages>;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call, "replace")
    }

    fn observe(_: &Want, call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
        packages(call)
    }

    fn diff(want: &Want, now: &Rc<Packages>) -> Diff<Plan> {
        let missing: Vec<&str> = want.packages.iter().filter(|n| !now.has(n)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Diff::Refuse(format!("not installed, so it cannot be held: {}", missing.join(", ")));
        }
        let others = now.all_held().filter(|n| want.others && !want.packages.contains(n));
        change(Plan {
            hold: want.packages.iter().filter(|n| !now.held(n)).cloned().collect(),
            release: others.cloned().collect(),
        })
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(want, &plan, call)
    }
}

/// `pkg.unheld`.
pub(crate) struct Unheld;

impl StateFn for Unheld {
    type Want = Want;
    type Observed = Rc<Packages>;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call, "all")
    }

    fn observe(_: &Want, call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
        packages(call)
    }

    fn diff(want: &Want, now: &Rc<Packages>) -> Diff<Plan> {
        let release = now.all_held().filter(|n| want.others || want.packages.contains(n));
        change(Plan { hold: Vec::new(), release: release.cloned().collect() })
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(want, &plan, call)
    }
}
