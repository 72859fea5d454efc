//! The backends of one balancer as its data path sees them: who gets the next request, and what is in flight where.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::share::{Turns, share};
use crate::world::{Algorithm, Backend, BalancerPlan, PoolPlan, SlowStart, Timestamp, Traffic};

/// Pools and their load. Choosing a backend and counting it happen under one lock with plan changes, so that nothing
/// new reaches a backend once a plan that drains it has been applied.
#[derive(Debug, Default)]
pub(super) struct Pools {
    inner: Mutex<Inner>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    pools: BTreeMap<String, Pool>,
    /// Listeners by port: the backends' port where they have none of their own, and whose turn it is.
    listeners: BTreeMap<u16, (Option<u16>, Turns)>,
    /// Counts choices; a member's `chosen` is the last one that fell on it.
    turn: u64,
}

#[derive(Debug)]
struct Pool {
    algorithm: Algorithm,
    cut: bool,
    by_id: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    at: (Ipv4Addr, u16),
    traffic: Traffic,
    slow_start: Option<SlowStart>,
    in_flight: usize,
    chosen: u64,
    /// What its share of past requests owes it.
    credit: f64,
    /// Held only to be dropped: that cuts what is in flight, unless a lease holds it too.
    cut: Arc<watch::Sender<()>>,
    drained_said: bool,
}

/// One member, for status output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Name of its pool.
    pub pool: String,
    /// Backend id.
    pub backend: String,
    /// Where requests go.
    pub address: Ipv4Addr,
    /// What it gets.
    pub traffic: Traffic,
    /// Requests and connections under way.
    pub in_flight: usize,
}

/// A backend, by its pool's name and its id.
pub(super) type Name = (String, String);

impl Pools {
    /// Makes members and listeners those of the plan. Who left, or changed its address, is cut off.
    pub(super) fn apply(&self, plan: &BalancerPlan) {
        let mut inner = self.lock();
        inner.pools.retain(|name, _| plan.pools.iter().any(|pool| pool.name == *name));
        for pool in &plan.pools {
            inner.pools.entry(pool.name.clone()).or_insert_with(|| Pool::new(pool)).apply(pool);
        }
        inner.listeners.retain(|port, _| plan.listeners.iter().any(|listener| listener.port == *port));
        for listener in &plan.listeners {
            let (instance_port, turns) = inner.listeners.entry(listener.port).or_default();
            *instance_port = listener.instance_port;
            turns.apply(&listener.routes);
        }
        drop(inner);
        self.emptied.notify_one();
    }

    /// Takes the backend for one request of the listener on `port`: of the pool whose turn it is, one that gets new
    /// requests and is not in `tried`. A second try stays with the pool of the first.
    pub(super) fn pick(self: &Arc<Self>, now: Timestamp, port: u16, tried: &[Name]) -> Option<Lease> {
        let mut inner = self.lock();
        inner.turn += 1;
        let turn = inner.turn;
        let (instance_port, turns) = inner.listeners.get_mut(&port)?;
        let instance_port = *instance_port;
        let name = match tried.first() {
            Some((pool, _)) => pool.clone(),
            None => turns.next()?,
        };
        let pool = inner.pools.get_mut(&name)?;
        let cuts = pool.cut;
        let tried = |id: &String| tried.iter().any(|(pool, tried)| *pool == name && tried == id);
        let (id, member) = pool.choose(now, tried)?;
        member.in_flight += 1;
        member.chosen = turn;
        let to = SocketAddrV4::new(member.at.0, instance_port.unwrap_or(member.at.1));
        let cut = member.cut.subscribe();
        let kept = (!cuts).then(|| Arc::clone(&member.cut));
        Some(Lease { pools: Arc::clone(self), name: (name, id), to, cut, _kept: kept })
    }

    /// Waits for draining members with nothing in flight; each is named once a drain.
    pub(super) async fn drained(&self) -> Vec<Name> {
        loop {
            let drained = self.take_drained();
            if !drained.is_empty() {
                return drained;
            }
            self.emptied.notified().await;
        }
    }

