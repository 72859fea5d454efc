//! Where the state files and pillar files of each environment are.

use std::path::PathBuf;

use indexmap::IndexMap;

/// Folders by environment, in the order of the configuration; the folders of one are searched in order.
pub type Roots = IndexMap<String, Vec<PathBuf>>;

/// The roots of a masterless tree, by environment (`base` unless said otherwise).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Salt's `file_roots`.
    pub file_roots: Roots,
    /// Salt's `pillar_roots`.
    pub pillar_roots: Roots,
}

impl Tree {
    /// A tree with one environment, `base`.
    pub fn base(file_root: impl Into<PathBuf>, pillar_root: Option<PathBuf>) -> Self {
        let one = |paths| IndexMap::from([("base".to_owned(), paths)]);
        Self { file_roots: one(vec![file_root.into()]), pillar_roots: one(pillar_root.into_iter().collect()) }
    }
}
