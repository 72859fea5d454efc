//! Files from servers for the states: HTTP, HTTPS and S3, streamed, with a limit to every wait and to the size.
// Effects: the network and the clock.
#![allow(clippy::disallowed_methods)]

mod s3;

pub(crate) use crate::aws::Environment;

use crate::http::{self, Cancel, Http, Peer, is_near};
use mayfly_states::host::{Answer, Fetch, FetchError, Request};
use s3::S3;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest silence of a server.
const STALL: Duration = Duration::from_secs(60);
/// Over how many servers a redirect may lead.
const ORIGINS: usize = 10;
/// Headers that go to another server too when the first one sends us there.
const HARMLESS: &[&str] = &["accept", "if-none-match", "if-modified-since", "user-agent"];
/// How much of a refusal is read to find its code.
const REFUSAL: usize = 64 * 1024;

/// The network of an instance. Nothing is set up before it is needed.
pub(crate) struct Web {
    stall: Duration,
    cancel: Cancel,
    secure: OnceLock<Result<Http, String>>,
    near: OnceLock<Result<Http, String>>,
    plain: OnceLock<Result<Http, String>>,
    s3: S3,
}

impl Web {
    /// With the metadata service at `imds` for credentials, and what the environment says of them.
    pub(crate) fn new(imds: &str, environment: Environment, cancel: Cancel) -> Self {
        let s3 = S3::new(imds, environment, cancel.clone());
        Self {
            stall: STALL,
            cancel,
            secure: OnceLock::new(),
            near: OnceLock::new(),
            plain: OnceLock::new(),
            s3,
        }
    }

    /// The client for an address. Where no certificate authorities are installed, plain addresses can still be asked.
    fn client(&self, url: &str) -> Result<&Http, FetchError> {
        let made = |peer| Http::new(peer, self.stall, self.cancel.clone()).map_err(|e| e.to_string());
        let secure = match is_near(url) {
            true => self.near.get_or_init(|| made(Peer::Near)),
            false => self.secure.get_or_init(|| made(Peer::Web)),
        };
        let chosen = match secure {
            Err(_) if url.starts_with("http://") => self.plain.get_or_init(|| made(Peer::PlainWeb)),
            other => other,
        };
        chosen.as_ref().map_err(|why| FetchError::Failed(why.clone()))
    }

    fn failed(&self, error: http::Error, request: &Request, end: Instant) -> FetchError {
        match error {
            http::Error::Cancelled => FetchError::Cancelled,
            http::Error::TimedOut(_) if Instant::now() >= end => {
                let seconds = request.timeout.as_secs();
                FetchError::Deadline { what: "it was not complete", seconds }
            }
            http::Error::TimedOut(cause) if cause.contains("connect") => FetchError::Failed(cause),
            http::Error::TimedOut(_) => {
                FetchError::Deadline { what: "nothing came from the server", seconds: self.stall.as_secs() }
            }
            http::Error::Failed(cause) => FetchError::Failed(cause),
            http::Error::TooLong(limit) => FetchError::TooLarge(limit as u64),
        }
    }

    /// The head of the answer, wherever the server sends us. What is for this server alone stays with it.
    fn reach(
        &self,
        url: &str,
        request: &Request,
        end: Instant,
    ) -> Result<(&Http, reqwest::Response), FetchError> {
        let mut request = request.clone();
        let mut url = url.to_owned();
        for _ in 0..=ORIGINS {
            let http = self.client(&url)?;
            let response =
                http.send(build(http, &url, &request)?).map_err(|error| self.failed(error, &request, end))?;
            let Some(next) = elsewhere(&response) else { return Ok((http, response)) };
            if !request.body.is_empty() || !matches!(request.method.as_str(), "GET" | "HEAD") {
                let why = "the server redirects to another one, to which only GET and HEAD are sent";
                return Err(FetchError::Failed(why.to_owned()));
            }
            request.headers.retain(|(name, _)| HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known)));
            request.timeout = end.saturating_duration_since(Instant::now());
            url = next.into();
        }
        Err(FetchError::Failed(format!("more than {ORIGINS} redirects")))
    }

    /// One question to one address.
    fn ask(&self, url: &str, request: &Request, to: &mut dyn Write) -> Result<Asked, FetchError> {
        let end = Instant::now() + request.timeout;
        let failed = |error| self.failed(error, request, end);
        let (http, mut response) = self.reach(url, request, end)?;
        let answer = head(&response);
        let taken = response.status().is_success() || request.any_status;
        if !taken && answer.status != 304 {
            let words = if url_is_s3(request) { refusal(http, &mut response) } else { Vec::new() };
            return Ok(Asked::Refused(answer, words));
        }
        if response.content_length().is_some_and(|length| length > request.limit) && request.method != "HEAD"
        {
            return Err(FetchError::TooLarge(request.limit));
        }
        let mut length = 0_u64;
        while let Some(chunk) = http.wait(response.chunk()).map_err(failed)? {
            length += chunk.len() as u64;
            if length > request.limit {
                return Err(FetchError::TooLarge(request.limit));
            }
            to.write_all(&chunk)?;
        }
        Ok(Asked::Answered(answer))
    }
}

