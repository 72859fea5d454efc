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
fn boto3_makes_target_groups() {
    python("target_groups", quick());
}

#[test]
fn boto3_makes_application_and_network_balancers() {
    let delays = Delays { provisioning_ms: 500, ..quick().delays };
    python("load_balancers", Config { delays, ..quick() });
}

#[test]
fn boto3_registers_and_drains_targets() {
    python("targets", quick());
}

#[test]
fn boto3_meets_faults_of_target_groups_and_parameters() {
    let error = |action: &str, status, code: &str| {
        let kind = FaultKind::Error { code: code.to_owned(), status, message: String::new() };
        Fault { action: action.to_owned(), skip: 0, times: 1, kind }
    };
    let faults = vec![
        error("RegisterTargets", 500, "InternalFailure"),
        error("GetParameter", 500, "InternalServerError"),
    ];
    let throttles = vec![Throttle { action: "DescribeTargetHealth".to_owned(), burst: 0, per_second: 0.0 }];
    let bench = Bench::start(Config { faults, throttles, ..quick() });
    clients::boto3(&bench.endpoint, "target_faults");
    let named = bench.calls().into_iter().map(|call| (call.service, call.action, call.outcome, call.fault));
    let call = |service: &str, action: &str, outcome: &str, fault: Option<&str>| {
        (service.to_owned(), action.to_owned(), outcome.to_owned(), fault.map(str::to_owned))
    };
    let expected = [
        call("elasticloadbalancing", "RegisterTargets", "InternalFailure", Some("error")),
        call("elasticloadbalancing", "DescribeTargetHealth", "Throttling", None),
        call("ssm", "GetParameter", "InternalServerError", Some("error")),
    ];
    assert_eq!(named.collect::<Vec<_>>(), expected);
}

#[test]
fn boto3_reads_and_writes_parameters() {
    let bench = Bench::start(quick());
    clients::boto3(&bench.endpoint, "parameters");
    bench.assert_nothing_ignored();
    let log = serde_json::to_string(&bench.calls()).expect("json");
    assert!(log.contains("/images/web") && !log.contains("ami-2"), "{log}");
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

#[test]
fn the_aws_command_deploys_to_a_target_group() {
    let bench = Bench::start(quick());
    let aws = Aws(&bench.endpoint);
    let id = launch_by_command(&aws);
    let vpc = aws.ask(&["ec2", "describe-vpcs"], "Vpcs[0].VpcId");
    let make = ["elbv2", "create-target-group", "--name", "web", "--protocol", "HTTP", "--port", "8080"];
    let group = aws.ask(&[&make[..], &["--vpc-id", &vpc]].concat(), "TargetGroups[0].TargetGroupArn");
    let subnets = ["--subnets", "subnet-00000000000000001", "subnet-00000000000000002"];
    let make = [&["elbv2", "create-load-balancer", "--name", "web"], &subnets[..]].concat();
    let balancer = aws.ask(&make, "LoadBalancers[0].LoadBalancerArn");
    aws.run(&["elbv2", "wait", "load-balancer-available", "--load-balancer-arns", &balancer]);
    let action = format!("Type=forward,TargetGroupArn={group}");
    let listener = ["elbv2", "create-listener", "--protocol", "HTTP", "--port", "80"];
    aws.run(&[&listener[..], &["--load-balancer-arn", &balancer, "--default-actions", &action]].concat());
    let delay = "Key=deregistration_delay.timeout_seconds,Value=1";
    let of_group = ["--target-group-arn", &group];
    let on_group = |action: &str, more: &[&str]| aws.run(&[&["elbv2", action], &of_group[..], more].concat());
    on_group("modify-target-group-attributes", &["--attributes", delay]);
    let target = format!("Id={id}");
    on_group("register-targets", &["--targets", &target]);
    aws.run(&["elbv2", "wait", "target-in-service", "--target-group-arn", &group]);
    let health = [&["elbv2", "describe-target-health"], &of_group[..]].concat();
    assert_eq!(aws.ask(&health, "TargetHealthDescriptions[0].TargetHealth.State"), "healthy");
    on_group("deregister-targets", &["--targets", &target]);
    let wait = ["elbv2", "wait", "target-deregistered", "--targets", &target];
    aws.run(&[&wait[..], &of_group].concat());
    aws.run(&["elbv2", "delete-load-balancer", "--load-balancer-arn", &balancer]);
    aws.run(&["elbv2", "delete-target-group", "--target-group-arn", &group]);
    let name = ["ssm", "get-parameter", "--name", "/aws/service/mayfly/bare/latest"];
    assert!(aws.ask(&name, "Parameter.Value").starts_with("ami-"));
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
