//! Instances that really run: boot, metadata, console, stop, power-off, images. Needs root or user namespaces.
// Effects: these are integration tests.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use support::{http_server, sandbox, sandbox_with, tag, until};

/// Asks metadata from inside with the given curl arguments; prints what came.
fn metadata_script() -> &'static str {
    r#"#!/bin/sh
m=http://169.254.169.254/latest
echo "v1 $(curl -s -o /dev/null -w '%{http_code}' $m/meta-data/instance-id)"
t=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $m/api/token)
get() { curl -s -H "X-aws-ec2-metadata-token: $t" "$m/$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' -H "X-aws-ec2-metadata-token: $t" "$m/$1"; }
echo "id $(get meta-data/instance-id)"
echo "ip $(get meta-data/local-ipv4)"
echo "zone $(get meta-data/placement/availability-zone)"
echo "tag $(get meta-data/tags/instance/mayfly:role)"
echo "absent $(code meta-data/nonsense)"
echo "document $(get dynamic/instance-identity/document | grep instanceId)"
echo "forwarded $(curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'X-Forwarded-For: 1.2.3.4' -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $m/api/token)"
echo "user-data $(get user-data | sed -n 2p)"
echo "outside $(curl -s -m 1 -o /dev/null -w '%{http_code}' http://192.0.2.1/)"
echo "host $(hostname) $(find /root /home -mindepth 1 | wc -l)"
echo done
"#
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_in_user_data_serves_through_its_address_on_the_host() {
    let sandbox = sandbox().await;
    let instance = sandbox.run(&http_server("hello"), &[]).await;
    let log = sandbox.wait_console(&instance.id, "server starts").await;
    until("the server answers", || {
        support::get(&instance.public, 8080, "/").is_ok_and(|a| a == (200, "hello".into()))
    })
    .await;
    let output = sandbox.api().ec2("GetConsoleOutput", &[("InstanceId", &instance.id)]).unwrap();
    assert!(tag(&output, "output").is_some_and(|text| !text.is_empty()), "{log}\n{output}");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_tells_an_instance_who_it_is() {
    let sandbox = sandbox().await;
    let tags = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "mayfly:role"),
        ("TagSpecification.1.Tag.1.Value", "web"),
        ("MetadataOptions.InstanceMetadataTags", "enabled"),
        ("MetadataOptions.HttpTokens", "required"),
    ];
    let instance = sandbox.run(metadata_script(), &tags).await;
    let log = sandbox.wait_console(&instance.id, "\ndone\n").await;
    for line in [
        "v1 401".to_owned(),
        format!("id {}", instance.id),
        format!("ip {}", instance.private),
        "zone us-east-1".to_owned(),
        "tag web".to_owned(),
        "absent 404".to_owned(),
        format!("document   \"instanceId\": \"{}\"", instance.id),
        "forwarded 403".to_owned(),
        "user-data m=http://169.254.169.254/latest".to_owned(),
        "outside 000".to_owned(),
        format!("host ip-{} 0", instance.private.replace('.', "-")),
    ] {
        assert!(log.contains(&line), "{line:?} is missing in\n{log}");
    }
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn root_inside_cannot_reach_the_host() {
    let sandbox = sandbox().await;
    let state = sandbox.handle.state_dir().display().to_string();
    let script = format!(
        "#!/bin/sh\nno() {{ \"$@\" >/dev/null 2>&1 && echo \"allowed: $*\" || echo \"refused: $*\"; }}\n\
         no mount -t tmpfs x /mnt\nno mknod /opt/disk b 8 0\nno ls {state}\n\
         no perl -MSocket -e 'socket(my $s, AF_INET, SOCK_RAW, 1) or die'\n\
         no sh -c 'echo x > /proc/sys/kernel/core_pattern'\nno sh -c 'echo h > /proc/sysrq-trigger'\n\
         no unshare --mount true\nno chroot / true\nno chown 1:1 /opt\n\
         echo \"processes $(ls -d /proc/[0-9]* | wc -l)\"\necho end\n"
    );
    let instance = sandbox.run(&script, &[]).await;
    let log = sandbox.wait_console(&instance.id, "\nend\n").await;
    let allowed: Vec<&str> = log.lines().filter(|line| line.starts_with("allowed")).collect();
    // What packages and services need stays possible.
    assert_eq!(allowed, ["allowed: chroot / true", "allowed: chown 1:1 /opt"], "{log}");
    let processes = log.lines().find_map(|line| line.strip_prefix("processes ")).unwrap();
    assert!(processes.parse::<u32>().unwrap() < 8, "its own processes only: {log}");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_keeps_its_disk_and_runs_its_script_once() {
    let sandbox = sandbox().await;
    let instance = sandbox.run("#!/bin/sh\necho first > /etc/kept\necho written\n", &[]).await;
    sandbox.wait_console(&instance.id, "written").await;
    let api = sandbox.api();
    api.ec2("StopInstances", &[("InstanceId.1", &instance.id)]).unwrap();
    api.wait_state(&instance.id, "stopped").await;
    let upper = sandbox.handle.state_dir().join("instances").join(&instance.id).join("upper/root/etc/kept");
    assert_eq!(std::fs::read_to_string(upper).unwrap(), "first\n");
    api.ec2("StartInstances", &[("InstanceId.1", &instance.id)]).unwrap();
    api.wait_state(&instance.id, "running").await;
    sandbox.wait_console(&instance.id, "ran at the first boot; not again").await;
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn power_off_from_inside_stops_or_terminates_as_the_launch_said() {
    let sandbox = sandbox().await;
    let stops = sandbox.api().run("#!/bin/sh\npoweroff\n", &[]);
    let terminates = sandbox
        .api()
        .run("#!/bin/sh\nshutdown -h now\n", &[("InstanceInitiatedShutdownBehavior", "terminate")]);
    // Power off by reboot(2), as a program does that finds no init to ask: 88 is its number, the rest its magic.
    let asks_the_kernel =
        sandbox.api().run("#!/bin/sh\nperl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'\n", &[]);
    sandbox.api().wait_state(&stops.id, "stopped").await;
    sandbox.api().wait_state(&terminates.id, "terminated").await;
    sandbox.api().wait_state(&asks_the_kernel.id, "stopped").await;
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_from_inside_keeps_the_instance_running() {
    let sandbox = sandbox().await;
    let instance = sandbox.run("#!/bin/sh\necho before\nreboot\n", &[]).await;
    sandbox.wait_console(&instance.id, "not again").await;
    assert_eq!(sandbox.api().state(&instance.id), "running");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_an_instance_carries_its_files_and_nothing_of_its_identity() {
    let sandbox = sandbox().await;
    let first =
        sandbox.run("#!/bin/sh\necho baked > /opt/baked\nrm /etc/debian_version\necho ok\n", &[]).await;
    sandbox.wait_console(&first.id, "ok").await;
    let api = sandbox.api();
    let created = api.ec2("CreateImage", &[("InstanceId", &first.id), ("Name", "baked")]).unwrap();
    let image = tag(&created, "imageId").unwrap();
    until("the image is available", || {
        let answer = api.ec2("DescribeImages", &[("ImageId.1", &image)]).unwrap_or_default();
        tag(&answer, "imageState").is_some_and(|state| state == "available")
    })
    .await;
    let script = "#!/bin/sh\necho \"from $(cat /opt/baked) $(hostname)\"\nls /etc/debian_version\necho end\n";
    let second = sandbox.run(script, &[("ImageId", &image)]).await;
    let log = sandbox.wait_console(&second.id, "\nend\n").await;
    assert!(log.contains(&format!("from baked ip-{}", second.private.replace('.', "-"))), "{log}");
    assert!(log.contains("cannot access '/etc/debian_version'"), "deleted files stay deleted: {log}");
    api.ec2("DeregisterImage", &[("ImageId", &image)]).unwrap();
    let refused = api.ec2("RunInstances", &[("ImageId", &image), ("MinCount", "1"), ("MaxCount", "1")]);
    assert!(refused.unwrap_err().contains("InvalidAMIID"), "a deregistered image cannot be launched");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_reboot_stops_nothing_for_good() {
    let sandbox = sandbox().await;
    let instance = sandbox.run(&http_server("still here"), &[]).await;
    until("the server answers", || support::get(&instance.public, 8080, "/").is_ok()).await;
    let request = [("InstanceId", instance.id.as_str()), ("Name", "live"), ("NoReboot", "true")];
    let image = tag(&sandbox.api().ec2("CreateImage", &request).unwrap(), "imageId").unwrap();
    until("the image is available", || {
        let answer = sandbox.api().ec2("DescribeImages", &[("ImageId.1", &image)]).unwrap_or_default();
        tag(&answer, "imageState").is_some_and(|state| state == "available")
    })
    .await;
    assert_eq!(support::get(&instance.public, 8080, "/").unwrap(), (200, "still here".to_owned()));
    let log = sandbox.handle.logs(&instance.id).await.unwrap();
    assert!(!log.contains("shutting down"), "{log}");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_clone_from_the_sandboxs_git_and_reach_forwarded_servers() {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git").current_dir(folder.path()).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q", "-b", "main", "work"]);
    std::fs::write(folder.path().join("work/top.sls"), "base: {}\n").unwrap();
    git(&["-C", "work", "add", "."]);
    git(&["-C", "work", "-c", "user.name=t", "-c", "user.email=t@t.invalid", "commit", "-qm", "one"]);
    git(&["clone", "-q", "--bare", "work", "served/states.git"]);
    let served = folder.path().join("served");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let forward = mayfly_sandbox::Forward { port: 7777, to: other.local_addr().unwrap() };
    let sandbox = sandbox_with(|config| {
        config.git_root = Some(served);
        config.forwards = vec![forward];
    })
    .await;
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut client, _) = other.accept().unwrap();
        client.write_all(b"from the host").unwrap();
    });
    let url = sandbox.handle.instance_git_url().unwrap();
    let script = format!(
        "#!/bin/sh\ncd /tmp && git clone -q --depth 1 {url}/states.git s && echo \"tree $(cat s/top.sls)\"\n\
         perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(\"10.77.255.254:7777\")->getline, \"\\n\"'\n"
    );
    let instance = sandbox.run(&script, &[]).await;
    let log = sandbox.wait_console(&instance.id, "from the host").await;
    assert!(log.contains("tree base: {}"), "{log}");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn images_with_a_boot_binary_run_it_and_start_it_again_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let boot = folder.path().join("boot");
    let script =
        "#!/bin/sh\necho \"boot $1\"\n[ -e /run/second ] && exec sleep 1000\ntouch /run/second\nexit 3\n";
    std::fs::write(&boot, script).unwrap();
    let sandbox = sandbox_with(|config| config.boot_binary = Some(boot)).await;
    let image = [("ImageId", mayfly_sandbox::world::MAYFLY_BARE)];
    let instance = sandbox.run("#mayfly\nrole: web\n", &image).await;
    let log = sandbox.wait_console(&instance.id, "starting it again").await;
    assert!(log.contains("boot run\n") && log.contains("exit code 3"), "{log}");
    until("it runs again", || {
        let path = sandbox.handle.state_dir().join("instances").join(&instance.id).join("console.log");
        std::fs::read_to_string(path).is_ok_and(|log| log.matches("boot run\n").count() == 2)
    })
    .await;
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_its_boot_binary_fails_the_launch_with_the_reason() {
    let sandbox = sandbox().await;
    let instance = sandbox.api().run("x", &[("ImageId", mayfly_sandbox::world::MAYFLY_BARE)]);
    sandbox.api().wait_state(&instance.id, "terminated").await;
    let answer = sandbox.api().ec2("DescribeInstances", &[("InstanceId.1", &instance.id)]).unwrap();
    assert!(answer.contains("--boot-binary"), "{answer}");
    sandbox.handle.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_instances_at_once_reach_each_other() {
    let sandbox = sandbox().await;
    let answer = sandbox.api().ec2(
        "RunInstances",
        &[
            ("ImageId", mayfly_sandbox::world::DEBIAN_STOCK),
            ("MinCount", "10"),
            ("MaxCount", "10"),
            // printf '#!/bin/sh\nexec perl …' would be longer: answer with the host name on 8080 by nc's cousin.
            ("UserData", &base64_of(&http_server("one of ten"))),
        ],
    );
    let answer = answer.unwrap();
    let ids: Vec<String> =
        answer.split("<instanceId>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 10);
    let address = tag(&answer, "privateIpAddress").unwrap();
    for id in &ids {
        sandbox.wait_console(id, "server starts").await;
    }
    let neighbour = sandbox
        .run(
            &format!("#!/bin/sh\ncurl -s --retry 50 --retry-delay 1 --retry-connrefused http://{address}:8080/\necho\n"),
            &[],
        )
        .await;
    sandbox.wait_console(&neighbour.id, "one of ten").await;
    sandbox.handle.down().await.unwrap();
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
