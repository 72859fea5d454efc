//! `pkg.installed` and `pkg.latest` with apt: the dpkg database is read directly, apt-get is run only for changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::apt::{self, package_name, packages, run, versions};
use crate::modules::args::{Args, scalar};
use crate::modules::debs::{self, Deb};
use crate::modules::dpkg::{Constraint, Packages};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "pkgs",
    "version",
    "sources",
    "refresh",
    "fromrepo",
    "skip_verify",
    "install_recommends",
    "hold",
    "allow_updates",
];
pub(crate) const LATEST: &[&str] = &["pkgs", "refresh", "fromrepo", "skip_verify", "install_recommends"];
pub(crate) const IGNORED: &[&str] = &[
    "normalize",
    "skip_suggestions",
    "ignore_epoch",
    "cache_valid_time",
    "only_upgrade",
    "pkg_verify",
    "resolve_capabilities",
    "ignore_types",
    "verify_options",
    "watch_flags",
    "update_holds",
];

/// One package that is asked for.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    name: String,
    version: Option<String>,
    constraint: Constraint,
    /// The newest that there is.
    latest: bool,
}

/// The declaration.
pub(crate) struct Want {
    packages: Vec<Wanted>,
    /// Name and place of package files.
    sources: Vec<(String, String)>,
    refresh: Option<bool>,
    from: Option<String>,
    unsigned: bool,
    recommends: bool,
    hold: Option<bool>,
}

/// What is there, and what could be.
pub(crate) struct Observed {
    packages: Rc<Packages>,
    candidates: BTreeMap<String, String>,
    debs: Vec<Deb>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// As apt-get takes them: `name` or `name=version`.
    install: Vec<String>,
    /// Package files.
    files: Vec<PathBuf>,
    /// Keep the temporary files of those until they are installed.
    debs: Vec<Deb>,
    /// dpkg was interrupted: let it finish first.
    finish: bool,
    /// Versions that are to be there in the end.
    latest: BTreeMap<String, String>,
    /// To be kept, or to be let go.
    hold: Vec<String>,
}

fn want(args: &Args<'_>, packages: Vec<Wanted>) -> Result<Want, Failure> {
    args.refuse("reinstall", "use cmd.run for a reinstall")?;
    Ok(Want {
        packages,
        sources: debs::sources(args)?,
        refresh: args.maybe_flag("refresh")?,
        from: args.text("fromrepo")?.filter(|f| !f.is_empty()),
        unsigned: args.flag("skip_verify", false)?,
        recommends: args.flag("install_recommends", true)?,
        hold: args.maybe_flag("hold")?,
    })
}

fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
    let names: Vec<String> = want.packages.iter().filter(|w| w.latest).map(|w| w.name.clone()).collect();
    let mut candidates = BTreeMap::new();
    if !names.is_empty() {
        // What is newest is told by the lists: they are fetched before the comparison. A rehearsal takes them as they are.
        if !call.test {
            apt::refresh(want.refresh, call)?;
        }
        candidates = apt::candidates(&names, want.from.as_deref(), call)?;
    }
    Ok(Observed { packages: packages(call)?, candidates, debs: debs::look(&want.sources, call)? })
}

fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
    let unknown: Vec<&str> = want
        .packages
        .iter()
        .filter(|w| w.latest && !now.candidates.contains_key(&w.name) && !now.packages.has(&w.name))
        .map(|w| w.name.as_str())
        .collect();
    if !unknown.is_empty() {
        return Diff::Refuse(format!("No information found for {}", unknown.join(", ")));
    }
    let lacking: Vec<&Wanted> = want.packages.iter().filter(|w| !w.met(now)).collect();
    let debs: Vec<Deb> = now.debs.iter().filter(|d| !d.met(&now.packages)).cloned().collect();
    let mut changes: Map = lacking.iter().map(|w| w.change(now)).collect();
    changes.extend(debs.iter().map(|d| d.change(&now.packages)));
    let hold = holding(want, now);
    let names: Vec<String> = want.packages.iter().map(|w| w.name.clone()).collect();
    if lacking.is_empty() && debs.is_empty() && hold.is_empty() {
        let all = [names, now.debs.iter().map(|d| d.name.clone()).collect()].concat();
        return Diff::Same(format!("Installed: {}", all.join(", ")));
    }
    hold.iter().for_each(|name| note_hold(&mut changes, name, want.hold == Some(true)));
    let latest = lacking.iter().filter_map(|w| Some((w.name.clone(), now.candidates.get(&w.name)?.clone())));
    let plan = Plan {
        latest: latest.collect(),
        install: lacking.into_iter().map(Wanted::for_apt).collect(),
        files: debs.iter().map(|d| d.path.clone()).collect(),
        debs,
        finish: !now.packages.unfinished.is_empty(),
        hold,
    };
    let would = match plan.told().as_str() {
        "" => format!("Would be {}: {}", hold_word(want.hold == Some(true)), plan.hold.join(", ")),
        all => format!("Would be installed: {all}"),
    };
    Diff::Change { plan, changes, would }
}

