//! What a proxy does to the headers on the way through (RFC 9110 section 7.6), as a classic balancer does it.
use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Uri, Version, request, response};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asked, and through which listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) client: IpAddr,
    pub(super) port: u16,
}

/// Turns a client's request head into the one for a backend at `authority` (used where the client named no host).
pub(super) fn to_backend(head: &mut request::Parts, origin: Origin, authority: &str) {
    let named = head.uri.authority().map_or(authority, |a| a.as_str());
    if !head.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(named)
    {
        head.headers.insert(HOST, host);
    }
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    head.version = Version::HTTP_11;
    drop_hop_by_hop(&mut head.headers);
    // The balancer itself has told the client to go on.
    head.headers.remove(EXPECT);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    add_forwarded(&mut head.headers, origin);
}

/// Turns a backend's answer head into the one for the client; the server side adds what the client's connection needs.
pub(super) fn to_client(head: &mut response::Parts) {
    head.version = Version::HTTP_11;
    drop_hop_by_hop(&mut head.headers);
}

fn add_forwarded(headers: &mut HeaderMap, origin: Origin) {
    let mut chain: Vec<String> = headers
        .get_all(&FORWARDED_FOR)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    chain.push(origin.client.to_string());
    if let Ok(chain) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers.insert(FORWARDED_PORT, HeaderValue::from(origin.port));
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

/// Removes what concerns one connection alone: the known ones and those that `Connection` names.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // Where both are given, the encoding counts and the length must not travel on (RFC 9112 section 6.1).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // A client cannot have these removed: they say where the message ends and whom it is for.
        .filter(|name| *name != CONTENT_LENGTH && *name != HOST)
        .collect();
    let known = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.iter().chain(&known) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { client: IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9)), port: 80 };

    fn forwarded(uri: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).expect("a request").into_parts();
        to_backend(&mut head, ORIGIN, "10.77.0.1:8080");
        let mut lines: Vec<String> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect();
        lines.sort();
        lines.insert(0, head.uri.to_string());
        lines
    }

    #[test]
    fn hop_by_hop_headers_stay_behind_and_the_client_is_named() {
        let lines = forwarded(
            "http://other.example/a?b=c",
            &[
                ("host", "shop.example"),
                ("connection", "keep-alive, x-private, host"),
                ("keep-alive", "timeout=5"),
                ("x-private", "1"),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("expect", "100-continue"),
                ("accept", "*/*"),
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-for", "192.0.2.2"),
                ("x-forwarded-proto", "https"),
            ],
        );
        assert_eq!(
            lines,
            [
                "/a?b=c",
                "accept: */*",
                "connection: close",
                "host: shop.example",
                "x-forwarded-for: 192.0.2.1, 192.0.2.2, 127.0.0.9",
                "x-forwarded-port: 80",
                "x-forwarded-proto: http",
            ]
        );
    }

    #[test]
    fn a_host_is_always_named() {
        assert!(forwarded("/", &[]).contains(&"host: 10.77.0.1:8080".to_owned()));
        assert!(forwarded("http://a.example/", &[]).contains(&"host: a.example".to_owned()));
    }

    #[test]
    fn a_length_does_not_travel_beside_an_encoding() {
        let both = [("transfer-encoding", "chunked"), ("content-length", "4")];
        assert!(!forwarded("/", &both).iter().any(|line| line.starts_with("content-length")));
        assert!(forwarded("/", &both[1..]).contains(&"content-length: 4".to_owned()));
    }
}
