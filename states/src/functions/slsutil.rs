//! `slsutil.*`: merging, rendering, serialising, banners, and what is in the tree.

use super::paths::parent;
use super::{Call, Table, flag_of, int_or, text_or, textwrap};
use crate::files;
use crate::jinja::{self, Dict, Layout, Py, Res, iterate, runtime, text};
use crate::merge;
use crate::python::paths::normal;
use crate::yaml;

pub(super) const FUNCTIONS: Table = &[
    ("slsutil.banner", banner),
    ("slsutil.boolstr", boolstr),
    ("slsutil.deserialize", deserialize),
    ("slsutil.dir_exists", dir_exists),
    ("slsutil.file_exists", file_exists),
    ("slsutil.findup", findup),
    ("slsutil.merge", merged),
    ("slsutil.merge_all", merge_all),
    ("slsutil.path_exists", path_exists),
    ("slsutil.renderer", renderer),
    ("slsutil.serialize", serialize),
    ("slsutil.update", update),
];

fn update(call: &mut Call<'_>) -> Res<Py> {
    let [dest, upd, recursive, lists] = call.bind(["dest", "upd", "recursive_update", "merge_lists"])?;
    let (dest, upd) = (call.required("dest", dest)?, call.required("upd", upd)?);
    merge::update(&dest, &upd, flag_of(&recursive, true), flag_of(&lists, false))
}

fn merged(call: &mut Call<'_>) -> Res<Py> {
    let [a, b, strategy, renderer, lists] =
        call.bind(["obj_a", "obj_b", "strategy", "renderer", "merge_lists"])?;
    let (a, b) = (call.required("obj_a", a)?, call.required("obj_b", b)?);
    merge::merge(&a, &b, &strategy_of(strategy.as_ref(), renderer.as_ref()), flag_of(&lists, false))
}

fn merge_all(call: &mut Call<'_>) -> Res<Py> {
    let [all, strategy, renderer, lists] = call.bind(["lst", "strategy", "renderer", "merge_lists"])?;
    let all = iterate(&call.required("lst", all)?)?;
    let strategy = strategy_of(strategy.as_ref(), renderer.as_ref());
    let lists = flag_of(&lists, false);
    all.iter().try_fold(Py::dict(Dict::new()), |a, b| merge::merge(&a, b, &strategy, lists))
}

/// Salt takes a strategy that it does not know for `recurse`, and `smart` for `aggregate` with a `yamlex` renderer.
fn strategy_of(strategy: Option<&Py>, renderer: Option<&Py>) -> String {
    let strategy = text_or(strategy, "smart");
    let renderer = text_or(renderer, "yaml");
    let aggregates = renderer.ends_with("yamlex") || renderer.starts_with("yamlex_");
    match strategy.as_str() {
        "smart" if aggregates => "aggregate".to_owned(),
        "list" | "overwrite" | "aggregate" | "none" => strategy,
        _ => "recurse".to_owned(),
    }
}

fn boolstr(call: &mut Call<'_>) -> Res<Py> {
    let [value, yes, no] = call.bind(["value", "true", "false"])?;
    Ok(match call.required("value", value)?.truth() {
        true => yes.unwrap_or_else(|| Py::str("true")),
        false => no.unwrap_or_else(|| Py::str("false")),
    })
}

const TITLE: &str = "THIS FILE IS MANAGED BY SALT - DO NOT EDIT";
const TEXT: &str = "The contents of this file are managed by Salt. Any changes to this file may be overwritten \
                    automatically and without warning.";
const MAX_WIDTH: i64 = 10_000;
const MAX_TEXT: usize = 100_000;

fn banner(call: &mut Call<'_>) -> Res<Py> {
    let names = ["width", "commentchar", "borderchar", "blockstart", "blockend", "title", "text", "newline"];
    let [width, comment, border, start, end, title, body, newline] = call.bind(names)?;
    let width = int_or("width", width.as_ref(), 72)?;
    let comment = comment.map_or_else(|| "#".to_owned(), |c| text(&c));
    let border = border.map_or_else(|| "#".to_owned(), |b| text(&b));
    let frame = Frame::new(width, &comment, &border)?;
    let mut block: Vec<String> = Vec::new();
    block.extend(start.filter(|s| !matches!(s, Py::None)).map(|s| text(&s)));
    block.extend([frame.border.clone(), frame.spacer.clone()]);
    let long = |value: &Option<Py>| value.as_ref().is_some_and(|v| text(v).len() > MAX_TEXT);
    if long(&title) || long(&body) {
        return runtime(format!("a banner of more than {MAX_TEXT} bytes of text"));
    }
    let lines = |value: Option<&Py>, default| textwrap::wrap(&text_or(value, default), frame.inner);
    block.extend(lines(title.as_ref(), TITLE).iter().map(|line| frame.line(&centered(line, frame.inner))));
    block.push(frame.spacer.clone());
    block.extend(lines(body.as_ref(), TEXT).iter().map(|line| frame.line(line)));
    block.push(frame.border.clone());
    block.extend(end.filter(|e| !matches!(e, Py::None)).map(|e| text(&e)));
    let tail = if flag_of(&newline, false) { "\n" } else { "" };
    Ok(Py::str(block.join("\n") + tail))
}

