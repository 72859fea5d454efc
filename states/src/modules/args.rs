//! Arguments of a state declaration, read as Salt reads them, with errors that name the argument.

use crate::engine::step::Failure;
use crate::value::{Map, Value};

/// The arguments of one declaration.
pub(crate) struct Args<'a> {
    map: &'a Map,
}

impl<'a> Args<'a> {
    pub(crate) fn new(map: &'a Map) -> Self {
        Self { map }
    }

    /// The value, unless absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| **v != Value::Null)
    }

    /// Text; numbers count as text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        scalar(value).map(Some).ok_or_else(|| wrong(key, "text", value))
    }

    /// A truth value; Salt's trees also write `'True'` and 1.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, Failure> {
        Ok(self.maybe_flag(key)?.unwrap_or(default))
    }

    /// A truth value that may be left open.
    pub(crate) fn maybe_flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let flag = match value {
            Value::Bool(b) => Some(*b),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            Value::Str(s) if s.eq_ignore_ascii_case("true") => Some(true),
            Value::Str(s) if s.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        flag.map(Some).ok_or_else(|| wrong(key, "true or false", value))
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u32>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = scalar(value).and_then(|s| s.parse().ok());
        number.map(Some).ok_or_else(|| wrong(key, "a number", value))
    }

    /// Seconds, whole or not.
    pub(crate) fn seconds(&self, key: &str) -> Result<Option<std::time::Duration>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let seconds = scalar(value).and_then(|s| s.parse::<f64>().ok());
        let duration = seconds.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
        duration.map(Some).ok_or_else(|| wrong(key, "a number of seconds", value))
    }

    /// Permission bits: `'0644'`, and 644 as YAML 1.1 in Salt's reading leaves it (digits, not a decimal number).
    pub(crate) fn mode(&self, key: &str) -> Result<Option<u32>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let digits = scalar(value).unwrap_or_default();
        let digits = digits.trim_start_matches("0o");
        let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o7777);
        bits.map(Some).ok_or_else(|| wrong(key, "permission bits such as '0644'", value))
    }

    /// A list of texts; one text alone counts as a list of one.
    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let items = match value {
            Value::List(items) => items.iter().map(scalar).collect(),
            one => scalar(one).map(|one| vec![one]),
        };
        items.map(Some).ok_or_else(|| wrong(key, "a list of texts", value))
    }

    /// A mapping; a list of one-key mappings counts as one.
    pub(crate) fn map(&self, key: &str) -> Result<Option<Map>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        joined(value).map(Some).ok_or_else(|| wrong(key, "a mapping", value))
    }

    /// Refuse an argument that would be silently without effect.
    pub(crate) fn refuse(&self, key: &str, why: &str) -> Result<(), Failure> {
        match self.get(key) {
            None | Some(Value::Bool(false)) => Ok(()),
            Some(_) => Err(Failure::declaration(format!("`{key}` is not supported: {why}"))),
        }
    }
}

/// A mapping, or a list of one-key mappings and texts (which have no value) joined into one.
pub(crate) fn joined(value: &Value) -> Option<Map> {
    let items = match value {
        Value::Map(map) => return Some(map.clone()),
        Value::List(items) => items,
        _ => return None,
    };
    let mut all = Map::new();
    for item in items {
        match item {
            Value::Map(map) => all.extend(map.clone()),
            other => drop(all.insert(scalar(other)?, Value::Null)),
        }
    }
    Some(all)
}

/// Text, numbers and truth values as text in Python's spelling.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Str(s) => Some(s.clone()),
        Value::Int(i) => Some(i.to_string()),
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e16 => Some(format!("{f:.1}")),
        Value::Float(f) => Some(f.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        _ => None,
    }
}

fn wrong(key: &str, wanted: &str, got: &Value) -> Failure {
    let mut shown = serde_json::to_string(got).unwrap_or_default();
    if shown.len() > 80 {
        shown = format!("{}…", shown.chars().take(80).collect::<String>());
    }
    Failure::declaration(format!("`{key}` must be {wanted}, but is {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(pairs: &[(&str, Value)]) -> Map {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn modes_are_digits_however_they_were_written() {
        let map = args(&[("a", Value::Str("0644".into())), ("b", Value::Int(644)), ("c", Value::Int(689))]);
        let args = Args::new(&map);
        assert_eq!(args.mode("a").unwrap(), Some(0o644));
        assert_eq!(args.mode("b").unwrap(), Some(0o644));
        let refused = args.mode("c").unwrap_err().to_string();
        assert_eq!(refused, "`c` must be permission bits such as '0644', but is 689");
    }

    #[test]
    fn lists_take_one_text_and_maps_take_lists_of_maps() {
        let one = Value::Map(args(&[("A", Value::Int(1))]));
        let two = Value::Map(args(&[("B", Value::Int(2))]));
        let map = args(&[("l", Value::Str("x".into())), ("m", Value::List(vec![one, two]))]);
        let read = Args::new(&map);
        assert_eq!(read.list("l").unwrap(), Some(vec!["x".to_owned()]));
        assert_eq!(read.map("m").unwrap(), Some(args(&[("A", Value::Int(1)), ("B", Value::Int(2))])));
        assert!(read.map("l").is_err());
    }
}
