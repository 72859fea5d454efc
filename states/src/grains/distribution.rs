//! From os-release to the names Salt gives to distributions.
//!
//! Imitates Salt's core grains (`salt/grains/core.py`): `os` is the name without "Linux", a few names have a traditional
//! short form, and `osfinger` joins the name with as much of the release as identifies it.

use crate::value::Value;

/// os-release's `ID` to Salt's `os` and `os_family`.
const KNOWN: &[(&str, &str, &str)] = &[
    ("almalinux", "AlmaLinux", "RedHat"),
    ("alpine", "Alpine", "Alpine"),
    ("amzn", "Amazon", "RedHat"),
    ("arch", "Arch", "Arch"),
    ("centos", "CentOS", "RedHat"),
    ("debian", "Debian", "Debian"),
    ("fedora", "Fedora", "RedHat"),
    ("gentoo", "Gentoo", "Gentoo"),
    ("kali", "Kali", "Debian"),
    ("linuxmint", "Mint", "Debian"),
    ("ol", "OEL", "RedHat"),
    ("opensuse-leap", "SUSE", "Suse"),
    ("opensuse-tumbleweed", "SUSE", "Suse"),
    ("raspbian", "Raspbian", "Debian"),
    ("rhel", "RedHat", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("sles", "SUSE", "Suse"),
    ("ubuntu", "Ubuntu", "Debian"),
];

/// Families by what a distribution says it is like, for those not listed above.
const LIKE: &[(&str, &str)] =
    &[("debian", "Debian"), ("ubuntu", "Debian"), ("rhel", "RedHat"), ("fedora", "RedHat"), ("suse", "Suse")];

/// What os-release says, in Salt's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Grain `os`.
    pub os: String,
    /// Grain `os_family`.
    pub family: String,
    /// Grain `osfullname`.
    pub full_name: String,
    /// Grain `osrelease`.
    pub release: String,
    /// Grain `oscodename`.
    pub codename: String,
}

impl Distribution {
    /// Reads the text of an os-release file (os-release(5): shell-like assignments).
    pub fn from_os_release(os_release: &str) -> Self {
        let field = |name: &str| field(os_release, name).unwrap_or_default();
        let (id, name, like) = (field("ID"), field("NAME"), field("ID_LIKE"));
        let known = KNOWN.iter().find(|(known, _, _)| *known == id);
        let os = known.map_or_else(|| without_linux(&name), |(_, os, _)| (*os).to_owned());
        let family = known.map_or_else(|| family_of(&like, &os), |(_, _, family)| (*family).to_owned());
        let codename = codename(os_release, &os);
        Self { os, family, full_name: name, release: field("VERSION_ID"), codename }
    }

    /// Grain `osrelease_info`: the release's parts, numbers where they are.
    pub fn release_info(&self) -> Vec<Value> {
        let part = |p: &str| p.parse().map_or_else(|_| Value::Str(p.to_owned()), Value::Int);
        self.release.split('.').map(part).collect()
    }

    /// Grain `osmajorrelease`.
    pub fn major_release(&self) -> Option<i64> {
        self.release.split('.').next()?.parse().ok()
    }

    /// Grain `osfinger`.
    pub fn finger(&self) -> String {
        let name =
            if ["Debian", "Raspbian", "AlmaLinux"].contains(&&*self.os) { &self.os } else { &self.full_name };
        let whole = ["Ubuntu", "Pop", "NixOS"].contains(&&*self.os);
        let release = if whole { &self.release } else { self.release.split('.').next().unwrap_or_default() };
        format!("{name}-{release}")
    }
}

fn field(os_release: &str, name: &str) -> Option<String> {
    let assigned = |line: &str| line.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    let value = os_release.lines().find_map(assigned)?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

fn without_linux(name: &str) -> String {
    name.replace("GNU/Linux", "").replace("Linux", "").trim().to_owned()
}

fn family_of(like: &str, os: &str) -> String {
    let by_word =
        |word: &str| LIKE.iter().find(|(known, _)| *known == word).map(|(_, family)| (*family).to_owned());
    like.split_whitespace().find_map(by_word).unwrap_or_else(|| os.to_owned())
}

/// `VERSION_CODENAME`, else what stands in brackets in `VERSION`, else the pretty name as Salt does on rpm systems.
fn codename(os_release: &str, os: &str) -> String {
    if let Some(codename) = field(os_release, "VERSION_CODENAME").filter(|c| !c.is_empty()) {
        return codename;
    }
    let version = field(os_release, "VERSION").unwrap_or_default();
    let bracketed =
        version.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner.to_owned());
    match bracketed {
        Some(codename) if os != "Amazon" => codename,
        _ => field(os_release, "PRETTY_NAME").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_by_their_os_release() {
        let ubuntu =
            "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n";
        let amazon = "NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023\"\n";
        let rocky = "NAME=\"Rocky Linux\"\nVERSION=\"9.3 (Blue Onyx)\"\nID=\"rocky\"\nVERSION_ID=\"9.3\"\n";
        let alpine =
            "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n";
        let other = "NAME=\"Some Linux\"\nID=some\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=1\n";
        for (text, os, family, finger, codename) in [
            (ubuntu, "Ubuntu", "Debian", "Ubuntu-24.04", "noble"),
            (amazon, "Amazon", "RedHat", "Amazon Linux-2023", "Amazon Linux 2023"),
            (rocky, "Rocky", "RedHat", "Rocky Linux-9", "Blue Onyx"),
            (alpine, "Alpine", "Alpine", "Alpine Linux-3", "Alpine Linux v3.20"),
            (other, "Some", "Debian", "Some Linux-1", ""),
        ] {
            let read = Distribution::from_os_release(text);
            assert_eq!(
                (&*read.os, &*read.family, &*read.finger(), &*read.codename),
                (os, family, finger, codename)
            );
        }
    }

    #[test]
    fn an_empty_file_is_no_panic() {
        assert_eq!(Distribution::from_os_release("").release_info(), vec![Value::Str(String::new())]);
    }
}
