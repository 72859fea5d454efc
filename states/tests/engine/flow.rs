//! The walk: requisites, prereq, listen, failhard, test mode, progress.

use crate::bench::{Bench, json, only, step, words};
use mayfly_states::engine::{Observer, Options};
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, StepReport};

fn ok(id: &str, args: serde_json::Value) -> Chunk {
    step("test.nop", id, args)
}
fn changes(id: &str) -> Chunk {
    step("test.succeed_with_changes", id, json!({}))
}
fn fails(id: &str) -> Chunk {
    step("test.fail_without_changes", id, json!({}))
}

#[test]
fn what_requires_a_failed_step_is_not_run_and_says_which() {
    let bench = Bench::new();
    let report = bench.run(&[
        fails("a"),
        ok("b", json!({"require": [{"test": "a"}]})),
        ok("c", json!({"require": [{"test": "b"}]})),
        ok("d", json!({"onfail": [{"test": "a"}]})),
        ok("e", json!({"onchanges": [{"test": "d"}]})),
    ]);
    assert_eq!(words(&report), ["failed", "failed", "failed", "ok", "skipped"]);
    let comment =
        "Not run, because what it requires has failed: test.fail_without_changes `a` (test.sls:1:1)";
    assert_eq!(report.steps[1].comment, comment);
    assert!(!report.steps[1].ran && !report.ok());
}

#[test]
fn watch_calls_mod_watch_only_where_the_step_itself_changed_nothing() {
    let bench = Bench::new();
    let watch = json!({"watch": [{"test": "a"}]});
    let report =
        bench.run(&[changes("a"), ok("b", watch.clone()), step("test.succeed_with_changes", "c", watch)]);
    assert_eq!(words(&report), ["changed", "changed", "changed"]);
    assert_eq!(report.steps[1].comment, "Watch statement fired.");
    assert_eq!(report.steps[2].comment, "Success!");
}

#[test]
fn a_condition_that_holds_a_step_back_holds_its_mod_watch_back() {
    let bench = Bench::new();
    let report = bench.run(&[changes("a"), ok("b", json!({"watch": [{"test": "a"}], "unless": "true"}))]);
    assert_eq!(words(&report), ["changed", "ok"]);
}

#[test]
fn prereq_runs_first_and_only_when_the_other_is_about_to_change() {
    let bench = Bench::new();
    let steps = |content: &str| {
        [
            step(
                "cmd.run",
                "stop",
                json!({"name": "cat $MAYFLY_ROOT/etc/c 2>&1", "prereq": [{"file": "conf"}]}),
            ),
            step("file.managed", "conf", json!({"name": "/etc/c", "contents": content})),
        ]
    };
    bench.write("/etc/c", "old\n");
    assert_eq!(words(&bench.run(&steps("old"))), ["skipped", "ok"]);
    let report = bench.run(&steps("new"));
    assert_eq!(words(&report), ["changed", "changed"]);
    assert_eq!(report.steps[0].changes.get("stdout").and_then(|v| v.as_str()), Some("old"));
    let mut failing = steps("newer");
    failing[0].name = "false".into();
    assert_eq!(words(&bench.run(&failing)), ["failed", "failed"]);
    assert_eq!(bench.read("/etc/c"), "new\n", "what comes after a failed prereq step is not done");
}

#[test]
fn listen_reacts_once_and_at_the_end() {
    let bench = Bench::new();
    let listening = ok("x", json!({"listen": [{"test": "a"}, {"test": "b"}]}));
    let report = bench.run(&[listening, changes("a"), changes("b")]);
    let tags: Vec<&str> = report.steps.iter().map(|s| s.tag.as_str()).collect();
    assert_eq!(tags[3], "test_|-listener_x_|-x_|-mod_watch");
    assert_eq!(tags.len(), 4);
    assert_eq!(
        words(&bench.run(&[ok("x", json!({"listen": [{"test": "a"}]})), ok("a", json!({}))])),
        ["ok", "ok"]
    );
}

#[test]
fn steps_out_of_order_run_after_what_they_need() {
    let bench = Bench::new();
    let report = bench.run(&[
        ok("last", json!({"require": [{"sls": "test"}]})),
        ok("a", json!({})),
        ok("b", json!({})),
    ]);
    let ids: Vec<&str> = report.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "last"]);
    assert!(report.ok());
}

