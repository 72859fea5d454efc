//! Pillar: the data of a minion, from the pillar top file, its SLS files, and what it was given at birth.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use indexmap::IndexMap;

use crate::error::{COLLECTED, Error, Errors, Fault};
use crate::files;
use crate::jinja::{Dict, Key, Py, Source};
use crate::low::Origin;
use crate::merge;
use crate::nearest::did_you_mean;
use crate::python::glob::{fnmatch, is_pattern};
use crate::render::{Scene, on_stack};
use crate::session::Session;
use crate::top::{PillarTop, Written};
use crate::value::{Map, Value};
use crate::yaml::{Data, Node};

/// The compiled pillar of the minion.
///
/// # Errors
/// Everything that is wrong in the pillar files.
pub fn pillar(session: &Session<'_>) -> Result<Map, Errors> {
    let pillar = on_stack(|| Ok(compiled(session).map(|pillar| to_map(&pillar))))?;
    crate::compile::discreet(session, pillar)
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
    let top = crate::top::of_pillar(session, &given)?;
    let mut reader = Reader {
        session,
        given: given.clone(),
        ignored: &top.ignored,
        written: &top.written,
        scenes: HashMap::new(),
        available: HashMap::new(),
        errors: Vec::new(),
        chain: Vec::new(),
        merges: 0,
    };
    let mut pillar = Py::dict(Dict::new());
    for (env, names) in in_order(session, &top) {
        pillar = reader.environment(env, names, pillar);
    }
    // What was given is merged last of all. Templates have seen it already, as Salt's manual says they do.
    if given.truth() {
        pillar = reader.merged(pillar, &given, None);
    }
    if reader.errors.is_empty() { Ok(pillar) } else { Err(Errors(reader.errors)) }
}

/// The environments that have something for the minion: those of `env_order`, then the others.
fn in_order<'t>(session: &Session<'_>, top: &'t PillarTop) -> Vec<(&'t str, &'t [String])> {
    let order = &session.minion.options.env_order;
    let mut all: Vec<(&str, &[String])> =
        top.matches.iter().map(|(env, names)| (env.as_str(), names.as_slice())).collect();
    all.sort_by_key(|(env, _)| order.iter().position(|o| o == env).unwrap_or(order.len()));
    all
}

/// The SLS of one environment that were rendered, each without what it includes; `None` for one that failed.
type Rendered = IndexMap<String, Option<Py>>;

struct Reader<'s> {
    session: &'s Session<'s>,
    given: Py,
    ignored: &'s HashSet<(String, String)>,
    /// Where the names that the top file gives are written.
    written: &'s Written,
    /// What the files of each environment see; shared, as templates may change what those after them see.
    scenes: HashMap<String, Rc<Scene<'s>>>,
    /// The SLS names of each environment, sorted.
    available: HashMap<String, Rc<Vec<String>>>,
    errors: Vec<Error>,
    chain: Vec<Origin>,
    merges: usize,
}

/// Includes inside includes.
const MAX_INCLUDES: usize = 100;
/// Merges of one compile: an honest tree needs a few for each of its files.
const MAX_MERGES: usize = 100_000;

impl<'s> Reader<'s> {
    fn fail(&mut self, error: Error) {
        let error = self.chain.iter().rev().fold(error, |e, at| e.through("included from", at.clone()));
        if self.errors.len() < COLLECTED {
            self.errors.push(error);
        }
    }

    fn merged(&mut self, a: Py, b: &Py, at: Option<&Origin>) -> Py {
        self.merges += 1;
        if self.merges > MAX_MERGES {
            if self.merges == MAX_MERGES + 1 {
                self.fail(Error::new(Fault::Limit("the pillar takes too many merges".to_owned())));
            }
            return a;
        }
        let options = &self.session.minion.options;
        let (strategy, lists) = (options.pillar_source_merging_strategy.name(), options.pillar_merge_lists);
        merge::merge_into(&a, b, strategy, lists).unwrap_or_else(|error| {
            let error = at.map_or_else(|| error.clone(), |at| error.clone().at(at.clone()));
            self.fail(error);
            a
        })
    }

