//! `pkg.installed` with the real apt and dpkg, on a copy of the machine's directories that only the test's thread sees.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, in_mount_namespace, json, layer, only, overlay, step, words};
use mayfly_states::report::Outcome;
use mayfly_states::value::Value;

/// Lay a writable layer over the directories that apt and dpkg write to, and make a repository the only source.
pub(crate) fn with_repository(body: impl FnOnce(&Bench) + Send) {
    in_mount_namespace(|| {
        let bench = Bench::on_this_machine();
        let layers = layer(&bench);
        for dir in ["etc", "var", "usr", "opt"] {
            overlay(&layers, dir);
        }
        let repository = layers.join("repository");
        std::fs::create_dir(&repository).unwrap();
        for (name, version, more) in [
            ("mayfly-probe", "1.0-1", "Depends: mayfly-probe-lib"),
            ("mayfly-probe", "2.0-1", "Depends: mayfly-probe-lib"),
            ("mayfly-probe-lib", "0.5", "Provides: mayfly-virtual"),
        ] {
            build(&layers, &repository, name, version, more);
        }
        index(&repository);
        let source = format!("deb [trusted=yes] file:{} ./\n", repository.display());
        for entry in std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::fs::write("/etc/apt/sources.list", source).unwrap();
        body(&bench);
    });
    assert!(!Path::new("/opt/mayfly-probe").exists(), "the machine itself was changed");
}

fn build(layers: &Path, repository: &Path, name: &str, version: &str, more: &str) {
    build_with(layers, repository, (name, version, more), &[]);
}

/// The same with scripts of the maintainer.
fn build_with(layers: &Path, repository: &Path, package: (&str, &str, &str), scripts: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt;
    let (name, version, more) = package;
    let tree = layers.join(format!("{name}-{version}"));
    std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(tree.join("opt").join(name)).unwrap();
    std::fs::write(tree.join("opt").join(name).join("version"), version).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Mayfly <none@example.com>\n{more}\nDescription: probe\n"
    );
    std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
    for (script, text) in scripts {
        let path = tree.join("DEBIAN").join(script);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let deb = repository.join(format!("{name}_{version}_all.deb"));
    let built = Command::new("dpkg-deb")
        .args(["--build", "--root-owner-group"])
        .arg(&tree)
        .arg(deb)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// A `Packages` index, as dpkg-scanpackages would make it.
fn index(repository: &Path) {
    let mut text = String::new();
    for entry in std::fs::read_dir(repository).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "deb") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let control = Command::new("dpkg-deb").arg("-f").arg(&path).output().unwrap().stdout;
        let sum = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        text.push_str(&String::from_utf8(control).unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        text.push_str(&format!(
            "Filename: ./{name}\nSize: {}\nSHA256: {}\n\n",
            bytes.len(),
            hex::encode(sum)
        ));
    }
    std::fs::write(repository.join("Packages"), text).unwrap();
}

fn versions(name: &str) -> Value {
    crate::bench::value(json!({"old": "", "new": name}))
}

#[test]
fn packages_are_installed_with_their_dependencies_and_then_left_alone() {
    with_repository(|bench| {
        let installed = step("pkg.installed", "mayfly-probe", json!({"version": "1.0-1"}));
        let changed = bench.change(&installed);
        assert_eq!(changed.changes.get("mayfly-probe"), Some(&versions("1.0-1")));
        assert_eq!(changed.changes.get("mayfly-probe-lib"), Some(&versions("0.5")));
        assert_eq!(std::fs::read_to_string("/opt/mayfly-probe/version").unwrap(), "1.0-1");

        bench.same(&step(
            "pkg.installed",
            "x",
            json!({"pkgs": ["mayfly-probe", {"mayfly-probe-lib": ">=0.4"}]}),
        ));
        bench.same(&step("pkg.installed", "mayfly-virtual", json!({})));
        bench.change(&step("pkg.installed", "x", json!({"pkgs": [{"mayfly-probe": "2.*"}]})));
        assert_eq!(std::fs::read_to_string("/opt/mayfly-probe/version").unwrap(), "2.0-1");
        bench.change(&installed);
    });
}

