//! A project with its cloud: a state repository and a spec, the program that deploys, and what the cloud then holds.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::server::Moto;
use crate::support::run;

/// A classic balancer over all zones.
pub(crate) const CLASSIC: &str = "
zones = [z['ZoneName'] for z in ec2.describe_availability_zones()['AvailabilityZones']]
listener = {'Protocol': 'HTTP', 'LoadBalancerPort': 80, 'InstancePort': 8080}
elb.create_load_balancer(LoadBalancerName='front', Listeners=[listener], AvailabilityZones=zones)";

/// A target group of each kind that instances can be in, each behind a balancer of its own.
pub(crate) const GROUPS: &str = "
subnets = ec2.describe_subnets()['Subnets']
def group(name, kind, protocol, target):
    ids = [s['SubnetId'] for s in subnets]
    balancer = elbv2.create_load_balancer(Name=name, Type=kind, Subnets=ids)['LoadBalancers'][0]['LoadBalancerArn']
    made = elbv2.create_target_group(Name=name, Protocol=protocol, Port=8080, VpcId=subnets[0]['VpcId'],
        TargetType=target, HealthCheckProtocol='HTTP', HealthCheckPath='/health')['TargetGroups'][0]['TargetGroupArn']
    delay = {'Key': 'deregistration_delay.timeout_seconds', 'Value': '0'}
    elbv2.modify_target_group_attributes(TargetGroupArn=made, Attributes=[delay])
    forward = {'Type': 'forward', 'TargetGroupArn': made}
    elbv2.create_listener(LoadBalancerArn=balancer, Protocol=protocol, Port=80, DefaultActions=[forward])
group('front-web', 'application', 'HTTP', 'instance')
group('front-tcp', 'network', 'TCP', 'instance')
group('front-ip', 'application', 'HTTP', 'ip')";

/// Live instances with their tags, the members of every balancer by its name, and the locks.
const LIVE: &str = "
pages = ec2.get_paginator('describe_instances').paginate(
    Filters=[{'Name': 'instance-state-name', 'Values': ['pending', 'running']}])
live = [i for p in pages for r in p['Reservations'] for i in r['Instances']]
tags = lambda i: {t['Key']: t['Value'] for t in i.get('Tags', [])}
by_address = {i['PrivateIpAddress']: i['InstanceId'] for i in live}
members = {}
for b in elb.describe_load_balancers()['LoadBalancerDescriptions']:
    states = elb.describe_instance_health(LoadBalancerName=b['LoadBalancerName'])['InstanceStates']
    # What is registered twice is listed twice, unlike on AWS.
    members[b['LoadBalancerName']] = sorted({s['InstanceId'] for s in states if s['State'] == 'InService'})
for g in elbv2.describe_target_groups()['TargetGroups']:
    health = elbv2.describe_target_health(TargetGroupArn=g['TargetGroupArn'])['TargetHealthDescriptions']
    ids = [h['Target']['Id'] for h in health if h['TargetHealth']['State'] == 'healthy']
    members[g['TargetGroupName']] = sorted(by_address.get(i, i) for i in ids)
names = [t['LaunchTemplateName'] for t in ec2.describe_launch_templates()['LaunchTemplates']]
print(json.dumps({'instances': {i['InstanceId']: tags(i) for i in live}, 'members': members,
    'locks': [n for n in names if 'lock' in n]}))";

pub(crate) struct Bench {
    pub(crate) moto: Moto,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// Two instances behind one classic balancer.
    pub(crate) fn classic() -> Self {
        let bench = Self::with(CLASSIC);
        bench.write_spec("load_balancer: {classic: front}\n");
        bench
    }

    /// A cloud that is prepared so, and a state repository with one commit.
    pub(crate) fn with(prepare: &str) -> Self {
        let moto = Moto::start();
        moto.boto3(prepare);
        let bench = Self { moto, folder: tempfile::tempdir().expect("a folder") };
        bench.git(&["init", "--quiet", "--initial-branch=main", "states"]);
        bench.commit("one");
        bench
    }

