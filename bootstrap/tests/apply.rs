//! `apply`, `show` and `status` on trees of their own: what is printed, and the exit codes.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new(sls: &str) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        tree.write("root/etc/hostname", "box\n");
        tree.write(
            "states/top.sls",
            "base:\n  'role:web':\n    - match: grain\n    - web\n  'db*':\n    - db\n",
        );
        tree.write("states/web.sls", sls);
        tree.write("states/pillar/top.sls", "base:\n  '*':\n    - all\n");
        tree.write("states/pillar/all.sls", "name: from the tree\n");
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn root(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn boot(&self, args: &[&str]) -> Output {
        let (dir, root) = (self.dir.path(), self.root(""));
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly-boot"));
        command.args(args).arg("--root").arg(root).arg("--file-root").arg(dir.join("states"));
        command.args(["--id", "web-1", "--role", "web"]).output().unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The exit code when these streams take nothing: `>` full, `|` a reader that has gone.
fn code_with(tree: &Tree, args: &str, streams: &str) -> Option<i32> {
    let script = format!(
        "{} {args} --root {} --file-root {} --id web-1 --role web {streams}",
        env!("CARGO_BIN_EXE_mayfly-boot"),
        tree.root("").display(),
        tree.dir.path().join("states").display(),
    );
    let piped = format!("set -o pipefail; {script}");
    Command::new("bash").args(["-c", &piped]).output().unwrap().status.code()
}

#[test]
fn whoever_reads_the_report_the_exit_code_is_that_of_the_run() {
    let good = Tree::new(MOTD);
    assert_eq!(code_with(&good, "apply", "| true"), Some(0));
    assert_eq!(code_with(&good, "apply", "2>&1 | true"), Some(0));
    assert_eq!(code_with(&good, "apply", ">/dev/full 2>/dev/full"), Some(74));
    assert_eq!(code_with(&good, "show low --output json", "2>&1 | true"), Some(0));
    let bad = Tree::new("x:\n  cmd.run:\n    - name: seq 1 100000; exit 3\n");
    assert_eq!(code_with(&bad, "apply", "| head -n 1"), Some(2));
    assert_eq!(code_with(&bad, "apply", ">/dev/full 2>&1"), Some(2));
    let broken = Tree::new("x: {{ nothing }}\n");
    assert_eq!(code_with(&broken, "apply", "2>/dev/full"), Some(1));
}

/// How an apply came to its steps, from what it says of itself, with what it printed.
fn source(tree: &Tree, args: &[&str]) -> (String, String) {
    let (dir, root) = (tree.dir.path(), tree.root(""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly-boot"));
    command.args(args).arg("--root").arg(root).arg("--file-root").arg(dir.join("states"));
    let output = command
        .args(["--id", "web-1", "--role", "web"])
        .env("MAYFLY_LOG", "mayfly_boot=debug")
        .output()
        .unwrap();
    let said = err(&output);
    let words = said.split_once("source=").map_or("", |(_, rest)| rest);
    (words.split_whitespace().next().unwrap_or_default().to_owned(), out(&output))
}

#[test]
fn an_unchanged_tree_is_not_compiled_again() {
    let tree = Tree::new(MOTD);
    assert_eq!(source(&tree, &["apply", "--test"]).0, "Passing");
    assert!(!tree.root("var/cache").exists(), "a dry run writes nothing");
    assert_eq!(source(&tree, &["apply"]).0, "Fresh");
    let fresh = tree.boot(&["show", "low"]);
    assert_eq!(source(&tree, &["apply", "--test"]).0, "Kept");
    assert_eq!(source(&tree, &["apply"]).0, "Kept");
    assert!(out(&fresh).contains("file"), "{}", err(&fresh));
    tree.write("states/pillar/all.sls", "name: changed\n");
    let (from, said) = source(&tree, &["apply"]);
    assert_eq!(from, "Fresh");
    assert!(said.contains("changed"), "{said}");
    assert_eq!(source(&tree, &["apply", "web"]).0, "Fresh");
    tree.write("root/etc/os-release", "ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.20.1\n");
    assert_eq!(source(&tree, &["apply", "web"]).0, "Fresh", "a grain is another");
}

#[test]
fn a_root_that_is_not_there_is_refused() {
    let tree = Tree::new(MOTD);
    fs::remove_dir_all(tree.root("")).unwrap();
    let output = tree.boot(&["apply"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("--root") && err(&output).contains("no such folder"), "{}", err(&output));
}

const MOTD: &str = "motd:\n  file.managed:\n    - name: /etc/motd\n    - contents: {{ pillar['name'] }}, {{ grains['id'] }}\n";

#[test]
fn a_watch_rule_that_an_instance_would_refuse_is_told_and_nothing_is_done() {
    let tree = Tree::new(MOTD);
    let pillar = "name: x\nmayfly: {watch: [{path: [/etc/x], service: nginx}]}\n";
    tree.write("states/pillar/all.sls", pillar);
    for args in [&["apply"][..], &["apply", "--test"]] {
        let output = tree.boot(args);
        assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
        assert!(err(&output).contains("unknown key `path`; did you mean `paths`?"), "{}", err(&output));
        assert!(!tree.root("etc/motd").exists());
    }
}

#[test]
fn apply_changes_once_and_says_so_by_exit_code() {
    let tree = Tree::new(MOTD);
    let dry = tree.boot(&["apply", "--test"]);
    assert_eq!(dry.status.code(), Some(0), "{}{}", out(&dry), err(&dry));
    assert!(!tree.root("etc/motd").exists());
    let first = tree.boot(&["apply", "--output", "json"]);
    assert_eq!(first.status.code(), Some(0), "{}{}", out(&first), err(&first));
    let returns: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(returns["file_|-motd_|-/etc/motd_|-managed"]["result"], true);
    assert_eq!(fs::read_to_string(tree.root("etc/motd")).unwrap(), "from the tree, web-1\n");
    let second =
        tree.boot(&["apply", "web", "--output", "json", "--pillar", r#"{"name": "given"}"#, "--test"]);
    let returns: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(returns["file_|-motd_|-/etc/motd_|-managed"]["result"], serde_json::Value::Null);
    assert_eq!(tree.boot(&["apply"]).status.code(), Some(0));
}

#[test]
fn a_tree_that_does_not_compile_ends_with_1_and_a_place_and_changes_nothing() {
    let tree = Tree::new(&format!("{MOTD}  bad indent\n"));
    let output = tree.boot(&["apply"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("web.sls:5:"), "{}", err(&output));
    assert!(!tree.root("etc/motd").exists());
}

#[test]
fn a_failed_state_ends_with_2() {
    let tree = Tree::new("fails:\n  test.fail_without_changes: []\n");
    let output = tree.boot(&["apply"]);
    assert_eq!(output.status.code(), Some(2), "{}{}", out(&output), err(&output));
}

#[test]
fn a_held_lock_ends_with_7_and_names_the_holder() {
    let tree = Tree::new("slow:\n  cmd.run:\n    - name: touch BEGUN; read x < FIFO\n");
    let fifo = tree.dir.path().join("fifo");
    let begun = tree.dir.path().join("begun");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let text = fs::read_to_string(tree.dir.path().join("states/web.sls")).unwrap();
    let text = text.replace("BEGUN", begun.to_str().unwrap()).replace("FIFO", fifo.to_str().unwrap());
    tree.write("states/web.sls", &text);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| tree.boot(&["apply"]));
        wait_for(&begun);
        let second = tree.boot(&["apply"]);
        assert_eq!(second.status.code(), Some(7), "{}", err(&second));
        assert!(err(&second).contains("process ") && err(&second).contains(", since 20"), "{}", err(&second));
        fs::write(&fifo, "go\n").unwrap();
        assert_eq!(first.join().unwrap().status.code(), Some(0));
    });
}

fn wait_for(path: &Path) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "{} does not come", path.display());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn show_prints_every_stage() {
    let tree = Tree::new(MOTD);
    let show = |stage: &str| {
        let output = tree.boot(&["show", stage, "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{stage}: {}", err(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(show("top"), serde_json::json!({"base": ["web"]}));
    assert_eq!(show("pillar"), serde_json::json!({"name": "from the tree"}));
    assert_eq!(show("high")["motd"]["__sls__"], "web");
    assert_eq!(show("low")[0]["name"], "/etc/motd");
    assert_eq!(show("grains")["role"], "web");
    assert!(out(&tree.boot(&["show", "pillar"])).contains("name: from the tree\n"));
}

#[test]
fn status_says_when_nothing_answers() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly-boot"))
        .args(["status", "--listen", &closed.to_string()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(err(&output).contains("nothing answers"), "{}", err(&output));
}

#[test]
fn wrong_arguments_are_named() {
    let tree = Tree::new(MOTD);
    let output = tree.boot(&["apply", "--pillar", "[1]"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("--pillar"), "{}", err(&output));
}

#[test]
fn pending_changes_end_with_3_only_when_asked_for() {
    let tree = Tree::new(MOTD);
    let detailed = || tree.boot(&["apply", "--test", "--detailed-exitcode"]).status.code();
    assert_eq!(tree.boot(&["apply", "--test"]).status.code(), Some(0));
    assert_eq!(detailed(), Some(3));
    assert_eq!(tree.boot(&["apply"]).status.code(), Some(0));
    assert_eq!(detailed(), Some(0));
    let odd = tree.boot(&["apply", "--detailed-exitcode"]);
    assert_eq!(odd.status.code(), Some(64), "{}", err(&odd));
    tree.write("states/web.sls", "fails:\n  test.fail_without_changes: []\n");
    assert_eq!(detailed(), Some(2));
}

#[test]
fn options_of_a_file_change_the_compile_and_are_checked() {
    let tree = Tree::new(MOTD);
    tree.write("states/top.sls", "base:\n  mine:\n    - match: nodegroup\n    - web\n");
    tree.write("options.yaml", "nodegroups:\n  mine: web-*\n");
    let path = tree.dir.path().join("options.yaml");
    let path = path.to_str().unwrap();
    assert_eq!(tree.boot(&["apply", "--options", path]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(tree.root("etc/motd")).unwrap(), "from the tree, web-1\n");
    tree.write("options.yaml", "nodegruops: {}\n");
    let refused = tree.boot(&["apply", "--options", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("did you mean `nodegroups`?"), "{}", err(&refused));
}

/// A tree whose second step waits for the reader of a FIFO; its children write their process id beside it.
fn waiting() -> Tree {
    let tree = Tree::new("");
    let (fifo, begun) = (tree.dir.path().join("fifo"), tree.dir.path().join("begun"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let line = format!(
        "sh -c 'echo $$ > {b}.new; mv {b}.new {b}; read x < {f}'",
        b = begun.display(),
        f = fifo.display()
    );
    let sls = format!("{MOTD}slow:\n  cmd.run:\n    - name: {line}\nlast:\n  test.nop: []\n");
    tree.write("states/web.sls", &sls);
    tree
}

fn interrupted(signal: nix::sys::signal::Signal, output: &str) -> (Tree, Output) {
    let tree = waiting();
    let (dir, root) = (tree.dir.path(), tree.root(""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly-boot"));
    command
        .args(["apply", "web", "--output", output, "--root"])
        .arg(root)
        .arg("--file-root")
        .arg(dir.join("states"));
    command.args(["--id", "web-1"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for(&dir.join("begun"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    // Gone, or dead and not yet collected by whoever inherited it.
    let pid = fs::read_to_string(dir.join("begun")).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "a child of the command lives on: {stat}");
    (tree, output)
}

#[test]
fn an_interrupted_run_ends_its_command_and_says_what_was_not_run() {
    use nix::sys::signal::Signal;
    let (tree, output) = interrupted(Signal::SIGINT, "text");
    assert_eq!(output.status.code(), Some(130), "{}{}", out(&output), err(&output));
    let text = out(&output);
    assert!(text.contains("stopped because the run was cancelled"), "{text}");
    assert!(text.contains("stopped: the run was cancelled\nnot run: test.nop `last` (web.sls:"), "{text}");
    assert!(tree.root("etc/motd").exists(), "what was done is kept");
    let (_, output) = interrupted(Signal::SIGTERM, "json");
    assert_eq!(output.status.code(), Some(143), "{}{}", out(&output), err(&output));
    let returns: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(returns.as_object().unwrap().len(), 2);
    assert!(err(&output).contains("not run: test.nop `last`"), "{}", err(&output));
}

/// What Salt 3008.3 prints for these states below `local`: the keys of each return in its order of names, and their kinds.
#[test]
fn returns_have_the_keys_and_kinds_of_salts() {
    let sls = "ok:\n  file.managed:\n    - name: /etc/a\n    - contents: x\n\
               bad:\n  test.fail_without_changes: []\n\
               skipped:\n  test.nop:\n    - onchanges: [test: bad]\n\
               warned:\n  cmd.run:\n    - name: 'true'\n    - bogus: 1\n";
    let tree = Tree::new(sls);
    let output = tree.boot(&["apply", "web", "--output", "json"]);
    let returns: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let returns = returns.as_object().unwrap();
    let always = [
        "__id__",
        "__run_num__",
        "__sls__",
        "changes",
        "comment",
        "duration",
        "name",
        "result",
        "start_time",
    ];
    for (number, (tag, more)) in [
        ("file_|-ok_|-/etc/a_|-managed", None),
        ("test_|-bad_|-bad_|-fail_without_changes", None),
        ("test_|-skipped_|-skipped_|-nop", Some("__state_ran__")),
        ("cmd_|-warned_|-true_|-run", Some("warnings")),
    ]
    .into_iter()
    .enumerate()
    {
        let one = returns[tag].as_object().unwrap();
        let mut keys: Vec<&str> = one.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut wanted: Vec<&str> = always.into_iter().chain(more).collect();
        wanted.sort_unstable();
        assert_eq!(keys, wanted, "{tag}");
        assert_eq!(one["__run_num__"], number);
        assert!(one["changes"].is_object() && one["duration"].is_f64() && one["result"].is_boolean());
        let time = one["start_time"].as_str().unwrap();
        assert_eq!(
            time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>(),
            "00:00:00.000000"
        );
    }
    assert_eq!(returns.keys().next().unwrap(), "file_|-ok_|-/etc/a_|-managed", "in the order of the run");
}
