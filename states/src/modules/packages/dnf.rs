//! dnf, dnf5 and yum on rpm's database.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    Compare, Constraint, Install, PackageManager, Packages, Target, Upgrades, ask, rooted, rpm, run, words,
};
use crate::engine::step::{Call, Failure};
use crate::fsys;

/// Red Hat's, by its program.
pub(crate) struct Dnf {
    program: &'static str,
    /// The versionlock plugin's list.
    locks: &'static str,
}

const DNF: Dnf = Dnf { program: "dnf", locks: "/etc/dnf/plugins/versionlock.list" };
const DNF5: Dnf = Dnf { program: "dnf5", locks: "/etc/dnf/versionlock.toml" };
const YUM: Dnf = Dnf { program: "yum", locks: "/etc/yum/pluginconf.d/versionlock.list" };
const LOCKS_LIMIT: usize = 1 << 20;

/// The program that the machine has.
pub(crate) fn found(has: impl Fn(&str) -> bool) -> &'static Dnf {
    let known: [&'static Dnf; 2] = [&DNF5, &DNF];
    known.into_iter().find(|dnf| has(dnf.program)).unwrap_or(&YUM)
}

impl Dnf {
    fn argv(&self, root: &Path, options: &[&str]) -> Vec<String> {
        let mut argv = words(&[self.program, "-q", "-y"]);
        argv.extend(rooted("--installroot=", root));
        argv.extend(words(options));
        argv
    }

    /// What may be installed: a package a line, and which packages it is about.
    fn offers(&self, about: &str, install: &Install, names: &[String], root: &Path) -> Vec<String> {
        let mut argv = self.argv(root, &[]);
        argv.extend(chosen(install));
        match self.program {
            "yum" => {
                argv.extend(words(&["list", if about == "--upgrades" { "updates" } else { "available" }]))
            }
            _ => argv.extend([
                "repoquery".to_owned(),
                about.to_owned(),
                "--qf".to_owned(),
                rpm::FORMAT.to_lowercase(),
            ]),
        }
        argv.extend(names.iter().cloned());
        argv
    }

    fn read_offers(&self, text: &str) -> Vec<rpm::Line> {
        match self.program {
            "yum" => listed(text),
            _ => text.lines().filter_map(rpm::Line::parse).collect(),
        }
    }
}

/// Options that choose repositories.
fn chosen(install: &Install) -> Vec<String> {
    let from =
        install.from.iter().flat_map(|from| ["--disablerepo=*".to_owned(), format!("--enablerepo={from}")]);
    from.chain(install.options.iter().cloned()).collect()
}

/// `yum list`: name and architecture, version, repository; a long name is alone on its line.
fn listed(text: &str) -> Vec<rpm::Line> {
    let table = text.lines().filter(|l| !l.ends_with("Packages") && !l.ends_with("Updates"));
    let fields: Vec<&str> = table.flat_map(str::split_whitespace).collect();
    let line = |three: &[&str]| match three {
        [package, version, _] => package.rsplit_once('.').map(|(name, arch)| rpm::Line {
            name: name.to_owned(),
            arch: arch.to_owned(),
            version: version.strip_prefix("0:").unwrap_or(version).to_owned(),
        }),
        _ => None,
    };
    fields.chunks(3).filter_map(line).collect()
}

/// The newest of each name.
pub(super) fn newest(lines: Vec<rpm::Line>, native: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in lines {
        let now = all.entry(line.told(native)).or_insert_with(|| line.version.clone());
        if rpm::compare(&line.version, now).is_gt() {
            *now = line.version;
        }
    }
    all
}

