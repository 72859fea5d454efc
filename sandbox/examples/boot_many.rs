//! Boots many instances at once, each with a small HTTP server, and prints how long they take: `boot_many 100`.
// Effects: it measures.
#![allow(clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use base64::Engine;
use mayfly_sandbox::{SandboxConfig, entry, world};

const SERVER: &str = r#"#!/bin/sh
exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9) or die; while (my $c = $s->accept) { while (<$c>) { last if /^\r?\n/ } print $c "HTTP/1.0 200 OK\r\n\r\nhello"; close $c }'
"#;

fn main() -> ExitCode {
    if let Some(code) = entry::maybe_run() {
        return code;
    }
    let count: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10);
    let measured = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(measure(count)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(count: usize) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut config =
        SandboxConfig { die_with_starter: true, ..SandboxConfig::private(dir.path().join("state")) };
    config.world.delays = world::Delays::none();
    let start = Instant::now();
    let handle = mayfly_sandbox::up(&config).await.map_err(|e| e.to_string())?;
    println!("sandbox up after {:?}", start.elapsed());
    let launched = Instant::now();
    run_instances(handle.info().api_addr, count)?;
    let mut waiting: Vec<String> = Vec::new();
    let end = Instant::now() + Duration::from_secs(120);
    while waiting.len() < count {
        waiting = handle
            .status()
            .await
            .map_err(|e| e.to_string())?
            .instances
            .into_iter()
            .map(|i| i.public_ip)
            .collect();
    }
    while !waiting.is_empty() {
        waiting.retain(|address| !serves(address));
        if Instant::now() > end {
            return Err(format!("{} of {count} do not serve", waiting.len()));
        }
    }
    println!("{count} instances serve after {:?}", launched.elapsed());
    let down = Instant::now();
    handle.down().await.map_err(|e| e.to_string())?;
    println!("all gone after {:?}", down.elapsed());
    Ok(())
}

fn run_instances(api: std::net::SocketAddr, count: usize) -> Result<(), String> {
    let data =
        base64::engine::general_purpose::STANDARD.encode(SERVER).replace('+', "%2B").replace('/', "%2F");
    let body = format!(
        "Action=RunInstances&Version=2016-11-15&ImageId={}&MinCount={count}&MaxCount={count}&UserData={}",
        world::DEBIAN_STOCK,
        data.replace('=', "%3D")
    );
    let scope = "Credential=x/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
    let answer = http(
        &api.to_string(),
        &format!(
            "POST / HTTP/1.1\r\nHost: {api}\r\nAuthorization: AWS4-HMAC-SHA256 {scope}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let answer = answer.map_err(|e| e.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
}

fn serves(address: &str) -> bool {
    http(&format!("{address}:8080"), "GET / HTTP/1.0\r\n\r\n").is_ok_and(|answer| answer.ends_with("hello"))
}

fn http(address: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
