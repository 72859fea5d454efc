//! What a compile is given: it is another one as soon as any of this differs.

use sha2::{Digest, Sha256};

use crate::kept::form;
use crate::minion::Minion;
use crate::session::Functions;
use crate::tree::Tree;
use crate::value::Map;

/// Grains that every run has anew. A compile that looks at one is not kept; the others do not know them.
pub(crate) const MOVING_GRAINS: &[&str] = &["pid"];

/// SHA-256 of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    pub(crate) fn new(
        tree: &Tree,
        minion: &Minion,
        functions: &dyn Functions,
        names: &[String],
    ) -> Option<Self> {
        // All fields by name: a new one is not forgotten.
        let Minion { id, grains, pillar, saltenv, options } = minion;
        let grains = settled(grains);
        let data = form::data(&[&grains, pillar])?;
        let program = (env!("CARGO_PKG_VERSION"), env!("MAYFLY_STATES_BUILD"), std::env::consts::ARCH);
        let words = format!("{:?}", (program, id, saltenv, options, tree, names, functions.names()));
        let mut sum = Sha256::new();
        for part in [words.as_bytes(), &data] {
            sum.update((part.len() as u64).to_le_bytes());
            sum.update(part);
        }
        Some(Self(sum.finalize().into()))
    }
}

/// Without what every run has anew.
fn settled(grains: &Map) -> Map {
    let mut grains = grains.clone();
    MOVING_GRAINS.iter().for_each(|name| _ = grains.shift_remove(*name));
    grains
}
