//! An archive at hand: fetched, checked, and listed by the program that will extract it.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::host::Command;
use crate::modules::cmd::last_words;
use crate::modules::file::remote::Held;
use crate::modules::file::source::{Check, Source};
use crate::modules::textfile::roots;
use crate::redact;

/// Unpacking something large takes long; a stuck disk must still end.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// What the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Tar,
    Zip,
}

/// The archive on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<String>,
    _keep: Option<std::rc::Rc<tempfile::TempDir>>,
    _held: Option<Held>,
}

/// Get the archive, check it, and read what is in it.
pub(crate) fn open(
    source: &str,
    check: &Check,
    format: Format,
    strip: usize,
    call: &Call<'_>,
) -> Result<Archive, Failure> {
    let ready = Source::file(source.to_owned()).ready(None, check, call)?;
    let ready = ready.ok_or_else(|| Failure::machine(format!("{} is not there", redact::url(source))))?;
    let held = ready.held;
    let (path, keep) = match ready.file {
        Some(path) => (path, None),
        None => {
            let failed = |e| Failure::machine(format!("cannot make a temporary directory: {e}"));
            let dir = tempfile::Builder::new().prefix("mayfly-archive-").tempdir().map_err(failed)?;
            let path = dir.path().join("archive");
            fsys::replace(&path, &ready.content.bytes.unwrap_or_default(), roots(0o600))?;
            (path, Some(std::rc::Rc::new(dir)))
        }
    };
    let file = path.display().to_string();
    let argv = match format {
        Format::Tar => vec!["tar", "--list", "--quoting-style=literal", "--file", &file],
        Format::Zip => vec!["unzip", "-Z1", &file],
    };
    let text = program(&argv, call)?;
    let entries = text.lines().filter_map(|l| inside(l, strip)).collect::<Vec<_>>();
    if let Some(bad) = text.lines().find(|l| l.starts_with('/') || l.split('/').any(|p| p == "..")) {
        let shown = redact::url(source);
        return Err(Failure::declaration(format!("{shown} holds {bad:?}, which leads out of it")));
    }
    Ok(Archive { path, entries, _keep: keep, _held: held })
}

/// A path of the archive as it will be in the directory.
fn inside(entry: &str, strip: usize) -> Option<String> {
    let entry = entry.trim_start_matches("./");
    let rest = entry.splitn(strip + 1, '/').nth(strip)?;
    (!rest.is_empty()).then(|| rest.to_owned())
}

pub(crate) fn program(argv: &[&str], call: &Call<'_>) -> Result<String, Failure> {
    let mut command = Command::argv(argv.iter().copied()).env("LC_ALL", "C.UTF-8");
    command.timeout = TIMEOUT;
    let output = call.context.host.run(&command)?;
    let tool = argv.first().copied().unwrap_or_default();
    if output.stdout.len() >= crate::host::Output::LIMIT {
        return Err(Failure::machine(format!(
            "`{tool}` says more than can be read: the archive is too large"
        )));
    }
    match output.code {
        0 => Ok(output.out()),
        code => Err(Failure::machine(format!("`{tool}` ended with exit code {code}{}", last_words(&output)))),
    }
}

/// Names that the archive has at its top.
pub(crate) fn tops(entries: &[String]) -> (Vec<&str>, bool) {
    let mut dirs: Vec<&str> = entries.iter().filter_map(|e| Some(e.split_once('/')?.0)).collect();
    dirs.sort_unstable();
    dirs.dedup();
    let files = entries.iter().any(|e| !e.contains('/') && !dirs.contains(&e.as_str()));
    (dirs, files)
}

/// How many leading parts of paths are taken away.
pub(crate) fn stripped(options: &[String]) -> usize {
    let count = |o: &String| {
        o.strip_prefix("--strip-components=").or_else(|| o.strip_prefix("--strip="))?.parse().ok()
    };
    options.iter().find_map(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_stripped_as_tar_strips_them() {
        let table = [
            ("./a/b", 0, Some("a/b")),
            ("a/b/c", 1, Some("b/c")),
            ("a/", 1, None),
            ("a", 1, None),
            ("a/b/", 1, Some("b/")),
        ];
        for (entry, strip, wanted) in table {
            assert_eq!(inside(entry, strip).as_deref(), wanted, "{entry}");
        }
        assert_eq!(stripped(&["--strip-components=2".to_owned()]), 2);
    }

    #[test]
    fn what_is_at_the_top_is_seen() {
        let entries = |e: &[&str]| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(tops(&entries(&["a/", "a/b", "a/c/d"])), (vec!["a"], false));
        assert_eq!(tops(&entries(&["a/b", "x"])), (vec!["a"], true));
    }
}
