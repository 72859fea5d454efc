//! One step, carried out: its state function with its conditions and retries, and mod_watch where that is due.

use crate::engine::step::{Call, Return};
use crate::engine::{Context, Facts};
use crate::engine::{conditions, retry};
use crate::low::{Chunk, LowState};
use crate::modules::{self, Entry};
use crate::report::Outcome;
use crate::value::Value;

/// What all steps of a run have in common, on every thread.
#[derive(Clone, Copy)]
pub(super) struct Shared<'e> {
    pub(super) low: &'e LowState,
    pub(super) context: &'e Context<'e>,
}

impl<'e> Shared<'e> {
    pub(super) fn chunk(self, i: usize) -> &'e Chunk {
        // Indices come from this low state's own enumeration.
        &self.low.chunks[i]
    }

    /// One call of the state function of step `i`.
    pub(super) fn of<'f>(self, i: usize, facts: &'f Facts, test: bool) -> Call<'f>
    where
        'e: 'f,
    {
        Call { chunk: self.chunk(i), low: self.low, context: self.context, facts, test, look: false }
    }

    /// Whether step `i` would find all as asked; changes nothing. For steps without conditions.
    pub(super) fn look(self, i: usize, facts: &Facts) -> Return {
        let call = Call { look: true, ..self.of(i, facts, false) };
        modules::find(&call.chunk.state, &call.chunk.fun).map_or_else(
            || Return::failed(String::new()),
            |entry| {
                let warnings = modules::misspelt(entry, &call.chunk.args);
                Return { warnings, ..(entry.perform)(&call) }
            },
        )
    }

    /// Call the state function of step `i`, and its mod_watch when what it watches has changed and it did not change
    /// itself.
    pub(super) fn carry_out(self, i: usize, facts: &Facts, test: bool, watch: bool) -> Return {
        let call = self.of(i, facts, test);
        let Some(entry) = modules::find(&call.chunk.state, &call.chunk.fun) else {
            return Return::failed(modules::unknown(&call.chunk.state, &call.chunk.fun));
        };
        let mut ret = retry::perform(&call, entry, watch);
        ret.warnings.extend(modules::misspelt(entry, &call.chunk.args));
        ret
    }
}

/// Whether a step's function has a mod_watch.
pub(super) fn can_react(chunk: &Chunk) -> bool {
    modules::find(&chunk.state, &chunk.fun).is_some_and(|entry| entry.watch.is_some())
}

/// The mod_watch of a step that listens, with its conditions and its `check_cmd`.
pub(super) fn hear(call: &Call<'_>) -> Return {
    let watch = modules::find(&call.chunk.state, &call.chunk.fun).and_then(|entry| entry.watch);
    let react = || watch.map_or_else(|| Return::ok(""), |react| conditions::check(react(call), call));
    match conditions::hold_back(call) {
        Ok(None) => react(),
        Ok(Some(held)) => held,
        Err(failure) => Return::from_failure(&failure),
    }
}

/// Whether a step left the thing itself alone, so that its mod_watch is due. To be enabled at boot is no restart.
pub(super) fn still(entry: &Entry, ret: &Return) -> bool {
    let alone = |change: &Value| entry.state == "service" && matches!(change, Value::Map(_));
    ret.outcome != Outcome::Failed && !ret.skip_watch && ret.changes.values().all(alone)
}

/// The return of mod_watch, with what the step itself had to say.
pub(super) fn react(call: &Call<'_>, entry: &Entry, own: Return) -> Return {
    let Some(watch) = entry.watch else { return own };
    let mut ret = watch(call);
    ret.warnings.extend(own.warnings);
    ret.changes.extend(own.changes);
    ret
}
