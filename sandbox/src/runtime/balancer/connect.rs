//! A connection to a backend for one request: chosen, opened, tried elsewhere where that is allowed.
// Effects: the time of day decides the share of a backend in slow start.
#![allow(clippy::disallowed_methods)]
use std::io;
use std::net::SocketAddrV4;

use tokio::net::TcpStream;

use super::pool::Lease;
use super::{ConnectRetry, Shared};

/// Why there is no backend for a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBackend {
    #[error("no instance is in service")]
    NoneInService,
    #[error("{backend} at {to}: {source}")]
    Unreachable { backend: String, to: SocketAddrV4, source: io::Error },
}

/// For a request of the listener on `port`.
pub(super) async fn connect(shared: &Shared, port: u16) -> Result<(Lease, TcpStream), NoBackend> {
    let mut tried = Vec::new();
    let mut failure = NoBackend::NoneInService;
    while let Some(lease) = shared.pools.pick(chrono::Utc::now(), port, &tried) {
        let to = lease.to;
        let source = match open(shared, &lease, to).await {
            Ok(stream) => return Ok((lease, stream)),
            Err(source) => source,
        };
        let (pool, backend) = lease.name.clone();
        tracing::debug!(%backend, %to, %source, "a backend could not be reached");
        let again = tried.is_empty() && may_retry(shared.options.retry, source.kind());
        failure = NoBackend::Unreachable { backend: backend.clone(), to, source };
        if !again {
            break;
        }
        tried.push((pool, backend));
    }
    Err(failure)
}

fn may_retry(retry: ConnectRetry, failure: io::ErrorKind) -> bool {
    match retry {
        ConnectRetry::Never => false,
        ConnectRetry::WhenRefused => failure == io::ErrorKind::ConnectionRefused,
        ConnectRetry::Always => true,
    }
}

async fn open(shared: &Shared, lease: &Lease, to: SocketAddrV4) -> io::Result<TcpStream> {
    let dial = tokio::time::timeout(shared.options.connect_deadline, shared.dial.dial(to));
    let stream = tokio::select! {
        dialled = dial => dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        // Nothing was sent yet, so another backend can take the request.
        () = lease.cut() => return Err(io::ErrorKind::ConnectionRefused.into()),
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_connection_is_tried_elsewhere_by_default() {
        let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut];
        let allowed = |retry| kinds.map(|kind| may_retry(retry, kind));
        assert_eq!(allowed(ConnectRetry::default()), [true, false]);
        assert_eq!(allowed(ConnectRetry::Never), [false, false]);
        assert_eq!(allowed(ConnectRetry::Always), [true, true]);
    }
}
