//! The machine under the cloud: instances as namespaces, their network, metadata, disks and load balancers.
//!
//! Nothing here knows the API. The daemon turns the world's effects into calls of [`machines`], [`disk`] and the data
//! paths, and what comes back into observations.

pub mod balancer;
mod base;
pub mod console;
pub mod disk;
pub mod fabric;
pub mod forward;
pub(crate) mod guest;
pub mod imds;
pub mod machines;
pub(crate) mod privilege;
mod spawner;
pub mod spec;

pub(crate) use base::in_user_namespace;

use tokio::net::{TcpListener, TcpStream};

/// Accepts the next connection. Running out of file descriptors passes: connections end. Anything else that a client
/// can cause (it went away again) is skipped; only a broken listener is an error.
pub(crate) async fn accept(listener: &TcpListener) -> std::io::Result<(TcpStream, std::net::SocketAddr)> {
    loop {
        match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => match error.raw_os_error() {
                Some(nix::libc::EMFILE | nix::libc::ENFILE | nix::libc::ENOBUFS | nix::libc::ENOMEM) => {
                    tracing::warn!(%error, "cannot accept a connection for now; raise `ulimit -n` if this stays");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Some(nix::libc::EBADF | nix::libc::EINVAL | nix::libc::ENOTSOCK) => return Err(error),
                _ => {}
            },
        }
    }
}
