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

impl Signer {
    /// Reads one entry.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        match Self::keys(text)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err("is an SSH public key, an armoured PGP public key, or an absolute path".into()),
        }
    }

    /// All keys of a text: lines as in `authorized_keys` or `allowed_signers`, and armoured PGP keys.
    pub(crate) fn keys(text: &str) -> Result<Vec<Self>, String> {
        let mut keys = Vec::new();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line == BEGIN_PGP {
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != END_PGP).collect();
                keys.push(Self::Pgp(format!("{line}\n{}\n{END_PGP}\n", block.join("\n"))));
            } else if !line.is_empty() && !line.starts_with('#') {
                keys.push(ssh(line)?);
            }
        }
        Ok(keys)
    }
}

fn ssh(line: &str) -> Result<Signer, String> {
    let mut words = line.split_whitespace();
    let kind = words.find(|word| KINDS.contains(word));
    let kind =
        kind.ok_or_else(|| format!("{:?} is no public key of {}", beginning(line), KINDS.join(", ")))?;
    let blob = words.next().and_then(|word| base64::engine::general_purpose::STANDARD.decode(word).ok());
    let named = |blob: &Vec<u8>| blob.get(4..4 + kind.len()) == Some(kind.as_bytes());
    let blob = blob.filter(named).ok_or_else(|| format!("the {kind} key is not whole"))?;
    Ok(Signer::Ssh(blob))
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
    fn others_are_refused() {
        for text in ["", "ssh-dss AAAA", "ssh-ed25519 AAAA", "ssh-ed25519", "0123456789ABCDEF", "ssh-rsa !"] {
            assert!(Signer::parse(text).is_err(), "{text}");
        }
    }
}
