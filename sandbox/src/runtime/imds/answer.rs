//! Decides the answer to one metadata request. Pure: time and randomness are arguments.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use base64::Engine;
use http::StatusCode;

use super::tree::{self, Identity};

/// Longest life of a token, six hours.
const LONGEST: u32 = 21_600;
/// Tokens of one instance that are remembered; its oldest is forgotten for a new one. A process that asks for more than
/// that must not take away those of other instances.
const TOKENS: usize = 256;

/// Versions of the tree that are listed; they are all the same here.
const VERSIONS: [&str; 4] = ["1.0", "2021-03-23", "2021-07-15", "latest"];

/// What a request asks.
pub(super) struct Query<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) ttl: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) forwarded: bool,
}

/// Its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    pub(super) ttl: Option<u32>,
    /// Its `Content-Type`.
    pub(super) kind: &'static str,
    /// The methods that would have been right.
    pub(super) allow: Option<&'static str>,
}

impl Reply {
    fn plain(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self { status, ..Self::ok(format!("{} - {reason}\n", status.as_u16()).into_bytes(), None) }
    }

    fn ok(body: Vec<u8>, ttl: Option<u32>) -> Self {
        Self { status: StatusCode::OK, body, ttl, kind: "text/plain", allow: None }
    }

    fn wrong_method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::plain(StatusCode::METHOD_NOT_ALLOWED) }
    }
}

#[derive(Debug)]
struct Token {
    text: String,
    until: Instant,
    ttl: u32,
}

/// The tokens that were given out, by instance id, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, VecDeque<Token>>);

impl Tokens {
    fn give(&mut self, instance: &str, ttl: u32, now: Instant, random: [u8; 32]) -> String {
        self.forget(now);
        let tokens = self.0.entry(instance.to_owned()).or_default();
        if tokens.len() == TOKENS {
            tokens.pop_front();
        }
        let text = base64::engine::general_purpose::URL_SAFE.encode(random);
        tokens.push_back(Token { text: text.clone(), until: now + Duration::from_secs(u64::from(ttl)), ttl });
        text
    }

    /// Drops what has expired, and with it the instances that are long gone.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, tokens| {
            tokens.retain(|token| token.until > now);
            !tokens.is_empty()
        });
    }

    /// Seconds that a valid token was given for.
    fn check(&self, text: &str, instance: &str, now: Instant) -> Option<u32> {
        let valid = |token: &&Token| token.text == text && token.until > now;
        self.0.get(instance)?.iter().find(valid).map(|token| token.ttl)
    }
}

/// The answer to `query` from the instance `identity`.
pub(super) fn answer(
    query: &Query<'_>,
    identity: Option<&Identity>,
    tokens: &mut Tokens,
    now: Instant,
    random: impl FnOnce() -> [u8; 32],
) -> Reply {
    // Not 404: that would tell an instance whose record lags behind that it has no user-data.
    let Some(identity) = identity else { return Reply::plain(StatusCode::SERVICE_UNAVAILABLE) };
    if !identity.endpoint_enabled {
        return Reply::plain(StatusCode::FORBIDDEN);
    }
    let Some(path) = decoded(query.path) else { return Reply::plain(StatusCode::BAD_REQUEST) };
    match (query.method, resource(&path)) {
        // Behind a proxy the source address is not the instance's.
        ("PUT", Some("api/token")) if query.forwarded => Reply::plain(StatusCode::FORBIDDEN),
        ("PUT", Some("api/token")) => give_token(query, identity, tokens, now, random()),
        (_, Some("api/token")) => Reply::wrong_method("OPTIONS, PUT"),
        ("GET" | "HEAD", resource) => read(query, identity, tokens, now, resource),
        _ => Reply::wrong_method("OPTIONS, GET, HEAD"),
    }
}

/// The path with its percent-escapes undone: some clients escape the colons of tag keys. `None` where that is no text.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut pieces = path.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The part after the version (`latest`, or a date); `None` when there is no known version.
fn resource(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    let dated = version.len() == 10 && version.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    (version == "latest" || version == "1.0" || dated).then_some(rest)
}

fn give_token(
    query: &Query<'_>,
    identity: &Identity,
    tokens: &mut Tokens,
    now: Instant,
    random: [u8; 32],
) -> Reply {
    let ttl = query.ttl.and_then(|text| text.parse().ok()).filter(|ttl| (1..=LONGEST).contains(ttl));
    let Some(ttl) = ttl else { return Reply::plain(StatusCode::BAD_REQUEST) };
    let token = tokens.give(&identity.id, ttl, now, random);
    Reply::ok(token.into_bytes(), Some(ttl))
}

