//! The dpkg database and Debian version order, pure.

use std::cmp::Ordering;

use super::Packages;

/// The packages in the text of `/var/lib/dpkg/status`.
pub(crate) fn parse(status: &str) -> Packages {
    let mut all = Packages::default();
    status.split("\n\n").for_each(|paragraph| add(&mut all, paragraph));
    all
}

fn add(all: &mut Packages, paragraph: &str) {
    let field =
        |key: &str| paragraph.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim);
    let (Some(name), Some(status)) = (field("Package"), field("Status")) else { return };
    if status.split(' ').next() == Some("hold") {
        all.hold(name);
    }
    match status.rsplit(' ').next().unwrap_or_default() {
        "installed" => {}
        "config-files" => return all.remain(name),
        "half-installed" | "unpacked" | "half-configured" | "triggers-awaited" | "triggers-pending" => {
            return all.unfinished.push(name.to_owned());
        }
        _ => return,
    }
    let version = field("Version").unwrap_or_default();
    let provides = field("Provides").unwrap_or_default();
    for one in provides.split(',').filter_map(|p| p.split_whitespace().next()) {
        all.provide(one);
    }
    if let Some(arch) = field("Architecture") {
        all.spell(&format!("{name}:{arch}"), version, compare);
    }
    all.add(name, version, compare);
}

/// Debian's version order (deb-version(7)).
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, a), (epoch_b, b)) = (epoch(a), epoch(b));
    let ((upstream_a, revision_a), (upstream_b, revision_b)) = (revision(a), revision(b));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.as_bytes(), revision_b.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Alternating runs of non-digits (tilde before the end, the end before letters, letters before the rest) and
/// numbers.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    let is_text = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while is_text(a) || is_text(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let (number_a, rest_a) = number(a);
        let (number_b, rest_b) = number(b);
        let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// The digits in front without leading zeros, and the rest.
fn number(s: &[u8]) -> (&[u8], &[u8]) {
    let end = s.iter().position(|c| !c.is_ascii_digit()).unwrap_or(s.len());
    let (digits, rest) = s.split_at(end);
    let start = digits.iter().position(|c| *c != b'0').unwrap_or(digits.len());
    (digits.get(start..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_dpkg_orders_them() {
        let rising =
            ["0.9", "1.0~rc1", "1.0", "1.0-1", "1.0-1.1", "1.0-2", "1.0a", "1.0+b1", "1.2", "1.10", "1:0.1"];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.00-01", "1.0-1"), Ordering::Equal);
        assert_eq!(compare("0:1", "1"), Ordering::Equal);
    }

    #[test]
    fn the_status_file_gives_installed_provided_and_unfinished_packages() {
        let packages = parse(
            "Package: mawk\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.3\nProvides: awk, x (= 1)\n\n\
             Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
             Package: torn\nStatus: install ok half-configured\nVersion: 1\n",
        );
        assert_eq!(packages.version("mawk"), Some("1.3"));
        assert_eq!(packages.version("mawk:amd64"), Some("1.3"));
        assert!(packages.has("awk") && packages.has("x") && !packages.has("gone") && !packages.has("torn"));
        assert!(packages.remains("gone") && !packages.remains("mawk"));
        assert_eq!(packages.unfinished, ["torn"]);
        let held = parse("Package: kept\nStatus: hold ok installed\nVersion: 1\n");
        assert!(held.held("kept") && held.held("kept:amd64") && held.has("kept"));
    }

    /// What the real dpkg says.
    #[allow(clippy::disallowed_methods)]
    fn dpkg_says(a: &str, relation: &str, b: &str) -> bool {
        let mut dpkg = std::process::Command::new("dpkg");
        dpkg.args(["--compare-versions", a, relation, b]).status().unwrap().success()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(150))]
        #[test]
        fn versions_order_as_the_real_dpkg_orders_them(
            a in "([01]:)?[0-9][a-c0-2.+~]{0,5}(-[a-c0-2.+~]{1,3})?",
            b in "([01]:)?[0-9][a-c0-2.+~]{0,5}(-[a-c0-2.+~]{1,3})?",
        ) {
            let says = match compare(&a, &b) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            proptest::prop_assert!(dpkg_says(&a, says, &b), "not {} {} {}", a, says, b);
        }
    }
}
