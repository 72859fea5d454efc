//! `debconf.set` and `debconf.set_file`: answers to the questions of packages.

use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::host::Command;
use crate::modules::args::{Args, joined, scalar};
use crate::modules::cmd::last_words;
use crate::modules::file::source::{Check, Source};
use crate::modules::textfile::one_line;
use crate::redact;
use crate::value::Value;

pub(crate) const SET: &[&str] = &["data"];
pub(crate) const SET_FILE: &[&str] = &["source", "template", "context", "defaults"];

const STORES: [&str; 2] = ["/var/cache/debconf/config.dat", "/var/cache/debconf/passwords.dat"];
const LIMIT: usize = 64 << 20;

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    owner: String,
    question: String,
    kind: String,
    value: String,
}

impl Answer {
    fn new(owner: &str, question: &str, kind: &str, value: &str) -> Result<Self, Failure> {
        for (key, word) in [("name", owner), ("data", question), ("type", kind)] {
            if word.is_empty() || word.contains(char::is_whitespace) {
                return Err(Failure::declaration(format!("`{key}` must be one word, but is {word:?}")));
            }
        }
        let text = |s: &str| s.to_owned();
        let value = one_line("value", text(value))?;
        Ok(Self { owner: text(owner), question: text(question), kind: text(kind), value })
    }

    fn line(&self) -> String {
        format!("{} {} {} {}\n", self.owner, self.question, self.kind, self.value)
    }

    fn told(&self) -> (String, Value) {
        let secret = self.kind == "password";
        let value = if secret { "(password hidden)".to_owned() } else { self.value.clone() };
        (self.question.clone(), Value::Str(value))
    }
}

/// The questions that are not answered as asked.
type Unmet = Vec<Answer>;

fn observe(wanted: &[Answer], call: &Call<'_>) -> Result<Unmet, Failure> {
    let mut known = Vec::new();
    for store in STORES {
        let path = call.context.host.path(store);
        if fsys::stat(&path)?.kind == Kind::File {
            known.extend(parse(&fsys::read_text(&path, LIMIT)?));
        }
    }
    let met = |a: &&Answer| known.iter().any(|(name, value)| *name == a.question && *value == a.value);
    Ok(wanted.iter().filter(|a| !met(a)).cloned().collect())
}

/// Question and value of each paragraph that has a value.
fn parse(text: &str) -> Vec<(String, String)> {
    let field = |paragraph: &str, key: &str| {
        paragraph.lines().find_map(|l| Some(l.strip_prefix(key)?.trim().to_owned()))
    };
    text.split("\n\n").filter_map(|p| Some((field(p, "Name:")?, field(p, "Value:")?))).collect()
}

fn diff(unmet: &Unmet) -> Diff<Unmet> {
    if unmet.is_empty() {
        return Diff::Same("All specified answers are already set".to_owned());
    }
    let changes = unmet.iter().map(Answer::told).collect();
    let questions: Vec<&str> = unmet.iter().map(|a| a.question.as_str()).collect();
    Diff::Change {
        plan: unmet.clone(),
        changes,
        would: format!("Would be answered: {}", questions.join(", ")),
    }
}

/// By way of standard input: an answer may be a secret.
fn apply(answers: &[Answer], call: &Call<'_>) -> Result<Applied, Failure> {
    if call.context.host.root() != std::path::Path::new("/") {
        return Err(Failure::machine(
            "answers cannot be given below another root: debconf only knows this machine",
        ));
    }
    let mut command = Command::argv(["debconf-set-selections"]).env("LC_ALL", "C.UTF-8");
    command.stdin = answers.iter().map(Answer::line).collect::<String>().into_bytes();
    command.timeout = Duration::from_secs(120);
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(Applied::done("Debconf selections were set")),
        code => {
            let words = last_words(&output);
            Err(Failure::machine(format!("`debconf-set-selections` ended with exit code {code}{words}")))
        }
    }
}

