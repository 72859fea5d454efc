//! What rules say beside their paths: checks, actions, rates, edits of kept paths; and how sets of rules follow one another.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::{Bench, rule};
use common::until;
use mayfly_watcher::supervisor::Supervisor;
use mayfly_watcher::watch::Options;
use mayfly_watcher::{Action, Event, OnEdit, Rate};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A file that holds `good`, and a check that asks for that and then runs some shell.
fn checked(more: &str) -> (Bench, PathBuf) {
    let mut bench = Bench::new(Options::default());
    let file = bench.path("web.conf");
    fs::write(&file, "good").unwrap();
    let mut web = rule("web", "web", std::slice::from_ref(&file));
    let script = format!(
        "cd {}; grep -q good web.conf || {{ echo no good >&2; exit 1; }}; {more}",
        bench.dir.path().display()
    );
    web.check = Some(["/bin/sh", "-c", &script].map(String::from).into());
    bench.rules.push(web);
    bench.watch();
    (bench, file)
}

#[test]
fn a_failing_check_keeps_the_service_until_the_file_is_right() {
    let (bench, file) = checked("true");
    bench.expect(0, "bad", |_| fs::write(&file, "bad").unwrap());
    until("told", || matches!(bench.last_event(), Event::CheckFailed { .. }));
    let Event::CheckFailed { reason, path, .. } = bench.last_event() else { panic!() };
    assert!(reason.ends_with("no good") && path == file, "{reason}");
    let status = &bench.watcher.status().rules[1];
    assert!(status.last_failure.as_ref().unwrap().standing && status.check_failures >= 1);
    bench.expect(1, "good again, and other", |_| fs::write(&file, "good 2").unwrap());
    let status = &bench.watcher.status().rules[1];
    assert!(!status.last_failure.as_ref().unwrap().standing);
    assert_eq!((status.actions, status.state), (1, "quiet"));
    bench.expect(0, "bad once more", |_| fs::write(&file, "bad").unwrap());
    until("refused", || bench.watcher.status().rules[1].state == "refused");
    bench.expect(0, "and put back", |_| fs::write(&file, "good 2").unwrap());
    assert!(!bench.watcher.status().rules[1].last_failure.as_ref().unwrap().standing);
}

#[test]
fn an_action_that_fails_is_tried_again_until_it_succeeds() {
    let bench = Bench::on(&["web.conf"]);
    bench.watch();
    *bench.notes.broken.lock().unwrap() = true;
    bench.write("web.conf", "1");
    until("told", || !bench.events.lock().unwrap().is_empty());
    assert!(
        matches!(bench.last_event(), Event::ActionFailed { reason, action: Action::Restart, .. } if reason.contains("broken"))
    );
    *bench.notes.broken.lock().unwrap() = false;
    until("it was tried again", || bench.restarts() == 1);
}

#[test]
fn other_actions_do_what_they_say() {
    let mut bench = Bench::new(Options::default());
    let done = bench.path("done");
    let run = ["/bin/sh".to_owned(), "-c".into(), format!("echo x >> {}", done.display())];
    for (name, action) in
        [("r", Action::Reload), ("s", Action::Signal("HUP".into())), ("c", Action::Run(run.to_vec()))]
    {
        let mut one = rule(name, name, &[bench.path(name)]);
        one.action = action;
        bench.rules.push(one);
    }
    bench.watch();
    ["r", "s", "c"].iter().for_each(|n| bench.write(n, "1"));
    bench.settle();
    assert_eq!((bench.notes.count("reload r"), bench.notes.count("signal HUP s")), (1, 1));
    assert_eq!(fs::read_to_string(done).unwrap(), "x\n");
}

#[test]
fn rules_are_reconciled_and_wrong_ones_change_nothing() {
    let mut bench = Bench::on(&["web.conf"]);
    bench.write("web.conf", "0");
    bench.watch();
    let pause = bench.watcher.pause();
    bench.write("web.conf", "1");
    bench.rules.push(rule("other", "web2", &[bench.path("other")]));
    bench.watch();
    drop(pause);
    bench.settle();
    assert_eq!(bench.restarts(), 1, "an unchanged rule keeps what it has seen");
    for wrong in
        [rule("x", "x", &[]), rule("web", "x", &[bench.path("x")]), rule("x", "x", &["relative".into()])]
    {
        let rules = [bench.rules.clone(), vec![wrong]].concat();
        assert!(bench.watcher.set_rules(rules).is_err());
    }
    bench.expect(1, "as before", |d| fs::write(d.join("web.conf"), "2").unwrap());
    bench.rules.retain(|r| r.name == "barrier");
    bench.watch();
    bench.expect(0, "the rule is gone", |d| fs::write(d.join("web.conf"), "3").unwrap());
    assert_eq!(bench.watcher.status().rules.len(), 1);
}

