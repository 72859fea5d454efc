//! The schema for editors against an independent validator: what the pages show is valid, and slips are not.
#![allow(clippy::disallowed_methods, clippy::panic)]

mod support;

use mayfly_deployer::schema::schema;
use mayfly_deployer::spec::Spec;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const VALIDATE: &str = "
import json, sys, jsonschema
asked = json.load(sys.stdin)
validator = jsonschema.Draft202012Validator
validator.check_schema(asked['schema'])
print(json.dumps([validator(asked['schema']).is_valid(one) for one in asked['documents']]))
";

/// Whether each document is valid, as `jsonschema` sees it.
fn verdicts(documents: &[Value]) -> Vec<bool> {
    let mut command = Command::new(support::python());
    command.args(["-c", VALIDATE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let asked = json!({"schema": schema(), "documents": documents}).to_string();
    child.stdin.take().expect("piped").write_all(asked.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn pages() -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut specs = Vec::new();
    for page in ["README.md", "docs/spec.md"] {
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            specs.push(serde_saphyr::from_str(block).unwrap_or_else(|e| panic!("{page}: {e}\n{block}")));
        }
    }
    specs
}

/// Each document with one key, at any depth, written with a slip.
fn with_slips(document: &Value) -> Vec<Value> {
    // Below these a user's own keys stand.
    const FREE: [&str; 8] =
        ["pillar", "grains", "nodegroups", "options", "metadata", "tags", "file_roots", "pillar_roots"];
    let mut slips = Vec::new();
    let Value::Object(map) = document else { return slips };
    for (key, value) in map {
        let mut slip = map.clone();
        slip.remove(key);
        slip.insert(format!("{key}x"), value.clone());
        slips.push(Value::Object(slip));
        if FREE.contains(&key.as_str()) || key == "set" {
            continue;
        }
        let inner: Vec<Value> = match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .flat_map(|(n, item)| {
                    with_slips(item).into_iter().map(move |slip| {
                        let mut items = items.clone();
                        items[n] = slip;
                        Value::Array(items)
                    })
                })
                .collect(),
            // The names of environments are the user's own.
            Value::Object(named) if key == "environments" => named
                .iter()
                .flat_map(|(name, over)| {
                    with_slips(over).into_iter().map(|slip| {
                        let mut named = named.clone();
                        named.insert(name.clone(), slip);
                        Value::Object(named)
                    })
                })
                .collect(),
            other => with_slips(other),
        };
        slips.extend(inner.into_iter().map(|inner| {
            let mut map = map.clone();
            map.insert(key.clone(), inner);
            Value::Object(map)
        }));
    }
    slips
}

#[test]
fn what_the_pages_show_is_valid_and_every_slip_in_it_is_not() {
    let specs = pages();
    assert!(specs.len() >= 2, "{}", specs.len());
    assert!(verdicts(&specs).into_iter().all(|valid| valid), "{specs:#?}");
    let slips: Vec<Value> = specs.iter().flat_map(with_slips).collect();
    assert!(slips.len() > 60, "{}", slips.len());
    for (slip, valid) in slips.iter().zip(verdicts(&slips)) {
        assert!(!valid, "{slip}");
    }
}

#[test]
fn the_schema_and_the_reader_agree() {
    let base = json!({"service": "s", "image": "ami-1", "states": {"url": "u"}, "probe": "none"});
    let with = |key: &str, value: Value| {
        let mut document = base.clone();
        document[key] = value;
        document
    };
    let app = |id: Value| json!({"id": id, "installation": 9, "key": {"ssm": "/k"}});
    let documents = [
        (true, base.clone()),
        (true, with("count", json!(5_000))),
        (false, with("count", json!(5_001))),
        (false, with("count", json!("two"))),
        (true, with("count", Value::Null)),
        (false, with("probe", json!("maybe"))),
        (false, with("probe", json!({"path": "/"}))),
        (true, with("probe", json!({"port": 80, "interval": "2s", "timeout": 3}))),
        (false, with("supervisor", json!("initd"))),
        (true, with("image", json!({"baked": "web"}))),
        (true, with("environments", json!({"qa": null, "staging": {"probe": {"path": "/x"}}}))),
        (false, with("environments", json!({"qa": {"service": "t"}}))),
        (false, with("hooks", json!([{"before": "register", "run": "no list"}]))),
        (true, with("hooks", json!([{"before": ["register"], "run": ["x", "y"]}]))),
        (false, with("schedules", json!([{"env": "production"}]))),
        (false, with("github", json!({}))),
        (true, with("states", json!({"url": "u", "github_app": app(json!(123_456))}))),
        (true, with("states", json!({"url": "u", "github_app": app(json!("Iv1.0123abc"))}))),
        (false, with("states", json!({"url": "u", "github_app": app(json!(["Iv1.0123abc"]))}))),
        (true, with("states", json!({"url": "u", "mirrors": ["https://m/x"]}))),
        (false, with("states", json!({"url": "u", "mirrors": "https://m/x"}))),
        (false, with("states", json!({"url": "u", "token": {"file": 3}}))),
        (false, with("states", json!({"url": "u", "formulas": [{"ref": "v1"}]}))),
        (false, with("watch", json!([{"paths": ["/a"], "service": "b", "rate": 3}]))),
        (true, with("notify", json!([{"webhook": {"env": "HOOK"}, "on": ["failure"]}]))),
    ];
    let only: Vec<Value> = documents.iter().map(|(_, document)| document.clone()).collect();
    for ((wanted, document), valid) in documents.iter().zip(verdicts(&only)) {
        assert_eq!(valid, *wanted, "the schema: {document}");
        // An override of the probe alone is for a base that has one: the schema cannot see that.
        if document.pointer("/environments/staging").is_none() {
            let read = Spec::parse(&document.to_string(), "f", "production", &[]);
            assert_eq!(read.is_ok(), *wanted, "the reader: {document}: {read:?}");
        }
    }
}
