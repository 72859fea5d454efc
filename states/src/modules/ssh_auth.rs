//! `ssh_auth.present`, `ssh_auth.absent` and `ssh_auth.manage`: who may log in with which key.

use crate::engine::step::{Call, Failure};
use crate::fsys::Owner;
use crate::modules::accounts::{self, Account};
use crate::modules::args::Args;
use crate::modules::authorized_keys::{self, Key};
use crate::modules::file::source::{Check, Source};
use crate::modules::textfile::{Edited, Editor, TextFile, one_line, roots};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["user", "enc", "comment", "source", "options", "config"];
pub(crate) const MANAGE: &[&str] = &["ssh_keys", "user", "enc", "comment", "source", "options", "config"];
pub(crate) const IGNORED: &[&str] = &["fingerprint_hash_type"];

/// The user, its file, and the keys.
pub(crate) struct Want {
    user: String,
    config: Option<String>,
    keys: Vec<Key>,
}

/// What a key has that does not say it itself.
struct Defaults {
    enc: String,
    comment: String,
    options: Vec<String>,
}

impl Defaults {
    fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let enc = args.text("enc")?.unwrap_or_else(|| "ssh-rsa".to_owned());
        let bad = || Failure::declaration(format!("`enc` names no kind of key: {enc:?}"));
        let options = args.list("options")?.unwrap_or_default();
        Ok(Self {
            enc: authorized_keys::kind(&enc).ok_or_else(bad)?,
            comment: one_line("comment", args.text("comment")?.unwrap_or_default())?,
            options: options.into_iter().map(|o| one_line("options", o)).collect::<Result<_, _>>()?,
        })
    }

    /// A whole line of authorized_keys, or a key alone.
    fn key(&self, text: &str) -> Result<Key, Failure> {
        let text = one_line("name", text.trim().to_owned())?;
        if let Some(mut key) = Key::parse(&text) {
            if key.options.is_empty() {
                key.options.clone_from(&self.options);
            }
            if key.comment.is_empty() {
                key.comment.clone_from(&self.comment);
            }
            return Ok(key);
        }
        let (key, comment) = text.split_once(char::is_whitespace).unwrap_or((&text, &self.comment));
        Ok(Key {
            options: self.options.clone(),
            enc: self.enc.clone(),
            key: key.to_owned(),
            comment: comment.trim().to_owned(),
        })
    }
}

fn user(args: &Args<'_>) -> Result<String, Failure> {
    let user = args.text("user")?.ok_or_else(|| Failure::declaration("`user` is needed"))?;
    crate::modules::group::account_name(&user, "user")
}

/// The step's own key, or all of the file that `source` names.
fn keys(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Key>, Failure> {
    let defaults = Defaults::read(args)?;
    let Some(source) = args.text("source")?.filter(|s| !s.is_empty()) else {
        return Ok(vec![defaults.key(&call.chunk.name)?]);
    };
    let ready = Source::file(source.clone()).ready(None, &Check::default(), call)?;
    let text = ready.and_then(|r| r.content.into_bytes()).and_then(|b| String::from_utf8(b).ok());
    let text = text.ok_or_else(|| Failure::declaration(format!("{} holds no keys", redact::url(&source))))?;
    let keys: Vec<Key> = text.lines().filter_map(Key::parse).collect();
    let with_options = |mut key: Key| {
        if key.options.is_empty() {
            key.options.clone_from(&defaults.options);
        }
        key
    };
    match keys.is_empty() {
        true => Err(Failure::declaration(format!("{} holds no keys", redact::url(&source)))),
        false => Ok(keys.into_iter().map(with_options).collect()),
    }
}

fn whole(keys: Vec<Key>) -> Result<Vec<Key>, Failure> {
    match keys.iter().find(|k| !k.is_whole()) {
        Some(bad) => Err(Failure::declaration(format!("{:?} is no public key", bad.key))),
        None => Ok(keys),
    }
}

fn want(args: &Args<'_>, keys: Vec<Key>) -> Result<Want, Failure> {
    Ok(Want { user: user(args)?, config: args.text("config")?, keys })
}

/// The user's file: below its home unless `config` is absolute, with `%u` and `%h` as sshd has them.
fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
    let failed = |e: std::io::Error| Failure::machine(format!("cannot look up accounts: {e}"));
    let account = accounts::account(call.context.host.root(), &want.user).map_err(failed)?;
    let account = account
        .ok_or_else(|| Failure::machine(format!("there is no user `{}` on this machine", want.user)))?;
    let config = want.config.as_deref().unwrap_or(".ssh/authorized_keys");
    let config = config.replace("%h", &account.home).replace("%u", &account.name).replace("%%", "%");
    let home = account.home.trim_end_matches('/').to_owned();
    if config.starts_with('/') && !config.starts_with(&format!("{home}/")) {
        return Ok(TextFile::read(&config, owned(&account, 0o600), call)?.with_parents(roots(0o755)));
    }
    let path = if config.starts_with('/') { config } else { format!("{home}/{config}") };
    if !call.context.host.path(&home).is_dir() {
        return Err(Failure::machine(format!("the home directory {home} of {} is not there", want.user)));
    }
    TextFile::read_guarded(&path, &home, owned(&account, 0o600), call)
}

