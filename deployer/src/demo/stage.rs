//! What the demo plays on: a folder, a sandbox, a state repository, a load balancer and a `mayfly.yaml`.
// Effects: this builds the world of the demo.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use aws_sdk_elasticloadbalancing as elb;
use mayfly_sandbox::{Forward, Handle, SandboxConfig, up};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use super::files;
use super::repo::StateRepo;

/// The service, its role's tree and its load balancer carry this name.
pub(super) const SERVICE: &str = "greeter";
/// Instances of each deployment.
pub(super) const COUNT: usize = 2;
/// Where the balancer listens and the service answers.
const PORT: u16 = 8080;
/// Where an instance tells its own state.
const STATUS_PORT: u16 = 9273;
/// Where instances fetch `mayfly-boot` from: a port of the sandbox's own address.
const FILES: (&str, u16) = ("10.77.255.254", 4580);
/// The image that has not got it.
const STOCK: &str = "ami-00000000000000001";

/// A sandbox with a state repository and an empty load balancer, and the folder that it all lives in.
pub(super) struct Stage {
    /// The states that instances follow.
    pub(super) repo: StateRepo,
    /// Address of the load balancer's listener.
    pub(super) url: String,
    folder: TempDir,
    sandbox: Handle,
    /// The spec's line for stock images.
    boot: String,
}

