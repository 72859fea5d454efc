//! Text to text and text to data: the renderers that a file names, and templates at apply time.
// Effects: the clock is read, so that a tree cannot keep a machine busy for ever; no result depends on it.
#![allow(clippy::disallowed_methods)]

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::decrypt::{self, Block, Cipher};
use crate::error::{Error, Fault};
use crate::files;
use crate::functions::{self, Known, SALT_VERSION};
use crate::jinja::{self, CallArgs, Dict, Key, Limits, Py, Res, Source, World};
use crate::kept;
use crate::lines::Lines;
use crate::minion::Minion;
use crate::session::{Functions, Session};
use crate::tree::{Roots, Tree};
use crate::value::{Map, Value};
use crate::yaml::{self, Data, Node, Pos};

/// Runs a rendering on a stack that its limits fit in.
pub(crate) fn on_stack<T: Send>(run: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    // What is looked at in another thread is not taken down.
    kept::volatile();
    let broken = |cause: &str| Error::new(Fault::Limit(format!("the renderer stopped: {cause}")));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("render".to_owned()).stack_size(jinja::STACK);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| broken(&e.to_string()))?;
        handle.join().unwrap_or_else(|_| Err(broken("an internal error, please report it")))
    })
}

/// Everything that the templates of one environment see.
pub(crate) struct Scene<'a> {
    tree: &'a Tree,
    minion: &'a Minion,
    functions: &'a dyn Functions,
    known: Known,
    /// Where the lines of rendered files came from.
    lines: std::cell::RefCell<Lines>,
    /// Templates that were imported or included, parsed once for all files of the environment.
    parsed: jinja::Parsed,
    /// What a rendering has used up, with those that it started.
    spent: jinja::Spent,
    /// When renderings must have ended.
    deadline: Cell<Instant>,
    saltenv: String,
    /// Pillar files are rendered: templates are looked for in the pillar roots.
    pillar_rend: bool,
}

impl<'a> Scene<'a> {
    /// What the files of an environment see.
    pub(crate) fn new(
        tree: &'a Tree,
        minion: &'a Minion,
        functions: &'a dyn Functions,
        pillar: Py,
        saltenv: &str,
        pillar_rend: bool,
    ) -> Self {
        let grains = Py::from(&minion.grains);
        if let Py::Dict(d) = &grains {
            let mut grains = d.borrow_mut();
            grains.entry(Key::str("id")).or_insert_with(|| Py::str(minion.id.as_str()));
            grains.watch(kept::MOVING_GRAINS);
        }
        let opts = options(tree, minion, &grains, &pillar);
        let known = Known { grains, pillar: pillar.into_ordered(), opts };
        Self {
            tree,
            minion,
            functions,
            known,
            lines: std::cell::RefCell::default(),
            parsed: jinja::Parsed::default(),
            spent: jinja::Spent::default(),
            deadline: Cell::new(deadline()),
            saltenv: saltenv.to_owned(),
            pillar_rend,
        }
    }

    /// For the stages of a compile.
    pub(crate) fn of(session: &Session<'a>, pillar: Py, saltenv: &str, pillar_rend: bool) -> Self {
        Self::new(session.tree, session.minion, session.functions, pillar, saltenv, pillar_rend)
    }

    /// Who asks.
    pub(crate) fn minion(&self) -> &Minion {
        self.minion
    }

    /// The grains that templates see.
    pub(crate) fn grains(&self) -> Py {
        self.known.grains.clone()
    }

    /// Where the lines of rendered files came from.
    pub(crate) fn lines(&self) -> Lines {
        self.lines.borrow().clone()
    }

    /// The roots that files come from.
    pub(crate) fn roots(&self) -> &[PathBuf] {
        let roots = if self.pillar_rend { &self.tree.pillar_roots } else { &self.tree.file_roots };
        roots.get(&self.saltenv).map_or(&[], Vec::as_slice)
    }

