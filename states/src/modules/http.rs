//! `http.query` and `http.wait_for_successful_query`: whether a server answers as it should.

use std::time::Duration;

use base64::Engine as _;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{FetchError, Request};
use crate::modules::args::{Args, scalar};
use crate::python::{regex, urls};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "match",
    "match_type",
    "status",
    "status_type",
    "wait_for",
    "request_interval",
    "method",
    "params",
    "data",
    "header_dict",
    "header_list",
    "username",
    "password",
    "raise_error",
    "timeout",
];
pub(crate) const IGNORED: &[&str] = &[
    "agent",
    "backend",
    "ca_bundle",
    "decode",
    "decode_body",
    "decode_type",
    "headers",
    "hide_fields",
    "node",
    "opts",
    "test",
    "text",
    "verify_ssl",
];

/// A longer answer is not searched.
const LIMIT: u64 = 16 << 20;
/// How long one question may take when nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Whoever takes longer to say that it is well is not.
const HEALTHY: Duration = Duration::from_secs(10);
/// How long `wait_for_successful_query` waits when nobody says otherwise.
const WAIT: Duration = Duration::from_secs(300);
/// The least between two questions.
const INTERVAL: Duration = Duration::from_millis(500);

/// What an answer must be.
#[derive(Clone)]
pub(crate) enum Expect {
    /// The text holds this, or the status is one of these.
    Is(Vec<String>),
    Like(String, Box<fancy_regex::Regex>),
}

/// A question, and what its answer must be.
#[derive(Clone)]
pub(crate) struct Query {
    request: Request,
    text: Option<Expect>,
    status: Option<Expect>,
    /// Only a success has a text.
    raise: bool,
}

/// What came of it.
pub(crate) struct Judged {
    pub(crate) good: bool,
    pub(crate) comment: String,
}

/// The declaration.
pub(crate) struct Want {
    name: String,
    query: Query,
    wait: Option<Duration>,
    interval: Duration,
}

fn expect(key: &str, kind: &str, args: &Args<'_>) -> Result<Option<Expect>, Failure> {
    let kind = args.text(kind)?;
    let Some(all) = args.list(key)? else { return Ok(None) };
    match (kind.as_deref(), all.as_slice()) {
        (Some("pcre"), [pattern]) => {
            let built = regex::build(pattern, false, false).map_err(Failure::declaration)?;
            Ok(Some(Expect::Like(pattern.clone(), Box::new(built))))
        }
        (None | Some("string" | "list"), _) => Ok(Some(Expect::Is(all))),
        (Some(other), _) => {
            Err(Failure::declaration(format!("`{key}_type` cannot be {other} for this `{key}`")))
        }
    }
}

fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let query = Query {
        request: request(&call.chunk.name, args)?,
        text: expect("match", "match_type", args)?,
        status: expect("status", "status_type", args)?,
        raise: args.flag("raise_error", true)?,
    };
    if query.text.is_none() && query.status.is_none() {
        return Err(Failure::declaration("what the answer must be is not said: give `match` or `status`"));
    }
    Ok(Want {
        name: redact::url(&call.chunk.name),
        query,
        wait: args.seconds("wait_for")?,
        interval: args.seconds("request_interval")?.unwrap_or(INTERVAL).max(INTERVAL),
    })
}

fn request(url: &str, args: &Args<'_>) -> Result<Request, Failure> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        let url = redact::url(url);
        return Err(Failure::declaration(format!(
            "{url} is no address that begins with https:// or http://"
        )));
    }
    let mut request = Request {
        method: args.text("method")?.unwrap_or_else(|| "GET".to_owned()).to_uppercase(),
        any_status: true,
        limit: LIMIT,
        timeout: args.seconds("timeout")?.unwrap_or(TIMEOUT),
        headers: headers(args)?,
        ..Request::get(url)
    };
    if let Some(params) = args.map("params")? {
        let mark = if url.contains('?') { '&' } else { '?' };
        request.url = format!("{url}{mark}{}", form(&params));
    }
    if let Some(data) = args.get("data") {
        let text = match data {
            Value::Map(map) => form(map),
            other => scalar(other).ok_or_else(|| Failure::declaration("`data` must be text or a mapping"))?,
        };
        request.body = text.into_bytes();
        let typed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed {
            request = request.header("Content-Type", "application/x-www-form-urlencoded");
        }
    }
    Ok(request)
}

