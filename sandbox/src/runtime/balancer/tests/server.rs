//! Instances for the tests: an HTTP application on a loopback port, and servers that misbehave.
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

type Body = BoxBody<Bytes, hyper::Error>;

/// The size of one piece of `/big`, and how many there are.
pub(super) const PIECE: usize = 64 << 10;
pub(super) const PIECES: usize = 512;

/// What the test and the application share.
pub(super) struct State {
    pub(super) name: &'static str,
    pub(super) healthy: AtomicBool,
    pub(super) served: AtomicUsize,
    /// `/slow` and `/drip` wait for a permit.
    pub(super) gate: Semaphore,
}

/// One application; dropping it closes its sockets.
pub(super) struct App {
    pub(super) state: Arc<State>,
    pub(super) at: SocketAddr,
    _task: JoinSet<()>,
}

impl App {
    pub(super) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            name,
            healthy: AtomicBool::new(true),
            served: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&state)));
        Self { state, at, _task: task }
    }

    pub(super) fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    pub(super) fn healthy(&self, healthy: bool) {
        self.state.healthy.store(healthy, Ordering::SeqCst);
    }

    /// Lets one waiting request go on.
    pub(super) fn open_gate(&self) {
        self.state.gate.add_permits(1);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            // The client may go away in the middle; that is what some tests are about.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() != "/health" {
        state.served.fetch_add(1, Ordering::SeqCst);
    }
    match request.uri().path() {
        "/health" if state.healthy.load(Ordering::SeqCst) => text("fine"),
        "/health" => {
            let mut answer = text("warming\nup");
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            answer
        }
        "/slow" => {
            pass(state).await;
            text(state.name)
        }
        "/drip" => Response::new(drip(Arc::clone(state))),
        "/big" => Response::new(big()),
        "/echo" => Response::new(request.into_body().boxed()),
        "/nowhere" => {
            let mut answer = text(&format!("{:?}", request.headers()));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
        "/request" => text(&format!("{request:?}")),
        _ => text(state.name),
    }
}

async fn pass(state: &State) {
    state.gate.acquire().await.expect("never closed").forget();
}

fn text(text: &str) -> Response<Body> {
    Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|e| match e {}).boxed())
}

/// One line at once, the other when the gate opens.
fn drip(state: Arc<State>) -> Body {
    let lines = stream::unfold((0, state), |(line, state)| async move {
        match line {
            0 => Some((Ok(Frame::data(Bytes::from_static(b"first\n"))), (1, state))),
            1 => {
                pass(&state).await;
                Some((Ok(Frame::data(Bytes::from_static(b"second\n"))), (2, state)))
            }
            _ => None,
        }
    });
    StreamBody::new(lines).boxed()
}

fn big() -> Body {
    let piece = Bytes::from(vec![b'x'; PIECE]);
    StreamBody::new(stream::iter((0..PIECES).map(move |_| Ok(Frame::data(piece.clone()))))).boxed()
}

/// A server that reads a request's head, writes `reply`, and hangs up.
pub(super) async fn blunt(reply: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    raw(move |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(reply).await.expect("written");
        stream.shutdown().await.expect("shut down");
    })
    .await
}

/// A server that reads a request's head, writes `reply`, and hangs on.
pub(super) async fn hanging(reply: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    raw(move |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(reply).await.expect("written");
        std::future::pending::<()>().await;
    })
    .await
}

/// A server that reads a request's head and never says anything.
pub(super) async fn silent() -> (SocketAddr, JoinSet<()>) {
    hanging(b"").await
}

/// A server that sends back what it gets.
pub(super) async fn mirror() -> (SocketAddr, JoinSet<()>) {
    raw(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        // The other side may be cut off in the middle; that is what some tests are about.
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

/// A port on which nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    listener.local_addr().expect("bound")
}

async fn raw<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let at = listener.local_addr().expect("bound");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    (at, task)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
}
