//! A sandbox of a test's own, and the few calls that a test makes to its cloud as an operator would beforehand.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mayfly_sandbox::status::InstanceStatus;
use mayfly_sandbox::{Forward, Handle, SandboxConfig, up};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::files::Files;
use crate::programs::{program, run_ok};
use crate::repo::Repo;
use crate::wait;

/// Where the starter's web service answers.
pub const PORT: u16 = 8080;
/// Where `mayfly-boot` answers.
pub const STATUS_PORT: u16 = 9273;
/// The image with `mayfly-boot` in it, as the sandbox names it.
pub const IMAGE: &str = "{name: \"mayfly-bare-*\", owner: self}";

/// The image that has not got it, as a spec names it.
pub const STOCK: &str = "ami-00000000000000001";
/// Where instances find the files of [`Cloud::files`].
const FILES: &str = "10.77.255.254:4580";

/// One call of the cloud's log.
#[derive(Debug, Clone)]
pub struct Call {
    /// As IAM writes it, such as `ec2:RunInstances`.
    pub action: String,
    /// What came with it, `Version` of the API included.
    pub parameters: BTreeMap<String, String>,
}

/// Ends with all that runs in it when dropped, and when the test dies.
pub struct Cloud {
    /// A folder for the test's files.
    pub folder: TempDir,
    /// The states that instances follow.
    pub repo: Repo,
    /// What instances can fetch over HTTP; `mayfly-boot` is there.
    pub files: Files,
    handle: Handle,
    runtime: Runtime,
}

impl Cloud {
    /// A sandbox whose instances can fetch the starter tree.
    pub fn start() -> Self {
        Self::start_with(Repo::starter)
    }

    /// A sandbox with another repository.
    pub fn start_with(repo: impl FnOnce(&Path, &Path) -> Repo) -> Self {
        let folder = tempfile::Builder::new().prefix("mayfly-test-").tempdir().expect("a folder");
        let git_root = folder.path().join("git");
        std::fs::create_dir(&git_root).expect("a folder");
        let repo = repo(&git_root, &folder.path().join("states"));
        let files = Files::start();
        files.offer("mayfly-boot", program("mayfly-boot"));
        let config = SandboxConfig {
            forwards: vec![Forward { port: 4580, to: files.address }],
            git_root: Some(git_root),
            boot_binary: Some(program("mayfly-boot")),
            program: Some(program("mayfly")),
            die_with_starter: true,
            ..SandboxConfig::private(folder.path().join("sandbox"))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.block_on(up(&config)).unwrap_or_else(|e| panic!("no sandbox: {e}"));
        Self { folder, repo, files, handle, runtime }
    }

    /// `http://…` of a file of [`Self::files`], as instances see it.
    pub fn file_url(&self, name: &str) -> String {
        format!("http://{FILES}/{name}")
    }

    /// `boot: …` of a spec for stock images, with what else is to be in it.
    pub fn boot(&self, more: &str) -> String {
        let url = self.file_url("mayfly-boot");
        format!("boot: {{url: \"{url}\", sha256: {}{more}}}\n", sum_of(&program("mayfly-boot")))
    }

    /// `http://…` of the state repository, as instances see it.
    pub fn repo_url(&self) -> String {
        format!("{}/states.git", self.handle.instance_git_url().expect("git is served"))
    }

    /// `http://…` of the state repository, as this machine sees it.
    pub fn remote_url(&self) -> String {
        format!("{}/states.git", self.handle.git_url().expect("git is served"))
    }

    /// Where the deployer asks for the same repository.
    pub fn deploy_url(&self) -> String {
        format!("file://{}", self.folder.path().join("git/states.git").display())
    }

    /// `mayfly` with the sandbox as its cloud, in the test's folder.
    pub fn mayfly(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("mayfly"));
        command.args(args).current_dir(self.folder.path()).envs(self.handle.env());
        command
    }

    /// Writes `mayfly.yaml` for the starter's web service: short waits, and whatever `more` adds.
    pub fn write_spec(&self, more: &str) {
        let text = format!(
            "service: greeter\nrole: web\ncount: 2\nimage: {IMAGE}\n\
             states: {{url: \"{}\", deploy_url: \"{}\"}}\n\
             schedule: \"* * * * * *\"\nlisten: 0.0.0.0:{STATUS_PORT}\n\
             load_balancer: {{classic: greeter}}\n\
             probe: {{port: {PORT}, path: /health, address: public, interval: 200ms}}\n\
             timeouts: {{running: 30s, probe: 20s, in_service: 30s}}\n{more}",
            self.repo_url(),
            self.deploy_url()
        );
        std::fs::write(self.folder.path().join("mayfly.yaml"), text).expect("a spec");
    }

