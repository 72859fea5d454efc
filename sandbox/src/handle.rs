//! Starts a sandbox, finds a running one, and talks to it: what `mayfly sandbox` and the demonstration use.
// Effects: starts the daemon and calls its control endpoints.
#![allow(clippy::disallowed_methods)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use crate::config::SandboxConfig;
use crate::status::Status;
use crate::{entry, world};

/// How long a sandbox may take to come up.
const UP_DEADLINE: Duration = Duration::from_secs(60);
/// How long it may take to go away.
const DOWN_DEADLINE: Duration = Duration::from_secs(60);
/// How long one control call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer of a control call.
const ANSWER_LIMIT: usize = 64 << 20;

/// Why a sandbox could not be started, found or asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The state directory is in use.
    #[error(
        "a sandbox already runs in {}{}; end it with `mayfly sandbox down`, or choose another place with --state-dir",
        state_dir.display(), running.as_ref().map(|info| format!(" (pid {}, {})", info.pid, info.endpoint)).unwrap_or_default()
    )]
    AlreadyRunning {
        /// Where.
        state_dir: PathBuf,
        /// Who, when it has said so yet.
        running: Option<Box<DaemonInfo>>,
    },
    /// Nothing runs there.
    #[error("no sandbox runs in {}; start one with `mayfly sandbox up`", .0.display())]
    NotRunning(PathBuf),
    /// The state directory belongs to somebody else or is open to others.
    #[error("{} must belong to you and to nobody else ({reason}); choose another place with --state-dir", path.display())]
    UnsafeStateDir {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file or process operation failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: io::Error,
    },
    /// The daemon said why it could not start.
    #[error("the sandbox did not start: {0}")]
    Daemon(String),
    /// It neither came up nor said why.
    #[error("the sandbox {0} within {1} seconds; see {2}")]
    Timeout(&'static str, u64, PathBuf),
    /// A control call failed.
    #[error("the sandbox did not answer {path}: {reason}")]
    Control {
        /// Which endpoint.
        path: String,
        /// Why.
        reason: String,
    },
}

impl SandboxError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// What a running daemon writes to `daemon.json` in its state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Process id.
    pub pid: u32,
    /// Address of the APIs and of the control endpoints.
    pub api_addr: SocketAddr,
    /// The same as a URL, for `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// Where the host reaches git, if it is served.
    pub git_url: Option<String>,
    /// Where instances reach it.
    pub instance_git_url: Option<String>,
    /// What people should know about this sandbox on this machine.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl DaemonInfo {
    /// The file in `state_dir`.
    pub(crate) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("daemon.json")
    }
}

/// A running sandbox.
#[derive(Debug)]
pub struct Handle {
    state_dir: PathBuf,
    info: DaemonInfo,
    /// The daemon's standard input: its end is the daemon's end.
    lifeline: Option<ChildStdin>,
}

/// Starts a sandbox and waits until it answers.
///
/// # Errors
/// When one runs there already, the kernel refuses what it needs (the text says what to do), or a port is taken.
pub async fn up(config: &SandboxConfig) -> Result<Handle, SandboxError> {
    let state_dir = prepare_state_dir(&config.state_dir)?;
    // The daemon takes the lock itself; this is for a better message than its own.
    drop(lock_patiently(&state_dir)?);
    let config = SandboxConfig { state_dir: state_dir.clone(), ..config.clone() };
    let (lifeline, ready) = spawn(&config)?;
    let mut lines = BufReader::new(ready).lines();
    let log = state_dir.join("daemon.log");
    let line = tokio::time::timeout(UP_DEADLINE, lines.next_line()).await;
    let line =
        line.map_err(|_| SandboxError::Timeout("did not come up", UP_DEADLINE.as_secs(), log.clone()))?;
    match line.map_err(SandboxError::io("hear from the sandbox"))?.as_deref() {
        Some("ready") => {}
        Some(line) => {
            return Err(SandboxError::Daemon(line.strip_prefix("error ").unwrap_or(line).to_owned()));
        }
        None => return Err(SandboxError::Daemon(format!("it died; see {}", log.display()))),
    }
    let info = read_info(&state_dir).ok_or_else(|| SandboxError::NotRunning(state_dir.clone()))?;
    Ok(Handle { state_dir, info, lifeline: config.die_with_starter.then_some(lifeline).flatten() })
}

