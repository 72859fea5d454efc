//! age (age-encryption.org/v1) for X25519 identities: the armor, the header, and the payload of one file. Pure.
//!
//! The project's own Rust library brings 70 packages with it, among them translations and post-quantum keys; what a pillar needs
//! of the format is here, on the same cryptographic libraries that it uses.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::primitives::decode::CheckedHrpstring;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use hmac::Mac;
use sha2::Sha256;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const VERSION: &str = "age-encryption.org/v1\n";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
/// Characters of a line of the armor, and of the body of a stanza.
const COLUMNS: usize = 64;
/// The payload goes in pieces of this size, each with a tag.
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;
/// Keys that may open a file; a header may name as many.
const MOST: usize = 64;
/// Longer than any secret.
const LONGEST: usize = 1 << 20;

/// A secret key; its `Debug` must not be derived.
pub(super) struct Identity {
    secret: [u8; 32],
    public: [u8; 32],
}

/// The identities of a file: one a line, `#` begins a comment.
pub(super) fn identities(text: &str) -> Result<Vec<Identity>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let all: Vec<Identity> = lines.take(MOST).map(identity).collect::<Option<_>>().ok_or(
        // Not even a part of the line is told.
        "it has a line that is no `AGE-SECRET-KEY-1…` of age-keygen, and no comment",
    )?;
    if all.is_empty() { Err("it has no identity; age-keygen makes one".to_owned()) } else { Ok(all) }
}

fn identity(line: &str) -> Option<Identity> {
    let checked = CheckedHrpstring::new::<bech32::Bech32>(line).ok()?;
    if !line.starts_with("AGE-SECRET-KEY-1") {
        return None;
    }
    let secret: [u8; 32] = checked.byte_iter().collect::<Vec<u8>>().try_into().ok()?;
    Some(Identity { secret, public: x25519(secret, X25519_BASEPOINT_BYTES) })
}

/// What an armored file says.
pub(super) fn open(armored: &str, identities: &[Identity]) -> Result<Vec<u8>, String> {
    let file = dearmored(armored).ok_or("the armor is damaged")?;
    let header =
        Header::read(&file).ok_or("it is no age file that is known here, or its header is damaged")?;
    let mut keys =
        header.stanzas.iter().flat_map(|stanza| identities.iter().filter_map(|own| stanza.unwrap(own)));
    let key = keys.next().ok_or("none of the identities is a recipient of it")?;
    if !header.is_of(&key) {
        return Err("its header was changed".to_owned());
    }
    payload(header.payload, &key).ok_or_else(|| "it was changed, or is not whole".to_owned())
}

/// The bytes of the armor. Strict, so that one secret has one form.
fn dearmored(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let lines: Vec<&str> = body.trim().lines().map(str::trim).collect();
    let (last, full) = lines.split_last()?;
    let fits = full.iter().all(|line| line.len() == COLUMNS) && !last.is_empty() && last.len() <= COLUMNS;
    // A third more than the secret, and a header.
    if !fits || body.len() > 2 * LONGEST {
        return None;
    }
    STANDARD.decode(lines.concat()).ok()
}

/// The key of one file, wrapped for one recipient.
struct Stanza {
    share: [u8; 32],
    wrapped: [u8; 32],
}

impl Stanza {
    /// The file's key, where it was wrapped for this identity.
    fn unwrap(&self, own: &Identity) -> Option<[u8; 16]> {
        let shared = x25519(own.secret, self.share);
        // A share of small order gives everybody the same.
        if shared == [0; 32] {
            return None;
        }
        let salt = [self.share, own.public].concat();
        let key = derived(&salt, &shared, LABEL)?;
        ChaCha20Poly1305::new(&key.into())
            .decrypt(&[0; 12].into(), self.wrapped.as_slice())
            .ok()?
            .try_into()
            .ok()
    }
}

/// A header, taken apart.
struct Header<'f> {
    stanzas: Vec<Stanza>,
    /// All of it up to the mark before the code, which covers it.
    covered: &'f [u8],
    code: Vec<u8>,
    payload: &'f [u8],
}

impl<'f> Header<'f> {
    fn read(file: &'f [u8]) -> Option<Self> {
        let mark = b"\n--- ";
        let at = file.windows(mark.len()).position(|window| window == mark)?;
        let (covered, rest) = file.split_at_checked(at + mark.len() - 1)?;
        let (code, payload) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'\n')? + 1)?;
        let code = STANDARD_NO_PAD.decode(std::str::from_utf8(code).ok()?.trim()).ok()?;
        let text = std::str::from_utf8(covered).ok()?.strip_prefix(VERSION)?.strip_suffix("---")?;
        Some(Self { stanzas: stanzas(text)?, covered, code, payload })
    }

    fn is_of(&self, key: &[u8; 16]) -> bool {
        let Some(key) = derived(&[], key, b"header") else { return false };
        let Ok(mut code) = hmac::Hmac::<Sha256>::new_from_slice(&key) else { return false };
        code.update(self.covered);
        code.verify_slice(&self.code).is_ok()
    }
}

/// Those of the kind that is known here; of others only their form is looked at.
fn stanzas(text: &str) -> Option<Vec<Stanza>> {
    let mut all = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.strip_prefix("-> ")?.split(' ').collect();
        let mut body = String::new();
        // The body ends with a line that is shorter than the others.
        loop {
            let line = lines.next().filter(|line| line.len() <= COLUMNS)?;
            body.push_str(line);
            if line.len() < COLUMNS {
                break;
            }
        }
        let body = STANDARD_NO_PAD.decode(body).ok()?;
        if let ["X25519", share] = words.as_slice() {
            let share = STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
            all.push(Stanza { share, wrapped: body.try_into().ok()? });
        }
    }
    (all.len() <= MOST).then_some(all)
}

/// The payload: a nonce, then pieces that are counted, the last of which says so.
fn payload(bytes: &[u8], key: &[u8; 16]) -> Option<Vec<u8>> {
    let (nonce, rest) = bytes.split_at_checked(16)?;
    let cipher = ChaCha20Poly1305::new(&derived(nonce, key, b"payload")?.into());
    let mut pieces = rest.chunks(PIECE + TAG).enumerate().peekable();
    let mut plain = Vec::new();
    while let Some((number, piece)) = pieces.next() {
        let is_last = pieces.peek().is_none();
        let opened = cipher.decrypt(&counted(number, is_last).into(), piece).ok()?;
        // Only a file that says nothing ends with a piece that says nothing.
        if opened.is_empty() && number > 0 {
            return None;
        }
        plain.extend(opened);
    }
    (!rest.is_empty() && plain.len() <= LONGEST).then_some(plain)
}

fn counted(number: usize, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce
}

fn derived(salt: &[u8], key: &[u8], label: &[u8]) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(label, &mut out).ok()?;
    Some(out)
}
