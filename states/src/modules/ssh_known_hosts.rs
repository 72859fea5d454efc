//! `ssh_known_hosts.present` and `ssh_known_hosts.absent`, with a key that the tree gives: nothing is asked of a network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::engine::step::{Call, Failure};
use crate::fsys::Owner;
use crate::modules::accounts;
use crate::modules::args::Args;
use crate::modules::textfile::{Edited, Editor, TextFile, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] =
    &["user", "key", "enc", "port", "config", "hash_known_hosts", "fingerprint"];
pub(crate) const ABSENT: &[&str] = &["user", "config"];
pub(crate) const IGNORED: &[&str] = &["timeout", "fingerprint_hash_type"];

/// The declaration.
pub(crate) struct Want {
    /// As it was named.
    name: String,
    /// As the file names it: `host`, or `[host]:port`.
    host: String,
    user: Option<String>,
    config: Option<String>,
    enc: String,
    key: String,
    /// The name is hashed with this.
    salt: Option<[u8; 20]>,
}

fn bare(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let name = call.chunk.name.clone();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
        return Err(Failure::declaration(format!("{name:?} cannot be the name of a host")));
    }
    let user = args.text("user")?.map(|u| crate::modules::group::account_name(&u, "user")).transpose()?;
    let config = args.text("config")?;
    if user.is_none() && config.as_ref().is_some_and(|c| !c.starts_with('/')) {
        return Err(Failure::declaration("without `user`, `config` must be an absolute path"));
    }
    Ok(Want { host: name.clone(), name, user, config, enc: String::new(), key: String::new(), salt: None })
}

fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
    let Some(user) = &want.user else {
        let config = want.config.as_deref().unwrap_or("/etc/ssh/ssh_known_hosts");
        return Ok(TextFile::read(config, roots(0o644), call)?.with_parents(roots(0o755)));
    };
    let failed = |e: std::io::Error| Failure::machine(format!("cannot look up accounts: {e}"));
    let account = accounts::account(call.context.host.root(), user).map_err(failed)?;
    let account =
        account.ok_or_else(|| Failure::machine(format!("there is no user `{user}` on this machine")))?;
    let config = want.config.as_deref().unwrap_or(".ssh/known_hosts");
    let home = account.home.trim_end_matches('/');
    let path = if config.starts_with('/') { config.to_owned() } else { format!("{home}/{config}") };
    let owner = match nix::unistd::geteuid().is_root() {
        true => Owner { mode: 0o600, uid: account.uid, gid: account.gid },
        false => roots(0o600),
    };
    match path.starts_with(&format!("{home}/")) {
        true => TextFile::read_guarded(&path, home, owner, call),
        false => TextFile::read(&path, owner, call),
    }
}

/// One line: names, kind, key; with its marker where it has one.
struct Line<'a> {
    names: &'a str,
    enc: &'a str,
    key: &'a str,
}

fn parse(line: &str) -> Option<Line<'_>> {
    let mut words = line.split_whitespace().filter(|w| !w.starts_with('@'));
    let names = words.next().filter(|n| !n.starts_with('#'))?;
    Some(Line { names, enc: words.next()?, key: words.next()? })
}

impl Line<'_> {
    fn is_for(&self, host: &str) -> bool {
        self.names.split(',').any(|name| name == host || is_hash_of(name, host))
    }

    fn told(&self, host: &str) -> Value {
        let text = |s: &str| Value::Str(s.to_owned());
        Value::Map(Map::from([
            ("hostname".to_owned(), text(host)),
            ("enc".to_owned(), text(self.enc)),
            ("key".to_owned(), text(self.key)),
        ]))
    }
}

/// Whether `|1|salt|hash` is made of this name.
fn is_hash_of(name: &str, host: &str) -> bool {
    let mut parts = name.strip_prefix("|1|").into_iter().flat_map(|rest| rest.split('|'));
    let (Some(salt), Some(hash)) = (parts.next(), parts.next()) else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    digest(&salt, host).is_some_and(|made| made == hash)
}

