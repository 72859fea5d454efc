//! The rpm database, read by one query a run, and rpm's version order.

use std::cmp::Ordering;
use std::path::Path;

use super::{Packages, ask, rooted, words};
use crate::engine::step::{Call, Failure};
use crate::value::Value;

/// What is asked of the database, a package a line; repoquery's words for it are in lower case.
pub(crate) const FORMAT: &str = "%{NAME}|%{EPOCH}|%{VERSION}|%{RELEASE}|%{ARCH}\\n";
/// What dnf and yum know of names, beyond letters and digits.
pub(crate) const NAME_CHARACTERS: &str = "+-._:~^()";

/// Architectures that are one machine's.
const X86_64: &[&str] = &["x86_64", "x86_64_v2", "x86_64_v3"];
const X86_32: &[&str] = &["i386", "i486", "i586", "i686", "athlon", "geode"];
const ARM_32: &[&str] = &["armv5tel", "armv5tejl", "armv6l", "armv6hl", "armv7l", "armv7hl", "armv7hnl"];

/// A line of [`FORMAT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) arch: String,
    /// `epoch:version-release`, without an epoch of 0.
    pub(crate) version: String,
}

impl Line {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('|');
        let (name, epoch, version, release, arch) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let epoch = if matches!(epoch, "(none)" | "0" | "") { String::new() } else { format!("{epoch}:") };
        let release = if release.is_empty() { String::new() } else { format!("-{release}") };
        let version = format!("{epoch}{version}{release}");
        (!name.is_empty()).then(|| Self { name: name.to_owned(), arch: arch.to_owned(), version })
    }

    /// The name, with the architecture where that is not the machine's.
    pub(crate) fn told(&self, native: &str) -> String {
        match is_native(&self.arch, native) {
            true => self.name.clone(),
            false => format!("{}.{}", self.name, self.arch),
        }
    }
}

fn is_native(arch: &str, native: &str) -> bool {
    let both = |family: &[&str]| family.contains(&arch) && family.contains(&native);
    arch == native || matches!(arch, "noarch" | "(none)") || both(X86_64) || both(X86_32) || both(ARM_32)
}

/// The machine's architecture in rpm's words.
pub(crate) fn native<'a>(call: &Call<'a>) -> &'a str {
    let grains = &call.context.minion.grains;
    grains
        .get("osarch")
        .or_else(|| grains.get("cpuarch"))
        .and_then(Value::as_str)
        .unwrap_or(std::env::consts::ARCH)
}

/// Where the database may be.
pub(crate) const DATABASES: &[&str] = &["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// The one query of a run.
pub(crate) fn query(root: &Path) -> Vec<String> {
    let mut argv = words(&["rpm"]);
    argv.extend(rooted("--root=", root));
    argv.extend(words(&["-qa", "--nodigest", "--nosignature", "--queryformat", FORMAT]));
    argv
}

/// Everything that is installed.
pub(crate) fn read(held: &[String], call: &Call<'_>) -> Result<Packages, Failure> {
    let told = ask(&query(call.context.host.root()), &[0], call)?.out();
    let mut all = parse(&told, native(call));
    held.iter().for_each(|name| all.hold(name));
    Ok(all)
}

/// The packages in the lines of [`FORMAT`].
pub(crate) fn parse(text: &str, native: &str) -> Packages {
    let mut all = Packages::default();
    // The keys that signatures are checked with are no packages.
    for line in text.lines().filter_map(Line::parse).filter(|l| l.name != "gpg-pubkey") {
        all.add(&line.told(native), &line.version, compare);
        all.spell(&format!("{}.{}", line.name, line.arch), &line.version, compare);
    }
    all
}

/// Name and version of a package file.
pub(crate) fn file(path: &Path, call: &Call<'_>) -> Result<Option<(String, String)>, Failure> {
    let mut argv = words(&["rpm", "-qp", "--nodigest", "--nosignature", "--queryformat", FORMAT, "--"]);
    argv.push(path.display().to_string());
    let told = ask(&argv, &[0], call)?.out();
    let line = told.lines().find_map(Line::parse);
    Ok(line.map(|line| (line.told(native(call)), line.version)))
}

/// One of several installed versions of a package, as command lines name it: the architecture comes last.
pub(crate) fn exactly(name: &str, version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    match name.rsplit_once('.').filter(|(_, arch)| is_arch(arch)) {
        Some((bare, arch)) => format!("{bare}-{version}.{arch}"),
        None => format!("{name}-{version}"),
    }
}

fn is_arch(word: &str) -> bool {
    let others = ["noarch", "aarch64", "ppc64le", "ppc64", "s390x", "riscv64", "src"];
    X86_64.contains(&word) || X86_32.contains(&word) || ARM_32.contains(&word) || others.contains(&word)
}

/// The order of `epoch:version-release`. Where one has no release the other's makes no difference: 3.2 is as
/// good as 3.2-1.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, version_a, release_a), (epoch_b, version_b, release_b)) = (parts(a), parts(b));
    let releases = match release_a.is_empty() || release_b.is_empty() {
        true => Ordering::Equal,
        false => vercmp(release_a, release_b),
    };
    epoch_a.cmp(&epoch_b).then_with(|| vercmp(version_a, version_b)).then(releases)
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), version, release)
}

