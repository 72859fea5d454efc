//! `cmd.run` and `cmd.wait`: a command line for a shell, because the tree asked for one.

use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{Command, Output};
use crate::modules::args::{Args, joined, scalar};
use crate::value::{Map, Value};

/// Salt's default on Unix.
pub(crate) const DEFAULT_SHELL: &str = "/bin/sh";

pub(crate) const ARGS: &[&str] = &[
    "cwd",
    "env",
    "runas",
    "shell",
    "timeout",
    "umask",
    "prepend_path",
    "success_retcodes",
    "hide_output",
    "ignore_timeout",
    "stateful",
    "root",
    "bg",
];
pub(crate) const IGNORED: &[&str] = &["output_loglevel", "python_shell", "use_vt", "output_encoding"];

/// A command line with what is needed to run it and to read its end.
pub(crate) struct Want {
    line: String,
    command: Command,
    success: Vec<i32>,
    hide_output: bool,
    ignore_timeout: bool,
}

/// Build the command of a line from the arguments `cwd`, `env`, `runas`, `shell`, `timeout`, `umask`, `prepend_path`.
pub(crate) fn command(line: &str, args: &Args<'_>) -> Result<Command, Failure> {
    let shell = args.text("shell")?.unwrap_or_else(|| DEFAULT_SHELL.to_owned());
    let mut command = Command::shell(&shell, line);
    command.cwd = args.text("cwd")?;
    command.user = args.text("runas")?;
    command.umask = args.mode("umask")?;
    command.timeout = args.seconds("timeout")?.unwrap_or(Command::DEFAULT_TIMEOUT);
    command.env = environment(args)?;
    if let Some(first) = args.text("prepend_path")? {
        command = command
            .env("PATH", &format!("{first}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    }
    Ok(command)
}

/// The same, with what `environ.setenv` has set in this run; the step's own `env` has the last word.
pub(crate) fn command_of_run(line: &str, args: &Args<'_>, call: &Call<'_>) -> Result<Command, Failure> {
    let mut command = command(line, args)?;
    let set = call.facts.environment.borrow();
    command.env.splice(0..0, set.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ok(command)
}

/// `env` as a mapping or a list of one-key mappings; `false` takes a variable away.
fn environment(args: &Args<'_>) -> Result<Vec<(String, Option<String>)>, Failure> {
    let bad = || Failure::declaration("`env` must be a mapping of names to texts");
    let Some(value) = args.get("env") else { return Ok(Vec::new()) };
    let map = joined(value).ok_or_else(bad)?;
    let one = |(key, value): (&String, &Value)| match value {
        Value::Bool(false) => Ok((key.clone(), None)),
        Value::Null => Ok((key.clone(), Some(String::new()))),
        other => Ok((key.clone(), Some(scalar(other).ok_or_else(bad)?))),
    };
    map.iter().map(one).collect()
}

impl Want {
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    pub(crate) fn command(&self) -> &Command {
        &self.command
    }
}

pub(crate) fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    args.refuse("stateful", "let the command's exit code and unless/onlyif/creates speak")?;
    args.refuse("root", "run the command with chroot(8) itself")?;
    args.refuse("bg", "let a service manager keep processes")?;
    let codes = args.list("success_retcodes")?.unwrap_or_default();
    let code = |c: &String| c.parse().map_err(|_| Failure::declaration("`success_retcodes` must be numbers"));
    let mut success = codes.iter().map(code).collect::<Result<Vec<i32>, _>>()?;
    success.push(0);
    let line = call.chunk.name.clone();
    let command = command_of_run(&line, args, call)?;
    Ok(Want {
        command,
        line,
        success,
        hide_output: args.flag("hide_output", false)?,
        ignore_timeout: args.flag("ignore_timeout", false)?,
    })
}

/// The last lines of what a command said, ready to follow a message.
pub(crate) fn last_words(output: &Output) -> String {
    let text = if output.stderr.is_empty() { output.out() } else { output.err() };
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default();
    if last.is_empty() { String::new() } else { format!("\n{}", last.join("\n")) }
}

/// `cmd.run`.
pub(crate) struct Run;

impl StateFn for Run {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<(), Failure> {
        check_cwd(want, call)
    }

    fn diff(want: &Want, _: &()) -> Diff<()> {
        let changes = Map::from([("cmd".to_owned(), Value::Str(want.line.clone()))]);
        Diff::Change { plan: (), changes, would: format!("Command `{}` would be run", want.line) }
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        carry_out(want, &want.command, call)
    }
}

/// The directory to work in must be there.
pub(crate) fn check_cwd(want: &Want, call: &Call<'_>) -> Result<(), Failure> {
    let Some(cwd) = &want.command.cwd else { return Ok(()) };
    match call.context.host.path(cwd).is_dir() {
        true => Ok(()),
        false => Err(Failure::machine(format!("the working directory {cwd} is not there"))),
    }
}

/// Run it, and read its end.
pub(crate) fn carry_out(want: &Want, command: &Command, call: &Call<'_>) -> Result<Applied, Failure> {
    let started = call.context.host.run(command);
    let output = match started {
        Err(crate::host::CommandError::TimedOut { .. }) if want.ignore_timeout => Output::default(),
        Err(error) if want.hide_output => return Err(error.without_words().into()),
        other => other?,
    };
    let failed = !want.success.contains(&output.code);
    let mut comment = format!("Command `{}` run", want.line);
    if failed {
        comment = format!("Command `{}` ended with exit code {}", want.line, output.code);
        if !want.hide_output {
            comment.push_str(&last_words(&output));
        }
    }
    Ok(Applied { comment, changes: Some(told(want, &output)), failed })
}

/// Salt's changes of a command: pid, retcode, stdout, stderr.
fn told(want: &Want, output: &Output) -> Map {
    let text = |s: String| Value::Str(if want.hide_output { String::new() } else { s });
    Map::from([
        ("pid".to_owned(), Value::Int(output.pid.into())),
        ("retcode".to_owned(), Value::Int(output.code.into())),
        ("stdout".to_owned(), text(output.out())),
        ("stderr".to_owned(), text(output.err())),
    ])
}

/// `cmd.wait`: nothing, until something watched changes.
pub(crate) struct Wait;

impl StateFn for Wait {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn observe(_: &Want, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff(_: &Want, (): &()) -> Diff<()> {
        Diff::Same("Nothing that it watches has changed".to_owned())
    }

    fn apply(_: &Want, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(""))
    }
}

/// How long a helper program of a state may take.
pub(crate) const TOOL_TIMEOUT: Duration = Duration::from_secs(120);

/// Run a program that a state needs; anything but exit code 0 is a failure that shows its last words.
pub(crate) fn tool(call: &Call<'_>, argv: &[String], timeout: Duration) -> Result<Output, Failure> {
    let mut command = Command::argv(argv.iter().cloned());
    command.env = vec![("LC_ALL".to_owned(), Some("C.UTF-8".to_owned()))];
    command.timeout = timeout;
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(output),
        code => {
            let words = last_words(&output);
            Err(Failure::machine(format!("`{}` ended with exit code {code}{words}", argv.join(" "))))
        }
    }
}
