//! A real supervisord, through its socket.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/supervisord.rs"]
mod daemon;

use common::{alive, lines, until};
use daemon::Daemon;
use mayfly_watcher::supervisor::{Error, Kind, Status, Supervisor, Supervisord, detect};
use mayfly_watcher::{Event, Rule, Watcher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn pid(daemon: &Daemon, service: &str) -> u32 {
    match daemon.supervisor.status(service).unwrap() {
        Status::Running(Some(pid)) => pid,
        other => panic!("{service} is {other:?}"),
    }
}

#[test]
fn programs_are_found_started_restarted_signalled_and_stopped() {
    let daemon = Daemon::new();
    let supervisor = &daemon.supervisor;
    assert_eq!(detect(daemon.dir.path()), Kind::Supervisord);
    assert_eq!(supervisor.status("web").unwrap(), Status::Unknown);
    assert!(matches!(supervisor.start("web"), Err(Error::Unknown { .. })));

    let told = daemon.path("told");
    let script =
        format!("trap 'echo hup >> {0}' HUP; echo up >> {0}; while :; do sleep 0.01; done", told.display());
    daemon.program("web", &script, "");
    assert_eq!(supervisor.status("web").unwrap(), Status::Stopped, "written, and not yet applied");
    supervisor.start("web").unwrap();
    let first = pid(&daemon, "web");
    supervisor.start("web").unwrap();
    assert_eq!(pid(&daemon, "web"), first);
    until("it runs", || lines(&told) == ["up"]);
    supervisor.reload("web").unwrap();
    until("it was told", || lines(&told) == ["up", "hup"]);

    supervisor.restart("web").unwrap();
    let second = pid(&daemon, "web");
    assert!(second != first && !alive(first));
    supervisor.stop("web").unwrap();
    assert!(!alive(second));
    supervisor.stop("web").unwrap();
    assert_eq!(supervisor.status("web").unwrap(), Status::Stopped);
    assert!(supervisor.signal("web", "HUP").is_err(), "a stopped program takes no signal");
    supervisor.restart("web").unwrap();
    assert_eq!(supervisor.enabled("web").unwrap(), None);
    assert!(matches!(supervisor.set_enabled("web", true), Err(Error::Unsupported { .. })));
}

#[test]
fn a_changed_section_is_applied_by_a_restart() {
    let daemon = Daemon::new();
    let told = daemon.path("told");
    let script = format!("echo $A >> {}; exec sleep 1000", told.display());
    daemon.program("web", &script, "environment=A=one\n");
    daemon.program("other", "exec sleep 1000", "");
    daemon.supervisor.start("web").unwrap();
    daemon.supervisor.start("other").unwrap();
    let other = pid(&daemon, "other");
    until("the first", || lines(&told) == ["one"]);
    daemon.program("web", &script, "environment=A=two\n");
    daemon.supervisor.restart("web").unwrap();
    until("the second", || lines(&told) == ["one", "two"]);
    assert_eq!(pid(&daemon, "other"), other, "others are left alone");

    std::fs::write(daemon.path("conf.d/broken.conf"), "[program:broken]\n").unwrap();
    daemon.supervisor.restart("web").unwrap();
    until("a configuration that cannot be read keeps nobody from restarting", || lines(&told).len() == 3);
    let error = daemon.supervisor.start("broken").unwrap_err().to_string();
    assert!(error.contains("broken"), "{error}");
}

#[test]
fn a_program_that_does_not_stay_up_is_a_failure_that_says_why() {
    let daemon = Daemon::new();
    daemon.program("web", "exit 3", "startsecs=1\nstartretries=0\n");
    let error = daemon.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("supervisord could not start \"web\"") && error.contains("see "), "{error}");
    let nobody = Supervisord::new(daemon.path("nobody.sock"));
    assert!(!nobody.answers());
    assert!(nobody.status("web").unwrap_err().to_string().contains("nobody.sock"));
    let stranger = Supervisord::new(daemon.path("s.sock"));
    assert!(stranger.status("web").unwrap_err().to_string().contains("password"));
}

#[test]
fn a_program_that_cannot_be_spawned_is_a_failure_that_says_why() {
    let daemon = Daemon::new();
    let log = daemon.path("log");
    std::fs::create_dir(&log).unwrap();
    let more = format!("startretries=0\nstdout_logfile={}\n", log.display());
    daemon.program("web", "exec sleep 1000", &more);
    let error = daemon.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("EISDIR") && error.contains("see "), "{error}");
}

#[test]
fn groups_of_several_processes_are_one_service() {
    let daemon = Daemon::new();
    daemon.program("web", "exec sleep 1000", "numprocs=2\nprocess_name=web_%(process_num)d\n");
    daemon.supervisor.start("web").unwrap();
    assert_eq!(daemon.supervisor.status("web").unwrap(), Status::Running(None));
    let one = pid(&daemon, "web:web_1");
    daemon.supervisor.restart("web").unwrap();
    assert!(!alive(one));
    daemon.supervisor.stop("web:web_1").unwrap();
    assert_eq!(daemon.supervisor.status("web").unwrap(), Status::Stopped);
    assert!(matches!(daemon.supervisor.status("web_0").unwrap(), Status::Running(Some(_))));
}