    fn take_drained(&self) -> Vec<Name> {
        let mut inner = self.lock();
        let all = inner
            .pools
            .iter_mut()
            .flat_map(|(pool, members)| members.by_id.iter_mut().map(move |(id, member)| (pool, id, member)));
        all.filter(|(_, _, member)| member.is_drained() && !member.drained_said)
            .map(|(pool, id, member)| {
                member.drained_said = true;
                (pool.clone(), id.clone())
            })
            .collect()
    }

    /// Of one backend, over all pools; `None` when it is in none.
    pub(super) fn in_flight(&self, backend: &str) -> Option<usize> {
        let inner = self.lock();
        let mut found = inner.pools.values().filter_map(|pool| pool.by_id.get(backend)).peekable();
        found.peek()?;
        Some(found.map(|member| member.in_flight).sum())
    }

    pub(super) fn members(&self) -> Vec<MemberStatus> {
        let inner = self.lock();
        let of_pool = |(pool, members): (&String, &Pool)| -> Vec<MemberStatus> {
            let status = |(id, member): (&String, &Member)| MemberStatus {
                pool: pool.clone(),
                backend: id.clone(),
                address: member.at.0,
                traffic: member.traffic,
                in_flight: member.in_flight,
            };
            members.by_id.iter().map(status).collect()
        };
        inner.pools.iter().flat_map(of_pool).collect()
    }

    fn release(&self, lease: &Lease) {
        let mut inner = self.lock();
        let (pool, id) = &lease.name;
        let Some(member) = inner.pools.get_mut(pool).and_then(|pool| pool.by_id.get_mut(id)) else { return };
        // The same id may have come back as another member since.
        if !member.cut.subscribe().same_channel(&lease.cut) {
            return;
        }
        member.in_flight -= 1;
        if member.is_drained() {
            self.emptied.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the members whole, so one that panicked elsewhere is no reason to stop.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn new(plan: &PoolPlan) -> Self {
        Self { algorithm: plan.algorithm, cut: plan.cut, by_id: BTreeMap::new() }
    }

    fn apply(&mut self, plan: &PoolPlan) {
        (self.algorithm, self.cut) = (plan.algorithm, plan.cut);
        let wanted: BTreeMap<&String, &Backend> = plan.backends.iter().map(|b| (&b.id, b)).collect();
        self.by_id.retain(|id, member| {
            wanted.get(id).is_some_and(|backend| (backend.address, backend.port) == member.at)
        });
        for (id, backend) in wanted {
            let at = (backend.address, backend.port);
            let member = self.by_id.entry(id.clone()).or_insert_with(|| Member::new(at));
            member.traffic = backend.traffic;
            member.slow_start = backend.slow_start;
            member.drained_said &= backend.traffic == Traffic::Draining;
            if backend.traffic != Traffic::New {
                member.credit = 0.0;
            }
        }
    }

    fn choose(&mut self, now: Timestamp, tried: impl Fn(&String) -> bool) -> Option<(String, &mut Member)> {
        let able = self.by_id.iter_mut().filter(|(id, member)| member.traffic == Traffic::New && !tried(id));
        let (id, member) = match self.algorithm {
            Algorithm::LeastOutstanding => {
                able.min_by_key(|(_, member)| (member.in_flight, member.chosen))?
            }
            Algorithm::RoundRobin => in_turn(now, able.collect())?,
        };
        Some((id.clone(), member))
    }
}

/// Everybody is credited its share; who has the most credit, and among equals was not chosen for longest, pays for all.
fn in_turn<'a>(
    now: Timestamp,
    mut able: Vec<(&'a String, &'a mut Member)>,
) -> Option<(&'a String, &'a mut Member)> {
    let mut total = 0.0;
    for (_, member) in &mut able {
        let share = share(now, member.slow_start);
        member.credit += share;
        total += share;
    }
    let best = able.into_iter().reduce(|best, other| {
        let ahead = other.1.credit.total_cmp(&best.1.credit).then(best.1.chosen.cmp(&other.1.chosen));
        if ahead.is_gt() { other } else { best }
    })?;
    best.1.credit -= total;
    Some(best)
}

impl Member {
    fn new(at: (Ipv4Addr, u16)) -> Self {
        let cut = Arc::new(watch::Sender::new(()));
        let traffic = Traffic::None;
        Self { at, traffic, slow_start: None, in_flight: 0, chosen: 0, credit: 0.0, cut, drained_said: false }
    }

