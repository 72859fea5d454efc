//! HTTP as a blocking caller sees it: one client on a runtime of its own, every wait with a limit, and a cancel flag.
// Effects: the network.
#![allow(clippy::disallowed_methods)]

use reqwest::redirect::Policy;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

/// Set once, seen by everything that waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ask every wait to end.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// The flag itself, for the engine.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether it was asked.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Who is at the other end, which decides about proxies, certificates and redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// On this machine or link: never through a proxy, never redirected.
    Local,
    /// A git server over plain HTTP.
    Plain,
    /// A git server over TLS.
    Tls,
    /// Any server of files, over TLS or not.
    Web,
    /// The same on this machine itself: never through a proxy.
    Near,
    /// The same where no certificate authorities are installed: without TLS.
    PlainWeb,
}

/// What is between here and there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    /// The proxies of the environment, if there are any.
    Environment,
    /// No proxy.
    Direct,
    /// This proxy.
    Proxy(&'a str),
}

/// Whether an address is one of this machine's own.
pub(crate) fn is_near(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The network, a limit or TLS; the chain of causes in one line.
    #[error("{0}")]
    Failed(String),
    /// Nothing came for too long.
    #[error("{0}")]
    TimedOut(String),
    /// The answer is larger than the caller takes: it will not get smaller.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The caller asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl Error {
    /// The address is the caller's to tell: it may hold a password.
    fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        match error.is_timeout() {
            true => Self::TimedOut(chain(&error)),
            false => Self::Failed(chain(&error)),
        }
    }
}

/// A client and the runtime that drives it. Connections are kept between calls.
#[derive(Debug)]
pub(crate) struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    cancel: Cancel,
}

impl Http {
    /// A client for one kind of peer. `stall` is the longest silence of the other end.
    ///
    /// # Errors
    /// When the runtime cannot start, or (for TLS) no certificate authorities are installed.
    pub(crate) fn new(peer: Peer, stall: Duration, cancel: Cancel) -> Result<Self, Error> {
        Self::by(Way::Environment, peer, stall, cancel)
    }

    /// A client for one address: through a proxy, where that is not the environment's to say (`HTTPS_PROXY`, `NO_PROXY`).
    /// What is on this machine is spoken to without any: what is sent in plain text there is for nobody else.
    ///
    /// # Errors
    /// As of [`Http::new`].
    pub(crate) fn towards(
        url: &str,
        peer: Peer,
        proxy: Option<&str>,
        stall: Duration,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let way = match proxy {
            _ if is_near(url) => Way::Direct,
            Some(proxy) => Way::Proxy(proxy),
            None => Way::Environment,
        };
        Self::by(way, peer, stall, cancel)
    }

    fn by(way: Way<'_>, peer: Peer, stall: Duration, cancel: Cancel) -> Result<Self, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::Failed(format!("cannot start the network runtime: {e}")))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(match peer {
                Peer::Web | Peer::Near | Peer::PlainWeb => concat!("mayfly-boot/", env!("CARGO_PKG_VERSION")),
                _ => concat!("git/2.40 (mayfly-boot ", env!("CARGO_PKG_VERSION"), ")"),
            })
            .connect_timeout(CONNECT.min(stall))
            .read_timeout(stall);
        if !matches!(peer, Peer::Tls | Peer::Web | Peer::Near) {
            // Nothing is verified here, so that a machine without certificate authorities can still fetch.
            builder = builder.tls_certs_only([]);
        }
        builder = match peer {
            Peer::Local => builder.no_proxy().redirect(Policy::none()),
            Peer::Near => builder.no_proxy().redirect(Policy::custom(follow_files)),
            Peer::Web => builder.redirect(Policy::custom(follow_files)),
            Peer::PlainWeb => builder.redirect(Policy::custom(follow_plain_files)),
            Peer::Plain | Peer::Tls => builder.redirect(Policy::custom(follow)),
        };
        builder = match way {
            Way::Environment => builder,
            Way::Direct => builder.no_proxy(),
            Way::Proxy(proxy) => {
                let proxy = reqwest::Proxy::all(proxy).map_err(|e| Error::Failed(chain(&e)))?;
                builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()))
            }
        };
        let client = builder.build().map_err(|e| Error::Failed(chain(&e)))?;
        Ok(Self { runtime, client, cancel })
    }

    /// The client, to build requests with.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Waits for a request or a part of a body, unless asked to stop.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn wait<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> Result<T, Error> {
        let cancel = &self.cancel;
        self.runtime.block_on(async move {
            let mut work = std::pin::pin!(work);
            loop {
                if cancel.is_set() {
                    return Err(Error::Cancelled);
                }
                if let Ok(result) = tokio::time::timeout(LOOK, &mut work).await {
                    return result.map_err(Error::of);
                }
            }
        })
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        // Within an async block: timers must be made on the runtime.
        self.wait(async move { request.send().await })
    }

    /// Sends and reads the whole answer, refusing bodies over `limit` bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn fetch(
        &self,
        request: reqwest::RequestBuilder,
        limit: usize,
    ) -> Result<(u16, Vec<u8>), Error> {
        let mut response = self.send(request)?;
        let mut body = Vec::new();
        while let Some(chunk) = self.wait(response.chunk())? {
            if body.len() + chunk.len() > limit {
                return Err(Error::TooLong(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), body))
    }
}

/// Few hops, and never from TLS to plain text. (The client itself drops credentials when the host changes.)
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let before = attempt.previous().last().map(|u| u.scheme().to_owned());
    match (before.as_deref(), attempt.url().scheme()) {
        (Some("https"), "http") => return attempt.error("the server redirects from https to http"),
        // Nothing is trusted on a plain connection, so TLS could not be verified either.
        (Some("http"), "https") => {
            let to = attempt.url().to_string();
            let to = to.split("/info/refs").next().unwrap_or_default();
            return attempt
                .error(format!("the server redirects to {to}; write that address into the user-data"));
        }
        _ => {}
    }
    if attempt.previous().len() > 5 {
        return attempt.error("more than 5 redirects");
    }
    attempt.follow()
}

/// Files move from plain addresses to TLS and between hosts, but never back to plain ones. To another origin the caller
/// goes by itself: it knows what is for the first one alone.
fn follow_files(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let was_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
    let leaves = attempt.previous().last().is_some_and(|url| url.origin() != attempt.url().origin());
    match (attempt.url().scheme(), attempt.previous().len()) {
        (_, 11..) => attempt.error("more than 10 redirects"),
        ("http", _) if was_tls => attempt.error("the server redirects from https to http"),
        ("https" | "http", _) if leaves => attempt.stop(),
        ("https" | "http", _) => attempt.follow(),
        _ => attempt.error("the server redirects to something that is neither https nor http"),
    }
}

/// The same where TLS cannot be verified.
fn follow_plain_files(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    match attempt.url().scheme() {
        "https" => follow(attempt),
        _ => follow_files(attempt),
    }
}

/// An error and its causes in one line, without the address (which the caller names) said twice.
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        if !text.starts_with("error sending request") && parts.last().is_none_or(|p| !p.contains(&text)) {
            parts.push(text);
        }
        next = e.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}
