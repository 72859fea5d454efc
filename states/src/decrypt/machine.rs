//! The keys of one machine, and what has been opened with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Block, Cipher, age, gpg};
use crate::fsys::guarded::{self, Guard, GuardError};
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
    let text = guarded::read(path, Guard::Secret, LONGEST).map_err(|error| match error {
        GuardError::Io(cause) => format!("no identity to decrypt with: {cause}"),
        other => other.to_string(),
    })?;
    age::identities(&text)
}
