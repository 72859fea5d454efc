//! The stages through the library's door: the starter tree, pillar, watches, templates at apply time, errors.
// Effects: writes trees into temporary folders.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use mayfly_states::compile;
use mayfly_states::compile::high;
use mayfly_states::engine::{Render, Seen, TemplateRequest, with_jinja};
use mayfly_states::minion::Minion;
use mayfly_states::modules::Registry;
use mayfly_states::pillar;
use mayfly_states::session::{AnyState, NoFunctions, Session, StateFunctions};
use mayfly_states::top;
use mayfly_states::tree::Tree;
use mayfly_states::value::{Map, Value};
use mayfly_states::watches::{Action, watches};

/// A tree in a temporary folder, and who asks for it.
struct Fixture {
    _folder: tempfile::TempDir,
    tree: Tree,
    minion: Minion,
}

fn map(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned()))).collect()
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let full = folder.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        }
        let tree = Tree::base(folder.path(), Some(folder.path().join("pillar")));
        let minion = Minion {
            id: "web1".into(),
            grains: map(&[("role", "web")]),
            pillar: Map::new(),
            saltenv: "base".into(),
            ..Minion::default()
        };
        Self { _folder: folder, tree, minion }
    }

    fn session<'a>(&'a self, states: &'a dyn StateFunctions) -> Session<'a> {
        Session { tree: &self.tree, minion: &self.minion, functions: &NoFunctions, states }
    }

    fn seen<'a>(&'a self, pillar: &'a Map) -> Seen<'a> {
        Seen { tree: &self.tree, minion: &self.minion, pillar, functions: &NoFunctions }
    }
}

#[test]
fn the_starter_tree_compiles_for_every_role_with_states_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    for (role, services) in [("single", 2), ("web", 1), ("worker", 1)] {
        let mut fixture = Fixture::new(&[]);
        fixture.tree = Tree::base(&root, Some(root.join("pillar")));
        fixture.minion.grains = map(&[("role", role)]);
        let low = compile::highstate(&fixture.session(&Registry)).unwrap_or_else(|e| panic!("{role}:\n{e}"));
        let found = low.chunks.iter().filter(|c| c.state == "service").count();
        assert_eq!(found, services, "{role}");
        assert_eq!(watches(&low).len(), services, "{role}");
        for chunk in low.chunks.iter().filter(|c| c.arg("template").is_some()) {
            let path =
                chunk.arg("source").and_then(Value::as_str).unwrap().trim_start_matches("salt://").to_owned();
            let source = std::fs::read_to_string(root.join(&path)).unwrap();
            let request = TemplateRequest { source: &source, name: &path, chunk, context: &Map::new() };
            let text = with_jinja(fixture.seen(&low.pillar), |jinja| jinja.template(&request));
            let text = text.unwrap_or_else(|e| panic!("{e}"));
            assert!(!text.contains("{{"), "{path}");
        }
    }
}

#[test]
fn pillar_given_at_birth_wins_and_keeps_what_it_does_not_name() {
    let mut fixture = Fixture::new(&[
        ("top.sls", "base: {'*': [a]}"),
        ("a.sls", "a:\n  test.nop:\n    - v: {{ pillar.app.version }}\n    - p: {{ pillar.app.port }}\n"),
        ("pillar/top.sls", "base: {'*': [p]}"),
        ("pillar/p.sls", "app: {version: '1', port: 80}"),
    ]);
    fixture.minion.pillar = Map::from([("app".into(), Value::Map(map(&[("version", "2")])))]);
    let low = compile::highstate(&fixture.session(&AnyState)).unwrap();
    assert_eq!(low.chunks[0].arg("v"), Some(&Value::Int(2)));
    assert_eq!(low.chunks[0].arg("p"), Some(&Value::Int(80)));
    assert_eq!(pillar::pillar(&fixture.session(&AnyState)).unwrap(), low.pillar);
}

