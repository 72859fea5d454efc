//! `archive.extracted`: what is in a tar or zip archive is in a directory.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::archive_file::{self, Archive, Format, stripped, tops};
use crate::modules::args::Args;
use crate::modules::file::source::Check;
use crate::modules::file::{Ids, Wish, directory};
use crate::modules::textfile::{place, roots};
use crate::redact;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "source_hash",
    "source_hash_name",
    "source_hash_sig",
    "signature",
    "source_hash_update",
    "skip_verify",
    "use_etag",
    "archive_format",
    "options",
    "user",
    "group",
    "if_missing",
    "overwrite",
    "clean",
    "enforce_toplevel",
    "trim_output",
    "force",
    "password",
];
pub(crate) const IGNORED: &[&str] = &[
    "skip_files_list_verify",
    "list_options",
    "keep",
    "keep_source",
    "use_cmd_unzip",
    "extract_perms",
    "enforce_ownership_on",
    "tar_options",
    "zip_options",
];

/// Says that a directory was being filled: what is in it may be torn.
const MARKS: &str = "/var/cache/mayfly/extracting";

/// Says of which archive a directory was filled.
const RECORDS: &str = "/var/cache/mayfly/extracted";

/// The declaration.
pub(crate) struct Want {
    /// As the tree names it, with a slash at its end.
    name: String,
    path: PathBuf,
    source: String,
    check: Check,
    /// Another archive of the same name is extracted over what is there.
    update: bool,
    format: Format,
    options: Vec<String>,
    wish: Wish,
    if_missing: Option<PathBuf>,
    overwrite: bool,
    clean: bool,
    toplevel: bool,
    trim: Option<usize>,
    force: bool,
}

/// The archive at hand and the directory as it stands.
pub(crate) struct Observed {
    archive: Option<Archive>,
    /// What is missing of it.
    missing: Vec<String>,
    /// Something else stands where it would be.
    wrong: Option<String>,
    there: bool,
    torn: bool,
    /// What is there is not known to be of this archive.
    stale: bool,
    /// What belongs to somebody else.
    strange: Vec<PathBuf>,
    ids: Ids,
}

/// What is to be done.
pub(crate) struct Plan {
    /// `None`: only owners.
    extract: Option<Archive>,
    ids: Ids,
    strange: Vec<PathBuf>,
    files: Vec<String>,
}

fn format(args: &Args<'_>, source: &str) -> Result<Format, Failure> {
    match args.text("archive_format")?.as_deref() {
        Some("tar") => Ok(Format::Tar),
        Some("zip") => Ok(Format::Zip),
        Some(other) => {
            Err(Failure::declaration(format!("`archive_format: {other}` is not supported; tar and zip are")))
        }
        None => archive_file::format_of(source).ok_or_else(|| {
            let shown = redact::url(source);
            Failure::declaration(format!("{shown} does not say its kind; give `archive_format`"))
        }),
    }
}

fn options(args: &Args<'_>, format: Format) -> Result<Vec<String>, Failure> {
    let Some(text) = args.text("options")? else { return Ok(Vec::new()) };
    let bad = |_| Failure::declaration("`options` cannot be split into words");
    let words = shell_words::split(&text).map_err(bad)?;
    // What would run programs or write elsewhere is the tree's own business with cmd.run.
    let odd = [
        "to-command",
        "checkpoint-action",
        "use-compress-program",
        "absolute-names",
        "directory",
        "-P",
        "-C",
        "-I",
    ];
    if let Some(word) = words.iter().find(|w| odd.iter().any(|o| w.trim_start_matches("--").starts_with(o))) {
        return Err(Failure::declaration(format!("`options` cannot have {word}")));
    }
    let dashed = |w: String| match (w.starts_with('-'), format, w.len() > 1 && w.contains('-')) {
        (true, ..) => Some(w),
        (false, Format::Tar, true) => Some(format!("--{w}")),
        // Bundles of letters such as `xzf` or `v` of old trees: tar finds out by itself.
        (false, Format::Tar, false) => None,
        (false, Format::Zip, _) => Some(w),
    };
    Ok(words.into_iter().filter_map(dashed).collect())
}

fn trim(args: &Args<'_>) -> Result<Option<usize>, Failure> {
    match args.get("trim_output") {
        Some(Value::Bool(true)) => Ok(Some(100)),
        None | Some(Value::Bool(false)) => Ok(None),
        Some(_) => Ok(args.number("trim_output")?.map(|n| n as usize)),
    }
}

/// `archive.extracted`.
pub(crate) struct Extracted;