impl Stage {
    /// Builds it all. When a part fails, what was built before goes again.
    pub(super) async fn build(boot_binary: PathBuf) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("mayfly-demo-").tempdir().context("make the demo's folder")?;
        let git_root = folder.path().join("git");
        let repo = StateRepo::create(&git_root.join("states.git"), &folder.path().join("states"))?;
        let program = std::fs::read(&boot_binary).context("read mayfly-boot")?;
        let boot = format!(
            "boot: {{url: \"http://{}:{}/mayfly-boot\", sha256: {}}}\n",
            FILES.0,
            FILES.1,
            hex::encode(Sha256::digest(&program))
        );
        let address = files::serve(program).await.context("serve mayfly-boot to instances")?;
        let config = SandboxConfig {
            forwards: vec![Forward { port: FILES.1, to: address }],
            git_root: Some(git_root),
            boot_binary: Some(boot_binary),
            ..SandboxConfig::private(folder.path().join("sandbox"))
        };
        let sandbox = up(&config).await?;
        let mut stage = Self { repo, url: String::new(), folder, sandbox, boot };
        match stage.furnish().await {
            Ok(()) => Ok(stage),
            Err(why) => {
                stage.strike().await?;
                Err(why)
            }
        }
    }

    async fn furnish(&mut self) -> Result<()> {
        self.url = self.create_balancer().await.context("create the load balancer")?;
        let spec = self.spec(self.sandbox.status().await?.root)?;
        std::fs::write(self.spec_file(), spec).context("write mayfly.yaml")
    }

    fn spec_file(&self) -> PathBuf {
        self.folder.path().join("mayfly.yaml")
    }

    /// What a team would change in its spec after its first bake.
    pub(super) fn take_baked(&self) -> Result<()> {
        let spec = std::fs::read_to_string(self.spec_file()).context("read mayfly.yaml")?;
        let spec =
            spec.replace(&self.boot, "").replace(STOCK, "{baked: web}").replace("probe: 60s", "probe: 10s");
        std::fs::write(self.spec_file(), spec).context("write mayfly.yaml")
    }

    /// A classic load balancer as an operator would make it, with the shortest check that ELB allows.
    async fn create_balancer(&self) -> Result<String> {
        let client = elb::Client::from_conf(crate::cloud::aws::sandbox_elb_config(self.sandbox.endpoint()));
        let listener = elb::types::Listener::builder()
            .protocol("HTTP")
            .load_balancer_port(i32::from(PORT))
            .instance_port(i32::from(PORT))
            .build()?;
        let created = client
            .create_load_balancer()
            .load_balancer_name(SERVICE)
            .listeners(listener)
            .set_availability_zones(Some(
                ["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned).to_vec(),
            ));
        let name = created.send().await?.dns_name.context("the balancer has no name")?;
        let check = elb::types::HealthCheck::builder()
            .target(format!("HTTP:{PORT}/health"))
            .interval(5)
            .timeout(2)
            .unhealthy_threshold(2)
            .healthy_threshold(2)
            .build()?;
        client.configure_health_check().load_balancer_name(SERVICE).health_check(check).send().await?;
        let draining = elb::types::ConnectionDraining::builder().enabled(true).timeout(3).build();
        let attributes = elb::types::LoadBalancerAttributes::builder().connection_draining(draining).build();
        let modify = client.modify_load_balancer_attributes().load_balancer_name(SERVICE);
        modify.load_balancer_attributes(attributes).send().await?;
        Ok(format!("http://{name}:{PORT}/"))
    }

    /// What a team would commit, but for the addresses.
    fn spec(&self, is_root: bool) -> Result<String> {
        let git = self.sandbox.instance_git_url().context("the sandbox serves no git")?;
        let repository = self.folder.path().join("git/states.git");
        // Without further ids an ordinary user's namespace has no other user to run the service as.
        let user = if is_root { SERVICE } else { "root" };
        Ok(format!(
            "service: {SERVICE}
role: web
count: {COUNT}
image: {STOCK}
{boot}states:
  url: {git}/states.git
  deploy_url: file://{repository}
  ref: main
schedule: \"* * * * * *\"     # every second: this is a demo
listen: 0.0.0.0:{STATUS_PORT}
load_balancer: {{classic: {SERVICE}}}
probe: {{port: {PORT}, path: /health, address: public, interval: 200ms}}
timeouts: {{running: 30s, probe: 60s, in_service: 30s}}
pillar:
  greeter: {{version: \"1\", user: {user}}}
",
            boot = self.boot,
            repository = repository.display()
        ))
    }

    /// The command lines' environment: any AWS client would be pointed at the sandbox by the same variables.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        self.sandbox.env()
    }

    /// Runs `mayfly` itself, as a person would in this folder; all it prints goes to standard error.
    pub(super) async fn mayfly(&self, args: &[&str]) -> Result<ExitStatus> {
        let program = std::env::current_exe().context("find the mayfly program")?;
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path()).envs(self.environment());
        command.stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
        command.status().await.context("run mayfly")
    }

    /// Ids and addresses of the instances that run now.
    pub(super) async fn live_instances(&self) -> Result<Vec<(String, String)>> {
        let status = self.sandbox.status().await?;
        let going = ["shutting-down", "terminated"];
        let live = status.instances.into_iter().filter(|i| !going.contains(&i.state.as_str()));
        Ok(live.map(|i| (i.id, i.public_ip)).collect())
    }

    /// How long the first instance that is not among `before` takes from its launch to ready.
    pub(super) async fn boot_time(&self, before: &[(String, String)], limit: Duration) -> Result<Duration> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
        let begun = Instant::now();
        let mut launched: Option<(Instant, String)> = None;
        while begun.elapsed() < limit {
            if launched.is_none() {
                let live = self.live_instances().await?;
                let new = live.into_iter().find(|(id, _)| before.iter().all(|(old, _)| old != id));
                launched = new.map(|(_, address)| (Instant::now(), address));
            }
            if let Some((since, address)) = &launched {
                let answer = client.get(format!("http://{address}:{STATUS_PORT}/ready")).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(since.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("no new instance is ready after {limit:?}")
    }

    /// What an instance says of its last restart; a sentence, for the summary.
    pub(super) async fn last_restart(&self, instance: &str) -> Result<String> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let url = format!("http://{instance}:{STATUS_PORT}/status");
        let status: serde_json::Value = client.get(url).send().await?.error_for_status()?.json().await?;
        let last = status["restarts"].as_array().and_then(|all| all.last()).context("no restart is told")?;
        let cause = last["cause"].as_str().unwrap_or_default();
        Ok(if cause.starts_with('/') { format!("the watch on {cause}") } else { cause.to_owned() })
    }

    /// Leaves everything running and gives the folder up to the reader.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Takes everything down; tells how many processes of it are still there.
    pub(super) async fn strike(self) -> Result<usize> {
        self.sandbox.down().await?;
        let left = processes_naming(self.folder.path());
        self.folder.close().context("remove the demo's folder")?;
        Ok(left)
    }
}

/// Processes with `folder` in their command line: all of a sandbox's have.
fn processes_naming(folder: &Path) -> usize {
    let folder = folder.as_os_str().as_encoded_bytes();
    let names_it = |process: std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.windows(folder.len()).any(|part| part == folder)
    };
    std::fs::read_dir("/proc").map_or(0, |all| all.flatten().map(names_it).filter(|named| *named).count())
}