fn digest(salt: &[u8], host: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(host.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

fn hashed(salt: &[u8], host: &str) -> String {
    let hash = digest(salt, host).unwrap_or_default();
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

fn found(text: &str, host: &str) -> Vec<Value> {
    text.lines().filter_map(parse).filter(|l| l.is_for(host)).map(|l| l.told(host)).collect()
}

fn key(args: &Args<'_>) -> Result<String, Failure> {
    let why = "give the host's `key` (and `enc`): a key that the network tells cannot be trusted";
    let key = args.text("key")?.ok_or_else(|| Failure::declaration(why))?;
    let whole = STANDARD.decode(&key).is_ok_and(|bytes| bytes.len() > 8);
    match whole {
        true => Ok(key),
        false => Err(Failure::declaration(format!("{key:?} is no public key"))),
    }
}

/// `ssh_known_hosts.present`.
pub(crate) struct Present;

impl Editor for Present {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let want = bare(args, call)?;
        if args.get("fingerprint").is_some() && args.get("key").is_some() {
            return Err(Failure::declaration("specify either `key` or `fingerprint`, not both"));
        }
        let enc = args.text("enc")?.ok_or_else(|| Failure::declaration("`enc` is needed beside `key`"))?;
        let bad = || Failure::declaration(format!("`enc` names no kind of key: {enc:?}"));
        let host = match args.number("port")? {
            None | Some(22) => want.name.clone(),
            Some(port) => format!("[{}]:{port}", want.name),
        };
        let salt = args.flag("hash_known_hosts", true)?.then(rand::random::<[u8; 20]>);
        let enc = crate::modules::authorized_keys::kind(&enc).ok_or_else(bad)?;
        Ok(Want { host, enc, key: key(args)?, salt, ..want })
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let own = |line: &&str| parse(line).is_some_and(|l| l.is_for(&want.host));
        if text.lines().filter(own).filter_map(parse).any(|l| l.enc == want.enc && l.key == want.key) {
            return Edited::Same(format!("{} is already known", want.name));
        }
        // A host has one key of a kind; the others stay.
        let stale = |line: &&str| own(line) && parse(line).is_some_and(|l| l.enc == want.enc);
        let mut new: String = text.lines().filter(|l| !stale(l)).map(|l| format!("{l}\n")).collect();
        let name = want.salt.map_or_else(|| want.host.clone(), |salt| hashed(&salt, &want.host));
        new.push_str(&format!("{name} {} {}\n", want.enc, want.key));
        let old = found(text, &want.host);
        let old = if old.is_empty() { Value::Null } else { Value::List(old) };
        let added = Line { names: "", enc: &want.enc, key: &want.key }.told(&want.host);
        Edited::To {
            text: new,
            changes: Map::from([("old".to_owned(), old), ("new".to_owned(), Value::List(vec![added]))]),
            would: format!("The key of {} would be saved", want.name),
            done: format!("{}'s key saved (key: {})", want.name, want.key),
        }
    }
}

/// `ssh_known_hosts.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        bare(args, call)
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let old = found(text, &want.host);
        if old.is_empty() {
            return Edited::Same("Host is already absent".to_owned());
        }
        let own = |line: &&str| parse(line).is_some_and(|l| l.is_for(&want.host));
        Edited::To {
            text: text.lines().filter(|l| !own(l)).map(|l| format!("{l}\n")).collect(),
            changes: Map::from([("old".to_owned(), Value::List(old)), ("new".to_owned(), Value::Null)]),
            would: format!("The keys of {} would be removed", want.name),
            done: format!("The keys of {} were removed", want.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_name_is_known_again() {
        // Made by `ssh-keygen -H`.
        let made = hashed(&[7; 20], "git.example.com");
        assert!(is_hash_of(&made, "git.example.com"));
        assert!(!is_hash_of(&made, "example.com"));
        assert!(parse("git.example.com,10.0.0.1 ssh-rsa AAAA").unwrap().is_for("10.0.0.1"));
        assert!(parse("# x y z").is_none());
    }
}
