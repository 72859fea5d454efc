//! The deployer against moto, an EC2 and ELB that others wrote: wire format, records, the lock, recovery after kills.
// Effects: tests run real programs.
#![allow(clippy::disallowed_methods)]

mod support;

use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use support::{Moto, Project};

/// Live instances of the service with their deployment tag, and the members of the balancer.
const LIVE: &str = "
pages = ec2.get_paginator('describe_instances').paginate(
    Filters=[{'Name': 'instance-state-name', 'Values': ['pending', 'running']}])
live = [i for p in pages for r in p['Reservations'] for i in r['Instances']]
tags = lambda i: {t['Key']: t['Value'] for t in i.get('Tags', [])}
health = elb.describe_instance_health(LoadBalancerName='front')['InstanceStates']
locks = [t['LaunchTemplateName'] for t in ec2.describe_launch_templates()['LaunchTemplates'] if 'lock' in t['LaunchTemplateName']]
print(json.dumps({
    'instances': {i['InstanceId']: tags(i) for i in live},
    'members': sorted(h['InstanceId'] for h in health if h['State'] == 'InService'),
    'locks': locks}))
";

struct Bench {
    moto: Moto,
    project: Project,
}

impl Bench {
    /// A cloud with an image and an ELB over all zones, and a project of two instances.
    fn new() -> Self {
        let moto = Moto::start();
        let image = moto.boto3(
            "
zones = [z['ZoneName'] for z in ec2.describe_availability_zones()['AvailabilityZones']]
listener = {'Protocol': 'HTTP', 'LoadBalancerPort': 80, 'InstancePort': 8080}
elb.create_load_balancer(LoadBalancerName='front', Listeners=[listener], AvailabilityZones=zones)
print(ec2.describe_images(Owners=['amazon'])['Images'][0]['ImageId'])",
        );
        let project = Project::new();
        project.write_spec(&format!(
            "service: greeter\nrole: web\ncount: 2\nimage: {image}\ninstance_type: t3.micro\n\
             states: {{url: 'https://git.example.org/states.git', deploy_url: 'file://{}'}}\n\
             load_balancer: {{classic: front}}\nprobe: none\ntags: {{team: web}}\n",
            project.states().display()
        ));
        Self { moto, project }
    }

    fn mayfly(&self, args: &[&str]) -> Output {
        self.project.output(&self.moto, args)
    }

