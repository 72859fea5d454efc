//! Clients for the tests: one request a connection, or many on one.
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::within;

/// A kept-alive connection to the balancer.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(super) async fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.expect("the balancer listens");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        // Its end is seen by the requests.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Self { sender }
    }

    /// Waits for the head of the answer.
    pub(super) async fn begin(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        within("an answer", async {
            self.sender.ready().await.expect("the connection is kept");
            self.sender.send_request(request).await.expect("an answer")
        })
        .await
    }

    pub(super) async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let answer = self.begin(request(Method::GET, path, Bytes::new())).await;
        let status = answer.status();
        let body = within("a body", answer.into_body().collect()).await.expect("a whole body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

pub(super) fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let head = Request::builder().method(method).uri(path).header("host", "shop.example");
    head.body(Full::new(body)).expect("a request")
}

/// One request on a connection of its own.
pub(super) async fn get(at: SocketAddr, path: &str) -> (StatusCode, String) {
    Client::connect(at).await.get(path).await
}

/// The body of a 200.
pub(super) async fn body(at: SocketAddr, path: &str) -> String {
    let (status, body) = get(at, path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}
