//! libgit2's smart protocol over our own connections: HTTP(S) by rustls, SSH by the `ssh` program.
//!
//! libgit2 finds transports by the scheme of the URL, process-wide, and gives them nothing but the URL. What a fetch may
//! use (token, key, limits) therefore waits in a thread-local while that fetch runs on its thread.

// Effects: the network, and the clock for its limits.
#![allow(clippy::disallowed_methods)]

use super::budget::Budget;
use super::login::KeyFile;
use super::ssh::SshSession;
use crate::http::{self, Cancel, Http};
use crate::userdata::SshAddress;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

/// The most we send: references we have and want.
const MAX_REQUEST: usize = 16 * 1024 * 1024;
/// The longest silence of a remote.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// How a remote is spoken to.
#[derive(Debug)]
pub(super) enum Access {
    /// Over HTTP or HTTPS.
    Http {
        /// The client; connections are kept from fetch to fetch.
        http: Arc<Http>,
        /// `Authorization` for the repository's own origin.
        authorization: Option<reqwest::header::HeaderValue>,
    },
    /// Over SSH.
    Ssh {
        /// Where to.
        address: SshAddress,
        /// Private key.
        key: Option<KeyFile>,
        /// Known hosts.
        known_hosts_file: Option<PathBuf>,
        /// To stop by.
        cancel: Cancel,
    },
}

/// What went wrong on the wire, in our words: libgit2 would only hand on the last part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WireError {
    /// It cannot be reached, or broke off.
    Unreachable(String),
    /// It answered, and will not give it.
    Refused(String),
    /// It sends more bytes than one tree may cost: no other question changes that.
    TooMuch(String),
    /// It sends more bytes than the disk has room for.
    NoRoom(u64),
    /// The program was asked to stop.
    Cancelled,
}

#[derive(Clone)]
struct Current {
    access: Arc<Access>,
    failure: Arc<Mutex<Option<WireError>>>,
    /// What the disk has room for, and what the whole tree may cost.
    room: u64,
    budget: Budget,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Runs `work`, whose libgit2 calls on this thread speak by `access`, and gives what the wire met beside the result. The
/// disk has `room` for what comes, and `budget` says how much may come, and until when.
pub(super) fn speaking<T>(
    access: Arc<Access>,
    room: u64,
    budget: Budget,
    work: impl FnOnce() -> T,
) -> (T, Option<WireError>) {
    register();
    let failure = Arc::new(Mutex::new(None));
    CURRENT.set(Some(Current { access, failure: failure.clone(), room, budget }));
    let result = work();
    CURRENT.set(None);
    let failure = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    (result, failure)
}

/// Takes over the three schemes, once.
#[allow(unsafe_code)]
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (scheme, stateless) in [("http", true), ("https", true), ("ssh", false)] {
            // SAFETY: registration must not run beside the making of transports. `Once` lets one thread in, others wait
            // for it, and every transport of this program is made inside `speaking`, which comes here first.
            let done = unsafe {
                git2::transport::register(scheme, move |remote| {
                    Transport::smart(remote, stateless, Subtransport::new()?)
                })
            };
            if let Err(error) = done {
                tracing::error!(scheme, %error, "libgit2 refused the transport");
            }
        }
    });
}

struct Subtransport {
    current: Current,
    /// Where the repository turned out to be after redirects of the first request.
    moved: Mutex<Option<String>>,
}

impl Subtransport {
    fn new() -> Result<Self, git2::Error> {
        let current = CURRENT.with_borrow(Clone::clone);
        let current = current.ok_or_else(|| git2::Error::from_str("no access was given for this remote"))?;
        Ok(Self { current, moved: Mutex::new(None) })
    }
}

impl Current {
    /// Keeps our words and gives libgit2 its own.
    fn fail(&self, error: WireError) -> io::Error {
        let mut kept = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.get_or_insert(error);
        io::Error::other("the connection to the remote failed")
    }

    /// Whether a remote that has sent `fresh` bytes more, and `received` in this answer, may go on.
    fn check(&self, received: u64, fresh: usize) -> io::Result<()> {
        let may = match received > self.room {
            // libgit2 writes a pack through a mapping, and a full disk under one can end the process.
            true => Err(WireError::NoRoom(self.room)),
            false => self.budget.receive(fresh as u64).map_err(WireError::TooMuch),
        };
        let may = may.and_then(|()| self.budget.time(Instant::now()).map_err(WireError::Unreachable));
        may.map_err(|error| self.fail(error))
    }
}

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let opened = match &*self.current.access {
            Access::Http { .. } => self.http(url, action),
            Access::Ssh { address, key, known_hosts_file, cancel } => {
                let session = SshSession::open(
                    address,
                    key.as_ref().map(|key| key.path.as_path()),
                    known_hosts_file.as_deref(),
                    cancel.clone(),
                );
                let session = session.map_err(|e| self.current.fail(e));
                session.map(|session| Box::new(SshStream { session, current: self.current.clone() }) as _)
            }
        };
        opened.map_err(|e| {
            git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Net, e.to_string())
        })
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

