//! `shadow.*`: the password database.

use super::asked::{Asked, text};
use super::{Answer, Table, list, map, string};
use crate::value::Value;

pub(super) const FUNCTIONS: Table =
    &[("shadow.default_hash", default_hash), ("shadow.info", info), ("shadow.list_users", list_users)];

/// What Salt calls the fields behind name and hash.
const NUMBERS: &[&str] = &["lstchg", "min", "max", "warn", "inact", "expire"];

fn info(asked: &Asked<'_>) -> Answer {
    let [name, _] = asked.bind(["name", "root"])?;
    let name = text("name", name)?;
    let shadow = asked.read_or_empty("/etc/shadow");
    let found = shadow.lines().find(|line| line.split(':').next() == Some(name.as_str()));
    let Some(fields) = found.filter(|_| !name.is_empty()).map(|line| line.split(':').collect::<Vec<_>>())
    else {
        let all = ["name", "passwd"].iter().chain(NUMBERS);
        return Ok(map(all.map(|key| (*key, string("")))));
    };
    let number = |at: usize| fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(-1);
    let numbers = NUMBERS.iter().enumerate().map(|(i, key)| (*key, Value::Int(number(i + 2))));
    let hash = fields.get(1).copied().unwrap_or_default();
    Ok(map([("name", string(name.as_str())), ("passwd", string(hash))].into_iter().chain(numbers)))
}

fn list_users(asked: &Asked<'_>) -> Answer {
    let shadow = asked.read_or_empty("/etc/shadow");
    let mut names: Vec<&str> =
        shadow.lines().filter_map(|line| line.split_once(':').map(|(n, _)| n)).collect();
    names.sort_unstable();
    Ok(list(names))
}

fn default_hash(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(string("!"))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn entries_and_their_absence() {
        let bench = Bench::new(&[("/etc/shadow", "web:!:20228:0:99999:7:::\n")]);
        assert_eq!(
            bench.json("shadow.info", &["web"]),
            "{\"name\":\"web\",\"passwd\":\"!\",\"lstchg\":20228,\"min\":0,\"max\":99999,\"warn\":7,\"inact\":-1,\
             \"expire\":-1}"
        );
        assert!(
            bench.json("shadow.info", &["db"]).starts_with("{\"name\":\"\",\"passwd\":\"\",\"lstchg\":\"\"")
        );
    }
}
