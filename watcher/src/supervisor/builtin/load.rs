//! Finds and reads the unit files of a service, its drop-ins and its socket, and keeps its `.wants` links.

// Effects: reads unit files and makes and removes symlinks.
#![allow(clippy::disallowed_methods)]

use super::socket_unit::Sockets;
use super::text::{Directive, Specifiers, UnitError, directives};
use super::unit::Service;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where unit files are looked for, the first that has one wins; as systemd.unit(5).
const SEARCH: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "lib/systemd/system",
    "usr/lib/systemd/system",
];
const MAX_BYTES: u64 = 1 << 20;

/// A service as its files describe it at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) service: Service,
    pub(crate) sockets: Option<Sockets>,
}

/// The unit files below a root.
#[derive(Debug, Clone)]
pub(crate) struct Units {
    pub(crate) root: PathBuf,
}

impl Units {
    /// The service's file: its own, or the template's for `name@instance`.
    pub(crate) fn find(&self, service: &str, suffix: &str) -> Option<PathBuf> {
        let template = service.split_once('@').map(|(prefix, _)| format!("{prefix}@{suffix}"));
        [Some(format!("{service}{suffix}")), template]
            .into_iter()
            .flatten()
            .find_map(|file| self.search(&file))
    }

    fn search(&self, file: &str) -> Option<PathBuf> {
        SEARCH.iter().map(|dir| self.root.join(dir).join(file)).find(|path| path.symlink_metadata().is_ok())
    }

    /// Read the service and its socket; `None` when nobody knows it.
    pub(crate) fn load(&self, service: &str) -> Result<Option<Loaded>, UnitError> {
        let Some(path) = self.find(service, ".service") else { return Ok(None) };
        let all = self.read_with_drop_ins(&path, service, ".service")?;
        let with = specifiers(service, &all);
        let unit = Service::from_directives(&all, &with)?;
        let sockets = match self.find(service, ".socket") {
            Some(path) => {
                let all = self.read_with_drop_ins(&path, service, ".socket")?;
                Some(Sockets::from_directives(&all, &with)?).filter(|s| !s.listen.is_empty())
            }
            None => None,
        };
        Ok(Some(Loaded { service: unit, sockets }))
    }

    fn read_with_drop_ins(
        &self,
        path: &Path,
        service: &str,
        suffix: &str,
    ) -> Result<Vec<Directive>, UnitError> {
        if is_masked(path) {
            return Err(UnitError {
                file: path.to_owned(),
                line: 1,
                column: 1,
                reason: "the unit is masked; remove the link to /dev/null to use it".into(),
            });
        }
        let mut all = directives(path, &read(path)?)?;
        for extra in self.drop_ins(service, suffix) {
            all.extend(directives(&extra, &read(&extra)?)?);
        }
        Ok(all)
    }

    /// `NAME.service.d/*.conf` of every directory, by file name; a name found earlier hides later ones.
    fn drop_ins(&self, service: &str, suffix: &str) -> Vec<PathBuf> {
        let mut found = std::collections::BTreeMap::new();
        for directory in SEARCH {
            let directory = self.root.join(directory).join(format!("{service}{suffix}.d"));
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|e| e == "conf") {
                    found.entry(entry.file_name()).or_insert(entry.path());
                }
            }
        }
        found.into_values().collect()
    }

    /// Whether a `.wants` link starts the service at boot; `None` when it has no `WantedBy=`.
    pub(crate) fn enabled(&self, service: &str, unit: &Service) -> Option<bool> {
        let wanted = !unit.wanted_by.is_empty() || !unit.aliases.is_empty();
        wanted.then(|| !self.links(service).is_empty())
    }

    /// Every service with a `.wants` link, by name.
    pub(crate) fn enabled_services(&self) -> Vec<String> {
        let names =
            self.wants_directories().into_iter().flat_map(|d| std::fs::read_dir(d).into_iter().flatten());
        let names = names
            .flatten()
            .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".service")?.to_owned()));
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// Make the links that `[Install]` asks for.
    pub(crate) fn enable(&self, service: &str, unit: &Service) -> std::io::Result<()> {
        let Some(target) = self.find(service, ".service") else { return Ok(()) };
        // Links are read inside the root, so they do not carry it.
        let target = Path::new("/").join(target.strip_prefix(&self.root).unwrap_or(&target));
        let base = self.root.join(SEARCH[0]);
        let wants = unit
            .wanted_by
            .iter()
            .map(|by| base.join(format!("{by}.wants")).join(format!("{service}.service")));
        let aliases = unit.aliases.iter().map(|alias| base.join(alias));
        for link in wants.chain(aliases) {
            if link.symlink_metadata().is_ok() {
                continue;
            }
            std::fs::create_dir_all(link.parent().unwrap_or(&base))?;
            std::os::unix::fs::symlink(&target, &link)?;
        }
        Ok(())
    }

    /// Remove every link that starts the service at boot.
    pub(crate) fn disable(&self, service: &str, unit: &Service) -> std::io::Result<()> {
        let base = self.root.join(SEARCH[0]);
        let aliases = unit.aliases.iter().map(|alias| base.join(alias)).filter(|a| a.is_symlink());
        self.links(service).into_iter().chain(aliases).try_for_each(std::fs::remove_file)
    }

    fn links(&self, service: &str) -> Vec<PathBuf> {
        let file = format!("{service}.service");
        let links = self.wants_directories().into_iter().map(|d| d.join(&file));
        links.filter(|link| link.symlink_metadata().is_ok()).collect()
    }

    fn wants_directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join(SEARCH[0])).into_iter().flatten().flatten();
        let wants = |path: &PathBuf| path.extension().is_some_and(|e| e == "wants" || e == "requires");
        entries.map(|e| e.path()).filter(wants).collect()
    }
}

fn is_masked(path: &Path) -> bool {
    std::fs::read_link(path).is_ok_and(|t| t == Path::new("/dev/null"))
        || path.metadata().is_ok_and(|m| m.is_file() && m.len() == 0)
}

/// The text of a file of bounded size.
pub(crate) fn read(path: &Path) -> Result<String, UnitError> {
    let wrong = |reason: String| UnitError { file: path.to_owned(), line: 1, column: 1, reason };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    if text.len() as u64 > MAX_BYTES { Err(wrong("larger than 1 MiB".into())) } else { Ok(text) }
}

/// What `%u` and its like stand for in this unit.
fn specifiers(service: &str, all: &[Directive]) -> Specifiers {
    let user = all.iter().rev().find(|d| d.section == "Service" && d.key == "User").map(|d| d.value.clone());
    let user = user.filter(|u| !u.is_empty()).unwrap_or_else(|| "root".into());
    // As systemd: root's is known. That of others is looked up only for who wants it: it takes time in every restart.
    let wants_home = |d: &Directive| d.value.contains("%h") || d.value.ends_with('~');
    let home = match user.as_str() {
        "root" => None,
        _ if !all.iter().any(wants_home) => None,
        name => nix::unistd::User::from_name(name).ok().flatten().map(|u| u.dir.display().to_string()),
    };
    let hostname = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    Specifiers { name: service.to_owned(), user, home: home.unwrap_or_else(|| "/root".into()), hostname }
}
