//! From a remote repository to a folder of plain files: asks what the reference points at, fetches one commit deep, and
//! writes `releases/<commit>`. A remote that is unchanged costs one round trip.
// Effects: the network (through libgit2), files, and the token file.
#![allow(clippy::disallowed_methods)]

mod export;
mod ssh;
mod store;
#[cfg(test)]
mod tests;
mod want;
mod wire;

pub(crate) use store::{Link, Store};
pub(crate) use want::Want;

use crate::http::{Cancel, Http, Peer};
use crate::userdata::{Remote, Source};
use base64::Engine;
use export::ExportError;
use git2::{AutotagOption, Direction, FetchOptions, Oid, RemoteCallbacks, Repository};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use want::{Advertised, Attempt};
use wire::{Access, WireError};

const MAX_REFS: usize = 100_000;
/// Every fetch leaves two or three files in the cache of objects; past this it is cheaper to begin again.
const MAX_PACK_FILES: usize = 200;

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The remote cannot be reached.
    #[error("remote {url} cannot be reached: {cause}")]
    Unreachable {
        /// The repository.
        url: String,
        /// Why, in one line.
        cause: String,
    },
    /// The remote answers and refuses.
    #[error("remote {url} refuses: {cause}")]
    Refused {
        /// The repository.
        url: String,
        /// Why, in one line.
        cause: String,
    },
    /// There is no such branch or tag.
    #[error("remote {url} has no branch or tag {reference:?}")]
    NoReference {
        /// The repository.
        url: String,
        /// What was asked for.
        reference: String,
    },
    /// The commit is nowhere in the remote's history.
    #[error("remote {url} has no commit {commit} on any branch or tag; was it pushed?")]
    NoCommit {
        /// The repository.
        url: String,
        /// What was asked for.
        commit: String,
    },
    /// The commit's files are refused.
    #[error("commit {commit}: {cause}")]
    Tree {
        /// Which commit.
        commit: String,
        /// Which file and why.
        cause: String,
    },
    /// The token file cannot be used.
    #[error("token file {path}: {cause}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        cause: String,
    },
    /// The disk said no.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// The program was asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl Error {
    /// Whether the remote has answered and what was asked of it is the mistake: another tree would hide that.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(
            self,
            Self::NoReference { .. } | Self::NoCommit { .. } | Self::Tree { .. } | Self::Token { .. }
        )
    }
}

/// A commit's tree on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// 40 hex digits.
    pub(crate) commit: String,
    /// `releases/<commit>`.
    pub(crate) path: PathBuf,
    /// What was left out of it.
    pub(crate) notes: Vec<String>,
}

/// Fetches from one remote into one store.
#[derive(Debug)]
pub(crate) struct Fetcher {
    source: Source,
    url: String,
    store: Store,
    cancel: Cancel,
    http: Option<Arc<Http>>,
}

impl Fetcher {
    /// A fetcher; nothing is contacted yet.
    pub(crate) fn new(source: Source, store: Store, cancel: Cancel) -> Self {
        settle_libgit2();
        let url = source.remote.url();
        Self { source, url, store, cancel, http: None }
    }

