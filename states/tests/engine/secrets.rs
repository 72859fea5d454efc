//! No secret reaches a report: a canary in every argument that can hold one, looked for in texts, returns and progress.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, json, need_root, step, value};
use mayfly_states::engine::{Observer, Options};
use mayfly_states::low::Chunk;
use mayfly_states::report::{Report, StepReport};
use mayfly_states::value::{Map, Value};

const CANARY: &str = "canary-7c41e9";
/// What crypt(3) could have made of it.
const HASH: &str = "$6$canary-7c41e9$canary-7c41e9";

/// Everything that somebody outside could be shown of a run.
#[derive(Default)]
struct Shown(String);

impl Observer for Shown {
    fn on_step_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
        self.0.push_str(&format!("{n}/{total} {}.{} {}\n", chunk.state, chunk.fun, chunk.name));
    }
    fn on_step_end(&mut self, step: &StepReport, _: usize) {
        self.0.push_str(&format!("{step:?}\n"));
    }
}

fn bench() -> Bench {
    need_root();
    let mut bench = Bench::new();
    bench.pillar = match value(
        json!({"app": {"key": CANARY, "data": {"password": CANARY}, "encoded": "Y2FuYXJ5LTdjNDFlOQ=="}}),
    ) {
        Value::Map(pillar) => pillar,
        _ => Map::new(),
    };
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:4242:4242::/home/app:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\napp:x:4242:\n");
    bench.write("/etc/shadow", "root:*:19000:0:99999:7:::\napp:!:19000:0:99999:7:::\n");
    bench.write("/etc/gshadow", "root:*::\napp:!::\n");
    bench.write("/etc/login.defs", "USERGROUPS_ENAB yes\n");
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        bench.write(&format!("/srv/{name}"), &format!("key = old-{CANARY}\n# begin\n{CANARY}-old\n# end\n"));
    }
    bench.write("/srv/commented", &format!("{CANARY}\n"));
    bench.write("/srv/ini", &format!("[main]\npassword = old-{CANARY}\n"));
    bench.tree("template", "password={{ pillar['app']['key'] }}\n");
    bench.tree("dir/file", "password={{ pillar['app']['key'] }}\n");
    bench.tree("fails.sh", "#!/bin/sh\necho $PASSWORD; echo $PASSWORD >&2; exit 3\n");
    bench
}

/// Files whose changes are not to be shown, by how that is said.
fn files() -> Vec<Chunk> {
    let quiet = |function: &str, path: &str, args: serde_json::Value| {
        let mut args = args;
        args["show_changes"] = json!(false);
        step(function, path, args)
    };
    vec![
        step("file.managed", "/srv/pillar", json!({"contents_pillar": "app:key", "new_file_diff": true})),
        step("file.managed", "/srv/a", json!({"contents_pillar": "app:key"})),
        quiet("file.managed", "/srv/b", json!({"source": "salt://template", "template": "jinja"})),
        quiet("file.managed", "/srv/new", json!({"contents": CANARY, "new_file_diff": true})),
        quiet(
            "file.recurse",
            "/srv/dir",
            json!({"source": "salt://dir", "template": "jinja", "new_file_diff": true}),
        ),
        step("file.serialize", "/srv/data", json!({"dataset_pillar": "app:data", "formatter": "json"})),
        quiet("file.serialize", "/srv/c", json!({"dataset": {"password": CANARY}, "formatter": "yaml"})),
        step("file.decode", "/srv/decoded", json!({"contents_pillar": "app:encoded"})),
        quiet("file.replace", "/srv/d", json!({"pattern": "^key.*$", "repl": format!("key = {CANARY}")})),
        quiet("file.append", "/srv/e", json!({"text": format!("more {CANARY}")})),
        quiet("file.prepend", "/srv/e", json!({"text": format!("first {CANARY}")})),
        quiet(
            "file.line",
            "/srv/f",
            json!({"mode": "replace", "match": "^key", "content": format!("key = {CANARY}")}),
        ),
        quiet(
            "file.blockreplace",
            "/srv/g",
            json!({"marker_start": "# begin", "marker_end": "# end", "content": CANARY}),
        ),
        quiet("file.keyvalue", "/srv/h", json!({"key": "key", "value": CANARY, "separator": " = "})),
        quiet("file.comment", "/srv/commented", json!({"regex": "^canary"})),
        quiet("file.uncomment", "/srv/commented", json!({"regex": "^canary"})),
    ]
}

