//! The order of chunks: a lexicographic topological sort of the graph of requisites, as Salt 3008 makes it.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use indexmap::{IndexMap, IndexSet};

/// Kinds of edges; their order is their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Edge {
    Onfail,
    OnfailAny,
    OnfailAll,
    Require,
    RequireAny,
    Onchanges,
    OnchangesAny,
    Watch,
    WatchAny,
    Prereq,
}

impl Edge {
    /// The requisites that make edges, in the order in which Salt adds them.
    pub(crate) const ALL: &[(Edge, &str)] = &[
        (Edge::Require, "require"),
        (Edge::RequireAny, "require_any"),
        (Edge::Watch, "watch"),
        (Edge::WatchAny, "watch_any"),
        (Edge::Prereq, "prereq"),
        (Edge::Onfail, "onfail"),
        (Edge::OnfailAny, "onfail_any"),
        (Edge::OnfailAll, "onfail_all"),
        (Edge::Onchanges, "onchanges"),
        (Edge::OnchangesAny, "onchanges_any"),
    ];

    fn name(self) -> &'static str {
        Edge::ALL.iter().find(|(e, _)| *e == self).map_or("require", |(_, name)| name)
    }
}

/// What a chunk says of its own order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wish {
    /// Nothing.
    None,
    /// Nothing that is understood.
    Odd,
    First,
    Last,
    Number(f64),
}

/// A chunk as the graph sees it.
#[derive(Debug, Clone)]
pub(crate) struct Vertex {
    /// Its tag; two chunks with one tag are one vertex.
    pub(crate) tag: String,
    /// State, name and function: what decides among equals.
    pub(crate) label: String,
    pub(crate) wish: Wish,
    /// Position among `names`, from 1; 0 without.
    pub(crate) name_order: u32,
}

struct Slot {
    vertex: Vertex,
    /// Of the dry run of a `prereq` target: the slot of the target itself.
    rehearses: Option<usize>,
    order: Option<f64>,
    /// Whom it waits for, and who waits for it: between two vertices there can be several kinds of edge.
    into: IndexMap<usize, Vec<Edge>>,
    out: IndexMap<usize, Vec<Edge>>,
}

/// One place of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) slot: usize,
    /// Here the chunk is only rehearsed, for the sake of a `prereq`.
    pub(crate) rehearsal: bool,
}

/// What sorting gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// The slot of each chunk, as they were added.
    pub(crate) slots: Vec<usize>,
    /// The places in their order.
    pub(crate) listing: Vec<Placed>,
    /// The chunks that are the target of a `prereq`.
    pub(crate) rehearsed: IndexSet<usize>,
    /// The chunks that have a `prereq`.
    pub(crate) prerequiring: IndexSet<usize>,
}

/// The graph.
#[derive(Default)]
pub(crate) struct Graph {
    slots: Vec<Slot>,
    by_tag: HashMap<String, usize>,
    /// The slot of a chunk's dry run.
    dry: HashMap<usize, usize>,
    prerequiring: IndexSet<usize>,
    edges: usize,
}

/// A step of a cycle: dependent, requisite, dependency, as slots.
pub(crate) type CycleStep = (usize, &'static str, usize);

#[derive(PartialEq)]
struct Rank<'g> {
    order: f64,
    chunk_order: f64,
    label: &'g str,
    tag: &'g str,
    slot: usize,
}

impl Eq for Rank<'_> {}

impl Ord for Rank<'_> {
    // Reversed: the heap gives the greatest first, and the least is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = other.order.total_cmp(&self.order).then(other.chunk_order.total_cmp(&self.chunk_order));
        numbers.then_with(|| other.label.cmp(self.label)).then_with(|| other.tag.cmp(self.tag))
    }
}

impl PartialOrd for Rank<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Graph {
    /// Adds a chunk and gives its slot; the later of two with one tag takes the place of the earlier.
    pub(crate) fn add(&mut self, vertex: Vertex) -> usize {
        if let Some(&slot) = self.by_tag.get(&vertex.tag) {
            self.slots[slot].vertex = vertex;
            return slot;
        }
        self.by_tag.insert(vertex.tag.clone(), self.slots.len());
        self.push(vertex, None)
    }

    fn push(&mut self, vertex: Vertex, rehearses: Option<usize>) -> usize {
        let (into, out) = (IndexMap::new(), IndexMap::new());
        self.slots.push(Slot { vertex, rehearses, order: None, into, out });
        self.slots.len() - 1
    }

    /// How many edges there are.
    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    fn edge(&mut self, from: usize, to: usize, edge: Edge) {
        let known = self.slots[from].out.entry(to).or_default();
        if known.contains(&edge) {
            return;
        }
        known.push(edge);
        self.edges += 1;
        self.slots[to].into.entry(from).or_default().push(edge);
    }

    /// Says that `dependent` has the requisite `edge` on `dependency`.
    pub(crate) fn depend(&mut self, dependent: usize, edge: Edge, dependency: usize) {
        if edge == Edge::Prereq {
            return self.prereq(dependent, dependency);
        }
        // Where the dependent is itself a prereq, its dry run waits too.
        if let Some(&dry) = self.dry.get(&dependent) {
            self.edge(dependency, dry, edge);
        }
        self.edge(dependency, dependent, edge);
    }

    /// `node` runs after a dry run of `target`, and before `target` itself.
    fn prereq(&mut self, node: usize, target: usize) {
        self.prerequiring.insert(node);
        let dry = match self.dry.get(&target) {
            Some(dry) => *dry,
            None => self.rehearse(target),
        };
        self.edge(dry, node, Edge::Prereq);
        self.edge(node, target, Edge::Require);
        if let Some(&own_dry) = self.dry.get(&node) {
            self.edge(dry, own_dry, Edge::Prereq);
        }
    }

