//! One winner, wherever the lock is kept.

use crate::bench::{Bench, CLASSIC};
use std::process::{Output, Stdio};
use std::sync::mpsc::channel;

const ROUNDS: u32 = 3;

#[test]
fn of_two_deployments_one_wins_and_the_other_names_it() {
    let bench = Bench::classic();
    race(&bench);
}

#[test]
fn of_two_deployments_one_wins_the_object_in_a_bucket() {
    let bench = Bench::with(CLASSIC);
    bench.moto.boto3(
        "s3.create_bucket(Bucket='acme-locks-' + region, **({} if region == 'us-east-1' else \
         {'CreateBucketConfiguration': {'LocationConstraint': region}}))",
    );
    let bucket = bench.moto.boto3("print('acme-locks-' + region)");
    bench.write_spec(&format!(
        "load_balancer: {{classic: front}}\nlock: {{bucket: {bucket}, prefix: locks/}}\n"
    ));
    race(&bench);
    let left = bench.moto.boto3(&format!("print(s3.list_objects_v2(Bucket='{bucket}').get('Contents', []))"));
    assert_eq!(left, "[]");
}

/// The winner is held at a hook until the loser has ended, so that there always is one.
fn race(bench: &Bench) {
    let spec = std::fs::read_to_string(bench.folder.path().join("mayfly.yaml")).expect("the spec");
    let over = bench.folder.path().join("over");
    let hook = format!(
        "hooks: [{{before: record, shell: 'until [ -e {0} ]; do sleep 0.05; done'}}]\n",
        over.display()
    );
    bench.write_text(&format!("{spec}{hook}"));
    for round in 1..=ROUNDS {
        let (sender, ended) = channel();
        let pids = [0, 1].map(|number| {
            let mut command = bench.command(&["deploy"]);
            let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("mayfly starts");
            let (pid, sender) = (child.id(), sender.clone());
            std::thread::spawn(move || sender.send((number, child.wait_with_output())));
            pid
        });
        let next = || {
            let (number, output): (usize, std::io::Result<Output>) = ended.recv().expect("both end");
            let output = output.expect("it can be waited for");
            (number, output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (loser, code, said) = next();
        assert_eq!(code, Some(4), "round {round}: {said}");
        let winner = format!("(process {})", pids[1 - loser]);
        assert!(said.contains(&winner), "round {round}: no {winner} in {said}");
        std::fs::write(&over, "").expect("a file");
        let (_, code, said) = next();
        assert_eq!(code, Some(0), "round {round}: {said}");
        bench.settled(2, &format!("round {round}"));
        std::fs::remove_file(&over).expect("a file");
    }
}

/// A lock of a machine that is not this one is left alone while its lease holds, named, and taken over afterwards.
#[test]
fn the_lock_of_another_machine_holds_until_its_lease_is_over() {
    let bench = Bench::classic();
    bench.deploy();
    let lock = |since: &str, until: &str| {
        bench.moto.boto3(&format!(
            "tags = {{'mayfly:service': 'greeter', 'mayfly:environment': 'production', 'mayfly:lock-token': 't',
    'mayfly:lock-who': 'ann@far', 'mayfly:lock-place': 'far', 'mayfly:lock-process': '1/1',
    'mayfly:lock-job': 'https://ci.example.org/7', 'mayfly:lock-since': '{since}', 'mayfly:lock-until': '{until}'}}
ec2.create_launch_template(LaunchTemplateName='mayfly-lock-greeter-production',
    LaunchTemplateData={{'ImageId': image}}, TagSpecifications=[{{'ResourceType': 'launch-template',
    'Tags': [{{'Key': k, 'Value': v}} for k, v in tags.items()]}}])"
        ))
    };
    lock("2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    let said = bench.ends_with(4, &["deploy"]);
    assert!(said.contains("ann@far") && said.contains("https://ci.example.org/7"), "{said}");
    bench.moto.boto3("ec2.delete_launch_template(LaunchTemplateName='mayfly-lock-greeter-production')");
    lock("2000-01-01T00:00:00Z", "2000-01-01T00:10:00Z");
    bench.deploy();
    bench.settled(2, "after the lease");
}
