//! Where the content of a managed file comes from: the declaration, pillar, grains, the tree or a local path.

use std::path::{Path, PathBuf};

use crate::engine::TemplateRequest;
use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Content, Kind};
use crate::modules::args::{Args, scalar};
use crate::modules::file::Place;
use crate::modules::file::dataset::Dataset;
use crate::modules::file::difference::KEEP;
use crate::modules::file::source_hash::{Names, SourceHash};
use crate::value::{Map, Value};

/// Templates and `contents` beyond this are refused.
const TEMPLATE_LIMIT: usize = 16 << 20;

/// Where content comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// From nowhere: the file is only to be there.
    None,
    /// From the declaration, pillar or grains.
    Text(String),
    /// From the first of these that exists: `salt://…` or absolute paths.
    Files(Vec<String>),
    /// Data written as text, over what the file holds or not.
    Data(Box<Dataset>),
}

/// Content ready to be compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ready {
    pub(crate) content: Content,
    /// The file it is copied from; `None` when the bytes are in `content`.
    pub(crate) file: Option<PathBuf>,
    /// Mode of the source file, for `mode: keep`.
    pub(crate) mode: Option<u32>,
}

impl Source {
    /// Read `source`, `contents`, `contents_pillar`, `contents_grains`; at most one of them.
    pub(crate) fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let keys = ["source", "contents", "contents_pillar", "contents_grains"];
        let given: Vec<&str> = keys.into_iter().filter(|k| args.get(k).is_some()).collect();
        match given.as_slice() {
            [] => Ok(Source::None),
            ["source"] => Ok(Source::Files(sources(args)?)),
            ["contents"] => Ok(Source::Text(text("contents", args.get("contents"), args)?)),
            ["contents_pillar"] => data("contents_pillar", "pillar", &call.low.pillar, args),
            [_] => data("contents_grains", "grains", &call.context.minion.grains, args),
            many => Err(Failure::declaration(format!("only one of {} can be given", many.join(", ")))),
        }
    }

    /// Whether the source is there and has the digest that it must have; a directory has none.
    pub(crate) fn at(name: &str, check: &Check, call: &Call<'_>) -> Result<(), Failure> {
        check.verify(&first_file(&[name.to_owned()], call)?, call)
    }

    /// Fetch and render the content; `None` when there is none to manage.
    pub(crate) fn ready(
        &self,
        template: Option<&Map>,
        check: &Check,
        call: &Call<'_>,
    ) -> Result<Option<Ready>, Failure> {
        match self {
            Source::None => Ok(None),
            Source::Text(text) => {
                let name = call.chunk.origin.file.clone();
                let text = match template {
                    Some(context) => render(text, &name, context, call)?,
                    None => text.clone(),
                };
                Ok(Some(Ready { content: Content::of(text.into_bytes()), file: None, mode: None }))
            }
            Source::Data(dataset) => {
                let text = dataset.text(existing(dataset, call)?.as_deref()).map_err(Failure::machine)?;
                Ok(Some(Ready { content: Content::of(text.into_bytes()), file: None, mode: None }))
            }
            Source::Files(names) => {
                let found = first_file(names, call)?;
                check.verify(&found, call)?;
                found.ready(template, call).map(Some)
            }
        }
    }
}

/// The text of the file that data is merged into.
fn existing(dataset: &Dataset, call: &Call<'_>) -> Result<Option<String>, Failure> {
    let path = Place::of(call)?.path;
    match dataset.merge && fsys::stat(&path)?.kind == Kind::File {
        true => Ok(Some(fsys::read_text(&path, TEMPLATE_LIMIT)?)),
        false => Ok(None),
    }
}

