//! Facts 1–5, 7, 9, 11: what a launch promises and what it does not.
use super::*;

fn ids(instances: &[Instance]) -> Vec<String> {
    instances.iter().map(|instance| instance.id.clone()).collect()
}

fn in_zone(mut body: RunInstances, zone: &str) -> RunInstances {
    body.spec.zone = Some(zone.to_owned());
    body
}

#[test]
fn fact_01_a_client_token_launches_once() {
    let mut bench = Bench::quick();
    let first = bench.launch(with_token("deploy-1-slot-0")).unwrap();
    let again = bench.launch(with_token("deploy-1-slot-0")).unwrap();
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(bench.started(), 1);
    let other = bench.launch(with_token("deploy-1-slot-1")).unwrap();
    assert_ne!(ids(&first), ids(&other));
}

#[test]
fn fact_01_a_client_token_with_other_parameters_is_a_mismatch() {
    let mut bench = Bench::quick();
    bench.launch(with_token("t")).unwrap();
    let mut other = with_token("t");
    other.spec.instance_type = Some("t3.large".to_owned());
    assert_eq!(code(bench.launch(other)), "IdempotentParameterMismatch");
    assert_eq!(code(bench.launch(RunInstances { max: 2, ..with_token("t") })), "IdempotentParameterMismatch");
    assert_eq!(bench.started(), 1);
}

#[test]
fn fact_01_a_client_token_is_zonal_when_a_zone_or_subnet_is_named() {
    let mut bench = Bench::quick();
    let a = bench.launch(in_zone(with_token("t"), "us-east-1a")).unwrap();
    let b = bench.launch(in_zone(with_token("t"), "us-east-1b")).unwrap();
    assert_ne!(ids(&a), ids(&b));
    let anywhere = bench.launch(with_token("t")).unwrap();
    assert!(anywhere[0].id != a[0].id && anywhere[0].id != b[0].id);
    let again = bench.launch(in_zone(with_token("t"), "us-east-1b")).unwrap();
    assert_eq!(ids(&b), ids(&again));
    // A subnet is a zone: the same token there with other words is another request.
    let mut by_subnet = with_token("t");
    by_subnet.spec.subnet_id = Some(b[0].subnet_id.clone());
    assert_eq!(code(bench.launch(by_subnet)), "IdempotentParameterMismatch");
}

#[test]
fn fact_01_a_client_token_hands_back_dead_instances() {
    let mut bench = Bench::quick();
    let first = bench.launch(with_token("t")).unwrap();
    bench.pass(1);
    bench.terminate(&ids(&first)).unwrap();
    bench.pass(3 * 3_600_000);
    let again = bench.launch(with_token("t")).unwrap();
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(again[0].state, InstanceState::Terminated);
    // A day after, the token is free.
    bench.pass(25 * 3_600_000);
    assert_ne!(ids(&bench.launch(with_token("t")).unwrap()), ids(&first));
}

#[test]
fn fact_01_a_client_token_has_at_most_64_characters() {
    let mut bench = Bench::quick();
    assert!(bench.launch(with_token(&"x".repeat(64))).is_ok());
    assert_eq!(code(bench.launch(with_token(&"x".repeat(65)))), "InvalidParameterValue");
}

#[test]
fn fact_02_a_fresh_instance_is_not_found_and_then_is() {
    let mut bench = Bench::with(Delays { visible_ms: 300, ..Delays::none() });
    let mut body = run(1, 1);
    body.spec.tags.insert("instance".to_owned(), tags(&[("Name", "web")]));
    let launched = bench.launch(body).unwrap();
    let id = launched[0].id.as_str();
    bench.pass(299);
    assert_eq!(code(bench.describe(by_ids(&[id]))), "InvalidInstanceID.NotFound");
    assert!(bench.describe(by_filter("tag:Name", &["web"])).unwrap().is_empty());
    assert_eq!(code(bench.terminate(&[id.to_owned()])), "InvalidInstanceID.NotFound");
    bench.pass(1);
    assert_eq!(bench.describe(by_ids(&[id])).unwrap().len(), 1);
    assert_eq!(bench.describe(by_filter("tag:Name", &["web"])).unwrap().len(), 1);
}

#[test]
fn fact_03_between_min_and_max_as_many_as_fit() {
    let capacity = vec![Capacity { instance_type: None, zone: Some("us-east-1a".to_owned()), max: 3 }];
    let mut bench = Bench::new(Config { delays: Delays::none(), capacity, ..Config::default() });
    let partial = bench.launch(in_zone(run(1, 5), "us-east-1a")).unwrap();
    assert_eq!(partial.len(), 3);
    assert_eq!(code(bench.launch(in_zone(run(1, 1), "us-east-1a"))), "InsufficientInstanceCapacity");
    // Another zone, or none named, has room.
    assert_eq!(bench.launch(in_zone(run(2, 2), "us-east-1b")).unwrap().len(), 2);
    assert!(bench.launch(run(5, 5)).unwrap().iter().all(|instance| instance.zone != "us-east-1a"));
}

