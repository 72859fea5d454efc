//! Canary secrets through a whole life: a token for the repository, pillar that gpg and age have encrypted, a password hash. They
//! are looked for in everything that the program says, serves, keeps and starts.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::boot::{Boot, PROGRAM, get};
use support::git_http::GitHttp;
use support::{Stage, tls};

const TOKEN: &str = "canary-token-8d1f";
const BY_GPG: &str = "canary-gpg-4711";
const BY_AGE: &str = "canary-age-4712";
const HASH: &str = "$6$canarysalt$canaryhash0123456789";

/// The keys that the encrypted values of the tests of the state language are for.
fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../states/tests/encrypted")
}

fn private(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The keys on the instance's disk, and the token.
fn keys_on_disk(root: &Path) {
    for folder in ["etc/salt/gpgkeys", "etc/mayfly"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let home = root.join("etc/salt/gpgkeys");
    private(&home, 0o700);
    let gpg = Command::new("gpg")
        .arg("--homedir")
        .arg(&home)
        .args(["--batch", "--quiet", "--import"])
        .arg(keys().join("gpg.key"))
        .status();
    assert!(gpg.expect("gpg runs: install gnupg").success());
    fs::copy(keys().join("age.key"), root.join("etc/mayfly/age.key")).unwrap();
    fs::write(root.join("etc/mayfly/token"), format!("{TOKEN}\n")).unwrap();
    private(&root.join("etc/mayfly/age.key"), 0o600);
    private(&root.join("etc/mayfly/token"), 0o600);
}

/// Everything that has been seen in process lists while it runs.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let seen = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !told.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    if line.contains("canary") && !seen.contains(&line) {
                        seen.push(line);
                    }
                }
            }
            seen
        });
        Self { stop, seen: Some(seen) }
    }

    fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.take().unwrap().join().unwrap()
    }
}

/// All texts of a tree of files, with their paths.
fn files(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
        }
    }
}

fn has_canary(bytes: &[u8]) -> bool {
    // The token is sent as `x-access-token:TOKEN` in base64.
    [&b"canary"[..], b"eC1hY2Nlc3MtdG9rZW46"].iter().any(|word| bytes.windows(word.len()).any(|w| w == *word))
}

fn write_tree(stage: &Stage, fails: bool) {
    let pillar = |name: &str| fs::read_to_string(keys().join("pillar").join(name)).unwrap();
    stage.repo.write("pillar/top.sls", "base:\n  '*':\n    - app\n    - gpg\n    - age\n");
    stage.repo.write("pillar/gpg.sls", &pillar("gpg.sls"));
    stage.repo.write("pillar/age.sls", &pillar("age.sls"));
    let last = if fails { "exit 3" } else { "true" };
    stage.repo.write(
        "app/init.sls",
        &format!(
            "/etc/open.conf:\n  file.managed:\n    - contents: 'one={{{{ pillar.password }}}}'\n    - mode: '0600'\n\
             /etc/template.conf:\n  file.managed:\n    - source: salt://app/template\n    - template: jinja\n    - mode: '0600'\n\
             /etc/pillar.conf:\n  file.managed:\n    - contents_pillar: age_password\n    - mode: '0600'\n\
             app:\n  user.present:\n    - password: '{HASH}'\n    - createhome: False\n\
             told:\n  cmd.run:\n    - name: 'echo out $SECRET; echo err $SECRET >&2; {last}'\n    - env:\n      - SECRET: {{{{ pillar.password }}}}\n"
        ),
    );
    stage.repo.write("app/template", "two={{ pillar['age_password'] }}\n");
}

struct Life {
    stage: Stage,
    boot: Boot,
}

