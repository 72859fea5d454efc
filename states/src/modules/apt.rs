//! apt-get and dpkg as the `pkg.*` states use them: the database is read directly, programs are run only for changes.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::host::Command;
use crate::modules::cmd::last_words;
use crate::modules::dpkg::Packages;
use crate::value::{Map, Value};

const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_LIMIT: usize = 256 << 20;
/// Fetching and installing may take long; a hung mirror must still end.
const APT_TIMEOUT: Duration = Duration::from_secs(1800);

/// Whether this can be the name of a package; never read as an option.
pub(crate) fn package_name(name: &str) -> Result<String, Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(Failure::declaration(format!("{name:?} cannot be the name of a package"))),
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

/// Let an interrupted dpkg finish.
pub(crate) fn finish(call: &Call<'_>) -> Result<(), Failure> {
    run(call, &own(call, "dpkg", &["--force-confdef", "--force-confold", "--configure", "-a"]))
}

/// Fetch the lists once a run. A mirror that does not answer is no failure yet:
/// what is asked for may be in the lists or in the cache. What it said comes back.
pub(crate) fn refresh(asked: Option<bool>, call: &Call<'_>) -> Result<Option<String>, Failure> {
    if asked == Some(false) || call.facts.refreshed.get() {
        return Ok(None);
    }
    let mut argv = apt(call);
    argv.extend(["-o".to_owned(), "APT::Update::Error-Mode=any".to_owned(), "update".to_owned()]);
    let updated = run(call, &argv);
    call.facts.refreshed.set(updated.is_ok());
    match updated {
        Err(e) if asked == Some(true) => Err(e),
        Err(e) => Ok(Some(e.to_string())),
        Ok(()) => Ok(None),
    }
}

/// `tool` below the host's root.
pub(crate) fn own(call: &Call<'_>, tool: &str, args: &[&str]) -> Vec<String> {
    let mut argv = vec![tool.to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.push(format!("--root={}", root.display()));
    }
    argv.extend(args.iter().map(|a| (*a).to_owned()));
    argv
}

pub(crate) fn apt(call: &Call<'_>) -> Vec<String> {
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

/// What a command line of apt-get or dpkg does.
const VERBS: &[&str] = &["install", "remove", "purge", "update", "upgrade", "dist-upgrade", "--configure"];

pub(crate) fn run(call: &Call<'_>, argv: &[String]) -> Result<(), Failure> {
    let mut command = Command::argv(argv.iter().cloned())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("APT_LISTBUGS_FRONTEND", "none")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("LC_ALL", "C.UTF-8");
    command.timeout = APT_TIMEOUT;
    // What a script of a package says comes by way of apt's output, and the summary by way of its errors.
    command.merge_errors = true;
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(()),
        code => {
            let what = argv.iter().find(|a| VERBS.contains(&a.as_str()));
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
pub(crate) fn changes(before: &Packages, after: &Packages) -> Map {
    let text = |v: Option<String>| v.unwrap_or_default();
    before.changes(after).into_iter().map(|(name, old, new)| (name, versions(text(old), text(new)))).collect()
}

/// The newest version that apt would install of each package, by its lists as they are now.
pub(crate) fn candidates(
    names: &[String],
    from: Option<&str>,
    call: &Call<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    // Command lines have a limit; whole systems are asked about in parts.
    for some in names.chunks(500) {
        let mut argv = vec!["apt-cache".to_owned()];
        let root = call.context.host.root();
        if root != std::path::Path::new("/") {
            argv.extend(["-o".to_owned(), format!("Dir={}", root.display())]);
        }
        if let Some(from) = from {
            argv.extend(["-o".to_owned(), format!("APT::Default-Release={from}")]);
        }
        argv.extend(["policy".to_owned(), "--".to_owned()]);
        argv.extend(some.iter().cloned());
        let mut command = Command::argv(argv).env("LC_ALL", "C.UTF-8");
        command.timeout = Duration::from_secs(120);
        let output = call.context.host.run(&command)?;
        match output.code {
            0 => all.extend(policy(&output.out())),
            code => {
                let words = last_words(&output);
                return Err(Failure::machine(format!(
                    "`apt-cache policy` ended with exit code {code}{words}"
                )));
            }
        }
    }
    Ok(all)
}

/// Package and candidate of each paragraph of `apt-cache policy`.
fn policy(text: &str) -> BTreeMap<String, String> {
    let (mut all, mut name) = (BTreeMap::new(), "");
    for line in text.lines() {
        if let Some(package) = line.strip_suffix(':').filter(|l| !l.starts_with(' ')) {
            name = package;
        } else if let Some(version) = line.strip_prefix("  Candidate: ").filter(|v| *v != "(none)") {
            all.insert(name.to_owned(), version.to_owned());
        }
    }
    all
}

/// Say to dpkg which packages are kept (`hold`) or may change (`install`).
pub(crate) fn select(names: &[String], selection: &str, call: &Call<'_>) -> Result<(), Failure> {
    let mut command = Command::argv(own(call, "dpkg", &["--set-selections"])).env("LC_ALL", "C.UTF-8");
    command.stdin = names.iter().map(|n| format!("{n} {selection}\n")).collect::<String>().into_bytes();
    command.timeout = Duration::from_secs(120);
    call.facts.packages.replace(None);
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(()),
        code => {
            let words = last_words(&output);
            Err(Failure::machine(format!("`dpkg --set-selections` ended with exit code {code}{words}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read_from_the_policy() {
        let text = "mawk:\n  Installed: 1.3\n  Candidate: 1.4\n  Version table:\n     1.4 500\n\
                    none:\n  Installed: (none)\n  Candidate: (none)\n";
        assert_eq!(policy(text), BTreeMap::from([("mawk".to_owned(), "1.4".to_owned())]));
    }
}
