//! Tokens of repositories from SSM and Secrets Manager with the role of the instance: moto serves them, and its botocore
//! judges every signature. And repositories behind a proxy, and formulas beside the tree.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub)] // Shared with the deployer's tests: one venv with moto for all.
#[path = "../../deployer/tests/support/mod.rs"]
mod python;
mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use support::Stage;
use support::boot::{Boot, get, status, until};
use support::disk::private;
use support::git_http::GitHttp;
use support::git_repo::{GitRepo, ssh_key};

/// It ends when its standard input does.
struct Moto {
    _process: Child,
    endpoint: String,
    role: Value,
}

impl Moto {
    fn start() -> Self {
        let mut process = Command::new(python::python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/parameters.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let endpoint = told["endpoint"].as_str().unwrap().to_owned();
        Self { _process: process, endpoint, role: told["role"].clone() }
    }
}

#[test]
fn tokens_are_read_with_the_role_of_the_instance() {
    let moto = Moto::start();
    let stage = Stage::new();
    let commit = stage.repo.push("first");
    // `x-access-token:hush`
    let server = GitHttp::start(stage.dir.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46aHVzaA=="));
    let url = server.url("states.git");
    stage.imds.set_role(moto.role.to_string());
    let env = [("AWS_ENDPOINT_URL", Path::new(&moto.endpoint))];
    for kept in ["{ssm: /git/token}", "{secret: git, key: token}"] {
        stage.imds.set_user_data(support::user_data(&url, &format!("  token: {kept}\n")));
        let mut boot = Boot::start(&stage.root(), &stage.imds.url, &env);
        let address = boot.address();
        boot.ready(&commit);
        assert!(!get(address, "/status").1.contains("hush") && !boot.all().concat().contains("hush"));
        assert!(boot.stop().success());
        std::fs::remove_dir_all(stage.root().join("var/lib/mayfly")).unwrap();
    }
    // The judge does judge.
    let mut wrong = moto.role.clone();
    wrong["SecretAccessKey"] = "another".into();
    stage.imds.set_role(wrong.to_string());
    let mut boot = Boot::start(&stage.root(), &stage.imds.url, &env);
    let line = boot.line("waiting: no state tree yet: ");
    assert!(line.contains("secret git: Secrets Manager answers HTTP 403"), "{line}");
}

/// A proxy: notes whom it was asked for, and connects to that port of this machine whatever the name. What is not to be
/// passed on as it is, it notes and drops.
fn connect_proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
                let port = line.split([' ', ':']).nth(2).unwrap().to_owned();
                let passes = line.starts_with("CONNECT ");
                log.lock().unwrap().push(line);
                if !passes {
                    return;
                }
                let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
                let (mut from, mut back) = (server.try_clone().unwrap(), stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
                let _ = std::io::copy(&mut stream, &mut server);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (url, asked)
}

#[test]
fn the_proxy_of_the_environment_is_used_but_for_those_it_excepts() {
    let stage = Stage::new();
    let commit = stage.repo.push("first");
    let (authority, config) = support::tls::authority_for(stage.dir.path(), "DNS:git.example.invalid");
    let server = GitHttp::start_tls(stage.dir.path(), config);
    // Nobody has this name: only a proxy can know who is meant.
    let name = format!("git.example.invalid:{}", server.port);
    stage.imds.set_user_data(support::user_data(&format!("https://{name}/states.git"), ""));
    let (proxy, asked) = connect_proxy();
    for (except, ends) in [
        ("example.org", format!("mayfly: ready {}", &commit[..12])),
        ("git.example.invalid", format!("using the last good tree {}", &commit[..12])),
    ] {
        let env = [
            ("SSL_CERT_FILE", authority.as_path()),
            ("HTTPS_PROXY", Path::new(&proxy)),
            ("NO_PROXY", Path::new(except)),
        ];
        let mut boot = Boot::start(&stage.root(), &stage.imds.url, &env);
        boot.line(&ends);
        assert!(boot.stop().success());
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        let line = format!("CONNECT {name} HTTP/1.1");
        assert_eq!(asked.first() == Some(&line), except == "example.org", "{except}: {asked:?}");
    }
}

#[test]
fn no_proxy_of_the_environment_is_told_what_is_for_this_machine() {
    let stage = Stage::new();
    let commit = stage.repo.push("first");
    let token = stage.dir.path().join("token");
    private(&token, "hush");
    let server = GitHttp::start(stage.dir.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46aHVzaA=="));
    let (proxy, asked) = connect_proxy();
    let env = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, Path::new(&proxy)));
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/states.git", server.port);
        let extra = format!("  token_file: {}\n", token.display());
        stage.imds.set_user_data(support::user_data(&url, &extra));
        let mut boot = Boot::start(&stage.root(), &stage.imds.url, &env);
        let line = boot.line_of(&["mayfly: ready ", "waiting: ", "using the last good tree"]);
        assert!(line.contains(&format!("ready {}", &commit[..12])), "{line}");
        assert!(boot.stop().success());
    }
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
}

