//! `file.comment` and `file.uncomment`: the lines that a regular expression matches.

use fancy_regex::Regex;

use super::{Frame, Rehearsed, TextEdit, text};
use crate::engine::step::{Call, Failure};
use crate::modules::args::Args;
use crate::python::regex;

pub(crate) const ARGS: &[&str] =
    &["regex", "char", "backup", "ignore_missing", "show_changes", "follow_symlinks"];
pub(crate) const UNCOMMENT_ARGS: &[&str] = &["regex", "char", "backup", "show_changes", "follow_symlinks"];

/// Which lines, and how it is known that they are as asked.
pub(crate) struct Spec {
    mark: String,
    /// Matches the start of each line to be changed.
    line: Regex,
    /// Finds what is to be changed anywhere in the text.
    pending: String,
    /// Finds what is as asked.
    done: String,
    ignore_missing: bool,
}

/// `file.comment`.
pub(crate) struct Comment;
/// `file.uncomment`.
pub(crate) struct Uncomment;

impl TextEdit for Comment {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let (regex, mark) = (regex(args)?, mark(args)?);
        let bare = bare(&regex)?;
        let (start, end) = (anchor(regex.starts_with('^'), "^"), anchor(regex.ends_with('$'), "$"));
        let spec = Spec {
            line: built(&format!("{start}({}){end}", core(&regex)))?,
            pending: format!(r"^(?!\s*{mark})\s*{bare}"),
            done: format!("{mark}{bare}"),
            ignore_missing: args.flag("ignore_missing", false)?,
            mark,
        };
        Ok((frame(args, call)?, spec))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        change(spec, text, |line| format!("{}{line}", spec.mark))
    }
}

impl TextEdit for Uncomment {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let (regex, mark) = (regex(args)?, mark(args)?);
        let rest = regex.trim_start_matches('^');
        let end = anchor(regex.ends_with('$'), "$");
        let spec = Spec {
            line: built(&format!(r"^{mark}\s*({}){end}", core(&regex)))?,
            pending: format!("{mark}[ \t]*{rest}"),
            done: format!("^[ \t]*{rest}"),
            ignore_missing: false,
            mark,
        };
        Ok((frame(args, call)?, spec))
    }

    /// All the mark's characters go from the start of the line, however often they stand there.
    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        change(spec, text, |line| line.trim_start_matches(|c| spec.mark.contains(c)).to_owned())
    }
}

fn regex(args: &Args<'_>) -> Result<String, Failure> {
    args.text("regex")?.ok_or_else(|| Failure::declaration("`regex` is missing: which lines"))
}

fn mark(args: &Args<'_>) -> Result<String, Failure> {
    Ok(args.text("char")?.unwrap_or_else(|| "#".to_owned()))
}

fn frame(args: &Args<'_>, call: &Call<'_>) -> Result<Frame, Failure> {
    let rehearsed = if call.test { Rehearsed::Named } else { Rehearsed::Alike };
    Ok(Frame { rehearsed, ..Frame::read(args, call)?.backup(args)? })
}

fn built(pattern: &str) -> Result<Regex, Failure> {
    regex::build(pattern, false, false).map_err(Failure::declaration)
}

fn anchor(anchored: bool, text: &str) -> &str {
    if anchored { text } else { "" }
}

/// The expression without anchors.
fn core(regex: &str) -> &str {
    regex.trim_start_matches('^').trim_end_matches('$')
}

/// The expression without anchors and without flags before them.
fn bare(regex: &str) -> Result<String, Failure> {
    let outer = built(r"^(\(\?[iLmsux]\))?\^?(.*?)\$?$")?;
    let found = outer.captures(regex).map_err(|e| Failure::declaration(e.to_string()))?;
    let inner = found.and_then(|found| found.get(2).map(|inner| inner.as_str().to_owned()));
    Ok(inner.unwrap_or_else(|| regex.to_owned()))
}

fn change(spec: &Spec, text: &str, changed: impl Fn(&str) -> String) -> Result<String, String> {
    if !text::found(&spec.pending, text)? {
        return match text::found(&spec.done, text)? || spec.ignore_missing {
            true => Ok(text.to_owned()),
            false => Err("no line matches `regex`".to_owned()),
        };
    }
    let mut new = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let found = spec.line.find(line).map_err(|e| e.to_string())?;
        match found.is_some_and(|found| found.start() == 0) {
            true => new.push_str(&changed(line)),
            false => new.push_str(line),
        }
    }
    match text::found(&spec.done, &new)? {
        true => Ok(new),
        false => Err("`regex` is found, but not where a line could be changed for it".to_owned()),
    }
}
