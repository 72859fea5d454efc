//! From os-release to the names Salt gives to distributions.
//!
//! Salt (`salt/grains/core.py`) names a system by os-release's `NAME` without "Linux", shortened for some by tradition;
//! the release and the code name come from an LSB file where there is one, else from os-release again, with exceptions.

use super::os_release::{OsRelease, version_in};
use crate::value::Value;

/// The name's first ten characters (lower case, no spaces) to Salt's `os`, where that is not the name itself.
const SHORT: &[(&str, &str)] = &[
    ("alibabaclo", "Alinux"),
    ("almalinux", "AlmaLinux"),
    ("almalinuxk", "AlmaLinux"),
    ("alt", "ALT"),
    ("amazonami", "Amazon"),
    ("antergos", "Antergos"),
    ("arch", "Arch"),
    ("archarm", "Arch ARM"),
    ("chapeau", "Chapeau"),
    ("cloudlinux", "CloudLinux"),
    ("cloudserve", "CloudLinux"),
    ("debian", "Debian"),
    ("enterprise", "OEL"),
    ("fedoraremi", "Fedora"),
    ("gentoobase", "Gentoo"),
    ("korora", "Korora"),
    ("linuxmint", "Mint"),
    ("manjaro", "Manjaro"),
    ("manjarolin", "Manjaro"),
    ("mendel", "Mendel"),
    ("neon", "KDE neon"),
    ("nilrt", "NILinuxRT"),
    ("oracleserv", "OEL"),
    ("photon", "VMware Photon OS"),
    ("pidora", "Fedora"),
    ("poky", "Poky"),
    ("pop", "Pop"),
    ("raspbian", "Raspbian"),
    ("redhatente", "RedHat"),
    ("rocky", "Rocky"),
    ("scientific", "ScientificLinux"),
    ("sles", "SUSE"),
    ("slesexpand", "RES"),
    ("synology", "Synology"),
    ("univention", "Univention"),
    ("virtuozzo", "Virtuozzo"),
    ("void", "Void"),
];

/// Salt's `os_family` to the values of `os` that belong to it; any other system is a family of its own.
const FAMILIES: &[(&str, &[&str])] = &[
    ("Arch", &["Antergos", "Arch ARM", "EndeavourOS", "Manjaro", "Manjaro ARM"]),
    (
        "Debian",
        &[
            "AstraLinuxCE",
            "AstraLinuxSE",
            "Cumulus",
            "Deepin",
            "Devuan",
            "GCEL",
            "IDMS",
            "KDE neon",
            "Kali",
            "Linaro",
            "Mendel",
            "Mint",
            "OSMC",
            "Parrot OS",
            "Pop",
            "Raspbian",
            "Trisquel",
            "TurnKey",
            "Ubuntu",
            "Univention",
            "antiX",
            "elementary",
            "elementary OS",
            "neon",
        ],
    ),
    ("Gentoo", &["Funtoo"]),
    ("Mandriva", &["Mandrake"]),
    (
        "RedHat",
        &[
            "ALT",
            "Alinux",
            "AlmaLinux",
            "AlmaLinux Kitten",
            "AlterOS",
            "Amazon",
            "CentOS",
            "CentOS Stream",
            "Chapeau",
            "CloudLinux",
            "FedBerry",
            "Fedora",
            "GoOSe",
            "Korora",
            "OEL",
            "OVS",
            "RED OS",
            "RES",
            "Rocky",
            "Sangoma",
            "Scientific",
            "ScientificLinux",
            "VMware Photon OS",
            "Virtuozzo",
            "XCP",
            "XCP-ng",
            "XenServer",
            "openEuler",
        ],
    ),
    (
        "Suse",
        &[
            "SLED",
            "SLES",
            "SLES_SAP",
            "SUSE",
            "SUSE  Enterprise Server",
            "SUSE Enterprise Server",
            "alfaLinux",
            "alfaLinux Rise",
            "openSUSE",
            "openSUSE Leap",
            "openSUSE Tumbleweed",
        ],
    ),
];

/// The files that tell a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `/etc/os-release`, else `/usr/lib/os-release`.
    pub os_release: String,
    /// `/etc/lsb-release`.
    pub lsb_release: String,
    /// `/etc/debian_version`: Debian's testing and unstable have no `VERSION_ID`.
    pub debian_version: String,
    /// `/etc/centos-release`: os-release of CentOS 7 and 8 lacks the minor release.
    pub centos_release: String,
}

/// What these files say, in Salt's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Grain `os`.
    pub os: String,
    /// Grain `os_family`.
    pub family: String,
    /// Grain `osfullname`.
    pub full_name: String,
    /// Grain `osrelease`; empty where nothing tells it.
    pub release: String,
    /// Grain `oscodename`.
    pub codename: String,
    /// Grains `lsb_distrib_*` that there are.
    pub lsb: Lsb,
}

