//! `file.recurse`: a directory of the tree, each of its files managed, and nothing else where `clean` says so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Owner, Stat};
use crate::modules::args::Args;
use crate::modules::file::listing::{self, Entry};
use crate::modules::file::managed::{self, Managed};
use crate::modules::file::patterns::Patterns;
use crate::modules::file::source::{Address, Source};
use crate::modules::file::{self, Ids, Place, Wish, directory};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "source",
    "merge",
    "user",
    "group",
    "file_mode",
    "dir_mode",
    "template",
    "context",
    "defaults",
    "replace",
    "backup",
    "show_changes",
    "new_file_diff",
    "clean",
    "include_pat",
    "exclude_pat",
    "maxdepth",
    "include_empty",
    "keep_symlinks",
    "force_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["keep_source", "sym_mode"];

/// Diffs of one step beyond this are not kept.
const TOLD: usize = 4 << 20;

/// The declaration.
pub(crate) struct Want {
    place: Place,
    sources: Vec<String>,
    merge: bool,
    /// Each file as `file.managed` would have it.
    file: managed::Want,
    wish: Wish,
    replace: bool,
    /// `Some`: remove what is neither managed nor in these paths.
    clean: Option<Vec<PathBuf>>,
    patterns: Patterns,
    max_depth: Option<usize>,
    include_empty: bool,
    keep_links: bool,
    force_links: bool,
    rehearsal: bool,
}

/// What differs from the tree.
#[derive(Default)]
pub(crate) struct Observed {
    plan: Plan,
    changes: Map,
    refused: Vec<String>,
    /// Directories that are to be made.
    made: HashSet<PathBuf>,
    /// The directory itself is to be made.
    top: bool,
    told: usize,
}

/// What is to be done, in this order.
#[derive(Default, Clone)]
pub(crate) struct Plan {
    /// In the way of something else.
    clear: Vec<PathBuf>,
    make: Vec<(PathBuf, Owner)>,
    dress: Vec<(PathBuf, Owner)>,
    files: Vec<managed::Want>,
    links: Vec<(PathBuf, String, Owner)>,
    remove: Vec<PathBuf>,
}

/// What should be there, by path below the directory.
type Wanted = BTreeMap<String, (Entry, String)>;

/// `file.recurse`.
pub(crate) struct Recurse;

