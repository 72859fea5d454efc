//! The life of a sandbox: one per state directory, several side by side, nothing left however it ends.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mayfly_sandbox::{Handle, SandboxConfig, SandboxError};
use support::{http_server, processes_with, program, sandbox, until};

fn mounts_with(text: &str) -> usize {
    std::fs::read_to_string("/proc/self/mounts").unwrap().lines().filter(|line| line.contains(text)).count()
}

/// Network namespaces that any process of this host is in, by inode.
fn namespaces_of(pids: &[u32]) -> Vec<String> {
    let links = pids.iter().filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok());
    links.map(|link| link.display().to_string()).collect()
}

/// Whether any process at all is in one of `spaces`.
fn inhabited(spaces: &[String]) -> bool {
    let own = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let all: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    namespaces_of(&all).iter().any(|space| *space != own && spaces.contains(space))
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_daemon_leaves_nothing_and_the_next_one_starts() {
    let sandbox = sandbox().await;
    let dir = sandbox.handle.state_dir().display().to_string();
    for _ in 0..3 {
        let instance = sandbox.run(&http_server("x"), &[]).await;
        sandbox.wait_console(&instance.id, "server starts").await;
    }
    // The daemon, and a guardian and an init for each instance.
    let before = processes_with(&dir);
    assert_eq!(before.len(), 7, "{before:?}");
    let spaces = namespaces_of(&before);
    assert!(inhabited(&spaces));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(sandbox.handle.info().pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    until("every process is gone", || processes_with(&dir).is_empty() && !inhabited(&spaces)).await;
    assert_eq!(mounts_with(&dir), 0);
    let interfaces = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let ours = |name: &str| name.starts_with("mayfly") || name.starts_with("i0-");
    assert!(!interfaces.into_iter().any(|entry| entry.file_name().to_str().is_some_and(ours)));

    assert!(matches!(Handle::connect(Path::new(&dir)), Err(SandboxError::NotRunning(_))));
    let config =
        SandboxConfig { program: Some(program()), die_with_starter: true, ..SandboxConfig::private(&dir) };
    let again = mayfly_sandbox::up(&config).await.unwrap();
    assert!(again.status().await.unwrap().instances.is_empty());
    assert_eq!(std::fs::read_dir(Path::new(&dir).join("instances")).unwrap().count(), 0);
    again.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn down_and_sigterm_remove_everything() {
    for by_signal in [false, true] {
        let sandbox = sandbox().await;
        let dir = sandbox.handle.state_dir().to_path_buf();
        let instance = sandbox.run(&http_server("x"), &[]).await;
        sandbox.wait_console(&instance.id, "server starts").await;
        if by_signal {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(sandbox.handle.info().pid).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        } else {
            sandbox.handle.down().await.unwrap();
        }
        let name = dir.display().to_string();
        until("every process is gone", || processes_with(&name).is_empty()).await;
        for gone in ["instances", "layers", "base", "daemon.json"] {
            assert!(!dir.join(gone).exists(), "{gone} is left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_ends_with_the_handle_that_started_it_for_itself() {
    let sandbox = sandbox().await;
    let dir = sandbox.handle.state_dir().display().to_string();
    assert!(!processes_with(&dir).is_empty());
    let support::Sandbox { handle, dir: _kept } = sandbox;
    drop(handle);
    until("every process is gone", || processes_with(&dir).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sandbox_in_the_same_place_is_refused_and_says_who_runs() {
    let sandbox = sandbox().await;
    let dir = sandbox.handle.state_dir();
    let output =
        Command::new(program()).args(["up", "--listen", "127.0.0.1:0", "--state-dir"]).arg(dir).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("already runs") && error.contains(&sandbox.handle.info().pid.to_string()),
        "{error}"
    );
    let found = Handle::connect(dir).unwrap();
    assert_eq!(found.info(), sandbox.handle.info());
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sandboxes_run_side_by_side() {
    let (one, two) = (sandbox().await, sandbox().await);
    let (first, second) = (one.run(&http_server("one"), &[]).await, two.run(&http_server("two"), &[]).await);
    assert_ne!(first.public, second.public);
    for (instance, body) in [(&first, "one"), (&second, "two")] {
        until("its own server answers", || {
            support::get(&instance.public, 8080, "/").is_ok_and(|(_, text)| text == body)
        })
        .await;
    }
    one.handle.down().await.unwrap();
    two.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_a_public_address_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = SandboxConfig { program: Some(program()), ..SandboxConfig::private(dir.path()) };
    let on_taken = SandboxConfig { api_addr: taken.local_addr().unwrap(), ..config.clone() };
    let error = mayfly_sandbox::up(&on_taken).await.unwrap_err().to_string();
    assert!(error.contains("choose another port"), "{error}");
    let public = SandboxConfig { api_addr: "0.0.0.0:0".parse().unwrap(), ..config };
    let error = mayfly_sandbox::up(&public).await.unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_cannot_drive_it() {
    let sandbox = sandbox().await;
    let address = sandbox.handle.info().api_addr;
    let ask = |header: &str| {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", header])
            .arg(format!("http://{address}/_mayfly/status"))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(ask("Host: evil.example"), "403");
    assert_eq!(ask("Origin: http://evil.example"), "403");
    assert_eq!(ask("Accept: */*"), "200");
    sandbox.handle.down().await.unwrap();
}

/// In a user namespace of its own the switch can be turned off without touching the machine's.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_kernel_forbids_namespaces_the_error_says_what_to_do() {
    assert!(nix::unistd::Uid::effective().is_root(), "this test maps user ids and so needs root");
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let copy = dir.path().join("sandboxd");
    std::fs::copy(program(), &copy).unwrap();
    // The rights come with the second exec, once the ids are mapped.
    let script = "read go; exec sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid 64321 \
                  --regid 64321 --clear-groups \"$0\" up --listen 127.0.0.1:0 --state-dir \"$1\"' \"$0\" \"$1\"";
    let mut child = Command::new("unshare")
        .args(["--user", "sh", "-c", script])
        .arg(&copy)
        .arg(dir.path().join("state"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let proc = Path::new("/proc").join(child.id().to_string());
    until("the namespace exists", || std::fs::read_link(proc.join("ns/user")).is_ok_and(|ns| ns != own))
        .await;
    for map in ["uid_map", "gid_map"] {
        std::fs::write(proc.join(map), "0 0 65536").unwrap();
    }
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("sysctl -w user.max_user_namespaces="), "{error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
}

/// A daemon that was started by the command would outlive a test that fails.
struct EndOnPanic(u32);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
    }
}

/// Runs the program as a user without rights, as most people are.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_gets_the_same_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // The build's folder may be closed to others.
    let copy = dir.path().join("sandboxd");
    std::fs::copy(program(), &copy).unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let root = nix::unistd::Uid::effective().is_root();
    if root {
        std::os::unix::fs::chown(&state, Some(64_321), Some(64_321)).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "64321", "--regid", "64321", "--clear-groups"]).arg(&copy);
            command
        } else {
            Command::new(&copy)
        };
        let output = command.args(args).arg("--state-dir").arg(&state).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let info = run(&["up", "--json", "--listen", "127.0.0.1:0", "--git-listen", "127.0.0.1:0"]);
    let info: mayfly_sandbox::DaemonInfo = serde_json::from_str(&info).unwrap();
    let _end = EndOnPanic(info.pid);
    let api = support::Api { address: info.api_addr };
    let script = http_server("by nobody in particular").replace(
        "echo \"server starts\"",
        "touch /etc/x /usr/local/bin/x /var/lib/x && id -u > /etc/uid && hostname",
    );
    let instance = api.run(&script, &[]);
    api.wait_state(&instance.id, "running").await;
    until("the server answers", || {
        support::get(&instance.public, 8080, "/").is_ok_and(|(code, _)| code == 200)
    })
    .await;
    let log = run(&["logs", &instance.id]);
    assert!(log.contains(&format!("ip-{}", instance.private.replace('.', "-"))), "{log}");
    assert!(!log.contains("Permission denied"), "root inside may write where root may: {log}");
    run(&["down"]);
    let name = state.display().to_string();
    until("every process is gone", || processes_with(&name).is_empty()).await;
    assert!(!state.join("instances").exists());
}
