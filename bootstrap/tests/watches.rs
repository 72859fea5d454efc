//! Watches through the whole program: what rules say of edits, checks and rates, and what `/status` says of them.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use support::boot::{Boot, get, status, until};
use support::{INSTANCE, Stage};

/// A stage whose pillar declares this of the service `app`, booted.
fn booted(rule: &str) -> (Stage, Boot, SocketAddr) {
    let stage = Stage::new();
    pillar(&stage, "hello", rule);
    let (boot, address, _) = stage.pushed("first");
    stage.wait_starts(1);
    (stage, boot, address)
}

fn pillar(stage: &Stage, greeting: &str, rule: &str) {
    let text = format!("greeting: {greeting}\nmayfly:\n  watch:\n    - {{service: app, {rule}}}\n");
    stage.repo.write("pillar/app.sls", &text);
}

/// By hand, as `sed -i` does it: another file in the place of the first.
fn edit(stage: &Stage, content: &str) {
    let file = stage.root().join("etc/app.conf");
    fs::write(file.with_extension("new"), content).unwrap();
    fs::rename(file.with_extension("new"), file).unwrap();
}

fn rule(address: SocketAddr) -> serde_json::Value {
    status(address)["watches"][0].clone()
}

fn has(address: SocketAddr, metric: &str) -> bool {
    get(address, "/metrics").1.contains(&format!("\nmayfly_{metric}\n"))
}

#[test]
fn an_edit_of_a_file_of_the_states_is_put_back_without_a_restart_where_the_rule_says_so() {
    let (stage, mut boot, address) = booted("on_edit: revert");
    let hello = format!("hello from web-{INSTANCE} in staging\n");
    for round in 1..=2 {
        edit(&stage, "edited\n");
        boot.line("etc/app.conf edited by hand, to be put back");
        boot.line("put back ");
        assert_eq!(stage.conf(), hello);
        until("the watcher's word", || rule(address)["edited"].as_array().unwrap().is_empty().then_some(()));
        assert!(has(address, &format!("edits_reverted_total {round}")));
    }
    fs::remove_file(stage.root().join("etc/app.conf")).unwrap();
    boot.line("put back ");
    assert_eq!(stage.conf(), hello);
    // What the tree changes is no edit, and gives one restart.
    pillar(&stage, "good evening", "on_edit: revert");
    let second = stage.repo.push("second");
    boot.ready(&second);
    stage.wait_starts(2);
    edit(&stage, "edited\n");
    boot.line("put back ");
    assert!(stage.conf().starts_with("good evening"));
    until("quiet", || (rule(address)["state"] == "quiet").then_some(()));
    assert_eq!(stage.starts(), 2, "the service never read an edit");
}

#[test]
fn an_edit_of_a_file_of_the_states_is_only_reported_where_the_rule_says_so() {
    let (stage, mut boot, address) = booted("on_edit: report");
    edit(&stage, "edited\n");
    boot.line("etc/app.conf edited by hand, app is kept as it runs");
    let edited = rule(address);
    assert_eq!(edited["edited"][0], stage.root().join("etc/app.conf").to_str().unwrap());
    assert!(has(address, "watch_edited_files 1") && get(address, "/ready").0 == 200);
    assert_eq!((stage.conf().as_str(), stage.starts()), ("edited\n", 1));
    // The next converge puts it back, as it does whatever else drifted.
    boot.signal("HUP");
    boot.line("mayfly: ready");
    until("the watcher's word", || has(address, "watch_edited_files 0").then_some(()));
    assert!(stage.conf().starts_with("hello"));
}

#[test]
fn a_check_of_what_the_states_let_a_service_watch_keeps_it_and_says_so_in_the_status() {
    let check = "check: 'grep -q hello ROOT/etc/app.conf'";
    let stage = Stage::new();
    pillar(&stage, "hello", &check.replace("ROOT", stage.root().to_str().unwrap()));
    let (mut boot, address, _) = stage.pushed("first");
    edit(&stage, "broken\n");
    boot.line("the check fails, app is kept as it runs");
    let refused = rule(address);
    assert_eq!((&refused["state"], &refused["last_failure"]["what"]), (&"refused".into(), &"check".into()));
    assert_eq!(refused["last_failure"]["standing"], true);
    assert!(refused["last_failure"]["reason"].as_str().unwrap().contains("grep -q hello"), "{refused}");
    assert!(has(address, "watch_checks_failing 1"));
    assert_eq!(stage.starts(), 1);
    edit(&stage, "hello again\n");
    boot.line("restart app: ");
    stage.wait_starts(2);
    until("the failure is over", || (rule(address)["last_failure"]["standing"] == false).then_some(()));
    assert!(has(address, "watch_checks_failing 0"));
}

/// What is pushed is no better than what is written by hand: the service is kept, and the converge has failed.
#[test]
fn a_push_that_a_check_refuses_restarts_nothing_until_it_is_mended() {
    let stage = Stage::new();
    let check = format!("check: 'grep -q hello {}/etc/app.conf'", stage.root().display());
    pillar(&stage, "hello", &check);
    let (mut boot, address, _) = stage.pushed("first");
    stage.wait_starts(1);
    pillar(&stage, "broken", &check);
    stage.repo.push("broken");
    let failed = boot.line("mayfly: failed: ");
    assert!(failed.contains("it is kept as it runs: `grep -q hello"), "{failed}");
    assert!(stage.conf().starts_with("broken"));
    assert_eq!((stage.starts(), get(address, "/ready").0), (1, 503));
    pillar(&stage, "hello again", &check);
    let mended = stage.repo.push("mended");
    boot.ready(&mended);
    stage.wait_starts(2);
}