    /// Renders a template to text.
    pub(crate) fn text(&self, source: &Source, sls: &str, extra: &[(String, Py)]) -> Res<String> {
        let mut vars = self.vars(&source.name, sls);
        vars.extend(extra.iter().map(|(k, v)| (k.as_str(), v.clone())));
        jinja::render(source, vars, self, Limits::default()).map_err(|e| jinja::in_file(e, &source.name))
    }

    /// Renders a template as Salt's `file.managed` does, with a time of its own.
    ///
    /// `name` is the path relative to its file root (`web/files/app.conf`), used in errors and as `tplfile`; `context`
    /// are the variables of the step, `sls` its SLS.
    pub(crate) fn template(&self, text: &str, name: &str, sls: &str, context: &Map) -> Res<String> {
        self.deadline.set(deadline());
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        let mut extra = vec![("source".to_owned(), Py::str(format!("salt://{name}")))];
        extra.extend(context.iter().map(|(k, v)| (k.clone(), Py::from(v))));
        self.text(&source, sls, &extra)
    }

    fn vars(&self, file: &str, sls: &str) -> Vec<(&'static str, Py)> {
        let env = Py::str(self.saltenv.as_str());
        let (dir, _) = file.rsplit_once('/').unwrap_or(("", file));
        let is_sls = file.ends_with(".sls");
        let path =
            files::find(self.roots(), file).map_or_else(|| file.to_owned(), |p| p.display().to_string());
        let mut vars = vec![
            ("salt", Py::Salt),
            ("grains", self.known.grains.clone()),
            ("pillar", self.known.pillar.clone()),
            ("opts", self.known.opts.clone()),
            ("saltenv", env.clone()),
            // Salt 3008 has these two no more; trees written for older ones, and for formulas' own convention, use them.
            ("env", env),
            ("tplroot", Py::str(file.split('/').next().filter(|_| !dir.is_empty()).unwrap_or("."))),
            ("sls", Py::str(sls)),
            ("tplpath", Py::str(path)),
            ("tplfile", Py::str(file)),
            ("tpldir", Py::str(if dir.is_empty() { "." } else { dir })),
            ("tpldot", Py::str(dir.replace('/', "."))),
        ];
        let slspath = if is_sls { dir.to_owned() } else { sls.replace('.', "/") };
        vars.push(("slsdotpath", Py::str(slspath.replace('/', "."))));
        vars.push(("slscolonpath", Py::str(slspath.replace('/', ":"))));
        vars.push(("sls_path", Py::str(slspath.replace('/', "_"))));
        vars.push(("slspath", Py::str(slspath)));
        vars
    }

    /// Renders a file of the tree to data, through the renderers that its first line names.
    pub(crate) fn data(&self, source: &Source, sls: &str, extra: &[(String, Py)]) -> Res<Node> {
        let pipeline =
            pipeline(&source.text).map_err(|e| jinja::in_file(e, &source.name).in_text(&source.text))?;
        let mut text = source.text.clone();
        for _ in 0..pipeline.jinja {
            text = self.text(&Source { name: source.name.clone(), text }, sls, extra)?;
        }
        let data = match pipeline.format {
            Format::Yaml => {
                self.lines.borrow_mut().keep(&source.name, &source.text, &text);
                yaml::load(&text, &source.name).map_err(|e| self.placed(e))?
            }
            Format::Json => json(&text, &source.name)?,
        };
        pipeline.ciphers.iter().try_fold(data, |data, cipher| self.opened(data, *cipher, &source.name))
    }

    /// Data with its encrypted values opened.
    fn opened(&self, data: Node, cipher: Cipher, file: &str) -> Res<Node> {
        let options = &self.minion.options;
        let keys = match cipher {
            Cipher::Gpg => &options.gpg_keydir,
            Cipher::Age => &options.age_keyfile,
        };
        let mut open = |text: &str| {
            // Keys are no part of the tree, and what they open is not to be kept.
            kept::volatile();
            self.outside(|| self.functions.decrypt(&Block { cipher, text, keys }))
        };
        decrypt::values(data, cipher, &mut open).map_err(|mut error| {
            error.place.origin.iter_mut().for_each(|origin| origin.file = file.into());
            self.placed(error)
        })
    }

