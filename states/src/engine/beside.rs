//! `parallel: True`: steps that run beside the walk, each on a thread of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread::{Scope, ScopedJoinHandle};

use crate::engine::Facts;
use crate::engine::carry::Shared;
use crate::engine::step::Return;
use crate::low::Chunk;

/// How many run at once: a tree may say `parallel` a thousand times.
const MOST: usize = 32;

/// What came of a step, and when.
pub(super) struct Ended {
    pub(super) ret: Return,
    pub(super) ended: f64,
}

/// The steps that run beside the walk.
pub(super) struct Beside<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    running: BTreeMap<usize, ScopedJoinHandle<'s, Ended>>,
    /// Those that are over and were not asked for.
    over: BTreeMap<usize, Ended>,
}

/// Whether the step may run beside others: it works on a thing of its own, or runs a command. Packages, accounts, and lines
/// of a file that several steps edit have one database each, and their steps wait for each other.
pub(super) fn is_independent(chunk: &Chunk) -> bool {
    match chunk.state.as_str() {
        "archive" | "cmd" | "git" | "module" | "service" | "test" => true,
        "file" => {
            matches!(chunk.fun.as_str(), "cached" | "copy" | "decode" | "managed" | "recurse" | "serialize")
        }
        _ => false,
    }
}

impl<'s, 'e> Beside<'s, 'e> {
    pub(super) fn new(scope: &'s Scope<'s, 'e>) -> Self {
        Self { scope, running: BTreeMap::new(), over: BTreeMap::new() }
    }

    /// Begin step `i`, with what the run has learnt so far.
    pub(super) fn start(&mut self, i: usize, shared: Shared<'e>, facts: &Facts, watch: bool) {
        self.make_room();
        let environment = facts.environment.borrow().clone();
        let accumulators = facts.accumulators.borrow().clone();
        let work = move || {
            let facts = Facts {
                environment: RefCell::new(environment),
                accumulators: RefCell::new(accumulators),
                ..Facts::default()
            };
            let ret = shared.carry_out(i, &facts, false, watch);
            Ended { ret, ended: shared.context.host.now() }
        };
        self.running.insert(i, self.scope.spawn(work));
    }

    /// What came of step `i`, after its end; `None` when it does not run beside.
    pub(super) fn wait(&mut self, i: usize) -> Option<Ended> {
        self.over.remove(&i).or_else(|| self.running.remove(&i).map(join))
    }

    /// Whether nothing runs beside the walk.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    fn make_room(&mut self) {
        if self.running.len() < MOST {
            return;
        }
        if let Some((i, handle)) = self.running.pop_first() {
            self.over.insert(i, join(handle));
        }
    }
}

fn join(handle: ScopedJoinHandle<'_, Ended>) -> Ended {
    // Nothing in a step is meant to panic; if it does, the walk must not go on as if it had not.
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
