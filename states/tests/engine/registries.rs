//! `gem.*` and `npm.*` with the real programs, and registries that the test makes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, json, only, step, words};
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, StepReport};
use mayfly_states::value::{Map, Value};

fn must(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A rehearsal, then the same step twice in one run.
fn change(bench: &Bench, step: &Chunk) -> StepReport {
    let rehearsed = only(bench.test(std::slice::from_ref(step)));
    assert_eq!(rehearsed.outcome, Outcome::WouldChange, "{}", rehearsed.comment);
    let report = bench.run(&[step.clone(), step.clone()]);
    assert_eq!(words(&report), ["changed", "ok"], "{}", report.to_text());
    report.steps.into_iter().next().unwrap()
}

fn told(key: &str, word: &str) -> Map {
    Map::from([(key.into(), Value::Str(word.into()))])
}

/// A directory of gems, and a gem whose home is the test's own.
fn gems(bench: &Bench) -> (PathBuf, PathBuf) {
    let repository = bench.scratch("gems");
    std::fs::create_dir_all(repository.join("gems")).unwrap();
    for version in ["1.0", "1.5", "2.0"] {
        let spec = format!(
            "Gem::Specification.new {{ |s| s.name='mayfly_probe'; s.version='{version}'; s.summary='x'; s.authors=['x'] }}"
        );
        std::fs::write(repository.join("x.gemspec"), spec).unwrap();
        must(Command::new("gem").args(["build", "-q", "x.gemspec"]).current_dir(&repository));
        let gem = format!("mayfly_probe-{version}.gem");
        std::fs::rename(repository.join(&gem), repository.join("gems").join(&gem)).unwrap();
    }
    must(Command::new("gem").args(["generate_index", "-q", "-d"]).arg(&repository));
    let program = bench.scratch("gem");
    let home = bench.scratch("home");
    let script = format!(
        "#!/bin/sh\nexport HOME={0} XDG_CONFIG_HOME={0} GEM_HOME={0}/gems\nexec gem \"$@\"\n",
        home.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    (repository, program)
}

#[test]
fn gems_are_installed_in_versions_and_removed() {
    let bench = Bench::new();
    let (repository, program) = gems(&bench);
    let source = format!("file://{}", repository.display());
    let gem = |function: &str, id: &str, more: serde_json::Value| {
        let mut args = json!({"gem_bin": program});
        if function == "gem.installed" {
            args["source"] = source.clone().into();
        }
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step(function, id, args)
    };
    let installed = change(&bench, &gem("gem.installed", "mayfly_probe", json!({"version": "1.0"})));
    assert_eq!(installed.changes, told("mayfly_probe", "Installed"));
    change(&bench, &gem("gem.installed", "mayfly_probe", json!({"version": "~> 1.2"})));
    let any = only(bench.run(&[gem("gem.installed", "mayfly_probe", json!({}))]));
    assert_eq!((any.outcome, any.changes.len()), (Outcome::Ok, 0));
    let one = change(&bench, &gem("gem.removed", "mayfly_probe", json!({"version": "1.5"})));
    assert_eq!(one.changes, told("mayfly_probe", "Removed"));
    change(&bench, &gem("gem.removed", "mayfly_probe", json!({})));
    let none = only(bench.run(&[gem("gem.installed", "mayfly_no_such", json!({}))]));
    assert!(none.comment.contains("`gem install` ended with exit code 2"), "{}", none.comment);
    let added = change(&bench, &gem("gem.sources_add", &source, json!({})));
    assert_eq!(added.changes, told(&source, "Added"));
    change(&bench, &gem("gem.sources_remove", &source, json!({})));
    let secret = only(bench.run(&[gem("gem.installed", "x", json!({"source": "https://u:s3cret@x/"}))]));
    assert!(secret.outcome == Outcome::Failed && !secret.comment.contains("s3cret"), "{}", secret.comment);
}

/// A registry of npm with two versions of one package; it answers until the test ends.
fn registry(dir: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::fs::create_dir_all(dir.join("package")).unwrap();
    let mut versions = serde_json::Map::new();
    for version in ["1.0.0", "2.1.0"] {
        let package = json!({"name": "mayfly-probe", "version": version});
        std::fs::write(dir.join("package/package.json"), package.to_string()).unwrap();
        let tarball = format!("mayfly-probe-{version}.tgz");
        must(Command::new("tar").args(["-czf", &tarball, "package"]).current_dir(dir));
        let url = format!("{address}/{tarball}");
        versions.insert(
            version.into(),
            json!({"name": "mayfly-probe", "version": version, "dist": {"tarball": url}}),
        );
    }
    let document =
        json!({"name": "mayfly-probe", "dist-tags": {"latest": "2.1.0"}, "versions": versions}).to_string();
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            while reader.read_line(&mut request).is_ok_and(|n| n > 2) {}
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let body = match path.as_str() {
                "mayfly-probe" => Some(document.clone().into_bytes()),
                path => std::fs::read(dir.join(path)).ok().filter(|_| path.ends_with(".tgz")),
            };
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

#[test]
fn packages_of_npm_come_change_and_go() {
    let bench = Bench::new();
    let address = registry(&bench.scratch("registry"));
    let dir = "/srv/app";
    std::fs::create_dir_all(bench.at(dir)).unwrap();
    let cache = bench.scratch("cache");
    let env = json!([{"npm_config_cache": cache}, {"npm_config_prefix": bench.scratch("prefix")}]);
    let npm = |function: &str, id: &str, more: serde_json::Value| {
        let mut args = json!({"dir": dir, "registry": address, "env": env});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step(function, id, args)
    };
    let installed = change(&bench, &npm("npm.installed", "mayfly-probe@1.0.0", json!({})));
    let list = |all: &[&str]| Value::List(all.iter().map(|s| Value::Str((*s).into())).collect());
    assert_eq!(installed.changes.get("new"), Some(&list(&["mayfly-probe@1.0.0"])));
    change(&bench, &npm("npm.installed", "x", json!({"pkgs": ["mayfly-probe@^2"]})));
    let any = only(bench.run(&[npm("npm.installed", "mayfly-probe", json!({}))]));
    assert_eq!((any.outcome, any.changes.len()), (Outcome::Ok, 0));
    std::fs::remove_dir_all(bench.at("/srv/app/node_modules")).unwrap();
    let filled = change(&bench, &npm("npm.bootstrap", dir, json!({})));
    assert_eq!(filled.changes, told(dir, "Bootstrapped"));
    let removed = change(&bench, &npm("npm.removed", "mayfly-probe", json!({})));
    assert_eq!(removed.changes, told("mayfly-probe", "Removed"));
    change(&bench, &npm("npm.installed", "mayfly-probe", json!({"dir": null})));
    assert!(bench.scratch("prefix/lib/node_modules/mayfly-probe").exists(), "for the whole machine");
    let none = only(bench.run(&[npm("npm.installed", "mayfly-no-such", json!({}))]));
    assert!(none.comment.contains("`npm install` ended with exit code 1"), "{}", none.comment);
}
