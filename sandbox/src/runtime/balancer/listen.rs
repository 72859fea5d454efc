//! The listeners of one balancer: opened and closed as the plan says, each connection on a task of its own.
use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Report, Shared, http, splice};
use crate::world::{BalancerPlan, ListenerPlan, Protocol};

/// How long accepting rests after it failed: file descriptors may have run out.
const REST: Duration = Duration::from_millis(100);

/// The open listeners by port, each with the task that accepts; dropping the task closes its connections.
#[derive(Default)]
pub(super) struct Listeners {
    open: BTreeMap<u16, (Protocol, JoinSet<()>)>,
    /// Ports whose failure has been told.
    failed: BTreeMap<u16, String>,
}

impl Listeners {
    /// Closes what the plan does not have, opens what it has more; `false` when a listener could not be opened.
    pub(super) async fn reconcile(
        &mut self,
        plan: &BalancerPlan,
        shared: &Arc<Shared>,
        reports: &mpsc::Sender<Report>,
    ) -> bool {
        self.close_all_but(&plan.listeners).await;
        self.failed.retain(|port, _| plan.listeners.iter().any(|listener| listener.port == *port));
        for wanted in &plan.listeners {
            if self.open.contains_key(&wanted.port) {
                continue;
            }
            if let Some(report) = self.open(wanted, plan, shared).await {
                // Nobody listens: the daemon is going away.
                let _ = reports.send(report).await;
            }
        }
        self.failed.is_empty()
    }

    /// Closes all listeners and their connections.
    pub(super) async fn close(&mut self) {
        self.close_all_but(&[]).await;
    }

    /// The port of a closed listener is free when this returns: the next plan may want it for something else.
    ///
    /// Where a listener forwards to can change without a connection noticing; what it speaks cannot.
    async fn close_all_but(&mut self, kept: &[ListenerPlan]) {
        let stays = |port: u16, protocol| kept.iter().any(|l| (l.port, l.protocol) == (port, protocol));
        for (_, (_, mut task)) in self.open.extract_if(.., |port, (protocol, _)| !stays(*port, *protocol)) {
            task.shutdown().await;
        }
    }

    /// What there is to tell of the attempt; a failure that is known already is not told again.
    async fn open(
        &mut self,
        wanted: &ListenerPlan,
        plan: &BalancerPlan,
        shared: &Arc<Shared>,
    ) -> Option<Report> {
        let (balancer, port) = (plan.name.clone(), wanted.port);
        let opened = shared.dial.listen(SocketAddrV4::new(plan.address, port)).await;
        match opened.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((at, listener)) => {
                let mut task = JoinSet::new();
                let side = (wanted.protocol, port);
                task.spawn(accept(listener, side, Arc::clone(shared)));
                self.open.insert(port, (wanted.protocol, task));
                self.failed.remove(&port);
                Some(Report::Listening { balancer, port, at })
            }
            Err(error) => {
                let reason = error.to_string();
                let known = self.failed.insert(port, reason.clone());
                (known.as_ref() != Some(&reason)).then_some(Report::NotListening { balancer, port, reason })
            }
        }
    }
}

async fn accept(listener: TcpListener, side: (Protocol, u16), shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(turn) = Arc::clone(&shared.turns).acquire_owned().await else { return };
        match next(&listener, &mut connections).await {
            Ok((stream, client)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    serve(stream, client, side, shared).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(port = side.1, %error, "the balancer cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// The next client; meanwhile the tasks of those that have gone are collected.
async fn next(
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    loop {
        tokio::select! {
            accepted = listener.accept() => return accepted,
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    (protocol, port): (Protocol, u16),
    shared: Arc<Shared>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%client, %error, "a client went away at once");
        return;
    }
    match protocol {
        Protocol::Http => http::serve(stream, client, shared, port).await,
        Protocol::Tcp => splice::serve(stream, shared, port).await,
    }
}
