//! Files that are written piece by piece before anybody knows whether they will be kept.

// Effects: temporary files.
#![allow(clippy::disallowed_methods)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Error, Result, create_temp, parent, sweep, sync_dir};

/// A temporary file. Dropped, it is removed; after a kill, by the next one in its directory.
#[derive(Debug)]
pub struct Scratch {
    temp: NamedTempFile,
}

impl Scratch {
    /// In a directory that is there, readable by its owner alone.
    pub fn new(dir: &Path) -> Result<Self> {
        sweep(dir);
        create_temp(dir).map(|temp| Self { temp }).map_err(Error::at("create a file in", dir))
    }

    /// Where large temporary files go: not into memory, as below `/tmp` of many machines.
    pub fn transient() -> Result<Self> {
        let disk = PathBuf::from("/var/tmp");
        Self::new(&disk).or_else(|_| Self::new(&std::env::temp_dir()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Keep it under another name in the same directory, whole and synced.
    pub fn place(self, dest: &Path) -> Result<()> {
        self.temp.as_file().sync_all().map_err(Error::at("sync", dest))?;
        self.temp.persist(dest).map_err(|e| Error::at("replace", dest)(e.error))?;
        sync_dir(parent(dest))
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.as_file_mut().flush()
    }
}
