//! What goes wrong between a deployment and its cloud: lost answers, and states that fail behind a healthy service.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::Cloud;

#[test]
fn a_lost_answer_to_a_launch_leaves_no_instance_over() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    cloud.create_balancer("greeter");
    cloud.configure(r#"{"faults": [{"action": "RunInstances", "kind": "lost_after_effect"}]}"#);
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    assert_eq!(cloud.live().len(), 2, "{:#?}", cloud.live());
}

#[test]
fn a_state_that_fails_behind_a_service_that_answers_is_rolled_back() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    cloud.create_balancer("greeter");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let old: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
    // The failing state comes first, so that its word is on the console before the service answers.
    cloud.repo.edit(
        "greeter/init.sls",
        "greeter-program:",
        "boom:\n  cmd.run:\n    - name: /bin/false\n\ngreeter-program:",
    );
    cloud.repo.push("break a state");
    let output = run(&mut cloud.mayfly(&["deploy", "--yes"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("mayfly: failed:") && said.contains("cmd.run /bin/false"), "{said}");
    let left: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
    assert_eq!(left, old, "{said}");
}

/// What an operator reads when a version does not get well: each wait with its deadline, what was seen last, what was
/// undone and what there is to do.
#[test]
fn a_failed_wait_says_what_was_seen_what_was_undone_and_what_to_do() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let write = |probe: &str, more: &str| {
        cloud.write_spec(more);
        let file = cloud.folder.path().join("mayfly.yaml");
        let spec = std::fs::read_to_string(&file).unwrap();
        let spec = spec.replace("path: /health", probe).replace("probe: 20s", "probe: 3s");
        std::fs::write(&file, spec.replace("in_service: 30s", "in_service: 8s")).unwrap();
    };
    let fails = |args: &[&str], words: &[&str]| {
        let output = run(cloud.mayfly(&["deploy", "--yes"]).args(args));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in words.iter().chain(&["  next: nothing; all is as it was before"]) {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    write("path: /health", "");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let unhealthy = ["--set", "greeter.health=failing"];
    let waited = "waited 3s for 2 instances to answer 200 at :8080/health; last seen: i-";
    fails(&unhealthy, &[waited, "answered 503: health = failing", "console: mayfly: ready", "undo: "]);
    // The probe is content, the balancer is not.
    write("path: /", "");
    let waited = "waited 8s for 2 instances to be in service with greeter; last seen: i-";
    fails(
        &unhealthy,
        &[
            waited,
            "has not passed the configured HealthyThreshold",
            "greeter checks HTTP:8080/health",
            "undo: ",
        ],
    );
    write("path: /health", "");
    cloud.configure(r#"{"capacity": [{"max": 2}]}"#);
    let short = "only 0 of 1 instances of one request could be launched; t3.micro in subnet-";
    fails(&[], &[short, "InsufficientInstanceCapacity", "`instance_type` takes a list of types"]);
    assert_eq!(cloud.live().len(), 2);
}
