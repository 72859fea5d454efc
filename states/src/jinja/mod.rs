//! Jinja as Salt runs it: our own evaluator with Python's semantics.
//!
//! Theory of operation: `lexer` cuts a template into tokens, `parser` and `parse_expr` make the tree of `ast`, and
//! [`Interp`] walks it (`exec` statements, `eval` expressions) over the shared, mutable values of `value`. `ops`,
//! `methods`, `format`, `filters`, `checks` (the tests after `is`) and `globals` are what Python, Jinja2 and Salt
//! give to templates. Files and functions come in through [`World`]. What a template may use up is bounded by
//! [`Limits`]: steps, depth of calls, bytes written.

mod args;
mod ast;
mod checks;
mod context;
mod dict;
mod eval;
mod exec;
mod filters;
mod format;
mod globals;
mod guess;
mod hints;
#[cfg(test)]
mod hostile;
mod json;
mod lexer;
mod loading;
mod methods;
mod ops;
mod parse_expr;
mod parser;
mod repr;
mod scope;
mod spent;
mod text;
#[cfg(test)]
mod trials;
mod value;

use std::rc::Rc;

pub(crate) use args::{CallArgs, Res, flag, iterate, required, runtime, text_arg};
pub(crate) use json::{Layout, parse as parse_json, text as json_text};
pub(crate) use repr::{float as float_text, text};
pub(crate) use spent::Spent;
pub(crate) use value::{Dict, Key, Py, key_text};

use crate::error::Error;
use ast::Template;
use eval::{Frame, Interp, placed};
use lexer::Whitespace;

/// A file that a template asked for.
pub(crate) struct Source {
    /// Its path, for errors.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

/// Templates by the path of their file: they are read once for all renderings that share this.
#[derive(Default)]
pub(crate) struct Parsed(std::cell::RefCell<indexmap::IndexMap<String, Rc<Template>>>);

impl Parsed {
    fn get(&self, path: &str) -> Option<Rc<Template>> {
        self.0.borrow().get(path).cloned()
    }

    fn keep(&self, path: &str, template: &Rc<Template>) {
        self.0.borrow_mut().insert(path.to_owned(), template.clone());
    }
}

/// What templates can reach outside of themselves.
pub(crate) trait World {
    /// A file by its path below the roots.
    fn load(&self, path: &str) -> Res<Option<Source>>;
    /// Where parsed templates are kept from one rendering to the next.
    fn parsed(&self) -> Option<&Parsed> {
        None
    }
    /// Where it is counted what renderings use up, those that a rendering starts included.
    fn spent(&self) -> Option<&Spent> {
        None
    }
    /// Whether the time for all renderings is over.
    fn out_of_time(&self) -> bool {
        false
    }
    /// `salt['module.function'](…)`.
    fn call(&self, name: &str, args: CallArgs) -> Res<Py>;
    /// `'module.function' in salt`.
    fn has(&self, name: &str) -> bool;
    /// `salt.module is defined`.
    fn has_module(&self, _module: &str) -> bool {
        true
    }
}

/// What one rendering may use up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Statements, expressions, loop rounds, and sizes of results in small units.
    pub(crate) steps: u64,
    /// Nested calls of macros, functions, filters and includes.
    pub(crate) depth: usize,
    /// Bytes written, into captured blocks too.
    pub(crate) output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 5_000_000, depth: 250, output: 32 << 20 }
    }
}

/// How long all renderings of a compile may take together, in seconds; functions of the machine do not count.
pub(crate) const SECONDS: u64 = 60;

/// The stack that a rendering of [`Limits::default`] depth fits in, debug builds included.
pub(crate) const STACK: usize = 512 << 20;

/// Renders a template with these variables.
pub(crate) fn render(
    source: &Source,
    vars: Vec<(&str, Py)>,
    world: &dyn World,
    limits: Limits,
) -> Res<String> {
    let own = Spent::default();
    let spent = world.spent().unwrap_or(&own);
    let running = spent.begin();
    let template = Rc::new(parse(&source.name, &source.text)?);
    let mut interp = Interp {
        world,
        spent,
        limits,
        globals: scope::Scope::default(),
        loaded: indexmap::IndexMap::new(),
        modules: indexmap::IndexMap::new(),
        captured: scope::Captured::default(),
    };
    if running.is_inner() {
        interp.charge(source.text.len() / 16)?;
    }
    for (name, value) in vars {
        interp.globals.set(name.into(), value);
    }
    let root = interp.root_scope();
    let frame = Frame::of(&template, scope::Scope::inside(&root), None);
    let mut out = String::new();
    interp.deeper(|me| me.run_template(&frame, &mut out)).map_err(|e| placed(e, &template, 0))?;
    // Jinja drops the last line break of a template; Salt puts it back.
    if source.text.ends_with('\n') {
        out.push('\n');
    }
    Ok(out)
}

/// Parses a template, honouring Salt's `#jinja2:` header.
fn parse(name: &str, text: &str) -> Res<Template> {
    header(text).and_then(|header| parser::parse(name, text, header)).map_err(|(error, at)| {
        let (line, column) = eval::position(text, at);
        let origin = crate::low::Origin { file: name.into(), line, column };
        error.at(origin).in_text(text)
    })
}

/// What the first lines of a template say to the lexer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    /// Bytes of a renderer's shebang line, which is text like any other.
    shebang: usize,
    /// Where the template goes on behind the header; the header itself prints nothing.
    start: usize,
    whitespace: Whitespace,
}

/// Jinja2's settings that a header could change and that are not understood here.
const OTHER_SETTINGS: &[&str] = &[
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
    "newline_sequence",
];

/// Reads `#jinja2: {…}` on the first line, or on the second below a renderer's shebang.
fn header(text: &str) -> Result<Header, (Error, ast::At)> {
    let is_shebang = text.starts_with("#!") && !text.starts_with("#!/");
    let shebang = if is_shebang { text.find('\n').map_or(text.len(), |i| i + 1) } else { 0 };
    let Some(rest) = text[shebang..].strip_prefix("#jinja2:") else { return Ok(Header::default()) };
    let payload = rest.split_inclusive('\n').next().unwrap_or_default();
    let Ok(serde_json::Value::Object(options)) = serde_json::from_str(payload) else {
        return Ok(Header::default());
    };
    let on = |key: &str| {
        let option = options.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v);
        option.is_some_and(|v| !matches!(v, serde_json::Value::Null) && *v != false && *v != 0 && *v != "")
    };
    if let Some(other) = OTHER_SETTINGS.iter().find(|name| on(name)) {
        let fault = crate::error::Fault::Syntax(format!("the setting '{other}' is not supported"));
        let help = "a `#jinja2:` header can set trim_blocks, lstrip_blocks and keep_trailing_newline";
        return Err((Error::new(fault).help(help), ast::At::try_from(shebang).unwrap_or(0)));
    }
    let whitespace = Whitespace {
        trim_blocks: on("trim_blocks"),
        lstrip_blocks: on("lstrip_blocks"),
        keep_end: on("keep_trailing_newline"),
    };
    Ok(Header { shebang, start: shebang + "#jinja2:".len() + payload.len(), whitespace })
}

/// A path relative to `base` with `.` and `..` resolved; `None` when it leads out.
pub(crate) fn normalise(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// An error of the template machinery that has no better place than a whole file.
pub(crate) fn in_file(error: Error, name: &str) -> Error {
    error.at(crate::low::Origin { file: name.into(), line: 1, column: 1 })
}
