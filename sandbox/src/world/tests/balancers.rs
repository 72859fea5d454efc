//! Facts 14–17: classic load balancers, in virtual time.
use super::*;

const LB: &str = "web";

fn listener() -> Listener {
    Listener { protocol: Protocol::Http, port: 80, instance_protocol: Protocol::Http, instance_port: 8080 }
}

fn create(zones: &[&str]) -> ElbRequest {
    ElbRequest::CreateLoadBalancer(CreateBalancer {
        name: LB.to_owned(),
        listeners: vec![listener()],
        zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
        ..CreateBalancer::default()
    })
}

fn members(ids: &[String]) -> BalancerInstances {
    BalancerInstances { name: LB.to_owned(), ids: ids.to_vec() }
}

impl Bench {
    /// A balancer over zone a, with these many running instances, none registered.
    fn balanced(delays: Delays, instances: u32) -> (Self, Vec<String>) {
        let mut bench = Self::with(delays);
        bench.elb(create(&["us-east-1a"])).unwrap();
        let target = ProbeTarget::Http { port: 8080, path: "/ready".to_owned() };
        let check =
            HealthCheck { target, interval: 2, timeout: 1, healthy_threshold: 2, unhealthy_threshold: 3 };
        bench
            .elb(ElbRequest::ConfigureHealthCheck(ConfigureHealthCheck { name: LB.to_owned(), check }))
            .unwrap();
        let ids = bench.boot(instances);
        (bench, ids)
    }

    fn register(&mut self, ids: &[String]) {
        self.elb(ElbRequest::RegisterInstancesWithLoadBalancer(members(ids))).unwrap();
    }

    fn deregister(&mut self, ids: &[String]) {
        self.elb(ElbRequest::DeregisterInstancesFromLoadBalancer(members(ids))).unwrap();
    }

    fn probe(&mut self, id: &str, passed: bool) {
        let outcome = if passed { ProbeOutcome::Passed } else { ProbeOutcome::TimedOut };
        self.observe(&Observation::Probed { pool: LB.to_owned(), backend: id.to_owned(), outcome });
    }

    fn set_draining(&mut self, enabled: bool, timeout: Option<u32>) -> ApiResult<Response> {
        let draining = Some((enabled, timeout));
        let body = ModifyBalancer { name: LB.to_owned(), draining, ..ModifyBalancer::default() };
        self.elb(ElbRequest::ModifyLoadBalancerAttributes(body))
    }

    fn health(&mut self, ids: &[String]) -> ApiResult<Vec<InstanceHealth>> {
        match self.elb(ElbRequest::DescribeInstanceHealth(members(ids)))? {
            Response::Health(states) => Ok(states),
            other => panic!("{other:?}"),
        }
    }

    fn only(&mut self) -> InstanceHealth {
        let mut all = self.health(&[]).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// The data path as it was told last.
    fn plan(&self) -> &BalancerPlan {
        let plan = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::BalancerChanged(plan) => Some(plan.as_ref()),
            _ => None,
        });
        plan.expect("a plan")
    }
}

#[test]
fn fact_14_a_draining_instance_still_reports_in_service() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.set_draining(true, Some(20)).unwrap();
    bench.register(&ids);
    bench.probe(&ids[0], true);
    bench.deregister(&ids);
    let health = bench.only();
    assert_eq!((health.state, health.reason_code), ("InService", "N/A"));
    assert_eq!(health.description, "Instance deregistration currently in progress.");
    assert_eq!(bench.plan().pools[0].backends[0].traffic, Traffic::Draining);
    assert!(bench.plan().pools[0].backends[0].probe.is_none());
    // It is no longer listed as registered.
    let Ok(Response::Registered(left)) =
        bench.elb(ElbRequest::DeregisterInstancesFromLoadBalancer(members(&ids)))
    else {
        panic!()
    };
    assert!(left.is_empty());
    bench.pass(19_999);
    assert_eq!(bench.health(&[]).unwrap().len(), 1);
    bench.pass(1);
    assert!(bench.health(&[]).unwrap().is_empty());
    assert!(bench.plan().pools[0].backends.is_empty());
}

#[test]
fn a_drain_with_nothing_in_flight_ends_early() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.set_draining(true, None).unwrap();
    bench.register(&ids);
    bench.probe(&ids[0], true);
    bench.deregister(&ids);
    bench.observe(&Observation::Drained { pool: LB.to_owned(), backend: ids[0].clone() });
    assert!(bench.health(&[]).unwrap().is_empty());
}

