//! Whether a commit bears the signature of a key that is listed. SSH signatures are checked here, PGP's by the `gpg`
//! program with a home of its own that holds the listed keys and nothing else.
// Effects: reads files of keys, starts gpg, and a folder for its home.
#![allow(clippy::disallowed_methods)]

use crate::http::Cancel;
use crate::userdata::Signer;
use base64::Engine;
use mayfly_states::fsys::guarded::{self, Guard};
use mayfly_states::host::{Command, CommandError, Host, Machine, NoServices};
use ring::digest::{SHA256, SHA512, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SSH_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const SSH_END: &str = "-----END SSH SIGNATURE-----";
const PGP_BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
/// How long each run of gpg may take, and how much it says: some lines.
const GPG_WITHIN: Duration = Duration::from_secs(60);
const GPG_SAYS: usize = 64 * 1024;
/// A file of signers is never longer.
const MAX_SIGNERS: u64 = 1024 * 1024;
/// What git signs under.
const NAMESPACE: &[u8] = b"git";
const MAGIC: &[u8] = b"SSHSIG";

/// Whether one of `signers` has signed a commit, given as git stores it. The error says why not.
pub(super) fn check(
    commit: &[u8],
    signers: &[Signer],
    scratch: &Path,
    cancel: &Cancel,
) -> Result<(), String> {
    if signers.is_empty() {
        return Ok(());
    }
    let (signed, signature) = parts(commit).ok_or("is not signed, and `signed_by` asks for it")?;
    let keys = keys(signers)?;
    if signature.starts_with(SSH_BEGIN) {
        return ssh(&signed, &signature, &keys);
    }
    if signature.starts_with(PGP_BEGIN) {
        return pgp(&signed, &signature, &keys, &Gpg::new(scratch, cancel));
    }
    Err("bears a signature that is neither SSH's nor PGP's".into())
}

fn keys(signers: &[Signer]) -> Result<Vec<Signer>, String> {
    let mut keys = Vec::new();
    for signer in signers {
        match signer {
            Signer::File(path) => {
                let fail = |why: String| format!("cannot be judged: signed_by {}{why}", path.display());
                let text = guarded::read(path, Guard::Trust, MAX_SIGNERS);
                let text = text.map_err(|e| fail(format!(": {e}")))?;
                let found = Signer::keys(&text);
                keys.extend(found.map_err(|bad| fail(format!(":{}: {}", bad.line, bad.message)))?);
            }
            key => keys.push(key.clone()),
        }
    }
    Ok(keys)
}

/// What was signed (the commit without its signature), and the signature.
fn parts(commit: &[u8]) -> Option<(Vec<u8>, String)> {
    let head_end = commit.windows(2).position(|pair| pair == b"\n\n").map_or(commit.len(), |at| at + 1);
    let (head, rest) = commit.split_at(head_end);
    let (mut signed, mut signature, mut inside) = (Vec::new(), Vec::new(), false);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        inside = match line.strip_prefix(b"gpgsig ") {
            // A second one is nobody's to choose between.
            Some(_) if !signature.is_empty() => return None,
            Some(first) => {
                signature.extend_from_slice(first);
                true
            }
            None if inside && line.starts_with(b" ") => {
                signature.extend_from_slice(&line[1..]);
                true
            }
            None => {
                signed.extend_from_slice(line);
                false
            }
        };
    }
    signed.extend_from_slice(rest);
    let signature = String::from_utf8(signature).ok().filter(|text| !text.is_empty())?;
    Some((signed, signature))
}

/// Strings with their length before them, as SSH writes all it writes.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(text);
}

/// A signature taken apart.
struct SshSignature<'a> {
    key: &'a [u8],
    hash: &'a [u8],
    kind: &'a [u8],
    signature: &'a [u8],
    /// What follows it: the flags and the counter of a security key.
    rest: &'a [u8],
}

