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
    /// The dry run of a `prereq` target.
    dry: bool,
    order: Option<f64>,
}

/// One place of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) tag: String,
    /// Here the chunk is only rehearsed, for the sake of a `prereq`.
    pub(crate) rehearsal: bool,
}

/// What sorting gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// The places in their order.
    pub(crate) listing: Vec<Placed>,
    /// Tags of chunks that are the target of a `prereq`.
    pub(crate) rehearsed: IndexSet<String>,
    /// Tags of chunks that have a `prereq`.
    pub(crate) prerequiring: IndexSet<String>,
}

/// The graph.
#[derive(Default)]
pub(crate) struct Graph {
    prerequiring: IndexSet<String>,
    slots: IndexMap<String, Slot>,
    out: HashMap<usize, IndexMap<usize, IndexSet<Edge>>>,
    into: HashMap<usize, IndexMap<usize, IndexSet<Edge>>>,
}

/// A step of a cycle: dependent, requisite, dependency, as tags.
pub(crate) type CycleStep = (String, &'static str, String);

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
    /// Adds a chunk.
    pub(crate) fn add(&mut self, vertex: Vertex) {
        let slot = Slot { vertex, dry: false, order: None };
        match self.slots.get_mut(&slot.vertex.tag) {
            Some(old) => *old = slot,
            None => _ = self.slots.insert(slot.vertex.tag.clone(), slot),
        }
    }

    fn edge(&mut self, from: usize, to: usize, edge: Edge) {
        self.out.entry(from).or_default().entry(to).or_default().insert(edge);
        self.into.entry(to).or_default().entry(from).or_default().insert(edge);
    }

    fn dry_tag(tag: &str) -> String {
        format!("{tag}_|-__prereq_test__")
    }

    /// Says that `dependent` has the requisite `edge` on `dependency`.
    pub(crate) fn depend(&mut self, dependent: &str, edge: Edge, dependency: &str) {
        let (Some(to), Some(from)) =
            (self.slots.get_index_of(dependent), self.slots.get_index_of(dependency))
        else {
            return;
        };
        if edge == Edge::Prereq {
            return self.prereq(to, from);
        }
        // Where the dependent is itself a prereq, its dry run waits too.
        if let Some(dry) = self.slots.get_index_of(&Self::dry_tag(dependent)) {
            self.edge(from, dry, edge);
        }
        self.edge(from, to, edge);
    }

    /// `node` runs after a dry run of `target`, and before `target` itself.
    fn prereq(&mut self, node: usize, target: usize) {
        self.prerequiring.insert(self.slots[node].vertex.tag.clone());
        let dry_tag = Self::dry_tag(&self.slots[target].vertex.tag);
        let dry = self.slots.get_index_of(&dry_tag).unwrap_or_else(|| {
            let slot = Slot { vertex: self.slots[target].vertex.clone(), dry: true, order: None };
            let dry = self.slots.insert_full(dry_tag, slot).0;
            let inherited: Vec<(usize, Edge)> = self.into.get(&target).map_or_else(Vec::new, |sources| {
                let pairs = sources.iter().flat_map(|(from, edges)| edges.iter().map(|e| (*from, *e)));
                pairs.filter(|(_, e)| *e != Edge::Prereq).collect()
            });
            inherited.into_iter().for_each(|(from, edge)| self.edge(from, dry, edge));
            dry
        });
        self.edge(dry, node, Edge::Prereq);
        self.edge(node, target, Edge::Require);
        if let Some(own_dry) = self.slots.get_index_of(&Self::dry_tag(&self.slots[node].vertex.tag)) {
            self.edge(dry, own_dry, Edge::Prereq);
        }
    }

    /// Salt's number for a chunk's own wish; `cap` is above all numbers in use.
    fn number(&self, slot: usize, cap: f64) -> f64 {
        let slot = &self.slots[slot];
        slot.order.unwrap_or(match slot.vertex.wish {
            Wish::None | Wish::Odd => cap,
            Wish::First => 0.0,
            Wish::Last => cap + 1_000_000.0,
            Wish::Number(n) => n,
        })
    }

    /// The same as another vertex sees it, which has no part in it before its own turn if it says nothing.
    fn as_child(&self, slot: usize, cap: f64) -> f64 {
        let Slot { vertex, order, .. } = &self.slots[slot];
        let silent = order.is_none() && vertex.wish == Wish::None;
        if silent { f64::INFINITY } else { self.number(slot, cap) }
    }

    /// The rank of a vertex whose dependencies are all done: its own order, or an earlier one of what waits for it.
    fn rank(&mut self, slot: usize, cap: f64) -> (f64, f64) {
        let mut order = self.number(slot, cap);
        if self.slots[slot].order.is_none() {
            order += f64::from(self.slots[slot].vertex.name_order) / 10_000.0;
            if order < 0.0 {
                order += cap + 1_000_000.0;
            }
            self.slots[slot].order = Some(order);
        }
        let mut heaviest = None;
        let mut earliest = f64::INFINITY;
        for (child, edges) in self.out.get(&slot).into_iter().flatten() {
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
        let count =
            |edges: &IndexMap<usize, IndexSet<Edge>>| edges.values().map(IndexSet::len).sum::<usize>();
        let mut waiting: Vec<usize> =
            (0..self.slots.len()).map(|slot| self.into.get(&slot).map_or(0, count)).collect();
        let names: Vec<(String, String)> =
            self.slots.iter().map(|(tag, s)| (s.vertex.label.clone(), tag.clone())).collect();
        let mut heap = BinaryHeap::new();
        let push = |graph: &mut Graph, heap: &mut BinaryHeap<Rank<'_>>, slot: usize| {
            let (order, chunk_order) = graph.rank(slot, cap);
            (order, chunk_order, slot, heap.len())
        };
        let ready: Vec<usize> = (0..waiting.len()).filter(|slot| waiting[*slot] == 0).collect();
        for slot in ready {
            let (order, chunk_order, slot, _) = push(&mut self, &mut heap, slot);
            heap.push(Rank { order, chunk_order, label: &names[slot].0, tag: &names[slot].1, slot });
        }
        let mut sorted = Vec::new();
        while let Some(next) = heap.pop() {
            sorted.push(next.slot);
            let targets: Vec<(usize, usize)> = self.out.get(&next.slot).map_or_else(Vec::new, |targets| {
                targets.iter().map(|(t, edges)| (*t, edges.len())).collect()
            });
            for (target, edges) in targets {
                waiting[target] -= edges;
                if waiting[target] == 0 {
                    let (order, chunk_order, slot, _) = push(&mut self, &mut heap, target);
                    heap.push(Rank { order, chunk_order, label: &names[slot].0, tag: &names[slot].1, slot });
                }
            }
        }
        if sorted.len() != self.slots.len() {
            return Err(self.cycle(&waiting));
        }
        let placed = |s: &usize| {
            let Slot { vertex, dry, .. } = &self.slots[*s];
            Placed { tag: vertex.tag.clone(), rehearsal: *dry }
        };
        let listing: Vec<Placed> = sorted.iter().map(placed).collect();
        let rehearsed = listing.iter().filter(|p| p.rehearsal).map(|p| p.tag.clone()).collect();
        Ok(Ordered { listing, rehearsed, prerequiring: self.prerequiring })
    }

    /// One cycle among the vertices that still wait.
    fn cycle(&self, waiting: &[usize]) -> Vec<CycleStep> {
        let Some(start) = waiting.iter().position(|n| *n > 0) else { return Vec::new() };
        // Every vertex that waits has a dependency that waits: going back from one to the next must meet itself.
        let mut path: Vec<usize> = vec![start];
        loop {
            let here = path[path.len() - 1];
            let back = self.into.get(&here).and_then(|sources| sources.keys().find(|s| waiting[**s] > 0));
            let Some(&back) = back else { return Vec::new() };
            if let Some(at) = path.iter().position(|p| *p == back) {
                path.push(back);
                path.drain(..at);
                break;
            }
            path.push(back);
        }
        let step = |pair: &[usize]| {
            let edge = self.into.get(&pair[0]).and_then(|s| s.get(&pair[1])).and_then(|e| e.first().copied());
            let tag = |slot: usize| self.slots[slot].vertex.tag.clone();
            (tag(pair[0]), edge.map_or("require", Edge::name), tag(pair[1]))
        };
        path.windows(2).map(step).collect()
    }
}