    /// Does what has limits of its own, which is not counted on the time of a rendering.
    fn outside<T>(&self, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = run();
        let deadline = self.deadline.get();
        self.deadline.set(deadline.checked_add(start.elapsed()).unwrap_or(deadline));
        done
    }

    /// An error of a rendered text, with all its places in the file as it was written.
    fn placed(&self, mut error: Error) -> Error {
        let lines = self.lines.borrow();
        error.place.chain.iter_mut().for_each(|(_, at)| *at = lines.origin(at));
        lines.place(error)
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(jinja::SECONDS)
}

fn json(text: &str, name: &str) -> Res<Node> {
    let body = text.strip_prefix("#!").map_or(text, |t| t.split_once('\n').map_or("", |s| s.1));
    let at = Pos { line: 1, column: 1 };
    if body.trim().is_empty() {
        return Ok(Node { at, data: Data::Null });
    }
    Ok(node(&Value::from(&jinja::parse_json(body, name)?), at))
}

fn node(value: &Value, at: Pos) -> Node {
    let data = match value {
        Value::Null => Data::Null,
        Value::Bool(b) => Data::Bool(*b),
        Value::Int(i) => Data::Int(*i),
        Value::Float(f) => Data::Float(*f),
        Value::Str(s) => Data::Str(s.clone()),
        Value::List(l) => Data::List(l.iter().map(|i| node(i, at)).collect()),
        Value::Map(m) => {
            Data::Map(m.iter().map(|(k, v)| (Node { at, data: Data::Str(k.clone()) }, node(v, at))).collect())
        }
    };
    Node { at, data }
}

/// What Salt's `opts` holds that trees look at.
fn options(tree: &Tree, minion: &Minion, grains: &Py, pillar: &Py) -> Py {
    let roots = |all: &Roots| {
        let paths = |p: &Vec<PathBuf>| Py::list(p.iter().map(|p| Py::str(p.display().to_string())).collect());
        Py::dict(all.iter().map(|(env, p)| (Key::str(env.as_str()), paths(p))).collect())
    };
    let pairs = [
        ("id", Py::str(minion.id.as_str())),
        ("file_client", Py::str("local")),
        ("master", Py::str("salt")),
        // What was asked for by name; `base` is where one is without asking.
        ("saltenv", minion.asked_env().map_or(Py::None, Py::str)),
        ("pillarenv", Py::None),
        ("test", Py::Bool(false)),
        ("saltversion", Py::str(SALT_VERSION)),
        ("file_roots", roots(&tree.file_roots)),
        ("pillar_roots", roots(&tree.pillar_roots)),
        ("grains", grains.clone()),
        ("pillar", pillar.clone()),
        ("config_dir", Py::str("/etc/salt")),
        ("conf_file", Py::str("/etc/salt/minion")),
        ("cachedir", Py::str("/var/cache/salt/minion")),
        ("root_dir", Py::str("/")),
        ("state_auto_order", Py::Bool(true)),
        ("__role", Py::str("minion")),
        ("__cli", Py::str("salt-call")),
    ];
    Py::dict(pairs.into_iter().map(|(k, v)| (Key::str(k), v)).collect::<Dict>())
}

impl World for Scene<'_> {
    fn load(&self, path: &str) -> Res<Option<Source>> {
        let Some(full) = files::find(self.roots(), path) else { return Ok(None) };
        Ok(Some(Source { name: path.to_owned(), text: files::read(&full)? }))
    }

    fn parsed(&self) -> Option<&jinja::Parsed> {
        Some(&self.parsed)
    }

    fn spent(&self) -> Option<&jinja::Spent> {
        Some(&self.spent)
    }

