//! `onlyif`, `unless`, `creates` and `check_cmd`: whether a step is to run, and whether it succeeded.

use std::time::Duration;

use crate::engine::step::{Call, Failure, Return};
use crate::host::Command;
use crate::modules::args::Args;
use crate::modules::cmd::{self, DEFAULT_SHELL};
use crate::report::Outcome;

/// Whether the step is to run; `Some` is the return of a step that is not. A condition whose command cannot be run
/// fails the step: guessing would run or skip the wrong thing.
pub(crate) fn hold_back(call: &Call<'_>) -> Result<Option<Return>, Failure> {
    let args = Args::new(&call.chunk.args);
    let skip = |why: String| Ok(Some(Return { skip_watch: true, ..Return::ok(why) }));
    for line in args.list("onlyif").map_err(structured)?.unwrap_or_default() {
        if !succeeds(&line, &args, call)? {
            return skip(format!("Not run, because its onlyif does not hold: {line}"));
        }
    }
    for line in args.list("unless").map_err(structured)?.unwrap_or_default() {
        if succeeds(&line, &args, call)? {
            return skip(format!("Not run, because its unless holds: {line}"));
        }
    }
    let creates = args.list("creates")?.unwrap_or_default();
    let missing = |path: &String| !call.context.host.path(path).exists();
    if !creates.is_empty() && !creates.iter().any(missing) {
        return skip(format!("Not run, because what it creates exists: {}", creates.join(", ")));
    }
    Ok(None)
}

#[allow(clippy::needless_pass_by_value)] // as map_err wants it
fn structured(failure: Failure) -> Failure {
    Failure::declaration(format!("{failure}; conditions are shell commands here, not execution module calls"))
}

fn succeeds(line: &str, args: &Args<'_>, call: &Call<'_>) -> Result<bool, Failure> {
    if matches!(line, "True" | "False") {
        return Ok(line == "True");
    }
    let command = cmd::command_of_run(line, args, call)?;
    Ok(call.context.host.run(&command)?.code == 0)
}

/// Ask `check_cmd` after a step; its exit code decides the outcome, of a failed one too. What is declared wrongly was not
/// tried, and stays failed.
pub(crate) fn check(ret: Return, call: &Call<'_>) -> Return {
    let args = Args::new(&call.chunk.args);
    if call.test || ret.misdeclared {
        return ret;
    }
    let lines = match args.list("check_cmd") {
        Ok(Some(lines)) if !lines.is_empty() => lines,
        Ok(_) => return ret,
        Err(e) => return Return { outcome: Outcome::Failed, comment: e.to_string(), ..ret },
    };
    let failed = |why: String| Return { outcome: Outcome::Failed, comment: why, ..ret.clone() };
    match first_failing(lines, &args, call) {
        Ok(None) if ret.outcome == Outcome::Failed => {
            let comment = format!("{}; its check_cmd says that all is well", ret.comment);
            Return { outcome: Outcome::Ok, comment, ..ret }
        }
        Ok(None) => ret,
        Ok(Some(why)) => failed(format!("{}; {why}", ret.comment)),
        Err(e) => failed(format!("{}; its check_cmd: {e}", ret.comment)),
    }
}

fn first_failing(lines: Vec<String>, args: &Args<'_>, call: &Call<'_>) -> Result<Option<String>, Failure> {
    for line in lines {
        let mut command =
            Command::shell(&args.text("shell")?.unwrap_or_else(|| DEFAULT_SHELL.to_owned()), &line);
        command.timeout = args.seconds("timeout")?.unwrap_or(Duration::from_secs(300));
        let output = call.context.host.run(&command)?;
        if output.code != 0 {
            let words = cmd::last_words(&output);
            return Ok(Some(format!("its check_cmd ended with exit code {}: {line}{words}", output.code)));
        }
    }
    Ok(None)
}
