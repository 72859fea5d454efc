//! What every stage of a compile is given: the tree, the minion, and what templates and the compiler may ask.

use crate::decrypt::Block;
use crate::minion::Minion;
use crate::secrets::Secrets;
use crate::tree::Tree;
use crate::value::{Map, Value};

/// The execution functions that templates may call beyond the pure ones that this crate answers itself
/// (`pillar.*`, `grains.*`, `config.*`, `slsutil.*`, `test.*`, …): everything that looks at the machine.
pub trait Functions: Send + Sync {
    /// Calls `module.function`. `None`: no such function. `Some(Err(_))`: it ran and failed, in its own words.
    fn call(&self, name: &str, args: &[Value], kwargs: &Map) -> Option<Result<Value, String>>;
    /// The names of all that can be called.
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }
    /// Whether `module.function` exists, for `'module.function' in salt`.
    fn has(&self, name: &str) -> bool {
        self.names().contains(&name)
    }
    /// What an encrypted block says, by the keys of the machine. The error is a sentence, and quotes nothing of it.
    fn decrypt(&self, block: &Block<'_>) -> Result<String, String> {
        let _ = block;
        Err("there are no keys here".to_owned())
    }
    /// What was decrypted so far: nobody is to read it.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }
}

/// What the compiler must know of the state functions of the engine.
pub trait StateFunctions: Send + Sync {
    /// Whether `state.fun` exists.
    fn known(&self, state: &str, fun: &str) -> bool;
    /// Whether the state module reacts to `watch` (Salt's `mod_watch`); where it does not, `watch` becomes `require`.
    fn has_mod_watch(&self, state: &str) -> bool;
}

/// No execution functions at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn call(&self, _: &str, _: &[Value], _: &Map) -> Option<Result<Value, String>> {
        None
    }
}

/// Every state function is taken for known, and those of Salt that have `mod_watch` are said to have it: for showing
/// trees that use states which this engine does not run.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyState;

/// State modules with a `mod_watch`: Salt's own, and its extensions that are here.
const MOD_WATCH: &[&str] =
    &["at", "cmd", "etcd", "event", "module", "mount", "pkg", "service", "supervisord", "test"];

impl StateFunctions for AnyState {
    fn known(&self, _: &str, _: &str) -> bool {
        true
    }

    fn has_mod_watch(&self, state: &str) -> bool {
        MOD_WATCH.contains(&state)
    }
}

/// One compile: who asks, of which tree, with which functions at hand.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Where the files are.
    pub tree: &'a Tree,
    /// Who asks.
    pub minion: &'a Minion,
    /// Functions of the machine, for templates.
    pub functions: &'a dyn Functions,
    /// The state functions that the engine has.
    pub states: &'a dyn StateFunctions,
}
