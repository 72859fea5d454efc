//! One call: its arguments, and what every function asks of the machine.
// Effects: reads files below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use super::str_of;
use crate::host::{Command, Host, Output};
use crate::value::{Map, Value};

/// Files are not read further than this.
pub(super) const MAX_READ: u64 = 8 << 20;
/// How long a command may take that a function runs of itself.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One call of a template.
pub(super) struct Asked<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) name: &'a str,
    pub(super) args: &'a [Value],
    pub(super) kwargs: &'a Map,
}

impl<'a> Asked<'a> {
    /// The arguments in the order of `names`.
    pub(super) fn bind<const N: usize>(&self, names: [&str; N]) -> Result<[Option<&'a Value>; N], String> {
        if self.args.len() > N {
            return Err(format!("it takes at most {N} arguments ({} given)", self.args.len()));
        }
        let mut bound = [None; N];
        for (slot, value) in bound.iter_mut().zip(self.args) {
            *slot = Some(value);
        }
        for (name, value) in self.kwargs {
            let Some(at) = names.iter().position(|n| n == name) else {
                return Err(format!("got an unexpected keyword argument '{name}'"));
            };
            if bound[at].replace(value).is_some() {
                return Err(format!("got multiple values for argument '{name}'"));
            }
        }
        Ok(bound)
    }

    /// The one argument, a text.
    pub(super) fn only(&self, name: &str) -> Result<String, String> {
        let [value] = self.bind([name])?;
        text(name, value)
    }

    /// Takes no arguments.
    pub(super) fn nothing(&self) -> Result<(), String> {
        self.bind([]).map(|[]| ())
    }

    /// Where a path of the machine is; `~` is the home of who runs this.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.host.path(&expand(path))
    }

    /// The text of a file, at most [`MAX_READ`] bytes of it; what is no UTF-8 is replaced.
    pub(super) fn read(&self, path: &str) -> Result<String, String> {
        let failed = |e: std::io::Error| no_file(path, &e);
        let file = std::fs::File::open(self.path(path)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_READ + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_READ {
            return Err(format!("{path} is longer than {MAX_READ} bytes"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file, or nothing where it cannot be read.
    pub(super) fn read_or_empty(&self, path: &str) -> String {
        self.read(path).unwrap_or_default()
    }

    /// Names in a directory, sorted.
    pub(super) fn entries(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(path)) else { return Vec::new() };
        let names = entries.flatten().take(100_000).filter_map(|e| e.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Runs a program in the C locale.
    pub(super) fn run(&self, argv: &[&str]) -> Result<Output, String> {
        let mut command = Command::argv(argv.iter().copied()).env("LC_ALL", "C").env("LANGUAGE", "C");
        command.timeout = TIMEOUT;
        self.host.run(&command).map_err(|e| e.to_string())
    }

    /// The output of a program, with what it says of errors.
    pub(super) fn output(&self, argv: &[&str]) -> Result<String, String> {
        let mut command = Command::argv(argv.iter().copied()).env("LC_ALL", "C").env("LANGUAGE", "C");
        command.timeout = TIMEOUT;
        command.merge_errors = true;
        Ok(self.host.run(&command).map_err(|e| e.to_string())?.out().trim_end().to_owned())
    }

    /// Seconds since the epoch as Python's `isoformat()` has them, in UTC.
    #[allow(clippy::cast_possible_truncation)] // Seconds of any real clock fit.
    pub(super) fn iso_time(&self, seconds: f64) -> Result<String, String> {
        let micros = (seconds * 1e6) as i64;
        let time = chrono::DateTime::from_timestamp_micros(micros).ok_or("a time out of all bounds")?;
        Ok(time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
    }

    /// Where a program is.
    pub(super) fn which(&self, program: &str) -> Option<String> {
        super::cmd::which(self.host, program)
    }
}

/// Python's `expanduser` for the user who runs this.
pub(super) fn expand(path: &str) -> String {
    match path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => format!("{}{rest}", std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned())),
        None => path.to_owned(),
    }
}

/// The system's words about a file.
pub(super) fn no_file(path: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("No such file or directory: '{path}'"),
        _ => format!("{path}: {error}"),
    }
}

/// A text that must be given; numbers are taken as text.
pub(super) fn text(name: &str, value: Option<&Value>) -> Result<String, String> {
    match value {
        Some(Value::Str(text)) => Ok(text.clone()),
        Some(number @ (Value::Int(_) | Value::Float(_))) => Ok(str_of(number)),
        Some(_) => Err(format!("argument '{name}' must be a text")),
        None => Err(format!("missing required argument: '{name}'")),
    }
}

/// An optional text; what is false is none.
pub(super) fn str_arg(value: Option<&Value>) -> Option<String> {
    value.filter(|v| truth(Some(v))).map(str_of)
}

/// Python's truth.
pub(super) fn truth(value: Option<&Value>) -> bool {
    value.is_some_and(|v| match v {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(f) => *f != 0.0,
        Value::Str(s) => !s.is_empty(),
        Value::List(l) => !l.is_empty(),
        Value::Map(m) => !m.is_empty(),
    })
}

/// Salt's `is_true`: numbers above 0 and the word `true`.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Str(text)) => {
            text.trim().parse::<f64>().map_or_else(|_| text.eq_ignore_ascii_case("true"), |n| n > 0.0)
        }
        Some(Value::Int(i)) => *i > 0,
        Some(Value::Float(f)) => *f > 0.0,
        other => truth(other),
    }
}

/// A truth value with a default.
pub(super) fn flag(value: Option<&Value>, default: bool) -> bool {
    value.map_or(default, |v| truth(Some(v)))
}

/// The texts of an argument that is one text with commas, or a list.
pub(super) fn split(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(all)) => all.iter().map(str_of).collect(),
        Some(Value::Str(text)) => text.split(',').map(|t| t.trim().to_owned()).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(other) => vec![str_of(other)],
    }
}
