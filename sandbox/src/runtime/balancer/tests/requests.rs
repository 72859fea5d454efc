//! Requests that go through, and the balancer's own answers where they cannot.
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, body, get, request};
use super::server::{App, PIECE, PIECES, blunt, mirror, nobody, silent};
use super::{Bench, within};
use crate::runtime::balancer::{ConnectRetry, Options, Report};
use crate::world::{Protocol, Traffic};

async fn bench_with(backends: &[SocketAddr]) -> Bench {
    let bench = Bench::start(Protocol::Http).await;
    for (number, at) in (1..).zip(backends) {
        bench.register(number, *at, Traffic::New);
    }
    bench.settle().await;
    bench
}

#[tokio::test]
async fn only_members_in_service_get_requests_and_they_take_turns() {
    let (a, b, c, d) =
        (App::start("a").await, App::start("b").await, App::start("c").await, App::start("d").await);
    let bench = bench_with(&[a.at, b.at]).await;
    bench.register(3, c.at, Traffic::None);
    bench.register(4, d.at, Traffic::Draining);
    bench.settle().await;
    for _ in 0..10 {
        body(bench.at, "/").await;
    }
    assert_eq!([&a, &b, &c, &d].map(App::served), [5, 5, 0, 0]);
}

#[tokio::test]
async fn a_client_keeps_its_connection_and_is_named_to_the_backend() {
    let app = App::start("a").await;
    let bench = bench_with(&[app.at]).await;
    let mut client = Client::connect(bench.at).await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await, (StatusCode::OK, "a".to_owned()));
    }
    let (_, seen) = client.get("/request?q=1").await;
    for part in [
        r#""host": "shop.example""#,
        r#""x-forwarded-for": "127.0.0.1""#,
        r#""x-forwarded-port": "80""#,
        r#""x-forwarded-proto": "http""#,
        "/request?q=1",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[tokio::test]
async fn without_a_member_in_service_the_answer_is_503_and_empty() {
    let bench = bench_with(&[]).await;
    assert_eq!(get(bench.at, "/").await, (StatusCode::SERVICE_UNAVAILABLE, String::new()));
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_once() {
    let app = App::start("a").await;
    let bench = bench_with(&[nobody().await, app.at]).await;
    for _ in 0..4 {
        let mut client = Client::connect(bench.at).await;
        let answer = client.begin(request(Method::POST, "/echo", Bytes::from_static(b"kept"))).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "kept");
    }
    let bench = bench_with(&[nobody().await]).await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn retrying_can_be_switched_off() {
    let app = App::start("a").await;
    let options = Options { retry: ConnectRetry::Never, ..Options::default() };
    let bench = Bench::start_with(Protocol::Http, options, Duration::from_secs(60)).await;
    bench.register(1, nobody().await, Traffic::New);
    bench.register(2, app.at, Traffic::New);
    bench.settle().await;
    let first = get(bench.at, "/").await.0;
    assert_eq!((first, get(bench.at, "/").await.0), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
}

#[tokio::test]
async fn a_silent_backend_is_504_after_the_idle_timeout() {
    let (at, _server) = silent().await;
    let bench = Bench::start_with(Protocol::Http, Options::default(), Duration::from_millis(200)).await;
    bench.register(1, at, Traffic::New);
    bench.settle().await;
    assert_eq!(get(bench.at, "/").await, (StatusCode::GATEWAY_TIMEOUT, String::new()));
    bench.in_flight(1, 0).await;
}

#[tokio::test]
async fn a_backend_that_hangs_up_is_504_and_one_that_talks_nonsense_502() {
    let (rude, _rude) = blunt(b"").await;
    let bench = bench_with(&[rude]).await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::GATEWAY_TIMEOUT);
    let (garbled, _garbled) = blunt(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let bench = bench_with(&[garbled]).await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let (short, _short) = blunt(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").await;
    let bench = bench_with(&[short]).await;
    let mut client = Client::connect(bench.at).await;
    let answer = client.begin(request(Method::GET, "/", Bytes::new())).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(within("the end", answer.into_body().collect()).await.is_err());
    bench.in_flight(1, 0).await;
}

#[tokio::test]
async fn an_old_server_whose_answer_ends_with_the_connection_is_understood() {
    let (old, _old) = blunt(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    let bench = bench_with(&[old]).await;
    let mut client = Client::connect(bench.at).await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await, (StatusCode::OK, "until the end".to_owned()));
    }
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let app = App::start("a").await;
    let bench = bench_with(&[app.at]).await;
    assert_eq!(body(bench.at, "/big").await.len(), PIECE * PIECES);
    let sent = Bytes::from_iter((0..8_000_000_u32).map(|n| n.to_le_bytes()[0]));
    let mut client = Client::connect(bench.at).await;
    let answer = client.begin(request(Method::PUT, "/echo", sent.clone())).await;
    let back = within("the echo", answer.into_body().collect()).await.expect("a whole body").to_bytes();
    assert!(back == sent, "{} bytes came back", back.len());
}

#[tokio::test]
async fn a_first_piece_arrives_before_the_last_is_made() {
    let app = App::start("a").await;
    let bench = bench_with(&[app.at]).await;
    let mut client = Client::connect(bench.at).await;
    let mut answer = client.begin(request(Method::GET, "/drip", Bytes::new())).await.into_body();
    let first = within("the first piece", answer.frame()).await.expect("a piece").expect("whole");
    assert_eq!(first.into_data().expect("data"), "first\n");
    app.open_gate();
    assert_eq!(within("the rest", answer.collect()).await.expect("whole").to_bytes(), "second\n");
}

#[tokio::test]
async fn a_client_that_goes_away_is_no_longer_in_flight() {
    let app = App::start("a").await;
    let bench = bench_with(&[app.at]).await;
    let mut stream = TcpStream::connect(bench.at).await.expect("connected");
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    bench.in_flight(1, 1).await;
    drop(stream);
    bench.in_flight(1, 0).await;
}

#[tokio::test]
async fn what_is_not_http_or_too_large_is_refused_without_a_backend() {
    let app = App::start("a").await;
    let bench = bench_with(&[app.at]).await;
    // Not even its end needs to be seen.
    let start = "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ";
    let long = start.to_owned() + &"y".repeat((64 << 10) - start.len());
    let exchanges = [
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (long, "431"),
    ];
    for (sent, code) in exchanges {
        let mut stream = TcpStream::connect(bench.at).await.expect("connected");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let mut line = [0; 12];
        within("a status line", stream.read_exact(&mut line)).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {code}"));
    }
    assert_eq!(app.served(), 0);
}

#[tokio::test]
async fn a_tcp_listener_carries_bytes_and_closes_without_a_backend() {
    let (at, _mirror) = mirror().await;
    let bench = Bench::start(Protocol::Tcp).await;
    let mut lonely = TcpStream::connect(bench.at).await.expect("connected");
    let mut rest = Vec::new();
    assert_eq!(within("the end", lonely.read_to_end(&mut rest)).await.expect("closed"), 0);

    bench.register(1, at, Traffic::New);
    bench.settle().await;
    let mut stream = TcpStream::connect(bench.at).await.expect("connected");
    stream.write_all(b"to and fro").await.expect("sent");
    stream.shutdown().await.expect("half closed");
    within("the echo", stream.read_to_end(&mut rest)).await.expect("read");
    assert_eq!(rest, b"to and fro");
    bench.in_flight(1, 0).await;
}

#[tokio::test]
async fn a_taken_port_is_told_once_and_tried_again() {
    let app = App::start("a").await;
    let mut bench = bench_with(&[app.at]).await;
    bench.net.taken.store(true, Ordering::SeqCst);
    bench.plans.send_modify(|plan| plan.listeners[0].port = 81);
    let told = bench.report().await;
    assert!(
        matches!(&told, Report::NotListening { port: 81, reason, .. } if reason.contains("in use")),
        "{told:?}"
    );
    bench.net.taken.store(false, Ordering::SeqCst);
    let Report::Listening { port: 81, at, .. } = bench.report().await else { panic!("it listens now") };
    assert_eq!(body(at, "/").await, "a");
    assert!(TcpStream::connect(bench.at).await.is_err(), "the old port is closed");
}