fn answers(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Answer>, Failure> {
    let bad = || Failure::declaration("`data` must be a mapping of questions to {type, value}");
    let data = args.get("data").and_then(joined).ok_or_else(bad)?;
    let one = |(question, answer): (&String, &Value)| {
        let answer = joined(answer).ok_or_else(bad)?;
        let kind = answer.get("type").and_then(scalar).ok_or_else(bad)?;
        let value = answer.get("value").unwrap_or(&Value::Null);
        let value = match (kind.as_str(), value) {
            ("boolean", Value::Bool(b)) => b.to_string(),
            ("boolean", Value::Str(s)) => (!s.is_empty() && !s.eq_ignore_ascii_case("false")).to_string(),
            ("boolean", other) => (!matches!(other, Value::Null | Value::Int(0))).to_string(),
            (_, Value::Null) => String::new(),
            (_, other) => scalar(other).ok_or_else(bad)?,
        };
        Answer::new(&call.chunk.name, question, &kind, &value)
    };
    data.iter().map(one).collect()
}

/// `debconf.set`.
pub(crate) struct Set;

impl StateFn for Set {
    type Want = Vec<Answer>;
    type Observed = Unmet;
    type Plan = Unmet;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Answer>, Failure> {
        answers(args, call)
    }

    fn observe(want: &Vec<Answer>, call: &Call<'_>) -> Result<Unmet, Failure> {
        observe(want, call)
    }

    fn diff(_: &Vec<Answer>, unmet: &Unmet) -> Diff<Unmet> {
        diff(unmet)
    }

    fn apply(_: &Vec<Answer>, plan: Unmet, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(&plan, call)
    }
}

/// `debconf.set_file`.
pub(crate) struct SetFile;

impl StateFn for SetFile {
    type Want = Vec<Answer>;
    type Observed = Unmet;
    type Plan = Unmet;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Answer>, Failure> {
        let source = args.text("source")?.ok_or_else(|| Failure::declaration("`source` is needed"))?;
        let context = match args.text("template")?.as_deref() {
            None => None,
            Some("jinja") => {
                let mut all = args.map("defaults")?.unwrap_or_default();
                all.extend(args.map("context")?.unwrap_or_default());
                Some(all)
            }
            Some(other) => {
                return Err(Failure::declaration(format!("there is no template engine {other:?}")));
            }
        };
        let ready = Source::file(source.clone()).ready(context.as_ref(), &Check::default(), call)?;
        let text = ready.and_then(|r| r.content.into_bytes()).and_then(|b| String::from_utf8(b).ok());
        let text =
            text.ok_or_else(|| Failure::declaration(format!("{} is no text", redact::url(&source))))?;
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(selection).collect()
    }

    fn observe(want: &Vec<Answer>, call: &Call<'_>) -> Result<Unmet, Failure> {
        observe(want, call)
    }

    fn diff(_: &Vec<Answer>, unmet: &Unmet) -> Diff<Unmet> {
        diff(unmet)
    }

    fn apply(_: &Vec<Answer>, plan: Unmet, call: &Call<'_>) -> Result<Applied, Failure> {
        apply(&plan, call)
    }
}

/// A line of debconf-set-selections(1): owner, question, type, and the rest is the value.
fn selection(line: &str) -> Result<Answer, Failure> {
    let bad = || Failure::declaration(format!("{line:?} is no line of debconf-set-selections(1)"));
    let mut rest = line;
    let mut word = || {
        let (word, after) =
            rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
        rest = after;
        (!word.is_empty()).then(|| word.to_owned())
    };
    let (owner, question, kind) = (word().ok_or_else(bad)?, word().ok_or_else(bad)?, word().ok_or_else(bad)?);
    Answer::new(&owner, &question, &kind, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_gives_values_by_question() {
        let text = "Name: a/b\nTemplate: a/b\nValue: x y\nOwners: a\n\nName: a/none\nTemplate: a/none\n\n";
        assert_eq!(parse(text), [("a/b".to_owned(), "x y".to_owned())]);
    }

    #[test]
    fn selections_are_lines() {
        let answer = selection("tzdata  tzdata/Areas select\tEurope and more").unwrap();
        assert_eq!(answer.line(), "tzdata tzdata/Areas select Europe and more\n");
        assert!(selection("a b").is_err());
    }
}
