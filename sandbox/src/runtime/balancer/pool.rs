//! The members of one balancer as its data path sees them: who gets the next request, and what is in flight where.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::world::{Backend, Traffic};

/// Members and their load. Choosing a backend and counting it happen under one lock with plan changes, so that nothing
/// new reaches a backend once a plan that drains it has been applied.
#[derive(Debug, Default)]
pub(super) struct Pool {
    members: Mutex<Members>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Members {
    by_id: BTreeMap<String, Member>,
    /// Counts choices; a member's `chosen` is the last one that fell on it.
    turn: u64,
}

#[derive(Debug)]
struct Member {
    address: Ipv4Addr,
    traffic: Traffic,
    in_flight: usize,
    chosen: u64,
    /// Held only to be dropped: that cuts what is in flight.
    cut: watch::Sender<()>,
    drained_said: bool,
}

/// One member, for status output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Instance id.
    pub instance_id: String,
    /// Where requests go.
    pub address: Ipv4Addr,
    /// What it gets.
    pub traffic: Traffic,
    /// Requests and connections under way.
    pub in_flight: usize,
}

impl Pool {
    /// Makes the members those of the plan. Who left, or changed its address, is cut off.
    pub(super) fn apply(&self, backends: &[Backend]) {
        let mut members = self.lock();
        members.by_id.retain(|id, member| {
            backends.iter().any(|b| b.instance_id == *id && b.address == member.address)
        });
        for backend in backends {
            let member = members
                .by_id
                .entry(backend.instance_id.clone())
                .or_insert_with(|| Member::new(backend.address));
            member.traffic = backend.traffic;
            member.drained_said &= backend.traffic == Traffic::Draining;
        }
        drop(members);
        self.emptied.notify_one();
    }

    /// Takes the backend for one request: of those that get new requests and are not in `tried`, the one with the fewest
    /// in flight; among equals the one that was not chosen for longest.
    pub(super) fn pick(self: &Arc<Self>, tried: &[String]) -> Option<Lease> {
        let mut members = self.lock();
        members.turn += 1;
        let turn = members.turn;
        let (id, member) = members
            .by_id
            .iter_mut()
            .filter(|(id, member)| member.traffic == Traffic::New && !tried.contains(id))
            .min_by_key(|(_, member)| (member.in_flight, member.chosen))?;
        member.in_flight += 1;
        member.chosen = turn;
        Some(Lease {
            pool: Arc::clone(self),
            instance_id: id.clone(),
            address: member.address,
            cut: member.cut.subscribe(),
        })
    }

    /// Waits for draining members with nothing in flight; each is named once a drain.
    pub(super) async fn drained(&self) -> Vec<String> {
        loop {
            let drained = self.take_drained();
            if !drained.is_empty() {
                return drained;
            }
            self.emptied.notified().await;
        }
    }

    fn take_drained(&self) -> Vec<String> {
        let mut members = self.lock();
        let empty =
            members.by_id.iter_mut().filter(|(_, member)| member.is_drained() && !member.drained_said);
        empty
            .map(|(id, member)| {
                member.drained_said = true;
                id.clone()
            })
            .collect()
    }

    pub(super) fn in_flight(&self, instance_id: &str) -> Option<usize> {
        self.lock().by_id.get(instance_id).map(|member| member.in_flight)
    }

    pub(super) fn members(&self) -> Vec<MemberStatus> {
        let members = self.lock();
        let status = |(id, member): (&String, &Member)| MemberStatus {
            instance_id: id.clone(),
            address: member.address,
            traffic: member.traffic,
            in_flight: member.in_flight,
        };
        members.by_id.iter().map(status).collect()
    }

