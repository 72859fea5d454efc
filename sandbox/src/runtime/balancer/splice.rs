//! One client's connection to a TCP listener, joined to a backend byte for byte.
use std::sync::Arc;

use tokio::net::TcpStream;

use super::Shared;
use super::connect::connect;
use super::idle::{Activity, Watched};

/// Carries bytes both ways until both sides have closed, nothing moves for the idle timeout, or the backend is cut off.
/// Without a backend the client's connection is closed, which is all that TCP can say.
pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>, port: u16) {
    let (lease, backend) = match connect(&shared, port).await {
        Ok(connected) => connected,
        Err(failure) => {
            tracing::debug!(%failure, "a connection has no backend");
            return;
        }
    };
    let activity = Activity::new();
    let mut client = Watched::new(client, &activity);
    let mut backend = Watched::new(backend, &activity);
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut client, &mut backend) => {
            if let Err(error) = copied {
                tracing::debug!(backend = %lease.name.1, %error, "a connection broke");
            }
        }
        () = activity.silence(shared.idle_timeout()) => {}
        () = lease.cut() => {}
    }
}
