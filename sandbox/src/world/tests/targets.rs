//! Facts 18–23, registration and draining: targets of application and network balancers, in virtual time.
use super::*;

pub(super) const A: &str = "subnet-00000000000000001";
pub(super) const B: &str = "subnet-00000000000000002";

/// What a balancer with one target group is made of.
#[derive(Clone, Copy)]
pub(super) struct Elb2 {
    pub(super) kind: BalancerKind,
    pub(super) protocol: TargetProtocol,
    pub(super) target_type: TargetType,
}

impl Elb2 {
    pub(super) const APPLICATION: Self = Self {
        kind: BalancerKind::Application,
        protocol: TargetProtocol::Http,
        target_type: TargetType::Instance,
    };
    pub(super) const NETWORK: Self = Self {
        kind: BalancerKind::Network,
        protocol: TargetProtocol::Tcp,
        target_type: TargetType::Instance,
    };
    pub(super) const IP: Self = Self { target_type: TargetType::Ip, ..Self::APPLICATION };
}

/// State, reason and description.
pub(super) type Status = (&'static str, Option<&'static str>, Option<String>);

pub(super) fn target(id: &str) -> TargetRef {
    TargetRef { id: id.to_owned(), ..TargetRef::default() }
}

fn targets(group: &str, ids: &[String]) -> GroupTargets {
    GroupTargets { group: group.to_owned(), targets: ids.iter().map(|id| target(id)).collect() }
}

