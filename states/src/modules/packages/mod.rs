//! One door to the package managers: what is installed, what could be, and the commands that change it.

pub(crate) mod apk;
pub(crate) mod apt;
pub(crate) mod constraint;
pub(crate) mod database;
pub(crate) mod dnf;
pub(crate) mod dpkg;
pub(crate) mod files;
pub(crate) mod repo_file;
pub(crate) mod rpm;
pub(crate) mod zypper;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::host::{Command, Output};
use crate::modules::cmd::last_words;
use crate::value::{Map, Value};
pub(crate) use constraint::Constraint;
pub(crate) use database::Packages;

/// Fetching and installing may take long; a hung mirror must still end.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// Questions are answered from what is on the machine.
const ASKING: Duration = Duration::from_secs(300);

/// The order of two versions.
pub(crate) type Compare = fn(&str, &str) -> Ordering;

/// One package that is to be installed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) constraint: Constraint,
    /// What is installed is newer.
    pub(crate) back: bool,
}

/// What is to be installed, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Install {
    pub(crate) targets: Vec<Target>,
    /// Package files.
    pub(crate) files: Vec<PathBuf>,
    /// From this repository (apt: this release).
    pub(crate) from: Option<String>,
    /// Without asking for a signature.
    pub(crate) unsigned: bool,
    pub(crate) recommends: bool,
    /// Whether what is held may change.
    pub(crate) held: bool,
    /// Options of yum and dnf: `--enablerepo=…`.
    pub(crate) options: Vec<String>,
}

