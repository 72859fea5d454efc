//! `source_hash`: the digest that a source must have, given in hex, by name, or in a file of digests.

use crate::python::digests::ALGORITHMS;

/// A digest, and by which algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceHash {
    pub(crate) algorithm: &'static str,
    pub(crate) hex: String,
}

/// Names by which a line of a file of digests is found, in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// `source_hash_name`.
    pub(crate) asked: Option<&'a str>,
    /// The file to be written.
    pub(crate) file: &'a str,
    /// Where it comes from.
    pub(crate) source: &'a str,
}

impl SourceHash {
    /// A digest in hex, or `algorithm=hex`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, hex) = match text.split_once('=') {
            Some((name, hex)) => (Some(name.trim()), hex.trim()),
            None => (None, text.trim()),
        };
        let algorithm = by_length(hex.len()).filter(|_| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let algorithm = algorithm.ok_or_else(|| {
            let known: Vec<String> = ALGORITHMS.iter().map(|(name, len)| format!("{name} ({len})")).collect();
            format!(
                "`source_hash` must be a digest in hex or a file of digests, but is {text:?}; lengths: {}",
                known.join(", ")
            )
        })?;
        match name {
            Some(name) if name != algorithm => Err(format!(
                "`source_hash` says {name}, but its {} digits are those of {algorithm}",
                hex.len()
            )),
            _ => Ok(Self { algorithm, hex: hex.to_ascii_lowercase() }),
        }
    }

    /// From a file of digests: the line that names the file, else the first digest of all.
    pub(crate) fn find(text: &str, names: Names<'_>) -> Option<Self> {
        let lines: Vec<(&str, Self)> =
            text.lines().map(str::trim).filter_map(|line| Some((line, in_line(line)?))).collect();
        let pick = |matches: &dyn Fn(&str) -> bool| {
            lines.iter().find(|(line, _)| matches(line)).map(|(_, hash)| hash.clone())
        };
        let asked = names.asked.and_then(|name| pick(&|line| names_file(line, name, name, "")));
        asked
            .or_else(|| pick(&|line| names_file(line, names.file, base(names.file), "\\/*")))
            .or_else(|| pick(&|line| names_file(line, names.source, base(names.source), "\\/*")))
            .or_else(|| lines.first().map(|(_, hash)| hash.clone()))
    }
}

fn by_length(length: usize) -> Option<&'static str> {
    ALGORITHMS.iter().find(|(_, len)| *len == length).map(|(name, _)| *name)
}

/// The first run of hex digits that is as long as a digest and stands alone.
fn in_line(line: &str) -> Option<SourceHash> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    let mut digests = words.filter(|word| word.bytes().all(|b| b.is_ascii_hexdigit()));
    digests.find_map(|word| SourceHash::parse(word).ok())
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether the line ends in a space or separator and the short name, or begins with the name.
fn names_file(line: &str, name: &str, short: &str, separators: &str) -> bool {
    if short.is_empty() {
        return false;
    }
    match line.strip_suffix(short) {
        Some(before) => before.ends_with(|c: char| c.is_whitespace() || separators.contains(c)),
        None => line.strip_prefix(name).is_some_and(|rest| rest.starts_with(char::is_whitespace)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MD5: &str = "b1946ac92492d2347c6235b4d2611184";
    const SHA1: &str = "f572d396fae9206628714fb2ce00f72e94f2258f";

    #[test]
    fn digests_are_known_by_length_and_by_name() {
        assert_eq!(SourceHash::parse(MD5).unwrap().algorithm, "md5");
        let named = SourceHash::parse(&format!("sha1={}", SHA1.to_uppercase())).unwrap();
        assert_eq!((named.algorithm, named.hex.as_str()), ("sha1", SHA1));
        for wrong in [format!("md5={SHA1}"), "abc".into(), "zz".repeat(16), String::new()] {
            assert!(SourceHash::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_digests_is_searched_by_name() {
        let text = format!("# sums\n{MD5}  other.tgz\n{SHA1} *app.tgz\n");
        let find =
            |asked, file, source| SourceHash::find(&text, Names { asked, file, source }).unwrap().algorithm;
        assert_eq!(find(None, "/opt/app.tgz", "/x"), "sha1");
        assert_eq!(find(None, "/opt/a", "salt://x/app.tgz"), "sha1");
        assert_eq!(find(Some("other.tgz"), "/opt/app.tgz", "/x"), "md5");
        assert_eq!(find(None, "/opt/none", "/x"), "md5");
        assert!(SourceHash::find("no digest", Names { asked: None, file: "a", source: "b" }).is_none());
    }
}
