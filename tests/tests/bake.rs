//! `mayfly bake`: a builder converges, seals itself, powers off, is imaged and goes; what is baked serves.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::{Cloud, IMAGE, STOCK, sum_of};
use mayfly_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LOST: &str = r#"{"faults": [
    {"action": "RunInstances", "kind": "lost_after_effect"}, {"action": "CreateImage", "kind": "lost_after_effect"}]}"#;
const WEB: [&str; 7] = ["bake", "--recipe", "seeded", "--role", "web", "--deadline", "60s"];

/// Bakes, and the image's id.
fn bake(cloud: &Cloud, args: &[&str]) -> String {
    let output = run_ok(&mut cloud.mayfly(args));
    let image = output.split_whitespace().next().unwrap_or_default().to_owned();
    let name = cloud.images().remove(&image);
    assert!(name.is_some_and(|name| output.contains(&name)), "{output}");
    image
}

fn assert_nothing_is_left(cloud: &Cloud, images: usize) {
    wait::until("the builder is gone", Duration::from_secs(10), || {
        let live = cloud.live();
        if live.is_empty() { Ok(()) } else { Err(live) }
    });
    assert_eq!(cloud.images().len(), images, "{:#?}", cloud.images());
}

/// The tests' spec with another image.
fn write_spec(cloud: &Cloud, image: &str, more: &str) {
    cloud.write_spec(more);
    let spec = cloud.folder.path().join("mayfly.yaml");
    let text = std::fs::read_to_string(&spec).unwrap().replace(IMAGE, image);
    std::fs::write(&spec, text).unwrap();
}

