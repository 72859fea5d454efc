//! The tree and the formula repositories beside it, as one: they are fetched together, kept together, and what changes is
//! told of all of them.

use super::{Error, Fetched, Fetcher, FormulaTree, Link, Store, Want};
use crate::aws::Vault;
use crate::http::Cancel;
use crate::userdata::{Formula, Source};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A formula repository and where its trees are.
#[derive(Debug)]
struct Beside {
    formula: Formula,
    store: Store,
    fetcher: Fetcher,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Trees {
    main: Fetcher,
    store: Store,
    beside: Vec<Beside>,
}

impl Trees {
    /// Opens the stores; nothing is contacted yet.
    ///
    /// # Errors
    /// The disk's words.
    pub(crate) fn open(
        state_dir: &Path,
        source: &Source,
        vault: &Arc<Vault>,
        cancel: &Cancel,
    ) -> io::Result<Self> {
        let fetcher = |source: &Source, store: &Store| {
            Fetcher::new(source.clone(), store.clone(), vault.clone(), cancel.clone())
        };
        let store = Store::open(state_dir)?;
        let mut beside = Vec::new();
        for formula in &source.formulas {
            let store = Store::open(&state_dir.join("formulas").join(&formula.name))?;
            let fetcher = fetcher(&formula.source, &store);
            beside.push(Beside { formula: formula.clone(), store, fetcher });
        }
        Ok(Self { main: fetcher(source, &store), store, beside })
    }

    /// Gets what is wanted, and of each formula what its reference points at.
    ///
    /// # Errors
    /// The first that one of them meets: what changes, changes together.
    pub(crate) fn get(&mut self, want: Want<'_>) -> Result<Fetched, Error> {
        let mut fetched = self.main.get(want)?;
        for beside in &mut self.beside {
            let source = &beside.formula.source;
            let want = match &source.commit {
                Some(commit) => Want::Commit { commit, near: &source.reference },
                None => Want::Tip(&source.reference),
            };
            let tree = beside.fetcher.get(want)?;
            fetched.notes.extend(tree.notes.iter().map(|note| format!("{}: {note}", beside.formula.name)));
            fetched.formulas.push(beside.joined(tree.commit, &tree.path));
        }
        Ok(fetched)
    }

    /// What a link names, with the formulas that were there with it; `None` when something of it is missing, or when it
    /// is not signed as is asked for.
    pub(crate) fn kept(&self, link: Link) -> Option<Fetched> {
        let commit = self.store.linked(link)?;
        let path = self.main.at_hand(&commit)?;
        let formulas = self.beside.iter().map(|beside| {
            let commit = beside.store.linked(link)?;
            let path = beside.fetcher.at_hand(&commit)?;
            Some(beside.joined(commit, &path))
        });
        Some(Fetched { commit, path, notes: Vec::new(), formulas: formulas.collect::<Option<_>>()? })
    }

    /// Whether something else than this is current.
    pub(crate) fn is_news(&self, fetched: &Fetched) -> bool {
        let differs = |store: &Store, commit: &str| store.linked(Link::Current).as_deref() != Some(commit);
        let formulas = self.beside.iter().zip(&fetched.formulas);
        differs(&self.store, &fetched.commit)
            || formulas.into_iter().any(|(beside, tree)| differs(&beside.store, &tree.commit))
    }

    /// Points a link of all of them.
    ///
    /// # Errors
    /// The disk's words.
    pub(crate) fn flip(&self, link: Link, fetched: &Fetched) -> io::Result<()> {
        for (beside, tree) in self.beside.iter().zip(&fetched.formulas) {
            beside.store.flip(link, &tree.commit)?;
        }
        self.store.flip(link, &fetched.commit)
    }

    /// Removes old trees of all of them.
    ///
    /// # Errors
    /// The disk's words.
    pub(crate) fn prune(&self) -> io::Result<()> {
        self.beside.iter().try_for_each(|beside| beside.store.prune())?;
        self.store.prune()
    }

    /// The remote that answered last.
    pub(crate) fn answered(&self) -> &str {
        self.main.answered()
    }
}

impl Beside {
    fn joined(&self, commit: String, path: &Path) -> FormulaTree {
        FormulaTree {
            name: self.formula.name.clone(),
            url: self.formula.source.remote.url(),
            commit,
            root: path.join(&self.formula.root),
        }
    }
}
