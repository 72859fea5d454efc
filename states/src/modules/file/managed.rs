//! `file.managed`: a regular file with this content, owner and mode, replaced whole or not at all.

use std::path::PathBuf;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Content, Kind, Owner, Staged, Stat};
use crate::host::Command;
use crate::modules::args::{Args, scalar};
use crate::modules::cmd::{self, DEFAULT_SHELL};
use crate::modules::file::difference::{self, KEEP};
use crate::modules::file::source::{self, Ready, Source};
use crate::modules::file::{self, Ids, Place, Wish};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "source_hash",
    "source_hash_name",
    "source_hash_sig",
    "signature",
    "skip_verify",
    "use_etag",
    "contents",
    "contents_pillar",
    "contents_grains",
    "contents_newline",
    "contents_delimiter",
    "template",
    "context",
    "defaults",
    "user",
    "group",
    "mode",
    "makedirs",
    "dir_mode",
    "replace",
    "create",
    "backup",
    "show_changes",
    "allow_empty",
    "follow_symlinks",
    "new_file_diff",
];
pub(crate) const IGNORED: &[&str] = &[
    "keep_source",
    "tmp_dir",
    "tmp_ext",
    "show_diff",
    "verify_ssl",
    "selinux",
    "attrs",
    "encoding",
    "encoding_errors",
];

/// The declaration.
#[derive(Clone)]
pub(crate) struct Want {
    place: Place,
    source: Source,
    check_source: source::Check,
    /// In test mode Salt has another key for a new file.
    rehearsal: bool,
    /// `Some`: render with these variables.
    template: Option<Map>,
    wish: Wish,
    /// `mode: keep`.
    keep_mode: bool,
    /// Mode of directories made by `makedirs`; `None`: none are made.
    makedirs: Option<u32>,
    replace: bool,
    create: bool,
    backup: bool,
    hidden: bool,
    new_file_diff: bool,
    follow: Option<bool>,
    check: Vec<String>,
}

impl Want {
    /// From the arguments; where the content comes from, and whether it is a secret, is known already.
    pub(crate) fn read(
        args: &Args<'_>,
        source: Source,
        secret: bool,
        call: &Call<'_>,
    ) -> Result<Self, Failure> {
        let keep_mode = args.get("mode").and_then(Value::as_str) == Some("keep");
        let wish = match keep_mode {
            true => Wish { mode: None, user: args.text("user")?, group: args.text("group")? },
            false => Wish::read(args, "mode")?,
        };
        let dir_mode = args.mode("dir_mode")?.unwrap_or_else(|| file::dir_mode_for(wish.mode));
        Ok(Self {
            place: Place::of(call)?,
            source,
            check_source: source::Check::read(args)?,
            rehearsal: call.test,
            template: template(args, call)?,
            keep_mode,
            makedirs: args.flag("makedirs", false)?.then_some(dir_mode),
            wish,
            replace: args.flag("replace", true)?,
            create: args.flag("create", true)?,
            backup: backup(args)?,
            hidden: secret || !args.flag("show_changes", true)?,
            new_file_diff: args.flag("new_file_diff", false)?,
            follow: args.maybe_flag("follow_symlinks")?,
            check: args.list("check_cmd")?.unwrap_or_default(),
        })
    }
}

impl Want {
    /// The same for another file.
    pub(crate) fn of_file(&self, place: Place, source: String) -> Self {
        Self { place, source: Source::file(source), ..self.clone() }
    }
}

/// The file as it is, and the content it should have.
pub(crate) struct Observed {
    target: PathBuf,
    now: Stat,
    current: Option<Content>,
    ready: Option<Ready>,
    ids: Ids,
    parent: bool,
    /// The group that a new file has from the directory.
    inherited: Option<u32>,
}

