//! Arguments of the operator's commands, as typed.

use super::args::Target;
use crate::spec::{Address, ImageRef};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Which spec, and perhaps one of its environments.
#[derive(Debug, Clone, Args)]
pub struct Targets {
    /// The spec
    #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
    pub file: PathBuf,
    /// One environment; all when none is named
    #[arg(short, long, value_name = "NAME", env = "MAYFLY_ENV")]
    pub env: Option<String>,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly status --watch --env production")]
pub struct StatusArgs {
    /// Which spec
    #[command(flatten)]
    pub targets: Targets,
    /// Go on showing it until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
}

/// Arguments of `history`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly history 12 --output json")]
pub struct HistoryArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// One deployment, by its number
    pub number: Option<i64>,
    /// How many to list
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub limit: usize,
    /// Show pillar values and secret parameters too
    #[arg(long)]
    pub show_secrets: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly diff 11 12")]
pub struct DiffArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// The one deployment
    pub from: i64,
    /// The other; the newest when not given
    pub to: Option<i64>,
    /// Show pillar values too
    #[arg(long)]
    pub show_secrets: bool,
}

/// Arguments of `inventory`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Formats of --output: text, json, hosts (lines for /etc/hosts), haproxy (server lines), ansible\n\
                  (what `ansible -i` expects of a script).\n\n\
                  Example: mayfly inventory --role web --env production --output haproxy"
)]
pub struct InventoryArgs {
    /// Which spec
    #[command(flatten)]
    pub targets: Targets,
    /// Only instances of this role
    #[arg(long)]
    pub role: Option<String>,
    /// Which address to list; the probe's when not given
    #[arg(long, value_enum)]
    pub address: Option<Address>,
    /// Port for haproxy; the probe's when not given
    #[arg(long)]
    pub port: Option<u16>,
}

/// Arguments of `schedule`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Times are UTC. A time that was missed, or comes while the environment is still being deployed, is\n\
                  said and skipped. SIGTERM or Ctrl-C ends it, after what runs was undone in order.\n\n\
                  Example: mayfly schedule --file /srv/deploy/mayfly.yaml"
)]
pub struct ScheduleArgs {
    /// The spec
    #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
    pub file: PathBuf,
}

/// Arguments of `unlock`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly unlock --env staging")]
pub struct UnlockArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// Remove it even though its holder may be at work
    #[arg(long)]
    pub force: bool,
    /// Do not ask on a terminal
    #[arg(short, long)]
    pub yes: bool,
}

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example: mayfly init --service greeter --states https://github.com/acme/states.git --classic greeter"
)]
pub struct InitArgs {
    /// Name of the service; the folder's name when not given
    #[arg(long)]
    pub service: Option<String>,
    /// Address of the state repository; the `origin` of the folder's git repository when not given
    #[arg(long, value_name = "URL")]
    pub states: Option<String>,
    /// Where the deployer reaches that repository, when it differs
    #[arg(long, value_name = "URL")]
    pub deploy_url: Option<String>,
    /// Name of a classic load balancer; may be given more than once, and beside target groups
    #[arg(long, value_name = "NAME")]
    pub classic: Vec<String>,
    /// Name or ARN of a target group; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub target_group: Vec<String>,
    /// SSM parameter that holds the image's id
    #[arg(long, value_name = "NAME")]
    pub image_parameter: Option<String>,
    /// AWS region that the policies are for; every one when not given
    #[arg(long)]
    pub region: Option<String>,
    /// AWS account that the policies are for; every one when not given
    #[arg(long)]
    pub account: Option<String>,
    /// S3 bucket of the lock and of what states fetch
    #[arg(long)]
    pub bucket: Option<String>,
    /// Repository whose workflow deploys
    #[arg(long, value_name = "OWNER/NAME")]
    pub github: Option<String>,
    /// Where to write
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

/// What goes into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RecipeKind {
    /// `mayfly-boot` on a stock image
    Bare,
    /// A role, already converged
    Seeded,
}

