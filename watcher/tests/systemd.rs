//! A real systemd, through `systemctl`: started as process 1 of namespaces of the test's own.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/systemd.rs"]
mod daemon;

use common::{lines, until};
use daemon::Machine;
use mayfly_watcher::supervisor::{Error, Status, Supervisor};
use mayfly_watcher::{Action, Event, Rule, Watcher};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn pid(machine: &Machine, service: &str) -> u32 {
    match machine.supervisor.status(service).unwrap() {
        Status::Running(Some(pid)) => pid,
        other => panic!("{service} is {other:?}"),
    }
}

#[test]
fn units_are_found_started_reloaded_signalled_restarted_and_stopped() {
    let machine = Machine::new();
    let supervisor = &machine.supervisor;
    assert_eq!(supervisor.status("web").unwrap(), Status::Unknown);
    assert!(matches!(supervisor.start("web"), Err(Error::Unknown { .. })));

    let told = machine.path("told");
    let script =
        format!("trap 'echo hup >> {0}' HUP; echo up >> {0}; while :; do sleep 0.01; done", told.display());
    machine.shell("web", &script, "ExecReload=/bin/kill -HUP $MAINPID\n");
    supervisor.start("web").unwrap();
    let first = pid(&machine, "web");
    supervisor.start("web").unwrap();
    assert_eq!(pid(&machine, "web"), first);
    until("it runs", || lines(&told) == ["up"]);
    supervisor.reload("web").unwrap();
    until("it was reloaded", || lines(&told) == ["up", "hup"]);
    supervisor.signal("web", "HUP").unwrap();
    until("it was told", || lines(&told) == ["up", "hup", "hup"]);

    supervisor.restart("web").unwrap();
    assert_ne!(pid(&machine, "web"), first);
    supervisor.stop("web").unwrap();
    supervisor.stop("web").unwrap();
    assert_eq!(supervisor.status("web").unwrap(), Status::Stopped);
    assert!(supervisor.signal("web", "HUP").is_err(), "a stopped unit takes no signal");
    supervisor.restart("web").unwrap();
    until("it runs once more", || lines(&told).iter().filter(|l| *l == "up").count() == 3);
}

#[test]
fn a_unit_that_changed_is_read_again_before_it_is_restarted() {
    let machine = Machine::new();
    let told = machine.path("told");
    let script = format!("echo $A >> {}; exec sleep 1000", told.display());
    machine.shell("web", &script, "Environment=A=one\n");
    machine.supervisor.start("web").unwrap();
    until("the first", || lines(&told) == ["one"]);
    machine.shell("web", &script, "Environment=A=two\n");
    machine.supervisor.restart("web").unwrap();
    until("the second", || lines(&told) == ["one", "two"]);
    std::fs::create_dir(machine.path("etc/systemd/system/web.service.d")).unwrap();
    std::fs::write(
        machine.path("etc/systemd/system/web.service.d/a.conf"),
        "[Service]\nEnvironment=A=three\n",
    )
    .unwrap();
    machine.supervisor.restart("web").unwrap();
    until("the drop-in counts", || lines(&told) == ["one", "two", "three"]);
}

#[test]
fn enabling_and_masking_are_as_systemd_says() {
    let machine = Machine::new();
    let supervisor = &machine.supervisor;
    machine.shell("web", "exec sleep 1000", "[Install]\nWantedBy=multi-user.target\n");
    machine.shell("static", "exec sleep 1000", "");
    assert_eq!(supervisor.enabled("web").unwrap(), Some(false));
    supervisor.set_enabled("web", true).unwrap();
    assert_eq!(supervisor.enabled("web").unwrap(), Some(true));
    assert_eq!(machine.systemctl(&["is-enabled", "web"]), "enabled\n");
    assert!(machine.path("etc/systemd/system/multi-user.target.wants/web.service").is_symlink());
    supervisor.set_enabled("web", false).unwrap();
    assert_eq!(supervisor.enabled("web").unwrap(), Some(false));
    assert_eq!(supervisor.enabled("static").unwrap(), None);

    let packaged = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep 1000\n";
    std::fs::write(machine.path("units/packaged.service"), packaged).unwrap();
    for runtime in [true, false] {
        assert!(!supervisor.masked("packaged", runtime).unwrap());
        supervisor.set_masked("packaged", runtime, true).unwrap();
        assert!(supervisor.masked("packaged", runtime).unwrap());
        assert!(supervisor.start("packaged").unwrap_err().to_string().contains("masked"));
        supervisor.set_masked("packaged", runtime, false).unwrap();
    }
    supervisor.start("packaged").unwrap();
}

#[test]
fn a_unit_that_does_not_start_is_a_failure_that_says_why() {
    let machine = Machine::new();
    machine.unit(
        "once.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n",
    );
    let error = machine.supervisor.start("once").unwrap_err().to_string();
    assert!(error.contains("systemd could not start \"once\"") && error.contains("status 3"), "{error}");
    assert_eq!(machine.supervisor.status("once").unwrap(), Status::Stopped);
    machine.unit("bad.service", "[Service]\nUser=root\n");
    let error = machine.supervisor.start("bad").unwrap_err().to_string();
    assert!(error.contains("bad"), "{error}");
    machine.shell("web", "exec sleep 1000", "");
    machine.supervisor.start("web").unwrap();
    assert!(machine.supervisor.reload("web").is_err(), "it has no ExecReload=");
}

/// systemd counts restarts that were asked for, too, and refuses the sixth within ten seconds: the service is down then.
#[test]
fn many_restarts_in_a_row_leave_it_running() {
    let machine = Machine::new();
    machine.shell("web", "exec sleep 1000", "");
    for _ in 0..8 {
        machine.supervisor.restart("web").unwrap();
    }
    let _ = pid(&machine, "web");
}

fn watching(machine: &Machine, file: &std::path::Path) -> (Watcher, Receiver<Event>) {
    let (tell, told) = channel();
    let listener = move |event: &Event| _ = tell.send(event.clone());
    let watcher = Watcher::start(Arc::new(machine.supervisor.clone()), Arc::new(listener)).unwrap();
    let rule = Rule {
        name: "web".into(),
        paths: vec![file.to_owned()],
        service: "web".into(),
        debounce: Duration::from_millis(20),
        ..Rule::default()
    };
    watcher.set_rules(vec![rule]).unwrap();
    (watcher, told)
}

#[test]
fn a_changed_file_restarts_a_unit_once() {
    let machine = Machine::new();
    let (file, told) = (machine.path("web.conf"), machine.path("told"));
    std::fs::write(&file, "one\n").unwrap();
    machine.shell("web", &format!("cat {} >> {}; exec sleep 1000", file.display(), told.display()), "");
    machine.supervisor.start("web").unwrap();
    until("the first", || lines(&told) == ["one"]);
    let (_watcher, events) = watching(&machine, &file);
    std::fs::write(&file, "two\n").unwrap();
    let event = events.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(event, Event::Restarted { service, .. } if service == "web"));
    until("the second", || lines(&told) == ["one", "two"]);
    assert!(events.try_recv().is_err());
}
