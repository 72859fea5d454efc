//! Python's mapping, which keeps its order, and remembers whether it is an `OrderedDict`.

use std::hash::Hash;
use std::ops::{Deref, DerefMut};

use indexmap::{Equivalent, IndexMap};

use super::value::{Key, Py};
use crate::kept;

/// A mapping.
#[derive(Clone, Default)]
pub(crate) struct Dict {
    pairs: IndexMap<Key, Py>,
    /// It prints as `OrderedDict`, where Salt does not print it itself.
    pub(crate) ordered: bool,
    /// Keys whose values every run has anew: a compile that sees one of them is not kept.
    watched: &'static [&'static str],
}

impl Dict {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { pairs: IndexMap::with_capacity(capacity), ordered: false, watched: &[] }
    }

    /// From now on, looking at one of these keys, or at all of them, makes a compile one that is not kept.
    pub(crate) fn watch(&mut self, keys: &'static [&'static str]) {
        self.watched = keys;
    }

    /// The value of a key.
    pub(crate) fn get<Q: Hash + Equivalent<Key> + ?Sized>(&self, key: &Q) -> Option<&Py> {
        self.look_at(key);
        self.pairs.get(key)
    }

    /// Whether there is such a key.
    pub(crate) fn contains_key<Q: Hash + Equivalent<Key> + ?Sized>(&self, key: &Q) -> bool {
        self.look_at(key);
        self.pairs.contains_key(key)
    }

    fn look_at<Q: Equivalent<Key> + ?Sized>(&self, key: &Q) {
        if self.watched.iter().any(|watched| key.equivalent(&Key::str(*watched))) {
            kept::volatile();
        }
    }

    /// Any other look is one at everything.
    fn look_at_all(&self) {
        if !self.watched.is_empty() {
            kept::volatile();
        }
    }
}

impl Deref for Dict {
    type Target = IndexMap<Key, Py>;

    fn deref(&self) -> &Self::Target {
        self.look_at_all();
        &self.pairs
    }
}

impl DerefMut for Dict {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.look_at_all();
        &mut self.pairs
    }
}

impl FromIterator<(Key, Py)> for Dict {
    fn from_iter<I: IntoIterator<Item = (Key, Py)>>(pairs: I) -> Self {
        Self { pairs: pairs.into_iter().collect(), ..Self::default() }
    }
}

impl Extend<(Key, Py)> for Dict {
    fn extend<I: IntoIterator<Item = (Key, Py)>>(&mut self, pairs: I) {
        self.pairs.extend(pairs);
    }
}

impl IntoIterator for Dict {
    type Item = (Key, Py);
    type IntoIter = indexmap::map::IntoIter<Key, Py>;

    fn into_iter(self) -> Self::IntoIter {
        self.look_at_all();
        self.pairs.into_iter()
    }
}
