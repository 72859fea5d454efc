//! The resident program: boots, converges, stays, and follows the remote until it is told to stop.
//!
//! Theory of operation: one thread walks the phases of [`phase::Phase`] and waits, between ticks of the schedule, for a
//! signal. The endpoints and the watcher have threads of their own and meet it on the [`board::Board`].
// Effects: the clock, chance, files of the state directory.
#![allow(clippy::disallowed_methods)]

mod again;
mod backoff;
mod board;
mod console;
mod instance;
mod listening;
mod metrics;
mod phase;
mod pin;
mod poweroff;
mod revert;
mod running;
mod server;
mod status;
mod watches;

use crate::exit::Exit;
use crate::http::Cancel;
use crate::imds::{self, Identity, Imds};
use crate::seal;
use crate::userdata::{self, Finish, UserData};
use board::Board;
use console::say;
use instance::Instance;
use listening::Listening;
use mayfly_states::fsys::lock::{ConvergeLock, LockError};
use revert::Edits;
use server::{Asked, Server};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long the metadata service is asked before that is said and begun again.
const ASK_IDENTITY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The arguments as resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Base URL of the metadata service.
    pub(crate) imds: String,
    /// Where trees and status are kept.
    pub(crate) state_dir: PathBuf,
    /// The folder that is `/` to the states.
    pub(crate) root: PathBuf,
}

impl Settings {
    /// Where locks are.
    fn run_dir(&self) -> PathBuf {
        self.root.join("run/mayfly")
    }
}

/// Why the program cannot work here at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The disk said no.
    #[error("{path}: {source}", path = path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another one keeps this machine.
    #[error(
        "another `mayfly-boot run` (process {holder}, since {since}) keeps this machine, and does until it is stopped: \
         waiting is of no use, `mayfly-boot status` says how it stands; the lock is {path}",
        path = path.display()
    )]
    Another {
        /// Its process id.
        holder: String,
        /// When it started.
        since: String,
        /// The lock file.
        path: PathBuf,
    },
    /// Its lock cannot be had.
    #[error(transparent)]
    Lock(LockError),
    /// No signals or no runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The supervisor or the watcher cannot be used.
    #[error("{0}")]
    Services(String),
}

impl Error {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Another { .. } => Exit::Locked,
            _ => Exit::Unable,
        }
    }
}

/// Told to stop, in the middle of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopped;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// The time has come.
    Time,
    /// SIGHUP.
    Now,
    /// Files were edited that are to be put back.
    Edited,
}

/// What the phases share.
struct Resident {
    settings: Settings,
    cancel: Cancel,
    asked: Receiver<Asked>,
    server: Arc<Server>,
    board: Arc<Board>,
    edits: Arc<Edits>,
    listening: Listening,
    again: again::Again,
}

/// The lock of the resident program in `dir`.
fn only_one(dir: &Path) -> Result<ConvergeLock, Error> {
    ConvergeLock::acquire(&dir.join("resident.lock")).map_err(|error| match error {
        LockError::Held { holder, since, path } => Error::Another { holder, since, path },
        error @ LockError::Io { .. } => Error::Lock(error),
    })
}

/// What a signal leads to, on the server's thread.
struct Hears {
    tell: Sender<Asked>,
    stop: Cancel,
    again: again::Again,
    board: Arc<Board>,
}

impl Hears {
    fn signal(&self, what: Asked) {
        match what {
            Asked::Stop => self.stop.set(),
            Asked::Again => return self.try_again(),
            Asked::Now | Asked::Edited => {}
        }
        let _ = self.tell.send(what);
    }

    /// All goes on while the program on the disk is tried, and after that when it is none.
    fn try_again(&self) {
        let (tell, stop, again) = (self.tell.clone(), self.stop.clone(), self.again.clone());
        let board = self.board.clone();
        tokio::spawn(async move {
            match again.try_out().await {
                Ok(version) => {
                    again.ask();
                    stop.set();
                    let _ = tell.send(Asked::Again);
                    tracing::info!(version, "starts again");
                }
                Err(why) => {
                    let _ = tokio::task::spawn_blocking(move || again.refuse(&why, &board)).await;
                }
            }
        });
    }
}

/// Runs until told to stop.
///
/// # Errors
/// Only when nothing can work here; everything else is shown and tried again.
pub(crate) fn run(settings: Settings) -> Result<Exit, Error> {
    let run_dir = settings.run_dir();
    for dir in [&settings.state_dir, &run_dir] {
        std::fs::create_dir_all(dir).map_err(|source| Error::Disk { path: dir.clone(), source })?;
    }
    let again = again::Again::here();
    // A state directory may be named; the machine is the same one.
    let _only_one = [only_one(&settings.state_dir)?, only_one(&run_dir)?];
    let cancel = Cancel::default();
    let (tell, asked) = channel();
    let edits = Arc::new(Edits::new(tell.clone()));
    let board = Arc::new(Board::new(settings.state_dir.join("status.json")));
    let hears = Hears { tell, stop: cancel.clone(), again: again.clone(), board: board.clone() };
    let server = Server::start(move |what| hears.signal(what)).map_err(Error::Start)?;
    let server = Arc::new(server);
    let listening = Listening::new(server.clone(), board.clone());
    let resident = Resident { settings, cancel, asked, server, board, edits, listening, again };
    say(format!("mayfly-boot {} starts", env!("CARGO_PKG_VERSION")));
    match resident.live()? {
        Err(Stopped) if resident.again.is_asked() => Err(Error::Start(resident.again.execute())),
        Ok(exit) => Ok(exit),
        Err(Stopped) => Ok(resident.ended()),
    }
}

