//! The unit of the packages: systemd reads it without a word, and it has nothing that a program which configures a machine cannot
//! live with.
// Tests: starts systemd-analyze.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::process::Command;

const UNIT: &str = include_str!("../mayfly-boot.service");

fn settings() -> Vec<(&'static str, &'static str)> {
    UNIT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

#[test]
fn systemd_has_nothing_to_say_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("mayfly-boot.service");
    let here = UNIT.replace("/usr/bin/mayfly-boot", env!("CARGO_BIN_EXE_mayfly-boot"));
    std::fs::write(&unit, &here).unwrap();
    let verify = || Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
    let ours = |output: std::process::Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().filter(|line| line.contains("mayfly-boot")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(ours(verify().expect("systemd-analyze runs: install systemd")), "");
    std::fs::write(&unit, here.replace("KillMode=process", "KillMode=proces")).unwrap();
    assert_ne!(ours(verify().unwrap()), "", "it would not see a mistake");
}

#[test]
fn its_services_outlive_it_and_it_comes_back() {
    let has = |key: &str, value: &str| assert!(settings().contains(&(key, value)), "{key}={value}");
    has("Restart", "always");
    has("StartLimitIntervalSec", "0");
    has("KillMode", "process");
    has("OOMPolicy", "continue");
    has("LimitCORE", "0");
    has("StandardOutput", "journal+console");
}

/// `systemctl kill` alone hits services and the commands of steps, which are of the same unit.
#[test]
fn signals_go_to_the_program_alone() {
    assert!(
        settings().contains(&("ExecReload", "/bin/kill -HUP $MAINPID")),
        "reload is SIGHUP to the program"
    );
    let docs = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).unwrap();
    for page in docs.map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        for line in text.lines().filter(|line| line.contains("systemctl kill")) {
            assert!(line.contains("--kill-whom=main"), "{}: {line}", page.display());
        }
    }
}

/// With a mount namespace of its own what states mount is mounted for nobody else, and a host name of its own is nobody's.
#[test]
fn nothing_in_it_gives_the_program_a_machine_of_its_own() {
    let kept_apart = [
        "Protect",
        "Private",
        "ReadOnly",
        "ReadWrite",
        "Inaccessible",
        "NoExec",
        "ExecPaths",
        "BindPaths",
        "BindReadOnly",
        "TemporaryFileSystem",
        "RootDirectory",
        "RootImage",
        "MountFlags",
        "DynamicUser",
        "NoNewPrivileges",
        "RestrictSUIDSGID",
        "RestrictNamespaces",
        "MemoryDenyWriteExecute",
        "UMask",
        "CapabilityBoundingSet",
        "MemoryMax",
        "RestrictAddressFamilies",
        "SystemCallFilter",
    ];
    for (key, _) in settings() {
        assert!(!kept_apart.iter().any(|name| key.starts_with(name)), "{key}");
    }
}
