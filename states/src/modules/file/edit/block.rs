//! `file.blockreplace`: what stands between two marked lines.

use fancy_regex::Regex;

use super::{Frame, TextEdit, templates, text};
use crate::engine::step::{Call, Failure};
use crate::modules::args::{Args, scalar};
use crate::python::regex;

pub(crate) const ARGS: &[&str] = &[
    "marker_start",
    "marker_end",
    "content",
    "source",
    "sources",
    "template",
    "defaults",
    "context",
    "append_if_not_found",
    "prepend_if_not_found",
    "insert_before_match",
    "insert_after_match",
    "backup",
    "show_changes",
    "append_newline",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["source_hash", "source_hashes"];

/// The block, and where it goes when it is not there.
pub(crate) struct Spec {
    start: String,
    end: String,
    content: String,
    append_newline: bool,
    otherwise: Otherwise,
}

enum Otherwise {
    Refuse,
    Append,
    Prepend,
    Before(Regex),
    After(Regex),
}

/// `file.blockreplace`.
pub(crate) struct BlockReplace;

impl TextEdit for BlockReplace {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let marker = |key, default: &str| {
            let text = args.text(key)?.unwrap_or_else(|| default.to_owned());
            match text.is_empty() {
                true => Err(Failure::declaration(format!("`{key}` is empty"))),
                false => Ok(text),
            }
        };
        let content = content(args, call)?;
        let newline = args.maybe_flag("append_newline")?.unwrap_or(!content.ends_with('\n'));
        let spec = Spec {
            start: marker("marker_start", "#-- start managed zone --")?,
            end: marker("marker_end", "#-- end managed zone --")?,
            append_newline: newline,
            content,
            otherwise: otherwise(args)?,
        };
        Ok((Frame::read(args, call)?.backup(args)?, spec))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        let lines = text::universal(text);
        let line_end = match lines.first() {
            Some(line) if line.ends_with("\r\n") => "\r\n",
            _ => "\n",
        };
        match filled(spec, &lines, line_end)? {
            Some(new) => Ok(new.concat()),
            None => added(spec, lines, line_end),
        }
    }
}

/// `content`, what accumulators hold for this block, and sources after it.
fn content(args: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
    let mut content = args.text("content")?.unwrap_or_default();
    let gathered = call.facts.accumulators.borrow().for_state(&call.chunk.name, &call.chunk.id);
    for text in gathered {
        let text = scalar(&text)
            .ok_or_else(|| Failure::declaration("an accumulator holds something else than text"))?;
        content = if content.is_empty() { text } else { format!("{content}\n{text}") };
    }
    for text in templates(args, call)?.unwrap_or_default() {
        content.push_str(&text);
    }
    Ok(content)
}

fn otherwise(args: &Args<'_>) -> Result<Otherwise, Failure> {
    let regex = |key| match args.text(key)?.filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => regex::build(&pattern, false, false).map(Some).map_err(Failure::declaration),
        None => Ok(None),
    };
    let append = args.flag("append_if_not_found", false)?;
    let prepend = args.flag("prepend_if_not_found", false)?;
    match (append, prepend, regex("insert_before_match")?, regex("insert_after_match")?) {
        (false, false, None, None) => Ok(Otherwise::Refuse),
        (true, false, None, None) => Ok(Otherwise::Append),
        (false, true, None, None) => Ok(Otherwise::Prepend),
        (false, false, Some(regex), None) => Ok(Otherwise::Before(regex)),
        (false, false, None, Some(regex)) => Ok(Otherwise::After(regex)),
        _ => Err(Failure::declaration(
            "only one of append_if_not_found, prepend_if_not_found, insert_before_match, insert_after_match can be given",
        )),
    }
}

