//! Bridges between the host's loopback and the instances' network: open ports, and ways back to servers of the host.
// Effects: sockets.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::fabric::Fabric;

/// How long a connection to the other side may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Connections through one listener at once.
const CONNECTIONS: usize = 1024;
/// The most ports of one instance that are opened on the host: security groups may open ranges.
pub const PORT_LIMIT: usize = 64;

/// Open ports of one instance, each with the task that serves it.
type Ports = HashMap<u16, JoinHandle<()>>;

/// The host-side ports of all instances: `public address:port` leads to `private address:port`.
#[derive(Debug, Clone)]
pub struct Forwards {
    fabric: Fabric,
    open: Arc<Mutex<HashMap<String, Ports>>>,
}

impl Forwards {
    /// None yet.
    #[must_use]
    pub fn new(fabric: Fabric) -> Self {
        Self { fabric, open: Arc::default() }
    }

    /// Makes exactly `ports` of instance `id` reachable; what cannot be opened is told as notes for its console.
    pub async fn set(
        &self,
        id: &str,
        public: Ipv4Addr,
        private: Ipv4Addr,
        ports: &BTreeSet<u16>,
    ) -> Vec<String> {
        let mut held = self.lock().remove(id).unwrap_or_default();
        held.retain(|port, task| {
            let keep = ports.contains(port);
            if !keep {
                task.abort();
            }
            keep
        });
        let mut notes = Vec::new();
        for &port in ports.iter().take(PORT_LIMIT) {
            if held.contains_key(&port) {
                continue;
            }
            match self.open(SocketAddrV4::new(public, port), SocketAddrV4::new(private, port)).await {
                Ok(task) => drop(held.insert(port, task)),
                Err(error) => notes.push(format!("{public}:{port} is not open on the host: {error}")),
            }
        }
        if ports.len() > PORT_LIMIT {
            notes.push(format!("only the first {PORT_LIMIT} of {} open ports are on the host", ports.len()));
        }
        self.lock().insert(id.to_owned(), held);
        notes
    }

    /// Closes all ports of `id`.
    pub fn clear(&self, id: &str) {
        for (_, task) in self.lock().remove(id).unwrap_or_default() {
            task.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Ports>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, from: SocketAddrV4, to: SocketAddrV4) -> std::io::Result<JoinHandle<()>> {
        let listener = TcpListener::bind(from).await?;
        let fabric = self.fabric.clone();
        Ok(tokio::spawn(relay(listener, move || {
            let fabric = fabric.clone();
            async move { fabric.connect(to).await }
        })))
    }
}

/// Lets instances reach `to` on the host as `at` inside the network, for as long as the daemon lives.
///
/// # Errors
/// When `at` is taken.
pub async fn inward(fabric: &Fabric, at: SocketAddrV4, to: SocketAddr) -> std::io::Result<()> {
    let listener = fabric.listen(at).await?;
    tokio::spawn(relay(listener, move || TcpStream::connect(to)));
    Ok(())
}

/// Pairs each connection of `listener` with one of `connect`. Connections end with the task.
async fn relay<C, F>(listener: TcpListener, connect: C)
where
    C: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = std::io::Result<TcpStream>> + Send,
{
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let connect = Arc::new(connect);
    let mut pairs = tokio::task::JoinSet::new();
    while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
        let Ok((client, _)) = super::accept(&listener).await else { return };
        let connect = Arc::clone(&connect);
        pairs.spawn(async move {
            pair(client, connect()).await;
            drop(turn);
        });
        while pairs.try_join_next().is_some() {}
    }
}

/// Copies both ways until both sides are done. A server that is not there closes the client's connection with a reset,
/// as a refused connection would.
pub(crate) async fn pair(
    mut client: TcpStream,
    connect: impl Future<Output = std::io::Result<TcpStream>> + Send,
) {
    match tokio::time::timeout(CONNECT_DEADLINE, connect).await {
        Ok(Ok(mut server)) => {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        _ => drop(client.set_zero_linger()),
    }
}