impl Subtransport {
    fn http(&self, url: &str, action: Service) -> io::Result<Box<dyn SmartSubtransportStream>> {
        let Access::Http { http, authorization } = &*self.current.access else {
            return Err(io::Error::other("not an HTTP remote"));
        };
        let mut moved = self.moved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let base = moved.clone().unwrap_or_else(|| url.trim_end_matches('/').to_owned());
        let request = match action {
            Service::UploadPackLs => http.client().get(format!("{base}/info/refs?service=git-upload-pack")),
            Service::UploadPack => http
                .client()
                .post(format!("{base}/git-upload-pack"))
                .header("Content-Type", "application/x-git-upload-pack-request")
                .header("Accept", "application/x-git-upload-pack-result"),
            _ => return Err(io::Error::other("this program never pushes")),
        };
        let request = match authorization.as_ref().filter(|_| same_origin(url, &base)) {
            Some(value) => request.header(reqwest::header::AUTHORIZATION, value.clone()),
            None => request,
        };
        let mut stream = HttpStream {
            http: http.clone(),
            request: Some(request),
            body: Vec::new(),
            answer: None,
            read: 0,
            current: self.current.clone(),
        };
        if action == Service::UploadPackLs {
            let landed = stream.start("application/x-git-upload-pack-advertisement")?;
            let landed = landed.split("/info/refs").next().unwrap_or_default().to_owned();
            *moved = (landed != base).then_some(landed);
        }
        Ok(Box::new(stream))
    }
}

fn same_origin(a: &str, b: &str) -> bool {
    let origin = |u: &str| reqwest::Url::parse(u).map(|u| u.origin());
    matches!((origin(a), origin(b)), (Ok(a), Ok(b)) if a == b)
}

struct HttpStream {
    http: Arc<Http>,
    request: Option<reqwest::RequestBuilder>,
    body: Vec<u8>,
    answer: Option<(reqwest::Response, bytes::Bytes)>,
    read: u64,
    current: Current,
}

impl HttpStream {
    /// Sends the request and checks the head of the answer. Gives the address that answered.
    fn start(&mut self, content_type: &str) -> io::Result<String> {
        let Some(request) = self.request.take() else { return Ok(String::new()) };
        let request =
            if self.body.is_empty() { request } else { request.body(std::mem::take(&mut self.body)) };
        let response = self.http.send(request).map_err(|e| self.wire(e))?;
        let landed = response.url().to_string();
        let status = response.status().as_u16();
        let sent =
            response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
        let problem = match status {
            200 if sent.starts_with(content_type) => None,
            200 => Some(WireError::Refused(format!(
                "answers with {sent}, which is not git's smart HTTP protocol"
            ))),
            401 | 403 => Some(WireError::Refused(format!(
                "HTTP {status}: not allowed; check `states.token` or `token_file`"
            ))),
            404 => Some(WireError::Refused("HTTP 404: no such repository, or not allowed to see it".into())),
            429 | 500.. => Some(WireError::Unreachable(format!("HTTP {status}"))),
            _ => Some(WireError::Refused(format!("HTTP {status}"))),
        };
        if let Some(problem) = problem {
            return Err(self.current.fail(problem));
        }
        self.answer = Some((response, bytes::Bytes::new()));
        Ok(landed)
    }

    fn wire(&self, error: http::Error) -> io::Error {
        self.current.fail(match error {
            http::Error::Cancelled => WireError::Cancelled,
            http::Error::TooLong(_) => WireError::Refused(error.to_string()),
            http::Error::Failed(cause) | http::Error::TimedOut(cause) => WireError::Unreachable(cause),
        })
    }
}

impl Write for HttpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.body.len() + bytes.len() > MAX_REQUEST {
            return Err(self.current.fail(WireError::Refused("the negotiation grows without end".into())));
        }
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for HttpStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.start("application/x-git-upload-pack-result")?;
        let Some((response, rest)) = &mut self.answer else { return Ok(0) };
        while rest.is_empty() {
            match self.http.wait(response.chunk()) {
                Ok(Some(chunk)) => *rest = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(self.wire(error)),
            }
        }
        let taken = rest.split_to(rest.len().min(out.len()));
        self.read += taken.len() as u64;
        self.current.check(self.read, taken.len())?;
        out[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

struct SshStream {
    session: SshSession,
    current: Current,
}

impl Read for SshStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.session.read(out).map_err(|e| self.current.fail(e))?;
        self.current.check(self.session.received(), read)?;
        Ok(read)
    }
}

impl Write for SshStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.session.write(bytes).map_err(|e| self.current.fail(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