/// Where a redirect leads, when that is another scheme, host or port: the client has not followed it.
fn elsewhere(response: &reqwest::Response) -> Option<reqwest::Url> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let next = response.headers().get("location").filter(|_| moved)?;
    let next = response.url().join(next.to_str().ok()?).ok()?;
    (next.origin() != response.url().origin()).then_some(next)
}

/// What came of one question.
enum Asked {
    Answered(Answer),
    /// With the first of the server's words.
    Refused(Answer, Vec<u8>),
}

impl Fetch for Web {
    fn fetch(&self, request: &Request, to: &mut dyn Write) -> Result<Answer, FetchError> {
        let asked = match request.url.strip_prefix("s3://") {
            None => self.ask(&request.url, request, to)?,
            Some(object) => self.object(object, request, to)?,
        };
        match asked {
            Asked::Answered(answer) => Ok(answer),
            Asked::Refused(answer, words) => {
                Err(FetchError::Status { status: answer.status, detail: s3::code(&words) })
            }
        }
    }
}

impl Web {
    /// An object of a bucket; once more when the bucket turns out to be in another region.
    fn object(&self, object: &str, request: &Request, to: &mut dyn Write) -> Result<Asked, FetchError> {
        let first = self.ask(&self.s3.signed(object, None)?, request, to)?;
        let Asked::Refused(answer, _) = &first else { return Ok(first) };
        let region = answer.headers.iter().find(|(name, _)| name == "x-amz-bucket-region");
        match region {
            Some((_, region)) if matches!(answer.status, 301 | 307 | 400 | 403) => {
                match self.s3.elsewhere(object, region)? {
                    Some(url) => self.ask(&url, request, to),
                    None => Ok(first),
                }
            }
            _ => Ok(first),
        }
    }
}

fn url_is_s3(request: &Request) -> bool {
    request.url.starts_with("s3://")
}

fn build(http: &Http, url: &str, request: &Request) -> Result<reqwest::RequestBuilder, FetchError> {
    let odd = |what: &str| FetchError::Failed(format!("{what} cannot be sent"));
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).map_err(|_| odd("this method"))?;
    let url = reqwest::Url::parse(url).map_err(|e| FetchError::Failed(format!("this is no address: {e}")))?;
    let mut builder = http.client().request(method, url).timeout(request.timeout);
    for (name, value) in &request.headers {
        let value = reqwest::header::HeaderValue::from_str(value).map_err(|_| odd(&format!("header {name}")));
        let mut value = value?;
        value.set_sensitive(true);
        builder = builder.header(name.as_str(), value);
    }
    if !request.body.is_empty() {
        builder = builder.body(request.body.clone());
    }
    Ok(builder)
}

fn head(response: &reqwest::Response) -> Answer {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    Answer {
        status: response.status().as_u16(),
        etag: response.headers().get("etag").map(text).filter(|etag| !etag.is_empty()),
        headers: headers.collect(),
    }
}

/// The beginning of what a server says when it refuses.
fn refusal(http: &Http, response: &mut reqwest::Response) -> Vec<u8> {
    let mut words = Vec::new();
    while let Ok(Some(chunk)) = http.wait(response.chunk()) {
        words.extend_from_slice(&chunk);
        if words.len() > REFUSAL {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests;
