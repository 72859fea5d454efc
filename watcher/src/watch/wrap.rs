//! A supervisor that tells the watcher what it restarted, with the content from before the restart.

use super::engine::{Command, Message};
use super::survey::Print;
use crate::rule::Action;
use crate::supervisor::{Error, Status, Supervisor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

pub(crate) struct Wrapped {
    pub(crate) inner: Arc<dyn Supervisor>,
    pub(crate) messages: Sender<Message>,
}

impl Wrapped {
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
        self.told(service, Action::Restart, || self.inner.restart(service))
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
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
