//! Asks an instance whether it is ready.
// Effects: HTTP requests to instances.

use crate::clean;
use async_trait::async_trait;
use std::error::Error;
use std::time::Duration;

/// How much of a body is kept as evidence.
const BODY: usize = 200;

/// What an instance answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// 200.
    Ready,
    /// Another status, with the start of the body.
    Status(u16, String),
    /// No answer.
    Nothing(String),
}

impl ProbeAnswer {
    /// In one line.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Ready => "200".to_owned(),
            Self::Status(status, body) if body.is_empty() => format!("answered {status}"),
            Self::Status(status, body) => format!("answered {status}: {body}"),
            Self::Nothing(why) => format!("no answer: {why}"),
        }
    }
}

/// Asks one address.
#[async_trait]
pub trait Prober: Send + Sync {
    /// One question, answered within `timeout`.
    async fn probe(&self, url: &str, timeout: Duration) -> ProbeAnswer;
}

/// Asks over HTTP, straight: no proxy, no redirects. Like a load balancer's check it does not judge certificates,
/// because instances are asked by address.
pub struct HttpProber(reqwest::Client);

impl HttpProber {
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .tls_danger_accept_invalid_certs(true)
            .user_agent(concat!("mayfly/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, url: &str, timeout: Duration) -> ProbeAnswer {
        let mut response = match self.0.get(url).timeout(timeout).send().await {
            Ok(response) => response,
            Err(error) => return ProbeAnswer::Nothing(root_cause(&error)),
        };
        let status = response.status().as_u16();
        if status == 200 {
            return ProbeAnswer::Ready;
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= BODY {
                break;
            }
        }
        body.truncate(BODY);
        ProbeAnswer::Status(status, one_line(&String::from_utf8_lossy(&body)))
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "timed out".to_owned() } else { cause.to_string() }
}

fn one_line(text: &str) -> String {
    clean::line(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}
