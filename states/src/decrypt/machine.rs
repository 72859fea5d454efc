//! The keys of one machine, and what has been opened with them.
// Effects: reads the identities.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Block, Cipher, age, gpg};
use crate::host::Host;
use crate::secrets::Secrets;

/// A file of identities is never longer.
const LONGEST: u64 = 64 * 1024;

/// See the module.
#[derive(Default)]
pub struct Keys {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    secrets: Secrets,
    homes: BTreeSet<PathBuf>,
}

impl Keys {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a block says.
    pub(crate) fn open(&self, block: &Block<'_>, host: &dyn Host) -> Result<String, String> {
        let place = host.path(&block.keys.display().to_string());
        let bytes = match block.cipher {
            Cipher::Gpg => {
                self.seen().homes.insert(place.clone());
                gpg::open(block.text, &place, host)?
            }
            Cipher::Age => {
                let cause = |cause: String| format!("{}: {cause}", place.display());
                age::open(block.text, &identities(&place).map_err(cause)?)?
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| "what it says is no UTF-8 text".to_owned())?;
        self.seen().secrets.add(&text);
        Ok(text)
    }

    /// What was opened.
    pub(crate) fn secrets(&self) -> Secrets {
        self.seen().secrets.clone()
    }

    /// Ends what was started for it.
    pub(crate) fn close(&self, host: &dyn Host) {
        let homes = std::mem::take(&mut self.seen().homes);
        homes.iter().for_each(|home| gpg::dismiss(home, host));
    }
}

/// The identities of a file that only its owner can read.
fn identities(path: &Path) -> Result<Vec<age::Identity>, String> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = file.as_mut().map_err(|error| format!("no identity to decrypt with: {error}"))?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if meta.mode() & 0o077 != 0 {
        return Err(format!("mode {:o} lets others read it; chmod 0600 it", meta.mode() & 0o777));
    }
    if !meta.is_file() || meta.len() > LONGEST {
        return Err("it is no file of identities".to_owned());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| error.to_string())?;
    age::identities(&text)
}