/// Boots with everything said, also what only a debugger wants.
fn live() -> Life {
    let stage = Stage::new();
    let root = stage.root();
    keys_on_disk(&root);
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/gshadow", "root:*::\n"),
        ("etc/login.defs", "USERGROUPS_ENAB yes\n"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    private(&root.join("etc/shadow"), 0o600);
    let (authority, config) = tls::authority(stage.dir.path());
    let server = GitHttp::start_tls(stage.dir.path(), config);
    let url = format!("https://127.0.0.1:{}/states.git", server.port);
    let token = root.join("etc/mayfly/token");
    stage.imds.set_user_data(support::user_data(&url, &format!("  token_file: {}\n", token.display())));
    write_tree(&stage, true);
    stage.repo.push("fails");
    let log = stage.dir.path().join("stderr");
    let boot = Boot::start_logged(&root, &stage.imds.url, &[("SSL_CERT_FILE", &authority)], &log);
    Life { stage, boot }
}

#[test]
fn no_secret_is_in_logs_endpoints_process_lists_or_files_that_others_can_read() {
    let watch = Watch::start();
    let mut life = live();
    let address = life.boot.address();
    let line = life.boot.line("mayfly: failed: ");
    assert!(line.contains("<hidden>") || line.contains("exit"), "{line}");
    let mut shown: String = ["/ready", "/status", "/metrics"].map(|path| get(address, path).1).concat();
    write_tree(&life.stage, false);
    let good = life.stage.repo.push("good");
    life.boot.ready(&good);
    shown += &["/ready", "/status", "/metrics"].map(|path| get(address, path).1).concat();
    let root = life.stage.root();
    for (path, text) in [
        ("etc/open.conf", format!("one={BY_GPG}\n")),
        ("etc/template.conf", format!("two={BY_AGE}\n")),
        ("etc/pillar.conf", format!("{BY_AGE}\n")),
    ] {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), text);
    }
    assert!(fs::read_to_string(root.join("etc/shadow")).unwrap().contains(HASH));
    let status = fs::read_to_string(root.join("var/lib/mayfly/status.json")).unwrap();
    assert!(life.boot.stop().success());
    let console = life.boot.all().join("\n");
    let log = fs::read_to_string(life.stage.dir.path().join("stderr")).unwrap();
    assert!(log.contains("compiled"), "the log is not that of a debugger: {log:.400}");
    for (what, text) in
        [("console", &console), ("standard error", &log), ("endpoints", &shown), ("status.json", &status)]
    {
        let found: Vec<&str> = text.lines().filter(|line| has_canary(line.as_bytes())).collect();
        assert!(found.is_empty(), "{what}: {found:#?}");
    }
    let mut all = Vec::new();
    files(&root, &mut all);
    let open: Vec<PathBuf> = all
        .iter()
        .filter(|(path, bytes)| has_canary(bytes) && !is_private(path, &root))
        .map(|(path, _)| path.clone())
        .collect();
    assert!(open.is_empty(), "others can read {open:?}");
    assert!(!root.join("var/cache/mayfly/compiled/run").exists(), "the compile was kept");
    // A canary in an argument is seen, so that its absence says something.
    let mut loud = spoken();
    let seen = wait_for(watch);
    let _ = (loud.kill(), loud.wait());
    assert_eq!(seen.iter().filter(|line| !line.contains("canary-control")).count(), 0, "{seen:?}");
    assert!(seen.iter().any(|line| line.contains("canary-control")), "the watch is blind");
}