/// A package manager. What builds commands is a function of its arguments.
pub(crate) trait PackageManager: Sync {
    /// The program, for messages.
    fn program(&self) -> &'static str;
    /// The characters of names, beyond letters and digits.
    fn name_characters(&self) -> &'static str;
    /// How versions are ordered.
    fn order(&self) -> Compare;
    /// Everything that is installed.
    fn read(&self, call: &Call<'_>) -> Result<Packages, Failure>;
    /// The newest version of each package that its repositories offer.
    fn candidates(
        &self,
        names: &[String],
        ask: &Install,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, String>, Failure>;
    /// Old and new version of each installed package that could be newer, by what the repositories offer.
    fn upgrades(&self, now: &Packages, call: &Call<'_>) -> Result<Upgrades, Failure>;
    /// Commands that fetch what the repositories offer.
    fn refresh(&self, root: &Path) -> Vec<Vec<String>>;
    /// Let what was interrupted finish.
    fn finish(&self, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }
    /// Targets that the program cannot resolve itself, resolved.
    fn resolve(&self, install: Install, _: &Call<'_>) -> Result<Install, Failure> {
        Ok(install)
    }
    /// Commands that install.
    fn install(&self, install: &Install, root: &Path) -> Vec<Vec<String>>;
    /// The command that removes.
    fn remove(&self, names: &[String], purge: bool, root: &Path) -> Vec<String>;
    /// How the command line names one of several installed versions of a package.
    fn exactly(&self, name: &str, version: &str) -> String;
    /// The command that upgrades these packages, or all.
    fn upgrade(&self, only: Option<&[String]>, dist: bool, root: &Path) -> Vec<String>;
    /// Whether its install changes what is held when it is told to.
    fn changes_held(&self) -> bool {
        false
    }
    /// Keep packages as they are, or let them go.
    fn hold(&self, names: &[String], hold: bool, call: &Call<'_>) -> Result<(), Failure>;
    /// Name and version of a package file.
    fn file(&self, path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure>;
    /// What a package file is called.
    fn suffix(&self) -> &'static str;
    /// Variables of its commands.
    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Exit codes of success.
    fn succeeded(&self, code: i32) -> bool {
        code == 0
    }
}

/// Old and new version by package.
pub(crate) type Upgrades = BTreeMap<String, (String, String)>;

/// A package manager as the declarations hold it.
pub(crate) type Manager = &'static dyn PackageManager;

/// The machine's package manager: by its family, else by what is on it.
pub(crate) fn manager(call: &Call<'_>) -> Result<Manager, Failure> {
    let grains = &call.context.minion.grains;
    let family = grains.get("os_family").and_then(Value::as_str).unwrap_or_default();
    let there =
        |path: &str| fsys::stat(&call.context.host.path(path)).is_ok_and(|s| s.kind != fsys::Kind::Missing);
    let found: Option<Manager> = match family {
        "Debian" => Some(&apt::Apt),
        "RedHat" => Some(dnf::found(has_program)),
        "Suse" => Some(&zypper::Zypper),
        "Alpine" => Some(&apk::Apk),
        _ if there(apt::STATUS) => Some(&apt::Apt),
        _ if there(apk::DATABASE) => Some(&apk::Apk),
        _ => None,
    };
    found.ok_or_else(|| {
        Failure::machine(
            "there is no package manager here that is known: neither apt, dnf, yum, zypper nor apk",
        )
    })
}

/// Whether a program is on the machine that runs commands.
pub(crate) fn has_program(program: &str) -> bool {
    let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    dirs.iter()
        .any(|dir| fsys::stat(&Path::new(dir).join(program)).is_ok_and(|s| s.kind != fsys::Kind::Missing))
}

/// Whether this can be the name of a package; never read as an option.
pub(crate) fn package_name(name: &str, manager: Manager) -> Result<String, Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || manager.name_characters().contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(Failure::declaration(format!("{name:?} cannot be the name of a package"))),
    }
}

/// A repository or release that is named on a command line.
pub(crate) fn repository_name(key: &str, name: String) -> Result<String, Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    match name.is_empty() || name.starts_with('-') || name.contains(odd) {
        true => Err(Failure::declaration(format!("`{key}` cannot be {name:?}"))),
        false => Ok(name),
    }
}

/// An old and a new version.
pub(crate) fn versions(old: impl Into<String>, new: impl Into<String>) -> Value {
    let text = |s: String| Value::Str(s);
    Value::Map(Map::from([("old".to_owned(), text(old.into())), ("new".to_owned(), text(new.into()))]))
}

/// The package database, read at most once between changes.
pub(crate) fn packages(call: &Call<'_>) -> Result<Rc<Packages>, Failure> {
    if let Some(known) = call.facts.packages.borrow().as_ref() {
        return Ok(Rc::clone(known));
    }
    let read = Rc::new(manager(call)?.read(call)?);
    call.facts.packages.replace(Some(Rc::clone(&read)));
    Ok(read)
}

/// Fetch the lists once a run. A mirror that does not answer is no failure yet:
/// what is asked for may be in the lists or in the cache. What it said comes back.
pub(crate) fn refresh(asked: Option<bool>, call: &Call<'_>) -> Result<Option<String>, Failure> {
    if asked == Some(false) || call.facts.refreshed.get() {
        return Ok(None);
    }
    let manager = manager(call)?;
    let updated = run_all(manager, &manager.refresh(call.context.host.root()), call);
    call.facts.refreshed.set(updated.is_ok());
    match updated {
        Err(e) if asked == Some(true) => Err(e),
        Err(e) => Ok(Some(e.to_string())),
        Ok(()) => Ok(None),
    }
}

/// What a command line does, for messages.
const VERBS: &[&str] = &[
    "install",
    "remove",
    "purge",
    "update",
    "upgrade",
    "dist-upgrade",
    "--configure",
    "makecache",
    "clean",
    "refresh",
    "add",
    "del",
    "versionlock",
    "addlock",
    "removelock",
    "downgrade",
];

/// Run a command that changes something; its failure is told with its last words.
pub(crate) fn run(manager: Manager, argv: &[String], call: &Call<'_>) -> Result<(), Failure> {
    let mut command = Command::argv(argv.iter().cloned()).env("LC_ALL", "C.UTF-8");
    for (key, value) in manager.environment() {
        command = command.env(key, value);
    }
    command.timeout = TIMEOUT;
    // What a script of a package says comes by way of the manager's output, and the summary by way of its errors.
    command.merge_errors = true;
    let output = call.context.host.run(&command)?;
    match manager.succeeded(output.code) {
        true => Ok(()),
        false => {
            let verb = argv.iter().skip(1).find(|a| VERBS.contains(&a.as_str()));
            Err(ended(argv, verb.map(String::as_str).unwrap_or_default(), &output))
        }
    }
}

/// The same for several, up to the first that fails.
pub(crate) fn run_all(manager: Manager, all: &[Vec<String>], call: &Call<'_>) -> Result<(), Failure> {
    all.iter().try_for_each(|argv| run(manager, argv, call))
}

/// Run a command that only tells; the exit codes are those that mean an answer.
pub(crate) fn ask(argv: &[String], codes: &[i32], call: &Call<'_>) -> Result<Output, Failure> {
    let mut command = Command::argv(argv.iter().cloned()).env("LC_ALL", "C.UTF-8");
    command.timeout = ASKING;
    let output = call.context.host.run(&command)?;
    match codes.contains(&output.code) {
        true => Ok(output),
        false => Err(ended(argv, argv.get(1).map(String::as_str).unwrap_or_default(), &output)),
    }
}

fn ended(argv: &[String], verb: &str, output: &Output) -> Failure {
    let tool = argv.first().map(String::as_str).unwrap_or_default();
    Failure::machine(format!("`{tool} {verb}` ended with exit code {}{}", output.code, last_words(output)))
}

/// Salt's changes: `{name: {old, new}}` for every package that differs, dependencies included.
pub(crate) fn changes(before: &Packages, after: &Packages) -> Map {
    let text = |v: Option<String>| v.unwrap_or_default();
    before.changes(after).into_iter().map(|(name, old, new)| (name, versions(text(old), text(new)))).collect()
}

/// Texts as an argument vector.
pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// The option that names another root than `/`.
pub(crate) fn rooted(option: &str, root: &Path) -> Vec<String> {
    match root == Path::new("/") {
        true => Vec::new(),
        false => vec![format!("{option}{}", root.display())],
    }
}
