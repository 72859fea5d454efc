//! Content that streams by once: hashed, counted, kept when it is short, and written down when somebody asked.

use std::io::{self, Write};
use std::path::Path;

use sha2::digest::DynDigest;
use sha2::{Digest, Sha256};

use crate::engine::step::Failure;
use crate::fsys::scratch::Scratch;
use crate::fsys::{self, Content};
use crate::modules::file::difference::KEEP;
use crate::modules::file::source_hash::SourceHash;
use crate::python::digests;

/// What has gone by so far.
pub(crate) struct Reading {
    sha256: Sha256,
    /// By the algorithm that was asked for, where that is another.
    other: Option<Box<dyn DynDigest>>,
    wanted: Option<SourceHash>,
    len: u64,
    kept: Option<Vec<u8>>,
    to: Option<Scratch>,
}

/// What there was.
pub(crate) struct Seen {
    pub(crate) content: Content,
    /// The digest that it has, where another was asked for.
    pub(crate) wrong: Option<String>,
    pub(crate) file: Option<Scratch>,
}

impl Reading {
    /// To be compared with a digest, and written to a file.
    pub(crate) fn new(wanted: Option<&SourceHash>, to: Option<Scratch>) -> Self {
        let other = wanted.filter(|w| w.algorithm != "sha256").and_then(|w| digests::hasher(w.algorithm));
        Self { sha256: Sha256::new(), other, wanted: wanted.cloned(), len: 0, kept: Some(Vec::new()), to }
    }

    /// That was all.
    pub(crate) fn finish(self) -> Seen {
        let sha256 = hex::encode(self.sha256.finalize());
        let digest = self.other.map_or_else(|| sha256.clone(), |other| hex::encode(other.finalize()));
        let wrong = self.wanted.filter(|wanted| wanted.hex != digest).map(|_| digest);
        let content = self.kept.map_or(Content::Digest { len: self.len, sha256 }, Content::Whole);
        Seen { content, wrong, file: self.to }
    }
}

impl Write for Reading {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.to {
            file.write_all(bytes)?;
        }
        Digest::update(&mut self.sha256, bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
        self.len += bytes.len() as u64;
        self.kept = self.kept.take().filter(|kept| kept.len() + bytes.len() <= KEEP);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// Read a regular file of this machine once.
pub(crate) fn read(path: &Path, wanted: Option<&SourceHash>) -> Result<Seen, Failure> {
    let mut reading = Reading::new(wanted, None);
    let unread = |e: io::Error| Failure::machine(format!("cannot read {}: {e}", path.display()));
    io::copy(&mut fsys::open(path)?, &mut reading).map_err(unread)?;
    Ok(reading.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MD5: &str = "b1946ac92492d2347c6235b4d2611184";
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn one_pass_gives_both_digests_and_the_bytes() {
        for (digest, text, fits) in [(MD5, "hello\n", true), (SHA256, "hello\n", true), (MD5, "hello", false)]
        {
            let wanted = SourceHash::parse(digest).unwrap();
            let mut reading = Reading::new(Some(&wanted), None);
            for byte in text.as_bytes() {
                reading.write_all(&[*byte]).unwrap();
            }
            let seen = reading.finish();
            assert_eq!(seen.content, Content::of(text.as_bytes().to_vec()));
            assert_eq!(seen.wrong.is_none(), fits, "{digest} {:?}", seen.wrong);
        }
    }

    #[test]
    fn what_is_long_is_not_kept_in_memory() {
        let mut reading = Reading::new(None, None);
        for _ in 0..=KEEP / 1000 {
            reading.write_all(&[b'x'; 1000]).unwrap();
        }
        let seen = reading.finish();
        assert_eq!((seen.content.bytes(), seen.content.len() > KEEP as u64), (None, true));
    }
}
