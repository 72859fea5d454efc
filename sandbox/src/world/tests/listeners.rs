//! Application and network balancers, listeners, rules, target groups, attributes and tags.
use super::targets::{A, B, Elb2};
use super::*;

fn create(name: &str, kind: BalancerKind, subnets: &[&str]) -> Elbv2Request {
    let subnets = subnets.iter().map(|&id| id.to_owned()).collect();
    Elbv2Request::CreateLoadBalancer(CreateLoadBalancer {
        name: name.to_owned(),
        kind,
        subnets,
        ..CreateLoadBalancer::default()
    })
}

fn attributes(result: ApiResult<Response>) -> Attributes {
    match result {
        Ok(Response::Attributes(all)) => all,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arns_have_their_real_form_and_addresses_are_shared_with_classic_balancers() {
    let mut bench = Bench::quick();
    let (group, balancer) = bench.target_balancer("web", Elb2::APPLICATION);
    let prefix = "arn:aws:elasticloadbalancing:us-east-1:000000000000:";
    let hex = |arn: &str, kind: &str| {
        let rest = arn.strip_prefix(&format!("{prefix}{kind}/web/")).unwrap_or_else(|| panic!("{arn}"));
        assert!(rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit()), "{arn}");
    };
    hex(&group, "targetgroup");
    hex(&balancer, "loadbalancer/app");
    let listener =
        Listener { protocol: Protocol::Http, port: 80, instance_protocol: Protocol::Http, instance_port: 80 };
    let classic = CreateBalancer {
        name: "web".to_owned(),
        listeners: vec![listener],
        zones: vec!["us-east-1a".to_owned()],
        ..CreateBalancer::default()
    };
    let Ok(Response::DnsName(name)) = bench.elb(ElbRequest::CreateLoadBalancer(classic)) else { panic!() };
    assert_eq!(name, "127.78.0.2");
}

#[test]
fn an_application_balancer_needs_two_zones_and_a_network_balancer_one() {
    let mut bench = Bench::quick();
    assert_eq!(code(bench.elbv2(create("web", BalancerKind::Application, &[A]))), "ValidationError");
    assert!(bench.elbv2(create("web", BalancerKind::Network, &[A])).is_ok());
    assert_eq!(code(bench.elbv2(create("x", BalancerKind::Network, &["subnet-1"]))), "SubnetNotFound");
    let twice = create("x", BalancerKind::Application, &[A, A, B]);
    assert_eq!(code(bench.elbv2(twice)), "InvalidConfigurationRequest");
}

#[test]
fn making_it_again_gives_the_same_and_other_settings_are_refused() {
    let mut bench = Bench::quick();
    let first = bench.load_balancer("web", BalancerKind::Application);
    assert_eq!(bench.load_balancer("web", BalancerKind::Application), first);
    let other = create("web", BalancerKind::Network, &[A, B]);
    assert_eq!(code(bench.elbv2(other)), "DuplicateLoadBalancerName");
    let group = bench.target_group("web", Elb2::APPLICATION);
    assert_eq!(bench.target_group("web", Elb2::APPLICATION), group);
    let other = CreateTargetGroup {
        name: "web".to_owned(),
        protocol: Some(TargetProtocol::Tcp),
        port: Some(8080),
        vpc_id: Some(VPC.to_owned()),
        ..CreateTargetGroup::default()
    };
    assert_eq!(code(bench.elbv2(Elbv2Request::CreateTargetGroup(other))), "DuplicateTargetGroupName");
}

#[test]
fn a_target_group_in_use_cannot_be_deleted() {
    let mut bench = Bench::quick();
    let (group, balancer) = bench.target_balancer("web", Elb2::APPLICATION);
    assert_eq!(code(bench.elbv2(Elbv2Request::DeleteTargetGroup(group.clone()))), "ResourceInUse");
    bench.elbv2(Elbv2Request::DeleteLoadBalancer(balancer.clone())).unwrap();
    let path = balancer.split_once("loadbalancer/").unwrap().1;
    let gone = Effect::BalancerGone { name: path.to_owned() };
    assert!(bench.effects.contains(&gone));
    bench.elbv2(Elbv2Request::DeleteTargetGroup(group.clone())).unwrap();
    bench.elbv2(Elbv2Request::DeleteTargetGroup(group)).unwrap();
}

#[test]
fn deletion_protection_protects() {
    let mut bench = Bench::quick();
    let arn = bench.load_balancer("web", BalancerKind::Network);
    let protect = |value: &str| {
        let attributes = vec![("deletion_protection.enabled".to_owned(), value.to_owned())];
        Elbv2Request::ModifyLoadBalancerAttributes(SetAttributes { arn: arn.clone(), attributes })
    };
    bench.elbv2(protect("true")).unwrap();
    let delete = Elbv2Request::DeleteLoadBalancer(arn.clone());
    assert_eq!(code(bench.elbv2(delete.clone())), "OperationNotPermitted");
    bench.elbv2(protect("false")).unwrap();
    bench.elbv2(delete).unwrap();
}

#[test]
fn listeners_are_checked_against_their_balancer() {
    let mut bench = Bench::quick();
    let (group, balancer) = bench.target_balancer("web", Elb2::APPLICATION);
    let tcp = bench.target_group("tcp", Elb2::NETWORK);
    assert_eq!(code(bench.listen(&balancer, 80, &[(&group, 1)])), "DuplicateListener");
    assert_eq!(code(bench.listen(&balancer, 81, &[(&tcp, 1)])), "IncompatibleProtocols");
    assert_eq!(code(bench.listen(&balancer, 81, &[])), "ValidationError");
    assert_eq!(code(bench.listen(&balancer, 81, &[("arn:x", 1)])), "TargetGroupNotFound");
    let other = bench.load_balancer("other", BalancerKind::Application);
    assert_eq!(code(bench.listen(&other, 80, &[(&group, 1)])), "TargetGroupAssociationLimit");
    assert_eq!(code(bench.listen("arn:none", 80, &[(&group, 1)])), "LoadBalancerNotFound");
}

#[test]
fn a_listener_can_shift_its_weight_from_one_group_to_another() {
    let mut bench = Bench::quick();
    let (blue, balancer) = bench.target_balancer("blue", Elb2::APPLICATION);
    let green = bench.target_group("green", Elb2::APPLICATION);
    let Ok(Response::Listeners(page)) = bench.elbv2(Elbv2Request::DescribeListeners(DescribeListeners {
        load_balancer: Some(balancer),
        ..DescribeListeners::default()
    })) else {
        panic!()
    };
    let to = |group: &str, weight| ForwardTo { group: group.to_owned(), weight };
    let forward = vec![to(&blue, 90), to(&green, 10)];
    let arn = page.items[0].listener.arn.clone();
    let change = ModifyListener { arn: arn.clone(), forward: forward.clone(), ..ModifyListener::default() };
    bench.elbv2(Elbv2Request::ModifyListener(change)).unwrap();
    let plan = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::BalancerChanged(plan) => Some(plan),
        _ => None,
    });
    let weights: Vec<u32> = plan.unwrap().listeners[0].routes.iter().map(|route| route.weight).collect();
    assert_eq!((weights, plan.unwrap().pools.len()), (vec![90, 10], 2));
    let rules = DescribeRules { listener: Some(arn.clone()), ..DescribeRules::default() };
    let Ok(Response::Rules(rules)) = bench.elbv2(Elbv2Request::DescribeRules(rules)) else { panic!() };
    assert_eq!(rules.items[0].listener.forward, forward);
    assert!(rules.items[0].listener.rule_arn.contains(":listener-rule/app/blue/"));
    bench.elbv2(Elbv2Request::DeleteListener(arn.clone())).unwrap();
    assert_eq!(code(bench.elbv2(Elbv2Request::DeleteListener(arn))), "ListenerNotFound");
}

