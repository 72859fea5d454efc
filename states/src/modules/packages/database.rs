//! What is installed, whoever installed it; pure.

use std::collections::{BTreeMap, BTreeSet};

/// Installed packages: name to versions; what they provide, and what is kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Packages {
    /// Versions, oldest first: some packages (kernels) are there more than once.
    installed: BTreeMap<String, Vec<String>>,
    /// The same by another spelling: with the architecture.
    spelt: BTreeMap<String, Vec<String>>,
    /// Virtual packages that some installed package provides.
    provided: BTreeSet<String>,
    /// Packages that were left half-way.
    pub(crate) unfinished: Vec<String>,
    /// Packages that are gone and whose configuration stays.
    remains: BTreeSet<String>,
    /// Packages that are kept as they are.
    held: BTreeSet<String>,
}

impl Packages {
    /// One more version of a package, with an order to keep them in.
    pub(crate) fn add(&mut self, name: &str, version: &str, order: super::Compare) {
        insert(&mut self.installed, name, version, order);
    }

    /// The same package by another name.
    pub(crate) fn spell(&mut self, name: &str, version: &str, order: super::Compare) {
        insert(&mut self.spelt, name, version, order);
    }

    pub(crate) fn provide(&mut self, name: &str) {
        self.provided.insert(name.to_owned());
    }

    pub(crate) fn remain(&mut self, name: &str) {
        self.remains.insert(name.to_owned());
    }

    pub(crate) fn hold(&mut self, name: &str) {
        self.held.insert(name.to_owned());
    }

    /// All versions of an installed package, oldest first.
    pub(crate) fn versions(&self, name: &str) -> &[String] {
        self.installed.get(name).or_else(|| self.spelt.get(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The newest version of an installed package.
    pub(crate) fn version(&self, name: &str) -> Option<&str> {
        self.versions(name).last().map(String::as_str)
    }

    /// All its versions as Salt tells them; empty when it is not there.
    pub(crate) fn told(&self, name: &str) -> String {
        self.versions(name).join(",")
    }

    /// Whether it is there, itself or provided by another.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.versions(name).is_empty() || self.provided.contains(name)
    }

    /// Whether it is gone and its configuration stays.
    pub(crate) fn remains(&self, name: &str) -> bool {
        self.remains.contains(plain_name(name))
    }

    /// Whether it is kept as it is.
    pub(crate) fn held(&self, name: &str) -> bool {
        self.held.contains(plain_name(name))
    }

    /// All that are kept as they are.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = &String> {
        self.held.iter()
    }

    /// Names of all that are installed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.installed.keys()
    }

    /// Name, old and new version of every package that differs.
    pub(crate) fn changes(&self, new: &Packages) -> Vec<(String, Option<String>, Option<String>)> {
        let names: BTreeSet<&String> = self.installed.keys().chain(new.installed.keys()).collect();
        let told = |of: &Packages, name: &String| of.installed.get(name).map(|v| v.join(","));
        let differing = names.into_iter().filter_map(|name| {
            let (old, now) = (told(self, name), told(new, name));
            (old != now).then(|| (name.clone(), old, now))
        });
        differing.collect()
    }
}

fn insert(all: &mut BTreeMap<String, Vec<String>>, name: &str, version: &str, order: super::Compare) {
    let versions = all.entry(name.to_owned()).or_default();
    if !versions.iter().any(|v| v == version) {
        versions.push(version.to_owned());
        versions.sort_by(|a, b| order(a, b));
    }
}

/// The name without its architecture, as dpkg spells it.
fn plain_name(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}
