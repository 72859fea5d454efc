//! Rules of iptables from a declaration's arguments, as Salt builds them; pure. What comes of it is an
//! argument vector: no shell reads it.

use crate::modules::COMMON;
use crate::modules::args::scalar;
use crate::value::{Map, Value};

/// What is about the state and not about the rule.
const OURS: &[&str] = &["table", "chain", "family", "save", "position", "policy", "rules"];

/// Options of targets: they come behind the target that they belong to.
const OF_TARGETS: &[&str] = &[
    "j",
    "jump",
    "add-set",
    "and-mark",
    "and-tos",
    "checksum-fill",
    "clamp-mss-to-pmtu",
    "clustermac",
    "ctevents",
    "ctmask",
    "del-set",
    "ecn-tcp-remove",
    "exist",
    "expevents",
    "gateway",
    "hash-init",
    "hashmode",
    "helper",
    "label",
    "local-node",
    "log-ip-options",
    "log-level",
    "log-prefix",
    "log-tcp-options",
    "log-tcp-sequence",
    "log-uid",
    "map-set",
    "mask",
    "mss",
    "new",
    "nfmask",
    "nflog-group",
    "nflog-prefix",
    "nflog-range",
    "nflog-threshold",
    "nodst",
    "notrack",
    "on-ip",
    "on-port",
    "or-mark",
    "or-tos",
    "persistent",
    "queue-balance",
    "queue-bypass",
    "queue-num",
    "random",
    "random-fully",
    "rateest-ewmalog",
    "rateest-interval",
    "rateest-name",
    "reject-with",
    "restore",
    "restore-mark",
    "save-mark",
    "selctx",
    "set-class",
    "set-dscp",
    "set-dscp-class",
    "set-mark",
    "set-mss",
    "set-tos",
    "set-xmark",
    "strip-options",
    "timestamp",
    "to",
    "to-destination",
    "to-ports",
    "to-source",
    "total-nodes",
    "tproxy-mark",
    "ttl-dec",
    "ttl-inc",
    "ttl-set",
    "type",
    "wscale",
    "xor-mark",
    "xor-tos",
    "zone",
    "zone-orig",
    "zone-reply",
    "dst-pfx",
    "hl-dec",
    "hl-inc",
    "hl-set",
    "led-always-blink",
    "led-delay",
    "led-trigger-id",
    "queue-cpu-fanout",
    "src-pfx",
    "to-port",
    "addr",
    "and-mask",
    "or-mask",
    "prefix",
    "reset",
    "reuse",
    "set-mac",
    "shift",
    "static",
    "ttl",
];

/// Arguments that are still to be read.
struct Rest {
    args: Vec<(String, Value)>,
}

impl Rest {
    fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.args.iter().position(|(k, _)| k == key)?;
        Some(self.args.remove(at).1)
    }
}

/// The rule of these arguments, without table and chain.
pub(crate) fn build(args: &Map) -> Result<Vec<String>, String> {
    let about = |key: &str| !key.starts_with("__") && !COMMON.contains(&key) && !OURS.contains(&key);
    let args = args.iter().filter(|(k, _)| about(k)).map(|(k, v)| {
        let key = match k.as_str() {
            "target" => "jump",
            "proto" => "protocol",
            other => other,
        };
        (key.to_owned(), v.clone())
    });
    let mut rest = Rest { args: args.collect() };
    let mut rule = Vec::new();
    for (key, option) in [("if", "-i"), ("of", "-o"), ("protocol", "-p")] {
        if let Some(value) = rest.take(key) {
            put(&mut rule, option, &value)?;
        }
    }
    matches(&mut rule, &mut rest)?;
    ports(&mut rule, &mut rest)?;
    if let Some(comment) = rest.take("comment") {
        if !has(&rule, "comment") {
            rule.extend(["-m".to_owned(), "comment".to_owned()]);
        }
        rule.extend(["--comment".to_owned(), text(&comment)?]);
    }
    let mut last = Vec::new();
    for key in OF_TARGETS {
        if let Some(value) = rest.take(key) {
            last.push(format!("--{key}"));
            last.extend(Some(text(&value)?).filter(|v| !v.is_empty()));
        }
    }
    for (key, value) in rest.args {
        let option = if key.len() == 1 { format!("-{key}") } else { format!("--{key}") };
        put(&mut rule, &option, &value)?;
    }
    rule.extend(last);
    Ok(rule)
}

/// `-m …` of `match`, `match-set` and `connstate`.
fn matches(rule: &mut Vec<String>, rest: &mut Rest) -> Result<(), String> {
    for name in list(rest.take("match"))?.iter().flat_map(|m| m.split(',')) {
        rule.extend(["-m".to_owned(), name.trim().to_owned()]);
    }
    for set in list(rest.take("match-set"))? {
        rule.extend(["-m".to_owned(), "set".to_owned()]);
        put(rule, "--match-set", &Value::Str(set))?;
    }
    if let Some(states) = rest.take("connstate") {
        if !has(rule, "state") {
            rule.extend(["-m".to_owned(), "state".to_owned()]);
        }
        put(rule, "--state", &Value::Str(list(Some(states))?.join(",")))?;
    }
    Ok(())
}

