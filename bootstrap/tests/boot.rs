//! The whole program on a root of its own: boot, follow, restart, and what goes wrong on the way.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use support::boot::{PROGRAM, get, status, until};
use support::git_http::Fault;
use support::{INSTANCE, Stage};

#[test]
fn boots_converges_and_follows_an_edit_with_one_restart() {
    let stage = Stage::new();
    let (mut boot, address, first) = stage.pushed("first");
    assert_eq!(get(address, "/ready"), (200, format!("ready web-{INSTANCE} {first}\n")));
    assert_eq!(stage.conf(), format!("hello from web-{INSTANCE} in staging\n"));
    stage.wait_starts(1);

    stage.repo.write("pillar/app.sls", "greeting: good evening\n");
    let second = stage.repo.push("second");
    boot.ready(&second);
    assert!(stage.conf().starts_with("good evening"));
    stage.wait_starts(2);
    let status = status(address);
    assert_eq!(status["commit"], second.as_str());
    assert_eq!(status["converge"]["changed"], 2);
    let causes: Vec<_> =
        status["restarts"].as_array().unwrap().iter().map(|r| r["cause"].as_str().unwrap()).collect();
    assert_eq!(causes.last().unwrap(), &format!("converge {}", &second[..12]));

    // By hand now: the watcher restarts, once.
    fs::write(stage.root().join("etc/app.conf"), "edited\n").unwrap();
    boot.line("restart app: ");
    stage.wait_starts(3);
    assert!(get(address, "/metrics").1.contains("mayfly_restarts_total{cause=\"watch\"} 1\n"));
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(stage.root().join("var/lib/mayfly/status.json")).unwrap()).unwrap();
    assert_eq!(file["id"], format!("web-{INSTANCE}").as_str());

    // SIGHUP puts it right again although the commit is the same.
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert!(stage.conf().starts_with("good evening"));
    stage.wait_starts(4);
    assert!(boot.stop().success());
    let pid = stage.service();
    assert!(!std::path::Path::new("/proc").join(pid).exists(), "the service outlived SIGTERM");
}

#[test]
fn a_pinned_commit_comes_first_then_the_reference_is_followed() {
    let stage = Stage::new();
    let old = stage.repo.push("old");
    stage.repo.write("pillar/app.sls", "greeting: newer\n");
    let new = stage.repo.push("new");
    stage.set(&format!("  commit: {old}\n"));
    let mut boot = stage.boot();
    boot.ready(&old);
    boot.ready(&new);
    assert!(boot.stop().success());
    // Converged once on this instance: after a reboot the pin is history.
    let mut boot = stage.boot();
    boot.ready(&new);
    assert!(!boot.all().iter().any(|l| l.contains(&old[..12])), "{:?}", boot.all());
}

#[test]
fn without_follow_the_pinned_commit_stays() {
    let stage = Stage::new();
    let old = stage.repo.push("old");
    stage.repo.write("pillar/app.sls", "greeting: newer\n");
    stage.repo.push("new");
    stage.set(&format!("  commit: {old}\n  follow: false\n"));
    let mut boot = stage.boot();
    boot.ready(&old);
    boot.signal("HUP");
    boot.ready(&old);
    assert!(stage.conf().starts_with("hello"));
}

#[test]
fn remote_down_without_a_tree_keeps_trying_and_says_so() {
    let stage = Stage::new();
    let commit = stage.repo.push("first");
    stage.server.set(Fault::Down);
    let mut boot = stage.boot();
    let address = boot.address();
    boot.line("waiting: no state tree yet: remote http://");
    let (code, reason) = until("the reason on /ready", || {
        let (code, reason) = get(address, "/ready");
        reason.contains("cannot be reached").then_some((code, reason))
    });
    assert_eq!(code, 503);
    assert!(reason.starts_with("no state tree yet after"), "{reason}");
    stage.server.set(Fault::None);
    boot.ready(&commit);
    assert_eq!(get(address, "/ready").0, 200);
}

