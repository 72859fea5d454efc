//! `pkgrepo.managed` and `pkgrepo.absent` for apt: its files are edited, keys are files beside them.

use base64::Engine as _;

use crate::engine::step::{Applied, Call, Diff, Failure, Return, StateFn, perform};
use crate::fsys::{self, Kind};
use crate::modules::apt_sources::{Repo, Sources};
use crate::modules::args::{Args, scalar};
use crate::modules::file::remote::{is_remote, path_of};
use crate::modules::file::source::{Check, Source};
use crate::modules::textfile::{Editing, TextFile, one_line, place, roots};
use crate::modules::{pkgrepo_apk, pkgrepo_rpm};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const MANAGED: &[&str] = &[
    "file",
    "dist",
    "comps",
    "architectures",
    "enabled",
    "disabled",
    "comments",
    "clean_file",
    "key_url",
    "key_text",
    "signedby",
    "keyid",
    "keyserver",
    "ppa",
    "humanname",
    "baseurl",
    "mirrorlist",
    "metalink",
    "gpgcheck",
    "gpgkey",
    "repo_gpgcheck",
    "priority",
    "cost",
    "exclude",
    "excludepkgs",
    "includepkgs",
    "sslverify",
    "sslcacert",
    "sslclientcert",
    "sslclientkey",
    "skip_if_unavailable",
    "metadata_expire",
    "failovermethod",
    "proxy",
    "module_hotfixes",
    "type",
    "autorefresh",
    "keeppackages",
    "countme",
    "enablegroups",
    "deltarpm",
    "copr",
];
pub(crate) const ABSENT: &[&str] = &["keyid", "ppa"];
pub(crate) const IGNORED: &[&str] = &[
    "refresh",
    "refresh_db",
    "aptkey",
    "consolidate",
    "allow_insecure_key",
    "gpgautoimport",
    "keyserver",
    "key_url",
    "file",
    "dist",
    "comps",
];

const LIST: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";
const KEY_LIMIT: usize = 1 << 20;

fn family<'a>(call: &Call<'a>) -> &'a str {
    call.context.minion.grains.get("os_family").and_then(Value::as_str).unwrap_or_default()
}

/// `pkgrepo.managed` as the machine's family has repositories.
pub(crate) fn managed(call: &Call<'_>) -> Return {
    match family(call) {
        "RedHat" | "Suse" => perform::<pkgrepo_rpm::Managed>(call),
        "Alpine" => perform::<Editing<pkgrepo_apk::Managed>>(call),
        _ => perform::<Managed>(call),
    }
}

/// `pkgrepo.absent` likewise.
pub(crate) fn absent(call: &Call<'_>) -> Return {
    match family(call) {
        "RedHat" | "Suse" => perform::<pkgrepo_rpm::Absent>(call),
        "Alpine" => perform::<Editing<pkgrepo_apk::Absent>>(call),
        _ => perform::<Absent>(call),
    }
}

/// A key and where it is to be.
pub(crate) struct Key {
    path: String,
    bytes: Vec<u8>,
}

/// The declaration.
pub(crate) struct Want {
    name: String,
    repo: Repo,
    file: String,
    clean: bool,
    key: Option<Key>,
}

/// All files of apt's sources.
pub(crate) struct Observed {
    files: Vec<TextFile>,
    /// The key is there as asked.
    key: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    write: Vec<(TextFile, String)>,
    key: bool,
}

fn refused(args: &Args<'_>) -> Result<(), Failure> {
    args.refuse("ppa", "give the whole line of the repository, and its key")?;
    args.refuse("keyid", "a key server is not asked; give `key_url` (salt://… or a path) or `key_text`")?;
    args.refuse("keyserver", "a key server is not asked; give `key_url` (salt://… or a path) or `key_text`")
}

fn repo(name: &str) -> Result<Repo, Failure> {
    let line = one_line("name", name.trim().to_owned())?;
    let repo = Repo::parse(&line).filter(|r| !r.disabled);
    repo.ok_or_else(|| {
        Failure::declaration(format!(
            "{name:?} is no line of sources.list(5), such as `deb http://… suite main`"
        ))
    })
}