    /// A vertex for the dry run of `target`, which waits for all that the target waits for.
    fn rehearse(&mut self, target: usize) -> usize {
        let mut vertex = self.slots[target].vertex.clone();
        vertex.tag.push_str("_|-__prereq_test__");
        let dry = self.push(vertex, Some(target));
        self.dry.insert(target, dry);
        let sources = self.slots[target].into.iter();
        let inherited: Vec<(usize, Edge)> =
            sources.flat_map(|(from, edges)| edges.iter().map(|e| (*from, *e))).collect();
        for (from, edge) in inherited.into_iter().filter(|(_, edge)| *edge != Edge::Prereq) {
            self.edge(from, dry, edge);
        }
        dry
    }

    /// The slot that a dry run is of; any other is itself. The order of both is one, as they are one chunk in Salt.
    fn itself(&self, slot: usize) -> usize {
        self.slots[slot].rehearses.unwrap_or(slot)
    }

    /// Salt's number for a chunk's own wish; `cap` is above all numbers in use.
    fn number(&self, slot: usize, cap: f64) -> f64 {
        let slot = &self.slots[self.itself(slot)];
        slot.order.unwrap_or(match slot.vertex.wish {
            Wish::None | Wish::Odd => cap,
            Wish::First => 0.0,
            Wish::Last => cap + 1_000_000.0,
            Wish::Number(n) => n,
        })
    }

    /// The same as another vertex sees it, which has no part in it before its own turn if it says nothing.
    fn as_child(&self, slot: usize, cap: f64) -> f64 {
        let Slot { vertex, order, .. } = &self.slots[self.itself(slot)];
        let silent = order.is_none() && vertex.wish == Wish::None;
        if silent { f64::INFINITY } else { self.number(slot, cap) }
    }

    /// The rank of a vertex whose dependencies are all done: its own order, or an earlier one of what waits for it.
    fn rank(&mut self, slot: usize, cap: f64) -> (f64, f64) {
        let mut order = self.number(slot, cap);
        let own = self.itself(slot);
        if self.slots[own].order.is_none() {
            order += f64::from(self.slots[own].vertex.name_order) / 10_000.0;
            if order < 0.0 {
                order += cap + 1_000_000.0;
            }
            self.slots[own].order = Some(order);
        }
        let mut heaviest = None;
        let mut earliest = f64::INFINITY;
        for (child, edges) in &self.slots[slot].out {
            for edge in edges {
                if heaviest.is_none_or(|h| h <= *edge) {
                    heaviest = Some(*edge);
                    earliest = earliest.min(self.as_child(*child, cap));
                }
            }
        }
        (order.min(earliest), order)
    }

    /// The chunks in run order.
    ///
    /// # Errors
    /// A cycle, as its steps.
    pub(crate) fn sort(mut self, cap: f64) -> Result<Ordered, Vec<CycleStep>> {
        let count = |slot: &Slot| slot.into.values().map(Vec::len).sum::<usize>();
        let mut waiting: Vec<usize> = self.slots.iter().map(count).collect();
        let names: Vec<[String; 2]> = self.slots.iter_mut().map(names_of).collect();
        let mut heap = BinaryHeap::new();
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|slot| waiting[*slot] == 0).collect();
        let mut listing = Vec::with_capacity(waiting.len());
        loop {
            for slot in ready.drain(..) {
                let (order, chunk_order) = self.rank(slot, cap);
                let [label, tag] = &names[slot];
                heap.push(Rank { order, chunk_order, label, tag, slot });
            }
            let Some(Rank { slot, .. }) = heap.pop() else { break };
            let rehearses = self.slots[slot].rehearses;
            listing.push(Placed { slot: rehearses.unwrap_or(slot), rehearsal: rehearses.is_some() });
            for (target, edges) in &self.slots[slot].out {
                waiting[*target] -= edges.len();
                ready.extend((waiting[*target] == 0).then_some(*target));
            }
        }
        if listing.len() != self.slots.len() {
            return Err(self.cycle(&waiting));
        }
        let rehearsed = self.dry.keys().copied().collect();
        Ok(Ordered { slots: Vec::new(), listing, rehearsed, prerequiring: self.prerequiring })
    }

    /// One cycle among the vertices that still wait.
    fn cycle(&self, waiting: &[usize]) -> Vec<CycleStep> {
        let Some(start) = waiting.iter().position(|n| *n > 0) else { return Vec::new() };
        // Every vertex that waits has a dependency that waits: going back from one to the next must meet itself.
        let mut path: Vec<usize> = vec![start];
        loop {
            let here = path[path.len() - 1];
            let Some(&back) = self.slots[here].into.keys().find(|s| waiting[**s] > 0) else {
                return Vec::new();
            };
            let met = path.iter().position(|p| *p == back);
            path.push(back);
            if let Some(at) = met {
                path.drain(..at);
                break;
            }
        }
        let step = |pair: &[usize]| {
            let edge = self.slots[pair[0]].into.get(&pair[1]).and_then(|edges| edges.first().copied());
            (self.itself(pair[0]), edge.map_or("require", Edge::name), self.itself(pair[1]))
        };
        path.windows(2).map(step).collect()
    }
}

/// The label and tag of a vertex, taken out of it: they decide among equals, and nothing else needs them any more.
fn names_of(slot: &mut Slot) -> [String; 2] {
    let Vertex { label, tag, .. } = &mut slot.vertex;
    [std::mem::take(label), std::mem::take(tag)]
}