/// `ami-…`, or `last:ROLE`.
fn image_ref(text: &str) -> Result<ImageRef, String> {
    match text.strip_prefix("last:") {
        Some(role) if !role.is_empty() => Ok(ImageRef::Baked(role.to_owned())),
        None if text.starts_with("ami-") => Ok(ImageRef::Id(text.to_owned())),
        _ => Err("write `ami-…`, or `last:ROLE` for the newest that was baked".to_owned()),
    }
}

/// Arguments of `images`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly images gc --keep 3 --yes")]
pub struct ImagesArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ImagesCommand,
}

/// What is done with baked images.
#[derive(Debug, Clone, Subcommand)]
pub enum ImagesCommand {
    /// List the service's baked images, and who uses them
    List {
        /// The spec
        #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
        file: PathBuf,
    },
    /// Remove old images with their snapshots, and builders of bakes that were killed
    #[command(
        after_help = "Kept are the newest of each role and environment, and whatever is used: by an instance of the \
                            account, a launch template, the last two successes of an environment, or the spec.\n\n\
                            Example: mayfly images gc --keep 3 --dry-run"
    )]
    Gc(GcArgs),
    /// Let other accounts launch an image
    #[command(after_help = "Example: mayfly images share last:web --account 111122223333")]
    Share {
        /// Which image
        #[command(flatten)]
        which: Which,
        /// Account id; may be given more than once
        #[arg(long, value_name = "ID", required = true, value_parser = account)]
        account: Vec<String>,
    },
    /// Copy an image to other regions
    #[command(after_help = "Example: mayfly images copy last:web --region eu-west-1")]
    Copy {
        /// Which image
        #[command(flatten)]
        which: Which,
        /// Region; may be given more than once
        #[arg(long, value_name = "NAME", required = true)]
        region: Vec<String>,
    },
}

/// One of the service's baked images.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Image id, or `last:ROLE` for the newest that was baked
    #[arg(value_name = "AMI|last:ROLE", value_parser = image_ref)]
    pub image: ImageRef,
    /// The spec
    #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
    pub file: PathBuf,
}

/// Arguments of `images gc`.
#[derive(Debug, Clone, Args)]
pub struct GcArgs {
    /// The spec
    #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
    pub file: PathBuf,
    /// How many of each role and environment stay whether or not they are used
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
    /// Show what would be removed and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
    if is_account { Ok(text.to_owned()) } else { Err("an account id has 12 digits".to_owned()) }
}

/// Arguments of `bake`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: mayfly bake --recipe seeded --role web")]
pub struct BakeArgs {
    /// The spec; its image, states, pillar, subnets and groups are the builder's
    #[command(flatten)]
    pub target: Target,
    /// What goes into the image
    #[arg(long, value_enum, default_value_t = RecipeKind::Seeded)]
    pub recipe: RecipeKind,
    /// The role to seed it with; the spec's when not given
    #[arg(long)]
    pub role: Option<String>,
    /// What the builder boots from: an image id, or `last:ROLE` for the newest that was baked; the spec's image when not
    /// given, and for a spec that takes what is baked here, what that was made from
    #[arg(long, value_name = "AMI|last:ROLE", value_parser = image_ref)]
    pub from: Option<ImageRef>,
    /// Where a stock image takes `mayfly-boot` from; the spec's `boot` when not given
    #[arg(long, value_name = "URL", requires = "boot_sha256")]
    pub boot_url: Option<String>,
    /// SHA-256 of that file
    #[arg(long, value_name = "HEX", requires = "boot_url")]
    pub boot_sha256: Option<String>,
    /// Public key that must have signed it, `ssh-ed25519 AAAA…`; the signature is at the address and `.sig`
    #[arg(long, value_name = "KEY", requires = "boot_url")]
    pub boot_key: Option<String>,
    /// Of a bare image: file with the SSH host keys of git servers, for the place that `states.known_hosts_file` names
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Bake although there is an image of the very same inputs
    #[arg(long)]
    pub force: bool,
    /// Leave a builder that failed, to be looked at
    #[arg(long)]
    pub keep_on_failure: bool,
    /// How long the builder may take
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
}
