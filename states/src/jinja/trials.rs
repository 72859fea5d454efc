//! Tests of the evaluator on its own: limits, errors, and templates that nobody would write.

use proptest::prelude::*;

use super::{CallArgs, Limits, Py, Res, Source, World, render};
use crate::error::{Error, Fault};

/// A world with one file and no functions.
struct Lone;

impl World for Lone {
    fn load(&self, path: &str) -> Res<Option<Source>> {
        let text = match path {
            "self.jinja" => "{% include 'self.jinja' %}",
            "mutual.jinja" => "{% from 'mutual.jinja' import x %}",
            _ => return Ok(None),
        };
        Ok(Some(Source { name: path.to_owned(), text: text.to_owned() }))
    }

    fn call(&self, name: &str, _: CallArgs) -> Res<Py> {
        Err(Error::new(Fault::UnknownFunction(name.to_owned())))
    }

    fn has(&self, _: &str) -> bool {
        false
    }
}

pub(super) fn run(text: &str) -> Result<String, Error> {
    crate::render::on_stack(|| {
        let source = Source { name: "t".to_owned(), text: text.to_owned() };
        let limits = Limits { steps: 2_000_000, ..Limits::default() };
        render(&source, vec![("grains", Py::dict(super::Dict::new())), ("salt", Py::Salt)], &Lone, limits)
    })
}

#[test]
fn templates_that_never_end_are_stopped() {
    let endless = [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% include 'self.jinja' %}",
        "{% from 'mutual.jinja' import x %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{{ 'x' * 99999999999 }}",
        "{{ [0] * 99999999999 }}",
        "{{ 'x'.ljust(99999999999) }}",
        "{{ 'x' | center(99999999999) | length }}{{ '%99999999999d' % 5 }}{{ 'aaaa'.replace('a', 'x' * 8000000) }}",
        "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}",
        "{{ 2 ** 99999 }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{{ ['x' * 1000000] * 1000000 }}",
        "{% set l = [0] %}{% for i in l %}{% do l.append(i) %}{% endfor %}",
        "{{ ('a' * 60) | regex_search('(?:(?=a)a+)+b') }}",
        "{{ {} | json_query('a' ~ '.a' * 100000) }}",
        "{{ range(60) | combinations(30) | list }}",
        "{% macro c() %}{% call c() %}{{ caller() }}{% endcall %}{% endmacro %}{{ c() }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l }}",
        "{% set d = {} %}{% do d.update({'d': [d]}) %}{{ d }}",
        "{% set a %}{% for i in range(99999) %}{{ range(9999) | list }}{% endfor %}{% endset %}",
    ];
    for text in endless {
        let error = run(text).expect_err(text);
        assert!(matches!(error.fault, Fault::Limit(_) | Fault::Runtime(_)), "{text}\n{error}");
    }
}

#[test]
fn errors_name_the_place() {
    for (text, line, column, words) in [
        ("a\n  {{ x.y }}", 2, 6, "'x' is undefined"),
        ("{{ {'a': 1}.b.c }}", 1, 12, "no attribute 'b'"),
        ("{% if %}", 1, 7, "expected an expression"),
        ("{% for x in y %}", 1, 4, "`else` or `endfor` is missing"),
        ("x\n{{ 'a' + 1 }}", 2, 4, "can only concatenate str"),
        ("{{ salt['a.b']() }}", 1, 4, "unknown function `a.b`"),
        ("{{ 1 | nofilter }}", 1, 8, "no filter named 'nofilter'"),
        ("{{ 1 is notest }}", 1, 6, "no test named 'notest'"),
        ("{{ 'x }}", 1, 4, "never closed"),
        ("{# open", 1, 1, "never closed"),
        ("{% raw %}x", 1, 1, "no `{% endraw %}`"),
        ("{{ [1, 2 }}", 1, 10, "expected `]`"),
        ("{% include 'gone' %}", 1, 4, "`gone` not found"),
        ("{{ 1 / 0 }}", 1, 4, "division by zero"),
        ("é{{ nope }}", 1, 5, "'nope' is undefined"),
    ] {
        let error = run(text).expect_err(text);
        let origin = error.place.origin.clone().expect(text);
        assert_eq!((origin.line, origin.column), (line, column), "{text}\n{error}");
        assert!(error.to_string().contains(words), "{text}\n{error}");
    }
}

#[test]
fn whitespace_is_kept_as_jinja_keeps_it() {
    for (text, expected) in [
        ("a\n", "a\n"),
        ("a\n\n", "a\n\n"),
        ("{% if true %}\na\n{% endif %}\n", "\na\n\n"),
        ("a  {%- if true %}  b{% endif -%}  c", "a  bc"),
        (
            "#jinja2: {\"trim_blocks\": true, \"lstrip_blocks\": true}\n  {% if true %}\na\n  {% endif %}\n",
            "a\n\n",
        ),
        (
            "#!jinja|yaml\n#jinja2: {\"trim_blocks\": true}\n{% if true %}\na\n{% endif %}b\n",
            "#!jinja|yaml\na\nb\n",
        ),
        ("{% raw -%}  {{ x }}  {%- endraw %}!", "{{ x }}!"),
        ("a{# c -#}  b", "ab"),
        ("a\r\nb", "a\nb"),
    ] {
        assert_eq!(run(text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn inheritance_fills_blocks() {
    let text = "{% block a %}one {% endblock %}{% block b %}two{% endblock b %}";
    assert_eq!(run(text).unwrap(), "one two");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_renders_or_is_refused(text in "(?s).{0,120}") {
        let _ = run(&text);
    }

    #[test]
    fn template_like_text_renders_or_is_refused(
        text in "(\\{\\{ ?|\\}\\}|\\{% ?|%\\}|if |for |in |set |x|=|'a'|1|\\[|\\]|\\(|\\)|\\||~|\\.|upper|end|else|-|\\*|,|%|:){0,40}"
    ) {
        let _ = run(&text);
    }

    #[test]
    fn expressions_evaluate_or_are_refused(
        text in "(1|-|2\\.5|'a'|\\[1,2\\]|\\{'k':1\\}|\\(|\\)| \\+ | \\* | // | % | \\*\\* |\\[0\\]|\\[::-1\\]| in | and | or | not |~|\\|length|\\|join|\\.upper\\(\\)| == | < | is string| if | else |none|true){1,12}"
    ) {
        let _ = run(&format!("{{{{ {text} }}}}"));
    }
}