fn ssh(signed: &[u8], armoured: &str, keys: &[Signer]) -> Result<(), String> {
    let text: String = armoured.replace(SSH_BEGIN, "").replace(SSH_END, "").split_whitespace().collect();
    let blob = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    let signature = ssh_signature(&blob).ok_or("bears an SSH signature that is not whole, or not git's")?;
    if !keys.iter().any(|key| matches!(key, Signer::Ssh(key) if key == signature.key)) {
        return Err("is signed by an SSH key that is not listed in `signed_by`".into());
    }
    let sum = match signature.hash {
        b"sha256" => digest(&SHA256, signed),
        b"sha512" => digest(&SHA512, signed),
        _ => return Err("bears an SSH signature with an unknown digest".into()),
    };
    let mut message = MAGIC.to_vec();
    for part in [NAMESPACE, b"", signature.hash, sum.as_ref()] {
        put(&mut message, part);
    }
    match verify(&signature, &message) {
        Some(true) => Ok(()),
        Some(false) => Err("bears an SSH signature that is not that of its content".into()),
        None => Err("is signed by a kind of SSH key that is not understood".into()),
    }
}

fn ssh_signature(blob: &[u8]) -> Option<SshSignature<'_>> {
    let mut wire = Wire(blob);
    let ours = wire.take(MAGIC.len())? == MAGIC && wire.take(4)? == [0, 0, 0, 1];
    let key = wire.string()?;
    let (namespace, _reserved, hash) = (wire.string()?, wire.string()?, wire.string()?);
    let mut inner = Wire(wire.string()?);
    let (kind, signature) = (inner.string()?, inner.string()?);
    let whole = ours && namespace == NAMESPACE && wire.0.is_empty();
    whole.then_some(SshSignature { key, hash, kind, signature, rest: inner.0 })
}

/// Whether the signature is that of `message` by its own key; `None`: a kind of key that is not known.
fn verify(signature: &SshSignature<'_>, message: &[u8]) -> Option<bool> {
    let mut key = Wire(signature.key);
    let kind = key.string()?;
    let plain = signature.rest.is_empty();
    Some(match (kind, signature.kind) {
        (b"ssh-ed25519", b"ssh-ed25519") => {
            plain
                && UnparsedPublicKey::new(&ED25519, key.string()?)
                    .verify(message, signature.signature)
                    .is_ok()
        }
        (b"sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com") => {
            let (point, application) = (key.string()?, key.string()?);
            let mut told = digest(&SHA256, application).as_ref().to_vec();
            told.extend_from_slice(signature.rest);
            told.extend_from_slice(digest(&SHA256, message).as_ref());
            // Somebody touched it.
            let present = signature.rest.len() == 5 && signature.rest.first().is_some_and(|f| f & 1 == 1);
            present && UnparsedPublicKey::new(&ED25519, point).verify(&told, signature.signature).is_ok()
        }
        (b"ssh-rsa", b"rsa-sha2-256" | b"rsa-sha2-512") => {
            let (e, n) = (unsigned(key.string()?), unsigned(key.string()?));
            let with = match signature.kind {
                b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                _ => &RSA_PKCS1_2048_8192_SHA512,
            };
            plain && RsaPublicKeyComponents { n, e }.verify(with, message, signature.signature).is_ok()
        }
        (b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256") => {
            let _curve = key.string()?;
            let fixed = fixed(signature.signature, 32)?;
            plain
                && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.string()?)
                    .verify(message, &fixed)
                    .is_ok()
        }
        (b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp384") => {
            let _curve = key.string()?;
            let fixed = fixed(signature.signature, 48)?;
            plain
                && UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.string()?)
                    .verify(message, &fixed)
                    .is_ok()
        }
        _ => return None,
    })
}

/// SSH writes a zero before a number whose first bit is set.
fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The two numbers of an ECDSA signature, each in so many bytes.
fn fixed(signature: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut wire = Wire(signature);
    let mut out = Vec::new();
    for number in [unsigned(wire.string()?), unsigned(wire.string()?)] {
        out.resize(out.len() + length.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
    }
    Some(out)
}

/// The program that judges PGP signatures.
struct Gpg<'a> {
    program: &'a str,
    /// For each of its runs.
    within: Duration,
    scratch: &'a Path,
    cancel: &'a Cancel,
}

/// A folder that goes with the value.
struct Home(PathBuf);

impl Home {
    fn make(scratch: &Path) -> io::Result<Self> {
        let scratch = std::path::absolute(scratch)?;
        let home = Self(scratch.join(format!(".gpg-{}", std::process::id())));
        let _ = fs::remove_dir_all(&home.0);
        DirBuilder::new().mode(0o700).create(&home.0)?;
        Ok(home)
    }

