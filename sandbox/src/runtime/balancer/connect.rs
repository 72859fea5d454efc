//! A connection to a backend for one request: chosen, opened, tried elsewhere where that is allowed.
use std::io;
use std::net::SocketAddrV4;

use tokio::net::TcpStream;

use super::pool::Lease;
use super::{ConnectRetry, Shared};

/// Why there is no backend for a request. Both are a 503.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBackend {
    #[error("no instance is in service")]
    NoneInService,
    #[error("{instance_id} at {to}: {source}")]
    Unreachable { instance_id: String, to: SocketAddrV4, source: io::Error },
}

pub(super) async fn connect(shared: &Shared, port: u16) -> Result<(Lease, TcpStream), NoBackend> {
    let mut tried = Vec::new();
    let mut failure = NoBackend::NoneInService;
    while let Some(lease) = shared.pool.pick(&tried) {
        let to = SocketAddrV4::new(lease.address, port);
        let source = match open(shared, &lease, to).await {
            Ok(stream) => return Ok((lease, stream)),
            Err(source) => source,
        };
        let instance_id = lease.instance_id.clone();
        tracing::debug!(%instance_id, %to, %source, "a backend could not be reached");
        let again = tried.is_empty() && may_retry(shared.options.retry, source.kind());
        failure = NoBackend::Unreachable { instance_id: instance_id.clone(), to, source };
        if !again {
            break;
        }
        tried.push(instance_id);
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