/// Words of a list or of one text with commas.
fn words(key: &str, args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let list = args.list(key)?.unwrap_or_default();
    Ok(list
        .iter()
        .flat_map(|w| w.split(','))
        .map(|w| w.trim().to_owned())
        .filter(|w| !w.is_empty())
        .collect())
}

fn disabled(args: &Args<'_>) -> Result<bool, Failure> {
    match (args.maybe_flag("enabled")?, args.maybe_flag("disabled")?) {
        (Some(_), Some(_)) => Err(Failure::declaration("only one of enabled, disabled can be given")),
        (Some(enabled), None) => Ok(!enabled),
        (None, disabled) => Ok(disabled.unwrap_or(false)),
    }
}

fn wanted(args: &Args<'_>, call: &Call<'_>) -> Result<Repo, Failure> {
    let mut repo = repo(&call.chunk.name)?;
    if let Some(suite) = args.text("dist")? {
        repo.suite = suite;
    }
    for comp in words("comps", args)? {
        if !repo.comps.contains(&comp) {
            repo.comps.push(comp);
        }
    }
    let architectures = words("architectures", args)?;
    let extra = [
        (!architectures.is_empty()).then(|| ("arch".to_owned(), architectures.join(","))),
        args.text("signedby")?.map(|path| ("signed-by".to_owned(), path)),
    ];
    for (key, value) in extra.into_iter().flatten() {
        repo.options.retain(|(k, _)| *k != key);
        repo.options.push((key, value));
    }
    repo.disabled = disabled(args)?;
    if let Some(Value::List(lines)) = args.get("comments") {
        let texts: Option<Vec<String>> = lines.iter().map(scalar).collect();
        repo.comment = one_line("comments", texts.unwrap_or_default().join(" "))?;
    }
    Ok(repo)
}

/// The key of `key_url` or `key_text`: in the file that the repository names, else among those that apt trusts.
fn key(args: &Args<'_>, repo: &Repo, call: &Call<'_>) -> Result<Option<Key>, Failure> {
    let (bytes, base) = match (args.text("key_url")?, args.text("key_text")?) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Failure::declaration("only one of key_url, key_text can be given"));
        }
        (None, Some(text)) => (text.into_bytes(), "mayfly.asc".to_owned()),
        (Some(url), None) => {
            let ready = Source::file(url.clone()).ready(None, &Check::default(), call)?;
            let bytes = ready.and_then(|r| r.content.into_bytes()).filter(|b| b.len() <= KEY_LIMIT);
            let bytes =
                bytes.ok_or_else(|| Failure::declaration(format!("{} is no key", redact::url(&url))))?;
            (bytes, file_name(&url).to_owned())
        }
    };
    let path = match repo.option("signed-by") {
        Some(path) => path.to_owned(),
        None => format!("/etc/apt/trusted.gpg.d/{base}"),
    };
    let armored = path.ends_with(".asc");
    let bytes = if armored { bytes } else { dearmor(&bytes)? };
    Ok(Some(Key { path, bytes }))
}

/// What the file is called where it comes from.
fn file_name(url: &str) -> &str {
    let path = if is_remote(url) { path_of(url) } else { url };
    path.rsplit('/').next().unwrap_or_default()
}

/// A key as apt wants it in a file that does not end with `.asc`: without its armour.
fn dearmor(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|t| t.trim_start().starts_with("-----BEGIN PGP"))
    else {
        return Ok(bytes.to_vec());
    };
    // Headers end with an empty line; a line that begins with `=` is the checksum.
    let lines = text.trim().lines().skip(1).map(str::trim).take_while(|l| !l.starts_with("-----END"));
    let has_gap = lines.clone().any(str::is_empty);
    let body =
        lines.skip_while(|l| has_gap && !l.is_empty()).filter(|l| !l.is_empty() && !l.starts_with('='));
    let joined: String = body.collect();
    let broken = |_| Failure::declaration("the key's armour is broken");
    base64::engine::general_purpose::STANDARD.decode(joined).map_err(broken)
}

