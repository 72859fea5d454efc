//! `file.line`: one line is inserted, ensured, replaced or deleted.

use fancy_regex::Regex;

use super::{Backup, Frame, Missing, TextEdit};
use crate::engine::step::{Call, Failure};
use crate::modules::args::Args;
use crate::modules::file::Wish;
use crate::python::regex::{self, Flags};

pub(crate) const ARGS: &[&str] = &[
    "content",
    "match",
    "mode",
    "location",
    "before",
    "after",
    "show_changes",
    "backup",
    "indent",
    "create",
    "user",
    "group",
    "file_mode",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["quiet"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Insert,
    Ensure,
    Replace,
    Delete,
}

/// What is to be done to the lines.
pub(crate) struct Spec {
    mode: Mode,
    content: String,
    matching: Option<Finder>,
    before: Option<Finder>,
    after: Option<Finder>,
    location: Option<String>,
    indent: bool,
}

/// Finds lines by a regular expression, or by the same text as it is.
struct Finder {
    what: &'static str,
    text: String,
    regex: Regex,
}

/// `file.line`.
pub(crate) struct Line;

impl TextEdit for Line {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let mode = mode(args)?;
        let content = args.text("content")?;
        if content.is_none() && mode != Mode::Delete {
            return Err(Failure::declaration("`content` is missing: the line"));
        }
        let content = content.unwrap_or_default();
        let (before, after) = (Finder::read("before", args)?, Finder::read("after", args)?);
        let matching = match Finder::read("match", args)? {
            None if before.is_none() && after.is_none() => Finder::new("match", &content)?,
            given => given,
        };
        let (location, indent) = (args.text("location")?, args.flag("indent", true)?);
        Ok((frame(args, call)?, Spec { mode, content, matching, before, after, location, indent }))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if lines.last().is_some_and(|line| line.ends_with('\n')) {
            lines.push(String::new());
        }
        let mut lines = set(spec, lines)?;
        finish(&mut lines);
        Ok(lines.concat())
    }
}

fn mode(args: &Args<'_>) -> Result<Mode, Failure> {
    let mode = args.text("mode")?.unwrap_or_default().to_lowercase();
    match mode.as_str() {
        "insert" => Ok(Mode::Insert),
        "ensure" => Ok(Mode::Ensure),
        "replace" => Ok(Mode::Replace),
        "delete" => Ok(Mode::Delete),
        "" => Err(Failure::declaration("`mode` is missing: insert, ensure, replace or delete")),
        other => Err(Failure::declaration(format!(
            "`mode` must be insert, ensure, replace or delete, but is {other}"
        ))),
    }
}

fn frame(args: &Args<'_>, call: &Call<'_>) -> Result<Frame, Failure> {
    let missing = match args.flag("create", false)? {
        true => Missing::Create { makedirs: false },
        false => Missing::Refuse,
    };
    let backup = if args.flag("backup", false)? { Backup::Kept } else { Backup::No };
    Ok(Frame { missing, backup, wish: Wish::read(args, "file_mode")?, ..Frame::read(args, call)? })
}

impl Finder {
    fn read(key: &'static str, args: &Args<'_>) -> Result<Option<Self>, Failure> {
        args.text(key)?.map_or(Ok(None), |text| Self::new(key, &text))
    }

    /// Nothing finds nothing.
    fn new(what: &'static str, text: &str) -> Result<Option<Self>, Failure> {
        if text.is_empty() {
            return Ok(None);
        }
        let flags = Flags { dot_all: true, ..Flags::default() };
        let regex = regex::build_with(text, flags).map_err(Failure::declaration)?;
        Ok(Some(Self { what, text: text.to_owned(), regex }))
    }

