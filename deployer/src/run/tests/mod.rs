//! The runner against the model: order, undo, recovery after a kill at any point, capacity at every call.

mod records;
mod waves;

use super::*;
use crate::cloud::Kind;
use crate::cloud::memory::Memory;
use crate::naming;
use crate::plan::Task;
use crate::spec::Spec;
use chrono::DateTime;
use std::sync::Mutex;

const SPEC: &str = "
service: greeter
count: 3
image: ami-good
states: {url: 'https://example.org/states.git'}
load_balancer: {classic: front}
probe: {port: 80}
timeouts: {running: 60s, probe: 60s, in_service: 60s}
";

/// A world in which deployments follow each other. A kill leaves the lock with a dead process.
struct World {
    cloud: Arc<Memory>,
    events: Arc<Mutex<Vec<Event>>>,
    number: u16,
    spec: String,
    intent: Intent,
}

impl World {
    fn new() -> Self {
        Self {
            cloud: Arc::new(Memory::new()),
            events: Arc::default(),
            number: 0,
            spec: SPEC.to_owned(),
            intent: Intent::default(),
        }
    }

    /// One deployment is there; the next ones go by this strategy.
    async fn with(more: &str) -> Self {
        let mut world = Self::with_one_deployed().await;
        world.spec.push_str(more);
        world
    }

    /// Does a task that is planned from the records.
    async fn task(&mut self, task: Task) -> Outcome {
        self.task_until(task, None).await
    }

    async fn task_until(&mut self, task: Task, kill_at: Option<&str>) -> Outcome {
        let before = std::mem::replace(&mut self.intent, Intent { task, ..Intent::default() });
        let outcome = self.deploy_until("ami-good", kill_at).await;
        self.intent = before;
        outcome
    }

    /// The boundaries of a run, in order.
    fn watch_points(context: &mut Context) -> Arc<Mutex<Vec<String>>> {
        let points = Arc::new(Mutex::new(Vec::new()));
        let seen = points.clone();
        context.boundary = Arc::new(move |point: &str| {
            seen.lock().expect("points").push(point.to_owned());
            false
        });
        points
    }

    async fn with_one_deployed() -> Self {
        let mut world = Self::new();
        assert_eq!(world.deploy("ami-good").await, Outcome::Done);
        world.cloud.watch_capacity();
        world.cloud.clear_calls();
        world
    }

    async fn deploy(&mut self, image: &str) -> Outcome {
        self.deploy_until(image, None).await
    }

    async fn deploy_until(&mut self, image: &str, kill_at: Option<&str>) -> Outcome {
        let order = self.order(image);
        let (_canceller, cancel) = channel();
        deploy(&self.context(kill_at), &order, &cancel).await
    }

    fn order(&mut self, image: &str) -> Order {
        self.number += 1;
        let spec = self.spec.replace("ami-good", image);
        let spec = Spec::parse(&spec, "mayfly.yaml", "production", &[]).expect("a spec");
        let started = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let deployment = naming::deployment(&spec.service, &spec.environment, started, self.number);
        let identity =
            Identity { deployment, who: "ann@laptop".into(), started, commit: Some("0".repeat(40)) };
        let holder = Holder {
            token: self.number.to_string(),
            who: "ann@laptop".into(),
            place: "here".into(),
            process: format!("{}/1", self.number),
            job: None,
            since: started,
            until: lock::until(started),
        };
        Order { spec, identity, intent: self.intent.clone(), holder, approved: None }
    }

    fn context(&self, kill_at: Option<&str>) -> Context {
        let events = Arc::clone(&self.events);
        let kill_at = kill_at.map(str::to_owned);
        let alive = format!("{}/1", self.number);
        Context {
            cloud: self.cloud.clone(),
            prober: self.cloud.clone(),
            sink: Arc::new(move |event: &Event| events.lock().expect("events").push(event.clone())),
            now: Arc::new(|| DateTime::from_timestamp(1_800_000_100, 0).expect("a time")),
            alive: Arc::new(move |process: &str| process == alive),
            boundary: Arc::new(move |point: &str| kill_at.as_deref() == Some(point)),
            asker: None,
        }
    }

    fn undone(&self) -> Vec<String> {
        let events = self.events.lock().expect("events");
        let what = |event: &Event| match event {
            Event::Undoing { what } => Some(what.clone()),
            _ => None,
        };
        events.iter().filter_map(what).collect()
    }

