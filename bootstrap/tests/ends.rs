//! Services that end although nobody asked for it, through the whole program: console, `/ready`, `/status`, `/metrics`.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use support::Stage;
use support::boot::{Boot, get, status, until};

/// The unit of `app`, whose main process is this shell text.
fn unit(stage: &Stage, script: &str, more: &str) {
    let text = format!("[Service]\nExecStart=/bin/sh -c '{script}'\n{more}");
    stage.repo.write("app/app.service", &text);
}

/// A stage whose `app` has such a unit, booted; ready or not.
fn booted(script: &str, more: &str) -> (Stage, Boot, SocketAddr) {
    let stage = Stage::new();
    unit(&stage, script, more);
    stage.repo.push("first");
    let mut boot = stage.boot();
    let address = boot.address();
    (stage, boot, address)
}

#[test]
fn a_service_that_crashes_is_told_of_everywhere() {
    let (_stage, mut boot, address) =
        booted("echo no port >&2; exit 3", "Restart=always\nRestartSec=20ms\nRestartMaxDelaySec=1h\n");
    let first = boot.line("mayfly: service app exited with status 3, starting again in 0.02s: no port; see ");
    assert!(first.ends_with("var/log/mayfly/app.log"), "{first}");
    boot.line("starting again in 0.04s (2nd time in a row): no port");
    boot.line("starting again in 0.16s (4th time in a row): no port");
    boot.line("(8th time in a row)");
    assert!(!boot.all().iter().any(|line| line.contains("3rd time") || line.contains("5th time")));
    let service = until("a pause of some length", || {
        let service = status(address)["services"][0].clone();
        (service["next_try"].is_number() && service["failures"].as_u64() >= Some(8)).then_some(service)
    });
    assert_eq!(
        (&service["state"], &service["last_end"]),
        (&"stopped".into(), &"exited with status 3".into())
    );
    let (code, reason) = get(address, "/ready");
    let expected = "service app is not running: stopped (exited with status 3), next try in ";
    assert!(code == 503 && reason.starts_with(expected), "{code} {reason}");
    let restarts = status(address)["restarts"].clone();
    // The converge's own start of it may come between them.
    let again = restarts.as_array().unwrap().iter().filter(|one| one["cause"] == "exited with status 3");
    let times: u64 = again.filter_map(|one| one["times"].as_u64()).sum();
    assert!(times >= 7 && restarts.as_array().unwrap().len() < 5, "{restarts}");
    let metrics = get(address, "/metrics").1;
    assert!(metrics.contains("\nmayfly_services_down 1\n"), "{metrics}");
    assert!(!metrics.contains("restarts_total{cause=\"supervisor\"} 0\n"), "{metrics}");
}

#[test]
fn a_service_that_stays_down_is_told_of_once_with_the_reason() {
    let (_stage, mut boot, address) = booted("exit 4", "");
    boot.line(
        "mayfly: service app exited with status 4, and is not started again: its unit has no Restart=; see ",
    );
    let expected = "service app is not running: stopped (exited with status 4) and is not started again: its unit \
                    has no Restart=";
    until("the reason", || get(address, "/ready").1.starts_with(expected).then_some(()));
}

#[test]
fn a_slip_in_a_unit_is_told_with_what_was_meant() {
    let (stage, mut boot, address) = booted("exec sleep 100000", "Restrat=always\n");
    let note = boot.line("mayfly: note: service app: ");
    let expected = "etc/systemd/system/app.service:3: Restrat= in [Service] is ignored by the built-in supervisor; \
                    did you mean `Restart`?";
    assert!(note.ends_with(expected), "{note}");
    boot.line("mayfly: ready");
    unit(&stage, "exec sleep 100000", "X-Mayfly-ReadyProt=80\n");
    stage.repo.write("pillar/app.sls", "greeting: bye\n");
    stage.repo.push("second");
    let failed = boot.line("mayfly: failed: ");
    assert!(failed.contains("app.service:3:1: unknown key `X-Mayfly-ReadyProt`"), "{failed}");
    assert!(failed.contains("did you mean `X-Mayfly-ReadyPort`?"), "{failed}");
    // The program that runs is left alone.
    assert_eq!(status(address)["services"][0]["state"], "running");
}
