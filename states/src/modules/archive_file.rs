//! An archive at hand: fetched, checked, and listed by the program that will extract it.

use std::path::Path;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::host::Command;
use crate::modules::cmd::last_words;
use crate::modules::file::remote::{is_remote, path_of};
use crate::modules::file::source::{Check, OnDisk, Source};
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
    pub(crate) file: OnDisk,
    pub(crate) entries: Vec<String>,
}

/// Get the archive, check it, and read what is in it.
pub(crate) fn open(
    source: &str,
    check: &Check,
    format: Format,
    strip: usize,
    call: &Call<'_>,
) -> Result<Archive, Failure> {
    let file = Source::on_disk(source, check, call)?;
    let entries = list(&file.path, &redact::url(source), format, strip, call)?;
    Ok(Archive { file, entries })
}

/// What is in an archive; one with a path that leads out of it is refused.
pub(crate) fn list(
    path: &Path,
    shown: &str,
    format: Format,
    strip: usize,
    call: &Call<'_>,
) -> Result<Vec<String>, Failure> {
    let file = path.display().to_string();
    let argv = match format {
        Format::Tar => vec!["tar", "--list", "--quoting-style=literal", "--file", &file],
        Format::Zip => vec!["unzip", "-Z1", &file],
    };
    let text = program(&argv, call)?;
    if let Some(bad) = text.lines().find(|l| l.starts_with('/') || l.split('/').any(|p| p == "..")) {
        return Err(Failure::declaration(format!("{shown} holds {bad:?}, which leads out of it")));
    }
    Ok(text.lines().filter_map(|l| inside(l, strip)).collect())
}

/// Take everything out of an archive, into a directory that is there.
pub(crate) fn extract(
    archive: &Path,
    format: Format,
    dir: &Path,
    options: &[String],
    call: &Call<'_>,
) -> Result<(), Failure> {
    let (file, to) = (archive.display().to_string(), dir.display().to_string());
    if format == Format::Tar {
        let listed = program(&["tar", "--list", "--verbose", "--file", &file], call)?;
        if let Some(device) = listed.lines().find(|line| line.starts_with(['b', 'c', 'p'])) {
            return Err(Failure::machine(format!(
                "the archive holds a device or FIFO, which is refused: {device}"
            )));
        }
    }
    let mut argv = match format {
        // A link to a directory stays one; what is taken out never belongs to a number of another machine.
        Format::Tar => vec![
            "tar",
            "--extract",
            "--keep-directory-symlink",
            "--no-same-owner",
            "--directory",
            &to,
            "--file",
            &file,
        ],
        Format::Zip => vec!["unzip", "-q", "-o", "-d", &to],
    };
    argv.extend(options.iter().map(String::as_str));
    if format == Format::Zip {
        argv.push(&file);
    }
    let place = |e| Failure::machine(format!("cannot extract to {}: {e}{}", dir.display(), room(dir)));
    program(&argv, call).map(drop).map_err(place)
}

/// Less than this is hardly the rest of a disk in good order.
const LITTLE: u64 = 64 << 10;

/// Why a program may have failed that only says how many bytes it has written.
fn room(path: &Path) -> String {
    match fsys::room(path) {
        Some(bytes) if bytes < LITTLE => format!("\nNo space left on device: {bytes} bytes"),
        _ => String::new(),
    }
}

/// What a name says of the format.
pub(crate) fn format_of(name: &str) -> Option<Format> {
    let lower = match is_remote(name) {
        true => path_of(name).to_lowercase(),
        false => name.to_lowercase(),
    };
    let tar = [
        ".tar",
        ".tgz",
        ".tbz",
        ".tbz2",
        ".txz",
        ".tlz",
        ".tzst",
        ".tar.gz",
        ".tar.bz2",
        ".tar.xz",
        ".tar.zst",
        ".tar.lzma",
    ];
    match tar.iter().any(|end| lower.ends_with(end)) {
        true => Some(Format::Tar),
        false => (lower.ends_with(".zip") || lower.ends_with(".jar")).then_some(Format::Zip),
    }
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
