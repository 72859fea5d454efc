//! The sandbox on its own, without the rest of Mayfly.

use std::process::ExitCode;

use clap::Parser;
use mayfly_sandbox::cli::{SandboxCommand, run};

/// EC2, load balancers and instance metadata on one machine
#[derive(Parser)]
#[command(name = "mayfly-sandboxd", version)]
struct Cli {
    #[command(subcommand)]
    command: SandboxCommand,
}

fn main() -> ExitCode {
    if let Some(code) = mayfly_sandbox::entry::maybe_run() {
        return code;
    }
    let command = Cli::parse().command;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(command, &mut std::io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
