//! `pkgrepo.managed` and `pkgrepo.absent` for apk: lines of its list of repositories.

use crate::engine::step::{Call, Failure};
use crate::modules::args::Args;
use crate::modules::packages::repository_name;
use crate::modules::textfile::{Edited, Editor, TextFile, roots};
use crate::value::{Map, Value};

const FILE: &str = "/etc/apk/repositories";

/// A line, and whether it is to be heard.
pub(crate) struct Want {
    line: String,
    enabled: bool,
}

fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let name = call.chunk.name.trim();
    // `@tag https://…`: what is from there is only taken by that tag.
    for word in name.split(' ') {
        repository_name("name", word.to_owned())?;
    }
    let disabled = args.flag("disabled", false)? || !args.flag("enabled", true)?;
    Ok(Want { line: name.to_owned(), enabled: !disabled })
}

fn bare(line: &str) -> &str {
    line.trim_start_matches(['#', ' ']).trim_end().trim_end_matches('/')
}

fn is(line: &str, want: &Want) -> bool {
    bare(line) == bare(&want.line)
}

fn file(call: &Call<'_>) -> Result<TextFile, Failure> {
    Ok(TextFile::read(FILE, roots(0o644), call)?.with_parents(roots(0o755)))
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(|l| format!("{l}\n")).collect()
}

/// `pkgrepo.managed`.
pub(crate) struct Managed;

impl Editor for Managed {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn file(_: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let line = if want.enabled { want.line.clone() } else { format!("#{}", want.line) };
        let now = text.lines().find(|l| is(l, want));
        if now.is_some_and(|now| now.starts_with('#') != want.enabled) {
            return Edited::Same(format!("Package repo '{}' already configured", want.line));
        }
        let (text, changes) = match now {
            None => (joined(text.lines().chain([line.as_str()])), ("repo", Value::Str(want.line.clone()))),
            Some(old) => {
                let changed = text.lines().map(|l| if l == old { line.as_str() } else { l });
                let pair = [("new", line.clone()), ("old", old.to_owned())];
                let pair = pair.map(|(k, v)| (k.to_owned(), Value::Str(v)));
                (joined(changed), ("line", Value::Map(Map::from(pair))))
            }
        };
        Edited::To {
            text,
            changes: Map::from([(changes.0.to_owned(), changes.1)]),
            would: format!("Package repo '{}' would be configured", want.line),
            done: format!("Configured package repo '{}'", want.line),
        }
    }

    fn after(_: &Want, call: &Call<'_>) -> Result<(), Failure> {
        call.facts.refreshed.set(false);
        Ok(())
    }
}

/// `pkgrepo.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call)
    }

    fn file(_: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let heard = |line: &&str| is(line, want) && !line.starts_with('#');
        if !text.lines().any(|l| heard(&l)) {
            return Edited::Same(format!("Package repo {} is absent", want.line));
        }
        Edited::To {
            text: joined(text.lines().filter(|l| !heard(l))),
            changes: Map::from([("repo".to_owned(), Value::Str(want.line.clone()))]),
            would: format!("Package repo {} would be removed", want.line),
            done: format!("Removed repo {}", want.line),
        }
    }

    fn after(_: &Want, call: &Call<'_>) -> Result<(), Failure> {
        call.facts.refreshed.set(false);
        Ok(())
    }
}