fn sources(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let items = match args.get("source") {
        Some(Value::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let name = |item: &Value| match item {
        Value::Map(map) => map.keys().next().cloned(),
        other => scalar(other),
    };
    let names: Option<Vec<String>> = items.iter().map(name).collect();
    names
        .filter(|n| !n.is_empty())
        .ok_or_else(|| Failure::declaration("`source` must be a path or a list of paths"))
}

/// Text or a list of lines; with a line end at the end unless `contents_newline` is false.
fn text(key: &str, value: Option<&Value>, args: &Args<'_>) -> Result<String, Failure> {
    let bad = || Failure::declaration(format!("`{key}` must be text or a list of lines"));
    let mut text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::List(items)) => {
            items.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(bad)?.join("\n")
        }
        Some(one) => scalar(one).ok_or_else(bad)?,
    };
    if text.is_empty() && !args.flag("allow_empty", true)? {
        return Err(Failure::declaration(format!("`{key}` is empty, and allow_empty is false")));
    }
    if args.flag("contents_newline", true)? && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn data(key: &str, what: &str, data: &Map, args: &Args<'_>) -> Result<Source, Failure> {
    let path = args.text(key)?.unwrap_or_default();
    from_data(&path, key, what, data, args).map(Source::Text)
}

/// Text that stands at a path in pillar or grains.
pub(crate) fn from_data(
    path: &str,
    key: &str,
    what: &str,
    data: &Map,
    args: &Args<'_>,
) -> Result<String, Failure> {
    let delimiter = args.text("contents_delimiter")?.filter(|d| !d.is_empty());
    let at = look_up(path, delimiter.as_deref().unwrap_or(":"), key, what, data)?;
    text(key, Some(at), args)
}

/// What stands at a path in pillar or grains.
pub(crate) fn look_up<'a>(
    path: &str,
    delimiter: &str,
    key: &str,
    what: &str,
    data: &'a Map,
) -> Result<&'a Value, Failure> {
    let none = |part| format!("{key}: the {what} has no `{path}` (nothing at `{part}`)");
    let mut parts = path.split(delimiter);
    let first = parts.next().unwrap_or_default();
    let mut at = data.get(first).ok_or_else(|| Failure::declaration(none(first)))?;
    for part in parts {
        let below = match at {
            Value::Map(map) => map.get(part),
            Value::List(list) => part.parse::<usize>().ok().and_then(|n| list.get(n)),
            _ => None,
        };
        at = below.ok_or_else(|| Failure::declaration(none(part)))?;
    }
    Ok(at)
}

/// A source file that exists.
struct Found {
    path: PathBuf,
    /// Relative to the file root, else absolute.
    name: String,
    /// As the declaration has it.
    asked: String,
}

fn first_file(names: &[String], call: &Call<'_>) -> Result<Found, Failure> {
    for name in names {
        if let Some(found) = find(name, call)? {
            return Ok(found);
        }
    }
    let all = names.join(", ");
    Err(match names.iter().all(|n| n.starts_with("salt://")) {
        true => Failure::declaration(format!("the tree has no file {all}")),
        false => Failure::machine(format!("no source file is there: {all}")),
    })
}

fn find(name: &str, call: &Call<'_>) -> Result<Option<Found>, Failure> {
    if let Some(rest) = name.strip_prefix("salt://") {
        return in_tree(rest, call);
    }
    let local = name.strip_prefix("file://").unwrap_or(name);
    if !local.starts_with('/') {
        let what = "a source must be salt://… or an absolute path; fetch others with cmd.run or pkg";
        return Err(Failure::declaration(format!("{name}: {what}")));
    }
    let path = call.context.host.path(local);
    let there = fsys::stat(&path)?.kind != Kind::Missing;
    Ok(there.then(|| Found { path, name: local.to_owned(), asked: name.to_owned() }))
}

/// What stands behind `salt://`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Relative to a file root.
    pub(crate) path: String,
    pub(crate) env: String,
}

impl Address {
    /// Read what comes after `salt://`; the environment is the step's, unless one is named.
    pub(crate) fn parse(rest: &str, call: &Call<'_>) -> Result<Self, Failure> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let asked = call.chunk.arg("saltenv").and_then(Value::as_str);
        let own = asked.unwrap_or(if call.chunk.env.is_empty() { "base" } else { &call.chunk.env });
        let env = query.strip_prefix("saltenv=").unwrap_or(own);
        if rest.is_empty() || rest.split('/').any(|part| part == "..") {
            return Err(Failure::declaration(format!("salt://{rest} must name a file inside the tree")));
        }
        Ok(Self { path: rest.trim_start_matches('/').to_owned(), env: env.to_owned() })
    }
}

