//! Who asks for a state: the minion's id, its grains and the pillar it was given at birth.

use crate::options::Options;
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
    /// Salt's `saltenv`. Empty where none is asked for: the top file then speaks for all environments, and SLS
    /// names on their own belong to `base`.
    pub saltenv: String,
    /// What else of the configuration changes a compile.
    pub options: Options,
}

impl Minion {
    /// The environment that was asked for.
    pub fn asked_env(&self) -> Option<&str> {
        Some(self.saltenv.as_str()).filter(|env| !env.is_empty())
    }
}
