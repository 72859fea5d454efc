//! The network between instances: a namespace with a bridge, owned by one thread that never ends.
//!
//! Sockets keep the namespace that they were made in, so that thread makes them and anybody may use them.
// Effects: namespaces and netlink are what this is.
#![allow(clippy::disallowed_methods)]

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::guest::{INTERFACE, link_index};
use super::spec::{HOST_ADDRESS, HOST_MAC, METADATA_ADDRESS, PREFIX_LENGTH, mac};

const BRIDGE: &str = "mayfly0";

/// Why the network could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FabricError {
    /// The kernel has no network namespaces for us.
    #[error(
        "the kernel refuses a network namespace ({0}); it needs CONFIG_NET_NS and the right to make namespaces"
    )]
    Namespace(io::Error),
    /// A link or an address was refused.
    #[error("cannot make the sandbox's {what}: {reason} (the kernel modules `bridge` and `veth` are needed)")]
    Link {
        /// Which piece.
        what: String,
        /// What the kernel said.
        reason: String,
    },
    /// A thread or its runtime could not start.
    #[error("cannot start the network's thread: {0}")]
    Thread(io::Error),
    /// The thread is gone; only possible while the daemon ends.
    #[error("the sandbox's network is gone")]
    Gone,
}

enum Job {
    Listen(SocketAddrV4, oneshot::Sender<io::Result<std::net::TcpListener>>),
    Socket(oneshot::Sender<io::Result<OwnedFd>>),
    Plug { address: Ipv4Addr, namespace: OwnedFd, done: oneshot::Sender<Result<(), FabricError>> },
}

/// The running network; clones share it.
#[derive(Debug, Clone)]
pub struct Fabric {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Fabric {
    /// Makes the namespace and its bridge on a new thread.
    ///
    /// # Errors
    /// When the kernel refuses the namespace, the bridge or its addresses.
    pub async fn start() -> Result<Self, FabricError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        std::thread::Builder::new()
            .name("fabric".to_owned())
            .spawn(move || own(queue, ready))
            .map_err(FabricError::Thread)?;
        started.await.map_err(|_| FabricError::Gone)??;
        Ok(Self { jobs })
    }

    /// Listens inside the network.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn listen(&self, address: SocketAddrV4) -> io::Result<TcpListener> {
        let (reply, answer) = oneshot::channel();
        TcpListener::from_std(self.ask(Job::Listen(address, reply), answer).await??)
    }

    /// Connects to `address` inside the network; the caller bounds the time.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub async fn connect(&self, address: SocketAddrV4) -> io::Result<TcpStream> {
        let (reply, answer) = oneshot::channel();
        let raw = self.ask(Job::Socket(reply), answer).await??;
        TcpSocket::from_std_stream(raw.into()).connect(address.into()).await
    }

    /// Plugs an interface for `address` into the network namespace `namespace`.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the address is in use.
    pub async fn plug(&self, address: Ipv4Addr, namespace: OwnedFd) -> Result<(), FabricError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Plug { address, namespace, done }).map_err(|_| FabricError::Gone)?;
        answer.await.map_err(|_| FabricError::Gone)?
    }

    async fn ask<T>(&self, job: Job, answer: oneshot::Receiver<T>) -> io::Result<T> {
        let gone = || io::Error::other("the sandbox's network is gone");
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

/// The thread's whole life: make the namespace, then serve jobs in it.
fn own(queue: mpsc::UnboundedReceiver<Job>, ready: oneshot::Sender<Result<(), FabricError>>) {
    let runtime =
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| FabricError::Namespace(e.into())).and_then(|()| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FabricError::Thread)
        });
    match runtime {
        Ok(runtime) => runtime.block_on(serve(queue, ready)),
        Err(error) => drop(ready.send(Err(error))),
    }
}

async fn serve(mut queue: mpsc::UnboundedReceiver<Job>, ready: oneshot::Sender<Result<(), FabricError>>) {
    let (handle, bridge) = match build().await {
        Ok(built) => built,
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    while let Some(job) = queue.recv().await {
        match job {
            Job::Listen(address, reply) => drop(reply.send(listen(address))),
            Job::Socket(reply) => drop(reply.send(raw_socket())),
            Job::Plug { address, namespace, done } => {
                let handle = handle.clone();
                // Side by side: an interface takes the kernel a moment and many instances start at once.
                tokio::spawn(async move {
                    let _ = done.send(plug(&handle, bridge, address, &namespace).await);
                });
            }
        }
    }
}

fn link(what: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> FabricError {
    let what = what.into();
    move |error| FabricError::Link { what, reason: error.to_string() }
}

async fn build() -> Result<(Handle, u32), FabricError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(FabricError::Thread)?;
    tokio::spawn(connection);
    let loopback = link_index(&handle, "lo").await.map_err(link("loopback"))?;
    handle
        .link()
        .set(LinkUnspec::new_with_index(loopback).up().build())
        .execute()
        .await
        .map_err(link("loopback"))?;
    let bridge = LinkBridge::new(BRIDGE).address(HOST_MAC.to_vec()).up().build();
    handle.link().add(bridge).execute().await.map_err(link("bridge"))?;
    let index = link_index(&handle, BRIDGE).await.map_err(link("bridge"))?;
    for (address, prefix) in [(HOST_ADDRESS, PREFIX_LENGTH), (METADATA_ADDRESS, 32)] {
        handle
            .address()
            .add(index, address.into(), prefix)
            .execute()
            .await
            .map_err(link(format!("address {address}")))?;
    }
    Ok((handle, index))
}

/// One veth pair: our end on the bridge, the other made inside the instance's namespace, in one request.
async fn plug(
    handle: &Handle,
    bridge: u32,
    address: Ipv4Addr,
    namespace: &OwnedFd,
) -> Result<(), FabricError> {
    let [_, _, high, low] = address.octets();
    let peer = LinkMessageBuilder::<LinkUnspec>::default()
        .name(INTERFACE.to_owned())
        .address(mac(address).to_vec())
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    let name = format!("i{high}-{low}");
    // The kernel takes its time over namespaces that ended: the pair of this address's last life may still be there.
    if let Ok(stale) = link_index(handle, &name).await {
        let _ = handle.link().del(stale).execute().await;
    }
    let pair = LinkMessageBuilder::<LinkVeth>::new(&name, INTERFACE)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .controller(bridge)
        .up()
        .build();
    handle.link().add(pair).execute().await.map_err(link(format!("interface for {address}")))?;
    // Known without asking: a question lost in the interface's first moments is repeated only after a second.
    let neighbour = handle.neighbours().add(bridge, address.into()).link_layer_address(&mac(address));
    neighbour.replace().execute().await.map_err(link(format!("neighbour {address}")))
}

fn listen(address: SocketAddrV4) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn raw_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Inet, SockType::Stream, flags, None)?)
}
