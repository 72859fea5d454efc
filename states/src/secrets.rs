//! Texts that nobody is to read, known by their value: they are taken out of whatever is told.

use std::borrow::Cow;

use crate::low::Chunk;
use crate::report::StepReport;
use crate::value::{Map, Value};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "<hidden>";
/// Shorter texts are no secrets worth the name, and are found in everything.
const SHORTEST: usize = 4;
/// More than a tree holds; what comes after it is not looked for.
const MOST: usize = 10_000;

/// The longest first, so that one that holds another is hidden whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Adds a text, and its lines: diffs and errors show single ones.
    pub fn add(&mut self, text: &str) {
        let whole = text.trim();
        let lines = whole.lines().map(str::trim).filter(|line| line.len() < whole.len());
        for part in std::iter::once(whole).chain(lines).filter(|part| part.len() >= SHORTEST) {
            let place = self.0.partition_point(|known| (known.len(), part) > (part.len(), known.as_str()));
            if self.0.get(place).is_none_or(|known| known != part) && self.0.len() < MOST {
                self.0.insert(place, part.to_owned());
            }
        }
    }

    /// Adds all that another one hides.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|text| self.add(text));
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts.
    pub(crate) fn texts(&self) -> &[String] {
        &self.0
    }

    /// The text without them.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = Cow::Borrowed(text);
        for secret in &self.0 {
            if hidden.contains(secret.as_str()) {
                hidden = Cow::Owned(hidden.replace(secret.as_str(), HIDDEN));
            }
        }
        hidden
    }

    /// The value without them.
    pub fn hide_in(&self, value: Value) -> Value {
        match value {
            Value::Str(text) => Value::Str(self.owned(text)),
            Value::List(all) => Value::List(all.into_iter().map(|value| self.hide_in(value)).collect()),
            Value::Map(map) => Value::Map(self.hide_in_map(map)),
            // A number or a truth value may have been a text before YAML saw it.
            other => other,
        }
    }

    fn hide_in_map(&self, map: Map) -> Map {
        map.into_iter().map(|(key, value)| (self.owned(key), self.hide_in(value))).collect()
    }

    fn owned(&self, text: String) -> String {
        match self.hide(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(hidden) => hidden,
        }
    }

    /// A step's return without them.
    pub(crate) fn hide_in_step(&self, step: &mut StepReport) {
        if self.is_empty() {
            return;
        }
        for text in [&mut step.tag, &mut step.id, &mut step.name, &mut step.comment] {
            *text = self.owned(std::mem::take(text));
        }
        step.changes = self.hide_in_map(std::mem::take(&mut step.changes));
        step.warnings.iter_mut().for_each(|text| *text = self.owned(std::mem::take(text)));
    }

    /// A chunk as observers may see it.
    pub(crate) fn hide_in_chunk<'c>(&self, chunk: Cow<'c, Chunk>) -> Cow<'c, Chunk> {
        let (id, name) = (self.hide(&chunk.id), self.hide(&chunk.name));
        if matches!((&id, &name), (Cow::Borrowed(_), Cow::Borrowed(_))) {
            return chunk;
        }
        let (id, name) = (id.into_owned(), name.into_owned());
        Cow::Owned(Chunk { id, name, ..chunk.into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_go_before_their_parts_and_lines_go_alone() {
        let mut secrets = Secrets::default();
        for text in ["hunter22", "abc", "first line\nsecond line\n", "hunter22 and more", "hunter22"] {
            secrets.add(text);
        }
        assert_eq!(secrets.texts().len(), 5, "{:?}", secrets.texts());
        assert_eq!(secrets.hide("x hunter22 and more y"), "x <hidden> y");
        assert_eq!(secrets.hide("+first line\n abc"), "+<hidden>\n abc");
        let map = Map::from([("hunter22".to_owned(), Value::List(vec![Value::Str("hunter22!".into())]))]);
        let shown = serde_json::to_string(&secrets.hide_in(Value::Map(map))).unwrap();
        assert_eq!(shown, r#"{"<hidden>":["<hidden>!"]}"#);
        assert_eq!(format!("{secrets:?}"), "Secrets(5)");
    }
}