fn headers(args: &Args<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for (name, value) in args.map("header_dict")?.unwrap_or_default() {
        let text = scalar(&value)
            .ok_or_else(|| Failure::declaration(format!("the header {name} in `header_dict` is no text")))?;
        all.push((name, text));
    }
    let list = args.list("header_list")?.unwrap_or_default();
    let pairs = list.iter().filter_map(|line| line.split_once(':'));
    all.extend(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
    if let (Some(user), Some(password)) = (args.text("username")?, args.text("password")?) {
        all.push(("Authorization".to_owned(), basic(&user, &password)));
    }
    Ok(all)
}

/// HTTP's own way to say who asks.
pub(crate) fn basic(user: &str, password: &str) -> String {
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {both}")
}

fn form(map: &Map) -> String {
    urls::encode(map.iter().map(|(key, value)| (key.as_str(), scalar(value).unwrap_or_default())))
}

impl Expect {
    /// How it fits: a sentence either way.
    fn judge(&self, what: &str, fits: impl Fn(&str) -> bool, text: &str) -> Judged {
        let (good, shown) = match self {
            Self::Is(all) => (all.iter().any(|one| fits(one)), format!("{:?}", all.join(", "))),
            Self::Like(pattern, regex) => {
                (regex.is_match(text).unwrap_or(false), format!("pattern {pattern:?}"))
            }
        };
        let verb = if good { "was found" } else { "was not found" };
        Judged { good, comment: format!("{what} {shown} {verb}") }
    }
}

impl Query {
    /// That an address answers with a success.
    pub(crate) fn healthy(url: &str) -> Self {
        let request = Request { any_status: true, limit: LIMIT, timeout: HEALTHY, ..Request::get(url) };
        let success = regex::build("^2..$", false, false)
            .map(|regex| Expect::Like("^2..$".to_owned(), Box::new(regex)));
        Self { request, text: None, status: success.ok(), raise: true }
    }

    /// Ask once, and take no longer than `left`.
    pub(crate) fn ask(&self, left: Option<Duration>, call: &Call<'_>) -> Result<Judged, Failure> {
        let mut request = self.request.clone();
        request.timeout = left.map_or(request.timeout, |left| request.timeout.min(left));
        let mut body = Vec::new();
        let answer = match call.context.host.network().fetch(&request, &mut body) {
            Ok(answer) => answer,
            Err(FetchError::Cancelled) => return Err(Failure::machine(FetchError::Cancelled.to_string())),
            Err(error) => return Ok(Judged { good: false, comment: format!("no answer: {error}") }),
        };
        let text = match answer.status < 400 || !self.raise {
            true => String::from_utf8_lossy(&body).into_owned(),
            false => String::new(),
        };
        let status = answer.status.to_string();
        let judged = [
            self.text.as_ref().map(|t| t.judge("the text", |one| text.contains(one), &text)),
            self.status.as_ref().map(|s| s.judge("status", |one| status == one, &status)),
        ];
        let judged: Vec<Judged> = judged.into_iter().flatten().collect();
        let good = judged.iter().all(|one| one.good);
        let mut said = judged.into_iter().map(|one| one.comment).collect::<Vec<_>>().join(", ");
        if !good {
            said.push_str(&format!("; the server answered HTTP {status}"));
        }
        Ok(Judged { good, comment: said })
    }

    /// Ask until the answer is as it must be, or for so long. A cancelled run ends at once.
    pub(crate) fn until(
        &self,
        wait: Duration,
        interval: Duration,
        call: &Call<'_>,
    ) -> Result<Judged, Failure> {
        let host = call.context.host;
        let end = host.now() + wait.as_secs_f64();
        loop {
            let left = Duration::try_from_secs_f64(end - host.now()).unwrap_or_default();
            let judged = self.ask(Some(left.max(Duration::from_secs(1))), call)?;
            if judged.good || host.now() + interval.as_secs_f64() >= end || host.cancelled() {
                return Ok(judged);
            }
            host.pause(interval);
        }
    }
}

fn rehearsal(want: &Want) -> Diff<()> {
    Diff::Change { plan: (), changes: Map::new(), would: format!("{} would be asked", want.name) }
}

fn applied(want: &Want, judged: &Judged) -> Applied {
    let comment = format!("{}: {}", want.name, judged.comment);
    Applied { comment, changes: Some(Map::new()), failed: !judged.good }
}

/// `http.query`.
pub(crate) struct Once;

impl StateFn for Once {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    /// A question may change something at the other end, so it is part of the run.
    fn observe(_: &Want, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff(want: &Want, (): &()) -> Diff<()> {
        rehearsal(want)
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let judged = match want.wait {
            None => want.query.ask(None, call)?,
            Some(wait) => want.query.until(wait, want.interval, call)?,
        };
        Ok(applied(want, &judged))
    }
}

/// `http.wait_for_successful_query`.
pub(crate) struct Wait;

impl StateFn for Wait {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn observe(_: &Want, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff(want: &Want, (): &()) -> Diff<()> {
        rehearsal(want)
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let judged = want.query.until(want.wait.unwrap_or(WAIT), want.interval, call)?;
        Ok(applied(want, &judged))
    }
}
