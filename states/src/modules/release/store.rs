//! Releases on disk: `releases/<version>`, `current` that points to one of them, and what a killed run must not forget.
//!
//! A release counts once its record stands beside it: it is unpacked elsewhere, synced and renamed first. `.activating` stands
//! from before `current` is turned until the service has come up or the old release is back, and names what to go back to.

// Effects: times of records, and the sync of a whole tree.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind};
use crate::modules::file::Place;
use crate::modules::textfile::roots;

/// Records are short.
const LIMIT: usize = 64 << 10;

/// What is known of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Digest of the artefact, in SHA-256.
    pub(crate) sha256: String,
    /// The digest that it had to have, if one was asked for: `algorithm=hex`.
    pub(crate) asked: Option<String>,
    /// Where it came from, without passwords.
    pub(crate) source: String,
}

/// An activation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    /// What `current` pointed to when all was well; `None`: there was none.
    pub(crate) old: Option<String>,
}

/// A release that was taken back: to try it again and again would break the service again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) version: String,
    /// `attempt`, as it was then.
    pub(crate) attempt: u32,
    pub(crate) why: String,
}

/// The directory of an application.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// As the tree names it.
    pub(crate) name: String,
    dir: PathBuf,
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shelf {
    /// What `current` points to, as written in the link.
    pub(crate) current: Option<String>,
    pub(crate) unfinished: Option<Unfinished>,
    /// The release that was taken back last, if none has come up since.
    pub(crate) failed: Option<Failed>,
    /// Complete releases, the one that was activated last first.
    pub(crate) releases: Vec<(String, Record)>,
}

impl Store {
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Failure> {
        let place = Place::of(call)?;
        match place.name.trim_end_matches('/').is_empty() {
            true => Err(Failure::declaration("the directory of the releases cannot be /")),
            false => Ok(Self { name: place.name, dir: place.path }),
        }
    }

    fn releases(&self) -> PathBuf {
        self.dir.join("releases")
    }

    fn current(&self) -> PathBuf {
        self.dir.join("current")
    }

    fn marker(&self) -> PathBuf {
        self.dir.join(".activating")
    }

    fn failed(&self) -> PathBuf {
        self.dir.join(".failed")
    }

    fn record(&self, version: &str) -> PathBuf {
        self.releases().join(format!(".{version}.json"))
    }

    /// Where a release is.
    pub(crate) fn release(&self, version: &str) -> PathBuf {
        self.releases().join(version)
    }

    /// Look at everything.
    pub(crate) fn look(&self) -> Result<Shelf, Failure> {
        for dir in [&self.dir, &self.releases()] {
            guarded(dir)?;
        }
        let current = match fsys::stat(&self.current())?.kind {
            Kind::Missing => None,
            Kind::Symlink => Some(fsys::read_link(&self.current())?.to_string_lossy().into_owned()),
            kind => {
                return Err(Failure::machine(format!(
                    "{}/current is {kind}, not a link to a release; it is left as it is",
                    self.name
                )));
            }
        };
        let (unfinished, failed) = (parsed(&self.marker())?, parsed(&self.failed())?);
        Ok(Shelf { current, unfinished, failed, releases: self.complete()? })
    }

    fn complete(&self) -> Result<Vec<(String, Record)>, Failure> {
        let mut found: Vec<(SystemTime, String, Record)> = Vec::new();
        for entry in std::fs::read_dir(self.releases()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix('.').and_then(|name| name.strip_suffix(".json"));
            let Some(version) = version.filter(|version| is_version(version)) else { continue };
            if fsys::stat(&self.release(version))?.kind != Kind::Directory {
                continue;
            }
            let when = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            if let Some(record) = parsed(&entry.path())? {
                found.push((when, version.to_owned(), record));
            }
        }
        found.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        Ok(found.into_iter().map(|(_, version, record)| (version, record)).collect())
    }

