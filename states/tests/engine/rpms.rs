//! `pkg.*` with the real rpm, dnf and zypper, on a root of the test's own and a repository that it makes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, json, only, step, value, words};
use mayfly_states::report::Outcome;
use mayfly_states::value::Value;

fn must(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn build(dir: &Path, name: &str, version: &str, more: &str) {
    let spec = format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: probe\nLicense: none\nBuildArch: noarch\n{more}\n\
         %description\nprobe\n%install\nmkdir -p %{{buildroot}}/opt/{name}\necho {version} > %{{buildroot}}/opt/{name}/version\n\
         %files\n/opt/{name}\n"
    );
    let path = dir.join(format!("{name}-{version}.spec"));
    std::fs::write(&path, spec).unwrap();
    let define = |key: &str, to: &str| format!("--define={key} {}", dir.join(to).display());
    let defines = [define("_topdir", "top"), define("_rpmdir", "repository")];
    must(Command::new("rpmbuild").args(["-bb", "--quiet"]).args(defines).arg(path));
}

/// A root whose only repository has two versions of a package, and what it needs.
fn with_repository(family: &str, config: &str) -> Bench {
    let mut bench = Bench::new();
    bench.grains.insert("os_family".into(), Value::Str(family.into()));
    let dir = bench.scratch("build");
    std::fs::create_dir(&dir).unwrap();
    build(&dir, "mayfly-probe", "1.0", "Requires: mayfly-probe-lib");
    build(&dir, "mayfly-probe", "2.0", "Requires: mayfly-probe-lib");
    build(&dir, "mayfly-probe-lib", "0.5", "Epoch: 1");
    let repository = dir.join("repository");
    must(Command::new("createrepo_c").arg("-q").arg(&repository));
    let repo =
        format!("[probe]\nname=probe\nbaseurl=file://{}\ngpgcheck=0\nenabled=1\n", repository.display());
    bench.write(config, &repo);
    bench
}

fn pair(old: &str, new: &str) -> Value {
    value(json!({"old": old, "new": new}))
}

/// Run a step that changes something, then again to no effect; in test mode it says so first.
fn change(bench: &Bench, function: &str, id: &str, args: serde_json::Value) -> mayfly_states::value::Map {
    let step = step(function, id, args);
    let rehearsed = only(bench.test(std::slice::from_ref(&step)));
    assert_eq!(rehearsed.outcome, Outcome::WouldChange, "{}", rehearsed.comment);
    let report = bench.run(&[step.clone(), step]);
    assert_eq!(words(&report), ["changed", "ok"], "{}", report.to_text());
    report.steps[0].changes.clone()
}

fn lives(bench: &Bench) {
    let installed = change(bench, "pkg.installed", "mayfly-probe", json!({"version": "1.0"}));
    assert_eq!(installed.get("mayfly-probe"), Some(&pair("", "1.0-1")));
    assert_eq!(installed.get("mayfly-probe-lib"), Some(&pair("", "1:0.5-1")));
    assert_eq!(bench.read("/opt/mayfly-probe/version"), "1.0\n");
    let upgraded = change(bench, "pkg.uptodate", "all", json!({"refresh": true}));
    assert_eq!(upgraded.get("mayfly-probe"), Some(&pair("1.0-1", "2.0-1")));
    change(bench, "pkg.installed", "x", json!({"pkgs": [{"mayfly-probe": "1.0-1"}]}));
    change(bench, "pkg.latest", "mayfly-probe", json!({}));
    change(bench, "pkg.installed", "x", json!({"pkgs": [{"mayfly-probe": "1.*"}, "mayfly-probe-lib"]}));
    let newer =
        change(bench, "pkg.installed", "mayfly-probe", json!({"version": ">= 1.5", "fromrepo": "probe"}));
    assert_eq!(newer.get("mayfly-probe"), Some(&pair("1.0-1", "2.0-1")));
    let removed = change(bench, "pkg.removed", "x", json!({"pkgs": ["mayfly-probe", "none"]}));
    assert_eq!(removed.get("mayfly-probe"), Some(&pair("2.0-1", "")));
    assert!(!bench.at("/opt/mayfly-probe").exists());
}

fn files_and_failures(bench: &Bench) {
    let rpm = bench.scratch("build/repository/noarch/mayfly-probe-1.0-1.noarch.rpm");
    std::fs::copy(rpm, bench.tree("probe.rpm", "")).unwrap();
    let sources = json!({"sources": [{"mayfly-probe": "salt://probe.rpm"}], "skip_verify": true});
    let installed = change(bench, "pkg.installed", "x", sources);
    assert_eq!(installed.get("mayfly-probe"), Some(&pair("", "1.0-1")));
    let other = json!({"sources": [{"another": "salt://probe.rpm"}]});
    let refused = only(bench.run(&[step("pkg.installed", "x", other)]));
    assert_eq!(refused.comment, "salt://probe.rpm holds the package mayfly-probe, not another");
    let failed = only(bench.run(&[step("pkg.installed", "mayfly-no-such", json!({}))]));
    assert!(failed.comment.contains("mayfly-no-such"), "{}", failed.comment);
    assert_eq!(failed.outcome, Outcome::Failed);
    let failed = only(bench.run(&[step("pkg.installed", "mayfly-probe", json!({"version": "9.*"}))]));
    assert_eq!(failed.outcome, Outcome::Failed);
    let unknown = only(bench.run(&[step("pkg.latest", "mayfly-no-such", json!({}))]));
    assert_eq!(unknown.comment, "No information found for mayfly-no-such");
}

#[test]
fn dnf_installs_upgrades_goes_back_and_removes() {
    let bench = with_repository("RedHat", "/etc/yum.repos.d/probe.repo");
    lives(&bench);
    files_and_failures(&bench);
    let unheld = only(bench.run(&[step("pkg.held", "mayfly-probe", json!({}))]));
    assert!(unheld.comment.starts_with("`dnf versionlock` ended with exit code 1"), "{}", unheld.comment);
    bench.write("/etc/dnf/plugins/versionlock.list", "mayfly-probe-0:1.0-1.*\n");
    bench.same(&step("pkg.held", "mayfly-probe", json!({})));
}

#[test]
fn zypper_installs_upgrades_goes_back_and_removes() {
    let bench = with_repository("Suse", "/etc/zypp/repos.d/probe.repo");
    lives(&bench);
    files_and_failures(&bench);
    let held = change(&bench, "pkg.held", "mayfly-probe", json!({}));
    assert!(held.contains_key("mayfly-probe"));
    bench.same(&step("pkg.uptodate", "all", json!({})));
    change(&bench, "pkg.unheld", "mayfly-probe", json!({}));
    change(&bench, "pkg.installed", "mayfly-probe", json!({"version": "2.0", "hold": true}));
    let kept = only(bench.run(&[step("pkg.installed", "mayfly-probe", json!({"version": "1.0"}))]));
    assert_eq!(kept.outcome, Outcome::Failed, "it is held: {}", kept.comment);
    change(&bench, "pkg.installed", "mayfly-probe", json!({"version": "1.0", "update_holds": true}));
    bench.same(&step("pkg.held", "mayfly-probe", json!({})));
    change(&bench, "pkg.installed", "mayfly-probe", json!({"version": "2.0", "hold": false}));
    bench.same(&step("pkg.unheld", "mayfly-probe", json!({})));
}
