//! Sources on other machines: what is asked of them, what is refused, and what is kept.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, json, only, step, value};
use crate::web::Page;
use mayfly_states::report::Outcome;

const APP: &str = "https://files.test/app.conf";
const MD5: &str = "b1946ac92492d2347c6235b4d2611184";
const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("/var/cache/mayfly/fetched/.keep", "");
    bench.web.put(APP, "hello\n");
    bench
}

fn managed(args: serde_json::Value) -> mayfly_states::low::Chunk {
    let mut all = json!({"name": "/etc/app.conf", "source": APP});
    let serde_json::Value::Object(args) = args else { panic!("arguments are a mapping") };
    all.as_object_mut().unwrap().extend(args);
    step("file.managed", "app", all)
}

/// What is kept of other machines.
fn kept(bench: &Bench) -> Vec<String> {
    let dir = std::fs::read_dir(bench.at("/var/cache/mayfly/fetched")).unwrap();
    let names = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".keep").collect()
}

#[test]
fn a_file_with_the_digest_that_it_must_have_is_not_fetched_again() {
    for hash in [MD5.to_owned(), format!("sha256={SHA256}"), SHA256.to_uppercase()] {
        let bench = bench();
        let step = managed(json!({"source_hash": hash, "mode": "0640"}));
        bench.change(&step);
        assert_eq!(bench.read("/etc/app.conf"), "hello\n");
        assert_eq!(bench.web.asked().len(), 2, "once in the rehearsal and once in the run");
        bench.same(&step);
        assert_eq!(bench.web.asked(), [""; 0]);
        assert_eq!(kept(&bench), [""; 0]);
        bench.write("/etc/app.conf", "changed by hand\n");
        assert_eq!(only(bench.run(std::slice::from_ref(&step))).outcome, Outcome::Ok);
        assert_eq!(bench.read("/etc/app.conf"), "hello\n");
    }
}

#[test]
fn without_a_digest_nothing_is_fetched_unless_the_tree_says_so() {
    let bench = bench();
    let why = bench.refuses(&managed(json!({})));
    assert!(why.contains("source_hash") && why.contains("skip_verify"), "{why}");
    assert_eq!(bench.web.asked(), [""; 0]);
    let step = managed(json!({"skip_verify": true, "source_hash": "of something else"}));
    bench.change(&step);
    bench.web.put(APP, "new\n");
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "new\n");
}

#[test]
fn a_failed_download_changes_nothing_and_says_why() {
    let bench = bench();
    bench.write("/etc/app.conf", "old\n");
    let wrong = bench.refuses(&managed(json!({"source_hash": "0".repeat(64)})));
    assert!(wrong.contains(SHA256) && wrong.contains(&"0".repeat(64)), "{wrong}");
    bench.web.page(APP, Page { status: 503, ..Page::default() });
    let away = bench.refuses(&managed(json!({"source_hash": SHA256})));
    assert_eq!(away, format!("cannot fetch {APP}: the server answers HTTP 503"));
    bench.web.remove(APP);
    assert!(bench.refuses(&managed(json!({"source_hash": SHA256}))).contains("connection refused"));
    for odd in ["ftp://files.test/x", "relative/x"] {
        let why = bench.refuses(&managed(json!({"source": odd, "source_hash": SHA256})));
        assert!(why.contains("s3://bucket/key"), "{why}");
    }
    let signed = managed(json!({"source_hash": SHA256, "source_hash_sig": true}));
    assert!(bench.refuses(&signed).contains("`source_hash_sig` is not supported"));
    assert_eq!(bench.read("/etc/app.conf"), "old\n");
}

