//! `pkg.installed` with apt: the dpkg database is read directly, apt-get is run only for changes.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::host::Command;
use crate::modules::args::{Args, scalar};
use crate::modules::cmd::last_words;
use crate::modules::dpkg::{Constraint, Packages};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] =
    &["pkgs", "version", "refresh", "fromrepo", "skip_verify", "install_recommends"];
pub(crate) const IGNORED: &[&str] =
    &["normalize", "skip_suggestions", "allow_updates", "hold", "ignore_epoch"];

const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_LIMIT: usize = 256 << 20;
/// Fetching and installing may take long; a hung mirror must still end.
const APT_TIMEOUT: Duration = Duration::from_secs(1800);

/// One package that is asked for.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    name: String,
    version: Option<String>,
    constraint: Constraint,
}

/// The declaration.
pub(crate) struct Want {
    packages: Vec<Wanted>,
    refresh: Option<bool>,
    from: Option<String>,
    unsigned: bool,
    recommends: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// As apt-get takes them: `name` or `name=version`.
    install: Vec<String>,
    /// dpkg was interrupted: let it finish first.
    finish: bool,
}

/// `pkg.installed`.
pub(crate) struct Installed;

impl StateFn for Installed {
    type Want = Want;
    type Observed = Rc<Packages>;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let unsupported = "install local package files with cmd.run, or put them into a repository";
        args.refuse("sources", unsupported)?;
        args.refuse("reinstall", "use cmd.run for a reinstall")?;
        Ok(Want {
            packages: wanted(args, call)?,
            refresh: args.maybe_flag("refresh")?,
            from: args.text("fromrepo")?,
            unsigned: args.flag("skip_verify", false)?,
            recommends: args.flag("install_recommends", true)?,
        })
    }

    fn observe(_: &Want, call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
        packages(call)
    }

    fn diff(want: &Want, packages: &Rc<Packages>) -> Diff<Plan> {
        let lacking: Vec<&Wanted> = want.packages.iter().filter(|w| !w.met(packages)).collect();
        if lacking.is_empty() {
            let names: Vec<&str> = want.packages.iter().map(|w| w.name.as_str()).collect();
            return Diff::Same(format!("Installed: {}", names.join(", ")));
        }
        let changes = lacking.iter().map(|w| w.change(packages)).collect();
        let install: Vec<String> = lacking.into_iter().map(Wanted::for_apt).collect();
        let would = format!("Would be installed: {}", install.join(", "));
        Diff::Change { plan: Plan { install, finish: !packages.unfinished.is_empty() }, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let before = packages(call)?;
        // Whatever happens from here on, the database is read anew.
        call.facts.packages.replace(None);
        let complaint = prepare(want, &plan, call)?;
        let installed = run(call, &install_argv(want, &plan, call));
        let after = packages(call)?;
        let changes = changes(&before, &after);
        let failed = |why: String| Ok(Applied { comment: why, changes: Some(changes.clone()), failed: true });
        if let Err(e) = installed {
            return failed(
                [Some(e.to_string()), complaint].into_iter().flatten().collect::<Vec<_>>().join("\n"),
            );
        }
        let lacking: Vec<&str> =
            want.packages.iter().filter(|w| !w.met(&after)).map(|w| w.name.as_str()).collect();
        if !lacking.is_empty() {
            return failed(format!("apt-get ended well, yet these are not as asked: {}", lacking.join(", ")));
        }
        Ok(Applied {
            comment: format!("Installed: {}", plan.install.join(", ")),
            changes: Some(changes),
            failed: false,
        })
    }
}

impl Wanted {
    fn new(name: &str, version: Option<String>) -> Result<Self, Failure> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(fits) {
            return Err(Failure::declaration(format!("{name:?} cannot be the name of a package")));
        }
        if version.as_deref() == Some("latest") {
            return Err(Failure::declaration(
                "`version: latest` is not supported; name the version that is wanted",
            ));
        }
        let constraint = Constraint::parse(version.as_deref().unwrap_or_default());
        Ok(Self { name: name.to_owned(), version, constraint })
    }

    fn met(&self, packages: &Packages) -> bool {
        match (&self.constraint, packages.version(&self.name)) {
            (constraint, Some(version)) => constraint.allows(version),
            (Constraint::Any, None) => packages.has(&self.name),
            _ => false,
        }
    }

    /// apt-get takes exact versions and patterns; a comparison is left to it and checked afterwards.
    fn for_apt(&self) -> String {
        match &self.constraint {
            Constraint::Exactly(version) => format!("{}={version}", self.name),
            _ => self.name.clone(),
        }
    }

    fn change(&self, packages: &Packages) -> (String, Value) {
        let old = packages.version(&self.name).unwrap_or_default().to_owned();
        let new = self.version.clone().unwrap_or_else(|| "installed".to_owned());
        (self.name.clone(), versions(old, new))
    }
}

fn versions(old: String, new: String) -> Value {
    Value::Map(Map::from([("old".to_owned(), Value::Str(old)), ("new".to_owned(), Value::Str(new))]))
}

