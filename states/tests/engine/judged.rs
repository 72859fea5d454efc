//! State functions that edit one file, beside what the real Salt answered (`states/tests/modules`).

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, json, only, step, value};
use mayfly_states::report::Outcome;
use mayfly_states::value::{Map, Value};

fn data(text: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(text).unwrap()
}

/// hosts(5) is compared by its words and without its order: Salt lays out anew what it has no business with.
fn canonical(case: &serde_json::Value, text: &str) -> String {
    if !case["fun"].as_str().unwrap().starts_with("host.") {
        return text.to_owned();
    }
    let mut lines: Vec<String> =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines.join("\n")
}

/// One case and Salt's answer to it; the differences, in words.
fn differences(case: &serde_json::Value, salt: &serde_json::Value) -> Vec<String> {
    let bench = Bench::new();
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\n");
    bench.write("/root/.keep", "");
    let file = case["file"].as_str().unwrap();
    std::fs::create_dir_all(bench.at(file).parent().unwrap()).unwrap();
    if let Some(before) = case["before"].as_str() {
        bench.write(file, before);
    }
    let mut args: serde_json::Value =
        serde_json::from_str(&case["args"].to_string().replace("{file}", file)).unwrap();
    args["name"] = json!(case["name"].as_str().unwrap().replace("{file}", file));
    let step = step(case["fun"].as_str().unwrap(), "case", args);
    let snapshot = bench.snapshot();
    bench.test(std::slice::from_ref(&step));
    assert_eq!(snapshot, bench.snapshot(), "test mode changed something: {case}");
    let ours = only(bench.run(std::slice::from_ref(&step)));
    let after = std::fs::read_to_string(bench.at(file)).ok();
    let again = only(bench.run(std::slice::from_ref(&step)));
    assert_eq!((again.outcome, again.changes), (Outcome::Ok, Map::new()), "not once: {case}");
    let changes = value(salt["changes"].clone());
    let mut found = Vec::new();
    if (ours.outcome == Outcome::Ok) != (salt["result"] == json!(true)) {
        found.push(format!("result: {}", ours.comment));
    }
    if Value::Map(ours.changes.clone()) != changes {
        found.push(format!("changes: ours {:?}, Salt's {changes:?}", ours.changes));
    }
    let file = |text: &str| canonical(case, text);
    if after.as_deref().map(file) != salt["after"].as_str().map(file) {
        found.push(format!("file: ours {after:?}, Salt's {:?}", salt["after"]));
    }
    found
}

#[test]
fn one_file_is_edited_as_salt_edits_it() {
    let cases = data(include_str!("../modules/cases.json"));
    let answers = data(include_str!("../modules/salt.json"));
    assert_eq!(cases.len(), answers.len(), "run states/tests/modules/regenerate.py");
    let mut all = Vec::new();
    for (i, (case, salt)) in cases.iter().zip(&answers).enumerate() {
        let found = differences(case, salt);
        let wanted = case["differs"].is_string();
        if !found.is_empty() && !wanted {
            all.push(format!(
                "{i} {} {} {}:\n  {}",
                case["fun"],
                case["name"],
                case["args"],
                found.join("\n  ")
            ));
        }
        if found.is_empty() && wanted {
            all.push(format!("{i} {} does not differ any more", case["fun"]));
        }
    }
    assert!(all.is_empty(), "{} differ\n{}", all.len(), all.join("\n"));
}