/// A process with a canary in its arguments.
fn spoken() -> Child {
    let mut child = Command::new("sh")
        .args(["-c", "echo ready; read x", "canary-control"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    child
}

/// What the watch has seen once it has looked at all processes again.
fn wait_for(watch: Watch) -> Vec<String> {
    // Two rounds through /proc take far less; the control process waits for us.
    std::thread::sleep(std::time::Duration::from_millis(500));
    watch.end()
}

/// Only its owner can read it, or look into a folder on the way to it.
fn is_private(path: &Path, top: &Path) -> bool {
    path.ancestors().take_while(|p| *p != top).any(|p| fs::metadata(p).unwrap().mode() & 0o077 == 0)
}

/// A check shows the line that it does not like, as most programs do.
#[test]
fn what_a_failing_check_says_of_a_secret_is_hidden_on_the_console_and_in_the_status() {
    let stage = Stage::new();
    let root = stage.root();
    keys_on_disk(&root);
    let conf = root.join("etc/app.conf");
    let gpg = fs::read_to_string(keys().join("pillar/gpg.sls")).unwrap();
    stage.repo.write("pillar/top.sls", "base:\n  '*':\n    - app\n    - gpg\n");
    stage.repo.write("pillar/gpg.sls", &gpg);
    let script = stage.dir.path().join("check.sh");
    fs::write(&script, format!("cat {} >&2; exit 1\n", conf.display())).unwrap();
    let check = format!("check: 'sh {}'", script.display());
    stage.repo.write("pillar/app.sls", &format!("mayfly:\n  watch:\n    - {{service: app, {check}}}\n"));
    stage.repo.write("app/app.conf", "password={{ pillar.password }}\n");
    let (mut boot, address, _) = stage.pushed("a password");
    assert_eq!(fs::read_to_string(&conf).unwrap(), format!("password={BY_GPG}\n"));
    fs::write(&conf, format!("pasword={BY_GPG}\n")).unwrap();
    let line = boot.line("the check fails, app is kept as it runs");
    assert!(line.ends_with("pasword=<hidden>"), "{line}");
    let status = get(address, "/status").1;
    assert!(status.contains("pasword=<hidden>") && !has_canary(status.as_bytes()), "{status}");
}

/// Encrypted for the keys on the instance's disk.
fn encrypted(root: &Path, text: &str) -> String {
    let mut gpg = Command::new("gpg")
        .arg("--homedir")
        .arg(root.join("etc/salt/gpgkeys"))
        .args(["--batch", "--quiet"])
        .args(["--trust-model", "always", "--default-recipient-self", "--armor", "--encrypt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    gpg.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = gpg.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// What is wrong with a rule is said with what was written, which may have been decrypted.
#[test]
fn what_is_wrong_with_a_rule_is_told_without_what_was_decrypted() {
    let stage = Stage::new();
    let root = stage.root();
    keys_on_disk(&root);
    let check = encrypted(&root, "curl -u canary:\"odd");
    let indented = check.trim().replace('\n', "\n        ");
    let pillar = format!(
        "#!yaml|gpg\nmayfly:\n  watch:\n    app:\n      service: app\n      check: |\n        {indented}\n"
    );
    stage.repo.write("pillar/app.sls", &pillar);
    stage.repo.write("app/app.conf", "plain\n");
    stage.repo.push("a rule with an odd quote");
    let mut boot = stage.boot();
    let address = boot.address();
    let line = boot.line("mayfly: failed: ");
    let said = "pillar mayfly:watch:app: check: the quotes in `<hidden>` do not match";
    assert_eq!(line, format!("mayfly: failed: {said}"));
    assert!(get(address, "/ready").1.contains(said));
    let mut shown: String = ["/ready", "/status", "/metrics"].map(|path| get(address, path).1).concat();
    shown += &fs::read_to_string(root.join("var/lib/mayfly/status.json")).unwrap();
    shown += &boot.all().concat();
    let applied = Command::new(PROGRAM)
        .args(["apply", "--test", "--id", "web1", "--role", "web", "--root"])
        .arg(&root)
        .arg("--file-root")
        .arg(&stage.repo.work)
        .arg("--pillar-root")
        .arg(stage.repo.work.join("pillar"))
        .output()
        .unwrap();
    let told = String::from_utf8(applied.stderr).unwrap();
    assert!(applied.status.code() == Some(1) && told.contains(said), "{told}");
    shown += &told;
    assert!(!has_canary(shown.as_bytes()), "{shown}");
}

#[test]
fn decrypted_values_are_shown_only_when_asked_for() {
    let stage = Stage::new();
    let root = stage.root();
    keys_on_disk(&root);
    write_tree(&stage, false);
    let show = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("show").args(args).args(["--id", "web1", "--role", "web", "--root"]).arg(&root);
        command
            .arg("--file-root")
            .arg(&stage.repo.work)
            .arg("--pillar-root")
            .arg(stage.repo.work.join("pillar"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for stage in ["pillar", "low", "high"] {
        let hidden = show(&[stage]);
        assert!(
            !hidden.contains(BY_GPG) && !hidden.contains(BY_AGE) && hidden.contains("<hidden>"),
            "{hidden}"
        );
        assert!(show(&[stage, "--show-secrets"]).contains(BY_GPG));
    }
}