#[test]
fn registering_again_takes_back_a_deregistration() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.set_draining(true, None).unwrap();
    bench.register(&ids);
    bench.probe(&ids[0], true);
    bench.deregister(&ids);
    bench.register(&ids);
    bench.pass(1);
    bench.probe(&ids[0], true);
    assert_eq!(bench.only().description, "N/A");
    // A late word about the drain does no harm.
    bench.observe(&Observation::Drained { pool: LB.to_owned(), backend: ids[0].clone() });
    assert_eq!(bench.only().state, "InService");
}

#[test]
fn fact_15_an_instance_in_a_zone_that_is_not_enabled_is_out_of_service_for_ever() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    let mut body = run(1, 1);
    body.spec.zone = Some("us-east-1b".to_owned());
    let id = bench.launch(body).unwrap().remove(0).id;
    bench.register(std::slice::from_ref(&id));
    for _ in 0..10 {
        bench.probe(&id, true);
        bench.pass(60_000);
    }
    let health = bench.only();
    assert_eq!((health.state, health.reason_code), ("OutOfService", "ELB"));
    assert!(health.description.contains("Availability Zone"));
    assert!(bench.plan().pools[0].backends[0].probe.is_none());
    let zones = BalancerZones { name: LB.to_owned(), zones: vec!["us-east-1b".to_owned()] };
    bench.elb(ElbRequest::EnableAvailabilityZonesForLoadBalancer(zones)).unwrap();
    bench.probe(&id, true);
    assert_eq!(bench.only().state, "InService");
}

#[test]
fn fact_15_terminated_instances_vanish_from_the_answer() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 2);
    bench.register(&ids);
    ids.iter().for_each(|id| bench.probe(id, true));
    bench.terminate(&ids[..1]).unwrap();
    assert_eq!(bench.only().instance_id, ids[1]);
    assert_eq!(code(bench.health(&ids)), "InvalidInstance");
    assert_eq!(bench.plan().pools[0].backends.len(), 1);
}

#[test]
fn fact_15_a_stopped_instance_is_out_of_service_and_proves_itself_when_back() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.register(&ids);
    bench.probe(&ids[0], true);
    let body = InstanceIds { ids: ids.clone(), force: false };
    bench.ec2(Ec2Request::StopInstances(body.clone())).unwrap();
    let health = bench.only();
    assert_eq!((health.state, health.reason_code), ("OutOfService", "Instance"));
    assert_eq!(bench.plan().pools[0].backends[0].traffic, Traffic::None);
    bench.ec2(Ec2Request::StartInstances(body)).unwrap();
    assert_eq!(bench.only().state, "OutOfService");
    bench.probe(&ids[0], true);
    assert_eq!(bench.only().state, "InService");
}

#[test]
fn fact_16_registration_takes_a_while_then_one_pass_is_enough() {
    let (mut bench, ids) = Bench::balanced(Delays { registration_ms: 500, ..Delays::none() }, 1);
    bench.register(&ids);
    bench.probe(&ids[0], true);
    let health = bench.only();
    assert_eq!((health.state, health.reason_code), ("OutOfService", "ELB"));
    assert!(bench.plan().pools[0].backends[0].probe.is_none());
    bench.pass(500);
    assert!(bench.plan().pools[0].backends[0].probe.is_some());
    assert_eq!(bench.only().reason_code, "Instance");
    bench.probe(&ids[0], true);
    assert_eq!((bench.only().state, bench.plan().pools[0].backends[0].traffic), ("InService", Traffic::New));
}

#[test]
fn health_goes_and_comes_by_the_thresholds() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.register(&ids);
    let mut after = |passed: &[bool]| {
        passed.iter().for_each(|&passed| bench.probe(&ids[0], passed));
        bench.only().state
    };
    assert_eq!(after(&[false, false, false, true]), "InService");
    assert_eq!(after(&[false, false, true, false, false]), "InService", "three failures in a row are needed");
    assert_eq!(after(&[false]), "OutOfService");
    assert_eq!(after(&[true, false, true]), "OutOfService", "two passes in a row are needed");
    assert_eq!(after(&[true]), "InService");
}

#[test]
fn fact_16_cross_zone_is_off_by_default() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    let Ok(Response::BalancerAttributes(before)) =
        bench.elb(ElbRequest::DescribeLoadBalancerAttributes(LB.to_owned()))
    else {
        panic!()
    };
    assert!(!before.cross_zone && !before.draining);
    let body = ModifyBalancer { name: LB.to_owned(), cross_zone: Some(true), ..ModifyBalancer::default() };
    bench.elb(ElbRequest::ModifyLoadBalancerAttributes(body)).unwrap();
    assert!(bench.plan().cross_zone);
}

