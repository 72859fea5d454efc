//! A rule's path as steps from the root: names, wildcards, any depth. Pure.

use globset::{GlobBuilder, GlobMatcher};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path};

/// One step down.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// This entry.
    Name(OsString),
    /// Every entry that matches.
    Wild(GlobMatcher),
    /// Any number of directories.
    Deep,
}

/// The steps of an absolute path or glob; the error is a sentence without the path.
pub(crate) fn parts(path: &Path) -> Result<Vec<Part>, String> {
    if !path.is_absolute() {
        return Err("must be absolute".into());
    }
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => return Err("must not contain `..`".into()),
            Component::Normal(name) => parts.push(part(name)?),
        }
    }
    if parts.is_empty() {
        return Err("is the root of the file system".into());
    }
    if matches!(parts.last(), Some(Part::Deep)) {
        parts.push(Part::Wild(matcher("*")?));
    }
    Ok(parts)
}

/// Whether the steps lead to the path, or to a directory that it is below.
pub(crate) fn leads_to(parts: &[Part], path: &Path) -> bool {
    let names = path.components().filter_map(|c| if let Component::Normal(n) = c { Some(n) } else { None });
    lead(parts, &names.collect::<Vec<_>>())
}

fn lead(parts: &[Part], names: &[&OsStr]) -> bool {
    match (parts, names) {
        ([], _) => true,
        ([Part::Deep, rest @ ..], _) => {
            lead(rest, names) || names.split_first().is_some_and(|(_, below)| lead(parts, below))
        }
        ([Part::Name(wanted), rest @ ..], [name, below @ ..]) => wanted == name && lead(rest, below),
        ([Part::Wild(matcher), rest @ ..], [name, below @ ..]) => {
            matcher.is_match(Path::new(name)) && lead(rest, below)
        }
        (_, []) => false,
    }
}

/// The steps of a path without any wildcard.
pub(crate) fn literal(path: &Path) -> Vec<Part> {
    let names = path.components().filter_map(|c| if let Component::Normal(n) = c { Some(n) } else { None });
    names.map(|name| Part::Name(name.to_owned())).collect()
}

fn part(name: &OsStr) -> Result<Part, String> {
    let Some(text) = name.to_str() else { return Ok(Part::Name(name.to_owned())) };
    if text == "**" {
        return Ok(Part::Deep);
    }
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Ok(Part::Name(name.to_owned()));
    }
    matcher(text).map(Part::Wild)
}

fn matcher(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    glob.map(|g| g.compile_matcher()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(path: &str) -> String {
        let word = |part: &Part| match part {
            Part::Name(name) => name.to_str().unwrap().to_owned(),
            Part::Wild(matcher) => format!("<{}>", matcher.glob()),
            Part::Deep => "…".into(),
        };
        parts(Path::new(path)).unwrap().iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn paths_become_steps() {
        assert_eq!(shape("/etc/web.conf"), "etc web.conf");
        assert_eq!(shape("/etc/*.d/./x.{a,b}"), "etc <*.d> <x.{a,b}>");
        assert_eq!(shape("/srv/**/app.conf"), "srv … app.conf");
        assert_eq!(shape("/srv/**"), "srv … <*>");
    }

    #[test]
    fn steps_lead_to_what_they_mean() {
        for (rule, path, expected) in [
            ("/etc/web.conf", "/etc/web.conf", true),
            ("/etc/web.conf", "/etc/web.conf.d", false),
            ("/etc/web", "/etc/web/a/b", true),
            ("/etc/*.d/x", "/etc/a.d/x", true),
            ("/etc/*.d/x", "/etc/a.d", false),
            ("/srv/**/app.conf", "/srv/app.conf", true),
            ("/srv/**/app.conf", "/srv/a/b/app.conf", true),
            ("/srv/**/app.conf", "/srv/a/b/other.conf", false),
        ] {
            assert_eq!(
                leads_to(&parts(Path::new(rule)).unwrap(), Path::new(path)),
                expected,
                "{rule} {path}"
            );
        }
        assert!(
            matches!(literal(Path::new("/a/*")).as_slice(), [Part::Name(_), Part::Name(star)] if star == "*")
        );
    }

    #[test]
    fn wrong_ones_are_refused() {
        for wrong in ["etc", "/", "/a/../b", "/a/[", "/a/{b,c"] {
            assert!(parts(Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
