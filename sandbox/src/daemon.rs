//! The daemon: one process that holds a sandbox from its start to the removal of its last file.
// Effects: namespaces, sockets, signals and files.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::SandboxConfig;
use crate::control::{self, Control};
use crate::engine::Engine;
use crate::handle::{DaemonInfo, SandboxError, lock_patiently, write_private};
use crate::runtime::disk::{Disk, DiskError};
use crate::runtime::fabric::{Fabric, FabricError};
use crate::runtime::machines::{MachineError, Machines};
use crate::runtime::privilege::{self, Owners, PrivilegeError};
use crate::runtime::spec::HOST_ADDRESS;
use crate::runtime::{forward, imds};
use crate::{api, git_server, world};

/// The port that a sandbox holds on the last address of its block, to claim it.
const CLAIM_PORT: u16 = 4577;

/// Why the daemon cannot start; told to whoever started it.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error("cannot read {path}: {reason}")]
    Config { path: String, reason: String },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Fabric(#[from] FabricError),
    #[error(transparent)]
    Machines(#[from] MachineError),
    #[error("cannot listen on {at} for {what}: {source}{}", if source.kind() == std::io::ErrorKind::AddrInUse { "; another program has it, choose another port" } else { "" })]
    Listen { what: &'static str, at: SocketAddr, source: std::io::Error },
    #[error("the API gives everybody on {0} full control: choose a loopback address")]
    NotLoopback(SocketAddr),
    #[error(
        "all {} blocks of loopback addresses are taken by other sandboxes; end one of them",
        world::Config::BLOCKS
    )]
    NoBlock,
    #[error("cannot {what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

impl DaemonError {
    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// Runs the daemon for the config at `path`, until it is told to stop.
pub(crate) fn main(path: &Path) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    match hold(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the sandbox cannot run");
            println!("error {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn hold(path: &Path) -> Result<(), DaemonError> {
    let config = read_config(path)?;
    if !config.api_addr.ip().is_loopback() {
        return Err(DaemonError::NotLoopback(config.api_addr));
    }
    // Away from the starter's terminal: its Ctrl-C is not ours.
    let _ = nix::unistd::setsid();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let _lock = lock_patiently(&config.state_dir)?;
    raise_open_files();
    let owners = privilege::enter()?;
    let disk = Arc::new(Disk::prepare(&config.state_dir)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(DaemonError::io("start the sandbox's threads"))?;
    let outcome = runtime.block_on(run(&config, &disk, owners));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let _ = fs::remove_file(DaemonInfo::path(&config.state_dir));
    disk.remove_all()?;
    outcome
}

fn read_config(path: &Path) -> Result<SandboxConfig, DaemonError> {
    let failed = |reason: String| DaemonError::Config { path: path.display().to_string(), reason };
    let text = fs::read(path).map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))
}

/// A listener for every open port of every instance adds up.
fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536), hard);
    }
}

/// A block of loopback addresses that no other sandbox of this host has: its number, and the socket that claims it.
fn claim_block() -> Result<(u8, std::net::TcpListener), DaemonError> {
    (0..world::Config::BLOCKS)
        .find_map(|loopback_block| {
            let octet = world::Config { loopback_block, ..world::Config::default() }.public_octet();
            let last = Ipv4Addr::new(127, octet, 255, 254);
            Some((loopback_block, std::net::TcpListener::bind((last, CLAIM_PORT)).ok()?))
        })
        .ok_or(DaemonError::NoBlock)
}

async fn listen(what: &'static str, at: SocketAddr) -> Result<(TcpListener, SocketAddr), DaemonError> {
    let failed = |source| DaemonError::Listen { what, at, source };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    Ok((listener, at))
}