impl Plan {
    fn told(&self) -> String {
        let files = self.debs.iter().map(|d| d.name.clone());
        self.install.iter().cloned().chain(files).collect::<Vec<_>>().join(", ")
    }
}

fn hold_word(hold: bool) -> &'static str {
    if hold { "held" } else { "unheld" }
}

/// Packages whose hold is not as asked.
fn holding(want: &Want, now: &Observed) -> Vec<String> {
    let Some(hold) = want.hold else { return Vec::new() };
    let names = want.packages.iter().map(|w| &w.name).chain(now.debs.iter().map(|d| &d.name));
    names.filter(|n| now.packages.held(n) != hold).cloned().collect()
}

/// Salt puts the selection beside the versions, on a line of its own.
fn note_hold(changes: &mut Map, name: &str, hold: bool) {
    let (old, new) = if hold { ("install", "hold") } else { ("hold", "install") };
    let join = |now: &Value, word: &str| match now.as_str() {
        Some("") | None => Value::Str(word.to_owned()),
        Some(now) => Value::Str(format!("{now}\n{word}")),
    };
    match changes.get_mut(name) {
        Some(Value::Map(pair)) => {
            for (key, word) in [("old", old), ("new", new)] {
                let joined = join(pair.get(key).unwrap_or(&Value::Null), word);
                pair.insert(key.to_owned(), joined);
            }
        }
        _ => {
            let only = Map::from([("new".to_owned(), Value::Str(new.to_owned()))]);
            changes.insert(name.to_owned(), Value::Map(only));
        }
    }
}

fn apply(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Applied, Failure> {
    let before = packages(call)?;
    // Whatever happens from here on, the database is read anew.
    call.facts.packages.replace(None);
    let installed = install(want, plan, call);
    let after = packages(call)?;
    let mut changes = apt::changes(&before, &after);
    let failed =
        |why: String, changes: Map| Ok(Applied { comment: why, changes: Some(changes), failed: true });
    if let Err(e) = installed {
        return failed(e.to_string(), changes);
    }
    let lacking = lacking(want, plan, &after);
    if !lacking.is_empty() {
        let why = format!("apt-get ended well, yet these are not as asked: {}", lacking.join(", "));
        return failed(why, changes);
    }
    if let (Some(hold), false) = (want.hold, plan.hold.is_empty()) {
        apt::select(&plan.hold, if hold { "hold" } else { "install" }, call)?;
        plan.hold.iter().for_each(|name| note_hold(&mut changes, name, hold));
    }
    let comment = match plan.told().as_str() {
        "" => format!("Now {}: {}", hold_word(want.hold == Some(true)), plan.hold.join(", ")),
        all => format!("Installed: {all}"),
    };
    Ok(Applied { comment, changes: Some(changes), failed: false })
}

/// What is not as asked, after all.
fn lacking<'w>(want: &'w Want, plan: &'w Plan, after: &Packages) -> Vec<&'w str> {
    let by_version = want.packages.iter().filter(|w| !w.latest && !w.is_in(after)).map(|w| w.name.as_str());
    let latest = plan.latest.iter().filter(|(name, version)| {
        !Constraint::Compared(">=", (*version).clone()).allows(after.version(name).unwrap_or_default())
    });
    let files = plan.debs.iter().filter(|d| !d.met(after)).map(|d| d.name.as_str());
    by_version.chain(latest.map(|(name, _)| name.as_str())).chain(files).collect()
}

/// Let an interrupted dpkg finish, fetch the lists, install; a mirror's complaint is told only when that fails.
fn install(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<(), Failure> {
    if plan.install.is_empty() && plan.files.is_empty() {
        return Ok(());
    }
    if plan.finish {
        apt::finish(call)?;
    }
    let complaint = apt::refresh(want.refresh, call)?;
    run(call, &install_argv(want, plan, call)).map_err(|e| {
        let all = [Some(e.to_string()), complaint].into_iter().flatten().collect::<Vec<_>>();
        Failure::machine(all.join("\n"))
    })
}

fn install_argv(want: &Want, plan: &Plan, call: &Call<'_>) -> Vec<String> {
    let mut argv = apt::apt(call);
    if !want.recommends {
        argv.push("--no-install-recommends".to_owned());
    }
    if want.unsigned {
        argv.push("--allow-unauthenticated".to_owned());
    }
    if let Some(from) = &want.from {
        argv.extend(["-t".to_owned(), from.clone()]);
    }
    if want.hold.is_some() {
        argv.push("--allow-change-held-packages".to_owned());
    }
    // A pinned version may be older than what is installed.
    argv.extend(["--allow-downgrades".to_owned(), "install".to_owned(), "--".to_owned()]);
    argv.extend(plan.install.iter().cloned());
    argv.extend(plan.files.iter().map(|f| f.display().to_string()));
    argv
}

/// `pkg.installed`.
pub(crate) struct Installed;

impl StateFn for Installed {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let packages = if args.get("sources").is_some() { Vec::new() } else { wanted(args, call)? };
        if args.get("sources").is_some() && args.get("pkgs").is_some() {
            return Err(Failure::declaration("only one of pkgs, sources can be given"));
        }
        want(args, packages)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(want, call)
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        diff(want, now)
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(want, &plan, call)
    }
}

/// `pkg.latest`.
pub(crate) struct Latest;

impl StateFn for Latest {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("sources", "a package file has one version")?;
        let mut packages = wanted(args, call)?;
        packages.iter_mut().for_each(|w| {
            *w = Wanted { latest: true, version: None, constraint: Constraint::Any, ..w.clone() }
        });
        want(args, packages)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(want, call)
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        diff(want, now)
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(want, &plan, call)
    }
}

