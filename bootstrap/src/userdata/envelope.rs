//! Undoes what user-data is wrapped in: gzip, MIME multi-part, `#cloud-config`. Pure.

use super::Error;
use std::io::Read;

/// EC2 allows 16 KiB; MIME and base64 of other clouds stay well below this.
const MAX_BYTES: usize = 64 * 1024;
/// What gzip may unpack to, all parts together with their text.
const MAX_UNPACKED: u64 = 1024 * 1024;
/// gzip in MIME in gzip is as deep as cloud-init's tools nest.
const MAX_DEPTH: usize = 4;
const MAX_PARTS: usize = 64;

/// The YAML that is meant for us, and its name for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// `user-data` or `user-data part N`.
    pub(super) name: String,
    /// The YAML text.
    pub(super) text: String,
    /// Whether the settings are under the key `mayfly:` of a `#cloud-config`.
    pub(super) nested: bool,
}

/// Finds the one document that is meant for us.
pub(super) fn open(bytes: &[u8]) -> Result<Document, Error> {
    if bytes.is_empty() {
        return Err(Error::Absent("empty; it must be a YAML document whose first line is #mayfly".into()));
    }
    if bytes.len() > MAX_BYTES {
        return Err(Error::Envelope(format!("{} bytes, and at most {MAX_BYTES} are read", bytes.len())));
    }
    let mut found = Vec::new();
    search(bytes, "user-data", "", 0, &mut found)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::Absent(
            "no #mayfly document; write `#mayfly` as the first line, or a `mayfly:` key into the #cloud-config".into(),
        )),
        n => Err(Error::Envelope(format!("{n} documents for mayfly ({}); keep one", names(&found)))),
    }
}

fn names(found: &[Document]) -> String {
    found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn search(
    bytes: &[u8],
    name: &str,
    mimetype: &str,
    depth: usize,
    found: &mut Vec<Document>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Envelope(format!("{name} is wrapped more than {MAX_DEPTH} deep")));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return search(&gunzip(bytes, name)?, name, mimetype, depth + 1, found);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        // A part for somebody else may be binary; a document for us may not.
        if mimetype == "text/mayfly" || depth == 0 {
            return Err(Error::Envelope(format!("{name} is neither UTF-8 text nor gzip")));
        }
        return Ok(());
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or("").trim_end();
    if is_mime(first) {
        return parts(bytes, name, depth, found);
    }
    if first == "#mayfly" || mimetype == "text/mayfly" {
        found.push(Document { name: name.to_owned(), text: text.to_owned(), nested: false });
    } else if (first == "#cloud-config" || mimetype == "text/cloud-config") && has_our_key(text) {
        found.push(Document { name: name.to_owned(), text: text.to_owned(), nested: true });
    }
    Ok(())
}

fn is_mime(first_line: &str) -> bool {
    let lower = first_line.to_ascii_lowercase();
    ["content-type:", "mime-version:", "from "].iter().any(|p| lower.starts_with(p))
}

/// Whether a `#cloud-config` speaks to us: a line that opens the top-level key. A malformed document is then reported by
/// the parser with its place, instead of being overlooked here.
fn has_our_key(text: &str) -> bool {
    text.lines().any(|l| ["mayfly:", "\"mayfly\":", "'mayfly':"].iter().any(|k| l.starts_with(k)))
}

fn parts(bytes: &[u8], name: &str, depth: usize, found: &mut Vec<Document>) -> Result<(), Error> {
    let mail = mailparse::parse_mail(bytes)
        .map_err(|e| Error::Envelope(format!("{name} is not readable as MIME: {e}")))?;
    let leaves: Vec<_> = mail.parts().filter(|p| p.subparts.is_empty()).take(MAX_PARTS + 1).collect();
    if leaves.len() > MAX_PARTS {
        return Err(Error::Envelope(format!("{name} has more than {MAX_PARTS} MIME parts")));
    }
    for (index, part) in leaves.iter().enumerate() {
        let label = format!("{name} part {}", index + 1);
        let body =
            part.get_body_raw().map_err(|e| Error::Envelope(format!("{label} cannot be decoded: {e}")))?;
        search(&body, &label, &part.ctype.mimetype, depth + 1, found)?;
    }
    Ok(())
}

fn gunzip(bytes: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut out)
        .map_err(|e| Error::Envelope(format!("{name} is not whole as gzip: {e}")))?;
    if out.len() as u64 > MAX_UNPACKED {
        return Err(Error::Envelope(format!("{name} unpacks to more than {MAX_UNPACKED} bytes")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut enc = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        enc.write_all(bytes).unwrap();
        enc.finish().unwrap()
    }

    const MIME: &str = "Content-Type: multipart/mixed; boundary=\"XX\"\nMIME-Version: 1.0\n\n--XX\n\
        Content-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n--XX\nContent-Type: text/mayfly\n\
        Content-Transfer-Encoding: base64\n\nI21heWZseQpyb2xlOiB3ZWIK\n--XX--\n";

    #[test]
    fn a_plain_document_is_found() {
        let doc = open(b"#mayfly\r\nrole: web\r\n").unwrap();
        assert_eq!((doc.name.as_str(), doc.nested), ("user-data", false));
    }

    #[test]
    fn gzip_is_undone_also_twice() {
        assert_eq!(open(&gz(&gz(b"#mayfly\nrole: web\n"))).unwrap().text, "#mayfly\nrole: web\n");
    }

    #[test]
    fn a_gzip_bomb_is_refused() {
        let bomb = gz(&vec![b'#'; 40 * 1024 * 1024]);
        assert!(bomb.len() < MAX_BYTES);
        assert!(matches!(open(&bomb), Err(Error::Envelope(m)) if m.contains("unpacks to more")));
    }

    #[test]
    fn a_truncated_gzip_is_an_error() {
        let whole = gz(b"#mayfly\nrole: web\n");
        assert!(matches!(open(&whole[..whole.len() - 9]), Err(Error::Envelope(_))));
    }

    #[test]
    fn a_mime_part_is_found_and_named() {
        let doc = open(MIME.as_bytes()).unwrap();
        assert_eq!((doc.name.as_str(), doc.text.as_str()), ("user-data part 2", "#mayfly\nrole: web\n"));
        assert_eq!(open(&gz(MIME.as_bytes())).unwrap().text, doc.text);
    }

    #[test]
    fn a_cloud_config_is_ours_only_with_our_key() {
        assert!(open(b"#cloud-config\nmayfly:\n  role: web\n").unwrap().nested);
        assert!(matches!(open(b"#cloud-config\npackages: [git]\n"), Err(Error::Absent(_))));
    }

    #[test]
    fn scripts_empty_and_huge_are_refused() {
        assert!(matches!(open(b"#!/bin/sh\n"), Err(Error::Absent(_))));
        assert!(matches!(open(b""), Err(Error::Absent(_))));
        assert!(matches!(open(&vec![b'#'; MAX_BYTES + 1]), Err(Error::Envelope(_))));
        assert!(matches!(open(&[0xff, 0xfe, 0]), Err(Error::Envelope(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = super::super::parse(&bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "#mayfly\n(role|states|watch|pillar|[a-z{}\\[\\]:,&* \n-]){0,40}") {
            let _ = super::super::parse(text.as_bytes());
        }
    }
}
