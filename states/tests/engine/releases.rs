//! `release.active`: from an artefact to a service that has come up with it, and back when it does not.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Child, Command};

use crate::bench::{Bench, eventually, json, only, step, value};
use crate::web::Page;
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, StepReport};

/// A tar archive with a directory `app` that tells its version in some files.
fn archive(bench: &Bench, version: &str) -> Vec<u8> {
    let dir = bench.scratch(&format!("make-{version}"));
    std::fs::create_dir_all(dir.join("app/lib")).unwrap();
    for file in ["app/version", "app/lib/a", "app/lib/b"] {
        std::fs::write(dir.join(file), version.repeat(20_000 / version.len())).unwrap();
    }
    let packed = bench.scratch(&format!("{version}.tar"));
    let status = Command::new("tar").arg("-cf").arg(&packed).arg("-C").arg(&dir).arg("app").status();
    assert!(status.unwrap().success());
    std::fs::read(packed).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// Versions 1, 2 and 3 on a server, each beside its digest.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("/var/cache/mayfly/fetched/.keep", "");
    for version in ["1", "2", "3", "broken"] {
        let packed = archive(&bench, version);
        bench.web.put(&format!("https://files.test/app-{version}.tgz.sha256"), digest(&packed));
        bench.web.put(&format!("https://files.test/app-{version}.tgz"), packed);
    }
    bench.services.define("app");
    bench
}

/// The release of a version, whose service must not find that it is broken.
fn release(bench: &Bench, version: &str, more: serde_json::Value) -> Chunk {
    let file = bench.at("/srv/app/current/version");
    let mut args = json!({
        "name": "/srv/app",
        "version": version,
        "source": "https://files.test/app-{version}.tgz",
        "source_hash": "https://files.test/app-{version}.tgz.sha256",
        "strip": 1,
        "service": "app",
        "health_cmd": format!("! grep -q broken {}", file.display()),
        "health_timeout": 0,
    });
    let serde_json::Value::Object(more) = more else { panic!("arguments are a mapping") };
    args.as_object_mut().unwrap().extend(more);
    step("release.active", "app", args)
}

fn run(bench: &Bench, step: &Chunk) -> StepReport {
    only(bench.run(std::slice::from_ref(step)))
}

/// Run it, and see that it worked.
fn works(bench: &Bench, step: &Chunk) -> StepReport {
    let done = run(bench, step);
    assert_eq!(done.outcome, Outcome::Ok, "{}", done.comment);
    done
}

fn current(bench: &Bench) -> String {
    std::fs::read_link(bench.at("/srv/app/current")).map(|l| l.display().to_string()).unwrap_or_default()
}