    fn is_drained(&self) -> bool {
        self.traffic == Traffic::Draining && self.in_flight == 0
    }
}

/// One request's hold on its backend; dropping it ends the request's share of the count.
#[derive(Debug)]
pub(super) struct Lease {
    pools: Arc<Pools>,
    pub(super) name: Name,
    pub(super) to: SocketAddrV4,
    cut: watch::Receiver<()>,
    /// Keeps the request from being cut.
    _kept: Option<Arc<watch::Sender<()>>>,
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
        Arc::clone(&self.pools).release(self);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use futures::FutureExt;

    use super::*;
    use crate::world::{ListenerPlan, Protocol, Route};

    const PORT: u16 = 80;

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn backend(id: &str, traffic: Traffic) -> Backend {
        let last = id.bytes().last().unwrap_or_default();
        Backend {
            id: id.to_owned(),
            instance_id: None,
            address: Ipv4Addr::new(10, 77, 0, last),
            port: 8080,
            zone: "us-east-1a".to_owned(),
            probe: None,
            traffic,
            slow_start: None,
        }
    }

    fn plan(algorithm: Algorithm, pools: &[(&str, u32, &[Backend])]) -> BalancerPlan {
        let routes =
            pools.iter().map(|(name, weight, _)| Route { pool: (*name).to_owned(), weight: *weight });
        let pool = |(name, _, backends): &(&str, u32, &[Backend])| PoolPlan {
            name: (*name).to_owned(),
            algorithm,
            cut: true,
            backends: backends.to_vec(),
        };
        let routes = routes.collect();
        BalancerPlan {
            name: "web".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            listeners: vec![ListenerPlan {
                protocol: Protocol::Http,
                port: PORT,
                instance_port: None,
                routes,
            }],
            pools: pools.iter().map(pool).collect(),
            idle_timeout: Duration::from_secs(60),
            cross_zone: false,
        }
    }

    fn apply(pools: &Pools, backends: &[Backend]) {
        pools.apply(&plan(Algorithm::LeastOutstanding, &[("p", 1, backends)]));
    }

    fn pool(backends: &[Backend]) -> Arc<Pools> {
        let pools = Arc::new(Pools::default());
        apply(&pools, backends);
        pools
    }

    fn pick(pools: &Arc<Pools>) -> Option<Lease> {
        pools.pick(now(), PORT, &[])
    }

    fn picked(pools: &Arc<Pools>) -> Option<String> {
        pick(pools).map(|lease| lease.name.1.clone())
    }