async fn run(config: &SandboxConfig, disk: &Arc<Disk>, owners: Owners) -> Result<(), DaemonError> {
    let (stop, stopping) = watch::channel(false);
    let (block, _claim) = claim_block()?;
    let (api, api_addr) = listen("the API", config.api_addr).await?;
    let fabric = Fabric::start().await?;
    let git = serve_git(config, &fabric, &stopping).await?;
    for forward in &config.forwards {
        let at = SocketAddrV4::new(HOST_ADDRESS, forward.port);
        forward::inward(&fabric, at, forward.to).await.map_err(|source| DaemonError::Listen {
            what: "a forward",
            at: at.into(),
            source,
        })?;
    }
    disk.add_stock(world::DEBIAN_STOCK);
    if let Some(binary) = &config.boot_binary {
        disk.add_bare(world::MAYFLY_BARE, binary)?;
    }
    let (machines, ends) =
        Machines::new(Arc::clone(disk), fabric.clone(), Duration::from_millis(config.grace_ms))?;
    let seed = config.seed.unwrap_or_else(rand::random);
    let world = world::Config { loopback_block: block, ..config.world.clone() };
    let (cloud, effects) = api::Cloud::new(world, seed, Arc::new(machines.clone()));
    let engine =
        Engine::start((Arc::clone(&cloud), effects), Arc::clone(disk), fabric.clone(), machines, ends);
    imds::serve(&fabric, Arc::clone(&engine) as Arc<dyn imds::Directory>)
        .await
        .map_err(DaemonError::io("serve instance metadata"))?;
    let info = Arc::new(DaemonInfo {
        pid: std::process::id(),
        api_addr,
        endpoint: format!("http://{api_addr}"),
        git_url: git.map(|at| format!("http://{at}")),
        instance_git_url: git.map(|at| format!("http://{HOST_ADDRESS}:{}", at.port())),
        notes: owners.note().into_iter().collect(),
    });
    announce(config, &info).map_err(DaemonError::io("write daemon.json"))?;
    let control = Control { cloud, engine: Arc::clone(&engine), info, stop: stop.clone() };
    tokio::spawn(wait_for_stop(stop, config.die_with_starter));
    serve_api(api, control, stopping).await;
    tracing::info!("ending");
    engine.end().await;
    Ok(())
}

/// Git on the host and, at the same port, inside the network.
async fn serve_git(
    config: &SandboxConfig,
    fabric: &Fabric,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<SocketAddr>, DaemonError> {
    let Some(root) = &config.git_root else { return Ok(None) };
    let (outside, at) = listen("git", config.git_addr).await?;
    let inside_at = SocketAddrV4::new(HOST_ADDRESS, at.port());
    let inside = fabric.listen(inside_at).await;
    let inside =
        inside.map_err(|source| DaemonError::Listen { what: "git", at: inside_at.into(), source })?;
    for listener in [outside, inside] {
        let (root, stopping) = (root.clone(), stopping.clone());
        tokio::spawn(async move {
            if let Err(error) = git_server::serve(listener, root, stopping).await {
                tracing::error!(%error, "git is not served");
            }
        });
    }
    Ok(Some(at))
}

/// Says that the sandbox is up: `daemon.json` for everybody, a word for the starter.
fn announce(config: &SandboxConfig, info: &DaemonInfo) -> std::io::Result<()> {
    write_private(&DaemonInfo::path(&config.state_dir), &serde_json::to_vec_pretty(info)?)?;
    println!("ready");
    tracing::info!(endpoint = %info.endpoint, "up");
    let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
    nix::unistd::dup2_stdout(null)?;
    Ok(())
}

async fn serve_api(listener: TcpListener, control: Control, mut stopping: watch::Receiver<bool>) {
    // The API refuses browsers itself; the control endpoints must do so too.
    let guard = axum::middleware::from_fn(control::guard);
    let routes = control.cloud.router().merge(control::routes(control)).layer(guard);
    tokio::select! {
        () = api::serve(listener, routes) => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// SIGTERM, Ctrl-C in the foreground, or the end of the starter.
async fn wait_for_stop(stop: watch::Sender<bool>, lifeline: bool) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals are not handled; end the sandbox with `mayfly sandbox down`");
        return;
    };
    let starter_gone = async {
        if !lifeline {
            return std::future::pending().await;
        }
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        let Ok(mut input) = input.and_then(tokio::net::unix::pipe::Receiver::from_owned_fd) else { return };
        let mut byte = [0_u8];
        while matches!(input.read(&mut byte).await, Ok(count) if count > 0) {}
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = starter_gone => {}
    }
    stop.send_replace(true);
}
