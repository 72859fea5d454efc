//! The metadata service over real sockets: instances are told apart by the loopback address that they ask from.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::tree::tests::identity;
use super::{Directory, Identity, serve_on};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Wants no tokens and has no user-data.
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

struct Two;

impl Directory for Two {
    fn identity(&self, address: Ipv4Addr) -> Option<Identity> {
        match address {
            FIRST => Some(identity()),
            SECOND => Some(Identity {
                id: "i-2".into(),
                user_data: None,
                tokens_required: false,
                tags: None,
                ..identity()
            }),
            _ => None,
        }
    }
}

struct Bench {
    at: SocketAddr,
    later: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    body: String,
    headers: http::HeaderMap,
}

impl Bench {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = listener.local_addr().expect("bound");
        let (later, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let seconds = Arc::clone(&later);
        let clock = Arc::new(move || start + Duration::from_secs(seconds.load(Ordering::SeqCst)));
        let mut server = JoinSet::new();
        server.spawn(serve_on(listener, Arc::new(Two), clock));
        Self { at, later, _server: server }
    }

    async fn ask(&self, from: Ipv4Addr, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("bound");
        let stream = socket.connect(self.at).await.expect("connected");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        // Its end is seen by the request.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        let mut request = Request::builder().method(method).uri(path).header("host", "169.254.169.254");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let answer = tokio::time::timeout(Duration::from_secs(30), sender.send_request(request))
            .await
            .expect("in time")
            .expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: head.status, body, headers: head.headers }
    }

    async fn token(&self, from: Ipv4Addr, seconds: &str) -> String {
        let answer = self.ask(from, Method::PUT, "/latest/api/token", &[(TTL, seconds)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.headers[TTL], seconds);
        answer.body
    }

    async fn get(&self, from: Ipv4Addr, path: &str, token: &str) -> Answer {
        self.ask(from, Method::GET, path, &[(TOKEN, token)]).await
    }
}

#[tokio::test]
async fn each_instance_reads_about_itself() {
    let bench = Bench::start().await;
    let token = bench.token(FIRST, "60").await;
    let read = async |path: &str| bench.get(FIRST, path, &token).await.body;
    assert_eq!(read("/latest/meta-data/instance-id").await, "i-1");
    assert_eq!(read("/2021-07-15/meta-data/placement/availability-zone").await, "us-east-1a");
    assert_eq!(read("/latest/meta-data/tags/instance/mayfly%3Arole").await, "web");
    assert_eq!(read("/latest/meta-data/tags/").await, "instance/");
    assert_eq!(read("/latest/").await, "dynamic/\nmeta-data/\nuser-data");
    assert!(read("/").await.ends_with("\nlatest"));
    let document: serde_json::Value =
        serde_json::from_str(&read("/latest/dynamic/instance-identity/document").await).expect("JSON");
    assert_eq!(
        (document["instanceId"].as_str(), document["region"].as_str()),
        (Some("i-1"), Some("us-east-1"))
    );

    let second = bench.token(SECOND, "60").await;
    assert_eq!(bench.get(SECOND, "/latest/meta-data/instance-id", &second).await.body, "i-2");
}

#[tokio::test]
async fn user_data_comes_raw_or_is_absent() {
    let bench = Bench::start().await;
    let token = bench.token(FIRST, "60").await;
    let answer = bench.get(FIRST, "/latest/user-data", &token).await;
    assert_eq!(answer.body, "#mayfly\n");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(bench.ask(SECOND, Method::GET, "/latest/user-data", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_serves_one_instance_until_it_expires() {
    let bench = Bench::start().await;
    let token = bench.token(FIRST, "60").await;
    let status = async |from| bench.get(from, "/latest/meta-data/", &token).await.status;
    assert_eq!((status(FIRST).await, status(SECOND).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    bench.later.store(59, Ordering::SeqCst);
    assert_eq!(status(FIRST).await, StatusCode::OK);
    bench.later.store(60, Ordering::SeqCst);
    assert_eq!(status(FIRST).await, StatusCode::UNAUTHORIZED);
}

/// Who asks, how, for what, with which headers, and the status that it gets.
type Case<'a> = (Ipv4Addr, &'a Method, &'a str, &'a [(&'a str, &'a str)], u16);

#[tokio::test]
async fn requests_that_ec2_refuses_are_refused_alike() {
    let bench = Bench::start().await;
    let token = bench.token(FIRST, "60").await;
    let (get, put, api) = (Method::GET, Method::PUT, "/latest/api/token");
    let valid = (TOKEN, token.as_str());
    let cases: [Case<'_>; 13] = [
        (FIRST, &put, api, &[], 400),
        (FIRST, &put, api, &[(TTL, "0")], 400),
        (FIRST, &put, api, &[(TTL, "21601")], 400),
        (FIRST, &put, api, &[(TTL, "60"), ("x-forwarded-for", "192.0.2.1")], 403),
        (FIRST, &get, "/latest/meta-data/", &[], 401),
        (FIRST, &get, "/latest/meta-data/", &[(TOKEN, "made-up")], 401),
        (SECOND, &get, "/latest/meta-data/", &[], 200),
        (FIRST, &get, "/latest/meta-data/nonsense", &[valid], 404),
        (FIRST, &get, "/newest/meta-data/", &[valid], 404),
        (FIRST, &get, "/latest/meta-data/%zz", &[valid], 400),
        (FIRST, &get, api, &[valid], 405),
        (FIRST, &Method::POST, "/latest/meta-data/", &[valid], 405),
        (STRANGER, &put, api, &[(TTL, "60")], 503),
    ];
    for (from, method, path, headers, status) in cases {
        let answer = bench.ask(from, method.clone(), path, headers).await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
}
