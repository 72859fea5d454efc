//! `file.patch`: a file or directory changed by the `patch` program.

use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Owner};
use crate::host::{Command, Output};
use crate::modules::args::Args;
use crate::modules::file::source::{Check, Source};
use crate::modules::file::{self, Ids, Place, managed};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "source_hash",
    "source_hash_name",
    "source_hash_sig",
    "signature",
    "skip_verify",
    "template",
    "context",
    "defaults",
    "options",
    "strip",
];
pub(crate) const IGNORED: &[&str] = &["reject_file", "hash", "dry_run_first"];

/// A longer file is not patched.
const LIMIT: usize = 16 << 20;
/// Options that would lead the output elsewhere.
const REFUSED: &[&str] = &["-N", "--forward", "-r", "--reject-file", "-o", "--output"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    source: Source,
    check: Check,
    template: Option<Map>,
    options: Vec<String>,
    strip: Option<String>,
}

/// What the patch comes to.
pub(crate) enum Observed {
    /// There is nothing that could be patched.
    Odd(Kind),
    /// It is in already.
    Applied,
    /// It does not fit; why.
    Unfit(String),
    /// A file's new content.
    File { content: Vec<u8>, owner: Owner, output: Output },
    /// A directory that it fits.
    Directory { patch: Vec<u8>, output: Output },
}

/// What is to be done.
pub(crate) enum Plan {
    Write { content: Vec<u8>, owner: Owner },
    Run { patch: Vec<u8> },
}

/// `file.patch`.
pub(crate) struct Patch;

