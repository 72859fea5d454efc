//! Runs one deployer over a universe, in a tokio runtime whose clock stands still but for what is waited for.

use crate::cloud::SimulatedCloud;
use crate::fault::At;
use crate::monitor::{Monitor, Watch};
use crate::scenario::{ENVIRONMENT, SERVICE, Scenario};
use crate::session::{Entry, Session};
use crate::universe::Universe;
use mayfly_deployer::lock::{self, Holder};
use mayfly_deployer::naming;
use mayfly_deployer::plan::{self, Identity, Intent, Plan};
use mayfly_deployer::run::{self, Context, Event, Order, Outcome};
use mayfly_deployer::snapshot::Snapshot;
use mayfly_deployer::spec::Spec;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No deployment of the simulation takes as long.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// By itself.
    Ended(Outcome),
    /// A fault killed the deployer.
    Killed,
    /// It never ended.
    Endless,
}

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// The cloud after it.
    pub universe: Universe,
    /// Its calls.
    pub log: Vec<Entry>,
    /// What the monitor saw break.
    pub breaches: Vec<String>,
    /// What it told.
    pub events: Vec<Event>,
    /// How long it took, by the universe's clock.
    pub took: Duration,
}

/// One process that deploys.
#[derive(Debug, Clone)]
pub struct Deployer {
    spec: Spec,
    intent: Intent,
    number: u32,
    watch: Watch,
    /// Where it runs; only there does a dead process prove anything.
    place: String,
}

impl Deployer {
    /// One that does what is asked; `number` tells it apart from the others.
    #[must_use]
    pub fn new(scenario: &Scenario, spec: Spec, intent: Intent, number: u32) -> Self {
        let watch = Watch {
            service: SERVICE.to_owned(),
            environment: ENVIRONMENT.to_owned(),
            balancers: scenario.behind.balancers(),
            count: scenario.new.max(scenario.old) as usize,
            minimum: scenario.minimum() as usize,
        };
        Self { spec, intent, number, watch, place: "here".to_owned() }
    }

    /// The same, asked to keep no more than that many in service.
    #[must_use]
    pub fn keeping(mut self, minimum: u32) -> Self {
        self.watch.minimum = minimum as usize;
        self
    }

    /// The same on another machine.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        "there".clone_into(&mut self.place);
        self
    }

    /// Deploys without faults, unwatched.
    #[must_use]
    pub fn alone(&self, universe: Universe, seed: u64) -> (Ending, Universe) {
        let ran = self.deploy(universe, &[], seed);
        (ran.ending, ran.universe)
    }

    /// Deploys, with faults.
    ///
    /// # Panics
    /// When no runtime can be made.
    #[must_use]
    pub fn deploy(&self, universe: Universe, faults: &[At], seed: u64) -> Ran {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O");
        runtime.block_on(self.run(universe, faults, seed))
    }

    /// What `mayfly plan` shows, and the calls that it takes.
    ///
    /// # Panics
    /// When there is no plan.
    #[must_use]
    pub fn plan(&self, universe: Universe, seed: u64) -> (Plan, Vec<Entry>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O");
        runtime.block_on(async {
            let monitor = Monitor::new(self.watch.clone(), &universe);
            let session = Session::new(universe, monitor, &[], seed);
            let cloud = SimulatedCloud::new(session.clone());
            let Order { spec, identity, intent, .. } = self.order(&session);
            let snapshot = Snapshot::read_for(&cloud, &spec, intent.task).await.expect("a snapshot");
            let plan = plan::build(&spec, &snapshot, &identity, &intent).expect("a plan");
            (plan, session.end().1)
        })
    }

    async fn run(&self, mut universe: Universe, faults: &[At], seed: u64) -> Ran {
        universe.machines.reseed(seed);
        let began = universe.now();
        let monitor = Monitor::new(self.watch.clone(), &universe);
        let session = Session::new(universe, monitor, faults, seed);
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let (canceller, cancel) = run::channel();
        session.interrupts(canceller);
        let context = self.context(&session, &events);
        let order = self.order(&session);
        let ending = tokio::select! {
            biased;
            () = session.killed() => Ending::Killed,
            outcome = run::deploy(&context, &order, &cancel) => Ending::Ended(outcome),
            () = tokio::time::sleep(PATIENCE) => Ending::Endless,
        };
        let (universe, log, breaches) = session.end();
        let took = (universe.now() - began).to_std().unwrap_or_default();
        let events = events.lock().map(|events| events.clone()).unwrap_or_default();
        Ran { ending, universe, log, breaches, events, took }
    }

    fn context(&self, session: &Session, events: &Arc<Mutex<Vec<Event>>>) -> Context {
        let cloud = Arc::new(SimulatedCloud::new(session.clone()));
        let (events, clock, me) = (Arc::clone(events), session.clone(), self.process());
        Context {
            cloud: cloud.clone(),
            prober: cloud,
            sink: Arc::new(move |event: &Event| {
                if let Ok(mut events) = events.lock() {
                    events.push(event.clone());
                }
            }),
            now: Arc::new(move || clock.now()),
            alive: Arc::new(move |process: &str| process == me),
            boundary: Arc::new(|_: &str| false),
            asker: None,
        }
    }

    fn process(&self) -> String {
        format!("{}/1", self.number)
    }

    fn order(&self, session: &Session) -> Order {
        let started = session.now();
        let number = u16::try_from(self.number).unwrap_or_default();
        let deployment = naming::deployment(SERVICE, ENVIRONMENT, started, number);
        let who = "ann@laptop".to_owned();
        let identity = Identity { deployment, who: who.clone(), started, commit: Some("0".repeat(40)) };
        let holder = Holder {
            token: self.number.to_string(),
            who,
            place: self.place.clone(),
            process: self.process(),
            job: None,
            since: started,
            until: lock::until(started),
        };
        let (spec, intent) = (self.spec.clone(), self.intent.clone());
        Order { spec, identity, intent, holder, approved: None }
    }
}
