//! Random histories: whatever is called, the world's records stay consistent and its runs repeatable.
use proptest::prelude::*;

use super::targets::Elb2;
use super::*;

#[derive(Debug, Clone)]
enum Act {
    Launch(u32, bool),
    Terminate(usize),
    Stop(usize),
    Start(usize),
    Register(usize),
    Deregister(usize),
    Probe(usize, bool),
    PowerOff(usize),
    Die(usize),
    Pass(u16),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..4u32, any::<bool>()).prop_map(|(count, token)| Act::Launch(count, token)),
        (0..8usize).prop_map(Act::Terminate),
        (0..8usize).prop_map(Act::Stop),
        (0..8usize).prop_map(Act::Start),
        (0..8usize).prop_map(Act::Register),
        (0..8usize).prop_map(Act::Deregister),
        (0..8usize, any::<bool>()).prop_map(|(n, passed)| Act::Probe(n, passed)),
        (0..8usize).prop_map(Act::PowerOff),
        (0..8usize).prop_map(Act::Die),
        (0..3000u16).prop_map(Act::Pass),
    ]
}

fn history(acts: &[Act]) -> Bench {
    let mut bench = Bench::with(Delays::default());
    let create = CreateBalancer {
        name: "web".to_owned(),
        listeners: vec![Listener {
            protocol: Protocol::Tcp,
            port: 80,
            instance_protocol: Protocol::Tcp,
            instance_port: 80,
        }],
        zones: vec!["us-east-1a".to_owned()],
        ..CreateBalancer::default()
    };
    bench.elb(ElbRequest::CreateLoadBalancer(create)).expect("a balancer");
    let draining = ModifyBalancer {
        name: "web".to_owned(),
        draining: Some((true, Some(2))),
        ..ModifyBalancer::default()
    };
    bench.elb(ElbRequest::ModifyLoadBalancerAttributes(draining)).expect("attributes");
    let (group, _) = bench.target_balancer("v2", Elb2::APPLICATION);
    bench.attribute(&group, "deregistration_delay.timeout_seconds", "2").expect("an attribute");
    bench.pass(300);
    for act in acts {
        perform(&mut bench, act);
        check(&bench);
    }
    bench
}

fn target(bench: &Bench, id: &str) -> GroupTargets {
    let group = bench.world.target_groups().next().map(|group| group.arn.clone()).unwrap_or_default();
    GroupTargets { group, targets: vec![TargetRef { id: id.to_owned(), ..TargetRef::default() }] }
}

/// Refusals are part of any history.
fn perform(bench: &mut Bench, act: &Act) {
    let known: Vec<String> = bench.world.instances().map(|instance| instance.id.clone()).collect();
    let pick = |n: usize| known.get(n % known.len().max(1)).cloned().unwrap_or_default();
    let one = |n: usize| InstanceIds { ids: vec![pick(n)], force: false };
    let member = |n: usize| BalancerInstances { name: "web".to_owned(), ids: vec![pick(n)] };
    match act {
        Act::Launch(count, token) => {
            let client_token = token.then(|| "the-token".to_owned());
            let _ = bench.launch(RunInstances { client_token, ..run(1, *count) });
        }
        Act::Terminate(n) => drop(bench.ec2(Ec2Request::TerminateInstances(one(*n)))),
        Act::Stop(n) => drop(bench.ec2(Ec2Request::StopInstances(one(*n)))),
        Act::Start(n) => drop(bench.ec2(Ec2Request::StartInstances(one(*n)))),
        Act::Register(n) => {
            let targets = target(bench, &pick(*n));
            drop(bench.elb(ElbRequest::RegisterInstancesWithLoadBalancer(member(*n))));
            drop(bench.elbv2(Elbv2Request::RegisterTargets(targets)));
        }
        Act::Deregister(n) => {
            let targets = target(bench, &pick(*n));
            drop(bench.elb(ElbRequest::DeregisterInstancesFromLoadBalancer(member(*n))));
            drop(bench.elbv2(Elbv2Request::DeregisterTargets(targets)));
        }
        Act::Probe(n, passed) => {
            let outcome = if *passed { ProbeOutcome::Passed } else { ProbeOutcome::CodeMismatch(500) };
            let group = bench.world.target_groups().next().map(|group| group.arn.clone());
            let id = pick(*n);
            bench.observe(&Observation::Probed { pool: "web".to_owned(), backend: id.clone(), outcome });
            let (pool, backend) = (group.unwrap_or_default(), format!("{id}:8080"));
            bench.observe(&Observation::Probed { pool, backend, outcome });
        }
        Act::PowerOff(n) => bench.observe(&Observation::MachinePoweredOff { id: pick(*n) }),
        Act::Die(n) => bench.observe(&Observation::MachineDied { id: pick(*n), reason: "died".to_owned() }),
        Act::Pass(milliseconds) => bench.pass(i64::from(*milliseconds)),
    }
}

fn check(bench: &Bench) {
    let live: Vec<&Instance> = bench.world.instances().filter(|i| i.state.is_alive()).collect();
    let addresses: std::collections::BTreeSet<_> = live.iter().map(|i| i.private_ip).collect();
    assert_eq!(addresses.len(), live.len(), "two live instances share an address");
    for balancer in bench.world.balancers() {
        for id in balancer.members.keys() {
            assert!(live.iter().any(|i| i.id == *id), "a dead instance is registered");
        }
    }
    let mut plans: BTreeMap<&str, &BalancerPlan> = BTreeMap::new();
    for effect in &bench.effects {
        if let Effect::BalancerChanged(plan) = effect {
            plans.insert(&plan.name, plan);
        }
    }
    assert_eq!(plans.len(), 2);
    for backend in plans.values().flat_map(|plan| &plan.pools).flat_map(|pool| &pool.backends) {
        let instance = backend.instance_id.as_deref().and_then(|id| bench.world.instance(id));
        let running = instance.is_some_and(|i| i.state == InstanceState::Running);
        assert!(
            running || (backend.traffic == Traffic::None && backend.probe.is_none()),
            "traffic to what does not run"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_consistent_and_repeatable(acts in prop::collection::vec(act(), 1..60)) {
        let (first, second) = (history(&acts), history(&acts));
        prop_assert_eq!(&first.effects, &second.effects);
        // A machine that was started is destroyed once or still there.
        for instance in first.world.instances() {
            let destroyed = first.effects.iter().filter(|e| matches!(e, Effect::DestroyMachine { id } if *id == instance.id));
            prop_assert_eq!(destroyed.count(), usize::from(!matches!(instance.state,
                InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped)));
        }
    }
}
