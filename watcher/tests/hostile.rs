//! A supervisord's socket behind which somebody else answers: bounded in size and time, and never a panic.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use mayfly_watcher::supervisor::{Error, Status, Supervisor, Supervisord};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// Answers every connection with what `write` writes.
fn impostor(write: impl Fn(&mut dyn Write) + Send + 'static) -> (tempfile::TempDir, Supervisord) {
    let dir = tempfile::tempdir().unwrap();
    let socket: PathBuf = dir.path().join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            write(&mut stream);
        }
    });
    (dir, Supervisord::new(socket))
}

fn http(body: &str) -> String {
    format!(
        "HTTP/1.0 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse><params><param><value>{body}</value></param></params></methodResponse>"
    )
}

#[test]
fn an_endless_answer_is_cut_off() {
    let (_dir, supervisor) = impostor(|stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse>");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let error = supervisor.status("web").unwrap_err();
    assert!(matches!(&error, Error::Answer { reason, .. } if reason.starts_with("more than")), "{error}");
}

#[test]
fn an_answer_that_nests_without_end_is_refused() {
    let deep = "<array><data><value>".repeat(200_000);
    let (_dir, supervisor) = impostor(move |stream| _ = stream.write_all(http(&deep).as_bytes()));
    let error = supervisor.status("web").unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
    let closed = "<array><data><value>".repeat(100_000) + "x" + &"</value></data></array>".repeat(100_000);
    let (_dir, supervisor) = impostor(move |stream| _ = stream.write_all(http(&closed).as_bytes()));
    let error = supervisor.status("web").unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn many_processes_are_no_trouble() {
    let member =
        |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let process = |number: usize| {
        let fields = [
            member("name", &format!("<string>web_{number}</string>")),
            member("group", "<string>web</string>"),
            member("statename", "<string>RUNNING</string>"),
            member("pid", &format!("<int>{number}</int>")),
        ];
        format!("<value><struct>{}</struct></value>", fields.concat())
    };
    let all: String = (1..=2_000).map(process).collect();
    let body = format!("<array><data>{all}</data></array>");
    let (_dir, supervisor) = impostor(move |stream| _ = stream.write_all(http(&body).as_bytes()));
    assert_eq!(supervisor.status("web").unwrap(), Status::Running(None));
    assert_eq!(supervisor.status("web:web_777").unwrap(), Status::Running(Some(777)));
}

#[test]
fn nonsense_is_told_as_such() {
    for body in ["<int>99999999999999999999</int>", "<string>&lt;</string>", "<nil/>", "<struct>"] {
        let answer = http(body);
        let (_dir, supervisor) = impostor(move |stream| _ = stream.write_all(answer.as_bytes()));
        let answer = supervisor.status("web");
        assert!(matches!(answer, Err(Error::Answer { .. })), "{body}: {answer:?}");
    }
    let (_dir, supervisor) = impostor(|stream| _ = stream.write_all(b"SSH-2.0-x\r\n"));
    assert!(matches!(supervisor.status("web"), Err(Error::Answer { .. })));
}
