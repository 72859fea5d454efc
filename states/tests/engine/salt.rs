//! What the real Salt makes of the same cases (`states/tests/returns`, answers by `salt_returns.py`): results, the keys of
//! `changes` and the tree afterwards, in test mode, at the first and at the second run.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::bench::{Bench, need_root, step, value};
use crate::web::Page;
use mayfly_states::report::{Outcome, Report, StepReport};
use mayfly_states::value::Value;
use serde_json::{Map, Value as Json, json};

/// Lay what a case begins with.
fn lay(files: &Json, root: &Path) {
    for (path, what) in files.as_object().into_iter().flatten() {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = |key: &str| what.get(key).and_then(Json::as_str);
        if let Some(target) = text("link") {
            symlink(target.replace("ROOT", root.to_str().unwrap()), &path).unwrap();
            continue;
        }
        let directory = what.get("directory").is_some();
        if directory {
            std::fs::create_dir_all(&path).unwrap();
        } else if what.get("fifo").is_some() {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        } else {
            let content = text("hex").map(|hex| hex::decode(hex).unwrap());
            let plain =
                what.as_str().or(text("content")).unwrap_or_default().replace("ROOT", root.to_str().unwrap());
            std::fs::write(&path, content.unwrap_or(plain.into_bytes())).unwrap();
        }
        let mode = text("mode").unwrap_or(if directory { "0755" } else { "0644" });
        let mode = u32::from_str_radix(mode, 8).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        dress(&path, what);
    }
}

fn dress(path: &Path, what: &Json) {
    if let Some(owner) = what.get("owner").and_then(Json::as_array) {
        let id = |i: usize| u32::try_from(owner[i].as_u64().unwrap()).unwrap();
        std::os::unix::fs::chown(path, Some(id(0)), Some(id(1))).unwrap();
    }
    if let Some(seconds) = what.get("mtime").and_then(Json::as_u64) {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let times = std::fs::FileTimes::new().set_accessed(time).set_modified(time);
        std::fs::File::open(path).unwrap().set_times(times).unwrap();
    }
}

/// What is below the directory, as `salt_returns.py` writes it.
fn seen(root: &Path, times: bool) -> Json {
    let mut found = Map::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        let owner = json!([meta.uid(), meta.gid()]);
        let mode = format!("{:04o}", meta.mode() & 0o7777);
        let mut one = match meta.file_type() {
            t if t.is_symlink() => {
                let target = std::fs::read_link(entry.path()).unwrap();
                let target = target.to_str().unwrap().replace(root.to_str().unwrap(), "ROOT");
                json!({"link": target, "owner": owner})
            }
            t if t.is_dir() => json!({"directory": true, "mode": mode, "owner": owner}),
            t if t.is_file() => match String::from_utf8(std::fs::read(entry.path()).unwrap()) {
                Ok(content) => json!({"content": content, "mode": mode, "owner": owner}),
                Err(bytes) => json!({"hex": hex::encode(bytes.as_bytes()), "mode": mode, "owner": owner}),
            },
            _ => json!({"special": true, "mode": mode, "owner": owner}),
        };
        if times && meta.is_file() {
            one["mtime"] = meta.mtime().into();
        }
        found.insert(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned(), one);
    }
    Json::Object(found)
}

/// Each step's result and the keys of its changes.
fn returned(report: &Report, root: &str) -> Json {
    let one = |step: &StepReport| {
        let result = match step.outcome {
            Outcome::Ok => json!(true),
            Outcome::Failed => json!(false),
            Outcome::WouldChange => Json::Null,
        };
        let mut keys: Vec<String> = step.changes.keys().map(|key| key.replace(root, "ROOT")).collect();
        keys.sort();
        json!({"result": result, "changes": keys})
    };
    report.steps.iter().map(one).collect()
}