#[test]
fn attributes_have_their_defaults_and_know_their_keys() {
    let mut bench = Bench::quick();
    let group = bench.target_group("web", Elb2::APPLICATION);
    let all = attributes(bench.elbv2(Elbv2Request::DescribeTargetGroupAttributes(group.clone())));
    assert_eq!(all["deregistration_delay.timeout_seconds"], "300");
    assert_eq!(all["slow_start.duration_seconds"], "0");
    assert_eq!(all["load_balancing.algorithm.type"], "round_robin");
    let shown = attributes(bench.attribute(&group, "stickiness.enabled", "true"));
    assert_eq!(shown, Attributes::from([("stickiness.enabled".to_owned(), "true".to_owned())]));
    assert_eq!(code(bench.attribute(&group, "stickyness.enabled", "true")), "ValidationError");
    bench.attribute(&group, "load_balancing.algorithm.type", "least_outstanding_requests").unwrap();
    let slow = bench.attribute(&group, "slow_start.duration_seconds", "30");
    assert_eq!(code(slow), "InvalidConfigurationRequest");
    let network = bench.target_group("net", Elb2::NETWORK);
    assert_eq!(code(bench.attribute(&network, "slow_start.duration_seconds", "30")), "ValidationError");
}

#[test]
fn health_checks_are_merged_and_kept_within_their_ranges() {
    let mut bench = Bench::quick();
    let group = bench.target_group("web", Elb2::APPLICATION);
    let mut set = |check: CheckSettings| {
        let body = ModifyTargetGroup { arn: group.clone(), check };
        bench.elbv2(Elbv2Request::ModifyTargetGroup(body))
    };
    let none = CheckSettings::default;
    let matcher = |text: &str| CheckSettings { matcher: Some(text.to_owned()), ..none() };
    let port = |text: &str| CheckSettings { port: Some(text.to_owned()), ..none() };
    let Ok(Response::TargetGroups(page)) = set(CheckSettings { path: Some("/ready".to_owned()), ..none() })
    else {
        panic!()
    };
    let check = &page.items[0].group.check;
    assert_eq!((check.path.as_str(), check.interval, check.matcher.as_str()), ("/ready", 5, "200"));
    for good in [matcher("200-299,404"), port("9000"), port("traffic-port")] {
        assert!(set(good.clone()).is_ok(), "{good:?}");
    }
    for bad in [
        matcher("500"),
        matcher("20x"),
        port("0"),
        CheckSettings { interval: Some(301), ..none() },
        CheckSettings { timeout: Some(5), ..none() },
        CheckSettings { healthy_threshold: Some(1), ..none() },
        CheckSettings { path: Some("ready".to_owned()), ..none() },
    ] {
        assert_eq!(code(set(bad.clone())), "ValidationError", "{bad:?}");
    }
    let off = CheckSettings { enabled: Some(false), ..none() };
    assert_eq!(code(set(off)), "InvalidConfigurationRequest");
}