/// Names in a list of locks: `name-0:1.2-3.*` of dnf, `0:name-1.2-3.*` of yum, `name = "…"` of dnf5.
fn locked(text: &str) -> Vec<String> {
    let one = |line: &str| {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            return None;
        }
        if let Some((_, name)) = line.split_once('=').filter(|(key, _)| key.trim() == "name") {
            return Some(name.trim().trim_matches(['"', '\'']).to_owned());
        }
        let line =
            line.split_once(':').filter(|(epoch, _)| epoch.parse::<u32>().is_ok()).map_or(line, |(_, l)| l);
        let (rest, _) = line.rsplit_once('-')?;
        let (name, _) = rest.rsplit_once('-')?;
        Some(name.to_owned())
    };
    text.lines().filter_map(one).collect()
}

impl PackageManager for Dnf {
    fn program(&self) -> &'static str {
        self.program
    }

    fn name_characters(&self) -> &'static str {
        rpm::NAME_CHARACTERS
    }

    fn order(&self) -> Compare {
        rpm::compare
    }

    fn read(&self, call: &Call<'_>) -> Result<Packages, Failure> {
        let list = call.context.host.path(self.locks);
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
            let argv = self.offers("--available", install, some, call.context.host.root());
            // yum ends with 1 when it has nothing to list.
            let codes: &[i32] = if self.program == "yum" { &[0, 1] } else { &[0] };
            lines.extend(self.read_offers(&ask(&argv, codes, call)?.out()));
        }
        Ok(newest(lines, rpm::native(call)))
    }

    fn upgrades(&self, now: &Packages, call: &Call<'_>) -> Result<Upgrades, Failure> {
        let argv = self.offers("--upgrades", &Install::default(), &[], call.context.host.root());
        let codes: &[i32] = if self.program == "yum" { &[0, 1] } else { &[0] };
        let offers = newest(self.read_offers(&ask(&argv, codes, call)?.out()), rpm::native(call));
        let newer = offers.into_iter().filter_map(|(name, new)| {
            let old = now.version(&name).filter(|old| rpm::compare(&new, old).is_gt())?.to_owned();
            Some((name, (old, new)))
        });
        Ok(newer.collect())
    }

    fn refresh(&self, root: &Path) -> Vec<Vec<String>> {
        match self.program {
            "yum" => {
                vec![self.argv(root, &["clean", "expire-cache"]), self.argv(root, &["makecache", "fast"])]
            }
            _ => vec![self.argv(root, &["--refresh", "makecache"])],
        }
    }

    fn install(&self, install: &Install, root: &Path) -> Vec<Vec<String>> {
        let mut argv = self.argv(root, &[]);
        argv.extend(chosen(install));
        if self.program != "yum" {
            argv.extend(words(&["--best", "--allowerasing"]));
            argv.extend((!install.recommends).then(|| "--setopt=install_weak_deps=False".to_owned()));
        }
        argv.extend(install.unsigned.then(|| "--nogpgcheck".to_owned()));
        // yum's install does not go back to an older version; its downgrade does nothing else.
        let (back, forth): (Vec<&Target>, Vec<&Target>) =
            install.targets.iter().partition(|t| t.back && self.program == "yum");
        let files = install.files.iter().map(|f| f.display().to_string());
        let forth: Vec<String> = forth.into_iter().map(target).chain(files).collect();
        let back: Vec<String> = back.into_iter().map(target).collect();
        let command = |verb: &str, all: Vec<String>| [argv.clone(), words(&[verb, "--"]), all].concat();
        let all = [("install", forth), ("downgrade", back)];
        all.into_iter().filter(|(_, all)| !all.is_empty()).map(|(verb, all)| command(verb, all)).collect()
    }

    fn remove(&self, names: &[String], _: bool, root: &Path) -> Vec<String> {
        [self.argv(root, &["remove", "--"]), names.to_vec()].concat()
    }

    fn exactly(&self, name: &str, version: &str) -> String {
        rpm::exactly(name, version)
    }

    fn upgrade(&self, only: Option<&[String]>, _: bool, root: &Path) -> Vec<String> {
        [self.argv(root, &["upgrade"]), only.map(<[String]>::to_vec).unwrap_or_default()].concat()
    }

    fn hold(&self, names: &[String], hold: bool, call: &Call<'_>) -> Result<(), Failure> {
        let verb = if hold { "add" } else { "delete" };
        let argv = [self.argv(call.context.host.root(), &["versionlock", verb]), names.to_vec()].concat();
        run(found_static(self), &argv, call)
    }

    fn file(&self, path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure> {
        rpm::file(path, call)
    }

    fn suffix(&self) -> &'static str {
        "rpm"
    }
}

