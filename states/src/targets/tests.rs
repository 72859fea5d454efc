//! What each kind of target means, beside what Salt's own matchers answer for it.

use indexmap::IndexMap;

use super::{Subject, matches};
use crate::jinja::Py;
use crate::options::Options;
use crate::value::{Map, Value};

fn json(text: &str) -> Map {
    fn value(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(b),
            serde_json::Value::Number(n) => Value::Int(n.as_i64().unwrap()),
            serde_json::Value::String(s) => Value::Str(s),
            serde_json::Value::Array(a) => Value::List(a.into_iter().map(value).collect()),
            serde_json::Value::Object(o) => Value::Map(o.into_iter().map(|(k, v)| (k, value(v))).collect()),
        }
    }
    let all: IndexMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    all.into_iter().map(|(k, v)| (k, value(v))).collect()
}

fn asked(kind: &str, target: &str) -> Result<bool, String> {
    let grains = json(
        r#"{"role": "Web", "roles": ["web", "db"], "ec2": {"region": "eu-west-1", "tags": {"a": "b:c"}},
            "ipv4": ["10.1.2.3", "127.0.0.1"], "ipv6": ["::1", "fe80::1:2"], "n": 5, "yes": true, "none": null,
            "empty": {}, "disks": [{"name": "sda"}, {"name": "sdb"}], "path": "C:x", "7": "seven",
            "pub": {"x": {"y": {"z": "deep"}}}}"#,
    );
    let pillar = json(r#"{"app": {"name": "Shop", "ports": [80, 443]}, "tier": "front"}"#);
    let options = json(
        r#"{"nodegroups": {"webs": "G@role:web", "names": ["web-1", "web-2"], "namesstr": "web-1 web-2",
            "expr": ["web-[0-9]"], "nested": "N@webs and not N@dbs", "dbs": "L@db-1", "loop": "N@loop or web*",
            "listnested": ["N@names", "or", "db*"], "empty": "", "unknownin": "N@nope and web*",
            "doublenest": "N@nested"}}"#,
    );
    let options = Options::from_map(&options).unwrap();
    let (grains, pillar) = (Py::from(&grains), Py::from(&pillar));
    let subject = Subject { id: "web-1", grains: &grains, pillar: &pillar, nodegroups: &options.nodegroups };
    matches(&subject, kind, target)
}

