//! Salt's filters over bytes: digests, base64, UUIDs.

use base64::Engine as _;
use hmac::{KeyInit as _, Mac as _};
use sha2::Digest as _;

use super::super::args::{Res, required, runtime};
use super::super::value::Py;
use super::Call;

pub(super) const NAMES: &[&str] = &[
    "base64_decode",
    "base64_encode",
    "hmac",
    "hmac_compute",
    "mac_str_to_bytes",
    "md5",
    "sha1",
    "sha256",
    "sha512",
    "to_bytes",
    "uuid",
];

/// The namespace of the UUIDs that Salt makes of names: 91633EBF-1C86-5E33-935A-28061F4B480E.
const UUID_NAMESPACE: u128 = 0x9163_3ebf_1c86_5e33_935a_2806_1f4b_480e;

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let name = call.name;
    let input = bytes(name, &call.subject)?;
    let engine = &base64::engine::general_purpose::STANDARD;
    match name {
        "hmac" => {
            let [key, challenge] = call.args.bind(name, ["shared_secret", "challenge_hmac"])?;
            let key = bytes(name, &required(name, "shared_secret", key)?)?;
            let challenge = bytes(name, &required(name, "challenge_hmac", challenge)?)?;
            Ok(Py::Bool(engine.encode(signature(&key, &input)?).into_bytes() == challenge))
        }
        "hmac_compute" => {
            let [key] = call.args.bind(name, ["shared_secret"])?;
            let key = bytes(name, &required(name, "shared_secret", key)?)?;
            Ok(Py::str(hex::encode(signature(&key, &input)?)))
        }
        _ => {
            let [] = call.args.bind(name, [])?;
            plain(name, &input)
        }
    }
}

fn plain(name: &str, input: &[u8]) -> Res<Py> {
    let engine = &base64::engine::general_purpose::STANDARD;
    Ok(match name {
        "base64_encode" => Py::str(engine.encode(input)),
        "base64_decode" => decoded(input)?,
        "md5" => Py::str(hex::encode(md5::Md5::digest(input))),
        "sha1" => Py::str(hex::encode(sha1::Sha1::digest(input))),
        "sha256" => Py::str(hex::encode(sha2::Sha256::digest(input))),
        "sha512" => Py::str(hex::encode(sha2::Sha512::digest(input))),
        "uuid" => Py::str(uuid(input)),
        "mac_str_to_bytes" => mac(input)?,
        _ => Py::Bytes(input.into()),
    })
}

fn bytes(name: &str, value: &Py) -> Res<Vec<u8>> {
    match value {
        Py::Str(s) => Ok(s.as_bytes().to_vec()),
        Py::Bytes(b) => Ok(b.to_vec()),
        other => runtime(format!("{name}: expected str, bytes, or bytearray not {}", other.type_name())),
    }
}

fn signature(key: &[u8], message: &[u8]) -> Res<Vec<u8>> {
    let mut mac = match hmac::Hmac::<sha2::Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(e) => return runtime(e.to_string()),
    };
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Decodes as Python does: characters that are none of base64 are skipped.
fn decoded(input: &[u8]) -> Res<Py> {
    let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let end = input.iter().position(|b| *b == b'=').unwrap_or(input.len());
    let mut digits: Vec<u8> = input[..end].iter().copied().filter(known).collect();
    let padding = input[end..].iter().filter(|b| **b == b'=').count();
    let missing = (4 - digits.len() % 4) % 4;
    if missing == 3 || padding < missing {
        return runtime("base64_decode: Incorrect padding");
    }
    digits.extend(std::iter::repeat_n(b'=', missing));
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::general_purpose::PAD.with_decode_allow_trailing_bits(true),
    );
    let Ok(bytes) = engine.decode(digits) else { return runtime("base64_decode: no base64") };
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Py::str(text),
        Err(e) => Py::Bytes(e.into_bytes().into()),
    })
}

/// A UUID of version 5.
fn uuid(name: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(UUID_NAMESPACE.to_be_bytes());
    hasher.update(name);
    let mut id: Vec<u8> = hasher.finalize()[..16].to_vec();
    id[6] = (id[6] & 0x0f) | 0x50;
    id[8] = (id[8] & 0x3f) | 0x80;
    let text = hex::encode(id);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

fn mac(input: &[u8]) -> Res<Py> {
    let digits: Vec<u8> = match input.len() {
        12 => input.to_vec(),
        17 => input.iter().copied().filter(|b| *b != input[2]).collect(),
        _ => return runtime("Invalid MAC address"),
    };
    match hex::decode(&digits) {
        Ok(bytes) => Ok(Py::Bytes(bytes.into())),
        Err(_) => runtime("Invalid MAC address"),
    }
}
