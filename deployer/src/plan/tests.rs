//! Plans by exact text, and who counts as old or left over.

use super::{
    Action, Batch, DateTime, Description, Duration, Ending, Existing, Identity, Intent, Plan, PlanError,
    Recording, Step, Task, candidate,
};
use crate::cloud::memory::running;
use crate::cloud::{
    Balancer, Check, Health, Instance, InstanceState, Member, Subnet, Template, TemplateData, Version,
};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::spec::{Share, Strategy};

const SPEC: &str = "
service: greeter
role: web
count: 5
image: ami-1
instance_type: [t3.micro, t3a.micro]
states: {url: 'https://example.org/states.git'}
load_balancer: {classic: front}
probe: {port: 8080, path: /health}
";

fn spec() -> Spec {
    Spec::parse(SPEC, "mayfly.yaml", "production", &[]).expect("a spec")
}

fn identity() -> Identity {
    Identity {
        deployment: "greeter-production-20270115T080000Z-1a2b".into(),
        who: "ann@laptop".into(),
        started: DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
    }
}

fn instance(id: &str, deployment: &str) -> Instance {
    let mut tags = naming::ownership("greeter", "production");
    tags.insert(naming::DEPLOYMENT.into(), deployment.into());
    running(id, tags)
}

fn member(id: &str, health: Health) -> Member {
    Member { instance: id.into(), health, reason_code: None, description: None }
}

/// Instances by id and deployment, members by id and health; the last success was deployment `good`.
fn snapshot(instances: &[(&str, &str)], members: &[(&str, Health)]) -> Snapshot {
    let subnet = |letter: &str| Subnet { id: format!("subnet-{letter}"), zone: format!("us-east-1{letter}") };
    let mut tags = naming::ownership("greeter", "production");
    tags.insert(naming::CURRENT.into(), "good".into());
    let name = "mayfly-greeter-production".to_owned();
    let balancer = Balancer {
        zones: vec!["us-east-1a".into(), "us-east-1b".into()],
        drain: Some(Duration::from_secs(20)),
        ..Balancer::classic("front")
    };
    Snapshot {
        image: "ami-1".into(),
        subnets: vec![subnet("a"), subnet("b")],
        instances: instances.iter().map(|(id, deployment)| instance(id, deployment)).collect(),
        balancers: vec![(balancer, members.iter().map(|(id, health)| member(id, *health)).collect())],
        record: Some(Template {
            id: "lt-1".into(),
            name,
            default_version: 3,
            latest_version: 4,
            tags,
            created: None,
        }),
        versions: Vec::new(),
        free_slots: std::collections::BTreeMap::new(),
    }
}

fn build(spec: &Spec, snapshot: &Snapshot, identity: &Identity) -> Result<Plan, PlanError> {
    super::build(spec, snapshot, identity, &Intent::default())
}

fn ids<'a>(existing: impl IntoIterator<Item = &'a Existing>) -> Vec<&'a str> {
    existing.into_iter().map(|instance| instance.id.as_str()).collect()
}

#[test]
fn a_plan_reads_as_what_will_be_done() {
    let serving = [("i-1", Health::InService), ("i-2", Health::InService), ("i-9", Health::InService)];
    let snapshot = snapshot(&[("i-1", "good"), ("i-2", "good"), ("i-3", "bad")], &serving);
    let plan = build(&spec(), &snapshot, &identity()).expect("a plan");
    let expected = "\
greeter in production: deployment greeter-production-20270115T080000Z-1a2b
  states 0123456789ab, image ami-1
   1. lock            take the lock of greeter in production
   2. clean-up        remove what is left over: i-3
   3. record          record deployment greeter-production-20270115T080000Z-1a2b
   4. launch          launch 5 t3.micro or t3a.micro from ami-1 (3 in subnet-a, 2 in subnet-b)
   5. running         wait until 5 run, at most 5m
   6. probe           wait until each answers 200 at :8080/health, at most 5m
   7. register        register 5 with front
   8. in-service      wait until 5 are in service, at most 5m
   9. deregister-old  deregister i-1, i-2
  10. drain-old       wait until they have drained, at most 20s
  11. terminate-old   terminate i-1, i-2
  12. mark-default    mark this deployment as the last that succeeded
  13. unlock          give the lock back
  note: 1 member(s) of front carry no tags of this service and environment; they are left alone
";
    assert_eq!(plan.to_string(), expected);
    assert_eq!(build(&spec(), &snapshot, &identity()), Ok(plan), "the same again");
}

