//! High data: the SLS files that were asked for, and what they include, as declarations with their places.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::hints::{UNSPACED, absent, is_unspaced};
use crate::error::{COLLECTED, Error, Errors, Fault};
use crate::files;
use crate::jinja::{Py, Source};
use crate::lines::Lines;
use crate::low::Origin;
use crate::render::{Scene, on_stack};
use crate::session::Session;
use crate::top::Written;
use crate::value::{Map, Value};
use crate::yaml::{Data, Node};

/// One item of a state's list: a function's name, or arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) at: Origin,
}

impl Item {
    /// The name of a function, if this is one.
    pub(crate) fn function(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// The first key, if this is arguments.
    pub(crate) fn key(&self) -> Option<&str> {
        self.value.as_map()?.keys().next().map(String::as_str)
    }
}

/// One state below an id: its list, or something that is no list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) items: Vec<Item>,
    /// What was there instead of a list.
    pub(crate) malformed: Option<&'static str>,
    pub(crate) at: Origin,
}

/// One id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decl {
    pub(crate) sls: String,
    pub(crate) env: String,
    pub(crate) at: Origin,
    pub(crate) included_from: Vec<String>,
    pub(crate) states: IndexMap<String, Body>,
}

/// What `exclude` names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Exclude {
    Sls(String),
    Id(String),
}

/// All declarations of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct High {
    pub(crate) decls: IndexMap<String, Decl>,
    pub(crate) extends: Vec<(String, Decl)>,
    pub(crate) excludes: Vec<Exclude>,
    /// Every SLS that was rendered, empty ones too: requisites may name them.
    pub(crate) rendered: Vec<String>,
    /// Where the lines of rendered files came from.
    pub(crate) lines: Lines,
}

/// The high data of these SLS names, by environment, as Salt's `state.show_highstate` and `state.show_sls` print it.
///
/// # Errors
/// Everything that is wrong in the files, as far as it can be told in one run.
pub fn high(session: &Session<'_>, matches: &[(String, Vec<String>)]) -> Result<Map, Errors> {
    let high = on_stack(|| {
        let gathered = crate::pillar::compiled(session)
            .and_then(|pillar| gather(session, matches, &Written::default(), pillar));
        let all = |high: High| high.decls.iter().map(|(id, d)| (id.clone(), Value::Map(shown(d)))).collect();
        Ok(gathered.map(all))
    })?;
    super::discreet(session, high)
}

/// A declaration as Salt prints it.
fn shown(decl: &Decl) -> Map {
    let list = |body: &Body| Value::List(body.items.iter().map(|i| i.value.clone()).collect());
    let mut map: Map = decl.states.iter().map(|(state, body)| (state.clone(), list(body))).collect();
    map.insert("__sls__".to_owned(), Value::Str(decl.sls.clone()));
    map.insert("__env__".to_owned(), Value::Str(decl.env.clone()));
    map
}

/// Renders these SLS names and what they include.
pub(crate) fn gather(
    session: &Session<'_>,
    matches: &[(String, Vec<String>)],
    written: &Written,
    pillar: Py,
) -> Result<High, Errors> {
    let mut gatherer = Gatherer {
        session,
        written,
        pillar,
        scenes: IndexMap::new(),
        seen: HashSet::new(),
        order: 10_000,
        errors: Vec::new(),
        chain: Vec::new(),
        high: High::default(),
    };
    for (env, names) in matches {
        gatherer.environment(env, names);
    }
    gatherer.high.lines = gatherer.lines();
    if gatherer.errors.is_empty() { Ok(gatherer.high) } else { Err(Errors(gatherer.errors)) }
}

struct Gatherer<'s> {
    session: &'s Session<'s>,
    /// Where the names that were asked for are written.
    written: &'s Written,
    pillar: Py,
    /// What the files of each environment see; shared, as templates may change pillar and grains for those after them.
    scenes: IndexMap<String, Rc<Scene<'s>>>,
    seen: HashSet<(String, String)>,
    /// Salt's `order` for the next declaration that names none.
    order: i64,
    errors: Vec<Error>,
    /// The includes that led here, the outermost first.
    chain: Vec<Origin>,
    high: High,
}

