//! `alias.present` and `alias.absent`: mail aliases in aliases(5).

use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::host::{Command, CommandError};
use crate::modules::args::Args;
use crate::modules::textfile::{Edited, Editor, TextFile, one_line, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] = &["target"];

const ALIASES: &str = "/etc/aliases";

/// The alias of a line, its targets, and the comment behind them.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    if line.starts_with(['#', ' ', '\t']) {
        return None;
    }
    let (entry, comment) = line.find('#').map_or((line, ""), |at| line.split_at(at));
    let (name, target) = entry.split_once(':')?;
    Some((name.trim(), target.trim(), comment))
}

fn alias_name(call: &Call<'_>) -> Result<String, Failure> {
    let name = call.chunk.name.clone();
    match name.is_empty() || name.contains([':', '#', '\n']) {
        true => Err(Failure::declaration(format!("{name:?} cannot be the name of an alias"))),
        false => Ok(name),
    }
}

/// Tell the mail system; a machine without one has nobody to tell.
fn newaliases(call: &Call<'_>) -> Result<(), Failure> {
    if call.context.host.root() != std::path::Path::new("/") {
        return Ok(());
    }
    let mut command = Command::argv(["newaliases"]);
    command.timeout = Duration::from_secs(60);
    match call.context.host.run(&command) {
        Err(CommandError::Start { .. }) | Ok(_) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn changed(name: &str) -> Map {
    Map::from([("alias".to_owned(), Value::Str(name.to_owned()))])
}

/// `alias.present`.
pub(crate) struct Present;

impl Editor for Present {
    type Want = (String, String);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let target = args.list("target")?.unwrap_or_default().join(", ");
        if target.is_empty() {
            return Err(Failure::declaration("`target` is needed: an address or a list of them"));
        }
        Ok((alias_name(call)?, one_line("target", target)?))
    }

    fn file(_: &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        TextFile::read(ALIASES, roots(0o644), call)
    }

    fn edit((name, target): &Self::Want, text: &str) -> Edited {
        let own = |line: &&str| parse(line).is_some_and(|(n, ..)| n == name);
        let found: Vec<&str> = text.lines().filter(own).collect();
        if let [one] = found.as_slice()
            && parse(one).is_some_and(|(_, t, _)| t == target)
        {
            return Edited::Same(format!("Alias {name} already present"));
        }
        let mut lines: Vec<String> = Vec::new();
        let mut placed = false;
        for line in text.lines() {
            match parse(line).filter(|(n, ..)| n == name) {
                None => lines.push(line.to_owned()),
                Some((.., comment)) if !placed => {
                    placed = true;
                    lines.push(format!("{name}: {target} {comment}").trim_end().to_owned());
                }
                Some(_) => {}
            }
        }
        if !placed {
            lines.push(format!("{name}: {target}"));
        }
        Edited::To {
            text: lines.join("\n") + "\n",
            changes: changed(name),
            would: format!("Alias {name} -> {target} would be set"),
            done: format!("Set email alias {name} -> {target}"),
        }
    }

    fn after(_: &Self::Want, call: &Call<'_>) -> Result<(), Failure> {
        newaliases(call)
    }
}

/// `alias.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = String;

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        alias_name(call)
    }

    fn file(_: &String, call: &Call<'_>) -> Result<TextFile, Failure> {
        TextFile::read(ALIASES, roots(0o644), call)
    }

    fn edit(name: &String, text: &str) -> Edited {
        let own = |line: &&str| parse(line).is_some_and(|(n, ..)| n == name);
        if !text.lines().any(|l| own(&l)) {
            return Edited::Same(format!("Alias {name} already absent"));
        }
        Edited::To {
            text: text.lines().filter(|l| !own(l)).map(|l| format!("{l}\n")).collect(),
            changes: changed(name),
            would: format!("Alias {name} would be removed"),
            done: format!("Removed alias {name}"),
        }
    }

    fn after(_: &String, call: &Call<'_>) -> Result<(), Failure> {
        newaliases(call)
    }
}
