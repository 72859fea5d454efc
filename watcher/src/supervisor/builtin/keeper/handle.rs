//! The way to a keeper, for those who ask it and those who only look.

// Effects: reads the clock, starts the keeper's thread.
#![allow(clippy::disallowed_methods)]

use super::{Ask, House, Keeper, Message, NAME, Seen, State};
use crate::supervisor::builtin::decide::STEADY;
use crate::supervisor::builtin::events::Ends;
use crate::supervisor::builtin::sockets::Held;
use crate::supervisor::builtin::unit::Output;
use crate::supervisor::{Begun, Error, Status};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// See the module.
pub(crate) struct Handle {
    messages: Sender<Message>,
    seen: Arc<Mutex<Seen>>,
    service: String,
}

impl Handle {
    /// Start keeping a service (not yet the service): as it is, when it outlived a supervisor before us.
    pub(crate) fn new(service: &str, house: Arc<House>) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let seen = Arc::new(Mutex::new(Seen { state: "stopped", ..Seen::default() }));
        let mut keeper = Keeper {
            service: service.to_owned(),
            house,
            inbox,
            to_self: messages.clone(),
            later: VecDeque::new(),
            state: State::Stopped,
            held: Held::default(),
            seen: seen.clone(),
            noted: vec![],
            ready_on: None,
            fleeting: vec![],
            kept: None,
            complaints: (Output::Log, 0),
            holds_ours: false,
        };
        keeper.adopt();
        keeper.show();
        std::thread::Builder::new().name(format!("keep {service}")).spawn(move || keeper.live())?;
        Ok(Self { messages, seen, service: service.to_owned() })
    }

    /// Ask and wait for the answer.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Error> {
        self.begin(ask)()
    }

    /// Ask, and wait for the answer later.
    pub(crate) fn begin(&self, ask: Ask) -> Begun {
        let (answered, service) = (self.send(ask), self.service.clone());
        Box::new(move || {
            let reason = "its keeper has ended".to_owned();
            let gone = |_| Err(Error::Failed { supervisor: NAME, service, verb: "serve", reason });
            answered.recv().unwrap_or_else(gone)
        })
    }

    /// Ask without waiting.
    pub(crate) fn send(&self, ask: Ask) -> Receiver<Result<(), Error>> {
        let (answer, answered) = channel();
        let _ = self.messages.send(Message::Ask(ask, answer));
        answered
    }

    /// Where the service stands.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it has ended so far.
    pub(crate) fn ends(&self) -> Ends {
        let seen = self.seen();
        let is_steady = seen.since.is_some_and(|since| since.elapsed() >= STEADY);
        Ends {
            last: seen.last_end,
            failures: if is_steady { 0 } else { seen.failures },
            down: seen.down.filter(|_| !seen.running),
            next_try: seen.next.map(|next| next.saturating_duration_since(Instant::now())),
        }
    }

    /// The same for the supervisor's trait.
    pub(crate) fn status(&self) -> Status {
        let seen = self.seen();
        if seen.running { Status::Running(seen.pid) } else { Status::Stopped }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Detach);
    }
}