    fn release(&self, lease: &Lease) {
        let mut members = self.lock();
        let Some(member) = members.by_id.get_mut(&lease.instance_id) else { return };
        // The same id may have come back as another member since.
        if !member.cut.subscribe().same_channel(&lease.cut) {
            return;
        }
        member.in_flight -= 1;
        if member.is_drained() {
            self.emptied.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        // Every change leaves the members whole, so one that panicked elsewhere is no reason to stop.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn new(address: Ipv4Addr) -> Self {
        let cut = watch::Sender::new(());
        Self { address, traffic: Traffic::None, in_flight: 0, chosen: 0, cut, drained_said: false }
    }

    fn is_drained(&self) -> bool {
        self.traffic == Traffic::Draining && self.in_flight == 0
    }
}

/// One request's hold on its backend; dropping it ends the request's share of the count.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    pub(super) instance_id: String,
    pub(super) address: Ipv4Addr,
    cut: watch::Receiver<()>,
}

impl Lease {
    /// Resolves when the backend left the balancer.
    pub(super) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cut = self.cut.clone();
        async move { while cut.changed().await.is_ok() {} }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        Arc::clone(&self.pool).release(self);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn backend(id: &str, traffic: Traffic) -> Backend {
        let last = id.bytes().last().unwrap_or_default();
        Backend {
            instance_id: id.to_owned(),
            address: Ipv4Addr::new(10, 77, 0, last),
            zone: "us-east-1a".to_owned(),
            probe: true,
            traffic,
        }
    }

    fn pool(backends: &[Backend]) -> Arc<Pool> {
        let pool = Arc::new(Pool::default());
        pool.apply(backends);
        pool
    }

    fn picked(pool: &Arc<Pool>) -> Option<String> {
        pool.pick(&[]).map(|lease| lease.instance_id.clone())
    }

    #[test]
    fn equals_take_turns() {
        let pool =
            pool(&[backend("a", Traffic::New), backend("b", Traffic::New), backend("c", Traffic::New)]);
        let six: Vec<_> = (0..6).filter_map(|_| picked(&pool)).collect();
        assert_eq!(six, ["a", "b", "c", "a", "b", "c"]);
    }

    #[test]
    fn the_least_loaded_is_chosen() {
        let pool = pool(&[backend("a", Traffic::New), backend("b", Traffic::New)]);
        let held = pool.pick(&[]).expect("a");
        let chosen: Vec<_> = (0..3).filter_map(|_| picked(&pool)).collect();
        assert_eq!((held.instance_id.as_str(), chosen), ("a", vec!["b".to_owned(); 3]));
    }

    #[test]
    fn only_new_traffic_counts_and_the_tried_are_left_out() {
        let pool =
            pool(&[backend("a", Traffic::None), backend("b", Traffic::Draining), backend("c", Traffic::New)]);
        assert_eq!(picked(&pool).as_deref(), Some("c"));
        assert!(pool.pick(&["c".to_owned()]).is_none());
    }

    #[tokio::test]
    async fn a_drain_is_told_once_and_only_when_nothing_is_in_flight() {
        let pool = pool(&[backend("a", Traffic::New)]);
        let lease = pool.pick(&[]).expect("a");
        pool.apply(&[backend("a", Traffic::Draining)]);
        assert_eq!(pool.drained().now_or_never(), None);
        drop(lease);
        assert_eq!(pool.drained().now_or_never(), Some(vec!["a".to_owned()]));
        assert_eq!(pool.drained().now_or_never(), None);
        pool.apply(&[backend("a", Traffic::New)]);
        pool.apply(&[backend("a", Traffic::Draining)]);
        assert_eq!(pool.drained().now_or_never(), Some(vec!["a".to_owned()]));
    }

    #[tokio::test]
    async fn who_leaves_is_cut_and_does_not_count_when_it_comes_back() {
        let pool = pool(&[backend("a", Traffic::New)]);
        let lease = pool.pick(&[]).expect("a");
        assert_eq!(lease.cut().now_or_never(), None);
        pool.apply(&[]);
        assert_eq!(lease.cut().now_or_never(), Some(()));
        pool.apply(&[backend("a", Traffic::New)]);
        let again = pool.pick(&[]).expect("a");
        drop(lease);
        assert_eq!(pool.in_flight("a"), Some(1));
        drop(again);
        assert_eq!(pool.in_flight("a"), Some(0));
    }
}
