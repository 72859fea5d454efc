//! Waves: rolling and canary deployments, several balancers, and what fails or is killed in the middle of them.

use super::*;

const ROLLING: &str = "strategy: {rolling: {batch: 1}}\n";
const CANARY: &str = "strategy: {canary: {size: 1, soak: 60s}}\n";
const TWO: &str = "load_balancers: [{classic: front}, {target_group: side}]\n";

fn two_balancers() -> String {
    SPEC.replace("load_balancer: {classic: front}\n", TWO)
}

#[tokio::test(start_paused = true)]
async fn a_rolling_deployment_goes_wave_by_wave_and_capacity_never_falls() {
    let mut world = World::with(ROLLING).await;
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let points = World::watch_points(&mut context);
    let (_canceller, cancel) = channel();
    assert_eq!(deploy(&context, &order, &cancel).await, Outcome::Done);
    world.assert_settled("after a rolling deployment");
    let points = points.lock().expect("points").clone();
    let at = |point: &str| points.iter().position(|seen| seen == point).expect(point);
    assert!(at("after-terminate-old") < at("before-launch-2"), "{points:?}");
    assert!(at("after-terminate-old-2") < at("before-launch-3"), "{points:?}");
    assert!(at("after-in-service-3") < at("before-deregister-old-3"), "{points:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_a_later_wave_brings_the_last_success_back_whole() {
    for more in [ROLLING, "strategy: {rolling: {batch: 2}}\n"] {
        let mut world = World::with(more).await;
        let last = world.cloud.live()[0].1.clone();
        // The first deployment launched in two subnets; the first wave in one or two more.
        let launches = world.cloud.calls().iter().filter(|call| **call == "RunInstances").count();
        assert_eq!(launches, 0);
        let second = if more == ROLLING { 2 } else { 3 };
        world.cloud.fail_before("RunInstances", second, Kind::Denied);
        let outcome = world.deploy("ami-good").await;
        assert!(matches!(outcome, Outcome::RolledBack(_)), "{outcome:?}");
        world.assert_settled("after a failure in the second wave");
        assert!(world.cloud.live().iter().all(|(_, deployment)| *deployment == last), "{last}");
        let tags = world.cloud.tags_of("mayfly-greeter-production");
        assert_eq!((tags[naming::SUCCEEDED].as_str(), tags[naming::FAILED].as_str()), ("1", "2"));
        assert_eq!(world.deploy("ami-good").await, Outcome::Done);
        world.assert_settled("after the rerun");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_soaks_beside_all_the_old_and_then_the_rest_comes() {
    let mut world = World::with(CANARY).await;
    let began = Instant::now();
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after a canary");
    assert!(began.elapsed() >= Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_falls_ill_while_it_soaks_goes_and_the_old_are_never_touched() {
    let mut world = World::with(CANARY).await;
    let old = world.cloud.live();
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    let before: Vec<String> = old.iter().map(|(id, _)| id.clone()).collect();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-soak" {
            let canary = cloud.live().into_iter().find(|(id, _)| !before.contains(id)).expect("a canary");
            cloud.sicken(&canary.0);
        }
        false
    });
    let (_canceller, cancel) = channel();
    let outcome = deploy(&context, &order, &cancel).await;
    let Outcome::RolledBack(cause) = outcome else { panic!("{outcome:?}") };
    assert_eq!(cause.to_string(), "1 of 1 instances did not stay healthy");
    assert!(cause.evidence()[0].contains("out of service"), "{:?}", cause.evidence());
    assert_eq!(world.cloud.live(), old);
    world.assert_settled("after a canary that fell ill");
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_that_dies_while_later_waves_go_on_brings_the_last_success_back() {
    let mut world = World::with(ROLLING).await;
    let last = world.cloud.live()[0].1.clone();
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    let gone = last.clone();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-register-2" {
            let new = cloud.live().into_iter().find(|(_, deployment)| *deployment != gone).expect("new");
            cloud.kill(&new.0);
        }
        false
    });
    let (_canceller, cancel) = channel();
    let outcome = deploy(&context, &order, &cancel).await;
    let Outcome::RolledBack(cause) = outcome else { panic!("{outcome:?}") };
    assert!(cause.to_string().contains("is terminated: Server.SpotInstanceTermination"), "{cause}");
    let live = world.cloud.live();
    assert!(live.len() == 3 && live.iter().all(|(_, deployment)| *deployment == last), "{live:?}");
    assert_eq!(world.cloud.in_service().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn old_capacity_that_falls_short_in_the_middle_is_not_lowered_further() {
    let mut world = World::with(ROLLING).await;
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    let last = world.cloud.live();
    let victim = last[2].0.clone();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-deregister-old" {
            cloud.kill(&victim);
        }
        false
    });
    let (_canceller, cancel) = channel();
    let outcome = deploy(&context, &order, &cancel).await;
    let Outcome::RolledBack(cause) = outcome else { panic!("{outcome:?}") };
    assert!(cause.evidence()[0].contains("2 would stay in service with front, 3 have to"), "{cause:?}");
    let live = world.cloud.live();
    assert!(live.len() == 3 && live.iter().all(|(_, deployment)| *deployment == last[0].1), "{live:?}");
    assert_eq!(world.cloud.in_service().len(), 3, "one was launched in the place of the dead");
}

