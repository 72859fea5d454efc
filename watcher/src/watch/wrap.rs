//! A supervisor that asks a service's checks before it restarts or reloads it, and tells the watcher that it did, with the
//! content from before.

use super::Listener;
use super::engine::{Command, Message};
use super::survey::Print;
use crate::command::succeed;
use crate::rule::Action;
use crate::supervisor::{Error, Status, Supervisor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

pub(crate) struct Wrapped {
    pub(crate) inner: Arc<dyn Supervisor>,
    pub(crate) messages: Sender<Message>,
    pub(crate) listener: Arc<dyn Listener>,
    /// How long a check may take.
    pub(crate) timeout: Duration,
}

impl Wrapped {
    /// Nothing that runs is put at risk by files that its rules' checks refuse. Of one that does not run nothing is lost.
    fn checked(&self, service: &str, verb: &'static str) -> Result<(), Error> {
        if matches!(self.inner.status(service), Ok(Status::Stopped | Status::Unknown)) {
            return Ok(());
        }
        let (answer, answered) = channel();
        let _ = self.messages.send(Message::Command(Command::Checks(service.to_owned(), answer)));
        for check in answered.recv().unwrap_or_default() {
            succeed(&check, self.timeout, &|text| self.listener.hide(text)).map_err(|reason| {
                let (supervisor, service) = (self.inner.name(), service.to_owned());
                let reason = format!("its check fails, and it is kept as it runs: {reason}");
                Error::Failed { supervisor, service, verb, reason }
            })?;
        }
        Ok(())
    }

    /// What the service's files hold now; nothing when the watcher has stopped.
    fn look(&self, service: &str, action: Action) -> BTreeMap<String, Arc<Print>> {
        let (answer, answered) = channel();
        let _ = self.messages.send(Message::Command(Command::Look(service.to_owned(), action, answer)));
        answered.recv().unwrap_or_default()
    }

    /// Look, act, and tell. A change between the look and the action is acted on once more: late is better than lost.
    fn told(
        &self,
        service: &str,
        action: Action,
        act: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prints = self.look(service, action.clone());
        let result = act();
        let (done, wait) = channel();
        let acted = Command::Acted { action, prints, succeeded: result.is_ok(), done };
        let _ = self.messages.send(Message::Command(acted));
        let _ = wait.recv();
        result
    }
}

impl Supervisor for Wrapped {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        self.inner.status(service)
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        if matches!(self.inner.status(service)?, Status::Running(_)) {
            // Nothing will be read again.
            return self.inner.start(service);
        }
        self.told(service, Action::Restart, || self.inner.start(service))
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.inner.stop(service)
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.checked(service, "restart")?;
        self.told(service, Action::Restart, || self.inner.restart(service))
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.checked(service, "reload")?;
        self.told(service, Action::Reload, || self.inner.reload(service))
    }

    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        self.inner.signal(service, signal)
    }

    fn enabled(&self, service: &str) -> Result<Option<bool>, Error> {
        self.inner.enabled(service)
    }

    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error> {
        self.inner.set_enabled(service, enabled)
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.inner.shutdown()
    }
}
