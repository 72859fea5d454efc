//! A classic load balancer over real instances: probes decide, traffic flows, draining loses no request.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use support::{get, http_server, sandbox, until};

fn in_service(health: &[(String, String)], id: &str) -> bool {
    health.iter().any(|(instance, state)| instance == id && state == "InService")
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_reaches_instances_in_service_only() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let address = api.balancer("web", "8081");
    until("the listener is open", || get(&address, 8081, "/").is_ok_and(|(code, _)| code == 503)).await;
    let good = sandbox.run(&http_server("good"), &[]).await;
    let mute = sandbox.run("#!/bin/sh\necho nothing here\n", &[]).await;
    api.register("web", &good.id);
    api.register("web", &mute.id);
    until("the good one is in service", || in_service(&api.health("web"), &good.id)).await;
    assert!(!in_service(&api.health("web"), &mute.id));
    for _ in 0..20 {
        assert_eq!(get(&address, 8081, "/").unwrap(), (200, "good".to_owned()));
    }
    api.ec2("TerminateInstances", &[("InstanceId.1", &good.id)]).unwrap();
    until("nobody is left", || get(&address, 8081, "/").is_ok_and(|(code, _)| code == 503)).await;
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_the_request_in_flight_and_takes_no_new_one() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let address = api.balancer("web", "8082");
    let draining = [
        ("LoadBalancerName", "web"),
        ("LoadBalancerAttributes.ConnectionDraining.Enabled", "true"),
        ("LoadBalancerAttributes.ConnectionDraining.Timeout", "30"),
    ];
    api.elb("ModifyLoadBalancerAttributes", &draining).unwrap();
    let (old, new) =
        (sandbox.run(&http_server("old"), &[]).await, sandbox.run(&http_server("new"), &[]).await);
    api.register("web", &old.id);
    until("the old one is in service", || in_service(&api.health("web"), &old.id)).await;
    let slow = {
        let address = address.clone();
        tokio::task::spawn_blocking(move || get(&address, 8082, "/slow"))
    };
    let path = sandbox.handle.state_dir().join("instances").join(&old.id).join("console.log");
    until("the slow request is under way", || slow_began(&sandbox, &old.id) || !path.exists()).await;
    api.register("web", &new.id);
    until("the new one is in service", || in_service(&api.health("web"), &new.id)).await;
    api.deregister("web", &old.id);
    until("new requests go to the new one", || get(&address, 8082, "/").is_ok_and(|(_, body)| body == "new"))
        .await;
    for _ in 0..20 {
        assert_eq!(get(&address, 8082, "/").unwrap(), (200, "new".to_owned()));
    }
    assert_eq!(slow.await.unwrap().unwrap(), (200, "old".to_owned()));
    sandbox.handle.down().await.unwrap();
}

/// The server notes the arrival of a slow request; `/tmp` is the instance's own, seen through its init.
fn slow_began(sandbox: &support::Sandbox, id: &str) -> bool {
    let spec = sandbox.handle.state_dir().join("instances").join(id).join("spec.json").display().to_string();
    support::processes_with(&spec)
        .iter()
        .any(|pid| std::path::Path::new(&format!("/proc/{pid}/root/tmp/slow-began")).exists())
}