/// Accounts and commands.
fn others() -> Vec<Chunk> {
    let env = json!({"PASSWORD": CANARY});
    vec![
        step("user.present", "app", json!({"password": HASH})),
        step("user.present", "new", json!({"password": HASH, "createhome": false})),
        step("user.present", "plain", json!({"password": CANARY})),
        step("cmd.run", "echo $PASSWORD; echo $PASSWORD >&2", json!({"env": env, "hide_output": true})),
        step("cmd.run", "echo $PASSWORD; exit 3", json!({"env": env, "hide_output": true})),
        step("cmd.run", "exit 4", json!({"env": env})),
        step("cmd.run", "echo $PASSWORD; sleep 100", json!({"env": env, "hide_output": true, "timeout": 1})),
        step("cmd.script", "salt://fails.sh", json!({"env": env, "hide_output": true})),
        step("git.cloned", &format!("https://me:{CANARY}@127.0.0.1:1/x.git"), json!({"target": "/srv/git"})),
    ]
}

/// `no_log` hides what nothing else would.
fn silenced() -> Vec<Chunk> {
    let silent = |function: &str, id: &str, args: serde_json::Value| {
        let mut args = args;
        args["no_log"] = json!(true);
        step(function, id, args)
    };
    vec![
        silent("cmd.run", "s1", json!({"name": format!("echo {CANARY}")})),
        silent("cmd.run", "s2", json!({"name": format!("echo {CANARY}; exit 3")})),
        silent("cmd.run", "s3", json!({"name": "true", "unless": format!("test -n {CANARY}")})),
        silent("cmd.run", "s4", json!({"name": "true", "check_cmd": [format!("echo {CANARY}; false")]})),
        silent("file.managed", "/srv/s5", json!({"contents": CANARY, "mode": CANARY})),
        silent("ini.options_present", "/srv/ini", json!({"sections": {"main": {"password": CANARY}}})),
        silent("cron.env_present", "PASSWORD", json!({"value": CANARY, "user": "root"})),
        silent("cron.present", "s6", json!({"name": format!("/bin/send {CANARY}"), "user": "root"})),
        silent("environ.setenv", "PASSWORD", json!({"value": CANARY})),
        silent("module.run", "s7", json!({"test.echo": [CANARY]})),
        silent(
            "host.present",
            CANARY.trim_end_matches(char::is_alphanumeric).trim_end_matches('-'),
            json!({"ip": CANARY}),
        ),
        silent("cmd.run", "s8", json!({"name": format!("echo {CANARY} beside"), "parallel": true})),
        silent("cmd.wait", "s9", json!({"name": format!("echo {CANARY} waits"), "listen": [{"cmd": "s1"}]})),
    ]
}

fn shown(bench: &Bench, steps: &[Chunk], test: bool) -> (Report, String) {
    let mut shown = Shown::default();
    let report = bench.go(steps, Options { test, ..Options::default() }, &mut shown);
    let all = format!("{}\n{}\n{:#}", shown.0, report.to_text(), report.to_salt_json());
    (report, all)
}

/// The lines of everything shown that hold the canary.
fn leaks(bench: &Bench, steps: &[Chunk]) -> Vec<String> {
    let all: String = [true, false, false].map(|test| shown(bench, steps, test).1).concat();
    all.lines().filter(|line| line.contains(CANARY)).map(|line| format!("{line:.300}")).collect()
}

#[test]
fn what_is_not_to_be_shown_is_shown_nowhere() {
    let bench = bench();
    for steps in [files(), others(), silenced()] {
        let found = leaks(&bench, &steps);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
    let file = |path: &str| bench.read(path).contains(CANARY);
    assert!(
        ["/srv/pillar", "/srv/dir/file", "/srv/data", "/srv/h", "/etc/shadow"].iter().all(|path| file(path))
    );
}

#[test]
fn the_canary_is_found_where_nothing_hides_it() {
    let bench = bench();
    let open = [
        step("file.managed", "/srv/open", json!({"contents": CANARY, "new_file_diff": true})),
        step("cmd.run", "echo $PASSWORD", json!({"env": {"PASSWORD": CANARY}})),
    ];
    assert!(leaks(&bench, &open).len() > 3, "the test would not see a leak");
}

#[test]
fn steps_with_hidden_names_are_told_apart() {
    let bench = bench();
    let silent = |line: &str| step("cmd.run", "id", json!({"name": line, "no_log": true}));
    let report = bench.run(&[silent("echo one"), silent("echo two")]);
    let returns = report.to_salt_json();
    assert_eq!(returns.as_object().unwrap().len(), 2, "{returns}");
    assert!(report.steps.iter().all(|s| s.name == "<hidden>"));
}
