//! `kill -9` of `mayfly deploy` at each step boundary: the service keeps answering, and the next deployment ends well.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use mayfly_tests::programs::run_ok;
use mayfly_tests::sandbox::Cloud;
use mayfly_tests::traffic::Traffic;
use mayfly_tests::wait;

/// Kills the deployment the moment it says that `step` begins; whether it got there.
fn kill_when_it_begins(mut deploy: Command, step: &str) -> bool {
    let mut child = deploy.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let began = output.lines().map_while(Result::ok).any(|line| {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        event["event"] == "step-started" && event["step"] == step
    });
    child.kill().unwrap();
    child.wait().unwrap();
    began
}

/// The steps that a deployment over an old one goes through, as its own plan tells them.
fn steps(cloud: &Cloud) -> Vec<String> {
    let plan = run_ok(&mut cloud.mayfly(&["plan", "--output", "json"]));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let steps = plan["steps"].as_array().unwrap_or_else(|| panic!("no steps in {plan}"));
    steps.iter().map(|step| step["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_service_answers_and_the_next_deployment_leaves_nothing_over() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let url = cloud.create_balancer("greeter");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=0"]));
    let traffic = Traffic::start(&url);

    let steps = steps(&cloud);
    assert!(steps.len() >= 10, "{steps:?}");
    for (n, step) in steps.iter().enumerate() {
        let setting = format!("greeter.version=killed-{n}");
        let killed = cloud.mayfly(&["deploy", "--yes", "--output", "json", "--set", &setting]);
        assert!(kill_when_it_begins(killed, step), "{step} never began");

        let version = format!("rerun-{n}");
        run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", &format!("greeter.version={version}")]));
        let live = cloud.live();
        let deployments: BTreeSet<_> = live.iter().map(|i| i.tags.get("mayfly:deployment")).collect();
        assert_eq!((live.len(), deployments.len()), (2, 1), "after a kill at {step}: {live:#?}");
        wait::until("the rerun's version is served", Duration::from_secs(10), || {
            let last = traffic.last();
            if last.contains(&format!("version {version} ")) { Ok(()) } else { Err(last) }
        });
        assert_eq!(traffic.failures(), Vec::<String>::new(), "after a kill at {step}");
    }
    let (asked, failures) = traffic.stop();
    assert!(asked > 100, "{asked}");
    assert!(failures.is_empty(), "{failures:?}");
}
