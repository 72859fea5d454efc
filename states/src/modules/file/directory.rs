//! `file.directory`: a directory with this owner and mode, over its content too where asked, cleaned where asked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::engine::requisites::{Kind as Requisite, Requisites};
use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Owner, Stat};
use crate::modules::args::Args;
use crate::modules::file::patterns::Patterns;
use crate::modules::file::{self, Ids, Place, Wish};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "user",
    "group",
    "mode",
    "dir_mode",
    "file_mode",
    "makedirs",
    "recurse",
    "max_depth",
    "clean",
    "exclude_pat",
    "force",
    "children_only",
];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    wish: Wish,
    file_mode: Option<u32>,
    makedirs: bool,
    force: bool,
    recurse: Recurse,
    /// `Some`: remove what is not in these paths (as on the machine).
    clean: Option<Vec<PathBuf>>,
    exclude: Patterns,
    children_only: bool,
    rehearsal: bool,
}

/// What is set on everything below the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Recurse {
    user: bool,
    group: bool,
    mode: bool,
    ignore_files: bool,
    ignore_dirs: bool,
    max_depth: Option<usize>,
}

impl Recurse {
    fn any(self) -> bool {
        self.user || self.group || self.mode
    }
}

/// The directory and what is below it.
pub(crate) struct Observed {
    now: Stat,
    /// The directory that a link at the path leads to.
    behind: Option<Stat>,
    ids: Ids,
    parent: bool,
    /// The group that a new directory has from the one above.
    inherited: Option<u32>,
    below: Vec<(PathBuf, Stat)>,
}

/// What is to be done.
pub(crate) struct Plan {
    replace: bool,
    make: Option<Owner>,
    dress: Vec<(PathBuf, Owner)>,
    remove: Vec<PathBuf>,
}

/// `file.directory`.
pub(crate) struct Directory;