    /// A classic load balancer for the starter's web service; the address of its listener.
    pub fn create_balancer(&self, name: &str) -> String {
        let port = PORT.to_string();
        let answer = self.elb(
            "CreateLoadBalancer",
            &[
                ("LoadBalancerName", name),
                ("Listeners.member.1.Protocol", "HTTP"),
                ("Listeners.member.1.LoadBalancerPort", &port),
                ("Listeners.member.1.InstancePort", &port),
                ("AvailabilityZones.member.1", "us-east-1a"),
                ("AvailabilityZones.member.2", "us-east-1b"),
                ("AvailabilityZones.member.3", "us-east-1c"),
            ],
        );
        self.elb(
            "ConfigureHealthCheck",
            &[
                ("LoadBalancerName", name),
                ("HealthCheck.Target", "HTTP:8080/health"),
                ("HealthCheck.Interval", "5"),
                ("HealthCheck.Timeout", "2"),
                ("HealthCheck.UnhealthyThreshold", "2"),
                ("HealthCheck.HealthyThreshold", "2"),
            ],
        );
        self.drain_members_for(name, 1);
        format!("http://{}:{PORT}/", tag(&answer, "DNSName"))
    }

    /// How long a classic balancer's members may go on answering what they have in hand; it waits no longer than they need.
    pub fn drain_members_for(&self, name: &str, seconds: u32) {
        self.elb(
            "ModifyLoadBalancerAttributes",
            &[
                ("LoadBalancerName", name),
                ("LoadBalancerAttributes.ConnectionDraining.Enabled", "true"),
                ("LoadBalancerAttributes.ConnectionDraining.Timeout", &seconds.to_string()),
            ],
        );
    }

    /// A target group's deregistration delay; it is waited out.
    fn drain_targets_for(&self, arn: &str, seconds: u32) {
        self.elbv2(
            "ModifyTargetGroupAttributes",
            &[
                ("TargetGroupArn", arn),
                ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                ("Attributes.member.1.Value", &seconds.to_string()),
            ],
        );
    }

    /// The same for one that is known by name.
    pub fn drain_group_for(&self, name: &str, seconds: u32) {
        let found = self.elbv2("DescribeTargetGroups", &[("Names.member.1", name)]);
        self.drain_targets_for(&tag(&found, "TargetGroupArn"), seconds);
    }

    /// A target group for the starter's web service behind a load balancer of its own, `application` or `network`; the
    /// address of its listener. Targets leave it after a second.
    pub fn create_target_group(&self, name: &str, kind: &str) -> String {
        let protocol = if kind == "network" { "TCP" } else { "HTTP" };
        let (port, vpc) = (PORT.to_string(), mayfly_sandbox::world::VPC);
        let made = self.elbv2(
            "CreateTargetGroup",
            &[
                ("Name", name),
                ("Protocol", protocol),
                ("Port", &port),
                ("VpcId", vpc),
                ("HealthCheckProtocol", "HTTP"),
                ("HealthCheckPath", "/health"),
                ("HealthCheckIntervalSeconds", "1"),
                ("HealthCheckTimeoutSeconds", "1"),
                ("HealthyThresholdCount", "2"),
                ("UnhealthyThresholdCount", "2"),
            ],
        );
        let group = tag(&made, "TargetGroupArn");
        self.drain_targets_for(&group, 1);
        let made = self.elbv2(
            "CreateLoadBalancer",
            &[
                ("Name", name),
                ("Type", kind),
                ("Subnets.member.1", "subnet-00000000000000001"),
                ("Subnets.member.2", "subnet-00000000000000002"),
                ("Subnets.member.3", "subnet-00000000000000003"),
            ],
        );
        self.elbv2(
            "CreateListener",
            &[
                ("LoadBalancerArn", &tag(&made, "LoadBalancerArn")),
                ("Protocol", protocol),
                ("Port", &port),
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", &group),
            ],
        );
        format!("http://{}:{PORT}/", tag(&made, "DNSName"))
    }

    /// Puts delays, faults and limits in place, as `docs/sandbox-api.md` has them.
    pub fn configure(&self, world: &str) {
        let client = wait::client(Duration::from_secs(30)).expect("a client");
        let url = format!("{}/_mayfly/config", self.handle.endpoint().trim_end_matches('/'));
        let answer = client
            .put(url)
            .header("Content-Type", "application/json")
            .body(world.to_owned())
            .send()
            .unwrap_or_else(|e| panic!("{e:?}"));
        assert!(answer.status().is_success(), "{}: {world}", answer.status());
    }

