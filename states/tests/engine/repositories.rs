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

fn on(family: &str) -> Bench {
    let mut bench = Bench::new();
    bench.grains.insert("os_family".into(), Value::Str(family.into()));
    bench
}

const REPOS: &str = "# head\n[a]\nname=A\nbaseurl=http://a\nenabled=1\ngpgcheck=0\n\n[b]\nname=B\nmirrorlist=http://b\n# note\n";

fn keys(changes: &Map) -> Vec<&str> {
    let mut keys: Vec<&str> = changes.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The files and changes are those of the real Salt, but for its order of options and empty lines at the end.
#[test]
fn a_repository_of_yum_is_a_section_of_a_file() {
    let bench = on("RedHat");
    let file = "/etc/yum.repos.d/epel.repo";
    let args =
        json!({"baseurl": "http://e/$basearch", "gpgcheck": 1, "gpgkey": "file:///k", "humanname": "Extra"});
    let added = bench.change(&step("pkgrepo.managed", "epel", args));
    assert_eq!(repo(&added.changes), Some(&Value::Str("epel".into())));
    let text = bench.read(file);
    for line in
        ["[epel]", "baseurl=http://e/$basearch", "gpgcheck=1", "gpgkey=file:///k", "name=Extra", "enabled=1"]
    {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    bench.write("/etc/yum.repos.d/x.repo", REPOS);
    let changed = bench.change(&step(
        "pkgrepo.managed",
        "a",
        json!({"humanname": "A2", "mirrorlist": "http://m", "gpgcheck": true}),
    ));
    assert_eq!(keys(&changed.changes), ["baseurl", "gpgcheck", "mirrorlist", "name"]);
    let text = "# head\n[a]\nname=A2\nenabled=1\ngpgcheck=1\nmirrorlist=http://m\n\n\
                [b]\nname=B\nmirrorlist=http://b\n# note\n";
    assert_eq!(bench.read("/etc/yum.repos.d/x.repo"), text);
    bench.same(&step(
        "pkgrepo.managed",
        "b",
        json!({"humanname": "B", "mirrorlist": "http://b", "gpgkey": ""}),
    ));
    let off = bench.change(&step("pkgrepo.managed", "b", json!({"humanname": "B", "enabled": false})));
    assert_eq!(keys(&off.changes), ["enabled"]);
    bench.change(&step("pkgrepo.absent", "a", json!({})));
    assert!(bench.read("/etc/yum.repos.d/x.repo").starts_with("# head\n[b]\n"));
    bench.same(&step("pkgrepo.absent", "a", json!({})));
    bench.change(&step("pkgrepo.absent", "epel", json!({})));
    assert!(!bench.at(file).exists(), "its only repository is gone");
}

#[test]
fn what_cannot_be_a_repository_of_yum_is_refused() {
    let bench = on("Suse");
    let refused = |id: &str, args| bench.refuses(&step("pkgrepo.managed", id, args));
    assert!(
        refused("x", json!({"humanname": "X"})).contains("none of baseurl, mirrorlist, metalink is given")
    );
    assert!(refused("x", json!({"baseurl": "http://a", "mirrorlist": "http://b"})).contains("only one of"));
    assert!(refused("../x", json!({"baseurl": "http://a"})).contains("cannot be the name"));
    assert!(refused("x", json!({"baseurl": "http://a\n[y]"})).contains("`baseurl` must be"));
    bench.change(&step("pkgrepo.managed", "x", json!({"baseurl": "http://a", "autorefresh": true})));
    assert!(bench.read("/etc/zypp/repos.d/x.repo").contains("autorefresh=1\n"));
}

#[test]
fn a_repository_of_apk_is_a_line() {
    let bench = on("Alpine");
    let file = "/etc/apk/repositories";
    bench.write(file, "https://x/v3/main\n#https://x/v3/community\n");
    bench.change(&step("pkgrepo.managed", "https://x/v3/community", json!({})));
    bench.change(&step("pkgrepo.managed", "@edge https://x/edge/main", json!({})));
    bench.same(&step("pkgrepo.managed", "https://x/v3/main/", json!({})));
    bench.change(&step("pkgrepo.managed", "https://x/v3/main", json!({"disabled": true})));
    bench.same(&step("pkgrepo.absent", "https://x/v3/main", json!({})));
    bench.change(&step("pkgrepo.absent", "https://x/v3/community", json!({})));
    assert_eq!(bench.read(file), "#https://x/v3/main\n@edge https://x/edge/main\n");
}
