//! `mayfly unlock` and `sandbox`.
// Effects: asks at the terminal.

use super::deploy::{cloud, spec};
use super::operator::UnlockArgs;
use super::{CliError, print};
use crate::exit::ExitCode;
use crate::lock::{self, LockError};
use crate::system;
use mayfly_sandbox::cli::SandboxCommand;
use serde_json::json;
use std::io::{IsTerminal, Write};

pub(super) async fn unlock(args: &UnlockArgs, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let cloud = cloud(&spec).await;
    let Some(held) = lock::holder_of(cloud.as_ref(), &spec).await? else {
        print(if json { "{\"removed\":null}\n" } else { "there is no lock\n" });
        return Ok(ExitCode::Done);
    };
    let stale = held.holder.is_stale(&system::holder(), system::now(), &system::is_alive);
    if !stale && !args.force {
        let hint = "mayfly: the holder may be at work; `--force` removes the lock all the same";
        let _ = writeln!(std::io::stderr(), "{hint}");
        return Err(LockError::Taken(Box::new(held.holder)).into());
    }
    if !stale && !args.yes && !json {
        agree(&held.holder.to_string())?;
    }
    lock::release(cloud.as_ref(), &held).await?;
    let holder = held.holder.to_string();
    print(&if json { format!("{}\n", json!({"removed": holder})) } else { format!("removed: {holder}\n") });
    Ok(ExitCode::Done)
}

/// Asks at a terminal; where there is none, `--force` was word enough.
fn agree(holder: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{holder}\nremove it? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    match asked.and_then(|()| std::io::stdin().read_line(&mut answer)) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(CliError::Unremoved),
    }
}

/// The sandbox has its own commands; `--output json` means their `--json`.
pub(super) async fn sandbox(mut command: SandboxCommand, json: bool) -> Result<ExitCode, CliError> {
    if let SandboxCommand::Down(place)
    | SandboxCommand::Status(place)
    | SandboxCommand::Env(place)
    | SandboxCommand::Logs { place, .. }
    | SandboxCommand::Image { place } = &mut command
    {
        place.json |= json;
    }
    mayfly_sandbox::cli::run(command, &mut std::io::stdout()).await.map_err(Box::new)?;
    Ok(ExitCode::Done)
}
