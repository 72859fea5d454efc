//! Sets the stage: a cloud with another service in it and, where the scenario says so, a release of ours that serves.

use crate::balancers::group_targets;
use crate::bench::{Deployer, Ending};
use crate::machines::Temper;
use crate::scenario::{ADDRESSES, CLASSIC, GROUP, Scenario};
use crate::universe::Universe;
use chrono::TimeDelta;
use mayfly_deployer::naming;
use mayfly_deployer::plan::Intent;
use mayfly_deployer::run::Outcome;
use mayfly_deployer::spec::{Spec, Strategy};
use mayfly_sandbox::world::{
    BalancerInstances, BalancerKind, CheckSettings, ConfigureHealthCheck, CreateBalancer, CreateListener,
    CreateLoadBalancer, CreateTargetGroup, CreateTemplate, Describe, Ec2Request, ElbRequest, Elbv2Request,
    ForwardTo, HealthCheck, LaunchSpec, Listener, MAYFLY_BARE, ModifyBalancer, ProbeTarget, Protocol,
    Request, Response, RunInstances, SetAttributes, TargetProtocol, TargetType, Timestamp, VPC, ZONES,
};

/// The first moment of every simulation.
const START: i64 = 1_800_000_000;

/// The world before the course under test.
///
/// # Panics
/// When the world, or a deployment that nothing disturbs, does not make the stage.
#[must_use]
pub fn set(scenario: &Scenario, seed: u64) -> Universe {
    let start = Timestamp::from_timestamp(START, 0).expect("a moment");
    let mut universe = Universe::new(seed, start);
    for name in scenario.behind.balancers() {
        match name.as_str() {
            CLASSIC => classic(&mut universe),
            GROUP => group(&mut universe, GROUP, BalancerKind::Application, TargetType::Instance),
            _ => group(&mut universe, ADDRESSES, BalancerKind::Network, TargetType::Ip),
        }
    }
    other_service(&mut universe, scenario);
    if scenario.old == 0 {
        return universe;
    }
    let first = scenario.spec(scenario.old, 1, Temper::Fit);
    // A first deployment has nothing to be careful with.
    let first = Spec { strategy: Strategy::BlueGreen, ..first };
    universe = act(scenario, universe, first, Intent::default(), 1, seed);
    if let Some(intent) = scenario.course.before() {
        let second = scenario.spec(scenario.old, 2, Temper::Fit);
        universe = act(scenario, universe, second, intent, 2, seed);
    }
    universe
}

fn act(
    scenario: &Scenario,
    universe: Universe,
    spec: Spec,
    intent: Intent,
    number: u32,
    seed: u64,
) -> Universe {
    let ran = Deployer::new(scenario, spec, intent, number).deploy(universe, &[], seed);
    let good = matches!(ran.ending, Ending::Ended(Outcome::Done | Outcome::Canary | Outcome::Partial));
    assert!(good, "the stage of {scenario}: {:?}", ran.ending);
    ran.universe
}

fn ec2(universe: &mut Universe, request: Ec2Request) -> Response {
    universe.call(&Request::Ec2(Box::new(request), false)).expect("the stage is set")
}

fn elbv2(universe: &mut Universe, request: Elbv2Request) -> Response {
    universe.call(&Request::Elbv2(Box::new(request))).expect("the stage is set")
}

fn elb(universe: &mut Universe, request: ElbRequest) -> Response {
    universe.call(&Request::Elb(Box::new(request))).expect("the stage is set")
}

fn classic(universe: &mut Universe) {
    let listener = Listener {
        protocol: Protocol::Http,
        port: 80,
        instance_protocol: Protocol::Http,
        instance_port: 8080,
    };
    let zones = ZONES.iter().map(|(zone, _)| (*zone).to_owned()).collect();
    let name = CLASSIC.to_owned();
    let body =
        CreateBalancer { name: name.clone(), listeners: vec![listener], zones, ..CreateBalancer::default() };
    elb(universe, ElbRequest::CreateLoadBalancer(body));
    let target = ProbeTarget::Http { port: 8080, path: "/health".to_owned() };
    let check = HealthCheck { target, interval: 5, timeout: 2, healthy_threshold: 2, unhealthy_threshold: 2 };
    elb(universe, ElbRequest::ConfigureHealthCheck(ConfigureHealthCheck { name: name.clone(), check }));
    let body = ModifyBalancer { name, draining: Some((true, Some(20))), ..ModifyBalancer::default() };
    elb(universe, ElbRequest::ModifyLoadBalancerAttributes(body));
}