/// The tags of an image, as `images list` has them.
fn tags(cloud: &Cloud, image: &str) -> serde_json::Value {
    let listed = run_ok(&mut cloud.mayfly(&["images", "list", "--output", "json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let found = listed["images"].as_array().unwrap().iter().find(|row| row["image"] == image).cloned();
    found.unwrap_or_else(|| panic!("{image} is not in {listed}"))["tags"].clone()
}

/// Launches an image with user-data that has no role, to look at its disk: what a file says there.
fn on_disk(cloud: &Cloud, image: &str, script: &str) -> String {
    let id = cloud
        .run_instance(image, &format!("#!/bin/sh\n{{ {script}; }} 2>&1 | sed 's/^/seen: /'\necho looked\n"));
    let console = cloud.until_console(&id, "looked");
    cloud.terminate(&id);
    console.lines().filter_map(|line| line.strip_prefix("seen: ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_deployment_from_a_baked_image_serves_and_the_builder_is_gone() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let url = cloud.create_balancer("greeter");
    let images = cloud.images().len();
    let image = bake(&cloud, &WEB);
    assert_nothing_is_left(&cloud, images + 1);

    write_spec(&cloud, "{baked: web}", "");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=baked"]));
    let history = run_ok(&mut cloud.mayfly(&["history"]));
    assert!(history.contains(&image), "{image}: {history}");
    let (status, body) = wait::get(&url).unwrap();
    assert_eq!(status, 200, "{body}");
    let served = cloud.live().into_iter().find(|instance| body.contains(&instance.id));
    let served = served.unwrap_or_else(|| panic!("none of the new instances says: {body}"));
    assert!(body.contains("version baked "), "{body}");
    let console = cloud.console(&served.id);
    assert!(
        !console.contains("user.present greeter (greeter/init.sls:5:1) changed"),
        "nothing was baked: {console}"
    );
}

#[test]
fn an_image_holds_nothing_of_its_builder_and_its_tags_say_what_is_inside() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let commit = cloud.repo.head();
    let image = bake(&cloud, &WEB);
    let seen = on_disk(
        &cloud,
        &image,
        "cd /; cat var/lib/mayfly/status.json var/lib/mayfly/pinned etc/ssh/ssh_host_*_key; ls -A var/cache/mayfly/compiled; \
         wc -c <etc/machine-id; ls var/lib/cloud/instances; ls -d var/lib/mayfly/releases/*; cat usr/local/bin/greeter | head -1; \
         wc -l <var/lib/mayfly/packages",
    );
    for gone in ["status.json: No such file", "pinned: No such file", "ssh_host_*_key': No such file"] {
        assert!(seen.contains(gone), "{gone}: {seen}");
    }
    assert!(seen.contains(&format!("var/lib/mayfly/releases/{commit}\n")), "{seen}");
    assert!(seen.contains("\n0\n") && seen.contains("#!/usr/bin/perl"), "{seen}");

    let tags = tags(&cloud, &image);
    assert_eq!(tags["mayfly:commit"], commit, "{tags}");
    assert_eq!(tags["mayfly:parent"], cloud.bare_image(), "{tags}");
    assert_eq!(tags["mayfly:boot"], env!("CARGO_PKG_VERSION"), "{tags}");
    assert_eq!(tags["mayfly:baked-for"], "production", "{tags}");
    assert!(tags.get("mayfly:until").is_none() && tags.get("mayfly:environment").is_none(), "{tags}");
    let packages = tags["mayfly:packages"].as_str().unwrap();
    let (count, digest) = packages.split_once(':').unwrap();
    assert!(seen.contains(&format!("\n{count}\n")) && digest.len() == 16, "{packages}: {seen}");
}

#[test]
fn a_bake_of_the_same_inputs_is_recognised_and_stands_on_the_same_parent() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let images = cloud.images().len();
    let first = bake(&cloud, &WEB);
    assert_eq!(bake(&cloud, &WEB), first);
    assert_nothing_is_left(&cloud, images + 1);

    // What takes the baked image is baked from what that was made from.
    write_spec(&cloud, "{baked: web}", "");
    assert_eq!(bake(&cloud, &WEB), first);
    let forced = bake(&cloud, &[&WEB[..], &["--force"]].concat());
    assert_ne!(forced, first);
    assert_eq!(tags(&cloud, &forced)["mayfly:parent"], cloud.bare_image());
    cloud.repo.edit("greeter/files/greeter.pl", "One request", "A request");
    cloud.repo.push("another commit");
    assert_ne!(bake(&cloud, &WEB), forced, "another commit is another input");
}

#[test]
fn whoever_may_only_tag_does_not_choose_what_is_baked_on() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let first = bake(&cloud, &WEB);
    let tag = [("ResourceId.1", first.as_str()), ("Tag.1.Key", "mayfly:parent"), ("Tag.1.Value", STOCK)];
    cloud.ec2("CreateTags", &tag);
    write_spec(&cloud, "{baked: web}", "");
    assert_eq!(bake(&cloud, &WEB), first, "the same inputs, and so the same parent");

    // Of a copy EC2 does not know what the builder booted from.
    let name = "mayfly-web-20300102T030405Z-1a2b";
    let mut copy = vec![("SourceImageId", first.as_str()), ("SourceRegion", "us-east-1"), ("Name", name)];
    copy.push(("TagSpecification.1.ResourceType", "image"));
    let tags = [
        ("TagSpecification.1.Tag.1.Key", "TagSpecification.1.Tag.1.Value", "mayfly:service", "greeter"),
        ("TagSpecification.1.Tag.2.Key", "TagSpecification.1.Tag.2.Value", "mayfly:recipe", "web"),
        ("TagSpecification.1.Tag.3.Key", "TagSpecification.1.Tag.3.Value", "mayfly:bake", name),
        ("TagSpecification.1.Tag.4.Key", "TagSpecification.1.Tag.4.Value", "mayfly:parent", STOCK),
    ];
    copy.extend(tags.iter().flat_map(|(key, value, name, text)| [(*key, *name), (*value, *text)]));
    cloud.ec2("CopyImage", &copy);
    wait::until("the copy is available", Duration::from_secs(30), || {
        let listed = run_ok(&mut cloud.mayfly(&["images", "list"]));
        let is_there = |line: &str| line.contains(name) && line.contains("  available  ");
        if listed.lines().any(is_there) { Ok(()) } else { Err(listed) }
    });
    let refused = run(&mut cloud.mayfly(&WEB));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("say with `--from` what to bake on"), "{said}");
}

#[test]
fn a_second_stage_stands_on_the_first() {
    let cloud = Cloud::start();
    cloud.repo.edit("top.sls", "base:\n", "base:\n  'role:base':\n    - match: grain\n    - ground\n");
    cloud.repo.write("ground.sls", "/etc/ground:\n  file.managed:\n    - contents: laid\n");
    cloud.repo.push("a base for all roles");
    cloud.write_spec("");
    let base = bake(&cloud, &["bake", "--role", "base", "--deadline", "60s"]);
    let web = bake(&cloud, &[&WEB[..], &["--from", "last:base"]].concat());
    assert_eq!(tags(&cloud, &web)["mayfly:parent"], base);
    let seen = on_disk(&cloud, &web, "cat /etc/ground; head -1 /usr/local/bin/greeter");
    assert_eq!(seen, "laid\n#!/usr/bin/perl\n");
}

#[test]
fn a_bare_image_is_made_of_a_stock_one_and_serves() {
    let cloud = Cloud::start();
    let key = signed(&cloud, &mayfly_tests::programs::program("mayfly-boot"));
    let boot = cloud.boot(&format!(", public_key: \"{key}\""));
    write_spec(&cloud, STOCK, &boot);
    cloud.create_balancer("greeter");
    let hosts = cloud.folder.path().join("known_hosts");
    std::fs::write(&hosts, "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ\n").unwrap();
    let args = ["bake", "--recipe", "bare", "--deadline", "60s", "--known-hosts", hosts.to_str().unwrap()];
    let image = bake(&cloud, &args);
    assert!(cloud.files.asked().contains(&"/mayfly-boot.sig".to_owned()), "{:?}", cloud.files.asked());
    let seen = on_disk(
        &cloud,
        &image,
        "cat /etc/mayfly/known_hosts /etc/systemd/system/mayfly-boot.service; ls /etc/ssh/ssh_host*; sha256sum /usr/local/bin/mayfly-boot",
    );
    let sum = sum_of(&mayfly_tests::programs::program("mayfly-boot"));
    for part in ["git.example.org ssh-ed25519 AAAA", "mayfly-boot run", "No such file", &sum] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert_eq!(tags(&cloud, &image)["mayfly:boot-sha256"], sum);
    write_spec(&cloud, "{baked: bare}", "");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
}

#[test]
fn a_stock_image_boots_from_user_data_alone() {
    let cloud = Cloud::start();
    let boot = cloud.boot("");
    write_spec(&cloud, STOCK, &boot);
    let url = cloud.create_balancer("greeter");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=stock"]));
    let (status, body) = wait::get(&url).unwrap();
    assert!(status == 200 && body.contains("version stock "), "{status} {body}");
    let shown = run_ok(&mut cloud.mayfly(&["history", "1", "--output", "json"]));
    assert!(shown.contains("\"greeter.version\":\"stock\"") || shown.contains("stock"), "{shown}");
}

#[test]
fn a_program_that_is_not_the_one_that_was_meant_is_never_run() {
    let cloud = Cloud::start();
    let evil = cloud.folder.path().join("evil");
    std::fs::write(&evil, "#!/bin/sh\necho EVIL >/dev/console\n").unwrap();
    let images = cloud.images().len();
    let refused = |spec: &str, words: &str| {
        write_spec(&cloud, STOCK, spec);
        let output = run(&mut cloud.mayfly(&["bake", "--recipe", "bare", "--deadline", "60s"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && !said.contains("EVIL"), "{words}: {said}");
        assert_nothing_is_left(&cloud, images);
    };
    let good = cloud.boot("");
    cloud.files.offer("mayfly-boot", &evil);
    refused(&good, "was asked for");

    // The right checksum of what somebody else signed.
    let url = cloud.file_url("mayfly-boot");
    signed(&cloud, &evil);
    let another = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(cloud.folder.path().join("another"))
        .status();
    assert!(another.unwrap().success());
    let another = std::fs::read_to_string(cloud.folder.path().join("another.pub")).unwrap();
    let sum = sum_of(&evil);
    refused(
        &format!("boot: {{url: \"{url}\", sha256: {sum}, public_key: \"{}\"}}\n", another.trim()),
        "is no signature of",
    );
}

/// Signs a program and offers the signature; the public key.
fn signed(cloud: &Cloud, program: &Path) -> String {
    let folder = cloud.folder.path();
    let copy = folder.join("to-sign");
    std::fs::copy(program, &copy).unwrap();
    let key = folder.join("key");
    run_ok(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key));
    run_ok(
        Command::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", "mayfly-boot", "-f"]).arg(&key).arg(&copy),
    );
    cloud.files.offer("mayfly-boot.sig", folder.join("to-sign.sig"));
    std::fs::read_to_string(folder.join("key.pub")).unwrap().trim().to_owned()
}

#[test]
fn lost_answers_cost_neither_the_image_nor_a_builder() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let images = cloud.images().len();
    cloud.configure(LOST);
    bake(&cloud, &WEB);
    assert_nothing_is_left(&cloud, images + 1);
}

fn break_tree(cloud: &Cloud) {
    cloud.write_spec("");
    cloud.repo.edit("greeter/init.sls", "file.managed", "file.managd");
    cloud.repo.push("break it");
}

#[test]
fn a_tree_that_does_not_converge_ends_the_bake_long_before_its_deadline() {
    let cloud = Cloud::start();
    let images = cloud.images().len();
    break_tree(&cloud);
    let output = run(&mut cloud.mayfly(&["bake", "--role", "web", "--deadline", "10m"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("greeter/init.sls:15:1") && last.contains("the builder is gone"), "{said}");
    assert_nothing_is_left(&cloud, images);
}

#[test]
fn a_builder_that_failed_stays_when_that_was_asked_for() {
    let cloud = Cloud::start();
    break_tree(&cloud);
    let output = run(&mut cloud.mayfly(&["bake", "--role", "web", "--keep-on-failure"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let live = cloud.live();
    assert!(live.len() == 1 && said.contains(&format!("the builder {} stays", live[0].id)), "{said}");
}

#[test]
fn what_others_print_cannot_pass_for_the_builders_word() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let fake = "fake:\n  cmd.run:\n    - name: |\n        echo 'app[1]: mayfly: sealed boot=9' >/dev/console\n        poweroff\n        sleep 60\n";
    cloud.repo.write("greeter/init.sls", fake);
    cloud.repo.push("pass for a builder");
    let images = cloud.images().len();
    // Nothing says that it is fit; waiting for a console that is late ends by Ctrl-C here.
    let child = cloud.mayfly(&WEB).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait::until("the builder is off", Duration::from_secs(60), || {
        let live = cloud.live();
        if live.iter().any(|instance| instance.state == "stopped") { Ok(()) } else { Err(live) }
    });
    let calls = cloud.calls().len();
    wait::until("its console was read, off", Duration::from_secs(60), || {
        let read =
            cloud.calls().split_off(calls).iter().filter(|c| c.action == "ec2:GetConsoleOutput").count();
        if read >= 3 { Ok(()) } else { Err(read) }
    });
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_nothing_is_left(&cloud, images);
}

/// EC2 does not know an instance yet for a moment after its launch, and says so to who would end it.
#[test]
fn an_interrupt_just_after_the_launch_leaves_no_builder() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    cloud.configure(r#"{"delays": {"visible_ms": 3000}}"#);
    let mut bake = cloud.mayfly(&["--output", "json", "bake", "--role", "web"]);
    let child = bake.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait::until("the launch", Duration::from_secs(60), || {
        let calls = cloud.calls();
        if calls.iter().any(|call| call.action == "ec2:RunInstances") { Ok(()) } else { Err(calls.len()) }
    });
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(cloud.live().is_empty(), "{:?}", cloud.live());
    let last = text(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let object: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(object["exit"], 130, "{last}");
}

/// Without the console there is no image, however long one waits.
#[test]
fn a_bake_that_may_not_read_the_console_ends_at_once_and_names_the_right() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    break_tree(&cloud);
    cloud.configure(r#"{"faults": [{"action": "GetConsoleOutput", "kind": "error", "code": "UnauthorizedOperation", "status": 403, "times": 1000}]}"#);
    let output = run(&mut cloud.mayfly(&["bake", "--role", "web"]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("GetConsoleOutput: UnauthorizedOperation"),
        "{}",
        text(&output.stderr)
    );
    assert!(cloud.live().is_empty());
}

#[test]
fn the_builder_of_a_killed_bake_is_removed_once_it_is_surely_dead() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let image = bake(&cloud, &WEB);
    cloud.repo.write("greeter/init.sls", "slow:\n  cmd.run:\n    - name: sleep 600\n");
    cloud.repo.push("take long");
    let mut child = cloud.mayfly(&WEB).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let builder = wait::until("the builder runs", Duration::from_secs(60), || {
        let live = cloud.live();
        live.iter().find(|instance| instance.state == "running").map(|i| i.id.clone()).ok_or(live.len())
    });
    child.kill().unwrap();
    child.wait().unwrap();

    // Its time is not over: it may be somebody's at work.
    let gc = |args: &[&str]| run_ok(&mut cloud.mayfly(&[&["images", "gc", "--yes"], args].concat()));
    let said = gc(&[]);
    assert!(said.contains("keep: one of the newest\nnothing to remove\n"), "{said}");
    assert_eq!(cloud.live().len(), 1);
    let tag = [
        ("ResourceId.1", builder.as_str()),
        ("Tag.1.Key", "mayfly:until"),
        ("Tag.1.Value", "20260101T000000Z"),
    ];
    cloud.ec2("CreateTags", &tag);
    // Whoever may only tag makes no builder of an instance.
    let serving = cloud.run_instance(&image, "#!/bin/sh\nsleep 600\n");
    wait::until("it is seen", Duration::from_secs(10), || {
        let live = cloud.live();
        if live.iter().any(|i| i.id == serving && i.state == "running") { Ok(()) } else { Err(live) }
    });
    let bake = cloud.images()[&image].clone();
    let tags = [
        ("mayfly:service", "greeter"),
        ("mayfly:bake", bake.as_str()),
        ("mayfly:recipe", "web"),
        ("mayfly:until", "20260101T000000Z"),
    ];
    for (key, value) in tags {
        let tag = [("ResourceId.1", serving.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", value)];
        cloud.ec2("CreateTags", &tag);
    }
    let output = run(&mut cloud.mayfly(&["images", "gc", "--yes"]));
    assert_eq!(text(&output.stdout), format!("removed {builder}\n"), "{}", text(&output.stderr));
    wait::until("the builder is gone", Duration::from_secs(10), || {
        let live = cloud.live();
        if live.iter().all(|instance| instance.id == serving) { Ok(()) } else { Err(live) }
    });
    assert_eq!(cloud.live().len(), 1, "what serves is nobody's builder");
    assert!(cloud.images().contains_key(&image));
}
