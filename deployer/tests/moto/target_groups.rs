//! Target groups of both balancers and both kinds of target, beside a classic balancer: all at once.

use crate::bench::{Bench, CLASSIC, GROUPS};
use serde_json::json;
use std::os::unix::process::ExitStatusExt;

const ALL: &str = "load_balancers:\n  - {target_group: front-web}\n  - {target_group: front-tcp}\n  \
                   - {target_group: front-ip}\n  - {classic: front}\n";

fn bench() -> Bench {
    let bench = Bench::with(&format!("{CLASSIC}\n{GROUPS}"));
    bench.write_spec(ALL);
    bench
}

#[test]
fn every_balancer_gets_the_new_and_loses_the_old_in_every_strategy() {
    let bench = bench();
    bench.deploy();
    let mut before = bench.settled(2, "the first deployment");
    for strategy in ["blue-green", "{rolling: {batch: 1}}", "{canary: {size: 1, soak: 1s}}"] {
        bench.write_spec(&format!("{ALL}strategy: {strategy}\n"));
        bench.deploy();
        let after = bench.settled(2, strategy);
        assert!(after.is_disjoint(&before), "{strategy}: {after:?} are new");
        before = after;
    }
    let health = &bench.json(&["status"])["environments"][0]["instances"][0]["health"];
    assert_eq!(health, "in service");
}

#[test]
fn a_canary_stands_beside_the_old_until_somebody_decides() {
    let bench = bench();
    bench.deploy();
    let old = bench.settled(2, "the first deployment");
    bench.write_spec(&format!("{ALL}strategy: {{canary: {{size: 1, promote: manual}}}}\n"));
    bench.deploy();
    let members = bench.live()["members"].clone();
    let counts: Vec<_> =
        members.as_object().expect("members").values().map(|all| all.as_array().map(Vec::len)).collect();
    assert_eq!(counts, [Some(3); 4], "{members:#}");
    bench.ends_with(0, &["abort"]);
    assert_eq!(bench.settled(2, "aborted"), old);
    bench.deploy();
    bench.ends_with(0, &["promote"]);
    assert!(bench.settled(2, "promoted").is_disjoint(&old));
    let endings: Vec<String> = bench.endings().into_iter().map(|(_, ending)| ending).collect();
    assert_eq!(endings, ["current", "aborted", "succeeded"]);
}

#[test]
fn killed_between_balancers_the_next_deployment_leaves_nothing_over() {
    let bench = bench();
    bench.deploy();
    for point in ["before-register", "after-deregister-old"] {
        let output = bench.mayfly(&["deploy", "--kill-at", point]);
        assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
        bench.deploy();
        bench.settled(2, point);
    }
}

#[test]
fn what_a_target_group_cannot_take_is_refused_before_anything_is_changed() {
    let bench = bench();
    let before = bench.live();
    for (group, words) in [("absent", "TargetGroupNotFound"), ("front-lambda", "lambda")] {
        if group == "front-lambda" {
            bench.moto.boto3("elbv2.create_target_group(Name='front-lambda', TargetType='lambda')");
        }
        bench.write_spec(&format!("load_balancer: {{target_group: {group}}}\n"));
        let said = bench.ends_with(1, &["deploy"]);
        assert!(said.lines().count() == 1 && said.contains(words), "{said}");
    }
    assert_eq!(bench.live()["instances"], json!({}), "{before:#}");
}