#[test]
fn several_installs_read_the_lists_once() {
    with_repository(|bench| {
        let count = bench.scratch("layers/count");
        let hook = format!("APT::Update::Pre-Invoke {{ \"echo x >> {}\"; }};\n", count.display());
        std::fs::write("/etc/apt/apt.conf.d/99count", hook).unwrap();
        let steps = [
            step("pkg.installed", "mayfly-probe-lib", json!({})),
            step("pkg.installed", "mayfly-probe", json!({"refresh": true})),
        ];
        let report = bench.run(&steps);
        assert_eq!(words(&report), ["changed", "changed"], "{}", report.to_text());
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    });
}

#[test]
fn a_package_that_nobody_has_fails_with_apts_own_words() {
    with_repository(|bench| {
        let failed = only(bench.run(&[step("pkg.installed", "mayfly-no-such", json!({}))]));
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(failed.comment.contains("Unable to locate package mayfly-no-such"), "{}", failed.comment);
        let failed = only(bench.run(&[step("pkg.installed", "mayfly-probe", json!({"version": ">9"}))]));
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(failed.comment.contains("not as asked: mayfly-probe"), "{}", failed.comment);
    });
}

#[test]
fn names_that_are_options_or_not_of_dpkg_are_refused() {
    let bench = Bench::new();
    bench.write("/var/lib/dpkg/status", "");
    let refused = |id: &str, args| bench.refuses(&step("pkg.installed", id, args));
    assert_eq!(refused("-y", json!({})), "\"-y\" cannot be the name of a package");
    assert!(refused("x", json!({"pkgs": []})).contains("`pkgs` must be a list"));
    std::fs::remove_file(bench.at("/var/lib/dpkg/status")).unwrap();
    assert!(refused("x", json!({})).contains("there is no package manager here that is known"));
}

#[test]
fn packages_go_with_or_without_their_configuration() {
    with_repository(|bench| {
        bench.run(&[step("pkg.installed", "mayfly-probe", json!({}))]);
        bench.same(&step("pkg.removed", "mayfly-no-such", json!({})));
        bench.same(&step("pkg.removed", "mayfly-probe", json!({"version": "9"})));
        let removed = bench.change(&step("pkg.removed", "x", json!({"pkgs": ["mayfly-probe", "none"]})));
        let gone = crate::bench::value(json!({"old": "2.0-1", "new": ""}));
        assert_eq!(removed.changes.get("mayfly-probe"), Some(&gone));
        let rehearsed = only(bench.test(&[step("pkg.purged", "mayfly-probe-lib", json!({}))]));
        let purge = crate::bench::value(json!({"old": "", "new": "purged"}));
        assert_eq!(rehearsed.changes.get("mayfly-probe-lib"), Some(&purge));
        bench.change(&step("pkg.purged", "mayfly-probe-lib", json!({})));
        let status = std::fs::read_to_string("/var/lib/dpkg/status").unwrap();
        assert!(!status.contains("Package: mayfly-probe-lib\nStatus: install"), "it is still there");
    });
}

#[test]
fn the_newest_is_installed_unless_it_is_held() {
    with_repository(|bench| {
        bench.change(&step("pkg.installed", "mayfly-probe", json!({"version": "1.0-1", "hold": true})));
        let held = std::fs::read_to_string("/var/lib/dpkg/status").unwrap();
        assert!(held.contains("Package: mayfly-probe\nStatus: hold ok installed"));
        bench.same(&step("pkg.held", "mayfly-probe", json!({})));
        bench.same(&step("pkg.uptodate", "all", json!({"pkgs": ["mayfly-probe"]})));
        let let_go = bench.change(&step("pkg.unheld", "mayfly-probe", json!({})));
        assert_eq!(let_go.changes.keys().collect::<Vec<_>>(), ["mayfly-probe"]);
        bench.same(&step("pkg.installed", "mayfly-probe", json!({"version": "0.5", "allow_updates": true})));
        let upgraded = bench.change(&step("pkg.uptodate", "all", json!({"pkgs": ["mayfly-probe"]})));
        let pair = crate::bench::value(json!({"old": "1.0-1", "new": "2.0-1"}));
        assert_eq!(upgraded.changes.get("mayfly-probe"), Some(&pair));
        bench.run(&[step("pkg.installed", "mayfly-probe", json!({"version": "1.0-1"}))]);
        let latest = bench.change(&step("pkg.latest", "mayfly-probe", json!({})));
        assert_eq!(latest.changes.get("mayfly-probe"), Some(&pair));
        bench.same(&step("pkg.installed", "mayfly-probe", json!({"version": "latest"})));
        let none = only(bench.run(&[step("pkg.latest", "mayfly-no-such", json!({}))]));
        assert!(none.comment.contains("No information found for mayfly-no-such"), "{}", none.comment);
        bench.change(&step("pkg.held", "x", json!({"pkgs": ["mayfly-probe", "mayfly-probe-lib"]})));
        bench.change(&step("pkg.held", "mayfly-probe", json!({"replace": true})));
        bench.change(&step("pkg.unheld", "x", json!({"all": true})));
    });
}

