//! `pkg.installed` and `pkg.latest`, whoever the package manager is.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::{Args, scalar};
use crate::modules::packages::files::{self, PackageFile};
use crate::modules::packages::{
    self, Compare, Constraint, Install, Manager, Packages, Target, manager, package_name, packages,
    repository_name, versions,
};
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
    "update_holds",
    "allow_updates",
    "enablerepo",
    "disablerepo",
    "disableexcludes",
];
pub(crate) const LATEST: &[&str] = &[
    "pkgs",
    "refresh",
    "fromrepo",
    "skip_verify",
    "install_recommends",
    "enablerepo",
    "disablerepo",
    "disableexcludes",
];
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
    manager: Manager,
    packages: Vec<Wanted>,
    /// Name and place of package files.
    sources: Vec<(String, String)>,
    refresh: Option<bool>,
    /// How to install, without what.
    how: Install,
    hold: Option<bool>,
}

impl Want {
    fn order(&self) -> Compare {
        self.manager.order()
    }
}

/// What is there, and what could be.
pub(crate) struct Observed {
    packages: Rc<Packages>,
    candidates: BTreeMap<String, String>,
    files: Vec<PackageFile>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    install: Vec<Target>,
    /// Package files; temporary ones are kept until they are installed.
    files: Vec<PackageFile>,
    /// The package manager was interrupted: let it finish first.
    finish: bool,
    /// Versions that are to be there in the end.
    latest: BTreeMap<String, String>,
    /// To be kept, or to be let go.
    hold: Vec<String>,
}

fn want(args: &Args<'_>, packages: Vec<Wanted>, manager: Manager) -> Result<Want, Failure> {
    args.refuse("reinstall", "use cmd.run for a reinstall")?;
    let hold = args.maybe_flag("hold")?;
    let from = args.text("fromrepo")?.filter(|f| !f.is_empty());
    let how = Install {
        from: from.map(|from| repository_name("fromrepo", from)).transpose()?,
        unsigned: args.flag("skip_verify", false)?,
        recommends: args.flag("install_recommends", true)?,
        held: hold.is_some() || args.flag("update_holds", false)?,
        options: repositories(args)?,
        ..Install::default()
    };
    let sources = files::sources(args, manager)?;
    Ok(Want { manager, packages, sources, refresh: args.maybe_flag("refresh")?, how, hold })
}

/// Which repositories yum and dnf are to look at.
fn repositories(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let mut options = Vec::new();
    for key in ["disablerepo", "enablerepo", "disableexcludes"] {
        for name in args.list(key)?.unwrap_or_default() {
            options.push(format!("--{key}={}", repository_name(key, name)?));
        }
    }
    Ok(options)
}

fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
    let names: Vec<String> = want.packages.iter().filter(|w| w.latest).map(|w| w.name.clone()).collect();
    let mut candidates = BTreeMap::new();
    if !names.is_empty() {
        // What is newest is told by the lists: they are fetched before the comparison. A rehearsal takes them as they are.
        if !call.test {
            packages::refresh(want.refresh, call)?;
        }
        candidates = want.manager.candidates(&names, &want.how, call)?;
    }
    Ok(Observed {
        packages: packages(call)?,
        candidates,
        files: files::look(&want.sources, want.manager, call)?,
    })
}

fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
    let order = want.order();
    let unknown: Vec<&str> = want
        .packages
        .iter()
        .filter(|w| w.latest && !now.candidates.contains_key(&w.name) && !now.packages.has(&w.name))
        .map(|w| w.name.as_str())
        .collect();
    if !unknown.is_empty() {
        return Diff::Refuse(format!("No information found for {}", unknown.join(", ")));
    }
    let lacking: Vec<&Wanted> = want.packages.iter().filter(|w| !w.met(now, order)).collect();
    let files: Vec<PackageFile> =
        now.files.iter().filter(|f| !f.met(&now.packages, order)).cloned().collect();
    let mut changes: Map = lacking.iter().map(|w| w.change(now)).collect();
    changes.extend(files.iter().map(|f| f.change(&now.packages)));
    let hold = holding(want, now);
    if lacking.is_empty() && files.is_empty() && hold.is_empty() {
        return Diff::Same(format!("Installed: {}", all_names(want, now).join(", ")));
    }
    hold.iter().for_each(|name| note_hold(&mut changes, name, want.hold == Some(true)));
    let latest = lacking.iter().filter_map(|w| Some((w.name.clone(), now.candidates.get(&w.name)?.clone())));
    let plan = Plan {
        latest: latest.collect(),
        install: lacking.into_iter().map(|w| w.target(&now.packages, order)).collect(),
        files,
        finish: !now.packages.unfinished.is_empty(),
        hold,
    };
    let would = match plan.told().as_str() {
        "" => format!("Would be {}: {}", hold_word(want.hold == Some(true)), plan.hold.join(", ")),
        all => format!("Would be installed: {all}"),
    };
    Diff::Change { plan, changes, would }
}

