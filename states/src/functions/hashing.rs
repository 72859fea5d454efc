//! `hashutil.*`: digests, base64 and signatures of texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Table, text_or};
use crate::jinja::{Py, Res, runtime};
use crate::python::digests::{hex_digest, hmac};

pub(super) const FUNCTIONS: Table = &[
    ("hashutil.base64_b64decode", decode),
    ("hashutil.base64_b64encode", encode),
    ("hashutil.base64_decodestring", decode),
    ("hashutil.base64_encodestring", encode_lines),
    ("hashutil.digest", digest),
    ("hashutil.github_signature", github_signature),
    ("hashutil.hmac_compute", hmac_compute),
    ("hashutil.hmac_signature", hmac_signature),
    ("hashutil.md5_digest", named_digest),
    ("hashutil.sha256_digest", named_digest),
    ("hashutil.sha512_digest", named_digest),
];

/// The text that is hashed; numbers are not taken for text, as in Salt.
fn bytes(call: &Call<'_>, name: &str, value: Option<Py>) -> Res<Vec<u8>> {
    match call.required(name, value)? {
        Py::Str(text) => Ok(text.as_bytes().to_vec()),
        other => runtime(format!("expected str, bytearray, or bytes not <class '{}'>", other.type_name())),
    }
}

fn digest(call: &mut Call<'_>) -> Res<Py> {
    let [text, checksum] = call.bind(["instr", "checksum"])?;
    let bytes = bytes(call, "instr", text)?;
    checked_digest(&text_or(checksum.as_ref(), "md5"), &bytes)
}

/// The three digests that Salt offers here.
pub(crate) fn checked_digest(checksum: &str, bytes: &[u8]) -> Res<Py> {
    let known = ["md5", "sha256", "sha512"].contains(&checksum);
    match known.then(|| hex_digest(checksum, bytes)).flatten() {
        Some(sum) => Ok(Py::str(sum)),
        None => runtime(format!("Hash func '{checksum}' is not supported.")),
    }
}

fn named_digest(call: &mut Call<'_>) -> Res<Py> {
    let [text] = call.bind(["instr"])?;
    let bytes = bytes(call, "instr", text)?;
    let algorithm = call.name.trim_start_matches("hashutil.").trim_end_matches("_digest");
    checked_digest(algorithm, &bytes)
}

fn encode(call: &mut Call<'_>) -> Res<Py> {
    let [text] = call.bind(["instr"])?;
    Ok(Py::str(STANDARD.encode(bytes(call, "instr", text)?)))
}

/// Lines of 76 characters, each with its line end.
fn encode_lines(call: &mut Call<'_>) -> Res<Py> {
    let [text] = call.bind(["instr"])?;
    let bytes = bytes(call, "instr", text)?;
    Ok(Py::str(bytes.chunks(57).map(|line| STANDARD.encode(line) + "\n").collect::<String>()))
}

/// What is no base64 character is passed over, as Python does.
fn decode(call: &mut Call<'_>) -> Res<Py> {
    let [text] = call.bind(["instr"])?;
    let mut bytes = bytes(call, "instr", text)?;
    bytes.retain(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b));
    let Ok(decoded) = STANDARD.decode(&bytes) else { return runtime("Incorrect padding") };
    match String::from_utf8(decoded) {
        Ok(text) => Ok(Py::str(text)),
        Err(_) => runtime("the base64 is of bytes that are no text, which templates cannot hold"),
    }
}

fn hmac_compute(call: &mut Call<'_>) -> Res<Py> {
    let [text, secret] = call.bind(["string", "shared_secret"])?;
    let (message, key) = (bytes(call, "string", text)?, bytes(call, "shared_secret", secret)?);
    Ok(Py::str(hex::encode(hmac("sha256", &key, &message).unwrap_or_default())))
}

fn hmac_signature(call: &mut Call<'_>) -> Res<Py> {
    let [text, secret, challenge] = call.bind(["string", "shared_secret", "challenge_hmac"])?;
    let (message, key) = (bytes(call, "string", text)?, bytes(call, "shared_secret", secret)?);
    let challenge = bytes(call, "challenge_hmac", challenge)?;
    let own = STANDARD.encode(hmac("sha256", &key, &message).unwrap_or_default());
    Ok(Py::Bool(own.as_bytes() == challenge))
}

fn github_signature(call: &mut Call<'_>) -> Res<Py> {
    let [text, secret, challenge] = call.bind(["string", "shared_secret", "challenge_hmac"])?;
    let (message, key) = (bytes(call, "string", text)?, bytes(call, "shared_secret", secret)?);
    let challenge = call.text("challenge_hmac", challenge)?;
    let Some((algorithm, wanted)) = challenge.split_once('=') else {
        return runtime("not enough values to unpack (expected 2, got 1)");
    };
    match hmac(algorithm, &key, &message) {
        Some(own) => Ok(Py::Bool(hex::encode(own) == wanted)),
        None => runtime(format!("module 'hashlib' has no attribute '{algorithm}'")),
    }
}
