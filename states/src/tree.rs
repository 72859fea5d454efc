//! Where the state files and pillar files of each environment are.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The roots of a masterless tree, by environment (`base` unless said otherwise), searched in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Salt's `file_roots`.
    pub file_roots: BTreeMap<String, Vec<PathBuf>>,
    /// Salt's `pillar_roots`.
    pub pillar_roots: BTreeMap<String, Vec<PathBuf>>,
}

impl Tree {
    /// A tree with one environment, `base`.
    pub fn base(file_root: impl Into<PathBuf>, pillar_root: Option<PathBuf>) -> Self {
        let one = |paths| BTreeMap::from([("base".to_owned(), paths)]);
        Self { file_roots: one(vec![file_root.into()]), pillar_roots: one(pillar_root.into_iter().collect()) }
    }
}