#[test]
fn what_serves_is_old_whoever_launched_it() {
    let snapshot = snapshot(&[("i-1", "good"), ("i-2", "killed")], &[("i-2", Health::InService)]);
    let plan = build(&spec(), &snapshot, &identity()).expect("a plan");
    assert_eq!((ids(plan.old()), ids(&plan.leftovers)), (vec!["i-2"], vec!["i-1"]));
}

#[test]
fn while_nothing_serves_nothing_goes_first() {
    let instances = [("i-1", "good"), ("i-2", "killed")];
    let snapshot = snapshot(&instances, &[("i-1", Health::OutOfService), ("i-2", Health::OutOfService)]);
    let plan = build(&spec(), &snapshot, &identity()).expect("a plan");
    assert_eq!((ids(plan.old()), ids(&plan.leftovers)), (vec!["i-1", "i-2"], vec![]));
}

#[test]
fn a_sick_instance_of_the_last_success_is_old_and_one_that_drains_is_left_over() {
    let instances = [("i-1", "good"), ("i-2", "good"), ("i-3", "good"), ("i-4", "killed")];
    let members = [
        ("i-1", Health::InService),
        ("i-2", Health::OutOfService),
        ("i-3", Health::Draining),
        ("i-4", Health::OutOfService),
    ];
    let plan = build(&spec(), &snapshot(&instances, &members), &identity()).expect("a plan");
    assert_eq!((ids(plan.old()), ids(&plan.leftovers)), (vec!["i-2", "i-1"], vec!["i-3", "i-4"]));
    assert_eq!(plan.notes, ["1 of the old instance(s) are not in service now"]);
}

#[test]
fn what_drains_already_has_its_time_before_it_goes() {
    let snapshot = snapshot(&[("i-1", "killed")], &[("i-1", Health::Draining)]);
    let plan = build(&spec(), &snapshot, &identity()).expect("a plan");
    let leaving: Vec<Action> = plan.steps.iter().map(|step| step.action).collect();
    let end = [Action::DrainOld, Action::TerminateOld, Action::MarkDefault, Action::Unlock];
    assert!(leaving.ends_with(&end), "{leaving:?}");
    assert!(!leaving.contains(&Action::DeregisterOld), "{leaving:?}");
}

#[test]
fn going_on_is_refused_where_it_could_do_harm() {
    let mut odd = snapshot(&[("i-1", "good")], &[]);
    odd.instances[0].state = InstanceState::Unknown;
    assert_eq!(build(&spec(), &odd, &identity()), Err(PlanError::UnknownState("i-1".into())));
    let mut foreign = snapshot(&[], &[]);
    foreign.record.as_mut().expect("a record").tags.clear();
    let error = build(&spec(), &foreign, &identity());
    assert_eq!(error, Err(PlanError::ForeignRecord("mayfly-greeter-production".into())));
}

#[test]
fn a_subnet_whose_zone_the_balancer_does_not_serve_is_refused() {
    let mut snapshot = snapshot(&[], &[]);
    snapshot.subnets[1].zone = "us-east-1c".into();
    let mut spec = spec();
    spec.subnets = vec!["subnet-a".into(), "subnet-b".into()];
    let error = build(&spec, &snapshot, &identity()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "load balancer front does not serve the zone us-east-1c of subnet subnet-b, so an instance there would stay \
         out of service for ever: enable the zone, or list `subnets` in us-east-1a, us-east-1b"
    );
}

