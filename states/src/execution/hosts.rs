//! `hosts.*`: the file `/etc/hosts`.

use super::asked::{Asked, text};
use super::{Answer, Table, list, str_of, string};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("dnsutil.parse_hosts", parse_hosts),
    ("hosts.get_alias", get_alias),
    ("hosts.get_ip", get_ip),
    ("hosts.has_pair", has_pair),
    ("hosts.list_hosts", list_hosts),
];

/// By address: its names, and the comment of its last line that has one; whole comments by their number.
fn hosts(text: &str) -> Map {
    let mut all = Map::new();
    let mut comments = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            all.insert(format!("comment-{comments}"), list([line]));
            comments += 1;
            continue;
        }
        let (line, comment) = line.split_once('#').map_or((line, None), |(l, c)| (l, Some(c.trim_start())));
        let mut words = line.split_whitespace();
        let Some(ip) = words.next() else { continue };
        let entry = all.entry(ip.to_owned()).or_insert_with(|| Value::Map(Map::new()));
        let Value::Map(entry) = entry else { continue };
        let names = entry.entry("aliases".to_owned()).or_insert_with(|| Value::List(Vec::new()));
        if let Value::List(names) = names {
            names.extend(words.map(string));
        }
        if let Some(comment) = comment.filter(|c| !c.is_empty()) {
            entry.insert("comment".to_owned(), string(comment));
        }
    }
    all
}

fn known(asked: &Asked<'_>) -> Map {
    hosts(&asked.read_or_empty("/etc/hosts"))
}

fn aliases(entry: &Value) -> &[Value] {
    entry.as_map().and_then(|e| e.get("aliases")).and_then(Value::as_list).unwrap_or_default()
}

fn list_hosts(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(Value::Map(known(asked)))
}

fn get_ip(asked: &Asked<'_>) -> Answer {
    let host = Value::Str(asked.only("host")?);
    let all = known(asked);
    let found = all.iter().find(|(_, entry)| aliases(entry).contains(&host));
    Ok(string(found.map(|(ip, _)| ip.as_str()).unwrap_or_default()))
}

fn get_alias(asked: &Asked<'_>) -> Answer {
    let ip = asked.only("ip")?;
    Ok(Value::List(known(asked).get(&ip).map(aliases).unwrap_or_default().to_vec()))
}

fn has_pair(asked: &Asked<'_>) -> Answer {
    let [ip, alias] = asked.bind(["ip", "alias"])?;
    let ip = text("ip", ip)?;
    let wanted = match alias {
        Some(Value::List(all)) => all.iter().map(str_of).collect(),
        other => vec![text("alias", other)?],
    };
    let all = known(asked);
    let names = all.get(&ip).map(aliases);
    Ok(Value::Bool(names.is_some_and(|names| wanted.into_iter().all(|w| names.contains(&Value::Str(w))))))
}

/// By address all the words behind it, comments and all.
fn parse_hosts(asked: &Asked<'_>) -> Answer {
    let [file, hosts] = asked.bind(["hostsfile", "hosts"])?;
    let file = file.map_or_else(|| "/etc/hosts".to_owned(), str_of);
    let given = hosts.map(str_of).filter(|h| !h.is_empty());
    let Ok(lines) = given.map_or_else(|| asked.read(&file), Ok) else {
        return Ok(string("Error: hosts data was not found"));
    };
    let mut all = Map::new();
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(ip) = words.next() else { continue };
        if let Value::List(names) = all.entry(ip.to_owned()).or_insert_with(|| Value::List(Vec::new())) {
            names.extend(words.map(string));
        }
    }
    Ok(Value::Map(all))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn names_of_addresses() {
        let text = "# ours\n127.0.0.1 localhost\n10.0.0.1 web web1 # the web\n10.0.0.1 www\n";
        let bench = Bench::new(&[("/etc/hosts", text)]);
        assert_eq!(
            bench.json("hosts.list_hosts", &[]),
            "{\"comment-0\":[\"# ours\"],\"127.0.0.1\":{\"aliases\":[\"localhost\"]},\
             \"10.0.0.1\":{\"aliases\":[\"web\",\"web1\",\"www\"],\"comment\":\"the web\"}}"
        );
        assert_eq!(bench.json("hosts.get_ip", &["www"]), "\"10.0.0.1\"");
        assert_eq!(bench.json("hosts.get_ip", &["db"]), "\"\"");
        assert_eq!(bench.json("hosts.get_alias", &["127.0.0.1"]), "[\"localhost\"]");
        assert_eq!(bench.json("hosts.has_pair", &["10.0.0.1", "web"]), "true");
        assert_eq!(bench.json("hosts.has_pair", &["10.0.0.2", "web"]), "false");
        assert!(bench.json("dnsutil.parse_hosts", &[]).contains("\"web1\",\"#\",\"the\",\"web\",\"www\""));
    }
}
