//! `mayfly`: the deployer's command line.

use anyhow::Context;
use clap::Parser;
use mayfly_deployer::cli::{self, Cli};
use mayfly_deployer::exit::ExitCode;

fn main() -> anyhow::Result<std::process::ExitCode> {
    // The sandbox runs this program again as its daemon and its instances' first process; that has to come before any thread.
    if let Some(code) = mayfly_sandbox::entry::maybe_run() {
        return Ok(code);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            error.print().context("print the help")?;
            return Ok(exit.into());
        }
    };
    // Of the two TLS providers that rustls knows, the one that needs no C toolchain beyond libgit2's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("MAYFLY_LOG").unwrap_or_default())
        .with_writer(std::io::stderr)
        .init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let exit = runtime.block_on(cli::run(cli));
    // Whatever still waits for a slow server on a thread of its own is not waited for.
    runtime.shutdown_background();
    Ok(exit.into())
}
