//! apt-get and dpkg: the database is read directly, programs are run only for changes and for what apt knows.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    Compare, Constraint, Install, PackageManager, Packages, TIMEOUT, Target, Upgrades, ask, dpkg, run, words,
};
use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::host::Command;
use crate::modules::cmd::last_words;

pub(crate) const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_LIMIT: usize = 256 << 20;

/// Debian's.
pub(crate) struct Apt;

impl PackageManager for Apt {
    fn program(&self) -> &'static str {
        "apt-get"
    }

    fn name_characters(&self) -> &'static str {
        "+-.:"
    }

    fn order(&self) -> Compare {
        dpkg::compare
    }

    fn read(&self, call: &Call<'_>) -> Result<Packages, Failure> {
        let path = call.context.host.path(STATUS);
        match fsys::stat(&path)?.kind {
            fsys::Kind::Missing => Err(Failure::machine(format!("{STATUS} is not there"))),
            _ => Ok(dpkg::parse(&fsys::read_text(&path, STATUS_LIMIT)?)),
        }
    }

    fn candidates(
        &self,
        names: &[String],
        wish: &Install,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        // Command lines have a limit; whole systems are asked about in parts.
        for some in names.chunks(500) {
            let argv = policy_argv(some, wish.from.as_deref(), call.context.host.root());
            all.extend(policy(&ask(&argv, &[0], call)?.out()));
        }
        Ok(all)
    }

    fn upgrades(&self, now: &Packages, call: &Call<'_>) -> Result<Upgrades, Failure> {
        let names: Vec<String> = now.names().cloned().collect();
        let newest = self.candidates(&names, &Install::default(), call)?;
        let newer = newest.into_iter().filter_map(|(name, candidate)| {
            let version = now.version(&name)?.to_owned();
            dpkg::compare(&candidate, &version).is_gt().then_some((name, (version, candidate)))
        });
        Ok(newer.collect())
    }

    fn refresh(&self, root: &Path) -> Vec<Vec<String>> {
        let mut argv = apt(root);
        argv.extend(words(&["-o", "APT::Update::Error-Mode=any", "update"]));
        vec![argv]
    }

    fn finish(&self, call: &Call<'_>) -> Result<(), Failure> {
        let mut argv = dpkg_argv(call.context.host.root());
        argv.extend(words(&["--force-confdef", "--force-confold", "--configure", "-a"]));
        run(&Apt, &argv, call)
    }

    fn install(&self, install: &Install, root: &Path) -> Vec<Vec<String>> {
        let mut argv = apt(root);
        if !install.recommends {
            argv.push("--no-install-recommends".to_owned());
        }
        if install.unsigned {
            argv.push("--allow-unauthenticated".to_owned());
        }
        if let Some(from) = &install.from {
            argv.extend(["-t".to_owned(), from.clone()]);
        }
        if install.held {
            argv.push("--allow-change-held-packages".to_owned());
        }
        // A pinned version may be older than what is installed.
        argv.extend(words(&["--allow-downgrades", "install", "--"]));
        argv.extend(install.targets.iter().map(target));
        argv.extend(install.files.iter().map(|f| f.display().to_string()));
        vec![argv]
    }

    fn remove(&self, names: &[String], purge: bool, root: &Path) -> Vec<String> {
        let mut argv = apt(root);
        argv.extend(words(&[if purge { "purge" } else { "remove" }, "--"]));
        argv.extend(names.iter().cloned());
        argv
    }

    fn exactly(&self, name: &str, _: &str) -> String {
        name.to_owned()
    }

    fn upgrade(&self, only: Option<&[String]>, dist: bool, root: &Path) -> Vec<String> {
        let mut argv = apt(root);
        match only {
            Some(names) => {
                argv.extend(words(&["install", "--only-upgrade", "--"]));
                argv.extend(names.iter().cloned());
            }
            None => argv.push(if dist { "dist-upgrade" } else { "upgrade" }.to_owned()),
        }
        argv
    }

    fn changes_held(&self) -> bool {
        true
    }

    /// By dpkg's selections: `hold`, or `install` for what may change.
    fn hold(&self, names: &[String], hold: bool, call: &Call<'_>) -> Result<(), Failure> {
        let mut argv = dpkg_argv(call.context.host.root());
        argv.push("--set-selections".to_owned());
        let mut command = Command::argv(argv).env("LC_ALL", "C.UTF-8");
        let selection = if hold { "hold" } else { "install" };
        command.stdin = names.iter().map(|n| format!("{n} {selection}\n")).collect::<String>().into_bytes();
        command.timeout = TIMEOUT;
        let output = call.context.host.run(&command)?;
        match output.code {
            0 => Ok(()),
            code => {
                let words = last_words(&output);
                Err(Failure::machine(format!("`dpkg --set-selections` ended with exit code {code}{words}")))
            }
        }
    }

    fn file(&self, path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure> {
        let mut argv = words(&["dpkg-deb", "--show", "--showformat=${Package}\n${Version}\n"]);
        argv.push(path.display().to_string());
        let told = ask(&argv, &[0], call)?.out();
        Ok(told.split_once('\n').map(|(name, version)| (name.to_owned(), version.trim().to_owned())))
    }

    fn suffix(&self) -> &'static str {
        "deb"
    }

    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            ("APT_LISTBUGS_FRONTEND", "none"),
            ("NEEDRESTART_SUSPEND", "1"),
        ]
    }
}

/// apt-get takes exact versions and patterns; a comparison is left to it and checked afterwards.
fn target(target: &Target) -> String {
    match &target.constraint {
        Constraint::Exactly(version) => format!("{}={version}", target.name),
        _ => target.name.clone(),
    }
}

fn dpkg_argv(root: &Path) -> Vec<String> {
    [words(&["dpkg"]), super::rooted("--root=", root)].concat()
}

fn apt(root: &Path) -> Vec<String> {
    let mut argv = words(&["apt-get", "-q", "-y"]);
    argv.extend(super::rooted("-oDir=", root));
    argv.extend(super::rooted("-oDPkg::Options::=--root=", root));
    let options = [
        "DPkg::Options::=--force-confdef",
        "DPkg::Options::=--force-confold",
        "DPkg::Lock::Timeout=120",
        "Acquire::Retries=2",
    ];
    argv.extend(options.iter().flat_map(|o| words(&["-o", o])));
    argv
}

fn policy_argv(names: &[String], from: Option<&str>, root: &Path) -> Vec<String> {
    let mut argv = vec!["apt-cache".to_owned()];
    argv.extend(super::rooted("-oDir=", root));
    argv.extend(from.map(|from| format!("-oAPT::Default-Release={from}")));
    argv.extend(words(&["policy", "--"]));
    argv.extend(names.iter().cloned());
    argv
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
