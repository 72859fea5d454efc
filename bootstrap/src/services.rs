//! The watcher's supervisor as the states' service manager, noting which services a converge itself restarted.

use mayfly_states::host::{ServiceState, Services};
use mayfly_watcher::supervisor::{Status, Supervisor};
use std::sync::{Arc, Mutex, PoisonError};

/// Speaks to a supervisor on behalf of the engine.
pub(crate) struct SupervisedServices {
    supervisor: Arc<dyn Supervisor>,
    touched: Mutex<Vec<(String, &'static str)>>,
}

impl SupervisedServices {
    /// An adapter over `supervisor`.
    pub(crate) fn new(supervisor: Arc<dyn Supervisor>) -> Self {
        Self { supervisor, touched: Mutex::new(Vec::new()) }
    }

    /// The services that were started, restarted or reloaded since the last call, with the verb, in order.
    pub(crate) fn take_touched(&self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn act(
        &self,
        name: &str,
        verb: &'static str,
        act: impl FnOnce(&dyn Supervisor) -> Result<(), mayfly_watcher::supervisor::Error>,
    ) -> Result<(), String> {
        act(&*self.supervisor).map_err(|e| e.to_string())?;
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), verb));
        Ok(())
    }
}

impl Services for SupervisedServices {
    fn manager(&self) -> &str {
        self.supervisor.name()
    }

    fn state(&self, name: &str) -> Result<ServiceState, String> {
        match self.supervisor.status(name) {
            Ok(Status::Unknown) => Ok(ServiceState::Unknown),
            Ok(Status::Stopped) => Ok(ServiceState::Stopped),
            Ok(Status::Running(_)) => Ok(ServiceState::Running),
            Err(error) => Err(error.to_string()),
        }
    }

    fn start(&self, name: &str) -> Result<(), String> {
        self.act(name, "start", |s| s.start(name))
    }

    fn stop(&self, name: &str) -> Result<(), String> {
        self.supervisor.stop(name).map_err(|e| e.to_string())
    }

    fn restart(&self, name: &str) -> Result<(), String> {
        self.act(name, "restart", |s| s.restart(name))
    }

    fn reload(&self, name: &str) -> Result<(), String> {
        self.act(name, "reload", |s| s.reload(name))
    }

    fn enabled(&self, name: &str) -> Result<Option<bool>, String> {
        self.supervisor.enabled(name).map_err(|e| e.to_string())
    }

    fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), String> {
        self.supervisor.set_enabled(name, enabled).map_err(|e| e.to_string())
    }

    fn offline(&self) -> bool {
        self.supervisor.offline()
    }

    fn masked(&self, name: &str, runtime: bool) -> Result<bool, String> {
        self.supervisor.masked(name, runtime).map_err(|e| e.to_string())
    }

    fn set_masked(&self, name: &str, runtime: bool, masked: bool) -> Result<(), String> {
        self.supervisor.set_masked(name, runtime, masked).map_err(|e| e.to_string())
    }
}
