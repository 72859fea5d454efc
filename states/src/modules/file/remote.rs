//! Sources on other machines: fetched once, and asked for again only when nothing here tells that they are as they were.
//!
//! What is kept of them is below [`KEPT`]: the content, under the digest of its address, and beside it what the server
//! calls that version, with the digest of the content that it is the name of.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::difference::KEEP;
use super::reading::{self, Reading, Seen};
use super::source_hash::SourceHash;
use crate::engine::step::{Call, Failure};
use crate::fsys::scratch::Scratch;
use crate::fsys::{self, Content, Kind};
use crate::host::Request;
use crate::modules::textfile::roots;
use crate::redact;

const KEPT: &str = "/var/cache/mayfly/fetched";

/// Why a source is not at hand.
pub(crate) enum Missed {
    /// The server has it not, or cannot be reached: another may have it.
    Absent(String),
    /// It is not what it should be, or the machine will not.
    Failed(Failure),
}

impl From<fsys::Error> for Missed {
    fn from(error: fsys::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Missed> for Failure {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Absent(why) => Self::machine(why),
            Missed::Failed(failure) => failure,
        }
    }
}

/// A fetched file that is removed when nobody holds it any more.
#[derive(Debug, Clone)]
pub(crate) struct Held(Rc<Scratch>);

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// A source at hand.
pub(crate) struct Fetched {
    pub(crate) content: Content,
    file: File,
}

enum File {
    /// The copy that is kept.
    Kept(PathBuf),
    /// Just come, and what the server calls it.
    New(Scratch, Option<String>),
}

/// Whether it is on another machine.
pub(crate) fn is_remote(name: &str) -> bool {
    ["http://", "https://", "s3://"].iter().any(|scheme| name.starts_with(scheme))
}

/// The path of an address: what its file is called there.
pub(crate) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['?', '#']).next().unwrap_or_default()
}

/// Where what is kept of an address is.
struct Kept {
    dir: PathBuf,
    file: PathBuf,
    etag: PathBuf,
}

impl Kept {
    fn of(url: &str, call: &Call<'_>) -> Self {
        let dir = call.context.host.path(KEPT);
        let name = hex::encode(Sha256::digest(url));
        Self { file: dir.join(&name), etag: dir.join(format!("{name}.etag")), dir }
    }

    fn read(&self, wanted: Option<&SourceHash>) -> Result<Option<Seen>, Failure> {
        match fsys::stat(&self.file)?.kind {
            Kind::File => reading::read(&self.file, wanted).map(Some),
            _ => Ok(None),
        }
    }

    /// What the server calls the content that is kept, if that is whole.
    fn version(&self) -> Result<Option<(String, Content)>, Failure> {
        if fsys::stat(&self.etag)?.kind != Kind::File {
            return Ok(None);
        }
        let text = fsys::read_text(&self.etag, KEEP)?;
        let Some((sha256, etag)) = text.trim_end().split_once(' ') else { return Ok(None) };
        let seen = self.read(None)?.filter(|seen| seen.content.sha256() == sha256);
        Ok(seen.map(|seen| (etag.to_owned(), seen.content)))
    }

    fn found(self, content: Content) -> Fetched {
        Fetched { content, file: File::Kept(self.file) }
    }

    /// A temporary file; in a rehearsal elsewhere, because nothing will be kept.
    fn scratch(&self, call: &Call<'_>) -> Result<Scratch, Failure> {
        if call.test {
            return Ok(Scratch::transient()?);
        }
        fsys::make_dirs(&self.dir, roots(0o700))?;
        Ok(Scratch::new(&self.dir)?)
    }
}

/// Get a source with this digest, from what is kept or from its server. Without a digest the server is always asked, if
/// only whether anything has changed.
pub(crate) fn get(url: &str, wanted: Option<&SourceHash>, call: &Call<'_>) -> Result<Fetched, Missed> {
    get_with(&[], url, wanted, call)
}