#[test]
fn fact_03_below_min_none_is_launched() {
    let capacity = vec![Capacity { instance_type: Some("t3.micro".to_owned()), zone: None, max: 3 }];
    let mut bench = Bench::new(Config { delays: Delays::none(), capacity, ..Config::default() });
    assert_eq!(code(bench.launch(run(4, 9))), "InsufficientInstanceCapacity");
    assert_eq!(bench.started(), 0);
    assert_eq!(code(bench.launch(run(3, 2))), "InvalidParameterValue");
    assert_eq!(code(bench.launch(run(0, 2))), "InvalidParameterValue");
}

#[test]
fn fact_04_insufficient_capacity_is_http_500_and_ends_when_instances_do() {
    let capacity = vec![Capacity { instance_type: None, zone: None, max: 1 }];
    let mut bench = Bench::new(Config { delays: Delays::none(), capacity, ..Config::default() });
    let first = bench.boot(1);
    let error = bench.launch(run(1, 1)).unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("InsufficientInstanceCapacity", 500));
    bench.terminate(&first).unwrap();
    bench.pass(1);
    assert!(bench.launch(run(1, 1)).is_ok());
}

#[test]
fn fact_05_throttling_is_per_action_and_refills() {
    let throttles = vec![Throttle { action: "DescribeInstances".to_owned(), burst: 2, per_second: 1.0 }];
    let mut bench = Bench::new(Config { delays: Delays::none(), throttles, ..Config::default() });
    bench.describe(Describe::default()).unwrap();
    bench.describe(Describe::default()).unwrap();
    let error = bench.describe(Describe::default()).unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("RequestLimitExceeded", 503));
    assert!(bench.ec2(Ec2Request::DescribeImages(DescribeImages::default())).is_ok());
    bench.pass(1_000);
    bench.describe(Describe::default()).unwrap();
    assert!(bench.describe(Describe::default()).is_err());
}

#[test]
fn fact_05_run_instances_is_throttled_by_resources_too() {
    let throttles = vec![Throttle { action: "RunInstances:resources".to_owned(), burst: 3, per_second: 1.0 }];
    let mut bench = Bench::new(Config { delays: Delays::none(), throttles, ..Config::default() });
    bench.launch(run(2, 2)).unwrap();
    assert_eq!(code(bench.launch(run(2, 2))), "RequestLimitExceeded");
    bench.pass(1_000);
    assert!(bench.launch(run(2, 2)).is_ok());
}

#[test]
fn fact_07_a_launch_that_was_answered_200_can_die_pending() {
    let kind = FaultKind::LaunchDies {
        code: "Client.VolumeLimitExceeded".to_owned(),
        message: "Volume limit exceeded".to_owned(),
    };
    let faults = vec![Fault { action: "RunInstances".to_owned(), skip: 0, times: 1, kind }];
    let delays = Delays { visible_ms: 0, ..Delays::default() };
    let mut bench = Bench::new(Config { delays, faults, ..Config::default() });
    let id = bench.boot(1).remove(0);
    assert_eq!(bench.describe(by_ids(&[&id])).unwrap()[0].state, InstanceState::Pending);
    bench.pass(2_000);
    let dead = bench.describe(by_ids(&[&id])).unwrap().remove(0);
    assert_eq!(dead.state, InstanceState::Terminated);
    let reason = dead.reason.unwrap();
    assert_eq!(reason.code, "Client.VolumeLimitExceeded");
    assert_eq!(reason.message, "Client.VolumeLimitExceeded: Volume limit exceeded");
    assert_eq!(bench.started(), 0, "no machine is made for it");
    bench.boot(1);
    assert_eq!(bench.started(), 1, "the next launch is well");
}

#[test]
fn fact_07_a_machine_that_cannot_start_is_terminated_with_its_reason() {
    let mut bench = Bench::quick();
    bench.obliging = false;
    let id = bench.boot(1).remove(0);
    bench.observe(&Observation::MachineFailed { id: id.clone(), reason: "no overlay".to_owned() });
    assert_eq!(bench.state(&id), InstanceState::ShuttingDown);
    bench.observe(&Observation::MachineGone { id: id.clone() });
    let dead = bench.describe(by_ids(&[&id])).unwrap().remove(0);
    assert_eq!(dead.state, InstanceState::Terminated);
    assert_eq!(dead.reason.unwrap().message, "Server.InternalError: no overlay");
}

