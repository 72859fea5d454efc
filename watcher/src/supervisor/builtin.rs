//! The built-in supervisor: runs services as our own children, described by systemd unit files.
//!
//! What it reads of them is stated in `docs` and in [`unit`]'s types; the rest is ignored with a note, and what would
//! mislead (`Type=forking`, `Accept=yes`) is refused. Listening sockets of a `.socket` file are held by us and passed by
//! the `LISTEN_FDS` protocol, so that connections made during a restart wait in the backlog and none is refused.

mod decide;
mod events;
mod identity;
mod keeper;
mod keys;
mod load;
mod notify;
mod output;
mod place;
mod prepare;
mod record;
mod socket_unit;
mod sockets;
mod spawn;
mod text;
mod unit;

pub(crate) use unit::signal_named;

pub use events::{Ended, Ends, Event, Next};

use super::{Begun, Error, Status, Supervisor, valid_name};
use crate::Listener;
use keeper::{Ask, Handle, House};
use load::Units;
use output::Logs;
use record::Records;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
pub use text::UnitError;

const NAME: &str = "builtin";

/// Where the built-in supervisor finds and leaves things.
#[derive(Clone)]
pub struct Options {
    /// Prefix of the unit directories, of `/run` and `/var/lib`; `/` but in tests.
    pub root: PathBuf,
    /// One `NAME.log` a service.
    pub log_dir: PathBuf,
    /// Bytes after which a log is cut, the part before being kept as `NAME.log.1`.
    pub log_cap: u64,
    /// Who is told of ends that nobody asked for; nobody, unless one is given.
    pub listener: Arc<dyn Listener<Event>>,
}

impl Options {
    /// The usual places below a root: logs in `var/log/mayfly`, of 10 MiB each.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            log_dir: root.join("var/log/mayfly"),
            log_cap: 10 << 20,
            listener: Arc::new(|_: &Event| {}),
        }
    }

    /// The same, heard by this one.
    pub fn heard_by(self, listener: Arc<dyn Listener<Event>>) -> Self {
        Self { listener, ..self }
    }
}

/// One service, for those who look.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Its name.
    pub service: String,
    /// `stopped`, `running`, `done` (a oneshot), `backoff` (it died and is started again soon).
    pub state: &'static str,
    /// Its process.
    pub pid: Option<u32>,
    /// How often a process was started.
    pub starts: u64,
    /// How the last process ended.
    pub last_end: Option<String>,
    /// The TCP addresses of the sockets held for it.
    pub listening: Vec<SocketAddr>,
}

/// What is made of any text in the place of a record or a unit, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(text: &str) {
    if let Some(record) = record::Record::parse(text) {
        assert!(record.process.is_none_or(|process| process.pid > 1));
    }
    let with = text::Specifiers {
        name: "web".into(),
        user: "root".into(),
        home: "/root".into(),
        hostname: "box".into(),
    };
    if let Ok(all) = text::directives(Path::new("/unit"), text) {
        let _ = unit::Service::from_directives(&all, &with).map_err(|e| e.to_string());
        let _ = socket_unit::Sockets::from_directives(&all, &with).map_err(|e| e.to_string());
    }
    let _ = text::environment_file(Path::new("/env"), text);
}

/// The built-in supervisor. Dropping it leaves the services running, for the next one of the same root to keep;
/// [`Builtin::stop_all`] ends them.
pub struct Builtin {
    house: Arc<House>,
    keepers: Mutex<BTreeMap<String, Arc<Handle>>>,
}

impl Builtin {
    /// A supervisor of the services that one before it left running, if there was one.
    pub fn new(options: Options) -> Self {
        let house = House {
            units: Units { root: options.root.clone() },
            logs: Logs { directory: options.log_dir, cap: options.log_cap },
            records: Records { directory: options.root.join("run/mayfly/services") },
            notify_dir: options.root.join("run/mayfly/notify"),
            root: options.root,
            listener: options.listener,
        };
        let builtin = Self { house: Arc::new(house), keepers: Mutex::new(BTreeMap::new()) };
        for service in builtin.house.records.services() {
            if let Err(error) = builtin.keeper(&service) {
                tracing::warn!(service, "it may have been left running, and is not kept: {error}");
            }
        }
        builtin
    }

