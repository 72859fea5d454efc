//! `cmd.*`, and the conditions and checks that are commands.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;

use crate::bench::{Bench, eventually, json, need_root, only, step, words};
use mayfly_states::report::{Outcome, StepReport};
use mayfly_states::value::Value;

fn stdout(step: &StepReport) -> &str {
    step.changes.get("stdout").and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn run_gives_exit_code_and_output_and_fails_by_the_exit_code() {
    let bench = Bench::new();
    let ran = only(bench.run(&[step("cmd.run", "echo out; echo err >&2", json!({}))]));
    assert_eq!((ran.outcome, stdout(&ran)), (Outcome::Ok, "out"));
    assert_eq!(ran.changes.get("stderr"), Some(&Value::Str("err".into())));
    assert_eq!(ran.changes.get("retcode"), Some(&Value::Int(0)));
    let failed = only(bench.run(&[step("cmd.run", "echo why >&2; exit 3", json!({}))]));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(failed.comment, "Command `echo why >&2; exit 3` ended with exit code 3\nwhy");
    let excused = only(bench.run(&[step("cmd.run", "exit 3", json!({"success_retcodes": [3]}))]));
    assert_eq!(excused.outcome, Outcome::Ok);
}

#[test]
fn run_honours_cwd_env_shell_and_umask() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("/srv")).unwrap();
    let args = json!({
        "name": "pwd; echo $COLOUR; echo ${HOME-none}; touch made; shopt -s nullglob",
        "cwd": "/srv", "env": [{"COLOUR": "red"}, {"HOME": false}], "shell": "/bin/bash", "umask": "0077",
    });
    let ran = only(bench.run(&[step("cmd.run", "all", args)]));
    assert_eq!(stdout(&ran), format!("{}\nred\nnone", bench.at("/srv").canonicalize().unwrap().display()));
    assert_eq!(bench.at("/srv/made").metadata().unwrap().mode() & 0o777, 0o600);
    let nowhere = only(bench.run(&[step("cmd.run", "true", json!({"cwd": "/nowhere"}))]));
    assert_eq!(nowhere.comment, "the working directory /nowhere is not there");
}

#[test]
fn run_as_a_user_takes_on_its_groups_and_home() {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/passwd", "app:x:4242:4343::/srv/app:/bin/sh\n");
    bench.write("/etc/group", "app:x:4343:\nlogs:x:4444:app\n");
    let ran = only(bench.run(&[step("cmd.run", "id -u; id -G; echo $HOME $USER", json!({"runas": "app"}))]));
    assert_eq!(stdout(&ran), "4242\n4343 4444\n/srv/app app");
    let missing = only(bench.run(&[step("cmd.run", "id", json!({"runas": "ghost"}))]));
    assert_eq!(missing.comment, "cannot run \"id\" as \"ghost\": there is no such user");
}