/// What lies at `resource`, to whoever may see it; `None` is a path without a known version.
fn read(
    query: &Query<'_>,
    identity: &Identity,
    tokens: &Tokens,
    now: Instant,
    resource: Option<&str>,
) -> Reply {
    let ttl = match query.token {
        Some(token) => match tokens.check(token, &identity.id, now) {
            Some(ttl) => Some(ttl),
            None => return Reply::plain(StatusCode::UNAUTHORIZED),
        },
        None if identity.tokens_required => return Reply::plain(StatusCode::UNAUTHORIZED),
        None => None,
    };
    let Some(resource) = resource else {
        return if query.path == "/" {
            Reply::ok(VERSIONS.join("\n").into_bytes(), ttl)
        } else {
            Reply::plain(StatusCode::NOT_FOUND)
        };
    };
    let kind = match resource {
        "user-data" | "user-data/" => "application/octet-stream",
        _ => "text/plain",
    };
    match tree::look_up(identity, resource) {
        Some(body) => Reply { kind, ..Reply::ok(body, ttl) },
        None => Reply::plain(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(path: &'a str, token: Option<&'a str>) -> Query<'a> {
        Query { method: "GET", path, ttl: None, token, forwarded: false }
    }

    fn put(ttl: Option<&str>, forwarded: bool) -> Query<'_> {
        Query { method: "PUT", path: "/latest/api/token", ttl, token: None, forwarded }
    }

    fn ask(query: &Query<'_>, who: &Identity, tokens: &mut Tokens, now: Instant) -> Reply {
        answer(query, Some(who), tokens, now, || [7; 32])
    }

    #[test]
    fn a_token_opens_the_tree_until_it_expires_and_for_its_instance_only() {
        let (mut tokens, now, who) = (Tokens::default(), Instant::now(), tree::tests::identity());
        let reply = ask(&put(Some("60"), false), &who, &mut tokens, now);
        assert_eq!((reply.status, reply.ttl), (StatusCode::OK, Some(60)));
        let token = String::from_utf8(reply.body).unwrap();
        let query = get("/latest/meta-data/instance-id", Some(&token));
        assert_eq!(ask(&query, &who, &mut tokens, now).body, b"i-1");
        let later = now + Duration::from_secs(61);
        assert_eq!(ask(&query, &who, &mut tokens, later).status, StatusCode::UNAUTHORIZED);
        let other = Identity { id: "i-2".into(), ..who };
        assert_eq!(ask(&query, &other, &mut tokens, now).status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn without_a_token_the_answer_is_401_where_tokens_are_required() {
        let (mut tokens, now, mut who) = (Tokens::default(), Instant::now(), tree::tests::identity());
        let query = get("/latest/user-data", None);
        assert_eq!(ask(&query, &who, &mut tokens, now).status, StatusCode::UNAUTHORIZED);
        who.tokens_required = false;
        assert_eq!(ask(&query, &who, &mut tokens, now).body, b"#mayfly\n");
        let wrong = get("/latest/user-data", Some("wrong"));
        assert_eq!(ask(&wrong, &who, &mut tokens, now).status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn tokens_live_1_to_21600_seconds_and_are_refused_behind_proxies() {
        let (mut tokens, now, who) = (Tokens::default(), Instant::now(), tree::tests::identity());
        for ttl in [None, Some("0"), Some("21601"), Some("-1"), Some("x")] {
            assert_eq!(
                ask(&put(ttl, false), &who, &mut tokens, now).status,
                StatusCode::BAD_REQUEST,
                "{ttl:?}"
            );
        }
        assert_eq!(ask(&put(Some("21600"), false), &who, &mut tokens, now).status, StatusCode::OK);
        assert_eq!(ask(&put(Some("60"), true), &who, &mut tokens, now).status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn strangers_and_disabled_endpoints_get_nothing() {
        let (mut tokens, now, mut who) = (Tokens::default(), Instant::now(), tree::tests::identity());
        let stranger = answer(&put(Some("60"), false), None, &mut tokens, now, || [0; 32]);
        assert_eq!(stranger.status, StatusCode::SERVICE_UNAVAILABLE);
        who.endpoint_enabled = false;
        assert_eq!(ask(&put(Some("60"), false), &who, &mut tokens, now).status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn versions_are_latest_or_dated() {
        assert_eq!(resource("/latest/meta-data/"), Some("meta-data/"));
        assert_eq!(resource("/2021-07-15/user-data"), Some("user-data"));
        assert_eq!(resource("/newest/user-data"), None);
    }

    #[test]
    fn one_instance_cannot_take_away_the_tokens_of_another() {
        let (mut tokens, now) = (Tokens::default(), Instant::now());
        let kept = tokens.give("i-1", 60, now, [0; 32]);
        let first = tokens.give("i-2", 60, now, [1; 32]);
        for number in 2..=u8::MAX {
            tokens.give("i-2", 60, now, [number; 32]);
        }
        assert_eq!(tokens.check(&first, "i-2", now), Some(60));
        for number in 0..10 {
            tokens.give("i-2", 60, now, [number; 32]);
        }
        assert_eq!((tokens.check(&kept, "i-1", now), tokens.0["i-2"].len()), (Some(60), TOKENS));
        tokens.forget(now + Duration::from_secs(60));
        assert!(tokens.0.is_empty());
    }

    #[test]
    fn escapes_are_undone_where_they_are_text() {
        assert_eq!(decoded("/a%3Ab%20c").as_deref(), Some("/a:b c"));
        assert_eq!(["/%", "/%4", "/%zz", "/%ff"].map(decoded), [None, None, None, None]);
    }
}
