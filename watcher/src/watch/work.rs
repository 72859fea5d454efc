//! One job in a thread of its own: checks may take long, and so may restarts.

use super::board::Job;
use super::engine::Message;
use crate::Listener;
use crate::command::succeed;
use crate::rule::Action;
use crate::supervisor::{Begun, Error, Supervisor};
use crate::watch::Event;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How a step of a job ended.
pub(crate) enum Outcome {
    CheckFailed(String),
    Acted(usize),
    ActionFailed(usize, String),
}

/// See the module.
pub(super) struct Worker {
    pub(super) supervisor: Arc<dyn Supervisor>,
    pub(super) listener: Arc<dyn Listener<Event>>,
    pub(super) messages: Sender<Message>,
    pub(super) timeout: Duration,
    pub(super) job: Arc<Job>,
    /// The restart that is all of the job, when it is under way.
    pub(super) begun: Option<Begun>,
}

impl Worker {
    /// Check, and act when all is well.
    pub(super) fn work(mut self) {
        for check in &self.job.checks {
            if let Err(reason) = self.succeed(check) {
                return self.tell(Outcome::CheckFailed(reason));
            }
        }
        if !self.job.checks.is_empty() && !self.still_checked() {
            return;
        }
        let begun = self.begun.take();
        if let Some(waits) = begun {
            return self.told(0, waits().map_err(|error| self.hide(&error)));
        }
        for (index, act) in self.job.acts.iter().enumerate() {
            self.told(index, self.act(&act.action));
        }
    }

    fn told(&self, index: usize, result: Result<(), String>) {
        self.tell(match result {
            Ok(()) => Outcome::Acted(index),
            Err(reason) => Outcome::ActionFailed(index, reason),
        });
    }

    /// Whether what was checked is what is there now.
    fn still_checked(&self) -> bool {
        let (answer, may_act) = channel();
        let _ = self.messages.send(Message::Passed(self.job.clone(), answer));
        may_act.recv().unwrap_or(false)
    }

    fn act(&self, action: &Action) -> Result<(), String> {
        let service = self.job.service.as_str();
        match action {
            Action::Restart => self.supervisor.restart(service),
            Action::Reload => self.supervisor.reload(service),
            Action::Signal(name) => self.supervisor.signal(service, name),
            Action::Run(argv) => return self.succeed(argv),
        }
        .map_err(|error| self.hide(&error))
    }

    /// A unit may have secrets in its commands.
    fn hide(&self, error: &Error) -> String {
        self.listener.hide(&error.to_string())
    }

    fn succeed(&self, argv: &[String]) -> Result<(), String> {
        succeed(argv, self.timeout, &|text| self.listener.hide(text))
    }

    fn tell(&self, outcome: Outcome) {
        let _ = self.messages.send(Message::Outcome(self.job.clone(), outcome));
    }
}