#[test]
fn a_package_file_of_the_tree_is_installed_with_what_it_needs() {
    with_repository(|bench| {
        let deb = bench.scratch("layers/repository/mayfly-probe_1.0-1_all.deb");
        let copied = bench.tree("probe.deb", "");
        std::fs::copy(deb, copied).unwrap();
        let sources = json!({"sources": [{"mayfly-probe": "salt://probe.deb"}]});
        let changed = bench.change(&step("pkg.installed", "x", sources));
        assert_eq!(changed.changes.get("mayfly-probe"), Some(&versions("1.0-1")));
        assert!(changed.changes.contains_key("mayfly-probe-lib"));
        let newer = std::fs::read(bench.scratch("layers/repository/mayfly-probe_2.0-1_all.deb")).unwrap();
        bench.web.put("https://files.test/probe.deb?token=s3cret", newer);
        let remote = json!({"sources": [{"mayfly-probe": "https://files.test/probe.deb?token=s3cret"}]});
        bench.change(&step("pkg.installed", "x", remote));
        let other = json!({"sources": [{"another": "salt://probe.deb"}]});
        let refused = only(bench.run(&[step("pkg.installed", "x", other)]));
        assert_eq!(refused.comment, "salt://probe.deb holds the package mayfly-probe, not another");
    });
}

#[test]
fn a_dying_dpkg_fails_its_step_with_its_words_and_the_next_run_finishes_what_it_began() {
    with_repository(|bench| {
        let (layers, repository) = (bench.scratch("layers"), bench.scratch("layers/repository"));
        let script = "#!/bin/sh\necho half of it is done >&2\ntest -e /opt/mended\n";
        build_with(
            &layers,
            &repository,
            ("mayfly-dies", "1.0", "Priority: optional"),
            &[("postinst", script)],
        );
        index(&repository);
        let steps = [
            step("pkg.installed", "mayfly-dies", json!({})),
            step("test.nop", "needs", json!({"require": [{"pkg": "mayfly-dies"}]})),
            step("file.managed", "/opt/independent", json!({"contents": "x"})),
            step("pkg.installed", "mayfly-probe-lib", json!({})),
        ];
        let report = bench.run(&steps);
        assert_eq!(words(&report)[..3], ["failed", "failed", "changed"], "{}", report.to_text());
        let comment = &report.steps[0].comment;
        assert!(comment.contains("mayfly-dies") && comment.contains("half of it is done"), "{comment}");
        let status = std::fs::read_to_string("/var/lib/dpkg/status").unwrap();
        assert!(status.contains("half-configured"), "dpkg did not die in the middle");
        let would = bench.test(&steps[..1]);
        assert_eq!(words(&would), ["would"], "{}", would.to_text());
        std::fs::write("/opt/mended", "").unwrap();
        let next = bench.run(&steps);
        assert!(next.ok(), "{}", next.to_text());
        let again = bench.run(&steps);
        assert_eq!(words(&again), ["ok"; 4], "{}", again.to_text());
        assert!(!std::fs::read_to_string("/var/lib/dpkg/status").unwrap().contains("half-configured"));
    });
}