#[test]
fn fact_09_user_data_is_limited_to_16_kb_before_base64() {
    use base64::Engine as _;
    let encode = |length: usize| base64::engine::general_purpose::STANDARD.encode(vec![7u8; length]);
    let mut bench = Bench::quick();
    let mut body = run(1, 1);
    body.spec.user_data = Some(encode(16_384));
    let instance = bench.launch(body.clone()).unwrap().remove(0);
    assert_eq!(instance.user_data.unwrap().len(), 16_384);
    body.spec.user_data = Some(encode(16_385));
    assert_eq!(code(bench.launch(body.clone())), "InvalidParameterValue");
    body.spec.user_data = Some("#mayfly".to_owned());
    assert_eq!(code(bench.launch(body)), "InvalidParameterValue");
}

#[test]
fn fact_11_tags_are_there_from_birth_or_nothing_is() {
    let mut bench = Bench::quick();
    let mut body = run(2, 2);
    body.spec.tags.insert("instance".to_owned(), tags(&[("mayfly:service", "greeter")]));
    bench.launch(body.clone()).unwrap();
    assert_eq!(bench.describe(by_filter("tag:mayfly:service", &["greeter"])).unwrap().len(), 2);
    body.spec.tags.insert("instance".to_owned(), tags(&[("aws:mine", "x")]));
    assert_eq!(code(bench.launch(body.clone())), "InvalidParameterValue");
    let many: Tags = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
    body.spec.tags.insert("instance".to_owned(), many);
    assert_eq!(code(bench.launch(body)), "TagLimitExceeded");
    assert_eq!(bench.started(), 2);
}

#[test]
fn a_bad_parameter_launches_nothing_and_names_itself() {
    let bad = |change: fn(&mut LaunchSpec)| {
        let mut bench = Bench::quick();
        let mut body = run(1, 1);
        change(&mut body.spec);
        let code = code(bench.launch(body));
        assert_eq!(bench.started(), 0);
        code
    };
    assert_eq!(bad(|spec| spec.image_id = None), "MissingParameter");
    assert_eq!(bad(|spec| spec.image_id = Some("ami-zz".to_owned())), "InvalidAMIID.Malformed");
    assert_eq!(bad(|spec| spec.image_id = Some("ami-12345678".to_owned())), "InvalidAMIID.NotFound");
    assert_eq!(bad(|spec| spec.instance_type = Some("t9.huge".to_owned())), "InvalidParameterValue");
    assert_eq!(bad(|spec| spec.subnet_id = Some("subnet-12345678".to_owned())), "InvalidSubnetID.NotFound");
    assert_eq!(bad(|spec| spec.zone = Some("us-east-1z".to_owned())), "InvalidParameterValue");
    assert_eq!(bad(|spec| spec.group_ids = vec!["sg-12345678".to_owned()]), "InvalidGroup.NotFound");
    assert_eq!(bad(|spec| spec.shutdown = Some("explode".to_owned())), "InvalidParameterValue");
    assert_eq!(bad(|spec| spec.hop_limit = Some(65)), "InvalidParameterValue");
    assert_eq!(bad(|spec| spec.http_tokens = Some("maybe".to_owned())), "InvalidParameterValue");
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let mut bench = Bench::quick();
    let dry = |body| Request::Ec2(Box::new(Ec2Request::RunInstances(body)), true);
    let outcome = bench.outcome(&dry(run(1, 1)));
    let error = outcome.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("DryRunOperation", 412));
    let mut body = run(1, 1);
    body.spec.image_id = Some("ami-12345678".to_owned());
    assert_eq!(code(bench.outcome(&dry(body)).result), "InvalidAMIID.NotFound");
    assert_eq!((bench.started(), bench.world.instances().count()), (0, 0));
}

#[test]
fn addresses_are_distinct_and_the_public_one_mirrors_the_private() {
    let mut bench = Bench::quick();
    let launched = bench.launch(run(20, 20)).unwrap();
    let distinct: std::collections::BTreeSet<_> = launched.iter().map(|i| i.private_ip).collect();
    assert_eq!(distinct.len(), 20);
    for instance in &launched {
        let ([a, b, x, y], public) = (instance.private_ip.octets(), instance.public_ip.octets());
        assert_eq!(([a, b], public), ([10, 77], [127, 77, x, y]));
    }
    let mut taken = RunInstances { private_ip: Some(launched[0].private_ip.to_string()), ..run(1, 1) };
    taken.spec.subnet_id = Some(launched[0].subnet_id.clone());
    assert_eq!(code(bench.launch(taken)), "InvalidIPAddress.InUse");
}
