//! The console of one instance: what its processes print, kept bounded in memory and in a file.
// Effects: appends to the console file.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What GetConsoleOutput answers at most, as on EC2.
pub const SERVED: usize = 64 * 1024;
/// The file is begun anew with its last [`SERVED`] bytes when it reaches this size.
const FILE_LIMIT: u64 = 1024 * 1024;

/// The console of one instance; clones share it.
#[derive(Debug, Clone)]
pub struct Console(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    tail: VecDeque<u8>,
    path: PathBuf,
    file: Option<File>,
    written: u64,
}

impl Console {
    /// A console that also goes to the file at `path` where that can be written.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).ok();
        let path = path.to_path_buf();
        Self(Arc::new(Mutex::new(Inner { tail: VecDeque::new(), path, file, written: 0 })))
    }

    /// The last bytes, at most [`SERVED`].
    #[must_use]
    pub fn tail(&self) -> Vec<u8> {
        self.lock().tail.iter().copied().collect()
    }

    /// Adds a line of the sandbox's own.
    pub fn note(&self, line: &str) {
        self.lock().add(format!("sandbox: {line}\n").as_bytes());
    }

    /// Takes in everything that `source` gives until its end.
    pub async fn follow(self, mut source: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; 8192];
        while let Ok(count) = source.read(&mut chunk).await {
            let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
            self.lock().add(bytes);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(SERVED);
        self.tail.drain(..excess);
        self.written += bytes.len() as u64;
        if self.written > FILE_LIMIT {
            self.begin_anew();
        } else if let Some(file) = &mut self.file {
            // A full disk must not take the instance down; memory still has the tail.
            let _ = file.write_all(bytes);
        }
    }

    fn begin_anew(&mut self) {
        self.written = self.tail.len() as u64;
        let Some(file) = &mut self.file else { return };
        let (front, back) = self.tail.as_slices();
        let _ = file.set_len(0).and_then(|()| file.write_all(front)).and_then(|()| file.write_all(back));
        tracing::debug!(path = %self.path.display(), "console file begun anew");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_last_bytes_in_memory_and_bounds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.log");
        let console = Console::new(&path);
        let mut all = Vec::new();
        for line in 0..200_000 {
            all.extend_from_slice(format!("line {line}\n").as_bytes());
        }
        console.clone().follow(all.as_slice()).await;
        console.note("the end");
        let tail = console.tail();
        assert_eq!(tail.len(), SERVED);
        assert!(String::from_utf8_lossy(&tail).ends_with("line 199999\nsandbox: the end\n"));
        assert!(std::fs::metadata(&path).unwrap().len() <= FILE_LIMIT);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("sandbox: the end\n"));
    }
}
