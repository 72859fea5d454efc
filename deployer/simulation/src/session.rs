//! One run of the deployer over the universe: every call passes here, meets its faults, and is watched.

use crate::fault::{At, Fault, reads};
use crate::monitor::Monitor;
use crate::random::Random;
use crate::universe::Universe;
use chrono::TimeDelta;
use mayfly_deployer::cloud::{Answer, CloudError, Kind, classify};
use mayfly_deployer::run::Canceller;
use mayfly_sandbox::world::{
    ApiError, Capacity, Config, Ec2Request, Fault as WorldFault, FaultKind, InstanceState, Request, Response,
    TemplateRef, Timestamp,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call, as it went.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was heard.
    pub at: Timestamp,
    /// The action.
    pub action: &'static str,
    /// What it was about.
    pub about: String,
    /// `ok`, or the error; and the fault it met.
    pub outcome: String,
}

struct Inner {
    universe: Universe,
    monitor: Monitor,
    faults: Vec<At>,
    random: Random,
    log: Vec<Entry>,
    canceller: Option<Canceller>,
    /// The tokio clock at the universe's `epoch`.
    began: Instant,
    epoch: Timestamp,
}

/// A handle; the deployer's cloud and prober hold one each.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Mutex<Inner>>,
    killed: Arc<Notify>,
}

/// What becomes of a call after it was heard.
enum Fate {
    Answered(Result<Response, ApiError>),
    Silent,
    Killed,
}

