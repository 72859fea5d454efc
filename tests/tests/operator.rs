//! The operator's commands over deployments that really run: records, differences, notices, hooks, inventory, schedule.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::Cloud;
use mayfly_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A server that takes every request; what their bodies say.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn json(cloud: &Cloud, args: &[&str]) -> Value {
    let output = run_ok(cloud.mayfly(args).args(["--output", "json"]));
    serde_json::from_str(&output).unwrap_or_else(|e| panic!("{args:?}: {e}\n{output}"))
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_deployment_is_recorded_compared_told_and_listed() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let (url, told) = receiver();
    let seen = cloud.folder.path().join("seen");
    let hooks = format!(
        "metadata: {{ticket: OPS-1}}\nnotify: [{{webhook: \"{url}\"}}]\n\
         hooks:\n  - {{before: register, shell: 'echo $MAYFLY_STEP $MAYFLY_INSTANCES >> {0}'}}\n\
         \x20 - {{after: deployment, shell: 'echo $MAYFLY_OUTCOME >> {0}'}}\n",
        seen.display()
    );
    cloud.write_spec(&hooks);
    run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=1"]));
    let notices: Vec<Value> = [told.recv().unwrap(), told.recv().unwrap()].to_vec();
    assert_eq!((&notices[0]["notice"], &notices[1]["notice"]), (&"start".into(), &"success".into()));
    let lines = std::fs::read_to_string(&seen).unwrap();
    let live: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
    assert!(lines.starts_with("register i-") && lines.ends_with("done\n"), "{lines}");
    assert!(live.iter().all(|id| lines.contains(id.as_str())), "{lines} {live:?}");

    cloud.repo.write("greeter/note", "x");
    let commit = cloud.repo.push("say something");
    run_ok(&mut cloud.mayfly(&[
        "deploy",
        "--yes",
        "--set",
        "greeter.version=2",
        "--set",
        "db.password=hunter2",
    ]));
    let history = json(&cloud, &["history"]);
    let first = &history[0];
    assert_eq!((&first["number"], &first["ending"]), (&2.into(), &"current".into()), "{history:#}");
    assert_eq!(first["parameters"]["greeter.version"], "2");
    assert!(first["seconds"].as_u64().is_some_and(|seconds| seconds > 0), "{first}");
    let whole = json(&cloud, &["history", "2"]);
    assert_eq!((&whole["commit"], &whole["metadata"]["ticket"]), (&commit.clone().into(), &"OPS-1".into()));
    assert_eq!(whole["user_data"]["states"]["commit"], commit.as_str());
    assert!(!whole.to_string().contains("hunter2"), "{whole:#}");
    let open = json(&cloud, &["history", "2", "--show-secrets"]);
    assert_eq!(open["user_data"]["pillar"]["db"]["password"], "hunter2");
    let diff = run_ok(&mut cloud.mayfly(&["diff", "1"]));
    for line in
        ["pillar.greeter.version: 1 -> 2", "pillar.db.password: (none) -> (hidden)", "say something (Test)"]
    {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    assert!(!diff.contains("hunter2"), "{diff}");
    a_log_without_a_clone(&cloud);

    listed(&cloud);
    watched(&cloud);
}

/// The repository is asked over HTTP, where there is no path to it; what cannot be reached is said.
fn a_log_without_a_clone(cloud: &Cloud) {
    let file = cloud.folder.path().join("mayfly.yaml");
    let spec = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, spec.replace(&cloud.deploy_url(), &cloud.remote_url())).unwrap();
    let diff = run_ok(&mut cloud.mayfly(&["diff", "1"]));
    assert!(diff.contains("say something (Test)"), "{diff}");
    std::fs::write(&file, spec.replace(&cloud.deploy_url(), "http://127.0.0.1:9/states.git")).unwrap();
    let diff = run_ok(&mut cloud.mayfly(&["diff", "1"]));
    assert!(diff.contains("states: no log: http://127.0.0.1:9/states.git gives no log: "), "{diff}");
    std::fs::write(&file, spec).unwrap();
}

