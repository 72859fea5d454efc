//! The instance metadata service, version 2 only: who this instance is and its user-data.
// Effects: the network and the clock.
#![allow(clippy::disallowed_methods)]

use crate::http::{self, Cancel, Http, Peer};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Where EC2 serves it.
pub(crate) const DEFAULT_BASE: &str = "http://169.254.169.254";
const TOKEN_PATH: &str = "/latest/api/token";
const INSTANCE_ID: &str = "/latest/meta-data/instance-id";
const USER_DATA: &str = "/latest/user-data";
const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const LOCAL_IPV4: &str = "/latest/meta-data/local-ipv4";
const PUBLIC_IPV4: &str = "/latest/meta-data/public-ipv4";
const LOCAL_HOSTNAME: &str = "/latest/meta-data/local-hostname";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN_TTL: &str = "21600";
const MAX_BODY: usize = 256 * 1024;
const ONE_REQUEST: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why the metadata service gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It never answered, or only with server errors, until the deadline.
    #[error("metadata at {base}{path}: no answer within {}s: {last}", waited.as_secs())]
    Deadline {
        /// The service's base URL.
        base: String,
        /// What was asked for.
        path: String,
        /// How long.
        waited: Duration,
        /// What the last attempt met.
        last: String,
    },
    /// A permanent refusal.
    #[error(
        "metadata at {base}{path}: HTTP {status}; is the metadata service (version 2) enabled for this instance?"
    )]
    Refused {
        /// The service's base URL.
        base: String,
        /// What was asked for.
        path: String,
        /// The status.
        status: u16,
    },
    /// An answer that cannot be meant.
    #[error("metadata at {path}: {message}")]
    Odd {
        /// What was asked for.
        path: String,
        /// What is odd about it.
        message: String,
    },
    /// The program was asked to stop.
    #[error("stopped")]
    Cancelled,
    /// No client could be made.
    #[error("metadata: {0}")]
    Client(String),
}

/// What EC2 says of this instance. Everything but the id may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `i-…`.
    pub(crate) instance_id: String,
    /// The identity document.
    pub(crate) document: Document,
    /// Private address.
    pub(crate) local_ipv4: Option<String>,
    /// Public address.
    pub(crate) public_ipv4: Option<String>,
    /// Private DNS name.
    pub(crate) local_hostname: Option<String>,
    /// The user-data bytes.
    pub(crate) user_data: Option<Vec<u8>>,
}

/// The parts of the instance identity document that become grains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Document {
    /// 12 digits.
    pub(crate) account_id: Option<String>,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: Option<String>,
    /// Zone, such as `eu-west-1a`.
    pub(crate) availability_zone: Option<String>,
    /// `ami-…`.
    pub(crate) image_id: Option<String>,
    /// `t3.micro`.
    pub(crate) instance_type: Option<String>,
    /// `eu-west-1`.
    pub(crate) region: Option<String>,
}

/// What the role of the instance signs with, for some hours.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleCredentials {
    /// `ASIA…`.
    pub(crate) access_key_id: String,
    /// The secret.
    pub(crate) secret_access_key: String,
    /// Sent with every request.
    pub(crate) token: String,
    /// Until when.
    pub(crate) expiration: chrono::DateTime<chrono::Utc>,
}

/// A session with the service; the token is fetched when it is first needed and again when it was refused.
#[derive(Debug)]
pub(crate) struct Imds {
    http: Http,
    base: String,
    token: Option<String>,
}

enum Attempt {
    Found(Vec<u8>),
    Absent,
    Expired,
    Again(String),
    Refused(u16),
}

