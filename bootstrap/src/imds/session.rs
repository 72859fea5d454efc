//! What is asked of the metadata service and what is made of its answers, whatever they are. Pure: questions travel, and
//! time passes, through [`Line`].

use serde::Deserialize;
use std::time::Duration;

pub(super) const TOKEN_PATH: &str = "/latest/api/token";
pub(super) const INSTANCE_ID: &str = "/latest/meta-data/instance-id";
pub(super) const USER_DATA: &str = "/latest/user-data";
pub(super) const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const LOCAL_IPV4: &str = "/latest/meta-data/local-ipv4";
const PUBLIC_IPV4: &str = "/latest/meta-data/public-ipv4";
const LOCAL_HOSTNAME: &str = "/latest/meta-data/local-hostname";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN_TTL: &str = "21600";
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

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'a> {
    /// A token of the session, by PUT.
    Token {
        /// Where.
        path: &'a str,
        /// For how many seconds.
        ttl: &'a str,
    },
    /// Anything else, with the token.
    Get {
        /// Where.
        path: &'a str,
        /// The token.
        token: &'a str,
    },
}

/// Why a line gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineError {
    /// The program was asked to stop.
    Cancelled,
    /// The answer is longer than this, and will be the next time.
    TooLong(usize),
    /// The network's words.
    Failed(String),
}

/// How questions travel, and the time.
pub(crate) trait Line {
    /// One question: status and body.
    fn ask(&mut self, question: &Question<'_>) -> Result<(u16, Vec<u8>), LineError>;

    /// Waits.
    fn pause(&mut self, pause: Duration) -> Result<(), LineError>;

    /// Time since the line was made.
    fn elapsed(&self) -> Duration;
}

/// The token is fetched when it is first needed and again when it was refused.
#[derive(Debug)]
pub(crate) struct Session<L> {
    line: L,
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

struct Deadline {
    at: Duration,
    within: Duration,
}

impl<L: Line> Session<L> {
    /// A session over `line`; `base` is only told in errors.
    pub(crate) fn new(line: L, base: String) -> Self {
        Self { line, base, token: None }
    }

    /// What it speaks over.
    #[allow(dead_code)] // For who watches the line.
    pub(crate) fn line(&self) -> &L {
        &self.line
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline { at: self.line.elapsed().saturating_add(within), within }
    }

    /// Everything we ask for, under one deadline.
    ///
    /// # Errors
    /// When the id cannot be had by then; see [`Error`].
    pub(crate) fn identity(&mut self, within: Duration) -> Result<Identity, Error> {
        let deadline = self.deadline(within);
        let instance_id = self
            .text(INSTANCE_ID, &deadline)?
            .ok_or(Error::Odd { path: INSTANCE_ID.into(), message: "an instance without an id".into() })?;
        let id_is_plain = instance_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !id_is_plain || instance_id.is_empty() || instance_id.len() > 64 {
            return Err(Error::Odd {
                path: INSTANCE_ID.into(),
                message: format!("{} is not an instance id", quoted(&instance_id)),
            });
        }
        let document = self.get(DOCUMENT, &deadline)?.unwrap_or_else(|| b"{}".to_vec());
        let document = serde_json::from_slice(&document).map_err(|e| Error::Odd {
            path: DOCUMENT.into(),
            // The reader's words quote values, which may be long.
            message: format!("not the JSON that was expected, at line {} column {}", e.line(), e.column()),
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
        let deadline = self.deadline(within);
        let Some(roles) = self.text(ROLES, &deadline)? else { return Ok(None) };
        let role = roles.lines().next().unwrap_or_default();
        let odd = |message: String| Error::Odd { path: ROLES.into(), message };
        if !is_role(role) {
            return Err(odd(format!("{} is not the name of a role", quoted(role))));
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
        let deadline = self.deadline(within);
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
            if self.line.elapsed() + pause >= deadline.at {
                return Err(Error::Deadline {
                    base: self.base.clone(),
                    path: path.into(),
                    waited: deadline.within,
                    last,
                });
            }
            self.line.pause(pause).map_err(|_| Error::Cancelled)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn attempt(&mut self, path: &str) -> Result<Attempt, Error> {
        if self.token.is_none() {
            match self.request_token()? {
                Attempt::Found(token) => {
                    self.token = String::from_utf8(token).ok().filter(|t| is_header_safe(t));
                }
                Attempt::Absent | Attempt::Expired => {
                    return Ok(Attempt::Again("no token is given out".into()));
                }
                other => return Ok(other),
            }
        }
        let Some(token) = self.token.clone() else {
            return Ok(Attempt::Again("the token is not text".into()));
        };
        self.send(&Question::Get { path, token: &token })
    }

    fn request_token(&mut self) -> Result<Attempt, Error> {
        self.send(&Question::Token { path: TOKEN_PATH, ttl: TOKEN_TTL })
    }

    fn send(&mut self, question: &Question<'_>) -> Result<Attempt, Error> {
        match self.line.ask(question) {
            Ok((200, body)) => Ok(Attempt::Found(body)),
            Ok((401, _)) => Ok(Attempt::Expired),
            Ok((404, _)) => Ok(Attempt::Absent),
            Ok((status, _)) if status == 429 || status >= 500 => Ok(Attempt::Again(format!("HTTP {status}"))),
            Ok((status, _)) => Ok(Attempt::Refused(status)),
            Err(LineError::Cancelled) => Err(Error::Cancelled),
            Err(LineError::TooLong(limit)) => {
                let path = match question {
                    Question::Token { path, .. } | Question::Get { path, .. } => (*path).to_owned(),
                };
                Err(Error::Odd { path, message: format!("the answer is longer than {limit} bytes") })
            }
            Err(LineError::Failed(cause)) => Ok(Attempt::Again(cause)),
        }
    }
}

/// A role becomes a part of a path.
fn is_role(role: &str) -> bool {
    let plain = role.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    plain && !role.is_empty() && role.len() <= 64 && !matches!(role, "." | "..")
}

/// The beginning of what should have been a name, for a line of the console.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}
