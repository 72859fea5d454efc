//! Two supervisors on one machine: what the first does not know is the second's.

use super::builtin::Ends;
use super::{Error, Status, Supervisor};
use std::sync::Arc;

/// The first supervisor, and the second for the services that only that one knows.
pub struct Fallback {
    first: Arc<dyn Supervisor>,
    second: Arc<dyn Supervisor>,
}

impl Fallback {
    /// `first`, and `second` behind it.
    pub fn new(first: Arc<dyn Supervisor>, second: Arc<dyn Supervisor>) -> Self {
        Self { first, second }
    }

    /// Whose a service is; nobody's is the first one's, which says so.
    fn of(&self, service: &str) -> Result<&dyn Supervisor, Error> {
        let second =
            self.first.status(service)? == Status::Unknown && self.second.status(service)? != Status::Unknown;
        Ok(if second { &*self.second } else { &*self.first })
    }
}

impl Supervisor for Fallback {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        match self.first.status(service)? {
            Status::Unknown => self.second.status(service),
            known => Ok(known),
        }
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        self.of(service)?.start(service)
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.of(service)?.stop(service)
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.of(service)?.restart(service)
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.of(service)?.reload(service)
    }

    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        self.of(service)?.signal(service, signal)
    }

    fn enabled(&self, service: &str) -> Result<Option<bool>, Error> {
        self.of(service)?.enabled(service)
    }

    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error> {
        self.of(service)?.set_enabled(service, enabled)
    }

    fn masked(&self, service: &str, runtime: bool) -> Result<bool, Error> {
        self.of(service)?.masked(service, runtime)
    }

    fn set_masked(&self, service: &str, runtime: bool, masked: bool) -> Result<(), Error> {
        self.of(service)?.set_masked(service, runtime, masked)
    }

    fn ends(&self, service: &str) -> Option<Ends> {
        self.of(service).ok()?.ends(service)
    }

    /// The first one runs, or it would not be the first.
    fn offline(&self) -> bool {
        self.first.offline()
    }

    fn shutdown(&self) -> Result<(), Error> {
        let (first, second) = (self.first.shutdown(), self.second.shutdown());
        first.and(second)
    }
}
