//! Security groups, subnets, zones and tags.
use super::*;

#[test]
fn opened_ports_reach_the_machines_of_the_group() {
    let mut bench = Bench::quick();
    let body =
        CreateGroup { name: "web".to_owned(), description: "web".to_owned(), ..CreateGroup::default() };
    let Ok(Response::GroupId(group)) = bench.ec2(Ec2Request::CreateSecurityGroup(body.clone())) else {
        panic!()
    };
    assert_eq!(code(bench.ec2(Ec2Request::CreateSecurityGroup(body))), "InvalidGroup.Duplicate");
    let mut launch = run(1, 1);
    launch.spec.group_ids = vec![group.clone()];
    let id = bench.launch(launch).unwrap().remove(0).id;
    let ports = vec![PortRange { from: 7000, to: 7010 }];
    let reference = GroupRef { id: Some(group.clone()), name: None };
    let body = GroupPorts { group: reference.clone(), ports: ports.clone() };
    bench.ec2(Ec2Request::AuthorizeSecurityGroupIngress(body.clone())).unwrap();
    assert!(bench.effects.contains(&Effect::OpenPorts { id: id.clone(), ports }));
    let again = bench.ec2(Ec2Request::AuthorizeSecurityGroupIngress(body.clone()));
    assert_eq!(code(again), "InvalidPermission.Duplicate");
    bench.ec2(Ec2Request::RevokeSecurityGroupIngress(body)).unwrap();
    assert!(bench.effects.contains(&Effect::OpenPorts { id: id.clone(), ports: Vec::new() }));
    assert_eq!(code(bench.ec2(Ec2Request::DeleteSecurityGroup(reference.clone()))), "DependencyViolation");
    bench.terminate(&[id]).unwrap();
    assert!(bench.ec2(Ec2Request::DeleteSecurityGroup(reference)).is_ok());
}

#[test]
fn the_default_group_opens_the_ports_of_the_demo() {
    let mut bench = Bench::quick();
    bench.boot(1);
    let Some(Effect::StartMachine(spec)) = bench.effects.first() else { panic!() };
    let ports: Vec<u16> = spec.ports.iter().map(|range| range.from).collect();
    assert_eq!(ports, [22, 80, 443, 8080, 9273]);
}

#[test]
fn each_zone_has_a_default_subnet_inside_the_vpc() {
    let mut bench = Bench::quick();
    bench.boot(1);
    let Ok(Response::Subnets(page)) =
        bench.ec2(Ec2Request::DescribeSubnets(by_filter("default-for-az", &["true"])))
    else {
        panic!()
    };
    let zones: Vec<&str> = page.items.iter().map(|(subnet, _)| subnet.zone.as_str()).collect();
    assert_eq!(zones, ZONES.map(|(zone, _)| zone));
    assert_eq!(page.items[0].1, 4096 - 5 - 1);
    assert!(page.items.iter().all(|(subnet, _)| subnet.network.octets()[..2] == [10, 77]));
}

#[test]
fn tags_are_set_on_all_or_none_and_removed_by_value() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let set = |ids: &[&str], pairs: &[(&str, &str)]| {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        Ec2Request::CreateTags(TagResources { ids, tags: tags(pairs) })
    };
    let absent = "i-0123456789abcdef0";
    assert_eq!(code(bench.ec2(set(&[&id, absent], &[("a", "1")]))), "InvalidInstanceID.NotFound");
    assert!(bench.world.instance(&id).unwrap().tags.is_empty());
    bench.ec2(set(&[&id, DEFAULT_GROUP, VPC], &[("a", "1"), ("b", "2")])).unwrap();
    let remove = |pairs: &[(&str, Option<&str>)]| {
        let tags = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect();
        Ec2Request::DeleteTags(UntagResources { ids: vec![id.clone()], tags })
    };
    bench.ec2(remove(&[("a", Some("other")), ("b", None)])).unwrap();
    assert_eq!(bench.world.instance(&id).unwrap().tags, tags(&[("a", "1")]));
    let Ok(Response::Tags(page)) = bench.ec2(Ec2Request::DescribeTags(by_filter("key", &["a"]))) else {
        panic!()
    };
    let kinds: Vec<&str> = page.items.iter().map(|tag| tag.resource_type).collect();
    assert_eq!(kinds, ["instance", "security-group", "vpc"]);
}
