//! One moto for all tests, in which each has a region of its own, and boto3 to prepare it and to look at it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use crate::support::python;

/// A region is a cloud of its own; none is used twice.
const REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ca-central-1",
    "sa-east-1",
];

static NEXT: AtomicUsize = AtomicUsize::new(0);
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// It ends when this process does: its standard input is then closed.
struct Server {
    endpoint: String,
    _process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto/server.py"))
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("moto starts");
        let input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut endpoint = String::new();
        output.read_line(&mut endpoint).expect("moto says where it listens");
        Self { endpoint: endpoint.trim().to_owned(), _process: child, pipes: Mutex::new((input, output)) }
    }

    fn ask(&self, region: &str, code: &str) -> Value {
        let mut pipes = self.pipes.lock().expect("no test panics while it asks");
        let (input, output) = &mut *pipes;
        writeln!(input, "{}", json!({"region": region, "code": code})).expect("moto reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("moto answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

/// A cloud of one test's own.
pub(crate) struct Moto {
    region: &'static str,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let region = REGIONS.get(NEXT.fetch_add(1, Ordering::Relaxed)).expect("a region for every test");
        Self { region }
    }

    /// Variables that point any AWS client at it.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", SERVER.endpoint.as_str()),
            ("AWS_REGION", self.region),
            ("AWS_DEFAULT_REGION", self.region),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
        ]
    }

    /// Runs Python with the region's boto3 clients (`ec2`, `elb`, `elbv2`, `ssm`, `s3`) and `image`; what it printed.
    pub(crate) fn boto3(&self, code: &str) -> String {
        let answer = SERVER.ask(self.region, code);
        let printed = answer["printed"].as_str();
        printed
            .unwrap_or_else(|| panic!("{}\n{code}", answer["failed"].as_str().unwrap_or_default()))
            .to_owned()
    }

    /// The same for what prints JSON.
    pub(crate) fn json(&self, code: &str) -> Value {
        let printed = self.boto3(code);
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}
