//! `virtualenv.managed` and `pip.*` with the real Python, and packages of a directory.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::process::Command;

use crate::bench::{Bench, json, only, step, value, words};
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, StepReport};
use mayfly_states::value::{Map, Value};

/// Makes a wheel with a module of one line.
const WHEEL: &str = "
import sys, zipfile
folder, name, version = sys.argv[1:]
info = f'{name}-{version}.dist-info'
with zipfile.ZipFile(f'{folder}/{name}-{version}-py3-none-any.whl', 'w') as wheel:
    wheel.writestr(f'{name}.py', f'VERSION = {version!r}')
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', f'{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n')
";

fn wheels(bench: &Bench) -> std::path::PathBuf {
    let wheels = bench.scratch("wheels");
    std::fs::create_dir(&wheels).unwrap();
    for (name, version) in [("my_probe", "1.0"), ("my_probe", "2.0"), ("other", "0.5")] {
        let mut python = Command::new("python3");
        assert!(python.args(["-c", WHEEL]).arg(&wheels).args([name, version]).status().unwrap().success());
    }
    wheels
}

/// A step of pip in the test's environment, with the packages of a directory.
fn pip(bench: &Bench, function: &str, id: &str, more: serde_json::Value) -> Chunk {
    let mut args = json!({"bin_env": "/opt/env"});
    if function == "pip.installed" {
        args["no_index"] = true.into();
        args["find_links"] = bench.scratch("wheels").to_str().unwrap().into();
    }
    let serde_json::Value::Object(more) = more else { panic!("arguments are a mapping") };
    args.as_object_mut().unwrap().extend(more);
    step(function, id, args)
}

/// A rehearsal, then the same step twice in one run: pip takes its time for every question.
fn change(bench: &Bench, step: &Chunk) -> StepReport {
    let rehearsed = only(bench.test(std::slice::from_ref(step)));
    assert_eq!(rehearsed.outcome, Outcome::WouldChange, "{}", rehearsed.comment);
    let report = bench.run(&[step.clone(), step.clone()]);
    assert_eq!(words(&report), ["changed", "ok"], "{}", report.to_text());
    report.steps.into_iter().next().unwrap()
}

#[test]
fn root_does_not_run_the_environment_of_somebody_else() {
    crate::bench::need_root();
    let bench = Bench::new();
    let ran = bench.scratch("ran");
    bench.write("/opt/env/bin/python", &format!("#!/bin/sh\ntouch {}\necho '[]'\n", ran.display()));
    let open = |path: &str, mode: u32| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(bench.at(path), mode).unwrap();
    };
    open("/opt/env/bin/python", 0o755);
    let list = || only(bench.run(&[pip(&bench, "pip.removed", "other", json!({}))]));
    let refused = |path: &str| {
        let told = list();
        assert!(told.outcome == Outcome::Failed && told.comment.contains("set `user`"), "{}", told.comment);
        assert!(told.comment.contains(path) && !ran.exists(), "{}", told.comment);
    };
    for path in ["/opt/env/bin/python", "/opt/env/bin", "/opt/env"] {
        std::os::unix::fs::chown(bench.at(path), Some(4242), None).unwrap();
        refused(path);
        std::os::unix::fs::chown(bench.at(path), Some(0), None).unwrap();
        open(path, 0o775);
        refused(path);
        open(path, 0o755);
    }
    assert_eq!(list().outcome, Outcome::Ok);
    assert!(ran.exists());
}

fn told(key: &str) -> Map {
    Map::from([(key.into(), Value::Str("Installed".into()))])
}

#[test]
fn an_environment_is_made_and_packages_come_change_and_go() {
    let bench = Bench::new();
    wheels(&bench);
    let made = change(&bench, &step("virtualenv.managed", "/opt/env", json!({})));
    let new = made.changes.get("new").and_then(Value::as_str).unwrap();
    assert!(new.starts_with("Python 3"), "{new}");
    let installed = change(&bench, &pip(&bench, "pip.installed", "my.probe==1.0", json!({})));
    assert_eq!(installed.changes, told("my-probe==1.0"));
    let several = json!({"pkgs": ["My_Probe >= 0.5", {"other": "<1"}]});
    assert_eq!(change(&bench, &pip(&bench, "pip.installed", "x", several)).changes, told("other==0.5"));
    let upgraded = change(&bench, &pip(&bench, "pip.installed", "my-probe", json!({"upgrade": true})));
    assert_eq!(upgraded.changes, told("my-probe==2.0"));
    let newest = only(bench.run(&[pip(&bench, "pip.installed", "my-probe<3", json!({"upgrade": true}))]));
    assert_eq!((newest.outcome, newest.changes.len()), (Outcome::Ok, 0), "{}", newest.comment);
    change(&bench, &pip(&bench, "pip.installed", "my-probe~=1.0", json!({})));
    let again = pip(&bench, "pip.installed", "my-probe", json!({"force_reinstall": true, "no_deps": true}));
    assert_eq!(words(&bench.run(&[again.clone(), again])), ["changed", "changed"]);
    let removed = change(&bench, &pip(&bench, "pip.removed", "my_probe", json!({})));
    assert_eq!(removed.changes, Map::from([("my_probe".into(), Value::Str("Removed".into()))]));
}