#[test]
fn default_subnets_are_only_those_that_the_balancer_serves() {
    let mut snapshot = snapshot(&[], &[]);
    snapshot.subnets[1].zone = "us-east-1c".into();
    let plan = build(&spec(), &snapshot, &identity()).expect("a plan");
    assert_eq!(plan.waves[0].batches, [Batch { slot: 0, count: 5, subnets: vec!["subnet-a".into()] }]);
}

#[test]
fn instances_are_told_their_role_commit_and_deployment() {
    use base64::Engine;
    let plan = build(&spec(), &snapshot(&[], &[]), &identity()).expect("a plan");
    let text = base64::engine::general_purpose::STANDARD.decode(&plan.template.user_data).expect("base64");
    let expected = "\
#mayfly
role: web
environment: production
deployment: greeter-production-20270115T080000Z-1a2b
states:
  url: https://example.org/states.git
  ref: main
  commit: \"0123456789abcdef0123456789abcdef01234567\"
";
    assert_eq!(String::from_utf8_lossy(&text), expected);
    assert_eq!(plan.tags["Name"], "greeter-production");
    assert_eq!(plan.tags[naming::DEPLOYMENT], "greeter-production-20270115T080000Z-1a2b");
}

#[test]
fn waves_are_shown_as_they_will_be_run() {
    let serving = [("i-1", Health::InService), ("i-2", Health::InService), ("i-3", Health::OutOfService)];
    let instances = [("i-1", "good"), ("i-2", "good"), ("i-3", "good")];
    let mut spec = spec();
    (spec.count, spec.subnets) = (3, vec!["subnet-a".into(), "subnet-b".into()]);
    spec.strategy = Strategy::Rolling { batch: Share::Count(2), minimum: Some(Share::Count(1)) };
    let plan = build(&spec, &snapshot(&instances, &serving), &identity()).expect("a plan");
    let text = plan.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    assert_eq!(lines[1], "states 0123456789ab, image ami-1, rolling in 2 waves");
    let expected = "launch          wave 1 of 2: launch 2 t3.micro or t3a.micro from ami-1 (1 in subnet-a, 1 in subnet-b)";
    assert!(lines[4].ends_with(expected), "{text}");
    assert!(text.contains("deregister-old  wave 1 of 2: deregister i-3, i-1\n"), "the sick first: {text}");
    assert!(
        text.contains(
            "launch          wave 2 of 2: launch 1 t3.micro or t3a.micro from ami-1 (1 in subnet-a)"
        )
    );
    assert!(
        text.contains("in-service      wave 2 of 2: wait until 3 are in service, at most 5m\n"),
        "{text}"
    );
    assert_eq!(plan.balancers[0].floor, 1, "as declared");
    let points: Vec<String> = plan.steps.iter().map(Step::point).collect();
    assert!(points.contains(&"launch".into()) && points.contains(&"terminate-old-2".into()), "{points:?}");
    assert_eq!(plan.to_json()["waves"][1]["old"], serde_json::json!(["i-2"]));
}

#[test]
fn capacity_must_stay_what_it_was_or_what_it_is_to_be() {
    let members = ["i-1", "i-2", "i-3", "i-4"].map(|id| (id, Health::InService));
    let instances = ["i-1", "i-2", "i-3", "i-4"].map(|id| (id, "good"));
    let mut spec = spec();
    for (count, floor) in [(6, 4), (4, 4), (2, 2)] {
        spec.count = count;
        let plan = build(&spec, &snapshot(&instances, &members), &identity()).expect("a plan");
        assert_eq!(plan.balancers[0].floor, floor, "{count}");
    }
}

#[test]
fn a_target_group_that_nothing_uses_is_refused() {
    let mut snapshot = snapshot(&[], &[]);
    snapshot.balancers[0].0.in_use = false;
    assert_eq!(build(&spec(), &snapshot, &identity()), Err(PlanError::NotInUse("front".into())));
}

