//! Facts 6, 8, 10, 12, 13, 30: instances that exist.
use super::*;

fn ids_of(names: &[String]) -> InstanceIds {
    InstanceIds { ids: names.to_vec(), force: false }
}

#[test]
fn pending_takes_its_time_and_its_machine() {
    let mut bench = Bench::with(Delays { pending_ms: 400, ..Delays::none() });
    let id = bench.boot(1).remove(0);
    bench.pass(399);
    assert_eq!(bench.state(&id), InstanceState::Pending);
    bench.pass(1);
    assert_eq!(bench.state(&id), InstanceState::Running);

    bench.obliging = false;
    let slow = bench.boot(1).remove(0);
    bench.pass(60_000);
    assert_eq!(bench.state(&slow), InstanceState::Pending, "time alone does not boot a machine");
    bench.observe(&Observation::MachineStarted { id: slow.clone() });
    assert_eq!(bench.state(&slow), InstanceState::Running);
}

#[test]
fn fact_06_pages_hold_every_record_once() {
    let mut bench = Bench::quick();
    let mut wanted = bench.boot(12);
    wanted.sort();
    let mut seen = Vec::new();
    let mut next_token = None;
    loop {
        let body = Describe { max_results: Some(5), next_token: next_token.clone(), ..Describe::default() };
        let Ok(Response::Instances(page)) = bench.ec2(Ec2Request::DescribeInstances(body)) else { panic!() };
        let ids: Vec<String> = page.items.iter().flat_map(|r| &r.instances).map(|i| i.id.clone()).collect();
        assert!(ids.len() <= 5);
        seen.extend(ids);
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, wanted);
}

#[test]
fn fact_06_max_results_cannot_be_combined_with_ids_and_has_bounds() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let body = Describe { max_results: Some(5), ..by_ids(&[&id]) };
    assert_eq!(code(bench.describe(body)), "InvalidParameterCombination");
    for size in [4, 1001] {
        let body = Describe { max_results: Some(size), ..Describe::default() };
        assert_eq!(code(bench.describe(body)), "InvalidParameterValue");
    }
    let body = Describe { next_token: Some("garbage".to_owned()), ..Describe::default() };
    assert_eq!(code(bench.describe(body)), "InvalidParameterValue");
}

#[test]
fn fact_06_naming_one_id_in_an_impaired_zone_fails_the_whole_call() {
    let config =
        Config { delays: Delays::none(), impaired_zones: vec!["us-east-1b".to_owned()], ..Config::default() };
    let mut bench = Bench::new(config);
    let well = bench.boot(1).remove(0);
    let mut body = run(1, 1);
    body.spec.zone = Some("us-east-1b".to_owned());
    let ill = bench.launch(body).unwrap().remove(0).id;
    assert_eq!(code(bench.describe(by_ids(&[&well, &ill]))), "Unavailable");
    assert_eq!(bench.describe(by_ids(&[&well])).unwrap().len(), 1);
    assert_eq!(bench.describe(by_filter("instance-state-name", &["running"])).unwrap().len(), 2);
}

#[test]
fn filters_join_by_and_their_values_by_or_with_wildcards() {
    let mut bench = Bench::quick();
    let mut names = Vec::new();
    for name in ["web-1", "web-2", "db*1"] {
        let mut body = run(1, 1);
        body.spec.tags.insert("instance".to_owned(), tags(&[("Name", name), ("env", "test")]));
        names.push(bench.launch(body).unwrap().remove(0).id);
    }
    let mut count = |name: &str, values: &[&str]| bench.describe(by_filter(name, values)).unwrap().len();
    assert_eq!(count("tag:Name", &["web-*"]), 2);
    assert_eq!(count("tag:Name", &["web-?", "db*"]), 3);
    assert_eq!(count("tag:Name", &[r"db\*1"]), 1);
    assert_eq!(count("tag:Name", &["web"]), 0);
    assert_eq!(count("tag-key", &["env"]), 3);
    assert_eq!(count("instance-state-name", &["stopped", "running"]), 3);
    assert_eq!(count("image-id", &[MAYFLY_BARE]), 3);
    assert_eq!(count("private-ip-address", &["10.77.*"]), 3);
    assert_eq!(count("vpc-id", &["vpc-none"]), 0);
    assert_eq!(code(bench.describe(by_filter("colour", &["red"]))), "InvalidParameterValue");
    let mut both = by_filter("tag:Name", &["web-1"]);
    both.filters.extend(by_filter("tag:env", &["prod"]).filters);
    assert!(bench.describe(both).unwrap().is_empty());
}

