//! Application and network load balancers over real instances: checks decide, weights divide, drains lose no request.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use support::{get, http_server, sandbox, until};

#[tokio::test(flavor = "multi_thread")]
async fn weights_divide_the_requests_among_target_groups() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let (blue, green) =
        (api.target_group("blue", "HTTP", "instance"), api.target_group("green", "HTTP", "ip"));
    let address = api.load_balancer("application", "web", "8091", &[(&blue, "3"), (&green, "1")]);
    let old = sandbox.run(&http_server("blue"), &[]).await;
    let new = sandbox.run(&http_server("green"), &[]).await;
    api.register_target(&blue, &old.id);
    api.register_target(&green, &new.private);
    let healthy = |group: &str, id: &str| api.target(group, id).0 == "healthy";
    until("both are healthy", || healthy(&blue, &old.id) && healthy(&green, &new.private)).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..40 {
        let (code, body) = get(&address, 8091, "/").unwrap();
        assert_eq!(code, 200);
        *counts.entry(body).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("blue".to_owned(), 30), ("green".to_owned(), 10)]));
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_the_request_in_flight_and_is_shown_to_its_end() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let group = api.target_group("web", "HTTP", "instance");
    let delay = [
        ("TargetGroupArn", group.as_str()),
        ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
        ("Attributes.member.1.Value", "15"),
    ];
    api.elbv2("ModifyTargetGroupAttributes", &delay).unwrap();
    let address = api.load_balancer("application", "web", "8092", &[(&group, "1")]);
    let (old, new) =
        (sandbox.run(&http_server("old"), &[]).await, sandbox.run(&http_server("new"), &[]).await);
    api.register_target(&group, &old.id);
    until("the old one is healthy", || api.target(&group, &old.id).0 == "healthy").await;
    let slow = {
        let address = address.clone();
        tokio::task::spawn_blocking(move || get(&address, 8092, "/slow"))
    };
    until("the slow request is under way", || slow_began(&sandbox, &old.id)).await;
    api.register_target(&group, &new.id);
    until("the new one is healthy", || api.target(&group, &new.id).0 == "healthy").await;
    api.deregister_target(&group, &old.id);
    until("new requests go to the new one", || get(&address, 8092, "/").is_ok_and(|(_, body)| body == "new"))
        .await;
    for _ in 0..20 {
        assert_eq!(get(&address, 8092, "/").unwrap(), (200, "new".to_owned()));
    }
    assert_eq!(slow.await.unwrap().unwrap(), (200, "old".to_owned()));
    assert_eq!(api.target(&group, &old.id).0, "draining", "with nothing in flight any more");
    until("the delay is over", || api.target(&group, &old.id).1 == "Target.NotRegistered").await;
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_balancer_carries_connections() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let group = api.target_group("web", "TCP", "instance");
    let address = api.load_balancer("network", "web", "8093", &[(&group, "1")]);
    let mute = sandbox.run("#!/bin/sh\necho nothing here\n", &[]).await;
    let good = sandbox.run(&http_server("good"), &[]).await;
    api.register_target(&group, &mute.id);
    api.register_target(&group, &good.id);
    until("the good one is healthy", || api.target(&group, &good.id).0 == "healthy").await;
    until("the mute one is not", || api.target(&group, &mute.id).1 == "Target.FailedHealthChecks").await;
    for _ in 0..10 {
        assert_eq!(get(&address, 8093, "/").unwrap(), (200, "good".to_owned()));
    }
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_why_it_failed_and_with_all_unhealthy_the_balancer_fails_open() {
    let sandbox = sandbox().await;
    let api = sandbox.api();
    let group = api.target_group("web", "HTTP", "instance");
    let address = api.load_balancer("application", "web", "8094", &[(&group, "1")]);
    let other = [("TargetGroupArn", group.as_str()), ("Matcher.HttpCode", "201-299")];
    api.elbv2("ModifyTargetGroup", &other).unwrap();
    let only = sandbox.run(&http_server("only"), &[]).await;
    sandbox.wait_console(&only.id, "server starts").await;
    api.register_target(&group, &only.id);
    let mismatch =
        ["unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [200]"];
    let expected: (String, String, String) = mismatch.map(str::to_owned).into();
    until("it is unhealthy by its code", || api.target(&group, &only.id) == expected).await;
    assert_eq!(get(&address, 8094, "/").unwrap(), (200, "only".to_owned()));
    sandbox.handle.down().await.unwrap();
}

/// The server notes the arrival of a slow request; `/tmp` is the instance's own, seen through its init.
fn slow_began(sandbox: &support::Sandbox, id: &str) -> bool {
    let spec = sandbox.handle.state_dir().join("instances").join(id).join("spec.json").display().to_string();
    support::processes_with(&spec)
        .iter()
        .any(|pid| std::path::Path::new(&format!("/proc/{pid}/root/tmp/slow-began")).exists())
}