    /// An empty directory for a release that is being unpacked; leftovers of a killed run are removed.
    pub(crate) fn workspace(&self) -> Result<PathBuf, Failure> {
        fsys::make_dirs(&self.releases(), roots(0o755))?;
        let work = self.releases().join(".unpacking");
        fsys::remove(&work)?;
        fsys::make_dirs(&work, roots(0o755))?;
        Ok(work)
    }

    /// Make what was unpacked a release. Its record, written last, is what makes it count.
    pub(crate) fn admit(&self, work: &Path, version: &str, record: &Record) -> Result<(), Failure> {
        let release = self.release(version);
        fsys::remove(&self.record(version))?;
        fsys::remove(&release)?;
        let io = |e: std::io::Error| Failure::machine(format!("cannot keep {}: {e}", release.display()));
        // One call for the whole file system: a release may have many thousand files.
        rustix::fs::syncfs(std::fs::File::open(work).map_err(io)?).map_err(|e| io(e.into()))?;
        std::fs::rename(work, &release).map_err(io)?;
        fsys::sync_dir(&self.releases())?;
        self.write(version, record)
    }

    /// Write the record, which also says that this release was activated last.
    pub(crate) fn write(&self, version: &str, record: &Record) -> Result<(), Failure> {
        save(&self.record(version), record)
    }

    /// From here on a run that ends early is completed by the next.
    pub(crate) fn begin(&self, old: Option<String>) -> Result<(), Failure> {
        save(&self.marker(), &Unfinished { old })
    }

    /// All is well with the new.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        fsys::remove(&self.failed())?;
        Ok(fsys::remove(&self.marker())?)
    }

    /// The old is back, or there was none; what failed is remembered.
    pub(crate) fn give_up(&self, failed: Option<&Failed>) -> Result<(), Failure> {
        if let Some(failed) = failed {
            save(&self.failed(), failed)?;
        }
        Ok(fsys::remove(&self.marker())?)
    }

    /// Turn `current` in one step; to nothing, it goes.
    pub(crate) fn turn(&self, target: Option<&str>) -> Result<(), Failure> {
        match target {
            Some(target) => Ok(fsys::replace_symlink(&self.current(), target, None)?),
            None => Ok(fsys::remove(&self.current())?),
        }
    }

    /// Remove a release: its record first, so that half of one is none.
    pub(crate) fn drop(&self, version: &str) -> Result<(), Failure> {
        fsys::remove(&self.record(version))?;
        Ok(fsys::remove(&self.release(version))?)
    }
}

/// What `current` is to point to.
pub(crate) fn target(version: &str) -> String {
    format!("releases/{version}")
}

/// Whether this can be the name of a directory beside others.
pub(crate) fn is_version(version: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-~".contains(&b);
    version.bytes().all(plain)
        && version.len() <= 128
        && version.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whoever may write to the directory could lead root anywhere.
fn guarded(dir: &Path) -> Result<(), Failure> {
    let now = fsys::stat(dir)?;
    let own = nix::unistd::geteuid().as_raw();
    match now.kind {
        Kind::Missing => Ok(()),
        Kind::Directory if now.uid == own && now.mode & 0o022 == 0 => Ok(()),
        Kind::Directory => Err(Failure::machine(format!(
            "{} can be written to by others; it must belong to root alone (the files of a release may belong to `user`)",
            dir.display()
        ))),
        kind => Err(Failure::machine(format!("{} is {kind}, not a directory", dir.display()))),
    }
}

fn save(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::machine(e.to_string()))?;
    Ok(fsys::replace(path, text.as_bytes(), roots(0o600))?)
}

/// What was written to a file, if it is there.
fn parsed<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, Failure> {
    if fsys::stat(path)?.kind == Kind::Missing {
        return Ok(None);
    }
    let text = fsys::read_text(path, LIMIT)?;
    let odd =
        |e| Failure::machine(format!("{} is not what was written there: {e}; remove it", path.display()));
    serde_json::from_str(&text).map(Some).map_err(odd)
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_version_is_a_plain_name() {
        for good in ["1.4.2", "v1", "42", "2024-01-02+b~1", "a_b"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", ".", "..", ".x", "a/b", "a b", "-x", "ä", &"1".repeat(129)] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
