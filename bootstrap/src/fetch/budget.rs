//! What one tree may come to and may cost: its files, those of its submodules and of theirs, counted together. No clock, no
//! I/O: `now` is an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The bounds of one tree with all its submodules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Files and folders.
    pub(super) files: usize,
    /// Bytes in files.
    pub(super) bytes: u64,
    /// Submodules, those of submodules among them.
    pub(super) submodules: usize,
    /// How deep submodules nest.
    pub(super) nesting: usize,
    /// Bytes that remotes send.
    pub(super) received: u64,
    /// From the first question to the last answer.
    pub(super) within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            files: 100_000,
            bytes: 512 * 1024 * 1024,
            submodules: 64,
            nesting: 3,
            received: 512 * 1024 * 1024,
            within: Duration::from_secs(600),
        }
    }
}

/// What getting one tree has cost; its submodules are given the same one.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    bounds: Bounds,
    until: Instant,
    spent: Arc<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    received: AtomicU64,
    submodules: AtomicUsize,
}

impl Budget {
    /// For one attempt at a tree that begins now.
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, until: now + bounds.within, spent: Arc::default() }
    }

    /// For another attempt.
    pub(super) fn afresh(&self, now: Instant) -> Self {
        Self::new(self.bounds, now)
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Why no more may be waited for.
    pub(super) fn time(&self, now: Instant) -> Result<(), String> {
        let over = || format!("has not sent all within {}s", self.bounds.within.as_secs());
        if now < self.until { Ok(()) } else { Err(over()) }
    }

    /// A remote has sent so many bytes more; the error says why that is too much.
    pub(super) fn receive(&self, bytes: u64) -> Result<(), String> {
        let all = self.spent.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let mib = self.bounds.received / 1024 / 1024;
        let too_much =
            || format!("sends more than {mib} MiB, submodules included; is this a state repository?");
        if all <= self.bounds.received { Ok(()) } else { Err(too_much()) }
    }

    /// One submodule more.
    pub(super) fn submodule(&self) -> Result<(), String> {
        match self.spent.submodules.fetch_add(1, Ordering::Relaxed) < self.bounds.submodules {
            true => Ok(()),
            false => Err(format!("more than {} submodules, theirs included", self.bounds.submodules)),
        }
    }
}

/// As many files as there may be, with long names.
const MAX_LISTS: u64 = 32 * 1024 * 1024;

/// What a tree comes to. A submodule is measured with what the trees around it come to, so that each of them is within bounds
/// whether its submodules were at hand or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    files: usize,
    bytes: u64,
    listed: u64,
    bounds: Bounds,
}

impl Measure {
    /// Nothing yet.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { files: 0, bytes: 0, listed: 0, bounds }
    }

    /// One file or folder more.
    pub(super) fn entry(&mut self) -> Result<(), String> {
        self.files += 1;
        match self.files > self.bounds.files {
            true => Err(format!("more than {} files, submodules included", self.bounds.files)),
            false => Ok(()),
        }
    }

    /// A folder more, whose list has so many bytes. The lists of a folder and of all around it are in memory at once; what
    /// is bounded is the sum of all lists of a tree.
    pub(super) fn list(&mut self, bytes: u64) -> Result<(), String> {
        self.listed = self.listed.saturating_add(bytes);
        let mib = MAX_LISTS / 1024 / 1024;
        match self.listed > MAX_LISTS {
            true => Err(format!("lists of folders that are longer than {mib} MiB together")),
            false => Ok(()),
        }
    }

    /// So many bytes more.
    pub(super) fn bytes(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        let mib = self.bounds.bytes / 1024 / 1024;
        match self.bytes > self.bounds.bytes {
            true => Err(format!("the tree is larger than {mib} MiB, submodules included")),
            false => Ok(()),
        }
    }
}