/// The Linux Standard Base's four facts, from its own file or made of os-release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lsb {
    /// Grain `lsb_distrib_id`.
    pub id: Option<String>,
    /// Grain `lsb_distrib_release`.
    pub release: Option<String>,
    /// Grain `lsb_distrib_codename`.
    pub codename: Option<String>,
    /// Grain `lsb_distrib_description`.
    pub description: Option<String>,
}

impl Distribution {
    /// Reads the files.
    pub fn new(files: &Files) -> Self {
        let fields = OsRelease::parse(&files.os_release);
        let name = fields.or_empty("NAME");
        let mut known = Self {
            os: os_of(name, fields.or_empty("ID")),
            full_name: name.trim().to_owned(),
            lsb: Lsb::parse(&files.lsb_release),
            ..Self::default()
        };
        if known.lsb.id.is_none() {
            known.lsb.fill(&fields);
            known.name_as_suse(&fields);
        }
        known.forget_half_a_release();
        let release = known.lsb.release.clone().unwrap_or_else(|| best_version(&fields, files));
        known.release = release.trim().to_owned();
        known.take_codename(&fields);
        known.name_as_micro(&fields);
        let of_family = |(_, members): &&(_, &[&str])| members.contains(&&*known.os);
        known.family =
            FAMILIES.iter().find(of_family).map_or_else(|| known.os.clone(), |(name, _)| (*name).to_owned());
        known
    }

    /// Grain `osrelease_info`: the release's parts, numbers where they are.
    pub fn release_info(&self) -> Vec<Value> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = |part: &str| part.parse().ok().filter(|_| digits(part));
        self.release
            .split('.')
            .map(|part| number(part).map_or_else(|| Value::Str(part.to_owned()), Value::Int))
            .collect()
    }

    /// Grain `osmajorrelease`.
    pub fn major_release(&self) -> Option<i64> {
        match self.release_info().first()? {
            Value::Int(major) => Some(*major),
            _ => None,
        }
    }

    /// Grain `osfinger`.
    pub fn finger(&self) -> String {
        let by_os = ["Debian", "Raspbian", "AlmaLinux"].contains(&&*self.os);
        let name = if by_os { &self.os } else { &self.full_name };
        if ["Ubuntu", "Pop", "NixOS"].contains(&&*self.os) {
            return format!("{name}-{}", self.release);
        }
        match self.release_info().first() {
            Some(Value::Int(major)) => format!("{name}-{major}"),
            Some(Value::Str(part)) => format!("{name}-{part}"),
            _ => name.clone(),
        }
    }

    /// SUSE's products are told by the vendor in their platform name.
    fn name_as_suse(&mut self, fields: &OsRelease) {
        let Some((vendor, version)) = fields.get("CPE_NAME").and_then(platform) else { return };
        if !["suse", "opensuse"].contains(&&*vendor.to_lowercase()) {
            return;
        }
        self.os = "SUSE".to_owned();
        match (fields.or_empty("NAME"), fields.or_empty("VERSION")) {
            ("openSUSE Leap", _) => self.full_name = "Leap".to_owned(),
            (_, "Tumbleweed") => self.full_name = "Tumbleweed".to_owned(),
            _ => {}
        }
        if vendor == "opensuse" && !version.is_empty() {
            self.lsb.release = Some(version.to_owned());
        }
    }

    /// SUSE Linux Micro calls itself SLES in every other field.
    fn name_as_micro(&mut self, fields: &OsRelease) {
        let (Some(product), Some(version)) =
            (fields.get("SUSE_SUPPORT_PRODUCT"), fields.get("SUSE_SUPPORT_PRODUCT_VERSION"))
        else {
            return;
        };
        self.codename =
            fields.get("SUSE_PRETTY_NAME").map_or_else(|| format!("{product} {version}"), str::to_owned);
        version.clone_into(&mut self.release);
        if product == "SUSE Linux Micro" {
            self.full_name = "SL-Micro".to_owned();
        }
    }

    /// os-release of CentOS 7 and 8 has no minor release, so it is looked for elsewhere.
    fn forget_half_a_release(&mut self) {
        let codename = self.lsb.codename.as_deref().unwrap_or_default();
        if codename.contains("CentOS Linux 7") || codename.contains("CentOS Linux 8") {
            self.lsb.release = None;
        }
    }

    fn take_codename(&mut self, fields: &OsRelease) {
        if let Some(codename) = &mut self.lsb.codename
            && let Some(inner) = bracketed(codename)
        {
            if self.os == "AstraLinuxSE" {
                *codename = inner.split_whitespace().next().unwrap_or_default().to_lowercase();
            } else if self.os.contains("Rocky") || self.os.contains("AlmaLinux") {
                *codename = inner;
            }
        }
        let said = self.lsb.codename.as_deref().unwrap_or_default().trim();
        let own = said.is_empty() || said.contains("Red Hat");
        self.codename = if own { fields.codename() } else { said.to_owned() };
    }
}

