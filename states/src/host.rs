//! The narrow door to the machine: what the engine and templates may ask of the world.

mod fetch;
mod machine;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use fetch::{Answer, Fetch, FetchError, NoNetwork, Request};
pub use machine::Machine;

/// A service as its manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Nobody knows a service of that name.
    Unknown,
    /// Known, and not running.
    Stopped,
    /// Running.
    Running,
}

/// The service manager that `service.*` states speak to. The caller supplies it (see `mayfly-watcher`'s supervisors);
/// errors are sentences for the step's comment.
pub trait Services: Send + Sync {
    /// The manager's name for messages: `supervisord`, `systemd`, `sysv`, `builtin`.
    fn manager(&self) -> &str;
    /// Where the service stands.
    fn state(&self, name: &str) -> Result<ServiceState, String>;
    /// Start and wait until it runs.
    fn start(&self, name: &str) -> Result<(), String>;
    /// Stop and wait until it is gone.
    fn stop(&self, name: &str) -> Result<(), String>;
    /// Stop and start, keeping listening sockets where the manager owns them.
    fn restart(&self, name: &str) -> Result<(), String>;
    /// Reload without a restart.
    fn reload(&self, name: &str) -> Result<(), String>;
    /// Whether it starts at boot; `None` where the manager has no such notion.
    fn enabled(&self, name: &str) -> Result<Option<bool>, String>;
    /// Set whether it starts at boot.
    fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), String>;
    /// Whether services are to be left as they are, because who will run them does not yet.
    fn offline(&self) -> bool {
        false
    }
    /// Whether it is masked: kept from starting at all, for good or (`runtime`) until the next boot.
    fn masked(&self, name: &str, runtime: bool) -> Result<bool, String> {
        let _ = (name, runtime);
        Ok(false)
    }
    /// Mask or unmask it.
    fn set_masked(&self, name: &str, runtime: bool, masked: bool) -> Result<(), String> {
        let _ = (runtime, masked);
        Err(format!("{} cannot mask the service {name:?}", self.manager()))
    }
}

/// What to run: an argument vector, or a line for a shell when the tree asked for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Program and arguments, run as they are.
    Argv(Vec<String>),
    /// A line given to `shell -c`.
    Shell {
        /// Path of the shell.
        shell: String,
        /// The line.
        line: String,
    },
}

/// A command for [`Host::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is run.
    pub program: Program,
    /// Working directory, as the tree names it (under [`Host::root`]); `None` is `/`.
    pub cwd: Option<String>,
    /// Variables set (`Some`) or removed (`None`) on top of the environment.
    pub env: Vec<(String, Option<String>)>,
    /// Run as this user, with its groups and home.
    pub user: Option<String>,
    /// What it reads on standard input, at most a pipe's 64 KiB; nothing when empty. Secrets go here, never into the
    /// argument vector.
    pub stdin: Vec<u8>,
    /// Errors go where output goes, in the order in which they are written.
    pub merge_errors: bool,
    /// Nothing of this program's environment is passed on.
    pub clean_env: bool,
    /// File creation mask.
    pub umask: Option<u32>,
    /// After this long the whole process group is terminated, then killed.
    pub timeout: Duration,
}

impl Command {
    /// The longest that a command may take when nobody says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

    /// An argument vector with the defaults.
    pub fn argv<I: IntoIterator<Item = S>, S: Into<String>>(argv: I) -> Self {
        Self::new(Program::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// A line for a shell with the defaults.
    pub fn shell(shell: &str, line: &str) -> Self {
        Self::new(Program::Shell { shell: shell.to_owned(), line: line.to_owned() })
    }

    fn new(program: Program) -> Self {
        let timeout = Self::DEFAULT_TIMEOUT;
        Self {
            program,
            cwd: None,
            env: Vec::new(),
            user: None,
            stdin: Vec::new(),
            merge_errors: false,
            clean_env: false,
            umask: None,
            timeout,
        }
    }

    /// Set a variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), Some(value.to_owned())));
        self
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Its process id.
    pub pid: u32,
    /// Exit code; 128 + the signal's number when a signal ended it.
    pub code: i32,
    /// At most [`Output::LIMIT`] bytes, the last ones.
    pub stdout: Vec<u8>,
    /// At most [`Output::LIMIT`] bytes, the last ones.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Bytes kept of each stream.
    pub const LIMIT: usize = 1 << 20;

    /// Standard output as text without its last line end.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches(['\n', '\r']).to_owned()
    }

    /// Standard error as text without its last line end.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// Why a command gave no exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run {program:?}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The user to run it as is not there.
    #[error("cannot run {program:?} as {user:?}: there is no such user")]
    NoUser {
        /// The program.
        program: String,
        /// The user.
        user: String,
    },
    /// It took too long and was killed with its children.
    #[error(
        "{program:?} was killed with its children after {seconds} s; raise `timeout` if it needs longer{tail}"
    )]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
        /// Its last words, ready to be printed.
        tail: String,
    },
    /// The run was cancelled while it ran.
    #[error("{program:?} was stopped because the run was cancelled")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// The system failed while it ran.
    #[error("lost sight of {program:?}: {source}")]
    Watch {
        /// The program.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl CommandError {
    /// The same without what the command said.
    pub fn without_words(self) -> Self {
        match self {
            Self::TimedOut { program, seconds, .. } => {
                Self::TimedOut { program, seconds, tail: String::new() }
            }
            other => other,
        }
    }
}

/// The machine, as the engine and templates see it.
pub trait Host: Send + Sync {
    /// The service manager in use.
    fn services(&self) -> &dyn Services;
    /// The network.
    fn network(&self) -> &dyn Fetch {
        &NoNetwork
    }
    /// Seconds since the epoch.
    fn now(&self) -> f64;
    /// The directory that is `/` to the states: files, accounts and packages are looked for below it.
    fn root(&self) -> &Path;
    /// Run a command and wait for its end. An exit code other than 0 is not an error here.
    fn run(&self, command: &Command) -> Result<Output, CommandError>;
    /// Wait, or less when the run is cancelled.
    fn pause(&self, duration: Duration);
    /// Whether somebody asked to stop: looked at between steps and while commands run.
    fn cancelled(&self) -> bool;

    /// Where a path of the tree is on this machine.
    fn path(&self, path: &str) -> PathBuf {
        let below = path.trim_start_matches('/');
        if below.is_empty() { self.root().to_owned() } else { self.root().join(below) }
    }
}

/// Services for machines without a manager: every question is answered with a sentence saying so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

impl NoServices {
    fn refuse<T>(name: &str) -> Result<T, String> {
        Err(format!("no service manager is in use here, so nothing can be done about the service {name:?}"))
    }
}

impl Services for NoServices {
    fn manager(&self) -> &str {
        "none"
    }
    fn state(&self, name: &str) -> Result<ServiceState, String> {
        Self::refuse(name)
    }
    fn start(&self, name: &str) -> Result<(), String> {
        Self::refuse(name)
    }
    fn stop(&self, name: &str) -> Result<(), String> {
        Self::refuse(name)
    }
    fn restart(&self, name: &str) -> Result<(), String> {
        Self::refuse(name)
    }
    fn reload(&self, name: &str) -> Result<(), String> {
        Self::refuse(name)
    }
    fn enabled(&self, name: &str) -> Result<Option<bool>, String> {
        Self::refuse(name)
    }
    fn set_enabled(&self, name: &str, _enabled: bool) -> Result<(), String> {
        Self::refuse(name)
    }
}
