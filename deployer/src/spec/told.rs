//! What instances are told as it is written: where their tree comes from, and their watch rules. Their form is looked at
//! here, so that what the table of keys does not allow is not found out on every instance.

use super::table::{Read, Table};
use super::{DEFAULT_REFERENCE, StatesSpec};
use mayfly_ami::user_data::States;
use serde_json::{Map, Value};

pub(super) fn states(top: &Table<'_>) -> Read<StatesSpec> {
    let table = top.section("states")?.ok_or_else(|| top.missing("states"))?;
    let tree = States {
        url: table.text("url")?.ok_or_else(|| table.missing("url"))?,
        reference: Some(table.text("ref")?.unwrap_or_else(|| DEFAULT_REFERENCE.to_owned())),
        commit: None,
        follow: table.flag("follow")?,
        file_root: table.text("file_root")?,
        pillar_root: table.text("pillar_root")?,
        file_roots: table.free("file_roots")?,
        pillar_roots: table.free("pillar_roots")?,
        token_file: table.text("token_file")?,
        ssh_key_file: table.text("ssh_key_file")?,
        known_hosts_file: table.text("known_hosts_file")?,
        more: more(&table)?,
    };
    for [one, many] in [["file_root", "file_roots"], ["pillar_root", "pillar_roots"]] {
        if table.get(one).is_some() && table.get(many).is_some() {
            return Err(table.value(many, format!("give `{one}` or `{many}`, not both")));
        }
    }
    Ok(StatesSpec { tree, deploy_url: table.text("deploy_url")? })
}

/// What is handed on to instances as it is written, once it is known to be what the table of keys says.
fn more(table: &Table<'_>) -> Read<Map<String, Value>> {
    table.checked()?;
    let names = ["mirrors", "token", "ssh_key", "github_app", "proxy", "signed_by", "submodules", "formulas"];
    let given = names.iter().filter_map(|name| Some(((*name).to_owned(), given(table.get(name)?.to_json()))));
    Ok(given.collect())
}

/// Without what is left out with `null`, as an environment may: instances count it as a key.
fn given(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, given(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(given).collect(),
        other => other,
    }
}

pub(super) fn watch(top: &Table<'_>) -> Read<Vec<Value>> {
    top.sections("watch")?.iter().map(watch_rule).collect()
}

/// One rule, as instances read it: its times are text there.
fn watch_rule(table: &Table<'_>) -> Read<Value> {
    table.checked()?;
    let paths = table.list("paths")?;
    let runs = table.text("action")?.is_some_and(|action| action.split_whitespace().next() == Some("run"));
    if table.get("service").is_none() && !(runs && paths.is_some()) {
        return Err(table.missing("service"));
    }
    if paths.as_ref().is_some_and(Vec::is_empty) {
        return Err(table.value("paths", "the list is empty"));
    }
    if paths.is_none() && !HOW.iter().any(|name| table.get(name).is_some()) {
        let why = format!("without `paths` a rule says at least one of {}", HOW.join(", "));
        return Err(table.value("service", why));
    }
    let mut rule = given(table.to_json());
    if let (Some(debounce), Some(keys)) = (table.duration_text("debounce")?, rule.as_object_mut()) {
        keys.insert("debounce".to_owned(), debounce.into());
    }
    Ok(rule)
}

/// What a rule can say of the files that the states let a service watch.
const HOW: [&str; 5] = ["action", "debounce", "check", "rate", "on_edit"];

#[cfg(test)]
mod tests {
    use crate::spec::Spec;
    use serde_json::{Value, json};

    const GOOD: &str = "service: greeter\nimage: ami-1\nprobe: none\n";