impl Wanted {
    fn new(name: &str, version: Option<String>, updates: bool) -> Result<Self, Failure> {
        let latest = version.as_deref() == Some("latest");
        let version = version.filter(|_| !latest);
        let mut constraint = Constraint::parse(version.as_deref().unwrap_or_default());
        if let (Constraint::Exactly(least), true) = (&constraint, updates)
            && !least.contains(['*', '?'])
        {
            constraint = Constraint::Compared(">=", least.clone());
        }
        Ok(Self { name: package_name(name)?, version, constraint, latest })
    }

    fn is_in(&self, packages: &Packages) -> bool {
        match (&self.constraint, packages.version(&self.name)) {
            (constraint, Some(version)) => constraint.allows(version),
            (Constraint::Any, None) => packages.has(&self.name),
            _ => false,
        }
    }

    fn met(&self, now: &Observed) -> bool {
        if !self.latest {
            return self.is_in(&now.packages);
        }
        match (now.packages.version(&self.name), now.candidates.get(&self.name)) {
            (Some(version), Some(candidate)) => Constraint::Compared(">=", candidate.clone()).allows(version),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }

    /// apt-get takes exact versions and patterns; a comparison is left to it and checked afterwards.
    fn for_apt(&self) -> String {
        match &self.constraint {
            Constraint::Exactly(version) => format!("{}={version}", self.name),
            _ => self.name.clone(),
        }
    }

    fn change(&self, now: &Observed) -> (String, Value) {
        let old = now.packages.version(&self.name).unwrap_or_default();
        let newest = now.candidates.get(&self.name).cloned();
        let new = self.version.clone().or(newest).unwrap_or_else(|| "installed".to_owned());
        (self.name.clone(), versions(old, new))
    }
}

fn wanted(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Wanted>, Failure> {
    let bad = || Failure::declaration("`pkgs` must be a list of names and of {name: version}");
    let updates = args.flag("allow_updates", false)?;
    let items = match args.get("pkgs") {
        None => return Ok(vec![Wanted::new(&call.chunk.name, args.text("version")?, updates)?]),
        Some(Value::List(items)) if !items.is_empty() => items,
        Some(_) => return Err(bad()),
    };
    let mut all = Vec::new();
    for item in items {
        match item {
            Value::Map(map) => {
                for (name, version) in map {
                    all.push(Wanted::new(name, scalar(version), updates)?);
                }
            }
            other => all.push(Wanted::new(&scalar(other).ok_or_else(bad)?, None, updates)?),
        }
    }
    Ok(all)
}
