//! The real clients, at pinned versions, in a virtual environment below the target directory.
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Change the versions here; the environment's name contains them, so another one is made then.
const PACKAGES: [&str; 3] = ["boto3==1.43.11", "botocore==1.43.11", "awscli==1.45.11"];

/// Runs a function of `clients.py` against the endpoint.
pub(crate) fn boto3(endpoint: &str, function: &str) {
    boto3_with(endpoint, function, &[]);
}

/// The same with arguments for the function.
pub(crate) fn boto3_with(endpoint: &str, function: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/clients.py");
    let mut command = Command::new(environment().join("bin/python"));
    run(command.arg(script).arg(function).args(arguments), endpoint);
}

/// Runs the `aws` command and gives what it prints.
pub(crate) fn aws(endpoint: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(environment().join("bin/python"));
    run(command.args(["-m", "awscli"]).args(arguments), endpoint)
}

fn run(command: &mut Command, endpoint: &str) -> String {
    let nowhere = "/nonexistent";
    let output = command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "sandbox")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", nowhere)
        .env("AWS_SHARED_CREDENTIALS_FILE", nowhere)
        .env("AWS_PAGER", "")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

/// Makes the environment once; tests that run beside each other wait for the first.
fn environment() -> PathBuf {
    let name = format!("aws-clients-{}", PACKAGES.join("-").replace("==", "-"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = File::create(folder.with_extension("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let complete = folder.join("complete");
    if !complete.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        must(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let mut install = Command::new(folder.join("bin/python"));
        must(install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES));
        File::create(complete).expect("a mark");
    }
    folder
}

fn must(command: &mut Command) {
    let output =
        command.output().expect("these tests need python3 with venv (Debian: apt-get install python3-venv)");
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
}