/// A balancer of the kind with one target group behind it.
fn group(universe: &mut Universe, name: &str, kind: BalancerKind, target_type: TargetType) {
    let (protocol, subnets) = match kind {
        BalancerKind::Application => (TargetProtocol::Http, subnets(universe)),
        BalancerKind::Network => (TargetProtocol::Tcp, subnets(universe)),
    };
    let check = CheckSettings {
        protocol: Some(TargetProtocol::Http),
        path: Some("/health".to_owned()),
        interval: Some(5),
        timeout: Some(2),
        healthy_threshold: Some(2),
        unhealthy_threshold: Some(2),
        ..CheckSettings::default()
    };
    let body = CreateTargetGroup {
        name: name.to_owned(),
        protocol: Some(protocol),
        port: Some(8080),
        vpc_id: Some(VPC.to_owned()),
        target_type,
        check,
        ..CreateTargetGroup::default()
    };
    let group = match elbv2(universe, Elbv2Request::CreateTargetGroup(body)) {
        Response::TargetGroups(page) => page.items[0].group.arn.clone(),
        other => panic!("{other:?}"),
    };
    let delay = ("deregistration_delay.timeout_seconds".to_owned(), "20".to_owned());
    let body = SetAttributes { arn: group.clone(), attributes: vec![delay] };
    elbv2(universe, Elbv2Request::ModifyTargetGroupAttributes(body));
    let body =
        CreateLoadBalancer { name: format!("{name}-lb"), kind, subnets, ..CreateLoadBalancer::default() };
    let balancer = match elbv2(universe, Elbv2Request::CreateLoadBalancer(body)) {
        Response::LoadBalancers(page) => page.items[0].balancer.arn.clone(),
        other => panic!("{other:?}"),
    };
    let forward = vec![ForwardTo { group, weight: 1 }];
    let body =
        CreateListener { load_balancer: balancer, protocol, port: 80, forward, ..CreateListener::default() };
    elbv2(universe, Elbv2Request::CreateListener(body));
}

fn subnets(universe: &mut Universe) -> Vec<String> {
    match ec2(universe, Ec2Request::DescribeSubnets(Describe::default())) {
        Response::Subnets(page) => page.items.into_iter().map(|(subnet, _)| subnet.id).collect(),
        other => panic!("{other:?}"),
    }
}

/// Two instances of another service, members of the same balancer, with a record of their own.
fn other_service(universe: &mut Universe, scenario: &Scenario) {
    let tags = naming::ownership("other", "production");
    let mut spec = LaunchSpec { image_id: Some(MAYFLY_BARE.to_owned()), ..LaunchSpec::default() };
    spec.tags.insert("instance".to_owned(), tags.clone());
    let body = RunInstances { spec, min: 2, max: 2, ..RunInstances::default() };
    let launched = ec2(universe, Ec2Request::RunInstances(body));
    let name = naming::record("other", "production");
    ec2(
        universe,
        Ec2Request::CreateLaunchTemplate(CreateTemplate { name, tags, ..CreateTemplate::default() }),
    );
    universe.advance(universe.now() + TimeDelta::seconds(30));
    let Response::Launched(reservation) = launched else { return };
    let launched = reservation.instances;
    let ids: Vec<String> = launched.iter().map(|instance| instance.id.clone()).collect();
    for name in scenario.behind.balancers() {
        if name == CLASSIC {
            let body = BalancerInstances { name, ids: ids.clone() };
            elb(universe, ElbRequest::RegisterInstancesWithLoadBalancer(body));
            continue;
        }
        let arn = universe.world.target_groups().find(|group| group.name == name).expect("made").arn.clone();
        let addresses: Vec<String> = launched.iter().map(|i| i.private_ip.to_string()).collect();
        let targets = if name == ADDRESSES { &addresses } else { &ids };
        elbv2(universe, Elbv2Request::RegisterTargets(group_targets(&arn, targets)));
    }
    universe.advance(universe.now() + TimeDelta::seconds(60));
}