    fn roots(&self, env: &str) -> &'s [std::path::PathBuf] {
        self.session.tree.pillar_roots.get(env).map_or(&[], Vec::as_slice)
    }

    fn available(&mut self, env: &str) -> Rc<Vec<String>> {
        if let Some(known) = self.available.get(env) {
            return known.clone();
        }
        let names = Rc::new(files::sls_available(self.roots(env), "*"));
        self.available.insert(env.to_owned(), names.clone());
        names
    }

    /// The names that are there and that a name or pattern means.
    fn matching(&mut self, env: &str, pattern: &str) -> Vec<String> {
        let all = self.available(env);
        if is_pattern(pattern) {
            return all.iter().filter(|name| fnmatch(name, pattern)).cloned().collect();
        }
        all.binary_search_by(|name| name.as_str().cmp(pattern))
            .map_or_else(|_| Vec::new(), |at| vec![all[at].clone()])
    }

    /// Merges what an environment has for the minion. A name that is asked for twice is merged twice.
    fn environment(&mut self, env: &str, names: &[String], mut pillar: Py) -> Py {
        if env != "base" && !self.session.tree.pillar_roots.contains_key(env) {
            let fault = Fault::Pillar(format!(
                "the top file names the environment '{env}', which has no pillar root"
            ));
            let known = self.session.tree.pillar_roots.keys().map(String::as_str);
            let error = match did_you_mean(env, known) {
                Some(help) => Error::new(fault).help(help),
                None => Error::new(fault),
            };
            self.fail(error);
            return pillar;
        }
        let mut rendered = Rendered::new();
        for name in names {
            let mut found = self.matching(env, name);
            if found.is_empty() {
                found.push(name.clone());
            }
            for sls in found {
                if let Some(data) = self.sls(&sls, env, &Py::None, None, &mut rendered) {
                    pillar = self.merged(pillar, &data, None);
                }
            }
        }
        pillar
    }

    /// One pillar SLS with its includes under it; `None` when it says nothing.
    fn sls(
        &mut self,
        sls: &str,
        env: &str,
        defaults: &Py,
        from: Option<&Origin>,
        rendered: &mut Rendered,
    ) -> Option<Py> {
        let base = sls.replace('.', "/");
        let candidates = [(format!("{base}.sls"), false), (format!("{base}/init.sls"), true)];
        let found =
            candidates.into_iter().find_map(|(p, init)| Some((files::find(self.roots(env), &p)?, p, init)));
        let Some((full, path, init)) = found else {
            if !self.ignored.contains(&(env.to_owned(), sls.to_owned())) {
                self.missing(sls, env, &base, from);
            }
            return None;
        };
        if self.chain.len() >= MAX_INCLUDES {
            self.fail(Error::new(Fault::Limit("pillar includes nested too deeply".to_owned())));
            return None;
        }
        rendered.insert(sls.to_owned(), None);
        match self.render(&full, &path, sls, env, defaults) {
            Ok((node, text)) => {
                let file = FileOf { sls, env, path: &path, text: &text, init };
                self.with_includes(&node, &file, defaults, rendered)
            }
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn missing(&mut self, sls: &str, env: &str, base: &str, from: Option<&Origin>) {
        let fault = Fault::NotFound(format!("the pillar SLS '{sls}' is not in the environment '{env}'"));
        let error = match files::sls_meant(self.roots(env), sls) {
            Some(meant) => Error::new(fault).help(meant),
            None => Error::new(fault),
        };
        let error = error.help(format!("expected {base}.sls or {base}/init.sls below the pillar root"));
        self.errors.push(match from {
            Some(at) => error.at(at.clone()),
            None => self.written.place(env, sls, error),
        });
    }

    fn scene(&mut self, env: &str) -> Rc<Scene<'s>> {
        let (session, given) = (self.session, &self.given);
        let new = || Rc::new(Scene::of(session, given.clone(), env, true));
        self.scenes.entry(env.to_owned()).or_insert_with(new).clone()
    }

    fn render(
        &mut self,
        full: &std::path::Path,
        path: &str,
        sls: &str,
        env: &str,
        defaults: &Py,
    ) -> Result<(Node, String), Error> {
        let source = Source { name: path.to_owned(), text: files::read(full)? };
        let extra: Vec<(String, Py)> = match defaults {
            Py::Dict(d) => {
                d.borrow().iter().map(|(k, v)| (crate::jinja::text(k.value()), v.clone())).collect()
            }
            _ => Vec::new(),
        };
        let node = self.scene(env).data(&source, sls, &extra).map_err(in_pillar)?;
        Ok((node, source.text))
    }

    fn with_includes(
        &mut self,
        node: &Node,
        file: &FileOf<'_>,
        defaults: &Py,
        rendered: &mut Rendered,
    ) -> Option<Py> {
        let (own, includes) = match &node.data {
            Data::Map(pairs) => split(pairs),
            _ if !node.to_py().truth() => return None,
            _ => {
                let message = format!("the SLS '{}' must be a mapping, not {}", file.sls, node.kind());
                self.shape(node, file, message);
                return None;
            }
        };
        let own = Py::dict(own);
        rendered.insert(file.sls.to_owned(), Some(own.clone()));
        let Some(includes) = includes else { return Some(own) };
        let Some(items) = includes.as_list() else {
            self.shape(includes, file, "`include` must be a list of SLS names".to_owned());
            return None;
        };
        let mut parts = Vec::new();
        // `defaults` of one entry hold for those after it, until another mapping says something else.
        let mut defaults = defaults.clone();
        for item in items {
            parts.extend(self.include(item, file, &mut defaults, rendered));
        }
        Some(self.joined(own, parts))
    }

    /// What an SLS says with what it includes: its own word counts last, unless the options say otherwise.
    fn joined(&mut self, own: Py, mut parts: Vec<(Py, Origin)>) -> Py {
        if self.session.minion.options.pillar_includes_override_sls {
            return parts.iter().fold(own.deep_copy(), |all, (part, at)| self.merged(all, part, Some(at)));
        }
        if parts.is_empty() {
            return own;
        }
        let (first, _) = parts.remove(0);
        let all = parts.iter().fold(first.deep_copy(), |all, (part, at)| self.merged(all, part, Some(at)));
        self.merged(all, &own, None)
    }

    fn shape(&mut self, node: &Node, file: &FileOf<'_>, message: String) {
        let error = Error::new(Fault::Pillar(message)).at(node.at.in_file(shown(file.path)));
        self.fail(error.in_text(file.text));
    }

    /// The data of one entry of `include`: a name, or `name: {key: …, defaults: …}`.
    fn include(
        &mut self,
        item: &Node,
        file: &FileOf<'_>,
        defaults: &mut Py,
        rendered: &mut Rendered,
    ) -> Vec<(Py, Origin)> {
        let Some((name, key)) = entry(item, defaults) else {
            let message =
                "an entry of `include` is an SLS name, or a name with `key` and `defaults`".to_owned();
            self.shape(item, file, message);
            return Vec::new();
        };
        let at = item.at.in_file(shown(file.path));
        let mut all = Vec::new();
        for sls in self.meant(&name, file) {
            let data = match rendered.get(&sls) {
                Some(known) => known.clone(),
                None => {
                    self.chain.push(at.clone());
                    let data = self.sls(&sls, file.env, defaults, Some(&at), rendered);
                    self.chain.pop();
                    data
                }
            };
            if let Some(data) = data.filter(Py::truth) {
                all.push((below(key.as_deref(), data), at.clone()));
            }
        }
        all
    }

    /// The SLS that an entry means. Salt looks for it twice, from the top and from where the file is, and takes both:
    /// what is found twice is merged twice, the second time without what it includes itself.
    fn meant(&mut self, name: &str, file: &FileOf<'_>) -> Vec<String> {
        let mut found = self.matching(file.env, &name.trim_start_matches('.').replace('/', "."));
        let full = relative(name, file);
        found.extend(self.matching(file.env, &full));
        if found.is_empty() { vec![full] } else { found }
    }
}

