//! From an artefact to a release: fetched, checked, unpacked, and only then named.

use std::path::Path;

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind, Staged};
use crate::modules::archive_file::{self, Format};
use crate::modules::args::Args;
use crate::modules::file::Ids;
use crate::modules::file::remote::{self, is_remote, path_of};
use crate::modules::file::source::{Check, Named, OnDisk, Source};
use crate::modules::textfile::roots;
use crate::redact;

use super::origin::is_open;
use super::store::Record;
use super::{Plan, Want};

/// How an artefact becomes a directory.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    format: Asked,
    strip: u32,
    /// Of the file, where it is not unpacked.
    mode: u32,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    ByName,
    As(Format),
    /// It is put into the directory as it is.
    Plain,
}

impl Pack {
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let format = match args.text("archive_format")?.as_deref() {
            None => Asked::ByName,
            Some("tar") => Asked::As(Format::Tar),
            Some("zip") => Asked::As(Format::Zip),
            Some("none") => Asked::Plain,
            Some(other) => {
                return Err(Failure::declaration(format!(
                    "`archive_format: {other}` is not supported; tar, zip and none are"
                )));
            }
        };
        let strip = args.number("strip")?.unwrap_or(0);
        Ok(Self { format, strip, mode: args.mode("mode")?.unwrap_or(0o755) })
    }

    /// A Java archive is a zip archive that is run as it is.
    fn of(&self, file: &str) -> Option<Format> {
        match self.format {
            Asked::As(format) => Some(format),
            Asked::ByName => archive_file::format_of(file).filter(|_| !file.to_lowercase().ends_with(".jar")),
            Asked::Plain => None,
        }
    }
}

/// Make the release; nothing of it is seen before it is whole.
pub(super) fn install(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Record, Failure> {
    let artefact = &plan.artefact;
    let told = || artefact.digest.clone().filter(|_| !is_open(&artefact.url));
    let hash = want.digest(&artefact.version).or_else(told).filter(|_| !want.skip_verify);
    if hash.is_none() && !want.skip_verify && artefact.digest.is_some() {
        return Err(Failure::declaration(format!(
            "what {} says of its digest over plain http is no proof; `source_hash` or `skip_verify: true` is needed",
            redact::url(&artefact.url)
        )));
    }
    let check = Check::of(hash, want.skip_verify);
    let named = Named::new(&artefact.url);
    let wanted = check.wanted(&named, path_of(&artefact.url), call)?;
    let file: OnDisk = match is_remote(&artefact.url) {
        true => remote::get_with(&want.from.headers(), &artefact.url, wanted.as_ref(), call)
            .map_err(Failure::from)?
            .into(),
        false => Source::on_disk(&artefact.url, &check, call)?,
    };
    let record = Record {
        sha256: file.sha256()?,
        asked: wanted.map(|wanted| format!("{}={}", wanted.algorithm, wanted.hex)),
        source: redact::url(&artefact.url),
    };
    let work = want.store.workspace()?;
    unpack(want, &file.path, &artefact.file, &work, call)?;
    own(&work, plan.ids)?;
    want.store.admit(&work, &artefact.version, &record)?;
    Ok(record)
}

fn unpack(want: &Want, file: &Path, name: &str, work: &Path, call: &Call<'_>) -> Result<(), Failure> {
    let Some(format) = want.pack.of(name) else {
        let name = if name.is_empty() || name.starts_with('.') { "artefact" } else { name };
        let owner = roots(want.pack.mode);
        return Ok(Staged::write(&work.join(name), &mut fsys::open(file)?, owner)?.place()?);
    };
    let strip = match (format, want.pack.strip) {
        (_, 0) => Vec::new(),
        (Format::Tar, count) => vec![format!("--strip-components={count}")],
        (Format::Zip, _) => {
            return Err(Failure::declaration("`strip` is for tar archives: unzip cannot do it"));
        }
    };
    let entries = archive_file::list(file, name, format, want.pack.strip as usize, call)?;
    if entries.is_empty() {
        return Err(Failure::machine(format!("{name} holds nothing")));
    }
    archive_file::extract(file, format, work, &strip, call)
}

/// The files of a release belong to whom it is said; the directories around it to root.
fn own(work: &Path, ids: Ids) -> Result<(), Failure> {
    if ids == Ids::default() {
        return Ok(());
    }
    for (path, now) in std::iter::once((work.to_owned(), fsys::stat(work)?)).chain(fsys::walk(work)?) {
        fsys::set_owner(&path, ids.uid.unwrap_or(now.uid), ids.gid.unwrap_or(now.gid))?;
        if now.kind != Kind::Symlink {
            // A change of owner clears set-id bits.
            fsys::set_mode(&path, now.mode)?;
        }
    }
    Ok(())
}