#[test]
fn another_account_gets_nothing_of_our_environment_but_what_is_for_all() {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:4242:4343::/srv/app:/bin/sh\n");
    let asked = "echo ${CARGO_MANIFEST_DIR-none} ${COLOUR-none}; test -n \"$PATH\"";
    let run = |user: &str| {
        only(bench.run(&[step("cmd.run", asked, json!({"runas": user, "env": [{"COLOUR": "red"}]}))]))
    };
    let ran = run("app");
    assert_eq!((ran.outcome, stdout(&ran)), (Outcome::Ok, "none red"));
    assert_eq!(stdout(&run("root")), format!("{} red", env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn a_timeout_kills_the_whole_process_group() {
    let bench = Bench::on_this_machine();
    let pid_file = bench.scratch("pid");
    let line =
        format!("(trap '' TERM; sleep 1000 & echo $! > {}; wait) & echo working; wait", pid_file.display());
    // On a busy machine the shell may not have come far within a second.
    let attempt = |seconds: u32| {
        let ran = only(bench.run(&[step("cmd.run", &line, json!({"timeout": seconds}))]));
        assert_eq!(ran.outcome, Outcome::Failed);
        let told = format!("was killed with its children after {seconds} s");
        assert!(ran.comment.contains(&told), "{}", ran.comment);
        ran.comment.contains("its last words: working") && pid_file.exists()
    };
    assert!([1, 4, 16].into_iter().any(attempt));
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    assert!(eventually(|| dead(pid)), "the grandchild {pid} lives on");
}

/// Gone, or a zombie that its new parent has yet to reap.
fn dead(pid: i32) -> bool {
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    state().is_none_or(|s| {
        s.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z') || rest.starts_with('X'))
    })
}

#[test]
fn a_daemon_that_keeps_the_pipes_open_does_not_hold_up_the_run() {
    let bench = Bench::on_this_machine();
    let ran = only(bench.run(&[step("cmd.run", "sleep 1000 & echo $!", json!({"timeout": 60}))]));
    assert_eq!(ran.outcome, Outcome::Ok);
    let pid = nix::unistd::Pid::from_raw(stdout(&ran).parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn output_is_bounded_to_its_last_bytes() {
    let bench = Bench::on_this_machine();
    let ran =
        only(bench.run(&[step("cmd.run", "head -c 5000000 /dev/zero | tr '\\0' x; echo end", json!({}))]));
    assert_eq!(stdout(&ran).len(), (1 << 20) - 1);
    assert!(stdout(&ran).ends_with("xend"));
}

#[test]
fn a_cancelled_run_ends_the_command_at_hand_and_starts_no_other() {
    let bench = Bench::on_this_machine();
    let started = bench.scratch("started");
    let steps = [
        step("cmd.run", &format!("touch {}; sleep 1000", started.display()), json!({"timeout": 30})),
        step("cmd.run", "true", json!({})),
    ];
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.run(&steps));
        assert!(eventually(|| started.exists()));
        bench.cancel.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert_eq!(words(&report), ["failed"]);
    assert_eq!(report.stopped.as_deref(), Some("the run was cancelled"));
    assert!(
        report.steps[0].comment.contains("was stopped because the run was cancelled"),
        "{:?}",
        report.steps
    );
    assert!(!report.ok());
}

#[test]
fn conditions_hold_a_step_back() {
    let bench = Bench::new();
    bench.write("/srv/there", "");
    let run = |args| only(bench.run(&[step("cmd.run", "true", args)]));
    let ran = |args| run(args).changes.contains_key("pid");
    assert!(ran(json!({"unless": "false"})) && !ran(json!({"unless": "true"})));
    assert!(!ran(json!({"unless": ["false", "true"]})), "one unless that holds is enough");
    assert!(ran(json!({"onlyif": "true"})) && !ran(json!({"onlyif": ["true", "false"]})));
    assert!(!ran(json!({"creates": "/srv/there"})) && ran(json!({"creates": ["/srv/there", "/srv/not"]})));
    assert_eq!(run(json!({"onlyif": "false"})).comment, "Not run, because its onlyif does not hold: false");
}

#[test]
fn conditions_are_asked_in_test_mode_too_but_the_command_is_not_run() {
    let bench = Bench::new();
    let made = bench.scratch("made");
    let touch = format!("touch {}", made.display());
    let report = bench.test(&[
        step("cmd.run", &touch, json!({"unless": "false"})),
        step("cmd.run", &touch, json!({"unless": "true"})),
    ]);
    assert_eq!(words(&report), ["would", "ok"]);
    assert!(!made.exists());
}

#[test]
fn check_cmd_decides_the_outcome() {
    let bench = Bench::new();
    let run = |check: &str| only(bench.run(&[step("cmd.run", "true", json!({"check_cmd": check}))]));
    assert_eq!(run("true").outcome, Outcome::Ok);
    let failed = run("echo not good; exit 4");
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(failed.comment.ends_with("exit code 4: echo not good; exit 4\nnot good"), "{}", failed.comment);
}

#[test]
fn retry_tries_again_until_it_succeeds() {
    let bench = Bench::new();
    let count = bench.scratch("count");
    let line = format!("echo x >> {0}; test $(wc -l < {0}) -ge 3", count.display());
    let ran = only(bench.run(&[step("cmd.run", &line, json!({"retry": {"attempts": 5, "interval": 0}}))]));
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(ran.comment.ends_with("(attempt 3 of 5)"), "{}", ran.comment);
}

#[test]
fn wait_runs_only_when_what_it_watches_changes() {
    let bench = Bench::new();
    let steps = |content| {
        [
            step("file.managed", "conf", json!({"name": "/etc/c", "contents": content})),
            step("cmd.wait", "echo rebuilt", json!({"watch": [{"file": "conf"}]})),
        ]
    };
    let first = bench.run(&steps("1"));
    assert_eq!(stdout(&first.steps[1]), "rebuilt");
    assert_eq!(words(&bench.run(&steps("1"))), ["ok", "ok"]);
    assert_eq!(words(&bench.test(&steps("2"))), ["would", "would"]);
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let bench = Bench::new();
    let refused = bench.refuses(&step("cmd.run", "true", json!({"stateful": true})));
    assert!(refused.starts_with("`stateful` is not supported"), "{refused}");
}

#[test]
fn no_log_hides_what_was_said() {
    let bench = Bench::new();
    let report = bench.run(&[step("cmd.run", "x", json!({"name": "echo hunter2; exit 1", "no_log": true}))]);
    assert_eq!(words(&report), ["failed"]);
    assert!(!format!("{:?}{:?}", report.steps[0].changes, report.steps[0].comment).contains("hunter2"));
}
