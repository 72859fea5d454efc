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
