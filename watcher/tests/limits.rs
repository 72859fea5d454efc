//! The kernel's limits, really reached: in a user namespace of their own, where they can be set low.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, lines, until};
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Event, Rule, Supervisor, Watcher};
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const INSIDE: &str = "MAYFLY_LIMITED";

/// Run a test of this file once more, in a user namespace where a limit has this value.
fn with_limit(test: &str, limit: &str, value: u32) {
    let script = format!("echo {value} > /proc/sys/user/{limit} && exec \"$0\" --exact {test} --nocapture");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "yes")
        .output()
        .expect("unshare runs: install util-linux");
    let console = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && console.contains("1 passed"), "{console}{output:?}");
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A service that tells what its file says, in one of the directories of a rule with a hundred of them; the watcher, and
/// what it said when the rules were set.
fn watched() -> (House, Watcher, Vec<Event>) {
    let house = House::new();
    for n in 0..100 {
        fs::create_dir_all(house.path(&format!("conf/{n}"))).unwrap();
        fs::write(house.path(&format!("conf/{n}/web.conf")), "start\n").unwrap();
    }
    let (file, told) = (house.path("conf/99/web.conf"), house.path("told"));
    house.shell("web", &format!("cat {} >> {}; exec sleep 1000", file.display(), told.display()), "");
    house.supervisor.start("web").unwrap();
    until("it runs", || lines(&told) == ["start"]);
    let events = Arc::new(Mutex::new(vec![]));
    let heard = events.clone();
    let listener = move |event: &Event| heard.lock().unwrap().push(event.clone());
    let options = Options { poll: Duration::from_millis(20), ..Options::default() };
    let watcher = Watcher::start_with(house.supervisor.clone(), Arc::new(listener), options).unwrap();
    let rule = Rule {
        name: "web".into(),
        service: "web".into(),
        paths: vec![house.path("conf/*/web.conf")],
        debounce: Duration::from_millis(20),
        ..Rule::default()
    };
    watcher.set_rules(vec![rule]).unwrap();
    let said = events.lock().unwrap().clone();
    (house, watcher, said)
}

fn change_and_see(house: &House) {
    for n in 1..=3 {
        fs::write(house.path("conf/99/web.conf"), format!("{n}\n")).unwrap();
        until("the last content runs", || lines(&house.path("told")).last().unwrap() == &n.to_string());
    }
    assert_eq!(lines(&house.path("told")), ["start", "1", "2", "3"]);
}

#[test]
fn without_a_watch_left_the_rest_is_polled_and_the_way_out_is_said() {
    if !is_inside() {
        let name = "without_a_watch_left_the_rest_is_polled_and_the_way_out_is_said";
        return with_limit(name, "max_inotify_watches", 40);
    }
    let (house, watcher, said) = watched();
    let [Event::Degraded { reason }] = said.as_slice() else { panic!("{said:?}") };
    let expected = "no inotify watch is left (fs.inotify.max_user_watches is 40): raise it with sysctl; the rest is polled";
    assert_eq!(reason, expected);
    let status = watcher.status();
    assert_eq!((status.watches, status.degraded.as_deref()), (40, Some(expected)));
    change_and_see(&house);
    fs::write("/proc/sys/user/max_inotify_watches", "1000").unwrap();
    until("all is watched once there is room", || {
        let status = watcher.status();
        status.degraded.is_none() && status.watches > 100 && !status.rules[0].polled
    });
}

#[test]
fn without_an_instance_left_everything_is_polled_and_the_way_out_is_said() {
    if !is_inside() {
        let name = "without_an_instance_left_everything_is_polled_and_the_way_out_is_said";
        return with_limit(name, "max_inotify_instances", 0);
    }
    let (house, watcher, said) = watched();
    let [Event::Degraded { reason }] = said.as_slice() else { panic!("{said:?}") };
    assert!(
        reason.contains("fs.inotify.max_user_instances is 0") && reason.ends_with("everything is polled"),
        "{reason}"
    );
    assert!(watcher.status().watches == 0 && watcher.status().rules[0].polled);
    change_and_see(&house);
}