#[test]
fn remote_down_with_a_tree_boots_from_it() {
    let stage = Stage::new();
    let (mut boot, _, good) = stage.pushed("good");
    assert!(boot.stop().success());
    stage.server.set(Fault::Down);
    let mut boot = stage.boot();
    let address = boot.address();
    boot.line(&format!("using the last good tree {}", &good[..12]));
    boot.ready(&good);
    let status = status(address);
    assert_eq!((&status["ready"], &status["remote"]["ok"]), (&true.into(), &false.into()));
    stage.server.set(Fault::None);
    boot.line("the remote answers again");
}

#[test]
fn killed_in_the_middle_of_a_fetch_the_old_tree_stays_current() {
    let stage = Stage::new();
    let (mut boot, _, first) = stage.pushed("first");
    stage.wait_starts(1);
    stage.server.set(Fault::StallPack);
    stage.repo.write("big", &"x\n".repeat(100_000));
    let second = stage.repo.push("second");
    stage.server.take_requests();
    until("the fetch", || stage.server.take_requests().iter().any(|r| r.starts_with("POST")).then_some(()));
    let app = stage.service();
    boot.child.kill().unwrap();
    boot.child.wait().unwrap();
    let state = stage.root().join("var/lib/mayfly");
    assert!(fs::read_link(state.join("current")).unwrap().ends_with(&first));
    assert!(!state.join("releases").join(&second).exists());
    // The built-in supervisor died with it; its service is ours to end.
    let _ = std::process::Command::new("kill").arg(&app).status();
    stage.server.set(Fault::None);
    let mut boot = stage.boot();
    boot.ready(&second);
}

#[test]
fn wrong_user_data_is_shown_with_its_place_and_can_be_repaired() {
    let stage = Stage::new();
    stage.repo.push("first");
    stage.imds.set_user_data("#mayfly\nrole: web\nlisten: 127.0.0.1:0\nstates:\n  ulr: file:///x\n");
    let mut boot = stage.boot();
    let line = boot.line("failed: ");
    assert_eq!(line, "mayfly: failed: user-data:5:3: unknown key `ulr`; did you mean `url`?");
    stage.set("");
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert!(boot.stop().success());
}

