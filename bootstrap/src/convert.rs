//! JSON values to the states' values, and back. Pure.

use mayfly_states::value::{Map, Value};

/// A JSON value as the states see it.
pub(crate) fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(b),
        serde_json::Value::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(0.0)), Value::Int)
        }
        serde_json::Value::String(s) => Value::Str(s),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(value).collect()),
        serde_json::Value::Object(entries) => {
            Value::Map(entries.into_iter().map(|(k, v)| (k, value(v))).collect())
        }
    }
}

/// Merges `over` into `base`: mappings by key, everything else replaced.
pub(crate) fn merge(base: &mut Map, over: Map) {
    for (key, new) in over {
        match (base.get_mut(&key), new) {
            (Some(Value::Map(old)), Value::Map(new)) => merge(old, new),
            (_, new) => {
                base.insert(key, new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_merge_and_the_rest_is_replaced() {
        let map = |text: &str| match value(serde_json::from_str(text).unwrap()) {
            Value::Map(map) => map,
            _ => unreachable!(),
        };
        let mut base = map(r#"{"a": {"x": 1, "y": [1]}, "b": 2}"#);
        merge(&mut base, map(r#"{"a": {"y": [2], "z": 3.5}, "b": {"c": null}}"#));
        assert_eq!(base, map(r#"{"a": {"x": 1, "y": [2], "z": 3.5}, "b": {"c": null}}"#));
    }
}
