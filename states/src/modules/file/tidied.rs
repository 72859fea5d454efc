//! `file.tidied`: what is old or large goes from a directory.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::Args;
use crate::modules::file::{Place, directory};
use crate::python::regex;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "age",
    "matches",
    "rmdirs",
    "size",
    "exclude",
    "full_path_match",
    "time_comparison",
    "age_size_logical_operator",
    "age_size_only",
    "rmlinks",
];

const DAY: i64 = 86_400;

/// Which of its times tells the age of something.
#[derive(Clone, Copy)]
enum Time {
    Read,
    Status,
    Changed,
}

/// The declaration.
pub(crate) struct Want {
    place: Place,
    /// In days.
    age: Option<i64>,
    /// In bytes.
    size: Option<u64>,
    /// Both must hold.
    both: bool,
    matches: Vec<fancy_regex::Regex>,
    exclude: Vec<fancy_regex::Regex>,
    full_path: bool,
    directories: bool,
    links: bool,
    time: Time,
}

/// Something below the directory.
pub(crate) struct Found {
    path: PathBuf,
    kind: Kind,
    /// In days, and in bytes.
    age: i64,
    size: u64,
}

/// `3MB` and its like: a metric unit has an `i` when it is meant in powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_lowercase();
    let power = unit.chars().next().map_or(Some(0), |c| "bkmgtpe".find(c))?;
    let base: f64 = match unit.get(1..).unwrap_or_default() {
        "b" if power > 0 => 1000.0,
        "" | "ib" => 1024.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * base.powi(i32::try_from(power).ok()?);
    format!("{:.0}", value.trunc()).parse().ok()
}

fn expressions(key: &str, args: &Args<'_>) -> Result<Vec<fancy_regex::Regex>, Failure> {
    let all = args.list(key)?.unwrap_or_default();
    all.iter().map(|e| regex::build(e, false, false).map_err(Failure::declaration)).collect()
}

fn limits(args: &Args<'_>) -> Result<(Option<i64>, Option<u64>), Failure> {
    let age = args.number("age")?.map(i64::from);
    let bad = || Failure::declaration("`size` must be a number of bytes, or such as 10MB");
    let size = args.text("size")?.map(|s| bytes(&s).ok_or_else(bad)).transpose()?;
    match args.text("age_size_only")?.map(|w| w.to_lowercase()).as_deref() {
        Some("age") => Ok((Some(age.unwrap_or(0)), None)),
        Some("size") => Ok((None, Some(size.unwrap_or(0)))),
        _ => Ok((age, size)),
    }
}

impl Want {
    /// Whether it is to go, by itself.
    fn fits(&self, found: &Found) -> bool {
        let allowed = match found.kind {
            Kind::Directory => self.directories,
            Kind::Symlink => self.links,
            _ => true,
        };
        let (old, large) = (self.age.map(|age| found.age >= age), self.size.map(|size| found.size >= size));
        let due = match (old, large) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(old), Some(large)) if self.both => old && large,
            (Some(old), Some(large)) => old || large,
        };
        allowed && due && self.named(&found.path)
    }

    fn named(&self, path: &Path) -> bool {
        let name = match self.full_path {
            true => path.to_string_lossy(),
            false => path.file_name().unwrap_or_default().to_string_lossy(),
        };
        let begins =
            |e: &fancy_regex::Regex| e.find(name.as_ref()).ok().flatten().is_some_and(|m| m.start() == 0);
        (self.matches.is_empty() || self.matches.iter().any(begins)) && !self.exclude.iter().any(begins)
    }
}

/// `file.tidied`.
pub(crate) struct Tidied;

impl StateFn for Tidied {
    type Want = Want;
    type Observed = Vec<Found>;
    type Plan = Vec<PathBuf>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("followlinks", "what links point to is left alone")?;
        let (age, size) = limits(args)?;
        let time = match args.text("time_comparison")?.map(|w| w.to_lowercase()).as_deref() {
            Some("mtime") => Time::Changed,
            Some("ctime") => Time::Status,
            _ => Time::Read,
        };
        Ok(Want {
            place: Place::of(call)?,
            age,
            size,
            both: args.text("age_size_logical_operator")?.is_some_and(|w| w.eq_ignore_ascii_case("and")),
            matches: expressions("matches", args)?,
            exclude: expressions("exclude", args)?,
            full_path: args.flag("full_path_match", false)?,
            directories: args.flag("rmdirs", false)?,
            links: args.flag("rmlinks", true)?,
            time,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Vec<Found>, Failure> {
        let path = &want.place.path;
        if fsys::stat(path)?.kind != Kind::Directory {
            return Err(Failure::machine(format!(
                "{} does not exist or is not a directory.",
                want.place.name
            )));
        }
        #[allow(clippy::cast_possible_truncation)] // Seconds of any real clock fit.
        let today = (call.context.host.now() as i64).div_euclid(DAY);
        let mut all = Vec::new();
        for (path, stat) in fsys::walk(path)? {
            let Ok(meta) = path.symlink_metadata() else { continue };
            let time = match want.time {
                Time::Read => meta.atime(),
                Time::Status => meta.ctime(),
                Time::Changed => meta.mtime(),
            };
            let age = (today - time.div_euclid(DAY)).abs();
            let size = if stat.kind == Kind::File { stat.len } else { 0 };
            all.push(Found { path, kind: stat.kind, age, size });
        }
        Ok(all)
    }

    fn diff(want: &Want, found: &Vec<Found>) -> Diff<Vec<PathBuf>> {
        // Deepest first, so that a directory is seen after what is in it: one that keeps something stays.
        let mut going: Vec<PathBuf> = Vec::new();
        let mut kept: std::collections::BTreeSet<&Path> = std::collections::BTreeSet::new();
        for one in found.iter().rev() {
            match want.fits(one) && !kept.contains(one.path.as_path()) {
                true => going.push(one.path.clone()),
                false => kept.extend(one.path.parent().into_iter().chain([one.path.as_path()])),
            }
        }
        let name = &want.place.name;
        if going.is_empty() {
            return Diff::Same(format!("Nothing to remove from directory {name}"));
        }
        let told = going.iter().map(|p| {
            let below = p.strip_prefix(&want.place.path).unwrap_or(p).display();
            Value::Str(format!("{}/{below}", name.trim_end_matches('/')))
        });
        let changes = Map::from([("removed".to_owned(), Value::List(told.collect()))]);
        let would = format!("{} would be removed from {name}", going.len());
        Diff::Change { plan: going, changes, would }
    }

    fn apply(want: &Want, going: Vec<PathBuf>, _: &Call<'_>) -> Result<Applied, Failure> {
        going.iter().try_for_each(|path| directory::below(&want.place.path, path, fsys::remove))?;
        let (count, name) = (going.len(), &want.place.name);
        Ok(Applied::done(format!("Removed {count} files or directories from directory {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let known =
            [("100", 100), ("1k", 1024), ("1KB", 1000), ("1.5MiB", 1_572_864), ("2 GB", 2_000_000_000)];
        for (text, size) in known {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for bad in ["", "x", "1xb", "k"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
