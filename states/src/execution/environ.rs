//! `environ.*`: the environment of this program.

use super::asked::{Asked, text};
use super::{Answer, Table, map, string};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("environ.get", get),
    ("environ.has_value", has_value),
    ("environ.item", item),
    ("environ.items", items),
];

fn variable(key: &str) -> Option<Value> {
    std::env::var(key).ok().map(Value::Str)
}

fn get(asked: &Asked<'_>) -> Answer {
    let [key, default] = asked.bind(["key", "default"])?;
    let Some(Value::Str(key)) = key else { return Ok(Value::Bool(false)) };
    Ok(variable(key).unwrap_or_else(|| default.cloned().unwrap_or_else(|| string(""))))
}

fn has_value(asked: &Asked<'_>) -> Answer {
    let [key, value] = asked.bind(["key", "value"])?;
    let Some(Value::Str(key)) = key else { return Ok(Value::Bool(false)) };
    let found = variable(key);
    let wanted = value.filter(|v| !matches!(v, Value::Null));
    Ok(Value::Bool(found.is_some_and(|found| wanted.is_none_or(|w| *w == found))))
}

fn item(asked: &Asked<'_>) -> Answer {
    let [keys, default] = asked.bind(["keys", "default"])?;
    let keys = match keys {
        Some(Value::List(all)) => all.iter().map(super::str_of).collect(),
        other => vec![text("keys", other)?],
    };
    let default = default.cloned().unwrap_or_else(|| string(""));
    Ok(map(keys.into_iter().map(|key| (key.clone(), variable(&key).unwrap_or_else(|| default.clone())))))
}

fn items(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
    Ok(Value::Map(std::env::vars_os().map(|(k, v)| (text(k), Value::Str(text(v)))).collect::<Map>()))
}