    fn all<'a>(&self, lines: &'a [String]) -> Result<Vec<&'a String>, String> {
        let mut found = Vec::new();
        for line in lines {
            if line.contains(&self.text) || self.regex.is_match(line).map_err(|e| e.to_string())? {
                found.push(line);
            }
        }
        Ok(found)
    }

    /// Where the one line that is found stands.
    fn one(&self, lines: &[String]) -> Result<usize, String> {
        match self.all(lines)?.as_slice() {
            [line] => Ok(position(lines, line)),
            [] => Err(format!("`{}` is found nowhere", self.what)),
            many => Err(format!("`{}` is found {} times; it must be one line", self.what, many.len())),
        }
    }
}

/// Where the first line like this one stands.
fn position(lines: &[String], line: &str) -> usize {
    lines.iter().position(|l| l == line).unwrap_or(0)
}

fn set(spec: &Spec, mut lines: Vec<String>) -> Result<Vec<String>, String> {
    match spec.mode {
        Mode::Delete | Mode::Replace => {
            let found = match &spec.matching {
                Some(finder) => finder.all(&lines)?.first().map(|line| (*line).clone()),
                None => None,
            };
            let Some(old) = found else { return Ok(lines) };
            if spec.mode == Mode::Delete {
                lines.retain(|line| *line != old);
            } else {
                let at = position(&lines, &old);
                lines[at] = indented(spec, &old);
            }
        }
        Mode::Insert => insert(spec, &mut lines)?,
        Mode::Ensure => ensure(spec, &mut lines)?,
    }
    Ok(lines)
}

fn insert(spec: &Spec, lines: &mut Vec<String>) -> Result<(), String> {
    match (&spec.location, &spec.before, &spec.after) {
        (Some(location), ..) if !location.is_empty() => at_location(spec, location, lines),
        (_, Some(before), Some(after)) => {
            let last = before.one(lines)?;
            after.one(lines)?;
            lines.insert(last, indented(spec, &lines[last]));
        }
        (_, None, Some(after)) => {
            let at = after.one(lines)?;
            if !same(lines.get(at + 1), &spec.content) {
                lines.insert(at + 1, indented(spec, &lines[at]));
            }
        }
        (_, Some(before), None) => {
            let at = before.one(lines)?;
            if !same(Some(above(lines, at)), &spec.content) {
                lines.insert(at, indented(spec, &lines[at]));
            }
        }
        (_, None, None) => return Err("to insert, `location`, `before` or `after` is needed".to_owned()),
    }
    Ok(())
}

fn at_location(spec: &Spec, location: &str, lines: &mut Vec<String>) {
    match (location, lines.first().cloned(), lines.last().cloned()) {
        ("end", _, Some(last)) => lines.push(indented(spec, &last)),
        ("end", ..) => lines.push(spec.content.clone()),
        ("start", Some(first), _) => lines.insert(0, with_end_of(&first, &spec.content)),
        ("start", ..) => lines.push(format!("{}\n", spec.content)),
        _ => {}
    }
}

fn ensure(spec: &Spec, lines: &mut Vec<String>) -> Result<(), String> {
    match (&spec.before, &spec.after) {
        (Some(before), Some(after)) => {
            let (after, before) = (after.one(lines)?, before.one(lines)?);
            between(spec, after, before, lines)?;
        }
        (Some(before), None) => {
            let at = before.one(lines)?;
            if at == 0 || !same(lines.get(at - 1), &spec.content) {
                lines.insert(at, indented(spec, above(lines, at)));
            }
        }
        (None, Some(after)) => {
            let at = after.one(lines)?;
            if !same(lines.get(at + 1), &spec.content) {
                lines.insert(at + 1, indented(spec, &lines[at]));
            }
        }
        (None, None) => return Err("to ensure a line, `before` or `after` is needed".to_owned()),
    }
    Ok(())
}

fn between(spec: &Spec, after: usize, before: usize, lines: &mut Vec<String>) -> Result<(), String> {
    if lines.iter().any(|line| line.trim_start() == spec.content) {
        return Ok(());
    }
    let line = indented(spec, &lines[after]);
    if after + 1 == before {
        lines.insert(before, line);
    } else if after + 2 == before {
        lines[after + 1] = line;
    } else {
        return Err("there is more than one line between `after` and `before`".to_owned());
    }
    Ok(())
}