#[test]
fn ids_are_malformed_before_they_are_absent() {
    let mut bench = Bench::quick();
    for bad in ["i-xyz", "i-123", "web-1", "i-0123456789ABCDEF0"] {
        assert_eq!(code(bench.describe(by_ids(&[bad]))), "InvalidInstanceID.Malformed", "{bad}");
    }
    assert_eq!(code(bench.describe(by_ids(&["i-0123456789abcdef0"]))), "InvalidInstanceID.NotFound");
    assert_eq!(code(bench.terminate(&[])), "MissingParameter");
}

#[test]
fn fact_08_stopping_waits_for_the_machine_and_starting_boots_its_disk_again() {
    let mut bench = Bench::with(Delays { stopping_ms: 200, pending_ms: 100, ..Delays::none() });
    let id = bench.boot(1).remove(0);
    assert_eq!(
        code(bench.ec2(Ec2Request::StopInstances(ids_of(std::slice::from_ref(&id))))),
        "IncorrectInstanceState"
    );
    bench.pass(100);
    let address = bench.world.instance(&id).unwrap().private_ip;
    let Ok(Response::StateChanges(changes)) =
        bench.ec2(Ec2Request::StopInstances(ids_of(std::slice::from_ref(&id))))
    else {
        panic!()
    };
    assert_eq!((changes[0].previous, changes[0].current), (InstanceState::Running, InstanceState::Stopping));
    assert_eq!(
        code(bench.ec2(Ec2Request::StartInstances(ids_of(std::slice::from_ref(&id))))),
        "IncorrectInstanceState"
    );
    bench.pass(200);
    assert_eq!(bench.state(&id), InstanceState::Stopped);
    bench.ec2(Ec2Request::StartInstances(ids_of(std::slice::from_ref(&id)))).unwrap();
    assert_eq!(bench.state(&id), InstanceState::Pending);
    bench.pass(100);
    assert_eq!(bench.state(&id), InstanceState::Running);
    assert_eq!(bench.world.instance(&id).unwrap().private_ip, address);
    assert_eq!(bench.started(), 2);
}

#[test]
fn status_checks_go_from_initializing_to_ok_and_skip_what_does_not_run() {
    let mut bench = Bench::with(Delays { status_ok_ms: 500, ..Delays::none() });
    let ids = bench.boot(2);
    bench.ec2(Ec2Request::StopInstances(ids_of(&ids[..1]))).unwrap();
    let mut checks = |include_all, wait| {
        bench.pass(wait);
        let body = DescribeInstanceStatus { describe: Describe::default(), include_all };
        let Ok(Response::Statuses(page)) = bench.ec2(Ec2Request::DescribeInstanceStatus(body)) else {
            panic!()
        };
        page.items.into_iter().map(|status| status.check).collect::<Vec<_>>()
    };
    assert_eq!(checks(false, 0), ["initializing"]);
    assert_eq!(checks(false, 500), ["ok"]);
    let mut all = checks(true, 0);
    all.sort_unstable();
    assert_eq!(all, ["not-applicable", "ok"]);
}

#[test]
fn fact_10_metadata_options_are_those_of_the_launch_and_can_be_changed() {
    let mut bench = Bench::quick();
    let mut body = run(1, 1);
    let plain = bench.launch(body.clone()).unwrap().remove(0);
    assert_eq!(plain.metadata, MetadataOptions::default());
    assert_eq!(plain.metadata.hop_limit, 1);
    body.spec.http_tokens = Some("required".to_owned());
    body.spec.hop_limit = Some(2);
    let strict = bench.launch(body).unwrap().remove(0);
    assert!(strict.metadata.tokens_required && strict.metadata.hop_limit == 2);
    let spec = LaunchSpec { http_endpoint: Some("disabled".to_owned()), ..LaunchSpec::default() };
    bench
        .ec2(Ec2Request::ModifyInstanceMetadataOptions(ModifyMetadata { id: strict.id.clone(), spec }))
        .unwrap();
    let after = &bench.world.instance(&strict.id).unwrap().metadata;
    assert!(!after.enabled && after.tokens_required);
}

#[test]
fn fact_12_shutdown_from_inside_stops_by_default_and_terminates_when_told_so() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.observe(&Observation::MachinePoweredOff { id: id.clone() });
    assert_eq!(bench.state(&id), InstanceState::Stopped);
    assert_eq!(
        bench.world.instance(&id).unwrap().reason.as_ref().unwrap().code,
        "Client.InstanceInitiatedShutdown"
    );

    let mut body = run(1, 1);
    body.spec.shutdown = Some("terminate".to_owned());
    // Protection is against the API only.
    body.spec.termination_protection = Some(true);
    let id = bench.launch(body).unwrap().remove(0).id;
    assert_eq!(code(bench.terminate(std::slice::from_ref(&id))), "OperationNotPermitted");
    bench.observe(&Observation::MachinePoweredOff { id: id.clone() });
    assert_eq!(bench.state(&id), InstanceState::Terminated);
}

