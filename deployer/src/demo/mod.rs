//! `mayfly demo`: the whole story on one machine.

use crate::exit::ExitCode;

/// Arguments of `mayfly demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Leave it all running, to play with
    #[arg(long)]
    pub keep: bool,
}

/// Plays the demo.
///
/// # Errors
/// When a part of it cannot start.
pub async fn run(_args: DemoArgs, _json: bool) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the demo is not part of this build yet")
}
