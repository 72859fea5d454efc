//! Grains beside what the real Salt answered, and beside what the manual says of them.
// Effects: reads the fixtures. A test stops where it finds something else than it expects.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use mayfly_states::grains::facts::Facts;
use mayfly_states::grains::{collect, distribution::Files};
use serde_json::Value as Json;

/// The grains that os-release decides; one that Salt does not give must not be there.
const DECIDED: &[&str] = &[
    "os",
    "os_family",
    "osfullname",
    "osrelease",
    "oscodename",
    "osrelease_info",
    "osmajorrelease",
    "osfinger",
    "lsb_distrib_id",
    "lsb_distrib_release",
    "lsb_distrib_codename",
    "lsb_distrib_description",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/os-release")
}

/// The facts of a machine with this distribution and nothing else.
fn facts(name: &str) -> Facts {
    let beside =
        |kind: &str| std::fs::read_to_string(folder().join(format!("{name}.{kind}"))).unwrap_or_default();
    Facts {
        distribution: Files {
            os_release: std::fs::read_to_string(folder().join(name)).unwrap(),
            lsb_release: beside("lsb-release"),
            debian_version: beside("debian_version"),
            centos_release: beside("centos-release"),
        },
        ..Facts::default()
    }
}

#[test]
fn every_distribution_is_named_as_salt_names_it() {
    let answers = std::fs::read_to_string(folder().join("salt.json")).unwrap();
    let Json::Object(answers) = serde_json::from_str(&answers).unwrap() else { panic!("answers") };
    assert!(answers.len() > 30);
    let mut wrong = Vec::new();
    for (name, salts) in &answers {
        let ours = serde_json::to_value(collect(&facts(name))).unwrap();
        let differs = |key: &&&str| ours.get(**key) != salts.get(**key);
        wrong.extend(
            DECIDED
                .iter()
                .filter(differs)
                .map(|key| format!("{name}: {key}: {:?} is not {:?}", ours.get(key), salts.get(key))),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_manual_names_every_grain_and_no_other() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grains.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let named = |row: &str| row.strip_prefix('|')?.split('|').next().map(str::to_owned);
    let told: Vec<String> = manual
        .lines()
        .filter_map(named)
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let given = collect(&everything());
    let missing: Vec<&String> = given.keys().filter(|grain| !told.contains(grain)).collect();
    let invented: Vec<&String> = told.iter().filter(|grain| !given.contains_key(*grain)).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not told: {missing:?}; not given: {invented:?}");
}

/// A machine that has whatever a machine may have.
fn everything() -> Facts {
    let mut facts = facts("ubuntu-24.04-lsb");
    facts.system.machine_id = Some("1".repeat(32));
    facts.system.command_line = Some("quiet".to_owned());
    facts.system.systemd = Some("255".to_owned());
    facts.system.selinux = Some(None);
    facts.network.resolver = Some("nameserver 192.0.2.1".to_owned());
    facts.hardware.mdstat = Some(String::new());
    let firmware = [
        "biosversion",
        "biosvendor",
        "boardname",
        "productname",
        "manufacturer",
        "biosreleasedate",
        "uuid",
        "serialnumber",
    ];
    facts.hardware.firmware = firmware.map(|grain| (grain.to_owned(), "x".to_owned())).to_vec();
    facts.clues.xen = true;
    facts.clues.hypervisor = Some("xen".to_owned());
    facts.clues.version = Some(["4".to_owned(), "11".to_owned(), ".amazon".to_owned()]);
    facts
}
