//! The world model and its machines under one clock, which moves only when it is told to.

use crate::machines::Machines;
use mayfly_sandbox::world::{
    ApiResult, Config, Delays, Effect, Instance, InstanceState, Observation, Request, Response, Tags,
    Timestamp, World,
};

/// The cloud as a whole. A copy goes its own way from the moment it was taken.
#[derive(Debug, Clone)]
pub struct Universe {
    /// The records.
    pub world: World,
    /// What runs.
    pub machines: Machines,
    now: Timestamp,
    /// When something happens by itself next, as of the last change.
    due: Option<Timestamp>,
}

impl Universe {
    /// An empty cloud. Its delays are of the order of EC2's.
    #[must_use]
    pub fn new(seed: u64, now: Timestamp) -> Self {
        let delays = Delays {
            pending_ms: 3_000,
            shutting_down_ms: 4_000,
            visible_ms: 700,
            registration_ms: 3_000,
            ..Delays::default()
        };
        let config = Config { delays, max_instances: 10_000, ..Config::default() };
        Self { world: World::new(config, seed, now), machines: Machines::new(seed), now, due: None }
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether something happens by itself up to that moment.
    #[must_use]
    pub fn is_due(&self, until: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= until)
    }

    /// Goes to the next moment up to `until` at which something happens by itself; false once it is `until`.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let happens = self.due.filter(|due| *due <= until);
        self.now = self.now.max(happens.unwrap_or(until));
        if happens.is_none() {
            return false;
        }
        let seen = self.machines.due(self.now, &self.world);
        let effects = self.world.observe_all(self.now, &seen);
        self.carry_out(effects);
        true
    }

    /// Goes to a moment.
    pub fn advance(&mut self, until: Timestamp) {
        while self.step(until) {}
    }

    /// One call, now.
    ///
    /// # Errors
    /// What the cloud answers.
    pub fn call(&mut self, request: &Request) -> ApiResult<Response> {
        let outcome = self.world.call(self.now, request);
        self.carry_out(outcome.effects);
        outcome.result
    }

    /// An instance dies without having been asked to.
    pub fn kill_instance(&mut self, id: &str) {
        let seen = Observation::MachineDied { id: id.to_owned(), reason: "hardware failure".to_owned() };
        let effects = self.world.observe(self.now, &seen);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.machines.carry_out(self.now, effect);
        }
        self.due = [self.world.next_due(), self.machines.next_due()].into_iter().flatten().min();
    }

    /// Instances with all these tags that are neither gone nor going.
    pub fn live<'a>(&'a self, tags: &'a Tags) -> impl Iterator<Item = &'a Instance> {
        self.world.instances().filter(move |instance| {
            let ending = matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated);
            !ending && tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value))
        })
    }
}
