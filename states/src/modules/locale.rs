//! `locale.present` and `locale.system`.

use std::path::Path;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, tool};
use crate::modules::textfile::{Edited, Editor, TextFile, roots};
use crate::value::{Map, Value};

const GEN: &str = "/etc/locale.gen";
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";
const LIMIT: usize = 4 << 20;

fn locale_name(call: &Call<'_>) -> Result<String, Failure> {
    let name = call.chunk.name.trim().to_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.@- ".contains(c);
    match name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
        true => Err(Failure::declaration(format!("{name:?} cannot be the name of a locale"))),
        false => Ok(name),
    }
}

fn told(name: &str) -> Map {
    Map::from([("locale".to_owned(), Value::Str(name.to_owned()))])
}

/// The name as `locale -a` may spell it: the character set without dashes and in small letters, a second word dropped.
fn normal(name: &str) -> String {
    let name = name.split_whitespace().next().unwrap_or_default();
    let (name, modifier) = name.split_once('@').map_or((name, None), |(n, m)| (n, Some(m)));
    let (language, charset) = name.split_once('.').map_or((name, None), |(l, c)| (l, Some(c)));
    let charset = charset.map(|c| format!(".{}", c.to_lowercase().replace('-', ""))).unwrap_or_default();
    let modifier = modifier.map(|m| format!("@{m}")).unwrap_or_default();
    format!("{language}{charset}{modifier}")
}

/// `locale.system`: `LANG` of the machine.
pub(crate) struct System;

impl Editor for System {
    type Want = String;

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        locale_name(call)
    }

    fn file(_: &String, call: &Call<'_>) -> Result<TextFile, Failure> {
        let family = call.context.minion.grains.get("os_family").and_then(Value::as_str);
        let name = if family == Some("Debian") { "/etc/default/locale" } else { "/etc/locale.conf" };
        Ok(TextFile::read(name, roots(0o644), call)?.with_parents(roots(0o755)))
    }

    fn edit(name: &String, text: &str) -> Edited {
        let lang = |line: &str| line.strip_prefix("LANG=").map(|v| v.trim().replace(['"', '\''], ""));
        let now: Vec<String> = text.lines().filter_map(lang).collect();
        if now.last() == Some(name) && now.len() == 1 {
            return Edited::Same(format!("System locale {name} already set"));
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let wanted = format!("LANG=\"{name}\"");
        match lines.iter().position(|l| lang(l).is_some()) {
            Some(at) => lines[at] = wanted.clone(),
            None => lines.push(wanted.clone()),
        }
        let mut seen = false;
        lines.retain(|l| lang(l).is_none() || !std::mem::replace(&mut seen, true));
        Edited::To {
            text: lines.join("\n") + "\n",
            changes: told(name),
            would: format!("System locale {name} would be set"),
            done: format!("Set system locale {name}"),
        }
    }
}

/// A locale that is not there yet.
pub(crate) struct Missing {
    file: TextFile,
    /// locale.gen with its line; `None` when it has it.
    text: Option<String>,
}

/// `locale.present`.
pub(crate) struct Present;

impl StateFn for Present {
    type Want = String;
    type Observed = Option<Missing>;
    type Plan = (TextFile, Option<String>);

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        locale_name(call)
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<Option<Missing>, Failure> {
        if call.context.host.root() != Path::new("/") {
            return Err(Failure::machine(
                "locales can only be made for the machine itself, not below another root",
            ));
        }
        let all = tool(call, &["locale".to_owned(), "-a".to_owned()], TOOL_TIMEOUT)?.out();
        if all.lines().any(|l| normal(l) == normal(name)) {
            return Ok(None);
        }
        let file = TextFile::read(GEN, roots(0o644), call)?;
        let line = line(name, &supported(call)?)?;
        Ok(Some(Missing { text: listed(&file.text, &line), file }))
    }

    fn diff(name: &String, missing: &Option<Missing>) -> Diff<Self::Plan> {
        match missing {
            None => Diff::Same(format!("Locale {name} is already present")),
            Some(missing) => Diff::Change {
                plan: (missing.file.clone(), missing.text.clone()),
                changes: told(name),
                would: format!("Locale {name} would be generated"),
            },
        }
    }

    fn apply(name: &String, (file, text): Self::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if let Some(text) = text {
            file.write(&text)?;
        }
        tool(call, &["locale-gen".to_owned()], TOOL_TIMEOUT * 10)?;
        Ok(Applied::done(format!("Generated locale {name}")))
    }
}

fn supported(call: &Call<'_>) -> Result<String, Failure> {
    let path = call.context.host.path(SUPPORTED);
    match fsys::stat(&path)?.kind {
        Kind::File => Ok(fsys::read_text(&path, LIMIT)?),
        _ => {
            Err(Failure::machine(format!("{SUPPORTED} is not there: which locales can be made is not known")))
        }
    }
}

/// The line of locale.gen for a locale: its name and character set.
fn line(name: &str, supported: &str) -> Result<String, Failure> {
    let whole = supported.lines().map(str::trim).find(|l| *l == name);
    let first = || supported.lines().map(str::trim).find(|l| l.split_whitespace().next() == Some(name));
    let line = whole.or_else(first);
    line.map(str::to_owned).ok_or_else(|| Failure::machine(format!("{SUPPORTED} has no locale {name}")))
}

/// locale.gen with the line in it, uncommented where it is commented out.
fn listed(text: &str, line: &str) -> Option<String> {
    if text.lines().any(|l| l.trim() == line) {
        return None;
    }
    let mut lines: Vec<&str> = text.lines().collect();
    let commented = |l: &&str| l.trim().strip_prefix('#').is_some_and(|l| l.trim() == line);
    match lines.iter().position(commented) {
        Some(at) => lines[at] = line,
        None => lines.push(line),
    }
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_locales_are_compared_as_the_system_spells_them() {
        assert_eq!(normal("en_US.UTF-8"), normal("en_US.utf8"));
        assert_eq!(normal("de_DE@euro"), "de_DE@euro");
        assert_eq!(normal("en_US.UTF-8 UTF-8"), "en_US.utf8");
        assert_ne!(normal("en_US"), normal("en_US.UTF-8"));
    }

    #[test]
    fn a_locale_is_listed_once() {
        let line = line("en_US.UTF-8", "de_DE ISO-8859-1\nen_US.UTF-8 UTF-8\n").unwrap();
        assert_eq!(line, "en_US.UTF-8 UTF-8");
        assert_eq!(listed("# en_US.UTF-8 UTF-8\nx\n", &line).as_deref(), Some("en_US.UTF-8 UTF-8\nx\n"));
        assert_eq!(listed("", &line).as_deref(), Some("en_US.UTF-8 UTF-8\n"));
        assert_eq!(listed("en_US.UTF-8 UTF-8\n", &line), None);
    }
}
