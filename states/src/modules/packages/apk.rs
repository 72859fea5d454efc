//! Alpine's apk: its database is read directly.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use super::{Compare, Constraint, Install, PackageManager, Packages, Target, Upgrades, ask, words};
use crate::engine::step::{Call, Failure};
use crate::fsys;

pub(crate) const DATABASE: &str = "/lib/apk/db/installed";
const DATABASE_LIMIT: usize = 256 << 20;

/// Alpine's.
pub(crate) struct Apk;

fn apk(root: &Path, options: &[&str]) -> Vec<String> {
    let mut argv = words(&["apk", "--no-progress", "--wait", "120"]);
    if root != Path::new("/") {
        argv.extend(["--root".to_owned(), root.display().to_string()]);
    }
    argv.extend(words(options));
    argv
}

/// The packages in the text of the database: paragraphs of `letter:value`.
pub(crate) fn parse(text: &str) -> Packages {
    let mut all = Packages::default();
    for paragraph in text.split("\n\n") {
        let field = |key: &str| paragraph.lines().find_map(|l| l.strip_prefix(key));
        let (Some(name), Some(version)) = (field("P:"), field("V:")) else { continue };
        all.add(name, version, compare);
        for one in field("p:").unwrap_or_default().split_whitespace() {
            all.provide(one.split(['=', '<', '>', '~']).next().unwrap_or_default());
        }
    }
    all
}

/// The newest version that a repository has, by name, of `apk policy`: a version a paragraph, with where it
/// is from.
fn policy(text: &str) -> BTreeMap<String, String> {
    let (mut all, mut name, mut version) = (BTreeMap::<String, String>::new(), "", "");
    for line in text.lines() {
        if let Some(package) = line.strip_suffix(" policy:") {
            name = package;
        } else if let Some(next) = line.trim().strip_suffix(':').filter(|_| !line.starts_with("    ")) {
            version = next;
        } else if line.starts_with("    ") && !line.trim().ends_with("db/installed") {
            let now = all.entry(name.to_owned()).or_insert_with(|| version.to_owned());
            if compare(version, now).is_gt() {
                version.clone_into(now);
            }
        }
    }
    all
}

/// Old and new versions of `apk upgrade --simulate`: `(1/2) Upgrading musl (1.2-r4 -> 1.2-r5)`.
fn upgradable(text: &str) -> Upgrades {
    let one = |line: &str| {
        let (name, versions) = line.split_once(" Upgrading ")?.1.split_once(" (")?;
        let (old, new) = versions.trim_end_matches(')').split_once(" -> ")?;
        Some((name.to_owned(), (old.to_owned(), new.to_owned())))
    };
    text.lines().filter_map(one).collect()
}

/// As apk names what is to be installed; a pattern is the prefix before its star.
fn target(target: &Target) -> String {
    let name = &target.name;
    match &target.constraint {
        Constraint::Any | Constraint::Compared("!=", _) => name.clone(),
        Constraint::Exactly(version) => match version.strip_suffix('*').map(|v| v.trim_end_matches('.')) {
            Some(prefix) => format!("{name}~{prefix}"),
            None => format!("{name}={version}"),
        },
        Constraint::Compared(op, version) => {
            let op = match *op {
                "<<" => "<",
                ">>" => ">",
                other => other,
            };
            format!("{name}{op}{version}")
        }
    }
}

