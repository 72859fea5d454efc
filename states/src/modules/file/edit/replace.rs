//! `file.replace`: what a regular expression matches is replaced, or a line added when nothing matches.

use fancy_regex::Regex;

use super::{Frame, Missing, TextEdit, text};
use crate::engine::step::{Call, Failure};
use crate::modules::args::{Args, scalar};
use crate::python::regex::{self, Flags};
use crate::python::sub::{self, Template};
use crate::value::Value;

pub(crate) const ARGS: &[&str] = &[
    "pattern",
    "repl",
    "count",
    "flags",
    "append_if_not_found",
    "prepend_if_not_found",
    "not_found_content",
    "backup",
    "show_changes",
    "ignore_if_missing",
    "backslash_literal",
    "encoding",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["bufsize"];

/// What is to be done to the text.
pub(crate) struct Spec {
    regex: Regex,
    template: Template,
    count: usize,
    /// Where nothing matches.
    otherwise: Option<Otherwise>,
}

struct Otherwise {
    at: End,
    line: String,
    /// Finds the line where it is already.
    there: Regex,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// `file.replace`.
pub(crate) struct Replace;

impl TextEdit for Replace {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let needed = |key: &str| {
            let text = args.text(key)?;
            text.ok_or_else(|| Failure::declaration(format!("`{key}` is missing")))
        };
        utf8(args)?;
        let flags = flags(args.get("flags"))?;
        let regex = regex::build_with(&needed("pattern")?, flags).map_err(Failure::declaration)?;
        let repl = needed("repl")?;
        let template = match args.flag("backslash_literal", false)? {
            true => Template::literal(&repl),
            false => Template::parse(&repl, &regex)
                .map_err(|e| Failure::declaration(format!("`repl` cannot be used: {e}")))?,
        };
        let missing = if args.flag("ignore_if_missing", false)? { Missing::Ignore } else { Missing::Refuse };
        let frame = Frame { missing, ..Frame::read(args, call)?.backup(args)? };
        let count = args.number("count")?.unwrap_or(0) as usize;
        Ok((frame, Spec { regex, template, count, otherwise: otherwise(args, &repl, flags)? }))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        let (new, found) = sub::substitute(&spec.regex, &spec.template, text, spec.count)?;
        let Some(otherwise) = &spec.otherwise else { return Ok(new) };
        if found > 0 || otherwise.there.is_match(text).map_err(|e| e.to_string())? {
            return Ok(new);
        }
        let line = &otherwise.line;
        Ok(match otherwise.at {
            End::First => format!("{line}\n{new}"),
            End::Last if new.is_empty() || new.ends_with('\n') => format!("{new}{line}\n"),
            End::Last => format!("{new}\n{line}\n"),
        })
    }
}

/// Salt can edit other encodings; here text is UTF-8.
fn utf8(args: &Args<'_>) -> Result<(), Failure> {
    let encoding = args.text("encoding")?.unwrap_or_default().to_ascii_lowercase().replace('_', "-");
    match encoding.as_str() {
        "" | "utf-8" | "utf8" | "ascii" => Ok(()),
        other => Err(Failure::declaration(format!("`encoding: {other}` is not supported; files are UTF-8"))),
    }
}

fn otherwise(args: &Args<'_>, repl: &str, flags: Flags) -> Result<Option<Otherwise>, Failure> {
    let at = match (args.flag("append_if_not_found", false)?, args.flag("prepend_if_not_found", false)?) {
        (true, true) => {
            return Err(Failure::declaration(
                "only one of append_if_not_found, prepend_if_not_found can be given",
            ));
        }
        (true, false) => End::Last,
        (false, true) => End::First,
        (false, false) => return Ok(None),
    };
    let line = args.text("not_found_content")?.unwrap_or_else(|| repl.to_owned());
    let pattern = format!("^{}($|(?=\r\n))", text::escaped(&line));
    let there = regex::build_with(&pattern, flags).map_err(Failure::declaration)?;
    Ok(Some(Otherwise { at, line, there }))
}

/// Python's flags: a number, a name or a list of names. Patterns are of bytes, as in Salt.
fn flags(given: Option<&Value>) -> Result<Flags, Failure> {
    let mut flags = Flags { ascii: true, ..Flags::default() };
    let names = match given {
        None => return Ok(Flags { multi_line: true, ..flags }),
        Some(Value::Int(bits)) => {
            flags.ignore_case = bits & 2 != 0;
            flags.multi_line = bits & 8 != 0;
            flags.dot_all = bits & 16 != 0;
            flags.verbose = bits & 64 != 0;
            return Ok(flags);
        }
        Some(Value::List(names)) => names.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    for name in names {
        match scalar(name).unwrap_or_default().to_ascii_uppercase().as_str() {
            "I" | "IGNORECASE" => flags.ignore_case = true,
            "M" | "MULTILINE" => flags.multi_line = true,
            "S" | "DOTALL" => flags.dot_all = true,
            "X" | "VERBOSE" => flags.verbose = true,
            "A" | "ASCII" | "U" | "UNICODE" | "L" | "LOCALE" => {}
            other => return Err(Failure::declaration(format!("`flags` holds {other:?}, which is no flag"))),
        }
    }
    Ok(flags)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edit(pattern: &str, repl: &str, at: Option<End>, text: &str) -> String {
        let flags = Flags { multi_line: true, ..Flags::default() };
        let regex = regex::build_with(pattern, flags).unwrap();
        let there = regex::build_with(&format!("^{}$", text::escaped(repl)), flags).unwrap();
        let otherwise = at.map(|at| Otherwise { at, line: repl.to_owned(), there });
        let template = Template::parse(repl, &regex).unwrap();
        Replace::edit(&Spec { regex, template, count: 0, otherwise }, text).unwrap()
    }

    #[test]
    fn matches_are_replaced_and_lines_added() {
        let (last, first) = (Some(End::Last), Some(End::First));
        for (pattern, repl, at, text, expected) in [
            ("^a.*$", "b", None, "a1\nxa\na2\n", "b\nxa\nb\n"),
            ("no", "yes", None, "text", "text"),
            ("no", "yes", last, "text", "text\nyes\n"),
            ("no", "yes", last, "", "yes\n"),
            ("no", "yes", first, "text", "yes\ntext"),
            ("no", "yes", last, "yes\n", "yes\n"),
            ("no", "yes", last, "yes it is\n", "yes it is\nyes\n"),
        ] {
            assert_eq!(edit(pattern, repl, at, text), expected, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn flags_are_numbers_or_names() {
        let names = Value::List(vec![Value::Str("dotall".into()), Value::Str("I".into())]);
        let expected = Flags { dot_all: true, ignore_case: true, ascii: true, ..Flags::default() };
        assert_eq!(flags(Some(&names)).unwrap(), expected);
        assert_eq!(flags(Some(&Value::Int(18))).unwrap(), expected);
        assert!(flags(None).unwrap().multi_line);
        assert!(flags(Some(&Value::Str("Q".into()))).is_err());
    }
}