impl Bench {
    pub(super) fn target_group(&mut self, name: &str, parts: Elb2) -> String {
        let check = CheckSettings {
            healthy_threshold: Some(2),
            unhealthy_threshold: Some(2),
            interval: Some(5),
            timeout: Some(2),
            ..CheckSettings::default()
        };
        let body = CreateTargetGroup {
            name: name.to_owned(),
            protocol: Some(parts.protocol),
            port: Some(8080),
            vpc_id: Some(VPC.to_owned()),
            target_type: parts.target_type,
            check,
            tags: Tags::new(),
        };
        match self.elbv2(Elbv2Request::CreateTargetGroup(body)) {
            Ok(Response::TargetGroups(page)) => page.items[0].group.arn.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Over zones a and b.
    pub(super) fn load_balancer(&mut self, name: &str, kind: BalancerKind) -> String {
        let subnets = vec![A.to_owned(), B.to_owned()];
        let body =
            CreateLoadBalancer { name: name.to_owned(), kind, subnets, ..CreateLoadBalancer::default() };
        match self.elbv2(Elbv2Request::CreateLoadBalancer(body)) {
            Ok(Response::LoadBalancers(page)) => page.items[0].balancer.arn.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn listen(&mut self, balancer: &str, port: u16, forward: &[(&str, u32)]) -> ApiResult<String> {
        let protocol = if balancer.contains("/net/") { TargetProtocol::Tcp } else { TargetProtocol::Http };
        let forward =
            forward.iter().map(|(group, weight)| ForwardTo { group: (*group).to_owned(), weight: *weight });
        let body = CreateListener {
            load_balancer: balancer.to_owned(),
            protocol,
            port,
            forward: forward.collect(),
            tags: Tags::new(),
        };
        match self.elbv2(Elbv2Request::CreateListener(body))? {
            Response::Listeners(page) => Ok(page.items[0].listener.arn.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// A target group behind a listener; its ARN and the balancer's.
    pub(super) fn target_balancer(&mut self, name: &str, parts: Elb2) -> (String, String) {
        let group = self.target_group(name, parts);
        let balancer = self.load_balancer(name, parts.kind);
        self.listen(&balancer, 80, &[(&group, 1)]).expect("a listener");
        (group, balancer)
    }

    pub(super) fn enroll(&mut self, group: &str, ids: &[String]) -> ApiResult<Response> {
        self.elbv2(Elbv2Request::RegisterTargets(targets(group, ids)))
    }

    pub(super) fn dismiss(&mut self, group: &str, ids: &[String]) -> ApiResult<Response> {
        self.elbv2(Elbv2Request::DeregisterTargets(targets(group, ids)))
    }

    pub(super) fn check(&mut self, group: &str, id: &str, outcome: ProbeOutcome) {
        let (pool, backend) = (group.to_owned(), format!("{id}:8080"));
        self.observe(&Observation::Probed { pool, backend, outcome });
    }

    pub(super) fn target_health(&mut self, group: &str, ids: &[String]) -> ApiResult<Vec<TargetHealth>> {
        match self.elbv2(Elbv2Request::DescribeTargetHealth(targets(group, ids)))? {
            Response::TargetHealth(all) => Ok(all),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn status(&mut self, group: &str, id: &str) -> Status {
        self.target_health(group, &[id.to_owned()]).expect("health").remove(0).status
    }

    /// State and reason.
    pub(super) fn brief(&mut self, group: &str, id: &str) -> (&'static str, &'static str) {
        let (state, reason, _) = self.status(group, id);
        (state, reason.unwrap_or_default())
    }

    pub(super) fn attribute(&mut self, group: &str, key: &str, value: &str) -> ApiResult<Response> {
        let attributes = vec![(key.to_owned(), value.to_owned())];
        self.elbv2(Elbv2Request::ModifyTargetGroupAttributes(SetAttributes {
            arn: group.to_owned(),
            attributes,
        }))
    }

    /// What the data path was told last of this backend.
    pub(super) fn sent(&self, id: &str) -> Option<Backend> {
        let plan = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::BalancerChanged(plan) => Some(plan),
            _ => None,
        });
        let backends = plan.into_iter().flat_map(|plan| &plan.pools).flat_map(|pool| &pool.backends);
        let mut found = backends.filter(|backend| backend.id == format!("{id}:8080"));
        found.next().cloned()
    }

    pub(super) fn traffic(&self, id: &str) -> Traffic {
        self.sent(id).map_or(Traffic::None, |backend| backend.traffic)
    }

    /// So many running instances that are healthy targets.
    pub(super) fn healthy(&mut self, group: &str, count: u32) -> Vec<String> {
        let ids = self.boot(count);
        self.enroll(group, &ids).expect("registered");
        ids.iter().for_each(|id| self.check(group, id, ProbeOutcome::Passed));
        ids
    }
}

#[test]
fn fact_18_a_target_goes_from_registering_to_checking_to_healthy() {
    let mut bench = Bench::with(Delays { registration_ms: 500, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let id = bench.boot(1).remove(0);
    bench.enroll(&group, std::slice::from_ref(&id)).unwrap();
    assert_eq!(bench.brief(&group, &id), ("initial", "Elb.RegistrationInProgress"));
    bench.check(&group, &id, ProbeOutcome::Passed);
    assert_eq!(bench.brief(&group, &id), ("initial", "Elb.RegistrationInProgress"), "nobody checks yet");
    assert!(bench.sent(&id).unwrap().probe.is_none());
    bench.pass(500);
    assert_eq!(bench.brief(&group, &id), ("initial", "Elb.InitialHealthChecking"));
    assert!(bench.sent(&id).unwrap().probe.is_some());
    bench.check(&group, &id, ProbeOutcome::Passed);
    assert_eq!(bench.status(&group, &id), ("healthy", None, None));
    assert_eq!(bench.traffic(&id), Traffic::New);
}

#[test]
fn fact_18_without_a_listener_a_target_is_unused_for_ever() {
    let mut bench = Bench::quick();
    let group = bench.target_group("web", Elb2::APPLICATION);
    let ids = bench.boot(1);
    bench.enroll(&group, &ids).unwrap();
    bench.check(&group, &ids[0], ProbeOutcome::Passed);
    bench.pass(3_600_000);
    let (state, reason, text) = bench.status(&group, &ids[0]);
    assert_eq!((state, reason), ("unused", Some("Target.NotInUse")));
    assert_eq!(text.unwrap(), "Target group is not configured to receive traffic from the load balancer");
    let balancer = bench.load_balancer("web", BalancerKind::Application);
    bench.listen(&balancer, 80, &[(&group, 1)]).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.InitialHealthChecking"));
}

#[test]
fn fact_18_a_zone_that_is_not_enabled_leaves_a_target_unused_for_ever() {
    let mut bench = Bench::quick();
    let (group, balancer) = bench.target_balancer("web", Elb2::APPLICATION);
    let mut body = run(1, 1);
    body.spec.zone = Some("us-east-1c".to_owned());
    let id = bench.launch(body).unwrap().remove(0).id;
    bench.enroll(&group, std::slice::from_ref(&id)).unwrap();
    for _ in 0..5 {
        bench.check(&group, &id, ProbeOutcome::Passed);
        bench.pass(60_000);
    }
    let (state, reason, text) = bench.status(&group, &id);
    assert_eq!((state, reason), ("unused", Some("Target.NotInUse")));
    assert!(text.unwrap().contains("Availability Zone that is not enabled"));
    let ids = [A, B, "subnet-00000000000000003"].map(str::to_owned).to_vec();
    bench.elbv2(Elbv2Request::SetSubnets(SetIds { arn: balancer, ids })).unwrap();
    bench.check(&group, &id, ProbeOutcome::Passed);
    assert_eq!(bench.brief(&group, &id).0, "healthy");
}

#[test]
fn fact_19_draining_shows_for_the_whole_delay_even_with_nothing_in_flight() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 2);
    bench.dismiss(&group, &ids).unwrap();
    let pool = group.clone();
    bench.observe(&Observation::Drained { pool, backend: format!("{}:8080", ids[0]) });
    bench.pass(299_999);
    for id in &ids {
        assert_eq!(bench.brief(&group, id), ("draining", "Target.DeregistrationInProgress"));
        assert_eq!(bench.traffic(id), Traffic::Draining);
    }
    bench.pass(1);
    assert!(bench.target_health(&group, &[]).unwrap().is_empty());
    assert_eq!(bench.brief(&group, &ids[0]), ("unused", "Target.NotRegistered"));
    assert!(bench.sent(&ids[0]).is_none());
}

#[test]
fn fact_19_the_delay_is_an_attribute_and_can_be_scaled() {
    let mut bench = Bench::with(Delays { drain_divisor: 10, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    assert_eq!(
        code(bench.attribute(&group, "deregistration_delay.timeout_seconds", "3601")),
        "ValidationError"
    );
    bench.attribute(&group, "deregistration_delay.timeout_seconds", "100").unwrap();
    let ids = bench.healthy(&group, 1);
    bench.dismiss(&group, &ids).unwrap();
    bench.pass(9_999);
    assert_eq!(bench.target_health(&group, &[]).unwrap().len(), 1);
    bench.pass(1);
    assert!(bench.target_health(&group, &[]).unwrap().is_empty());
}

#[test]
fn a_delay_of_nothing_ends_a_registration_at_once() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    bench.attribute(&group, "deregistration_delay.timeout_seconds", "0").unwrap();
    let ids = bench.healthy(&group, 1);
    bench.dismiss(&group, &ids).unwrap();
    assert!(bench.target_health(&group, &[]).unwrap().is_empty());
}

#[test]
fn fact_19_a_drain_outlives_its_instance() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 1);
    bench.dismiss(&group, &ids).unwrap();
    bench.terminate(&ids).unwrap();
    assert_eq!(bench.state(&ids[0]), InstanceState::Terminated);
    assert_eq!(bench.brief(&group, &ids[0]).0, "draining");
    assert_eq!(bench.traffic(&ids[0]), Traffic::None, "nothing is sent to what is gone");
}

#[test]
fn fact_20_one_pass_makes_a_new_target_healthy_and_later_the_thresholds_rule() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let id = bench.healthy(&group, 1).remove(0);
    let mut after = |outcomes: &[ProbeOutcome]| {
        outcomes.iter().for_each(|outcome| bench.check(&group, &id, *outcome));
        bench.brief(&group, &id).0
    };
    let (good, bad) = (ProbeOutcome::Passed, ProbeOutcome::TimedOut);
    assert_eq!(after(&[bad, good, bad]), "healthy", "two failures in a row are needed");
    assert_eq!(after(&[bad]), "unhealthy");
    assert_eq!(after(&[good, bad, good]), "unhealthy", "two passes in a row are needed");
    assert_eq!(after(&[good]), "healthy");
}

#[test]
fn fact_20_with_all_unhealthy_the_balancer_fails_open() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 2);
    let fail = |bench: &mut Bench, id: &str| {
        for _ in 0..2 {
            bench.check(&group, id, ProbeOutcome::CodeMismatch(500));
        }
    };
    fail(&mut bench, &ids[0]);
    assert_eq!([bench.traffic(&ids[0]), bench.traffic(&ids[1])], [Traffic::None, Traffic::New]);
    fail(&mut bench, &ids[1]);
    assert_eq!([bench.traffic(&ids[0]), bench.traffic(&ids[1])], [Traffic::New, Traffic::New]);
    for _ in 0..2 {
        bench.check(&group, &ids[0], ProbeOutcome::Passed);
    }
    assert_eq!([bench.traffic(&ids[0]), bench.traffic(&ids[1])], [Traffic::New, Traffic::None]);
}

#[test]
fn fact_21_slow_start_applies_only_beside_another_healthy_target() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    assert_eq!(code(bench.attribute(&group, "slow_start.duration_seconds", "29")), "ValidationError");
    bench.attribute(&group, "slow_start.duration_seconds", "30").unwrap();
    let first = bench.healthy(&group, 1).remove(0);
    assert_eq!(bench.sent(&first).unwrap().slow_start, None, "alone, it gets everything at once");
    let second = bench.healthy(&group, 1).remove(0);
    let slow = bench.sent(&second).unwrap().slow_start.expect("beside the first, it starts slowly");
    assert_eq!(slow.until - slow.since, TimeDelta::seconds(30));
    // The first leaves: one that is itself in slow start is no reason for another to start slowly.
    bench.dismiss(&group, std::slice::from_ref(&first)).unwrap();
    let third = bench.healthy(&group, 1).remove(0);
    assert_eq!(bench.sent(&third).unwrap().slow_start, None);
    bench.pass(30_000);
    assert_eq!(bench.sent(&second).unwrap().slow_start, None, "over after its duration");
}

#[test]
fn fact_22_an_address_cannot_be_registered_again_until_its_delay_ends() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::IP);
    let id = bench.boot(1).remove(0);
    let address = vec![bench.world.instance(&id).unwrap().private_ip.to_string()];
    bench.enroll(&group, &address).unwrap();
    bench.check(&group, &address[0], ProbeOutcome::Passed);
    assert_eq!(bench.brief(&group, &address[0]).0, "healthy");
    assert_eq!(bench.sent(&address[0]).unwrap().zone, "us-east-1a");
    bench.dismiss(&group, &address).unwrap();
    assert_eq!(code(bench.enroll(&group, &address)), "InvalidTarget");
    bench.pass(299_999);
    assert_eq!(code(bench.enroll(&group, &address)), "InvalidTarget");
    bench.pass(1);
    bench.enroll(&group, &address).unwrap();
    assert_eq!(bench.brief(&group, &address[0]).0, "initial");
}