impl PackageManager for Apk {
    fn program(&self) -> &'static str {
        "apk"
    }

    fn name_characters(&self) -> &'static str {
        "+-._:@"
    }

    fn order(&self) -> Compare {
        compare
    }

    fn read(&self, call: &Call<'_>) -> Result<Packages, Failure> {
        let path = call.context.host.path(DATABASE);
        match fsys::stat(&path)?.kind {
            fsys::Kind::Missing => Err(Failure::machine(format!("{DATABASE} is not there"))),
            _ => Ok(parse(&fsys::read_text(&path, DATABASE_LIMIT)?)),
        }
    }

    fn candidates(
        &self,
        names: &[String],
        _: &Install,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        for some in names.chunks(500) {
            let argv = [apk(call.context.host.root(), &["policy"]), some.to_vec()].concat();
            all.extend(policy(&ask(&argv, &[0], call)?.out()));
        }
        Ok(all)
    }

    fn upgrades(&self, _: &Packages, call: &Call<'_>) -> Result<Upgrades, Failure> {
        let argv = apk(call.context.host.root(), &["upgrade", "--simulate"]);
        Ok(upgradable(&ask(&argv, &[0], call)?.out()))
    }

    fn refresh(&self, root: &Path) -> Vec<Vec<String>> {
        vec![apk(root, &["update"])]
    }

    fn install(&self, install: &Install, root: &Path) -> Vec<Vec<String>> {
        let mut argv = apk(root, &["add"]);
        // What is there already and not as asked is to be newer.
        argv.push("--upgrade".to_owned());
        argv.extend(install.unsigned.then(|| "--allow-untrusted".to_owned()));
        argv.extend(install.from.iter().flat_map(|from| words(&["--repository", from])));
        argv.extend(install.targets.iter().map(target));
        argv.extend(install.files.iter().map(|f| f.display().to_string()));
        vec![argv]
    }

    fn remove(&self, names: &[String], purge: bool, root: &Path) -> Vec<String> {
        [apk(root, if purge { &["del", "--purge"] } else { &["del"] }), names.to_vec()].concat()
    }

    fn exactly(&self, name: &str, _: &str) -> String {
        name.to_owned()
    }

    fn upgrade(&self, only: Option<&[String]>, _: bool, root: &Path) -> Vec<String> {
        match only {
            Some(names) => [apk(root, &["add", "--upgrade"]), names.to_vec()].concat(),
            None => apk(root, &["upgrade"]),
        }
    }

    fn hold(&self, _: &[String], _: bool, _: &Call<'_>) -> Result<(), Failure> {
        Err(Failure::machine("apk cannot hold packages; ask for their version instead"))
    }

    fn file(&self, path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure> {
        let mut argv = words(&["tar", "-xzOf"]);
        argv.extend([path.display().to_string(), ".PKGINFO".to_owned()]);
        let told = ask(&argv, &[0], call)?.out();
        let field = |key: &str| told.lines().find_map(|l| l.strip_prefix(key)?.trim().strip_prefix("= "));
        Ok(field("pkgname").zip(field("pkgver")).map(|(name, version)| (name.to_owned(), version.to_owned())))
    }

    fn suffix(&self) -> &'static str {
        "apk"
    }
}

/// Parts of a version, in the order in which one may follow another; the end is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    /// Digits behind a dot, or in front.
    Number(&'a str),
    Letter(char),
    /// `_rc` is -1, `_p` is 5: what comes before the version itself is negative.
    Suffix(i32, u64),
}

const BEFORE: &[&str] = &["alpha", "beta", "pre", "rc"];
const BEHIND: &[&str] = &["cvs", "svn", "git", "hg", "p"];

/// The order of apk's versions: `1.2.3b_rc4-r5`. Where one has no revision the other's makes no difference.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let ((version_a, revision_a), (version_b, revision_b)) = (revision(a), revision(b));
    let (parts_a, parts_b) = (parts(version_a), parts(version_b));
    for at in 0..parts_a.len().max(parts_b.len()) {
        let order = order(at, parts_a.get(at), parts_b.get(at));
        if order != Ordering::Equal {
            return order;
        }
    }
    revision_a.zip(revision_b).map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
}

fn revision(version: &str) -> (&str, Option<u64>) {
    let found = version.rsplit_once("-r").and_then(|(rest, r)| Some((rest, Some(r.parse().ok()?))));
    found.unwrap_or((version, None))
}

/// A version that goes on is newer, unless it goes on as something before it.
fn order(at: usize, a: Option<&Part<'_>>, b: Option<&Part<'_>>) -> Ordering {
    match (a, b) {
        (Some(Part::Number(a)), Some(Part::Number(b))) => numbers(at, a, b),
        (Some(Part::Letter(a)), Some(Part::Letter(b))) => a.cmp(b),
        (Some(Part::Suffix(a, n)), Some(Part::Suffix(b, m))) => a.cmp(b).then(n.cmp(m)),
        (Some(Part::Suffix(kind, _)), _) if *kind < 0 => Ordering::Less,
        (_, Some(Part::Suffix(kind, _))) if *kind < 0 => Ordering::Greater,
        (a, b) => rank(b).cmp(&rank(a)),
    }
}

