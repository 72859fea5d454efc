//! `git.*` with the real git and a repository on this machine.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, json, only, step};
use mayfly_states::low::Chunk;
use mayfly_states::report::Outcome;
use mayfly_states::value::{Map, Value};

fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    let output = git.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(dir: &Path, content: &str) -> String {
    std::fs::write(dir.join("file"), content).unwrap();
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-qm", content]);
    git(dir, &["rev-parse", "HEAD"])
}

/// An origin with one commit on `main`, and a step that follows it.
fn origin(bench: &Bench) -> std::path::PathBuf {
    let dir = bench.scratch("origin");
    std::fs::create_dir(&dir).unwrap();
    git(&dir, &["init", "-q", "-b", "main"]);
    commit(&dir, "one");
    dir
}

fn latest(origin: &Path, more: &serde_json::Value) -> Chunk {
    let mut args = json!({"target": "/srv/app"});
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step("git.latest", origin.to_str().unwrap(), args)
}

fn revision(changes: &Map) -> Option<(Value, Value)> {
    let pair = changes.get("revision")?.as_map()?;
    Some((pair.get("old")?.clone(), pair.get("new")?.clone()))
}

fn text(s: &str) -> Value {
    Value::Str(s.to_owned())
}

#[test]
fn a_clone_follows_its_branch() {
    let bench = Bench::new();
    let origin = origin(&bench);
    let one = git(&origin, &["rev-parse", "HEAD"]);
    let cloned = bench.change(&latest(&origin, &json!({"rev": "main"})));
    assert_eq!(revision(&cloned.changes), Some((Value::Null, text(&one))));
    let new = format!("{} => /srv/app", origin.display());
    assert_eq!(cloned.changes.get("new"), Some(&text(&new)));
    assert_eq!(bench.read("/srv/app/file"), "one");
    let two = commit(&origin, "two");
    let updated = bench.change(&latest(&origin, &json!({"rev": "main"})));
    assert_eq!(revision(&updated.changes), Some((text(&one), text(&two))));
    assert_eq!(bench.read("/srv/app/file"), "two");
    git(&origin, &["tag", "-a", "v1", "-m", "v1", &one]);
    let back = bench.refuses(&latest(&origin, &json!({"rev": "v1"})));
    assert!(back.contains("is no fast-forward"), "{back}");
    let forced = bench.change(&latest(&origin, &json!({"rev": "v1", "force_reset": true})));
    assert_eq!(forced.changes.get("forced update"), Some(&Value::Bool(true)));
    assert_eq!(bench.read("/srv/app/file"), "one");
    assert!(bench.refuses(&latest(&origin, &json!({"rev": "none"}))).contains("No revision matching 'none'"));
}

#[test]
fn local_work_is_only_given_up_when_told() {
    let bench = Bench::new();
    let origin = origin(&bench);
    bench.change(&latest(&origin, &json!({})));
    bench.write("/srv/app/file", "mine");
    bench.same(&latest(&origin, &json!({})));
    commit(&origin, "two");
    let refused = bench.refuses(&latest(&origin, &json!({})));
    assert!(refused.contains("uncommitted changes"), "{refused}");
    assert_eq!(bench.read("/srv/app/file"), "mine");
    bench.change(&latest(&origin, &json!({"force_reset": true})));
    assert_eq!(bench.read("/srv/app/file"), "two");
    bench.write("/srv/app/file", "mine");
    bench.same(&latest(&origin, &json!({"force_reset": "remote-changes"})));
    bench.change(&latest(&origin, &json!({"force_reset": true})));
    // A rewritten history is seen once it was fetched, and then too.
    git(&origin, &["checkout", "-q", "--orphan", "other"]);
    commit(&origin, "three");
    git(&origin, &["branch", "-f", "main", "other"]);
    let failed = only(bench.run(&[latest(&origin, &json!({"rev": "main"}))]));
    assert!(
        failed.outcome == Outcome::Failed && failed.comment.contains("no fast-forward"),
        "{}",
        failed.comment
    );
    assert_eq!(bench.read("/srv/app/file"), "two");
}

#[test]
fn other_remotes_branches_and_bare_clones() {
    let bench = Bench::new();
    let origin = origin(&bench);
    git(&origin, &["branch", "dev"]);
    bench.change(&latest(&origin, &json!({"rev": "dev", "branch": "local"})));
    assert_eq!(git(&bench.at("/srv/app"), &["symbolic-ref", "--short", "HEAD"]), "local");
    let moved = bench.scratch("moved");
    git(&bench.scratch(""), &["clone", "-q", origin.to_str().unwrap(), "moved"]);
    let changed = bench.change(&latest(&moved, &json!({"branch": "local"})));
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["url"]);
    let bare = json!({"target": "/srv/bare", "mirror": true});
    bench.change(&latest(&origin, &bare));
    commit(&origin, "two");
    bench.change(&latest(&origin, &bare));
    bench.write("/srv/taken/file", "x");
    let refused = bench.refuses(&latest(&origin, &json!({"target": "/srv/taken"})));
    assert!(refused.contains("force_clone would remove it"), "{refused}");
    let forced = bench.change(&latest(&origin, &json!({"target": "/srv/taken", "force_clone": true})));
    assert_eq!(forced.changes.get("forced clone"), Some(&Value::Bool(true)));
}

#[test]
fn a_clone_is_there_and_one_is_at_a_commit() {
    let bench = Bench::new();
    let origin = origin(&bench);
    let one = git(&origin, &["rev-parse", "HEAD"]);
    git(&origin, &["branch", "dev"]);
    let url = origin.to_str().unwrap();
    bench.change(&step("git.cloned", url, json!({"target": "/srv/c"})));
    let two = commit(&origin, "two");
    bench.same(&step("git.cloned", url, json!({"target": "/srv/c"})));
    let branch = bench.change(&step("git.cloned", url, json!({"target": "/srv/c", "branch": "dev"})));
    assert_eq!(branch.changes.keys().collect::<Vec<_>>(), ["branch"]);
    let at = |rev: &str| step("git.detached", url, json!({"target": "/srv/d", "rev": rev}));
    let new = bench.change(&at(&one));
    assert_eq!(new.changes.keys().collect::<Vec<_>>(), ["new", "HEAD"]);
    assert_eq!(bench.read("/srv/d/file"), "one");
    let moved = bench.change(&at("main"));
    let pair = crate::bench::value(json!({"old": one, "new": two}));
    assert_eq!(moved.changes, Map::from([("HEAD".to_owned(), pair)]));
}

#[test]
fn configuration_is_set_and_unset() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.at("/srv/c")).unwrap();
    git(&bench.at("/srv/c"), &["init", "-q"]);
    let set = |args: serde_json::Value| {
        let mut all = json!({"repo": "/srv/c"});
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        step("git.config_set", "user.name", all)
    };
    let first = bench.change(&set(json!({"value": "me"})));
    let pair = crate::bench::value(json!({"old": null, "new": ["me"]}));
    assert_eq!(first.changes, Map::from([("user.name".to_owned(), pair)]));
    bench.change(&set(json!({"multivar": ["a", "b\nc"]})));
    let unset = |args: serde_json::Value| {
        let mut all = json!({"repo": "/srv/c"});
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        step("git.config_unset", "user.name", all)
    };
    assert!(bench.refuses(&unset(json!({}))).contains("several values"));
    bench.change(&unset(json!({"value_regex": "^a$"})));
    bench.change(&unset(json!({})));
    assert!(bench.refuses(&set(json!({}))).contains("exactly one of"));
}
