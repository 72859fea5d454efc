//! `cmd.script` and `cmd.wait_script`: a script of the tree, run from a temporary file.

// Effects: makes the temporary directory of the script.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::PermissionsExt;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Owner};
use crate::host::{Command, Program};
use crate::modules::args::{Args, scalar};
use crate::modules::file::Wish;
use crate::modules::file::remote::{is_remote, path_of};
use crate::modules::file::source::{Check, Source};
use crate::modules::{cmd, textfile};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "args",
    "template",
    "context",
    "defaults",
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

/// A script, and how it is run.
pub(crate) struct Want {
    command: cmd::Want,
    source: String,
    args: String,
    template: Option<Map>,
    runas: Option<String>,
}

fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let (first, rest) = call.chunk.name.split_once(' ').unwrap_or((&call.chunk.name, ""));
    let given = match args.get("args") {
        Some(Value::List(items)) => {
            let words = items.iter().map(scalar).collect::<Option<Vec<_>>>();
            let words =
                words.ok_or_else(|| Failure::declaration("`args` must be text or a list of texts"))?;
            Some(shell_words::join(words))
        }
        _ => args.text("args")?,
    };
    Ok(Want {
        command: cmd::want(args, call)?,
        source: args.text("source")?.filter(|s| !s.is_empty()).unwrap_or_else(|| first.to_owned()),
        args: given.unwrap_or_else(|| rest.to_owned()),
        template: template(args)?,
        runas: args.text("runas")?,
    })
}

fn template(args: &Args<'_>) -> Result<Option<Map>, Failure> {
    let Some(engine) = args.text("template")? else { return Ok(None) };
    if engine != "jinja" {
        return Err(Failure::declaration(format!("`template: {engine}` is not supported; jinja is")));
    }
    let mut variables = args.map("defaults")?.unwrap_or_default();
    variables.extend(args.map("context")?.unwrap_or_default());
    Ok(Some(variables))
}

/// The script as it will run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script(Vec<u8>);

fn observe(want: &Want, call: &Call<'_>) -> Result<Script, Failure> {
    cmd::check_cwd(&want.command, call)?;
    let ready = Source::file(want.source.clone()).ready(want.template.as_ref(), &Check::default(), call)?;
    let bytes = ready.and_then(|r| r.content.into_bytes());
    let too_long = || Failure::declaration(format!("{} is too long for a script", redact::url(&want.source)));
    bytes.map(Script).ok_or_else(too_long)
}

/// Write the script where only root and the user it runs as can read it, and run it.
fn run(want: &Want, script: &Script, call: &Call<'_>) -> Result<Applied, Failure> {
    let failed = |e| Failure::machine(format!("cannot make a temporary directory: {e}"));
    let dir = tempfile::Builder::new().prefix("mayfly-script-").tempdir().map_err(failed)?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).map_err(failed)?;
    let source = if is_remote(&want.source) { path_of(&want.source) } else { &want.source };
    let base = source.rsplit('/').next().unwrap_or_default();
    let path = dir.path().join(if base.is_empty() { "script" } else { base });
    let wish = Wish { user: want.runas.clone(), group: None, mode: None };
    let owner = Owner { mode: 0o500, ..textfile::roots(0o500) };
    let owner = Owner { uid: wish.ids(call)?.uid.unwrap_or(owner.uid), ..owner };
    fsys::replace(&path, &script.0, owner)?;
    let mut command: Command = want.command.command().clone();
    let line = format!("{} {}", shell_words::quote(&path.to_string_lossy()), want.args);
    if let Program::Shell { shell, .. } = &command.program {
        command.program = Program::Shell { shell: shell.clone(), line: line.trim_end().to_owned() };
    }
    cmd::carry_out(&want.command, &command, call)
}

/// `cmd.script`.
pub(crate) struct Run;

impl StateFn for Run {
    type Want = Want;
    type Observed = Script;
    type Plan = Script;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Script, Failure> {
        observe(want, call)
    }

    fn diff(want: &Want, script: &Script) -> Diff<Script> {
        let name = want.command.line().to_owned();
        let would = format!("Command '{name}' would be run");
        Diff::Change {
            plan: script.clone(),
            changes: Map::from([("cmd".to_owned(), Value::Str(name))]),
            would,
        }
    }

    fn apply(want: &Want, plan: Script, call: &Call<'_>) -> Result<Applied, Failure> {
        run(want, &plan, call)
    }
}

/// `cmd.wait_script`: nothing, until something watched changes.
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