    /// How often each was chosen for so many requests, of which none is in flight with another.
    fn counts(pools: &Arc<Pools>, now: Timestamp, requests: usize) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            let lease = pools.pick(now, PORT, &[]).expect("a backend");
            *counts.entry(lease.name.1.clone()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn equals_take_turns() {
        let members = [backend("a", Traffic::New), backend("b", Traffic::New), backend("c", Traffic::New)];
        for algorithm in [Algorithm::LeastOutstanding, Algorithm::RoundRobin] {
            let pools = Arc::new(Pools::default());
            pools.apply(&plan(algorithm, &[("p", 1, &members)]));
            let six: Vec<_> = (0..6).filter_map(|_| picked(&pools)).collect();
            assert_eq!(six, ["a", "b", "c", "a", "b", "c"], "{algorithm:?}");
        }
    }

    #[test]
    fn the_least_loaded_is_chosen_unless_turns_are_taken() {
        let members = [backend("a", Traffic::New), backend("b", Traffic::New)];
        let pools = pool(&members);
        let held = pick(&pools).expect("a");
        let chosen: Vec<_> = (0..3).filter_map(|_| picked(&pools)).collect();
        assert_eq!((held.name.1.as_str(), chosen), ("a", vec!["b".to_owned(); 3]));
        pools.apply(&plan(Algorithm::RoundRobin, &[("p", 1, &members)]));
        let chosen: Vec<_> = (0..4).filter_map(|_| picked(&pools)).collect();
        assert_eq!(chosen, ["a", "b", "a", "b"]);
    }

    #[test]
    fn a_share_grows_through_the_slow_start() {
        let until = now() + TimeDelta::seconds(30);
        let slow =
            Backend { slow_start: Some(SlowStart { since: now(), until }), ..backend("b", Traffic::New) };
        let pools = Arc::new(Pools::default());
        pools.apply(&plan(Algorithm::RoundRobin, &[("p", 1, &[backend("a", Traffic::New), slow])]));
        let at = |seconds: i64| now() + TimeDelta::seconds(seconds);
        assert!(
            counts(&pools, at(0), 100).get("b").is_none_or(|count| *count <= 2),
            "nearly nothing at first"
        );
        // A third of a full share beside a full one is a quarter of the requests.
        assert!((23..=27).contains(&counts(&pools, at(10), 100)["b"]));
        assert!((49..=51).contains(&counts(&pools, at(30), 100)["b"]));
    }

    #[test]
    fn weights_divide_the_requests_among_pools_and_zero_gets_none() {
        let (a, b, c) = (backend("a", Traffic::New), backend("b", Traffic::New), backend("c", Traffic::New));
        let pools = Arc::new(Pools::default());
        pools.apply(&plan(Algorithm::RoundRobin, &[("blue", 9, &[a]), ("green", 1, &[b]), ("off", 0, &[c])]));
        let counts = counts(&pools, now(), 100);
        assert_eq!(counts, BTreeMap::from([("a".to_owned(), 90), ("b".to_owned(), 10)]));
    }

    #[test]
    fn a_pool_without_backends_keeps_its_share_of_the_refusals() {
        let pools = Arc::new(Pools::default());
        let a = backend("a", Traffic::New);
        pools.apply(&plan(Algorithm::RoundRobin, &[("blue", 1, &[a]), ("green", 1, &[])]));
        let served = (0..10).filter(|_| picked(&pools).is_some()).count();
        assert_eq!(served, 5);
    }

    #[test]
    fn only_new_traffic_counts_and_the_tried_are_left_out() {
        let pools =
            pool(&[backend("a", Traffic::None), backend("b", Traffic::Draining), backend("c", Traffic::New)]);
        assert_eq!(picked(&pools).as_deref(), Some("c"));
        assert!(pools.pick(now(), PORT, &[("p".to_owned(), "c".to_owned())]).is_none());
    }

    #[tokio::test]
    async fn a_drain_is_told_once_and_only_when_nothing_is_in_flight() {
        let pools = pool(&[backend("a", Traffic::New)]);
        let lease = pick(&pools).expect("a");
        apply(&pools, &[backend("a", Traffic::Draining)]);
        assert_eq!(pools.drained().now_or_never(), None);
        drop(lease);
        let drained = Some(vec![("p".to_owned(), "a".to_owned())]);
        assert_eq!(pools.drained().now_or_never(), drained);
        assert_eq!(pools.drained().now_or_never(), None);
        apply(&pools, &[backend("a", Traffic::New)]);
        apply(&pools, &[backend("a", Traffic::Draining)]);
        assert_eq!(pools.drained().now_or_never(), drained);
    }

    #[tokio::test]
    async fn a_pool_that_does_not_cut_lets_what_is_in_flight_end_by_itself() {
        let pools = Arc::new(Pools::default());
        let mut plan = plan(Algorithm::RoundRobin, &[("p", 1, &[backend("a", Traffic::New)])]);
        plan.pools[0].cut = false;
        pools.apply(&plan);
        let lease = pick(&pools).expect("a");
        plan.pools[0].backends.clear();
        pools.apply(&plan);
        assert_eq!(lease.cut().now_or_never(), None);
    }

    #[tokio::test]
    async fn who_leaves_is_cut_and_does_not_count_when_it_comes_back() {
        let pools = pool(&[backend("a", Traffic::New)]);
        let lease = pick(&pools).expect("a");
        assert_eq!(lease.cut().now_or_never(), None);
        apply(&pools, &[]);
        assert_eq!(lease.cut().now_or_never(), Some(()));
        apply(&pools, &[backend("a", Traffic::New)]);
        let again = pick(&pools).expect("a");
        drop(lease);
        assert_eq!(pools.in_flight("a"), Some(1));
        drop(again);
        assert_eq!(pools.in_flight("a"), Some(0));
    }
}
