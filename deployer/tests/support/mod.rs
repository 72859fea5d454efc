//! What the deployer's integration tests share: a folder, a state repository, and moto as an independent cloud.
// Effects: tests run real programs.
#![allow(clippy::disallowed_methods, clippy::panic, dead_code)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PACKAGES: [&str; 3] = ["moto[server]==5.2.5", "boto3==1.44.5", "jsonschema==4.26.0"];

/// Python with moto and boto3, made once under the target directory and shared by all tests.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto-5.2.5-jsonschema-4.26.0");
    fs::create_dir_all(&root).expect("a folder for the venv");
    let lock = File::create(root.join("lock")).expect("a lock file");
    lock.lock().expect("the lock, once another test is done making the venv");
    let python = root.join("venv/bin/python");
    if !root.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(root.join("venv")));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES));
        File::create(root.join("complete")).expect("a mark");
    }
    python
}

/// Runs a program that must succeed, and gives its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A moto server of one test's own.
pub(crate) struct Moto {
    server: Child,
    python: PathBuf,
    pub(crate) endpoint: String,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let python = python();
        let mut server = Command::new(python.with_file_name("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto starts");
        let stderr = server.stderr.take().expect("piped");
        let (sender, receiver) = mpsc::channel();
        // The thread reads to the end, so that moto never waits for room in the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on ") {
                    let _ = sender.send(address.trim().to_owned());
                }
            }
        });
        let endpoint = receiver.recv_timeout(Duration::from_secs(120)).expect("moto says where it runs");
        Self { server, python, endpoint }
    }

    /// Variables that point any AWS client at this server.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_DEFAULT_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "testing".into()),
            ("AWS_SECRET_ACCESS_KEY", "testing".into()),
        ]
    }

    /// Runs Python with `ec2` and `elb` as boto3 clients of this server, and gives what it printed.
    pub(crate) fn boto3(&self, code: &str) -> String {
        let head = "import boto3, json\nec2 = boto3.client('ec2')\nelb = boto3.client('elb')\n";
        run(Command::new(&self.python).arg("-c").arg(format!("{head}{code}")).envs(self.environment()))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A folder with a state repository and a spec.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let project = Self { folder };
        project.git(&["init", "--quiet", "--initial-branch=main", "states"]);
        project.commit("one");
        project
    }

    pub(crate) fn states(&self) -> PathBuf {
        self.folder.path().join("states")
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(args)
            .current_dir(self.folder.path());
        run(&mut command)
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["-C", "states", "commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["-C", "states", "rev-parse", "HEAD"])
    }

    pub(crate) fn write_spec(&self, text: &str) {
        fs::write(self.folder.path().join("mayfly.yaml"), text).expect("the spec is written");
    }

    /// The program itself, in this folder, away from the AWS settings of whoever runs the tests.
    pub(crate) fn mayfly(&self, moto: &Moto, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "MAYFLY_FILE", "MAYFLY_ENV", "MAYFLY_KILL_AT"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(moto.environment());
        command
    }

    pub(crate) fn output(&self, moto: &Moto, args: &[&str]) -> Output {
        self.mayfly(moto, args).output().expect("mayfly starts")
    }
}

/// Reads all of a child's standard error.
pub(crate) fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("text");
    text
}
