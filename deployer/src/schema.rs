//! The JSON Schema of `mayfly.yaml`, for editors: made of the same table of keys that the reader goes by.

use crate::spec::keys::{ENVIRONMENTS, Field, Kind, TOP};
use crate::spec::strategy::WHOLE;
use serde_json::{Map, Value, json};

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let properties = properties(TOP);
    let required: Vec<&str> = TOP.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mayfly.yaml",
        "description": "What is deployed; docs/spec.md is its page",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": ["service"],
        // An environment may bring what the base lacks.
        "if": {"not": {"required": [ENVIRONMENTS]}},
        "then": {"required": required},
    })
}

fn properties(fields: &'static [Field]) -> Map<String, Value> {
    fields.iter().map(|field| (field.name.to_owned(), property(field))).collect()
}

/// `null` is the same as leaving a key out.
fn property(field: &'static Field) -> Value {
    let described = |mut object: Map<String, Value>| {
        object.insert("description".to_owned(), json!(field.help));
        Value::Object(object)
    };
    let kinds = match of(&field.kind) {
        Value::Object(mut object) if object.contains_key("type") => {
            let kind = object.remove("type").unwrap_or_default();
            object.insert("type".to_owned(), json!([kind, "null"]));
            return described(object);
        }
        Value::Object(object) if object.contains_key("anyOf") => {
            object.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_default()
        }
        other => vec![other],
    };
    let kinds: Vec<Value> = kinds.into_iter().chain([json!({"type": "null"})]).collect();
    described(Map::from_iter([("anyOf".to_owned(), json!(kinds))]))
}

fn of(kind: &'static Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Texts => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        Kind::List => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Duration => json!({"anyOf": [
            {"type": "string", "pattern": "^\\s*[0-9]"}, {"type": "integer", "minimum": 0}
        ]}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Free => json!({"type": "object"}),
        Kind::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Kind::Section(fields) => section(fields),
        Kind::Sections(fields) => json!({"type": "array", "items": section(fields)}),
        Kind::Either(kinds) => json!({"anyOf": kinds.iter().map(of).collect::<Vec<_>>()}),
        Kind::Environments => json!({"type": "object", "additionalProperties": override_of_top()}),
    }
}

fn section(fields: &'static [Field]) -> Value {
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object", "properties": properties(fields), "additionalProperties": false, "required": required,
    })
}

/// An override is no whole spec: nothing in it is required, at any depth, but for keys that are replaced as a whole; and the
/// service keeps its name.
fn override_of_top() -> Value {
    let mut properties = Map::new();
    for field in TOP.iter().filter(|field| !["service", ENVIRONMENTS].contains(&field.name)) {
        let mut value = property(field);
        if !WHOLE.iter().flat_map(|group| group.iter()).any(|name| *name == field.name) {
            relax(&mut value, false);
        }
        properties.insert(field.name.to_owned(), value);
    }
    json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
}

/// Takes `required` out of mappings; those in lists are whole, for lists are replaced and not merged.
fn relax(value: &mut Value, in_list: bool) {
    match value {
        Value::Object(object) => {
            if !in_list && object.get("required").is_some_and(Value::is_array) {
                object.remove("required");
            }
            for (key, value) in object.iter_mut() {
                relax(value, in_list || key == "items");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relax(item, in_list)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_with_its_bounds_and_help() {
        let schema = schema();
        let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/properties/count/maximum"), 5_000);
        assert_eq!(at("/properties/count/type"), json!(["integer", "null"]));
        assert_eq!(at("/properties/supervisor/anyOf/0/enum/0"), "auto");
        assert_eq!(at("/properties/states/required"), json!(["url"]));
        let over = "/properties/environments/additionalProperties/properties";
        assert_eq!(at(&format!("{over}/states/required")), Value::Null);
        assert_eq!(at(&format!("{over}/schedules/items/required")), json!(["cron"]));
        assert_eq!(at(&format!("{over}/service")), Value::Null);
        for field in TOP {
            assert_eq!(at(&format!("/properties/{}/description", field.name)), field.help);
        }
    }

    /// All names of keys below a table.
    fn names(fields: &'static [Field]) -> Vec<&'static str> {
        let inner = fields.iter().filter_map(|field| field.kind.section()).flat_map(names);
        fields.iter().map(|field| field.name).chain(inner).collect()
    }

    #[test]
    fn every_key_is_on_its_page() {
        let page = include_str!("../../docs/spec.md");
        let words: std::collections::BTreeSet<&str> =
            page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let missing: Vec<&str> = names(TOP).into_iter().filter(|name| !words.contains(name)).collect();
        // Watch rules are on the page of user-data.
        let of_watch = ["paths", "action", "debounce", "check", "rate", "on_edit"];
        let missing: Vec<&str> = missing.into_iter().filter(|name| !of_watch.contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