#[test]
fn a_converge_that_restarts_by_itself_gives_no_second_restart() {
    let bench = Bench::on(&["web.conf"]);
    bench.write("web.conf", "0");
    bench.watch();
    let supervisor = bench.watcher.supervisor();
    bench.expect(1, "write and restart, held", |d| {
        fs::write(d.join("web.conf"), "1").unwrap();
        supervisor.restart("web").unwrap();
    });
    bench.expect(1, "write and restart by other means, then say so", |d| {
        fs::write(d.join("web.conf"), "2").unwrap();
        bench.notes.restart("web").unwrap();
        bench.watcher.rebaseline("web");
    });
    bench.expect(2, "a write after the restart is not lost", |d| {
        fs::write(d.join("web.conf"), "3").unwrap();
        supervisor.restart("web").unwrap();
        fs::write(d.join("web.conf"), "4").unwrap();
    });
    bench.expect(1, "a reload alone does not serve a rule that restarts", |d| {
        fs::write(d.join("web.conf"), "5").unwrap();
        supervisor.reload("web").unwrap();
    });
}

#[test]
fn a_converge_does_not_restart_what_a_check_keeps() {
    let (bench, file) = checked("true");
    let supervisor = bench.watcher.supervisor();
    bench.expect(0, "bad, while a converge restarts and reloads", |_| {
        let paused = bench.watcher.pause();
        fs::write(&file, "bad").unwrap();
        for act in [supervisor.restart("web"), supervisor.reload("web")] {
            let error = act.unwrap_err().to_string();
            assert!(error.contains("kept as it runs") && error.ends_with("no good"), "{error}");
        }
        drop(paused);
    });
    bench.expect(1, "good again, and other", |_| {
        fs::write(&file, "good 2").unwrap();
        supervisor.restart("web").unwrap();
    });
}

#[test]
fn a_converge_restarts_with_what_was_checked_alone() {
    // Good while it is looked at, and bad right after.
    let (bench, _) = checked("[ -e once ] || { touch once; echo bad > web.conf; }");
    let supervisor = bench.watcher.supervisor();
    bench.expect(0, "the check is asked once more", |_| {
        let error = supervisor.restart("web").unwrap_err().to_string();
        assert!(error.contains("kept as it runs") && error.ends_with("no good"), "{error}");
    });
    let (bench, _) = checked("echo good $(date +%N) > web.conf");
    let supervisor = bench.watcher.supervisor();
    let error = supervisor.restart("web").unwrap_err().to_string();
    assert!(error.contains("its files change while they are checked"), "{error}");
    assert_eq!(bench.notes.count("restart web"), 0);
}

#[test]
fn what_the_watcher_has_no_say_in_is_the_supervisor_s() {
    let bench = Bench::new(Options::default());
    let supervisor = bench.watcher.supervisor();
    assert!(supervisor.masked("web", false).unwrap() && supervisor.offline());
    assert_eq!(supervisor.ends("web").unwrap().last.as_deref(), Some("web exited"));
    supervisor.set_masked("web", true, true).unwrap();
    supervisor.shutdown().unwrap();
    assert_eq!((bench.notes.count("mask web"), bench.notes.count("shutdown all")), (1, 1));
}

#[test]
fn a_rate_holds_what_comes_beyond_it_and_does_it_in_the_end() {
    let mut bench = Bench::on(&["web.conf"]);
    let rate = Rate { actions: 2, window: Duration::from_secs(5) };
    bench.rules[1].rate = Some(rate);
    bench.watch();
    for n in 0..2 {
        bench.expect(1, "within the rate", |d| fs::write(d.join("web.conf"), n.to_string()).unwrap());
    }
    for n in 2..5 {
        bench.write("web.conf", &n.to_string());
        until("it is held", || bench.watcher.status().rules[1].state == "held");
    }
    assert_eq!(bench.restarts(), 2);
    let held = bench.watcher.status().rules[1].clone();
    let room = held.held_until.unwrap() - held.last_action.unwrap();
    assert!(room > 0.0 && room <= rate.window.as_secs_f64(), "{room}");
    until("it is done", || bench.restarts() == 3);
    bench.settle();
    assert_eq!((bench.restarts(), bench.watcher.status().rules[1].held_until), (3, None));
    let held = |event: &&Event| matches!(event, Event::Held { service, wait, .. } if service == "web" && *wait <= rate.window);
    assert_eq!(bench.events.lock().unwrap().iter().filter(held).count(), 1, "told once");
}

#[test]
fn edits_of_kept_paths_are_told_and_what_their_keeper_writes_is_acted_on() {
    for (on_edit, revert) in [(OnEdit::Revert, true), (OnEdit::Report, false)] {
        let mut bench = Bench::on(&["conf.d/*.conf"]);
        (bench.rules[1].on_edit, bench.rules[1].kept) = (on_edit, vec![bench.path("conf.d/kept.conf")]);
        bench.write("conf.d/kept.conf", "0");
        bench.watch();
        let kept = bench.path("conf.d/kept.conf");
        bench.write("conf.d/kept.conf", "by hand");
        let edited = || bench.watcher.status().rules[1].edited.clone();
        until("the edit is seen", || edited() == [kept.clone()]);
        let told =
            Event::Edited { service: "web".into(), rule: "web".into(), paths: vec![kept.clone()], revert };
        until("the edit is told", || bench.events.lock().unwrap().contains(&told));
        bench.write("conf.d/kept.conf", "0");
        until("it is put back", || edited().is_empty());
        bench.expect(1, "what nobody keeps", |d| fs::write(d.join("conf.d/other.conf"), "1").unwrap());
        bench.expect(1, "what the keeper writes", |d| {
            fs::write(d.join("conf.d/kept.conf"), "1").unwrap();
            bench.watcher.approve(vec![kept.clone()]);
        });
        assert!(edited().is_empty());
    }
}