fn owned(account: &Account, mode: u32) -> Owner {
    match nix::unistd::geteuid().is_root() {
        true => Owner { mode, uid: account.uid, gid: account.gid },
        false => roots(mode),
    }
}

fn note(changes: &mut Map, key: &str, what: &str) {
    changes.insert(key.to_owned(), Value::Str(what.to_owned()));
}

fn add_all(keys: &[Key], text: &mut String, changes: &mut Map) {
    for key in keys {
        if let Some((new, replaced)) = authorized_keys::with(text, key) {
            *text = new;
            note(changes, &key.key, if replaced { "Updated" } else { "New" });
        }
    }
}

/// `ssh_auth.present`.
pub(crate) struct Present;

impl Editor for Present {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, whole(keys(args, call)?)?)
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let (mut new, mut changes) = (text.to_owned(), Map::new());
        add_all(&want.keys, &mut new, &mut changes);
        if changes.is_empty() {
            return Edited::Same(format!(
                "The authorized host key is already present for user {}",
                want.user
            ));
        }
        Edited::To {
            text: new,
            changes,
            would: format!("The authorized host key for user {} would be set", want.user),
            done: format!("The authorized host key for user {} was set", want.user),
        }
    }
}

/// `ssh_auth.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, keys(args, call)?)
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let (mut new, mut changes) = (text.to_owned(), Map::new());
        for key in &want.keys {
            if let Some(less) = authorized_keys::without(&new, &key.key) {
                new = less;
                note(&mut changes, &key.key, "Removed");
            }
        }
        if changes.is_empty() {
            return Edited::Same("Key not present".to_owned());
        }
        Edited::To {
            text: new,
            changes,
            would: format!("The key for user {} would be removed", want.user),
            done: "Key removed".to_owned(),
        }
    }
}

/// `ssh_auth.manage`: these keys and no others.
pub(crate) struct Manage;

impl Editor for Manage {
    type Want = Want;

    fn want(args: &Args<'_>, _: &Call<'_>) -> Result<Want, Failure> {
        let defaults = Defaults::read(args)?;
        let given = args.list("ssh_keys")?.ok_or_else(|| Failure::declaration("`ssh_keys` is needed"))?;
        let keys = given.iter().map(|k| defaults.key(k)).collect::<Result<Vec<_>, _>>()?;
        want(args, whole(keys)?)
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let (mut new, mut changes) = (text.to_owned(), Map::new());
        let wanted = |key: &Key| want.keys.iter().any(|k| k.key == key.key);
        for key in text.lines().filter_map(Key::parse).filter(|k| !wanted(k)) {
            new = authorized_keys::without(&new, &key.key).unwrap_or(new);
            note(&mut changes, &key.key, "Key removed");
        }
        add_all(&want.keys, &mut new, &mut changes);
        if changes.is_empty() {
            return Edited::Same(format!("The authorized host keys of user {} are as asked", want.user));
        }
        Edited::To {
            text: new,
            changes,
            would: format!("The authorized host keys of user {} would be set", want.user),
            done: format!("The authorized host keys of user {} were set", want.user),
        }
    }
}
