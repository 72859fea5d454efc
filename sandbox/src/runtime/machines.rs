//! The running instances: starts, stops, freezes and ends them, and reports what becomes of them.
// Effects: processes and signals.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use super::console::Console;
use super::disk::{Disk, DiskError};
use super::fabric::{Fabric, FabricError};
use super::guest;
use super::spawner::Spawner;
use super::spec::{Ending, GuestSpec};

/// How long an instance may take from its start to a configured network.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// What is allowed on top of the grace before a stop becomes a kill.
const STOP_SLACK: Duration = Duration::from_secs(5);

/// Why an instance did not start or could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Its disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its network.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// Its processes.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The reason.
        source: std::io::Error,
    },
    /// The instance said why itself.
    #[error("{0}")]
    Guest(String),
    /// It took too long.
    #[error("it was not up after {} seconds", START_DEADLINE.as_secs())]
    Timeout,
    /// It runs already.
    #[error("{0} is running already")]
    Running(String),
}

impl MachineError {
    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Instance id.
    pub id: String,
    /// The image, used when the instance has no disk yet.
    pub image: String,
    /// Host name.
    pub hostname: String,
    /// Private address.
    pub address: Ipv4Addr,
}

/// What became of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Instance id.
    pub id: String,
    /// How.
    pub ending: Ending,
    /// Whether it was told to end.
    pub asked: bool,
}

#[derive(Debug)]
struct Machine {
    launch: Launch,
    layers: Vec<std::path::PathBuf>,
    console: Console,
    /// The guardian while it lives. Signals go out only under this lock, so that its number cannot be anybody else's.
    guardian: Mutex<Option<Child>>,
    up: watch::Sender<bool>,
    /// Its end was asked for; of this run, not of the next one.
    asked: AtomicBool,
}

impl Machine {
    fn signal(&self, signal: Signal) -> bool {
        let guardian = self.guardian.lock().unwrap_or_else(PoisonError::into_inner);
        guardian.as_ref().is_some_and(|child| kill(Pid::from_raw(child.id().cast_signed()), signal).is_ok())
    }
}

/// All instances that have a disk, running or not; clones share them.
#[derive(Debug, Clone)]
pub struct Machines {
    disk: Arc<Disk>,
    fabric: Fabric,
    spawner: Spawner,
    grace: Duration,
    table: Arc<Mutex<HashMap<String, Arc<Machine>>>>,
    ended: mpsc::UnboundedSender<Ended>,
}

