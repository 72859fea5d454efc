//! A whole deployment behind a classic balancer: what it leaves, what it records, and what a kill does to it.

use crate::bench::Bench;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;

#[test]
fn a_deployment_ends_with_tagged_registered_instances_and_the_old_terminated() {
    let bench = Bench::classic();
    let events = bench.deploy();
    let first = bench.settled(2, "the first deployment");
    let live = bench.live();
    for tags in live["instances"].as_object().expect("instances").values() {
        assert_eq!(tags["mayfly:service"], "greeter");
        assert_eq!(tags["mayfly:environment"], "production");
        assert_eq!(tags["mayfly:role"], "web");
        assert_eq!(tags["team"], "web");
    }
    let finished = events.last().expect("events");
    assert_eq!((finished["event"].as_str(), finished["outcome"].as_str()), (Some("finished"), Some("done")));

    let commit = bench.commit("two");
    bench.deploy();
    let second = bench.settled(2, "the second deployment");
    assert!(second.is_disjoint(&first), "{second:?} are new");
    let states = bench.moto.boto3(&format!(
        "print([i['State']['Name'] for r in ec2.describe_instances(InstanceIds=list({first:?}))['Reservations'] \
         for i in r['Instances']])"
    ));
    assert_eq!(states, "['terminated', 'terminated']");
    let user_data = bench.user_data(second.first().expect("two"));
    assert!(user_data.starts_with("#mayfly\nrole: web\nenvironment: production\n"), "{user_data}");
    assert!(user_data.contains(&commit), "{user_data}");
}

#[test]
fn history_and_status_come_from_the_clouds_own_records() {
    let bench = Bench::classic();
    let never = bench.mayfly(&["history"]);
    assert_eq!(String::from_utf8_lossy(&never.stdout), "greeter in production was never deployed\n");
    bench.deploy();
    bench.deploy();
    assert_eq!(bench.endings(), [(2, "current".to_owned()), (1, "succeeded".to_owned())]);
    let history = bench.json(&["history"]);
    assert_eq!(history[0]["commit"].as_str().map(str::len), Some(40));
    let status = bench.json(&["status"]);
    let production = &status["environments"][0];
    assert_eq!(production["current"], history[0]["deployment"]);
    assert_eq!(production["instances"].as_array().map(Vec::len), Some(2));
    assert_eq!(production["instances"][0]["health"], "in service");
}

#[test]
fn a_plan_changes_nothing_and_names_the_steps_that_are_then_run() {
    let bench = Bench::classic();
    bench.deploy();
    let before = bench.live();
    let plan = bench.json(&["plan"]);
    assert_eq!(bench.live(), before);
    let planned: Vec<_> =
        plan["steps"].as_array().expect("steps").iter().map(|step| step["action"].clone()).collect();
    let events = bench.deploy();
    let run: Vec<Value> =
        events.iter().filter(|e| e["event"] == "step-started").map(|e| e["step"].clone()).collect();
    assert_eq!(planned, run);
}

/// One point of each kind: nothing of it yet, all of it, both, the old out, all but its mark. The simulation has them all.
#[test]
fn killed_where_it_hurts_the_next_deployment_leaves_nothing_over() {
    let bench = Bench::classic();
    bench.deploy();
    for point in
        ["after-lock", "after-launch", "after-register", "after-deregister-old", "before-mark-default"]
    {
        let output = bench.mayfly(&["deploy", "--kill-at", point]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "{point}: {said}");
        let live = bench.live();
        let members = live["members"]["front"].as_array().map(Vec::len);
        assert!(members >= Some(2), "{point}: capacity fell: {live:#}");
        bench.deploy();
        bench.settled(2, point);
    }
}

#[test]
fn bad_input_is_one_clear_line_and_exit_1() {
    let bench = Bench::classic();
    let good = std::fs::read_to_string(bench.folder.path().join("mayfly.yaml")).expect("the spec");
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
        bench.write_text(&spec);
        assert_eq!(bench.ends_with(1, &["plan"]), words);
    }
}