/// The edges of a banner.
struct Frame {
    left: String,
    right: String,
    border: String,
    spacer: String,
    /// Characters between the edges.
    inner: usize,
}

impl Frame {
    fn new(width: i64, comment: &str, border: &str) -> Res<Self> {
        let count = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let width = width.clamp(0, MAX_WIDTH + 1);
        let (left, right) = (comment.trim_end(), comment.trim());
        let inner = width - count(left) - count(right) - 2;
        if inner <= 0 {
            return runtime("Width is too small to render banner");
        }
        if width > MAX_WIDTH {
            return runtime(format!("a banner of {width} characters is too wide"));
        }
        let times = |text: &str, n: i64| text.repeat(usize::try_from(n).unwrap_or(0));
        let first: String = border.chars().take(1).collect();
        Ok(Self {
            left: format!("{left} "),
            right: format!(" {right}"),
            border: format!("{comment}{}{right}", times(&first, width - count(left) - count(right))),
            spacer: format!("{comment}{}{comment}", times(" ", width - 2 * count(comment))),
            inner: usize::try_from(inner).unwrap_or(1),
        })
    }

    fn line(&self, inner: &str) -> String {
        let gap = self.inner.saturating_sub(inner.chars().count());
        format!("{}{inner}{}{}", self.left, " ".repeat(gap), self.right)
    }
}

/// Python's `str.center`, whose odd blank goes to the left of an even line.
fn centered(line: &str, width: usize) -> String {
    let gap = width.saturating_sub(line.chars().count());
    let left = gap / 2 + (gap & width & 1);
    format!("{}{line}{}", " ".repeat(left), " ".repeat(gap - left))
}

fn serialize(call: &mut Call<'_>) -> Res<Py> {
    let named = std::mem::take(&mut call.args.named);
    let [serializer, object] = call.bind(["serializer", "obj"])?;
    let (serializer, object) = (call.text("serializer", serializer)?, call.required("obj", object)?);
    let option = |name: &str| named.iter().find(|(n, _)| &**n == name).map(|(_, v)| v);
    match serializer.as_str() {
        "json" => {
            let indent = option("indent").and_then(Py::as_int).and_then(|i| usize::try_from(i).ok());
            let layout = Layout {
                sort_keys: jinja::flag(option("sort_keys"), false),
                indent: indent.map(|i| i.min(100)),
                ascii: jinja::flag(option("ensure_ascii"), true),
                separators: None,
            };
            jinja::json_text(&object, layout).map(Py::str)
        }
        "yaml" | "yamlex" => {
            let flow = option("default_flow_style").filter(|f| !matches!(f, Py::None)).map(Py::truth);
            let dumped = match flow {
                Some(flow) => yaml::dump(&object, flow)?,
                None => yaml::dump_compact(&object)?,
            };
            let dumped =
                dumped.strip_suffix("\n...\n").or_else(|| dumped.strip_suffix('\n')).unwrap_or(&dumped);
            Ok(Py::str(dumped))
        }
        other => no_serializer(other),
    }
}

fn no_serializer(name: &str) -> Res<Py> {
    match name {
        "configparser" | "msgpack" | "toml" | "tomlmod" => {
            runtime(format!("the serializer '{name}' is not supported; `json` and `yaml` are"))
        }
        _ => runtime(format!("Serializer '{name}' not found.")),
    }
}

fn deserialize(call: &mut Call<'_>) -> Res<Py> {
    call.args.named.retain(|(name, _)| ["serializer", "stream_or_string"].contains(&&**name));
    let [serializer, source] = call.bind(["serializer", "stream_or_string"])?;
    let (serializer, source) = (call.text("serializer", serializer)?, call.text("stream_or_string", source)?);
    match serializer.as_str() {
        "json" => jinja::parse_json(&source, "the text"),
        "yaml" | "yamlex" => Ok(yaml::load(&source, "the text")?.to_py()),
        other => no_serializer(other),
    }
}