#[test]
fn lists_come_in_pages_and_know_who_is_asked_for() {
    let mut bench = Bench::quick();
    let arns: Vec<String> = (0..5).map(|n| bench.target_group(&format!("g{n}"), Elb2::APPLICATION)).collect();
    let (mut marker, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = PageOf { size: Some(2), marker };
        let body = DescribeTargetGroups { page, ..DescribeTargetGroups::default() };
        let Ok(Response::TargetGroups(page)) = bench.elbv2(Elbv2Request::DescribeTargetGroups(body)) else {
            panic!()
        };
        pages += 1;
        seen.extend(page.items.into_iter().map(|record| record.group.arn));
        marker = page.next_token;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert!(seen.len() == 5 && arns.iter().all(|arn| seen.contains(arn)));
    let names = vec!["absent".to_owned()];
    let body = DescribeTargetGroups { names, ..DescribeTargetGroups::default() };
    assert_eq!(code(bench.elbv2(Elbv2Request::DescribeTargetGroups(body))), "TargetGroupNotFound");
}

#[test]
fn all_kinds_take_tags() {
    let mut bench = Bench::quick();
    let (group, balancer) = bench.target_balancer("web", Elb2::APPLICATION);
    let arns = vec![group, balancer];
    let tags = tags(&[("mayfly:service", "web"), ("team", "a")]);
    bench.elbv2(Elbv2Request::AddTags(TagArns { arns: arns.clone(), tags })).unwrap();
    let keys = vec!["team".to_owned()];
    bench.elbv2(Elbv2Request::RemoveTags(UntagArns { arns: arns.clone(), keys })).unwrap();
    let Ok(Response::ArnTags(all)) = bench.elbv2(Elbv2Request::DescribeTags(arns)) else { panic!() };
    assert!(all.len() == 2 && all.iter().all(|(_, tags)| tags.len() == 1 && tags["mayfly:service"] == "web"));
    let absent = vec!["arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/x/1".to_owned()];
    assert_eq!(code(bench.elbv2(Elbv2Request::DescribeTags(absent))), "TargetGroupNotFound");
}