/// What stands beside the releases, hidden or not.
fn shelf(bench: &Bench) -> Vec<String> {
    let mut names: Vec<String> = ["/srv/app", "/srv/app/releases"]
        .iter()
        .flat_map(|dir| std::fs::read_dir(bench.at(dir)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["current", "releases"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

#[test]
fn a_release_becomes_the_current_one_and_its_service_comes_up() {
    let bench = bench();
    let first = release(&bench, "1", json!({"user": "games", "group": "games"}));
    bench.write("/etc/passwd", "games:x:5:60::/:/bin/sh\n");
    bench.write("/etc/group", "games:x:60:\n");
    let told = bench.change(&first);
    assert_eq!(told.changes["release"], value(json!({"old": null, "new": "1"})));
    assert_eq!(current(&bench), "releases/1");
    assert!(bench.read("/srv/app/current/version").starts_with("11"));
    assert_eq!(bench.services.asked(), ["start app"]);
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &str| bench.at(path).metadata().map(|m| (m.uid(), m.gid())).unwrap();
    assert_eq!((owner("/srv/app/current/lib/a"), owner("/srv/app/releases")), ((5, 60), (0, 0)));
    bench.web.asked();
    bench.same(&first);
    assert_eq!((bench.web.asked().len(), bench.services.asked().len()), (0, 0));
    let told = bench.change(&release(&bench, "2", json!({})));
    assert_eq!(told.changes["release"], value(json!({"old": "1", "new": "2"})));
    assert_eq!(bench.services.asked(), ["restart app"]);
    assert_eq!(shelf(&bench), [".1.json", ".2.json", "1", "2"]);
}

#[test]
fn a_release_that_does_not_come_up_is_taken_back() {
    let bench = bench();
    works(&bench, &release(&bench, "1", json!({})));
    bench.services.asked();
    let failed = run(&bench, &release(&bench, "broken", json!({})));
    assert_eq!((failed.outcome, failed.changes.len()), (Outcome::Failed, 0));
    let said = "broken did not come up: `! grep -q broken";
    assert!(failed.comment.starts_with(said), "{}", failed.comment);
    assert!(failed.comment.contains("releases/1 is the current release again, and app has come up"));
    assert_eq!(current(&bench), "releases/1");
    assert_eq!(bench.services.asked(), ["restart app", "restart app"]);
    assert_eq!(shelf(&bench), [".1.json", ".broken.json", ".failed", "1", "broken"]);
    bench.same(&release(&bench, "1", json!({})));
    let again = bench.refuses(&release(&bench, "broken", json!({})));
    assert!(again.contains("was tried in /srv/app and did not come up: `! grep -q broken"), "{again}");
    assert_eq!(bench.services.asked(), [""; 0], "what does not come up is not tried again and again");
    assert_eq!(run(&bench, &release(&bench, "broken", json!({"attempt": 2}))).outcome, Outcome::Failed);
    assert_eq!(bench.services.asked(), ["restart app", "restart app"]);
    works(&bench, &release(&bench, "2", json!({})));
    assert_eq!(shelf(&bench), [".1.json", ".2.json", ".broken.json", "1", "2", "broken"]);
}

#[test]
fn a_first_release_that_does_not_come_up_leaves_nothing_running() {
    let bench = bench();
    let failed = run(&bench, &release(&bench, "broken", json!({})));
    assert!(failed.comment.contains("there is no release to go back to"), "{}", failed.comment);
    assert_eq!((current(&bench).as_str(), bench.services.pid("app")), ("", None));
    let unknown = run(&bench, &release(&bench, "1", json!({"service": "nobody"})));
    assert!(unknown.comment.contains("the service nobody is not known"), "{}", unknown.comment);
    assert_eq!(current(&bench), "");
}

#[test]
fn a_failed_download_changes_nothing() {
    let bench = bench();
    works(&bench, &release(&bench, "1", json!({})));
    bench.services.asked();
    bench.web.remove("https://files.test/app-2.tgz");
    let away = bench.refuses(&release(&bench, "2", json!({})));
    assert!(away.contains("connection refused"), "{away}");
    let wrong = bench.refuses(&release(&bench, "3", json!({"source_hash": "0".repeat(64)})));
    assert!(wrong.contains("source_hash asks for 000"), "{wrong}");
    let unchecked = bench.refuses(&release(&bench, "3", json!({"source_hash": null})));
    assert!(unchecked.contains("skip_verify"), "{unchecked}");
    bench.web.put("https://files.test/app-2.tgz", "no archive");
    let odd = run(&bench, &release(&bench, "2", json!({"skip_verify": true})));
    assert!(odd.comment.contains("`tar` ended with"), "{}", odd.comment);
    assert_eq!((current(&bench).as_str(), bench.services.asked().len()), ("releases/1", 0));
}

#[test]
fn old_releases_go_and_a_release_that_is_there_is_not_fetched_again() {
    let bench = bench();
    let take = |version| works(&bench, &release(&bench, version, json!({"keep": 1})));
    take("1");
    take("2");
    let third = take("3");
    assert_eq!(third.changes["removed"], value(json!(["1"])));
    assert_eq!(shelf(&bench), [".2.json", ".3.json", "2", "3"]);
    bench.web.asked();
    take("2");
    assert_eq!((current(&bench).as_str(), bench.web.asked().len()), ("releases/2", 0));
    assert_eq!(shelf(&bench), [".2.json", ".3.json", "2", "3"]);
    let other = bench.refuses(&release(&bench, "2", json!({"source_hash": "0".repeat(64)})));
    assert!(other.contains("give what is new another version"), "{other}");
}

#[test]
fn an_activation_that_was_cut_short_is_completed_or_taken_back() {
    let bench = bench();
    let (first, broken) = (release(&bench, "1", json!({})), release(&bench, "broken", json!({})));
    works(&bench, &first);
    // As a kill leaves it after the turn and before anybody has asked the service.
    let cut = |bench: &Bench, version: &str| {
        let current = bench.at("/srv/app/current");
        std::fs::remove_file(&current).unwrap();
        std::os::unix::fs::symlink(format!("releases/{version}"), current).unwrap();
        bench.write("/srv/app/.activating", r#"{"old": "releases/1"}"#);
    };
    works(&bench, &release(&bench, "2", json!({})));
    cut(&bench, "2");
    bench.services.asked();
    works(&bench, &release(&bench, "2", json!({})));
    assert_eq!((bench.services.asked(), current(&bench)), (vec!["restart app".into()], "releases/2".into()));
    assert_eq!(run(&bench, &broken).outcome, Outcome::Failed);
    cut(&bench, "broken");
    assert_eq!(run(&bench, &broken).outcome, Outcome::Failed);
    assert_eq!(current(&bench), "releases/1");
    bench.same(&first);
}

#[test]
fn what_others_can_write_to_and_what_is_no_version_is_refused() {
    let bench = bench();
    for bad in ["../x", "", "a/b", "latest"] {
        bench.refuses(&release(&bench, bad, json!({})));
    }
    for wrong in
        [json!({"jenkins": "https://ci.test/job/x"}), json!({"strip": "x"}), json!({"health_url": "x"})]
    {
        bench.refuses(&release(&bench, "1", wrong));
    }
    bench.write("/srv/app/current", "a file");
    assert!(bench.refuses(&release(&bench, "1", json!({}))).contains("current is a regular file"));
    std::fs::remove_file(bench.at("/srv/app/current")).unwrap();
    std::os::unix::fs::chown(bench.at("/srv/app"), Some(5), Some(5)).unwrap();
    assert!(bench.refuses(&release(&bench, "1", json!({}))).contains("can be written to by others"));
}

#[test]
fn a_server_is_asked_how_it_is_and_a_plain_file_is_taken_as_it_is() {
    let bench = bench();
    bench.web.put("https://files.test/app-1.jar", "java");
    let health = "http://127.0.0.1:8080/health";
    let jar = release(
        &bench,
        "1",
        json!({"source": "https://files.test/app-{version}.jar", "source_hash": digest(b"java"), "strip": 0,
            "health_cmd": null, "health_url": health, "mode": "0644"}),
    );
    bench.web.page(health, Page { status: 503, ..Page::default() });
    let sick = run(&bench, &jar);
    assert!(sick.comment.contains("the server answered HTTP 503 (for 0 s)"), "{}", sick.comment);
    assert_eq!(current(&bench), "");
    bench.web.put(health, "well");
    works(&bench, &jar);
    assert_eq!(bench.read("/srv/app/current/app-1.jar"), "java");
}

/// A builder of Jenkins with build 42, whose first word is asked for.
fn jenkins(bench: &Bench) -> Vec<u8> {
    let packed = archive(bench, "42");
    let md5 = Command::new("md5sum").arg(bench.scratch("42.tar")).output().unwrap().stdout;
    let md5 = String::from_utf8(md5).unwrap()[..32].to_owned();
    let tree = "tree=number,result,artifacts[fileName,relativePath],fingerprint[fileName,hash]";
    let build = json!({"number": 42, "result": "SUCCESS",
        "artifacts": [{"fileName": "app.tar", "relativePath": "out/app.tar"}, {"fileName": "x", "relativePath": "x"}],
        "fingerprint": [{"fileName": "app.tar", "hash": md5}]});
    let failed = json!({"number": 41, "result": "FAILURE", "artifacts": []});
    let base = "https://ci.test/job/app";
    bench.web.put(&format!("{base}/lastSuccessfulBuild/api/json?{tree}"), build.to_string());
    bench.web.put(&format!("{base}/42/api/json?{tree}"), build.to_string());
    bench.web.put(&format!("{base}/41/api/json?{tree}"), failed.to_string());
    bench.web.put(&format!("{base}/42/artifact/out/app.tar"), packed.clone());
    packed
}

#[test]
fn a_build_of_jenkins_is_taken_by_number_or_the_last_that_succeeded() {
    let mut bench = bench();
    jenkins(&bench);
    bench.pillar.insert("ci".into(), value(json!({"token": "s3cret"})));
    let build = |version: serde_json::Value, artifact: &str| {
        let args = json!({"name": "/srv/app", "jenkins": "https://ci.test/job/app/", "artifact": artifact,
            "version": version, "strip": 1, "username": "deploy", "token_pillar": "ci:token"});
        step("release.active", "app", args)
    };
    let failed = bench.refuses(&build(json!(41), "app.tar"));
    assert_eq!(failed, "build 41 of https://ci.test/job/app is FAILURE, no success");
    let none = bench.refuses(&build(json!(42), "other"));
    assert!(none.contains("has no file other; it has: app.tar, x"), "{none}");
    let last = build(json!("lastSuccessfulBuild"), "app.tar");
    bench.web.requests();
    bench.change(&last);
    assert_eq!(current(&bench), "releases/42");
    let sent = bench.web.requests();
    let basic = ("Authorization".to_owned(), "Basic ZGVwbG95OnMzY3JldA==".to_owned());
    assert!(sent.iter().all(|request| request.headers.contains(&basic)));
    bench.same(&build(json!(42), "out/app.tar"));
    assert_eq!(bench.web.asked(), [""; 0]);
    bench.web.put("https://ci.test/job/app/42/artifact/out/app.tar", "something else");
    std::fs::remove_dir_all(bench.at("/srv/app")).unwrap();
    let changed = bench.refuses(&last);
    assert!(changed.contains("the md5 of https://ci.test/job/app/42/artifact/out/app.tar is"), "{changed}");
}

#[test]
fn releases_and_builds_of_github_are_found_by_tag_and_number() {
    let bench = bench();
    let packed = archive(&bench, "v1.2");
    let api = "https://api.github.test/repos/loadzen/app";
    let asset = json!({"name": "app-1.2.tar", "id": 7, "digest": format!("sha256:{}", digest(&packed))});
    let found = json!({"tag_name": "v1.2", "assets": [asset, {"name": "other", "id": 8}]}).to_string();
    bench.web.put(&format!("{api}/releases/latest"), found.clone());
    bench.web.put(&format!("{api}/releases/tags/v1.2"), found);
    bench.web.put(&format!("{api}/releases/assets/7"), packed.clone());
    let take = |more: serde_json::Value| {
        let mut args = json!({"name": "/srv/app", "github": "loadzen/app", "strip": 1, "token": "t0ken",
            "github_url": "https://api.github.test/"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step("release.active", "app", args)
    };
    bench.change(&take(json!({"asset": "app-{version}.tar"})));
    assert_eq!(current(&bench), "releases/v1.2");
    let sent = bench.web.requests().into_iter().find(|sent| sent.url.ends_with("/assets/7")).unwrap();
    assert!(sent.headers.contains(&("Authorization".to_owned(), "Bearer t0ken".to_owned())));
    assert!(sent.headers.contains(&("Accept".to_owned(), "application/octet-stream".to_owned())));
    bench.same(&take(json!({"asset": "app-{version}.tar", "version": "v1.2"})));
    bench.refuses(&take(json!({"asset": "app", "version": "v9"})));

    let runs = json!({"workflow_runs": [{"id": 900, "run_number": 9}, {"id": 800, "run_number": 8}]});
    let url = format!("{api}/actions/workflows/build.yml/runs?status=success&per_page=100");
    bench.web.put(&url, runs.to_string());
    let left = json!({"artifacts": [{"id": 5, "name": "app", "expired": false, "digest": format!("sha256:{}", digest(b"x"))},
        {"id": 4, "name": "app", "expired": true}]});
    bench.web.put(&format!("{api}/actions/runs/800/artifacts?per_page=100"), left.to_string());
    bench.web.put(&format!("{api}/actions/artifacts/5/zip"), "x");
    let build = |version: u32, format: &str| {
        take(json!({"workflow": "build.yml", "artifact": "app", "version": version, "strip": 0,
            "archive_format": format}))
    };
    assert!(bench.refuses(&build(7, "zip")).contains("no build 7 among its last 100 of build.yml"));
    bench.change(&build(8, "none"));
    assert_eq!(bench.read("/srv/app/current/app.zip"), "x");
}

const ROOM: &str = "MAYFLY_RELEASE_ROOM";

fn local(version: usize, from: &Path) -> Chunk {
    let args = json!({"name": "/srv/app", "version": version.to_string(), "keep": 0, "strip": 1,
        "source": format!("/make/{{version}}.tar"), "source_hash": digest(&std::fs::read(from).unwrap())});
    step("release.active", "app", args)
}

fn made(bench: &Bench, version: usize) -> std::path::PathBuf {
    bench.at(&format!("/make/{version}.tar"))
}

/// Not a test of its own: the process that the test below kills. It goes from release to release for ever.
#[test]
fn the_process_that_is_killed() {
    let Some(room) = std::env::var_os(ROOM) else { return };
    let mut bench = Bench::new();
    bench.root = room.into();
    for version in (1..4).cycle() {
        assert!(bench.run(&[local(version, &made(&bench, version))]).ok());
    }
}

/// Killed when the test is over, however it ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The version of the current release; panics when it is not whole.
fn whole(bench: &Bench) -> usize {
    let version = current(bench).strip_prefix("releases/").unwrap().to_owned();
    for file in ["version", "lib/a", "lib/b"] {
        let text = bench.read(&format!("/srv/app/current/{file}"));
        assert_eq!(text, version.repeat(20_000), "{file} of {version} is torn");
    }
    version.parse().unwrap()
}

#[test]
fn killed_at_any_moment_the_current_release_is_whole_and_the_next_run_completes() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("/make")).unwrap();
    for version in 1..4 {
        std::fs::write(made(&bench, version), archive(&bench, &version.to_string())).unwrap();
    }
    assert!(bench.run(&[local(1, &made(&bench, 1))]).ok());
    for round in 0..12_u32 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "releases::the_process_that_is_killed"]).env(ROOM, &bench.root);
        let victim = Victim(command.stdout(std::process::Stdio::null()).spawn().unwrap());
        for _ in 0..=round % 3 {
            let before = current(&bench);
            assert!(eventually(|| current(&bench) != before), "nothing is converging");
        }
        // A little further, to another moment each round.
        for _ in 0..round * 20 {
            let _ = std::fs::read_dir(bench.at("/srv/app/releases")).unwrap().count();
        }
        drop(victim);
        let next = whole(&bench) % 3 + 1;
        let report = bench.run(&[local(next, &made(&bench, next))]);
        assert!(report.ok(), "{}", report.to_text());
        assert_eq!(whole(&bench), next);
        let left: Vec<String> =
            shelf(&bench).into_iter().filter(|name| name.len() > 1 && !name.ends_with(".json")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn over_plain_http_no_digest_is_believed_and_no_token_sent() {
    let bench = Bench::new();
    let jenkins = |host: &str, more: serde_json::Value| {
        let job = format!("{host}/job/app");
        let told = json!({"number": 5, "result": "SUCCESS",
            "artifacts": [{"fileName": "app.jar", "relativePath": "app.jar"}],
            "fingerprint": [{"fileName": "app.jar", "hash": "93f725a07423fe1c889f448b33d21f46"}]});
        let tree = "tree=number,result,artifacts[fileName,relativePath],fingerprint[fileName,hash]";
        bench.web.put(&format!("{job}/5/api/json?{tree}"), told.to_string().into_bytes());
        bench.web.put(&format!("{job}/5/artifact/app.jar"), b"java".to_vec());
        let mut args = json!({"name": "/srv/app", "jenkins": job, "artifact": "app.jar", "version": 5});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(&bench, &step("release.active", "app", args))
    };
    for host in ["http://ci.test", "http://127.0.0.1@ci.test:80"] {
        let refused = jenkins(host, json!({}));
        assert!(refused.comment.contains("over plain http is no proof"), "{}", refused.comment);
        let refused = jenkins(host, json!({"token": "s3cret", "source_hash": digest(b"java")}));
        assert!(refused.comment.contains("a token is not sent over plain http"), "{}", refused.comment);
    }
    let near = jenkins("http://127.0.0.1:8080", json!({"token": "s3cret"}));
    assert_eq!(near.outcome, Outcome::Ok, "{}", near.comment);
}