#[test]
fn addresses_are_told_without_their_passwords_and_queries() {
    let bench = bench();
    let url = "https://me:s3cret@files.test/x?token=s3cret";
    for args in [json!({"source_hash": SHA256}), json!({}), json!({"source_hash": url})] {
        let mut args = args;
        args["source"] = json!(url);
        let why = bench.refuses(&managed(args));
        assert!(why.contains("https://<redacted>@files.test/x?<redacted>"), "{why}");
        assert!(!why.contains("s3cret"), "{why}");
    }
    let report =
        bench.run(&[step("file.cached", "https://me:s3cret@files.test/x", json!({"skip_verify": true}))]);
    let shown = report.to_salt_json().to_string() + &report.to_text();
    assert!(shown.contains("<redacted>@files.test") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn digests_come_from_files_here_in_the_tree_and_on_servers() {
    let bench = bench();
    let sums = format!("{}  other\n{MD5} *app.conf\n", "0".repeat(32));
    bench.tree("sums", &sums);
    bench.write("/srv/sums", &sums);
    bench.web.put("https://files.test/sums?x=1", sums.clone());
    for hash in ["salt://sums", "/srv/sums", "file:///srv/sums", "https://files.test/sums?x=1"] {
        let step = managed(json!({"source_hash": hash}));
        std::fs::remove_file(bench.at("/etc/app.conf")).ok();
        bench.change(&step);
        let other = managed(json!({"source_hash": hash, "source_hash_name": "other"}));
        assert!(bench.refuses(&other).contains("asks for 000"), "{hash}");
    }
    bench.web.asked();
    bench.same(&managed(json!({"source_hash": "https://files.test/sums?x=1"})));
    assert!(bench.web.asked().iter().all(|asked| asked.ends_with("sums?x=1")));
}

#[test]
fn a_version_that_the_server_knows_by_name_is_not_sent_again() {
    let bench = bench();
    let page = |body: &str, etag: &str| Page { status: 200, body: body.into(), etag: Some(etag.into()) };
    bench.web.page(APP, page("one\n", "\"1\""));
    let step = managed(json!({"use_etag": true}));
    bench.change(&step);
    bench.web.requests();
    bench.same(&step);
    let asked = bench.web.requests();
    assert!(asked.iter().all(|r| r.headers == [("If-None-Match".to_owned(), "\"1\"".to_owned())]));
    bench.write("/etc/app.conf", "changed by hand\n");
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "one\n");
    bench.web.page(APP, page("two\n", "\"2\""));
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "two\n");
    // A copy that is not what the name is of is not trusted.
    let copy = kept(&bench).into_iter().find(|name| !name.ends_with(".etag")).unwrap();
    bench.write(&format!("/var/cache/mayfly/fetched/{copy}"), "torn");
    bench.same(&step);
}

#[test]
fn a_template_from_a_server_is_kept_and_rendered_anew() {
    let mut bench = bench();
    bench.web.put(APP, "{{ greeting }} {{ pillar['who'] }}\n");
    bench.pillar.insert("who".into(), value(json!("you")));
    let digest = "b86a3a0b5bd0a56e4c4e1d33ac1a0bb6d45c8b1ff2ac8e3bd9bf0b4c8f8e4b00";
    let wrong = managed(json!({"template": "jinja", "source_hash": digest, "context": {"greeting": "hi"}}));
    let why = bench.refuses(&wrong);
    let digest = why.split(" is ").nth(1).unwrap()[..64].to_owned();
    let step = managed(json!({"template": "jinja", "source_hash": digest, "context": {"greeting": "hi"}}));
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "hi you\n");
    bench.web.asked();
    bench.pillar.insert("who".into(), value(json!("all")));
    bench.change(&step);
    assert_eq!((bench.read("/etc/app.conf").as_str(), bench.web.asked().len()), ("hi all\n", 0));
}

#[test]
fn of_several_sources_the_first_that_is_there_is_taken() {
    let bench = bench();
    bench.tree("app.conf", "from the tree\n");
    let away = "https://away.test/app.conf";
    let sources = json!([{away: SHA256}, {APP: MD5}, "salt://app.conf"]);
    let step = managed(json!({"source": sources}));
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "hello\n");
    bench.web.asked();
    bench.same(&step);
    assert_eq!(bench.web.asked(), [""; 0]);
    bench.web.remove(APP);
    std::fs::remove_file(bench.at("/etc/app.conf")).unwrap();
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf"), "from the tree\n");
    let none = bench.refuses(&managed(json!({"source": [{away: SHA256}, {APP: MD5}]})));
    assert!(none.contains(away) && none.contains(APP), "{none}");
}

#[test]
fn a_copy_is_kept_and_forgotten_as_asked() {
    let bench = bench();
    let cached = step("file.cached", APP, json!({"source_hash": MD5}));
    let told = bench.change(&cached);
    assert_eq!(value(json!({"old": null, "new": MD5})), told.changes["hash"]);
    bench.web.remove(APP);
    bench.change(&managed(json!({"source_hash": MD5})));
    let gone = bench.change(&step("file.not_cached", APP, json!({})));
    assert_eq!(gone.changes["deleted"], value(json!(true)));
    assert_eq!(kept(&bench), [""; 0]);
    assert!(bench.refuses(&cached).contains("connection refused"));
}

