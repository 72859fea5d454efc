//! A real git server over HTTP: `git http-backend` behind a small CGI server, with faults to switch on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What the server does to requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Serves.
    None,
    /// Closes every connection without a word.
    Down,
    /// Sends the first bytes of a pack and then nothing, keeping the connection open.
    StallPack,
    /// Sends the first bytes of a pack and closes.
    CutPack,
    /// Takes its time before every answer, and sends it in pieces.
    Slow,
    /// Accepts connections and never says a word.
    Silent,
    /// Sends packs with a byte of theirs changed.
    Corrupt,
    /// Sends everybody to the same path below `/moved`, where it serves.
    Moved,
    /// Knows of no repository.
    Gone,
}

/// A running server. It ends with the test process.
pub struct GitHttp {
    pub port: u16,
    pub fault: Arc<Mutex<Fault>>,
    /// `METHOD path authorization`, in order.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl GitHttp {
    /// Serves the repositories below `root`; with `authorization`, only to who sends exactly that header.
    pub fn start(root: &Path, authorization: Option<&str>) -> Self {
        Self::start_with(root, authorization, None)
    }

    /// The same over TLS.
    pub fn start_tls(root: &Path, tls: rustls::ServerConfig) -> Self {
        Self::start_with(root, None, Some(Arc::new(tls)))
    }

    fn start_with(root: &Path, authorization: Option<&str>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = Arc::new(Mutex::new(Fault::None));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared =
            Arc::new((root.to_owned(), authorization.map(str::to_owned), fault.clone(), requests.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (shared.clone(), tls.clone());
                std::thread::spawn(move || {
                    let (root, authorization, fault, requests) = &*shared;
                    let authorization = authorization.as_deref();
                    match tls {
                        None => serve(stream, root, authorization, fault, requests),
                        Some(tls) => {
                            let connection = rustls::ServerConnection::new(tls).unwrap();
                            let stream = rustls::StreamOwned::new(connection, stream);
                            serve(stream, root, authorization, fault, requests)
                        }
                    }
                });
            }
        });
        Self { port, fault, requests }
    }

    pub fn url(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }
}

fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((key.to_ascii_lowercase(), value.to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn serve(
    mut stream: impl Read + Write,
    root: &Path,
    authorization: Option<&str>,
    fault: &Mutex<Fault>,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let Some(request) = read_request(&mut stream) else { return Ok(()) };
    let auth = request.header("authorization").to_owned();
    requests.lock().unwrap().push(format!("{} {} {auth}", request.method, request.target));
    let fault = fault.lock().unwrap().clone();
    match fault {
        Fault::Down => return Ok(()),
        // Until the other side goes.
        Fault::Silent => return stream.read(&mut [0; 1]).map(drop),
        Fault::Gone => {
            return stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Fault::Moved if !request.target.starts_with("/moved/") => {
            return write!(
                stream,
                "HTTP/1.1 301 Moved\r\nLocation: /moved{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                request.target
            );
        }
        Fault::Slow => std::thread::sleep(std::time::Duration::from_millis(300)),
        _ => {}
    }
    // As a proxy is asked.
    let target = request.target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let target = target.unwrap_or(&request.target);
    let target = target.strip_prefix("/moved").unwrap_or(target).to_owned();
    let request = Request { target, ..request };
    if authorization.is_some_and(|a| a != auth) {
        return stream.write_all(
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let answer = backend(root, &request);
    let head_end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0) + 4;
    let (head, body) = answer.split_at(head_end.min(answer.len()));
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.lines().find_map(|l| l.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{head}", body.len())?;
    let pack = request.method == "POST" && body.windows(4).any(|w| w == b"PACK");
    match (fault, pack) {
        (Fault::StallPack, true) => {
            stream.write_all(&body[..body.len() / 2])?;
            stream.flush()?;
            // Until the other side goes.
            let _ = stream.read(&mut [0; 1]);
            Ok(())
        }
        (Fault::CutPack, true) => stream.write_all(&body[..body.len() / 2]),
        (Fault::Corrupt, true) => {
            let mut body = body.to_vec();
            // Past the header of the pack and of its first object.
            let pack = body.windows(4).position(|w| w == b"PACK").unwrap_or(0);
            body[pack + 24] ^= 0x55;
            stream.write_all(&body)
        }
        (Fault::Slow, _) => body.chunks(body.len() / 8 + 1).try_for_each(|piece| {
            stream.write_all(piece)?;
            stream.flush()?;
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(())
        }),
        _ => stream.write_all(body),
    }
}

fn backend(root: &Path, request: &Request) -> Vec<u8> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut child = Command::new(exec_path().join("git-http-backend"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git http-backend starts: install git");
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output.stdout
}

fn exec_path() -> PathBuf {
    let output = Command::new("git").arg("--exec-path").output().expect("git runs: install git");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
