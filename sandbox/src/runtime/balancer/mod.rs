//! The data path of one load balancer, classic or newer: listeners, health probes, and requests carried to instances.
//!
//! 1. The world decides, this carries out: a [`BalancerPlan`] says who is registered, who gets traffic and who is
//!    probed. Plans arrive whole through a `watch` channel and are reconciled by set difference, so that connections and
//!    probes which a change does not concern live on.
//! 2. Every probe's outcome goes out raw, as a [`Report`]. The world counts thresholds; nothing here does.
//! 3. A request (a connection, behind a TCP listener) goes to a pool by the listener's weights, and there to the backend
//!    whose turn it is or which has the fewest in flight, over a connection of its own: none is lost to a backend that
//!    closes an idle one.
//! 4. A draining backend gets nothing new, and a [`Report::Drained`] says when its last request ended. A backend that
//!    leaves the plan is cut off at once. So the world's clock alone decides how long a drain may last.
//!
//! Answers of its own have an empty body. The classic balancer's codes: 503 where no backend is in service or none accepts
//! a connection, 504 where one is silent beyond the idle timeout or hangs up, 502 where it does not speak HTTP. The
//! application balancer's: 503 where there is no backend, 504 where one is silent, 502 for the rest.
mod connect;
mod exchange;
mod headers;
mod http;
mod idle;
mod listen;
mod pool;
mod probe;
mod share;
mod splice;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::world::{BalancerPlan, Observation, ProbeOutcome};

pub use pool::MemberStatus;
use pool::Pools;

/// How soon a listener that could not be opened is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);

/// The balancer's two sides of the network: instances are dialled in the fabric, clients come from the host.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection to an instance. The caller sets the deadline: it drops the future.
    ///
    /// # Errors
    /// As `connect(2)` has them; `ConnectionRefused` makes the balancer try another instance.
    fn dial(&self, to: SocketAddrV4) -> BoxFuture<'_, io::Result<TcpStream>>;

    /// Opens a listener for clients.
    ///
    /// # Errors
    /// As `bind(2)` has them.
    fn listen(&self, at: SocketAddrV4) -> BoxFuture<'_, io::Result<TcpListener>> {
        Box::pin(TcpListener::bind(at))
    }
}

/// When another backend is tried because a connection could not be opened. Nothing was sent then, so it is safe for
/// every method; a classic balancer retries connections too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectRetry {
    /// The first failure is the client's 503.
    Never,
    /// Once, when the backend refused the connection.
    #[default]
    WhenRefused,
    /// Once, whatever the failure was; a dead host then costs the client the connect deadline.
    Always,
}

/// What can be chosen about a data path and is not part of the cloud's records.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether a failed connection is tried elsewhere.
    pub retry: ConnectRetry,
    /// How long a connection to a backend may take to open.
    pub connect_deadline: Duration,
    /// Clients' connections at a time over all listeners; more wait in the kernel's queue.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry: ConnectRetry::default(),
            connect_deadline: Duration::from_secs(4),
            max_connections: 512,
        }
    }
}

/// What the data path saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// One health probe.
    Probed {
        /// Balancer name.
        balancer: String,
        /// Pool name.
        pool: String,
        /// Backend id.
        backend: String,
        /// How it fell out.
        outcome: ProbeOutcome,
        /// What came back, one line for people; for a failed probe the beginning of the answer.
        detail: String,
    },
    /// A draining backend has nothing in flight any more.
    Drained {
        /// Balancer name.
        balancer: String,
        /// Pool name.
        pool: String,
        /// Backend id.
        backend: String,
    },
    /// A listener is open.
    Listening {
        /// Balancer name.
        balancer: String,
        /// The port of the plan.
        port: u16,
        /// Where it really is.
        at: SocketAddr,
    },
    /// A listener could not be opened; it is tried again every two seconds, and this is said once.
    NotListening {
        /// Balancer name.
        balancer: String,
        /// The port of the plan.
        port: u16,
        /// The system's reason.
        reason: String,
    },
}

