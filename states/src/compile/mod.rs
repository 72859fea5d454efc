//! SLS names to low state: the stages of a compile, in their order.
//!
//! `high` gathers the SLS files and their includes, `extend` applies what they say of each other, `verify` refuses what is
//! malformed, `drafts` makes chunks, `depend` finds whom requisites mean, `order` sorts.

mod depend;
mod drafts;
mod extend;
pub mod high;
mod hints;
mod order;
mod secrets;
mod verify;

use indexmap::IndexSet;

use crate::error::{Error, Errors, Fault, Findings};
use crate::jinja::Py;
use crate::kept::{self, Record};
use crate::low::{Chunk, LowState};
use crate::render::on_stack;
use crate::session::Session;
use crate::top::{Matches, Written};
use crate::value::{Map, Value};

pub(crate) use depend::reference;
use drafts::Draft;
use high::{High, gather};
use order::Ordered;
use verify::verify;

/// The low state of the top file: what Salt's `state.apply` without names would run.
///
/// # Errors
/// Everything that is wrong, each error with file, line and column.
pub fn highstate(session: &Session<'_>) -> Result<LowState, Errors> {
    Ok(witnessed(session, &[])?.0)
}

/// What the top file gives to the minion.
fn targeted(session: &Session<'_>, pillar: &Py) -> Result<(Matches, Written), Errors> {
    let (matches, written) = crate::top::of_states(session, pillar)?;
    if matches.is_empty() {
        return Err(no_state(session, &written).into());
    }
    Ok((matches, written))
}

/// The top file has nothing for the minion.
fn no_state(session: &Session<'_>, written: &Written) -> Error {
    let id = &session.minion.id;
    let fault = Fault::Top(format!("no state is targeted at the minion '{id}'"));
    let error = Error::new(fault).help("add a target that matches it to top.sls");
    match written.misspelt(&session.tree.file_roots.keys().map(String::as_str)) {
        Some((env, near)) => error
            .note(&format!("it names the environment '{env}', which is not there: did you mean `{near}`?")),
        None => error,
    }
}

/// The low state of these SLS names, as Salt's `state.apply NAME,…` would run it.
///
/// # Errors
/// As [`highstate`].
pub fn sls(session: &Session<'_>, names: &[String]) -> Result<LowState, Errors> {
    let named = |_: &Py| Ok((vec![(saltenv(session).to_owned(), names.to_vec())], Written::default()));
    Ok(low(session, named)?.0)
}

/// The low state of these names, or of the top file when there are none, and what it was read from, where that is all that it
/// depends on.
pub(crate) fn witnessed(
    session: &Session<'_>,
    names: &[String],
) -> Result<(LowState, Option<Record>), Errors> {
    low(session, |pillar| match names {
        [] => targeted(session, pillar),
        names => Ok((vec![(saltenv(session).to_owned(), names.to_vec())], Written::default())),
    })
}

/// The environment that names without one belong to.
fn saltenv<'s>(session: &Session<'s>) -> &'s str {
    if session.minion.saltenv.is_empty() { "base" } else { &session.minion.saltenv }
}

fn low(
    session: &Session<'_>,
    matches: impl FnOnce(&Py) -> Result<(Matches, Written), Errors> + Send,
) -> Result<(LowState, Option<Record>), Errors> {
    let compiled = on_stack(|| {
        let run = || {
            let pillar = crate::pillar::compiled(session)?;
            // Taken before the SLS files are rendered: templates may change what they are given.
            let plain = crate::pillar::to_map(&pillar);
            let gathered =
                matches(&pillar).and_then(|(matches, written)| gather(session, &matches, &written, pillar));
            let compiled = gathered.and_then(|high| {
                let lines = high.lines.clone();
                let placed = |errors: Errors| Errors(errors.0.into_iter().map(|e| lines.place(e)).collect());
                let low = compile(session, high).map_err(placed)?;
                Ok(LowState { lines: lines.clone(), ..low })
            });
            let compiled = compiled.map_err(|errors| errors.without(&secrets::secrets(&plain)))?;
            Ok(LowState { pillar: plain, secrets: session.functions.secrets(), ..compiled })
        };
        let (compiled, seen) = kept::during(run);
        let compiled = discreet(session, compiled);
        Ok(compiled.map(|low| (low, seen)))
    });
    compiled?
}

