//! Plans by exact text, and who counts as old or left over.

use super::{Batch, DateTime, Duration, Existing, Identity, Intent, Plan, PlanError};
use crate::cloud::{Balancer, Health, Instance, InstanceState, Member, Subnet, Template};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

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
    Instance {
        id: id.into(),
        state: InstanceState::Running,
        reason: None,
        private_ip: None,
        public_ip: None,
        subnet: None,
        zone: None,
        instance_type: "t3.micro".into(),
        image: "ami-0".into(),
        launched: None,
        tags,
    }
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
