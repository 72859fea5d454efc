//! The data path with real sockets: real HTTP servers behind it, real clients before it.
mod client;
mod draining;
mod health;
mod requests;
mod server;
mod targets;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::{Balancer, Dial, Options, Report};
use crate::world::{
    Algorithm, Backend, BalancerPlan, ListenerPlan, PoolPlan, ProbePlan, ProbeTarget, Protocol, Route,
    Traffic,
};

/// Long enough for a busy machine; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// The port that every instance serves on.
const PORT: u16 = 8080;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// The fabric on loopback: instance addresses lead to ephemeral ports, and so do listeners.
#[derive(Default)]
struct Net {
    routes: Mutex<BTreeMap<Ipv4Addr, SocketAddr>>,
    /// Whether the ports of listeners are taken by somebody else.
    taken: AtomicBool,
}

impl Net {
    fn route(&self, from: Ipv4Addr, to: SocketAddr) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).insert(from, to);
    }
}

impl Dial for Net {
    fn dial(&self, to: SocketAddrV4) -> BoxFuture<'_, io::Result<TcpStream>> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let real = routes.get(to.ip()).copied();
        Box::pin(async move {
            TcpStream::connect(real.ok_or(io::Error::from(io::ErrorKind::HostUnreachable))?).await
        })
    }

    fn listen(&self, _: SocketAddrV4) -> BoxFuture<'_, io::Result<TcpListener>> {
        if self.taken.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(io::ErrorKind::AddrInUse.into())));
        }
        Box::pin(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
    }
}

/// A balancer under test and what it said.
struct Bench {
    net: Arc<Net>,
    plans: watch::Sender<BalancerPlan>,
    balancer: Balancer,
    reports: mpsc::Receiver<Report>,
    at: SocketAddr,
}

impl Bench {
    async fn start(protocol: Protocol) -> Self {
        Self::start_with(protocol, Options::default(), Duration::from_secs(60)).await
    }

    async fn start_with(protocol: Protocol, options: Options, idle_timeout: Duration) -> Self {
        let routes = vec![Route { pool: "web".to_owned(), weight: 1 }];
        let listener = ListenerPlan { protocol, port: 80, instance_port: Some(PORT), routes };
        let pool = PoolPlan {
            name: "web".to_owned(),
            algorithm: Algorithm::LeastOutstanding,
            cut: true,
            backends: Vec::new(),
        };
        let plan = BalancerPlan {
            name: "web".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            listeners: vec![listener],
            pools: vec![pool],
            idle_timeout,
            cross_zone: false,
        };
        let (plans, followed) = watch::channel(plan);
        let (told, mut reports) = mpsc::channel(64);
        let net = Arc::new(Net::default());
        let balancer = Balancer::start(followed, Arc::<Net>::clone(&net), options, told);
        let Some(Report::Listening { at, .. }) = within("the listener", reports.recv()).await else {
            panic!("the listener is told first");
        };
        Self { net, plans, balancer, reports, at }
    }

    /// Registers an instance that serves at `real`; its id is its number.
    fn register(&self, number: u8, real: SocketAddr, traffic: Traffic) {
        let address = Ipv4Addr::new(10, 77, 0, number);
        self.net.route(address, real);
        let backend = Backend {
            id: format!("i-{number}"),
            instance_id: Some(format!("i-{number}")),
            address,
            port: PORT,
            zone: "us-east-1a".to_owned(),
            probe: None,
            traffic,
            slow_start: None,
        };
        self.plans.send_modify(|plan| plan.pools[0].backends.push(backend));
    }

    fn traffic(&self, number: u8, traffic: Traffic) {
        self.with(number, |backend| backend.traffic = traffic);
    }

    fn with(&self, number: u8, change: impl FnOnce(&mut Backend)) {
        let id = format!("i-{number}");
        self.plans.send_modify(|plan| {
            change(plan.pools[0].backends.iter_mut().find(|b| b.id == id).expect("registered"));
        });
    }

    fn remove(&self, number: u8) {
        let id = format!("i-{number}");
        self.plans.send_modify(|plan| plan.pools[0].backends.retain(|b| b.id != id));
    }

    async fn report(&mut self) -> Report {
        within("a report", self.reports.recv()).await.expect("the balancer runs")
    }

    /// Waits until the data path has taken over what the last plan says of the members.
    async fn settle(&self) {
        let wanted = self.plans.borrow().pools[0].backends.clone();
        let settled = || {
            let members = self.balancer.members();
            let same = |b: &Backend| members.iter().any(|m| m.backend == b.id && m.traffic == b.traffic);
            members.len() == wanted.len() && wanted.iter().all(same)
        };
        poll("the plan", settled).await;
    }

    async fn in_flight(&self, number: u8, count: usize) {
        let id = format!("i-{number}");
        poll("requests in flight", || self.balancer.in_flight(&id) == Some(count)).await;
    }
}

/// A probe of `/health` every second.
fn probe() -> ProbePlan {
    ProbePlan {
        target: ProbeTarget::Http { port: PORT, path: "/health".to_owned() },
        interval: 1,
        timeout: 5,
        accept: vec![(200, 200)],
        agent: "ELB-HealthChecker/1.0",
    }
}

async fn poll(what: &str, mut done: impl FnMut() -> bool) {
    within(what, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
