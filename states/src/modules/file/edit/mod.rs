//! States that change a text file: the whole text is read, a pure function makes the new one, the file is replaced whole.

pub(crate) mod append;
pub(crate) mod block;
pub(crate) mod comment;
pub(crate) mod keyvalue;
pub(crate) mod line;
pub(crate) mod replace;
mod text;

use std::marker::PhantomData;
use std::path::PathBuf;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Content, Kind, Owner, Stat};
use crate::modules::args::{Args, joined, scalar};
use crate::modules::file::source::{self, Source};
use crate::modules::file::{self, Ids, Place, Wish, difference};
use crate::value::{Map, Value};

/// A longer file is not edited.
const LIMIT: usize = 16 << 20;

/// A state function that is a function from text to text.
pub(crate) trait TextEdit {
    /// What is to be done to the text.
    type Spec;

    /// Read the arguments.
    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Self::Spec), Failure>;
    /// The new text, or why there is none.
    fn edit(spec: &Self::Spec, text: &str) -> Result<String, String>;
}

/// What all editing states have in common.
pub(crate) struct Frame {
    place: Place,
    /// Write to the file that a link points to.
    follow: bool,
    missing: Missing,
    wish: Wish,
    backup: Backup,
    hidden: bool,
    rehearsed: Rehearsed,
}

/// What a file that is not there means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A failure.
    Refuse,
    /// Nothing is to be done.
    Ignore,
    /// The file begins empty; directories above it are made or not.
    Create { makedirs: bool },
}

/// Where the old file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backup {
    /// Nowhere.
    No,
    /// Beside the new one, under a name with this at its end.
    Beside(String),
    /// With the others.
    Kept,
}

/// The key that Salt uses in test mode, where it is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rehearsed {
    /// It is not.
    Alike,
    /// `new` for a file that would be made.
    New,
    /// The file's name.
    Named,
}

impl Frame {
    /// From the arguments that all have; the rest as most have it.
    pub(crate) fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        Ok(Self {
            place: Place::of(call)?,
            follow: args.flag("follow_symlinks", false)?,
            missing: Missing::Refuse,
            wish: Wish::default(),
            backup: Backup::No,
            hidden: !args.flag("show_changes", true)?,
            rehearsed: Rehearsed::Alike,
        })
    }

    fn backup(self, args: &Args<'_>) -> Result<Self, Failure> {
        let backup = match args.get("backup") {
            None => Backup::Beside(".bak".to_owned()),
            Some(Value::Bool(false)) => Backup::No,
            Some(given) => match scalar(given) {
                Some(end) if end.is_empty() => Backup::No,
                Some(end) if !end.contains('/') => Backup::Beside(end),
                _ => return Err(Failure::declaration("`backup` must be the end of a file name, or false")),
            },
        };
        Ok(Self { backup, ..self })
    }
}

/// The file as it is.
pub(crate) struct Observed {
    target: PathBuf,
    now: Stat,
    text: String,
    ids: Ids,
    parent: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    target: PathBuf,
    /// `None`: only owner and mode.
    write: Option<String>,
    owner: Owner,
    parents: bool,
    backup: Backup,
}

/// The state function of an edit.
pub(crate) struct Editing<E>(PhantomData<E>);

impl<E: TextEdit> StateFn for Editing<E> {
    type Want = (Frame, E::Spec);
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        E::read(args, call)
    }

    fn observe((frame, _): &Self::Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let target = frame.place.target(frame.follow, call)?;
        let now = fsys::stat(&target)?;
        let text = match now.kind {
            Kind::File => fsys::read_text(&target, LIMIT)?,
            _ => String::new(),
        };
        Ok(Observed { parent: file::parent_exists(&target)?, ids: frame.wish.ids(call)?, target, now, text })
    }

    fn diff((frame, spec): &Self::Want, observed: &Observed) -> Diff<Plan> {
        if let Some(decided) = odd(frame, observed) {
            return decided;
        }
        match E::edit(spec, &observed.text) {
            Err(why) => Diff::Refuse(format!("{}: {why}", frame.place.name)),
            Ok(new) => compare(frame, observed, new),
        }
    }

    fn apply((frame, _): &Self::Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let Some(text) = &plan.write else {
            file::dress(&plan.target, &plan.owner)?;
            return Ok(Applied::done(format!("Owner or mode of {} set", frame.place.name)));
        };
        if plan.parents {
            file::make_parents(&plan.target, Ids::default().fresh(0o755))?;
        }
        let staged = fsys::Staged::write(&plan.target, &mut text.as_bytes(), plan.owner)?;
        let fresh_copy = keep(frame, &plan, call)?;
        if let Err(error) = staged.place() {
            // Nothing was changed, so there is nothing to go back to.
            fresh_copy.map_or(Ok(()), |copy| fsys::remove(&copy))?;
            return Err(error.into());
        }
        Ok(Applied::done(format!("{} edited", frame.place.name)))
    }
}