fn found_static(dnf: &Dnf) -> &'static Dnf {
    found(|program| program == dnf.program)
}

/// As dnf and yum name what is to be installed: a version behind the name, a comparison as a condition.
fn target(target: &Target) -> String {
    match &target.constraint {
        Constraint::Any => target.name.clone(),
        Constraint::Exactly(version) => rpm::exactly(&target.name, version),
        Constraint::Compared("!=", _) => target.name.clone(),
        Constraint::Compared(op, version) => {
            let op = match *op {
                "<<" => "<",
                ">>" => ">",
                other => other,
            };
            format!("{} {op} {version}", target.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(targets: &[(&str, &str)]) -> Install {
        let one = |(name, version): &(&str, &str)| Target {
            name: (*name).into(),
            constraint: Constraint::parse(version),
            back: *version == "5.*",
        };
        Install { targets: targets.iter().map(one).collect(), recommends: true, ..Install::default() }
    }

    #[test]
    fn commands_name_versions_behind_the_name() {
        let root = Path::new("/");
        let wish = wish(&[("a", ""), ("b.i686", "1:2-3"), ("c", ">=4"), ("d", "5.*")]);
        let dnf = DNF.install(&wish, root);
        assert_eq!(dnf[0].join(" "), "dnf -q -y --best --allowerasing install -- a b-2-3.i686 c >= 4 d-5.*");
        let from = Install { from: Some("epel".into()), unsigned: true, recommends: false, ..wish.clone() };
        let line = DNF5.install(&from, Path::new("/r"))[0].join(" ");
        let options = "--installroot=/r --disablerepo=* --enablerepo=epel --best --allowerasing \
                       --setopt=install_weak_deps=False --nogpgcheck install";
        assert!(line.contains(options), "{line}");
        let yum: Vec<String> = YUM.install(&wish, root).iter().map(|argv| argv.join(" ")).collect();
        assert_eq!(yum, ["yum -q -y install -- a b-2-3.i686 c >= 4", "yum -q -y downgrade -- d-5.*"]);
        assert_eq!(
            DNF.offers("--upgrades", &Install::default(), &[], root)[3..5],
            ["repoquery", "--upgrades"]
        );
    }

    #[test]
    fn yums_list_is_read_over_its_wrapped_lines() {
        let text = "Available Packages\nbash.x86_64   4.2-1.el7   base\na-very-long-name-of-a-package.noarch\n   1:2.0-1  epel\n";
        let found = newest(listed(text), "x86_64");
        assert_eq!(found.get("bash").map(String::as_str), Some("4.2-1.el7"));
        assert_eq!(found.get("a-very-long-name-of-a-package").map(String::as_str), Some("1:2.0-1"));
    }

    #[test]
    fn locks_of_all_three_are_read() {
        let dnf = "# Added locks on Mon\nbash-0:5.1.8-9.el9.*\n!out-0:1-1.*\nnginx-core-1:1.20-1.*\n";
        assert_eq!(locked(dnf), ["bash", "nginx-core"]);
        assert_eq!(locked("0:bash-4.2.46-34.el7.*\n"), ["bash"]);
        assert_eq!(
            locked(
                "version = \"1.0\"\n[[packages]]\nname = \"bash\"\n[[packages.conditions]]\nkey = \"evr\"\n"
            ),
            ["bash"]
        );
    }
}
