//! Top files: which SLS names a minion is given.

use indexmap::IndexMap;

use crate::error::{Error, Errors, Fault};
use crate::files;
use crate::jinja::{Py, Source};
use crate::low::Origin;
use crate::render::{Scene, on_stack};
use crate::session::Session;
use crate::targets::{self, Subject};
use crate::tree::Roots;
use crate::yaml::Node;

/// SLS names by environment, in the order of the top file.
pub type Matches = Vec<(String, Vec<String>)>;

/// What the state top file gives to the minion.
///
/// # Errors
/// There is no top file, or it is malformed.
pub fn top(session: &Session<'_>) -> Result<Matches, Errors> {
    on_stack(|| {
        let pillar = crate::pillar::compiled(session);
        Ok(pillar.and_then(|pillar| of_states(session, &pillar)))
    })?
}

/// The state top file, with the pillar at hand.
pub(crate) fn of_states(session: &Session<'_>, pillar: &Py) -> Result<Matches, Errors> {
    let found = read(session, &session.tree.file_roots, pillar, false)?;
    match found {
        Some(matches) => Ok(matches),
        None => {
            let roots: Vec<String> =
                session.tree.file_roots.values().flatten().map(|r| r.display().to_string()).collect();
            let fault = Fault::NotFound(format!("there is no top.sls in {}", roots.join(", ")));
            Err(Error::new(fault).help("a top.sls says which states go to which minion").into())
        }
    }
}

/// Reads the top files of every environment; `None` when there is none.
pub(crate) fn read(
    session: &Session<'_>,
    roots: &Roots,
    pillar: &Py,
    pillar_rend: bool,
) -> Result<Option<Matches>, Errors> {
    let mut sections: IndexMap<String, Section> = IndexMap::new();
    let mut errors = Vec::new();
    let mut any = false;
    // The base environment speaks first; another one's top file speaks for itself.
    let mut envs: Vec<&String> = roots.keys().collect();
    envs.sort_by_key(|env| *env != "base");
    for env in envs {
        let Some(full) = files::find(&roots[env], "top.sls") else { continue };
        any = true;
        match file(session, &full, env, pillar, pillar_rend) {
            Ok(found) => {
                for (section, targets) in found {
                    if section == *env || !sections.contains_key(&section) {
                        sections.insert(section, targets);
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    let grains = Scene::of(session, pillar.clone(), "base", pillar_rend).grains();
    let subject = Subject { id: &session.minion.id, grains: &grains, pillar };
    let mut matches = Vec::new();
    for (env, section) in sections {
        match section.matched(&subject) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => matches.push((env, names)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(any.then_some(matches)) } else { Err(Errors(errors)) }
}

/// One environment of a top file.
struct Section {
    targets: Vec<Target>,
    text: String,
}

struct Target {
    expression: String,
    kind: String,
    names: Vec<String>,
    at: Origin,
}

impl Section {
    fn matched(&self, subject: &Subject<'_>) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = Vec::new();
        for target in &self.targets {
            let hit = targets::matches(subject, &target.kind, &target.expression);
            let hit = hit.map_err(|e| Error::new(Fault::Top(e)).at(target.at.clone()).in_text(&self.text))?;
            names.extend(target.names.iter().filter(|_| hit).cloned());
        }
        Ok(names)
    }
}

fn file(
    session: &Session<'_>,
    full: &std::path::Path,
    env: &str,
    pillar: &Py,
    pillar_rend: bool,
) -> Result<Vec<(String, Section)>, Error> {
    let name = if pillar_rend { "pillar/top.sls" } else { "top.sls" };
    let text = files::read(full)?;
    let scene = Scene::of(session, pillar.clone(), env, pillar_rend);
    let shown = Source { name: name.to_owned(), text };
    let node = scene.data(&shown, "", &[])?;
    let bad = |node: &Node, message: String| {
        Error::new(Fault::Top(message)).at(node.at.in_file(name)).in_text(&shown.text)
    };
    if matches!(node.data, crate::yaml::Data::Null) {
        return Ok(Vec::new());
    }
    let Some(envs) = node.as_map() else {
        return Err(bad(&node, format!("it must be a mapping of environments, not {}", node.kind())));
    };
    let mut sections = Vec::new();
    for (env, targets) in envs {
        if matches!(targets.data, crate::yaml::Data::Null) {
            continue;
        }
        let Some(pairs) = targets.as_map() else {
            let message = format!(
                "the environment '{}' must be a mapping of targets, not {}",
                env.key(),
                targets.kind()
            );
            return Err(
                bad(targets, message).help("write `'*':` below it, and the SLS names as a list below that")
            );
        };
        let mut section = Section { targets: Vec::new(), text: shown.text.clone() };
        for (expression, body) in pairs {
            section.targets.push(target(expression, body, name, &bad)?);
        }
        sections.push((env.key(), section));
    }
    Ok(sections)
}

fn target(
    expression: &Node,
    body: &Node,
    file: &str,
    bad: &dyn Fn(&Node, String) -> Error,
) -> Result<Target, Error> {
    let at = expression.at.in_file(file);
    let mut target =
        Target { expression: expression.key(), kind: "compound".to_owned(), names: Vec::new(), at };
    let Some(items) = body.as_list() else {
        let message =
            format!("the target '{}' must hold a list of SLS names, not {}", target.expression, body.kind());
        return Err(bad(body, message).help("each name goes on a line that starts with `- `"));
    };
    for item in items {
        let kind = item.as_map().and_then(|m| m.iter().find(|(k, _)| k.as_str() == Some("match")));
        match (item.as_str(), kind) {
            (Some(name), _) => target.names.push(name.to_owned()),
            (None, Some((_, kind))) => target.kind = kind.key(),
            (None, None) if item.as_map().is_some() => {}
            (None, None) => {
                let message = format!(
                    "an entry of the target '{}' is {}, not an SLS name",
                    target.expression,
                    item.kind()
                );
                return Err(bad(item, message));
            }
        }
    }
    Ok(target)
}
