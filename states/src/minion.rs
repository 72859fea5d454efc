//! Who asks for a state: the minion's id, its grains and the pillar it was given at birth.

use crate::value::Map;

/// The identity that top files target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minion {
    /// The minion id, also the grain `id`.
    pub id: String,
    /// All grains, computed and given.
    pub grains: Map,
    /// Pillar from outside the tree (user-data, `--pillar`); wins over the tree's, merged recursively.
    pub pillar: Map,
    /// Salt's `saltenv`; `base` unless said otherwise.
    pub saltenv: String,
}
