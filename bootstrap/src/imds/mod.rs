//! The instance metadata service, version 2 only: who this instance is and its user-data.
// Effects: the network and the clock.
#![allow(clippy::disallowed_methods)]

mod session;

pub(crate) use session::{Error, Identity, RoleCredentials};

use crate::http::{self, Cancel, Http, Peer};
use session::{Line, LineError, Question, Session};
use std::time::{Duration, Instant};

/// Where EC2 serves it.
pub(crate) const DEFAULT_BASE: &str = "http://169.254.169.254";
const MAX_BODY: usize = 256 * 1024;
const ONE_REQUEST: Duration = Duration::from_secs(3);

/// A session with the service over the network.
#[derive(Debug)]
pub(crate) struct Imds(Session<Network>);

impl Imds {
    /// A client of the service at `base` (no trailing slash needed).
    ///
    /// # Errors
    /// [`Error::Client`].
    pub(crate) fn new(base: &str, cancel: Cancel) -> Result<Self, Error> {
        let http = Http::new(Peer::Local, ONE_REQUEST, cancel).map_err(|e| Error::Client(e.to_string()))?;
        let base = base.trim_end_matches('/').to_owned();
        let network = Network { http, base: base.clone(), started: Instant::now() };
        Ok(Self(Session::new(network, base)))
    }

    /// Everything we ask for, under one deadline.
    ///
    /// # Errors
    /// When the id cannot be had by then; see [`Error`].
    pub(crate) fn identity(&mut self, within: Duration) -> Result<Identity, Error> {
        self.0.identity(within)
    }

    /// The credentials of the instance's role; `None`: it has no role.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn role_credentials(&mut self, within: Duration) -> Result<Option<RoleCredentials>, Error> {
        self.0.role_credentials(within)
    }

    /// The region that the instance is in.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn region(&mut self, within: Duration) -> Result<Option<String>, Error> {
        self.0.region(within)
    }
}

#[derive(Debug)]
struct Network {
    http: Http,
    base: String,
    started: Instant,
}

impl Line for Network {
    fn ask(&mut self, question: &Question<'_>) -> Result<(u16, Vec<u8>), LineError> {
        let client = self.http.client();
        let request = match question {
            Question::Token { path, ttl } => client
                .put(format!("{}{path}", self.base))
                .header("X-aws-ec2-metadata-token-ttl-seconds", *ttl),
            Question::Get { path, token } => {
                client.get(format!("{}{path}", self.base)).header("X-aws-ec2-metadata-token", *token)
            }
        };
        self.http.fetch(request.timeout(ONE_REQUEST), MAX_BODY).map_err(|error| match error {
            http::Error::Cancelled => LineError::Cancelled,
            http::Error::TooLong(limit) => LineError::TooLong(limit),
            other => LineError::Failed(other.to_string()),
        })
    }

    fn pause(&mut self, pause: Duration) -> Result<(), LineError> {
        let sleep = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.http.wait(sleep).map_err(|_| LineError::Cancelled)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::session::{DOCUMENT, INSTANCE_ID, TOKEN_PATH, USER_DATA};
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    /// A small real HTTP server: `answer` maps "METHOD path token" to a status and body; requests are recorded.
    fn server(
        answer: impl Fn(usize, &str) -> (u16, String) + Send + 'static,
    ) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = log.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                if lines.is_empty() {
                    continue;
                }
                let token =
                    lines.iter().find_map(|l| l.strip_prefix("x-aws-ec2-metadata-token: ")).unwrap_or("-");
                let mut words = lines[0].split(' ');
                let key = format!("{} {} {token}", words.next().unwrap(), words.next().unwrap());
                let (status, body) = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(key.clone());
                    answer(seen.len(), &key)
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
                let _ = stream.flush();
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0; 16]);
            }
        });
        (base, log)
    }

    fn ask(base: &str, within: Duration) -> Result<Identity, Error> {
        Imds::new(base, Cancel::default()).unwrap().identity(within)
    }

    const LONG: Duration = Duration::from_secs(20);

    fn happy(key: &str) -> (u16, String) {
        match key.split(' ').collect::<Vec<_>>()[..] {
            ["PUT", TOKEN_PATH, _] => (200, "tok".into()),
            [_, _, token] if token != "tok" => (401, String::new()),
            [_, INSTANCE_ID, _] => (200, "i-1".into()),
            [_, DOCUMENT, _] => (200, r#"{"imageId":"ami-1","region":"eu-west-1","extra":[1]}"#.into()),
            [_, USER_DATA, _] => (200, "#mayfly\n".into()),
            _ => (404, "nothing".into()),
        }
    }

    #[test]
    fn identity_is_read_with_a_token_and_absent_paths_are_none() {
        let (base, log) = server(|_, key| happy(key));
        let identity = ask(&base, LONG).unwrap();
        assert_eq!((identity.instance_id.as_str(), identity.public_ipv4), ("i-1", None));
        assert_eq!(identity.document.image_id.as_deref(), Some("ami-1"));
        assert_eq!(identity.user_data.as_deref(), Some(b"#mayfly\n".as_slice()));
        let log = log.lock().unwrap();
        assert_eq!(log[0], format!("PUT {TOKEN_PATH} -"));
        assert_eq!(log.iter().filter(|k| k.starts_with("PUT")).count(), 1);
        assert!(log[1..].iter().all(|k| k.ends_with(" tok")), "{log:?}");
    }

    #[test]
    fn an_expired_token_is_fetched_again() {
        let (base, log) = server(|n, key| if n == 3 { (401, String::new()) } else { happy(key) });
        assert!(ask(&base, LONG).is_ok());
        assert_eq!(log.lock().unwrap().iter().filter(|k| k.starts_with("PUT")).count(), 2);
    }

    #[test]
    fn server_errors_are_tried_again() {
        let (base, _) = server(|n, key| if n < 4 { (503, String::new()) } else { happy(key) });
        assert!(ask(&base, LONG).is_ok());
    }

    #[test]
    fn a_refusal_is_final_and_never_asked_without_a_token() {
        let (base, log) = server(|_, _| (403, String::new()));
        assert!(matches!(ask(&base, LONG), Err(Error::Refused { status: 403, .. })));
        assert_eq!(log.lock().unwrap().as_slice(), [format!("PUT {TOKEN_PATH} -")]);
    }

    #[test]
    fn silence_ends_at_the_deadline_with_the_cause() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(&format!("http://{closed}"), Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("onnection refused"), "{error}");
    }

    #[test]
    fn redirects_are_not_followed() {
        let (base, _) = server(|_, _| (302, String::new()));
        assert!(matches!(ask(&base, LONG), Err(Error::Refused { status: 302, .. })));
    }

    #[test]
    fn an_answer_without_end_is_cut_off_and_not_waited_for() {
        let giant = "x".repeat(MAX_BODY + 1);
        let (base, log) = server(move |_, key| match happy(key) {
            (200, _) if key.contains(USER_DATA) => (200, giant.clone()),
            other => other,
        });
        let error = ask(&base, LONG).unwrap_err();
        assert!(matches!(&error, Error::Odd { path, .. } if path == USER_DATA), "{error}");
        assert!(error.to_string().contains("longer than 262144 bytes"), "{error}");
        // It cannot get smaller: asked once.
        assert_eq!(log.lock().unwrap().iter().filter(|key| key.contains(USER_DATA)).count(), 1);
    }
}
