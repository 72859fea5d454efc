//! Package files that `pkg.installed` names in `sources`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::modules::apt::{package_name, versions};
use crate::modules::args::{Args, scalar};
use crate::modules::cmd::tool;
use crate::modules::dpkg::{Packages, compare};
use crate::modules::file::source::{Check, OnDisk, Source};
use crate::redact;
use crate::value::Value;

/// A package file at hand.
#[derive(Debug, Clone)]
pub(crate) struct Deb {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    /// What was fetched goes when nobody needs it any more.
    _file: OnDisk,
    _copy: Option<Rc<tempfile::TempDir>>,
}

impl PartialEq for Deb {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.version, &self.path) == (&other.name, &other.version, &other.path)
    }
}

impl Deb {
    /// Whether that version is installed.
    pub(crate) fn met(&self, packages: &Packages) -> bool {
        packages.version(&self.name).is_some_and(|now| compare(now, &self.version).is_eq())
    }

    pub(crate) fn change(&self, packages: &Packages) -> (String, Value) {
        (self.name.clone(), versions(packages.version(&self.name).unwrap_or_default(), self.version.clone()))
    }
}

/// `sources`: a list of `{package: file}`.
pub(crate) fn sources(args: &Args<'_>) -> Result<Vec<(String, String)>, Failure> {
    let bad = || Failure::declaration("`sources` must be a list of {package: file}");
    let Some(value) = args.get("sources") else { return Ok(Vec::new()) };
    let items = value.as_list().filter(|l| !l.is_empty()).ok_or_else(bad)?;
    let mut all = Vec::new();
    for item in items {
        for (name, source) in item.as_map().ok_or_else(bad)? {
            all.push((package_name(name)?, scalar(source).ok_or_else(bad)?));
        }
    }
    Ok(all)
}

/// Get the files, and read what they are.
pub(crate) fn look(sources: &[(String, String)], call: &Call<'_>) -> Result<Vec<Deb>, Failure> {
    sources.iter().map(|(name, source)| deb(name, source, call)).collect()
}

/// apt takes a file for a package by its name alone, which what was fetched has not.
fn named(file: &OnDisk) -> Result<(PathBuf, Option<Rc<tempfile::TempDir>>), Failure> {
    if file.path.extension().is_some_and(|end| end == "deb") {
        return Ok((file.path.clone(), None));
    }
    let failed = |e| Failure::machine(format!("cannot make a temporary directory: {e}"));
    let dir = tempfile::Builder::new().prefix("mayfly-deb-").tempdir().map_err(failed)?;
    let path = dir.path().join("package.deb");
    fsys::copy(&file.path, &path)?;
    Ok((path, Some(Rc::new(dir))))
}

fn deb(name: &str, source: &str, call: &Call<'_>) -> Result<Deb, Failure> {
    let file = Source::on_disk(source, &Check::default(), call)?;
    let (path, copy) = named(&file)?;
    let shown = redact::url(source);
    let show = "--showformat=${Package}\n${Version}\n".to_owned();
    let argv = ["dpkg-deb".to_owned(), "--show".to_owned(), show, path.display().to_string()];
    let told = tool(call, &argv, Duration::from_secs(60))?.out();
    match told.lines().collect::<Vec<_>>().as_slice() {
        [package, version] if *package == name => {
            Ok(Deb { name: name.to_owned(), version: (*version).to_owned(), path, _file: file, _copy: copy })
        }
        [package, _] => Err(Failure::declaration(format!("{shown} holds the package {package}, not {name}"))),
        _ => Err(Failure::declaration(format!("{shown} is no package"))),
    }
}