/// Arguments of one state.
const MAX_ARGUMENTS: usize = 10_000;

/// Includes inside includes.
const MAX_INCLUDES: usize = 100;

impl Gatherer<'_> {
    fn fail(&mut self, error: Error) {
        self.tell(error, 0);
    }

    /// Where the lines of all files that were rendered came from.
    fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        self.scenes.values().for_each(|scene| lines.extend(&scene.lines()));
        lines
    }

    /// Notes an error at its place in the files as they were written; `own` includes are part of its own place.
    fn tell(&mut self, error: Error, own: usize) {
        let lines = self.lines();
        let error = lines.place(error);
        let error = self
            .chain
            .iter()
            .rev()
            .skip(own)
            .fold(error, |e, at| e.through("included from", lines.origin(at)));
        if self.errors.len() < COLLECTED {
            self.errors.push(error);
        }
    }

    fn roots(&self, env: &str) -> &[std::path::PathBuf] {
        self.session.tree.file_roots.get(env).map_or(&[], Vec::as_slice)
    }

    /// The SLS names of an environment that a name or pattern means.
    fn expand(&self, env: &str, name: &str) -> Vec<String> {
        files::sls_matching(self.roots(env), name)
    }

    fn environment(&mut self, env: &str, names: &[String]) {
        for name in names {
            let found = self.expand(env, name);
            if found.is_empty() {
                let fault = Fault::NotFound(format!("no SLS matches '{name}' in the environment '{env}'"));
                self.fail(self.written.place(
                    env,
                    name,
                    absent(&self.session.tree.file_roots, Error::new(fault), env, name),
                ));
            }
            for sls in found {
                if !self.seen.contains(&(env.to_owned(), sls.clone())) {
                    let decls = self.sls(&sls, env, None);
                    self.merge(decls);
                }
            }
        }
    }

    /// Adds declarations to the whole; an id may be there only once.
    fn merge(&mut self, decls: IndexMap<String, Decl>) {
        for (id, decl) in decls {
            match self.high.decls.get(&id) {
                Some(other) => {
                    let (first, second) = (other.clone(), decl.clone());
                    self.conflict(&id, &first, &second);
                }
                None => _ = self.high.decls.insert(id, decl),
            }
        }
    }

    fn conflict(&mut self, id: &str, first: &Decl, second: &Decl) {
        let fault = Fault::High(format!(
            "the ID '{id}' is declared twice: in SLS '{}' and in SLS '{}'",
            first.sls, second.sls
        ));
        let error = Error::new(fault)
            .at(second.at.clone())
            .help("rename one of them")
            .through("also declared at", self.lines().origin(&first.at));
        self.fail(error);
    }

    /// Renders an SLS and its includes. Its own declarations come first, and are numbered last, as in Salt.
    fn sls(&mut self, sls: &str, env: &str, from: Option<&Origin>) -> IndexMap<String, Decl> {
        self.seen.insert((env.to_owned(), sls.to_owned()));
        if self.chain.len() >= MAX_INCLUDES {
            self.fail(Error::new(Fault::Limit("includes nested too deeply".to_owned())));
            return IndexMap::new();
        }
        let Some((path, init)) = self.locate(sls, env, from) else { return IndexMap::new() };
        self.high.rendered.push(sls.to_owned());
        let rendered = self.render(&path, sls, env);
        let (node, source) = match rendered {
            Ok(done) => done,
            Err(error) => {
                self.fail(error);
                return IndexMap::new();
            }
        };
        let path = Arc::from(path);
        let file = FileOf { sls, env, path: &path, text: &source, init };
        let mut decls = IndexMap::new();
        let mut includes = Vec::new();
        match &node.data {
            Data::Map(pairs) => self.file(pairs, &file, &mut decls, &mut includes),
            // As in Salt, what is false in Python declares nothing.
            other if is_nothing(other) => {}
            _ => {
                let fault =
                    Fault::High(format!("the SLS '{sls}' must be a mapping of IDs, not {}", node.kind()));
                self.fail(Error::new(fault).at(node.at.in_file(path.clone())).in_text(&source));
            }
        }
        for (include, at) in includes {
            self.include(&include, &at, &file, &mut decls);
        }
        self.number(&mut decls);
        decls
    }

    /// The file of an SLS, and whether it is an `init.sls`.
    fn locate(&mut self, sls: &str, env: &str, from: Option<&Origin>) -> Option<(String, bool)> {
        let base = sls.replace('.', "/");
        let roots = self.roots(env);
        let found = [(format!("{base}.sls"), false), (format!("{base}/init.sls"), true)]
            .into_iter()
            .find(|(path, _)| files::find(roots, path).is_some());
        if found.is_none() {
            let fault = Fault::NoSls(format!("the SLS '{sls}' is not in the environment '{env}'"));
            let help = format!("expected {base}.sls or {base}/init.sls below the file root");
            let error = absent(&self.session.tree.file_roots, Error::new(fault), env, sls).help(help);
            let error = match from {
                Some(at) => error.at(at.clone()),
                None => self.written.place(env, sls, error),
            };
            self.tell(error, 1);
        }
        found
    }

    fn scene(&mut self, env: &str) -> Rc<Scene<'_>> {
        let new = || Rc::new(Scene::of(self.session, self.pillar.clone(), env, false));
        self.scenes.entry(env.to_owned()).or_insert_with(new).clone()
    }

    fn render(&mut self, path: &str, sls: &str, env: &str) -> Result<(Node, String), Error> {
        let full = files::find(self.roots(env), path)
            .ok_or_else(|| Error::new(Fault::NotFound(format!("{path} is not there any more"))))?;
        let text = files::read(&full)?;
        let source = Source { name: path.to_owned(), text };
        let scene = self.scene(env);
        let node = scene.data(&source, sls, &[])?;
        Ok((node, source.text))
    }

    fn file(
        &mut self,
        pairs: &[(Node, Node)],
        file: &FileOf<'_>,
        decls: &mut IndexMap<String, Decl>,
        includes: &mut Vec<(Value, Origin)>,
    ) {
        for (key, value) in pairs {
            let at = key.at.in_file(file.path.clone());
            match key.as_str() {
                Some("include") => match value.as_list() {
                    Some(items) => {
                        includes.extend(items.iter().map(|i| (i.to_value(), i.at.in_file(file.path.clone()))))
                    }
                    None => self.no_list(file, &at, value, "`include` must be a list of SLS names"),
                },
                Some("extend") => match value.as_map() {
                    Some(items) => {
                        for (id, body) in items {
                            self.extend(id, body, file);
                        }
                    }
                    None => self.shape(file, &at, "`extend` must be a mapping of IDs"),
                },
                Some("exclude") => match value.as_list() {
                    Some(items) => self.exclude(items, file),
                    None => self.no_list(file, &at, value, "`exclude` must be a list"),
                },
                Some(id) if id.starts_with("__") => {}
                Some(_) => {
                    if let Some(decl) = self.decl(key, value, file) {
                        decls.insert(key.key(), decl);
                    }
                }
                None => {
                    let message =
                        format!("the ID '{}' is {}, not text: put it in quotes", key.key(), key.kind());
                    self.shape(file, &at, &message);
                }
            }
        }
    }

    /// One id of `extend`: unlike elsewhere, Salt takes no short declaration here.
    fn extend(&mut self, id: &Node, body: &Node, file: &FileOf<'_>) {
        if body.as_map().is_none() {
            let message =
                format!("the ID '{}' below `extend` must hold states, not {}", id.key(), body.kind());
            return self.shape(file, &id.at.in_file(file.path.clone()), &message);
        }
        let Some(decl) = self.decl(id, body, file) else { return };
        for (state, body) in &decl.states {
            if let Some(kind) = body.malformed {
                let message =
                    format!("'{state}' of the ID '{}' below `extend` must be a list, not {kind}", id.key());
                let error = Error::new(Fault::High(message)).at(body.at.clone()).in_text(file.text);
                return self.fail(error.help("each argument goes on a line that starts with `- `"));
            }
        }
        self.high.extends.push((id.key(), decl));
    }

    fn shape(&mut self, file: &FileOf<'_>, at: &Origin, message: &str) {
        self.fail(Error::new(Fault::High(message.to_owned())).at(at.clone()).in_text(file.text));
    }

    fn no_list(&mut self, file: &FileOf<'_>, at: &Origin, node: &Node, message: &str) {
        let error = Error::new(Fault::High(message.to_owned())).at(at.clone()).in_text(file.text);
        let help = match is_unspaced(node) {
            true => "put a space behind each `-`",
            false => "each entry goes on a line that starts with `- `",
        };
        self.fail(error.help(help));
    }

    fn exclude(&mut self, items: &[Node], file: &FileOf<'_>) {
        for item in items {
            let single = item.as_map().filter(|m| m.len() == 1).and_then(|m| m.first());
            let found = match (item.as_str(), single) {
                (Some(sls), _) => Some(Exclude::Sls(sls.to_owned())),
                (None, Some((key, value))) => match (key.as_str(), value.as_str()) {
                    (Some("sls"), Some(sls)) => Some(Exclude::Sls(sls.to_owned())),
                    (Some("id"), Some(id)) => Some(Exclude::Id(id.to_owned())),
                    _ => None,
                },
                _ => None,
            };
            match found {
                Some(exclude) => self.high.excludes.push(exclude),
                None => {
                    let at = item.at.in_file(file.path.clone());
                    self.shape(file, &at, "an entry of `exclude` is an SLS name, `sls: NAME` or `id: ID`");
                }
            }
        }
    }

    /// One id: `id: state.fun`, or a mapping of states.
    fn decl(&mut self, id: &Node, value: &Node, file: &FileOf<'_>) -> Option<Decl> {
        let at = id.at.in_file(file.path.clone());
        let mut decl = Decl {
            sls: file.sls.to_owned(),
            env: file.env.to_owned(),
            at: at.clone(),
            included_from: Vec::new(),
            states: IndexMap::new(),
        };
        if let Some((state, fun)) = value.as_str().and_then(|s| s.split_once('.')) {
            let at = value.at.in_file(file.path.clone());
            let fun = fun.split('.').next().unwrap_or_default().to_owned();
            let items = vec![Item { value: Value::Str(fun), at: at.clone() }];
            decl.states.insert(state.to_owned(), Body { items, malformed: None, at });
            return Some(decl);
        }
        let Some(states) = value.as_map() else {
            let message = format!(
                "the ID '{}' must hold states, such as `file.managed:`, not {}",
                id.key(),
                value.kind()
            );
            self.shape(file, &at, &message);
            return None;
        };
        // Salt moves what is written as `state.function` behind what is not.
        let dotted = |key: &Node| key.as_str().is_some_and(|k| k.contains('.'));
        for with_dot in [false, true] {
            for (key, list) in states.iter().filter(|(k, _)| dotted(k) == with_dot) {
                self.state(&id.key(), key, list, file, &mut decl);
            }
        }
        Some(decl)
    }

    fn state(&mut self, id: &str, key: &Node, list: &Node, file: &FileOf<'_>, decl: &mut Decl) {
        let name = key.key();
        let at = key.at.in_file(file.path.clone());
        if name.starts_with("__") {
            return;
        }
        let item = |node: &Node| Item { value: node.to_value(), at: node.at.in_file(file.path.clone()) };
        let mut body = Body { items: Vec::new(), malformed: None, at: at.clone() };
        match &list.data {
            Data::List(items) if items.len() > MAX_ARGUMENTS => {
                let message = format!("'{name}' of the ID '{id}' has more than {MAX_ARGUMENTS} arguments");
                return self.fail(Error::new(Fault::Limit(message)).at(at));
            }
            Data::List(items) => body.items = items.iter().map(item).collect(),
            _ => body.malformed = Some(if is_unspaced(list) { UNSPACED } else { list.kind() }),
        }
        let state = match name.split_once('.') {
            Some((state, fun)) if body.malformed.is_none() => {
                let fun = fun.split('.').next().unwrap_or_default().to_owned();
                body.items.push(Item { value: Value::Str(fun), at: at.clone() });
                state.to_owned()
            }
            _ => name,
        };
        if decl.states.contains_key(&state) {
            let message = format!("the ID '{id}' declares the state '{state}' twice");
            let error = Error::new(Fault::High(message)).at(at).in_text(file.text);
            self.fail(error.help("give the second one an ID of its own, and `name:` for what it works on"));
            return;
        }
        decl.states.insert(state, body);
    }

    fn include(
        &mut self,
        include: &Value,
        at: &Origin,
        file: &FileOf<'_>,
        decls: &mut IndexMap<String, Decl>,
    ) {
        let (env, name) = match include {
            Value::Str(name) => (file.env.to_owned(), name.clone()),
            Value::Map(m) if m.len() == 1 => match m.first() {
                Some((env, Value::Str(name))) => (env.clone(), name.clone()),
                _ => {
                    return self.shape(
                        file,
                        at,
                        "an entry of `include` is an SLS name, or `ENVIRONMENT: SLS`",
                    );
                }
            },
            _ => return self.shape(file, at, "an entry of `include` is an SLS name, or `ENVIRONMENT: SLS`"),
        };
        let Some(name) = absolute(&name, file) else {
            let message = format!("the relative include '{name}' leads out of the file root");
            return self.shape(file, at, &message);
        };
        if !self.session.tree.file_roots.contains_key(&env) {
            let message = format!("the environment '{env}' has no file root, so '{name}' cannot be included");
            let error = Error::new(Fault::High(message)).at(at.clone()).in_text(file.text);
            return self.fail(absent(&self.session.tree.file_roots, error, &env, &name));
        }
        let mut names = self.expand(&env, &name);
        if names.is_empty() {
            names.push(name);
        }
        for name in names {
            if self.seen.contains(&(env.clone(), name.clone())) {
                continue;
            }
            self.chain.push(at.clone());
            let mut included = self.sls(&name, &env, Some(at));
            self.chain.pop();
            for (id, decl) in &mut included {
                decl.included_from.push(file.sls.to_owned());
                if let Some(other) = decls.get(id).cloned() {
                    let decl = decl.clone();
                    self.conflict(id, &other, &decl);
                }
            }
            decls.extend(included);
        }
    }

    /// Gives each state without an `order` the next number.
    fn number(&mut self, decls: &mut IndexMap<String, Decl>) {
        for body in decls.values_mut().flat_map(|d| d.states.values_mut()) {
            if body.malformed.is_some() || body.items.iter().any(|i| i.key() == Some("order")) {
                continue;
            }
            let order = Map::from([("order".to_owned(), Value::Int(self.order))]);
            body.items.push(Item { value: Value::Map(order), at: body.at.clone() });
            self.order += 1;
        }
    }
}

/// The file that is being read.
struct FileOf<'f> {
    sls: &'f str,
    env: &'f str,
    path: &'f Arc<str>,
    text: &'f str,
    init: bool,
}

/// Whether Python takes a value for false.
fn is_nothing(data: &Data) -> bool {
    match data {
        Data::Null | Data::Bool(false) | Data::Int(0) => true,
        Data::Float(f) => *f == 0.0,
        Data::Str(s) => s.is_empty(),
        Data::List(l) => l.is_empty(),
        _ => false,
    }
}

/// The SLS that `.name` or `..name` means; `None` when it leads out of the root.
fn absolute(name: &str, file: &FileOf<'_>) -> Option<String> {
    let levels = name.len() - name.trim_start_matches('.').len();
    if levels == 0 {
        return Some(name.to_owned());
    }
    let mut parts: Vec<&str> = file.sls.split('.').collect();
    if file.init {
        parts.push("init");
    }
    let keep = parts.len().checked_sub(levels)?;
    parts.truncate(keep);
    parts.push(&name[levels..]);
    Some(parts.join("."))
}
