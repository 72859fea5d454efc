//! Random trees of `test.*` states, beside how the real Salt ran them (`states/tests/requisites`).

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;

use mayfly_states::compile;
use mayfly_states::engine::{self, Context, Options, Seen, Silent};
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::minion::Minion;
use mayfly_states::modules::Registry;
use mayfly_states::report::{Outcome, Report, StepReport};
use mayfly_states::session::{NoFunctions, Session};
use mayfly_states::tree::Tree;

use crate::bench::json;

/// What a step that did not run says, by how its comment begins.
const REASONS: [(&str, &str); 9] = [
    ("Not run, because nothing in its onfail", "onfail"),
    ("Not run, because nothing in its onchanges", "onchanges"),
    ("Not run, because nothing in its prereq", "prereq"),
    ("Not run, because what it requires has failed", "requisite"),
    ("Not run, because its onlyif", "condition"),
    ("Not run, because its unless", "condition"),
    ("The requisites go round", "circle"),
    ("Requisites that name no state", "missing"),
    ("Not run", "?"),
];

/// One step as the answers have them.
fn kept(step: &StepReport) -> serde_json::Value {
    let result = match step.outcome {
        Outcome::Ok => json!(true),
        Outcome::Failed => json!(false),
        Outcome::WouldChange => json!(null),
    };
    let why = REASONS.iter().find(|(words, _)| step.comment.starts_with(words)).map(|(_, why)| *why);
    let fun = step.tag.rsplit("_|-").next().unwrap();
    let (changed, ran) = (!step.changes.is_empty(), step.ran);
    json!({"id": step.id, "fun": fun, "result": result, "changed": changed, "ran": ran, "why": why})
}

/// Compile and run one SLS; `None` when it does not compile.
fn run(sls: &str, test: bool) -> Option<Report> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("case.sls"), sls).unwrap();
    let tree = Tree::base(dir.path(), None);
    let minion = Minion { id: "m1".into(), ..Minion::default() };
    let session = Session { tree: &tree, minion: &minion, functions: &NoFunctions, states: &Registry };
    let low = compile::sls(&session, &["case".to_owned()]).ok()?;
    let machine = Machine::new(Arc::new(NoServices)).with_root(dir.path());
    let seen = Seen { tree: &tree, minion: &minion, pillar: &low.pillar, functions: &NoFunctions };
    Some(engine::with_jinja(seen, |render| {
        let context = Context { tree: &tree, minion: &minion, host: &machine, render };
        engine::run(&low, &context, Options { test, ..Options::default() }, &mut Silent)
    }))
}

fn lines(answer: &serde_json::Value) -> String {
    answer
        .as_array()
        .map_or(format!("{answer}\n"), |steps| steps.iter().map(|s| format!("  {s}\n")).collect())
}

/// What is compared of an answer: the steps that ran in their order, and then the others, which Salt lists as soon as it
/// knows. Nothing that a rehearsal tells is done yet, whatever `test.mod_watch` says.
fn canonical(answer: &serde_json::Value, mode: &str) -> Vec<serde_json::Value> {
    let mut steps = answer.as_array().unwrap().clone();
    for step in steps.iter_mut().filter(|step| mode == "test" && step["changed"] == json!(true)) {
        step["result"] = json!(null);
    }
    let (ran, mut others): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step["ran"] == json!(true));
    others.sort_by_key(ToString::to_string);
    [ran, others].concat()
}

/// How one run of a case differs from Salt's.
fn difference(case: &serde_json::Value, mode: &str) -> Option<String> {
    let (sls, salt) = (case["sls"].as_str().unwrap(), &case[mode]);
    if salt.is_null() {
        return None;
    }
    let ours =
        run(sls, mode == "test").map(|report| json!(report.steps.iter().map(kept).collect::<Vec<_>>()));
    let same = match &ours {
        None => salt.is_object(),
        Some(steps) => salt.is_array() && canonical(steps, mode) == canonical(salt, mode),
    };
    let told = ours.map_or_else(|| "refused\n".to_owned(), |steps| lines(&steps));
    (!same).then(|| format!("{mode}:\n{sls}ours:\n{told}Salt's:\n{}", lines(salt)))
}

#[test]
fn requisites_mean_what_they_mean_to_salt() {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../requisites/salt.json")).unwrap();
    let mut found = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let all: Vec<String> = ["run", "test"].iter().filter_map(|mode| difference(case, mode)).collect();
        let wanted = case["differs"].is_string();
        if wanted == all.is_empty() {
            found.extend(all.into_iter().map(|text| format!("case {number}: {text}")));
            if wanted {
                found.push(format!("case {number} does not differ any more"));
            }
        }
    }
    assert!(found.is_empty(), "{} differ\n{}", found.len(), found.join("\n"));
}