#[test]
fn an_instance_is_taken_back_from_its_drain() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 1);
    bench.dismiss(&group, &ids).unwrap();
    bench.enroll(&group, &ids).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.InitialHealthChecking"));
    bench.check(&group, &ids[0], ProbeOutcome::Passed);
    bench.pass(600_000);
    assert_eq!(bench.brief(&group, &ids[0]).0, "healthy");
}

#[test]
fn fact_22_the_form_of_the_id_must_be_that_of_the_target_type() {
    let mut bench = Bench::quick();
    let (instances, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let (addresses, _) = bench.target_balancer("ip", Elb2::IP);
    let id = bench.boot(1);
    assert_eq!(code(bench.enroll(&instances, &["10.77.0.4".to_owned()])), "ValidationError");
    assert_eq!(code(bench.enroll(&addresses, &id)), "ValidationError");
    assert_eq!(code(bench.enroll(&addresses, &["8.8.8.8".to_owned()])), "ValidationError");
    assert_eq!(code(bench.enroll(&addresses, &["10.1.2.3".to_owned()])), "ValidationError");
    let zone = Some("all".to_owned());
    let far = TargetRef { id: "10.1.2.3".to_owned(), port: None, zone };
    let body = GroupTargets { group: addresses, targets: vec![far] };
    assert!(bench.elbv2(Elbv2Request::RegisterTargets(body)).is_ok());
}

#[test]
fn fact_23_registration_with_a_network_balancer_takes_its_own_time() {
    let mut bench =
        Bench::with(Delays { registration_ms: 0, nlb_registration_ms: 120_000, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::NETWORK);
    let ids = bench.boot(1);
    bench.enroll(&group, &ids).unwrap();
    bench.pass(119_999);
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.RegistrationInProgress"));
    bench.pass(1);
    bench.check(&group, &ids[0], ProbeOutcome::Passed);
    assert_eq!(bench.brief(&group, &ids[0]).0, "healthy");
}

#[test]
fn only_running_instances_can_be_registered() {
    let mut bench = Bench::with(Delays { pending_ms: 1_000, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.boot(2);
    assert_eq!(code(bench.enroll(&group, &ids)), "InvalidTarget");
    bench.pass(1_000);
    let ghost = [ids[0].clone(), "i-0123456789abcdef0".to_owned()];
    assert_eq!(code(bench.enroll(&group, &ghost)), "InvalidTarget");
    assert!(bench.target_health(&group, &[]).unwrap().is_empty(), "all or none");
    bench.enroll(&group, &ids).unwrap();
    assert_eq!(code(bench.enroll("arn:aws:none", &ids)), "TargetGroupNotFound");
}

#[test]
fn a_question_is_answered_as_of_now_though_nobody_ticked() {
    let mut bench = Bench::with(Delays { registration_ms: 500, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.boot(1);
    bench.enroll(&group, &ids).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]).1, "Elb.RegistrationInProgress");
    bench.now += TimeDelta::milliseconds(500);
    assert_eq!(bench.brief(&group, &ids[0]).1, "Elb.InitialHealthChecking");
    assert!(bench.sent(&ids[0]).unwrap().probe.is_some(), "and the data path is told");
}

#[test]
fn deregistering_what_is_not_registered_goes_well() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    assert!(bench.dismiss(&group, &["i-0123456789abcdef0".to_owned()]).is_ok());
}

#[test]
fn a_target_is_its_id_and_port() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let id = bench.boot(1).remove(0);
    let on = |port| TargetRef { id: id.clone(), port, zone: None };
    let body = GroupTargets { group: group.clone(), targets: vec![on(None), on(Some(9090))] };
    bench.elbv2(Elbv2Request::RegisterTargets(body)).unwrap();
    let all = bench.target_health(&group, &[]).unwrap();
    assert_eq!(all.iter().map(|health| health.key.port).collect::<Vec<_>>(), [8080, 9090]);
    assert_eq!(all.iter().map(|health| health.check_port).collect::<Vec<_>>(), [8080, 9090]);
    bench.dismiss(&group, std::slice::from_ref(&id)).unwrap();
    let all = bench.target_health(&group, &[]).unwrap();
    let states: Vec<_> = all.iter().map(|health| (health.key.port, health.status.0)).collect();
    assert_eq!(states, [(8080, "draining"), (9090, "initial")]);
}