impl StateFn for Extracted {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("password", "it would be seen in the process list")?;
        let source = args.text("source")?.ok_or_else(|| Failure::declaration("`source` is needed"))?;
        let name = format!("{}/", call.chunk.name.trim_end_matches('/'));
        let path = place(&call.chunk.name, call)?.path;
        if name == "/" {
            return Err(Failure::declaration("nothing is extracted to /"));
        }
        let format = format(args, &source)?;
        let missing =
            args.text("if_missing")?.map(|p| Ok::<_, Failure>(place(&p, call)?.path)).transpose()?;
        Ok(Want {
            options: options(args, format)?,
            check: Check::read(args)?.keeping(),
            update: args.flag("source_hash_update", false)? && args.get("source_hash").is_some(),
            wish: Wish { user: args.text("user")?, group: args.text("group")?, mode: None },
            if_missing: missing,
            overwrite: args.flag("overwrite", false)?,
            clean: args.flag("clean", false)?,
            toplevel: args.flag("enforce_toplevel", true)?,
            trim: trim(args)?,
            force: args.flag("force", false)?,
            name,
            path,
            source,
            format,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let there = fsys::stat(&want.path)?.kind;
        let torn = fsys::stat(&mark(want, call))?.kind != Kind::Missing;
        let mut now = Observed {
            archive: None,
            missing: Vec::new(),
            wrong: None,
            there: there != Kind::Missing,
            torn,
            stale: false,
            strange: Vec::new(),
            ids: want.wish.ids(call)?,
        };
        if !matches!(there, Kind::Missing | Kind::Directory | Kind::Symlink) {
            now.wrong = Some(format!("{} is {there}, not a directory; it is left as it is", want.name));
            return Ok(now);
        }
        if let Some(path) = &want.if_missing
            && path.exists()
            && !torn
        {
            return Ok(now);
        }
        let archive =
            archive_file::open(&want.source, &want.check, want.format, stripped(&want.options), call)?;
        compare(want, &archive, &mut now)?;
        now.stale = want.update && recorded(want, call)? != archive.file.sha256()?;
        now.archive = Some(archive);
        Ok(now)
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        if let Some(why) = &now.wrong {
            return Diff::Refuse(why.clone());
        }
        let Some(archive) = &now.archive else {
            return Diff::Same(format!("{} is there already", want.name));
        };
        let mut changes = Map::new();
        let extract = !now.missing.is_empty() || now.torn || now.stale || want.overwrite;
        let shown = &archive.entries[..want.trim.unwrap_or(usize::MAX).min(archive.entries.len())];
        if extract && !now.there {
            changes.insert("directories_created".to_owned(), list(std::slice::from_ref(&want.name)));
        }
        if extract {
            changes.insert("extracted_files".to_owned(), list(shown));
        }
        if !now.strange.is_empty() || (extract && now.ids != Ids::default()) {
            changes.insert("updated ownership".to_owned(), Value::Bool(true));
        }
        if changes.is_empty() {
            return Diff::Same(format!("All files in archive are already present in {}", want.name));
        }
        let plan = Plan {
            extract: extract.then(|| archive.clone()),
            ids: now.ids,
            strange: now.strange.clone(),
            files: archive.entries.clone(),
        };
        Diff::Change {
            plan,
            changes,
            would: format!("{} would be extracted to {}", redact::url(&want.source), want.name),
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if let Some(archive) = &plan.extract {
            extract(want, archive, call)?;
            own_all(want, &plan)?;
            if want.update {
                record(want, &archive.file.sha256()?, call)?;
            }
            fsys::remove(&mark(want, call))?;
            return Ok(Applied::done(format!("{} extracted to {}", redact::url(&want.source), want.name)));
        }
        for path in &plan.strange {
            own(&want.path, path, plan.ids)?;
        }
        Ok(Applied::done(format!("The owners of {} were set", want.name)))
    }
}

fn list(items: &[String]) -> Value {
    Value::List(items.iter().cloned().map(Value::Str).collect())
}

fn mark(want: &Want, call: &Call<'_>) -> PathBuf {
    call.context.host.path(MARKS).join(hex::encode(Sha256::digest(&want.name)))
}

/// Where the digest of the archive is kept that a directory was filled from. Several archives may fill one.
fn record_of(want: &Want, call: &Call<'_>) -> PathBuf {
    let both = format!("{}\n{}", want.name, want.source);
    call.context.host.path(RECORDS).join(hex::encode(Sha256::digest(both)))
}

fn recorded(want: &Want, call: &Call<'_>) -> Result<String, Failure> {
    let path = record_of(want, call);
    match fsys::stat(&path)?.kind {
        Kind::Missing => Ok(String::new()),
        _ => Ok(fsys::read_text(&path, 1024)?.trim().to_owned()),
    }
}

fn record(want: &Want, sha256: &str, call: &Call<'_>) -> Result<(), Failure> {
    let path = record_of(want, call);
    path.parent().map_or(Ok(()), |dir| fsys::make_dirs(dir, roots(0o700)))?;
    Ok(fsys::replace(&path, format!("{sha256}\n").as_bytes(), roots(0o600))?)
}

fn compare(want: &Want, archive: &Archive, now: &mut Observed) -> Result<(), Failure> {
    let (dirs, files) = tops(&archive.entries);
    if want.toplevel && (dirs.len() > 1 || files) {
        now.wrong = Some(
            "Archive does not have a single top-level directory; `enforce_toplevel: False` allows that"
                .to_owned(),
        );
        return Ok(());
    }
    if let Some(out) = leads_out(want, &archive.entries)? {
        now.wrong = Some(format!("{} leads out of {} by a link; nothing is extracted there", out, want.name));
        return Ok(());
    }
    for entry in &archive.entries {
        let path = want.path.join(entry.trim_end_matches('/'));
        let stat = fsys::stat(&path).map_or(fsys::Kind::Missing, |s| s.kind);
        let wrong = entry.ends_with('/') != (stat == Kind::Directory) && stat != Kind::Symlink;
        match stat {
            Kind::Missing => now.missing.push(entry.clone()),
            _ if wrong && !(want.force || want.overwrite || want.clean) => {
                now.wrong = Some(format!("{} is {stat}; `force: True` would replace it", path.display()));
                return Ok(());
            }
            _ if wrong => now.missing.push(entry.clone()),
            _ if strange(&path, now.ids)? => now.strange.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// An entry whose directory, as it is now, is not below the target: a link has been put on the way.
fn leads_out<'e>(want: &Want, entries: &'e [String]) -> Result<Option<&'e str>, Failure> {
    if fsys::stat(&want.path)?.kind == Kind::Missing {
        return Ok(None);
    }
    let top = fsys::canonical(&want.path)?;
    let mut seen = std::collections::HashSet::new();
    for entry in entries {
        let path = want.path.join(entry.trim_end_matches('/'));
        let there = path.ancestors().skip(1).find(|dir| dir.symlink_metadata().is_ok());
        let Some(there) = there.filter(|dir| seen.insert(dir.to_path_buf())) else { continue };
        if there != want.path && !fsys::canonical(there).is_ok_and(|real| real.starts_with(&top)) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn strange(path: &Path, ids: Ids) -> Result<bool, Failure> {
    let now = fsys::stat(path)?;
    Ok(ids.uid.is_some_and(|u| u != now.uid) || ids.gid.is_some_and(|g| g != now.gid))
}

/// By way of directories that cannot become links meanwhile.
fn own(top: &Path, path: &Path, ids: Ids) -> Result<(), Failure> {
    if fsys::stat(path)?.kind == Kind::Missing {
        return Ok(());
    }
    directory::below(top, path, |path| {
        let now = fsys::stat(path)?;
        fsys::set_owner(path, ids.uid.unwrap_or(now.uid), ids.gid.unwrap_or(now.gid))?;
        if matches!(now.kind, Kind::Symlink | Kind::Missing) {
            Ok(())
        } else {
            fsys::set_mode(path, now.mode)
        }
    })
}

fn own_all(want: &Want, plan: &Plan) -> Result<(), Failure> {
    if plan.ids == Ids::default() {
        return Ok(());
    }
    own(&want.path, &want.path, plan.ids)?;
    let below = |entry: &String| want.path.join(entry.trim_end_matches('/'));
    plan.files.iter().try_for_each(|entry| own(&want.path, &below(entry), plan.ids))
}

/// The mark stands while the directory is filled: a run that is killed leaves it, and the next one extracts anew.
fn extract(want: &Want, archive: &Archive, call: &Call<'_>) -> Result<(), Failure> {
    let mark = mark(want, call);
    mark.parent().map_or(Ok(()), |dir| fsys::make_dirs(dir, roots(0o700)))?;
    fsys::replace(&mark, want.name.as_bytes(), roots(0o600))?;
    if want.clean {
        for top in tops(&archive.entries).0 {
            directory::below(&want.path, &want.path.join(top), fsys::remove)?;
        }
    }
    for entry in archive.entries.iter().filter(|_| want.force || want.overwrite) {
        let path = want.path.join(entry.trim_end_matches('/'));
        let kind = fsys::stat(&path).map_or(Kind::Missing, |s| s.kind);
        if kind != Kind::Missing && entry.ends_with('/') != (kind == Kind::Directory) {
            directory::below(&want.path, &path, fsys::remove)?;
        }
    }
    fsys::make_dirs(&want.path, roots(0o755))?;
    archive_file::extract(&archive.file.path, want.format, &want.path, &want.options, call)
}