/// What is wrong, without what was decrypted.
pub(crate) fn discreet<T>(session: &Session<'_>, compiled: Result<T, Errors>) -> Result<T, Errors> {
    compiled.map_err(|errors| errors.without(session.functions.secrets().texts()))
}

fn compile(session: &Session<'_>, mut high: High) -> Result<LowState, Errors> {
    let mut found = Findings::default();
    extend::extend(&mut high, &mut found);
    verify(&high, &mut found);
    found.stop()?;
    extend::requisites_in(&mut high, &mut found);
    extend::exclude(&mut high);
    found.stop()?;
    let mut drafts = drafts::chunks(&high)?;
    check_functions(session, &drafts, &mut found.warnings);
    watch_or_require(session, &mut drafts);
    let ordered = depend::order(&drafts, &high, &mut found.errors);
    found.stop()?;
    let mut low = in_order(drafts, &ordered);
    listens(&mut low.chunks);
    low.warnings = found.warnings;
    Ok(low)
}

/// The chunks in their order; those that a `prereq` rehearses, and those that have one, with Salt's marks.
fn in_order(drafts: Vec<Draft>, ordered: &Ordered) -> LowState {
    // Of two chunks with one tag the later stands.
    let mut by_slot: Vec<Option<Chunk>> = Vec::new();
    for (draft, slot) in drafts.into_iter().zip(&ordered.slots) {
        by_slot.resize_with(by_slot.len().max(slot + 1), || None);
        by_slot[*slot] = Some(draft.chunk);
    }
    for (slots, mark) in [(&ordered.rehearsed, "__prereq__"), (&ordered.prerequiring, "__prerequiring__")] {
        for slot in slots {
            if let Some(Some(chunk)) = by_slot.get_mut(*slot) {
                chunk.args.insert(mark.to_owned(), Value::Bool(true));
            }
        }
    }
    let mut low = LowState::default();
    let mut place = vec![0; by_slot.len()];
    for placed in ordered.listing.iter().filter(|p| !p.rehearsal) {
        place[placed.slot] = low.chunks.len();
        low.chunks.extend(by_slot[placed.slot].take());
    }
    low.listing = ordered.listing.iter().map(|p| place[p.slot]).collect();
    low
}

/// A step whose function does not exist fails when it is its turn, and the others go on; that is known now.
fn check_functions(session: &Session<'_>, chunks: &[Draft], warnings: &mut Vec<Error>) {
    let mut told = IndexSet::new();
    for chunk in chunks.iter().map(|d| &d.chunk) {
        if session.states.known(&chunk.state, &chunk.fun) || !told.insert((&chunk.id, &chunk.state)) {
            continue;
        }
        let fault = Fault::UnknownState(format!("{}.{}", chunk.state, chunk.fun));
        warnings.push(Error::new(fault).at(chunk.origin.clone()).help("the step will fail"));
    }
}

/// `watch` means no more than `require` where the state does not react to it.
fn watch_or_require(session: &Session<'_>, chunks: &mut [Draft]) {
    for chunk in chunks.iter_mut().map(|d| &mut d.chunk) {
        if session.states.has_mod_watch(&chunk.state) {
            continue;
        }
        for (watch, require) in [("watch", "require"), ("watch_any", "require_any")] {
            let Some(Value::List(watched)) = chunk.args.shift_remove(watch) else { continue };
            match chunk.args.get_mut(require) {
                Some(Value::List(required)) => required.extend(watched),
                _ => _ = chunk.args.insert(require.to_owned(), Value::List(watched)),
            }
        }
    }
}

/// `listen_in` makes the state that it names listen.
fn listens(chunks: &mut [Chunk]) {
    let mut found: Vec<(String, String, Value)> = Vec::new();
    for chunk in chunks.iter() {
        let Some(Value::List(targets)) = chunk.args.get("listen_in") else { continue };
        let listened = Value::Map(Map::from([(chunk.state.clone(), Value::Str(chunk.id.clone()))]));
        for (kind, name) in targets.iter().filter_map(reference) {
            let Some(name) = name else { continue };
            found.push((kind.to_owned(), name.to_owned(), listened.clone()));
        }
    }
    for (kind, name, listened) in found {
        let target = |c: &&mut Chunk| (c.state == kind || kind == "id") && (c.id == name || c.name == name);
        for chunk in chunks.iter_mut().filter(target) {
            if !chunk.listened().contains(&listened) {
                chunk.listens.push(listened.clone());
            }
        }
    }
}
