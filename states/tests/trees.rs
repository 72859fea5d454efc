//! The corpus: every tree below `tests/trees`, compared with what the real Salt compiled from it.
// Effects: reads the corpus. A test stops where it finds something else than it expects.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use mayfly_states::execution::MachineFunctions;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::low::LowState;
use mayfly_states::minion::Minion;
use mayfly_states::options::Options;
use mayfly_states::session::{AnyState, Session};
use mayfly_states::tree::{Roots, Tree};
use mayfly_states::value::{Map, Value};
use mayfly_states::{compile, pillar, top};
use serde_json::json;

/// Keys that are not compared: the counts, of which only the order that they lead to matters.
const IGNORED: &[&str] = &["order"];

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

/// What templates ask of this machine.
fn machine() -> MachineFunctions {
    MachineFunctions::new(Arc::new(Machine::new(Arc::new(NoServices))))
}

/// What the test compares, as JSON: the low state, and the top matches and pillar where Salt's are stored.
fn compiled(tree: &Path, salt: &serde_json::Value) -> Result<serde_json::Value, String> {
    let told = json_file(&tree.join("minion.json"));
    let roots = roots(tree, &told);
    let minion = minion(&told);
    let functions = machine();
    let session = Session { tree: &roots, minion: &minion, functions: &functions, states: &AnyState };
    let low = match told["sls"].as_array() {
        Some(names) => compile::sls(&session, &names.iter().map(|n| text(n).to_owned()).collect::<Vec<_>>()),
        None => compile::highstate(&session),
    };
    let low = low.map_err(|e| e.to_string())?;
    let mut found = json!({ "low": listed(&low) });
    if salt.get("pillar").is_some() {
        found["pillar"] = json!(pillar::pillar(&session).map_err(|e| e.to_string())?);
    }
    if salt.get("top").is_some() {
        let top = top::top(&session).map_err(|e| e.to_string())?;
        found["top"] = json!(top.into_iter().collect::<IndexMap<_, _>>());
    }
    Ok(found)
}

fn text(json: &serde_json::Value) -> &str {
    json.as_str().unwrap_or_default()
}

fn map(json: &serde_json::Value) -> Map {
    match value(json) {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

fn minion(told: &serde_json::Value) -> Minion {
    Minion {
        id: text(&told["id"]).into(),
        grains: map(&told["grains"]),
        pillar: map(&told["pillar"]),
        saltenv: text(&told["saltenv"]).into(),
        options: Options::from_map(&map(&told["options"])).unwrap(),
    }
}

/// The roots that `minion.json` names, or `states` and `pillar` as `base`.
fn roots(tree: &Path, told: &serde_json::Value) -> Tree {
    let named = |key: &str, folder: &str| -> Roots {
        let paths =
            |all: &serde_json::Value| all.as_array().unwrap().iter().map(|p| tree.join(text(p))).collect();
        match told[key].as_object() {
            Some(envs) => envs.iter().map(|(env, all)| (env.clone(), paths(all))).collect(),
            None => Roots::from([("base".to_owned(), vec![tree.join(folder)])]),
        }
    };
    Tree { file_roots: named("file_roots", "states"), pillar_roots: named("pillar_roots", "pillar") }
}

fn comparable(chunks: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let kept = |chunk: &serde_json::Value| {
        let mut chunk = chunk.as_object().unwrap().clone();
        chunk.retain(|k, _| !IGNORED.contains(&k.as_str()));
        chunk.sort_keys();
        serde_json::Value::Object(chunk)
    };
    chunks.iter().map(kept).collect()
}

#[test]
fn every_tree_compiles_to_what_salt_compiles() {
    let mut failures = Vec::new();
    for tree in trees() {
        let name = tree.file_name().unwrap().to_string_lossy().into_owned();
        let salt = json_file(&tree.join("salt.json"));
        if let Some(answers) = salt["each"].as_object() {
            failures.extend(answers.iter().flat_map(|(sls, answer)| one_differs(&tree, &name, sls, answer)));
            continue;
        }
        match (salt["low"].as_array(), compiled(&tree, &salt)) {
            (Some(low), Ok(ours)) => {
                let own = comparable(ours["low"].as_array().unwrap());
                failures.extend(differences(&name, &comparable(low), &own));
                failures.extend(
                    ["top", "pillar"].iter().filter_map(|stage| stage_differs(&name, stage, &salt, &ours)),
                );
            }
            (Some(_), Err(error)) => failures.push(format!("{name}: Salt compiles it, we say:\n{error}")),
            (None, Ok(_)) => failures.push(format!("{name}: Salt refuses it, we compile it")),
            (None, Err(error)) => failures.extend(error_differences(&tree, &name, &error)),
        }
    }
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// An SLS that is asked on its own; one that is refused says in comments on its first lines which words our error has.
fn one_differs(tree: &Path, name: &str, sls: &str, salt: &serde_json::Value) -> Vec<String> {
    let name = format!("{name}/{sls}");
    let told = json_file(&tree.join("minion.json"));
    let (roots, minion) = (roots(tree, &told), minion(&told));
    let functions = machine();
    let session = Session { tree: &roots, minion: &minion, functions: &functions, states: &AnyState };
    match (salt.as_array(), compile::sls(&session, &[sls.to_owned()])) {
        (Some(low), Ok(ours)) => differences(&name, &comparable(low), &comparable(&listed(&ours))),
        (Some(_), Err(error)) => vec![format!("{name}: Salt compiles it, we say:\n{error}")],
        (None, Ok(_)) => vec![format!("{name}: Salt refuses it, we compile it")],
        (None, Err(error)) => {
            let text = std::fs::read_to_string(tree.join("states").join(format!("{sls}.sls"))).unwrap();
            let words: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("# refused: ")).collect();
            let error = error.to_string();
            let missing = words.iter().filter(|w| !error.contains(**w));
            let mut all: Vec<String> =
                missing.map(|w| format!("{name}: the error lacks {w:?}:\n{error}")).collect();
            all.extend(words.is_empty().then(|| format!("{name}: says not which error it wants:\n{error}")));
            all
        }
    }
}

/// The chunks as Salt lists them.
fn listed(low: &LowState) -> Vec<serde_json::Value> {
    low.listing.iter().map(|i| json!(low.chunks[*i].to_value())).collect()
}

/// A tree that is refused says in `error.txt` which words our error has, one a line.
fn error_differences(tree: &Path, name: &str, error: &str) -> Vec<String> {
    let wanted = std::fs::read_to_string(tree.join("error.txt")).unwrap_or_default();
    let missing = wanted.lines().filter(|w| !error.contains(*w));
    missing.map(|w| format!("{name}: the error lacks {w:?}:\n{error}")).collect()
}

/// The order of keys counts: templates walk over pillar, and the environments of the top file are run in turn.
fn stage_differs(
    name: &str,
    stage: &str,
    salt: &serde_json::Value,
    ours: &serde_json::Value,
) -> Option<String> {
    let (salt, ours) = (salt.get(stage)?.to_string(), ours[stage].to_string());
    (salt != ours).then(|| format!("{name}: {stage}\n  salt: {salt}\n  ours: {ours}"))
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
