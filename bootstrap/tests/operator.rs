//! What somebody sees who looks at an instance at three in the morning: the console, `/ready`, `/status`, `mayfly-boot status`.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::SystemTime;
use support::boot::{Boot, PROGRAM, get, status, until};
use support::disk::{Disk, noise};
use support::files::Files;
use support::git_http::Fault;
use support::{INSTANCE, Stage};

/// `mayfly-boot status`: its exit code and its text.
fn told(address: SocketAddr) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).args(["status", "--listen", &address.to_string()]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The names of the trees that are kept.
fn releases(stage: &Stage) -> Vec<String> {
    let dir = fs::read_dir(stage.root().join("var/lib/mayfly/releases")).unwrap();
    dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_step_that_hangs_is_named_while_what_is_ready_stays_named() {
    let stage = Stage::new();
    let (mut boot, address, first) = stage.pushed("first");
    let go = stage.dir.path().join("go");
    let states = fs::read_to_string(stage.repo.work.join("app/init.sls")).unwrap();
    // The lines of what is rendered are not those that were written.
    let hangs = format!(
        "{{% for n in range(9) %}}\n# {{{{ n }}}}\n{{% endfor %}}\nhangs:\n  cmd.run:\n    - name: until test -e {}; do sleep 0.05; done\n\n",
        go.display()
    );
    stage.repo.write("app/init.sls", &(hangs + &states));
    let second = stage.repo.push("second");
    let step =
        until("the step", || Some(status(address)["step"].clone()).filter(|s| s["function"] == "cmd.run"));
    assert_eq!(
        (&step["index"], &step["total"], &step["origin"]),
        (&1.into(), &4.into(), &"app/init.sls:4:1".into())
    );
    assert!(step["since"].as_f64().is_some_and(|since| since <= now()), "{step}");
    let ready = format!("ready web-{INSTANCE} {first} (converging {second})\n");
    assert_eq!(get(address, "/ready"), (200, ready));
    let seen = status(address);
    assert_eq!([&seen["ready_commit"], &seen["good"], &seen["commit"]], [first.as_str(), &first, &second]);
    let (code, text) = told(address);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        format!("state        converging {second} (ready with {first})\n"),
        format!("step         [1/4] cmd.run until test -e {}", go.display()),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let line = boot.line("is running for 10s");
    assert!(
        line.starts_with("mayfly: [1/4] cmd.run until test") && line.contains("(app/init.sls:4:1)"),
        "{line}"
    );
    fs::write(&go, "").unwrap();
    boot.ready(&second);
    assert_eq!(get(address, "/ready"), (200, format!("ready web-{INSTANCE} {second}\n")));
    let seen = status(address);
    assert_eq!((&seen["step"], &seen["good"]), (&Value::Null, &second.as_str().into()));
    assert!(boot.stop().success());
}

#[test]
fn beside_a_broken_tree_is_said_what_runs_and_old_trees_go() {
    let stage = Stage::new();
    stage.repo.write(
        "pillar/app.sls",
        "greeting: hello\nmayfly:\n  watch:\n    - {service: app, on_edit: revert}\n",
    );
    let (mut boot, address, good) = stage.pushed("good");
    let mut broken = String::new();
    for n in 0..7 {
        stage.repo.write(
            "app/init.sls",
            &format!("broken-{n}:\n  file.managed:\n    - name: {{{{ pillar.greeting\n"),
        );
        broken = stage.repo.push("broken");
        boot.line(&format!("mayfly: converging {}", &broken[..12]));
        boot.line("mayfly: failed: app/init.sls:3:");
    }
    let seen = status(address);
    let named = [&seen["commit"], &seen["good"], &seen["applied"], &seen["ready_commit"]];
    assert_eq!(named, [&broken.as_str().into(), &good.as_str().into(), &good.as_str().into(), &Value::Null]);
    assert!(
        seen["retry_at"].as_f64().is_some_and(|at| at > seen["converge"]["started"].as_f64().unwrap()),
        "{seen}"
    );
    let (code, text) = told(address);
    assert_eq!(code, Some(4));
    for part in [
        format!("commit       {broken}\nruns         what {good} says\nlast good    {good}\n"),
        "converge     cannot be applied: app/init.sls:3:".to_owned(),
        "retry        2".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let kept = releases(&stage);
    assert!(kept.len() <= 5 && kept.contains(&good) && kept.contains(&broken), "{kept:?}");
    // What runs is held to what it was made from.
    fs::write(stage.root().join("etc/app.conf"), "edited\n").unwrap();
    boot.line("mayfly: put back ");
    assert!(stage.conf().starts_with("hello from"));
    assert!(boot.stop().success());
}

#[test]
fn a_failing_check_and_a_service_that_is_down_are_in_the_text() {
    let stage = Stage::new();
    let watched = stage.root().join("etc/extra.conf");
    stage.set_root(&format!(
        "watch:\n  - {{name: extra, paths: [/etc/extra.conf], service: app, check: 'grep -q good {}'}}\n",
        watched.display()
    ));
    let (mut boot, address, _) = stage.pushed("first");
    stage.wait_starts(1);
    fs::write(&watched, "bad\n").unwrap();
    boot.line("the check fails, app is kept");
    let (_, text) = told(address);
    let line = text.lines().find(|line| line.starts_with("watch ")).unwrap_or_default();
    assert!(line.contains(" check of extra for app failed: ") && line.contains("grep -q good"), "{text}");
    let pid = stage.service();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let text = until("the end of the service", || Some(told(address)).filter(|(code, _)| *code == Some(4))).1;
    assert!(text.contains("state        not ready\nreason       service app is not running: "), "{text}");
    assert!(boot.stop().success());
}

#[test]
fn when_the_remote_is_asked_next_is_said_while_it_is_away() {
    let stage = Stage::new();
    let (mut boot, address, _) = stage.pushed("first");
    stage.server.set(Fault::Down);
    // The schedule alone would never say more than two seconds.
    until("a time that is far away", || status(address)["next_tick"].as_f64().filter(|at| *at > now() + 3.0));
    stage.server.set(Fault::None);
    boot.signal("HUP");
    boot.line("the remote answers again");
    assert!(boot.stop().success());
}

#[test]
fn a_port_that_somebody_had_is_taken_when_it_is_free() {
    let stage = Stage::new();
    stage.repo.push("first");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let data = support::user_data(&stage.server.url("states.git"), "");
    stage.imds.set_user_data(data.replace("listen: 127.0.0.1:0", &format!("listen: {address}")));
    let mut boot = stage.boot();
    let line = boot.line(&format!("cannot listen on {address}: "));
    assert!(line.ends_with("; going on without /ready, and trying again"), "{line}");
    boot.line("mayfly: ready");
    drop(other);
    boot.line(&format!("listening on {address} "));
    assert_eq!(get(address, "/ready").0, 200);
    assert_eq!(boot.all().iter().filter(|line| line.contains("cannot listen")).count(), 1);
    assert!(boot.stop().success());
}

#[test]
fn a_metadata_service_that_does_not_tell_is_said_and_asked_again() {
    let stage = Stage::new();
    // As one that is switched off.
    let mute = Files::start(None);
    mute.page("/latest/api/token", (403, Vec::new(), Vec::new()));
    let mut boot = Boot::start(&stage.root(), &mute.base, &[]);
    let line = boot.line("mayfly: waiting: ");
    assert!(line.contains("trying again in "), "{line}");
    let address = boot.address();
    let (code, reason) = get(address, "/ready");
    assert!(
        code == 503 && reason.starts_with("asking the metadata service who this instance is: "),
        "{reason}"
    );
    let (code, text) = told(address);
    assert!(code == Some(4) && text.contains("state        identity\nreason       asking"), "{text}");
    mute.asked();
    boot.signal("HUP");
    until("another question", || (!mute.asked().is_empty()).then_some(()));
    assert!(boot.stop().success());
}

#[test]
fn mended_user_data_moves_the_endpoints() {
    let stage = Stage::new();
    stage.repo.push("first");
    stage.imds.set_user_data("#mayfly\nrole: web\nstates:\n  ulr: file:///x\n");
    let mut boot = stage.boot();
    boot.line("failed: user-data:4:3");
    stage.set("");
    boot.signal("HUP");
    let moved = until("another address", || boot.last_address().filter(|moved| moved.port() != 9273));
    boot.line("mayfly: ready");
    assert_eq!(get(moved, "/ready").0, 200);
    assert!(boot.stop().success());
}

#[test]
fn one_machine_has_one_program_wherever_it_keeps_its_state() {
    let stage = Stage::new();
    let (mut boot, _, _) = stage.pushed("first");
    let elsewhere = stage.dir.path().join("elsewhere");
    let mut second = Boot::start_elsewhere(&stage.root(), &stage.imds.url, &elsewhere);
    let line = second.line("another `mayfly-boot run` ");
    let holder = format!("(process {}, since 2", boot.child.id());
    assert!(line.contains(&holder) && line.contains("waiting is of no use"), "{line}");
    assert_eq!(second.child.wait().unwrap().code(), Some(7));
    assert!(boot.stop().success());
}

#[test]
fn a_full_disk_is_not_taken_for_a_remote_that_is_away() {
    let stage = Stage::new();
    let disk = Disk::mount(&stage.root().join("var/lib/mayfly"), "4m");
    let (mut boot, _, _) = stage.pushed("first");
    stage.repo.write("big", &noise(12_800_000));
    stage.repo.push("big");
    let line = boot.line("is full: ");
    let mounted = fs::canonicalize(&disk.0).unwrap();
    assert!(
        line.contains(" KiB are free on the disk at ") && line.contains(mounted.to_str().unwrap()),
        "{line}"
    );
    stage.repo.write("big", "small");
    stage.repo.push("small");
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert!(boot.all().iter().any(|line| line.contains("fetching works again")), "{:?}", boot.all());
    assert!(!boot.all().iter().any(|line| line.contains("answers again")), "{:?}", boot.all());
    assert!(boot.stop().success());
}
