//! `parallel: True`: steps that run at once, who waits for them, and how they end.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bench::{Bench, json, step, words};
use mayfly_states::engine::{Observer, Options};
use mayfly_states::low::Chunk;

/// A command that runs beside others; one that waits in vain is ended.
fn beside(id: &str, line: &str) -> Chunk {
    step("cmd.run", id, json!({"name": line, "parallel": true, "timeout": 20}))
}

#[test]
fn steps_meet_each_other_and_whoever_requires_them_waits() {
    let bench = Bench::new();
    let fifo = bench.scratch("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let report = bench.run(&[
        beside("gives", &format!("echo hello > {}", fifo.display())),
        beside(
            "takes",
            &format!("cat {} > $MAYFLY_ROOT/etc/taken; echo two > $MAYFLY_ROOT/etc/two", fifo.display()),
        ),
        step("cmd.run", "cat $MAYFLY_ROOT/etc/taken", json!({"require": [{"cmd": "takes"}]})),
        step("file.exists", "/etc/two", json!({"onchanges": [{"cmd": "takes"}]})),
    ]);
    assert_eq!(words(&report), ["changed", "changed", "changed", "ok"], "{}", report.to_text());
    let ids: Vec<&str> = report.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids[..2], ["gives", "takes"], "they are told where they began");
    assert!(report.steps.iter().enumerate().all(|(n, s)| s.run_num == n));
    let stdout = report.steps[2].changes.get("stdout").and_then(|v| v.as_str());
    assert_eq!(stdout, Some("hello"));
}

#[test]
fn one_that_fails_fails_what_requires_it_and_reactions_come_after() {
    let bench = Bench::new();
    let report = bench.run(&[
        beside("bad", "exit 3"),
        beside("good", "true"),
        step("test.nop", "needs", json!({"require": [{"cmd": "bad"}]})),
        step("test.nop", "cleans", json!({"onfail": [{"cmd": "bad"}]})),
        step("test.nop", "reacts", json!({"watch": [{"cmd": "good"}]})),
        step("test.nop", "hears", json!({"listen": [{"cmd": "good"}]})),
    ]);
    assert_eq!(words(&report), ["failed", "changed", "failed", "ok", "changed", "ok", "changed"]);
}

#[test]
fn failhard_holds_for_one_that_runs_beside_and_the_others_end() {
    let bench = Bench::new();
    let mut hard = beside("hard", "exit 1");
    hard.args.insert("failhard".into(), mayfly_states::value::Value::Bool(true));
    let report = bench.run(&[
        hard,
        beside("other", "echo other > $MAYFLY_ROOT/etc/other"),
        step("test.nop", "needs", json!({"require": [{"cmd": "hard"}]})),
    ]);
    assert_eq!(words(&report), ["failed", "changed"]);
    assert_eq!(bench.read("/etc/other"), "other\n");
    assert!(report.stopped.is_some_and(|why| why.contains("failhard")));
    assert_eq!(report.left, ["test.nop `needs` (test.sls:1:1)"]);
}

#[test]
fn what_has_one_database_is_not_run_beside_others_and_a_rehearsal_is_serial() {
    let bench = Bench::new();
    let append = |text: &str| {
        let args = json!({"name": "/etc/list", "text": text, "makedirs": true, "parallel": true});
        step("file.append", text, args)
    };
    let steps: Vec<Chunk> = (0..20).map(|n| append(&format!("line {n}"))).collect();
    assert_eq!(words(&bench.test(&steps[..2])), ["would", "would"]);
    assert!(bench.run(&steps).ok());
    let lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
    assert_eq!(bench.read("/etc/list").lines().collect::<Vec<_>>(), lines);
}

#[test]
fn many_files_at_once_are_as_in_a_row() {
    let bench = Bench::new();
    bench.tree("one", "{{ n }}\n");
    let managed = |n: usize| {
        let args = json!({"source": "salt://one", "template": "jinja", "context": {"n": n}, "parallel": true, "mode": "0640"});
        step("file.managed", &format!("/etc/f{n}"), args)
    };
    let steps: Vec<Chunk> = (0..100).map(managed).collect();
    assert_eq!(words(&bench.run(&steps)), vec!["changed"; 100]);
    assert!((0..100).all(|n| bench.read(&format!("/etc/f{n}")) == format!("{n}\n")));
    assert_eq!(words(&bench.run(&steps)), vec!["ok"; 100]);
}

#[test]
fn a_cancelled_run_ends_those_that_run_beside_and_names_what_is_left() {
    struct Impatient(Arc<AtomicBool>);
    impl Observer for Impatient {
        fn on_step_start(&mut self, _: usize, _: usize, chunk: &Chunk) {
            if chunk.id == "now" {
                self.0.store(true, Ordering::SeqCst);
            }
        }
    }
    let bench = Bench::new();
    let steps = [
        beside("long", "sleep 1000"),
        beside("longer", "sleep 1000"),
        step("test.nop", "now", json!({})),
        step("test.nop", "never", json!({})),
    ];
    let report = bench.go(&steps, Options::default(), &mut Impatient(bench.cancel.clone()));
    assert_eq!(words(&report), ["failed", "failed", "ok"], "{}", report.to_text());
    assert!(report.steps[0].comment.contains("stopped because the run was cancelled"));
    assert_eq!(report.left, ["test.nop `never` (test.sls:1:1)"]);
    assert!(report.to_text().contains("stopped: the run was cancelled\nnot run: test.nop `never`"));
}