/// sources.list and all of sources.list.d that apt reads, and the file that is named.
fn files(named: Option<&str>, call: &Call<'_>) -> Result<Vec<TextFile>, Failure> {
    let mut names = vec![LIST.to_owned()];
    let parts = call.context.host.path(PARTS);
    if fsys::stat(&parts)?.kind == Kind::Directory {
        for (path, stat) in fsys::walk(&parts)? {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let reads = path.parent() == Some(parts.as_path())
                && (name.ends_with(".list") || name.ends_with(".sources"));
            if reads && matches!(stat.kind, Kind::File | Kind::Symlink) {
                names.push(format!("{PARTS}/{name}"));
            }
        }
    }
    names.extend(named.filter(|n| !names.iter().any(|o| o == n)).map(str::to_owned));
    names.iter().map(|n| Ok(TextFile::read(n, roots(0o644), call)?.with_parents(roots(0o755)))).collect()
}

/// `pkgrepo.managed`.
pub(crate) struct Managed;

impl StateFn for Managed {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        refused(args)?;
        let repo = wanted(args, call)?;
        let file = args.text("file")?.unwrap_or_else(|| LIST.to_owned());
        let clean = args.flag("clean_file", false)?;
        Ok(Want { key: key(args, &repo, call)?, name: call.chunk.name.clone(), repo, file, clean })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let key = match &want.key {
            None => true,
            Some(key) => {
                let path = place(&key.path, call)?.path;
                let there = fsys::stat(&path)?.kind == Kind::File;
                there && fsys::read(&path, KEY_LIMIT)?.bytes() == Some(&key.bytes)
            }
        };
        Ok(Observed { files: files(Some(&want.file), call)?, key })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let mut changes = Map::new();
        let found = now.files.iter().find(|f| holds(f, &want.repo));
        let write = match found {
            Some(file) if want.clean && file.name == want.file => cleaned(want, file, &mut changes),
            Some(file) => replaced(want, file, &mut changes),
            None => added(want, now, &mut changes),
        };
        if let (Some(key), false) = (&want.key, now.key) {
            changes.insert("key".to_owned(), Value::Str(key.path.clone()));
        }
        if changes.is_empty() {
            return Diff::Same(format!("Package repo '{}' already configured", want.name));
        }
        let would = format!("Package repo '{}' would be configured", want.name);
        Diff::Change { plan: Plan { write: write.into_iter().collect(), key: !now.key }, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        // The key first: a repository without it would break every fetch until the next run.
        if let (Some(key), true) = (&want.key, plan.key) {
            let path = place(&key.path, call)?.path;
            path.parent().map_or(Ok(()), |dir| fsys::make_dirs(dir, roots(0o755)))?;
            fsys::replace(&path, &key.bytes, roots(0o644))?;
        }
        for (file, text) in &plan.write {
            file.write(text)?;
        }
        // What was fetched does not have it yet.
        call.facts.refreshed.set(false);
        Ok(Applied::done(format!("Configured package repo '{}'", want.name)))
    }
}

fn holds(file: &TextFile, repo: &Repo) -> bool {
    Sources::parse(&file.name, &file.text).repos().iter().any(|r| r.same_place(repo))
}

fn pair(old: Value, new: Value) -> Value {
    Value::Map(Map::from([("new".to_owned(), new), ("old".to_owned(), old)]))
}

fn note(old: &Repo, new: &Repo, changes: &mut Map) {
    let text = |s: String| Value::Str(s);
    let list = |l: &[String]| Value::List(l.iter().cloned().map(Value::Str).collect());
    if old.comps != new.comps {
        changes.insert("comps".to_owned(), pair(list(&old.comps), list(&new.comps)));
    }
    if old.disabled != new.disabled {
        changes.insert("disabled".to_owned(), pair(Value::Bool(old.disabled), Value::Bool(new.disabled)));
    }
    changes.insert("line".to_owned(), pair(text(old.line()), text(new.line())));
}

