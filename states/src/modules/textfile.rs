//! State functions that edit one text file: read whole, edited as text, and replaced in one step.

use std::path::{Path, PathBuf};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Owner};
use crate::modules::args::Args;
use crate::modules::file::Place;
use crate::value::Map;

/// Files that are edited are not larger than this.
const LIMIT: usize = 16 << 20;

/// A text file as it stands, or as it is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextFile {
    /// As the tree names it.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) exists: bool,
    path: PathBuf,
    owner: Owner,
    /// Owner and mode of directories that are made for it.
    parents: Option<Owner>,
    /// A directory that somebody else than root may write to: nothing below it is reached through a link.
    guarded: Option<PathBuf>,
}

/// Owner and mode of what root makes.
pub(crate) fn roots(mode: u32) -> Owner {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    Owner { mode, uid, gid }
}

/// A path of the tree on the machine, checked as a step's name is.
pub(crate) fn place(name: &str, call: &Call<'_>) -> Result<Place, Failure> {
    let chunk = crate::low::Chunk { name: name.to_owned(), ..call.chunk.clone() };
    Place::of(&Call { chunk: &chunk, ..*call })
}

impl TextFile {
    /// Read a file of the system; one that is not there has no text and gets `fresh` when it is made. A link is followed.
    pub(crate) fn read(name: &str, fresh: Owner, call: &Call<'_>) -> Result<Self, Failure> {
        let mut place = place(name, call)?;
        if fsys::stat(&place.path)?.kind == Kind::Symlink {
            place.path = fsys::canonical(&place.path)?;
            if !place.path.starts_with(fsys::canonical(call.context.host.root())?) {
                return Err(Failure::machine(format!("{name} is a link that leads out of the root")));
            }
        }
        let mut file = Self {
            name: place.name,
            text: String::new(),
            exists: false,
            path: place.path,
            owner: fresh,
            parents: None,
            guarded: None,
        };
        file.load()?;
        Ok(file)
    }

    /// Read a file of a user below its home: links on the way are refused, for the user could point them anywhere.
    pub(crate) fn read_guarded(
        name: &str,
        home: &str,
        fresh: Owner,
        call: &Call<'_>,
    ) -> Result<Self, Failure> {
        let (place, home) = (place(name, call)?, place(home, call)?);
        let mut file = Self {
            name: place.name,
            text: String::new(),
            exists: false,
            path: place.path,
            owner: fresh,
            parents: Some(Owner { mode: 0o700, ..fresh }),
            guarded: Some(home.path),
        };
        let above = file.path.parent().map(fsys::stat).transpose()?;
        if above.is_some_and(|above| above.kind != Kind::Missing) {
            file.load()?;
        }
        Ok(file)
    }

    /// Directories that are missing above the file are made with this mode.
    pub(crate) fn with_parents(mut self, owner: Owner) -> Self {
        self.parents = Some(owner);
        self
    }

    fn load(&mut self) -> Result<(), Failure> {
        let pinned = self.guarded.as_ref().map(|home| fsys::pin(home, &self.path)).transpose()?;
        let path = pinned.as_ref().map_or(self.path.as_path(), fsys::Pinned::path);
        let now = fsys::stat(path)?;
        match now.kind {
            Kind::Missing => return Ok(()),
            Kind::File => {}
            odd => {
                let name = &self.name;
                return Err(Failure::machine(format!(
                    "{name} is {odd}, not a regular file; it is left as it is"
                )));
            }
        }
        self.text = fsys::read_text(path, LIMIT)?;
        self.owner = Owner { mode: now.mode, uid: now.uid, gid: now.gid };
        self.exists = true;
        Ok(())
    }

    /// Put another text into its place, whole or not at all.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        match (self.parents, self.path.parent(), &self.guarded) {
            (Some(owner), Some(parent), Some(home)) => make_below(home, parent, owner)?,
            (Some(owner), Some(parent), None) => fsys::make_dirs(parent, owner)?,
            _ => {}
        }
        let pinned = self.guarded.as_ref().map(|home| fsys::pin(home, &self.path)).transpose()?;
        let path = pinned.as_ref().map_or(self.path.as_path(), fsys::Pinned::path);
        Ok(fsys::replace(path, text.as_bytes(), self.owner)?)
    }
}

/// Directories that are missing below `home`, each made within the one above it, which no link has led to.
fn make_below(home: &Path, parent: &Path, owner: Owner) -> Result<(), Failure> {
    fsys::make_dirs(home, owner)?;
    let below: Vec<&Path> = parent.ancestors().take_while(|dir| *dir != home).collect();
    for dir in below.into_iter().rev() {
        let pinned = fsys::pin(home, dir)?;
        if fsys::stat(pinned.path())?.kind == Kind::Missing {
            fsys::make_dirs(pinned.path(), owner)?;
        }
    }
    Ok(())
}

/// What an edit comes to.
pub(crate) enum Edited {
    /// The text is as asked; the comment says so.
    Same(String),
    /// This text is to replace it.
    To {
        text: String,
        changes: Map,
        /// Said in test mode.
        would: String,
        /// Said when it is done.
        done: String,
    },
}

/// An edit that is ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edit {
    file: TextFile,
    text: String,
    done: String,
}

/// A state function that edits one file.
pub(crate) trait Editor {
    /// The declaration, checked.
    type Want;

    /// Read the arguments.
    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure>;
    /// The file as it stands.
    fn file(want: &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure>;
    /// Compare, and make the new text. A function of its arguments.
    fn edit(want: &Self::Want, text: &str) -> Edited;
    /// What is to be done once the file is in its place.
    fn after(_: &Self::Want, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// The state function that an editor makes.
pub(crate) struct Editing<E>(std::marker::PhantomData<E>);

impl<E: Editor> StateFn for Editing<E> {
    type Want = E::Want;
    type Observed = TextFile;
    type Plan = Edit;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<E::Want, Failure> {
        E::want(args, call)
    }

    fn observe(want: &E::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        E::file(want, call)
    }

    fn diff(want: &E::Want, file: &TextFile) -> Diff<Edit> {
        match E::edit(want, &file.text) {
            Edited::Same(comment) => Diff::Same(comment),
            Edited::To { text, changes, would, done } => {
                Diff::Change { plan: Edit { file: file.clone(), text, done }, changes, would }
            }
        }
    }

    fn apply(want: &E::Want, plan: Edit, call: &Call<'_>) -> Result<Applied, Failure> {
        plan.file.write(&plan.text)?;
        E::after(want, call)?;
        Ok(Applied::done(plan.done))
    }
}

/// Text that stays on one line.
pub(crate) fn one_line(key: &str, text: String) -> Result<String, Failure> {
    match text.contains(['\n', '\r', '\0']) {
        true => Err(Failure::declaration(format!("`{key}` must be one line"))),
        false => Ok(text),
    }
}
