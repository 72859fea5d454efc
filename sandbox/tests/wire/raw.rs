//! What only bytes on a socket can show: closed connections, sizes, late answers.
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mayfly_sandbox::world::{Config, Fault, FaultKind};

use crate::bench::Bench;

fn post(endpoint: &str, body: &str) -> std::io::Result<String> {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let credential = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/ec2/aws4_request";
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: {credential}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    // A server that refuses the size may close before it has read everything.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn with_fault(kind: FaultKind) -> Bench {
    let fault = Fault { action: "DescribeRegions".to_owned(), skip: 0, times: 1, kind };
    Bench::start(Config { faults: vec![fault], ..Config::default() })
}

const REGIONS: &str = "Action=DescribeRegions&Version=2016-11-15";

#[test]
fn a_lost_answer_is_a_closed_connection_without_a_byte() {
    let bench = with_fault(FaultKind::LostAfterEffect);
    assert_eq!(post(&bench.endpoint, REGIONS).expect("an end of stream"), "");
    let next = post(&bench.endpoint, REGIONS).expect("an answer");
    assert!(next.starts_with("HTTP/1.1 200 OK\r\n") && next.contains("x-amzn-requestid: "), "{next}");
}

#[test]
fn a_delayed_answer_comes_no_earlier() {
    let bench = with_fault(FaultKind::Delay { ms: 200 });
    let start = Instant::now();
    assert!(post(&bench.endpoint, REGIONS).expect("an answer").starts_with("HTTP/1.1 200 OK"));
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_request_above_the_bound_is_refused() {
    let bench = Bench::start(Config::default());
    let filler = "x".repeat(mayfly_sandbox::api::MAX_BODY);
    let answer = post(&bench.endpoint, &format!("{REGIONS}&Filler={filler}"));
    // The refusal may be lost when the connection is reset over what was not read.
    if let Ok(answer) = answer {
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    assert!(post(&bench.endpoint, REGIONS).expect("an answer").starts_with("HTTP/1.1 200 OK"));
}
