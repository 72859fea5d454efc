//! What the tests of whole sandboxes share: a private sandbox, its API in a few words, and waiting with a deadline.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use mayfly_sandbox::{Handle, SandboxConfig, world};

/// The longest that anything here may take; the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A program that serves `body` on 8080 with the perl that every Debian has. `/slow` takes two seconds.
pub fn http_server(body: &str) -> String {
    format!(
        r#"#!/bin/sh
echo "server starts"
exec perl -MIO::Socket::INET -e '
  $SIG{{CHLD}} = "IGNORE";
  my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 128, Reuse => 1) or die "listen: $!";
  while (1) {{
    my $c = $s->accept or next;
    if (!fork) {{
      my $first = <$c>; while (<$c>) {{ last if /^\r?\n/ }}
      if ($first =~ /slow/) {{ open my $f, ">", "/tmp/slow-began"; close $f; sleep 2 }}
      my $b = "{body}"; print $c "HTTP/1.0 200 OK\r\nContent-Length: " . length($b) . "\r\n\r\n$b"; close $c; exit;
    }}
    close $c;
  }}'
"#
    )
}

/// A sandbox of its own, gone with the value.
pub struct Sandbox {
    pub handle: Handle,
    pub dir: tempfile::TempDir,
}

/// Starts one with quick delays.
pub async fn sandbox() -> Sandbox {
    sandbox_with(|_| {}).await
}

pub async fn sandbox_with(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let dir = tempfile::tempdir().unwrap();
    let mut config = SandboxConfig::private(dir.path().join("state"));
    config.program = Some(program());
    config.die_with_starter = true;
    config.grace_ms = 500;
    config.world.delays = world::Delays { drain_divisor: 1, ..world::Delays::none() };
    change(&mut config);
    let handle = mayfly_sandbox::up(&config).await.unwrap();
    Sandbox { handle, dir }
}

pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_mayfly-sandboxd"))
}

impl Sandbox {
    pub fn api(&self) -> Api {
        Api { address: self.handle.info().api_addr }
    }

    /// Runs one instance and waits until it runs: id, private and public address.
    pub async fn run(&self, user_data: &str, more: &[(&str, &str)]) -> Instance {
        let instance = self.api().run(user_data, more);
        self.api().wait_state(&instance.id, "running").await;
        instance
    }

    pub async fn wait_console(&self, id: &str, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let log = self.handle.logs(id).await.unwrap_or_default();
            if log.contains(text) {
                return log;
            }
            assert!(Instant::now() < end, "{text:?} is not on the console of {id}:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub private: String,
    pub public: String,
}

/// The query APIs, called as a signed client does.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    pub address: SocketAddr,
}

impl Api {
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        self.call("ec2", "2016-11-15", action, parameters)
    }

