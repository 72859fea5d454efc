//! Two figures of `mayfly-boot run` for `docs/benchmarks.md`: how long from its start until it asks for user-data, and what
//! memory it takes once it has converged and watches a hundred files.
//!
//! `cargo run --release -p mayfly-tests --example resident [PROGRAM]`
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::program;
use mayfly_tests::repo::Repo;
use mayfly_tests::wait;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const STARTS: usize = 50;
const FILES: usize = 100;
const STATUS: &str = "127.0.0.1:9373";

fn main() {
    let boot = std::env::args().nth(1).map_or_else(|| program("mayfly-boot"), PathBuf::from);
    println!("| figure | median | worst | runs |\n|---|---|---|---|");
    starts(&boot);
    idle(&boot);
}

/// From `exec` to the request for user-data, behind those for the token and the identity; beside it a program that ends
/// at once.
fn starts(boot: &Path) {
    let (url, asked) = metadata(String::new());
    let (mut cold, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let root = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = run(boot, root.path(), &url);
        cold.push(asked.recv_timeout(Duration::from_secs(10)).unwrap().duration_since(begun));
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Instant::now();
        Command::new("/bin/true").status().unwrap();
        floor.push(begun.elapsed());
    }
    row("start to user-data asked for", &cold);
    row("the same machine's `/bin/true`", &floor);
}

/// After a converge of a hundred files, all watched by a service, at rest.
fn idle(boot: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repo::empty(folder.path(), &folder.path().join("work"));
    tree(&repo);
    let url = format!("file://{}/states.git", folder.path().display());
    let user_data = format!(
        "#mayfly\nrole: web\nlisten: {STATUS}\nsupervisor: builtin\nschedule: never\nstates:\n  url: {url}\n"
    );
    let (imds, _asked) = metadata(user_data);
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut child = run(boot, &root, &imds);
    wait::until("a converged instance", Duration::from_secs(60), || {
        match wait::get(&format!("http://{STATUS}/ready")) {
            Ok((200, _)) => Ok(()),
            other => Err(other),
        }
    });
    // At rest is what it is some seconds later, for allocators give back by the clock.
    std::thread::sleep(Duration::from_secs(12));
    for (what, field) in [("resident", "Rss:"), ("its own part", "Pss:"), ("of that anonymous", "Pss_Anon:")] {
        let kilobytes = smaps(child.id(), field).unwrap_or_default();
        println!("| memory, {FILES} files watched, {what} | {:.1} MB | | 1 |", kilobytes / 1e3);
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    child.wait().unwrap();
}

fn tree(repo: &Repo) {
    let mut sls = String::from("app:\n  service.running:\n    - watch:\n");
    (0..FILES).for_each(|n| sls.push_str(&format!("      - file: /etc/app/{n}.conf\n")));
    sls.push_str("    - require:\n      - file: /etc/systemd/system/app.service\n");
    sls.push_str("/etc/systemd/system/app.service:\n  file.managed:\n    - makedirs: True\n");
    sls.push_str("    - contents: \"[Service]\\nExecStart=/bin/sleep 100000\\n\"\n");
    for n in 0..FILES {
        sls.push_str(&format!(
            "/etc/app/{n}.conf:\n  file.managed:\n    - makedirs: True\n    - contents: v{n}\n"
        ));
    }
    repo.write("top.sls", "base:\n  '*':\n    - app\n");
    repo.write("app.sls", &sls);
    repo.push("a hundred files");
}

fn run(boot: &Path, root: &Path, imds: &str) -> Child {
    let mut command = Command::new(boot);
    command.args(["run", "--imds", imds, "--root"]).arg(root);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A metadata service; when it was asked for user-data.
fn metadata(user_data: String) -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (user_data, sender) = (user_data.clone(), sender.clone());
            std::thread::spawn(move || answer(stream, &user_data, &sender));
        }
    });
    (url, receiver)
}

fn answer(stream: TcpStream, user_data: &str, asked: &Sender<Instant>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let body = match first.split(' ').nth(1).unwrap_or_default() {
            "/latest/api/token" => "t0ken",
            "/latest/meta-data/instance-id" => "i-0123456789abcdef0",
            "/latest/user-data" => {
                let _ = asked.send(Instant::now());
                user_data
            }
            _ => "",
        };
        let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn smaps(pid: u32, field: &str) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    rollup.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

fn row(what: &str, times: &[Duration]) {
    let mut millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    let (middle, worst) = (millis[millis.len() / 2], millis[millis.len() - 1]);
    println!("| {what} | {middle:.1} ms | {worst:.1} ms | {} |", millis.len());
}