fn spawn(config: &SandboxConfig) -> Result<(Option<ChildStdin>, pipe::Receiver), SandboxError> {
    let path = config.state_dir.join("config.json");
    let text =
        serde_json::to_vec_pretty(config).map_err(|e| SandboxError::io("write the config")(e.into()))?;
    write_private(&path, &text).map_err(SandboxError::io(format!("write {}", path.display())))?;
    let log = config.state_dir.join("daemon.log");
    let log = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&log);
    let log = log.map_err(SandboxError::io("write the sandbox's log"))?;
    let program = config.program.clone().unwrap_or_else(|| entry::SELF.into());
    let mut command = Command::new(&program);
    command.args([entry::MARK, entry::DAEMON]).arg(&path).stdout(Stdio::piped()).stderr(log);
    command.stdin(if config.die_with_starter { Stdio::piped() } else { Stdio::null() });
    let started = command.spawn();
    let mut child = started.map_err(SandboxError::io(format!("run {}", program.display())))?;
    let lifeline = child.stdin.take();
    let output = child.stdout.take().ok_or_else(|| SandboxError::Daemon("its output is missing".into()))?;
    // Nobody waits for the daemon otherwise; a thread that ends with it leaves no zombie behind.
    std::thread::spawn(move || child.wait());
    let ready = pipe::Receiver::from_owned_fd(OwnedFd::from(output));
    Ok((lifeline, ready.map_err(SandboxError::io("hear from the sandbox"))?))
}

/// Makes the directory, or checks that it is ours alone: what is in it is run as root of instances.
fn prepare_state_dir(path: &Path) -> Result<PathBuf, SandboxError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(SandboxError::io(format!("make {}", path.display())))?;
    let path = fs::canonicalize(path).map_err(SandboxError::io(format!("find {}", path.display())))?;
    let meta = fs::metadata(&path).map_err(SandboxError::io(format!("look at {}", path.display())))?;
    let uid = nix::unistd::Uid::effective().as_raw();
    if meta.uid() != uid {
        let reason = format!("it belongs to uid {}, you are {uid}", meta.uid());
        return Err(SandboxError::UnsafeStateDir { path, reason });
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        .map_err(SandboxError::io(format!("set the mode of {}", path.display())))?;
    Ok(path)
}

/// Takes the lock of `state_dir`; it is released with the returned value, and by the kernel when its holder dies.
pub(crate) fn lock(state_dir: &Path) -> Result<Flock<File>, SandboxError> {
    let path = state_dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(SandboxError::io(format!("open {}", path.display())))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| SandboxError::AlreadyRunning {
        state_dir: state_dir.to_path_buf(),
        running: read_info(state_dir).map(Box::new),
    })
}

