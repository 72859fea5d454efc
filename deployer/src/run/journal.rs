//! What is known of a run so far, so that stopping at any point can undo, or say what is left.

use crate::lock::Held;
use crate::plan::{Existing, Plan, Recording};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of a run so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) held: Option<Held>,
    /// Whether the lock is being taken, and may be ours.
    pub(super) locking: bool,
    /// Launch template id and version.
    pub(super) record: Option<(String, i64)>,
    /// Whether instances were asked for, answered or not.
    pub(super) launched: bool,
    /// Whether an answer to a launch was lost, so that more may exist than are known.
    pub(super) launch_unsure: bool,
    /// The new instances of each wave, adopted ones included.
    new: BTreeMap<u32, BTreeSet<String>>,
    /// Private addresses of all that were ever seen.
    pub(super) addresses: BTreeMap<String, String>,
    pub(super) registered_new: bool,
    /// Waves whose old were, or may have been, deregistered.
    pub(super) touched: BTreeSet<u32>,
    /// Waves whose old were, or may have been, terminated.
    pub(super) ended: BTreeSet<u32>,
    /// Whether the outcome was, or may have been, written down.
    pub(super) marking: bool,
}

impl Journal {
    /// Begins to follow a plan.
    pub(super) fn start(&mut self, plan: Plan) {
        for wave in &plan.waves {
            self.new.insert(wave.number, wave.adopted.iter().map(|own| own.id.clone()).collect());
            let known = wave.adopted.iter().chain(&wave.old);
            self.addresses.extend(known.filter_map(|i| Some((i.id.clone(), i.address.clone()?))));
        }
        let left = plan.leftovers.iter().chain(&plan.kept);
        self.addresses.extend(left.filter_map(|i| Some((i.id.clone(), i.address.clone()?))));
        if let Recording::Existing { template, version } = &plan.record {
            self.record = Some((template.clone(), *version));
        }
        self.plan = Some(Arc::new(plan));
    }

    pub(super) fn add_new(&mut self, wave: u32, ids: impl IntoIterator<Item = String>) {
        self.new.entry(wave).or_default().extend(ids);
    }

    /// The new of one wave.
    pub(super) fn new_of(&self, wave: u32) -> Vec<String> {
        self.new.get(&wave).into_iter().flatten().cloned().collect()
    }

    /// The new of all waves up to one.
    pub(super) fn new_until(&self, wave: u32) -> Vec<String> {
        self.new.range(..=wave).flat_map(|(_, ids)| ids).cloned().collect()
    }

    pub(super) fn all_new(&self) -> Vec<String> {
        self.new_until(u32::MAX)
    }

    /// Whether going on is safer than going back.
    pub(super) fn is_past_return(&self) -> bool {
        let last = self.plan.as_ref().and_then(|plan| plan.waves.last()).map(|wave| wave.number);
        self.marking || last.is_some_and(|last| self.ended.contains(&last))
    }

    /// The old of the waves that were deregistered, or may have been.
    pub(super) fn touched_old(&self) -> Vec<Existing> {
        self.old_of(&self.touched)
    }

    /// The old of the waves that were terminated, or may have been.
    pub(super) fn ended_old(&self) -> Vec<Existing> {
        self.old_of(&self.ended)
    }

    fn old_of(&self, waves: &BTreeSet<u32>) -> Vec<Existing> {
        let all = self.plan.iter().flat_map(|plan| &plan.waves);
        all.filter(|wave| waves.contains(&wave.number)).flat_map(|wave| wave.old.clone()).collect()
    }
}
