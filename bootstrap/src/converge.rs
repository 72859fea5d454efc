//! One converge: a tree on disk and a minion, through the states library, into a report.

use mayfly_states::engine::{self, Context, Observer, Options, Seen};
use mayfly_states::error::Errors;
use mayfly_states::execution::MachineFunctions;
use mayfly_states::fsys::Owner;
use mayfly_states::host::Host;
use mayfly_states::kept::Keeper;
use mayfly_states::low::LowState;
use mayfly_states::minion::Minion;
use mayfly_states::report::Report;
use mayfly_states::secrets::Secrets;
use mayfly_states::session::{AnyState, Functions, Session};
use mayfly_states::tree::Tree;
use std::path::Path;
use std::sync::Arc;

/// What is applied, to whom, on which machine.
pub(crate) struct Converge {
    /// Where the files are.
    pub(crate) tree: Tree,
    /// Who asks.
    pub(crate) minion: Minion,
    host: Arc<dyn Host>,
    functions: MachineFunctions,
}

impl Converge {
    /// A converge; nothing is read yet.
    pub(crate) fn new(tree: Tree, minion: Minion, host: Arc<dyn Host>) -> Self {
        Self { tree, minion, functions: MachineFunctions::new(host.clone()), host }
    }

    /// What every stage of a compile that is only shown is given: any state is taken for known, as in Salt.
    pub(crate) fn shown(&self) -> Session<'_> {
        Session { tree: &self.tree, minion: &self.minion, functions: &self.functions, states: &AnyState }
    }

    /// What was decrypted so far.
    pub(crate) fn secrets(&self) -> Secrets {
        self.functions.secrets()
    }

    /// The named SLS, or the highstate when none is named; what was kept of it, when that is still the same.
    ///
    /// # Errors
    /// Everything that is wrong with the tree, each with file, line and column.
    pub(crate) fn compile(&self, sls: &[String], keeper: &Keeper) -> Result<LowState, Errors> {
        let (low, source) = keeper.compile(&self.tree, &self.minion, &self.functions, sls)?;
        tracing::debug!(?source, ?keeper, "compiled");
        Ok(low)
    }

    /// Walks the low state.
    pub(crate) fn apply(&self, low: &LowState, options: Options, observer: &mut dyn Observer) -> Report {
        let Self { tree, minion, functions, .. } = self;
        let seen = Seen { tree, minion, pillar: &low.pillar, functions };
        engine::with_jinja(seen, |render| {
            let context = Context { tree, minion, host: &*self.host, render };
            engine::run(low, &context, options, observer)
        })
    }
}

/// Where the compiles of one command are kept, below a root: each has its own trees.
pub(crate) fn keeper(root: &Path, command: &str) -> Keeper {
    Keeper::new(root.join("var/cache/mayfly/compiled").join(command))
}

/// An owner for what this program itself makes: whoever runs it.
pub(crate) fn own(mode: u32) -> Owner {
    Owner { mode, uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() }
}
