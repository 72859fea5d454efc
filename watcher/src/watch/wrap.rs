//! A supervisor that asks a service's checks before it restarts or reloads it, and tells the watcher that it did, with the
//! content from before.

use super::Event;
use super::engine::{Command, Message, Prints};
use crate::Listener;
use crate::command::succeed;
use crate::rule::Action;
use crate::supervisor::builtin::Ends;
use crate::supervisor::{Error, Status, Supervisor};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How often what changes while it is checked is checked again.
const TRIES: usize = 3;

pub(crate) struct Wrapped {
    pub(crate) inner: Arc<dyn Supervisor>,
    pub(crate) messages: Sender<Message>,
    pub(crate) listener: Arc<dyn Listener<Event>>,
    /// How long a check may take.
    pub(crate) timeout: Duration,
}

impl Wrapped {
    /// Nothing that runs is put at risk by files that its rules' checks refuse: what is acted on is what was checked. Of
    /// one that does not run nothing is lost.
    fn guarded(
        &self,
        service: &str,
        verb: &'static str,
        action: &Action,
        act: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let checked = self.checked(service, verb)?;
            if let Some(prints) = self.look(service, action, checked) {
                return self.told(action.clone(), prints, act);
            }
        }
        Err(self.kept(
            service,
            verb,
            "its files change while they are checked, and it is kept as it runs".into(),
        ))
    }

    /// What was checked; nothing when nothing was to be.
    fn checked(&self, service: &str, verb: &'static str) -> Result<Option<Prints>, Error> {
        if matches!(self.inner.status(service), Ok(Status::Stopped | Status::Unknown)) {
            return Ok(None);
        }
        let (answer, answered) = channel();
        let _ = self.messages.send(Message::Command(Command::Checks(service.to_owned(), answer)));
        let Ok(Some((checks, prints))) = answered.recv() else { return Ok(None) };
        for check in checks {
            succeed(&check, self.timeout, &|text| self.listener.hide(text))
                .map_err(|reason| format!("its check fails, and it is kept as it runs: {reason}"))
                .map_err(|reason| self.kept(service, verb, reason))?;
        }
        Ok(Some(prints))
    }

    fn kept(&self, service: &str, verb: &'static str, reason: String) -> Error {
        Error::Failed { supervisor: self.inner.name(), service: service.to_owned(), verb, reason }
    }

    /// What the service's files hold now, if that is what was checked; nothing in it when the watcher has stopped.
    fn look(&self, service: &str, action: &Action, checked: Option<Prints>) -> Option<Prints> {
        let (answer, answered) = channel();
        let (service, action) = (service.to_owned(), action.clone());
        let _ = self.messages.send(Message::Command(Command::Look { service, action, checked, answer }));
        answered.recv().unwrap_or_else(|_| Some(Prints::new()))
    }

    /// Act, and tell. A change between the look and the action is acted on once more: late is better than lost.
    fn told(
        &self,
        action: Action,
        prints: Prints,
        act: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
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
        let prints = self.look(service, &Action::Restart, None).unwrap_or_default();
        self.told(Action::Restart, prints, || self.inner.start(service))
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.inner.stop(service)
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.guarded(service, "restart", &Action::Restart, || self.inner.restart(service))
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.guarded(service, "reload", &Action::Reload, || self.inner.reload(service))
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

    fn masked(&self, service: &str, runtime: bool) -> Result<bool, Error> {
        self.inner.masked(service, runtime)
    }

    fn set_masked(&self, service: &str, runtime: bool, masked: bool) -> Result<(), Error> {
        self.inner.set_masked(service, runtime, masked)
    }

    fn ends(&self, service: &str) -> Option<Ends> {
        self.inner.ends(service)
    }

    fn offline(&self) -> bool {
        self.inner.offline()
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.inner.shutdown()
    }
}