impl Lsb {
    /// Reads `/etc/lsb-release`.
    fn parse(text: &str) -> Self {
        let kept = |c: &char| c.is_alphanumeric() || c.is_whitespace() || ['.', '-', '_'].contains(c);
        let value = |name: &str| {
            let assigned = |line: &str| {
                line.strip_prefix("DISTRIB_")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
            };
            let value = text.lines().filter_map(assigned).next_back()?;
            let value = value.strip_prefix(['"', '\'']).unwrap_or(&value);
            let value: String = value.chars().take_while(kept).collect();
            Some(value.trim_end().to_owned()).filter(|value| !value.is_empty())
        };
        Self {
            id: value("ID"),
            release: value("RELEASE"),
            codename: value("CODENAME"),
            description: value("DESCRIPTION"),
        }
    }

    /// Where the file does not name a distribution, os-release does.
    fn fill(&mut self, fields: &OsRelease) {
        let codename = fields.get("VERSION_CODENAME").or_else(|| fields.get("PRETTY_NAME"));
        self.id = fields.get("NAME").map(|name| name.trim().to_owned());
        self.release = fields.get("VERSION_ID").map(str::to_owned).or(self.release.take());
        self.codename = codename.map(str::to_owned);
    }
}

/// Salt's `os` for a distribution's name.
fn os_of(name: &str, id: &str) -> String {
    match (id, name) {
        ("astra", "Astra Linux (Orel)") => return "AstraLinuxCE".to_owned(),
        ("astra", "Astra Linux (Smolensk)") => return "AstraLinuxSE".to_owned(),
        ("pop", "Pop!_OS") => return "Pop".to_owned(),
        _ => {}
    }
    let plain = without_linux(name).trim().to_owned();
    let short: String = plain.replace(' ', "").to_lowercase().chars().take(10).collect();
    SHORT.iter().find(|(known, _)| *known == short).map_or(plain, |(_, os)| (*os).to_owned())
}

/// The name without "Linux" or "GNU/Linux" and the character before it.
fn without_linux(name: &str) -> String {
    let mut kept = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let word = ["gnu/linux", "linux"]
            .into_iter()
            .find(|word| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        match word {
            Some(word) if !first.is_alphanumeric() && first != '_' => rest = &after[word.len()..],
            _ => {
                kept.push(first);
                rest = after;
            }
        }
    }
    kept
}

/// What stands between the first pair of brackets.
fn bracketed(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('(')?;
    Some(rest.split(')').next().unwrap_or(rest).to_owned())
}

/// Vendor and version of a platform name (`cpe:/o:opensuse:leap:15.6`, or the 2.3 form).
fn platform(name: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = name.split(':').collect();
    let at = match parts.get(1)? {
        part if parts[0] == "cpe" && part.starts_with('/') && parts.len() > 4 => 2,
        &"2.3" if parts[0] == "cpe" && (parts.len() == 6 || (8..=13).contains(&parts.len())) => 3,
        _ => return None,
    };
    Some((parts[at], parts[at + 2]))
        .map(|(vendor, version)| (vendor, if version == "*" { "" } else { version }))
}

/// The most exact of the versions that the files tell: the one with most dots, the first of equals.
fn best_version(fields: &OsRelease, files: &Files) -> String {
    let debian = fields.or_empty("ID") == "debian"
        || fields.or_empty("ID_LIKE").split_whitespace().any(|like| like == "debian");
    let version = |text: &str| version_in(text.lines().next().unwrap_or_default()).unwrap_or_default();
    let mut all = vec![
        fields.or_empty("VERSION_ID").to_owned(),
        version(&files.centos_release),
        version(fields.or_empty("PRETTY_NAME")),
    ];
    if debian {
        all.push(files.debian_version.lines().next().unwrap_or_default().trim_end().to_owned());
    }
    let dots = |text: &str| text.matches('.').count();
    let better =
        |best: String, next: String| if best.is_empty() || dots(&next) > dots(&best) { next } else { best };
    all.into_iter().fold(String::new(), better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_goes_out_of_a_name_with_what_stands_before_it() {
        for (name, plain) in [
            ("Amazon Linux", "Amazon"),
            ("Debian GNU/Linux", "Debian"),
            ("Rocky Linux", "Rocky"),
            ("AlmaLinux", "AlmaLinux"),
            ("Linux Mint", "Linux Mint"),
            ("Ünï linuxé Linux", "Ünïé"),
        ] {
            assert_eq!(without_linux(name), plain);
        }
    }

    #[test]
    fn nonsense_is_no_panic() {
        for text in [
            "",
            "=",
            "NAME",
            "NAME=\nVERSION_ID=\n",
            "CPE_NAME=cpe:2.3:\n",
            "VERSION_ID=99999999999999999999",
        ] {
            let all = Files {
                os_release: text.to_owned(),
                lsb_release: text.to_owned(),
                debian_version: text.to_owned(),
                centos_release: text.to_owned(),
            };
            let read = Distribution::new(&all);
            assert!(read.major_release().is_none(), "{text}: {}", read.finger());
        }
    }
}
