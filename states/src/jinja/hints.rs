//! What a template that does not parse likely meant: tags left open, misspelt tags, `=` where `==` was meant.

use super::ast::At;
use super::eval::position;
use super::lexer::Token;
use super::parser::{Parsed, Parser};
use crate::error::{Error, Fault};
use crate::low::Origin;
use crate::nearest::did_you_mean;

/// The tags that stand alone or begin something.
const TAGS: &[&str] = &[
    "autoescape",
    "block",
    "break",
    "call",
    "continue",
    "do",
    "extends",
    "filter",
    "for",
    "from",
    "if",
    "import",
    "import_json",
    "import_text",
    "import_yaml",
    "include",
    "load_json",
    "load_text",
    "load_yaml",
    "macro",
    "profile",
    "raw",
    "set",
    "with",
];

/// The tags that go on with, or end, what a tag began.
fn followers(tag: &str) -> &'static [&'static str] {
    match tag {
        "autoescape" => &["endautoescape"],
        "block" => &["endblock"],
        "call" => &["endcall"],
        "filter" => &["endfilter"],
        "for" => &["endfor", "else"],
        "if" => &["endif", "else", "elif"],
        "load_yaml" | "load_json" | "load_text" => &["endload"],
        "macro" => &["endmacro"],
        "profile" => &["endprofile"],
        "raw" => &["endraw"],
        "set" => &["endset"],
        "with" => &["endwith"],
        _ => &[],
    }
}

impl Parser {
    fn origin(&self, at: At) -> Origin {
        let (line, column) = position(&self.source, at);
        Origin { file: (&*self.name).into(), line, column }
    }

    /// The template ends inside of the innermost tag: that one is told, as it can be far above the end.
    pub(super) fn unclosed<T>(&self, ends: &[&str]) -> Parsed<T> {
        let wanted = ends.join("` or `");
        let Some((tag, at)) = self.open.last() else {
            return self.fail(format!("the template ends where `{wanted}` is missing"));
        };
        let message = format!("this `{tag}` is left open: the template ends where `{wanted}` is missing");
        let error = Error::new(Fault::Syntax(message));
        Err((
            if &**tag == "set" {
                error.help("a `set` without `=` takes the text up to `endset`")
            } else {
                error
            },
            *at,
        ))
    }

    /// A tag that is none, or that is none here.
    pub(super) fn unknown_tag<T>(&self, tag: &str, at: At) -> Parsed<T> {
        // The last of the open tags is this one.
        let around = self.open.iter().rev().nth(1);
        let ends = around.map_or(&[][..], |(outer, _)| followers(outer));
        let follows = TAGS.iter().any(|of| followers(of).contains(&tag));
        let fault = match (follows, around) {
            (true, Some((outer, _))) => {
                format!("`{tag}` stands where `{outer}` is still open: `{}` is missing", ends.join("` or `"))
            }
            (true, None) => format!("`{tag}` stands where nothing is open that it belongs to"),
            (false, _) => format!("unknown tag `{tag}`"),
        };
        let mut error = Error::new(Fault::Syntax(fault));
        if follows {
            if let Some((_, at)) = around {
                error = error.through("opened at", self.origin(*at));
            }
        } else if let Some(help) = meant(tag, ends) {
            error = error.help(help);
        }
        Err((error, at))
    }

    /// Something else stands where `wanted` should.
    pub(super) fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        let error = Error::new(Fault::Syntax(format!("expected `{wanted}`, found {}", self.found())));
        Err((
            match self.instead() {
                Some(help) => error.help(help),
                None => error,
            },
            self.at(),
        ))
    }

    /// What Jinja writes where another language has what stands here.
    fn instead(&self) -> Option<&'static str> {
        let tag = self.open.last().map(|(tag, _)| &**tag);
        match (self.peek(), tag) {
            (Token::Op("="), Some("do")) => Some("a name is given a value by `{% set NAME = VALUE %}`"),
            (Token::Op("="), _) => Some("two values are compared by `==`"),
            _ => None,
        }
    }
}

fn meant(tag: &str, ends: &[&str]) -> Option<String> {
    if matches!(tag, "elseif" | "elsif" | "elsf") && ends.contains(&"elif") {
        return Some("did you mean `elif`?".to_owned());
    }
    did_you_mean(tag, ends.iter().chain(TAGS).copied())
}

#[cfg(test)]
mod tests {
    use super::super::trials::run;

    /// The error of a template, all of it.
    fn said(text: &str) -> String {
        run(text).unwrap_err().to_string()
    }

    #[test]
    fn a_tag_that_is_left_open_is_told_where_it_is() {
        for (text, tag, end) in [
            ("a\n{% if 1 %}\n{{ 2 }}\n", "if", "elif` or `else` or `endif"),
            ("a\n{% if 1 %}{% else %}\n{{ 2 }}\n", "if", "endif"),
            ("a\n{% for i in [] %}\n{% if i %}{% endif %}\n", "for", "else` or `endfor"),
            ("a\n{% macro m() %}\n{{ 2 }}\n", "macro", "endmacro"),
            ("a\n{% block b %}\n{{ 2 }}\n", "block", "endblock"),
            ("a\n{% call m() %}\n{{ 2 }}\n", "call", "endcall"),
            ("a\n{% filter upper %}\n{{ 2 }}\n", "filter", "endfilter"),
            ("a\n{% set x %}\n{{ 2 }}\n", "set", "endset"),
            ("a\n{% with x = 1 %}\n{{ 2 }}\n", "with", "endwith"),
            ("a\n{% load_yaml as x %}\n{{ 2 }}\n", "load_yaml", "endload"),
        ] {
            let words = format!("this `{tag}` is left open: the template ends where `{end}` is missing");
            assert!(said(text).starts_with(&format!("t:2:4: Jinja syntax: {words}")), "{}", said(text));
        }
    }

    #[test]
    fn an_end_of_something_else_names_what_is_open() {
        let error = said("{% for i in [] %}\n  {% if i %}\n{% endfor %}\n");
        assert!(
            error.starts_with("t:3:4: Jinja syntax: `endfor` stands where `if` is still open"),
            "{error}"
        );
        assert!(error.contains("\n  opened at t:2:6"), "{error}");
        assert!(said("{% endif %}").contains("where nothing is open"), "{}", said("{% endif %}"));
    }

    #[test]
    fn a_misspelt_tag_is_told_with_the_nearest() {
        for (text, meant) in [
            ("{% if 1 %}{% endfi %}", "endif"),
            ("{% if 1 %}{% elseif 2 %}{% endif %}", "elif"),
            ("{% for i in [] %}{% enfor %}", "endfor"),
            ("{% inlcude 'x' %}", "include"),
        ] {
            assert!(said(text).contains(&format!("help: did you mean `{meant}`?")), "{}", said(text));
        }
        assert!(!said("{% nonsense %}").contains("help"));
    }

    #[test]
    fn one_equals_sign_is_no_comparison() {
        for text in ["{% if a = b %}{% endif %}", "{% if (a = b) %}{% endif %}", "{{ a = b }}"] {
            assert!(said(text).contains("compared by `==`"), "{}", said(text));
        }
        assert!(said("{% do a = b %}").contains("{% set NAME = VALUE %}"));
    }
}
