//! The text of sshd's authorized_keys, pure.

use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

/// Options, then the kind of key with all that follows.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(.*?)\s?((?:sk-)?(?:ssh-|ecds)[\w@.-]+\s.+)$").ok());

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) options: Vec<String>,
    pub(crate) enc: String,
    pub(crate) key: String,
    pub(crate) comment: String,
}

impl Key {
    /// From a line of the file; `None` for comments and for what is no key.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let found = KEY.as_ref()?.captures(line)?;
        let mut words = found.get(2)?.as_str().splitn(3, char::is_whitespace);
        let (enc, key) = (words.next()?.to_owned(), words.next()?.to_owned());
        let comment = words.next().unwrap_or_default().trim().to_owned();
        let options = found.get(1).map_or("", |m| m.as_str());
        Some(Self { options: split_options(options), enc, key, comment })
    }

    /// As a line of the file.
    pub(crate) fn line(&self) -> String {
        let options = match self.options.is_empty() {
            true => String::new(),
            false => format!("{} ", self.options.join(",")),
        };
        format!("{options}{} {} {}", self.enc, self.key, self.comment)
    }

    /// Whether the key is what its kind says: base64 of something that begins with the kind's own name.
    pub(crate) fn is_whole(&self) -> bool {
        let engine = base64::engine::general_purpose::STANDARD;
        engine.decode(&self.key).is_ok_and(|bytes| bytes.len() > 8)
    }
}

fn split_options(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

/// The kind of key by any of the names that Salt takes.
pub(crate) fn kind(enc: &str) -> Option<String> {
    let full = match enc {
        "r" | "rsa" => "ssh-rsa",
        "d" | "dsa" | "dss" => "ssh-dss",
        "e" | "ecdsa" => "ecdsa-sha2-nistp256",
        "ed25519" => "ssh-ed25519",
        other if is_kind(other) => other,
        _ => return None,
    };
    Some(full.to_owned())
}

fn is_kind(enc: &str) -> bool {
    let plain = enc.trim_end_matches("@openssh.com").trim_end_matches("-cert-v01");
    let kinds = [
        "ssh-rsa",
        "ssh-dss",
        "ssh-ed25519",
        "rsa-sha2-256",
        "rsa-sha2-512",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519",
        "sk-ecdsa-sha2-nistp256",
    ];
    kinds.contains(&plain)
}

/// The file with the key in it; `None` when it is there as asked. The flag says whether an older form was replaced.
pub(crate) fn with(text: &str, wanted: &Key) -> Option<(String, bool)> {
    let own = |line: &str| Key::parse(line).is_some_and(|k| k.key == wanted.key);
    let found: Vec<&str> = text.lines().filter(|l| own(l)).collect();
    if found.is_empty() {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some((format!("{text}{gap}{}\n", wanted.line()), false));
    }
    if found.iter().all(|l| Key::parse(l).as_ref() == Some(wanted)) {
        return None;
    }
    let lines = text.lines().map(|l| if own(l) { wanted.line() } else { l.to_owned() });
    Some((lines.map(|l| l + "\n").collect(), true))
}

/// The file without the key; `None` when it is not there.
pub(crate) fn without(text: &str, key: &str) -> Option<String> {
    let own = |line: &str| Key::parse(line).is_some_and(|k| k.key == key);
    text.lines().any(own).then(|| text.lines().filter(|l| !own(l)).map(|l| format!("{l}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_options_and_comments() {
        let key = Key::parse(r#"from="10.0.0.1",no-pty ssh-ed25519 AAAA me and you"#).unwrap();
        assert_eq!(key.options, [r#"from="10.0.0.1""#, "no-pty"]);
        assert_eq!((key.enc.as_str(), key.key.as_str()), ("ssh-ed25519", "AAAA"));
        assert_eq!(key.comment, "me and you");
        assert_eq!(Key::parse(&key.line()).unwrap(), key);
        assert_eq!(Key::parse("# ssh-rsa AAAA"), None);
        assert_eq!(Key::parse("AAAA"), None);
    }

    #[test]
    fn a_key_is_added_replaced_or_left() {
        let key = Key::parse("ssh-rsa AAAA me").unwrap();
        assert_eq!(with("", &key).unwrap(), ("ssh-rsa AAAA me\n".to_owned(), false));
        assert_eq!(with("# x", &key).unwrap(), ("# x\nssh-rsa AAAA me\n".to_owned(), false));
        assert_eq!(with("ssh-rsa AAAA you\nz\n", &key).unwrap(), ("ssh-rsa AAAA me\nz\n".to_owned(), true));
        assert_eq!(with("ssh-rsa AAAA me\n", &key), None);
        assert_eq!(without("a\nssh-rsa AAAA me\n", "AAAA").unwrap(), "a\n");
        assert_eq!(without("a\n", "AAAA"), None);
    }

    #[test]
    fn kinds_have_short_names() {
        let table = [("rsa", Some("ssh-rsa")), ("e", Some("ecdsa-sha2-nistp256")), ("x", None)];
        for (short, full) in table {
            assert_eq!(kind(short).as_deref(), full);
        }
        assert!(kind("sk-ssh-ed25519-cert-v01@openssh.com").is_some());
    }
}