fn ports(rule: &mut Vec<String>, rest: &mut Rest) -> Result<(), String> {
    for key in ["dport", "sport"] {
        if let Some(value) = rest.take(key) {
            put(rule, &format!("--{key}"), &value)?;
        }
    }
    for key in ["dports", "sports"] {
        let Some(value) = rest.take(key) else { continue };
        if !has(rule, "multiport") {
            if !rule.iter().any(|w| w == "-p") {
                return Err(format!("`{key}` needs `proto`"));
            }
            rule.extend(["-m".to_owned(), "multiport".to_owned()]);
        }
        let ports = list(Some(value))?;
        let bare: Vec<&str> = ports.iter().map(|p| negated(p).unwrap_or(p)).collect();
        rule.extend(ports.iter().any(|p| negated(p).is_some()).then(|| "!".to_owned()));
        rule.extend([format!("--{key}"), bare.join(",")]);
    }
    Ok(())
}

/// Whether a match is loaded already.
fn has(rule: &[String], name: &str) -> bool {
    rule.windows(2).any(|pair| pair == ["-m", name])
}

/// An option with its value, which may be several words, and may be negated.
fn put(rule: &mut Vec<String>, option: &str, value: &Value) -> Result<(), String> {
    let text = text(value)?;
    let (not, bare) = negated(&text).map_or((false, text.as_str()), |bare| (true, bare));
    rule.extend(not.then(|| "!".to_owned()));
    rule.push(option.to_owned());
    let words = shell_words::split(bare).map_err(|_| format!("the quotes of `{bare}` do not end"))?;
    rule.extend(words);
    Ok(())
}

/// The value behind `!` or `not`.
fn negated(text: &str) -> Option<&str> {
    text.strip_prefix('!').or_else(|| text.strip_prefix("not ")).map(str::trim_start)
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::List(_) => Ok(list(Some(value.clone()))?.join(",")),
        other => {
            scalar(other).filter(|t| !t.contains(['\n', '\0'])).ok_or_else(|| "a value is no text".to_owned())
        }
    }
}

fn list(value: Option<Value>) -> Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(all)) => all.iter().map(text).collect(),
        Some(one) => Ok(vec![text(&one)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &serde_json::Value) -> Result<String, String> {
        let map: Map = json.as_object().unwrap().iter().map(|(k, v)| (k.clone(), of(v))).collect();
        build(&map).map(shell_words::join)
    }

    fn of(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::String(s) => Value::Str(s.clone()),
            serde_json::Value::Number(n) => Value::Int(n.as_i64().unwrap()),
            serde_json::Value::Array(a) => Value::List(a.iter().map(of).collect()),
            _ => Value::Null,
        }
    }

    /// The expected texts are those of the real Salt's `iptables.build_rule`.
    #[test]
    fn rules_are_built_as_salt_builds_them() {
        let cases = [
            (
                serde_json::json!({"chain": "INPUT", "jump": "ACCEPT", "match": "state", "connstate": "NEW", "dport": 80,
                    "proto": "tcp", "sport": "1025:65535", "save": null, "require": []}),
                "-p tcp -m state --state NEW --dport 80 --sport 1025:65535 --jump ACCEPT",
            ),
            (
                serde_json::json!({"jump": "ACCEPT", "match": ["comment"], "comment": "Allow SSH", "dports": [22, 2222],
                    "proto": "tcp", "source": "not 10.0.0.0/8"}),
                "-p tcp -m comment -m multiport --dports 22,2222 --comment 'Allow SSH' ! --source 10.0.0.0/8 --jump ACCEPT",
            ),
            (
                serde_json::json!({"if": "!eth0", "jump": "LOG", "log-prefix": "drop: it", "log-level": 4, "limit": "5/min",
                    "match": "limit", "tcp-flags": "SYN,ACK SYN"}),
                "! -i eth0 -m limit --limit 5/min --tcp-flags SYN,ACK SYN --jump LOG --log-level 4 --log-prefix 'drop: it'",
            ),
            (
                serde_json::json!({"match-set": ["good src", "!bad src"], "jump": "DROP", "dports": "!1:2", "protocol": "udp"}),
                "-p udp -m set --match-set good src -m set ! --match-set bad src -m multiport ! --dports 1:2 --jump DROP",
            ),
            (
                serde_json::json!({"s": "10.0.0.1", "j": "DNAT", "to-destination": "10.0.0.2:80"}),
                "-s 10.0.0.1 --j DNAT --to-destination 10.0.0.2:80",
            ),
        ];
        for (args, expected) in cases {
            assert_eq!(rule(&args).unwrap(), expected);
        }
        assert_eq!(rule(&serde_json::json!({"dports": "1"})).unwrap_err(), "`dports` needs `proto`");
    }
}