/// The same with headers, which say who asks.
pub(crate) fn get_with(
    headers: &[(String, String)],
    url: &str,
    wanted: Option<&SourceHash>,
    call: &Call<'_>,
) -> Result<Fetched, Missed> {
    let kept = Kept::of(url, call);
    if wanted.is_some()
        && let Some(Seen { content, wrong: None, .. }) = kept.read(wanted)?
    {
        return Ok(kept.found(content));
    }
    let version = if wanted.is_none() { kept.version()? } else { None };
    let mut request = Request { headers: headers.to_vec(), ..Request::get(url) };
    if let Some((etag, _)) = &version {
        request = request.header("If-None-Match", etag);
    }
    let absent = |why: String| Missed::Absent(format!("cannot fetch {}: {why}", redact::url(url)));
    let mut reading = Reading::new(wanted, Some(kept.scratch(call)?));
    let answer = call.context.host.network().fetch(&request, &mut reading);
    let answer = answer.map_err(|e| absent(e.to_string()))?;
    match (answer.status, version) {
        (304, Some((_, content))) => return Ok(kept.found(content)),
        (304, None) => return Err(absent("the server says 304 to a question without a version".to_owned())),
        _ => {}
    }
    let seen = reading.finish();
    if let (Some(wrong), Some(wanted)) = (&seen.wrong, wanted) {
        return Err(mismatch(&redact::url(url), wrong, wanted).into());
    }
    let file = seen.file.ok_or_else(|| Failure::machine("the file that was fetched is gone"))?;
    Ok(Fetched { content: seen.content, file: File::New(file, answer.etag) })
}

/// What is said of content with another digest than was asked for.
pub(crate) fn mismatch(name: &str, wrong: &str, wanted: &SourceHash) -> Failure {
    Failure::machine(format!(
        "the {} of {name} is {wrong}, but source_hash asks for {}",
        wanted.algorithm, wanted.hex
    ))
}

impl Fetched {
    /// Keep it for later runs, when it can be told that it is still the same.
    pub(crate) fn keep(self, url: &str, call: &Call<'_>) -> Result<Self, Failure> {
        match self.file {
            File::New(scratch, etag) if !call.test => {
                let kept = Kept::of(url, call);
                fsys::remove(&kept.etag)?;
                scratch.place(&kept.file)?;
                if let Some(etag) = etag.filter(|etag| !etag.contains('\n')) {
                    let version = format!("{} {etag}\n", self.content.sha256());
                    fsys::replace(&kept.etag, version.as_bytes(), roots(0o600))?;
                }
                Ok(kept.found(self.content))
            }
            file => Ok(Self { file, ..self }),
        }
    }

    /// Whether the server can be asked later if it is still the same.
    pub(crate) fn has_version(&self) -> bool {
        matches!(self.file, File::Kept(_) | File::New(_, Some(_)))
    }

    /// Where it is, and what must be held for as long as it is needed.
    pub(crate) fn place(self) -> (PathBuf, Content, Option<Held>) {
        match self.file {
            File::Kept(path) => (path, self.content, None),
            File::New(scratch, _) => (scratch.path().to_owned(), self.content, Some(Held(Rc::new(scratch)))),
        }
    }
}

/// The copy that is kept of a source, if there is one.
pub(crate) fn kept(url: &str, call: &Call<'_>) -> Result<Option<PathBuf>, Failure> {
    let file = Kept::of(url, call).file;
    Ok((fsys::stat(&file)?.kind != Kind::Missing).then_some(file))
}

/// Keep no copy of a source.
pub(crate) fn forget(url: &str, call: &Call<'_>) -> Result<(), Failure> {
    let kept = Kept::of(url, call);
    fsys::remove(&kept.etag)?;
    Ok(fsys::remove(&kept.file)?)
}

/// The digest of a file that is kept, by the algorithm of another.
pub(crate) fn digest(path: &Path, wanted: Option<&SourceHash>) -> Result<String, Failure> {
    let seen = reading::read(path, wanted)?;
    Ok(match (seen.wrong, wanted) {
        (Some(wrong), _) => wrong,
        (None, Some(wanted)) => wanted.hex.clone(),
        (None, None) => seen.content.sha256().into_owned(),
    })
}
