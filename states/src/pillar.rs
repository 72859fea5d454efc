//! Pillar: the data of a minion, from the pillar top file, its SLS files, and what it was given at birth.

use std::collections::HashSet;

use crate::error::{Error, Errors, Fault};
use crate::files;
use crate::jinja::{Dict, Key, Py, Source};
use crate::low::Origin;
use crate::merge;
use crate::render::{Scene, on_stack};
use crate::session::Session;
use crate::value::{Map, Value};
use crate::yaml::{Data, Node};

/// The compiled pillar of the minion.
///
/// # Errors
/// Everything that is wrong in the pillar files.
pub fn pillar(session: &Session<'_>) -> Result<Map, Errors> {
    on_stack(|| Ok(compiled(session).map(|pillar| to_map(&pillar))))?
}

/// A pillar as plain data.
pub(crate) fn to_map(pillar: &Py) -> Map {
    match Value::from(pillar) {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

/// The compiled pillar with its keys' types, for templates.
pub(crate) fn compiled(session: &Session<'_>) -> Result<Py, Errors> {
    let given = Py::from(&session.minion.pillar);
    let matches = crate::top::read(session, &session.tree.pillar_roots, &given, true)?.unwrap_or_default();
    let mut reader =
        Reader { session, given: given.clone(), errors: Vec::new(), seen: HashSet::new(), chain: Vec::new() };
    let mut pillar = Py::dict(Dict::new());
    for (env, names) in &matches {
        for name in names {
            for sls in reader.expand(env, name) {
                if reader.seen.contains(&(env.clone(), sls.clone())) {
                    continue;
                }
                if let Some(data) = reader.sls(&sls, env, &Py::None, None) {
                    pillar = reader.merged(&pillar, &data, None);
                }
            }
        }
    }
    pillar = reader.merged(&pillar, &given, None);
    if reader.errors.is_empty() { Ok(pillar) } else { Err(Errors(reader.errors)) }
}

struct Reader<'s> {
    session: &'s Session<'s>,
    given: Py,
    errors: Vec<Error>,
    seen: HashSet<(String, String)>,
    chain: Vec<Origin>,
}

/// Includes inside includes.
const MAX_INCLUDES: usize = 100;

impl Reader<'_> {
    fn fail(&mut self, error: Error) {
        let error = self.chain.iter().rev().fold(error, |e, at| e.through("included from", at.clone()));
        self.errors.push(error);
    }

    fn merged(&mut self, a: &Py, b: &Py, at: Option<&Origin>) -> Py {
        merge::merge(a, b, "smart", false).unwrap_or_else(|error| {
            let error = at.map_or_else(|| error.clone(), |at| error.clone().at(at.clone()));
            self.fail(error);
            a.clone()
        })
    }

    fn roots(&self, env: &str) -> &[std::path::PathBuf] {
        self.session.tree.pillar_roots.get(env).map_or(&[], Vec::as_slice)
    }

    fn expand(&self, env: &str, name: &str) -> Vec<String> {
        files::sls_matching(self.roots(env), name)
    }

    /// One pillar SLS with its includes under it; `None` when it says nothing.
    fn sls(&mut self, sls: &str, env: &str, defaults: &Py, from: Option<&Origin>) -> Option<Py> {
        self.seen.insert((env.to_owned(), sls.to_owned()));
        let base = sls.replace('.', "/");
        let candidates = [(format!("{base}.sls"), false), (format!("{base}/init.sls"), true)];
        let found =
            candidates.into_iter().find_map(|(p, init)| Some((files::find(self.roots(env), &p)?, p, init)));
        let Some((full, path, init)) = found else {
            let fault = Fault::NotFound(format!("the pillar SLS '{sls}' is not in the environment '{env}'"));
            let error = Error::new(fault)
                .help(format!("expected {base}.sls or {base}/init.sls below the pillar root"));
            self.errors.push(from.map_or_else(|| error.clone(), |at| error.clone().at(at.clone())));
            return None;
        };
        if self.chain.len() >= MAX_INCLUDES {
            self.fail(Error::new(Fault::Limit("pillar includes nested too deeply".to_owned())));
            return None;
        }
        match self.render(&full, &path, sls, env, defaults) {
            Ok((node, text)) => {
                self.with_includes(&node, &FileOf { sls, env, path: &path, text: &text, init }, defaults)
            }
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn render(
        &self,
        full: &std::path::Path,
        path: &str,
        sls: &str,
        env: &str,
        defaults: &Py,
    ) -> Result<(Node, String), Error> {
        let source = Source { name: path.to_owned(), text: files::read(full)? };
        let scene = Scene::of(self.session, self.given.clone(), env, true);
        let extra: Vec<(String, Py)> = match defaults {
            Py::Dict(d) => {
                d.borrow().iter().map(|(k, v)| (crate::jinja::text(k.value()), v.clone())).collect()
            }
            _ => Vec::new(),
        };
        let node = scene.data(&source, sls, &extra).map_err(in_pillar)?;
        Ok((node, source.text))
    }

    fn with_includes(&mut self, node: &Node, file: &FileOf<'_>, defaults: &Py) -> Option<Py> {
        let pairs = match &node.data {
            Data::Null => return None,
            Data::Map(pairs) => pairs,
            _ => {
                let message = format!("the SLS '{}' must be a mapping, not {}", file.sls, node.kind());
                self.shape(node, file, message);
                return None;
            }
        };
        let mut own = Dict::new();
        let mut includes = None;
        for (key, value) in pairs {
            match key.as_str() {
                Some("include") => includes = Some(value),
                _ => _ = Key::new(key.to_py()).map(|k| own.insert(k, value.to_py())),
            }
        }
        let mut all = Py::dict(Dict::new());
        if let Some(includes) = includes {
            let Some(items) = includes.as_list() else {
                self.shape(includes, file, "`include` must be a list of SLS names".to_owned());
                return None;
            };
            for item in items {
                for data in self.include(item, file, defaults) {
                    all = self.merged(&all, &data, Some(&item.at.in_file(&shown(file.path))));
                }
            }
        }
        Some(self.merged(&all, &Py::dict(own), None))
    }

    fn shape(&mut self, node: &Node, file: &FileOf<'_>, message: String) {
        let error = Error::new(Fault::Pillar(message)).at(node.at.in_file(&shown(file.path)));
        self.fail(error.in_text(file.text));
    }

    /// The data of one entry of `include`: a name, or `name: {key: …, defaults: …}`.
    fn include(&mut self, item: &Node, file: &FileOf<'_>, defaults: &Py) -> Vec<Py> {
        let single = item.as_map().filter(|m| m.len() == 1).and_then(|m| m.first());
        let (name, options) = match (item.as_str(), single) {
            (Some(name), _) => (name.to_owned(), Py::None),
            (None, Some((name, options))) => (name.key(), options.to_py()),
            _ => {
                self.shape(
                    item,
                    file,
                    "an entry of `include` is an SLS name, or a name with options".to_owned(),
                );
                return Vec::new();
            }
        };
        let Some(name) = absolute(&name, file) else {
            self.shape(item, file, format!("the relative include '{name}' leads out of the pillar root"));
            return Vec::new();
        };
        let defaults = options.item("defaults").unwrap_or_else(|| defaults.clone());
        let key = options.item("key").map(|k| crate::jinja::text(&k));
        let at = item.at.in_file(&shown(file.path));
        let mut names = self.expand(file.env, &name);
        if names.is_empty() {
            names.push(name);
        }
        let mut all = Vec::new();
        for name in names {
            if self.seen.contains(&(file.env.to_owned(), name.clone())) {
                continue;
            }
            self.chain.push(at.clone());
            let data = self.sls(&name, file.env, &defaults, Some(&at));
            self.chain.pop();
            all.extend(data.map(|data| {
                match &key {
                    Some(key) => key
                        .rsplit(':')
                        .fold(data, |inner, part| Py::dict([(Key::str(part), inner)].into_iter().collect())),
                    None => data,
                }
            }));
        }
        all
    }
}

struct FileOf<'f> {
    sls: &'f str,
    env: &'f str,
    path: &'f str,
    text: &'f str,
    init: bool,
}

/// How a pillar file is named in errors, so that it is not taken for a state file of the same path.
fn shown(path: &str) -> String {
    format!("pillar/{path}")
}

fn in_pillar(mut error: Error) -> Error {
    if let Some(origin) = &mut error.place.origin {
        origin.file = shown(&origin.file);
    }
    error
}

fn absolute(name: &str, file: &FileOf<'_>) -> Option<String> {
    let levels = name.len() - name.trim_start_matches('.').len();
    if levels == 0 {
        return Some(name.to_owned());
    }
    let mut parts: Vec<&str> = file.sls.split('.').collect();
    if file.init {
        parts.push("init");
    }
    parts.truncate(parts.len().checked_sub(levels)?);
    parts.push(&name[levels..]);
    Some(parts.join("."))
}