/// Renders a file or a text through renderers: to data, or to text where the last of them is `jinja`.
fn renderer(call: &mut Call<'_>) -> Res<Py> {
    let own = ["path", "string", "default_renderer"];
    let (options, variables): (Vec<_>, Vec<_>) = std::mem::take(&mut call.args.named)
        .into_iter()
        .partition(|(name, _)| own.contains(&&**name) || &**name == "saltenv");
    call.args.named = options;
    let [path, string, default, saltenv] = call.bind(["path", "string", "default_renderer", "saltenv"])?;
    let given = |value: Option<Py>| value.filter(Py::truth).map(|v| text(&v));
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    let (name, source) = match (given(path), given(string)) {
        (Some(_), Some(_)) => return runtime("Must not pass both path and string."),
        (None, None) => return runtime("Must pass path or string."),
        (None, Some(string)) => ("string".to_owned(), string),
        (Some(path), None) => (path.clone(), call_file(call, &path, env.as_deref())?),
    };
    let default = text_or(default.as_ref(), "jinja|yaml");
    let mut extra: Vec<(String, Py)> = Vec::new();
    for (name, value) in variables {
        match (&*name, &value) {
            ("context", Py::Dict(d)) => {
                extra.extend(d.borrow().iter().map(|(k, v)| (text(k.value()), v.clone())));
            }
            _ => extra.push((name.to_string(), value)),
        }
    }
    call.scene.rendered(&name, &source, &default, &extra)
}

fn call_file(call: &Call<'_>, path: &str, env: Option<&str>) -> Res<String> {
    if let Some(in_tree) = path.strip_prefix("salt://") {
        return match call.scene.tree_file(in_tree, env)? {
            Some(text) => Ok(text),
            None => runtime(format!("there is no file {path} in the tree")),
        };
    }
    Ok(text(&call.scene.machine("file.read", vec![Py::str(path)])?))
}

fn tree_path(call: &mut Call<'_>) -> Res<(String, Option<String>)> {
    let [path, saltenv] = call.bind(["path", "saltenv"])?;
    Ok((call.text("path", path)?, saltenv.filter(Py::truth).map(|e| text(&e))))
}

fn is_file(call: &Call<'_>, path: &str, env: Option<&str>) -> bool {
    is_listed(path) && files::find(&call.scene.roots_of(Some(env.unwrap_or("base"))), path).is_some()
}

fn is_dir(call: &Call<'_>, path: &str, env: Option<&str>) -> bool {
    is_listed(path) && files::find_dir(&call.scene.roots_of(Some(env.unwrap_or("base"))), path)
}

/// Salt looks a path up in a list of names: another way of writing the same path is not in it.
fn is_listed(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && normal(path) == path
}

fn file_exists(call: &mut Call<'_>) -> Res<Py> {
    let (path, env) = tree_path(call)?;
    Ok(Py::Bool(is_file(call, &path, env.as_deref())))
}

fn dir_exists(call: &mut Call<'_>) -> Res<Py> {
    let (path, env) = tree_path(call)?;
    Ok(Py::Bool(is_dir(call, &path, env.as_deref())))
}

fn path_exists(call: &mut Call<'_>) -> Res<Py> {
    let (path, env) = tree_path(call)?;
    Ok(Py::Bool(is_file(call, &path, env.as_deref()) || is_dir(call, &path, env.as_deref())))
}

/// The nearest of some files, from a directory of the tree upwards.
fn findup(call: &mut Call<'_>) -> Res<Py> {
    let [start, names, saltenv] = call.bind(["startpath", "filenames", "saltenv"])?;
    let start = start.filter(Py::truth).map(|s| normal(&text(&s))).unwrap_or_default();
    let names = match call.required("filenames", names)? {
        Py::Str(name) => vec![name.to_string()],
        Py::List(names) => names.borrow().iter().map(text).collect(),
        _ => return runtime("Filenames argument must be a string or list of strings"),
    };
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    let exists = |path: &str| is_file(call, path, env.as_deref()) || is_dir(call, path, env.as_deref());
    if !start.is_empty() && !exists(&start) {
        return runtime(format!("Starting path not found in the state tree: {start}"));
    }
    let mut at = start.as_str();
    loop {
        let below = |name: &String| if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
        if let Some(found) = names.iter().map(below).find(|path| exists(path)) {
            return Ok(Py::str(found));
        }
        if at.is_empty() {
            return runtime("File pattern(s) not found in path ancestry");
        }
        at = parent(at);
    }
}
