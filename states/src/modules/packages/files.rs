//! Package files that `pkg.installed` names in `sources`.

use std::path::PathBuf;
use std::rc::Rc;

use super::{Compare, Manager, Packages, package_name, versions};
use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::modules::args::{Args, scalar};
use crate::modules::file::source::{Check, OnDisk, Source};
use crate::redact;
use crate::value::Value;

/// A package file at hand.
#[derive(Debug, Clone)]
pub(crate) struct PackageFile {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    /// What was fetched goes when nobody needs it any more.
    _file: OnDisk,
    _copy: Option<Rc<tempfile::TempDir>>,
}

impl PartialEq for PackageFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.version, &self.path) == (&other.name, &other.version, &other.path)
    }
}

impl PackageFile {
    /// Whether that version is installed.
    pub(crate) fn met(&self, packages: &Packages, order: Compare) -> bool {
        packages.versions(&self.name).iter().any(|now| order(now, &self.version).is_eq())
    }

    pub(crate) fn change(&self, packages: &Packages) -> (String, Value) {
        (self.name.clone(), versions(packages.told(&self.name), self.version.clone()))
    }
}

/// `sources`: a list of `{package: file}`.
pub(crate) fn sources(args: &Args<'_>, manager: Manager) -> Result<Vec<(String, String)>, Failure> {
    let bad = || Failure::declaration("`sources` must be a list of {package: file}");
    let Some(value) = args.get("sources") else { return Ok(Vec::new()) };
    let items = value.as_list().filter(|l| !l.is_empty()).ok_or_else(bad)?;
    let mut all = Vec::new();
    for item in items {
        for (name, source) in item.as_map().ok_or_else(bad)? {
            all.push((package_name(name, manager)?, scalar(source).ok_or_else(bad)?));
        }
    }
    Ok(all)
}

/// Get the files, and read what they are.
pub(crate) fn look(
    sources: &[(String, String)],
    manager: Manager,
    call: &Call<'_>,
) -> Result<Vec<PackageFile>, Failure> {
    sources.iter().map(|(name, source)| file(name, source, manager, call)).collect()
}

/// apt and its like take a file for a package by its name alone, which what was fetched has not.
fn named(file: &OnDisk, suffix: &str) -> Result<(PathBuf, Option<Rc<tempfile::TempDir>>), Failure> {
    if file.path.extension().is_some_and(|end| end == suffix) {
        return Ok((file.path.clone(), None));
    }
    let failed = |e| Failure::machine(format!("cannot make a temporary directory: {e}"));
    let dir = tempfile::Builder::new().prefix("mayfly-package-").tempdir().map_err(failed)?;
    let path = dir.path().join(format!("package.{suffix}"));
    fsys::copy(&file.path, &path)?;
    Ok((path, Some(Rc::new(dir))))
}

fn file(name: &str, source: &str, manager: Manager, call: &Call<'_>) -> Result<PackageFile, Failure> {
    let file = Source::on_disk(source, &Check::default(), call)?;
    let (path, copy) = named(&file, manager.suffix())?;
    let shown = redact::url(source);
    match manager.file(&path, call)? {
        Some((package, version)) if package == name => {
            Ok(PackageFile { name: name.to_owned(), version, path, _file: file, _copy: copy })
        }
        Some((package, _)) => {
            Err(Failure::declaration(format!("{shown} holds the package {package}, not {name}")))
        }
        None => Err(Failure::declaration(format!("{shown} is no package"))),
    }
}