impl Imds {
    /// A client of the service at `base` (no trailing slash needed).
    ///
    /// # Errors
    /// [`Error::Client`].
    pub(crate) fn new(base: &str, cancel: Cancel) -> Result<Self, Error> {
        let http = Http::new(Peer::Local, ONE_REQUEST, cancel).map_err(|e| Error::Client(e.to_string()))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: None })
    }

    /// Everything we ask for, under one deadline.
    ///
    /// # Errors
    /// When the id cannot be had by then; see [`Error`].
    pub(crate) fn identity(&mut self, within: Duration) -> Result<Identity, Error> {
        let deadline = Deadline { at: Instant::now() + within, within };
        let instance_id = self
            .text(INSTANCE_ID, &deadline)?
            .ok_or(Error::Odd { path: INSTANCE_ID.into(), message: "an instance without an id".into() })?;
        let id_is_plain = instance_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !id_is_plain || instance_id.is_empty() || instance_id.len() > 64 {
            return Err(Error::Odd {
                path: INSTANCE_ID.into(),
                message: format!("{instance_id:?} is not an instance id"),
            });
        }
        let document = self.get(DOCUMENT, &deadline)?.unwrap_or_else(|| b"{}".to_vec());
        let document = serde_json::from_slice(&document).map_err(|e| Error::Odd {
            path: DOCUMENT.into(),
            message: format!("not the JSON that was expected: {e}"),
        })?;
        Ok(Identity {
            instance_id,
            document,
            local_ipv4: self.text(LOCAL_IPV4, &deadline)?,
            public_ipv4: self.text(PUBLIC_IPV4, &deadline)?,
            local_hostname: self.text(LOCAL_HOSTNAME, &deadline)?,
            user_data: self.get(USER_DATA, &deadline)?,
        })
    }

    /// The credentials of the instance's role; `None`: it has no role.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn role_credentials(&mut self, within: Duration) -> Result<Option<RoleCredentials>, Error> {
        let deadline = Deadline { at: Instant::now() + within, within };
        let Some(roles) = self.text(ROLES, &deadline)? else { return Ok(None) };
        let role = roles.lines().next().unwrap_or_default();
        let odd = |message: String| Error::Odd { path: ROLES.into(), message };
        if role.is_empty() || !role.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b)) {
            return Err(odd(format!("{role:?} is not the name of a role")));
        }
        let Some(answer) = self.get(&format!("{ROLES}{role}"), &deadline)? else { return Ok(None) };
        // What was wrong is not quoted: it could be the secret itself.
        serde_json::from_slice(&answer).map(Some).map_err(|_| odd("these are no credentials".into()))
    }

    /// The region that the instance is in.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn region(&mut self, within: Duration) -> Result<Option<String>, Error> {
        let deadline = Deadline { at: Instant::now() + within, within };
        let document = self.get(DOCUMENT, &deadline)?.unwrap_or_default();
        Ok(serde_json::from_slice::<Document>(&document).ok().and_then(|document| document.region))
    }

    fn text(&mut self, path: &str, deadline: &Deadline) -> Result<Option<String>, Error> {
        let bytes = self.get(path, deadline)?;
        let text = bytes.map(String::from_utf8).transpose();
        let text = text.map_err(|_| Error::Odd { path: path.into(), message: "not UTF-8".into() })?;
        Ok(text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()))
    }

    /// One path; 404 is `None`. Tries again with growing pauses until the deadline, but never after a refusal.
    fn get(&mut self, path: &str, deadline: &Deadline) -> Result<Option<Vec<u8>>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let last = match self.attempt(path)? {
                Attempt::Found(body) => return Ok(Some(body)),
                Attempt::Absent => return Ok(None),
                Attempt::Refused(status) => {
                    return Err(Error::Refused { base: self.base.clone(), path: path.into(), status });
                }
                Attempt::Expired => {
                    self.token = None;
                    "the token was refused".to_owned()
                }
                Attempt::Again(cause) => cause,
            };
            if Instant::now() + pause >= deadline.at {
                return Err(Error::Deadline {
                    base: self.base.clone(),
                    path: path.into(),
                    waited: deadline.within,
                    last,
                });
            }
            self.pause(pause)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn pause(&self, pause: Duration) -> Result<(), Error> {
        let sleep = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.http.wait(sleep).map_err(|_| Error::Cancelled)
    }

    fn attempt(&mut self, path: &str) -> Result<Attempt, Error> {
        if self.token.is_none() {
            match self.request_token()? {
                Attempt::Found(token) => {
                    self.token = String::from_utf8(token).ok().filter(|t| is_header_safe(t))
                }
                Attempt::Absent | Attempt::Expired => {
                    return Ok(Attempt::Again("no token is given out".into()));
                }
                other => return Ok(other),
            }
        }
        let Some(token) = &self.token else { return Ok(Attempt::Again("the token is not text".into())) };
        let request =
            self.http.client().get(format!("{}{path}", self.base)).header("X-aws-ec2-metadata-token", token);
        self.send(request)
    }

    fn request_token(&self) -> Result<Attempt, Error> {
        let request = self.http.client().put(format!("{}{TOKEN_PATH}", self.base));
        self.send(request.header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL))
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Result<Attempt, Error> {
        match self.http.fetch(request.timeout(ONE_REQUEST), MAX_BODY) {
            Ok((200, body)) => Ok(Attempt::Found(body)),
            Ok((401, _)) => Ok(Attempt::Expired),
            Ok((404, _)) => Ok(Attempt::Absent),
            Ok((status, _)) if status == 429 || status >= 500 => Ok(Attempt::Again(format!("HTTP {status}"))),
            Ok((status, _)) => Ok(Attempt::Refused(status)),
            Err(http::Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => Ok(Attempt::Again(error.to_string())),
        }
    }
}

struct Deadline {
    at: Instant,
    within: Duration,
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
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
}