fn rank(part: Option<&Part<'_>>) -> u8 {
    match part {
        Some(Part::Number(_)) => 0,
        Some(Part::Letter(_)) => 1,
        Some(Part::Suffix(..)) => 2,
        None => 3,
    }
}

/// Behind the first dot a number with a zero in front is a fraction.
fn numbers(at: usize, a: &str, b: &str) -> Ordering {
    if at > 0 && (a.starts_with('0') || b.starts_with('0')) {
        return a.cmp(b);
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn parts(version: &str) -> Vec<Part<'_>> {
    let (mut all, mut rest) = (Vec::new(), version);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 {
            let (number, more) = rest.split_at(digits);
            all.push(Part::Number(number));
            rest = more.strip_prefix('.').unwrap_or(more);
        } else if let Some((part, more)) = suffix(rest) {
            all.push(part);
            rest = more;
        } else {
            let mut letters = rest.chars();
            all.extend(letters.next().filter(char::is_ascii_alphabetic).map(Part::Letter));
            rest = letters.as_str();
        }
    }
    all
}

fn suffix(text: &str) -> Option<(Part<'_>, &str)> {
    let text = text.strip_prefix('_')?;
    let end = text.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let place = |list: &[&str]| list.iter().position(|s| *s == word).and_then(|i| i32::try_from(i).ok());
    let kind = place(BEFORE).map(|i| i - 4).or_else(|| place(BEHIND).map(|i| i + 1))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(digits);
    Some((Part::Suffix(kind, number.parse().unwrap_or(0)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_part_by_part() {
        let rising = [
            "0.9",
            "1.0_alpha",
            "1.0_alpha2",
            "1.0_rc1",
            "1.0",
            "1.0_git20200101",
            "1.0_p1",
            "1.0a",
            "1.0b",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.2-r1", "1.2-r10"), Ordering::Less);
        assert_eq!(compare("1.2", "1.2-r10"), Ordering::Equal);
        assert_eq!(compare("1.02", "1.1"), Ordering::Less);
    }

    proptest::proptest! {
        #[test]
        fn no_version_breaks_the_order(a in "\\PC{0,12}", b in "[0-9a-z._-]{0,12}") {
            proptest::prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            proptest::prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }

    const INSTALLED: &str = "C:Q1=\nP:musl\nV:1.2.4-r2\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:x\n\n\
                             C:Q2=\nP:busybox\nV:1.36.1-r5\nA:x86_64\nT:Size: big\np:cmd:ash=1.36.1-r5 /bin/sh\n\n";

    #[test]
    fn the_database_gives_installed_and_provided_packages() {
        let all = parse(INSTALLED);
        assert_eq!(all.names().collect::<Vec<_>>(), ["busybox", "musl"]);
        assert_eq!(all.version("musl"), Some("1.2.4-r2"));
        assert!(all.has("/bin/sh") && all.has("cmd:ash") && !all.has("ash"));
    }

    #[test]
    fn what_repositories_have_is_read() {
        let text = "musl policy:\n  1.2.4-r2:\n    lib/apk/db/installed\n    https://x/main\n  1.2.5-r0:\n    https://x/edge\n\
                    gone policy:\n  1-r0:\n    lib/apk/db/installed\n";
        assert_eq!(policy(text), BTreeMap::from([("musl".to_owned(), "1.2.5-r0".to_owned())]));
        let text = "(1/1) Upgrading musl (1.2.4-r2 -> 1.2.5-r0)\nOK: 8 MiB in 14 packages\n";
        let pair = ("1.2.4-r2".to_owned(), "1.2.5-r0".to_owned());
        assert_eq!(upgradable(text), Upgrades::from([("musl".to_owned(), pair)]));
    }

    #[test]
    fn commands_name_versions_as_apk_does() {
        let one =
            |version: &str| Target { name: "x".into(), constraint: Constraint::parse(version), back: false };
        let targets = ["", "1.2-r0", "1.2.*", ">=1", "<<2"].map(one).to_vec();
        let install = Install { targets, ..Install::default() };
        let line = Apk.install(&install, Path::new("/")).concat().join(" ");
        assert_eq!(line, "apk --no-progress --wait 120 add --upgrade x x=1.2-r0 x~1.2 x>=1 x<2");
    }
}