/// The file roots of an environment.
pub(crate) fn roots<'a>(env: &str, call: &Call<'a>) -> &'a [PathBuf] {
    call.context.tree.file_roots.get(env).map(Vec::as_slice).unwrap_or_default()
}

/// A file of the tree; links that lead out of it are refused.
fn in_tree(rest: &str, call: &Call<'_>) -> Result<Option<Found>, Failure> {
    let address = Address::parse(rest, call)?;
    for root in roots(&address.env, call) {
        let path = root.join(&address.path);
        if fsys::stat(&path)?.kind == Kind::Missing {
            continue;
        }
        let (inside, real) = (fsys::canonical(root)?, fsys::canonical(&path)?);
        if !real.starts_with(&inside) {
            return Err(Failure::declaration(format!(
                "salt://{} is a link that leads out of the tree",
                address.path
            )));
        }
        return Ok(Some(Found { path: real, name: address.path, asked: format!("salt://{rest}") }));
    }
    Ok(None)
}

impl Found {
    fn ready(self, template: Option<&Map>, call: &Call<'_>) -> Result<Ready, Failure> {
        let mode = Some(fsys::stat(&self.path)?.mode);
        let Some(context) = template else {
            let content = fsys::read(&self.path, KEEP)?;
            let file = content.bytes.is_none().then_some(self.path);
            return Ok(Ready { content, file, mode });
        };
        let mut context = context.clone();
        context.entry("source".to_owned()).or_insert(Value::Str(self.asked));
        let text = render(&read_template(&self.path)?, &self.name, &context, call)?;
        Ok(Ready { content: Content::of(text.into_bytes()), file: None, mode })
    }
}

fn read_template(path: &Path) -> Result<String, Failure> {
    fsys::read_text(path, TEMPLATE_LIMIT).map_err(Failure::from)
}

fn render(source: &str, name: &str, context: &Map, call: &Call<'_>) -> Result<String, Failure> {
    let request = TemplateRequest { source, name, chunk: call.chunk, pillar: &call.low.pillar, context };
    call.context.render.template(&request).map_err(Failure::Declaration)
}

/// What `source_hash` asks of a source.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Check {
    /// As given: a digest, or a file of digests.
    hash: Option<String>,
    /// `source_hash_name`.
    name: Option<String>,
}

impl Check {
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let hash = args.text("source_hash")?.filter(|hash| !hash.is_empty());
        Ok(Self { hash, name: args.text("source_hash_name")? })
    }

    /// Compare the source file with the digest, before it becomes anything else.
    fn verify(&self, found: &Found, call: &Call<'_>) -> Result<(), Failure> {
        let Some(given) = &self.hash else { return Ok(()) };
        let wanted = match given.starts_with('/') || given.contains("://") {
            true => self.look_up(given, found, call)?,
            false => SourceHash::parse(given).map_err(Failure::declaration)?,
        };
        let unread =
            |e: std::io::Error| Failure::machine(format!("cannot read {}: {e}", found.path.display()));
        match wanted.of(&mut fsys::open(&found.path)?).map_err(unread)? {
            Ok(()) => Ok(()),
            Err(hex) => Err(Failure::machine(format!(
                "the source's {} is {hex}, but source_hash asks for {}",
                wanted.algorithm, wanted.hex
            ))),
        }
    }

    fn look_up(&self, given: &str, source: &Found, call: &Call<'_>) -> Result<SourceHash, Failure> {
        let file = find(given, call)?;
        let file = file.ok_or_else(|| Failure::machine(format!("source_hash: there is no file {given}")))?;
        let names = Names { asked: self.name.as_deref(), file: &call.chunk.name, source: &source.name };
        let text = fsys::read_text(&file.path, KEEP)?;
        SourceHash::find(&text, names)
            .ok_or_else(|| Failure::machine(format!("source_hash: {given} holds no digest")))
    }
}
