//! The first thing anybody does with EC2, by the unmodified `aws` command and by boto3, on instances that run.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "wire/clients.rs"]
#[allow(dead_code)]
mod clients;
mod support;

use support::{http_server, sandbox_with};

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_command_runs_balances_and_terminates_an_instance() {
    // The cloud's own delays, as people see them.
    let sandbox = sandbox_with(|config| config.world = mayfly_sandbox::world::Config::default()).await;
    let endpoint = sandbox.handle.endpoint().to_owned();
    let user_data = sandbox.dir.path().join("user-data");
    std::fs::write(&user_data, http_server("through the balancer")).unwrap();
    let user_data = format!("file://{}", user_data.display());
    tokio::task::spawn_blocking(move || story(&endpoint, &user_data)).await.unwrap();
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_runs_balances_and_terminates_an_instance() {
    let sandbox = sandbox_with(|config| config.world = mayfly_sandbox::world::Config::default()).await;
    let endpoint = sandbox.handle.endpoint().to_owned();
    let user_data = http_server("through the balancer");
    let told = tokio::task::spawn_blocking(move || clients::boto3_with(&endpoint, "story", &[&user_data]));
    told.await.unwrap();
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_command_registers_asks_drains_and_terminates_a_target() {
    let sandbox = sandbox_with(|config| config.world = mayfly_sandbox::world::Config::default()).await;
    let endpoint = sandbox.handle.endpoint().to_owned();
    let user_data = sandbox.dir.path().join("user-data");
    std::fs::write(&user_data, http_server("through the balancer")).unwrap();
    let user_data = format!("file://{}", user_data.display());
    tokio::task::spawn_blocking(move || target_story(&endpoint, &user_data)).await.unwrap();
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_registers_asks_drains_and_terminates_a_target() {
    let sandbox = sandbox_with(|config| config.world = mayfly_sandbox::world::Config::default()).await;
    let endpoint = sandbox.handle.endpoint().to_owned();
    let user_data = http_server("through the balancer");
    let told =
        tokio::task::spawn_blocking(move || clients::boto3_with(&endpoint, "target_story", &[&user_data]));
    told.await.unwrap();
    sandbox.handle.down().await.unwrap();
}

fn target_story(endpoint: &str, user_data: &str) {
    let aws = |line: &str, more: &[&str]| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend_from_slice(more);
        words.extend_from_slice(&["--output", "text"]);
        clients::aws(endpoint, &words)
    };
    let vpc = aws("ec2 describe-vpcs --query Vpcs[0].VpcId", &[]);
    let check =
        "--health-check-interval-seconds 5 --health-check-timeout-seconds 2 --healthy-threshold-count 2";
    let query = "--query TargetGroups[0].TargetGroupArn";
    let make = format!("elbv2 create-target-group --name web --protocol HTTP --port 8080 {check} {query}");
    let group = aws(&make, &["--vpc-id", &vpc]);
    let make = "elbv2 create-load-balancer --name web --query LoadBalancers[0].[LoadBalancerArn,DNSName]";
    let made = aws(make, &["--subnets", "subnet-00000000000000001", "subnet-00000000000000002"]);
    let (balancer, name) = made.split_once(char::is_whitespace).unwrap();
    aws("elbv2 wait load-balancer-available --load-balancer-arns", &[balancer]);
    let action = format!("Type=forward,TargetGroupArn={group}");
    let listener = ["--load-balancer-arn", balancer, "--default-actions", &action];
    aws("elbv2 create-listener --protocol HTTP --port 8080", &listener);
    let of_group = |line: &str, more: &[&str]| aws(line, &[&["--target-group-arn", &group], more].concat());
    let delay = "Key=deregistration_delay.timeout_seconds,Value=10";
    of_group("elbv2 modify-target-group-attributes", &["--attributes", delay]);

    let image =
        aws("ssm get-parameter --query Parameter.Value --name /aws/service/mayfly/debian/stable/latest", &[]);
    let launch = ["--image-id", &image, "--user-data", user_data, "--query", "Instances[0].InstanceId"];
    let id = aws("ec2 run-instances --instance-type t3.micro --count 1", &launch);
    aws("ec2 wait instance-running --instance-ids", &[&id]);
    let target = format!("Id={id}");
    of_group("elbv2 register-targets", &["--targets", &target]);
    of_group("elbv2 wait target-in-service", &[]);
    let url = format!("http://{name}:8080/");
    let ask = || std::process::Command::new("curl").args(["-sS", "-m", "30", &url]).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&ask()), "through the balancer");

    of_group("elbv2 deregister-targets", &["--targets", &target]);
    let state = "elbv2 describe-target-health --query TargetHealthDescriptions[0].TargetHealth.State";
    assert_eq!(of_group(state, &[]), "draining");
    assert_eq!(String::from_utf8_lossy(&ask()), "", "no new request goes to it");
    of_group("elbv2 wait target-deregistered", &["--targets", &target]);
    aws("ec2 terminate-instances --instance-ids", &[&id]);
    aws("ec2 wait instance-terminated --instance-ids", &[&id]);
    aws("elbv2 delete-load-balancer --load-balancer-arn", &[balancer]);
    of_group("elbv2 delete-target-group", &[]);
}

fn story(endpoint: &str, user_data: &str) {
    let aws = |line: &str, more: &[&str]| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend_from_slice(more);
        words.extend_from_slice(&["--output", "text"]);
        clients::aws(endpoint, &words)
    };
    let image = ["--filters", "Name=name,Values=sandbox/debian-stock-*", "--query", "Images[0].ImageId"];
    let image = aws("ec2 describe-images", &image);
    let launch = ["--image-id", &image, "--user-data", user_data, "--query", "Instances[0].InstanceId"];
    let id = aws("ec2 run-instances --instance-type t3.micro --count 1", &launch);
    aws("ec2 wait instance-running --instance-ids", &[&id]);
    let console = || aws("ec2 get-console-output --query Output --instance-id", &[&id]);
    // Each try is a process of its own and takes most of a second.
    assert!((0..60).any(|_| console().contains("server starts")), "{}", console());

    let listener = "Protocol=HTTP,LoadBalancerPort=8080,InstanceProtocol=HTTP,InstancePort=8080";
    let zones = ["--availability-zones", "us-east-1a", "us-east-1b", "us-east-1c"];
    let create = [["--listeners", listener].as_slice(), &zones, &["--query", "DNSName"]].concat();
    let name = aws("elb create-load-balancer --load-balancer-name web", &create);
    let check = "Target=HTTP:8080/,Interval=5,Timeout=2,HealthyThreshold=2,UnhealthyThreshold=2";
    aws("elb configure-health-check --load-balancer-name web --health-check", &[check]);
    aws("elb register-instances-with-load-balancer --load-balancer-name web --instances", &[&id]);
    aws("elb wait any-instance-in-service --load-balancer-name web", &[]);
    let url = format!("http://{name}:8080/");
    let output = std::process::Command::new("curl").args(["-sS", "-m", "30", &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "through the balancer");

    aws("ec2 terminate-instances --instance-ids", &[&id]);
    aws("ec2 wait instance-terminated --instance-ids", &[&id]);
    let health = aws("elb describe-instance-health --load-balancer-name web", &[]);
    assert!(!health.contains(&id), "{health}");
}
