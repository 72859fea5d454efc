//! The supervisor that starts, stops and restarts services: supervisord, systemd or the built-in one.

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

/// One way of supervising services. Calls block until the effect is seen or has failed.
pub trait Supervisor: Send + Sync {
    /// `supervisord`, `systemd` or `builtin`.
    fn name(&self) -> &'static str;
    /// Where the service stands.
    fn status(&self, service: &str) -> Result<Status, Error>;
    /// Start and wait until it runs.
    fn start(&self, service: &str) -> Result<(), Error>;
    /// Stop and wait until it is gone.
    fn stop(&self, service: &str) -> Result<(), Error>;
    /// Stop and start.
    fn restart(&self, service: &str) -> Result<(), Error>;
    /// Reload in place.
    fn reload(&self, service: &str) -> Result<(), Error>;
    /// Send a signal by name without `SIG`.
    fn signal(&self, service: &str, signal: &str) -> Result<(), Error>;
    /// Whether it starts at boot; `None` where there is no such notion.
    fn enabled(&self, service: &str) -> Result<Option<bool>, Error>;
    /// Set whether it starts at boot.
    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error>;
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
}