impl StateFn for Recurse {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("mode", "it is file_mode and dir_mode that are meant")?;
        let sources = args.list("source")?.unwrap_or_default();
        if let Some(other) = sources.iter().find(|source| !source.starts_with("salt://")) {
            return Err(Failure::declaration(format!(
                "`source` must be a directory salt://…, but is {other}"
            )));
        }
        Ok(Want {
            place: Place::of(call)?,
            sources,
            merge: args.flag("merge", false)?,
            file: each_file(call)?,
            wish: Wish::read(args, "dir_mode")?,
            replace: args.flag("replace", true)?,
            clean: args.flag("clean", false)?.then(|| directory::kept(call)),
            patterns: Patterns::read(args)?,
            max_depth: args.number("maxdepth")?.map(|n| n as usize),
            include_empty: args.flag("include_empty", false)?,
            keep_links: args.flag("keep_symlinks", false)?,
            force_links: args.flag("force_symlinks", false)?,
            rehearsal: call.test,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let (wanted, dirs) = wanted(want, call)?;
        let mut observed = Observed::default();
        let now = fsys::stat(&want.place.path)?;
        match now.kind {
            Kind::Directory => {}
            Kind::Missing => observed.top = true,
            kind => {
                observed.refused.push(file::odd(&want.place, kind, "a directory"));
                return Ok(observed);
            }
        }
        let ids = want.wish.ids(call)?;
        for dir in &dirs {
            observed.directory(want, dir, ids, call)?;
        }
        for (below, (entry, source)) in &wanted {
            match entry {
                Entry::File => observed.file(want, below, source, call)?,
                Entry::Link(target) => observed.link(want, below, target, ids, call)?,
                Entry::Directory => {}
            }
        }
        observed.superfluous(want, &wanted, &dirs)?;
        Ok(observed)
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let name = &want.place.name;
        if !observed.refused.is_empty() {
            return Diff::Refuse(observed.refused.join("\n"));
        }
        let mut changes = observed.changes.clone();
        // The directory itself is told when it is the only news, and in a rehearsal, as Salt tells it.
        if observed.top && !want.rehearsal && changes.len() > 1 {
            changes.shift_remove(name);
        }
        match changes.is_empty() {
            true => Diff::Same(format!("{name} is as in the tree")),
            false => Diff::Change {
                plan: observed.plan.clone(),
                changes,
                would: format!("{name} would be changed"),
            },
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let top = &want.place.path;
        for path in &plan.clear {
            directory::below(top, path, fsys::remove)?;
        }
        for (path, owner) in &plan.make {
            fsys::make_dirs(path, *owner)?;
        }
        for (path, owner) in &plan.dress {
            file::dress(path, owner)?;
        }
        for each in &plan.files {
            if let Some(failed) = write(each, call)? {
                return Ok(failed);
            }
        }
        for (path, target, owner) in &plan.links {
            fsys::replace_symlink(path, target, Some((owner.uid, owner.gid)))?;
        }
        for path in &plan.remove {
            directory::below(top, path, fsys::remove)?;
        }
        Ok(Applied::done(format!("{} is as in the tree now", want.place.name)))
    }
}

/// The arguments as those of `file.managed`.
fn each_file(call: &Call<'_>) -> Result<managed::Want, Failure> {
    let mut args = call.chunk.args.clone();
    for key in ["source", "source_hash", "check_cmd", "dir_mode", "mode", "makedirs", "create", "contents"] {
        args.shift_remove(key);
    }
    if let Some(mode) = args.shift_remove("file_mode") {
        args.insert("mode".to_owned(), mode);
    }
    managed::Want::read(&Args::new(&args), Source::None, false, call)
}

/// Files and links, and directories with something in them (or all), below the sources.
fn wanted(want: &Want, call: &Call<'_>) -> Result<(Wanted, BTreeSet<String>), Failure> {
    let mut wanted = Wanted::new();
    let mut found = false;
    for source in &want.sources {
        let address = Address::parse(source.trim_start_matches("salt://").trim_end_matches('/'), call)?;
        let Some(entries) = listing::list(&address, want.keep_links, call)? else { continue };
        found = true;
        for (below, entry) in entries.into_iter().filter(|(below, _)| taken(want, below)) {
            let uri = format!("salt://{}/{below}?saltenv={}", address.path, address.env);
            wanted.entry(below).or_insert((entry, uri));
        }
        if !want.merge {
            break;
        }
    }
    if !found {
        return Err(Failure::declaration(format!("the tree has no directory {}", want.sources.join(", "))));
    }
    let parent = |below: &str| below.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
    let entries = || wanted.iter();
    let mut dirs: BTreeSet<String> =
        entries().filter(|(_, (entry, _))| *entry == Entry::File).map(|(below, _)| parent(below)).collect();
    if want.include_empty {
        dirs.extend(entries().filter(|(_, (e, _))| *e == Entry::Directory).map(|(below, _)| below.clone()));
    }
    wanted.retain(|_, (entry, _)| *entry != Entry::Directory);
    Ok((wanted, dirs))
}

fn taken(want: &Want, below: &str) -> bool {
    want.max_depth.is_none_or(|max| below.matches('/').count() <= max) && want.patterns.take(below)
}

fn place(want: &Want, below: &str, call: &Call<'_>) -> Result<Place, Failure> {
    match below {
        "" => Ok(want.place.clone()),
        below => Place::named(&format!("{}/{below}", want.place.name.trim_end_matches('/')), call),
    }
}

/// What stands at a path; below something that is no directory stands nothing.
fn look(path: &Path) -> Result<Stat, Failure> {
    match fsys::stat(path) {
        Err(e) if e.source.kind() == std::io::ErrorKind::NotADirectory => {
            Ok(Stat { kind: Kind::Missing, ..fsys::stat(Path::new("/"))? })
        }
        other => Ok(other?),
    }
}

impl Observed {
    fn tell(&mut self, place: &Place, changes: Map) {
        let size: usize = changes.values().filter_map(Value::as_str).map(str::len).sum();
        self.told += size;
        let shown = match self.told > TOLD {
            true => Map::from([("diff".to_owned(), Value::Str("not shown: there is too much".to_owned()))]),
            false => changes,
        };
        self.changes.insert(place.name.clone(), Value::Map(shown));
    }

    fn directory(&mut self, want: &Want, below: &str, ids: Ids, call: &Call<'_>) -> Result<(), Failure> {
        let place = place(want, below, call)?;
        let now = look(&place.path)?;
        let mut own = Map::new();
        match now.kind {
            Kind::Directory => {
                let owner = ids.over(&now, want.wish.mode);
                file::dress_changes(&now, &owner, &want.wish, &mut own);
                if !own.is_empty() {
                    self.plan.dress.push((place.path.clone(), owner));
                }
            }
            Kind::Missing | Kind::File | Kind::Symlink
                if now.kind == Kind::Missing || want.clean.is_some() =>
            {
                if now.kind != Kind::Missing {
                    self.plan.clear.push(place.path.clone());
                }
                own.insert("directory".to_owned(), Value::Str("new".to_owned()));
                self.made.insert(place.path.clone());
                self.plan.make.push((place.path.clone(), ids.fresh(want.wish.mode.unwrap_or(0o755))));
            }
            kind => self.refused.push(file::odd(&place, kind, "a directory")),
        }
        if !own.is_empty() {
            let told = Map::from([(place.name.clone(), Value::Map(own))]);
            self.tell(&place, told);
        }
        Ok(())
    }

    fn file(&mut self, want: &Want, below: &str, source: &str, call: &Call<'_>) -> Result<(), Failure> {
        let place = place(want, below, call)?;
        let each = want.file.of_file(place.clone(), source.to_owned());
        let gives_way = want.clean.is_some() && want.replace && look(&place.path)?.kind == Kind::Directory;
        let unreached = self.plan.clear.iter().any(|gone| place.path.starts_with(gone));
        if gives_way || unreached {
            self.plan.clear.extend(gives_way.then(|| place.path.clone()));
            self.plan.files.push(each);
            self.tell(&place, Map::from([("diff".to_owned(), Value::Str("New file".to_owned()))]));
            return Ok(());
        }
        // Whatever is as it should be, is not kept in mind.
        let seen = Managed::observe(&each, call)?.below_made(self.made(&place.path));
        match Managed::diff(&each, &seen) {
            Diff::Same(_) => {}
            Diff::Refuse(why) => self.refused.push(why),
            Diff::Change { changes, .. } => {
                self.plan.files.push(each);
                self.tell(&place, changes);
            }
        }
        Ok(())
    }

    /// Whether the directory above is to be made: every directory of a file is among the wanted ones.
    fn made(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.made.contains(parent))
    }

    fn link(
        &mut self,
        want: &Want,
        below: &str,
        target: &str,
        ids: Ids,
        call: &Call<'_>,
    ) -> Result<(), Failure> {
        let place = place(want, below, call)?;
        let now = look(&place.path)?;
        match now.kind {
            Kind::Symlink if fsys::read_link(&place.path)?.to_str() == Some(target) => return Ok(()),
            Kind::Missing | Kind::Symlink => {}
            Kind::File | Kind::Directory if want.force_links => self.plan.clear.push(place.path.clone()),
            kind => {
                self.refused
                    .push(format!("{} is {kind}; set force_symlinks: true to replace it", place.name));
                return Ok(());
            }
        }
        if let Some(parent) = place.path.parent().filter(|parent| !parent.is_dir()) {
            self.plan.make.push((parent.to_owned(), ids.fresh(want.wish.mode.unwrap_or(0o755))));
        }
        self.tell(&place, Map::from([("new".to_owned(), Value::Str(place.name.clone()))]));
        self.plan.links.push((place.path, target.to_owned(), ids.fresh(0)));
        Ok(())
    }

    /// What is below the directory and neither wanted nor spared.
    fn superfluous(&mut self, want: &Want, wanted: &Wanted, dirs: &BTreeSet<String>) -> Result<(), Failure> {
        let Some(kept) = want.clean.as_ref().filter(|_| !self.top) else { return Ok(()) };
        let top = &want.place.path;
        let below = fsys::walk(top)?;
        let gone = directory::unspared(&below, |path| {
            let rest = path.strip_prefix(top).ok().and_then(Path::to_str).unwrap_or_default();
            let named = wanted.contains_key(rest) || dirs.contains(rest);
            named || want.patterns.excluded(rest) || kept.iter().any(|k| path.starts_with(k))
        });
        let cleared = |path: &PathBuf| self.plan.clear.iter().any(|gone| path.starts_with(gone));
        let gone: Vec<PathBuf> = gone.into_iter().filter(|path| !cleared(path)).collect();
        if !gone.is_empty() {
            let name = |path: &PathBuf| {
                let rest = path.strip_prefix(top).unwrap_or(path);
                Value::Str(format!("{}/{}", want.place.name.trim_end_matches('/'), rest.display()))
            };
            self.changes.insert("removed".to_owned(), Value::List(gone.iter().map(name).collect()));
            self.plan.remove = gone;
        }
        Ok(())
    }
}

/// Write one file as it is to be now; `Some`: it could not be.
fn write(each: &managed::Want, call: &Call<'_>) -> Result<Option<Applied>, Failure> {
    match Managed::diff(each, &Managed::observe(each, call)?) {
        Diff::Same(_) => Ok(None),
        Diff::Refuse(why) => Err(Failure::machine(why)),
        Diff::Change { plan, .. } => {
            let applied = Managed::apply(each, plan, call)?;
            Ok(applied.failed.then_some(applied))
        }
    }
}