#[test]
fn requisites_in_a_circle_or_to_nowhere_fail_and_do_not_hang() {
    let bench = Bench::new();
    let circle = [ok("a", json!({"require": [{"test": "b"}]})), ok("b", json!({"require": [{"test": "a"}]}))];
    let report = bench.run(&circle);
    assert_eq!(words(&report), ["failed", "failed"]);
    assert!(report.steps[0].comment.contains("round in a circle"), "{}", report.steps[0].comment);
    let nowhere = only(bench.run(&[ok("a", json!({"require": [{"file": "ghost"}]}))]));
    assert_eq!(nowhere.comment, "Requisites that name no state: require: file: ghost");
}

#[test]
fn failhard_ends_the_run() {
    let mut bench = Bench::new();
    let hard = step("test.fail_without_changes", "a", json!({"failhard": true}));
    let report = bench.run(&[hard.clone(), ok("b", json!({}))]);
    assert_eq!(words(&report), ["failed"]);
    assert!(report.stopped.is_some_and(|why| why.contains("failhard")));
    assert_eq!(words(&bench.test(&[hard, ok("b", json!({}))])), ["failed", "ok"]);
    bench.options = Options { failhard: true, ..Options::default() };
    assert_eq!(words(&bench.run(&[fails("a"), ok("b", json!({}))])), ["failed"]);
}

#[test]
fn test_mode_says_what_is_unknown_until_an_earlier_step_is_applied() {
    let bench = Bench::new();
    let user = json!({"contents": "x", "user": "app"});
    let steps = [
        step("file.directory", "/srv/app", json!({"makedirs": true})),
        step("file.managed", "/srv/app/conf", json!({"contents": "x"})),
        step("file.managed", "/srv/app/other", user.clone()),
        step("file.managed", "/srv/app/bad", json!({"mode": "nonsense"})),
    ];
    let report = bench.test(&steps);
    assert_eq!(words(&report), ["would", "would", "would", "failed"]);
    assert!(report.steps[1].comment.starts_with("Unknown until `/srv/app` (test.sls:1:1) is applied: "));
    let alone = only(bench.test(&[step("file.managed", "/etc/x", user)]));
    assert_eq!(alone.outcome, Outcome::Failed, "nothing earlier could bring the user");
}

#[test]
fn an_unknown_state_function_fails_with_the_nearest_name() {
    let bench = Bench::new();
    let failed = only(bench.run(&[step("test.nopp", "a", json!({}))]));
    assert_eq!(failed.comment, "there is no state function test.nopp; did you mean test.nop?");
    let report = bench.run(&[
        step("selinux.mode", "permissive", json!({})),
        step("test.nop", "needy", json!({"require": [{"selinux": "permissive"}]})),
        step("test.nop", "other", json!({})),
    ]);
    assert_eq!(words(&report), ["failed", "failed", "ok"]);
    assert_eq!(report.steps[0].comment, "selinux.mode is not supported: there are no `selinux` states here");
}

#[test]
fn the_observer_hears_of_every_step_in_order() {
    #[derive(Default)]
    struct Heard(Vec<String>);
    impl Observer for Heard {
        fn on_step_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
            self.0.push(format!("{n}/{total} {}", chunk.id));
        }
        fn on_step_end(&mut self, step: &StepReport, _: usize) {
            self.0.push(format!("{} {:?}", step.id, step.outcome));
        }
    }
    let mut heard = Heard::default();
    Bench::new().go(&[ok("a", json!({})), fails("b")], Options::default(), &mut heard);
    assert_eq!(heard.0, ["0/2 a", "a Ok", "1/2 b", "b Failed"]);
}

#[test]
fn an_sls_of_includes_stands_for_what_it_includes() {
    let bench = Bench::new();
    let inner = step("test.fail_without_changes", "a", json!({"__sls_included_from__": ["outer"]}));
    let report = bench.run(&[
        inner,
        ok("b", json!({"require": [{"sls": "outer"}]})),
        ok("c", json!({"require": [{"sls": "empty"}]})),
    ]);
    assert_eq!(words(&report), ["failed", "failed", "ok"]);
}
