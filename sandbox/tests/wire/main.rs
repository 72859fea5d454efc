//! Drives the API with real AWS clients, boto3 and the `aws` command, and checks what they make of its answers.
//!
//! Instances are not real here: an executor in the test answers every effect at once, so that only the wire and the
//! cloud's records are looked at.
// Effects: real sockets and processes.
#![allow(clippy::disallowed_methods)]
mod bench;
mod clients;
mod raw;

use bench::Bench;
use mayfly_sandbox::world::{Capacity, Config, Delays, Fault, FaultKind, Throttle};

fn quick() -> Config {
    Config { delays: Delays { pending_ms: 20, shutting_down_ms: 20, ..Delays::none() }, ..Config::default() }
}

fn python(function: &str, config: Config) {
    let bench = Bench::start(config);
    clients::boto3(&bench.endpoint, function);
    bench.assert_nothing_ignored();
}

#[test]
fn boto3_runs_describes_and_terminates_instances() {
    python("instances", quick());
}

#[test]
fn boto3_stops_starts_and_changes_instances() {
    python("stop_start_and_attributes", quick());
}

#[test]
fn boto3_pages_and_filters() {
    python("pages_and_filters", quick());
}

#[test]
fn boto3_makes_and_removes_images() {
    python("images", quick());
}

#[test]
fn boto3_sees_the_network() {
    python("network", quick());
}

#[test]
fn boto3_uses_launch_templates() {
    python("launch_templates", quick());
}

#[test]
fn boto3_balances() {
    python("balancers", quick());
}

#[test]
fn boto3_understands_errors() {
    python("errors", quick());
}

#[test]
fn boto3_waits_out_eventual_consistency() {
    // Long enough for two calls on a busy machine.
    let delays = Delays { visible_ms: 4_000, pending_ms: 100, ..Delays::none() };
    python("eventual_consistency", Config { delays, ..Config::default() });
}

#[test]
fn boto3_repeats_a_lost_launch_and_gets_the_same_instance() {
    let lost =
        Fault { action: "RunInstances".to_owned(), skip: 0, times: 1, kind: FaultKind::LostAfterEffect };
    python("lost_answer", Config { faults: vec![lost], ..quick() });
}

#[test]
fn boto3_times_out_on_a_hanging_call_and_repeats_it() {
    let hang = Fault { action: "DescribeInstances".to_owned(), skip: 0, times: 1, kind: FaultKind::Hang };
    python("hanging_call", Config { faults: vec![hang], ..quick() });
}

#[test]
fn boto3_sees_throttling_and_missing_capacity() {
    let throttles = vec![Throttle { action: "DescribeVpcs".to_owned(), burst: 1, per_second: 0.0 }];
    let capacity = vec![Capacity { instance_type: Some("m5.large".to_owned()), zone: None, max: 2 }];
    python("limits", Config { throttles, capacity, ..quick() });
}

#[test]
fn the_aws_command_tells_the_whole_story() {
    let bench = Bench::start(quick());
    let aws = Aws(&bench.endpoint);
    let id = launch_by_command(&aws);
    balance_by_command(&aws, &id);
    aws.run(&["ec2", "terminate-instances", "--instance-ids", &id]);
    aws.run(&["ec2", "wait", "instance-terminated", "--instance-ids", &id]);
    assert_eq!(aws.ask(&["sts", "get-caller-identity"], "Account"), "000000000000");
    bench.assert_nothing_ignored();
}

struct Aws<'a>(&'a str);

impl Aws<'_> {
    fn run(&self, arguments: &[&str]) -> String {
        clients::aws(self.0, arguments)
    }

    /// One value of the answer.
    fn ask(&self, arguments: &[&str], query: &str) -> String {
        let all: Vec<&str> =
            arguments.iter().copied().chain(["--query", query, "--output", "text"]).collect();
        self.run(&all)
    }
}

fn launch_by_command(aws: &Aws<'_>) -> String {
    let by_name = ["--owners", "self", "--filters", "Name=name,Values=mayfly-bare-*"];
    let image = aws.ask(&[&["ec2", "describe-images"], &by_name[..]].concat(), "Images[0].ImageId");
    let machine = ["--image-id", &image, "--instance-type", "t3.micro", "--user-data", "#!/bin/sh\ntrue\n"];
    let tags = ["--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=web}]"];
    let id = aws.ask(&[&["ec2", "run-instances"], &machine[..], &tags].concat(), "Instances[0].InstanceId");
    aws.run(&["ec2", "wait", "instance-running", "--instance-ids", &id]);
    aws.run(&["ec2", "wait", "instance-status-ok", "--instance-ids", &id]);
    let console = aws.ask(&["ec2", "get-console-output", "--instance-id", &id], "Output");
    assert_eq!(console, "console of the machine & more");
    let filter = format!("Name=resource-id,Values={id}");
    assert_eq!(aws.ask(&["ec2", "describe-tags", "--filters", &filter], "Tags[0].Value"), "web");
    id
}

fn balance_by_command(aws: &Aws<'_>, id: &str) {
    let name = ["--load-balancer-name", "web"];
    let elb = |action: &str, more: &[&str]| aws.run(&[&["elb", action], &name[..], more].concat());
    let listener = "Protocol=HTTP,LoadBalancerPort=80,InstanceProtocol=HTTP,InstancePort=8080";
    elb("create-load-balancer", &["--availability-zones", "us-east-1a", "--listeners", listener]);
    let check = "Target=HTTP:8080/ready,Interval=5,Timeout=2,UnhealthyThreshold=2,HealthyThreshold=2";
    elb("configure-health-check", &["--health-check", check]);
    elb("register-instances-with-load-balancer", &["--instances", id]);
    aws.run(&["elb", "wait", "any-instance-in-service", "--load-balancer-name", "web"]);
    elb("deregister-instances-from-load-balancer", &["--instances", id]);
    aws.run(&["elb", "wait", "instance-deregistered", "--load-balancer-name", "web", "--instances", id]);
    let dns = aws.ask(&["elb", "describe-load-balancers"], "LoadBalancerDescriptions[0].DNSName");
    assert_eq!(dns, "127.78.0.1");
}