fn listed(cloud: &Cloud) {
    let live: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
    let status = json(cloud, &["status"]);
    let production = &status["environments"][0];
    assert_eq!((&production["in_service"], &production["live"]), (&2.into(), &2.into()), "{status:#}");
    assert!(!run_ok(&mut cloud.mayfly(&["status"])).contains("differs"), "nothing differs");
    let ansible: Value =
        serde_json::from_str(&run_ok(&mut cloud.mayfly(&["inventory", "--output", "ansible"]))).unwrap();
    assert_eq!(ansible["web"]["hosts"].as_array().map(Vec::len), Some(2), "{ansible:#}");
    let servers = run_ok(&mut cloud.mayfly(&["inventory", "--role", "web", "--output", "haproxy"]));
    for id in &live {
        let line = format!("server {id} {}:8080 check\n", cloud.address(id));
        assert!(servers.contains(&line), "{line} {servers}");
    }
    assert_eq!(run_ok(&mut cloud.mayfly(&["inventory", "--role", "db", "--output", "hosts"])), "");
    let refused = run(&mut cloud.mayfly(&["status", "--output", "hosts"]));
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
}

fn watched(cloud: &Cloud) {
    let mut command = cloud.mayfly(&["status", "--watch", "--interval", "100ms", "--output", "json"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["environments"][0]["live"], 2);
    cloud.terminate(&cloud.live()[0].id);
    let changed = lines.map(Result::unwrap).any(|line| line.contains("\"live\":1"));
    assert!(changed);
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The steps' texts without the deployment's id, which is a new one each time.
fn steps<'a>(of: impl Iterator<Item = &'a Value>, deployment: &Value) -> Vec<String> {
    let id = deployment.as_str().unwrap();
    of.map(|step| step["what"].as_str().unwrap().replace(id, "ID")).collect()
}

#[test]
fn a_plan_reads_only_and_its_steps_are_those_that_run() {
    let cloud = Cloud::start();
    cloud.write_spec("strategy: {rolling: {batch: 1}}\n");
    cloud.create_balancer("greeter");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let before = cloud.calls().len();
    let plan = json(&cloud, &["plan"]);
    let asked: BTreeSet<String> =
        cloud.calls().split_off(before).into_iter().map(|call| call.action).collect();
    let writes: Vec<&String> =
        asked.iter().filter(|action| !action.contains(":Describe") && !action.contains(":Get")).collect();
    assert!(asked.contains("ec2:DescribeInstances") && writes.is_empty(), "{asked:?}");

    let planned = steps(plan["steps"].as_array().unwrap().iter(), &plan["deployment"]);
    let output = run_ok(cloud.mayfly(&["deploy", "--yes"]).args(["--output", "json"]));
    let events: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let deployment = &events.iter().find(|event| event["event"] == "planned").unwrap()["plan"]["deployment"];
    let ran = steps(events.iter().filter(|event| event["event"] == "step-started"), deployment);
    assert!(planned.len() > 10, "{planned:#?}");
    assert_eq!(planned, ran);
}

#[test]
fn a_hook_that_fails_undoes_the_deployment_and_the_notice_says_so() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let (url, told) = receiver();
    cloud.write_spec("");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let old: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
    for (hook, word) in [
        ("{before: deregister-old, shell: 'echo not today; exit 7'}", "exit code 7"),
        ("{after: in-service, run: [/bin/false], on_failure: undo}", "exit code 1"),
    ] {
        cloud.write_spec(&format!("notify: [{{webhook: \"{url}\", on: [rollback]}}]\nhooks: [{hook}]\n"));
        let output = run(&mut cloud.mayfly(&["deploy", "--yes"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let notice = told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(notice["text"].as_str().is_some_and(|text| text.contains(word)), "{notice:#}");
        let left: Vec<String> = cloud.live().into_iter().map(|instance| instance.id).collect();
        assert_eq!(left, old, "{said}");
    }
    // One that fails after a step and is only to be said; nobody listens to the notice either.
    cloud.write_spec(
        "notify: [{webhook: \"http://127.0.0.1:9/\"}]\nhooks: [{after: probe, run: [/bin/false]}]\n",
    );
    let output = run(&mut cloud.mayfly(&["deploy", "--yes"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("going on") && said.contains("not told: webhook 1"), "{said}");
    let endings: Vec<Value> =
        json(&cloud, &["history"]).as_array().unwrap().iter().map(|entry| entry["ending"].clone()).collect();
    assert_eq!(endings, ["current", "rolled-back", "rolled-back", "succeeded"]);
}

#[test]
fn schedules_deploy_skip_what_overlaps_and_end_in_order() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    // Once one deployment has ended, the next stands still where it can be undone.
    let once = cloud.folder.path().join("once");
    let (shell, once) = (format!("test ! -e {0} || sleep 600", once.display()), once.display());
    let hooks = format!(
        "hooks:\n  - {{before: register, shell: '{shell}', timeout: 10m}}\n  - {{after: deployment, shell: 'touch {once}'}}\n"
    );
    let schedules = "schedules: [{cron: '* * * * * *', set: {greeter.version: night}}]\n";
    cloud.write_spec(&format!("{schedules}{hooks}"));
    let mut command = cloud.mayfly(&["schedule", "--output", "json"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut events: Vec<Value> = Vec::new();
    let mut ended = 0;
    for line in lines {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let kind = event["event"].clone();
        events.push(event);
        ended += usize::from(kind == "schedule-ended");
        // Within the next deployment.
        if ended == 1 && kind == "step-started" {
            signal(&child, Signal::SIGTERM);
            ended += 1;
        }
    }
    let last = child.wait().unwrap();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(last.code(), Some(0), "{kinds:?}");
    assert!(kinds.contains(&"schedule-skipped"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"schedule-stopped"), "{kinds:?}");
    let outcomes: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "finished").map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["done", "rolled-back"], "{kinds:?}");
    assert_eq!(cloud.live().len(), 2);
    assert_eq!(json(&cloud, &["history", "1"])["parameters"]["greeter.version"], "night");
}

/// Ends with the test, however that ends.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_schedule_tells_of_what_fails_before_it_is_planned() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let (url, told) = receiver();
    let keys = format!("notify: [{{webhook: \"{url}\"}}]\nschedules: [{{cron: '* * * * * *'}}]\n");
    cloud.write_spec(&keys);
    let file = cloud.folder.path().join("mayfly.yaml");
    let spec = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, spec.replace(&cloud.deploy_url(), "http://127.0.0.1:9/states.git")).unwrap();
    let mut command = cloud.mayfly(&["schedule"]);
    let mut child = Guarded(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let said = |word: &str| {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let mut last = Value::Null;
        while !last["cause"].as_str().is_some_and(|cause| cause.contains(word)) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            last = told.recv_timeout(left).unwrap_or_else(|_| panic!("no {word:?}; last {last:#}"));
            assert_eq!((&last["notice"], &last["deployment"]), (&"failure".into(), &Value::Null), "{last:#}");
        }
    };
    said("cannot ask http://127.0.0.1:9/states.git");
    // Whom to tell is known from the start.
    std::fs::write(&file, "service: greeter\nnotfy: []\n").unwrap();
    said("unknown key `notfy`");
    signal(&child.0, Signal::SIGTERM);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    assert!(cloud.live().is_empty(), "{:#?}", cloud.live());
}

#[test]
fn instances_that_are_pinned_stay_on_their_commit() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    cloud.write_spec("");
    let file = cloud.folder.path().join("mayfly.yaml");
    let spec = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, spec.replace("states: {", "states: {follow: false, ")).unwrap();
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let pinned = json(&cloud, &["history", "1"])["commit"].as_str().unwrap().to_owned();
    cloud.repo.write("greeter/note", "x");
    let next = cloud.repo.push("something new");
    // One that follows, beside them, shows when the new commit would have been applied.
    let follower = cloud.run_instance(
        &cloud.bare_image(),
        &mayfly_tests::sandbox::user_data(&cloud, "states_are: none\n").replace("states_are: none\n", ""),
    );
    wait::until("the follower is on the new commit", Duration::from_secs(60), || {
        let ready = cloud.until_ready_says(&follower, 200);
        if ready.contains(&next[..12]) { Ok(()) } else { Err(ready) }
    });
    for instance in cloud.live().into_iter().filter(|instance| instance.id != follower) {
        let ready = cloud.until_ready_says(&instance.id, 200);
        assert!(ready.contains(&pinned[..12]), "{ready} {pinned}");
    }
}

#[test]
fn what_init_writes_is_never_written_over_and_can_be_planned() {
    let cloud = Cloud::start();
    cloud.create_balancer("greeter");
    let (states, deploy_url) = (cloud.repo_url(), cloud.deploy_url());
    let args = [
        "init",
        "--service",
        "greeter",
        "--states",
        &states,
        "--deploy-url",
        &deploy_url,
        "--classic",
        "greeter",
    ];
    run_ok(&mut cloud.mayfly(&args));
    let plan = json(&cloud, &["plan"]);
    assert_eq!(plan["count"], 2, "{plan:#}");
    let file = cloud.folder.path().join("mayfly.yaml");
    std::fs::write(&file, "mine\n").unwrap();
    let refused = run(&mut cloud.mayfly(&args));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("mayfly.yaml"), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    run_ok(cloud.mayfly(&args).arg("--force"));
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    let pages = cloud.folder.path().join("man");
    run_ok(Command::new(mayfly_tests::programs::program("mayfly")).arg("man").arg(&pages));
    assert!(std::fs::read_to_string(pages.join("mayfly-deploy.1")).unwrap().contains("Example"));
}