#[tokio::test(start_paused = true)]
async fn with_several_balancers_the_new_serve_in_all_before_the_old_leave_any() {
    let mut world = World::new();
    world.spec = two_balancers();
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.cloud.watch_capacity();
    for more in ["", ROLLING, CANARY] {
        world.spec = two_balancers() + more;
        assert_eq!(world.deploy("ami-good").await, Outcome::Done, "{more}");
        world.assert_settled(more);
        assert_eq!(world.cloud.balancer_names(), ["front", "side"]);
    }
    world.cloud.make_sick("ami-sick");
    let old = world.cloud.live();
    assert!(matches!(world.deploy("ami-sick").await, Outcome::RolledBack(_)));
    assert_eq!(world.cloud.live(), old);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_drain_are_waited_for_before_they_come_back() {
    let mut world = World::new();
    world.cloud.know_by_address();
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.cloud.watch_capacity();
    world.cloud.clear_calls();
    let old = world.cloud.live();
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let (canceller, cancel) = channel();
    context.boundary = Arc::new(move |at: &str| {
        if at == "before-drain-old" {
            canceller.ask();
        }
        false
    });
    assert_eq!(deploy(&context, &order, &cancel).await, Outcome::RolledBack(Failure::Interrupted));
    assert_eq!(world.cloud.live(), old);
    world.assert_settled("after addresses came back");
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after the rerun");
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_waited_out_beside_the_old() {
    let mut world = World::with_one_deployed().await;
    world.cloud.start_slowly(Duration::from_secs(500));
    let began = Instant::now();
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    world.assert_settled("after a slow start");
    assert!(began.elapsed() >= Duration::from_secs(500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_planned_is_what_is_run_and_planning_changes_nothing() {
    let only = || Intent { only: "1/3".parse().ok(), ..Intent::default() };
    for (more, intent) in [
        ("", Intent::default()),
        (ROLLING, Intent::default()),
        (CANARY, Intent::default()),
        (ROLLING, only()),
    ] {
        let mut world = World::with(more).await;
        world.intent = intent;
        let order = world.order("ami-good");
        let read = crate::snapshot::Snapshot::read(world.cloud.as_ref(), &order.spec).await;
        let snapshot = read.expect("a snapshot");
        assert!(
            world.cloud.calls().iter().all(|call| call.starts_with("Describe")),
            "{:?}",
            world.cloud.calls()
        );
        let plan =
            crate::plan::build(&order.spec, &snapshot, &order.identity, &order.intent).expect("a plan");
        world.events.lock().expect("events").clear();
        let (_canceller, cancel) = channel();
        deploy(&world.context(None), &order, &cancel).await;
        let events = world.events.lock().expect("events");
        let began = |event: &Event| match event {
            Event::StepStarted { step, wave, what } => Some((*step, *wave, what.clone())),
            _ => None,
        };
        let run: Vec<_> = events.iter().filter_map(began).collect();
        let planned: Vec<_> =
            plan.steps.iter().map(|step| (step.action, step.wave, step.what.clone())).collect();
        assert_eq!(run, planned, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn interrupted_in_a_later_wave_the_last_success_comes_back_and_twice_says_what_is_left() {
    for asks in [1, 2] {
        let mut world = World::with(ROLLING).await;
        let last = world.cloud.live()[0].1.clone();
        let order = world.order("ami-good");
        let mut context = world.context(None);
        let (canceller, cancel) = channel();
        context.boundary = Arc::new(move |at: &str| {
            if at == "before-drain-old-2" {
                (0..asks).for_each(|_| _ = canceller.ask());
            }
            false
        });
        let outcome = deploy(&context, &order, &cancel).await;
        if asks == 1 {
            assert_eq!(outcome, Outcome::RolledBack(Failure::Interrupted));
            world.assert_settled("after an interruption");
        } else {
            let Outcome::Dirty { left, .. } = outcome else { panic!("{outcome:?}") };
            assert!(left[1].starts_with("old instances, perhaps terminated: i-"), "{left:?}");
            assert!(left[2].starts_with("old instances, perhaps out of the balancer: i-"), "{left:?}");
            assert!(left[4].starts_with("finish with `mayfly recover`"), "{left:?}");
            assert_eq!(world.task(Task::Recover).await, Outcome::Done);
            world.assert_settled("after recovering");
        }
        assert!(asks == 2 || world.cloud.live().iter().all(|(_, deployment)| *deployment == last));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_launched_and_the_cloud_shows_late_is_found_in_the_end() {
    let mut world = World::with_one_deployed().await;
    let outcome = world.deploy_until("ami-good", Some("after-launch")).await;
    assert_eq!(outcome, Outcome::Killed("after-launch".into()));
    world.cloud.hide("0002");
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    context.boundary = Arc::new(move |point: &str| {
        if point == "before-mark-default" {
            cloud.hide("nobody's");
        }
        false
    });
    let (_canceller, cancel) = channel();
    assert_eq!(deploy(&context, &order, &cancel).await, Outcome::Done);
    world.assert_settled("after instances that were shown late");
}

/// The boundaries of a good run with this strategy.
async fn points(more: &str, intent: &Intent) -> Vec<String> {
    let mut world = World::with(more).await;
    world.intent = intent.clone();
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let points = World::watch_points(&mut context);
    let (_canceller, cancel) = channel();
    let outcome = deploy(&context, &order, &cancel).await;
    assert!(matches!(outcome, Outcome::Done | Outcome::Partial | Outcome::Canary), "{outcome:?}");
    let points = points.lock().expect("points").clone();
    assert!(points.len() > 20, "{points:?}");
    points
}

fn intents() -> [(&'static str, Intent); 4] {
    let only = "1/3".parse().ok();
    [
        ("", Intent::default()),
        (ROLLING, Intent::default()),
        (CANARY, Intent::default()),
        (ROLLING, Intent { only, ..Intent::default() }),
    ]
}

#[tokio::test(start_paused = true)]
async fn killed_anywhere_recover_completes_or_undoes_it() {
    for (more, intent) in intents() {
        for point in points(more, &intent).await {
            let mut world = World::with(more).await;
            world.intent = intent.clone();
            assert_eq!(world.deploy_until("ami-good", Some(&point)).await, Outcome::Killed(point.clone()));
            let context = format!("{more}{:?} {point}", intent.only);
            assert_eq!(world.task(Task::Recover).await, Outcome::Done, "{context}");
            if intent.only.is_some() && world.cloud.live().iter().any(|(_, d)| *d != world.cloud.live()[0].1)
            {
                assert_eq!(world.task(Task::Abort).await, Outcome::Done, "{context}");
            }
            world.assert_settled(&context);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_anywhere_the_next_deployment_of_any_strategy_ends_well() {
    for (more, intent) in intents() {
        for point in points(more, &intent).await {
            let mut world = World::with(more).await;
            world.intent = intent.clone();
            assert_eq!(world.deploy_until("ami-good", Some(&point)).await, Outcome::Killed(point.clone()));
            world.intent = Intent::default();
            assert_eq!(world.deploy("ami-good").await, Outcome::Done, "{more} {point}");
            world.assert_settled(&format!("{more} {point}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_while_the_last_success_is_put_back_recover_ends_well() {
    let mut world = World::with(ROLLING).await;
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let seen = World::watch_points(&mut context);
    world.cloud.fail_before("RunInstances", 2, Kind::Denied);
    let (_canceller, cancel) = channel();
    assert!(matches!(deploy(&context, &order, &cancel).await, Outcome::RolledBack(_)));
    let seen = seen.lock().expect("points").clone();
    let restoring: Vec<&String> = seen.iter().filter(|point| point.starts_with("restore-")).collect();
    assert!(restoring.len() > 10, "{seen:?}");
    for point in restoring {
        let mut world = World::with(ROLLING).await;
        world.cloud.fail_before("RunInstances", 2, Kind::Denied);
        assert_eq!(world.deploy_until("ami-good", Some(point)).await, Outcome::Killed(point.clone()));
        let last = world.cloud.tags_of("mayfly-greeter-production")[naming::CURRENT].clone();
        assert_eq!(world.task(Task::Recover).await, Outcome::Done, "{point}");
        world.assert_settled(point);
        assert!(world.cloud.live().iter().all(|(_, d)| *d == last), "{point}");
        assert!(world.cloud.launched(&last) <= 4, "{point}: one was launched in the place of one");
    }
}

#[tokio::test(start_paused = true)]
async fn any_single_call_of_any_strategy_may_fail_and_recover_ends_well() {
    for (more, intent) in [(ROLLING, Intent::default()), (CANARY, Intent::default())] {
        let mut world = World::with(more).await;
        assert_eq!(world.deploy("ami-good").await, Outcome::Done);
        let mut seen: std::collections::BTreeMap<&'static str, u32> = std::collections::BTreeMap::new();
        for action in world.cloud.calls() {
            *seen.entry(action).or_default() += 1;
        }
        for (action, count) in seen {
            for nth in 1..=count {
                for (after, kind) in [
                    (false, Kind::Ambiguous),
                    (true, Kind::Ambiguous),
                    (false, Kind::Denied),
                    (false, Kind::Capacity),
                ] {
                    one_fault(more, &intent, (action, nth, after, kind)).await;
                }
            }
        }
    }
}

async fn one_fault(more: &str, intent: &Intent, (action, nth, after, kind): (&'static str, u32, bool, Kind)) {
    let context = format!("{more}{action} {nth} {kind:?} {}", if after { "after" } else { "before" });
    let mut world = World::with(more).await;
    world.intent = intent.clone();
    match after {
        true => world.cloud.fail_after(action, nth, kind),
        false => world.cloud.fail_before(action, nth, kind),
    }
    let outcome = world.deploy("ami-good").await;
    assert_eq!(world.cloud.breaches(), Vec::<String>::new(), "{context}: {outcome:?}");
    if matches!(outcome, Outcome::Done | Outcome::RolledBack(_)) {
        world.assert_settled(&format!("{context}: {outcome:?}"));
    }
    let recovered = world.task(Task::Recover).await;
    assert_eq!(recovered, Outcome::Done, "{context}: {outcome:?}");
    world.assert_settled(&format!("{context}: {outcome:?}, recovered"));
}
