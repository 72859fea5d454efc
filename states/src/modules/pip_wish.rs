//! Requirements of Python packages as declarations write them; pure.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

/// One requirement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    /// As it is given to pip.
    pub(crate) text: String,
    /// The package's name in its one spelling.
    pub(crate) name: String,
    /// Versions that do.
    versions: VersionSpecifiers,
    /// It is an address: not told to anybody as it is, for there may be a password in it.
    pub(crate) address: bool,
}

impl Wish {
    /// From `name`, `name[extra] >= 1, < 2; marker`, `git+https://…#egg=name`, `name @ https://…`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('-') || text.contains(['\n', '\r', '\0']) {
            return Err(format!("{text:?} is no requirement of a Python package"));
        }
        if text.contains("://") {
            return Self::of_address(text);
        }
        let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let rest = rest.trim();
        let rest = rest.strip_prefix('[').and_then(|r| r.split_once(']')).map_or(rest, |(_, rest)| rest);
        let versions = rest.split(';').next().unwrap_or_default().trim();
        let versions = versions.trim_start_matches('(').trim_end_matches(')');
        let no = || format!("{text:?} is no requirement of a Python package, such as `name>=1.0`");
        if name.is_empty() || name.starts_with(['-', '.', '_']) {
            return Err(no());
        }
        let versions = VersionSpecifiers::from_str(versions).map_err(|_| no())?;
        Ok(Self { text: text.to_owned(), name: normal(name), versions, address: false })
    }

    fn of_address(text: &str) -> Result<Self, String> {
        let egg = text.split_once("#egg=").or_else(|| text.split_once("&egg=")).map(|(_, rest)| rest);
        let named = text.split_once('@').map(|(name, _)| name.trim()).filter(|n| !n.contains("://"));
        let name =
            egg.or(named).map(|n| n.split(['&', '[', '=', '<', '>']).next().unwrap_or_default().trim());
        match name.filter(|n| !n.is_empty() && n.chars().all(is_name)) {
            Some(name) => Ok(Self {
                text: text.to_owned(),
                name: normal(name),
                versions: VersionSpecifiers::empty(),
                address: true,
            }),
            None => Err("an address of a Python package needs its name: `name @ https://…` or `…#egg=name`"
                .to_owned()),
        }
    }

    /// Whether that version does.
    pub(crate) fn allows(&self, version: &str) -> bool {
        // Python takes a version as it is when it is asked for by itself.
        Version::from_str(version).is_ok_and(|v| self.versions.contains(&v)) || self.versions.is_empty()
    }

    /// For comments.
    pub(crate) fn told(&self) -> &str {
        if self.address { &self.name } else { &self.text }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Small letters, and one dash for every run of `-`, `_` and `.`.
pub(crate) fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_names_with_versions() {
        let wish = Wish::parse("Ruamel.yaml__Clib[x,y] >=1.0, !=1.5 ; python_version > '3'").unwrap();
        assert_eq!(wish.name, "ruamel-yaml-clib");
        assert!(wish.allows("1.4") && !wish.allows("1.5") && !wish.allows("0.9"));
        assert!(
            Wish::parse("a==1.*").unwrap().allows("1.0.post1") && Wish::parse("a").unwrap().allows("2.0b1")
        );
        assert!(Wish::parse("a~=1.4.2").unwrap().allows("1.4.9"));
        for bad in ["--index-url=x", "./dir", "", "a=1", "a\nb", "-e .", "_x"] {
            assert!(Wish::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_need_a_name_and_are_not_told() {
        let egg = Wish::parse("git+https://u:secret@x.org/y.git@v1#egg=My_Pkg&subdirectory=z").unwrap();
        assert_eq!((egg.told(), egg.address), ("my-pkg", true));
        assert_eq!(Wish::parse("my.pkg @ https://x/y.whl").unwrap().name, "my-pkg");
        let none = Wish::parse("https://u:secret@x/y.whl").unwrap_err();
        assert!(none.contains("needs its name") && !none.contains("secret"), "{none}");
    }
}
