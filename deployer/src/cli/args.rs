//! Arguments as typed.

use crate::demo::DemoArgs;
use crate::report::Output;
use crate::spec::{DEFAULT_ENVIRONMENT, Setting, Share};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use mayfly_sandbox::cli::SandboxCommand;
use std::path::PathBuf;
use std::time::Duration;

/// Deploys services on instances that live a day.
///
/// Exit codes: 0 done; 1 bad usage or input, nothing changed; 2 failed, all is as it was; 3 failed, and something is
/// left; 4 somebody else deploys; 5 refused, nothing changed; 130 interrupted, all is as it was.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, max_term_width = 100)]
pub struct Cli {
    /// Text for people, or JSON for programs
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what `deploy` would do; changes nothing
    Plan(PlanArgs),
    /// Replace a service's instances by new ones, and roll back if they do not serve
    Deploy(DeployArgs),
    /// Go on with a canary, a partial deployment, or a deployment that pauses
    Promote(StepArgs),
    /// Take back a canary, a partial deployment, or one that was left half done
    Abort(StepArgs),
    /// Complete or undo what a killed deployment left, and give its lock back
    Recover(StepArgs),
    /// Deploy again what an earlier deployment was
    Rollback(RollbackArgs),
    /// Show what is deployed and what is live
    Status(Target),
    /// List the deployments, newest first
    History(Target),
    /// Remove the lock of a deployment that was killed
    Unlock(UnlockArgs),
    /// Make a seed image
    Bake(BakeArgs),
    /// EC2 and a load balancer on this machine, to try things on
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Watch a service being deployed, edited, broken and saved, all on this machine
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which spec, and which part of it.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The spec
    #[arg(short, long, value_name = "FILE", default_value = "mayfly.yaml", env = "MAYFLY_FILE")]
    pub file: PathBuf,
    /// The environment
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_ENVIRONMENT, env = "MAYFLY_ENV")]
    pub env: String,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// Set a pillar value: `app.version=1.10` is text, `app.workers:=3` is JSON
    #[arg(long = "set", value_name = "KEY=TEXT")]
    pub settings: Vec<Setting>,
    /// Replace only a part of the instances, such as `2`, `25%` or `1/4`; `mayfly promote` goes on
    #[arg(long, value_name = "PART")]
    pub only: Option<Share>,
    /// Wait for consent before a step of the plan, such as `deregister-old` or, in the second wave, `deregister-old-2`
    #[arg(long, value_name = "STEP")]
    pub pause_before: Option<String>,
}

/// Whether to ask, and how to be interrupted.
#[derive(Debug, Clone, Args)]
pub struct Consent {
    /// Do not ask on a terminal
    #[arg(short, long)]
    pub yes: bool,
    /// For tests: kill this process at a boundary, such as `before-register` or `after-launch`
    #[arg(long, value_name = "POINT", hide = true, env = "MAYFLY_KILL_AT")]
    pub kill_at: Option<String>,
}

/// Arguments of `promote`, `abort` and `recover`.
#[derive(Debug, Clone, Args)]
pub struct StepArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// Show the plan and change nothing
    #[arg(long)]
    pub plan: bool,
    /// Consent
    #[command(flatten)]
    pub consent: Consent,
}

/// Arguments of `rollback`.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The number of the deployment, as `mayfly history` shows it; the last that succeeded and does not run now when
    /// not given
    pub number: Option<i64>,
    /// In the spec's waves, and not all at once
    #[arg(long)]
    pub in_waves: bool,
    /// What the others take
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `deploy`.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// What `plan` takes
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Consent
    #[command(flatten)]
    pub consent: Consent,
}

/// Arguments of `unlock`.
#[derive(Debug, Clone, Args)]
pub struct UnlockArgs {
    /// Which spec
    #[command(flatten)]
    pub target: Target,
    /// Remove it even though its holder may be at work
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

/// Arguments of `bake`.
#[derive(Debug, Clone, Args)]
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
    /// Image id to boot the builder from; the spec's when not given
    #[arg(long, value_name = "AMI")]
    pub from: Option<String>,
    /// Where a bare image takes `mayfly-boot` from
    #[arg(long, value_name = "URL")]
    pub boot_url: Option<String>,
    /// SHA-256 of that file
    #[arg(long, value_name = "HEX")]
    pub boot_sha256: Option<String>,
    /// How long the builder may take
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
}