#[test]
fn patience_that_cannot_suffice_is_refused_and_patience_that_may_not_is_told() {
    let mut snapshot = snapshot(&[], &[]);
    let seconds = Duration::from_secs;
    let check = Check { interval: seconds(30), timeout: seconds(5), healthy: 3, unhealthy: 2 };
    snapshot.balancers[0].0.check = Some(check);
    let mut spec = spec();
    spec.timeouts.in_service = seconds(60);
    let plan = build(&spec, &snapshot, &identity()).expect("a plan");
    let note =
        "front wants 3 passing checks 30s apart of a member that failed one; `timeouts.in_service` is 1m";
    assert_eq!(plan.notes, [note]);
    spec.timeouts.in_service = seconds(20);
    let refused = build(&spec, &snapshot, &identity()).expect_err("refused").to_string();
    let expected =
        "`timeouts.in_service` is 20s, and front checks a new member only every 30s: make it longer";
    assert_eq!(refused, expected);
}

#[test]
fn a_description_survives_and_fits() {
    let description = Description {
        deployment: "d".repeat(87),
        who: "w".repeat(90),
        commit: Some("c".repeat(40)),
        count: Some(5_000),
        rollback_of: Some(10_000),
    };
    let text = description.write();
    assert!(text.len() <= 255, "{}", text.len());
    let read = Description::read(&text);
    assert_eq!(read, Description { who: "w".repeat(64), ..description });
}

/// The record has two successes, `good` as number 2, and what was begun last as number 3.
fn recorded(instances: &[(&str, &str)], members: &[(&str, Health)]) -> Snapshot {
    let mut snapshot = snapshot(instances, members);
    let record = snapshot.record.as_mut().expect("a record");
    record.latest_version = 3;
    record.tags.insert(naming::SUCCEEDED.into(), "1-2".into());
    let version = |number: i64, deployment: &str| Version {
        number,
        description: format!("deployment={deployment} who=ann@laptop commit=- count=2"),
        created: DateTime::from_timestamp(1_800_000_000 + number, 0),
        created_by: None,
        data: TemplateData { image: format!("ami-{deployment}"), ..TemplateData::default() },
    };
    snapshot.versions = vec![version(3, "new"), version(2, "good"), version(1, "first")];
    snapshot
}

fn task(task: Task, snapshot: &Snapshot) -> Result<Plan, PlanError> {
    super::build(&spec(), snapshot, &identity(), &Intent { task, ..Intent::default() })
}

fn recovered(instances: &[(&str, &str)], members: &[(&str, Health)]) -> (Vec<String>, Ending) {
    let plan = task(Task::Recover, &recorded(instances, members)).expect("a plan");
    let goes = plan.old().into_iter().chain(&plan.leftovers).map(|goes| goes.id.clone()).collect();
    (goes, plan.ending)
}

#[test]
fn recovering_undoes_until_old_instances_have_ended_and_completes_from_then_on() {
    let serves = |id| (id, Health::InService);
    let all = [("i-1", "good"), ("i-2", "good"), ("i-3", "new"), ("i-4", "new")];
    let before = recovered(&all, &[serves("i-1"), serves("i-2"), serves("i-3"), serves("i-4")]);
    assert_eq!(before, (vec!["i-3".into(), "i-4".into()], Ending::Aborted(3)));
    let after = recovered(&all[1..], &[serves("i-2"), serves("i-3"), serves("i-4")]);
    assert_eq!(after, (vec!["i-2".into()], Ending::Success));
    let useless = recovered(&all[1..], &[serves("i-2"), ("i-3", Health::OutOfService)]);
    assert_eq!(useless, (vec!["i-3".into(), "i-4".into()], Ending::Aborted(3)), "the new do not serve");
}