    fn steps(&self) -> Vec<&'static str> {
        let events = self.events.lock().expect("events");
        let step = |event: &Event| match event {
            Event::StepStarted { step, .. } => Some(step.name()),
            _ => None,
        };
        events.iter().filter_map(step).collect()
    }

    /// What must hold after a good end: one deployment's instances, all in service, nothing else, no lock.
    fn assert_settled(&self, context: &str) {
        let live = self.cloud.live();
        assert_eq!(live.len(), 3, "{context}: {live:?}");
        assert!(live.iter().all(|(_, deployment)| *deployment == live[0].1), "{context}: {live:?}");
        assert_eq!(self.cloud.in_service().len(), 3, "{context}");
        assert_eq!(self.cloud.template_names(), ["mayfly-greeter-production"], "{context}: the lock is left");
        assert_eq!(self.cloud.breaches(), Vec::<String>::new(), "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_replace_the_old_in_the_order_of_the_plan() {
    let mut world = World::with_one_deployed().await;
    let old: Vec<_> = world.cloud.live();
    world.events.lock().expect("events").clear();
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after a good deployment");
    assert!(world.cloud.live().iter().all(|new| !old.contains(new)));
    let steps = [
        "lock",
        "record",
        "launch",
        "running",
        "probe",
        "register",
        "in-service",
        "deregister-old",
        "drain-old",
        "terminate-old",
        "mark-default",
        "unlock",
    ];
    assert_eq!(world.steps(), steps);
    let description = world.cloud.default_description("mayfly-greeter-production");
    assert!(description.starts_with("deployment=greeter-production-20270115T080000Z-0002 "), "{description}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_answers_goes_and_the_old_are_never_touched() {
    let mut world = World::with_one_deployed().await;
    let old = world.cloud.live();
    world.cloud.make_sick("ami-sick");
    let outcome = world.deploy("ami-sick").await;
    let Outcome::RolledBack(cause) = outcome else { panic!("{outcome:?}") };
    let said = cause.to_string();
    assert!(said.starts_with("waited 1m for 3 instances to answer 200 at :80/; i-"), "{said}");
    assert!(said.ends_with(" says mayfly: failed: test"), "{said}");
    let evidence = cause.evidence().join("\n");
    assert!(evidence.contains("answered 503: starting"), "{evidence}");
    assert!(evidence.contains("console: mayfly: failed: test"), "{evidence}");
    assert_eq!(world.cloud.live(), old);
    world.assert_settled("after a rollback");
    let calls = world.cloud.calls();
    assert!(!calls.iter().any(|call| call.ends_with("WithLoadBalancer")), "{calls:?}");
    assert_eq!(world.undone(), ["terminate the new instances"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_answers_although_a_state_failed_is_not_let_in() {
    let mut world = World::with_one_deployed().await;
    let old = world.cloud.live();
    let outcome = world.deploy("ami-half").await;
    let Outcome::RolledBack(cause) = outcome else { panic!("{outcome:?}") };
    let cause = cause.to_string();
    assert!(cause.starts_with("3 of 3 instances answer, but did not converge; i-"), "{cause}");
    assert!(cause.ends_with(" says mayfly: failed: test"), "{cause}");
    assert_eq!(world.cloud.live(), old);
    world.assert_settled("after a rollback");
}

#[tokio::test(start_paused = true)]
async fn after_the_old_were_touched_they_come_back_before_the_new_go() {
    let mut world = World::with_one_deployed().await;
    let old = world.cloud.live();
    for nth in 1..=7 {
        world.cloud.fail_before("TerminateInstances", nth, Kind::Denied);
    }
    // The first termination is that of the old; it is refused for good.
    let outcome = world.deploy("ami-good").await;
    assert!(matches!(outcome, Outcome::Dirty { .. }), "the new cannot be terminated either: {outcome:?}");
    let undone = world.undone();
    assert_eq!(
        undone.first().map(String::as_str),
        Some("put the old instances back in service"),
        "{undone:?}"
    );
    assert_eq!(world.cloud.breaches(), Vec::<String>::new());
    let serving = world.cloud.in_service();
    assert!(old.iter().all(|(id, _)| serving.contains(id)), "{serving:?}");
}

const POINTS: [&str; 24] = [
    "before-lock",
    "after-lock",
    "before-record",
    "after-record",
    "before-launch",
    "after-launch",
    "before-running",
    "after-running",
    "before-probe",
    "after-probe",
    "before-register",
    "after-register",
    "before-in-service",
    "after-in-service",
    "before-deregister-old",
    "after-deregister-old",
    "before-drain-old",
    "after-drain-old",
    "before-terminate-old",
    "after-terminate-old",
    "before-mark-default",
    "after-mark-default",
    "before-unlock",
    "after-unlock",
];

#[tokio::test(start_paused = true)]
async fn killed_at_any_boundary_the_next_deployment_ends_well() {
    for point in POINTS {
        let mut world = World::with_one_deployed().await;
        assert_eq!(world.deploy_until("ami-good", Some(point)).await, Outcome::Killed(point.to_owned()));
        assert_eq!(world.deploy("ami-good").await, Outcome::Done, "after {point}");
        world.assert_settled(point);
    }
}

#[tokio::test(start_paused = true)]
async fn killed_while_undoing_the_next_deployment_ends_well() {
    let points = [
        "before-undo-restore-old",
        "after-undo-restore-old",
        "before-undo-deregister-new",
        "before-undo-terminate-new",
        "after-undo-terminate-new",
        "before-undo-unlock",
    ];
    for point in points {
        let mut world = World::with_one_deployed().await;
        world.cloud.fail_before("TerminateInstances", 1, Kind::Denied);
        assert_eq!(world.deploy_until("ami-good", Some(point)).await, Outcome::Killed(point.to_owned()));
        assert_eq!(world.deploy("ami-good").await, Outcome::Done, "after {point}");
        world.assert_settled(point);
    }
}

#[tokio::test(start_paused = true)]
async fn any_single_call_may_fail_in_any_way_and_a_rerun_ends_well() {
    let mut world = World::with_one_deployed().await;
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    let mut seen: std::collections::BTreeMap<&'static str, u32> = std::collections::BTreeMap::new();
    for action in world.cloud.calls() {
        *seen.entry(action).or_default() += 1;
    }
    let mut runs = 0;
    for (action, count) in seen {
        for nth in 1..=count {
            for (after, kind) in [
                (false, Kind::Throttled),
                (false, Kind::Ambiguous),
                (true, Kind::Ambiguous),
                (false, Kind::Denied),
                (false, Kind::Capacity),
            ] {
                one_fault(action, nth, after, kind).await;
                runs += 1;
            }
        }
    }
    assert!(runs > 150, "only {runs} schedules");
}

async fn one_fault(action: &'static str, nth: u32, after: bool, kind: Kind) {
    let context = format!("{action} {nth} {kind:?} {}", if after { "after" } else { "before" });
    let mut world = World::with_one_deployed().await;
    match after {
        true => world.cloud.fail_after(action, nth, kind),
        false => world.cloud.fail_before(action, nth, kind),
    }
    let outcome = world.deploy("ami-good").await;
    assert_eq!(world.cloud.breaches(), Vec::<String>::new(), "{context}: {outcome:?}");
    if matches!(outcome, Outcome::Done | Outcome::RolledBack(_)) {
        world.assert_settled(&format!("{context}: {outcome:?}"));
    }
    let rerun = world.deploy("ami-good").await;
    assert_eq!(rerun, Outcome::Done, "{context}");
    world.assert_settled(&context);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_launch_launches_nothing_twice() {
    let mut world = World::with_one_deployed().await;
    world.cloud.fail_after("RunInstances", 1, Kind::Ambiguous);
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after a lost answer");
}

#[tokio::test(start_paused = true)]
async fn what_one_subnet_has_no_room_for_is_launched_in_the_next() {
    let mut world = World::with_one_deployed().await;
    world.cloud.limit_capacity(1);
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after a lack of room");
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_tags_were_taken_over_is_never_terminated() {
    let mut world = World::with_one_deployed().await;
    let (id, _) = world.cloud.live()[0].clone();
    let cloud = world.cloud.clone();
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let taken = id.clone();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-terminate-old" {
            cloud.retag(&taken, naming::SERVICE, "another");
        }
        false
    });
    let (_canceller, cancel) = channel();
    assert_eq!(deploy(&context, &order, &cancel).await, Outcome::Done);
    assert!(world.cloud.live().iter().any(|(live, _)| *live == id));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_undoes_and_a_second_interruption_stops_at_once() {
    for (asks, point) in [(1, "before-in-service"), (2, "before-in-service")] {
        let mut world = World::with_one_deployed().await;
        let order = world.order("ami-good");
        let mut context = world.context(None);
        let (canceller, cancel) = channel();
        context.boundary = Arc::new(move |at: &str| {
            if at == point {
                (0..asks).for_each(|_| _ = canceller.ask());
            }
            false
        });
        let outcome = deploy(&context, &order, &cancel).await;
        match asks {
            1 => {
                assert_eq!(outcome, Outcome::RolledBack(Failure::Interrupted));
                world.assert_settled("after an interruption");
            }
            _ => {
                let Outcome::Dirty { left, .. } = outcome else { panic!("{outcome:?}") };
                assert_eq!(left.len(), 3, "instances, lock, advice: {left:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_over_stops_the_run_before_it_touches_the_old() {
    let mut world = World::with_one_deployed().await;
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-deregister-old" {
            cloud.drop_template("mayfly-lock-greeter-production");
        }
        false
    });
    let (_canceller, cancel) = channel();
    let outcome = deploy(&context, &order, &cancel).await;
    assert!(matches!(outcome, Outcome::Dirty { .. }), "{outcome:?}");
    let calls = world.cloud.calls();
    assert!(
        !calls.contains(&"TerminateInstances") && !calls.contains(&"DeregisterInstancesFromLoadBalancer")
    );
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after the rerun");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_was_approved_is_not_replaced_by_another() {
    let mut world = World::with_one_deployed().await;
    let mut order = world.order("ami-good");
    let snapshot =
        crate::snapshot::Snapshot::read(world.cloud.as_ref(), &order.spec).await.expect("a snapshot");
    let mut plan =
        crate::plan::build(&order.spec, &snapshot, &order.identity, &order.intent).expect("a plan");
    plan.waves[0].old.pop();
    order.approved = Some(plan);
    let (_canceller, cancel) = channel();
    let outcome = deploy(&world.context(None), &order, &cancel).await;
    assert_eq!(outcome, Outcome::Refused(Failure::PlanChanged));
    world.assert_settled("nothing was done");
}
