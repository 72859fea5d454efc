//! `mayfly-boot`: the program on the instance. User-data → role → state tree → converge → watch, on a schedule.

mod apply;
mod aws;
mod cli;
mod converge;
mod convert;
#[cfg(test)]
#[allow(unreachable_pub, clippy::disallowed_methods)] // Shared with the tests of the whole program.
#[path = "../tests/support/disk.rs"]
mod disk;
mod exit;
mod fetch;
mod http;
mod identity;
mod imds;
mod interrupt;
mod local;
mod progress;
mod run;
mod say;
mod seal;
mod services;
mod show;
mod status;
mod supervise;
mod userdata;
mod web;

use clap::Parser;
use cli::{Cli, Command};
use exit::Exit;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A compile is mostly small, short-lived values, made on a thread of its own: glibc grows such a thread's heap page by page.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    log_details();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) => {
            let _ = help.print();
            return if help.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let ended = match cli.command {
        Command::Run(args) => Ok(resident(args)),
        Command::Apply(args) => apply::apply(&args),
        Command::Show(args) => show::show(&args),
        Command::Status(args) => status::status(&args),
        Command::Seal(args) => seal::by_hand(&args),
    };
    ended.unwrap_or_else(refused).into()
}

/// Details for people who ask: `MAYFLY_LOG=debug`, or levels by module (`mayfly_boot=debug,hyper=info`); else errors alone.
fn log_details() {
    let asked = std::env::var("MAYFLY_LOG").unwrap_or_default();
    let targets = match asked.parse::<Targets>() {
        Ok(targets) if !asked.is_empty() => targets,
        Ok(_) => Targets::new().with_default(LevelFilter::ERROR),
        Err(error) => {
            say::warn(format_args!("mayfly-boot: MAYFLY_LOG={asked} is not understood: {error}"));
            Targets::new().with_default(LevelFilter::ERROR)
        }
    };
    let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(targets).init();
}

/// Arguments, files or output that cannot be used.
#[allow(clippy::needless_pass_by_value)] // The shape that `unwrap_or_else` asks for.
fn refused(error: anyhow::Error) -> Exit {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Most messages end with their cause.
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    say::warn(format_args!("mayfly-boot: {text}"));
    Exit::Compile
}

fn resident(args: cli::RunArgs) -> Exit {
    let state_dir = args.state_dir.unwrap_or_else(|| args.root.join("var/lib/mayfly"));
    match run::run(run::Settings { imds: args.imds, state_dir, root: args.root }) {
        Ok(exit) => exit,
        Err(error) => {
            say::console(format_args!("mayfly: failed: {error}"));
            error.exit()
        }
    }
}
