//! Probes: what is asked, what is reported, and a backend that falls ill and recovers.
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::runtime::balancer::Report;
use crate::runtime::balancer::probe::probe;
use crate::world::{Observation, ProbeOutcome, ProbePlan, ProbeTarget, Protocol, Traffic};

use super::client::{body, get};
use super::server::{App, blunt, hanging, nobody, silent};
use super::{Bench, Net, PORT};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

fn check(target: ProbeTarget) -> ProbePlan {
    ProbePlan { target, timeout: 1, ..super::probe() }
}

fn page(path: &str) -> ProbePlan {
    check(ProbeTarget::Http { port: PORT, path: path.to_owned() })
}

async fn verdict(at: std::net::SocketAddr, check: &ProbePlan) -> (bool, String) {
    let (outcome, detail) = outcome(at, check).await;
    (outcome.passed(), detail)
}

async fn outcome(at: std::net::SocketAddr, check: &ProbePlan) -> (ProbeOutcome, String) {
    let net = Net::default();
    net.route(ADDRESS, at);
    let verdict = probe(&net, ADDRESS, check).await;
    (verdict.outcome, verdict.detail)
}

#[tokio::test]
async fn an_http_probe_passes_on_200_alone_and_shows_what_came_instead() {
    let app = App::start("a").await;
    assert_eq!(verdict(app.at, &page("/health")).await, (true, "HTTP 200".to_owned()));
    app.healthy(false);
    assert_eq!(verdict(app.at, &page("/health")).await, (false, "HTTP 503: warming up".to_owned()));
    let (at, _server) = blunt(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(verdict(at, &page("/")).await, (false, "HTTP 204".to_owned()));
}

#[tokio::test]
async fn a_probe_asks_as_the_classic_balancer_does() {
    let app = App::start("a").await;
    let (_, detail) = verdict(app.at, &page("/nowhere")).await;
    for part in [r#""host": "10.77.0.1:8080""#, r#""user-agent": "ELB-HealthChecker/1.0""#] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
}

#[tokio::test]
async fn a_body_that_hangs_does_not_hide_the_code() {
    let (at, _server) = hanging(b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nstack trace").await;
    assert_eq!(verdict(at, &page("/")).await, (false, "HTTP 500: stack trace".to_owned()));
}

#[tokio::test]
async fn a_probe_fails_on_silence_refusal_and_nonsense() {
    let (quiet, _quiet) = silent().await;
    assert_eq!(verdict(quiet, &page("/")).await, (false, "no answer within 1 s".to_owned()));
    let (passed, detail) = verdict(nobody().await, &page("/")).await;
    assert!(!passed && detail.starts_with("10.77.0.1:8080: Connection refused"), "{detail}");
    let (garbled, _garbled) = blunt(b"SSH-2.0-x\r\n\r\n").await;
    assert!(!verdict(garbled, &page("/")).await.0);
    let (rude, _rude) = blunt(b"").await;
    assert!(!verdict(rude, &page("/")).await.0);
}

#[tokio::test]
async fn a_probe_takes_the_codes_of_its_matcher_and_says_how_it_failed() {
    let accept = vec![(200, 202), (404, 404)];
    let matcher = |path: &str| ProbePlan { accept: accept.clone(), ..page(path) };
    let (at, _server) = blunt(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(outcome(at, &matcher("/")).await.0, ProbeOutcome::CodeMismatch(204));
    let (at, _server) = blunt(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(outcome(at, &matcher("/")).await, (ProbeOutcome::Passed, "HTTP 404".to_owned()));
    let (quiet, _quiet) = silent().await;
    assert_eq!(outcome(quiet, &matcher("/")).await.0, ProbeOutcome::TimedOut);
    assert_eq!(outcome(nobody().await, &matcher("/")).await.0, ProbeOutcome::ConnectionError);
}

#[tokio::test]
async fn a_tcp_probe_passes_when_the_port_accepts() {
    let (quiet, _quiet) = silent().await;
    assert!(verdict(quiet, &check(ProbeTarget::Tcp { port: PORT })).await.0);
    assert!(!verdict(nobody().await, &check(ProbeTarget::Tcp { port: PORT })).await.0);
}

/// The next probe's outcome, as the world gets it.
async fn probed(bench: &mut Bench) -> bool {
    let report = bench.report().await;
    match report.observation() {
        Some(Observation::Probed { pool, backend, outcome }) => {
            assert_eq!((pool.as_str(), backend.as_str()), ("web", "i-1"));
            outcome.passed()
        }
        other => panic!("{other:?} of {report:?}"),
    }
}

#[tokio::test]
async fn a_backend_that_falls_ill_goes_out_and_comes_back() {
    let app = App::start("a").await;
    let mut bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::None);
    bench.with(1, |backend| backend.probe = Some(Arc::new(super::probe())));
    assert!(probed(&mut bench).await);
    bench.traffic(1, Traffic::New);
    bench.settle().await;
    assert_eq!(body(bench.at, "/").await, "a");

    app.healthy(false);
    while probed(&mut bench).await {}
    bench.traffic(1, Traffic::None);
    bench.settle().await;
    assert_eq!(get(bench.at, "/").await.0, 503);

    app.healthy(true);
    while !probed(&mut bench).await {}
    bench.traffic(1, Traffic::New);
    bench.settle().await;
    assert_eq!(body(bench.at, "/").await, "a");
}

#[tokio::test]
async fn probing_follows_the_plan() {
    let app = App::start("a").await;
    let mut bench = Bench::start(Protocol::Http).await;
    bench.register(1, app.at, Traffic::None);
    bench.with(1, |backend| backend.probe = Some(Arc::new(super::probe())));
    assert!(probed(&mut bench).await);
    // A changed check starts at once with the new path.
    let target = ProbeTarget::Http { port: PORT, path: "/request".to_owned() };
    let changed = ProbePlan { interval: 300, target, ..super::probe() };
    bench.with(1, |backend| backend.probe = Some(Arc::new(changed)));
    while app.served() == 0 {
        assert!(probed(&mut bench).await);
    }
    // No more probing: the only other thing to tell is the drain.
    bench.with(1, |backend| {
        backend.probe = None;
        backend.traffic = Traffic::Draining;
    });
    loop {
        match bench.report().await {
            Report::Probed { .. } => {}
            Report::Drained { backend, .. } => break assert_eq!(backend, "i-1"),
            other => panic!("{other:?}"),
        }
    }
}
