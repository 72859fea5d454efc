//! Services of the built-in supervisor keep running when the program itself is killed, or replaced by a newer one.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::Stage;
use support::boot::{Boot, get};

/// The process of the service, told by itself.
fn pid(stage: &Stage) -> String {
    fs::read_to_string(stage.dir.path().join("starts")).unwrap().lines().last().unwrap().to_owned()
}

/// Whether it is there, and more than a zombie: process 1 reaps those that lost their parent when it likes.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_service_runs_on_when_the_program_is_killed_and_is_watched_by_the_next() {
    let stage = Stage::new();
    stage.repo.push("first");
    let mut boot = stage.boot();
    boot.line("mayfly: ready");
    stage.wait_starts(1);
    let service = pid(&stage);
    boot.child.kill().unwrap();
    boot.child.wait().unwrap();
    assert!(runs(&service), "the service died with the program");

    let mut next = stage.boot();
    let address = next.address();
    next.line("mayfly: ready");
    assert_eq!(get(address, "/ready").0, 200);
    assert_eq!((stage.starts(), pid(&stage)), (1, service.clone()), "it was started once more");
    fs::write(stage.root().join("etc/app.conf"), "edited\n").unwrap();
    next.line("restart app: ");
    stage.wait_starts(2);
    assert!(!runs(&service), "the one that was kept was not stopped");
    assert!(next.stop().success());
    assert!(!runs(&pid(&stage)), "the service outlived SIGTERM");
}

#[test]
fn a_service_runs_on_when_the_program_is_replaced_in_place() {
    let stage = Stage::new();
    stage.repo.push("first");
    let (program, new) = (stage.dir.path().join("mayfly-boot"), stage.dir.path().join("new"));
    let real = env!("CARGO_BIN_EXE_mayfly-boot");
    fs::copy(real, &program).unwrap();
    let mut boot = Boot::start_program(&program, &stage.root(), &stage.imds.url, &[]);
    boot.line("mayfly: ready");
    stage.wait_starts(1);
    let (service, own) = (pid(&stage), boot.child.id());

    fs::write(&new, format!("#!/bin/sh\necho the newer program\nexec {real} \"$@\"\n")).unwrap();
    fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
    fs::rename(&new, &program).unwrap();
    boot.signal("USR2");
    boot.line("services keep running");
    boot.line("the newer program");
    boot.line("mayfly: ready");
    assert_eq!((stage.starts(), pid(&stage)), (1, service.clone()), "it was started once more");
    assert!(runs(&service) && boot.child.id() == own);
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert!(boot.stop().success());
    assert!(!runs(&service), "the service outlived SIGTERM");
}