impl Resident {
    /// From who we are to the end. `Err(Stopped)` inside is the ordinary end by SIGTERM.
    fn live(&self) -> Result<Result<Exit, Stopped>, Error> {
        let (user, identity) = match self.born() {
            Ok(born) => born,
            Err(stopped) => return Ok(Err(stopped)),
        };
        self.listening.at(user.listen);
        let mut instance = Instance::new(self, user, identity)?;
        let ended = self.serve(&mut instance);
        self.board.step(|_| Ok(phase::Phase::Stopping), |_| {});
        if self.again.is_asked() {
            instance.leave();
        } else {
            instance.shutdown();
        }
        Ok(ended)
    }

    /// Boots the instance and follows the remote.
    fn serve(&self, instance: &mut Instance<'_>) -> Result<Exit, Stopped> {
        instance.boot()?;
        if instance.finish() == Finish::Poweroff && instance.is_ready() {
            return self.power_off(instance);
        }
        loop {
            match self.wait_until(instance.next_wake())? {
                Woken::Time => instance.due()?,
                Woken::Now => {
                    say("SIGHUP: fetching and converging now");
                    instance.tick(true)?;
                }
                Woken::Edited => {}
            }
            instance.put_back()?;
        }
    }

    fn power_off(&self, instance: &mut Instance<'_>) -> Result<Exit, Stopped> {
        say("finished; stopping services and powering off");
        instance.shutdown();
        self.board.retire();
        match self.seal(instance.good_commit().as_deref()) {
            Err(problems) => say(format!("failed: not fit to be an image: {}", problems.join("; "))),
            Ok(()) => {
                if let Err(error) = poweroff::poweroff(self.root()) {
                    say(format!("failed: cannot power off: {error}"));
                }
            }
        }
        // Somebody is about to take the power; nothing else is to be done.
        loop {
            self.wait_until(None)?;
        }
    }

    /// An image is shared and copied: what belongs to the machine that made it is nobody else's.
    fn seal(&self, commit: Option<&str>) -> Result<(), Vec<String>> {
        let program =
            std::env::current_exe().map_err(|error| vec![format!("the program itself: {error}")])?;
        let state_dir = &self.settings.state_dir;
        let sealed = seal::seal(&seal::Machine { root: self.root(), state_dir, program, commit })?;
        sealed.notes.iter().for_each(|note| say(format!("note: {note}")));
        say(sealed.line);
        Ok(())
    }

    /// Who this instance is and what it is told, however long that takes.
    fn born(&self) -> Result<(UserData, Identity), Stopped> {
        let mut identity = self.identity()?;
        loop {
            let bytes = identity.user_data.as_deref().unwrap_or_default();
            match userdata::parse(bytes) {
                Ok(user) => return Ok((user, identity)),
                Err(error) => self.refuse(&error, &identity),
            }
            // User-data changes only while an instance is stopped, but a test bench or a person may repair it.
            while self.wait_until(None)? != Woken::Now {}
            self.board.step(phase::Phase::again, |_| {});
            identity = self.identity()?;
        }
    }

    fn refuse(&self, error: &userdata::Error, identity: &Identity) {
        self.board.step(
            |p| p.refused(error.to_string()),
            |status| status.instance_id.clone_from(&identity.instance_id),
        );
        self.listening.at(userdata::default_listen());
        say(format!("failed: {error}"));
    }

    fn identity(&self) -> Result<Identity, Stopped> {
        let base = &self.settings.imds;
        for attempt in 0.. {
            let asked = Imds::new(base, self.cancel.clone()).and_then(|mut imds| imds.identity(ASK_IDENTITY));
            match asked {
                Ok(identity) => {
                    say(format!("instance {}", identity.instance_id));
                    return Ok(identity);
                }
                Err(imds::Error::Cancelled) => return Err(Stopped),
                Err(error) => {
                    let pause = self.pause_before(attempt);
                    say(format!("waiting: {error}; trying again in {}s", pause.as_secs_f32().ceil()));
                    self.board.step(|p| p.unanswered(error.to_string()), |_| {});
                    if attempt == 0 {
                        self.listening.at(userdata::default_listen());
                    }
                    self.wait_until(Some(Instant::now() + pause))?;
                }
            }
        }
        Err(Stopped)
    }

    fn pause_before(&self, attempt: u32) -> Duration {
        backoff::pause(attempt, FIRST_PAUSE, LONGEST_PAUSE, rand::random())
    }

    /// Waits for a time or a signal. `None` waits for a signal only.
    fn wait_until(&self, time: Option<Instant>) -> Result<Woken, Stopped> {
        let asked = match time {
            Some(time) => self.asked.recv_timeout(time.saturating_duration_since(Instant::now())),
            None => self.asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if !self.cancel.is_set() {
            self.listening.again(asked == Ok(Asked::Now));
        }
        match asked {
            _ if self.cancel.is_set() => Err(Stopped),
            Ok(Asked::Now) => Ok(Woken::Now),
            Ok(Asked::Edited) => Ok(Woken::Edited),
            Err(RecvTimeoutError::Timeout) => Ok(Woken::Time),
            Ok(Asked::Stop | Asked::Again) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    fn ended(&self) -> Exit {
        say("stopped");
        Exit::Ok
    }

    fn run_dir(&self) -> PathBuf {
        self.settings.run_dir()
    }

    fn root(&self) -> &Path {
        &self.settings.root
    }
}
