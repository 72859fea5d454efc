//! The demo's release server: one file over HTTP, for instances of stock images.
// Effects: a socket.
#![allow(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest head of a request that is read.
const HEAD: usize = 8 * 1024;

/// Gives `content` to whoever asks, until the program ends; where.
pub(super) async fn serve(content: Vec<u8>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let content = Arc::new(content);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let content = Arc::clone(&content);
            // A client that hangs up has what it wanted.
            tokio::spawn(async move { drop(answer(stream, &content).await) });
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream, content: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(content).await?;
    stream.shutdown().await
}