/// [`lock`], for who wants to keep it: somebody who only looks holds it for a moment too.
pub(crate) fn lock_patiently(state_dir: &Path) -> Result<Flock<File>, SandboxError> {
    for _ in 0..10 {
        if let Ok(lock) = lock(state_dir) {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    lock(state_dir)
}

fn read_info(state_dir: &Path) -> Option<DaemonInfo> {
    serde_json::from_slice(&fs::read(DaemonInfo::path(state_dir)).ok()?).ok()
}

/// Replaces `path` whole, readable by its owner only.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made 0600 by the library.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

impl Handle {
    /// Finds the sandbox that runs in `state_dir`.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(state_dir: &Path) -> Result<Self, SandboxError> {
        let none = || SandboxError::NotRunning(state_dir.to_path_buf());
        let state_dir = fs::canonicalize(state_dir).map_err(|_| none())?;
        if lock(&state_dir).is_ok() {
            return Err(none());
        }
        let info = read_info(&state_dir).ok_or_else(none)?;
        Ok(Self { state_dir, info, lifeline: None })
    }

    /// Where its state is.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// What the daemon says of itself.
    #[must_use]
    pub fn info(&self) -> &DaemonInfo {
        &self.info
    }

    /// URL of the EC2 and ELB APIs.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.info.endpoint
    }

    /// URL below which the host finds the git repositories.
    #[must_use]
    pub fn git_url(&self) -> Option<&str> {
        self.info.git_url.as_deref()
    }

    /// URL below which instances find them.
    #[must_use]
    pub fn instance_git_url(&self) -> Option<&str> {
        self.info.instance_git_url.as_deref()
    }

    /// The environment that points any AWS client at this sandbox.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.info.endpoint.as_str()),
            ("AWS_REGION", world::REGION),
            ("AWS_DEFAULT_REGION", world::REGION),
            ("AWS_ACCESS_KEY_ID", "sandbox"),
            ("AWS_SECRET_ACCESS_KEY", "sandbox"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The same as `export` lines for a shell.
    #[must_use]
    pub fn env_lines(&self) -> String {
        self.env().iter().map(|(name, value)| format!("export {name}={value}\n")).collect()
    }

    /// What runs in it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Status, SandboxError> {
        self.json("GET", "/_mayfly/status", Bytes::new()).await
    }

    /// The console of an instance, its last 64 KiB.
    ///
    /// # Errors
    /// When there is no such instance, or the sandbox does not answer.
    pub async fn logs(&self, instance: &str) -> Result<String, SandboxError> {
        let body = self.call("GET", &format!("/_mayfly/console/{instance}"), Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The cloud's delays, faults and limits.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn world_config(&self) -> Result<world::Config, SandboxError> {
        self.json("GET", "/_mayfly/config", Bytes::new()).await
    }

    /// Puts other delays, faults and limits in place.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn set_world_config(&self, config: &world::Config) -> Result<(), SandboxError> {
        let text = serde_json::to_vec(config).map_err(|e| SandboxError::io("write the config")(e.into()))?;
        self.call("PUT", "/_mayfly/config", text.into()).await.map(drop)
    }

    /// API calls with a number above `after`, oldest first, as JSON objects.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn calls(&self, after: u64) -> Result<Vec<serde_json::Value>, SandboxError> {
        self.json("GET", &format!("/_mayfly/calls?after={after}"), Bytes::new()).await
    }

    /// Ends the sandbox with all that runs in it, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn down(mut self) -> Result<(), SandboxError> {
        let asked = self.call("POST", "/_mayfly/shutdown", Bytes::new()).await;
        self.lifeline = None;
        let gone = async {
            while lock(&self.state_dir).is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let log = self.state_dir.join("daemon.log");
        match tokio::time::timeout(DOWN_DEADLINE, gone).await {
            Ok(()) => Ok(()),
            Err(_) => asked.and(Err(SandboxError::Timeout("did not end", DOWN_DEADLINE.as_secs(), log))),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Result<T, SandboxError> {
        let body = self.call(method, path, body).await?;
        serde_json::from_slice(&body)
            .map_err(|e| SandboxError::Control { path: path.to_owned(), reason: e.to_string() })
    }

    async fn call(&self, method: &str, path: &str, body: Bytes) -> Result<Bytes, SandboxError> {
        let failed = |reason: String| SandboxError::Control { path: path.to_owned(), reason };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.info.endpoint))
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| failed(e.to_string()))?;
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        let answer = async {
            let response = client.build_http().request(request).await.map_err(|e| e.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
            let body = body.map_err(|e| e.to_string())?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(String::from_utf8_lossy(&body).trim().to_owned()) }
        };
        let answer = tokio::time::timeout(CALL_DEADLINE, answer).await;
        answer.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(failed)
    }
}
