//! `file.*` and `hashutil.*`: digests of files.
// Effects: reads files below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::io::Read;

use base64::Engine as _;

use super::super::asked::{Asked, no_file, text};
use super::super::{Answer, Table, string};
use crate::python::digests::{ALGORITHMS, hex_digest};
use crate::value::Value;

pub(crate) const FUNCTIONS: Table = &[
    ("file.check_hash", check_hash),
    ("file.get_hash", get_hash),
    ("file.get_sum", get_sum),
    ("hashutil.base64_encodefile", base64_encodefile),
    ("hashutil.digest_file", digest_file),
];

/// A file that is hashed is not larger than this.
const MAX_FILE: u64 = 256 << 20;

fn bytes(asked: &Asked<'_>, path: &str) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| no_file(path, &e);
    let file = std::fs::File::open(asked.path(path)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{path} is longer than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}

/// The digest of a file.
pub(super) fn of_file(asked: &Asked<'_>, path: &str, algorithm: &str) -> Result<String, String> {
    let known = ALGORITHMS.iter().any(|(name, _)| *name == algorithm);
    if !known {
        return Err(format!("Invalid hash type: {algorithm}"));
    }
    Ok(hex_digest(algorithm, &bytes(asked, path)?).unwrap_or_default())
}

fn form(value: Option<&Value>, default: &str) -> Result<String, String> {
    value.map_or_else(|| Ok(default.to_owned()), |v| text("form", Some(v)))
}

fn get_hash(asked: &Asked<'_>) -> Answer {
    let [path, kind, _] = asked.bind(["path", "form", "chunk_size"])?;
    of_file(asked, &text("path", path)?, &form(kind, "sha256")?).map(string)
}

fn get_sum(asked: &Asked<'_>) -> Answer {
    let [path, kind] = asked.bind(["path", "form"])?;
    let path = text("path", path)?;
    if !asked.path(&path).is_file() {
        return Ok(string("File not found"));
    }
    of_file(asked, &path, &form(kind, "sha256")?).map(string)
}

/// `algorithm=digest`, `algorithm:digest`, or a digest whose length tells the algorithm.
fn check_hash(asked: &Asked<'_>) -> Answer {
    let [path, wanted] = asked.bind(["path", "file_hash"])?;
    let (path, wanted) = (text("path", path)?, text("file_hash", wanted)?);
    let (algorithm, digest) = match wanted.split_once(':').or_else(|| wanted.split_once('=')) {
        Some((algorithm, digest)) => (algorithm, digest),
        None => {
            let by_length = ALGORITHMS.iter().find(|(_, length)| *length == wanted.len());
            let unknown = || {
                format!(
                    "Hash {wanted} (length: {}) could not be matched to a supported hash type.",
                    wanted.len()
                )
            };
            (by_length.ok_or_else(unknown)?.0, wanted.as_str())
        }
    };
    Ok(Value::Bool(of_file(asked, &path, algorithm)? == digest))
}

fn digest_file(asked: &Asked<'_>) -> Answer {
    let [path, checksum] = asked.bind(["infile", "checksum"])?;
    let (path, checksum) = (text("infile", path)?, form(checksum, "md5")?);
    if !asked.path(&path).is_file() {
        return Err(format!("File path '{path}' not found."));
    }
    match ["md5", "sha256", "sha512"].contains(&checksum.as_str()) {
        true => of_file(asked, &path, &checksum).map(string),
        false => Err(format!("Hash func '{checksum}' is not supported.")),
    }
}

fn base64_encodefile(asked: &Asked<'_>) -> Answer {
    let path = asked.only("fname")?;
    let engine = base64::engine::general_purpose::STANDARD;
    let lines = bytes(asked, &path)?.chunks(57).map(|line| engine.encode(line) + "\n").collect::<String>();
    Ok(string(lines))
}

#[cfg(test)]
mod tests {
    use super::super::super::bench::Bench;

    #[test]
    fn digests_of_a_file() {
        let bench = Bench::new(&[("/a", "hello")]);
        let md5 = "5d41402abc4b2a76b9719d911017c592";
        assert_eq!(bench.json("file.get_hash", &["/a", "md5"]), format!("\"{md5}\""));
        assert_eq!(bench.json("hashutil.digest_file", &["/a"]), format!("\"{md5}\""));
        assert_eq!(bench.json("file.check_hash", &["/a", md5]), "true");
        assert_eq!(bench.json("file.check_hash", &["/a", &format!("sha1={md5}")]), "false");
        assert_eq!(bench.json("file.get_sum", &["/b"]), "\"File not found\"");
        assert_eq!(bench.json("hashutil.base64_encodefile", &["/a"]), "\"aGVsbG8=\\n\"");
        assert!(bench.call("file.get_hash", &["/b"]).unwrap_err().contains("No such file"));
        assert!(bench.call("file.get_hash", &["/a", "crc"]).unwrap_err().contains("Invalid hash type"));
    }
}
