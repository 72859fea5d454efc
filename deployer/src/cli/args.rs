//! Arguments as typed.

use super::operator::{
    BakeArgs, DiffArgs, HistoryArgs, ImagesArgs, InitArgs, InventoryArgs, ScheduleArgs, StatusArgs,
    UnlockArgs,
};
use crate::demo::DemoArgs;
use crate::report::Output;
use crate::spec::{DEFAULT_ENVIRONMENT, Setting, Share};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use mayfly_sandbox::cli::SandboxCommand;
use std::path::PathBuf;

/// Deploys services on instances that live a day.
///
/// Exit codes: 0 done; 1 bad usage or input, nothing changed; 2 failed, all is as it was; 3 failed, and something is
/// left; 4 somebody else deploys; 5 refused, nothing changed; 130 interrupted, all is as it was.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, max_term_width = 100)]
pub struct Cli {
    /// Text for people, JSON for programs; `inventory` knows hosts, haproxy and ansible too
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "text|json", default_value_t = Output::Text)]
    pub output: Output,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a spec, IAM policies and a GitHub Actions workflow to begin with
    Init(InitArgs),
    /// Show what `deploy` would do; changes nothing
    #[command(after_help = "Example: mayfly plan --env staging --set app.version=1.10")]
    Plan(PlanArgs),
    /// Replace a service's instances by new ones, and roll back if they do not serve
    #[command(after_help = "Example: mayfly deploy --yes --env staging --set app.version=1.10")]
    Deploy(DeployArgs),
    /// Go on with a canary, a partial deployment, or a deployment that pauses
    #[command(after_help = "Example: mayfly promote --env staging")]
    Promote(StepArgs),
    /// Take back a canary, a partial deployment, or one that was left half done
    #[command(after_help = "Example: mayfly abort --env staging")]
    Abort(StepArgs),
    /// Complete or undo what a killed deployment left, and give its lock back
    #[command(after_help = "Example: mayfly recover --env staging --plan")]
    Recover(StepArgs),
    /// Deploy again what an earlier deployment was
    #[command(after_help = "Example: mayfly rollback 12 --yes")]
    Rollback(RollbackArgs),
    /// Show what is wanted and what lives, in every environment
    Status(StatusArgs),
    /// List the deployments, newest first, or show one whole
    History(HistoryArgs),
    /// Show what differs between two deployments
    Diff(DiffArgs),
    /// List the live instances for other tools
    Inventory(InventoryArgs),
    /// Deploy at the spec's `schedules`, in the foreground
    Schedule(ScheduleArgs),
    /// Remove the lock of a deployment that was killed
    Unlock(UnlockArgs),
    /// Make a seed image
    Bake(BakeArgs),
    /// List, remove, share and copy baked images
    Images(ImagesArgs),
    /// EC2 and a load balancer on this machine, to try things on
    #[command(
        subcommand,
        after_help = "Example: mayfly sandbox up\n         eval \"$(mayfly sandbox env)\"; mayfly plan"
    )]
    Sandbox(SandboxCommand),
    /// Watch a service being deployed, edited, broken and saved, all on this machine
    #[command(after_help = "Example: mayfly demo --keep")]
    Demo(DemoArgs),
    /// Print the JSON Schema of mayfly.yaml, for editors
    #[command(after_help = "Example: mayfly schema > mayfly.schema.json")]
    Schema,
    /// Write man pages, one for each command
    #[command(after_help = "Example: mayfly man /usr/local/share/man/man1")]
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Print completions for a shell
    #[command(after_help = "Example: mayfly completions bash > /etc/bash_completion.d/mayfly")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_an_example_that_can_be_typed() {
        let whole = Cli::command();
        let commands: Vec<_> =
            whole.get_subcommands().filter(|command| command.get_name() != "help").collect();
        assert!(commands.len() > 15, "{commands:?}");
        for command in commands {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example =
                help.split_once("Example: ").map(|(_, example)| example.lines().next().unwrap_or_default());
            let example = example.unwrap_or_else(|| panic!("{} has no example", command.get_name()));
            let words = example.split(" > ").next().unwrap_or_default().split_whitespace();
            let parsed = Cli::try_parse_from(words);
            assert!(parsed.is_ok() && example.contains(command.get_name()), "{example}: {:?}", parsed.err());
        }
    }
}
