//! Where services' output goes: a log file each, of bounded size.

// Effects: opens and rotates log files.
#![allow(clippy::disallowed_methods)]

use super::place;
use super::unit::Output;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// So much of a log's end is read for its last line.
const MAX_END: u64 = 16 << 10;

/// The log files of services. A service writes to its file by itself (appending), so that it can outlive us; we cut the
/// file when it has grown over the cap and keep the part before as `NAME.log.1`.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    pub(crate) directory: PathBuf,
    pub(crate) cap: u64,
}

impl Logs {
    /// The service's log file.
    pub(crate) fn path(&self, service: &str) -> PathBuf {
        self.directory.join(format!("{service}.log"))
    }

    /// How long the service's log is now.
    pub(crate) fn length(&self, service: &str) -> u64 {
        self.path(service).metadata().map_or(0, |m| m.len())
    }

    /// The end of what the log holds from there on: whole lines, some thousand bytes at most.
    pub(crate) fn end(&self, service: &str, from: u64) -> Option<String> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.path(service))
            .ok()?;
        let length = file.metadata().ok()?.len();
        // One that was cut meanwhile holds what this run said alone.
        let from = if from > length { 0 } else { from };
        let start = from.max(length.saturating_sub(MAX_END));
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_END).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let whole = if start > from { text.split_once('\n')?.1 } else { &text };
        Some(whole.to_owned())
    }

    /// The file that an output goes to; `None` is our own output.
    pub(crate) fn open(&self, output: &Output, service: &str, root: &Path) -> Result<Option<File>, String> {
        let named = |path: &Path, cut| place::append(root, path, cut).map(Some).map_err(|e| wrong(path, &e));
        let path = match output {
            Output::Inherit => return Ok(None),
            Output::Append(path) => return named(path, false),
            Output::Truncate(path) => return named(path, true),
            Output::Null => PathBuf::from("/dev/null"),
            Output::Log => {
                std::fs::create_dir_all(&self.directory).map_err(|e| wrong(&self.directory, &e))?;
                self.cut(service).map_err(|e| wrong(&self.path(service), &e))?;
                self.path(service)
            }
        };
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&path);
        file.map(Some).map_err(|e| wrong(&path, &e))
    }

    /// Cut the log when it is over the cap. Bytes written between the copy and the cut are lost; that is the price of
    /// services that hold the file themselves.
    pub(crate) fn cut(&self, service: &str) -> std::io::Result<()> {
        let path = self.path(service);
        if path.metadata().map_or(true, |m| m.len() <= self.cap) {
            return Ok(());
        }
        let (old, new) = (path.with_extension("log.1"), path.with_extension("log.1.new"));
        std::fs::copy(&path, &new)?;
        OpenOptions::new().write(true).open(&path)?.set_len(0)?;
        std::fs::rename(new, old)
    }
}

fn wrong(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_log_over_the_cap_is_cut_under_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs { directory: dir.path().join("log"), cap: 10 };
        let mut file = logs.open(&Output::Log, "web", dir.path()).unwrap().unwrap();
        file.write_all(b"more than ten bytes\n").unwrap();
        logs.cut("web").unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(logs.path("web")).unwrap(), "after\n");
        let old = std::fs::read_to_string(dir.path().join("log/web.log.1")).unwrap();
        assert_eq!(old, "more than ten bytes\n");
        logs.cut("web").unwrap();
        assert_eq!(std::fs::read_to_string(logs.path("web")).unwrap(), "after\n");
    }
}
