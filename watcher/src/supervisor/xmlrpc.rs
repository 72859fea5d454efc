//! XML-RPC calls over a unix socket, bounded in size and time.

// Effects: connects to a unix socket, reads the clock.
#![allow(clippy::disallowed_methods)]

use dxr::{Fault, FaultResponse, MethodCall, MethodResponse, Value};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A list of all processes is about a kilobyte for each.
const MAX_ANSWER: usize = 16 << 20;
/// That list is eleven elements deep.
const MAX_DEPTH: usize = 64;

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The other side understood and refused.
    #[error("{}", .0.string())]
    Fault(Fault),
    #[error("{0}")]
    Answer(String),
}

/// Call a method. `authorization` is the value of that header.
pub(crate) fn call(
    socket: &Path,
    authorization: Option<&str>,
    method: &str,
    params: Vec<Value>,
    timeout: Duration,
) -> Result<Value, CallError> {
    let call = MethodCall { name: method.into(), params };
    let body = call.to_xml().map_err(|e| CallError::Answer(format!("the call cannot be written: {e}")))?;
    let deadline = Instant::now() + timeout;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request(authorization, &body).as_bytes())?;
    understand(&read_all(&mut stream, deadline)?)
}

fn request(authorization: Option<&str>, body: &str) -> String {
    let authorization = authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
    let length = body.len();
    format!(
        "POST /RPC2 HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/xml\r\n{authorization}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn read_all(stream: &mut UnixStream, deadline: Instant) -> Result<Vec<u8>, CallError> {
    let mut answer = Vec::new();
    let mut buffer = [0u8; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(answer),
            length => answer.extend_from_slice(&buffer[..length]),
        }
        if answer.len() > MAX_ANSWER {
            return Err(CallError::Answer(format!("more than {MAX_ANSWER} bytes")));
        }
    }
}

/// The value in an HTTP answer.
fn understand(answer: &[u8]) -> Result<Value, CallError> {
    let text = std::str::from_utf8(answer).map_err(|_| CallError::Answer("not UTF-8".into()))?;
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| CallError::Answer("no HTTP answer".into()))?;
    match head.split(' ').nth(1) {
        Some("200") => {}
        Some("401") => return Err(CallError::Answer("401: the user or password is wrong".into())),
        _ => {
            return Err(CallError::Answer(
                head.lines().next().unwrap_or_default().chars().take(200).collect(),
            ));
        }
    }
    if depth(body) > MAX_DEPTH {
        return Err(CallError::Answer(format!("nested deeper than {MAX_DEPTH}")));
    }
    if let Ok(response) = MethodResponse::from_xml(body) {
        return Ok(response.value);
    }
    match FaultResponse::from_xml(body) {
        Ok(response) => Err(CallError::Fault(response.fault)),
        Err(_) => {
            Err(CallError::Answer(format!("not XML-RPC: {}", body.chars().take(200).collect::<String>())))
        }
    }
}

/// How deep the elements of a text are nested: bounded before a parser that may recurse sees it.
fn depth(xml: &str) -> usize {
    let (mut now, mut deepest) = (0usize, 0usize);
    for piece in xml.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap_or_default();
        if tag.starts_with('/') {
            now = now.saturating_sub(1);
        } else if !tag.starts_with(['?', '!']) && !tag.ends_with('/') {
            now += 1;
            deepest = deepest.max(now);
        }
    }
    deepest
}

/// What is made of any bytes in the place of an answer, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(answer: &[u8]) -> Option<Value> {
    understand(answer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_open_elements() {
        for (xml, expected) in [
            ("", 0),
            ("text", 0),
            ("<?xml version='1.0'?><a><b/><c>x</c></a>", 2),
            ("<a></a></a><b><c>", 2),
            ("<!-- x --><a>", 1),
            ("<a", 1),
        ] {
            assert_eq!(depth(xml), expected, "{xml}");
        }
    }

    fn http(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.0 {status}\r\nServer: x\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn values_faults_and_nonsense_are_told_apart() {
        let value = "<?xml version='1.0'?><methodResponse><params><param><value><int>7</int></value></param></params></methodResponse>";
        assert_eq!(understand(&http("200 OK", value)).unwrap(), Value::Integer(7));
        let fault = "<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name>\
            <value><int>10</int></value></member><member><name>faultString</name><value><string>BAD_NAME: x</string>\
            </value></member></struct></value></fault></methodResponse>";
        let error = understand(&http("200 OK", fault)).unwrap_err();
        assert!(matches!(&error, CallError::Fault(f) if f.code() == 10), "{error}");
        for wrong in
            [http("401 Unauthorized", ""), http("500 No", ""), http("200 OK", "<a"), b"\xff".to_vec(), vec![]]
        {
            assert!(matches!(understand(&wrong), Err(CallError::Answer(_))));
        }
    }

    #[test]
    fn requests_by_exact_text() {
        let expected = "POST /RPC2 HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
            Authorization: Basic eA==\r\nContent-Length: 3\r\n\r\n<a>";
        assert_eq!(request(Some("Basic eA=="), "<a>"), expected);
    }
}
