//! From a remote repository to a folder of plain files: asks what the reference points at, fetches one commit deep, and
//! writes `releases/<commit>`. A remote that is unchanged costs one round trip.
// Effects: the network (through libgit2), files, and the token file.
#![allow(clippy::disallowed_methods)]

mod app;
mod backwards;
mod budget;
mod error;
mod export;
mod login;
mod release;
mod signed;
mod ssh;
mod store;
mod submodules;
#[cfg(test)]
mod tests;
mod trees;
mod want;
mod wire;

pub(crate) use error::Error;
pub(crate) use store::{Link, Store};
pub(crate) use trees::Trees;
pub(crate) use want::Want;

use crate::aws::Vault;
use crate::http::{self, Cancel, Http, Peer};
use crate::userdata::{Remote, Source};
use budget::{Bounds, Budget, Measure};
use git2::{AutotagOption, Direction, FetchOptions, RemoteCallbacks, Repository};
use login::Logins;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Instant;
use want::{Advertised, Attempt};
use wire::{Access, WireError};

const MAX_REFS: usize = 100_000;
/// Every fetch leaves two or three files in the cache of objects; past this it is cheaper to begin again.
const MAX_PACK_FILES: usize = 200;

/// A commit's tree on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// 40 hex digits.
    pub(crate) commit: String,
    /// `releases/<commit>`.
    pub(crate) path: PathBuf,
    /// What was left out of it, and which remote stood in for another.
    pub(crate) notes: Vec<String>,
    /// The formula repositories beside it.
    pub(crate) formulas: Vec<FormulaTree>,
}

/// The tree of a formula repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormulaTree {
    /// Its name in user-data.
    pub(crate) name: String,
    /// Its repository.
    pub(crate) url: String,
    /// 40 hex digits.
    pub(crate) commit: String,
    /// The folder that joins the file roots.
    pub(crate) root: PathBuf,
}

/// Fetches one repository, from the first of its remotes that gives it, into one store.
#[derive(Debug)]
pub(crate) struct Fetcher {
    source: Source,
    /// The remote that is asked now, and its address.
    remote: Remote,
    url: String,
    answered: String,
    store: Store,
    cancel: Cancel,
    logins: Logins,
    vault: Arc<Vault>,
    /// How deep in submodules it is, and what the trees around it come to.
    nesting: usize,
    around: Measure,
    budget: Budget,
    /// By scheme and place: `tls`, and whether they are for this machine alone.
    clients: Vec<((bool, bool), Arc<Http>)>,
}

impl Fetcher {
    /// A fetcher; nothing is contacted yet.
    pub(crate) fn new(source: Source, store: Store, vault: Arc<Vault>, cancel: Cancel) -> Self {
        settle_libgit2();
        let remote = source.remote.clone();
        let url = remote.url();
        let logins = Logins::new(source.login.clone(), vault.clone(), cancel.clone());
        let answered = url.clone();
        let bounds = Bounds::default();
        Self {
            source,
            remote,
            url,
            answered,
            store,
            cancel,
            logins,
            vault,
            nesting: 0,
            around: Measure::new(bounds),
            budget: Budget::new(bounds, Instant::now()),
            clients: Vec::new(),
        }
    }

    /// The address that answered last.
    pub(crate) fn answered(&self) -> &str {
        &self.answered
    }

    /// The folder of a commit that is there, whole, and signed as is asked for.
    pub(crate) fn at_hand(&self, commit: &str) -> Option<PathBuf> {
        let path = self.store.release(commit)?;
        let signed = || {
            signed::check(
                &self.store.commit_object(commit)?,
                &self.source.signed_by,
                self.store.dir(),
                &self.cancel,
            )
            .ok()
        };
        if self.source.signed_by.is_empty() { Some(path) } else { signed().map(|()| path) }
    }

