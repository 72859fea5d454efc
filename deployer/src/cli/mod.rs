//! The operator's command line: arguments in, one exit code out. Results go to standard output, all else to standard
//! error.

mod args;
mod bake;
mod consent;
mod deploy;
mod error;
mod show;

pub use args::{Cli, Command};
pub use error::CliError;

use crate::exit::ExitCode;
use crate::plan::Task;
use std::io::Write;

/// Runs a command. An error is printed, once, with what it was about.
pub async fn run(cli: Cli) -> ExitCode {
    let json = cli.output == crate::report::Output::Json;
    match dispatch(cli, json).await {
        Ok(exit) => exit,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mayfly: {error}");
            error.exit()
        }
    }
}

async fn dispatch(cli: Cli, json: bool) -> Result<ExitCode, CliError> {
    let output = cli.output;
    match cli.command {
        Command::Plan(args) => deploy::plan(&args, json).await,
        Command::Deploy(args) => deploy::deploy(&args, output).await,
        Command::Promote(args) => deploy::step(&args, Task::Promote, output).await,
        Command::Abort(args) => deploy::step(&args, Task::Abort, output).await,
        Command::Recover(args) => deploy::step(&args, Task::Recover, output).await,
        Command::Rollback(args) => deploy::rollback(&args, output).await,
        Command::Status(target) => show::status(&target, json).await,
        Command::History(target) => show::history(&target, json).await,
        Command::Unlock(args) => show::unlock(&args).await,
        Command::Bake(args) => bake::bake(&args, output).await,
        Command::Sandbox(command) => show::sandbox(command, json).await,
        Command::Demo(args) => crate::demo::run(args, json).await.map_err(CliError::demo),
        Command::Completions { shell } => {
            show::completions(shell);
            Ok(ExitCode::Done)
        }
    }
}

/// Writes a result to standard output. A reader that hung up is not an error of the command.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
