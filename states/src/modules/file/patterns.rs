//! `include_pat` and `exclude_pat`: shell patterns, or regular expressions behind `E@`.

use fancy_regex::Regex;

use crate::engine::step::Failure;
use crate::modules::args::Args;
use crate::python::glob::fnmatch;
use crate::python::regex;

enum Pattern {
    Glob(String),
    Regex(Regex),
}

impl Pattern {
    fn read(text: String) -> Result<Self, Failure> {
        match text.strip_prefix("E@") {
            Some(regex) => regex::build(regex, false, false).map(Self::Regex).map_err(Failure::declaration),
            None => Ok(Self::Glob(text)),
        }
    }

    /// An expression that takes too long matches nothing.
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Glob(glob) => fnmatch(path, glob),
            Self::Regex(regex) => regex.is_match(path).unwrap_or(false),
        }
    }
}

fn all(key: &str, args: &Args<'_>) -> Result<Vec<Pattern>, Failure> {
    args.list(key)?.unwrap_or_default().into_iter().map(Pattern::read).collect()
}

/// Which paths below a directory are meant.
#[derive(Default)]
pub(crate) struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Patterns {
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        Ok(Self { include: all("include_pat", args)?, ..Self::excluding(args)? })
    }

    /// `exclude_pat` alone.
    pub(crate) fn excluding(args: &Args<'_>) -> Result<Self, Failure> {
        Ok(Self { include: Vec::new(), exclude: all("exclude_pat", args)? })
    }

    /// Whether the path is among those to be managed.
    pub(crate) fn take(&self, path: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|p| p.matches(path));
        included && !self.excluded(path)
    }

    /// Whether the path is to be left alone.
    pub(crate) fn excluded(&self, path: &str) -> bool {
        self.exclude.iter().any(|p| p.matches(path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_globs_or_expressions() {
        let patterns = |include: &[&str], exclude: &[&str]| Patterns {
            include: include.iter().map(|p| Pattern::read((*p).to_owned()).unwrap()).collect(),
            exclude: exclude.iter().map(|p| Pattern::read((*p).to_owned()).unwrap()).collect(),
        };
        for (include, exclude, path, taken) in [
            (&[][..], &[][..], "a/b", true),
            (&["*.conf"], &[], "d/a.conf", true),
            (&["*.conf"], &[], "d/a.txt", false),
            (&["*.txt", "*.conf"], &["E@^d/"], "d/a.txt", false),
            (&[], &["E@x{2}"], "axxb", false),
        ] {
            assert_eq!(patterns(include, exclude).take(path), taken, "{path}");
        }
        assert!(Pattern::read("E@(".into()).is_err());
    }
}
