//! The real machine behind [`Host`]: its clock, its processes and the directory that is its root.

// Effects: this is the machine itself.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Command, CommandError, Fetch, Host, NoNetwork, Output, Services, process};

/// The machine that this program runs on, or a directory of it when a root is given.
///
/// With a root other than `/`, files, accounts and packages are those below it, and `cwd` and `creates` name paths below
/// it; commands still run on the machine itself, with `MAYFLY_ROOT` set.
pub struct Machine {
    root: PathBuf,
    services: Arc<dyn Services>,
    network: Arc<dyn Fetch>,
    cancel: Arc<AtomicBool>,
}

impl Machine {
    /// The machine with `/` as its root.
    pub fn new(services: Arc<dyn Services>) -> Self {
        Self { root: PathBuf::from("/"), services, network: Arc::new(NoNetwork), cancel: Arc::default() }
    }

    /// The same with another root (`--root`).
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// Sources over the network come by way of this.
    pub fn with_network(mut self, network: Arc<dyn Fetch>) -> Self {
        self.network = network;
        self
    }

    /// Set this flag from anywhere to end the run after the step at hand; a running command is terminated.
    pub fn with_cancel(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = cancel;
        self
    }
}

impl Host for Machine {
    fn services(&self) -> &dyn Services {
        self.services.as_ref()
    }

    fn network(&self) -> &dyn Fetch {
        self.network.as_ref()
    }

    fn now(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs_f64()).unwrap_or_default()
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        process::run(command, self)
    }

    fn pause(&self, duration: Duration) {
        // However long a tree asks for: an instance does not live longer than a day.
        let end = Instant::now() + duration.min(Duration::from_secs(86_400));
        while !self.cancelled() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
