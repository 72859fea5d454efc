//! zypper on rpm's database.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    Compare, Constraint, Install, PackageManager, Packages, Target, Upgrades, ask, dnf, rpm, run, words,
};
use crate::engine::step::{Call, Failure};
use crate::fsys;

const LOCKS: &str = "/etc/zypp/locks";
const LOCKS_LIMIT: usize = 1 << 20;
/// Nothing found is an answer.
const FOUND: &[i32] = &[0, 104, 106];

/// SUSE's.
pub(crate) struct Zypper;

fn zypper(root: &Path, options: &[&str]) -> Vec<String> {
    let mut argv = words(&["zypper", "--non-interactive"]);
    if root != Path::new("/") {
        argv.extend(["--root".to_owned(), root.display().to_string()]);
    }
    argv.extend(words(options));
    argv
}

/// The rows of a table of zypper's, by the names of its columns.
fn table(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines().filter(|l| l.contains(" | ")).map(|l| l.split('|').map(str::trim));
    let head: Vec<&str> = lines.next().map(Iterator::collect).unwrap_or_default();
    lines.map(|cells| head.iter().copied().zip(cells).collect()).collect()
}

/// What the rows of `zypper search -s` offer.
fn offers(text: &str) -> Vec<rpm::Line> {
    let line = |row: BTreeMap<&str, &str>| {
        // What no repository has is only installed.
        let offered = !row.get("Repository").is_none_or(|r| r.starts_with("(System"));
        offered.then_some(())?;
        Some(rpm::Line {
            name: (*row.get("Name")?).to_owned(),
            arch: (*row.get("Arch")?).to_owned(),
            version: (*row.get("Version")?).to_owned(),
        })
    };
    table(text).into_iter().filter_map(line).collect()
}

fn search(names: &[String], from: Option<&str>, root: &Path) -> Vec<String> {
    let mut argv = zypper(root, &["--no-refresh", "search", "-s", "--match-exact", "-t", "package"]);
    argv.extend(from.into_iter().flat_map(|from| words(&["--repo", from])));
    argv.push("--".to_owned());
    argv.extend(names.iter().cloned());
    argv
}

/// Names in the file of locks.
fn locked(text: &str) -> Vec<String> {
    let name = |l: &str| l.strip_prefix("solvable_name:").map(|n| n.trim().to_owned());
    text.lines().filter_map(name).collect()
}

/// As zypper names what is to be installed.
fn target(target: &Target) -> String {
    match &target.constraint {
        Constraint::Any => target.name.clone(),
        Constraint::Compared("!=", _) => target.name.clone(),
        Constraint::Exactly(version) => format!("{}={version}", target.name),
        Constraint::Compared(op, version) => {
            let op = match *op {
                "<<" => "<",
                ">>" => ">",
                other => other,
            };
            format!("{}{op}{version}", target.name)
        }
    }
}

