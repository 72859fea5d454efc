//! The narrow door to the machine: what the engine and templates may ask of the world.

/// A service as its manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Nobody knows a service of that name.
    Unknown,
    /// Known, and not running.
    Stopped,
    /// Running.
    Running,
}

/// The service manager that `service.*` states speak to. The caller supplies it (see `mayfly-watcher`'s supervisors);
/// errors are sentences for the step's comment.
pub trait Services: Send + Sync {
    /// The manager's name for messages: `supervisord`, `systemd`, `builtin`.
    fn manager(&self) -> &str;
    /// Where the service stands.
    fn state(&self, name: &str) -> Result<ServiceState, String>;
    /// Start and wait until it runs.
    fn start(&self, name: &str) -> Result<(), String>;
    /// Stop and wait until it is gone.
    fn stop(&self, name: &str) -> Result<(), String>;
    /// Stop and start, keeping listening sockets where the manager owns them.
    fn restart(&self, name: &str) -> Result<(), String>;
    /// Reload without a restart.
    fn reload(&self, name: &str) -> Result<(), String>;
    /// Whether it starts at boot; `None` where the manager has no such notion.
    fn enabled(&self, name: &str) -> Result<Option<bool>, String>;
    /// Set whether it starts at boot.
    fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), String>;
}

/// The machine, as the engine and templates see it.
pub trait Host: Send + Sync {
    /// The service manager in use.
    fn services(&self) -> &dyn Services;
    /// Seconds since the epoch.
    fn now(&self) -> f64;
}
