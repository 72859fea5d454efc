//! One client's connection to an HTTP listener: each request carried to a backend and its answer streamed back.
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::Shared;
use super::connect::{NoBackend, connect};
use super::exchange::{Connection, HEAD_LIMIT, exchange};
use super::headers::{self, Origin};
use super::idle::{Activity, Watched};
use super::pool::Lease;

/// The longest method that the classic balancer lets through.
const METHOD_LIMIT: usize = 127;

type Answer = Response<BoxBody<Bytes, Interrupted>>;

/// Serves one client until it goes away, is idle for too long, or breaks the protocol.
pub(super) async fn serve(stream: TcpStream, client: SocketAddr, shared: Arc<Shared>, port: u16) {
    let origin = Origin { client: client.ip(), port };
    let idle = shared.idle_timeout();
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request, origin).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_header_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%client, %error, "a client's connection ended");
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>, origin: Origin) -> Answer {
    let line = format!("{} {}", request.method(), request.uri().path());
    match forward(shared, request, origin).await {
        Ok(answer) => answer,
        Err(failure) => {
            tracing::debug!(%line, %failure, "no answer from a backend");
            refusal(failure.status(shared.is_classic(origin.port)))
        }
    }
}

/// Why a request got no answer from a backend.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the balancer does not take this method")]
    Method,
    #[error(transparent)]
    NoBackend(#[from] NoBackend),
    #[error("{backend} did not answer in time")]
    Silent { backend: String },
    #[error("{backend} was deregistered and its time is over")]
    Cut { backend: String },
    #[error("{backend} hung up: {source}")]
    HungUp { backend: String, source: hyper::Error },
    #[error("{backend} does not speak HTTP: {source}")]
    Garbled { backend: String, source: hyper::Error },
}

impl Failure {
    fn status(&self, classic: bool) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoBackend(NoBackend::NoneInService) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoBackend(_) if classic => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoBackend(NoBackend::Unreachable { source, .. })
                if source.kind() == ErrorKind::TimedOut =>
            {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Cut { .. } | Self::HungUp { .. } if classic => StatusCode::GATEWAY_TIMEOUT,
            Self::Silent { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::NoBackend(_) | Self::Cut { .. } | Self::HungUp { .. } | Self::Garbled { .. } => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    fn of_exchange(lease: &Lease, source: hyper::Error) -> Self {
        let backend = lease.name.1.clone();
        if source.is_parse() { Self::Garbled { backend, source } } else { Self::HungUp { backend, source } }
    }
}

async fn forward(shared: &Shared, request: Request<Incoming>, origin: Origin) -> Result<Answer, Failure> {
    if request.method() == Method::CONNECT || request.method().as_str().len() > METHOD_LIMIT {
        return Err(Failure::Method);
    }
    let (lease, stream) = connect(shared, origin.port).await?;
    let (mut head, body) = request.into_parts();
    headers::to_backend(&mut head, origin, &lease.to.to_string());
    let activity = Activity::new();
    let idle = shared.idle_timeout();
    let (response, connection) = tokio::select! {
        exchanged = exchange(Watched::new(stream, &activity), Request::from_parts(head, body)) => {
            exchanged.map_err(|source| Failure::of_exchange(&lease, source))?
        }
        () = Arc::clone(&activity).silence(idle) => {
            return Err(Failure::Silent { backend: lease.name.1.clone() });
        }
        () = lease.cut() => return Err(Failure::Cut { backend: lease.name.1.clone() }),
    };
    let (mut head, body) = response.into_parts();
    headers::to_client(&mut head);
    let cut = lease.cut();
    let interrupted = async move {
        tokio::select! {
            () = activity.silence(idle) => Interrupted::Silent,
            () = cut => Interrupted::Cut,
        }
    };
    let body = Streamed { body, interrupted: Box::pin(interrupted), _lease: lease, _connection: connection };
    Ok(Response::from_parts(head, body.boxed()))
}

/// Why an answer broke off; the client sees its connection closed.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("nothing moved for the idle timeout")]
    Silent,
    #[error("the instance was deregistered and its time is over")]
    Cut,
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// A backend's body on its way to the client. Holds the lease: the request is in flight until this ends.
struct Streamed {
    body: Incoming,
    interrupted: Pin<Box<dyn Future<Output = Interrupted> + Send + Sync>>,
    _lease: Lease,
    _connection: Connection,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::from)));
        }
        self.interrupted.as_mut().poll(context).map(|why| Some(Err(why)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The balancer's own answer: a code and no body.
fn refusal(status: StatusCode) -> Answer {
    let body = Empty::new().map_err(|never: Infallible| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    // What the client may still be sending has no reader any more.
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
