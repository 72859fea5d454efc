//! Who may sign commits: SSH public keys, PGP public keys, or a file on the image with some of either. Pure.

use base64::Engine;
use std::path::PathBuf;

const BEGIN_PGP: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END_PGP: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// The kinds of SSH keys whose signatures are checked.
const KINDS: [&str; 5] =
    ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "sk-ssh-ed25519@openssh.com"];

/// One entry of `signed_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signer {
    /// An SSH public key: its bytes as they stand in signatures.
    Ssh(Vec<u8>),
    /// An armoured PGP public key.
    Pgp(String),
    /// A file on the image with keys of either kind.
    File(PathBuf),
}

/// A line that is no key that can be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct BadLine {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl Signer {
    /// Reads one entry.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        match Self::keys(text).map_err(|bad| bad.message)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err("is an SSH public key, an armoured PGP public key, or an absolute path".into()),
        }
    }

    /// All keys of a text: lines as in `authorized_keys` or `allowed_signers`, and armoured PGP keys.
    pub(crate) fn keys(text: &str) -> Result<Vec<Self>, BadLine> {
        let mut keys = Vec::new();
        let mut lines = text.lines().map(str::trim).zip(1..);
        while let Some((line, number)) = lines.next() {
            if line == BEGIN_PGP {
                let block = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != END_PGP);
                let block: Vec<&str> = block.collect();
                keys.push(Self::Pgp(format!("{line}\n{}\n{END_PGP}\n", block.join("\n"))));
            } else if !line.is_empty() && !line.starts_with('#') {
                keys.push(ssh(line).map_err(|message| BadLine { line: number, message })?);
            }
        }
        Ok(keys)
    }
}

fn ssh(line: &str) -> Result<Signer, String> {
    let words = words(line);
    let at = words.iter().position(|word| KINDS.contains(word));
    let at = at.ok_or_else(|| format!("{:?} is no public key of {}", beginning(line), KINDS.join(", ")))?;
    unlimited(&words[..at])?;
    let kind = words[at];
    let blob = words.get(at + 1).and_then(|word| base64::engine::general_purpose::STANDARD.decode(word).ok());
    let named = |blob: &Vec<u8>| blob.get(4..4 + kind.len()) == Some(kind.as_bytes());
    let blob = blob.filter(named).ok_or_else(|| format!("the {kind} key is not whole"))?;
    Ok(Signer::Ssh(blob))
}

/// Words of a line, which blanks part but where they are quoted.
fn words(line: &str) -> Vec<&str> {
    parts(line, char::is_whitespace).into_iter().filter(|word| !word.is_empty()).collect()
}

/// What is between separators that are not quoted.
fn parts(text: &str, is_separator: fn(char) -> bool) -> Vec<&str> {
    let mut quoted = false;
    let between = |c: char| {
        quoted ^= c == '"';
        !quoted && is_separator(c)
    };
    text.split(between).collect()
}

/// Whether what is before a key says no more than whose it is. What limits a key, such as a time, is not taken for a key
/// without limits.
fn unlimited(before: &[&str]) -> Result<(), String> {
    match before {
        [] => Ok(()),
        // Whose it is (`allowed_signers`), or what it may do (`authorized_keys`).
        [one] if parts(one, |c| c == ',').iter().any(|part| is_option(part)) => options(one),
        [_principals] => Ok(()),
        [_principals, given] => options(given),
        [_, _, more, ..] => Err(format!("{:?} before the key is not understood", beginning(more))),
    }
}

/// Whether a word is one of the options of `authorized_keys` or `allowed_signers`, rather than a name.
fn is_option(word: &str) -> bool {
    const FLAGS: [&str; 5] = ["cert-authority", "restrict", "pty", "user-rc", "verify-required"];
    let word = word.to_ascii_lowercase();
    let flag = word.strip_prefix("no-").unwrap_or(&word);
    word.contains(['=', '"'])
        || FLAGS.contains(&flag)
        || flag.ends_with("-forwarding")
        || flag == "touch-required"
}

/// `namespaces` with git's among them is the one option that takes nothing away.
fn options(given: &str) -> Result<(), String> {
    for option in parts(given, |c| c == ',') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if !name.eq_ignore_ascii_case("namespaces") {
            let name = beginning(name);
            return Err(format!(
                "the option `{name}` is not honoured here; list the key without it, or not at all"
            ));
        }
        let spaces: Vec<&str> = value.trim_matches('"').split(',').collect();
        if !spaces.contains(&"git") || spaces.iter().any(|space| space.starts_with('!')) {
            return Err("the key is not for commits: its `namespaces` do not list \"git\"".to_owned());
        }
    }
    Ok(())
}

fn beginning(line: &str) -> String {
    line.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a@b";

    #[test]
    fn keys_are_read_as_openssh_and_gpg_write_them() {
        let Ok(Signer::Ssh(blob)) = Signer::parse(KEY) else { panic!("{KEY}") };
        assert_eq!(blob.len(), 51);
        let text = format!(
            "# who\n{KEY}\n\nme@example.org namespaces=\"git\" {KEY}\n{BEGIN_PGP}\n\nxx\n{END_PGP}\n"
        );
        let keys = Signer::keys(&text).unwrap();
        assert_eq!(keys[..2], [Signer::Ssh(blob.clone()), Signer::Ssh(blob)]);
        assert_eq!(keys[2], Signer::Pgp(format!("{BEGIN_PGP}\n\nxx\n{END_PGP}\n")));
        assert_eq!(Signer::parse("/etc/mayfly/signers"), Ok(Signer::File("/etc/mayfly/signers".into())));
    }

    #[test]
    fn what_limits_a_key_is_never_passed_over() {
        let read = |before: &str| Signer::keys(&format!("# who\n{before} {KEY}\n"));
        for fine in [
            "",
            "john",
            "a@b,*@example.org,!c@d",
            "a@b namespaces=\"git\"",
            "a@b namespaces=\"file,git\"",
            "namespaces=\"git\"",
        ] {
            assert_eq!(read(fine).map(|keys| keys.len()), Ok(1), "{fine}");
        }
        for (limit, word) in [
            ("a@b valid-before=\"20300101\"", "`valid-before`"),
            ("a@b namespaces=\"git\",valid-after=\"20200101\"", "`valid-after`"),
            ("a@b Valid-Before=20300101Z", "`Valid-Before`"),
            ("a@b cert-authority", "`cert-authority`"),
            ("cert-authority", "`cert-authority`"),
            ("restrict", "`restrict`"),
            ("no-touch-required", "`no-touch-required`"),
            ("no-pty,expiry-time=\"20200101\"", "`no-pty`"),
            ("command=\"a b\"", "`command`"),
            ("a@b namespaces=\"file\"", "\"git\""),
            ("a@b namespaces=\"!git\"", "\"git\""),
            ("a@b namespaces=\"git,!git\"", "\"git\""),
            ("a@b unheard-of", "`unheard-of`"),
            ("a@b namespaces=\"git\" more", "\"more\""),
        ] {
            let bad = read(limit).unwrap_err();
            assert_eq!(bad.line, 2);
            assert!(bad.message.contains(word), "{limit}: {bad}");
        }
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "ssh-dss AAAA", "ssh-ed25519 AAAA", "ssh-ed25519", "0123456789ABCDEF", "ssh-rsa !"] {
            assert!(Signer::parse(text).is_err(), "{text}");
        }
    }
}
