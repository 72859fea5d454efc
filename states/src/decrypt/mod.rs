//! Values of the tree that are encrypted: blocks of ciphertext within texts, as Salt's `gpg` renderer finds them, and the
//! same for age.
//!
//! [`values`] walks the data of a file and has each block opened; who opens it is [`crate::session::Functions::decrypt`],
//! which for a machine is [`gpg`] or [`age`], with a key that is a file of that machine.

mod age;
mod gpg;
mod machine;

use std::path::Path;

use crate::error::{Error, Fault};
use crate::yaml::{Data, Node};

pub use machine::Keys;

/// How a block is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// OpenPGP, by the `gpg` program.
    Gpg,
    /// age, for an X25519 identity.
    Age,
}

impl Cipher {
    /// The renderer of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "gpg" => Some(Self::Gpg),
            "age" => Some(Self::Age),
            _ => None,
        }
    }

    /// How a block begins and ends.
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Gpg => ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"),
            Self::Age => ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"),
        }
    }
}

/// A block of ciphertext, and where the keys to it are on the machine.
#[derive(Debug, Clone, Copy)]
pub struct Block<'b> {
    /// How it is encrypted.
    pub cipher: Cipher,
    /// The armored text.
    pub text: &'b str,
    /// gpg's home directory, or the file with age's identities.
    pub keys: &'b Path,
}

/// Blocks of one file: each takes a program or an exchange of keys.
const MOST: usize = 1_000;

/// The same data with every block of every text opened; keys of mappings are left as they are.
pub(crate) fn values(
    node: Node,
    cipher: Cipher,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Node, Error> {
    let mut opened = 0;
    let mut counted = |block: &str| {
        opened += 1;
        match opened > MOST {
            true => Err(format!("a file has more than {MOST} encrypted values")),
            false => open(block),
        }
    };
    walk(node, cipher, &mut counted)
}

fn walk(
    node: Node,
    cipher: Cipher,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Node, Error> {
    let Node { at, data } = node;
    let data = match data {
        Data::Str(text) => Data::Str(opened(text, cipher, open).map_err(|cause| {
            // The file is not known here.
            Error::new(Fault::Decrypt(cause)).at(at.in_file(""))
        })?),
        Data::List(all) => {
            Data::List(all.into_iter().map(|node| walk(node, cipher, open)).collect::<Result<_, _>>()?)
        }
        Data::Map(pairs) => {
            let pair = |(key, value)| Ok((key, walk(value, cipher, open)?));
            Data::Map(pairs.into_iter().map(pair).collect::<Result<_, Error>>()?)
        }
        other => other,
    };
    Ok(Node { at, data })
}

/// A text with its blocks opened. As in Salt, line ends may be written `\n` within a block, and where there was a block the
/// text loses the line ends at its end.
fn opened(
    text: String,
    cipher: Cipher,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    let (begin, end) = cipher.marks();
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some((before, block, after)) = next_block(rest, begin, end) {
        out.push_str(before);
        out.push_str(&open(&block.replace("\\n", "\n"))?);
        rest = after;
    }
    if rest.len() == text.len() {
        return Ok(text);
    }
    out.push_str(rest);
    out.truncate(out.trim_end_matches('\n').len());
    Ok(out)
}

fn next_block<'t>(text: &'t str, begin: &str, end: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let start = text.find(begin)?;
    let (before, from) = text.split_at(start);
    let stop = from.get(begin.len()..)?.find(end)? + begin.len() + end.len();
    let (block, after) = from.split_at(stop);
    Some((before, block, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Result<String, String> {
        let mut seen = |block: &str| Ok(format!("[{}]\n", block.replace('\n', "/")));
        opened(text.to_owned(), Cipher::Age, &mut seen)
    }

    #[test]
    fn blocks_are_found_wherever_they_are_in_a_text() {
        let (begin, end) = Cipher::Age.marks();
        assert_eq!(open("plain\n"), Ok("plain\n".into()));
        assert_eq!(open(&format!("a {begin}\\nx\n{end} b\n\n")), Ok(format!("a [{begin}/x/{end}]\n b")));
        assert_eq!(open(&format!("{begin}1{end}{begin}2{end}")).unwrap().matches('[').count(), 2);
        // One that never ends is none.
        assert_eq!(open(&format!("{begin}\nx\n")), Ok(format!("{begin}\nx\n")));
    }

    #[test]
    fn keys_stay_and_places_are_told() {
        let (begin, end) = Cipher::Age.marks();
        let text = format!("a:\n  - 1\n  - \"{begin}{end}\"\n");
        let node = crate::yaml::load(&text, "t").unwrap();
        let error = values(node, Cipher::Age, &mut |_| Err("no".into())).unwrap_err();
        assert_eq!(error.place.origin.map(|at| (at.line, at.column)), Some((3, 5)));
    }
}
