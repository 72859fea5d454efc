//! Top files: which SLS names a minion is given.

mod file;
mod pillar;
mod states;
mod written;

use indexmap::IndexMap;

use crate::error::{Error, Errors, Fault};
use crate::files;
use crate::jinja::{Py, Source};
use crate::render::{Scene, on_stack};
use crate::session::Session;
use crate::targets::{self, Subject};
use file::{Target, TopFile};
pub(crate) use pillar::PillarTop;
pub(crate) use written::Written;

/// SLS names by environment, in the order of the top file; a name may be there more than once.
pub type Matches = Vec<(String, Vec<String>)>;

/// The top files of each environment: its own, then those that this one includes.
type Found = IndexMap<String, Vec<TopFile>>;

/// What the state top file gives to the minion.
///
/// # Errors
/// There is no top file, or it is malformed.
pub fn top(session: &Session<'_>) -> Result<Matches, Errors> {
    on_stack(|| {
        let pillar = crate::pillar::compiled(session);
        Ok(pillar.and_then(|pillar| of_states(session, &pillar)).map(|(matches, _)| matches))
    })?
}

/// The state top file, with the pillar at hand; and where it says so.
pub(crate) fn of_states(session: &Session<'_>, pillar: &Py) -> Result<(Matches, Written), Errors> {
    let found = read(session, pillar, false, &states::environments(session))?;
    if found.values().all(Vec::is_empty) {
        return Err(states::missing(session).into());
    }
    let merged = states::merged(session, &found)?;
    let matches = with_subject(session, pillar, |subject| states::matched(session, &merged, subject))?;
    let targets = merged.into_iter().map(|(env, targets)| (env, targets.into_values().collect()));
    Ok((matches, Written::new(targets)))
}

/// The pillar top file, with the pillar that came from outside.
pub(crate) fn of_pillar(session: &Session<'_>, given: &Py) -> Result<PillarTop, Errors> {
    let found = read(session, given, true, &pillar::environments(session))?;
    let matched =
        with_subject(session, given, |subject| pillar::matched(session, &found, subject).map_err(Errors))?;
    let sections = found.into_values().flatten().flat_map(|file| file.sections);
    let targets = sections.map(|section| (section.env, section.targets.unwrap_or_default()));
    Ok(PillarTop { written: Written::new(targets), ..matched })
}

fn with_subject<T>(
    session: &Session<'_>,
    pillar: &Py,
    run: impl FnOnce(&Subject<'_>) -> Result<T, Errors>,
) -> Result<T, Errors> {
    let grains = Scene::of(session, pillar.clone(), "base", false).grains();
    let minion = session.minion;
    run(&Subject { id: &minion.id, grains: &grains, pillar, nodegroups: &minion.options.nodegroups })
}

/// Whether a target means the minion.
fn means(target: &Target, subject: &Subject<'_>) -> Result<bool, Error> {
    let kind = target.kind()?;
    let Some(expression) = &target.expression else {
        return match kind.as_str() {
            "compound" | "glob" => Ok(false),
            _ => {
                Err(target.place.error(format!("the target '{}' is no text: put it in quotes", target.shown)))
            }
        };
    };
    targets::matches(subject, &kind, expression).map_err(|message| target.place.error(message))
}

/// Reads the top files of these environments and what they include.
fn read(session: &Session<'_>, pillar: &Py, of_pillar: bool, envs: &[String]) -> Result<Found, Errors> {
    let mut found = Found::new();
    let mut errors = Vec::new();
    for env in envs {
        let reader = Reader { scene: Scene::of(session, pillar.clone(), env, of_pillar), of_pillar };
        match reader.files(&session.minion.options.state_top) {
            Ok(files) => _ = found.insert(env.clone(), files),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Errors(errors)) }
}

struct Reader<'s> {
    scene: Scene<'s>,
    of_pillar: bool,
}

impl Reader<'_> {
    fn files(&self, name: &str) -> Result<Vec<TopFile>, Error> {
        let name = name.trim_start_matches("salt://").trim_start_matches('/');
        let Some(top) = self.file(name)? else { return Ok(Vec::new()) };
        let include = top.include.clone();
        let mut files = vec![top];
        let mut done: Vec<String> = Vec::new();
        for sls in include.iter().flat_map(|pattern| self.included(pattern)) {
            if done.contains(&sls) {
                continue;
            }
            let base = sls.replace('.', "/");
            let file = self.file(&format!("{base}.sls"))?;
            match file.map_or_else(|| self.file(&format!("{base}/init.sls")), |file| Ok(Some(file)))? {
                Some(file) => files.push(file),
                None => {
                    let fault = Fault::NotFound(format!("the SLS '{sls}' that {name} includes is not there"));
                    return Err(match files::sls_meant(self.scene.roots(), &sls) {
                        Some(help) => Error::new(fault).help(help),
                        None => Error::new(fault),
                    });
                }
            }
            done.push(sls);
        }
        Ok(files)
    }

    /// The SLS names that an include means. Of states, those that are not there are passed over, as in Salt.
    fn included(&self, pattern: &str) -> Vec<String> {
        if self.of_pillar {
            return vec![pattern.to_owned()];
        }
        files::sls_available(self.scene.roots(), pattern)
    }

    fn file(&self, path: &str) -> Result<Option<TopFile>, Error> {
        let Some(full) = files::find(self.scene.roots(), path) else { return Ok(None) };
        let name = if self.of_pillar { format!("pillar/{path}") } else { path.to_owned() };
        let source = Source { name: path.to_owned(), text: files::read(&full)? };
        file::read(&self.scene, source, &name).map(Some)
    }
}