#[test]
fn formulas_join_the_tree_are_followed_and_told_of() {
    let stage = Stage::new();
    let formula = GitRepo::new(stage.dir.path(), "motd-formula");
    formula
        .write("salt/motd/init.sls", "motd:\n  file.managed:\n    - name: /etc/motd\n    - contents: one\n");
    let first = formula.push("first");
    stage.repo.write("top.sls", "base:\n  '*':\n    - app\n    - motd\n");
    let tree = stage.repo.push("tree");
    let url = stage.server.url("motd-formula.git");
    stage.set(&format!("  formulas:\n    - {{url: '{url}', root: salt}}\n"));
    let mut boot = stage.boot();
    let address = boot.address();
    boot.ready(&tree);
    let motd = || std::fs::read_to_string(stage.root().join("etc/motd")).unwrap_or_default();
    assert_eq!(motd(), "one\n");
    let status = || status(address);
    assert_eq!(status()["formulas"][0]["name"], "motd-formula");
    assert_eq!(status()["formulas"][0]["commit"], first.as_str());
    // A change of the formula alone is a change.
    formula
        .write("salt/motd/init.sls", "motd:\n  file.managed:\n    - name: /etc/motd\n    - contents: two\n");
    let second = formula.push("second");
    boot.ready(&tree);
    until("the new formula", || (status()["formulas"][0]["commit"] == second.as_str()).then_some(()));
    assert_eq!(motd(), "two\n");
    assert!(boot.stop().success());
    // Both are at hand when no server answers.
    stage.server.set(support::git_http::Fault::Down);
    let mut boot = stage.boot();
    boot.line(&format!("using the last good tree {}", &tree[..12]));
    boot.line("mayfly: ready ");
    assert_eq!(motd(), "two\n");
}

#[test]
fn an_unsigned_commit_is_refused_said_and_the_signed_one_stays() {
    let stage = Stage::new();
    let (key, public) = ssh_key(stage.dir.path(), "key", "ed25519");
    stage.repo.commit_signed(&key, None, "signed");
    let signed = stage.repo.publish();
    stage.set(&format!("  signed_by: ['{public}']\n"));
    let mut boot = stage.boot();
    let address = boot.address();
    boot.ready(&signed);
    stage.repo.write("pillar/app.sls", "greeting: evil\n");
    let unsigned = stage.repo.push("unsigned");
    let line = boot.line(&unsigned);
    assert!(line.contains("is not signed") && line.contains(&format!("keeping {}", &signed[..12])), "{line}");
    let status = status(address);
    assert_eq!((&status["commit"], &status["ready"]), (&signed.as_str().into(), &true.into()));
    assert!(status["remote"]["error"].as_str().unwrap().contains("is not signed"), "{status}");
    assert!(stage.conf().starts_with("hello"));
    assert!(boot.stop().success());
    // After a reboot too.
    let mut boot = stage.boot();
    boot.line(&format!("using the last good tree {}", &signed[..12]));
    boot.ready(&signed);
}

#[test]
fn going_back_is_for_the_first_remote_and_said() {
    let stage = Stage::new();
    let (key, public) = ssh_key(stage.dir.path(), "key", "ed25519");
    let sign = |time: u64, greeting: &str| {
        stage.repo.write("pillar/app.sls", &format!("greeting: {greeting}\n"));
        stage.repo.commit_signed(&key, Some(time), greeting)
    };
    let (old, new) = (sign(1_000, "hello"), sign(2_000, "hi"));
    let point = |commit: &str| {
        stage.repo.git(&["push", "-q", "-f", "origin", &format!("{commit}:refs/heads/main")]);
    };
    point(&new);
    let mirror = GitHttp::start(stage.dir.path(), None).url("states.git");
    stage.set(&format!("  signed_by: ['{public}']\n  mirrors: ['{mirror}']\n"));
    let mut boot = stage.boot();
    let address = boot.address();
    boot.ready(&new);
    stage.server.set(support::git_http::Fault::Down);
    point(&old);
    let line = boot.line("is older than");
    let kept = format!("keeping {}", &new[..12]);
    assert!(line.contains(&mirror) && line.contains(&old[..12]) && line.contains(&kept), "{line}");
    let status = || status(address);
    assert!(status()["remote"]["error"].as_str().unwrap().contains("is older than"));
    assert!(stage.conf().starts_with("hi "));
    stage.server.set(support::git_http::Fault::None);
    boot.signal("HUP");
    let note = boot.line("note: ");
    assert!(note.contains(&format!("goes back: {}", &old[..12])), "{note}");
    boot.ready(&old);
    let notes = &status()["converge"]["notes"];
    assert!(notes[0].as_str().is_some_and(|told| note.ends_with(told)), "{notes}");
    assert!(stage.conf().starts_with("hello "));
    assert!(boot.stop().success());
}