fn all_names(want: &Want, now: &Observed) -> Vec<String> {
    want.packages.iter().map(|w| w.name.clone()).chain(now.files.iter().map(|f| f.name.clone())).collect()
}

impl Plan {
    fn told(&self) -> String {
        let files = self.files.iter().map(|f| f.name.clone());
        let target = |t: &Target| match &t.constraint {
            Constraint::Exactly(version) => format!("{}={version}", t.name),
            _ => t.name.clone(),
        };
        self.install.iter().map(target).chain(files).collect::<Vec<_>>().join(", ")
    }
}

fn hold_word(hold: bool) -> &'static str {
    if hold { "held" } else { "unheld" }
}

/// Packages whose hold is not as asked.
fn holding(want: &Want, now: &Observed) -> Vec<String> {
    let Some(hold) = want.hold else { return Vec::new() };
    let names = want.packages.iter().map(|w| &w.name).chain(now.files.iter().map(|f| &f.name));
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
    let installed = install(want, plan, &before, call);
    let after = packages(call)?;
    let mut changes = packages::changes(&before, &after);
    let failed =
        |why: String, changes: Map| Ok(Applied { comment: why, changes: Some(changes), failed: true });
    if let Err(e) = installed {
        return failed(e.to_string(), changes);
    }
    let lacking = lacking(want, plan, &after);
    if !lacking.is_empty() {
        let program = want.manager.program();
        let why = format!("{program} ended well, yet these are not as asked: {}", lacking.join(", "));
        return failed(why, changes);
    }
    if let (Some(hold), false) = (want.hold, plan.hold.is_empty()) {
        call.facts.packages.replace(None);
        if let Err(e) = want.manager.hold(&plan.hold, hold, call) {
            return failed(e.to_string(), changes);
        }
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
    let order = want.order();
    let by_version =
        want.packages.iter().filter(|w| !w.latest && !w.is_in(after, order)).map(|w| w.name.as_str());
    let latest = plan.latest.iter().filter(|(name, version)| {
        !Constraint::Compared(">=", (*version).clone()).allows(after.version(name).unwrap_or_default(), order)
    });
    let files = plan.files.iter().filter(|f| !f.met(after, order)).map(|f| f.name.as_str());
    by_version.chain(latest.map(|(name, _)| name.as_str())).chain(files).collect()
}

/// Let an interrupted dpkg finish, fetch the lists, install; a mirror's complaint is told only when that fails.
fn install(want: &Want, plan: &Plan, before: &Packages, call: &Call<'_>) -> Result<(), Failure> {
    if plan.install.is_empty() && plan.files.is_empty() {
        return Ok(());
    }
    if plan.finish {
        want.manager.finish(call)?;
    }
    let complaint = packages::refresh(want.refresh, call)?;
    let files = plan.files.iter().map(|f| f.path.clone()).collect();
    let wish = Install { targets: plan.install.clone(), files, ..want.how.clone() };
    let done = want.manager.resolve(wish, call).and_then(|wish| unheld(want, &wish, before, call));
    done.map_err(|e| {
        let all = [Some(e.to_string()), complaint].into_iter().flatten().collect::<Vec<_>>();
        Failure::machine(all.join("\n"))
    })
}

/// Install; what is held is let go for as long as that takes, where the package manager does not do so
/// itself.
fn unheld(want: &Want, wish: &Install, before: &Packages, call: &Call<'_>) -> Result<(), Failure> {
    let commands = want.manager.install(wish, call.context.host.root());
    let held: Vec<String> = match wish.held && !want.manager.changes_held() {
        true => wish.targets.iter().map(|t| t.name.clone()).filter(|n| before.held(n)).collect(),
        false => Vec::new(),
    };
    if held.is_empty() {
        return packages::run_all(want.manager, &commands, call);
    }
    want.manager.hold(&held, false, call)?;
    let done = packages::run_all(want.manager, &commands, call);
    want.manager.hold(&held, true, call)?;
    done
}

/// `pkg.installed`.
pub(crate) struct Installed;

impl StateFn for Installed {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let manager = manager(call)?;
        let packages = if args.get("sources").is_some() { Vec::new() } else { wanted(args, manager, call)? };
        if args.get("sources").is_some() && args.get("pkgs").is_some() {
            return Err(Failure::declaration("only one of pkgs, sources can be given"));
        }
        want(args, packages, manager)
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
        let manager = manager(call)?;
        let mut packages = wanted(args, manager, call)?;
        packages.iter_mut().for_each(|w| {
            *w = Wanted { latest: true, version: None, constraint: Constraint::Any, ..w.clone() }
        });
        want(args, packages, manager)
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
    fn new(name: &str, version: Option<String>, updates: bool, manager: Manager) -> Result<Self, Failure> {
        let latest = version.as_deref() == Some("latest");
        let version = version.filter(|_| !latest);
        let mut constraint = Constraint::parse(version.as_deref().unwrap_or_default());
        if let (Constraint::Exactly(least), true) = (&constraint, updates)
            && constraint.pattern().is_none()
        {
            constraint = Constraint::Compared(">=", least.clone());
        }
        if let Constraint::Exactly(version) | Constraint::Compared(_, version) = &constraint {
            repository_name("version", version.clone())?;
        }
        Ok(Self { name: package_name(name, manager)?, version, constraint, latest })
    }

    fn is_in(&self, packages: &Packages, order: Compare) -> bool {
        let allowed = |version: &String| self.constraint.allows(version, order);
        match packages.versions(&self.name) {
            [] => self.constraint == Constraint::Any && packages.has(&self.name),
            versions => versions.iter().any(allowed),
        }
    }

    fn met(&self, now: &Observed, order: Compare) -> bool {
        if !self.latest {
            return self.is_in(&now.packages, order);
        }
        match (now.packages.version(&self.name), now.candidates.get(&self.name)) {
            (Some(version), Some(candidate)) => order(version, candidate).is_ge(),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }

    fn target(&self, packages: &Packages, order: Compare) -> Target {
        let newer =
            |version: &str| packages.version(&self.name).is_some_and(|now| order(now, version).is_gt());
        let back = match &self.constraint {
            Constraint::Exactly(v) | Constraint::Compared("<" | "<<" | "<=", v) => newer(v),
            _ => false,
        };
        Target { name: self.name.clone(), constraint: self.constraint.clone(), back }
    }

    fn change(&self, now: &Observed) -> (String, Value) {
        let newest = now.candidates.get(&self.name).cloned();
        let new = self.version.clone().or(newest).unwrap_or_else(|| "installed".to_owned());
        (self.name.clone(), versions(now.packages.told(&self.name), new))
    }
}

fn wanted(args: &Args<'_>, manager: Manager, call: &Call<'_>) -> Result<Vec<Wanted>, Failure> {
    let bad = || Failure::declaration("`pkgs` must be a list of names and of {name: version}");
    let updates = args.flag("allow_updates", false)?;
    let one = |name: &str, version: Option<String>| Wanted::new(name, version, updates, manager);
    let items = match args.get("pkgs") {
        None => return Ok(vec![one(&call.chunk.name, args.text("version")?)?]),
        Some(Value::List(items)) if !items.is_empty() => items,
        Some(_) => return Err(bad()),
    };
    let mut all = Vec::new();
    for item in items {
        match item {
            Value::Map(map) => {
                for (name, version) in map {
                    all.push(one(name, scalar(version))?);
                }
            }
            other => all.push(one(&scalar(other).ok_or_else(bad)?, None)?),
        }
    }
    Ok(all)
}
