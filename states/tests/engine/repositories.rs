//! `pkgrepo.*`: the files of apt's sources.

use crate::bench::{Bench, json, step};
use mayfly_states::value::{Map, Value};

const LINE: &str = "deb [signed-by=/etc/apt/keyrings/x.gpg] https://x.example.com/apt stable main";
const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVsbG8=\n-----END PGP PUBLIC KEY BLOCK-----\n";

fn repo(changes: &Map) -> Option<&Value> {
    changes.get("repo")
}

#[test]
fn a_repository_comes_with_its_key_changes_and_goes() {
    let bench = Bench::new();
    bench.write("/etc/apt/sources.list", "deb http://deb.debian.org/debian stable main\n");
    bench.tree("key.asc", KEY);
    let managed = |more: serde_json::Value| {
        let mut args = json!({"file": "/etc/apt/sources.list.d/x.list", "key_url": "salt://key.asc"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step("pkgrepo.managed", LINE, args)
    };
    let added = bench.change(&managed(json!({})));
    assert_eq!(repo(&added.changes), Some(&Value::Str(LINE.into())));
    assert_eq!(bench.read("/etc/apt/sources.list.d/x.list"), format!("{LINE}\n"));
    assert_eq!(bench.read("/etc/apt/keyrings/x.gpg"), "hello");
    bench.write("/etc/apt/keyrings/x.gpg", "torn");
    assert_eq!(bench.change(&managed(json!({}))).changes.keys().collect::<Vec<_>>(), ["key"]);
    let more = bench.change(&managed(json!({"comps": "extra", "architectures": "amd64"})));
    assert_eq!(more.changes.keys().collect::<Vec<_>>(), ["comps", "line"]);
    let off = bench.change(&managed(json!({"enabled": false})));
    assert!(off.changes.contains_key("disabled"));
    assert!(bench.read("/etc/apt/sources.list.d/x.list").starts_with("# deb"));
    bench.same(&step("pkgrepo.absent", LINE, json!({})));
    bench.change(&managed(json!({})));
    let gone = bench.change(&step("pkgrepo.absent", "deb https://x.example.com/apt/ stable main", json!({})));
    assert!(repo(&gone.changes).is_some());
    assert!(!bench.at("/etc/apt/sources.list.d/x.list").exists(), "nothing was left in it");
    assert_eq!(bench.read("/etc/apt/sources.list"), "deb http://deb.debian.org/debian stable main\n");
}

#[test]
fn a_repository_can_be_a_stanza_and_a_file_can_be_its_own() {
    let bench = Bench::new();
    let file = "/etc/apt/sources.list.d/x.sources";
    bench.change(&step("pkgrepo.managed", LINE, json!({"file": file})));
    let text = "Types: deb\nURIs: https://x.example.com/apt\nSuites: stable\nComponents: main\n\
                Signed-By: /etc/apt/keyrings/x.gpg\n";
    assert_eq!(bench.read(file), text);
    bench.same(&step("pkgrepo.managed", LINE, json!({"file": "/etc/apt/sources.list.d/other.list"})));
    let list = "/etc/apt/sources.list.d/y.list";
    bench.write(list, "# old\ndeb http://old.example.com old main\ndeb http://y.example.com s main\n");
    let own = json!({"file": list, "clean_file": true});
    bench.change(&step("pkgrepo.managed", "deb http://y.example.com s main", own));
    assert_eq!(bench.read(list), "deb http://y.example.com s main\n");
}

#[test]
fn what_would_ask_a_network_is_refused() {
    let bench = Bench::new();
    let refused = |id: &str, args| bench.refuses(&step("pkgrepo.managed", id, args));
    assert!(refused(LINE, json!({"keyid": "AB", "keyserver": "k"})).contains("a key server is not asked"));
    assert!(refused("ppa:x/y", json!({})).contains("is no line of sources.list(5)"));
    assert!(refused(LINE, json!({"enabled": true, "disabled": true})).contains("only one of"));
}