#[test]
fn a_machine_that_dies_is_terminated_with_the_reason() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.observe(&Observation::MachineDied { id: id.clone(), reason: "init was killed".to_owned() });
    let dead = bench.world.instance(&id).unwrap();
    assert_eq!(dead.state, InstanceState::Terminated);
    assert_eq!(dead.reason.as_ref().unwrap().message, "Server.InternalError: init was killed");
}

#[test]
fn fact_13_terminating_is_idempotent() {
    let mut bench = Bench::with(Delays { shutting_down_ms: 200, ..Delays::none() });
    let ids = bench.boot(1);
    let mut change = || match bench.terminate(&ids) {
        Ok(Response::StateChanges(mut changes)) => changes.remove(0),
        other => panic!("{other:?}"),
    };
    let first = change();
    assert_eq!((first.previous, first.current), (InstanceState::Running, InstanceState::ShuttingDown));
    let second = change();
    assert_eq!((second.previous, second.current), (InstanceState::ShuttingDown, InstanceState::ShuttingDown));
    bench.pass(200);
    let Ok(Response::StateChanges(third)) = bench.terminate(&ids) else { panic!() };
    assert_eq!(third[0].current, InstanceState::Terminated);
    let ends = bench.effects.iter().filter(|effect| matches!(effect, Effect::DestroyMachine { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn fact_13_one_bad_id_terminates_none() {
    let mut bench = Bench::quick();
    let mut ids = bench.boot(2);
    ids.push("i-0123456789abcdef0".to_owned());
    assert_eq!(code(bench.terminate(&ids)), "InvalidInstanceID.NotFound");
    ids[2] = "nonsense".to_owned();
    assert_eq!(code(bench.terminate(&ids)), "InvalidInstanceID.Malformed");
    assert!(ids[..2].iter().all(|id| bench.state(id) == InstanceState::Running));
}

#[test]
fn fact_13_corpses_stay_visible_for_about_an_hour() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.terminate(std::slice::from_ref(&id)).unwrap();
    bench.pass(3_599_000);
    assert_eq!(bench.describe(by_ids(&[&id])).unwrap()[0].state, InstanceState::Terminated);
    bench.pass(2_000);
    assert_eq!(code(bench.describe(by_ids(&[&id]))), "InvalidInstanceID.NotFound");
    assert!(bench.describe(Describe::default()).unwrap().is_empty());
}

#[test]
fn a_stopped_machine_is_terminated_too_and_its_address_is_given_back() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.ec2(Ec2Request::StopInstances(ids_of(std::slice::from_ref(&id)))).unwrap();
    bench.terminate(std::slice::from_ref(&id)).unwrap();
    assert_eq!(bench.state(&id), InstanceState::Terminated);
    let address = bench.world.instance(&id).unwrap().private_ip;
    let mut body = RunInstances { private_ip: Some(address.to_string()), ..run(1, 1) };
    body.spec.subnet_id = Some(bench.world.instance(&id).unwrap().subnet_id.clone());
    assert!(bench.launch(body).is_ok());
}

#[test]
fn attributes_are_read_back_and_some_need_a_stop() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let change = |instance_type: Option<&str>, protection: Option<bool>| {
        Ec2Request::ModifyInstanceAttribute(ModifyInstanceAttribute {
            id: id.clone(),
            instance_type: instance_type.map(str::to_owned),
            termination_protection: protection,
            ..ModifyInstanceAttribute::default()
        })
    };
    assert_eq!(code(bench.ec2(change(Some("t3.large"), None))), "IncorrectInstanceState");
    bench.ec2(change(None, Some(true))).unwrap();
    assert_eq!(code(bench.terminate(std::slice::from_ref(&id))), "OperationNotPermitted");
    bench.ec2(change(None, Some(false))).unwrap();
    bench.ec2(Ec2Request::StopInstances(ids_of(std::slice::from_ref(&id)))).unwrap();
    bench.ec2(change(Some("t3.large"), None)).unwrap();
    let body = InstanceAttribute { id: id.clone(), attribute: "instanceType".to_owned() };
    let Ok(Response::Attribute { value, .. }) = bench.ec2(Ec2Request::DescribeInstanceAttribute(body)) else {
        panic!()
    };
    assert_eq!(value.1.as_deref(), Some("t3.large"));
}

#[test]
fn fact_30_the_console_of_a_machine_that_has_not_started_is_empty() {
    let mut bench = Bench::quick();
    bench.obliging = false;
    let id = bench.boot(1).remove(0);
    let started = |bench: &mut Bench| match bench.ec2(Ec2Request::GetConsoleOutput(id.clone())) {
        Ok(Response::Console { started, .. }) => started,
        other => panic!("{other:?}"),
    };
    assert!(!started(&mut bench));
    bench.observe(&Observation::MachineStarted { id: id.clone() });
    assert!(started(&mut bench));
}