/// Make the backup; where it is, if it stands beside the file and no other stood there before.
fn keep(frame: &Frame, plan: &Plan, call: &Call<'_>) -> Result<Option<PathBuf>, Failure> {
    match &plan.backup {
        Backup::No => Ok(None),
        Backup::Kept => file::keep_copy(&frame.place, &plan.target, call).map(|()| None),
        Backup::Beside(end) => {
            let mut name = plan.target.clone().into_os_string();
            name.push(end);
            let copy = PathBuf::from(name);
            let fresh = fsys::stat(&copy)?.kind == Kind::Missing;
            fsys::copy(&plan.target, &copy)?;
            Ok(fresh.then_some(copy))
        }
    }
}

/// What follows from what stands there, unless it is a file to be edited.
fn odd(frame: &Frame, observed: &Observed) -> Option<Diff<Plan>> {
    let name = &frame.place.name;
    match (observed.now.kind, frame.missing) {
        (Kind::File, _) => None,
        (Kind::Missing, Missing::Ignore) => Some(Diff::Same(format!("{name} is not there, which may be"))),
        (Kind::Missing, Missing::Refuse) => Some(Diff::Refuse(format!("{name} is not there"))),
        (Kind::Missing, Missing::Create { makedirs }) if makedirs || observed.parent => None,
        (Kind::Missing, _) => Some(Diff::Refuse(format!("the directory of {name} is not there"))),
        (Kind::Symlink, _) => Some(Diff::Refuse(format!(
            "{name} is a symbolic link; it is left as it is. Name the file it points to, or set follow_symlinks: true"
        ))),
        (kind, _) => Some(Diff::Refuse(file::odd(&frame.place, kind, "a regular file"))),
    }
}

fn compare(frame: &Frame, observed: &Observed, new: String) -> Diff<Plan> {
    let fresh = observed.now.kind == Kind::Missing;
    let mut changes = Map::new();
    let owner = match fresh {
        true => observed.ids.fresh(frame.wish.mode.unwrap_or(0o644)),
        false => observed.ids.over(&observed.now, frame.wish.mode),
    };
    let differs = fresh || new != observed.text;
    if differs {
        let (key, value) = told(frame, observed, &new);
        changes.insert(key, value);
    }
    if !fresh {
        file::dress_changes(&observed.now, &owner, &frame.wish, &mut changes);
    }
    if changes.is_empty() {
        return Diff::Same(format!("{} is as asked", frame.place.name));
    }
    let backup = if fresh || !differs { Backup::No } else { frame.backup.clone() };
    let plan = Plan {
        target: observed.target.clone(),
        write: differs.then_some(new),
        owner,
        parents: fresh && !observed.parent,
        backup,
    };
    Diff::Change { plan, changes, would: format!("{} would be edited", frame.place.name) }
}

/// A change of the text, by Salt's key.
fn told(frame: &Frame, observed: &Observed, new: &str) -> (String, Value) {
    let name = &frame.place.name;
    let text = |text: &str| Value::Str(text.to_owned());
    match frame.rehearsed {
        Rehearsed::New if observed.now.kind == Kind::Missing => ("new".to_owned(), text(name)),
        Rehearsed::Named => (name.clone(), text("updated")),
        _ if frame.hidden => ("diff".to_owned(), text("<hidden>")),
        _ => {
            let content = |text: &str| Content::of(text.as_bytes().to_vec());
            let diff = difference::describe(&content(&observed.text), &content(new));
            ("diff".to_owned(), Value::Str(diff))
        }
    }
}

/// The texts of `source` or `sources`, rendered; `None` when neither is given.
fn templates(args: &Args<'_>, call: &Call<'_>) -> Result<Option<Vec<String>>, Failure> {
    let names = match (args.list("source")?, args.list("sources")?) {
        (Some(_), Some(_)) => return Err(Failure::declaration("only one of source, sources can be given")),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    if let Some(engine) = args.text("template")?.filter(|engine| engine != "jinja") {
        return Err(Failure::declaration(format!("`template: {engine}` is not supported; jinja is")));
    }
    let mut variables = args.get("defaults").and_then(joined).unwrap_or_default();
    variables.extend(args.map("context")?.unwrap_or_default());
    let text = |name: String| source_text(name, &variables, call);
    names.into_iter().map(text).collect::<Result<Vec<_>, _>>().map(Some)
}

fn source_text(name: String, variables: &Map, call: &Call<'_>) -> Result<String, Failure> {
    let ready = Source::file(name).ready(Some(variables), &source::Check::default(), call)?;
    let bytes = ready.and_then(|ready: source::Ready| ready.content.into_bytes()).unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Failure::machine("the source is not UTF-8 text"))
}
