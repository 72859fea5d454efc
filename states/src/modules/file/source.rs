//! Where the content of a managed file comes from: the declaration, pillar, grains, the tree, a local path or a server.

use std::path::{Path, PathBuf};

use crate::engine::TemplateRequest;
use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Content, Kind, Stat};
use crate::host::Request;
use crate::modules::args::{Args, scalar};
use crate::modules::file::Place;
use crate::modules::file::dataset::Dataset;
use crate::modules::file::difference::KEEP;
use crate::modules::file::reading;
use crate::modules::file::remote::{self, Held, Missed, is_remote};
use crate::modules::file::source_hash::{Names, SourceHash};
use crate::redact;
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
    /// From the first of these that exists.
    Files(Vec<Named>),
    /// Data written as text, over what the file holds or not.
    Data(Box<Dataset>),
}

/// A source by its name: `salt://…`, an absolute path, or an address.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// A digest, or a file of digests, of this one alone.
    hash: Option<String>,
}

impl Named {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), hash: None }
    }
}

/// A source as a file of this machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnDisk {
    pub(crate) path: PathBuf,
    /// Where it has been read already.
    content: Option<Content>,
    _held: Option<Held>,
}

impl OnDisk {
    /// Its SHA-256 in hex.
    pub(crate) fn sha256(&self) -> Result<String, Failure> {
        match &self.content {
            Some(content) => Ok(content.sha256().into_owned()),
            None => Ok(fsys::read(&self.path, 0)?.sha256().into_owned()),
        }
    }
}

impl From<remote::Fetched> for OnDisk {
    fn from(fetched: remote::Fetched) -> Self {
        let (path, content, held) = fetched.place();
        Self { path, content: Some(content), _held: held }
    }
}

/// Content ready to be compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ready {
    pub(crate) content: Content,
    /// The file it is copied from; `None` when the bytes are in `content`.
    pub(crate) file: Option<PathBuf>,
    /// Mode of the source file, for `mode: keep`; a server tells none.
    pub(crate) mode: Option<u32>,
    /// Keeps a file that was fetched for this step alone.
    pub(crate) held: Option<Held>,
}

impl Ready {
    /// Bytes that were made here.
    pub(crate) fn made(bytes: Vec<u8>) -> Self {
        Self { content: Content::of(bytes), file: None, mode: None, held: None }
    }
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

    /// One file.
    pub(crate) fn file(name: impl Into<String>) -> Self {
        Self::Files(vec![Named::new(name)])
    }

    /// Whether the source is there and has the digest that it must have; a directory has none.
    pub(crate) fn at(name: &str, check: &Check, call: &Call<'_>) -> Result<(), Failure> {
        first(&[Named::new(name)], check, false, call).map(drop)
    }

    /// The file itself, for programs that read files: where it is, and what must be held for as long as it is read.
    pub(crate) fn on_disk(name: &str, check: &Check, call: &Call<'_>) -> Result<OnDisk, Failure> {
        let found = first(&[Named::new(name)], check, check.keep, call)?;
        Ok(OnDisk { path: found.path, content: found.content, _held: found.held })
    }