    pub fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        self.call("elasticloadbalancing", "2012-06-01", action, parameters)
    }

    pub fn elbv2(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        self.call("elasticloadbalancing", "2015-12-01", action, parameters)
    }

    /// A target group that is checked every second; its ARN.
    pub fn target_group(&self, name: &str, protocol: &str, target_type: &str) -> String {
        let parameters = [
            ("Name", name),
            ("Protocol", protocol),
            ("Port", "8080"),
            ("VpcId", world::VPC),
            ("TargetType", target_type),
            ("HealthCheckIntervalSeconds", "1"),
            ("HealthCheckTimeoutSeconds", "1"),
            ("HealthyThresholdCount", "2"),
            ("UnhealthyThresholdCount", "2"),
        ];
        tag(&self.elbv2("CreateTargetGroup", &parameters).unwrap(), "TargetGroupArn").unwrap()
    }

    /// A balancer of this type with a listener on `port` that forwards by weight; its address.
    pub fn load_balancer(&self, kind: &str, name: &str, port: &str, forward: &[(&str, &str)]) -> String {
        let subnets = ["subnet-00000000000000001", "subnet-00000000000000002", "subnet-00000000000000003"];
        let mut parameters = vec![("Name", name), ("Type", kind)];
        let names = ["Subnets.member.1", "Subnets.member.2", "Subnets.member.3"];
        parameters.extend(names.into_iter().zip(subnets));
        let made = self.elbv2("CreateLoadBalancer", &parameters).unwrap();
        let arn = tag(&made, "LoadBalancerArn").unwrap();
        let protocol = if kind == "network" { "TCP" } else { "HTTP" };
        let mut listener: Vec<(String, &str)> = vec![
            ("LoadBalancerArn".to_owned(), &arn),
            ("Protocol".to_owned(), protocol),
            ("Port".to_owned(), port),
            ("DefaultActions.member.1.Type".to_owned(), "forward"),
        ];
        for (number, (group, weight)) in (1..).zip(forward) {
            let of = format!("DefaultActions.member.1.ForwardConfig.TargetGroups.member.{number}");
            listener.push((format!("{of}.TargetGroupArn"), group));
            listener.push((format!("{of}.Weight"), weight));
        }
        let listener: Vec<(&str, &str)> =
            listener.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        self.elbv2("CreateListener", &listener).unwrap();
        tag(&made, "DNSName").unwrap()
    }

    pub fn register_target(&self, group: &str, id: &str) {
        self.elbv2("RegisterTargets", &[("TargetGroupArn", group), ("Targets.member.1.Id", id)]).unwrap();
    }

    pub fn deregister_target(&self, group: &str, id: &str) {
        self.elbv2("DeregisterTargets", &[("TargetGroupArn", group), ("Targets.member.1.Id", id)]).unwrap();
    }

    /// State, reason and description of one target.
    pub fn target(&self, group: &str, id: &str) -> (String, String, String) {
        let parameters = [("TargetGroupArn", group), ("Targets.member.1.Id", id)];
        let answer = self.elbv2("DescribeTargetHealth", &parameters).unwrap();
        let field = |name: &str| tag(&answer, name).unwrap_or_default();
        (field("State"), field("Reason"), field("Description"))
    }

    fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        more: &[(&str, &str)],
    ) -> Result<String, String> {
        let mut form = vec![("Action", action), ("Version", version)];
        form.extend_from_slice(more);
        let body = serde_urlencoded::to_string(&form).unwrap();
        let scope = format!(
            "Credential=t/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: AWS4-HMAC-SHA256 {scope}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let (status, answer) = exchange(self.address, &format!("{head}{body}")).map_err(|e| e.to_string())?;
        if status == 200 { Ok(answer) } else { Err(answer) }
    }

    pub fn run(&self, user_data: &str, more: &[(&str, &str)]) -> Instance {
        let data = base64::engine::general_purpose::STANDARD.encode(user_data);
        let mut parameters = vec![
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", "t3.micro"),
            ("UserData", data.as_str()),
        ];
        if !more.iter().any(|(name, _)| *name == "ImageId") {
            parameters.push(("ImageId", world::DEBIAN_STOCK));
        }
        parameters.extend_from_slice(more);
        let answer = self.ec2("RunInstances", &parameters).unwrap();
        let id = tag(&answer, "instanceId").unwrap();
        let end = Instant::now() + DEADLINE;
        // Eventual consistency: a new instance may not be known at once.
        let known = loop {
            match self.ec2("DescribeInstances", &[("InstanceId.1", &id)]) {
                Ok(known) => break known,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Instance {
            id,
            private: tag(&answer, "privateIpAddress").unwrap(),
            // A launch that failed at once has none any more.
            public: tag(&known, "ipAddress").unwrap_or_default(),
        }
    }

    pub fn state(&self, id: &str) -> String {
        let answer = self.ec2("DescribeInstances", &[("InstanceId.1", id)]).unwrap_or_default();
        let state = answer.split("<instanceState>").nth(1).unwrap_or_default();
        tag(state, "name").unwrap_or_default()
    }

    pub async fn wait_state(&self, id: &str, state: &str) {
        let end = Instant::now() + DEADLINE;
        while self.state(id) != state {
            let known = self.ec2("DescribeInstances", &[("InstanceId.1", id)]);
            assert!(Instant::now() < end, "{id} is not {state}: {known:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A balancer on `port` over HTTP 8080, probing every second; gives its address.
    pub fn balancer(&self, name: &str, port: &str) -> String {
        let created = self
            .elb(
                "CreateLoadBalancer",
                &[
                    ("LoadBalancerName", name),
                    ("Listeners.member.1.Protocol", "HTTP"),
                    ("Listeners.member.1.LoadBalancerPort", port),
                    ("Listeners.member.1.InstanceProtocol", "HTTP"),
                    ("Listeners.member.1.InstancePort", "8080"),
                    ("AvailabilityZones.member.1", "us-east-1a"),
                    ("AvailabilityZones.member.2", "us-east-1b"),
                    ("AvailabilityZones.member.3", "us-east-1c"),
                ],
            )
            .unwrap();
        self.elb(
            "ConfigureHealthCheck",
            &[
                ("LoadBalancerName", name),
                ("HealthCheck.Target", "HTTP:8080/"),
                ("HealthCheck.Interval", "2"),
                ("HealthCheck.Timeout", "1"),
                ("HealthCheck.HealthyThreshold", "2"),
                ("HealthCheck.UnhealthyThreshold", "2"),
            ],
        )
        .unwrap();
        tag(&created, "DNSName").unwrap()
    }

    pub fn register(&self, balancer: &str, id: &str) {
        let parameters = [("LoadBalancerName", balancer), ("Instances.member.1.InstanceId", id)];
        self.elb("RegisterInstancesWithLoadBalancer", &parameters).unwrap();
    }

    pub fn deregister(&self, balancer: &str, id: &str) {
        let parameters = [("LoadBalancerName", balancer), ("Instances.member.1.InstanceId", id)];
        self.elb("DeregisterInstancesFromLoadBalancer", &parameters).unwrap();
    }

    pub fn health(&self, balancer: &str) -> Vec<(String, String)> {
        let answer = self.elb("DescribeInstanceHealth", &[("LoadBalancerName", balancer)]).unwrap();
        let members = answer.split("<member>").skip(1);
        members.map(|m| (tag(m, "InstanceId").unwrap(), tag(m, "State").unwrap())).collect()
    }
}

/// The first `<name>…</name>` of an answer.
pub fn tag(xml: &str, name: &str) -> Option<String> {
    let after = xml.split(&format!("<{name}>")).nth(1)?;
    Some(after.split('<').next()?.to_owned())
}

/// GET over a connection of its own.
pub fn get(host: &str, port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let address: SocketAddr = format!("{host}:{port}").parse().map_err(std::io::Error::other)?;
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

fn exchange(address: SocketAddr, request: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no HTTP answer"))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.map(|status| (status, body.to_owned())).ok_or_else(|| std::io::Error::other("no status"))
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Process ids whose command line contains `text`.
pub fn processes_with(text: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text)
        })
        .collect()
}