/// rpm's order of two versions without epoch and release: runs of digits and of letters; `~` comes before the
/// end of a version, `^` behind it.
fn vercmp(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (significant(a), significant(b));
        let order = match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (rest(a, 1), rest(b, 1));
                Ordering::Equal
            }
            (Some(b'~'), _) => Ordering::Less,
            (_, Some(b'~')) => Ordering::Greater,
            // Behind the end, and before anything else.
            (Some(b'^'), other) => {
                if other.is_none() {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (other, Some(b'^')) => {
                if other.is_none() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(_), Some(_)) => segment(&mut a, &mut b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Compare the runs in front, and step over them. A number is newer than letters.
fn segment(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let digits = a.first().is_some_and(u8::is_ascii_digit);
    if digits != b.first().is_some_and(u8::is_ascii_digit) {
        return if digits { Ordering::Greater } else { Ordering::Less };
    }
    let same = |c: &u8| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
    let (run_a, rest_a) = a.split_at(a.iter().position(|c| !same(c)).unwrap_or(a.len()));
    let (run_b, rest_b) = b.split_at(b.iter().position(|c| !same(c)).unwrap_or(b.len()));
    (*a, *b) = (rest_a, rest_b);
    if !digits {
        return run_a.cmp(run_b);
    }
    let (run_a, run_b) = (unpadded(run_a), unpadded(run_b));
    run_a.len().cmp(&run_b.len()).then_with(|| run_a.cmp(run_b))
}

fn rest(text: &[u8], from: usize) -> &[u8] {
    text.get(from..).unwrap_or_default()
}

/// Without the separators in front.
fn significant(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|c| c.is_ascii_alphanumeric() || matches!(c, b'~' | b'^'));
    rest(text, start.unwrap_or(text.len()))
}

fn unpadded(digits: &[u8]) -> &[u8] {
    rest(digits, digits.iter().position(|c| *c != b'0').unwrap_or(digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_epoch_and_perhaps_no_release() {
        let rising =
            ["0.9-9", "1.0~rc1-1", "1.0-1", "1.0-1.1", "1.0-2", "1.0^git1-1", "1.0.1-1", "1.10-1", "1:0.1-1"];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("3.2", "3.2-1"), Ordering::Equal);
        assert_eq!(compare("0:3.2-1", "3.2-01"), Ordering::Equal);
    }

    #[test]
    fn packages_are_named_as_salt_names_them() {
        let text = "bash|(none)|5.1.8|9.el9|x86_64\nglibc|0|2.34|1|x86_64\nglibc|0|2.34|1|i686\n\
                    kernel|(none)|5.14.0|9|x86_64\nkernel|(none)|5.14.0|10|x86_64\nvim|2|8.2|1|noarch\n\
                    gpg-pubkey|(none)|abc|def|(none)\nrpm: torn\n";
        let all = parse(text, "x86_64");
        assert_eq!(all.names().collect::<Vec<_>>(), ["bash", "glibc", "glibc.i686", "kernel", "vim"]);
        assert_eq!((all.version("vim"), all.version("glibc.x86_64")), (Some("2:8.2-1"), Some("2.34-1")));
        assert_eq!(all.told("kernel"), "5.14.0-9,5.14.0-10");
        assert_eq!(exactly("glibc.i686", "2.34-1"), "glibc-2.34-1.i686");
        assert_eq!(exactly("python3.11", "2:3.11-1"), "python3.11-3.11-1");
    }

    /// What the real rpm says of pairs, a line each.
    #[allow(clippy::disallowed_methods)]
    fn rpm_says(pairs: &[(String, String)]) -> Vec<Ordering> {
        let lines: String =
            pairs.iter().map(|(a, b)| format!("print(rpm.vercmp('{a}', '{b}') .. ' ')")).collect();
        let told = std::process::Command::new("rpm")
            .args(["--eval", &format!("%{{lua: {lines}}}")])
            .output()
            .unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        told.split_whitespace().map(|n| n.parse::<i32>().unwrap().cmp(&0)).collect()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]
        #[test]
        fn versions_order_as_the_real_rpm_orders_them(
            pairs in proptest::collection::vec(("[a-b0-2.~^_]{1,6}", "[a-b0-2.~^_]{1,6}"), 20),
        ) {
            for ((a, b), says) in pairs.iter().zip(rpm_says(&pairs)) {
                proptest::prop_assert_eq!(vercmp(a, b), says, "{} {}", a, b);
            }
        }
    }
}
