//! The command line of a sandbox, for the programs that embed it: `up`, `down`, `status`, `logs`, `image`, and `env`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::{self, SandboxConfig};
use crate::handle::{Handle, SandboxError, up};
use crate::status::Status;

/// `sandbox …`
#[derive(Debug, Clone, Subcommand)]
pub enum SandboxCommand {
    /// Start a sandbox: EC2 and load balancers on this machine, with instances that run
    Up(Up),
    /// End it, with everything that runs in it
    Down(Place),
    /// Show its instances, load balancers and images
    Status(Place),
    /// Print the console of an instance (its last 64 KiB), or the log of the sandbox itself
    Logs {
        /// Instance id; the sandbox's own log when absent
        instance: Option<String>,
        /// Which sandbox
        #[command(flatten)]
        place: Place,
    },
    /// List its images
    Image {
        /// Which sandbox
        #[command(flatten)]
        place: Place,
    },
    /// Print what a shell must export to use it: eval "$(… env)"
    Env(Place),
}

/// Which sandbox.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Where the sandbox keeps its state
    #[arg(long, env = "MAYFLY_SANDBOX_DIR", default_value_os_t = config::default_state_dir())]
    pub state_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How to start one.
#[derive(Debug, Clone, Args)]
pub struct Up {
    #[command(flatten)]
    place: Place,
    /// Where the APIs answer; port 0 picks a free one
    #[arg(long, default_value_t = SandboxConfig::default().api_addr)]
    listen: SocketAddr,
    /// Folder of bare git repositories to serve to instances
    #[arg(long)]
    git_root: Option<PathBuf>,
    /// Where git is served; port 0 picks a free one
    #[arg(long, default_value_t = SandboxConfig::default().git_addr)]
    git_listen: SocketAddr,
    /// The mayfly-boot program for the image mayfly-bare
    #[arg(long)]
    boot_binary: Option<PathBuf>,
    /// File with delays, faults, capacity and throttles (JSON; see `status`)
    #[arg(long)]
    world: Option<PathBuf>,
}

/// Runs one command; results go to `out`.
///
/// # Errors
/// As the command has them; the text is for people.
pub async fn run(command: SandboxCommand, out: &mut (dyn Write + Send)) -> Result<(), SandboxError> {
    let said = match command {
        SandboxCommand::Up(args) => bring_up(args).await?,
        SandboxCommand::Down(place) => {
            Handle::connect(&place.state_dir)?.down().await?;
            "The sandbox is gone.\n".to_owned()
        }
        SandboxCommand::Status(place) => show(&place, table).await?,
        SandboxCommand::Image { place } => show(&place, images).await?,
        SandboxCommand::Env(place) => Handle::connect(&place.state_dir)?.env_lines(),
        SandboxCommand::Logs { instance: Some(instance), place } => {
            Handle::connect(&place.state_dir)?.logs(&instance).await?
        }
        SandboxCommand::Logs { instance: None, place } => daemon_log(&place)?,
    };
    out.write_all(said.as_bytes()).map_err(SandboxError::io("print"))
}

async fn bring_up(args: Up) -> Result<String, SandboxError> {
    let world = match &args.world {
        Some(path) => read_world(path)?,
        None => crate::world::Config::default(),
    };
    let config = SandboxConfig {
        state_dir: args.place.state_dir,
        api_addr: args.listen,
        git_root: args.git_root,
        git_addr: args.git_listen,
        boot_binary: args.boot_binary,
        world,
        ..SandboxConfig::default()
    };
    let handle = up(&config).await?;
    if args.place.json {
        return json(handle.info());
    }
    let git = handle.git_url().map(|url| format!("# git: {url}\n")).unwrap_or_default();
    let notes: String = handle.info().notes.iter().map(|note| format!("# note: {note}\n")).collect();
    Ok(format!("# The sandbox is up. Point any AWS client at it:\n{git}{notes}{}", handle.env_lines()))
}

// Effects: the file that the person named.
#[allow(clippy::disallowed_methods)]
fn read_world(path: &PathBuf) -> Result<crate::world::Config, SandboxError> {
    let what = format!("read {}", path.display());
    let text = std::fs::read(path).map_err(SandboxError::io(what.clone()))?;
    serde_json::from_slice(&text).map_err(|e| SandboxError::io(what)(io::Error::other(e.to_string())))
}

// Effects: the daemon's log.
#[allow(clippy::disallowed_methods)]
fn daemon_log(place: &Place) -> Result<String, SandboxError> {
    let path = place.state_dir.join("daemon.log");
    let text = std::fs::read(&path).map_err(SandboxError::io(format!("read {}", path.display())))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn show(place: &Place, render: fn(&Status) -> String) -> Result<String, SandboxError> {
    let status = Handle::connect(&place.state_dir)?.status().await?;
    if place.json { json(&status) } else { Ok(render(&status)) }
}

fn json(value: &impl serde::Serialize) -> Result<String, SandboxError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|e| SandboxError::io("print")(e.into()))
}

fn table(status: &Status) -> String {
    let mut text = format!("endpoint  {}  (pid {})\n", status.endpoint, status.pid);
    if let Some(git) = &status.git_url {
        text +=
            &format!("git       {git}  (inside: {})\n", status.instance_git_url.as_deref().unwrap_or("-"));
    }
    text += &format!("\ninstances: {}\n", status.instances.len());
    for i in &status.instances {
        let name = i.tags.get("Name").map_or("-", String::as_str);
        text += &format!("  {}  {:<13} {:<12} {:<12} {}", i.id, i.state, i.private_ip, i.public_ip, name);
        text += &i.reason.as_ref().map_or_else(|| "\n".to_owned(), |reason| format!("  {reason}\n"));
    }
    text += &format!("\nload balancers: {}\n", status.balancers.len());
    for balancer in &status.balancers {
        text += &format!("  {}  {}  {}\n", balancer.name, balancer.address, balancer.listeners.join(", "));
        for (id, traffic) in &balancer.backends {
            text += &format!("    {id}  {traffic}\n");
        }
    }
    text + "\n" + &images(status)
}

fn images(status: &Status) -> String {
    let lines =
        status.images.iter().map(|image| format!("  {}  {:<10} {}\n", image.id, image.state, image.name));
    format!("images: {}\n{}", status.images.len(), lines.collect::<String>())
}