/// What was launched long before the deployment that is taken back.
fn aged(mut snapshot: Snapshot, ids: &[&str]) -> Snapshot {
    for instance in snapshot.instances.iter_mut().filter(|i| ids.contains(&i.id.as_str())) {
        instance.launched = DateTime::from_timestamp(1_700_000_000, 0);
    }
    snapshot
}

#[test]
fn what_serves_goes_only_when_something_else_does() {
    let all = [("i-1", "good"), ("i-2", "good"), ("i-3", "new"), ("i-4", "new")];
    let plan = |first, second| {
        let healths = [first, second, Health::InService, Health::InService];
        let members: Vec<_> = all.iter().zip(healths).map(|((id, _), health)| (*id, health)).collect();
        let plan = task(Task::Abort, &aged(recorded(&all, &members), &["i-1", "i-2"])).expect("a plan");
        let ids = |some: &[Existing]| some.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        let adopted = ids(&plan.waves.iter().flat_map(|wave| wave.adopted.clone()).collect::<Vec<_>>());
        (adopted, plan.launches(), ids(&plan.kept), plan.balancers[0].floor)
    };
    let both = vec!["i-1".to_owned(), "i-2".to_owned()];
    let one = |id: &str| vec![id.to_owned()];
    assert_eq!(plan(Health::Initial, Health::Initial), (both, 0, vec![], 2), "they are waited for");
    assert_eq!(plan(Health::OutOfService, Health::InService), (one("i-2"), 0, one("i-1"), 1), "one is ill");
    let ill = plan(Health::OutOfService, Health::OutOfService);
    assert_eq!(ill, (vec![], 1, one("i-1"), 1), "both are ill: one is replaced before the others go");
}

#[test]
fn a_rollback_repeats_the_last_success_that_does_not_run() {
    let runs = recorded(&[("i-1", "good")], &[("i-1", Health::InService)]);
    assert_eq!(candidate(&runs, None).map(|version| version.number), Ok(1));
    let failed = recorded(&[("i-1", "new")], &[("i-1", Health::InService)]);
    assert_eq!(candidate(&failed, None).map(|version| version.number), Ok(2), "the last success is gone");
    let mut died = recorded(&[], &[]);
    died.record.as_mut().expect("a record").latest_version = 2;
    assert_eq!(candidate(&died, None).map(|version| version.number), Ok(1), "all of the last success died");
    assert_eq!(candidate(&runs, Some(3)), Err(PlanError::NeverSucceeded(3)));
    assert_eq!(candidate(&runs, Some(9)), Err(PlanError::NoSuchNumber(9)));
    let plan = task(Task::Rollback(None), &runs).expect("a plan");
    assert_eq!((plan.template.image.as_str(), plan.count, plan.strategy), ("ami-first", 2, "blue-green"));
    let Recording::New(description) = &plan.record else { panic!("{:?}", plan.record) };
    assert!(description.ends_with(" count=2 rollback-of=1"), "{description}");
}

#[test]
fn what_is_over_is_neither_promoted_nor_taken_back() {
    let mut snapshot = recorded(&[("i-1", "good")], &[("i-1", Health::InService)]);
    snapshot.record.as_mut().expect("a record").latest_version = 2;
    assert!(matches!(task(Task::Promote, &snapshot), Err(PlanError::NothingToPromote(_))));
    assert!(matches!(task(Task::Abort, &snapshot), Err(PlanError::NothingToAbort(_))));
}

#[test]
fn any_count_is_spread_evenly_and_completely() {
    proptest::proptest!(|(count in 1u32..1_500)| {
        let mut spec = spec();
        spec.count = count;
        let plan = build(&spec, &snapshot(&[], &[]), &identity()).expect("a plan");
        assert_eq!(plan.launches(), count);
        assert!(plan.waves[0].batches.iter().all(|batch| (1..=200).contains(&batch.count)));
        let slots: Vec<u32> = plan.waves[0].batches.iter().map(|batch| batch.slot).collect();
        assert_eq!(slots, (0..slots.len() as u32).collect::<Vec<_>>());
    });
}