    /// Gets what is wanted: the folder that is there already, or a fetched one.
    ///
    /// # Errors
    /// See [`Error`]; nothing half-written is ever a release.
    pub(crate) fn get(&mut self, want: Want<'_>) -> Result<Fetched, Error> {
        if let Want::Commit { commit, .. } = want
            && let Some(path) = self.store.release(commit)
        {
            return Ok(Fetched { commit: commit.to_owned(), path, notes: Vec::new() });
        }
        if let Remote::File(path) = self.source.remote.clone() {
            return self.get_local(&path, want).map_err(|f| self.error(f));
        }
        let access = Arc::new(self.access()?);
        let first = self.get_remote(&access, want);
        // A store of objects that does not fit the remote any more is cheap to make again; it is only a cache.
        match first {
            Err(Failure::Store(_)) => {
                let _ = std::fs::remove_dir_all(self.store.objects());
                self.get_remote(&access, want).map_err(|f| self.error(f))
            }
            other => other.map_err(|f| self.error(f)),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let url = self.url.clone();
        match failure {
            Failure::Wire(WireError::Unreachable(cause)) => Error::Unreachable { url, cause },
            Failure::Wire(WireError::Refused(cause)) => Error::Refused { url, cause },
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
        if let Some(path) = self.store.release(&commit) {
            return Ok(Fetched { commit, path, notes: Vec::new() });
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
            callbacks.transfer_progress(|_| !self.cancel.is_set());
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
        let room = room(&self.store.objects());
        let (result, failure) = wire::speaking(access.clone(), room, work);
        match (result, failure) {
            _ if self.cancel.is_set() => Err(Failure::Wire(WireError::Cancelled)),
            (Ok(value), _) => Ok(value),
            (Err(_), Some(failure)) => Err(Failure::Wire(failure)),
            (Err(error), None) if error.class() == git2::ErrorClass::Os => {
                Err(Error::Disk(std::io::Error::other(error.message().to_owned())).into())
            }
            (Err(error), None) => Err(Failure::Store(error.message().to_owned())),
        }
    }

    /// Writes the release of a commit whose objects are at hand; `None` when they are not.
    fn release(&self, repository: &Repository, commit: &str) -> Result<Option<Fetched>, Failure> {
        let refused = |cause: String| Error::Tree { commit: commit.to_owned(), cause };
        let Ok(found) = Oid::from_str(commit).and_then(|oid| repository.find_commit(oid)) else {
            return Ok(None);
        };
        let Ok(tree) = found.tree() else { return Ok(None) };
        let prepared = self.store.unfinished(commit);
        let _ = std::fs::remove_dir_all(&prepared);
        let written = export::export(repository, &tree, &prepared);
        let written = written.and_then(|notes| export::sync(&prepared).map(|()| notes));
        let notes = written.map_err(|error| {
            let _ = std::fs::remove_dir_all(&prepared);
            match error {
                ExportError::Io { path, source } => {
                    let said = std::io::Error::new(source.kind(), format!("{}: {source}", path.display()));
                    Failure::from(Error::Disk(said))
                }
                // What was kept between fetches is damaged: worth another download.
                ExportError::Git(error) => Failure::Store(error.message().to_owned()),
                other => refused(other.to_string()).into(),
            }
        })?;
        let path = self.store.finish(&prepared, commit).map_err(Error::Disk)?;
        Ok(Some(Fetched { commit: commit.to_owned(), path, notes }))
    }

    fn access(&mut self) -> Result<Access, Error> {
        let access = match &self.source.remote {
            Remote::Ssh(address) => Access::Ssh {
                address: address.clone(),
                key_file: self.source.ssh_key_file.clone(),
                known_hosts_file: self.source.known_hosts_file.clone(),
                cancel: self.cancel.clone(),
            },
            Remote::Http(_) | Remote::File(_) => {
                let authorization = self.source.token_file.as_deref().map(authorization).transpose()?;
                Access::Http { http: self.http()?, authorization }
            }
        };
        Ok(access)
    }

    fn http(&mut self) -> Result<Arc<Http>, Error> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let peer = if self.url.starts_with("https://") { Peer::Tls } else { Peer::Plain };
        let http = Http::new(peer, wire::STALL, self.cancel.clone()).map_err(|e| Error::Unreachable {
            url: self.url.clone(),
            cause: format!("{e}; is the package ca-certificates installed?"),
        })?;
        let http = Arc::new(http);
        self.http = Some(http.clone());
        Ok(http)
    }
}

/// How much may come to the disk that holds `path`: what is free but for a reserve, which the release and the status need.
fn room(path: &Path) -> u64 {
    const RESERVE: u64 = 1024 * 1024;
    let free = rustix::fs::statvfs(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    free.map_or(u64::MAX, |free| free.saturating_sub(RESERVE))
}

fn no_room(path: &Path, room: u64) -> std::io::Error {
    let text =
        format!("{}: the disk is full: the remote sends more than {} KiB", path.display(), room / 1024);
    std::io::Error::new(std::io::ErrorKind::StorageFull, text)
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

/// The token as Basic credentials (`user:token`, or a token alone, which every forge takes with any user name). The file
/// must be for its owner alone.
fn authorization(path: &Path) -> Result<reqwest::header::HeaderValue, Error> {
    let fail = |cause: String| Error::Token { path: path.to_owned(), cause };
    let meta = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    if meta.mode() & 0o077 != 0 {
        return Err(fail(format!("mode {:o} lets others read it; chmod 0600 it", meta.mode() & 0o777)));
    }
    if meta.len() > 16 * 1024 {
        return Err(fail("longer than 16 KiB".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(fail("must hold one token on one line".into()));
    }
    let pair = if token.contains(':') { token.to_owned() } else { format!("x-access-token:{token}") };
    let basic = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value =
        reqwest::header::HeaderValue::from_str(&format!("Basic {basic}")).map_err(|e| fail(e.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
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