    /// Every call that the cloud got so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        let url = format!("{}/_mayfly/calls?after=0", self.handle.endpoint().trim_end_matches('/'));
        let client = wait::client(Duration::from_secs(30)).expect("a client");
        let answer = client.get(url).send().and_then(|answer| answer.json::<serde_json::Value>());
        let calls = answer.unwrap_or_else(|e| panic!("the list of calls: {e:?}"));
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let parameters = |call: &serde_json::Value| {
            let all = call["parameters"].as_object().into_iter().flatten();
            all.map(|(key, value)| (key.clone(), word(value))).collect()
        };
        let call = |call: &serde_json::Value| Call {
            action: format!("{}:{}", word(&call["service"]), word(&call["action"])),
            parameters: parameters(call),
        };
        calls.as_array().map(|calls| calls.iter().map(call).collect()).unwrap_or_default()
    }

    /// Names of the images, by id.
    pub fn images(&self) -> BTreeMap<String, String> {
        let status = self.runtime.block_on(self.handle.status()).expect("the sandbox answers");
        status.images.into_iter().map(|image| (image.id, image.name)).collect()
    }

    /// One instance with this user-data; its id.
    pub fn run_instance(&self, image: &str, user_data: &str) -> String {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(user_data);
        let answer = self.call(
            "ec2",
            "2016-11-15",
            "RunInstances",
            &[
                ("ImageId", image),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("InstanceType", "t3.micro"),
                ("UserData", &encoded),
            ],
        );
        tag(&answer, "instanceId")
    }

    /// Ends one instance; as on EC2, one that was launched a moment ago may not be known yet.
    pub fn terminate(&self, id: &str) {
        wait::until("TerminateInstances", Duration::from_secs(10), || {
            self.try_call("ec2", "2016-11-15", "TerminateInstances", &[("InstanceId.1", id)])
        });
    }

    /// A call to classic load balancing.
    pub fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.call("elasticloadbalancing", "2012-06-01", action, parameters)
    }

    /// A call to application and network load balancing.
    fn elbv2(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.call("elasticloadbalancing", "2015-12-01", action, parameters)
    }

    /// A call to EC2.
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.call("ec2", "2016-11-15", action, parameters)
    }

    fn call(&self, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        self.try_call(service, version, action, parameters).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// A call as any client would make it, written out: the wire is what is under test elsewhere.
    fn try_call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, String> {
        let mut form: BTreeMap<&str, &str> = parameters.iter().copied().collect();
        form.extend([("Action", action), ("Version", version)]);
        let scope = format!("sandbox/20260101/us-east-1/{service}/aws4_request");
        let client = wait::client(Duration::from_secs(30)).expect("a client");
        let request = client.post(self.handle.endpoint()).form(&form).header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        );
        let answer = request.send().unwrap_or_else(|e| panic!("{action}: {e:?}"));
        let (status, body) = (answer.status(), answer.text().unwrap_or_default());
        if status.is_success() { Ok(body) } else { Err(format!("{action}: {status}\n{body}")) }
    }

    /// Id of the image with `mayfly-boot` in it.
    pub fn bare_image(&self) -> String {
        let status = self.runtime.block_on(self.handle.status()).expect("the sandbox answers");
        let image = status.images.into_iter().find(|image| image.name.contains("mayfly-bare"));
        image.expect("the sandbox has the image").id
    }

    /// Instances that are neither terminated nor about to be.
    pub fn live(&self) -> Vec<InstanceStatus> {
        let status = self.runtime.block_on(self.handle.status()).expect("the sandbox answers");
        let gone = |state: &str| state == "terminated" || state == "shutting-down";
        status.instances.into_iter().filter(|instance| !gone(&instance.state)).collect()
    }

    /// The host's address of an instance.
    pub fn address(&self, id: &str) -> String {
        let instance = self.live().into_iter().find(|instance| instance.id == id);
        instance.unwrap_or_else(|| panic!("{id} is not alive")).public_ip
    }

    /// An instance's console.
    pub fn console(&self, id: &str) -> String {
        self.runtime.block_on(self.handle.logs(id)).unwrap_or_default()
    }

    /// Waits until an instance says what is asked on its console; the console.
    pub fn until_console(&self, id: &str, text: &str) -> String {
        wait::until(&format!("{text:?} on the console of {id}"), Duration::from_secs(60), || {
            let console = self.console(id);
            if console.contains(text) { Ok(console) } else { Err(console) }
        })
    }

    /// Waits until `/ready` answers with this status; its body.
    pub fn until_ready_says(&self, id: &str, code: u16) -> String {
        let url = format!("http://{}:{STATUS_PORT}/ready", self.address(id));
        wait::until(&format!("{code} from {url}"), Duration::from_secs(60), || match wait::get(&url) {
            Ok((status, body)) if status == code => Ok(body),
            other => Err((other, self.console(id))),
        })
    }
}

/// SHA-256 of a file.
pub fn sum_of(file: &Path) -> String {
    let output = run_ok(Command::new("sha256sum").arg(file));
    output.split(' ').next().unwrap_or_default().to_owned()
}

/// The text of the first element of that name.
fn tag(xml: &str, name: &str) -> String {
    let found = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    found.map(|(text, _)| text.to_owned()).unwrap_or_else(|| panic!("no {name} in {xml}"))
}

/// A `#mayfly` document for an instance of the role `web`, and whatever `more` adds.
pub fn user_data(cloud: &Cloud, more: &str) -> String {
    format!(
        "#mayfly\nrole: web\nstates: {{url: \"{}\"}}\nschedule: \"* * * * * *\"\nlisten: 0.0.0.0:{STATUS_PORT}\n{more}",
        cloud.repo_url()
    )
}