#[test]
fn a_changed_file_restarts_a_program_once() {
    let daemon = Daemon::new();
    let (file, told) = (daemon.path("web.conf"), daemon.path("told"));
    std::fs::write(&file, "one\n").unwrap();
    daemon.program("web", &format!("cat {} >> {}; exec sleep 1000", file.display(), told.display()), "");
    daemon.supervisor.start("web").unwrap();
    until("the first", || lines(&told) == ["one"]);
    let events = Arc::new(Mutex::new(vec![]));
    let heard = events.clone();
    let listener = move |event: &Event| heard.lock().unwrap().push(event.clone());
    let watcher = Watcher::start(Arc::new(daemon.supervisor.clone()), Arc::new(listener)).unwrap();
    let rule = Rule {
        name: "web".into(),
        paths: vec![file.clone()],
        service: "web".into(),
        debounce: Duration::from_millis(20),
        ..Rule::default()
    };
    watcher.set_rules(vec![rule]).unwrap();
    std::fs::write(&file, "two\n").unwrap();
    until("told", || !events.lock().unwrap().is_empty());
    until("the second", || lines(&told).last().is_some_and(|l| l == "two"));
    assert!(
        events
            .lock()
            .unwrap()
            .iter()
            .all(|e| matches!(e, Event::Restarted { service, .. } if service == "web"))
    );
}

/// As `supervisorctl start` sees it: the first end is a failure; what supervisord makes of it later is seen later.
#[test]
fn a_start_waits_for_startsecs_and_backoff_is_a_failure_that_may_pass() {
    let daemon = Daemon::new();
    let count = daemon.path("count");
    let script =
        format!("echo x >> {0}; [ $(wc -l < {0}) -ge 2 ] || exit 1; exec sleep 1000", count.display());
    daemon.program("web", &script, "startsecs=1\nstartretries=5\n");
    let error = daemon.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("state BACKOFF"), "{error}");
    until("supervisord tried again", || lines(&count).len() == 2);
    daemon.supervisor.start("web").unwrap();
    let steady = pid(&daemon, "web");
    daemon.supervisor.start("web").unwrap();
    assert_eq!((pid(&daemon, "web"), lines(&count).len()), (steady, 2), "the one that runs was left alone");
    daemon.program("ill", "exit 7", "startsecs=1\nstartretries=0\n");
    assert!(daemon.supervisor.start("ill").is_err());
    assert_eq!(daemon.supervisor.status("ill").unwrap(), Status::Stopped);
}

#[test]
fn processes_of_a_group_go_by_its_name_and_by_their_own() {
    let daemon = Daemon::new();
    daemon.program("web", "exec sleep 1000", "numprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\n");
    daemon.program("job", "exec sleep 1000", "");
    let group = "[group:site]\nprograms=api,front\n[program:api]\ncommand=/bin/sleep 1000\nautostart=false\nstartsecs=0\n\
                 [program:front]\ncommand=/bin/sleep 1000\nautostart=false\nstartsecs=0\n";
    std::fs::write(daemon.path("conf.d/site.conf"), group).unwrap();
    let supervisor = &daemon.supervisor;
    supervisor.start("web").unwrap();
    supervisor.start("site").unwrap();
    let (zero, one) = (pid(&daemon, "web:web_00"), pid(&daemon, "web:web_01"));
    supervisor.restart("web:web_00").unwrap();
    assert!(!alive(zero) && pid(&daemon, "web:web_01") == one, "only the one that was named");
    let (api, front) = (pid(&daemon, "site:api"), pid(&daemon, "site:front"));
    supervisor.restart("site:front").unwrap();
    assert!(!alive(front) && pid(&daemon, "site:api") == api);
    supervisor.restart("site").unwrap();
    assert!(!alive(api), "the group is all of them");
    assert!(matches!(supervisor.start("site:nobody"), Err(Error::Unknown { .. })));
    assert_eq!(supervisor.status("web:web_02").unwrap(), Status::Unknown);
}

#[test]
fn a_supervisord_that_is_restarted_under_us_is_found_again() {
    let mut daemon = Daemon::new();
    daemon.program("web", "exec sleep 1000", "");
    daemon.supervisor.start("web").unwrap();
    let first = pid(&daemon, "web");
    daemon.stop();
    assert!(!alive(first));
    let error = daemon.supervisor.restart("web").unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("s.sock"), "{error}");
    daemon.start();
    daemon.supervisor.restart("web").unwrap();
    assert!(alive(pid(&daemon, "web")));
}
