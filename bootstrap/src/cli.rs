//! The command line as it is typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The program on the instance: reads its role, fetches the state tree, converges and stays.
#[derive(Debug, Parser)]
#[command(name = "mayfly-boot", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boot and stay: user-data, fetch, converge, watch, follow the remote.
    Run(RunArgs),
    /// Apply states of a local tree once: the named SLS, or the highstate.
    Apply(ApplyArgs),
    /// Show a stage of the compile, without changing anything.
    Show(ShowArgs),
    /// Ask the program that runs on this machine how it stands.
    Status(StatusArgs),
    /// Clean this machine, to make an image of it: host keys, machine id, logs, histories, the state of cloud-init.
    Seal(SealArgs),
}

/// `seal`.
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// This machine is there to be imaged: its identity and logs may go.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Where trees and status are kept [default: /var/lib/mayfly below the root].
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The folder that is `/`.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Base URL of the instance metadata service.
    #[arg(long, env = "MAYFLY_IMDS_URL", value_name = "URL", default_value = crate::imds::DEFAULT_BASE)]
    pub(crate) imds: String,
    /// Where trees and status are kept [default: /var/lib/mayfly below the root].
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The folder that is `/` to the states.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
}

/// The tree and the minion, for `apply` and `show`.
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// Folder of the SLS files, of the environment `base` unless one is named; given again, it is searched next.
    #[arg(long, value_name = "[ENV=]DIR", default_value = "/srv/salt")]
    pub(crate) file_root: Vec<Root>,
    /// Folder of the pillar files [default: `pillar` in the file root of `base`, else beside it].
    #[arg(long, value_name = "[ENV=]DIR")]
    pub(crate) pillar_root: Vec<Root>,
    /// JSON or YAML file with grains, in the place of the computed ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) grains: Option<PathBuf>,
    /// JSON or YAML file with options of a minion's configuration that change a compile: `nodegroups`, merging strategies, ….
    #[arg(long, value_name = "FILE")]
    pub(crate) options: Option<PathBuf>,
    /// Pillar as JSON or YAML, merged over the tree's.
    #[arg(long, value_name = "JSON")]
    pub(crate) pillar: Option<String>,
    /// The minion id [default: the host name].
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The grain `role`.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// The environment, Salt's `saltenv` [default: every one that top.sls names; `base` for named SLS].
    #[arg(long, value_name = "ENV")]
    pub(crate) saltenv: Option<String>,
    /// The folder that is `/` to the states, and whose files say what the grains are (give `--grains` where it has none).
    /// Commands run on this machine as it is.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
}

/// A folder of an environment, as it is typed: `DIR` or `ENV=DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// The environment.
    pub(crate) env: String,
    /// The folder.
    pub(crate) path: PathBuf,
}

impl std::str::FromStr for Root {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        let (env, path) = text.split_once('=').filter(|(env, _)| is_name(env)).unwrap_or(("base", text));
        Ok(Self { env: env.to_owned(), path: path.into() })
    }
}

const APPLY_EXITS: &str = "Exit codes:
  0    all states are as asked (with --test: nothing failed)
  1    the tree does not compile, or an argument or file is wrong; nothing was changed
  2    a state failed
  3    with --test --detailed-exitcode: something would change
  7    another converge holds the lock
  64   the command line cannot be read
  130  ended by Ctrl-C, 143 by SIGTERM; the report says what was not run";

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = APPLY_EXITS)]
pub(crate) struct ApplyArgs {
    /// SLS names, such as `web.nginx`; none means the highstate of top.sls.
    #[arg(value_name = "SLS")]
    pub(crate) sls: Vec<String>,
    /// Say what would change and change nothing.
    #[arg(long)]
    pub(crate) test: bool,
    /// End with exit code 3 when something would change.
    #[arg(long, requires = "test")]
    pub(crate) detailed_exitcode: bool,
    /// Stop at the first failed step.
    #[arg(long)]
    pub(crate) failhard: bool,
    /// Which supervisor the `service` states speak to.
    #[arg(long, value_enum, default_value_t = SupervisorArg::Auto)]
    pub(crate) supervisor: SupervisorArg,
    /// What to print.
    #[arg(long, value_enum, default_value_t = ApplyOutput::Text)]
    pub(crate) output: ApplyOutput,
    /// The metadata service that S3 sources get their credentials from.
    #[arg(long, env = "MAYFLY_IMDS_URL", value_name = "URL", default_value = crate::imds::DEFAULT_BASE)]
    pub(crate) imds: String,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

/// `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The stage.
    #[arg(value_enum)]
    pub(crate) stage: Stage,
    /// SLS names; none means the highstate of top.sls.
    #[arg(value_name = "SLS")]
    pub(crate) sls: Vec<String>,
    /// Print decrypted values too, which are hidden otherwise.
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = ShowOutput::Yaml)]
    pub(crate) output: ShowOutput,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Where it answers, when that is not the default.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9273")]
    pub(crate) listen: std::net::SocketAddr,
    /// What to print.
    #[arg(long, value_enum, default_value_t = ApplyOutput::Text)]
    pub(crate) output: ApplyOutput,
}

/// Stages of a compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Which SLS top.sls assigns to this minion.
    Top,
    /// The gathered declarations.
    High,
    /// The ordered steps.
    Low,
    /// The compiled pillar.
    Pillar,
    /// The grains.
    Grains,
}

/// Formats of `apply` and `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplyOutput {
    /// For people.
    Text,
    /// For programs; for `apply`, Salt's state returns.
    Json,
}

/// Formats of `show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowOutput {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Supervisors by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SupervisorArg {
    /// systemd where it runs, else supervisord where it answers, and init scripts for what that does not know.
    Auto,
    /// supervisord.
    Supervisord,
    /// systemd.
    Systemd,
    /// The init scripts of `/etc/init.d`.
    Sysv,
}
