//! Templates of `file.managed`, with the Jinja of the state language.

use crate::bench::{Bench, json, step};
use mayfly_states::value::Value;

#[test]
fn managed_renders_jinja_with_pillar_grains_defaults_and_context() {
    let mut bench = Bench::new();
    bench.pillar = [("port".to_owned(), Value::Int(8080))].into();
    bench.grains = [("role".to_owned(), Value::Str("web".into()))].into();
    bench.tree("app.conf", "{{ grains.role }} {{ pillar['port'] }} {{ a }} {{ b }}\n");
    let args = json!({"source": "salt://app.conf", "template": "jinja", "defaults": {"a": 1, "b": 1}, "context": {"b": 2}});
    bench.change(&step("file.managed", "/etc/app.conf", args));
    assert_eq!(bench.read("/etc/app.conf"), "web 8080 1 2\n");
}

#[test]
fn a_template_that_fails_names_its_line_and_writes_nothing() {
    let bench = Bench::new();
    bench.tree("bad.conf", "fine\n{{ nothing.here }}\n");
    let args = json!({"source": "salt://bad.conf", "template": "jinja"});
    let comment = bench.refuses(&step("file.managed", "/etc/bad.conf", args));
    assert!(comment.contains("bad.conf:2"), "{comment}");
}
