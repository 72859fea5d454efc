//! Going back by the records alone: to the last success, and to a number.

use crate::bench::Bench;
use serde_json::Value;

#[test]
fn a_rollback_runs_what_the_record_says_and_is_a_deployment_of_its_own() {
    let bench = Bench::classic();
    for version in ["1", "2", "3"] {
        bench.commit(version);
        bench.ends_with(0, &["deploy", "--set", &format!("app.version={version}")]);
    }
    let commits: Vec<Value> = commits(&bench);
    // What it was comes from the record: no git is asked.
    std::fs::rename(bench.folder.path().join("states"), bench.folder.path().join("gone")).expect("a folder");
    bench.ends_with(0, &["rollback"]);
    runs(&bench, "2", &commits[1]);
    bench.ends_with(0, &["rollback", "1"]);
    runs(&bench, "1", &commits[2]);
    assert_eq!((bench.repeats(4), bench.repeats(5)), (Some(2), Some(1)));
    let endings: Vec<(i64, String)> = bench.endings();
    assert_eq!(endings[0], (5, "current".to_owned()));
    assert!(endings[1..].iter().all(|(_, ending)| ending == "succeeded"), "{endings:?}");
    bench.ends_with(5, &["rollback", "9"]);
}

/// Newest first.
fn commits(bench: &Bench) -> Vec<Value> {
    let history = bench.json(&["history"]);
    history.as_array().expect("a list").iter().map(|entry| entry["commit"].clone()).collect()
}

fn runs(bench: &Bench, version: &str, commit: &Value) {
    let ids = bench.settled(2, version);
    let data = bench.user_data(ids.first().expect("two"));
    assert!(data.contains(commit.as_str().expect("a commit")), "{data}");
    let parameters = &bench.json(&["history"])[0]["parameters"];
    assert_eq!(parameters["app.version"], version);
}

#[test]
fn what_failed_is_recorded_and_is_no_place_to_go_back_to() {
    let bench = Bench::classic();
    bench.deploy();
    let old = bench.settled(2, "the first deployment");
    let good = std::fs::read_to_string(bench.folder.path().join("mayfly.yaml")).expect("the spec");
    bench.write_text(&format!("{good}hooks: [{{before: deregister-old, run: [/bin/false]}}]\n"));
    bench.ends_with(2, &["deploy"]);
    assert_eq!(bench.settled(2, "undone"), old);
    bench.write_text(&good);
    bench.deploy();
    bench.ends_with(0, &["rollback"]);
    let endings: Vec<String> = bench.endings().into_iter().map(|(_, ending)| ending).collect();
    assert_eq!(endings, ["current", "succeeded", "rolled-back", "succeeded"]);
    assert_eq!(bench.repeats(4), Some(1));
}