fn replaced(want: &Want, file: &TextFile, changes: &mut Map) -> Option<(TextFile, String)> {
    let mut sources = Sources::parse(&file.name, &file.text);
    let old = sources.repos().into_iter().find(|r| r.same_place(&want.repo))?;
    if old.same(&want.repo) {
        return None;
    }
    sources.replace(&want.repo);
    note(&old, &want.repo, changes);
    Some((file.clone(), sources.render()))
}

/// The file with this repository alone.
fn cleaned(want: &Want, file: &TextFile, changes: &mut Map) -> Option<(TextFile, String)> {
    let repos = Sources::parse(&file.name, &file.text).repos();
    if let [one] = repos.as_slice()
        && one.same(&want.repo)
    {
        return None;
    }
    let mut sources = Sources::parse(&file.name, "");
    sources.add(&want.repo);
    let old = Value::Str(file.text.clone());
    changes.insert("line".to_owned(), pair(old, Value::Str(want.repo.line())));
    Some((file.clone(), sources.render()))
}

fn added(want: &Want, now: &Observed, changes: &mut Map) -> Option<(TextFile, String)> {
    let file = now.files.iter().find(|f| f.name == want.file)?;
    let before = if want.clean { "" } else { &file.text };
    let mut sources = Sources::parse(&file.name, before);
    sources.add(&want.repo);
    changes.insert("repo".to_owned(), Value::Str(want.name.clone()));
    Some((file.clone(), sources.render()))
}

/// `pkgrepo.absent`.
pub(crate) struct Absent;

impl StateFn for Absent {
    type Want = (String, Repo);
    type Observed = Vec<TextFile>;
    type Plan = Vec<(TextFile, String)>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        refused(args)?;
        Ok((call.chunk.name.clone(), repo(&call.chunk.name)?))
    }

    fn observe(_: &Self::Want, call: &Call<'_>) -> Result<Vec<TextFile>, Failure> {
        files(None, call)
    }

    fn diff((name, repo): &Self::Want, now: &Vec<TextFile>) -> Diff<Self::Plan> {
        let active = |file: &&TextFile| {
            let repos = Sources::parse(&file.name, &file.text).repos();
            repos.iter().any(|r| r.same_place(repo) && !r.disabled)
        };
        let plan: Self::Plan = now.iter().filter(active).map(|f| (f.clone(), less(f, repo))).collect();
        if plan.is_empty() {
            return Diff::Same(format!("Package repo {name} is absent"));
        }
        let changes = Map::from([("repo".to_owned(), Value::Str(name.clone()))]);
        Diff::Change { plan, changes, would: format!("Package repo {name} would be removed") }
    }

    fn apply((name, _): &Self::Want, plan: Self::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        for (file, text) in &plan {
            // A file of its own that has nothing left goes.
            match text.trim().is_empty() && file.name.starts_with(PARTS) {
                true => fsys::remove(&place(&file.name, call)?.path)?,
                false => file.write(text)?,
            }
        }
        call.facts.refreshed.set(false);
        Ok(Applied::done(format!("Removed repo {name}")))
    }
}

fn less(file: &TextFile, repo: &Repo) -> String {
    let mut sources = Sources::parse(&file.name, &file.text);
    sources.remove(repo);
    sources.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lose_their_armour() {
        let armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\naGVs\nbG8=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(dearmor(armoured).unwrap(), b"hello");
        let bare = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVsbG8=\n-----END PGP PUBLIC KEY BLOCK-----";
        assert_eq!(dearmor(bare).unwrap(), b"hello");
        assert_eq!(dearmor(b"\x99raw").unwrap(), b"\x99raw");
        assert!(dearmor(b"-----BEGIN PGP X-----\n\n***\n-----END").is_err());
    }
}
