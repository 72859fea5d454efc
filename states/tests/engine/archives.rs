//! `archive.extracted` with the real tar and unzip.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::process::Command;

use crate::bench::{Bench, json, need_root, only, step};
use mayfly_states::report::Outcome;
use mayfly_states::value::Value;

/// A directory `app` with two files, packed by `program`.
fn packed(bench: &Bench, name: &str, program: &[&str]) {
    let made = bench.scratch("made");
    std::fs::create_dir_all(made.join("app/sub")).unwrap();
    std::fs::write(made.join("app/one"), "1").unwrap();
    std::fs::write(made.join("app/sub/two"), "2").unwrap();
    let target = bench.tree(name, "");
    std::fs::remove_file(&target).unwrap();
    let mut pack = Command::new(program[0]);
    pack.args(&program[1..]).arg(&target).arg("app").current_dir(made);
    assert!(pack.status().unwrap().success());
}

#[test]
fn an_archive_is_extracted_once_and_repaired() {
    let bench = Bench::new();
    packed(&bench, "app.tar.gz", &["tar", "-czf"]);
    let args = json!({"source": "salt://app.tar.gz"});
    let changed = bench.change(&step("archive.extracted", "/opt/x", args.clone()));
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["directories_created", "extracted_files"]);
    let files = crate::bench::value(json!(["app/", "app/one", "app/sub/", "app/sub/two"]));
    let Some(Value::List(mut told)) = changed.changes.get("extracted_files").cloned() else { panic!() };
    told.sort_by_key(|v| v.as_str().unwrap().to_owned());
    assert_eq!(Value::List(told), files);
    assert_eq!(bench.read("/opt/x/app/sub/two"), "2");
    std::fs::remove_file(bench.at("/opt/x/app/one")).unwrap();
    let again = bench.change(&step("archive.extracted", "/opt/x", args));
    assert_eq!(again.changes.keys().collect::<Vec<_>>(), ["extracted_files"]);
}

#[test]
fn a_directory_that_a_killed_run_was_filling_is_filled_anew() {
    let bench = Bench::new();
    packed(&bench, "app.tar", &["tar", "-cf"]);
    let extracted = step("archive.extracted", "/opt/x", json!({"source": "salt://app.tar"}));
    bench.change(&extracted);
    let mark = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("/opt/x/"));
    bench.write(&format!("/var/cache/mayfly/extracting/{mark}"), "");
    bench.write("/opt/x/app/one", "torn");
    bench.change(&extracted);
    assert_eq!(bench.read("/opt/x/app/one"), "1");
}

#[test]
fn leading_parts_can_be_stripped_and_owners_set() {
    need_root();
    let bench = Bench::new();
    packed(&bench, "app.tar", &["tar", "-cf"]);
    bench.write("/etc/passwd", "app:x:4242:4243::/:/bin/sh\n");
    bench.write("/etc/group", "app:x:4243:\n");
    let args = json!({"source": "salt://app.tar", "options": "--strip-components=1", "enforce_toplevel": false,
        "user": "app", "group": "app"});
    let changed = bench.change(&step("archive.extracted", "/opt/y", args));
    assert_eq!(changed.changes.get("updated ownership"), Some(&Value::Bool(true)));
    use std::os::unix::fs::MetadataExt;
    let meta = bench.at("/opt/y/sub/two").metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (4242, 4243));
}

#[test]
fn bombs_climbers_and_forgeries_are_refused() {
    let bench = Bench::new();
    packed(&bench, "app.tar", &["tar", "-cf"]);
    let flat = json!({"source": "salt://app.tar", "options": "--strip-components=1"});
    let refused = |args| bench.refuses(&step("archive.extracted", "/opt/x", args));
    assert!(refused(flat).contains("single top-level directory"));
    let forged = json!({"source": "salt://app.tar", "source_hash": "0".repeat(64)});
    assert!(refused(forged).contains("source_hash asks for"));
    let climbs = bench.scratch("climbs");
    std::fs::write(&climbs, "x").unwrap();
    let target = bench.tree("bad.tar", "");
    std::fs::remove_file(&target).unwrap();
    let made = bench.scratch("made");
    let mut tar = Command::new("tar");
    tar.args(["-cPf"]).arg(&target).arg("../climbs").current_dir(made);
    assert!(tar.status().unwrap().success());
    assert!(refused(json!({"source": "salt://bad.tar"})).contains("leads out of it"));
    let program = json!({"source": "salt://app.tar", "options": "--to-command=sh"});
    assert!(refused(program).contains("`options` cannot have"));
    bench.write("/opt/z", "a file");
    let over = only(bench.run(&[step("archive.extracted", "/opt/z", json!({"source": "salt://app.tar"}))]));
    assert_eq!(over.outcome, Outcome::Failed);
    bench.same(&step(
        "archive.extracted",
        "/opt/q",
        json!({"source": "salt://app.tar", "if_missing": "/opt/z"}),
    ));
}

#[test]
fn a_zip_is_extracted_too() {
    let bench = Bench::new();
    // A zip of one stored file, `app/one` with the content `1`.
    let zip = [
        "504b030414000000000000002100b7efdc830100000001000000070000006170702f6f6e6531504b0102140314",
        "000000000000002100b7efdc830100000001000000070000000000000000000000a401000000006170702f6f6e",
        "65504b0506000000000100010035000000260000000000",
    ];
    let bytes = hex::decode(zip.concat()).unwrap();
    std::fs::write(bench.tree("app.zip", ""), bytes).unwrap();
    bench.change(&step("archive.extracted", "/opt/x", json!({"source": "salt://app.zip"})));
    assert_eq!(bench.read("/opt/x/app/one"), "1");
}