impl Report {
    /// What the world wants to hear of it.
    #[must_use]
    pub fn observation(&self) -> Option<Observation> {
        match self.clone() {
            Self::Probed { pool, backend, outcome, .. } => {
                Some(Observation::Probed { pool, backend, outcome })
            }
            Self::Drained { pool, backend, .. } => Some(Observation::Drained { pool, backend }),
            Self::Listening { .. } | Self::NotListening { .. } => None,
        }
    }
}

/// A running data path. Dropping it closes its listeners and every connection.
#[derive(Debug)]
pub struct Balancer {
    pools: Arc<Pools>,
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// Starts the data path on the current runtime. It ends when the sender of `plans` is gone; `reports` must be read,
    /// for a full channel makes probes and plans wait.
    #[must_use]
    pub fn start(
        plans: watch::Receiver<BalancerPlan>,
        dial: Arc<dyn Dial>,
        options: Options,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let pools = Arc::new(Pools::default());
        let turns = Arc::new(Semaphore::new(options.max_connections));
        let shared = Shared { pools: Arc::clone(&pools), dial, options, turns, plans: plans.clone() };
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(run(plans, Arc::new(shared), reports, Arc::clone(&stop)));
        Self { pools, stop, task }
    }

    /// Requests and connections of one backend that are under way; `None` when it is not a member.
    #[must_use]
    pub fn in_flight(&self, backend: &str) -> Option<usize> {
        self.pools.in_flight(backend)
    }

    /// All members, by pool and id.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        self.pools.members()
    }

    /// Closes listeners and connections, and returns when the ports are free again.
    pub async fn stop(mut self) {
        self.stop.notify_one();
        // A task that panicked has closed everything too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every connection of one balancer needs.
struct Shared {
    pools: Arc<Pools>,
    dial: Arc<dyn Dial>,
    options: Options,
    turns: Arc<Semaphore>,
    plans: watch::Receiver<BalancerPlan>,
}

impl Shared {
    fn idle_timeout(&self) -> Duration {
        self.plans.borrow().idle_timeout
    }

    /// Whether the listener on this port belongs to a classic balancer: only those say the instances' port.
    fn is_classic(&self, port: u16) -> bool {
        let plan = self.plans.borrow();
        plan.listeners.iter().any(|listener| listener.port == port && listener.instance_port.is_some())
    }
}

async fn run(
    plans: watch::Receiver<BalancerPlan>,
    shared: Arc<Shared>,
    reports: mpsc::Sender<Report>,
    stop: Arc<Notify>,
) {
    let mut listeners = listen::Listeners::default();
    tokio::select! {
        () = follow(plans, &shared, &reports, &mut listeners) => {}
        () = stop.notified() => {}
    }
    listeners.close().await;
}

/// Carries out one plan after the other, until no more can come.
async fn follow(
    mut plans: watch::Receiver<BalancerPlan>,
    shared: &Arc<Shared>,
    reports: &mpsc::Sender<Report>,
    listeners: &mut listen::Listeners,
) {
    let mut probes = probe::Probes::default();
    loop {
        let plan = plans.borrow_and_update().clone();
        shared.pools.apply(&plan);
        probes.reconcile(&plan, &shared.dial, reports);
        let complete = listeners.reconcile(&plan, shared, reports).await;
        if !until_next_plan(&mut plans, &plan.name, &shared.pools, reports, complete).await {
            return;
        }
    }
}

/// Tells of drained backends until there is something to reconcile; `false` at the end of all plans.
async fn until_next_plan(
    plans: &mut watch::Receiver<BalancerPlan>,
    balancer: &str,
    pools: &Pools,
    reports: &mpsc::Sender<Report>,
    complete: bool,
) -> bool {
    loop {
        tokio::select! {
            changed = plans.changed() => return changed.is_ok(),
            () = tokio::time::sleep(LISTEN_AGAIN), if !complete => return true,
            drained = pools.drained() => for (pool, backend) in drained {
                let balancer = balancer.to_owned();
                // Nobody listens: the daemon is going away.
                let _ = reports.send(Report::Drained { balancer, pool, backend }).await;
            },
        }
    }
}