#[test]
fn two_of_one_state_directory_are_refused() {
    let stage = Stage::new();
    let (_boot, _, _) = stage.pushed("first");
    let mut second = stage.boot();
    second.line("another");
    assert_eq!(second.child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_broken_edit_is_shown_with_its_place_changes_nothing_and_is_repaired_by_the_next() {
    let stage = Stage::new();
    let (mut boot, address, _) = stage.pushed("good");
    stage.wait_starts(1);
    for (file, broken, place) in [
        ("top.sls", "base:\n  '*':\n    - app\n   - odd\n", "top.sls:4:"),
        (
            "app/init.sls",
            "app-conf:\n  file.managed:\n    - name: /etc/app.conf\n    - contents: {{ pillar.greeting\n",
            "app/init.sls:4:",
        ),
        ("app/init.sls", "app-conf:\n  file.mangled:\n    - name: /etc/app.conf\n", "app/init.sls:1:"),
        ("pillar/app.sls", "greeting: [\n", "app.sls:"),
    ] {
        let whole = fs::read_to_string(stage.repo.work.join(file)).unwrap();
        stage.repo.write(file, broken);
        stage.repo.push("broken");
        let line = boot.line("mayfly: failed: ");
        assert!(line.contains(place), "{file}: {line}");
        let (code, reason) = get(address, "/ready");
        assert!(code == 503 && reason.contains(place), "{code} {reason}");
        assert!(stage.conf().starts_with("hello from"));
        stage.repo.write(file, &whole);
        let fixed = stage.repo.push("fixed");
        boot.ready(&fixed);
        assert_eq!(get(address, "/ready").0, 200);
    }
    assert_eq!(stage.starts(), 1, "the service was kept as it ran");
    let releases = fs::read_dir(stage.root().join("var/lib/mayfly/releases")).unwrap().count();
    assert!(releases <= 5, "{releases} releases are kept");
}

#[test]
fn a_failed_state_is_named_and_tried_again_only_after_a_pause() {
    let stage = Stage::new();
    stage.repo.write("app/init.sls", "fails:\n  cmd.run:\n    - name: echo from-the-state >&2; exit 3\n");
    stage.repo.push("fails");
    let mut boot = stage.boot();
    let address = boot.address();
    let line = boot.line("mayfly: failed: ");
    assert!(line.contains("app/init.sls:1:1: cmd.run"), "{line}");
    let (code, reason) = get(address, "/ready");
    assert!(code == 503 && reason.contains("app/init.sls:1:1"), "{code} {reason}");
    let status = status(address);
    assert_eq!(status["converge"]["failed"][0]["id"], "fails");
    // Three ticks of the schedule ask the remote and do nothing else.
    stage.server.take_requests();
    until("three more questions", || (stage.server.requests.lock().unwrap().len() >= 3).then_some(()));
    assert_eq!(boot.all().iter().filter(|l| l.contains("converging")).count(), 1);
}

#[test]
fn a_service_that_dies_for_good_is_not_ready() {
    let stage = Stage::new();
    let (_boot, address, _) = stage.pushed("first");
    stage.wait_starts(1);
    let pid = stage.service();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let (_, reason) = until("503", || Some(get(address, "/ready")).filter(|(code, _)| *code == 503));
    assert!(reason.starts_with("service app is not running"), "{reason}");
}

#[test]
fn rules_of_user_data_and_pillar_reach_services_and_a_failing_check_keeps_them() {
    let stage = Stage::new();
    let watched = stage.root().join("etc/extra.conf");
    stage.repo.write(
        "pillar/app.sls",
        "greeting: hello\nmayfly:\n  watch:\n    - paths: [/etc/extra.conf]\n      service: app\n      check: grep -q good ROOT/etc/extra.conf\n"
            .replace("ROOT", stage.root().to_str().unwrap())
            .as_str(),
    );
    let (mut boot, address, _) = stage.pushed("first");
    stage.wait_starts(1);
    fs::write(&watched, "bad\n").unwrap();
    boot.line("the check fails, app is kept");
    assert_eq!(stage.starts(), 1);
    fs::write(&watched, "good\n").unwrap();
    boot.line("restart app: ");
    stage.wait_starts(2);
    let status = status(address);
    assert_eq!(status["watches"].as_array().unwrap().len(), 2, "{}", status["watches"]);
}

#[test]
fn https_is_verified_against_the_authorities_of_the_machine() {
    let stage = Stage::new();
    let commit = stage.repo.push("first");
    let (authority, config) = support::tls::authority(stage.dir.path());
    let server = support::git_http::GitHttp::start_tls(stage.dir.path(), config);
    let url = format!("https://127.0.0.1:{}/states.git", server.port);
    stage.imds.set_user_data(support::user_data(&url, ""));
    let boot = |file| support::boot::Boot::start(&stage.root(), &stage.imds.url, &[("SSL_CERT_FILE", file)]);
    let mut with_it = boot(&authority);
    with_it.ready(&commit);
    assert!(with_it.stop().success());
    fs::remove_dir_all(stage.root().join("var/lib/mayfly")).unwrap();
    let (other, _) = support::tls::authority(&fs::canonicalize(tempfile::tempdir().unwrap().keep()).unwrap());
    let mut without = boot(&other);
    let line = without.line("waiting: no state tree yet");
    assert!(line.contains("certificate"), "{line}");
    drop(without);
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
}

#[test]
fn a_builder_powers_off_when_its_converge_has_succeeded() {
    let stage = Stage::new();
    stage.repo.push("first");
    let extra = "finish: poweroff\n";
    stage.set(extra);
    // In a process namespace of its own, where reboot(2) ends that namespace and nothing else.
    let output = std::process::Command::new("unshare")
        .args(["--pid", "--fork", PROGRAM, "run", "--imds", &stage.imds.url, "--root"])
        .arg(stage.root())
        .output()
        .expect("unshare runs, as root: install util-linux");
    let console = String::from_utf8_lossy(&output.stdout);
    assert!(console.contains("mayfly: ready "), "{console}{}", String::from_utf8_lossy(&output.stderr));
    let last = console.lines().last().unwrap_or_default();
    assert!(last.starts_with("mayfly: sealed commit=") && last.contains(" boot="), "{console}");
    assert!(
        !stage.root().join("var/lib/mayfly/status.json").exists(),
        "the builder's status is in the image"
    );
    assert!(stage.conf().starts_with("hello from"));
}

#[test]
fn sigterm_ends_a_converge_and_its_command() {
    let stage = Stage::new();
    let begun = stage.dir.path().join("begun");
    let line =
        format!("endless:\n  cmd.run:\n    - name: echo $$ > {}; exec sleep 100000\n", begun.display());
    stage.repo.write("app/init.sls", &line);
    stage.repo.push("endless");
    let mut boot = stage.boot();
    let pid = until("the command", || {
        let text = fs::read_to_string(&begun).unwrap_or_default();
        text.ends_with('\n').then(|| text.trim().to_owned())
    });
    assert!(boot.stop().success());
    assert!(!std::path::Path::new("/proc").join(pid).exists(), "the command outlived SIGTERM");
}

/// The value of a metric, where it is there.
fn metric(address: std::net::SocketAddr, name: &str) -> Option<String> {
    let text = get(address, "/metrics").1;
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).map(str::to_owned)
}

#[test]
fn drift_is_told_and_nothing_is_changed_until_the_next_converge() {
    let stage = Stage::new();
    // No watch covers this one; and a command without a condition is run by every converge, which is no drift.
    stage.repo.write(
        "app/init.sls",
        "/etc/plain.conf:\n  file.managed:\n    - contents: as it should be\n    - makedirs: True\n    - mode: '0640'\n\
         noise:\n  cmd.run:\n    - name: echo run >> COUNT\n"
            .replace("COUNT", stage.dir.path().join("count").to_str().unwrap())
            .as_str(),
    );
    let commit = stage.repo.push("first");
    stage.set_root("drift: '* * * * * *'\nsplay: 0s\n");
    let mut boot = stage.boot();
    let address = boot.address();
    boot.ready(&commit);
    until("the first look", || metric(address, "mayfly_drift_states").filter(|n| n == "0"));
    let plain = stage.root().join("etc/plain.conf");
    fs::write(&plain, "edited by hand\n").unwrap();
    let line = boot.line("mayfly: drift: ");
    assert_eq!(line, "mayfly: drift: file.managed /etc/plain.conf (app/init.sls:1:1)");
    until("the gauge", || metric(address, "mayfly_drift_states").filter(|n| n == "1"));
    let status = status(address);
    assert_eq!(status["drift"]["states"][0]["name"], "/etc/plain.conf");
    assert_eq!(status["ready"], true);
    // Looked at again and again, and left alone.
    let first: f64 = metric(address, "mayfly_drift_timestamp_seconds").unwrap().parse().unwrap();
    until("two more looks", || {
        metric(address, "mayfly_drift_timestamp_seconds")
            .filter(|at| at.parse::<f64>().unwrap() > first + 1.5)
    });
    assert_eq!(fs::read_to_string(&plain).unwrap(), "edited by hand\n");
    assert_eq!(fs::read_to_string(stage.dir.path().join("count")).unwrap().lines().count(), 1);
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert_eq!(fs::read_to_string(&plain).unwrap(), "as it should be\n");
    assert_eq!(metric(address, "mayfly_drift_states").as_deref(), Some("0"));
    assert!(boot.stop().success());
}
