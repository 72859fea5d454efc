//! `mayfly images`: what is removed and what never is, with whom images are shared, and where they are copied.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::{Cloud, STOCK};
use mayfly_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

/// A cloud with images as bakes leave them, by the names that the test calls them.
struct Bench {
    cloud: Cloud,
    first: String,
    ids: BTreeMap<String, String>,
    /// What baked ones are called in the cloud.
    names: BTreeMap<String, String>,
}

/// The text of every element of that name.
fn all(xml: &str, name: &str) -> Vec<String> {
    let opened = format!("<{name}>");
    xml.split(&opened).skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())).collect()
}

fn one(xml: &str, name: &str) -> String {
    all(xml, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {xml}"))
}

impl Bench {
    fn start() -> Self {
        let cloud = Cloud::start();
        cloud.configure(r#"{"delays": {"image_ms": 0, "visible_ms": 0}}"#);
        let builder = cloud.run_instance(STOCK, "#!/bin/sh\necho up\n");
        wait::until("the builder runs", Duration::from_secs(30), || {
            let live = cloud.live();
            if live.iter().any(|instance| instance.state == "running") { Ok(()) } else { Err(live) }
        });
        let answer =
            cloud.ec2("CreateImage", &[("InstanceId", &builder), ("Name", "first"), ("NoReboot", "true")]);
        let first = one(&answer, "imageId");
        let bench = Self { cloud, first: first.clone(), ids: BTreeMap::new(), names: BTreeMap::new() };
        bench.until_available(&first);
        bench.cloud.terminate(&builder);
        bench
    }

    fn until_available(&self, id: &str) {
        wait::until("the image is available", Duration::from_secs(30), || {
            let answer = self.cloud.ec2("DescribeImages", &[("ImageId.1", id)]);
            if one(&answer, "imageState") == "available" { Ok(()) } else { Err(answer) }
        });
    }

    /// An image with these tags, newer than all before.
    fn image(&mut self, name: &str, tags: &[(&str, &str)]) -> String {
        let numbered = |kind: usize| {
            tags.iter().enumerate().flat_map(move |(at, (key, value))| {
                let tag = format!("TagSpecification.{kind}.Tag.{}", at + 1);
                [(format!("{tag}.Key"), (*key).to_owned()), (format!("{tag}.Value"), (*value).to_owned())]
            })
        };
        let mut parameters = vec![
            ("SourceImageId".to_owned(), self.first.clone()),
            ("SourceRegion".to_owned(), "us-east-1".to_owned()),
            ("Name".to_owned(), name.to_owned()),
        ];
        if !tags.is_empty() {
            parameters.push(("TagSpecification.1.ResourceType".to_owned(), "image".to_owned()));
            parameters.push(("TagSpecification.2.ResourceType".to_owned(), "snapshot".to_owned()));
            parameters.extend(numbered(1).chain(numbered(2)));
        }
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let id = one(&self.cloud.ec2("CopyImage", &parameters), "imageId");
        self.until_available(&id);
        self.ids.insert(name.to_owned(), id.clone());
        id
    }

    /// An image as `mayfly bake` leaves it; `short` is its name here.
    fn baked(&mut self, short: &str, service: &str, recipe: &str, environment: &str) -> String {
        let number = self.names.len();
        let name = format!("mayfly-{recipe}-20260102T{number:06}Z-{number:04x}");
        let id = self.tagged(&name, &name, service, recipe, environment);
        let id = self.ids.remove(&name).unwrap_or(id);
        self.ids.insert(short.to_owned(), id.clone());
        self.names.insert(short.to_owned(), name);
        id
    }

    /// An image with the tags of a baked one, whoever set them.
    fn tagged(&mut self, name: &str, bake: &str, service: &str, recipe: &str, environment: &str) -> String {
        let mut tags = vec![("mayfly:service", service), ("mayfly:bake", bake), ("mayfly:recipe", recipe)];
        if !environment.is_empty() {
            tags.push(("mayfly:baked-for", environment));
        }
        self.image(name, &tags)
    }

    /// Names of the images that are there.
    fn there(&self) -> BTreeSet<String> {
        let images = self.cloud.images();
        self.ids.iter().filter(|(_, id)| images.contains_key(*id)).map(|(name, _)| name.clone()).collect()
    }

    fn template(&self, name: &str, images: &[&str], default: &str, tags: &[(&str, &str)]) {
        let mut parameters = vec![
            ("LaunchTemplateName".to_owned(), name.to_owned()),
            ("LaunchTemplateData.ImageId".to_owned(), self.ids[images[0]].clone()),
        ];
        if !tags.is_empty() {
            parameters.push(("TagSpecification.1.ResourceType".to_owned(), "launch-template".to_owned()));
        }
        for (at, (key, value)) in tags.iter().enumerate() {
            parameters.push((format!("TagSpecification.1.Tag.{}.Key", at + 1), (*key).to_owned()));
            parameters.push((format!("TagSpecification.1.Tag.{}.Value", at + 1), (*value).to_owned()));
        }
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.cloud.ec2("CreateLaunchTemplate", &parameters);
        for image in &images[1..] {
            let data = [("LaunchTemplateName", name), ("LaunchTemplateData.ImageId", &self.ids[*image])];
            self.cloud.ec2("CreateLaunchTemplateVersion", &data);
        }
        self.cloud
            .ec2("ModifyLaunchTemplate", &[("LaunchTemplateName", name), ("SetDefaultVersion", default)]);
    }
}

#[test]
fn what_is_old_and_unused_goes_with_its_snapshots_and_nothing_else() {
    let mut bench = Bench::start();
    // In the order of their age.
    for n in 0..8 {
        bench.baked(&format!("web-{n}"), "greeter", "web", "production");
    }
    for n in 0..3 {
        bench.baked(&format!("staged-{n}"), "greeter", "web", "staging");
        bench.baked(&format!("bare-{n}"), "greeter", "bare", "");
        bench.baked(&format!("other-{n}"), "other", "web", "production");
        bench.image(&format!("mayfly-web-looks-like-{n}"), &[]);
    }
    bench.image("ours-but-not-baked", &[("mayfly:service", "greeter"), ("mayfly:recipe", "web")]);
    // Whoever may only tag makes no image ours.
    bench.tagged("golden-1", "golden-1", "greeter", "web", "production");
    bench.tagged("golden-2", "mayfly-web-20260102T030405Z-1a2b", "greeter", "web", "production");
    // More than one page of them.
    for n in 0..205 {
        bench.baked(&format!("crowd-{n:03}"), "greeter", "crowd", "production");
    }

    // A live instance and a stopped one that are nobody's; another team's template; the record; the spec.
    bench.cloud.run_instance(&bench.ids["web-0"], "#!/bin/sh\nsleep 600\n");
    let stopped = bench.cloud.run_instance(&bench.ids["web-1"], "#!/bin/sh\npoweroff\n");
    wait::until("it is off", Duration::from_secs(30), || {
        let live = bench.cloud.live();
        if live.iter().any(|i| i.id == stopped && i.state == "stopped") { Ok(()) } else { Err(live) }
    });
    bench.template("another-teams", &["web-2", "web-3", "web-4"], "1", &[]);
    let tags =
        [("mayfly:service", "greeter"), ("mayfly:environment", "production"), ("mayfly:succeeded", "1-3")];
    bench.template("mayfly-greeter-production", &["bare-0", "bare-1", "web-5", "web-6"], "3", &tags);
    let more = format!("environments:\n  staging: {{image: {}}}\n", bench.ids["staged-0"]);
    bench.cloud.write_spec(&more);

    let before = bench.there();
    let gc = |args: &[&str]| run(&mut bench.cloud.mayfly(&[&["images", "gc", "--keep", "1"], args].concat()));
    let dry = text(&gc(&["--dry-run"]).stdout);
    assert!(
        dry.contains(&format!("{}  keep: used by i-", bench.names["web-0"]))
            && dry.contains(&format!("{}  remove, with its snapshots", bench.names["web-3"])),
        "{dry}"
    );
    let staged = format!("{}  keep: used by the spec, in staging", bench.names["staged-0"]);
    assert!(dry.contains(&staged) && !dry.contains("golden"), "{dry}");
    let unsaid = gc(&[]);
    assert_eq!(unsaid.status.code(), Some(5), "{}", text(&unsaid.stderr));
    assert_eq!(bench.there(), before, "nothing goes without a yes");

    let done = gc(&["--yes"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut left = before.clone();
    // bare-0 was a success long ago; web-3 is neither the default nor the newest version of its template.
    for gone in ["web-3", "bare-0", "staged-1"] {
        assert!(left.remove(gone), "{gone}");
    }
    left.retain(|name| !name.starts_with("crowd-") || name == "crowd-204");
    assert_eq!(bench.there(), left);
    let snapshots = bench
        .cloud
        .ec2("DescribeSnapshots", &[("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "mayfly:recipe")]);
    let baked = left.iter().filter(|name| !name.starts_with("mayfly-web-looks")).count();
    assert_eq!(all(&snapshots, "snapshotId").len(), baked, "snapshots go with their images alone");
    let again = gc(&["--yes"]);
    assert!(text(&again.stdout).ends_with("nothing to remove\n"), "{}", text(&again.stdout));
}

#[test]
fn an_image_that_comes_into_use_after_the_plan_stays() {
    let mut bench = Bench::start();
    for n in 0..3 {
        bench.baked(&format!("web-{n}"), "greeter", "web", "production");
    }
    bench.cloud.write_spec("");
    // The look just before the first removal takes a while.
    bench.cloud.configure(
        r#"{"delays": {"image_ms": 0, "visible_ms": 0},
            "faults": [{"action": "DescribeImages", "skip": 2, "kind": "delay", "ms": 5000}]}"#,
    );
    let before = bench.cloud.calls().len();
    let mut gc = bench.cloud.mayfly(&["images", "gc", "--keep", "1", "--yes"]);
    let child = gc.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait::until("the look before the removal", Duration::from_secs(30), || {
        let calls = bench.cloud.calls().split_off(before);
        let looks = calls.iter().filter(|call| call.action == "ec2:DescribeImages").count();
        if looks >= 3 { Ok(()) } else { Err(looks) }
    });
    bench.cloud.run_instance(&bench.ids["web-1"], "#!/bin/sh\nsleep 600\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("it is used now, or gone; kept"), "{}", text(&output.stderr));
    assert_eq!(bench.there().into_iter().collect::<Vec<_>>(), ["web-1", "web-2"]);
}

#[test]
fn an_image_is_shared_with_its_snapshot_and_copied_with_its_tags() {
    let mut bench = Bench::start();
    let image = bench.baked("web-0", "greeter", "web", "production");
    let foreign = bench.baked("other-0", "other", "web", "production");
    // The newest by its tags, and none of a bake.
    bench.tagged("golden", "golden", "greeter", "web", "production");
    let name = bench.names["web-0"].clone();
    let cloud = &bench.cloud;
    cloud.write_spec("");
    run_ok(&mut cloud.mayfly(&["images", "share", "last:web", "--account", "111122223333"]));
    let shared =
        cloud.ec2("DescribeImageAttribute", &[("ImageId", &image), ("Attribute", "launchPermission")]);
    assert_eq!(all(&shared, "userId"), ["111122223333"]);
    let snapshot = one(&cloud.ec2("DescribeImages", &[("ImageId.1", &image)]), "snapshotId");
    let attribute = [("SnapshotId", snapshot.as_str()), ("Attribute", "createVolumePermission")];
    assert_eq!(all(&cloud.ec2("DescribeSnapshotAttribute", &attribute), "userId"), ["111122223333"]);
    let refused = run(&mut cloud.mayfly(&["images", "share", &foreign, "--account", "111122223333"]));
    assert!(text(&refused.stderr).contains("was not baked for greeter"), "{}", text(&refused.stderr));

    let copy = || run_ok(&mut cloud.mayfly(&["images", "copy", &image, "--region", "eu-north-1"]));
    let first = copy();
    let id = first.split(' ').next().unwrap();
    assert!(first.ends_with(" eu-north-1\n") && cloud.images()[id] == name, "{first}");
    assert_eq!(copy(), first, "a copy that is there is not made again");
    let asked: Vec<_> = cloud
        .calls()
        .into_iter()
        .filter(|call| call.parameters.get("Name").is_some_and(|n| *n == name))
        .collect();
    let copied = asked.last().unwrap();
    let origin = format!("us-east-1/{image}");
    for value in [origin.as_str(), "greeter", "web", "production"] {
        assert_eq!(copied.parameters.values().filter(|is| *is == value).count(), 2, "{value}: {copied:#?}");
    }
}

#[test]
fn a_copy_that_was_asked_for_when_a_signal_comes_is_named_and_no_other_is_begun() {
    let mut bench = Bench::start();
    let image = bench.baked("web-0", "greeter", "web", "production");
    let cloud = &bench.cloud;
    cloud.write_spec("");
    cloud.configure(
        r#"{"delays": {"image_ms": 60000, "visible_ms": 0},
            "faults": [{"action": "CopyImage", "kind": "delay", "ms": 3000}]}"#,
    );
    let before = cloud.calls().len();
    let copies = || cloud.calls().split_off(before).iter().filter(|c| c.action == "ec2:CopyImage").count();
    let args = ["images", "copy", &image, "--region", "eu-north-1", "--region", "us-east-1"];
    let mut copy = cloud.mayfly(&args);
    let child = copy.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait::until("the copy is asked for", Duration::from_secs(30), || {
        if copies() >= 1 { Ok(()) } else { Err(cloud.calls().len()) }
    });
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains(" in eu-north-1: interrupted; the same command goes on waiting for it"), "{said}");
    assert_eq!(copies(), 1);
}
