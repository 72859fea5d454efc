//! An IAM policy as IAM reads it, as far as the policies of `mayfly init` go: allowing statements of actions, resources with
//! `*`, and `StringEquals`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What is known of a request besides its action and resource, such as `aws:RequestTag/…`.
pub type Context = BTreeMap<String, String>;

/// One policy.
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Vec<Value>,
}

impl Policy {
    /// Of its JSON text.
    pub fn parse(text: &str) -> Self {
        let policy: Value = serde_json::from_str(text).expect("a policy is JSON");
        let statements = policy["Statement"].as_array().cloned().expect("statements");
        assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"), "{policy:#}");
        Self { statements }
    }

    /// Every action that is allowed anywhere.
    pub fn actions(&self) -> BTreeSet<String> {
        self.statements.iter().flat_map(|statement| words(&statement["Action"])).collect()
    }

    /// Whether some statement allows it.
    pub fn allows(&self, action: &str, resource: &str, context: &Context) -> bool {
        self.statements.iter().any(|statement| {
            words(&statement["Action"]).iter().any(|have| have == action)
                && words(&statement["Resource"]).iter().any(|pattern| matches(pattern, resource))
                && holds(&statement["Condition"], context)
        })
    }
}

/// IAM takes a list or a single word.
fn words(value: &Value) -> Vec<String> {
    let one = value.as_str().map(str::to_owned);
    let many = value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned));
    one.into_iter().chain(many).collect()
}

fn holds(condition: &Value, context: &Context) -> bool {
    let Some(operators) = condition.as_object() else { return true };
    operators.iter().all(|(operator, keys)| {
        assert_eq!(operator, "StringEquals", "another operator: {condition}");
        let keys = keys.as_object().expect("keys and values");
        keys.iter().all(|(key, values)| context.get(key).is_some_and(|value| words(values).contains(value)))
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| matches(rest, tail)))
}