    /// The content that stands at `path`, when it has the digest that a source on another machine must have: then
    /// nobody needs to be asked for it.
    pub(crate) fn standing(
        &self,
        path: &Path,
        check: &Check,
        call: &Call<'_>,
    ) -> Result<Option<Content>, Failure> {
        let Source::Files(names) = self else { return Ok(None) };
        for named in names.iter().take_while(|named| is_remote(&named.name)) {
            let Some(wanted) = check.wanted(named, remote::path_of(&named.name), call)? else { continue };
            if fsys::stat(path)?.len > Request::LIMIT {
                // No such file is ever fetched; to read a sparse one would take for ever.
                continue;
            }
            let seen = reading::read(path, Some(&wanted))?;
            if seen.wrong.is_none() {
                return Ok(Some(seen.content));
            }
        }
        Ok(None)
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
                Ok(Some(Ready::made(text.into_bytes())))
            }
            Source::Data(dataset) => {
                let text = dataset.text(existing(dataset, call)?.as_deref()).map_err(Failure::machine)?;
                Ok(Some(Ready::made(text.into_bytes())))
            }
            Source::Files(names) => {
                let found = first(names, check, check.keep || template.is_some(), call)?;
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

fn sources(args: &Args<'_>) -> Result<Vec<Named>, Failure> {
    let items = match args.get("source") {
        Some(Value::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let named = |item: &Value| match item {
        Value::Map(map) => {
            let (name, hash) = map.iter().next()?;
            Some(Named { name: name.clone(), hash: scalar(hash).filter(|hash| !hash.is_empty()) })
        }
        other => Some(Named::new(scalar(other)?)),
    };
    let names: Option<Vec<Named>> = items.iter().map(named).collect();
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
    /// `None` of another machine's.
    stat: Option<Stat>,
    /// Relative to the file root, else absolute.
    name: String,
    /// As the declaration has it.
    asked: String,
    /// Where it has been read already.
    content: Option<Content>,
    /// Of another machine, and no longer there than this.
    held: Option<Held>,
}

/// The first that is there, with the digest that it must have. `keep` a copy of one of another machine.
fn first(names: &[Named], check: &Check, keep: bool, call: &Call<'_>) -> Result<Found, Failure> {
    let mut away = Vec::new();
    for named in names {
        if is_remote(&named.name) {
            match fetched(named, check, keep, call) {
                Ok(found) => return Ok(found),
                Err(Missed::Absent(why)) => away.push(why),
                Err(Missed::Failed(failure)) => return Err(failure),
            }
        } else if let Some(mut found) = find(&named.name, call)? {
            check.verify(named, &mut found, call)?;
            return Ok(found);
        }
    }
    if !away.is_empty() {
        return Err(Failure::machine(away.join("; ")));
    }
    let all: Vec<&str> = names.iter().map(|named| named.name.as_str()).collect();
    Err(match all.iter().all(|n| n.starts_with("salt://")) {
        true => Failure::declaration(format!("the tree has no file {}", all.join(", "))),
        false => Failure::machine(format!("no source file is there: {}", all.join(", "))),
    })
}

fn fetched(named: &Named, check: &Check, keep: bool, call: &Call<'_>) -> Result<Found, Missed> {
    let wanted = check.wanted(named, remote::path_of(&named.name), call)?;
    let fetched = remote::get(&named.name, wanted.as_ref(), call)?;
    // Without a digest, only a copy of a version that the server knows by name saves a download.
    let keep = keep || (wanted.is_none() && fetched.has_version());
    let fetched = if keep { fetched.keep(&named.name, call)? } else { fetched };
    let (path, content, held) = fetched.place();
    let name = redact::url(&named.name);
    Ok(Found { path, name, asked: named.name.clone(), stat: None, content: Some(content), held })
}

fn find(name: &str, call: &Call<'_>) -> Result<Option<Found>, Failure> {
    if let Some(rest) = name.strip_prefix("salt://") {
        return in_tree(rest, call);
    }
    let local = name.strip_prefix("file://").unwrap_or(name);
    if !local.starts_with('/') {
        let what = "a source must be salt://…, https://…, http://…, s3://bucket/key or an absolute path";
        return Err(Failure::declaration(format!("{}: {what}", redact::url(name))));
    }
    let path = call.context.host.path(local);
    let stat = fsys::stat(&path)?;
    Ok((stat.kind != Kind::Missing).then(|| Found::local(path, stat, local.to_owned(), name)))
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
        let stat = fsys::stat(&path)?;
        if stat.kind == Kind::Missing {
            continue;
        }
        let (inside, real) = (call.facts.real(root)?, real(&path, stat, call)?);
        if !real.starts_with(&*inside) {
            return Err(Failure::declaration(format!(
                "salt://{} is a link that leads out of the tree",
                address.path
            )));
        }
        let stat = if stat.kind == Kind::Symlink { fsys::stat(&real)? } else { stat };
        return Ok(Some(Found::local(real, stat, address.path, &format!("salt://{rest}"))));
    }
    Ok(None)
}

/// The path with its links resolved. Most files are none: then the directory's answer holds, which is kept.
fn real(path: &Path, stat: Stat, call: &Call<'_>) -> Result<PathBuf, Failure> {
    match (stat.kind, path.parent(), path.file_name()) {
        (Kind::Symlink, ..) | (_, None, _) | (.., None) => Ok(fsys::canonical(path)?),
        (_, Some(above), Some(name)) => Ok(call.facts.real(above)?.join(name)),
    }
}

impl Found {
    fn local(path: PathBuf, stat: Stat, name: String, asked: &str) -> Self {
        Self { path, stat: Some(stat), name, asked: asked.to_owned(), content: None, held: None }
    }

    fn ready(self, template: Option<&Map>, call: &Call<'_>) -> Result<Ready, Failure> {
        let mode = self.stat.map(|stat| stat.mode);
        let Some(context) = template else {
            let content = match (self.content, &self.stat) {
                (Some(content), _) => content,
                (None, Some(stat)) => fsys::read_seen(&self.path, stat, KEEP)?,
                (None, None) => fsys::read(&self.path, KEEP)?,
            };
            let file = content.bytes().is_none().then_some(self.path);
            return Ok(Ready { content, file, mode, held: self.held });
        };
        let mut context = context.clone();
        context.entry("source".to_owned()).or_insert_with(|| Value::Str(self.asked.clone()));
        let text = render(&self.template()?, &self.name, &context, call)?;
        Ok(Ready { mode, ..Ready::made(text.into_bytes()) })
    }

    fn template(&self) -> Result<String, Failure> {
        match self.content.as_ref().and_then(Content::bytes) {
            Some(bytes) => String::from_utf8(bytes.to_vec())
                .map_err(|_| Failure::machine(format!("{} is no UTF-8 text", self.name))),
            None => Ok(fsys::read_text(&self.path, TEMPLATE_LIMIT)?),
        }
    }
}

fn render(source: &str, name: &str, context: &Map, call: &Call<'_>) -> Result<String, Failure> {
    let request = TemplateRequest { source, name, chunk: call.chunk, context };
    call.context.render.template(&request).map_err(Failure::Declaration)
}

/// What `source_hash` asks of a source.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Check {
    /// As given: a digest, or a file of digests.
    hash: Option<String>,
    /// `source_hash_name`.
    name: Option<String>,
    /// A source of another machine must have a digest.
    strict: bool,
    /// It is looked into at each run, so a copy is kept.
    keep: bool,
}

/// What asks for a signature, which nobody here checks.
const SIGNATURES: &[&str] = &["source_hash_sig", "signature"];

impl Check {
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        for key in SIGNATURES {
            args.refuse(key, "signatures are not checked here; give the digest itself as source_hash")?;
        }
        let skip = args.flag("skip_verify", false)?;
        let hash = args.text("source_hash")?.filter(|hash| !hash.is_empty() && !skip);
        let strict = !skip && !args.flag("use_etag", false)?;
        Ok(Self { hash, name: args.text("source_hash_name")?, strict, keep: false })
    }

    /// That a source has this digest; without one, that it is of this machine unless `open`.
    pub(crate) fn of(hash: Option<String>, open: bool) -> Self {
        Self { hash, strict: !open, ..Self::default() }
    }

    /// The same, with a copy of what is fetched kept.
    pub(crate) fn keeping(self) -> Self {
        Self { keep: true, ..self }
    }

    /// Compare the source file with the digest, before it becomes anything else.
    fn verify(&self, named: &Named, found: &mut Found, call: &Call<'_>) -> Result<(), Failure> {
        let Some(wanted) = self.wanted(named, &found.name, call)? else { return Ok(()) };
        let seen = reading::read(&found.path, Some(&wanted))?;
        if let Some(wrong) = seen.wrong {
            return Err(remote::mismatch("the source", &wrong, &wanted));
        }
        found.content = Some(seen.content);
        Ok(())
    }

    /// The digest that a source must have.
    pub(crate) fn wanted(
        &self,
        named: &Named,
        source: &str,
        call: &Call<'_>,
    ) -> Result<Option<SourceHash>, Failure> {
        let given = named.hash.as_ref().or(self.hash.as_ref());
        match given {
            Some(given) if given.starts_with('/') || given.contains("://") => {
                self.look_up(given, source, call).map(Some)
            }
            Some(given) => SourceHash::parse(given).map(Some).map_err(Failure::declaration),
            None if self.strict && is_remote(&named.name) => Err(Failure::declaration(format!(
                "{} can be anything by now: give source_hash, or skip_verify: true to take whatever comes",
                redact::url(&named.name)
            ))),
            None => Ok(None),
        }
    }

    fn look_up(&self, given: &str, source: &str, call: &Call<'_>) -> Result<SourceHash, Failure> {
        let shown = redact::url(given);
        let names = Names { asked: self.name.as_deref(), file: &call.chunk.name, source };
        let text = match is_remote(given) {
            true => remote::get(given, None, call).map_err(Failure::from)?.content.into_bytes(),
            false => {
                let none = || Failure::machine(format!("source_hash: there is no file {shown}"));
                fsys::read(&find(given, call)?.ok_or_else(none)?.path, KEEP)?.into_bytes()
            }
        };
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| SourceHash::find(&text, names))
            .ok_or_else(|| Failure::machine(format!("source_hash: {shown} holds no digest")))
    }
}
