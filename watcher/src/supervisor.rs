//! The supervisor that starts, stops and restarts services: supervisord, systemd, init scripts or the built-in one.

pub mod builtin;
mod detect;
mod fallback;
mod supervisord;
mod systemd;
mod sysv;
mod xmlrpc;

pub use detect::{Kind, UnknownKind, detect, open};
pub use fallback::Fallback;
pub use supervisord::Supervisord;
pub use systemd::Systemd;
pub use sysv::Sysv;

use std::path::PathBuf;
use std::time::Duration;

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No such service.
    Unknown,
    /// Known, not running.
    Stopped,
    /// Running, with its process id where the supervisor tells.
    Running(Option<u32>),
}

/// Something that has begun, and ends with this.
pub type Begun = Box<dyn FnOnce() -> Result<(), Error> + Send>;

/// One way of supervising services. Calls block until the effect is seen or has failed. Nothing that
/// counts has a default: one that stands before another would forget to ask it.
pub trait Supervisor: Send + Sync {
    /// `supervisord`, `systemd`, `sysv` or `builtin`.
    fn name(&self) -> &'static str;
    /// Where the service stands.
    fn status(&self, service: &str) -> Result<Status, Error>;
    /// Start and wait until it runs. A service that runs already is left alone.
    fn start(&self, service: &str) -> Result<(), Error>;
    /// Stop and wait until it is gone. A service that is stopped already is left alone.
    fn stop(&self, service: &str) -> Result<(), Error>;
    /// Stop and start; a stopped service is started. Listening sockets stay open where the supervisor owns them.
    fn restart(&self, service: &str) -> Result<(), Error>;
    /// Begin a restart of a service that is kept already, where the supervisor does the work in a thread of its own; what
    /// is given waits for its end. A supervisor that always gives nothing is asked to restart instead.
    fn begin_restart(&self, service: &str) -> Option<Begun> {
        let _ = service;
        None
    }
    /// Reload in place.
    fn reload(&self, service: &str) -> Result<(), Error>;
    /// Send a signal by name, with or without `SIG`.
    fn signal(&self, service: &str, signal: &str) -> Result<(), Error>;
    /// Whether it starts at boot; `None` where there is no such notion.
    fn enabled(&self, service: &str) -> Result<Option<bool>, Error>;
    /// Set whether it starts at boot.
    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error>;
    /// Whether it is kept from starting at all, for good or (`runtime`) until the next boot.
    fn masked(&self, service: &str, runtime: bool) -> Result<bool, Error>;
    /// Keep it from starting at all, or let it start again.
    fn set_masked(&self, service: &str, runtime: bool, masked: bool) -> Result<(), Error>;
    /// How the service has ended so far, where the supervisor tells.
    fn ends(&self, service: &str) -> Option<builtin::Ends>;
    /// Whether services are to be left as they are, because who will run them does not yet.
    fn offline(&self) -> bool;
    /// The program is going: stop what lives and dies with it. Services of an outside supervisor stay.
    fn shutdown(&self) -> Result<(), Error>;
}

/// Why a supervisor could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows the service.
    #[error("{supervisor} knows no service {service:?}")]
    Unknown {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// The service's name.
        service: String,
    },
    /// The service's unit file is wrong.
    #[error(transparent)]
    Unit(#[from] builtin::UnitError),
    /// The service did not do what it was told.
    #[error("{supervisor} could not {verb} {service:?}: {reason}")]
    Failed {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// The service's name.
        service: String,
        /// What was asked: `start`, `stop`, …
        verb: &'static str,
        /// What went wrong and, where known, what to do.
        reason: String,
    },
    /// The deadline passed.
    #[error("{supervisor} did not {verb} {service:?} within {}s", after.as_secs_f64())]
    Timeout {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// The service's name.
        service: String,
        /// What was asked.
        verb: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The supervisor has no notion of what was asked.
    #[error("{supervisor} cannot {what} ({service:?})")]
    Unsupported {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// The service's name.
        service: String,
        /// What was asked.
        what: &'static str,
    },
    /// The supervisor does not answer.
    #[error("{supervisor} does not answer at {}: {source}", endpoint.display())]
    Unreachable {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// Its socket or program.
        endpoint: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The supervisor answered with what is not understood, or refused.
    #[error("{supervisor} answered: {reason}")]
    Answer {
        /// Which supervisor was asked.
        supervisor: &'static str,
        /// Its words, or what is wrong with them.
        reason: String,
    },
}

impl Error {
    /// Where services cannot be kept from starting.
    pub(crate) fn masks_nothing(supervisor: &'static str, service: &str) -> Self {
        Self::Unsupported { supervisor, service: service.to_owned(), what: "mask services" }
    }
}

/// The readers of what supervisors answer and leave behind, by any bytes.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    supervisord::fuzz(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    supervisord::fuzz_configuration(text);
    systemd::fuzz(text);
    builtin::fuzz(text);
}

/// Refuse what cannot be a service's name: it becomes part of paths and commands.
pub(crate) fn valid_name(supervisor: &'static str, service: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    if !service.is_empty()
        && service.len() <= 200
        && service.chars().all(fits)
        && !service.starts_with(['.', '-'])
    {
        return Ok(());
    }
    Err(Error::Unknown { supervisor, service: service.to_owned() })
}