impl Machines {
    /// Over `disk` and `fabric`; `grace` is what processes get between SIGTERM and SIGKILL. Ends come out of the
    /// receiver, also those that were asked for.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn new(
        disk: Arc<Disk>,
        fabric: Fabric,
        grace: Duration,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Ended>), MachineError> {
        let (ended, ends) = mpsc::unbounded_channel();
        let spawner = Spawner::start().map_err(MachineError::io("start a thread"))?;
        Ok((Self { disk, fabric, spawner, grace, table: Arc::default(), ended }, ends))
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Machine>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Option<Arc<Machine>> {
        self.table().get(id).cloned()
    }

    /// Whether `id` runs.
    #[must_use]
    pub fn is_up(&self, id: &str) -> bool {
        self.get(id).is_some_and(|machine| *machine.up.borrow())
    }

    /// Ids of all that run.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.table().iter().filter(|(_, machine)| *machine.up.borrow()).map(|(id, _)| id.clone()).collect()
    }

    /// The last bytes of the console of `id`; `None` for an instance without a disk.
    #[must_use]
    pub fn console(&self, id: &str) -> Option<Vec<u8>> {
        self.get(id).map(|machine| machine.console.tail())
    }

    /// Starts an instance, new or stopped, and returns once its network is up; its programs start right after.
    ///
    /// # Errors
    /// When any part of it fails; nothing is left running then, and what it said is on its console.
    pub async fn start(&self, launch: Launch) -> Result<(), MachineError> {
        let id = launch.id.clone();
        let machine = self.register(launch)?;
        let started = tokio::time::timeout(START_DEADLINE, self.bring_up(&machine)).await;
        let outcome = started.unwrap_or(Err(MachineError::Timeout));
        match outcome {
            Ok(status) => {
                tokio::spawn(self.clone().supervise(id, machine, status));
                Ok(())
            }
            Err(error) => {
                machine.console.note(&format!("start failed: {error}"));
                tokio::task::spawn_blocking(move || reap(&machine, true)).await.ok();
                Err(error)
            }
        }
    }

    fn register(&self, launch: Launch) -> Result<Arc<Machine>, MachineError> {
        let mut table = self.table();
        let known = table.get(&launch.id);
        if let Some(machine) = known.filter(|machine| *machine.up.borrow()) {
            return Err(MachineError::Running(machine.launch.id.clone()));
        }
        let (console, layers) = match known {
            Some(machine) => (machine.console.clone(), machine.layers.clone()),
            None => {
                let layers = self.disk.layers(&launch.image)?;
                let dir = self.disk.make_instance(&launch.id)?;
                (Console::new(&dir.join("console.log")), layers)
            }
        };
        let (up, _) = watch::channel(true);
        let machine = Arc::new(Machine {
            launch,
            layers,
            console,
            guardian: Mutex::new(None),
            up,
            asked: AtomicBool::new(false),
        });
        table.insert(machine.launch.id.clone(), Arc::clone(&machine));
        Ok(machine)
    }

    async fn bring_up(&self, machine: &Arc<Machine>) -> Result<Status, MachineError> {
        let spec = self.write_spec(machine)?;
        let mut child = self.spawner.guardian(&spec).await.map_err(MachineError::io("start the instance"))?;
        let pid = child.id();
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(MachineError::Guest("its pipes are missing".to_owned()));
        };
        *machine.guardian.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let pipes = MachineError::io("read the instance's pipes");
        let opened = receiver(output.into()).and_then(|output| Ok((output, receiver(errors.into())?)));
        let (output, errors) = opened.map_err(pipes)?;
        tokio::spawn(machine.console.clone().follow(errors));
        let mut status = BufReader::new(output).lines();
        expect(&mut status, "unshared").await?;
        let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net"))
            .map_err(MachineError::io("open the instance's network"))?;
        self.fabric.plug(machine.launch.address, namespace.into()).await?;
        let mut input =
            pipe::Sender::from_owned_fd(input.into()).map_err(MachineError::io("write to the instance"))?;
        input.write_all(b"go\n").await.map_err(MachineError::io("write to the instance"))?;
        expect(&mut status, "up").await?;
        Ok(status)
    }

    fn write_spec(&self, machine: &Machine) -> Result<std::path::PathBuf, MachineError> {
        let launch = &machine.launch;
        let dir = self.disk.instance(&launch.id);
        let spec = GuestSpec {
            id: launch.id.clone(),
            hostname: launch.hostname.clone(),
            address: launch.address,
            state_dir: self.disk.state_dir().to_path_buf(),
            dir: dir.clone(),
            layers: machine.layers.clone(),
            grafts: self.disk.grafts().to_vec(),
            grace_ms: u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX),
        };
        let path = GuestSpec::path(&dir);
        write_private(&path, &spec).map_err(MachineError::io("write the launch order"))?;
        Ok(path)
    }

    /// Waits for the end of a started instance and tells it.
    async fn supervise(self, id: String, machine: Arc<Machine>, mut status: Status) {
        let mut ending = Ending::Killed;
        while let Ok(Some(line)) = status.next_line().await {
            if let Some(word) = line.strip_prefix("end ") {
                ending = Ending::from_word(word);
            } else if let Some(reason) = line.strip_prefix("error ") {
                machine.console.note(reason);
                ending = Ending::Failed;
            }
        }
        let reaped = Arc::clone(&machine);
        tokio::task::spawn_blocking(move || reap(&reaped, false)).await.ok();
        machine.up.send_replace(false);
        let asked = machine.asked.load(Ordering::SeqCst);
        let _ = self.ended.send(Ended { id, ending, asked });
    }

    /// Ends the processes of `id`, politely unless `force`, and returns when they are gone.
    pub async fn stop(&self, id: &str, force: bool) {
        let Some(machine) = self.get(id) else { return };
        machine.asked.store(true, Ordering::SeqCst);
        let order = if force { guest::KILL } else { guest::STOP };
        machine.signal(order);
        let mut up = machine.up.subscribe();
        let patience = if force { STOP_SLACK } else { self.grace + STOP_SLACK };
        if tokio::time::timeout(patience, up.wait_for(|up| !up)).await.is_err() {
            machine.signal(guest::KILL);
            let _ = tokio::time::timeout(STOP_SLACK, up.wait_for(|up| !up)).await;
        }
    }

    /// Asks the init of `id` to restart; the end comes as [`Ending::Reboot`].
    pub fn reboot(&self, id: &str) {
        if let Some(machine) = self.get(id) {
            machine.signal(guest::REBOOT);
        }
    }

    /// The launch that `id` was started with.
    #[must_use]
    pub fn launch_of(&self, id: &str) -> Option<Launch> {
        self.get(id).map(|machine| machine.launch.clone())
    }

    /// Ends `id` and removes its disk. Its console stays readable.
    ///
    /// # Errors
    /// When files resist.
    pub async fn destroy(&self, id: &str) -> Result<(), MachineError> {
        self.stop(id, false).await;
        let (disk, id) = (Arc::clone(&self.disk), id.to_owned());
        let removed = tokio::task::spawn_blocking(move || disk.remove_instance(&id)).await;
        removed.unwrap_or(Ok(())).map_err(MachineError::from)
    }

    /// Copies the disk of `id`, stopped or frozen for the time, as the new image `image`.
    ///
    /// # Errors
    /// When the copy fails.
    pub async fn capture(&self, id: &str, image: &str) -> Result<(), MachineError> {
        let Some(machine) = self.get(id) else {
            return Err(MachineError::Guest(format!("{id} has no disk")));
        };
        let frozen = machine.signal(guest::FREEZE);
        let (disk, of) = (Arc::clone(&self.disk), machine.launch.image.clone());
        let (id, image) = (id.to_owned(), image.to_owned());
        let copied = tokio::task::spawn_blocking(move || {
            nix::unistd::sync();
            disk.capture(&id, &of, &image)
        })
        .await;
        if frozen {
            machine.signal(guest::THAW);
        }
        copied.unwrap_or(Ok(())).map_err(MachineError::from)
    }

    /// Whether an instance with a disk stands on image `image`.
    #[must_use]
    pub fn uses_image(&self, image: &str) -> bool {
        let layer = Path::new("layers").join(image);
        self.table().values().any(|machine| machine.layers.contains(&layer))
    }
}

type Status = Lines<BufReader<pipe::Receiver>>;

fn receiver(end: OwnedFd) -> std::io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(end)
}

async fn expect(status: &mut Status, word: &str) -> Result<(), MachineError> {
    match status.next_line().await {
        Ok(Some(line)) if line == word => Ok(()),
        Ok(Some(line)) => Err(MachineError::Guest(line.strip_prefix("error ").unwrap_or(&line).to_owned())),
        Ok(None) => Err(MachineError::Guest("it died while it started".to_owned())),
        Err(error) => Err(MachineError::io("hear from the instance")(error)),
    }
}

/// Waits for the guardian, killing it first if asked, and forgets it. Blocks.
fn reap(machine: &Machine, kill: bool) {
    let mut guardian = machine.guardian.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(child) = guardian.as_mut() {
        if kill {
            let _ = child.kill();
        }
        let _ = child.wait();
    }
    *guardian = None;
    if kill {
        machine.up.send_replace(false);
    }
}

fn write_private(path: &Path, spec: &GuestSpec) -> std::io::Result<()> {
    let text = serde_json::to_vec(spec)?;
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, &text)
}