/// The line above; above the first is the last, as in Salt.
fn above(lines: &[String], at: usize) -> &str {
    let before = if at == 0 { lines.last() } else { lines.get(at - 1) };
    before.map_or("", String::as_str)
}

fn same<S: AsRef<str>>(line: Option<S>, content: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches(['\r', '\n']).to_owned();
    line.is_some_and(|line| bare(line.as_ref()) == bare(content))
}

/// The content with the indent of another line.
fn indented(spec: &Spec, like: &str) -> String {
    if !spec.indent {
        return spec.content.clone();
    }
    let indent: String = like.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    indent + spec.content.trim_start()
}

fn line_end(line: &str) -> &str {
    match line {
        l if l.ends_with("\r\n") => "\r\n",
        l if l.ends_with('\n') => "\n",
        l if l.ends_with('\r') => "\r",
        _ => "",
    }
}

fn with_end_of(like: &str, line: &str) -> String {
    let end = match line_end(like) {
        "" => "\n",
        end => end,
    };
    format!("{}{end}", line.trim_end())
}

/// Give every line but the last an end; an empty last line is none.
fn finish(lines: &mut Vec<String>) {
    for at in 0..lines.len().saturating_sub(1) {
        if line_end(&lines[at]).is_empty() {
            let like = lines.get(if at > 0 { at - 1 } else { 1 }).cloned().unwrap_or_default();
            lines[at] = with_end_of(&like, &lines[at]);
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edit(
        mode: Mode,
        [matching, before, after, location]: [&str; 4],
        text: &str,
    ) -> Result<String, String> {
        let find = |what, text: &str| Finder::new(what, text).unwrap();
        let spec = Spec {
            mode,
            content: "new".to_owned(),
            matching: find("match", matching),
            before: find("before", before),
            after: find("after", after),
            location: Some(location.to_owned()),
            indent: true,
        };
        Line::edit(&spec, text)
    }

    #[test]
    fn lines_are_set_where_they_belong() {
        for (mode, places, text, expected) in [
            (Mode::Replace, ["b", "", "", ""], "a\n  b\n", "a\n  new\n"),
            (Mode::Replace, ["z", "", "", ""], "a\n", "a\n"),
            (Mode::Delete, ["a", "", "", ""], "a\nb\na\n", "b\n"),
            (Mode::Delete, ["b", "", "", ""], "a\r\nb\r\n", "a\r\n"),
            (Mode::Insert, ["", "", "", "start"], "a\r\n", "new\r\na\r\n"),
            (Mode::Insert, ["", "b", "", ""], "a\n\tb\n", "a\n\tnew\n\tb\n"),
            (Mode::Insert, ["", "", "a", ""], "a\nb", "a\nnew\nb"),
            (Mode::Ensure, ["", "", "b", ""], "a\nb", "a\nb\nnew"),
            (Mode::Ensure, ["", "", "a", ""], "a\nnew\nb\n", "a\nnew\nb\n"),
            (Mode::Ensure, ["", "b", "a", ""], "a\nx\nb\n", "a\nnew\nb\n"),
            (Mode::Ensure, ["", "", "a", ""], "a\r\nb\r\n", "a\r\nnew\r\nb\r\n"),
        ] {
            assert_eq!(edit(mode, places, text).unwrap(), expected, "{mode:?} {places:?} in {text:?}");
        }
    }

    #[test]
    fn a_place_that_is_not_one_line_is_refused() {
        let told = |places, text| edit(Mode::Ensure, places, text).unwrap_err();
        assert_eq!(told(["", "", "a", ""], "b\n"), "`after` is found nowhere");
        assert_eq!(told(["", "a", "", ""], "a\na\n"), "`before` is found 2 times; it must be one line");
        assert!(told(["", "b", "a", ""], "a\nx\ny\nb\n").contains("more than one line"));
        assert!(told(["", "", "", ""], "a\n").contains("needed"));
    }
}