fn wanted(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Wanted>, Failure> {
    let bad = || Failure::declaration("`pkgs` must be a list of names and of {name: version}");
    let items = match args.get("pkgs") {
        None => return Ok(vec![Wanted::new(&call.chunk.name, args.text("version")?)?]),
        Some(Value::List(items)) if !items.is_empty() => items,
        Some(_) => return Err(bad()),
    };
    let mut all = Vec::new();
    for item in items {
        match item {
            Value::Map(map) => {
                for (name, version) in map {
                    all.push(Wanted::new(name, scalar(version))?);
                }
            }
            other => all.push(Wanted::new(&scalar(other).ok_or_else(bad)?, None)?),
        }
    }
    Ok(all)
}

/// The package database, read at most once between changes.
fn packages(call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
    if let Some(known) = call.facts.packages.borrow().as_ref() {
        return Ok(Rc::clone(known));
    }
    let path = call.context.host.path(STATUS);
    if fsys::stat(&path)?.kind == fsys::Kind::Missing {
        return Err(Failure::machine(format!(
            "{STATUS} is not there: only dpkg machines can install packages"
        )));
    }
    let read = Rc::new(Packages::parse(&fsys::read_text(&path, STATUS_LIMIT)?));
    call.facts.packages.replace(Some(Rc::clone(&read)));
    Ok(read)
}

/// Let an interrupted dpkg finish, and fetch the lists once a run. A mirror that does not answer is no failure yet:
/// what is asked for may be in the lists or in the cache. What it said comes back.
fn prepare(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Option<String>, Failure> {
    if plan.finish {
        run(call, &own(call, "dpkg", &["--force-confdef", "--force-confold", "--configure", "-a"]))?;
    }
    if want.refresh == Some(false) || call.facts.refreshed.get() {
        return Ok(None);
    }
    let mut argv = apt(call);
    argv.extend(["-o".to_owned(), "APT::Update::Error-Mode=any".to_owned(), "update".to_owned()]);
    let updated = run(call, &argv);
    call.facts.refreshed.set(updated.is_ok());
    match updated {
        Err(e) if want.refresh == Some(true) => Err(e),
        Err(e) => Ok(Some(e.to_string())),
        Ok(()) => Ok(None),
    }
}

/// `tool` below the host's root.
fn own(call: &Call<'_>, tool: &str, args: &[&str]) -> Vec<String> {
    let mut argv = vec![tool.to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.push(format!("--root={}", root.display()));
    }
    argv.extend(args.iter().map(|a| (*a).to_owned()));
    argv
}

fn apt(call: &Call<'_>) -> Vec<String> {
    let mut argv = vec!["apt-get".to_owned(), "-q".to_owned(), "-y".to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.extend(["-o".to_owned(), format!("Dir={}", root.display())]);
        argv.extend(["-o".to_owned(), format!("DPkg::Options::=--root={}", root.display())]);
    }
    let options = [
        "DPkg::Options::=--force-confdef",
        "DPkg::Options::=--force-confold",
        "DPkg::Lock::Timeout=120",
        "Acquire::Retries=2",
    ];
    argv.extend(options.iter().flat_map(|o| ["-o".to_owned(), (*o).to_owned()]));
    argv
}

fn install_argv(want: &Want, plan: &Plan, call: &Call<'_>) -> Vec<String> {
    let mut argv = apt(call);
    if !want.recommends {
        argv.push("--no-install-recommends".to_owned());
    }
    if want.unsigned {
        argv.push("--allow-unauthenticated".to_owned());
    }
    if let Some(from) = &want.from {
        argv.extend(["-t".to_owned(), from.clone()]);
    }
    // A pinned version may be older than what is installed.
    argv.extend(["--allow-downgrades".to_owned(), "install".to_owned(), "--".to_owned()]);
    argv.extend(plan.install.iter().cloned());
    argv
}

fn run(call: &Call<'_>, argv: &[String]) -> Result<(), Failure> {
    let mut command = Command::argv(argv.iter().cloned())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("APT_LISTBUGS_FRONTEND", "none")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("LC_ALL", "C.UTF-8");
    command.timeout = APT_TIMEOUT;
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(()),
        code => {
            let what = argv.iter().find(|a| matches!(a.as_str(), "install" | "update" | "--configure"));
            let what = what.map(String::as_str).unwrap_or_default();
            let tool = argv.first().map(String::as_str).unwrap_or_default();
            Err(Failure::machine(format!(
                "`{tool} {what}` ended with exit code {code}{}",
                last_words(&output)
            )))
        }
    }
}

/// Salt's changes: `{name: {old, new}}` for every package that differs, dependencies included.
fn changes(before: &Packages, after: &Packages) -> Map {
    let text = |v: Option<String>| v.unwrap_or_default();
    before.changes(after).into_iter().map(|(name, old, new)| (name, versions(text(old), text(new)))).collect()
}