impl Observed {
    /// The same where the directory above may be about to be made.
    pub(crate) fn below_made(self, made: bool) -> Self {
        Self { parent: self.parent || made, ..self }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    target: PathBuf,
    /// `None`: only owner and mode.
    write: Option<Ready>,
    owner: Owner,
    parents: Option<Owner>,
    backup: bool,
}

/// `file.managed`.
pub(crate) struct Managed;

impl StateFn for Managed {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let secret = args.get("contents_pillar").is_some();
        Want::read(args, Source::read(args, call)?, secret, call)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let target = want.place.target(want.follow == Some(true), call)?;
        let now = fsys::stat(&target)?;
        let leave = now.kind == Kind::File && !want.replace;
        let (ready, current) = if leave { (None, None) } else { contents(want, &target, &now, call)? };
        Ok(Observed {
            parent: now.kind != Kind::Missing || file::parent_exists(&target)?,
            inherited: if now.kind == Kind::File { None } else { file::inherited(&target)? },
            ids: want.wish.ids(call)?,
            target,
            now,
            current,
            ready,
        })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        match observed.now.kind {
            Kind::File => existing(want, observed),
            Kind::Missing => missing(want, observed),
            Kind::Symlink if want.follow == Some(false) => missing(want, observed),
            Kind::Symlink => Diff::Refuse(format!(
                "{} is a symbolic link; it is left as it is. Manage the file it points to, or set follow_symlinks: \
                 true to write through it, or false to replace it",
                want.place.name
            )),
            kind => Diff::Refuse(file::odd(&want.place, kind, "a regular file")),
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let Some(ready) = &plan.write else {
            file::dress(&plan.target, &plan.owner)?;
            return Ok(Applied::done(format!("Owner or mode of {} set", want.place.name)));
        };
        if let Some(owner) = plan.parents {
            file::make_parents(&plan.target, owner)?;
        }
        let staged = stage(&plan, ready)?;
        if let Some(why) = refused(want, &staged, call)? {
            return Ok(Applied { comment: why, changes: Some(Map::new()), failed: true });
        }
        if plan.backup {
            file::keep_copy(&want.place, &plan.target, call)?;
        }
        staged.place()?;
        Ok(Applied::done(format!("File {} written", want.place.name)))
    }
}

/// The variables of `template`; `None` where the content is taken as it is.
pub(crate) fn template(args: &Args<'_>, call: &Call<'_>) -> Result<Option<Map>, Failure> {
    let Some(engine) = args.text("template")? else { return Ok(None) };
    if engine != "jinja" {
        return Err(Failure::declaration(format!("`template: {engine}` is not supported; jinja is")));
    }
    let mut variables = told(args, call);
    variables.extend(args.map("defaults")?.unwrap_or_default());
    variables.extend(args.map("context")?.unwrap_or_default());
    if let Some(charged) = call.facts.accumulators.borrow().of_file(&call.chunk.name) {
        variables.insert("accumulator".to_owned(), charged);
    }
    Ok(Some(variables))
}

/// What a template knows of its own file: where it goes and to whom, and each argument that no state has.
fn told(args: &Args<'_>, call: &Call<'_>) -> Map {
    let mut variables = Map::from([("name".to_owned(), Value::Str(call.chunk.name.clone()))]);
    for key in ["user", "group", "mode", "attrs"] {
        variables.insert(key.to_owned(), args.get(key).cloned().unwrap_or(Value::Null));
    }
    let own = |key: &str| ARGS.contains(&key) || IGNORED.contains(&key) || crate::modules::is_common(key);
    for (key, value) in call.chunk.args.iter().filter(|(key, _)| !own(key)) {
        variables.insert(key.clone(), value.clone());
    }
    variables
}

fn backup(args: &Args<'_>) -> Result<bool, Failure> {
    match args.get("backup") {
        None | Some(Value::Bool(false)) => Ok(false),
        Some(Value::Str(s)) if s.is_empty() => Ok(false),
        Some(Value::Str(s)) if s == "minion" => Ok(true),
        Some(other) => {
            let other = scalar(other).unwrap_or_default();
            Err(Failure::declaration(format!("`backup` must be minion, but is {other}")))
        }
    }
}

/// The content as it should be and as it is. A source on another machine is not asked for what is here already.
fn contents(
    want: &Want,
    target: &std::path::Path,
    now: &Stat,
    call: &Call<'_>,
) -> Result<(Option<Ready>, Option<Content>), Failure> {
    if now.kind == Kind::File
        && want.template.is_none()
        && let Some(content) = want.source.standing(target, &want.check_source, call)?
    {
        let ready = Ready { content: content.clone(), file: None, mode: None, held: None };
        return Ok((Some(ready), Some(content)));
    }
    let ready = want.source.ready(want.template.as_ref(), &want.check_source, call)?;
    let current = current(target, now, ready.as_ref())?;
    Ok((ready, current))
}

/// The content as it is, unless there is nothing to compare it with or its size alone tells.
fn current(target: &std::path::Path, now: &Stat, ready: Option<&Ready>) -> Result<Option<Content>, Failure> {
    let Some(ready) = ready.filter(|_| now.kind == Kind::File) else { return Ok(None) };
    if now.len != ready.content.len() && now.len > KEEP as u64 {
        return Ok(Some(Content::Digest { sha256: String::new(), len: now.len }));
    }
    Ok(Some(fsys::read_seen(target, now, KEEP)?))
}

fn mode(want: &Want, observed: &Observed) -> Option<u32> {
    let source = observed.ready.as_ref().and_then(|r| r.mode);
    if want.keep_mode { source } else { want.wish.mode }
}

fn existing(want: &Want, observed: &Observed) -> Diff<Plan> {
    let mut changes = Map::new();
    let differs = match (&observed.current, &observed.ready) {
        (Some(current), Some(ready)) if !current.is_same(&ready.content) => {
            let diff = match want.hidden {
                true => "<hidden>".to_owned(),
                false => difference::describe(current, &ready.content),
            };
            changes.insert("diff".to_owned(), Value::Str(diff));
            true
        }
        _ => false,
    };
    let owner = observed.ids.over(&observed.now, mode(want, observed));
    file::dress_changes(&observed.now, &owner, &want.wish, &mut changes);
    if changes.is_empty() {
        return Diff::Same(format!("File {} is as asked", want.place.name));
    }
    let write = observed.ready.clone().filter(|_| differs);
    let plan =
        Plan { target: observed.target.clone(), backup: want.backup && differs, write, owner, parents: None };
    Diff::Change { plan, changes, would: format!("File {} would be changed", want.place.name) }
}

fn missing(want: &Want, observed: &Observed) -> Diff<Plan> {
    if !want.create {
        return Diff::Same(format!("File {} is not there, and create is false", want.place.name));
    }
    if !observed.parent && want.makedirs.is_none() {
        return Diff::Refuse(format!(
            "the directory of {} is not there; set makedirs: true, or make it with file.directory",
            want.place.name
        ));
    }
    let parents = want.makedirs.filter(|_| !observed.parent).map(|mode| observed.ids.fresh(mode));
    let ids = Ids { gid: observed.ids.gid.or(observed.inherited), ..observed.ids };
    let owner = ids.fresh(mode(want, observed).unwrap_or(0o644));
    let empty = || Ready::made(Vec::new());
    let ready = observed.ready.clone().unwrap_or_else(empty);
    let changes = created(want, observed, &ready, &owner);
    let plan = Plan { target: observed.target.clone(), write: Some(ready), owner, parents, backup: false };
    Diff::Change { plan, changes, would: format!("File {} would be created", want.place.name) }
}

/// What a new file is told as, by Salt's keys.
fn created(want: &Want, observed: &Observed, ready: &Ready, owner: &Owner) -> Map {
    if want.rehearsal && !want.new_file_diff {
        return Map::from([("newfile".to_owned(), Value::Str(want.place.name.clone()))]);
    }
    let mut changes = match (want.rehearsal, &want.source) {
        (false, Source::None) => {
            Map::from([("new".to_owned(), Value::Str(format!("file {} created", want.place.name)))])
        }
        _ => Map::from([("diff".to_owned(), Value::Str(new_file(want, ready)))]),
    };
    if want.rehearsal {
        return changes;
    }
    // Such a file is its owner's alone until the mode is set; where none is asked, text is written with the default.
    let asked = want.keep_mode || want.wish.mode.is_some() || matches!(want.source, Source::Files(_));
    let born = Ids { gid: observed.inherited, ..Ids::default() };
    let own = born.fresh(if asked { 0o600 } else { owner.mode });
    let now = Stat { mode: own.mode, uid: own.uid, gid: own.gid, ..observed.now };
    file::dress_changes(&now, owner, &want.wish, &mut changes);
    changes
}

fn new_file(want: &Want, ready: &Ready) -> String {
    match want.new_file_diff && !want.hidden {
        true => difference::describe(&Content::of(Vec::new()), &ready.content),
        false => "New file".to_owned(),
    }
}

/// Write the new file beside the old one.
fn stage(plan: &Plan, ready: &Ready) -> Result<Staged, Failure> {
    let staged = match (&ready.file, ready.content.bytes()) {
        (Some(path), _) => Staged::write(&plan.target, &mut fsys::open(path)?, plan.owner)?,
        (None, Some(bytes)) => Staged::write(&plan.target, &mut &*bytes, plan.owner)?,
        (None, None) => return Err(Failure::machine("the content was not kept")),
    };
    match staged.sha256 == ready.content.sha256() {
        true => Ok(staged),
        false => Err(Failure::machine("the source changed while it was copied; run again")),
    }
}

/// Ask `check_cmd` about the new file before it is put in place; `Some` says why not.
fn refused(want: &Want, staged: &Staged, call: &Call<'_>) -> Result<Option<String>, Failure> {
    for line in &want.check {
        // A temporary name has no characters that a shell would read otherwise, and the directory is quoted.
        let path = staged.path().to_string_lossy().replace('\'', r"'\''");
        let output = call.context.host.run(&Command::shell(DEFAULT_SHELL, &format!("{line} '{path}'")))?;
        if output.code != 0 {
            let words = if want.hidden { String::new() } else { cmd::last_words(&output) };
            let name = &want.place.name;
            return Ok(Some(format!(
                "{name} is left as it is: check_cmd `{line}` ended with exit code {} for the new content{words}",
                output.code
            )));
        }
    }
    Ok(None)
}