#[test]
fn services_watch_the_files_that_they_name() {
    let sls = "
/etc/a: {file.managed: []}
b-file: {file.managed: [{name: /etc/b}]}
/etc/c: {file.managed: [{listen_in: [{service: one}]}]}
/etc/d: {file.managed: [{watch_in: [{service: one}]}]}
/etc/only-there: {file.directory: [{listen_in: [{service: one}]}]}
pkg: {cmd.run: [{name: x}]}
one:
  service.running:
    - watch: [{file: /etc/a}, {file: b-file}, {file: b-file}, {cmd: pkg}]
two:
  service.running:
    - name: real-two
    - reload: true
    - listen: [{file: /etc/*}]
three:
  service.running:
    - require: [{file: /etc/a}]
    - onchanges: [{file: b-file}]
";
    let fixture = Fixture::new(&[("a.sls", sls)]);
    let low = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap();
    let found = watches(&low);
    let told: Vec<(&str, Vec<&str>, Action)> = found
        .iter()
        .map(|w| (w.service.as_str(), w.paths.iter().map(String::as_str).collect(), w.action))
        .collect();
    assert_eq!(
        told,
        [
            ("one", vec!["/etc/a", "/etc/b", "/etc/d", "/etc/c"], Action::Restart),
            ("real-two", vec!["/etc/a", "/etc/b", "/etc/c", "/etc/d"], Action::Reload),
        ]
    );
}

#[test]
fn templates_see_context_grains_pillar_and_imports() {
    let fixture = Fixture::new(&[
        ("web/lib.jinja", "{% macro m(x) %}<{{ x }}>{% endmacro %}"),
        ("web/init.sls", "x: {test.nop: []}"),
    ]);
    let source = "{% from './lib.jinja' import m %}{{ m(who) }} {{ grains.role }} {{ pillar.k }} {{ sls }} {{ tpldir }}\n";
    let low = compile::sls(&fixture.session(&AnyState), &["web".into()]).unwrap();
    let pillar = map(&[("k", "v")]);
    let context = map(&[("who", "me")]);
    let request =
        |source| TemplateRequest { source, name: "web/app.conf", chunk: &low.chunks[0], context: &context };
    with_jinja(fixture.seen(&pillar), |jinja| {
        assert_eq!(jinja.template(&request(source)).unwrap(), "<me> web v web web\n");
        let error = jinja.template(&request("ok\n{{ gone }}")).unwrap_err();
        assert!(error.starts_with("web/app.conf:2:4: Jinja: 'gone' is undefined"), "{error}");
        let error = jinja.template(&request(
            "{% for i in range(99999999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        ));
        assert!(error.unwrap_err().contains("web/app.conf:1:"), "one template's fault is no other's");
        assert_eq!(jinja.template(&request(source)).unwrap(), "<me> web v web web\n");
    });
}

#[test]
fn a_chunk_is_placed_where_its_file_says_it_and_not_where_the_rendered_text_does() {
    let sls = "{% for i in range(9) %}\n# {{ i }}\n{% endfor %}\nlast:\n  test.nop: []\n";
    let fixture = Fixture::new(&[("a.sls", sls)]);
    let low = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap();
    assert_ne!(low.chunks[0].origin.line, 4);
    assert_eq!(low.origin(&low.chunks[0]).to_string(), "a.sls:4:1");
}

#[test]
fn several_errors_are_told_in_one_run() {
    let fixture = Fixture::new(&[
        ("top.sls", "base: {'*': [a, b, gone]}"),
        ("a.sls", "x: {{ nope }}\n"),
        ("b.sls", "include: [c]\ny:\n  file: [managed\n"),
    ]);
    let errors = compile::highstate(&fixture.session(&AnyState)).unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 3, "{text}");
    for words in ["a.sls:1:7: Jinja: 'nope'", "b.sls:", "the SLS 'gone' is not in the environment 'base'"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn unknown_states_are_warned_of_with_their_place() {
    let fixture = Fixture::new(&[("a.sls", "ok:\n  test.nop: []\nbad:\n  file.manged:\n    - name: /x\n")]);
    let low = compile::sls(&fixture.session(&Registry), &["a".into()]).unwrap();
    assert_eq!(low.chunks.len(), 2, "the others are run");
    let warned = low.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(warned.contains("a.sls:3:1: unknown state function `file.manged`"), "{warned}");
}

#[test]
fn no_state_for_the_minion_is_an_error_and_no_top_file_too() {
    let fixture = Fixture::new(&[("top.sls", "base: {'db*': [a]}")]);
    let errors = compile::highstate(&fixture.session(&AnyState)).unwrap_err().to_string();
    assert!(errors.contains("no state is targeted at the minion 'web1'"), "{errors}");
    let fixture = Fixture::new(&[("a.sls", "")]);
    let errors = compile::highstate(&fixture.session(&AnyState)).unwrap_err().to_string();
    assert!(errors.contains("there is no top.sls"), "{errors}");
}

#[test]
fn stages_can_be_shown_one_by_one() {
    let fixture = Fixture::new(&[("top.sls", "base: {'*': [a]}"), ("a.sls", "x: test.nop\n")]);
    let session = fixture.session(&AnyState);
    let matches = top::top(&session).unwrap();
    assert_eq!(matches, [("base".to_owned(), vec!["a".to_owned()])]);
    let high = high::high(&session, &matches).unwrap();
    let x = high["x"].as_map().unwrap();
    assert_eq!(x["__sls__"], Value::Str("a".into()));
    assert_eq!(x["test"].as_list().unwrap()[0], Value::Str("nop".into()));
}

#[test]
fn includes_that_go_round_are_rendered_once() {
    let fixture = Fixture::new(&[
        ("a.sls", "include: [b]\na: test.nop\n"),
        ("b.sls", "include: [a, .b]\nb: test.nop\n"),
    ]);
    let low = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap();
    let ids: Vec<&str> = low.chunks.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
}

#[test]
fn paths_do_not_lead_out_of_the_tree() {
    let fixture =
        Fixture::new(&[("t/a.sls", "x:\n  test.nop:\n    - y: {% include '../../../../etc/hostname' %}\n")]);
    let errors = compile::sls(&fixture.session(&AnyState), &["t.a".into()]).unwrap_err().to_string();
    assert!(errors.contains("t/a.sls:3:13"), "{errors}");
}

#[test]
fn renderers_that_are_not_ours_are_refused() {
    for (text, words) in
        [("#!py\ndef run(): pass\n", "renderer `py`"), ("#!jinja|mako|yaml\n", "renderer `mako`")]
    {
        let fixture = Fixture::new(&[("a.sls", text)]);
        let errors = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap_err().to_string();
        assert!(errors.contains("a.sls:1:1") && errors.contains(words), "{errors}");
    }
    let fixture = Fixture::new(&[
        ("a.sls", "#!yaml\nx{{ y }}: test.nop\n"),
        ("b.sls", "#!json\n{\"b\": {\"test.nop\": []}}\n"),
    ]);
    let low = compile::sls(&fixture.session(&AnyState), &["b".into()]).unwrap();
    assert_eq!(low.chunks[0].id, "b");
}

#[test]
fn an_sls_that_is_not_there_is_told_where_it_is_named_and_with_the_one_that_was_meant() {
    let top = "{% for i in [1, 2] %}\n{% endfor %}\nbase:\n  '*':\n    - ngnix\n    - nginx/init.sls\n    - web.sls\n    - quite.another\n";
    let fixture = Fixture::new(&[
        ("top.sls", top),
        ("nginx/init.sls", "include: [wbe]\nx: test.nop\n"),
        ("web.sls", "y: test.nop\n"),
    ]);
    let errors = compile::highstate(&fixture.session(&AnyState)).unwrap_err().to_string();
    for words in [
        "top.sls:5:7: the SLS 'ngnix' is not in the environment 'base'",
        "help: did you mean `nginx`?",
        "top.sls:6:7: the SLS 'nginx/init.sls'",
        "write `nginx`",
        "top.sls:7:7: the SLS 'web.sls'",
        "write `web`",
        "top.sls:8:7: the SLS 'quite.another'",
        "help: expected quite/another.sls or quite/another/init.sls below the file root",
    ] {
        assert!(errors.contains(words), "{words}\n{errors}");
    }
    let asked =
        |name: &str| compile::sls(&fixture.session(&AnyState), &[name.to_owned()]).unwrap_err().to_string();
    assert!(asked("nginx.sls").contains("write `nginx`"), "{}", asked("nginx.sls"));
    assert!(asked("ngin").contains("did you mean `nginx`?"), "{}", asked("ngin"));
    let included = asked("nginx");
    assert!(included.contains("nginx/init.sls:1:11: the SLS 'wbe'"), "{included}");
    assert!(included.contains("did you mean `web`?"), "{included}");
}

#[test]
fn a_pillar_sls_that_is_not_there_is_told_where_it_is_named_and_with_the_one_that_was_meant() {
    let fixture = Fixture::new(&[
        ("pillar/top.sls", "base:\n  '*':\n    - usres\n    - app/init.sls\n"),
        ("pillar/users.sls", "a: 1\n"),
        ("pillar/app/init.sls", "b: 1\n"),
    ]);
    let errors = pillar::pillar(&fixture.session(&AnyState)).unwrap_err().to_string();
    for words in [
        "pillar/top.sls:3:7: the pillar SLS 'usres'",
        "did you mean `users`?",
        "pillar/top.sls:4:7: the pillar SLS 'app/init.sls'",
        "write `app`",
    ] {
        assert!(errors.contains(words), "{words}\n{errors}");
    }
}

#[test]
fn an_environment_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let top = "bsae:\n  '*':\n    - a\n";
    let mut fixture =
        Fixture::new(&[("top.sls", top), ("a.sls", "x: test.nop\n"), ("b.sls", "include: [bsae: a]\n")]);
    let asked = compile::highstate(&fixture.session(&AnyState)).unwrap_err().to_string();
    assert!(asked.contains("no state is targeted") && asked.contains("did you mean `base`?"), "{asked}");
    let included = compile::sls(&fixture.session(&AnyState), &["b".into()]).unwrap_err().to_string();
    assert!(included.contains("there is no environment 'bsae': did you mean `base`?"), "{included}");
    fixture.minion.saltenv = String::new();
    let all = compile::highstate(&fixture.session(&AnyState)).unwrap_err().to_string();
    assert!(all.contains("top.sls:3:7") && all.contains("did you mean `base`?"), "{all}");
    let fixture = Fixture::new(&[("pillar/top.sls", top), ("pillar/a.sls", "x: 1\n")]);
    let errors = pillar::pillar(&fixture.session(&AnyState)).unwrap_err().to_string();
    assert!(errors.contains("did you mean `base`?"), "{errors}");
}

#[test]
fn a_space_that_is_missing_is_told() {
    for (text, place, words) in [
        ("a:\n  file.managed:\n    - mode: 1\n    - name:/etc/a\n", "a.sls:4:7", "`- name: /etc/a`"),
        ("a:\n  file.managed:\n    -name: /etc/a\n", "a.sls:2:3", "a space behind each `-`"),
        ("a:\n  file.managed:\n    -name: x\n    -mode: 1\n", "a.sls:2:3", "a space behind each `-`"),
        ("a:\n  file.managed:\n    - name: x\n    -contents: x\n", "a.sls:4:5", "a space behind the `-`"),
        ("include:\n  -b\n", "a.sls:1:1", "a space behind each `-`"),
    ] {
        let fixture = Fixture::new(&[("a.sls", text)]);
        let error = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(words), "{text}{error}");
    }
}

#[test]
fn an_id_that_is_there_twice_is_told_with_both_places_as_they_are_written() {
    let text = "{% for i in [1, 2] %}\n{% endfor %}\nx: test.nop\n{% if true %}\nx: test.nop\n{% endif %}\n";
    let fixture = Fixture::new(&[("a.sls", text)]);
    let error = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap_err().to_string();
    assert!(error.starts_with("a.sls:5:1: ") && error.contains("first at a.sls:3:1"), "{error}");
}

#[test]
fn a_requisite_that_means_nothing_is_told_with_the_nearest_of_its_kind() {
    let text = "nginx-conf:\n  file.managed:\n    - name: /etc/nginx.conf\nweb:\n  service.running:\n    - name: nginx\n";
    for (reference, words) in [
        ("file: nginx-cnof", "did you mean `file: nginx-conf`?"),
        ("file: /etc/ngnix.conf", "did you mean `file: /etc/nginx.conf`?"),
        ("service: ngnix", "did you mean `service: nginx`?"),
        ("ngnix-conf", "did you mean `nginx-conf`?"),
        ("sls: weeb", "did you mean `sls: webs`?"),
        ("service: nginx-conf", "there is a `file: nginx-conf`"),
        ("file: quite-another", "check the spelling"),
    ] {
        let text = format!("{text}    - require:\n      - {reference}\n");
        let fixture = Fixture::new(&[("webs.sls", &text)]);
        let error = compile::sls(&fixture.session(&AnyState), &["webs".into()]).unwrap_err().to_string();
        assert!(error.contains(words), "{reference}: {error}");
    }
}

#[test]
fn an_id_of_two_files_is_told_with_both_places_as_they_are_written() {
    let looped = "{% for i in [1, 2] %}\n{% endfor %}\nx: test.nop\n";
    let fixture = Fixture::new(&[("a.sls", looped), ("b.sls", looped)]);
    let error = compile::sls(&fixture.session(&AnyState), &["a".into(), "b".into()]).unwrap_err().to_string();
    assert!(error.starts_with("b.sls:3:1: ") && error.contains("also declared at a.sls:3:1"), "{error}");
}

#[test]
fn an_extension_of_nothing_is_told_with_the_nearest_id() {
    let text = "nginx-conf:\n  file.managed: []\n";
    for more in [
        "extend:\n  nginx-cnof:\n    file:\n      - mode: 1\n",
        "b:\n  test.nop:\n    - require_in:\n      - file: nginx-cnof\n",
    ] {
        let fixture = Fixture::new(&[("a.sls", &format!("{text}{more}"))]);
        let error = compile::sls(&fixture.session(&AnyState), &["a".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean `nginx-conf`?"), "{error}");
    }
}
