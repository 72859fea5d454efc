//! Decides the answer to one metadata request. Pure: time and randomness are arguments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine;
use http::StatusCode;

use super::tree::{self, Identity};

/// Longest life of a token, six hours.
const LONGEST: u32 = 21_600;
/// Tokens that are remembered; the oldest is forgotten for a new one.
const TOKENS: usize = 4096;

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
}

impl Reply {
    fn plain(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self { status, body: format!("{} - {reason}\n", status.as_u16()).into_bytes(), ttl: None }
    }
}

#[derive(Debug)]
struct Token {
    text: String,
    instance: String,
    until: Instant,
    ttl: u32,
}

/// The tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens(VecDeque<Token>);

impl Tokens {
    fn give(&mut self, instance: &str, ttl: u32, now: Instant, random: [u8; 32]) -> String {
        self.0.retain(|token| token.until > now);
        if self.0.len() == TOKENS {
            self.0.pop_front();
        }
        let text = base64::engine::general_purpose::URL_SAFE.encode(random);
        let until = now + Duration::from_secs(u64::from(ttl));
        self.0.push_back(Token { text: text.clone(), instance: instance.to_owned(), until, ttl });
        text
    }

    /// Seconds that a valid token was given for.
    fn check(&self, text: &str, instance: &str, now: Instant) -> Option<u32> {
        let valid = |token: &&Token| token.text == text && token.instance == instance && token.until > now;
        self.0.iter().find(valid).map(|token| token.ttl)
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
    let Some(identity) = identity else { return Reply::plain(StatusCode::NOT_FOUND) };
    // Behind a proxy the source address is not the instance's: EC2 refuses these.
    if query.forwarded || !identity.endpoint_enabled {
        return Reply::plain(StatusCode::FORBIDDEN);
    }
    match (query.method, resource(query.path)) {
        ("PUT", Some("api/token")) => give_token(query, identity, tokens, now, random()),
        ("PUT", _) => Reply::plain(StatusCode::FORBIDDEN),
        ("GET" | "HEAD", Some(resource)) => read(query, identity, tokens, now, resource),
        ("GET" | "HEAD", None) if query.path == "/" => {
            Reply { status: StatusCode::OK, body: b"1.0\n2021-07-15\nlatest".to_vec(), ttl: None }
        }
        ("GET" | "HEAD", None) => Reply::plain(StatusCode::NOT_FOUND),
        _ => Reply::plain(StatusCode::METHOD_NOT_ALLOWED),
    }
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
    Reply { status: StatusCode::OK, body: token.into_bytes(), ttl: Some(ttl) }
}

fn read(query: &Query<'_>, identity: &Identity, tokens: &Tokens, now: Instant, resource: &str) -> Reply {
    let ttl = match query.token {
        Some(token) => match tokens.check(token, &identity.id, now) {
            Some(ttl) => Some(ttl),
            None => return Reply::plain(StatusCode::UNAUTHORIZED),
        },
        None if identity.tokens_required => return Reply::plain(StatusCode::UNAUTHORIZED),
        None => None,
    };
    match tree::look_up(identity, resource) {
        Some(body) => Reply { status: StatusCode::OK, body, ttl },
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
        assert_eq!(stranger.status, StatusCode::NOT_FOUND);
        who.endpoint_enabled = false;
        assert_eq!(ask(&put(Some("60"), false), &who, &mut tokens, now).status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn versions_are_latest_or_dated() {
        assert_eq!(resource("/latest/meta-data/"), Some("meta-data/"));
        assert_eq!(resource("/2021-07-15/user-data"), Some("user-data"));
        assert_eq!(resource("/newest/user-data"), None);
    }
}
