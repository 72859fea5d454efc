//! The operator's command line: arguments in, one exit code out. Results go to standard output, all else to standard
//! error.

mod args;
mod bake;
mod begin;
mod consent;
mod deploy;
mod error;
mod file;
mod images;
mod operator;
mod records;
mod schedule;
mod show;
mod status;

pub use args::{Cli, Command};
pub use error::CliError;

use crate::clean;
use crate::exit::ExitCode;
use crate::plan::Task;
use crate::report::Output;
use std::io::Write;

/// Runs a command. An error is printed, once, with what it was about; for programs on standard output too.
pub async fn run(cli: Cli) -> ExitCode {
    let json = cli.output == Output::Json;
    match dispatch(cli, json).await {
        Ok(exit) => exit,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mayfly: {}", clean::block(&error.to_string()));
            let exit = error.exit();
            if json {
                print(&format!("{}\n", serde_json::json!({"error": error.to_string(), "exit": exit.code()})));
            }
            exit
        }
    }
}

async fn dispatch(cli: Cli, json: bool) -> Result<ExitCode, CliError> {
    let output = cli.output;
    if !matches!(output, Output::Text | Output::Json) && !matches!(cli.command, Command::Inventory(_)) {
        return Err(CliError::Usage(
            "`--output` is text or json; the other formats are those of `inventory`".to_owned(),
        ));
    }
    match cli.command {
        Command::Init(args) => begin::init(&args, json),
        Command::Plan(args) => deploy::plan(&args, json).await,
        Command::Deploy(args) => deploy::deploy(&args, output).await,
        Command::Promote(args) => deploy::step(&args, Task::Promote, output).await,
        Command::Abort(args) => deploy::step(&args, Task::Abort, output).await,
        Command::Recover(args) => deploy::step(&args, Task::Recover, output).await,
        Command::Rollback(args) => deploy::rollback(&args, output).await,
        Command::Status(args) => status::status(&args, json).await,
        Command::History(args) => records::history(&args, json).await,
        Command::Diff(args) => records::diff(&args, json).await,
        Command::Inventory(args) => status::inventory(&args, output).await,
        Command::Schedule(args) => schedule::schedule(&args, output).await,
        Command::Unlock(args) => show::unlock(&args, json).await,
        Command::Bake(args) => bake::bake(&args, output).await,
        Command::Images(args) => images::images(&args.command, output).await,
        Command::Sandbox(command) => show::sandbox(command, json).await,
        Command::Demo(args) => crate::demo::run(args, json).await.map_err(CliError::demo),
        Command::Schema => Ok(begin::schema()),
        Command::Man { folder } => begin::man(&folder, json),
        Command::Completions { shell } => Ok(begin::completions(shell)),
    }
}

/// Writes a result to standard output. A reader that hung up is not an error of the command.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(clean::block(text).as_bytes()).and_then(|()| stdout.flush());
}
