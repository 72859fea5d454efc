//! The IAM policy that `mayfly init` writes allows exactly what the commands ask of a cloud.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::Cloud;
use mayfly_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

/// Rights that no call of their own shows: AWS checks them within `RunInstances` and `DeregisterImage`.
const WITHIN: [&str; 2] = ["iam:PassRole", "ec2:DeleteSnapshot"];

/// What a policy allows.
fn allowed(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"), "{policy:#}");
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// A bake that is told to stop while its image is being made: the image and its snapshot go again.
fn interrupted_bake(cloud: &Cloud) {
    cloud.configure(r#"{"delays": {"image_ms": 600000}}"#);
    let images = cloud.images().len();
    let mut bake = cloud.mayfly(&["bake", "--role", "web"]);
    let mut child = bake.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("the image is being made", Duration::from_secs(60), || {
        if cloud.images().len() > images { Ok(()) } else { Err(images) }
    });
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(cloud.images().len(), images);
    cloud.configure("{}");
}

#[test]
fn the_deployers_policy_is_exactly_what_is_asked() {
    let cloud = Cloud::start();
    let (states, folder) = (cloud.repo_url(), cloud.folder.path().join("begun"));
    let written = cloud
        .mayfly(&["init", "--service", "greeter", "--states", &states, "--classic", "greeter", "--folder"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", text(&written.stderr));
    let policy: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("iam/deployer.json")).unwrap()).unwrap();

    cloud.create_balancer("greeter");
    cloud.write_spec("");
    let before: BTreeSet<String> = cloud.actions();
    for _ in 0..2 {
        run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    }
    cloud.write_spec("hooks: [{before: deregister-old, run: [/bin/false]}]\n");
    assert_eq!(run(&mut cloud.mayfly(&["deploy", "--yes"])).status.code(), Some(2));
    for args in [&["history"][..], &["diff", "1", "2"], &["status"], &["inventory"], &["unlock"], &["plan"]] {
        run_ok(&mut cloud.mayfly(args));
    }
    run_ok(&mut cloud.mayfly(&["bake", "--role", "web"]));
    interrupted_bake(&cloud);

    // What the test itself asked beforehand is no business of the deployer.
    let asked: BTreeSet<String> = cloud.actions().difference(&before).cloned().collect();
    let mut allowed = allowed(&policy);
    for right in WITHIN {
        assert!(allowed.remove(right), "{right}");
    }
    assert_eq!(asked, allowed);
}