    /// Every service that was started since, by name.
    pub fn report(&self) -> Vec<Report> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |(name, handle): (&String, &Arc<Handle>)| {
            let seen = handle.seen();
            Report {
                service: name.clone(),
                state: seen.state,
                pid: seen.pid,
                starts: seen.starts,
                last_end: seen.last_end,
                listening: seen.addresses,
            }
        };
        keepers.iter().map(report).collect()
    }

    /// The services that a `.wants` link starts at boot.
    pub fn enabled_services(&self) -> Vec<String> {
        self.house.units.enabled_services()
    }

    /// Stop every service, all at once, and wait until they are gone. The first failure is told.
    pub fn stop_all(&self) -> Result<(), Error> {
        let keepers: Vec<_> =
            self.keepers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let answers: Vec<_> = keepers.iter().map(|handle| handle.send(Ask::Stop)).collect();
        answers.into_iter().filter_map(|answer| answer.recv().ok()).fold(Ok(()), Result::and)
    }

    /// The keeper of a service that has a unit or is kept already.
    fn keeper(&self, service: &str) -> Result<Arc<Handle>, Error> {
        valid_name(NAME, service)?;
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = keepers.get(service) {
            return Ok(handle.clone());
        }
        let left = || self.house.records.read(service).is_some();
        if self.house.units.find(service, ".service").is_none() && !left() {
            return Err(Error::Unknown { supervisor: NAME, service: service.to_owned() });
        }
        let handle = Handle::new(service, self.house.clone()).map_err(|e| Error::Failed {
            supervisor: NAME,
            service: service.to_owned(),
            verb: "keep",
            reason: e.to_string(),
        })?;
        let handle = Arc::new(handle);
        keepers.insert(service.to_owned(), handle.clone());
        Ok(handle)
    }

    fn unit(&self, service: &str) -> Result<unit::Service, Error> {
        valid_name(NAME, service)?;
        let loaded = self.house.units.load(service)?;
        loaded
            .map(|l| l.service)
            .ok_or_else(|| Error::Unknown { supervisor: NAME, service: service.to_owned() })
    }
}

impl Supervisor for Builtin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        match self.keeper(service) {
            Ok(handle) => match handle.status() {
                Status::Stopped if self.house.units.find(service, ".service").is_none() => {
                    Ok(Status::Unknown)
                }
                status => Ok(status),
            },
            Err(Error::Unknown { .. }) => Ok(Status::Unknown),
            Err(error) => Err(error),
        }
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        self.keeper(service)?.ask(Ask::Start)
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.keeper(service)?.ask(Ask::Stop)
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.keeper(service)?.ask(Ask::Restart)
    }

    fn begin_restart(&self, service: &str) -> Option<Begun> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        Some(keepers.get(service)?.begin(Ask::Restart))
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.keeper(service)?.ask(Ask::Reload)
    }

    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        let signal = signal_named(signal).map_err(|reason| Error::Failed {
            supervisor: NAME,
            service: service.to_owned(),
            verb: "signal",
            reason,
        })?;
        self.keeper(service)?.ask(Ask::Signal(signal))
    }

    fn enabled(&self, service: &str) -> Result<Option<bool>, Error> {
        Ok(self.house.units.enabled(service, &self.unit(service)?))
    }

    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error> {
        let unit = self.unit(service)?;
        let verb = if enabled { "enable" } else { "disable" };
        let failed =
            |reason: String| Error::Failed { supervisor: NAME, service: service.to_owned(), verb, reason };
        if unit.wanted_by.is_empty() && unit.aliases.is_empty() {
            return Err(failed("its unit has no WantedBy= in [Install]".into()));
        }
        let units = &self.house.units;
        let done = if enabled { units.enable(service, &unit) } else { units.disable(service, &unit) };
        done.map_err(|e| failed(e.to_string()))
    }

    fn ends(&self, service: &str) -> Option<Ends> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        keepers.get(service).map(|handle| handle.ends())
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.stop_all()
    }

    fn masked(&self, _: &str, _: bool) -> Result<bool, Error> {
        Ok(false)
    }

    fn set_masked(&self, service: &str, _: bool, _: bool) -> Result<(), Error> {
        Err(Error::masks_nothing(NAME, service))
    }

    fn offline(&self) -> bool {
        false
    }
}
