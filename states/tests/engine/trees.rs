//! From the text of a tree to the machine: what the compiler hands over is what the engine understands.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::PathBuf;

use mayfly_states::compile;
use mayfly_states::minion::Minion;
use mayfly_states::modules::Registry;
use mayfly_states::report::Report;
use mayfly_states::session::{NoFunctions, Session};
use mayfly_states::tree::Tree;
use mayfly_states::value::{Map, Value};

use crate::bench::{Bench, words};

impl Bench {
    /// Compile these SLS names of the bench's tree, or the top file's when there are none, and run them.
    fn apply(&mut self, sls: &[&str], tree: &Tree, minion: &Minion) -> Report {
        let session = Session { tree, minion, functions: &NoFunctions, states: &Registry };
        let names: Vec<String> = sls.iter().map(|s| (*s).to_owned()).collect();
        let low =
            if names.is_empty() { compile::highstate(&session) } else { compile::sls(&session, &names) };
        let low = low.unwrap_or_else(|errors| panic!("{errors}"));
        self.pillar = low.pillar;
        self.run(&low.chunks)
    }
}

fn minion(role: &str) -> Minion {
    let grains: Map = [("role", role), ("id", "m1"), ("os", "Debian"), ("os_family", "Debian")]
        .map(|(k, v)| (k.to_owned(), Value::Str(v.to_owned())))
        .into();
    Minion { id: "m1".into(), grains, saltenv: "base".into(), ..Minion::default() }
}

const WEB: &str = "
web-conf:
  file.managed:
    - name: /etc/web.conf
    - contents: 'port {{ salt['pillar.get']('port', 80) }}'
    - mode: 640
    - watch_in:
      - service: web

web:
  service.running:
    - require:
      - sls: base

announce:
  cmd.run:
    - name: echo changed
    - onchanges:
      - file: web-conf

before:
  cmd.run:
    - name: cat $MAYFLY_ROOT/etc/web.conf || true
    - prereq:
      - file: web-conf

late:
  test.nop:
    - listen:
      - file: /etc/web.conf

include:
  - base
";

#[test]
fn requisites_keep_their_meaning_from_text_to_machine() {
    let mut bench = Bench::new();
    bench.services.define("web");
    bench.tree("web.sls", WEB);
    bench.tree("base/init.sls", "include:\n  - base.dirs\n");
    bench.tree("base/dirs.sls", "/srv/www:\n  file.directory:\n    - makedirs: True\n");
    let tree = Tree::base(bench.scratch("tree"), None);
    let mut apply = |port: i64| {
        let pillar = Map::from([("port".to_owned(), Value::Int(port))]);
        let report = bench.apply(&["web"], &tree, &Minion { pillar, ..minion("web") });
        let seen: Vec<String> =
            report.steps.iter().zip(words(&report)).map(|(s, w)| format!("{} {w}", s.id)).collect();
        (seen, bench.services.asked())
    };
    let (mut steps, asked) = apply(80);
    steps.sort();
    let first = [
        "/srv/www changed",
        "announce changed",
        "before changed",
        "late ok",
        "listener_late changed",
        "web changed",
        "web-conf changed",
    ];
    assert_eq!(steps, first);
    assert_eq!(asked, ["start web"]);
    let (mut steps, asked) = apply(80);
    steps.sort();
    assert_eq!(
        steps,
        ["/srv/www ok", "announce skipped", "before skipped", "late ok", "web ok", "web-conf ok"]
    );
    assert!(asked.is_empty());
    let (steps, asked) = apply(81);
    assert_eq!(asked, ["restart web"]);
    let place = |id: &str| steps.iter().position(|s| s.starts_with(&format!("{id} "))).unwrap();
    assert!(place("before") < place("web-conf") && place("web-conf") < place("web"), "{steps:?}");
}

#[test]
fn the_starter_tree_converges_and_then_has_nothing_to_do() {
    crate::bench::need_root();
    let starter = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("starter");
    let tree = Tree::base(&starter, Some(starter.join("pillar")));
    for (role, services) in [("web", ["greeter", "greeter.socket"]), ("worker", ["worker", "worker.socket"])]
    {
        let mut bench = Bench::new().with_tree(&starter);
        services.iter().for_each(|s| bench.services.define(s));
        for file in ["passwd", "group", "shadow", "gshadow"] {
            bench.write(&format!("/etc/{file}"), "");
        }
        for dir in ["usr/local/bin", "etc/systemd/system", "var/lib"] {
            std::fs::create_dir_all(bench.at(dir)).unwrap();
        }
        let first = bench.apply(&[], &tree, &minion(role));
        assert!(first.ok() && first.changed() > 0, "{}", first.to_text());
        let again = bench.apply(&[], &tree, &minion(role));
        assert!(again.ok() && again.changed() == 0, "{}", again.to_text());
        assert!(first.steps.iter().all(|s| s.warnings.is_empty()), "{}", first.to_text());
    }
}