    /// Gets what is wanted: the folder that is there already, or a fetched one.
    ///
    /// # Errors
    /// See [`Error`]; of several remotes, that of the first. Nothing half-written is ever a release.
    pub(crate) fn get(&mut self, want: Want<'_>) -> Result<Fetched, Error> {
        if let Want::Commit { commit, .. } = want
            && let Some(path) = self.at_hand(commit)
        {
            let fetched =
                Fetched { commit: commit.to_owned(), path, notes: Vec::new(), formulas: Vec::new() };
            self.note_reference(&fetched, want);
            return Ok(fetched);
        }
        let mut first = None;
        let remotes = std::iter::once(&self.source.remote).chain(&self.source.mirrors).cloned();
        for remote in remotes.collect::<Vec<_>>() {
            self.url = remote.url();
            self.remote = remote;
            match self.get_judged(want, first.as_ref()) {
                Ok(mut fetched) => {
                    self.answered.clone_from(&self.url);
                    let stands_in = |error: Error| format!("{} stands in: {error}", self.url);
                    fetched.notes.extend(first.map(stands_in));
                    return Ok(fetched);
                }
                Err(error) if error.is_of_one_remote() => first = Some(Error::worse(first, error)),
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or(Error::Cancelled))
    }

    /// From the remote that is asked now, unless it must not give that.
    fn get_judged(&mut self, want: Want<'_>, heard: Option<&Error>) -> Result<Fetched, Error> {
        self.begin();
        let mut fetched = self.get_from(want)?;
        // What is refused now is written already: who offers one after the other does not fill the disk.
        let note = self.may_follow(&fetched, want, heard).inspect_err(|_| drop(self.store.prune()))?;
        fetched.notes.extend(note);
        self.note_reference(&fetched, want);
        Ok(fetched)
    }

    /// A tree has a budget for each attempt; a submodule has its tree's.
    fn begin(&mut self) {
        if self.nesting == 0 {
            self.budget = self.budget.afresh(Instant::now());
        }
    }

    fn get_from(&mut self, want: Want<'_>) -> Result<Fetched, Error> {
        if let Remote::File(path) = self.remote.clone() {
            return self.get_local(&path, want).map_err(|f| self.error(f));
        }
        let access = Arc::new(self.access()?);
        let first = self.get_remote(&access, want);
        match first {
            // A store of objects that does not fit the remote any more is cheap to make again; it is only a cache.
            Err(Failure::Store(_)) => {
                let _ = std::fs::remove_dir_all(self.store.objects());
                self.begin();
                self.get_remote(&access, want).map_err(|f| self.error(f))
            }
            Err(failure) => {
                if matches!(failure, Failure::Wire(WireError::Refused(_))) {
                    self.logins.refused();
                }
                Err(self.error(failure))
            }
            Ok(fetched) => Ok(fetched),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let url = self.url.clone();
        match failure {
            Failure::Wire(WireError::Unreachable(cause)) => Error::Unreachable { url, cause },
            Failure::Wire(WireError::Refused(cause) | WireError::TooMuch(cause)) => {
                Error::Refused { url, cause }
            }
            Failure::Wire(WireError::Cancelled) => Error::Cancelled,
            Failure::Wire(WireError::NoRoom(room)) => no_room(&self.store.objects(), room).into(),
            Failure::Store(cause) => {
                Error::Refused { url, cause: format!("what it sent is not usable: {cause}") }
            }
            Failure::Said(error) => *error,
        }
    }

    /// A repository on this machine is read where it is.
    fn get_local(&self, path: &Path, want: Want<'_>) -> Result<Fetched, Failure> {
        let away =
            |e: git2::Error| Error::Unreachable { url: self.url.clone(), cause: e.message().to_owned() };
        let repository = Repository::open(path).map_err(away)?;
        let commit = match want {
            Want::Commit { commit, .. } => commit.to_owned(),
            Want::Tip(name) => self.local_tip(&repository, name)?,
        };
        let found = self.release(&repository, &commit)?;
        found.ok_or_else(|| Error::NoCommit { url: self.url.clone(), commit }.into())
    }

    fn local_tip(&self, repository: &Repository, name: &str) -> Result<String, Error> {
        let refs: Vec<Advertised> =
            [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()]
                .into_iter()
                .filter_map(|full| {
                    let commit = repository.find_reference(&full).ok()?.peel_to_commit().ok()?;
                    Some(Advertised { name: full, oid: commit.id().to_string() })
                })
                .collect();
        let found = want::resolve(&refs, name).map(|(oid, _)| oid.to_owned());
        found.ok_or_else(|| Error::NoReference { url: self.url.clone(), reference: name.to_owned() })
    }

    fn get_remote(&self, access: &Arc<Access>, want: Want<'_>) -> Result<Fetched, Failure> {
        let repository = self.objects()?;
        let (refs, attempts, commit) = {
            let refs = self.advertised(access, &repository)?;
            match want {
                Want::Tip(name) => {
                    let (oid, full) = want::resolve(&refs, name).ok_or_else(|| self.no_reference(name))?;
                    let oid = oid.to_owned();
                    (refs, vec![want::tip_attempt(&full)], oid)
                }
                Want::Commit { commit, near } => {
                    let attempts = want::commit_attempts(&refs, commit, near);
                    (refs, attempts, commit.to_owned())
                }
            }
        };
        if let Some(path) = self.at_hand(&commit) {
            return Ok(Fetched { commit, path, notes: Vec::new(), formulas: Vec::new() });
        }
        if let Some(fetched) = self.release(&repository, &commit)? {
            return Ok(fetched);
        }
        tracing::debug!(references = refs.len(), %commit, "fetching");
        self.fetch_until(access, &repository, &attempts, &commit)
    }

    fn fetch_until(
        &self,
        access: &Arc<Access>,
        repository: &Repository,
        attempts: &[Attempt],
        commit: &str,
    ) -> Result<Fetched, Failure> {
        let mut last = None;
        for attempt in attempts {
            if let Err(failure) = self.download(access, repository, attempt) {
                match failure {
                    // The server will not give a commit by its name: the next attempt asks otherwise.
                    Failure::Store(_) | Failure::Wire(WireError::Refused(_)) => last = Some(failure),
                    other => return Err(other),
                }
            }
            if let Some(fetched) = self.release(repository, commit)? {
                return Ok(fetched);
            }
        }
        match (last, attempts.len()) {
            (Some(failure), 1) => Err(failure),
            _ => Err(Error::NoCommit { url: self.url.clone(), commit: commit.to_owned() }.into()),
        }
    }

    fn no_reference(&self, name: &str) -> Failure {
        Error::NoReference { url: self.url.clone(), reference: name.to_owned() }.into()
    }

    /// The cache of objects, made again when it cannot be opened or has grown.
    fn objects(&self) -> Result<Repository, Failure> {
        let path = self.store.objects();
        let packs = std::fs::read_dir(path.join("objects/pack")).map_or(0, Iterator::count);
        if let (true, Ok(repository)) = (packs < MAX_PACK_FILES, Repository::open_bare(&path)) {
            return Ok(repository);
        }
        let _ = std::fs::remove_dir_all(&path);
        // Objects hold what trees hold: pillar, for root's eyes alone.
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::Disk)?;
        Repository::init_bare(&path).map_err(|e| Failure::Store(e.message().to_owned()))
    }

    /// One round trip: every reference of the remote.
    fn advertised(&self, access: &Arc<Access>, repository: &Repository) -> Result<Vec<Advertised>, Failure> {
        self.speak(access, || {
            let mut remote = repository.remote_anonymous(&self.url)?;
            let connection = remote.connect_auth(Direction::Fetch, None, None)?;
            let list = connection.list()?.iter().take(MAX_REFS);
            Ok(list.map(|h| Advertised { name: h.name().to_owned(), oid: h.oid().to_string() }).collect())
        })
    }

    fn download(
        &self,
        access: &Arc<Access>,
        repository: &Repository,
        attempt: &Attempt,
    ) -> Result<(), Failure> {
        self.speak(access, || {
            let mut callbacks = RemoteCallbacks::new();
            // Also asked while the deltas of a pack are resolved, which may take as long as its sender likes.
            callbacks
                .transfer_progress(|_| !self.cancel.is_set() && self.budget.time(Instant::now()).is_ok());
            let mut options = FetchOptions::new();
            options.remote_callbacks(callbacks).download_tags(AutotagOption::None).update_fetchhead(false);
            // Without a depth libgit2 keeps a shallow history shallow; "all of it" has to be said.
            options.depth(attempt.depth.unwrap_or(i32::MAX));
            let mut remote = repository.remote_anonymous(&self.url)?;
            remote.fetch(&attempt.refspecs, Some(&mut options), None)
        })
    }

    fn speak<T>(
        &self,
        access: &Arc<Access>,
        work: impl FnOnce() -> Result<T, git2::Error>,
    ) -> Result<T, Failure> {
        let over = |cause: String| Failure::Wire(WireError::Unreachable(cause));
        self.budget.time(Instant::now()).map_err(over)?;
        let room = room(&self.store.objects());
        let (result, failure) = wire::speaking(access.clone(), room, self.budget.clone(), work);
        match (result, failure) {
            _ if self.cancel.is_set() => Err(Failure::Wire(WireError::Cancelled)),
            (Ok(value), _) => Ok(value),
            (Err(_), Some(failure)) => Err(Failure::Wire(failure)),
            (Err(error), None) => Err(match self.budget.time(Instant::now()) {
                Err(cause) => over(cause),
                Ok(()) if error.class() == git2::ErrorClass::Os => {
                    Error::Disk(std::io::Error::other(error.message().to_owned())).into()
                }
                Ok(()) => Failure::Store(error.message().to_owned()),
            }),
        }
    }

    fn access(&mut self) -> Result<Access, Error> {
        let access = match self.remote.clone() {
            Remote::Ssh(address) => Access::Ssh {
                address,
                key: self.logins.key_file()?,
                known_hosts_file: self.logins.known_hosts()?,
                cancel: self.cancel.clone(),
            },
            Remote::Http(_) | Remote::File(_) => {
                // A mirror on another host is nobody that the token was given for.
                let ours = self.remote.same_host(&self.source.remote);
                let authorization = if ours { self.logins.authorization()? } else { None };
                Access::Http { http: self.http()?, authorization }
            }
        };
        Ok(access)
    }

    fn http(&mut self) -> Result<Arc<Http>, Error> {
        let tls = self.url.starts_with("https://");
        let kind = (tls, http::is_near(&self.url));
        if let Some((_, http)) = self.clients.iter().find(|(known, _)| *known == kind) {
            return Ok(http.clone());
        }
        let peer = if tls { Peer::Tls } else { Peer::Plain };
        let proxy = self.source.login.proxy.as_deref();
        let http = Http::towards(&self.url, peer, proxy, wire::STALL, self.cancel.clone());
        let http = Arc::new(http.map_err(|e| Error::Unreachable {
            url: self.url.clone(),
            cause: format!("{e}; is the package ca-certificates installed?"),
        })?);
        self.clients.push((kind, http.clone()));
        Ok(http)
    }
}

/// What of a disk the release and the status need.
const RESERVE: u64 = 1024 * 1024;

/// How much may come to the disk that holds `path`: what is free but for a reserve.
fn room(path: &Path) -> u64 {
    free(path).map_or(u64::MAX, |free| free.saturating_sub(RESERVE))
}

fn free(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn no_room(path: &Path, room: u64) -> std::io::Error {
    let free = free(path).map_or(room, |free| free.max(room)) / 1024;
    let text = format!(
        "{}: the disk is full: {free} KiB are free on the disk at {}, {} KiB of them are kept back, and the remote sends more",
        path.display(),
        mounted(path).display(),
        RESERVE / 1024
    );
    std::io::Error::new(std::io::ErrorKind::StorageFull, text)
}

/// Where the disk that holds `path` begins.
fn mounted(path: &Path) -> &Path {
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|file| file.st_dev);
    let own = device(path);
    path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(path)
}

#[derive(Debug)]
enum Failure {
    Wire(WireError),
    /// libgit2 did not like what it got or has; its words.
    Store(String),
    Said(Box<Error>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Said(Box::new(error))
    }
}

/// Process-wide settings of libgit2: what this program fetches depends on user-data alone, never on somebody's git
/// configuration; and a repository that user-data names may belong to anybody, since none of its code is ever run.
#[allow(unsafe_code)]
fn settle_libgit2() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use git2::ConfigLevel::{Global, ProgramData, System, XDG};
        for level in [Global, ProgramData, System, XDG] {
            // SAFETY: these change globals of libgit2 and must not run beside other calls of it; `Once` runs them before
            // the first fetcher of the process exists.
            let _ = unsafe { git2::opts::set_search_path(level, "") };
        }
        // SAFETY: as above.
        let _ = unsafe { git2::opts::set_verify_owner_validation(false) };
    });
}