    fn deploy(&self) -> Vec<Value> {
        let output = self.mayfly(&["deploy", "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("one event a line")).collect()
    }

    fn live(&self) -> Value {
        serde_json::from_str(&self.moto.boto3(LIVE)).expect("json")
    }

    /// Two instances of one deployment, both in service, no lock; their ids.
    fn settled(&self, context: &str) -> Vec<String> {
        let live = self.live();
        let instances = live["instances"].as_object().expect("instances");
        let ids: Vec<String> = instances.keys().cloned().collect();
        assert_eq!(ids.len(), 2, "{context}: {live:#}");
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(live["members"], serde_json::json!(sorted), "{context}");
        let deployments: std::collections::BTreeSet<_> =
            instances.values().map(|tags| tags["mayfly:deployment"].to_string()).collect();
        assert_eq!(deployments.len(), 1, "{context}: {live:#}");
        assert_eq!(live["locks"], serde_json::json!([]), "{context}");
        ids
    }
}

#[test]
fn a_deployment_ends_with_tagged_registered_instances_and_the_old_terminated() {
    let bench = Bench::new();
    let events = bench.deploy();
    let first = bench.settled("the first deployment");
    let live = bench.live();
    let tags = &live["instances"][&first[0]];
    assert_eq!(tags["mayfly:service"], "greeter");
    assert_eq!(tags["mayfly:environment"], "production");
    assert_eq!(tags["mayfly:role"], "web");
    assert_eq!(tags["team"], "web");
    let finished = events.last().expect("events");
    assert_eq!((finished["event"].as_str(), finished["outcome"].as_str()), (Some("finished"), Some("done")));

    let commit = bench.project.commit("two");
    bench.deploy();
    let second = bench.settled("the second deployment");
    assert!(second.iter().all(|id| !first.contains(id)), "{second:?} are new");
    let states = bench.moto.boto3(&format!(
        "print([i['State']['Name'] for r in ec2.describe_instances(InstanceIds={first:?})['Reservations'] for i in r['Instances']])"
    ));
    assert_eq!(states, "['terminated', 'terminated']");
    let user_data = bench.moto.boto3(&format!(
        "import base64; a = ec2.describe_instance_attribute(InstanceId='{}', Attribute='userData')
print(base64.b64decode(a['UserData']['Value']).decode())",
        second[0]
    ));
    assert!(user_data.starts_with("#mayfly\nrole: web\nenvironment: production\n"), "{user_data}");
    assert!(user_data.contains(&commit), "{user_data}");
}

#[test]
fn history_and_status_come_from_the_clouds_own_records() {
    let bench = Bench::new();
    let never = bench.mayfly(&["history"]);
    assert_eq!(String::from_utf8_lossy(&never.stdout), "greeter in production was never deployed\n");
    bench.deploy();
    bench.deploy();
    let output = bench.mayfly(&["history", "--output", "json"]);
    let history: Value = serde_json::from_slice(&output.stdout).expect("json");
    let endings: Vec<_> = history
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| (e["number"].as_i64(), e["ending"].as_str()))
        .collect();
    assert_eq!(endings, [(Some(2), Some("current")), (Some(1), Some("succeeded"))]);
    assert_eq!(history[0]["commit"].as_str().map(str::len), Some(40));
    let output = bench.mayfly(&["status", "--output", "json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("json");
    let production = &status["environments"][0];
    assert_eq!(production["current"], history[0]["deployment"]);
    assert_eq!(production["instances"].as_array().map(Vec::len), Some(2));
    assert_eq!(production["instances"][0]["health"], "in service");
}

#[test]
fn a_plan_changes_nothing_and_names_the_steps_that_are_then_run() {
    let bench = Bench::new();
    bench.deploy();
    let before = bench.live();
    let output = bench.mayfly(&["plan", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.live(), before);
    let plan: Value = serde_json::from_slice(&output.stdout).expect("json");
    let planned: Vec<_> =
        plan["steps"].as_array().expect("steps").iter().map(|step| step["action"].clone()).collect();
    let events = bench.deploy();
    let run: Vec<_> =
        events.iter().filter(|e| e["event"] == "step-started").map(|e| e["step"].clone()).collect();
    assert_eq!(planned, run);
}

#[test]
fn killed_at_any_boundary_the_next_deployment_leaves_nothing_over() {
    let bench = Bench::new();
    bench.deploy();
    let steps = [
        "lock",
        "record",
        "launch",
        "running",
        "register",
        "in-service",
        "deregister-old",
        "drain-old",
        "terminate-old",
        "mark-default",
        "unlock",
    ];
    for step in steps {
        for side in ["before", "after"] {
            let point = format!("{side}-{step}");
            let output = bench.mayfly(&["deploy", "--kill-at", &point]);
            assert_eq!(
                output.status.signal(),
                Some(9),
                "{point}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(
                bench.live()["members"].as_array().expect("members").len() >= 2,
                "{point}: capacity fell"
            );
            bench.deploy();
            bench.settled(&point);
        }
    }
}

#[test]
fn of_two_deployments_one_wins_and_the_other_names_it() {
    let bench = Bench::new();
    bench.deploy();
    let mut both: Vec<_> = (0..2)
        .map(|_| {
            let mut command = bench.project.mayfly(&bench.moto, &["deploy"]);
            command.stderr(std::process::Stdio::piped()).spawn().expect("mayfly starts")
        })
        .collect();
    let mut codes = Vec::new();
    for child in &mut both {
        let text = support::read_all(child.stderr.take().expect("piped"));
        let code = child.wait().expect("it ends").code();
        assert!(code != Some(4) || text.contains("locked by "), "{text}");
        codes.push(code);
    }
    // One may be done before the other begins; never do both fail, and never do both change things at once.
    assert!(codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 4))), "{codes:?}");
    bench.settled("after two at once");
}

#[test]
fn bad_input_is_one_clear_line_and_exit_1() {
    let bench = Bench::new();
    let good = std::fs::read_to_string(bench.project.folder.path().join("mayfly.yaml")).expect("the spec");
    let cases = [
        (
            good.replace("count: 2", "cuont: 2"),
            "mayfly: mayfly.yaml:3:1: unknown key `cuont`; did you mean `count`?\n",
        ),
        (
            good.replace("classic: front", "classic: absent"),
            "mayfly: DescribeLoadBalancers: LoadBalancerNotFound: The specified load balancer does not exist: absent\n",
        ),
        (
            good.replace("count: 2", "count: 2\nsubnets: [subnet-12345678]"),
            "mayfly: DescribeSubnets: there is no subnet subnet-12345678 in this region\n",
        ),
    ];
    for (spec, words) in cases {
        bench.project.write_spec(&spec);
        let output = bench.mayfly(&["plan"]);
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(1), words)
        );
    }
}
