//! Python's mapping, which keeps its order, and remembers whether it is an `OrderedDict`.

use std::ops::{Deref, DerefMut};

use indexmap::IndexMap;

use super::value::{Key, Py};

/// A mapping.
#[derive(Clone, Default)]
pub(crate) struct Dict {
    pairs: IndexMap<Key, Py>,
    /// It prints as `OrderedDict`, where Salt does not print it itself.
    pub(crate) ordered: bool,
}

impl Dict {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { pairs: IndexMap::with_capacity(capacity), ordered: false }
    }
}

impl Deref for Dict {
    type Target = IndexMap<Key, Py>;

    fn deref(&self) -> &Self::Target {
        &self.pairs
    }
}

impl DerefMut for Dict {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.pairs
    }
}

impl FromIterator<(Key, Py)> for Dict {
    fn from_iter<I: IntoIterator<Item = (Key, Py)>>(pairs: I) -> Self {
        Self { pairs: pairs.into_iter().collect(), ordered: false }
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
        self.pairs.into_iter()
    }
}
