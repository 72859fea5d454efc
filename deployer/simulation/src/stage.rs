//! Sets the stage: a cloud with another service in it and, where the scenario says so, a release of ours that serves.

use crate::bench::{Deployer, Ending};
use crate::machines::Temper;
use crate::scenario::{Behind, CLASSIC, Scenario};
use crate::universe::Universe;
use chrono::TimeDelta;
use mayfly_deployer::naming;
use mayfly_deployer::run::Outcome;
use mayfly_sandbox::world::{
    BalancerInstances, ConfigureHealthCheck, CreateBalancer, CreateTemplate, Ec2Request, ElbRequest,
    HealthCheck, LaunchSpec, Listener, MAYFLY_BARE, ModifyBalancer, ProbeTarget, Protocol, Request, Response,
    RunInstances, Timestamp, ZONES,
};

/// The first moment of every simulation.
const START: i64 = 1_800_000_000;

/// The world before the deployment under test.
///
/// # Panics
/// When the world does not take what makes the stage.
#[must_use]
pub fn set(scenario: &Scenario, seed: u64) -> Universe {
    let start = Timestamp::from_timestamp(START, 0).expect("a moment");
    let mut universe = Universe::new(seed, start);
    if scenario.behind == Behind::Classic {
        classic(&mut universe);
    }
    other_service(&mut universe, scenario);
    if scenario.old == 0 {
        return universe;
    }
    let first = Deployer::new(scenario, scenario.old, 1, Temper::Fit);
    let (ending, universe) = first.alone(universe, seed);
    assert!(matches!(ending, Ending::Ended(Outcome::Done)), "the stage of {scenario}: {ending:?}");
    universe
}

fn ec2(universe: &mut Universe, request: Ec2Request) -> Response {
    universe.call(&Request::Ec2(Box::new(request), false)).expect("the stage is set")
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
    let ids: Vec<String> = reservation.instances.into_iter().map(|instance| instance.id).collect();
    for name in scenario.behind.balancers() {
        let body = BalancerInstances { name, ids: ids.clone() };
        elb(universe, ElbRequest::RegisterInstancesWithLoadBalancer(body));
    }
    universe.advance(universe.now() + TimeDelta::seconds(30));
}