    fn out_of_time(&self) -> bool {
        let late = Instant::now() > self.deadline.get();
        if late {
            kept::volatile();
        }
        late
    }

    fn call(&self, name: &str, args: CallArgs) -> Res<Py> {
        functions::call(self, name, &args).unwrap_or_else(|| self.call_machine(name, &args))
    }

    fn has(&self, name: &str) -> bool {
        functions::has(name) || self.functions.has(name)
    }

    fn has_module(&self, module: &str) -> bool {
        let of_module = |name: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        functions::names().chain(self.functions.names()).any(of_module)
    }
}

/// What the functions of templates ask for.
impl Scene<'_> {
    /// Grains, pillar and options.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// The names of all functions that templates can call, sorted.
    pub(crate) fn function_names(&self) -> Vec<String> {
        let mut all: Vec<String> =
            functions::names().chain(self.functions.names()).map(str::to_owned).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Calls a function of the machine.
    pub(crate) fn machine(&self, name: &str, positional: Vec<Py>) -> Res<Py> {
        self.call_machine(name, &CallArgs::of(positional))
    }

    fn call_machine(&self, name: &str, args: &CallArgs) -> Res<Py> {
        let all = args.positional.iter().chain(args.named.iter().map(|(_, v)| v));
        if let Some(Py::Undefined(message)) = all.into_iter().find(|v| matches!(v, Py::Undefined(_))) {
            return Err(Error::new(Fault::Undefined(message.to_string())));
        }
        let positional: Vec<Value> = args.positional.iter().map(Value::from).collect();
        let named: Map = args.named.iter().map(|(k, v)| (k.to_string(), Value::from(v))).collect();
        kept::volatile();
        match self.outside(|| self.functions.call(name, &positional, &named)) {
            Some(Ok(value)) => Ok(Py::from(&value)),
            Some(Err(cause)) => Err(Error::new(Fault::Function { name: name.to_owned(), cause })),
            None => Err(functions::unknown(name, &self.function_names())),
        }
    }

    /// The roots of an environment, or of this one.
    pub(crate) fn roots_of(&self, env: Option<&str>) -> Vec<PathBuf> {
        let all = if self.pillar_rend { &self.tree.pillar_roots } else { &self.tree.file_roots };
        all.get(env.unwrap_or(&self.saltenv)).cloned().unwrap_or_default()
    }

    /// The names of all environments.
    pub(crate) fn environments(&self) -> Vec<String> {
        let all = if self.pillar_rend { &self.tree.pillar_roots } else { &self.tree.file_roots };
        all.keys().cloned().collect()
    }

    /// The text of a file of the tree.
    pub(crate) fn tree_file(&self, path: &str, env: Option<&str>) -> Res<Option<String>> {
        files::find(&self.roots_of(env), path).map(|full| files::read(&full)).transpose()
    }

    /// The bytes of a file of the tree.
    pub(crate) fn tree_bytes(&self, path: &str, env: Option<&str>) -> Res<Option<Vec<u8>>> {
        files::find(&self.roots_of(env), path).map(|full| files::bytes(&full)).transpose()
    }

    /// Whether a pillar root (of one environment) has the file.
    pub(crate) fn pillar_file_exists(&self, path: &str, env: Option<&str>) -> bool {
        let asked = self.tree.pillar_roots.iter().filter(|(name, _)| env.is_none_or(|env| env == *name));
        asked.into_iter().any(|(_, roots)| files::find(roots, path).is_some())
    }

    /// A text rendered by the renderers of its first line, or by these: to text where that is `jinja` alone, else to
    /// data.
    pub(crate) fn rendered(&self, name: &str, text: &str, default: &str, extra: &[(String, Py)]) -> Res<Py> {
        let has_own = text.starts_with("#!") && !text.starts_with("#!/");
        let (line, body) = match has_own {
            true => text.split_once('\n').unwrap_or((text, "")),
            false => (default, text),
        };
        let pipeline = line.trim_start_matches("#!").trim();
        if pipeline == "jinja" {
            let source = Source { name: name.to_owned(), text: body.to_owned() };
            return self.text(&source, "", extra).map(Py::str);
        }
        let source = Source { name: name.to_owned(), text: format!("#!{pipeline}\n{body}") };
        Ok(self.data(&source, "", extra)?.to_py())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Yaml,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pipeline {
    /// How often the text is rendered as a template.
    jinja: usize,
    format: Format,
    /// What opens the values afterwards.
    ciphers: Vec<Cipher>,
}

/// Names for pipelines of two that Salt keeps from old times.
const OLD_STYLE: &[(&str, &str)] = &[("yaml_jinja", "jinja|yaml"), ("json_jinja", "jinja|json")];

/// The renderers that the first line names; `jinja|yaml` when it names none.
fn pipeline(text: &str) -> Result<Pipeline, Error> {
    let first = text.lines().next().unwrap_or_default().trim();
    let Some(names) = first.strip_prefix("#!").filter(|n| !n.starts_with('/')) else {
        return Ok(Pipeline { jinja: 1, format: Format::Yaml, ciphers: Vec::new() });
    };
    let names = OLD_STYLE.iter().find(|(old, _)| *old == names).map_or(names, |(_, new)| new);
    let mut jinja = 0;
    let mut format = None;
    let mut ciphers = Vec::new();
    for part in names.split('|').map(str::trim) {
        let (name, options) = part.split_once(' ').unwrap_or((part, ""));
        if format.is_some() {
            match Cipher::named(name).filter(|cipher| options.is_empty() && !ciphers.contains(cipher)) {
                Some(cipher) => ciphers.push(cipher),
                None => return Err(not_last(names)),
            }
            continue;
        }
        match name {
            "jinja" if matches!(options.trim(), "" | "-s") => jinja += 1,
            "jinja" => {
                return Err(Error::new(Fault::Renderer(part.to_owned())).help("`jinja` takes no options"));
            }
            "yaml" => format = Some(Format::Yaml),
            "json" => format = Some(Format::Json),
            other => return Err(Error::new(Fault::Renderer(other.to_owned())).help(why_not(other))),
        }
    }
    match format {
        Some(format) if jinja <= MAX_RENDERINGS => Ok(Pipeline { jinja, format, ciphers }),
        _ => Err(not_last(names)),
    }
}

/// More templates one after the other than anybody writes.
const MAX_RENDERINGS: usize = 8;

fn not_last(names: &str) -> Error {
    let fault = Fault::Renderer(names.to_owned());
    Error::new(fault).help(
        "text becomes data once, and encrypted values are opened after that: write `#!jinja|yaml`, `#!yaml`, `#!json`, \
         or one of these with `|gpg` or `|age` behind it, as in `#!jinja|yaml|age`",
    )
}

/// Why a renderer of Salt's is not one of ours.
fn why_not(name: &str) -> &'static str {
    match name {
        "py" | "pydsl" | "pyobjects" | "mako" | "wempy" | "genshi" | "cheetah" => {
            "it runs Python, which is not there; renderers here are `jinja`, `yaml` and `json`, as in `#!jinja|yaml`"
        }
        "gpg" | "age" => {
            "values are decrypted after the text has become data: write `#!yaml|gpg` or `#!yaml|age`, or \
             `#!jinja|yaml|age` for a template"
        }
        "nacl" | "aws_kms" | "pass" => {
            "secrets are decrypted by `gpg` and `age` here, as in `#!jinja|yaml|gpg`"
        }
        "stateconf" => {
            "`stateconf` rewrites ids; write them out, or use `include` and `extend`; renderers here are `jinja`, `yaml` and `json`"
        }
        _ => "renderers here are `jinja`, `yaml` and `json`, as in `#!jinja|yaml`",
    }
}
