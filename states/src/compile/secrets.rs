//! What of a pillar is nobody's to read: the texts below keys that say so. Errors quote rendered lines, and must not quote
//! these.

use crate::value::{Map, Value};

/// Parts of keys whose values are secrets.
const WORDS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "private", "credential", "api_key", "apikey"];
/// Shorter texts are no secrets worth the name, and are found in everything.
const SHORTEST: usize = 4;
/// A pillar with more of them than this has the rest in errors.
const MOST: usize = 10_000;

/// The secrets of a pillar, the longest first, so that one that holds another is hidden whole.
pub(crate) fn secrets(pillar: &Map) -> Vec<String> {
    let mut found = Vec::new();
    collect(pillar, false, &mut found);
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found.dedup();
    found
}

fn collect(map: &Map, below: bool, found: &mut Vec<String>) {
    for (key, value) in map {
        let key = key.to_lowercase();
        gather(value, below || WORDS.iter().any(|word| key.contains(word)), found);
    }
}

fn gather(value: &Value, secret: bool, found: &mut Vec<String>) {
    match value {
        Value::Map(map) => collect(map, secret, found),
        Value::List(items) => items.iter().for_each(|item| gather(item, secret, found)),
        Value::Str(text) if secret && text.len() >= SHORTEST && found.len() < MOST => {
            found.push(text.clone());
            // Errors show single lines.
            found.extend(
                text.lines().filter(|l| text.len() > l.len() && l.len() >= SHORTEST).map(str::to_owned),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::secrets;
    use crate::value::{Map, Value};

    #[test]
    fn texts_below_keys_that_say_so_are_secrets() {
        let text = |s: &str| Value::Str(s.to_owned());
        let user =
            Map::from([("name".to_owned(), text("deploy")), ("Password".to_owned(), text("hunter22"))]);
        let keys = Value::List(vec![text("first line\nsecond line"), text("abc")]);
        let pillar = Map::from([
            ("db".to_owned(), Value::Map(user)),
            ("ssh_private".to_owned(), Value::Map(Map::from([("keys".to_owned(), keys)]))),
        ]);
        assert_eq!(secrets(&pillar), ["first line\nsecond line", "second line", "first line", "hunter22"]);
    }
}
