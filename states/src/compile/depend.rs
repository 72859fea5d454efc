//! Requisites to edges: whom each reference means, and the order that follows.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::HashMap;

use indexmap::IndexMap;

use crate::compile::drafts::Draft;
use crate::compile::high::{High, Item};
use crate::compile::order::{CycleStep, Edge, Graph, Ordered, Vertex, Wish};
use crate::error::{Error, Fault};
use crate::low::{Chunk, Origin};
use crate::nearest::nearest;
use crate::python::glob::{fnmatch, is_pattern};
use crate::value::Value;

/// What requisites can refer to: chunks by their place in the graph.
#[derive(Default)]
struct Index<'d> {
    by_state: HashMap<&'d str, IndexMap<&'d str, Vec<usize>>>,
    by_sls: IndexMap<&'d str, Vec<usize>>,
}

impl<'d> Index<'d> {
    fn new(drafts: &'d [Draft], slots: &[usize]) -> Self {
        let mut index = Index::default();
        for (Draft { chunk, included_from, .. }, slot) in drafts.iter().zip(slots) {
            let (name, id) = (chunk.name.as_str(), chunk.id.as_str());
            for (kind, name) in [(chunk.state.as_str(), name), (&chunk.state, id), ("id", id), ("id", name)] {
                note(index.by_state.entry(kind).or_default().entry(name).or_default(), *slot);
            }
            for sls in included_from.iter().chain([&chunk.sls]) {
                note(index.by_sls.entry(sls).or_default(), *slot);
            }
        }
        index
    }

    /// The chunks that a reference means; `None` when it means nothing.
    fn find(&self, kind: &str, name: &str) -> Option<Cow<'_, [usize]>> {
        match (kind, is_pattern(name)) {
            ("sls", true) => {
                let fits = self.by_sls.iter().filter(|(sls, _)| fnmatch(sls, name));
                Some(Cow::Owned(fits.flat_map(|(_, slots)| slots).copied().collect()))
            }
            ("sls", false) => self.by_sls.get(name).map(|slots| Cow::Borrowed(slots.as_slice())),
            (kind, pattern) => {
                let names = self.by_state.get(kind)?;
                // A name that only looks like a pattern, such as `[x]`, is found by itself.
                let exact = names.get(name);
                if !pattern {
                    return exact.map(|slots| Cow::Borrowed(slots.as_slice()));
                }
                let fits = names.iter().filter(|(n, _)| fnmatch(n, name)).map(|(_, slots)| slots);
                let found: Vec<usize> = fits.chain(exact).flatten().copied().collect();
                (!found.is_empty()).then_some(Cow::Owned(found))
            }
        }
    }

    /// What a reference that means nothing was likely meant for.
    fn meant(&self, kind: &str, name: &str) -> Option<String> {
        let near = match kind {
            "sls" => nearest(name, self.by_sls.keys().copied()),
            kind => nearest(name, self.by_state.get(kind)?.keys().copied()),
        }?;
        Some(match kind {
            "id" => format!("did you mean `{near}`?"),
            kind => format!("did you mean `{kind}: {near}`?"),
        })
    }

    /// The states that have something of this name.
    fn kinds(&self, name: &str) -> Vec<&'d str> {
        let mut kinds: Vec<&str> = self
            .by_state
            .iter()
            .filter(|(k, names)| **k != "id" && names.contains_key(name))
            .map(|(k, _)| *k)
            .collect();
        kinds.sort_unstable();
        kinds
    }
}

/// Adds a chunk once: its entries come one after the other.
fn note(slots: &mut Vec<usize>, slot: usize) {
    if slots.last() != Some(&slot) {
        slots.push(slot);
    }
}

/// State and name of a reference in a requisite.
pub(crate) fn reference(value: &Value) -> Option<(&str, Option<&str>)> {
    match value {
        Value::Str(id) => Some(("id", Some(id))),
        Value::Map(m) => {
            let (kind, name) = m.first()?;
            Some((kind.split('.').next().unwrap_or(kind), name.as_str()))
        }
        _ => None,
    }
}