impl Session {
    /// Over a universe, from now on in the time of the running tokio clock.
    #[must_use]
    pub fn new(universe: Universe, monitor: Monitor, faults: &[At], seed: u64) -> Self {
        let inner = Inner {
            epoch: universe.now(),
            universe,
            monitor,
            faults: faults.to_vec(),
            random: Random::new(seed),
            log: Vec::new(),
            canceller: None,
            began: Instant::now(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), killed: Arc::new(Notify::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is asked when a fault interrupts the run.
    pub fn interrupts(&self, canceller: Canceller) {
        self.lock().canceller = Some(canceller);
    }

    /// Returns once a fault has killed the deployer.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().clock()
    }

    /// Looks at the universe as it is now.
    pub fn see<T>(&self, look: impl FnOnce(&mut Universe) -> T) -> T {
        let mut inner = self.lock();
        inner.catch_up();
        look(&mut inner.universe)
    }

    /// The universe, what was called, and what broke.
    #[must_use]
    pub fn end(&self) -> (Universe, Vec<Entry>, Vec<String>) {
        let mut inner = self.lock();
        inner.catch_up();
        (inner.universe.clone(), inner.log.clone(), inner.monitor.breaches().to_vec())
    }

    /// One call, as over a network: it takes a while to be heard, and a while to be answered.
    ///
    /// # Errors
    /// As the deployer's own client would sort them.
    pub async fn call(&self, request: &Request) -> Answer<Response> {
        let (there, back) = self.lock().latency();
        tokio::time::sleep(there).await;
        let fate = self.lock().hear(request);
        match fate {
            Fate::Answered(result) => {
                tokio::time::sleep(back).await;
                result.map_err(|error| refused(request.action(), &error))
            }
            Fate::Silent => {
                tokio::time::sleep(PATIENCE).await;
                Err(CloudError::new(request.action(), Kind::Ambiguous, "no answer in time"))
            }
            Fate::Killed => {
                self.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn refused(action: &'static str, error: &ApiError) -> CloudError {
    let kind = classify(&error.code, error.status);
    CloudError { action, kind, code: Some(error.code.clone()), message: error.message.clone() }
}

impl Inner {
    fn clock(&self) -> Timestamp {
        self.epoch + TimeDelta::from_std(self.began.elapsed()).unwrap_or_default()
    }

    fn latency(&mut self) -> (Duration, Duration) {
        let mut part = || Duration::from_millis(self.random.between(10, 60));
        (part(), part())
    }

    /// Everything that happened by itself until now, each moment watched.
    fn catch_up(&mut self) {
        let now = self.clock();
        while self.universe.is_due(now) {
            let before = self.monitor.capacity(&self.universe);
            self.universe.step(now);
            self.monitor.passed(&before, &self.universe);
        }
        self.universe.step(now);
    }

    fn hear(&mut self, request: &Request) -> Fate {
        self.catch_up();
        let number = self.log.len() + 1;
        let met: Vec<Fault> = self.faults.iter().filter(|at| at.call == number).map(|at| at.fault).collect();
        for fault in &met {
            self.befall(*fault, request);
        }
        if met.contains(&Fault::KilledBefore) {
            self.note(request, "killed before it was heard", &met);
            return Fate::Killed;
        }
        let refusal = met.iter().copied().find(|fault| fault.refuses());
        let result = match refusal {
            Some(fault) => Err(refusal_of(fault)),
            None => self.take_effect(request, &met),
        };
        let outcome = result.as_ref().err().map_or_else(|| "ok".to_owned(), ToString::to_string);
        self.note(request, &outcome, &met);
        if met.contains(&Fault::KilledAfter) {
            return Fate::Killed;
        }
        match refusal {
            Some(Fault::Timeout) => Fate::Silent,
            None if met.contains(&Fault::Lost) => Fate::Silent,
            _ => Fate::Answered(result),
        }
    }

    /// The call itself, between two looks of the monitor. Limits that a fault sets hold for this call alone.
    fn take_effect(&mut self, request: &Request, met: &[Fault]) -> Result<Response, ApiError> {
        let usual = self.universe.world.config().clone();
        if let Some(limited) = limited(&self.universe, &usual, request, met) {
            self.universe.world.configure(limited);
        }
        let before = self.monitor.capacity(&self.universe);
        self.monitor.before_call(&self.universe, request);
        let result = self.universe.call(request);
        self.monitor.after_call(&self.universe, request, &before);
        if self.universe.world.config() != &usual {
            self.universe.world.configure(usual);
        }
        result
    }

    /// What happens to the world around a call.
    fn befall(&mut self, fault: Fault, request: &Request) {
        let before = self.monitor.capacity(&self.universe);
        match fault {
            Fault::NewDies => {
                if let Some(id) = self.monitor.newest(&self.universe) {
                    self.universe.kill_instance(&id);
                }
            }
            Fault::OldDies => {
                if let Some(id) = self.monitor.oldest(&self.universe) {
                    self.universe.kill_instance(&id);
                }
            }
            Fault::NewSicken => {
                for id in self.monitor.new_ones(&self.universe) {
                    self.universe.machines.sicken(&id);
                }
            }
            Fault::Interrupted | Fault::Stopped => {
                let times = if fault == Fault::Stopped { 2 } else { 1 };
                if let Some(canceller) = &self.canceller {
                    (0..times).for_each(|_| _ = canceller.ask());
                }
            }
            Fault::Unlocked => self.unlock(),
            _ => {}
        }
        let _ = request;
        self.monitor.passed(&before, &self.universe);
    }

    fn unlock(&mut self) {
        let name = self.monitor.lock_name();
        let found = self.universe.world.templates().find(|template| template.name == name);
        let Some(id) = found.map(|template| template.id.clone()) else { return };
        let reference = TemplateRef { id: Some(id), name: None };
        let request = Request::Ec2(Box::new(Ec2Request::DeleteLaunchTemplate(reference)), false);
        self.monitor.lock_was_taken();
        let _ = self.universe.call(&request);
    }

    fn note(&mut self, request: &Request, outcome: &str, met: &[Fault]) {
        let faults: Vec<&str> = met.iter().map(|fault| fault.word()).collect();
        let met = if faults.is_empty() { String::new() } else { format!(" [{}]", faults.join(", ")) };
        let about = if reads(request.action()) { String::new() } else { about(request) };
        let (at, action) = (self.universe.now(), request.action());
        self.log.push(Entry { at, action, about, outcome: format!("{outcome}{met}") });
    }
}

fn refusal_of(fault: Fault) -> ApiError {
    let (status, code) = match fault {
        Fault::Throttled => (503, "RequestLimitExceeded"),
        Fault::Denied => (403, "UnauthorizedOperation"),
        Fault::Capacity => (500, "InsufficientInstanceCapacity"),
        _ => (500, "InternalError"),
    };
    ApiError::with_status(status, code, "a fault of the schedule")
}

/// Settings for a launch that gets less than it asks for.
fn limited(universe: &Universe, usual: &Config, request: &Request, met: &[Fault]) -> Option<Config> {
    let Request::Ec2(request, _) = request else { return None };
    let Ec2Request::RunInstances(body) = request.as_ref() else { return None };
    if met.contains(&Fault::Partial) {
        let holds =
            |state: InstanceState| !matches!(state, InstanceState::Terminated | InstanceState::Stopped);
        let live = universe.world.instances().filter(|instance| holds(instance.state)).count();
        let max = u32::try_from(live).unwrap_or(u32::MAX) + (body.max - 1).max(1);
        let capacity = vec![Capacity { instance_type: None, zone: None, max }];
        return Some(Config { capacity, ..usual.clone() });
    }
    if met.contains(&Fault::LaunchDies) {
        let kind = FaultKind::LaunchDies { code: "Server.InternalError".to_owned(), message: String::new() };
        let fault = WorldFault { action: "RunInstances".to_owned(), skip: 0, times: 1, kind };
        return Some(Config { faults: vec![fault], ..usual.clone() });
    }
    None
}

/// The arguments of a call that changes something, short enough for a trace.
fn about(request: &Request) -> String {
    let text = match request {
        Request::Ec2(request, _) => match request.as_ref() {
            Ec2Request::RunInstances(body) => {
                let tags = body.spec.tags.get("instance");
                let (min, max, version) = (body.min, body.max, body.template_version.as_deref());
                let deployment = tags.and_then(|tags| tags.get("mayfly:deployment"));
                format!("{min}..{max} of version {version:?} for {deployment:?}")
            }
            Ec2Request::CreateLaunchTemplate(body) => body.name.clone(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    };
    text.chars().take(300).collect()
}