#[test]
fn files_of_requirements_and_addresses_are_met_once() {
    let bench = Bench::new();
    let wheels = wheels(&bench);
    bench.tree("req.txt", "my_probe<2  # not yet\n");
    let filled = json!({
        "requirements": "salt://req.txt", "pip_pkgs": ["other"], "no_index": true, "find_links": wheels,
    });
    let made = change(&bench, &step("virtualenv.managed", "/opt/env", filled));
    let packages = made.changes.get("packages").unwrap();
    assert_eq!(packages, &value(json!({"new": ["my-probe==1.0", "other==0.5"], "old": ""})));
    let met =
        only(bench.run(&[pip(&bench, "pip.installed", "x", json!({"requirements": "salt://req.txt"}))]));
    assert_eq!((met.outcome, met.changes.len()), (Outcome::Ok, 0), "{}", met.comment);
    bench.tree("req.txt", "my_probe==2.0\n");
    let changed =
        change(&bench, &pip(&bench, "pip.installed", "x", json!({"requirements": "salt://req.txt"})));
    assert_eq!(changed.changes, Map::from([("requirements".into(), Value::Bool(true))]));
    change(&bench, &pip(&bench, "pip.removed", "other", json!({})));
    let wheel = format!("other @ file://{}/other-0.5-py3-none-any.whl", wheels.display());
    assert_eq!(change(&bench, &pip(&bench, "pip.installed", &wheel, json!({}))).changes, told("other==0.5"));
}

/// A pip that writes down what it is called with, and lists nothing.
fn recorder(bench: &Bench) {
    let log = bench.scratch("log");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {0}\nenv | grep ^PIP_INDEX >> {0}\ncase $1 in list) echo '[]';; \
         *) echo \"cannot reach $PIP_INDEX_URL\" >&2; exit 1;; esac\n",
        log.display()
    );
    bench.write("/opt/pip", &script);
    Command::new("chmod").arg("755").arg(bench.at("/opt/pip")).status().unwrap();
}

#[test]
fn passwords_of_an_index_are_in_no_argument_and_in_no_report() {
    let bench = Bench::new();
    recorder(&bench);
    let index = "https://user:s3cret@index.example.com/simple";
    let args =
        json!({"bin_env": "/opt/pip", "index_url": index, "editable": "git+https://u:t0ken@x.org/y#egg=y"});
    let failed = only(bench.run(&[step("pip.installed", "x", args)]));
    assert_eq!(failed.outcome, Outcome::Failed);
    let said = format!("{} {:?}", failed.comment, failed.changes);
    assert!(
        said.contains("@index.example.com") && !said.contains("s3cret") && !said.contains("t0ken"),
        "{said}"
    );
    let log = std::fs::read_to_string(bench.scratch("log")).unwrap();
    let calls: Vec<&str> = log.lines().filter(|l| !l.starts_with("PIP_INDEX")).collect();
    assert!(
        calls.len() >= 2 && !calls.concat().contains("s3cret") && !calls.concat().contains("t0ken"),
        "{log}"
    );
    assert!(log.contains(&format!("PIP_INDEX_URL={index}")), "{log}");
    let links = json!({"bin_env": "/opt/pip", "find_links": "https://u:p@x/"});
    assert!(
        bench.refuses(&step("pip.installed", "x", links)).contains("everybody on the machine could read")
    );
}

#[test]
fn what_is_no_requirement_or_no_environment_is_refused() {
    let bench = Bench::new();
    let refused = |id: &str, args| bench.refuses(&step("pip.installed", id, args));
    assert!(refused("--pre", json!({})).contains("is no requirement of a Python package"));
    assert!(refused("x", json!({"pkgs": "x"})).contains("`pkgs` must be a list"));
    assert!(refused("x", json!({"bin_env": "/opt/none"})).contains("there is no environment"));
    assert!(refused("x=1", json!({})).contains("such as `name>=1.0`"));
}