/// The order in which the chunks run.
pub(crate) fn order(drafts: &[Draft], high: &High, errors: &mut Vec<Error>) -> Ordered {
    let mut graph = Graph::default();
    let vertex = |Draft { chunk, wish, name_order, .. }: &Draft| {
        let label = [chunk.state.as_str(), &chunk.name, &chunk.fun].concat();
        Vertex { tag: chunk.tag(), label, wish: *wish, name_order: *name_order }
    };
    let slots: Vec<usize> = drafts.iter().map(|draft| graph.add(vertex(draft))).collect();
    // Many trees refer to nothing.
    let index = LazyCell::new(|| Index::new(drafts, &slots));
    let mut cap = 1.0;
    for (draft, slot) in drafts.iter().zip(&slots) {
        let before = errors.len();
        depend(&draft.chunk, *slot, high, &index, &mut graph, errors);
        if let (Wish::Number(n), true) = (draft.wish, errors.len() == before)
            && n.fract() == 0.0
            && n > cap - 1.0
            && n > 0.0
        {
            cap = n + 100.0;
        }
    }
    if !errors.is_empty() {
        return Ordered::default();
    }
    match graph.sort(cap) {
        Ok(sorted) => Ordered { slots, ..sorted },
        Err(cycle) => {
            let by_slot = slots.into_iter().zip(drafts.iter().map(|d| &d.chunk)).collect();
            errors.push(cycle_error(&cycle, &by_slot));
            Ordered::default()
        }
    }
}

/// The most pairs that requisites of one run may make.
const MOST_EDGES: usize = 2_000_000;

fn depend<'d, F: FnOnce() -> Index<'d>>(
    chunk: &Chunk,
    slot: usize,
    high: &High,
    index: &LazyCell<Index<'d>, F>,
    graph: &mut Graph,
    errors: &mut Vec<Error>,
) {
    for (edge, name) in Edge::ALL {
        let Some(Value::List(references)) = chunk.args.get(*name) else { continue };
        for value in references {
            let Some((kind, target)) = reference(value) else { continue };
            let Some(target) = target else {
                if !matches!(value.as_map().and_then(|m| m.first()), Some((_, Value::Null))) {
                    let message = format!(
                        "`{name}` of the ID '{}' names a {kind} by something that is no text",
                        chunk.id
                    );
                    errors.push(Error::new(Fault::Requisite(message)).at(place(chunk, name, high)));
                }
                continue;
            };
            match index.find(kind, target) {
                Some(_) if graph.edges() > MOST_EDGES => {
                    let message = format!("requisites of more than {MOST_EDGES} pairs of states");
                    errors.push(Error::new(Fault::Limit(message)).at(place(chunk, name, high)));
                    return;
                }
                Some(found) => found.iter().for_each(|dependency| graph.depend(slot, *edge, *dependency)),
                None => errors.push(missing(chunk, name, kind, target, index, high)),
            }
        }
    }
}

/// Where a requisite of a chunk is written.
fn place(chunk: &Chunk, requisite: &str, high: &High) -> Origin {
    let body = high.decls.get(&chunk.id).and_then(|d| d.states.get(&chunk.state));
    let watch = requisite.replace("require", "watch");
    let named = |i: &&Item| i.key().is_some_and(|k| k == requisite || k == watch);
    let item = body.and_then(|b| b.items.iter().find(named));
    item.map_or_else(|| chunk.origin.clone(), |i| i.at.clone())
}

fn missing(
    chunk: &Chunk,
    requisite: &str,
    kind: &str,
    target: &str,
    index: &Index<'_>,
    high: &High,
) -> Error {
    let message = format!(
        "`{requisite}` of the ID '{}' in SLS '{}' names `{kind}: {target}`, which is not part of this run",
        chunk.id, chunk.sls
    );
    let help = match index.kinds(target).first() {
        Some(other) => format!("there is a `{other}: {target}`"),
        None if kind == "sls" && high.rendered.iter().any(|s| s == target) => {
            "that SLS is part of this run, but declares nothing".to_owned()
        }
        None => index
            .meant(kind, target)
            .unwrap_or_else(|| "check the spelling, and include the SLS that declares it".to_owned()),
    };
    Error::new(Fault::Requisite(message)).at(place(chunk, requisite, high)).help(help)
}

fn cycle_error(cycle: &[CycleStep], by_slot: &HashMap<usize, &Chunk>) -> Error {
    let name = |slot: &usize| {
        let chunk = by_slot.get(slot);
        chunk.map_or_else(String::new, |c| format!("{} {} ({})", c.state, c.id, c.origin))
    };
    let steps: Vec<String> =
        cycle.iter().map(|(a, edge, b)| format!("{} needs {} by `{edge}`", name(a), name(b))).collect();
    let error = Error::new(Fault::Cycle(steps.join("; ")));
    let origin = cycle.first().and_then(|(slot, _, _)| by_slot.get(slot)).map(|c| c.origin.clone());
    let error = origin.map_or_else(|| error.clone(), |at| error.clone().at(at));
    error.help("take one of these requisites out")
}
