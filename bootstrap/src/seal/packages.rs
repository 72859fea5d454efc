//! The packages of the machine, so that an image can say what is in it.
// Effects: reads the package manager's database, or asks it.
#![allow(clippy::disallowed_methods)]

use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

/// The lists are read up to this size.
const LIMIT: usize = 64 * 1024 * 1024;

/// `name version` of each, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Installed(Vec<String>);

impl Installed {
    /// One a line.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }

    /// How many, and the beginning of the digest of the list.
    pub(super) fn summary(&self) -> String {
        let digest = Sha256::digest(self.text());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{digest}", self.0.len())
    }
}

/// By dpkg's and apk's databases, else by asking rpm.
pub(super) fn installed(root: &Path) -> Installed {
    let read = |path: &str| mayfly_states::fsys::read_text(&root.join(path), LIMIT).ok();
    let mut found = read("var/lib/dpkg/status")
        .map(|text| dpkg(&text))
        .or_else(|| read("lib/apk/db/installed").map(|text| apk(&text)))
        .or_else(|| rpm(root))
        .unwrap_or_default();
    found.sort();
    Installed(found)
}

fn dpkg(text: &str) -> Vec<String> {
    let field = |stanza: &str, name: &str| {
        stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    let package = |stanza: &str| {
        let is_there = field(stanza, "Status:")?.ends_with(" installed");
        is_there.then_some(())?;
        Some(format!("{} {}", field(stanza, "Package:")?, field(stanza, "Version:")?))
    };
    text.split("\n\n").filter_map(package).collect()
}

fn apk(text: &str) -> Vec<String> {
    let field =
        |stanza: &str, name: &str| stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()));
    let package = |stanza: &str| Some(format!("{} {}", field(stanza, "P:")?, field(stanza, "V:")?));
    text.split("\n\n").filter_map(package).collect()
}

fn rpm(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("rpm")
        .arg("--root")
        .arg(root)
        .args(["-qa", "--queryformat", "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\n"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_is_listed() {
        let dpkg = dpkg(
            "Package: b\nStatus: install ok installed\nVersion: 1.0-1\n\n\
             Package: a\nStatus: deinstall ok config-files\nVersion: 2\n\nPackage: c\nStatus: install ok installed\nVersion: 3\n",
        );
        assert_eq!(dpkg, ["b 1.0-1", "c 3"]);
        assert_eq!(apk("C:Q1\nP:musl\nV:1.2\n\nP:busybox\nV:1.36\n"), ["musl 1.2", "busybox 1.36"]);
        let summary = Installed(dpkg).summary();
        assert!(summary.starts_with("2:") && summary.len() == 18, "{summary}");
    }
}