/// The lines with the blocks filled; `None` when there is no block.
fn filled(spec: &Spec, lines: &[String], line_end: &str) -> Result<Option<Vec<String>>, String> {
    let mut new = Vec::new();
    let (mut inside, mut found) = (false, false);
    for line in lines {
        if line.contains(&spec.start) {
            inside = true;
            new.push(line.clone());
        } else if !inside {
            new.push(line.clone());
        } else if let Some((_, rest)) = line.split_once(&spec.end) {
            inside = false;
            found = true;
            new.extend(body(spec, &format!("{}{rest}", spec.end), line_end));
        }
    }
    match inside {
        true => Err("the end of the file comes before the end marker".to_owned()),
        false => Ok(found.then_some(new)),
    }
}

/// The content and the end marker's line.
fn body(spec: &Spec, end: &str, line_end: &str) -> Vec<String> {
    let end = format!("{}{line_end}", end.trim_end_matches(['\r', '\n']));
    let content = spec.content.replace("\r\n", "\n");
    let mut lines: Vec<String> = content.split('\n').map(|line| format!("{line}{line_end}")).collect();
    if !spec.append_newline {
        let last = lines.pop().unwrap_or_default();
        lines.push(format!("{}{end}", last.trim_end_matches(['\r', '\n'])));
    } else {
        lines.push(end);
    }
    lines
}

fn added(spec: &Spec, mut lines: Vec<String>, line_end: &str) -> Result<String, String> {
    let mut block = vec![format!("{}{line_end}", spec.start)];
    block.extend(body(spec, &spec.end, line_end));
    let at = match &spec.otherwise {
        Otherwise::Refuse => return Err("the markers are not there".to_owned()),
        Otherwise::Prepend => 0,
        Otherwise::Append => {
            if let Some(last) = lines.last_mut().filter(|last| !last.ends_with(line_end)) {
                last.push_str(line_end);
            }
            lines.len()
        }
        Otherwise::Before(regex) => first_match(regex, &lines)?,
        Otherwise::After(regex) => first_match(regex, &lines)? + 1,
    };
    lines.splice(at..at, block);
    Ok(lines.concat())
}

fn first_match(regex: &Regex, lines: &[String]) -> Result<usize, String> {
    for (at, line) in lines.iter().enumerate() {
        if regex.is_match(line).map_err(|e| e.to_string())? {
            return Ok(at);
        }
    }
    Err("neither the markers nor a line to put them at is there".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edit(content: &str, otherwise: Otherwise, text: &str) -> Result<String, String> {
        let spec = Spec {
            start: "# S".into(),
            end: "# E".into(),
            content: content.into(),
            append_newline: !content.ends_with('\n'),
            otherwise,
        };
        BlockReplace::edit(&spec, text)
    }

    #[test]
    fn blocks_are_filled_and_added() {
        use Otherwise::{After, Append, Before, Prepend, Refuse};
        let regex = || regex::build("^m", false, false).unwrap();
        for (content, otherwise, text, expected) in [
            ("n", Refuse, "a\n# S\nold\n# E\nb\n", "a\n# S\nn\n# E\nb\n"),
            ("n\n", Refuse, "# S\n# E\n", "# S\nn\n# E\n"),
            ("n\nm", Refuse, "# S\r\n# E\r\n", "# S\r\nn\r\nm\r\n# E\r\n"),
            ("", Refuse, "# S\nx\n# E tail", "# S\n\n# E tail\n"),
            ("n", Append, "a", "a\n# S\nn\n# E\n"),
            ("n", Prepend, "a", "# S\nn\n# E\na"),
            ("n", Before(regex()), "a\nm\n", "a\n# S\nn\n# E\nm\n"),
            ("n", After(regex()), "a\nm\nb\n", "a\nm\n# S\nn\n# E\nb\n"),
        ] {
            assert_eq!(edit(content, otherwise, text).unwrap(), expected, "{content:?} in {text:?}");
        }
        assert!(edit("n", Refuse, "a\n").is_err() && edit("n", Append, "# S\n").is_err());
        assert!(edit("n", After(regex()), "a\n").is_err());
    }
}