#[test]
fn a_change_beyond_the_rate_is_held_seen_in_the_status_and_done_in_the_end() {
    let (stage, mut boot, address) = booted("rate: 1/3s, debounce: 10ms");
    edit(&stage, "one\n");
    boot.line("restart app: ");
    stage.wait_starts(2);
    edit(&stage, "two\n");
    boot.line("app has to wait ");
    let held = rule(address);
    if held["state"] == "held" {
        assert!(held["held_until"].as_f64().unwrap() > held["last_change"].as_f64().unwrap(), "{held}");
        assert!(held["actions"] == 1, "{held}");
    }
    boot.line("restart app: ");
    stage.wait_starts(3);
}

#[test]
fn a_rule_of_nothing_is_warned_of_and_the_watching_is_in_the_status() {
    let (_stage, boot, address) = booted("on_edit: report}\n    - {service: ghost, check: /bin/true");
    let warning = "mayfly: warning: the watch rule \"states: ghost\" has no `paths`, and no state lets ghost watch a file";
    assert!(boot.all().iter().any(|line| line == warning), "{:?}", boot.all());
    let status = status(address);
    assert!(status["watching"]["watches"].as_u64().unwrap() > 1, "{}", status["watching"]);
    assert_eq!((&status["watching"]["degraded"], &status["watching"]["overflows"]), (&().into(), &0.into()));
}

#[test]
fn the_starter_on_a_single_box_has_the_rules_of_both_its_services() {
    let stage = Stage::new();
    let starter = concat!(env!("CARGO_MANIFEST_DIR"), "/../states/starter/.");
    assert!(Command::new("cp").args(["-a", starter]).arg(&stage.repo.work).status().unwrap().success());
    stage.repo.push("the starter");
    let single = "role: single\npillar: {greeter: {user: root}, worker: {user: root}}\n";
    let text = support::user_data(&stage.server.url("states.git"), "").replacen("role: web\n", single, 1);
    stage.imds.set_user_data(text);
    let mut boot = stage.boot();
    let address = boot.address();
    // Its programs are not where the units say: they are below a root of their own.
    boot.line_of(&["mayfly: failed: ", "mayfly: ready"]);
    let status = status(address);
    let rules: Vec<_> = status["watches"].as_array().unwrap().iter().map(|r| r["rule"].clone()).collect();
    for rule in ["greeter-config", "worker-config"] {
        assert!(rules.iter().any(|r| r == rule), "{rules:?}");
    }
}

#[test]
fn what_is_odd_in_rules_is_warned_of() {
    let more = "check: no-such-program -t}\n    - {service: ghost, paths: [/etc/ghost], action: run /no/such";
    let (_stage, boot, _) = booted(&format!("{more}}}\n  wacth: {{x: y"));
    for warning in [
        "pillar mayfly: unknown key `wacth`; did you mean `watch`?",
        "the watch rule \"ghost: /etc/ghost\": builtin knows no service ghost",
        "the watch rule \"states: app\": there is no program no-such-program, which its check is to run",
        "the watch rule \"ghost: /etc/ghost\": there is no program /no/such, which its action is to run",
    ] {
        let line = format!("mayfly: warning: {warning}");
        assert_eq!(boot.all().iter().filter(|l| **l == line).count(), 1, "{warning}\n{:?}", boot.all());
    }
}

#[test]
fn a_restart_that_fails_is_told_with_what_is_so_now_and_counted() {
    let (stage, mut boot, address) = booted("debounce: 10ms");
    let unit = stage.root().join("etc/systemd/system/app.service");
    let (right, port) = (fs::read_to_string(&unit).unwrap(), "X-Mayfly-ReadyCommand=/bin/false\n");
    let dies = format!("[Service]\nExecStart=/bin/false\n{port}TimeoutStartSec=5s\n");
    // What cannot be read touches nothing; what can be read and fails is down.
    fs::write(&unit, "[Service]\nRestart=sometimes\n").unwrap();
    edit(&stage, "one\n");
    let line = boot.line("etc/app.conf changed, app could not be restarted: ");
    assert!(line.ends_with("; it runs on"), "{line}");
    fs::write(&unit, dies).unwrap();
    edit(&stage, "two\n");
    let line = boot.line("etc/app.conf changed, app was restarted and failed: ");
    assert!(line.ends_with("; it is down"), "{line}");
    until("metrics", || has(address, "watch_actions_failing 1").then_some(()));
    assert!(has(address, "watch_actions_failed_total 2"));
    fs::write(&unit, right).unwrap();
    edit(&stage, "three\n");
    boot.line("restart app: ");
    until("metrics", || has(address, "watch_actions_failing 0").then_some(()));
}

#[test]
fn a_command_without_a_service_is_told_without_one() {
    let stage = Stage::new();
    let ran = stage.dir.path().join("ran");
    let rule = format!("{{paths: [/etc/other.conf], action: run touch {}}}", ran.display());
    stage.repo.write("pillar/app.sls", &format!("greeting: hello\nmayfly: {{watch: {{touch: {rule}}}}}\n"));
    let (mut boot, _, _) = stage.pushed("first");
    fs::write(stage.root().join("etc/other.conf"), "x").unwrap();
    let line = boot.line("mayfly: run touch ");
    let path = stage.root().join("etc/other.conf");
    assert_eq!(line, format!("mayfly: run touch {}: {} changed", ran.display(), path.display()));
}
