//! `sysctl.present`: a kernel parameter, in its configuration file and in the running kernel.

// Effects: kernel parameters are written in place, for they are no files that could be replaced.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::{Args, scalar};
use crate::modules::textfile::{TextFile, one_line, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] = &["value", "config"];

const HEADER: &str = "#\n# Kernel sysctl configuration\n#\n";

/// The declaration.
pub(crate) struct Want {
    name: String,
    value: Value,
    text: String,
    config: Option<String>,
}

/// The file, and the parameter of the running kernel.
pub(crate) struct Observed {
    file: TextFile,
    kernel: Option<String>,
    /// The parameter is not there, though this is the machine itself.
    unknown: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    file: TextFile,
    text: Option<String>,
    assign: bool,
}

/// `sysctl.present`.
pub(crate) struct Present;

impl StateFn for Present {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let name = call.chunk.name.clone();
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if name.is_empty() || !name.chars().all(fits) || below_proc(&name).split('/').any(|p| p == "..") {
            return Err(Failure::declaration(format!("{name:?} cannot be the name of a kernel parameter")));
        }
        let value = args.get("value").cloned().ok_or_else(|| Failure::declaration("`value` is needed"))?;
        let text = scalar(&value).ok_or_else(|| Failure::declaration("`value` must be text or a number"))?;
        Ok(Want { name, text: one_line("value", text)?, value, config: args.text("config")? })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let config = match &want.config {
            Some(path) => path.clone(),
            None => default_config(call)?,
        };
        let file = TextFile::read(&config, roots(0o644), call)?.with_parents(roots(0o755));
        let path = parameter(&want.name, call);
        let kernel = std::fs::read_to_string(&path).ok();
        let unknown = call.context.host.root() == Path::new("/") && !path.exists();
        Ok(Observed { file, kernel, unknown })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        if now.unknown {
            return Diff::Refuse(format!("the kernel has no parameter {}", want.name));
        }
        let text = edit(&now.file.text, &want.name, &want.text);
        let assign = now.kernel.as_ref().is_some_and(|k| spaced(k) != spaced(&want.text));
        if text.is_none() && !assign {
            return Diff::Same(format!("Sysctl value {} = {} is already set", want.name, want.text));
        }
        Diff::Change {
            plan: Plan { file: now.file.clone(), text, assign },
            changes: Map::from([(want.name.clone(), want.value.clone())]),
            would: format!("Sysctl option {} would be changed to {}", want.name, want.text),
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if let Some(text) = &plan.text {
            plan.file.write(text)?;
        }
        if plan.assign {
            let failed = |e| Failure::machine(format!("cannot set {} to {}: {e}", want.name, want.text));
            std::fs::write(parameter(&want.name, call), &want.text).map_err(failed)?;
        }
        Ok(Applied::done(format!("Updated sysctl value {} = {}", want.name, want.text)))
    }
}

/// Dots part the name, and stand for slashes where slashes part it.
fn below_proc(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

fn parameter(name: &str, call: &Call<'_>) -> PathBuf {
    call.context.host.path("/proc/sys").join(below_proc(name))
}

/// systemd reads the directory alone.
fn default_config(call: &Call<'_>) -> Result<String, Failure> {
    let systemd = fsys::stat(&call.context.host.path("/run/systemd/system"))?.kind == Kind::Directory;
    Ok(if systemd { "/etc/sysctl.d/99-salt.conf" } else { "/etc/sysctl.conf" }.to_owned())
}

/// Runs of white space are the same as one.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The file with the parameter set; `None` when it is so already.
fn edit(text: &str, name: &str, value: &str) -> Option<String> {
    let assigned = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    let text = if text.is_empty() { HEADER } else { text };
    let mut lines: Vec<String> = Vec::new();
    let (mut found, mut same) = (false, true);
    for line in text.lines() {
        match assigned(line) {
            None => lines.push(line.to_owned()),
            Some(now) => {
                found = true;
                same &= spaced(&now) == spaced(value);
                lines.push(format!("{name} = {value}"));
            }
        }
    }
    if found && same {
        return None;
    }
    if !found {
        lines.push(format!("{name} = {value}"));
    }
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_where_it_stands_or_added_at_the_end() {
        let table = [
            ("", Some("#\n# Kernel sysctl configuration\n#\na.b = 1\n")),
            ("a.b=1\n", None),
            ("a.b = 2\nc = 3\n", Some("a.b = 1\nc = 3\n")),
            ("# a.b = 1\nx", Some("# a.b = 1\nx\na.b = 1\n")),
        ];
        for (text, wanted) in table {
            assert_eq!(edit(text, "a.b", "1").as_deref(), wanted, "{text:?}");
        }
        assert_eq!(edit("r = 1\t2\n", "r", "1  2"), None);
    }

    #[test]
    fn names_become_paths() {
        assert_eq!(below_proc("net.ipv4.conf.eth0/1.x"), "net/ipv4/conf/eth0.1/x");
        assert_eq!(below_proc(".//."), "/../");
    }
}
