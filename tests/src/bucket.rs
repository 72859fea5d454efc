//! A bucket on this machine that knows what a lock needs of S3: objects that are read, and written and removed on a
//! condition. The sandbox has no S3.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What is in it, and what it was asked.
#[derive(Debug, Default)]
struct Inside {
    /// By path, `/<bucket>/<key>`: a number that no other writing has, and the content.
    objects: BTreeMap<String, (u64, Vec<u8>)>,
    writings: u64,
    asked: BTreeSet<(String, String)>,
}

/// Serves until the test ends.
#[derive(Debug)]
pub struct Bucket {
    /// For `AWS_ENDPOINT_URL_S3`.
    pub endpoint: String,
    inside: Arc<Mutex<Inside>>,
}

impl Bucket {
    /// An empty one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let inside = Arc::new(Mutex::new(Inside::default()));
        let shared = Arc::clone(&inside);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that hangs up has lost its answer; the next one is served.
                let _ = serve(stream, &shared);
            }
        });
        Self { endpoint, inside }
    }

    /// Every action that was asked, as IAM writes it, with the object's ARN.
    pub fn asked(&self) -> BTreeSet<(String, String)> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

fn serve(stream: TcpStream, inside: &Mutex<Inside>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, tag, body) = inside.answer(method, path, &headers, body);
    let head = format!("HTTP/1.1 {status} X\r\nETag: \"{tag}\"\r\nContent-Length: {}\r\n", body.len());
    stream.get_mut().write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    stream.get_mut().write_all(&body)
}

impl Inside {
    fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> (u16, u64, Vec<u8>) {
        let action = match method {
            "GET" => "s3:GetObject",
            "PUT" => "s3:PutObject",
            "DELETE" => "s3:DeleteObject",
            other => panic!("{other} {path}"),
        };
        self.asked.insert((action.to_owned(), format!("arn:aws:s3:::{}", path.trim_start_matches('/'))));
        let found = self.objects.get(path).map(|(tag, _)| *tag);
        let wanted = headers.get("if-match").map(|tag| tag.trim_matches('"').parse().ok());
        let fails = headers.contains_key("if-none-match") && found.is_some();
        if fails || wanted.is_some_and(|wanted| wanted != found) {
            return (412, 0, b"<Error><Code>PreconditionFailed</Code></Error>".to_vec());
        }
        match (method, found) {
            ("PUT", _) => {
                self.writings += 1;
                self.objects.insert(path.to_owned(), (self.writings, body));
                (200, self.writings, Vec::new())
            }
            ("GET", Some(tag)) => {
                (200, tag, self.objects.get(path).map(|(_, body)| body.clone()).unwrap_or_default())
            }
            ("GET", None) => (404, 0, b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            _ => {
                self.objects.remove(path);
                (204, 0, Vec::new())
            }
        }
    }
}