#[test]
fn fact_17_with_draining_off_a_deregistered_instance_is_gone_at_once() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.set_draining(false, None).unwrap();
    bench.register(&ids);
    bench.probe(&ids[0], true);
    bench.deregister(&ids);
    assert!(bench.health(&[]).unwrap().is_empty());
    let named = bench.health(&ids).unwrap();
    assert_eq!(named[0].state, "OutOfService");
    assert_eq!(named[0].description, "Instance is not currently registered with the LoadBalancer.");
}

#[test]
fn fact_17_the_draining_timeout_is_1_to_3600_seconds_and_300_by_default() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    for bad in [0, 3601] {
        assert_eq!(code(bench.set_draining(true, Some(bad))), "InvalidConfigurationRequest");
    }
    let Ok(Response::BalancerAttributes(attributes)) = bench.set_draining(true, None) else { panic!() };
    assert_eq!(attributes.drain_timeout, 300);
    assert!(bench.set_draining(true, Some(3600)).is_ok());
}

#[test]
fn the_draining_timeout_can_be_scaled() {
    let (mut bench, ids) = Bench::balanced(Delays { drain_divisor: 100, ..Delays::none() }, 1);
    bench.set_draining(true, Some(300)).unwrap();
    bench.register(&ids);
    bench.probe(&ids[0], true);
    bench.deregister(&ids);
    bench.pass(2_999);
    assert_eq!(bench.health(&[]).unwrap().len(), 1);
    bench.pass(1);
    assert!(bench.health(&[]).unwrap().is_empty());
}

#[test]
fn an_unknown_balancer_or_instance_is_named() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    let absent = BalancerInstances { name: "other".to_owned(), ids: ids.clone() };
    let result = bench.elb(ElbRequest::RegisterInstancesWithLoadBalancer(absent));
    assert_eq!(code(result), "LoadBalancerNotFound");
    let ghost = members(&["i-0123456789abcdef0".to_owned()]);
    assert_eq!(code(bench.elb(ElbRequest::RegisterInstancesWithLoadBalancer(ghost))), "InvalidInstance");
}

#[test]
fn creating_twice_gives_the_same_balancer_and_another_configuration_is_refused() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    let name = |result: ApiResult<Response>| match result {
        Ok(Response::DnsName(name)) => name,
        other => panic!("{other:?}"),
    };
    let again = name(bench.elb(create(&["us-east-1a"])));
    assert_eq!(again, "127.78.0.1");
    assert_eq!(code(bench.elb(create(&["us-east-1b"]))), "DuplicateLoadBalancerName");
}

#[test]
fn deleting_closes_the_data_path_and_is_idempotent() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    bench.elb(ElbRequest::DeleteLoadBalancer(LB.to_owned())).unwrap();
    bench.elb(ElbRequest::DeleteLoadBalancer(LB.to_owned())).unwrap();
    let gone =
        bench.effects.iter().filter(|e| matches!(e, Effect::BalancerGone { name } if name == LB)).count();
    assert_eq!(gone, 1);
}

#[test]
fn an_unchanged_data_path_is_not_told_again() {
    let (mut bench, ids) = Bench::balanced(Delays::none(), 1);
    bench.register(&ids);
    bench.probe(&ids[0], true);
    let told = bench.effects.len();
    for _ in 0..5 {
        bench.probe(&ids[0], true);
        bench.only();
        bench.pass(1_000);
    }
    assert_eq!(bench.effects.len(), told);
}

#[test]
fn health_checks_outside_their_ranges_are_refused() {
    let (mut bench, _) = Bench::balanced(Delays::none(), 0);
    let good = HealthCheck {
        target: ProbeTarget::Tcp { port: 80 },
        interval: 10,
        timeout: 5,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
    };
    let mut set = |check: HealthCheck| {
        bench.elb(ElbRequest::ConfigureHealthCheck(ConfigureHealthCheck { name: LB.to_owned(), check }))
    };
    assert!(set(good.clone()).is_ok());
    for bad in [
        HealthCheck { interval: 301, ..good.clone() },
        HealthCheck { timeout: 10, ..good.clone() },
        HealthCheck { healthy_threshold: 1, ..good.clone() },
        HealthCheck { unhealthy_threshold: 11, ..good.clone() },
    ] {
        assert_eq!(code(set(bad)), "ValidationError");
    }
}
