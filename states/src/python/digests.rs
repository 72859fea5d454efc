//! Digests by the names that Salt and Python give them.

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Names and lengths of their hexadecimal text.
pub(crate) const ALGORITHMS: &[(&str, usize)] =
    &[("md5", 32), ("sha1", 40), ("sha224", 56), ("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// The digest as hexadecimal text; `None`: no such algorithm.
pub(crate) fn hex_digest(algorithm: &str, bytes: &[u8]) -> Option<String> {
    Some(match algorithm {
        "md5" => hex::encode(Md5::digest(bytes)),
        "sha1" => hex::encode(Sha1::digest(bytes)),
        "sha224" => hex::encode(Sha224::digest(bytes)),
        "sha256" => hex::encode(Sha256::digest(bytes)),
        "sha384" => hex::encode(Sha384::digest(bytes)),
        "sha512" => hex::encode(Sha512::digest(bytes)),
        _ => return None,
    })
}

/// HMAC as bytes; `None`: no such algorithm.
pub(crate) fn hmac(algorithm: &str, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    use ::hmac::{Hmac, KeyInit, Mac};
    macro_rules! by {
        ($digest:ty) => {{
            let mut mac = Hmac::<$digest>::new_from_slice(key).ok()?;
            mac.update(message);
            Some(mac.finalize().into_bytes().to_vec())
        }};
    }
    match algorithm {
        "md5" => by!(Md5),
        "sha1" => by!(Sha1),
        "sha224" => by!(Sha224),
        "sha256" => by!(Sha256),
        "sha384" => by!(Sha384),
        "sha512" => by!(Sha512),
        _ => None,
    }
}

/// A digest that is fed piece by piece; `None`: no such algorithm.
pub(crate) fn hasher(algorithm: &str) -> Option<Box<dyn DynDigest>> {
    Some(match algorithm {
        "md5" => Box::new(Md5::new()),
        "sha1" => Box::new(Sha1::new()),
        "sha224" => Box::new(Sha224::new()),
        "sha256" => Box::new(Sha256::new()),
        "sha384" => Box::new(Sha384::new()),
        "sha512" => Box::new(Sha512::new()),
        _ => return None,
    })
}

/// The digest of everything that is read, as hexadecimal text; an error for an algorithm that there is not.
pub(crate) fn hex_digest_of(algorithm: &str, content: &mut dyn std::io::Read) -> std::io::Result<String> {
    let none = || std::io::Error::other(format!("there is no digest {algorithm:?}"));
    let mut digest = hasher(algorithm).ok_or_else(none)?;
    let mut block = vec![0_u8; 64 * 1024];
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(hex::encode(digest.finalize())),
            Ok(n) => digest.update(block.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