impl PackageManager for Zypper {
    fn program(&self) -> &'static str {
        "zypper"
    }

    fn name_characters(&self) -> &'static str {
        rpm::NAME_CHARACTERS
    }

    fn order(&self) -> Compare {
        rpm::compare
    }

    fn read(&self, call: &Call<'_>) -> Result<Packages, Failure> {
        let list = call.context.host.path(LOCKS);
        let there = fsys::stat(&list)?.kind == fsys::Kind::File;
        let locks = if there { locked(&fsys::read_text(&list, LOCKS_LIMIT)?) } else { Vec::new() };
        rpm::read(&locks, call)
    }

    fn candidates(
        &self,
        names: &[String],
        install: &Install,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let mut lines = Vec::new();
        for some in names.chunks(500) {
            let argv = search(some, install.from.as_deref(), call.context.host.root());
            lines.extend(offers(&ask(&argv, FOUND, call)?.out()));
        }
        Ok(dnf::newest(lines, rpm::native(call)))
    }

    fn upgrades(&self, now: &Packages, call: &Call<'_>) -> Result<Upgrades, Failure> {
        let argv = zypper(call.context.host.root(), &["--no-refresh", "list-updates", "--all"]);
        let told = ask(&argv, FOUND, call)?.out();
        let rows = table(&told).into_iter().filter_map(|row| {
            let (name, new) = (row.get("Name")?, row.get("Available Version")?);
            Some(((*name).to_owned(), (now.version(name)?.to_owned(), (*new).to_owned())))
        });
        Ok(rows.collect())
    }

    fn refresh(&self, root: &Path) -> Vec<Vec<String>> {
        vec![zypper(root, &["refresh"])]
    }

    /// zypper knows no patterns of versions: the newest that fits is asked for.
    fn resolve(&self, mut install: Install, call: &Call<'_>) -> Result<Install, Failure> {
        let patterns = install.targets.iter().filter(|t| t.constraint.pattern().is_some());
        let names: Vec<String> = patterns.map(|t| t.name.clone()).collect();
        if names.is_empty() {
            return Ok(install);
        }
        let argv = search(&names, install.from.as_deref(), call.context.host.root());
        let offers = offers(&ask(&argv, FOUND, call)?.out());
        for target in install.targets.iter_mut().filter(|t| t.constraint.pattern().is_some()) {
            let fitting = |l: &&rpm::Line| {
                l.told(rpm::native(call)) == target.name && target.constraint.allows(&l.version, rpm::compare)
            };
            let newest = offers.iter().filter(fitting).max_by(|a, b| rpm::compare(&a.version, &b.version));
            let newest = newest.ok_or_else(|| {
                let pattern = target.constraint.pattern().unwrap_or_default();
                Failure::machine(format!("no repository has {} in a version like {pattern}", target.name))
            })?;
            target.constraint = Constraint::Exactly(newest.version.clone());
        }
        Ok(install)
    }

    fn install(&self, install: &Install, root: &Path) -> Vec<Vec<String>> {
        let mut argv = zypper(root, &["--no-refresh"]);
        argv.extend(install.unsigned.then(|| "--no-gpg-checks".to_owned()));
        argv.extend(words(&["install", "--auto-agree-with-licenses", "--oldpackage"]));
        // Of a package file the name is its path.
        argv.extend(install.files.is_empty().then(|| "--name".to_owned()));
        argv.extend(install.from.iter().flat_map(|from| words(&["--from", from])));
        argv.extend((!install.recommends).then(|| "--no-recommends".to_owned()));
        argv.push("--".to_owned());
        argv.extend(install.targets.iter().map(target));
        argv.extend(install.files.iter().map(|f| f.display().to_string()));
        vec![argv]
    }

    fn remove(&self, names: &[String], _: bool, root: &Path) -> Vec<String> {
        [zypper(root, &["remove", "--"]), names.to_vec()].concat()
    }

    fn exactly(&self, name: &str, version: &str) -> String {
        format!("{name}={version}")
    }

    fn upgrade(&self, only: Option<&[String]>, dist: bool, root: &Path) -> Vec<String> {
        let verb = if dist && only.is_none() { "dist-upgrade" } else { "update" };
        let argv = zypper(root, &["--no-refresh", verb, "--auto-agree-with-licenses"]);
        [argv, only.map(<[String]>::to_vec).unwrap_or_default()].concat()
    }

    fn hold(&self, names: &[String], hold: bool, call: &Call<'_>) -> Result<(), Failure> {
        let verb = if hold { "addlock" } else { "removelock" };
        let argv = [zypper(call.context.host.root(), &[verb, "--"]), names.to_vec()].concat();
        run(&Zypper, &argv, call)
    }

    fn file(&self, path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure> {
        rpm::file(path, call)
    }

    fn suffix(&self) -> &'static str {
        "rpm"
    }

    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[("ZYPP_LOCK_TIMEOUT", "120")]
    }

    /// 100 to 103 tell of updates and reboots that are due, 106 of a repository that was left out, 107 of a
    /// package's script that failed: what came of it is looked at afterwards.
    fn succeeded(&self, code: i32) -> bool {
        matches!(code, 0 | 100..=103 | 106 | 107)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_their_columns() {
        let text = "Loading…\n\nS  | Name | Type    | Version | Arch   | Repository\n---+------+------\n\
                    v  | vim  | package | 2.0-1   | noarch | main\ni+ | vim  | package | 1.0-1   | noarch | (System Packages)\n";
        let offers = offers(text);
        assert_eq!(offers.len(), 1);
        assert_eq!((offers[0].name.as_str(), offers[0].version.as_str()), ("vim", "2.0-1"));
        assert!(table("No updates found.\n").is_empty());
    }

    #[test]
    fn locks_are_read_by_name() {
        let text = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: vim\n\n";
        assert_eq!(locked(text), ["vim"]);
    }

    #[test]
    fn commands_say_how() {
        let one = |version: &str| Target {
            name: "vim".into(),
            constraint: Constraint::parse(version),
            back: false,
        };
        let install = Install {
            targets: vec![one("1.0"), one(">>2")],
            from: Some("main".into()),
            ..Install::default()
        };
        let line = Zypper.install(&install, Path::new("/")).concat().join(" ");
        assert_eq!(
            line,
            "zypper --non-interactive --no-refresh install --auto-agree-with-licenses --oldpackage --name --from main \
             --no-recommends -- vim=1.0 vim>2"
        );
    }
}
