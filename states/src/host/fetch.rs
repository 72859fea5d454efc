//! The network as the states see it: one question to a server, and its answer streamed to whoever asks.

use std::io::{self, Write};
use std::time::Duration;

/// What is asked of a server.
///
/// Without `Debug`: addresses and headers hold passwords.
#[derive(Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`, …
    pub method: String,
    /// `https://…`, `http://…` or `s3://bucket/key`.
    pub url: String,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// What is sent with it.
    pub body: Vec<u8>,
    /// Take the body of an answer of any status, not only of a success.
    pub any_status: bool,
    /// A longer body is refused.
    pub limit: u64,
    /// The whole of it takes no longer than this.
    pub timeout: Duration,
}

impl Request {
    /// A file may be as large as this.
    pub const LIMIT: u64 = 8 << 30;
    /// And take as long as this, as long as something arrives all the time.
    pub const TIMEOUT: Duration = Duration::from_secs(3600);

    /// Get a file.
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            any_status: false,
            limit: Self::LIMIT,
            timeout: Self::TIMEOUT,
        }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status. 304 is an answer to a request with `If-None-Match`, and has no body.
    pub status: u16,
    /// What the server calls this version of the content.
    pub etag: Option<String>,
    /// Headers, by names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Why there is no answer. The address is not said: whoever asked knows it, and it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no way to the network.
    #[error("this program has no access to the network")]
    NoNetwork,
    /// The server refuses, or has nothing there.
    #[error("the server answers HTTP {status}{detail}")]
    Status {
        /// The status.
        status: u16,
        /// The server's own code, in brackets, or nothing.
        detail: String,
    },
    /// There is more than was to be taken.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// It took too long.
    #[error("{what} within {seconds} s")]
    Deadline {
        /// What did not happen.
        what: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// The network, TLS, or an address that is none.
    #[error("{0}")]
    Failed(String),
    /// What arrived could not be written.
    #[error("cannot write what arrives: {0}")]
    Write(#[from] io::Error),
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
}

/// Who asks servers.
pub trait Fetch: Send + Sync {
    /// Ask, and write the body to `to` as it arrives.
    ///
    /// # Errors
    /// See [`FetchError`]. What was written by then is of no use.
    fn fetch(&self, request: &Request, to: &mut dyn Write) -> Result<Answer, FetchError>;
}

/// A machine without a network.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNetwork;

impl Fetch for NoNetwork {
    fn fetch(&self, _: &Request, _: &mut dyn Write) -> Result<Answer, FetchError> {
        Err(FetchError::NoNetwork)
    }
}
