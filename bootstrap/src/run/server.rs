//! The local endpoints `/ready`, `/status` and `/metrics`, and the signals, on one small runtime of their own.
// Effects: listens; signals.
#![allow(clippy::disallowed_methods)]

use super::board::Board;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: fetch and converge now.
    Now,
    /// No signal, but the watcher: kept files are to be put back.
    Edited,
    /// SIGUSR2: start again, as the program that is on the disk now.
    Again,
}

/// The runtime that serves and listens for signals until the program ends.
pub(crate) struct Server {
    runtime: tokio::runtime::Runtime,
}

impl Server {
    /// Starts the runtime on one thread, and `asked` is called for every signal from then on.
    ///
    /// # Errors
    /// The system's words.
    pub(crate) fn start(asked: impl Fn(Asked) + Send + Sync + 'static) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("mayfly-server")
            .enable_all()
            .build()?;
        let asked = Arc::new(asked);
        let wanted = [
            (SignalKind::terminate(), Asked::Stop),
            (SignalKind::interrupt(), Asked::Stop),
            (SignalKind::hangup(), Asked::Now),
            (SignalKind::user_defined2(), Asked::Again),
        ];
        let guard = runtime.enter();
        for (kind, what) in wanted {
            let mut stream = signal(kind)?;
            let asked = asked.clone();
            runtime.spawn(async move {
                while stream.recv().await.is_some() {
                    asked(what);
                }
            });
        }
        drop(guard);
        Ok(Self { runtime })
    }

    /// Does something beside what the main thread does. It must not block.
    pub(crate) fn beside(&self, what: impl Future<Output = ()> + Send + 'static) -> Beside {
        Beside(self.runtime.spawn(what).abort_handle())
    }

    /// Answers on `listen` with what `board` shows. Gives the address, whose port may have been 0.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) fn serve(
        &self,
        listen: SocketAddr,
        board: Arc<Board>,
    ) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/ready", get(ready))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .with_state(board);
        let serving = self.runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the local endpoints ended");
            }
        });
        Ok((address, serving))
    }

    /// Answers there no more; its address is free when this returns.
    pub(crate) fn end(&self, serving: JoinHandle<()>) {
        serving.abort();
        let _ = self.runtime.block_on(serving);
    }
}

/// Something that is done beside, until this is dropped.
pub(crate) struct Beside(tokio::task::AbortHandle);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Text = [(header::HeaderName, &'static str); 1];
const TEXT: Text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];

/// Services are looked at by asking the supervisor, which may take a moment: never on the runtime's own thread.
async fn fresh(board: Arc<Board>) -> super::status::Status {
    let looked = board.clone();
    let _ = tokio::task::spawn_blocking(move || looked.refresh()).await;
    board.snapshot()
}

async fn ready(State(board): State<Arc<Board>>) -> impl IntoResponse {
    let status = fresh(board).await;
    let code = if status.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, TEXT, status.ready_text())
}

async fn status(State(board): State<Arc<Board>>) -> impl IntoResponse {
    axum::Json(fresh(board).await)
}

async fn metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], fresh(board).await.metrics())
}
