//! The execution functions that look at the machine, for templates: `salt['cmd.run'](…)` and its neighbours. (Those that
//! are pure are answered by the states library.)
// Effects: reads files and runs commands of the tree, through the host.
#![allow(clippy::disallowed_methods)]

use mayfly_states::host::{Command, Host, Output};
use mayfly_states::session::Functions;
use mayfly_states::value::{Map, Value};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const MAX_READ: u64 = 1024 * 1024;

/// Functions over one machine.
pub(crate) struct MachineFunctions {
    host: Arc<dyn Host>,
}

impl MachineFunctions {
    /// Functions that ask `host`.
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Self { host }
    }
}

impl Functions for MachineFunctions {
    fn call(&self, name: &str, args: &[Value], kwargs: &Map) -> Option<Result<Value, String>> {
        let call = Call { args, kwargs };
        let answer = match name {
            "cmd.run" | "cmd.run_stdout" | "cmd.shell" => {
                self.run(&call, name).map(|o| Value::Str(combined(&o, name)))
            }
            "cmd.run_stderr" => self.run(&call, name).map(|o| Value::Str(o.err())),
            "cmd.retcode" => self.run(&call, name).map(|o| Value::Int(i64::from(o.code))),
            "cmd.run_all" => self.run(&call, name).map(|o| all(&o)),
            "cmd.has_exec" | "cmd.which" | "which" => call.text(0, "cmd").map(|c| self.which(&c, name)),
            "file.file_exists" => self.about_path(&call, |p| Value::Bool(p.is_file())),
            "file.directory_exists" => self.about_path(&call, |p| Value::Bool(p.is_dir())),
            "file.path_exists_glob" | "file.exists" => self.about_path(&call, |p| Value::Bool(p.exists())),
            "file.is_link" => self.about_path(&call, |p| Value::Bool(p.is_symlink())),
            "file.read" => call.text(0, "path").and_then(|p| self.read(&p)),
            "environ.get" => call.text(0, "key").map(|key| environment(&key, call.at(1, "default"))),
            "service.status" => call.text(0, "name").and_then(|n| self.service_runs(&n)),
            _ => return None,
        };
        Some(answer)
    }
}

struct Call<'a> {
    args: &'a [Value],
    kwargs: &'a Map,
}

impl Call<'_> {
    fn at(&self, index: usize, key: &str) -> Option<Value> {
        self.args.get(index).or_else(|| self.kwargs.get(key)).cloned()
    }

    fn text(&self, index: usize, key: &str) -> Result<String, String> {
        match self.at(index, key) {
            Some(Value::Str(text)) => Ok(text),
            Some(Value::Int(n)) => Ok(n.to_string()),
            _ => Err(format!("needs `{key}`, a string")),
        }
    }

    fn option(&self, key: &str) -> Option<String> {
        self.kwargs.get(key).and_then(Value::as_str).map(str::to_owned)
    }
}

impl MachineFunctions {
    fn run(&self, call: &Call<'_>, name: &str) -> Result<Output, String> {
        let line = call.text(0, "cmd")?;
        let in_shell =
            call.kwargs.get("python_shell").and_then(Value::as_bool).unwrap_or(name != "cmd.run_all");
        let mut command = match in_shell {
            true => Command::shell(&call.option("shell").unwrap_or_else(|| "/bin/sh".into()), &line),
            false => Command::argv(shell_words::split(&line).map_err(|e| format!("{line:?}: {e}"))?),
        };
        command.cwd = call.option("cwd");
        command.user = call.option("runas");
        command.timeout = match call.kwargs.get("timeout") {
            Some(Value::Int(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(1)),
            _ => Duration::from_secs(300),
        };
        if let Some(Value::Map(env)) = call.kwargs.get("env") {
            let text = |v: &Value| {
                v.as_str().map_or_else(|| serde_json::to_string(v).unwrap_or_default(), str::to_owned)
            };
            command.env.extend(env.iter().map(|(k, v)| (k.clone(), Some(text(v)))));
        }
        self.host.run(&command).map_err(|e| e.to_string())
    }

    fn path(&self, text: &str) -> Result<PathBuf, String> {
        match text.starts_with('/') && !text.contains('\0') {
            true => Ok(self.host.path(text)),
            false => Err(format!("{text:?} is not an absolute path")),
        }
    }

    /// Salt says `False` of what is no absolute path, for questions.
    fn about_path(&self, call: &Call<'_>, ask: impl Fn(PathBuf) -> Value) -> Result<Value, String> {
        let text = call.text(0, "path")?;
        Ok(self.path(&text).map_or(Value::Bool(false), ask))
    }

    fn read(&self, text: &str) -> Result<Value, String> {
        let path = self.path(text)?;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(|e| format!("{text}: {e}"))?;
        file.take(MAX_READ + 1).read_to_end(&mut bytes).map_err(|e| format!("{text}: {e}"))?;
        if bytes.len() as u64 > MAX_READ {
            return Err(format!("{text}: longer than {MAX_READ} bytes"));
        }
        String::from_utf8(bytes).map(Value::Str).map_err(|_| format!("{text}: not UTF-8"))
    }

    fn which(&self, program: &str, name: &str) -> Value {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        let found =
            path.split(':').map(|dir| format!("{dir}/{program}")).find(|p| self.host.path(p).is_file());
        match (name, found) {
            ("cmd.has_exec", found) => Value::Bool(found.is_some()),
            (_, Some(path)) => Value::Str(path),
            (_, None) => Value::Null,
        }
    }

    fn service_runs(&self, name: &str) -> Result<Value, String> {
        let state = self.host.services().state(name)?;
        Ok(Value::Bool(state == mayfly_states::host::ServiceState::Running))
    }
}

/// `cmd.run` gives both streams as they come in Salt; here the errors follow the output.
fn combined(output: &Output, name: &str) -> String {
    match (name, output.out(), output.err()) {
        ("cmd.run_stdout", out, _) => out,
        (_, out, err) if err.is_empty() => out,
        (_, out, err) if out.is_empty() => err,
        (_, out, err) => format!("{out}\n{err}"),
    }
}

fn all(output: &Output) -> Value {
    Value::Map(Map::from([
        ("pid".to_owned(), Value::Int(i64::from(output.pid))),
        ("retcode".to_owned(), Value::Int(i64::from(output.code))),
        ("stdout".to_owned(), Value::Str(output.out())),
        ("stderr".to_owned(), Value::Str(output.err())),
    ]))
}

fn environment(key: &str, default: Option<Value>) -> Value {
    std::env::var(key).map(Value::Str).ok().or(default).unwrap_or_else(|| Value::Str(String::new()))
}
