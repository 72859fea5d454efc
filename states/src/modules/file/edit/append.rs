//! `file.append` and `file.prepend`: texts that are in the file already are left out.

use super::{Frame, Missing, Rehearsed, TextEdit, templates, text};
use crate::engine::step::{Call, Failure};
use crate::modules::args::{Args, scalar};
use crate::value::Value;

pub(crate) const ARGS: &[&str] = &[
    "text",
    "makedirs",
    "source",
    "sources",
    "template",
    "defaults",
    "context",
    "ignore_whitespace",
    "show_changes",
    "follow_symlinks",
];
pub(crate) const PREPEND_ARGS: &[&str] = &[
    "text",
    "makedirs",
    "source",
    "sources",
    "template",
    "defaults",
    "context",
    "header",
    "show_changes",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["source_hash", "source_hashes"];

/// What is to be added.
pub(crate) struct Spec {
    chunks: Vec<String>,
    place: Where,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// At the end; texts are looked for as they are, or as regular expressions.
    End { ignore_whitespace: bool },
    /// At the start.
    Start,
    /// All of it together at the very start.
    Header,
}

/// `file.append`.
pub(crate) struct Append;
/// `file.prepend`.
pub(crate) struct Prepend;

impl TextEdit for Append {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let place = Where::End { ignore_whitespace: args.flag("ignore_whitespace", true)? };
        Ok((frame(args, call)?, Spec { chunks: chunks(args, call)?, place }))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        edit(spec, text)
    }
}

impl TextEdit for Prepend {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let place = if args.flag("header", false)? { Where::Header } else { Where::Start };
        Ok((frame(args, call)?, Spec { chunks: chunks(args, call)?, place }))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        edit(spec, text)
    }
}

fn frame(args: &Args<'_>, call: &Call<'_>) -> Result<Frame, Failure> {
    let missing = Missing::Create { makedirs: args.flag("makedirs", false)? };
    let rehearsed = if call.test { Rehearsed::New } else { Rehearsed::Alike };
    Ok(Frame { missing, rehearsed, ..Frame::read(args, call)? })
}

fn chunks(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<String>, Failure> {
    if let Some(texts) = templates(args, call)? {
        return Ok(texts);
    }
    let items = match args.get("text") {
        None => return Err(Failure::declaration("`text` or `source` is missing: what to add")),
        Some(Value::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let chunks: Option<Vec<String>> = items.iter().map(scalar).collect();
    chunks.ok_or_else(|| Failure::declaration("`text` must be text or a list of texts"))
}

fn edit(spec: &Spec, text: &str) -> Result<String, String> {
    let mut new = Vec::new();
    for chunk in &spec.chunks {
        let there = match spec.place {
            Where::End { ignore_whitespace: false } => text::found(chunk, text)?,
            Where::End { .. } | Where::Start => text::holds(text, chunk)?,
            Where::Header => false,
        };
        if !there {
            new.extend(text::lines(chunk));
        }
    }
    let added: String = new.iter().map(|line| format!("{line}\n")).collect();
    Ok(match spec.place {
        _ if new.is_empty() => text.to_owned(),
        Where::End { .. } if text.is_empty() || text.ends_with('\n') => format!("{text}{added}"),
        Where::End { .. } => format!("{text}\n{added}"),
        Where::Header if text::lines(text).starts_with(&new) => text.to_owned(),
        Where::Start | Where::Header => format!("{added}{text}"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_added_where_they_are_not() {
        let end = Where::End { ignore_whitespace: true };
        for (place, chunks, text, expected) in [
            (end, &["b"][..], "a\n", "a\nb\n"),
            (end, &["b"], "a", "a\nb\n"),
            (end, &["a", "b\nc"], "a\n", "a\nb\nc\n"),
            (end, &["a  b"], " a b\n", " a b\n"),
            (Where::End { ignore_whitespace: false }, &["a  b"], "a b\n", "a b\na  b\n"),
            (Where::Start, &["b", "a"], "a\n", "b\na\n"),
            (Where::Header, &["a"], "b\na\n", "a\nb\na\n"),
            (Where::Header, &["b", "a"], "b\na\n", "b\na\n"),
        ] {
            let spec = Spec { chunks: chunks.iter().map(|c| (*c).to_owned()).collect(), place };
            assert_eq!(edit(&spec, text).unwrap(), expected, "{chunks:?} {place:?} in {text:?}");
        }
    }
}
