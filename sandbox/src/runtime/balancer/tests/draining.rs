//! Draining, cutting off, and clients that notice nothing of members that come and go.
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::runtime::balancer::Report;
use crate::world::{Protocol, Traffic};

use super::client::{Client, body, get, request};
use super::server::{App, mirror};
use super::{Bench, within};

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_new_requests_go_elsewhere() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let mut bench = Bench::start(Protocol::Http).await;
    bench.register(1, old.at, Traffic::New);
    bench.settle().await;
    let mut slow = JoinSet::new();
    for _ in 0..5 {
        slow.spawn(get(bench.at, "/slow"));
    }
    bench.in_flight(1, 5).await;

    bench.traffic(1, Traffic::Draining);
    bench.register(2, new.at, Traffic::New);
    bench.settle().await;
    for _ in 0..10 {
        assert_eq!(body(bench.at, "/").await, "new");
    }
    assert!(bench.reports.try_recv().is_err(), "not drained yet");
    (0..5).for_each(|_| old.open_gate());
    let answers = within("the slow ones", slow.join_all()).await;
    assert_eq!(answers, vec![(StatusCode::OK, "old".to_owned()); 5]);
    let drained =
        Report::Drained { balancer: "web".to_owned(), pool: "web".to_owned(), backend: "i-1".to_owned() };
    assert_eq!(bench.report().await, drained);
}

#[tokio::test]
async fn an_answer_being_streamed_is_in_flight_until_its_end() {
    let app = App::start("a").await;
    let mut bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::New);
    bench.settle().await;
    let mut client = Client::connect(bench.at).await;
    let answer = client.begin(request(Method::GET, "/drip", Bytes::new())).await;
    bench.traffic(1, Traffic::Draining);
    bench.settle().await;
    assert_eq!(bench.balancer.in_flight("i-1"), Some(1));
    app.open_gate();
    let whole = within("the rest", answer.into_body().collect()).await.expect("whole").to_bytes();
    assert_eq!(whole, "first\nsecond\n");
    assert!(matches!(bench.report().await, Report::Drained { .. }));
}

#[tokio::test]
async fn who_leaves_the_plan_is_cut_off_at_once() {
    let app = App::start("a").await;
    let bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::New);
    bench.settle().await;
    let waiting = tokio::spawn(get(bench.at, "/slow"));
    let mut client = Client::connect(bench.at).await;
    let dripping = client.begin(request(Method::GET, "/drip", Bytes::new())).await;
    bench.in_flight(1, 2).await;
    bench.remove(1);
    let (status, _) = within("the waiting one", waiting).await.expect("no panic");
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert!(within("the dripping one", dripping.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn a_tcp_connection_outlives_its_drain_and_not_its_removal() {
    let (at, _mirror) = mirror().await;
    let bench = Bench::start(Protocol::Tcp).await;
    bench.register(1, at, Traffic::New);
    bench.settle().await;
    let mut stream = TcpStream::connect(bench.at).await.expect("connected");
    bench.in_flight(1, 1).await;
    bench.traffic(1, Traffic::Draining);
    bench.settle().await;
    stream.write_all(b"x").await.expect("sent");
    assert_eq!(within("the echo", stream.read_u8()).await.expect("carried"), b'x');
    bench.remove(1);
    let mut rest = Vec::new();
    assert_eq!(within("the end", stream.read_to_end(&mut rest)).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_listener_that_leaves_the_plan_closes_with_its_connections() {
    let app = App::start("a").await;
    let bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::New);
    bench.settle().await;
    let mut stream = TcpStream::connect(bench.at).await.expect("connected");
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    bench.in_flight(1, 1).await;
    bench.plans.send_modify(|plan| plan.listeners.clear());
    let mut rest = Vec::new();
    assert_eq!(within("the end", stream.read_to_end(&mut rest)).await.unwrap_or_default(), 0);
    bench.in_flight(1, 0).await;
    assert!(TcpStream::connect(bench.at).await.is_err());
}

#[tokio::test]
async fn stopping_closes_everything() {
    let app = App::start("a").await;
    let bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::New);
    bench.settle().await;
    let mut stream = TcpStream::connect(bench.at).await.expect("connected");
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    bench.in_flight(1, 1).await;
    within("the stop", bench.balancer.stop()).await;
    assert!(TcpStream::connect(bench.at).await.is_err());
    let mut rest = Vec::new();
    assert_eq!(within("the end", stream.read_to_end(&mut rest)).await.unwrap_or_default(), 0);
}

/// Members leave by the book (drain, told to be drained, removed) and come back, round after round, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_notice_nothing_of_members_that_come_and_go() {
    let apps = [App::start("a").await, App::start("b").await, App::start("c").await];
    let mut bench = Bench::start(Protocol::Http).await;
    for (number, app) in (1..).zip(&apps) {
        bench.register(number, app.at, Traffic::New);
    }
    bench.settle().await;
    let mut clients = JoinSet::new();
    for kept in 0..10 {
        clients.spawn(hundred(bench.at, kept % 2 == 0));
    }
    // A client that got anything but a 200 ends this task, and with it the test.
    let clients = tokio::spawn(clients.join_all());
    let mut rounds = 0;
    while !clients.is_finished() {
        for (number, app) in (1..).zip(&apps) {
            bench.traffic(number, Traffic::Draining);
            let drained = bench.report().await;
            let (balancer, pool) = ("web".to_owned(), "web".to_owned());
            assert_eq!(drained, Report::Drained { balancer, pool, backend: format!("i-{number}") });
            bench.remove(number);
            bench.settle().await;
            bench.register(number, app.at, Traffic::New);
            bench.settle().await;
            rounds += 1;
        }
    }
    clients.await.expect("every answer was a 200");
    assert_eq!(apps.iter().map(App::served).sum::<usize>(), 1000);
    assert!(rounds >= 3);
}

async fn hundred(at: std::net::SocketAddr, kept: bool) {
    let mut client = Client::connect(at).await;
    for _ in 0..100 {
        if !kept {
            client = Client::connect(at).await;
        }
        let (status, body) = client.get("/").await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}
