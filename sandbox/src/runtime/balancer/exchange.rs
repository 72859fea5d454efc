//! One request and one answer over a connection of their own.
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// The largest head of a request or an answer, as the classic balancer has it.
pub(super) const HEAD_LIMIT: usize = 64 << 10;

/// The connection that an answer's body comes from; closed on drop.
pub(super) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends the request and waits for the head of the answer. Dropping the future closes the connection.
///
/// # Errors
/// When the other side hangs up or does not speak HTTP.
pub(super) async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<B>,
) -> hyper::Result<(Response<Incoming>, Connection)>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_header_size(HEAD_LIMIT)
        .handshake(TokioIo::new(stream))
        .await?;
    // Its error is the exchange's too, and told there.
    let connection = Connection(tokio::spawn(async move { connection.await.unwrap_or_default() }));
    let response = sender.send_request(request).await?;
    Ok((response, connection))
}