/// Kind, target, and what Salt's matcher says of it.
#[rustfmt::skip]
const TABLE: &[(&str, &str, bool)] = &[
    ("glob", "web*", true),
    ("glob", "db*", false),
    ("glob", "web-[0-9]", true),
    ("glob", "web-[!1]", false),
    ("glob", "WEB*", false),
    ("list", "a,web-1", true),
    ("list", "web", false),
    ("list", "a, web-1", false),
    ("list", "web-1", true),
    ("pcre", "web-[0-9]", true),
    ("pcre", "eb", false),
    ("pcre", "web", true),
    ("pcre", "(?!db)web", true),
    ("pcre", "(w)eb-1\\Z", true),
    ("grain", "role:web", true),
    ("grain", "ROLE:web", false),
    ("grain", "roles:d*", true),
    ("grain", "ec2:region:eu-*", true),
    ("grain", "absent:*", false),
    ("grain", "role", false),
    ("grain", "ec2:tags:a:b:c", true),
    ("grain", "ec2:*", true),
    ("grain", "ec2:reg*", true),
    ("grain", "ec2:region", true),
    ("grain", "*:region:eu-*", true),
    ("grain", "*:eu-west-1", false),
    ("grain", "empty:*", false),
    ("grain", "n:5", true),
    ("grain", "yes:true", true),
    ("grain", "none:none", true),
    ("grain", "none:*", true),
    ("grain", "disks:name:sdb", true),
    ("grain", "disks:sda", false),
    ("grain", "disks:0:name:sda", true),
    ("grain", "roles:1:db", true),
    ("grain", "roles:-1:db", true),
    ("grain", "7:seven", true),
    ("grain", "pub:*:deep", false),
    ("grain", "pub:*:y:z:deep", true),
    ("grain", "pub:x:*:deep", false),
    ("grain", "*:deep", false),
    ("grain", "*:x:y:z:deep", true),
    ("grain", "*:*:deep", false),
    ("grain_pcre", "role:w.b", true),
    ("grain_pcre", "role:^(?!db)", true),
    ("grain_pcre", "role:(", false),
    ("grain_pcre", "role:\\S+", false),
    ("grain_pcre", "roles:d", true),
    ("grain_pcre", "ec2:region:eu-(west|east)-[12]", true),
    ("pillar", "app:name:shop", true),
    ("pillar", "app:ports:443", true),
    ("pillar", "tier:f*", true),
    ("pillar_pcre", "tier:fr.nt$", true),
    ("pillar_exact", "tier:front", true),
    ("pillar_exact", "tier:f*", false),
    ("pillar_exact", "app:name:SHOP", true),
    ("pillar_exact", "app:*", true),
    ("ipcidr", "10.1.0.0/16", true),
    ("ipcidr", "10.2.0.0/16", false),
    ("ipcidr", "10.1.2.3", true),
    ("ipcidr", "10.1.2.3/16", false),
    ("ipcidr", "10.1.0.0/255.255.0.0", true),
    ("ipcidr", "10.1.0.0/0.0.255.255", true),
    ("ipcidr", "::1", true),
    ("ipcidr", "0:0::1", true),
    ("ipcidr", "fe80::/10", true),
    ("ipcidr", "fe80::1", false),
    ("ipcidr", "nonsense", false),
    ("ipcidr", "0.0.0.0/0", true),
    ("ipcidr", "10.1.2.3/32", true),
    ("ipcidr", "10.0.0.0/33", false),
    ("ipcidr", "::/0", true),
    ("nodegroup", "webs", true),
    ("nodegroup", "names", true),
    ("nodegroup", "namesstr", true),
    ("nodegroup", "expr", true),
    ("nodegroup", "nested", true),
    ("nodegroup", "dbs", false),
    ("nodegroup", "loop", false),
    ("nodegroup", "listnested", true),
    ("nodegroup", "empty", false),
    ("nodegroup", "unknownin", false),
    ("nodegroup", "doublenest", true),
    ("nodegroup", "nope", false),
    ("range", "x", false),
    ("resource", "x", false),
    ("managing_minion", "web-1", true),
    ("compound", "*", true),
    ("compound", "G@role:web and web*", true),
    ("compound", "G@role:web and not web*", false),
    ("compound", "( db* or L@web-1 ) and E@.*1", true),
    ("compound", "db* or ( G@role:db and * )", false),
    ("compound", "(db* or web*)", false),
    ("compound", "not db*", true),
    ("compound", "not web*", false),
    ("compound", "web* not db*", true),
    ("compound", "not not web*", false),
    ("compound", "web* and", false),
    ("compound", "and web*", false),
    ("compound", "web* web*", false),
    ("compound", "web* or db* and db*", true),
    ("compound", "not db* and not web*", false),
    ("compound", "G|@ec2|region|eu-*", true),
    ("compound", "I@tier:front", true),
    ("compound", "J@tier:fr", true),
    ("compound", "S@10.1.0.0/16", true),
    ("compound", "P@role:W.b", true),
    ("compound", "E@web.*", true),
    ("compound", "R@x", false),
    ("compound", "T@x", false),
    ("compound", "M@web-1", true),
    ("compound", "X@web-1", false),
    ("compound", "N@webs and web*", true),
    ("compound", "N@nope", false),
    ("compound", "N@nope and web*", false),
    ("compound", "web* or N@nope", false),
    ("compound", "( )", false),
    ("compound", "web* ( web* )", false),
    ("compound", "web* or web* ( web* )", true),
    ("compound", "", false),
    ("compound", "( and web* )", false),
    ("compound", "( not db* )", true),
    ("compound", "L@a,web-1", true),
    ("compound", "S@nonsense or web*", true),
    ("compound", "web* )", false),
    ("compound", "( web*", false),
    ("compound", "G@role", false),
    ("compound", "L@", false),
    ("compound", "N@names and N@webs", true),
    ("compound", "not N@dbs", true),
    ("compound", "I@app:name:shop and G@n:5", true),
    ("compound", "IX@tierXfront", true),
    ("compound", "G@@role@web", true),
    ("compound", "not ( db* or web* )", false),
    ("compound", "web* and not ( db* )", true),
    ("compound", "db* and web* ( x )", false),
    ("compound", "web* or ( ( ( db* ) ) )", true),
    ("compound", "AND web*", false),
    ("compound", "web* \t and  web-1", true),
];

#[test]
fn each_kind_means_what_it_means_to_salt() {
    let wrong: Vec<_> = TABLE.iter().filter(|(k, t, hit)| asked(k, t) != Ok(*hit)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_salt_stops_at_is_an_error() {
    for (kind, target) in [("nonsense", "x"), ("pcre", "("), ("compound", "E@( or web*"), ("data", "a:b")] {
        assert!(asked(kind, target).is_err(), "{kind} {target}");
    }
}

#[test]
fn a_target_that_multiplies_comes_to_an_end() {
    let deep = (0..80).fold(Value::Int(1), |inner, _| Value::Map(Map::from([("*".to_owned(), inner)])));
    let Value::Map(deep) = deep else { unreachable!() };
    let (grains, groups) = (Py::from(&deep), IndexMap::new());
    let subject = Subject { id: "x", grains: &grains, pillar: &grains, nodegroups: &groups };
    let target = format!("{}no", "*:".repeat(80));
    assert!(matches(&subject, "grain", &target).unwrap_err().contains("too many"));
    let doubling: IndexMap<String, Vec<String>> = (0..40)
        .map(|i| (format!("g{i}"), vec![format!("N@g{}", i + 1), "or".into(), format!("N@g{}", i + 1)]))
        .chain([("g40".to_owned(), vec!["x".to_owned()])])
        .collect();
    let subject = Subject { id: "x", grains: &grains, pillar: &grains, nodegroups: &doubling };
    assert!(matches(&subject, "nodegroup", "g0").unwrap_err().contains("too large"));
    let nested = format!("{} x {}", "( ".repeat(5_000), ") ".repeat(5_000));
    assert_eq!(matches(&subject, "compound", &nested), Ok(false));
}