    fn put(&self, name: &str, content: &[u8]) -> io::Result<String> {
        let path = self.0.join(name);
        fs::write(&path, content)?;
        Ok(path.display().to_string())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl<'a> Gpg<'a> {
    fn new(scratch: &'a Path, cancel: &'a Cancel) -> Self {
        Self { program: "gpg", within: GPG_WITHIN, scratch, cancel }
    }

    /// What it says of a signature, knowing only the listed keys.
    fn verify(&self, signed: &[u8], signature: &str, listed: &str) -> Result<String, String> {
        let failed = |error: io::Error| error.to_string();
        let home = Home::make(self.scratch).map_err(failed)?;
        let keys = home.put("keys", listed.as_bytes()).map_err(failed)?;
        let said = home.put("signature", signature.as_bytes()).map_err(failed)?;
        let content = home.put("content", signed).map_err(failed)?;
        self.run(&home, &["--quiet", "--import", &keys])?;
        self.run(&home, &["--status-fd", "1", "--verify", &said, &content])
    }

    fn run(&self, home: &Home, arguments: &[&str]) -> Result<String, String> {
        let home = home.0.display().to_string();
        let fixed = [
            "--batch",
            "--no-tty",
            "--no-autostart",
            "--no-auto-check-trustdb",
            "--trust-model",
            "always",
            "--no-auto-key-retrieve",
        ];
        let words = [self.program, "--homedir", &home].into_iter().chain(fixed);
        let mut command = Command::argv(words.chain(arguments.iter().copied())).env("LC_ALL", "C");
        command.env.push(("GNUPGHOME".to_owned(), None));
        command.timeout = self.within;
        let machine = Machine::new(Arc::new(NoServices)).with_cancel(self.cancel.flag());
        let output = machine.run(&command).map_err(|error| match error {
            CommandError::TimedOut { seconds, .. } => format!("gpg has not answered within {seconds}s"),
            CommandError::Start { .. } => format!("{error}; install gnupg for PGP signatures"),
            other => other.without_words().to_string(),
        })?;
        match output.stdout.len() > GPG_SAYS {
            true => Err(format!("gpg says more than {} KiB", GPG_SAYS / 1024)),
            false => Ok(output.out()),
        }
    }
}

fn pgp(signed: &[u8], signature: &str, keys: &[Signer], gpg: &Gpg<'_>) -> Result<(), String> {
    let listed: String = keys
        .iter()
        .filter_map(|key| if let Signer::Pgp(text) = key { Some(text.as_str()) } else { None })
        .collect();
    if listed.is_empty() {
        return Err("is signed by a PGP key, and `signed_by` lists none".into());
    }
    let status = gpg.verify(signed, signature, &listed).map_err(|why| format!("cannot be judged: {why}"))?;
    let says = |word: &str| {
        status.lines().any(|line| line.strip_prefix("[GNUPG:] ").is_some_and(|l| l.starts_with(word)))
    };
    match (says("GOODSIG ") && says("VALIDSIG "), says("BADSIG "), says("NO_PUBKEY ")) {
        (true, false, false) => Ok(()),
        (_, true, _) => Err("bears a PGP signature that is not that of its content".into()),
        (_, _, true) => Err("is signed by a PGP key that is not listed in `signed_by`".into()),
        _ => Err("bears a PGP signature that does not count: its key has expired or was revoked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Stand-ins: the real program does not hang or chatter when it is asked to.
    #[test]
    fn a_gpg_that_does_not_end_is_ended_and_one_that_says_too_much_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (program, pid) = (dir.path().join("gpg"), dir.path().join("pid"));
        let says = |script: &str| {
            fs::write(&program, format!("#!/bin/sh\necho $$ > {}\n{script}\n", pid.display())).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            let program = program.to_str().unwrap();
            let within = Duration::from_secs(1);
            let gpg = Gpg { program, within, scratch: dir.path(), cancel: &Cancel::default() };
            gpg.verify(b"content", "signature", "keys")
        };
        for script in ["exec sleep 20", "exec timeout 20 yes"] {
            assert_eq!(says(script).unwrap_err(), "gpg has not answered within 1s");
            let pid = fs::read_to_string(&pid).unwrap();
            assert!(!Path::new("/proc").join(pid.trim()).exists(), "{script} runs on");
        }
        let error = says("exec head -c 70000 /dev/zero").unwrap_err();
        assert_eq!(error, "gpg says more than 64 KiB");
        assert_eq!(says("echo fine").unwrap(), "fine");
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 2, "a home is left behind");
    }
}
