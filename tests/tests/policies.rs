//! The IAM policies that `mayfly init` writes allow exactly what the commands ask of a cloud: no action is missing and none
//! is there in vain, and what changes something stays within the resources and tags that the policy names.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::bucket::Bucket;
use mayfly_tests::iam::{Context, Policy};
use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::{Call, Cloud, IMAGE};
use mayfly_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Rights that no call of their own shows: AWS checks them within `RunInstances`, `DeregisterImage` and `GetObject`.
const WITHIN: [&str; 3] = ["iam:PassRole", "ec2:DeleteSnapshot", "s3:ListBucket"];
/// The API versions of both kinds of load balancing: IAM names their actions alike.
const CLASSIC: &str = "2012-06-01";
const TARGETS: &str = "2015-12-01";

/// A service, from `mayfly init` on.
struct Service {
    cloud: Cloud,
    bucket: Option<Bucket>,
    policy: Policy,
    /// Calls of the test itself.
    before: usize,
}

impl Service {
    /// With what `init` is told of balancers, lock and image.
    fn begin(cloud: Cloud, bucket: Option<Bucket>, args: &[&str]) -> Self {
        let (states, folder) = (cloud.repo_url(), cloud.folder.path().join("begun"));
        let mut init = cloud.mayfly(&["init", "--service", "greeter", "--states", &states, "--folder"]);
        run_ok(init.arg(&folder).args(args).args(["--region", "us-east-1", "--account", "000000000000"]));
        let policy = Policy::parse(&std::fs::read_to_string(folder.join("iam/deployer.json")).unwrap());
        let before = cloud.calls().len();
        Self { cloud, bucket, policy, before }
    }

    fn mayfly(&self, args: &[&str]) -> Command {
        let mut command = self.cloud.mayfly(args);
        command.envs(self.bucket.as_ref().map(|bucket| ("AWS_ENDPOINT_URL_S3", bucket.endpoint.clone())));
        command
    }

    fn ok(&self, args: &[&str]) -> String {
        run_ok(&mut self.mayfly(args))
    }

    fn ends_with(&self, code: i32, args: &[&str]) {
        let output = run(&mut self.mayfly(args));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    }

    /// Killed as by a power cut, then finished by `recover`.
    fn killed_and_recovered(&self) {
        let status = run(self.mayfly(&["deploy", "--yes"]).env("MAYFLY_KILL_AT", "after-launch")).status;
        assert!(!status.success(), "{status}");
        let status = self.ok(&["status"]);
        assert!(status.contains("it is gone, and `mayfly recover` finishes its work"), "{status}");
        self.ok(&["recover", "--yes"]);
    }

    /// An image that nobody uses any more goes; the one that is there is shared and copied to another region.
    fn images(&self) {
        self.ok(&["bake", "--role", "web"]);
        self.ok(&["bake", "--role", "web", "--force"]);
        self.ok(&["images", "list"]);
        let removed = self.ok(&["images", "gc", "--keep", "1", "--yes"]);
        assert_eq!(removed.lines().count(), 1, "{removed}");
        self.ok(&["images", "share", "last:web", "--account", "111122223333"]);
        self.ok(&["images", "copy", "last:web", "--region", "eu-north-1"]);
    }