    fn read(rest: &str) -> Result<Spec, String> {
        Spec::parse(&format!("{GOOD}{rest}\n"), "f", "production", &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn several_roots_and_options_reach_the_spec_and_one_kind_of_roots_is_enough() {
        let roots = "url: u, file_roots: {base: [a, b], dev: c}, pillar_roots: {base: p}";
        let more = "saltenv: dev\nnodegroups: {blue: 'web*'}\noptions: {state_top: t.sls}";
        let spec = read(&format!("states: {{{roots}}}\n{more}")).expect("a spec");
        let shown = json!([spec.states.tree.file_roots, spec.nodegroups, spec.options, spec.saltenv]);
        let expected = json!([
            {"base": ["a", "b"], "dev": "c"}, {"blue": "web*"}, {"state_top": "t.sls"}, "dev"
        ]);
        assert_eq!(shown, expected);
        assert_eq!(
            read(&format!("states: {{file_root: x, {roots}}}")).expect_err("refused"),
            "f:4:44: `states.file_roots`: give `file_root` or `file_roots`, not both"
        );
    }

    #[test]
    fn watch_rules_are_handed_on_as_instances_take_them() {
        let read = |rule: &str| read(&format!("states: {{url: u}}\nwatch: [{rule}]"));
        let watch = |rule: &str| read(rule).expect("a spec").watch;
        let by_command = r#"{"paths": ["/a"], "action": "run /b", "debounce": "2s"}"#;
        let by_command: Value = serde_json::from_str(by_command).expect("JSON");
        assert_eq!(watch("{paths: [/a], action: run /b, debounce: 2}"), [by_command]);
        for refused in
            ["{paths: [/a]}", "{action: run /b}", "{paths: /a, service: b}", "{service: b, on_edit: x}"]
        {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn every_supervisor_that_instances_know_is_taken() {
        let spec = read("states: {url: u}\nsupervisor: sysv").expect("a spec");
        assert_eq!(spec.supervisor.as_deref(), Some("sysv"));
    }

    #[test]
    fn a_rule_that_instances_refuse_is_refused_here() {
        let rule = |rule: &str| read(&format!("states: {{url: u}}\nwatch: [{rule}]"));
        assert!(rule(r#"{paths: [/a], action: "run\t/b"}"#).is_ok(), "as instances split it");
        for (refused, words) in [
            ("{paths: [/a], action: runs /b}", "f:5:9: `watch[0].service` is missing"),
            ("{paths: [], service: b}", "f:5:17: `watch[0].paths`: the list is empty"),
            ("{paths: [], action: run /b}", "f:5:17: `watch[0].paths`: the list is empty"),
            (
                "{service: b}",
                "f:5:19: `watch[0].service`: without `paths` a rule says at least one of action,",
            ),
            ("{service: b, name: c, rate: null}", "f:5:19: `watch[0].service`: without `paths`"),
            ("{service: b, rate: 3}", "f:5:28: `watch[0].rate` must be text"),
        ] {
            let said = rule(refused).expect_err(refused);
            assert!(said.starts_with(words), "{refused}: {said}");
        }
    }

    #[test]
    fn what_is_handed_on_has_the_kinds_that_instances_take() {
        let states = |more: &str| read(&format!("states: {{url: u, {more}}}"));
        let key = "key: {ssm: /k}";
        for (more, words) in [
            ("mirrors: 'https://m/x'", "f:4:27: `states.mirrors` must be a list of text, but is text"),
            ("mirrors: [[m]]", "f:4:28: `states.mirrors` must be text, but is a list"),
            ("signed_by: k", "f:4:29: `states.signed_by` must be a list of text, but is text"),
            (
                "token: {file: 3}",
                "f:4:32: `states.token.file` must be text (put it in quotes), but is a number",
            ),
            ("formulas: [{ref: v1}]", "f:4:29: `states.formulas[0].url` is missing"),
            ("formulas: [{url: x, signed_by: k}]", "f:4:49: `states.formulas[0].signed_by` must be a list"),
            ("github_app: {id: 7, installation: 9}", "f:4:30: `states.github_app.key` is missing"),
            (&format!("github_app: {{id: 7, {key}}}"), "f:4:30: `states.github_app.installation` is missing"),
            (
                &format!("github_app: {{id: 0, installation: 9, {key}}}"),
                "f:4:35: `states.github_app.id`: 0 is not",
            ),
            (
                &format!("github_app: {{id: [7], installation: 9, {key}}}"),
                "f:4:35: `states.github_app.id` must be",
            ),
            ("proxy: 3", "f:4:25: `states.proxy` must be text"),
            ("submodules: 'no'", "f:4:30: `states.submodules` must be true or false, but is text"),
        ] {
            let said = states(more).expect_err(more);
            assert!(said.starts_with(words), "{more}: {said}");
        }
        for id in ["123456", "Iv1.0123abc"] {
            let app = format!("github_app: {{id: {id}, installation: 9, {key}}}");
            assert!(states(&app).is_ok(), "{id}");
        }
    }

    #[test]
    fn what_an_environment_leaves_out_with_null_is_not_handed_on() {
        let text = "states: {url: u, token: {file: /t}}\nenvironments:\n  qa: {states: {token: {file: null, ssm: /s}}}";
        let spec = Spec::parse(&format!("{GOOD}{text}\n"), "f", "qa", &[]).expect("a spec");
        assert_eq!(Value::Object(spec.states.tree.more), json!({"token": {"ssm": "/s"}}));
    }
}
