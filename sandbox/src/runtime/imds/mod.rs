//! Instance metadata, IMDSv2 as EC2 serves it at 169.254.169.254: who asks is told apart by source address.
//!
//! [`tree`] is what there is to ask, [`answer`] decides over tokens and paths, and this module serves it.
// Effects: sockets and the clock.
#![allow(clippy::disallowed_methods)]

mod answer;
#[cfg(test)]
mod tests;
mod tree;

pub use tree::Identity;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::answer::{Query, Tokens};
use super::fabric::Fabric;
use super::spec::METADATA_ADDRESS;

/// Finds the running instance that has an address.
pub trait Directory: Send + Sync + 'static {
    /// Its identity as of now.
    fn identity(&self, address: Ipv4Addr) -> Option<Identity>;
}

/// Connections served at once.
const CONNECTIONS: usize = 1024;
/// The largest request head.
const HEAD_LIMIT: usize = 16 << 10;
/// How long a client may take over its request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// Where the service takes the time from.
type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Serves metadata in `fabric` until the daemon ends.
///
/// # Errors
/// When the address cannot be listened to.
pub async fn serve(fabric: &Fabric, directory: Arc<dyn Directory>) -> std::io::Result<()> {
    let listener = fabric.listen(SocketAddrV4::new(METADATA_ADDRESS, 80)).await?;
    tokio::spawn(serve_on(listener, directory, Arc::new(Instant::now)));
    Ok(())
}

/// Serves metadata on `listener` until that breaks.
async fn serve_on(listener: TcpListener, directory: Arc<dyn Directory>, clock: Clock) {
    let service = Arc::new(Service { directory, clock, tokens: Mutex::default() });
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
        let Ok((stream, peer)) = super::accept(&listener).await else { return };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            connection(service, stream, peer).await;
            drop(turn);
        });
    }
}

struct Service {
    directory: Arc<dyn Directory>,
    clock: Clock,
    tokens: Mutex<Tokens>,
}

async fn connection(service: Arc<Service>, stream: TcpStream, peer: SocketAddr) {
    let SocketAddr::V4(peer) = peer else { return };
    // The hop limit is the TTL of answers: one hop reaches the instance and nothing behind a bridge of its own.
    if let Some(identity) = service.directory.identity(*peer.ip()) {
        let _ = stream.set_ttl(u32::from(identity.hop_limit.max(1)));
    }
    let answering = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.handle(&request, *peer.ip())) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_header_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), answering)
        .await;
}

impl Service {
    fn handle(&self, request: &Request<Incoming>, peer: Ipv4Addr) -> Response<Full<Bytes>> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = Query {
            method: request.method().as_str(),
            path: request.uri().path(),
            ttl: header("x-aws-ec2-metadata-token-ttl-seconds"),
            token: header("x-aws-ec2-metadata-token"),
            forwarded: request.headers().contains_key("x-forwarded-for"),
        };
        let identity = self.directory.identity(peer);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = answer::answer(&query, identity.as_ref(), &mut tokens, (self.clock)(), rand::random);
        drop(tokens);
        let mut response = Response::new(Full::new(Bytes::from(reply.body)));
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert("server", http::HeaderValue::from_static("EC2ws"));
        headers.insert("content-type", http::HeaderValue::from_static(reply.kind));
        if let Some(allow) = reply.allow {
            headers.insert("allow", http::HeaderValue::from_static(allow));
        }
        if let Some(ttl) = reply.ttl {
            headers.insert("x-aws-ec2-metadata-token-ttl-seconds", http::HeaderValue::from(ttl));
        }
        response
    }
}