impl StateFn for Patch {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let source = match Source::read(args, call)? {
            Source::Files(names) => Source::Files(names),
            _ => return Err(Failure::declaration("`source` is missing: the patch")),
        };
        let check = Check::read(args)?.keeping();
        let (options, strip) = options(&args.text("options")?.unwrap_or_default())?;
        Ok(Want {
            place: Place::of(call)?,
            source,
            check,
            template: managed::template(args, call)?,
            options,
            strip: args.number("strip")?.map(|n| n.to_string()).or(strip),
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let now = fsys::stat(&want.place.path)?;
        if !matches!(now.kind, Kind::File | Kind::Directory) {
            return Ok(Observed::Odd(now.kind));
        }
        let ready = want.source.ready(want.template.as_ref(), &want.check, call)?;
        let bytes = ready.and_then(|ready| ready.content.into_bytes());
        let patch = bytes.ok_or_else(|| Failure::machine("the patch is too long"))?;
        let file = temporary(&patch)?;
        let (output, content) = match now.kind {
            Kind::File => rehearse_file(want, file.path(), call)?,
            _ => (
                call.context.host.run(&command(want, file.path(), &["-N", "--dry-run", "-r", "-"]))?,
                Vec::new(),
            ),
        };
        if output.code == 0 {
            let owner = Ids::default().over(&now, None);
            return Ok(match now.kind {
                Kind::File => Observed::File { content, owner, output },
                _ => Observed::Directory { patch, output },
            });
        }
        let reverse =
            call.context.host.run(&command(want, file.path(), &["-R", "-f", "--dry-run", "-r", "-"]))?;
        match reverse.code {
            0 => Ok(Observed::Applied),
            _ => Ok(Observed::Unfit([output.out(), output.err()].join("\n").trim().to_owned())),
        }
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let name = &want.place.name;
        let (plan, output) = match observed {
            Observed::Odd(Kind::Missing) => return Diff::Refuse(format!("{name} is not there")),
            Observed::Odd(kind) => return Diff::Refuse(file::odd(&want.place, *kind, "a file or directory")),
            Observed::Applied => return Diff::Same(format!("the patch is in {name} already")),
            Observed::Unfit(why) => return Diff::Refuse(format!("the patch does not fit {name}:\n{why}")),
            Observed::File { content, owner, output } => {
                (Plan::Write { content: content.clone(), owner: *owner }, output)
            }
            Observed::Directory { patch, output } => (Plan::Run { patch: patch.clone() }, output),
        };
        let changes = Map::from([
            ("pid".to_owned(), Value::Int(i64::from(output.pid))),
            ("retcode".to_owned(), Value::Int(i64::from(output.code))),
            ("stdout".to_owned(), Value::Str(output.out())),
            ("stderr".to_owned(), Value::Str(output.err())),
        ]);
        Diff::Change { plan, changes, would: format!("{name} would be patched") }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        match plan {
            Plan::Write { content, owner } => fsys::replace(&want.place.path, &content, owner)?,
            Plan::Run { patch } => {
                let file = temporary(&patch)?;
                let output = call.context.host.run(&command(want, file.path(), &["-N", "-r", "-"]))?;
                if output.code != 0 {
                    let told = [output.out(), output.err()].join("\n");
                    return Err(Failure::machine(format!(
                        "patch ended with {}: {}",
                        output.code,
                        told.trim()
                    )));
                }
            }
        }
        Ok(Applied::done(format!("{} patched", want.place.name)))
    }
}

/// Split the options as a shell would; how many directories are stripped from names is kept apart.
fn options(text: &str) -> Result<(Vec<String>, Option<String>), Failure> {
    let bad = || Failure::declaration("`options` cannot be split into words: a quote is open");
    let mut words = shell_words::split(text).map_err(|_| bad())?.into_iter();
    let (mut options, mut strip) = (Vec::new(), None);
    while let Some(word) = words.next() {
        if let Some(refused) = REFUSED.iter().find(|refused| word.starts_with(**refused)) {
            return Err(Failure::declaration(format!("`options` must not hold {refused}")));
        }
        match (word.strip_prefix("--strip="), word.strip_prefix("-p")) {
            (Some(number), _) => strip = Some(number.to_owned()),
            (None, Some(number)) if !number.is_empty() => strip = Some(number.to_owned()),
            _ if word == "--strip" || word == "-p" => strip = words.next(),
            _ => options.push(word),
        }
    }
    match strip.as_ref().is_none_or(|number| number.parse::<u32>().is_ok()) {
        true => Ok((options, strip)),
        false => Err(Failure::declaration("the number of directories to strip is no number")),
    }
}

fn temporary(bytes: &[u8]) -> Result<NamedTempFile, Failure> {
    let unwritten = |e: std::io::Error| Failure::machine(format!("cannot write a temporary file: {e}"));
    let mut file = tempfile::Builder::new().prefix("mayfly-patch-").tempfile().map_err(unwritten)?;
    file.write_all(bytes).map_err(unwritten)?;
    Ok(file)
}

/// The new content of a file; nothing is changed.
fn rehearse_file(want: &Want, patch: &Path, call: &Call<'_>) -> Result<(Output, Vec<u8>), Failure> {
    let (new, rejects) = (temporary(b"")?, temporary(b"")?);
    let (to, rejected) = (new.path().to_string_lossy(), rejects.path().to_string_lossy());
    let output = call.context.host.run(&command(want, patch, &["-N", "-r", &rejected, "-o", &to]))?;
    if output.code != 0 {
        return Ok((output, Vec::new()));
    }
    let bytes = fsys::read(new.path(), LIMIT)?.into_bytes();
    Ok((output, bytes.ok_or_else(|| Failure::machine("the file is too long to be patched"))?))
}

fn command(want: &Want, patch: &Path, first: &[&str]) -> Command {
    let mut argv: Vec<String> = vec!["patch".to_owned()];
    argv.extend(want.options.iter().cloned());
    argv.extend(first.iter().map(|word| (*word).to_owned()));
    argv.extend(["-i".to_owned(), patch.to_string_lossy().into_owned()]);
    let target = want.place.path.to_string_lossy().into_owned();
    match want.place.path.is_dir() {
        true => {
            let strip = want.strip.clone().unwrap_or_else(|| "0".to_owned());
            argv.extend(["-d".to_owned(), target, format!("-p{strip}")]);
        }
        false => argv.push(target),
    }
    Command::argv(argv)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::options;

    #[test]
    fn options_are_words_and_strip_is_kept_apart() {
        let (words, strip) = options("-l -p 1 --fuzz=3 'a b'").unwrap();
        assert_eq!((words.join("|").as_str(), strip.as_deref()), ("-l|--fuzz=3|a b", Some("1")));
        assert_eq!(options("--strip=2").unwrap().1.as_deref(), Some("2"));
        for wrong in ["-o x", "--output=x", "-rx", "-N", "'", "-px"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }
}
