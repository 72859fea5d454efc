//! What a repository lets us in by, from where it is kept: files, SSM, Secrets Manager, a GitHub App. What the network gave
//! is kept for a while, and asked for again when the repository refuses it.
// Effects: files, the network, the clock.
#![allow(clippy::disallowed_methods)]

use super::{Error, app};
use crate::aws::Vault;
use crate::http::Cancel;
use crate::userdata::{App, Login, Secret};
use base64::Engine;
use mayfly_states::fsys::guarded::{self, Guard, GuardError};
use reqwest::header::HeaderValue;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a value of a vault is used without asking again.
const KEPT: Duration = Duration::from_secs(900);
/// A token that ends this soon is not used any more.
const MARGIN: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
const MAX_SECRET: u64 = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Logins {
    login: Login,
    vault: Arc<Vault>,
    cancel: Cancel,
    /// The value of the vault, and until when it is used.
    token: Option<(String, Instant)>,
    key: Option<(String, Instant)>,
    app: Option<(String, chrono::DateTime<chrono::Utc>)>,
}

/// A key as a file that `ssh` can open.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// Where the key never was on a disk: the memory behind the path.
    _memory: Option<OwnedFd>,
}

impl Logins {
    pub(super) fn new(login: Login, vault: Arc<Vault>, cancel: Cancel) -> Self {
        Self { login, vault, cancel, token: None, key: None, app: None }
    }

    /// The header that lets us in over HTTP.
    pub(super) fn authorization(&mut self) -> Result<Option<HeaderValue>, Error> {
        if let Some(app) = self.login.app.clone() {
            return self
                .app_token(&app)
                .map(|token| Some(basic("github_app", &token)))
                .map(Option::transpose)?;
        }
        let Some(secret) = self.login.token.clone() else { return Ok(None) };
        let token = read(&self.vault, &secret, &mut self.token)?;
        basic(&describe(&secret), &token).map(Some)
    }

    /// The key for SSH.
    pub(super) fn key_file(&mut self) -> Result<Option<KeyFile>, Error> {
        match self.login.ssh_key.clone() {
            None => Ok(None),
            Some(Secret::File(path)) => {
                fit("file", &path, Guard::Secret)?;
                Ok(Some(KeyFile { path, _memory: None }))
            }
            Some(secret) => {
                let text = read(&self.vault, &secret, &mut self.key)?;
                let failed = |e: std::io::Error| Error::secret(&describe(&secret), e.to_string());
                in_memory(&text).map(Some).map_err(failed)
            }
        }
    }

    /// The hosts that are known for SSH: who can write them chooses whom we believe.
    pub(super) fn known_hosts(&self) -> Result<Option<PathBuf>, Error> {
        let path = self.login.known_hosts_file.clone();
        path.as_deref().map_or(Ok(()), |path| fit("known_hosts_file", path, Guard::Trust))?;
        Ok(path)
    }

    /// The repository did not let us in: what was kept is worth nothing.
    pub(super) fn refused(&mut self) {
        (self.token, self.key, self.app) = (None, None, None);
    }

    fn app_token(&mut self, app: &App) -> Result<String, Error> {
        let now = chrono::Utc::now();
        if let Some((token, _)) = self.app.as_ref().filter(|(_, end)| now + MARGIN < *end) {
            return Ok(token.clone());
        }
        let key = read(&self.vault, &app.key, &mut self.key)?;
        let fresh = app::token(app, &key, now, &self.cancel);
        let fresh = fresh.map_err(|cause| Error::secret("github_app", cause))?;
        self.app = Some((fresh.token.clone(), fresh.expires_at));
        Ok(fresh.token)
    }
}

/// Where a secret is kept, for a message.
fn describe(secret: &Secret) -> String {
    match secret {
        Secret::File(path) => format!("file {}", path.display()),
        Secret::Parameter(name) => format!("SSM parameter {name}"),
        Secret::Managed(id, _) => format!("secret {id}"),
    }
}

fn read(vault: &Vault, secret: &Secret, kept: &mut Option<(String, Instant)>) -> Result<String, Error> {
    if let Secret::File(path) = secret {
        return file(path);
    }
    if let Some((value, _)) = kept.as_ref().filter(|(_, until)| Instant::now() < *until) {
        return Ok(value.clone());
    }
    let answer = match secret {
        Secret::Parameter(name) => vault.parameter(name),
        Secret::Managed(id, _) => vault.secret(id),
        Secret::File(_) => Ok(String::new()),
    };
    let value = answer.map_err(|error| Error::secret(&describe(secret), error.to_string()))?;
    let value = match secret {
        Secret::Managed(_, Some(key)) => {
            inner(&value, key).map_err(|e| Error::secret(&describe(secret), e))?
        }
        _ => value,
    };
    *kept = Some((value.clone(), Instant::now() + KEPT));
    Ok(value)
}

/// One value of a JSON mapping.
fn inner(text: &str, key: &str) -> Result<String, String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| format!("is not JSON, and key {key:?} of it is asked for"))?;
    json.get(key)
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| format!("has no text under the key {key:?}"))
}

/// A file with a secret, which must be for its owner alone.
fn file(path: &Path) -> Result<String, Error> {
    guarded::read(path, Guard::Secret, MAX_SECRET).map_err(|error| unfit("file", path, &error))
}

/// A file that only root or this program can change, for another program to open.
fn fit(what: &str, path: &Path, guard: Guard) -> Result<(), Error> {
    guarded::open(path, guard).map(drop).map_err(|error| unfit(what, path, &error))
}

fn unfit(what: &str, path: &Path, error: &GuardError) -> Error {
    Error::secret(&format!("{what} {}", path.display()), error.to_string())
}

/// The token as Basic credentials: `user:token`, or a token alone, which every forge takes with any user name.
fn basic(kept: &str, token: &str) -> Result<HeaderValue, Error> {
    let fail = |cause: &str| Error::secret(kept, cause.to_owned());
    let token = token.trim();
    if token.is_empty() || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(fail("must hold one token on one line"));
    }
    let pair = if token.contains(':') { token.to_owned() } else { format!("x-access-token:{token}") };
    let basic = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value =
        HeaderValue::from_str(&format!("Basic {basic}")).map_err(|_| fail("is no text for a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Text in memory under a path that other programs of the same user can open. `ssh` closes what it inherits, so that it
/// is given the way through this process.
fn in_memory(text: &str) -> std::io::Result<KeyFile> {
    let memory = rustix::fs::memfd_create("ssh-key", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600))?;
    // ssh insists on the newline at the end, which consoles and JSON lose.
    file.write_all(text.trim_end().as_bytes())?;
    file.write_all(b"\n")?;
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    Ok(KeyFile { path, _memory: Some(file.into()) })
}