/// Our answers to one case, as `salt_returns.py` writes Salt's.
fn ours(case: &Json) -> (Json, Json, Vec<String>) {
    let mut bench = Bench::on_this_machine();
    let root = bench.scratch("root");
    std::fs::create_dir(&root).unwrap();
    lay(&case["files"], &root);
    lay(&case["tree"], &bench.scratch("tree"));
    // What is kept of servers is kept by this machine: no case may see that of another.
    let web = format!("http://{}", root.to_str().unwrap().replace('/', "-"));
    for (path, page) in case["web"].as_object().into_iter().flatten() {
        let body = page.as_str().or(page["body"].as_str()).unwrap_or_default();
        let status = page["status"].as_u64().unwrap_or(200).try_into().unwrap();
        let etag = page["etag"].as_str().map(str::to_owned);
        bench.web.page(&format!("{web}/{path}"), Page { status, body: body.into(), etag });
    }
    let at = root.to_str().unwrap().to_owned();
    let placed = |json: &Json| {
        let text = json.to_string().replace("ROOT", &at).replace("http://WEB", &web);
        serde_json::from_str::<Json>(&text).unwrap()
    };
    if let Value::Map(pillar) = value(placed(&case["pillar"])) {
        bench.pillar = pillar;
    }
    let steps: Vec<_> = placed(&case["steps"]).as_array().unwrap().iter().map(one_step).collect();
    let times = case["times"] == true;
    let (before, mut said) = (seen(&root, times), Vec::new());
    let mut answers = json!({});
    for (name, test) in [("test", true), ("first", false), ("second", false)] {
        let report = if test { bench.test(&steps) } else { bench.run(&steps) };
        said.extend(report.steps.iter().map(|step| format!("{name}: {} {:?}", step.comment, step.warnings)));
        answers[name] = returned(&report, &at);
        let tree = seen(&root, times);
        match name {
            "test" => assert_eq!(tree, before, "{} changed something in test mode", case["case"]),
            "first" => answers["tree"] = tree,
            _ if tree != answers["tree"] => answers["tree after second"] = tree,
            _ => {}
        }
    }
    let forget = |path: &String| step("file.not_cached", &format!("{web}/{path}"), json!({}));
    bench.run(&case["web"].as_object().into_iter().flat_map(Map::keys).map(forget).collect::<Vec<_>>());
    (answers, before, said)
}

fn one_step(one: &Json) -> mayfly_states::low::Chunk {
    let mut args = one["args"].clone();
    args["name"] = one["name"].clone();
    step(one["do"].as_str().unwrap(), one["id"].as_str().unwrap(), args)
}

/// Salt's answers with those parts replaced that differ on purpose (`ours` in the case, with the reason in `why`):
/// `refused` is a failure that changes nothing.
fn expected(case: &Json, before: &Json) -> Json {
    let mut expected = case["salt"].clone();
    if case["ours"] == "refused" {
        let failed = json!([{"result": false, "changes": []}]);
        return json!({"test": failed, "first": failed, "second": failed, "tree": before});
    }
    for (part, answer) in case["ours"].as_object().into_iter().flatten() {
        match answer {
            Json::String(_) => drop(expected.as_object_mut().unwrap().remove(part)),
            _ => expected[part] = answer.clone(),
        }
    }
    expected
}

/// Whether a step's rehearsal says what the run then did.
fn foretold(test: &Json, run: &Json) -> bool {
    let changed = run["changes"].as_array().is_some_and(|keys| !keys.is_empty());
    match test["result"].as_bool() {
        None => run["result"] == true && changed,
        Some(result) => run["result"] == result && !changed,
    }
}

/// Where Salt's rehearsal says what its run does, ours says the same (and which keys, where Salt tells any); where it does
/// not, ours foretells our own run.
fn rehearsals_agree(ours: &Json, salt: &Json) -> bool {
    let step = |of: &Json, round: &str, i: usize| of[round][i].clone();
    (0..salt["test"].as_array().map_or(0, Vec::len)).all(|i| {
        let (test, wanted) = (step(ours, "test", i), step(salt, "test", i));
        let silent = wanted["changes"] == json!([]);
        match foretold(&wanted, &step(salt, "first", i)) {
            true => test["result"] == wanted["result"] && (silent || test["changes"] == wanted["changes"]),
            false => test == wanted || foretold(&test, &step(ours, "first", i)),
        }
    })
}

fn compare(cases: &str, least: usize) {
    need_root();
    let cases: Vec<Json> = serde_json::from_str(cases).unwrap();
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (ours, before, said) = ours(case);
        let expected = expected(case, &before);
        assert_eq!(
            case.get("ours").is_some(),
            case.get("why").is_some(),
            "{}: `ours` needs `why`",
            case["case"]
        );
        if case.get("ours").is_some() && ours == case["salt"] {
            wrong.push(format!("{}: does not differ from Salt any more", case["case"]));
        }
        for part in ["test", "first", "second", "tree", "tree after second"] {
            let agree = match part {
                "test" => rehearsals_agree(&ours, &expected),
                part => ours.get(part) == expected.get(part),
            };
            if !agree {
                let (ours, salt) = (&ours[part], &expected[part]);
                wrong.push(format!(
                    "{} | {part}\n  ours {ours}\n  salt {salt}\n  {}",
                    case["case"],
                    said.join("\n  ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! returns {
    ($($name:ident $least:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            compare(include_str!(concat!("../returns/", stringify!($name), ".json")), $least);
        })*
    };
}

returns!(
    append 30, block 25, comment 30, keyvalue 25, line 40, managed 16, replace 28, presence 25,
    relocate 30, copy 30, serialize 25, recurse 25, patch 16, directory 35, remote 25, mknod 11, tidied 16,
);