#[test]
fn a_large_file_goes_by_way_of_the_disk_and_is_written_whole() {
    let bench = bench();
    let large = "0123456789abcdef".repeat(200_000);
    bench.web.put(APP, large.clone());
    let step = managed(json!({"skip_verify": true, "mode": "0600"}));
    bench.change(&step);
    assert!(bench.read("/etc/app.conf") == large);
    assert_eq!(kept(&bench), [""; 0], "what was fetched for one step goes with it");
    bench.web.put(APP, format!("{large}more"));
    bench.change(&step);
    assert_eq!(bench.read("/etc/app.conf").len(), large.len() + 4);
}

#[test]
fn a_question_is_sent_as_it_is_asked() {
    let bench = bench();
    let url = "https://api.test/hook?a=1&b=x+%26&c=%C3%BC";
    bench.web.put(url, "done");
    let args = json!({"method": "post", "params": {"b": "x &", "c": "ü"}, "data": {"k": "v w"}, "match": "done",
        "header_dict": {"X-One": 1}, "header_list": ["X-Two: 2"], "username": "me", "password": "s3cret", "timeout": 5});
    let step = step("http.query", "https://api.test/hook?a=1", args);
    assert_eq!(only(bench.test(std::slice::from_ref(&step))).outcome, Outcome::WouldChange);
    assert_eq!(bench.web.asked(), [""; 0], "a rehearsal asks nobody");
    let done = only(bench.run(std::slice::from_ref(&step)));
    assert_eq!((done.outcome, done.changes.len()), (Outcome::Ok, 0), "{}", done.comment);
    let sent = bench.web.requests().pop().unwrap();
    assert_eq!((sent.method.as_str(), sent.url.as_str(), sent.body.as_slice()), ("POST", url, &b"k=v+w"[..]));
    assert_eq!(sent.timeout.as_secs(), 5);
    let headers: Vec<String> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let wanted = ["X-One: 1", "X-Two: 2", "Authorization: Basic bWU6czNjcmV0"];
    assert_eq!(headers[..3], wanted);
    assert_eq!(headers[3..], ["Content-Type: application/x-www-form-urlencoded"]);
}

#[test]
fn scripts_keys_and_archives_come_from_servers_too() {
    let bench = bench();
    let script = "https://files.test/run.sh?token=s3cret";
    bench.web.put(script, "echo \"$0\" \"$1\"\n");
    let ran = only(bench.run(&[step("cmd.script", "run", json!({"source": script, "args": "now"}))]));
    let said = ran.changes["stdout"].as_str().unwrap();
    assert!(said.ends_with("/run.sh now"), "{said}");
    let packed = bench.scratch("app.tar");
    let from = bench.scratch("pack");
    std::fs::create_dir_all(from.join("app")).unwrap();
    std::fs::write(from.join("app/file"), "packed\n").unwrap();
    let pack = || {
        let mut tar = std::process::Command::new("tar");
        assert!(tar.arg("-cf").arg(&packed).arg("-C").arg(&from).arg("app").status().unwrap().success());
    };
    pack();
    let archive = "https://files.test/app.tar?x=.zip";
    bench.web.put(archive, std::fs::read(&packed).unwrap());
    let extracted = |args: serde_json::Value| {
        let mut all = json!({"name": "/opt/app", "source": archive});
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        step("archive.extracted", "app", all)
    };
    assert!(bench.refuses(&extracted(json!({}))).contains("skip_verify"));
    bench.change(&extracted(json!({"skip_verify": true})));
    assert_eq!(bench.read("/opt/app/app/file"), "packed\n");
    let digest = || {
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(std::fs::read(&packed).unwrap()))
    };
    let updated = || extracted(json!({"source_hash": digest(), "source_hash_update": true}));
    bench.change(&updated());
    bench.web.asked();
    bench.same(&updated());
    assert_eq!(bench.web.asked(), [""; 0], "a copy of an archive is kept");
    std::fs::write(from.join("app/file"), "of another build\n").unwrap();
    pack();
    bench.web.put(archive, std::fs::read(&packed).unwrap());
    bench.same(&extracted(json!({"source_hash": digest()})));
    bench.change(&updated());
    assert_eq!(bench.read("/opt/app/app/file"), "of another build\n");
}
