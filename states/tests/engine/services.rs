//! `service.*` on real processes.

use crate::bench::{Bench, json, only, step, words};
use mayfly_states::report::Outcome;
use mayfly_states::value::Value;

#[test]
fn running_starts_and_enables_once_and_dead_ends_it() {
    let bench = Bench::new();
    bench.services.define("web");
    let running = step("service.running", "web", json!({"enable": true}));
    let changed = bench.change(&running);
    assert_eq!(changed.changes.get("web"), Some(&Value::Bool(true)));
    assert_eq!(changed.comment, "Service `web` started and enabled");
    assert_eq!(bench.services.asked(), ["start web", "enable web"]);
    bench.change(&step("service.dead", "web", json!({"enable": false})));
    assert_eq!(bench.services.asked(), ["stop web", "disable web"]);
    assert_eq!(bench.services.pid("web"), None);
}

#[test]
fn a_changed_file_restarts_what_watches_it_and_nothing_else_does() {
    let bench = Bench::new();
    bench.services.define("web");
    let steps = |content: &str, extra: serde_json::Value| {
        let mut args = json!({"watch": [{"file": "conf"}]});
        args.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        [
            step("file.managed", "conf", json!({"name": "/etc/web.conf", "contents": content})),
            step("service.running", "web", args),
        ]
    };
    assert_eq!(words(&bench.run(&steps("1", json!({})))), ["changed", "changed"]);
    assert_eq!(bench.services.asked(), ["start web"], "what was just started needs no restart");
    let first = bench.services.pid("web");
    assert_eq!(words(&bench.run(&steps("1", json!({})))), ["ok", "ok"]);
    assert_eq!(bench.services.pid("web"), first);
    assert_eq!(words(&bench.test(&steps("2", json!({})))), ["would", "would"]);
    assert!(bench.services.asked().is_empty(), "test mode asks for nothing");
    assert_eq!(words(&bench.run(&steps("2", json!({})))), ["changed", "changed"]);
    assert_eq!(bench.services.asked(), ["restart web"]);
    assert_ne!(bench.services.pid("web"), first);
    bench.run(&steps("3", json!({"reload": true})));
    assert_eq!(bench.services.asked(), ["reload web"]);
}

#[test]
fn an_unknown_service_fails_to_run_and_is_dead() {
    let bench = Bench::new();
    let failed = only(bench.run(&[step("service.running", "ghost", json!({}))]));
    assert_eq!(
        (failed.outcome, failed.comment.as_str()),
        (Outcome::Failed, "The service `ghost` is not known to processes")
    );
    bench.same(&step("service.dead", "ghost", json!({})));
    let odd = only(bench.run(&[step("service.running", "--all", json!({}))]));
    assert_eq!(odd.comment, "\"--all\" cannot be the name of a service");
}

#[test]
fn test_mode_takes_a_service_for_possible_when_its_unit_is_yet_to_come() {
    let bench = Bench::new();
    let report = bench.test(&[
        step("file.managed", "/etc/unit", json!({"contents": "x"})),
        step("service.running", "new", json!({"watch": [{"file": "/etc/unit"}]})),
    ]);
    assert_eq!(words(&report), ["would", "would"]);
}

#[test]
fn a_service_that_is_only_enabled_is_still_restarted_by_its_watch() {
    let bench = Bench::new();
    bench.services.define("web");
    bench.run(&[step("service.running", "web", json!({}))]);
    bench.services.asked();
    let steps = [
        step("file.managed", "/etc/web.conf", json!({"contents": "x"})),
        step("service.running", "web", json!({"enable": true, "watch": [{"file": "/etc/web.conf"}]})),
    ];
    let report = bench.run(&steps);
    assert_eq!(bench.services.asked(), ["enable web", "restart web"]);
    assert_eq!(report.steps[1].changes.keys().collect::<Vec<_>>(), ["web"]);
}

#[test]
fn services_are_left_alone_while_who_runs_them_does_not_but_for_a_watch() {
    let bench = Bench::new();
    bench.services.define("web");
    bench.services.rest();
    let running = step("service.running", "web", json!({"enable": true}));
    let left = bench.same(&running);
    assert_eq!(left.comment, "systemd does not run yet: the service `web` is left as it is");
    bench.same(&step("service.running", "not-yet-there", json!({})));
    bench.same(&step("service.dead", "web", json!({})));
    assert!(bench.services.asked().is_empty());
    let watching = step("service.running", "web", json!({"watch": [{"file": "/etc/web.conf"}]}));
    bench.run(&[step("file.managed", "/etc/web.conf", json!({"contents": "x"})), watching]);
    assert_eq!(bench.services.asked(), ["start web"]);
}
