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

const MOTD: &str = "motd:\n  file.managed:\n    - name: /etc/motd\n    - contents: {{ pillar['name'] }}, {{ grains['id'] }}\n";

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
fn a_held_lock_ends_with_3_and_names_the_holder() {
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
        assert_eq!(second.status.code(), Some(3), "{}", err(&second));
        assert!(err(&second).contains("process "), "{}", err(&second));
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
