//! What is planned from records: canaries by hand, partial deployments, taking back, rolling back, pausing.

use super::*;
use async_trait::async_trait;

const BY_HAND: &str = "strategy: {canary: {size: 1, promote: manual}}\n";
const RECORD: &str = "mayfly-greeter-production";

fn deployments(world: &World) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for (_, deployment) in world.cloud.live() {
        *counts.entry(deployment[deployment.len() - 4..].to_owned()).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_canary_by_hand_waits_without_a_lock_and_is_promoted_or_taken_back() {
    for (task, marks, left) in
        [(Task::Promote, naming::SUCCEEDED, ("0002", 3)), (Task::Abort, naming::ABORTED, ("0001", 3))]
    {
        let mut world = World::with(BY_HAND).await;
        assert_eq!(world.deploy("ami-good").await, Outcome::Canary);
        assert_eq!(deployments(&world), [("0001".into(), 3), ("0002".into(), 1)]);
        assert_eq!(world.cloud.in_service().len(), 4);
        assert_eq!(world.cloud.template_names(), [RECORD], "the lock is given back");
        assert_eq!(world.cloud.tags_of(RECORD)[naming::CANARY], "2");
        assert_eq!(world.task(Task::Recover).await, Outcome::Done);
        assert_eq!(world.cloud.live().len(), 4, "recovering leaves a canary be");
        assert_eq!(world.task(task).await, Outcome::Done);
        world.assert_settled("in the end");
        assert_eq!(deployments(&world), [(left.0.to_owned(), left.1)]);
        assert!(world.cloud.tags_of(RECORD)[marks].ends_with('2'), "{:?}", world.cloud.tags_of(RECORD));
        let again = world.task(task).await;
        assert!(matches!(again, Outcome::Refused(Failure::Plan(_))), "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partial_deployment_is_made_whole_or_taken_back() {
    for (task, left) in [(Task::Promote, "0002"), (Task::Abort, "0001")] {
        let mut world = World::with_one_deployed().await;
        world.intent.only = "1/3".parse().ok();
        assert_eq!(world.deploy("ami-good").await, Outcome::Partial);
        assert_eq!(deployments(&world), [("0001".into(), 2), ("0002".into(), 1)]);
        assert_eq!(world.cloud.tags_of(RECORD)[naming::PARTIAL], "2");
        assert_eq!(world.task(task).await, Outcome::Done);
        world.assert_settled("in the end");
        assert_eq!(deployments(&world), [(left.to_owned(), 3)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_fails_leaves_the_canary_as_it_was() {
    let mut world = World::with(BY_HAND).await;
    assert_eq!(world.deploy("ami-good").await, Outcome::Canary);
    let before = world.cloud.live();
    let launches = world.cloud.calls().iter().filter(|call| **call == "RunInstances").count();
    world.cloud.fail_before("RunInstances", u32::try_from(launches).expect("few") + 1, Kind::Denied);
    assert!(matches!(world.task(Task::Promote).await, Outcome::RolledBack(_)));
    assert_eq!(world.cloud.live(), before);
    assert_eq!(world.task(Task::Promote).await, Outcome::Done);
    world.assert_settled("after the second try");
}

#[tokio::test(start_paused = true)]
async fn killed_while_promoting_or_taking_back_recover_and_the_same_again_end_well() {
    for task in [Task::Promote, Task::Abort] {
        let mut world = World::with(BY_HAND).await;
        assert_eq!(world.deploy("ami-good").await, Outcome::Canary);
        world.intent.task = task;
        let order = world.order("ami-good");
        let mut context = world.context(None);
        let points = World::watch_points(&mut context);
        let (_canceller, cancel) = channel();
        assert_eq!(deploy(&context, &order, &cancel).await, Outcome::Done);
        let points = points.lock().expect("points").clone();
        for point in points {
            let mut world = World::with(BY_HAND).await;
            assert_eq!(world.deploy("ami-good").await, Outcome::Canary);
            assert_eq!(world.task_until(task, Some(&point)).await, Outcome::Killed(point.clone()));
            assert_eq!(world.task(Task::Recover).await, Outcome::Done, "{task:?} {point}");
            let is_marked = world.cloud.tags_of(RECORD).contains_key(naming::ABORTED);
            let begun = !["before-lock", "after-lock", "before-mark-aborted"].contains(&point.as_str());
            assert_eq!(is_marked, task == Task::Abort && begun, "{point}");
            assert!(!is_marked || deployments(&world) == [("0001".into(), 3)], "recovering goes on, {point}");
            if deployments(&world).len() > 1 {
                assert_eq!(world.task(task).await, Outcome::Done, "{task:?} {point}");
            }
            world.assert_settled(&format!("{task:?} {point}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_to_the_last_success_that_does_not_run_and_needs_no_git() {
    let mut world = World::with_one_deployed().await;
    assert_eq!(world.deploy("ami-two").await, Outcome::Done);
    world.cloud.make_sick("ami-sick");
    assert!(matches!(world.deploy("ami-sick").await, Outcome::RolledBack(_)));
    assert_eq!(world.task(Task::Rollback(None)).await, Outcome::Done);
    world.assert_settled("after a rollback");
    assert_eq!(deployments(&world), [("0004".into(), 3)]);
    let said = world.cloud.default_description(RECORD);
    assert!(said.ends_with("count=3 rollback-of=1"), "{said}");
    assert_eq!(world.cloud.default_image(RECORD), "ami-good", "the first one's, not the sick one's");
    let again = world.task(Task::Rollback(None)).await;
    let refused = Failure::Plan(crate::plan::PlanError::NothingToRollBackTo);
    assert_eq!(again, Outcome::Refused(refused), "there is nothing older than the first");
    assert_eq!(world.task(Task::Rollback(Some(2))).await, Outcome::Done);
    assert_eq!(world.cloud.default_image(RECORD), "ami-two");
    let failed = world.task(Task::Rollback(Some(3))).await;
    assert!(matches!(failed, Outcome::Refused(Failure::Plan(_))), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_record_says_when_a_deployment_ended_and_how_long_it_took() {
    let mut world = World::with_one_deployed().await;
    assert_eq!(world.deploy("ami-good").await, Outcome::Done);
    let times = naming::read_times(&world.cloud.tags_of(RECORD)[naming::TIMES]);
    assert_eq!(times.iter().map(|times| times.number).collect::<Vec<_>>(), [1, 2]);
    assert!(times[1].seconds >= 30, "{times:?}");
}

struct Says(bool);

#[async_trait]
impl Asker for Says {
    async fn ask(&self, question: &str) -> bool {
        assert_eq!(question, "pause before deregister-old until somebody agrees, at most 1h; go on?");
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_asks_whoever_is_there() {
    for agrees in [true, false] {
        let mut world = World::with_one_deployed().await;
        let old = world.cloud.live();
        world.intent.pause_before = Some("deregister-old".to_owned());
        let order = world.order("ami-good");
        let context = Context { asker: Some(Arc::new(Says(agrees))), ..world.context(None) };
        let (_canceller, cancel) = channel();
        let outcome = deploy(&context, &order, &cancel).await;
        let expected = if agrees { Outcome::Done } else { Outcome::RolledBack(Failure::Interrupted) };
        assert_eq!(outcome, expected);
        assert_eq!(world.cloud.live() == old, !agrees);
        world.assert_settled("after a pause");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_anybody_waits_for_a_word_and_not_for_ever() {
    for (word, expected) in [(Some("go"), true), (Some("abort"), false), (None, false)] {
        let mut world = World::with_one_deployed().await;
        world.intent.pause_before = Some("deregister-old".to_owned());
        let order = world.order("ami-good");
        let context = world.context(None);
        let cloud = world.cloud.clone();
        let deployment = order.identity.deployment.clone();
        let say = async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(cloud.tags_of(RECORD)[naming::PAUSED], format!("{deployment} before deregister-old"));
            if let Some(word) = word {
                cloud.mark(RECORD, naming::ANSWER, &format!("{word} {deployment}"));
            }
        };
        let (_canceller, cancel) = channel();
        let (outcome, ()) = tokio::join!(deploy(&context, &order, &cancel), say);
        assert_eq!(outcome == Outcome::Done, expected, "{word:?}: {outcome:?}");
        world.assert_settled("after a pause");
        assert_eq!(world.cloud.tags_of(RECORD)[naming::PAUSED], "");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_step_to_pause_before_is_refused_with_those_there_are() {
    let mut world = World::with_one_deployed().await;
    world.intent.pause_before = Some("deregister".to_owned());
    let Outcome::Refused(cause) = world.deploy("ami-good").await else { panic!("not refused") };
    let said = cause.to_string();
    assert!(
        said.starts_with(
            "there is no step `deregister` to pause before; the plan's steps are record, launch,"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_in_a_bucket_is_held_while_it_works_and_given_back() {
    let mut world = World::with("lock: {bucket: locks}\n").await;
    let order = world.order("ami-good");
    let mut context = world.context(None);
    let cloud = world.cloud.clone();
    context.boundary = Arc::new(move |point: &str| {
        let names = cloud.template_names();
        assert!(!names.iter().any(|name| name.contains("lock")), "{point}: {names:?}");
        assert_eq!(cloud.has_objects(), point != "before-lock" && point != "after-unlock", "{point}");
        false
    });
    let (_canceller, cancel) = channel();
    assert_eq!(deploy(&context, &order, &cancel).await, Outcome::Done);
    world.assert_settled("with a lock in a bucket");
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_taking_failed_half_way_is_given_back() {
    let mut world = World::with_one_deployed().await;
    world.cloud.fail_after("CreateLaunchTemplate", 1, Kind::Ambiguous);
    world.cloud.fail_before("DescribeLaunchTemplates", 1, Kind::Denied);
    let outcome = world.deploy("ami-good").await;
    assert!(matches!(outcome, Outcome::RolledBack(Failure::Lock(_))), "{outcome:?}");
    world.assert_settled("after a lock that was taken half-way");
}