    /// Two instances, and whatever `more` says.
    pub(crate) fn write_spec(&self, more: &str) {
        let image = self.moto.boto3("print(image)");
        self.write_text(&format!(
            "service: greeter\nrole: web\ncount: 2\nimage: {image}\ninstance_type: t3.micro\n{}\
             probe: none\ntags: {{team: web}}\n{more}",
            self.states()
        ));
    }

    pub(crate) fn write_text(&self, spec: &str) {
        std::fs::write(self.folder.path().join("mayfly.yaml"), spec).expect("the spec is written");
    }

    /// The spec's line that says where the states are.
    pub(crate) fn states(&self) -> String {
        let deploy_url = PathBuf::from(self.folder.path()).join("states");
        let url = "https://git.example.org/states.git";
        format!("states: {{url: '{url}', deploy_url: 'file://{}'}}\n", deploy_url.display())
    }

    fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        run(Command::new("git").args(who).args(args).current_dir(self.folder.path()))
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["-C", "states", "commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["-C", "states", "rev-parse", "HEAD"])
    }

    /// The program itself, away from the AWS settings of whoever runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "MAYFLY_FILE", "MAYFLY_ENV", "MAYFLY_KILL_AT"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(self.moto.environment());
        command
    }

    pub(crate) fn mayfly(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("mayfly starts")
    }

    /// Runs it to this exit code; what it said.
    pub(crate) fn ends_with(&self, code: i32, args: &[&str]) -> String {
        let output = self.mayfly(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// What a command that succeeds prints as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.mayfly(&[args, &["--output", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Deploys; the events, one a line.
    pub(crate) fn deploy(&self) -> Vec<Value> {
        let output = self.mayfly(&["deploy", "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("one event a line")).collect()
    }

    pub(crate) fn live(&self) -> Value {
        self.moto.json(LIVE)
    }

    /// So many instances of one deployment, in service with every balancer, no lock; their ids.
    pub(crate) fn settled(&self, count: usize, context: &str) -> BTreeSet<String> {
        let live = self.live();
        let instances = live["instances"].as_object().expect("instances");
        let ids: BTreeSet<String> = instances.keys().cloned().collect();
        assert_eq!(ids.len(), count, "{context}: {live:#}");
        let members = live["members"].as_object().expect("members");
        assert!(!members.is_empty() && members.values().all(|all| *all == json!(ids)), "{context}: {live:#}");
        let deployments: BTreeSet<_> =
            instances.values().map(|tags| tags["mayfly:deployment"].to_string()).collect();
        assert_eq!(deployments.len(), 1, "{context}: {live:#}");
        assert_eq!(live["locks"], json!([]), "{context}");
        ids
    }

    /// Number and ending of every deployment, newest first.
    pub(crate) fn endings(&self) -> Vec<(i64, String)> {
        let history = self.json(&["history"]);
        let entry = |entry: &Value| (entry["number"].as_i64(), entry["ending"].as_str().map(str::to_owned));
        let all = history.as_array().expect("a list").iter().map(entry);
        all.map(|(number, ending)| (number.expect("a number"), ending.expect("an ending"))).collect()
    }

    /// The number that a deployment repeats, by the words of its record.
    pub(crate) fn repeats(&self, number: u32) -> Option<u32> {
        let description = self.moto.boto3(&format!(
            "name = 'mayfly-greeter-production'
v = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=['{number}'])
print(v['LaunchTemplateVersions'][0]['VersionDescription'])"
        ));
        let (_, word) = description.split_once("rollback-of=")?;
        word.split_whitespace().next()?.parse().ok()
    }

    /// The user-data of an instance, as it finds it.
    pub(crate) fn user_data(&self, id: &str) -> String {
        self.moto.boto3(&format!(
            "import base64
a = ec2.describe_instance_attribute(InstanceId='{id}', Attribute='userData')
print(base64.b64decode(a['UserData']['Value']).decode())"
        ))
    }
}