    /// A bake that is told to stop while its image is being made: the image and its snapshot go again.
    fn interrupted_bake(&self) {
        self.cloud.configure(r#"{"delays": {"image_ms": 600000}}"#);
        let images = self.cloud.images().len();
        let mut bake = self.mayfly(&["bake", "--role", "web"]);
        let mut child = bake.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait::until("the image is being made", Duration::from_secs(60), || {
            if self.cloud.images().len() > images { Ok(()) } else { Err(images) }
        });
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(self.cloud.images().len(), images);
        self.cloud.configure("{}");
    }

    /// Every strategy and every command, with the spec's other keys as `write` puts them beside what it is given.
    fn live_through(&self, write: &dyn Fn(&str)) {
        for strategy in ["", "strategy: {rolling: {batch: 1}}\n", "strategy: {canary: {size: 1, soak: 1s}}\n"]
        {
            write(strategy);
            self.ok(&["deploy", "--yes"]);
        }
        write("strategy: {canary: {size: 1, promote: manual}}\n");
        for ending in ["promote", "abort"] {
            self.ok(&["deploy", "--yes"]);
            self.ok(&[ending, "--yes"]);
        }
        write("hooks: [{before: deregister-old, run: [/bin/false]}]\n");
        self.ends_with(2, &["deploy", "--yes"]);
        write("");
        self.ok(&["rollback", "--yes"]);
        self.killed_and_recovered();
        for args in
            [&["history"][..], &["diff", "1", "2"], &["status"], &["inventory"], &["unlock"], &["plan"]]
        {
            self.ok(args);
        }
        self.interrupted_bake();
        self.images();
    }

    /// Holds the policy against all that was asked; `other` is the API version that the service has no business with.
    fn assert_exact(&self, other: &str) {
        let calls = self.cloud.calls().split_off(self.before);
        let version = |call: &Call| call.parameters.get("Version").cloned().unwrap_or_default();
        assert!(
            calls.iter().all(|call| version(call) != other),
            "the other kind of load balancing was asked"
        );
        let objects = self.bucket.as_ref().map(Bucket::asked).unwrap_or_default();
        let of_objects = objects.iter().map(|(action, _)| action.clone());
        let asked: BTreeSet<String> =
            calls.iter().map(|call| call.action.clone()).chain(of_objects).collect();
        let mut allowed = self.policy.actions();
        for right in WITHIN {
            assert!(allowed.remove(right) || right.starts_with("s3:") && self.bucket.is_none(), "{right}");
        }
        assert_eq!(asked, allowed);
        for (action, resource) in &objects {
            assert!(self.policy.allows(action, resource, &Context::new()), "{action} {resource}");
        }
        for call in &calls {
            for (resource, context) in reached(call) {
                assert!(
                    self.policy.allows(&call.action, &resource, &context),
                    "{resource} {context:?} {call:#?}"
                );
            }
        }
        self.assert_ends_at_the_service();
    }

    /// What is another service's is out of reach.
    fn assert_ends_at_the_service(&self) {
        let tag = |service: &str| Context::from([("aws:ResourceTag/mayfly:service".into(), service.into())]);
        let region = |context: Context| {
            let region = ("aws:RequestedRegion".to_owned(), "us-east-1".to_owned());
            context.into_iter().chain([region]).collect::<Context>()
        };
        let instance = "arn:aws:ec2:us-east-1:000000000000:instance/i-1";
        let may = |context: Context| self.policy.allows("ec2:TerminateInstances", instance, &context);
        assert!(may(region(tag("greeter"))), "its own");
        assert!(!may(region(tag("other"))) && !may(region(Context::new())), "another's");
        assert!(!may(tag("greeter")), "another region");
        let launch = |context| self.policy.allows("ec2:RunInstances", instance, &context);
        assert!(!launch(region(Context::new())), "without the tag");
        let image = "arn:aws:ec2:us-east-1::image/ami-1";
        for action in ["ec2:DeregisterImage", "ec2:ModifyImageAttribute", "ec2:CopyImage"] {
            assert!(self.policy.allows(action, image, &region(tag("greeter"))), "{action}");
            assert!(!self.policy.allows(action, image, &region(tag("other"))), "{action}");
        }
        let balancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000";
        for (action, resource) in [
            ("RegisterInstancesWithLoadBalancer", format!("{balancer}:loadbalancer/other")),
            ("RegisterTargets", format!("{balancer}:targetgroup/other/1")),
        ] {
            let action = format!("elasticloadbalancing:{action}");
            assert!(!self.policy.allows(&action, &resource, &region(Context::new())), "{action}");
        }
    }
}

/// The resources that a call's own words name, each with what is known of it there: the tags that it is to be born with.
fn reached(call: &Call) -> Vec<(String, Context)> {
    let of = |key: &str| call.parameters.get(key).cloned();
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:000000000000:{rest}");
    let named = |resource| vec![(resource, Context::new())];
    let born = |kinds: &[&str]| {
        let one = |kind: &&str| (arn("ec2", &format!("{kind}/new")), birth(call, kind));
        kinds.iter().map(one).collect::<Vec<_>>()
    };
    let (_, action) = call.action.split_once(':').unwrap();
    match action {
        "RegisterInstancesWithLoadBalancer" | "DeregisterInstancesFromLoadBalancer" => {
            let name = of("LoadBalancerName").unwrap();
            named(arn("elasticloadbalancing", &format!("loadbalancer/{name}")))
        }
        "RegisterTargets" | "DeregisterTargets" => named(of("TargetGroupArn").unwrap()),
        "GetParameter" => named(arn("ssm", &format!("parameter{}", of("Name").unwrap()))),
        "RunInstances" => born(&["instance", "volume"]),
        "CreateLaunchTemplate" => born(&["launch-template"]),
        // Of an image of the service, in a region of its own; what is made gets the tag.
        "CopyImage" => {
            let source = format!("arn:aws:ec2:us-east-1::image/{}", of("SourceImageId").unwrap());
            let owned = Context::from([("aws:ResourceTag/mayfly:service".to_owned(), "greeter".to_owned())]);
            let there = |kind: &str| {
                let mut context = birth(call, kind);
                context.insert("aws:RequestedRegion".to_owned(), "eu-north-1".to_owned());
                (format!("arn:aws:ec2:eu-north-1::{kind}/new"), context)
            };
            vec![(source, owned), there("image"), there("snapshot")]
        }
        "CreateImage" => ["image", "snapshot"]
            .map(|kind| (format!("arn:aws:ec2:us-east-1::{kind}/new"), birth(call, kind)))
            .to_vec(),
        _ => Vec::new(),
    }
}

/// The tags that a kind of thing gets in this request, as condition keys, and the region.
fn birth(call: &Call, kind: &str) -> Context {
    let of = |key: String| call.parameters.get(&key).cloned();
    let mut context = Context::from([("aws:RequestedRegion".to_owned(), "us-east-1".to_owned())]);
    for specification in 1..9 {
        if of(format!("TagSpecification.{specification}.ResourceType")).as_deref() != Some(kind) {
            continue;
        }
        for tag in 1..50 {
            let part = |part: &str| of(format!("TagSpecification.{specification}.Tag.{tag}.{part}"));
            let (Some(key), Some(value)) = (part("Key"), part("Value")) else { break };
            context.insert(format!("aws:RequestTag/{key}"), value);
        }
    }
    context
}

/// The tests' spec with other words for the image and the balancer.
fn write_spec(cloud: &Cloud, image: &str, balancer: &str, more: &str) {
    cloud.write_spec(more);
    let file = cloud.folder.path().join("mayfly.yaml");
    let spec = std::fs::read_to_string(&file).unwrap();
    let spec = spec.replace(IMAGE, image).replace("load_balancer: {classic: greeter}", balancer);
    std::fs::write(&file, spec).unwrap();
}

#[test]
fn behind_a_classic_balancer_the_policy_is_exactly_what_is_asked() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let service = Service::begin(cloud, None, &["--classic", "greeter"]);
    service.live_through(&|more| service.cloud.write_spec(more));
    service.ok(&["bake", "--role", "web"]);
    let balancer = "load_balancer: {classic: greeter}";
    write_spec(&service.cloud, "{baked: web}", balancer, "");
    service.ok(&["deploy", "--yes"]);
    service.assert_exact(TARGETS);
}

#[test]
fn behind_target_groups_with_a_lock_in_a_bucket_the_policy_is_exactly_what_is_asked() {
    let cloud = Cloud::start();
    for (name, kind) in [("greeter-web", "application"), ("greeter-tcp", "network")] {
        cloud.create_target_group(name, kind);
    }
    let parameter = "/aws/service/mayfly/bare/latest";
    let groups = ["--target-group", "greeter-web", "--target-group", "greeter-tcp"];
    let others = ["--bucket", "acme-locks", "--image-parameter", parameter];
    let service = Service::begin(cloud, Some(Bucket::start()), &[&groups[..], &others].concat());
    let image = format!("{{ssm: {parameter}}}");
    let balancers = "load_balancers: [{target_group: greeter-web}, {target_group: greeter-tcp}]\n\
                     lock: {bucket: acme-locks, prefix: locks/}";
    service.live_through(&|more| write_spec(&service.cloud, &image, balancers, more));
    service.assert_exact(CLASSIC);
}
