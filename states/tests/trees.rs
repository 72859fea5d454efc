//! The corpus: every tree below `tests/trees`, compared with what the real Salt compiled from it.
// Effects: reads the corpus. A test stops where it finds something else than it expects.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mayfly_states::compile;
use mayfly_states::execution::MachineFunctions;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::minion::Minion;
use mayfly_states::session::{AnyState, Session};
use mayfly_states::tree::Tree;
use mayfly_states::value::{Map, Value};
use serde_json::json;

/// Keys that are not compared: counts of Salt's own, and marks that its engine leaves for itself.
const IGNORED: &[&str] = &["order", "__env__", "__prereq__", "__prerequiring__", "listen"];

fn trees() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trees");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int)
        }
        serde_json::Value::String(s) => Value::Str(s.clone()),
        serde_json::Value::Array(a) => Value::List(a.iter().map(value).collect()),
        serde_json::Value::Object(o) => Value::Map(o.iter().map(|(k, v)| (k.clone(), value(v))).collect()),
    }
}

fn json_file(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn compiled(tree: &Path) -> Result<Vec<serde_json::Value>, String> {
    let minion = json_file(&tree.join("minion.json"));
    let Value::Map(grains) = value(&minion["grains"]) else { panic!("grains") };
    let minion = Minion {
        id: minion["id"].as_str().unwrap().into(),
        grains,
        pillar: Map::new(),
        saltenv: "base".into(),
    };
    let roots = Tree::base(tree.join("states"), Some(tree.join("pillar")));
    let functions = MachineFunctions::new(Arc::new(Machine::new(Arc::new(NoServices))));
    let session = Session { tree: &roots, minion: &minion, functions: &functions, states: &AnyState };
    let low = compile::highstate(&session).map_err(|e| e.to_string())?;
    Ok(low.chunks.iter().map(|c| serde_json::to_value(c.to_value()).unwrap()).collect())
}

fn comparable(chunks: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let mut all: Vec<serde_json::Value> = Vec::new();
    for chunk in chunks.iter().rev() {
        let mut chunk = chunk.as_object().unwrap().clone();
        chunk.retain(|k, _| !IGNORED.contains(&k.as_str()));
        chunk.sort_keys();
        let chunk = serde_json::Value::Object(chunk);
        // Salt lists the target of a `prereq` twice; the second one is the run.
        if !all.contains(&chunk) {
            all.push(chunk);
        }
    }
    all.reverse();
    all
}

#[test]
fn every_tree_compiles_to_what_salt_compiles() {
    let mut failures = Vec::new();
    for tree in trees() {
        let name = tree.file_name().unwrap().to_string_lossy().into_owned();
        let salt = json_file(&tree.join("salt.json"));
        let ours = compiled(&tree);
        match (salt["low"].as_array(), ours) {
            (Some(low), Ok(ours)) => {
                failures.extend(differences(&name, &comparable(low), &comparable(&ours)))
            }
            (Some(_), Err(error)) => failures.push(format!("{name}: Salt compiles it, we say:\n{error}")),
            (None, Ok(_)) => failures.push(format!("{name}: Salt refuses it, we compile it")),
            (None, Err(error)) => failures.extend(error_differences(&tree, &name, &error)),
        }
    }
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// A tree that is refused says in `error.txt` which words our error has, one a line.
fn error_differences(tree: &Path, name: &str, error: &str) -> Vec<String> {
    let wanted = std::fs::read_to_string(tree.join("error.txt")).unwrap_or_default();
    let missing = wanted.lines().filter(|w| !error.contains(*w));
    missing.map(|w| format!("{name}: the error lacks {w:?}:\n{error}")).collect()
}

fn differences(name: &str, salt: &[serde_json::Value], ours: &[serde_json::Value]) -> Vec<String> {
    let ids = |all: &[serde_json::Value]| -> Vec<String> {
        all.iter().map(|c| format!("{}.{} {} {}", c["state"], c["fun"], c["__id__"], c["name"])).collect()
    };
    let (theirs, own) = (ids(salt), ids(ours));
    if theirs != own {
        return vec![format!(
            "{name}: order\n  salt: {}\n  ours: {}",
            theirs.join("\n        "),
            own.join("\n        ")
        )];
    }
    let mut failures = Vec::new();
    for ((salt, ours), id) in salt.iter().zip(ours).zip(theirs) {
        let (salt, ours) = (salt.as_object().unwrap(), ours.as_object().unwrap());
        for key in salt.keys().chain(ours.keys().filter(|k| !salt.contains_key(*k))) {
            let (a, b) = (salt.get(key), ours.get(key));
            if a != b {
                failures.push(format!("{name}: {id} {key}\n  salt: {}\n  ours: {}", json!(a), json!(b)));
            }
        }
    }
    failures
}
