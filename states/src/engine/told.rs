//! A step as it is told: in the report, to observers and in messages.

use std::borrow::Cow;

use crate::low::{Chunk, LowState};
use crate::redact;
use crate::report::{Outcome, StepReport};
use crate::value::{Map, Value};

/// What stands for a name that `no_log` hides.
const HIDDEN: &str = "<hidden>";

/// A chunk as others may see it: without passwords of URLs, and with `no_log` without its name, unless that is the id. Ids are
/// told everywhere.
pub(super) fn shown(chunk: &Chunk) -> Cow<'_, Chunk> {
    let (id, name) = (redact::urls(&chunk.id), redact::urls(&chunk.name));
    let hides = is_set(chunk, "no_log") && chunk.name != chunk.id;
    if !hides && id == chunk.id.as_str() && name == chunk.name.as_str() {
        return Cow::Borrowed(chunk);
    }
    let name = if hides { HIDDEN.to_owned() } else { name.into_owned() };
    Cow::Owned(Chunk { id: id.into_owned(), name, ..chunk.clone() })
}

/// The report of a step that has begun.
pub(super) fn empty(chunk: &Chunk, run_num: usize, started: f64) -> StepReport {
    let chunk = shown(chunk);
    // Several names below one id are still told apart.
    let tagged = (chunk.name == HIDDEN)
        .then(|| Chunk { name: format!("<hidden {run_num}>"), ..Chunk::clone(&chunk) }.tag());
    StepReport {
        tag: tagged.unwrap_or_else(|| chunk.tag()),
        id: chunk.id.clone(),
        name: chunk.name.clone(),
        sls: chunk.sls.clone(),
        origin: chunk.origin.clone(),
        outcome: Outcome::Ok,
        changes: Map::new(),
        comment: String::new(),
        warnings: Vec::new(),
        ran: true,
        run_num,
        duration_ms: 0.0,
        started,
    }
}

pub(super) fn is_set(chunk: &Chunk, key: &str) -> bool {
    chunk.arg(key).and_then(Value::as_bool).unwrap_or(false)
}

/// A chunk as messages name it, with its place in the file as it is written.
pub(super) fn describe(low: &LowState, chunk: &Chunk) -> String {
    format!("{}.{} `{}` ({})", chunk.state, chunk.fun, redact::urls(&chunk.id), low.origin(chunk))
}