/// The data of a file, and its `include`.
fn split(pairs: &[(Node, Node)]) -> (Dict, Option<&Node>) {
    let mut own = Dict::new();
    let mut includes = None;
    for (key, value) in pairs {
        match key.as_str() {
            Some("include") => includes = Some(value),
            _ => _ = Key::new(key.to_py()).map(|k| own.insert(k, value.to_py())),
        }
    }
    (own, includes)
}

/// The name of an entry of `include`, and its key. Its defaults replace those of the entries before it.
fn entry(item: &Node, defaults: &mut Py) -> Option<(String, Option<String>)> {
    if let Some(name) = item.as_str() {
        return Some((name.to_owned(), None));
    }
    let (name, options) = item.as_map()?.first()?;
    let options = options.as_map().map(|_| options.to_py())?;
    *defaults = options.item("defaults").unwrap_or(Py::None);
    let key = options.item("key").filter(Py::truth).map(|k| crate::jinja::text(&k));
    Some((name.as_str()?.to_owned(), key))
}

/// Data moved below a key such as `a:b`.
fn below(key: Option<&str>, data: Py) -> Py {
    let Some(key) = key else { return data };
    key.rsplit(':')
        .take(1_000)
        .fold(data, |inner, part| Py::dict([(Key::str(part), inner)].into_iter().collect()))
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
        origin.file = shown(&origin.file).into();
    }
    error
}

/// `.name` is beside the file, or in the folder whose `init.sls` it is. Pillar knows no `..name`.
fn relative(name: &str, file: &FileOf<'_>) -> String {
    let Some(rest) = name.strip_prefix('.') else { return name.to_owned() };
    let folder = if file.init { Some(file.sls) } else { file.sls.rsplit_once('.').map(|(folder, _)| folder) };
    folder.map_or_else(|| rest.to_owned(), |folder| format!("{folder}.{rest}"))
}