impl StateFn for Directory {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let key = if args.get("dir_mode").is_some() { "dir_mode" } else { "mode" };
        let clean = args.flag("clean", false)?;
        Ok(Want {
            place: Place::of(call)?,
            wish: Wish::read(args, key)?,
            // As in Salt: files get what directories get, unless they have a mode of their own.
            file_mode: args.mode("file_mode")?.or(args.mode(key)?),
            makedirs: args.flag("makedirs", false)?,
            force: args.flag("force", false)?,
            recurse: recurse(args)?,
            clean: clean.then(|| kept(call)),
            exclude: Patterns::excluding(args)?,
            children_only: args.flag("children_only", false)?,
            rehearsal: call.test,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let now = fsys::stat(&want.place.path)?;
        let behind = if now.kind == Kind::Symlink { behind(&want.place.path)? } else { None };
        let look = now.kind == Kind::Directory && (want.recurse.any() || want.clean.is_some());
        let below = if look { fsys::walk(&want.place.path)? } else { Vec::new() };
        let parent = file::parent_exists(&want.place.path)?;
        let inherited = if now.kind == Kind::Directory { None } else { file::inherited(&want.place.path)? };
        Ok(Observed { now, behind, ids: want.wish.ids(call)?, parent, inherited, below })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let name = &want.place.name;
        if let Some(behind) = observed.behind.filter(|_| !want.force) {
            return linked(want, observed, &behind);
        }
        match observed.now.kind {
            Kind::Directory => existing(want, observed),
            Kind::Missing if !observed.parent && !want.makedirs => {
                Diff::Refuse(format!("the directory above {name} is not there; set makedirs: true"))
            }
            Kind::Missing => create(want, observed, false),
            Kind::File | Kind::Symlink if want.force => create(want, observed, true),
            Kind::File | Kind::Symlink => Diff::Refuse(format!(
                "{}. Set force: true to replace it",
                file::odd(&want.place, observed.now.kind, "a directory")
            )),
            kind => Diff::Refuse(file::odd(&want.place, kind, "a directory")),
        }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        let path = &want.place.path;
        if plan.replace {
            fsys::remove(path)?;
        }
        if let Some(owner) = plan.make {
            file::make_parents(path, owner)?;
            fsys::make_dirs(path, owner)?;
        }
        for gone in &plan.remove {
            below(path, gone, fsys::remove)?;
        }
        for (one, owner) in &plan.dress {
            below(path, one, |at| dress(at, owner))?;
        }
        Ok(Applied::done(format!("Directory {} is as asked now", want.place.name)))
    }
}

fn recurse(args: &Args<'_>) -> Result<Recurse, Failure> {
    let mut recurse =
        Recurse { max_depth: args.number("max_depth")?.map(|n| n as usize), ..Recurse::default() };
    for word in args.list("recurse")?.unwrap_or_default() {
        match word.as_str() {
            "user" => recurse.user = true,
            "group" => recurse.group = true,
            "mode" => recurse.mode = true,
            "ignore_files" => recurse.ignore_files = true,
            "ignore_dirs" => recurse.ignore_dirs = true,
            "silent" => {}
            other => {
                let known = "user, group, mode, ignore_files, ignore_dirs";
                return Err(Failure::declaration(format!("`recurse` holds {other:?}; it takes {known}")));
            }
        }
    }
    Ok(recurse)
}

/// What `clean` spares: the paths of the file states that this one requires, as in Salt.
pub(crate) fn kept(call: &Call<'_>) -> Vec<PathBuf> {
    let own = call.low.chunks.iter().position(|c| std::ptr::eq(c, call.chunk));
    let Some(own) = own else { return Vec::new() };
    let required = Requisites::resolve(call.low, own).targets(Requisite::Require);
    let files = required.into_iter().filter_map(|i| call.low.chunks.get(i)).filter(|c| c.state == "file");
    files.map(|c| call.context.host.path(&c.name)).collect()
}

fn create(want: &Want, observed: &Observed, replace: bool) -> Diff<Plan> {
    let passed_on = if observed.inherited.is_some() { 0o2000 } else { 0 };
    let ids = Ids { gid: observed.ids.gid.or(observed.inherited), ..observed.ids };
    let owner = ids.fresh(want.wish.mode.unwrap_or(0o755 | passed_on));
    let change = Map::from([("directory".to_owned(), Value::Str("new".to_owned()))]);
    let mut changes = Map::from([(want.place.name.clone(), Value::Map(change))]);
    if replace {
        changes.insert("forced".to_owned(), Value::Str("what stood there goes".to_owned()));
    }
    let plan = Plan { replace, make: Some(owner), dress: Vec::new(), remove: Vec::new() };
    Diff::Change { plan, changes, would: format!("Directory {} would be made", want.place.name) }
}

fn existing(want: &Want, observed: &Observed) -> Diff<Plan> {
    let mut changes = Map::new();
    let mut plan = Plan { replace: false, make: None, dress: Vec::new(), remove: Vec::new() };
    let own = observed.ids.over(&observed.now, want.wish.mode);
    if !want.children_only {
        note(&want.place.path, &observed.now, own, want, &mut plan, &mut changes);
    }
    plan.remove = superfluous(want, &observed.below);
    let gone: HashSet<PathBuf> = plan.remove.iter().cloned().collect();
    for (path, now) in &observed.below {
        let goes = path.ancestors().any(|p| gone.contains(p));
        if let (false, Some(then)) = (goes, wanted(want, observed, path, now)) {
            note(path, now, then, want, &mut plan, &mut changes);
        }
    }
    tell_all(want, &mut changes);
    tell_removed(want, observed, &plan, &mut changes);
    if changes.is_empty() {
        return Diff::Same(format!("Directory {} is as asked", want.place.name));
    }
    Diff::Change { plan, changes, would: format!("Directory {} would be changed", want.place.name) }
}

/// After a run, owner and mode are told once more beside the paths, as Salt does.
fn tell_all(want: &Want, changes: &mut Map) {
    if want.rehearsal {
        return;
    }
    let each: Vec<(String, Value)> =
        changes.values().filter_map(Value::as_map).flat_map(|own| own.clone()).collect();
    changes.extend(each);
}

/// What goes: each path, and after a run all of the topmost in one list.
fn tell_removed(want: &Want, observed: &Observed, plan: &Plan, changes: &mut Map) {
    if plan.remove.is_empty() {
        return;
    }
    let goes = |path: &&PathBuf| plan.remove.iter().any(|gone| path.starts_with(gone));
    for path in observed.below.iter().map(|(path, _)| path).filter(goes) {
        let gone = Value::Str("it is not in the declaration, and clean is true".to_owned());
        changes.insert(shown(path, want), Value::Map(Map::from([("removed".to_owned(), gone)])));
    }
    if !want.rehearsal {
        let gone = plan.remove.iter().map(|path| Value::Str(shown(path, want))).collect();
        changes.insert("removed".to_owned(), Value::List(gone));
    }
}

/// The directory that a link leads to, if it leads to one.
fn behind(path: &Path) -> Result<Option<Stat>, Failure> {
    match fsys::canonical(path) {
        Ok(end) => Ok(Some(fsys::stat(&end)?).filter(|s| s.kind == Kind::Directory)),
        Err(_) => Ok(None),
    }
}

/// A link to a directory will do as it is. Nothing is changed through it: whoever may place a link could have any
/// directory given away.
fn linked(want: &Want, observed: &Observed, behind: &Stat) -> Diff<Plan> {
    let name = &want.place.name;
    let through = observed.ids.over(behind, want.wish.mode) != Ids::default().over(behind, None);
    match through || want.recurse.any() || want.clean.is_some() {
        false => Diff::Same(format!("{name} is a link to a directory")),
        true => Diff::Refuse(format!(
            "{name} is a symbolic link to a directory, which is not changed through the link; name the directory itself, \
             or set force: true to replace the link"
        )),
    }
}

/// Add what must change about one path.
fn note(path: &Path, now: &Stat, then: Owner, want: &Want, plan: &mut Plan, changes: &mut Map) {
    let mut own = Map::new();
    file::dress_changes(now, &then, &want.wish, &mut own);
    if !own.is_empty() {
        changes.insert(shown(path, want), Value::Map(own));
        plan.dress.push((path.to_owned(), then));
    }
}

/// A path below the directory as the tree would name it.
fn shown(path: &Path, want: &Want) -> String {
    match path.strip_prefix(&want.place.path) {
        Ok(rest) if rest.as_os_str().is_empty() => want.place.name.clone(),
        Ok(rest) => format!("{}/{}", want.place.name.trim_end_matches('/'), rest.display()),
        Err(_) => path.display().to_string(),
    }
}

/// Owner and mode that `recurse` gives something below; `None` when it leaves it alone.
fn wanted(want: &Want, observed: &Observed, path: &Path, now: &Stat) -> Option<Owner> {
    let recurse = want.recurse;
    let depth = path.strip_prefix(&want.place.path).ok()?.components().count();
    let is_dir = now.kind == Kind::Directory;
    let passed_over = if is_dir { recurse.ignore_dirs } else { recurse.ignore_files };
    if !recurse.any() || passed_over || recurse.max_depth.is_some_and(|max| depth > max) {
        return None;
    }
    let ids = Ids {
        uid: observed.ids.uid.filter(|_| recurse.user),
        gid: observed.ids.gid.filter(|_| recurse.group),
    };
    let mode = match now.kind {
        Kind::Directory => want.wish.mode,
        Kind::File => want.file_mode,
        _ => None,
    };
    Some(ids.over(now, mode.filter(|_| recurse.mode)))
}

fn superfluous(want: &Want, below: &[(PathBuf, Stat)]) -> Vec<PathBuf> {
    let Some(keep) = &want.clean else { return Vec::new() };
    unspared(below, |path| {
        let named = keep.iter().any(|k| path.starts_with(k));
        named || excluded(path, want)
    })
}

/// What `clean` removes: the topmost paths that hold nothing to be kept.
pub(crate) fn unspared(below: &[(PathBuf, Stat)], spared: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    // A directory that holds something spared stays.
    let mut stays: HashSet<&Path> = HashSet::new();
    for (path, _) in below.iter().filter(|(path, _)| spared(path)) {
        stays.extend(path.ancestors());
    }
    // What is below a removed directory directly follows it.
    let mut gone: Vec<PathBuf> = Vec::new();
    for (path, _) in below {
        if !stays.contains(path.as_path()) && !gone.last().is_some_and(|g| path.starts_with(g)) {
            gone.push(path.clone());
        }
    }
    gone
}

/// Salt matches the pattern against the path below the directory.
fn excluded(path: &Path, want: &Want) -> bool {
    let Ok(rest) = path.strip_prefix(&want.place.path) else { return false };
    rest.ancestors().filter_map(Path::to_str).any(|p| !p.is_empty() && want.exclude.excluded(p))
}

/// Change something at or below the directory `top`, by way of directories that cannot become links meanwhile. An error
/// names the path as the tree knows it.
pub(crate) fn below(
    top: &Path,
    path: &Path,
    change: impl FnOnce(&Path) -> Result<(), fsys::Error>,
) -> Result<(), Failure> {
    if path == top {
        return Ok(change(path)?);
    }
    let pinned = fsys::pin(top, path)?;
    Ok(change(pinned.path()).map_err(|error| fsys::Error { path: path.to_owned(), ..error })?)
}

fn dress(path: &Path, owner: &Owner) -> Result<(), fsys::Error> {
    fsys::set_owner(path, owner.uid, owner.gid)?;
    match fsys::stat(path)?.kind {
        Kind::Symlink => Ok(()),
        _ => fsys::set_mode(path, owner.mode),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // Makes files and links.

    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_that_became_a_link_after_the_look_changes_nothing_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (top, elsewhere) = (dir.path().join("top"), dir.path().join("elsewhere"));
        for made in [&top, &elsewhere, &top.join("real")] {
            std::fs::create_dir(made).unwrap();
        }
        for file in [elsewhere.join("shadow"), top.join("real/file")] {
            std::fs::write(file, "x").unwrap();
        }
        symlink(&elsewhere, top.join("sub")).unwrap();
        let then =
            |path: &Path| Owner { mode: 0o666, ..Ids::default().over(&fsys::stat(path).unwrap(), None) };

        let owner = then(&elsewhere.join("shadow"));
        assert!(below(&top, &top.join("sub/shadow"), |at| dress(at, &owner)).is_err());
        assert!(below(&top, &top.join("sub/shadow"), fsys::remove).is_err());
        assert_ne!(fsys::stat(&elsewhere.join("shadow")).unwrap().mode, 0o666);

        below(&top, &top.join("real/file"), |at| dress(at, &owner)).unwrap();
        assert_eq!(fsys::stat(&top.join("real/file")).unwrap().mode, 0o666);
        below(&top, &top.join("real"), fsys::remove).unwrap();
        below(&top, &top.join("sub"), fsys::remove).unwrap();
        assert_eq!(fsys::walk(&top).unwrap(), []);
        assert_eq!(fsys::stat(&elsewhere.join("shadow")).unwrap().kind, Kind::File);
    }
}
