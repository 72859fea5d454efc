//! Templates that once ended the program, or took more time or memory than a tree may take.

use super::trials::run;
use super::{Py, Source};
use crate::error::{Error, Fault};
use crate::minion::Minion;
use crate::render::{Scene, on_stack};
use crate::session::NoFunctions;
use crate::tree::Tree;
use crate::value::Map;

/// Renders as a compile does: with the functions that look at the tree.
fn scene(text: &str) -> Result<String, Error> {
    on_stack(|| {
        let tree = Tree { file_roots: indexmap::IndexMap::new(), pillar_roots: indexmap::IndexMap::new() };
        let minion = Minion { id: "web1".to_owned(), grains: Map::new(), ..Minion::default() };
        let scene = Scene::new(&tree, &minion, &NoFunctions, Py::from(&Map::new()), "base", false);
        scene.text(&Source { name: "t".to_owned(), text: text.to_owned() }, "t", &[])
    })
}

fn limited(answer: Result<String, Error>, words: &str) {
    let error = answer.expect_err(words);
    assert!(matches!(error.fault, Fault::Limit(_)), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_template_that_renders_itself_is_stopped() {
    let call = "salt['slsutil.renderer'](string=t, default_renderer='jinja', t=t)";
    limited(scene(&format!("{{% set t = \"{{{{ {call} }}}}\" %}}{{{{ {call} }}}}")), "levels deep");
}

#[test]
fn renderings_inside_of_a_rendering_count_on_its_steps() {
    let inner = "{% for i in range(9000) %}{% endfor %}";
    let text = format!(
        "{{% for i in range(900) %}}{{{{ salt['slsutil.renderer'](string='{{% raw %}}{inner}{{% endraw %}}', \
         default_renderer='jinja') }}}}{{% endfor %}}"
    );
    let text = text.replace("{% raw %}", "").replace("{% endraw %}", "");
    limited(scene(&text), "steps");
}

#[test]
fn chains_without_end_are_refused() {
    let chain = |link: &str| run(&format!("{{{{ 1{} }}}}", link.repeat(5_000)));
    for link in ["|string", "+1", "*1", " and 1", " or 1", "**1", " if 1", "(0)", "[0]"] {
        let error = chain(link).expect_err(link);
        assert!(error.to_string().contains("in a row"), "{link}: {error}");
    }
    let error = run(&format!("{{{{ x{} }}}}", ".a".repeat(5_000))).expect_err("attributes");
    assert!(error.to_string().contains("in a row"), "{error}");
    assert_eq!(run(&format!("{{{{ 1{} }}}}", "+1".repeat(500))).unwrap(), "501");
    // What is in parentheses is as high as its chain.
    let high = (0..9).fold("1".to_owned(), |inner, _| format!("({inner}{})", "+1".repeat(300)));
    assert!(run(&format!("{{{{ {high} }}}}")).unwrap_err().to_string().contains("in a row"));
}

#[test]
fn long_chains_in_deep_calls_are_stopped() {
    let chain = "|string".repeat(900);
    let text = format!("{{% macro m() %}}{{{{ m(){chain} }}}}{{% endmacro %}}{{{{ m() }}}}");
    limited(run(&text), "levels deep");
}

#[test]
fn a_letter_behind_the_bracket_of_a_format_is_an_error() {
    assert!(run("{{ '{0[a]é}'.format({'a': 1}) }}").unwrap_err().to_string().contains("may follow ']'"));
}

#[test]
fn values_without_an_order_are_sorted_all_the_same() {
    let nans = "{% set l = [] %}{% for i in range(40) %}{% do l.append(i % 7 if i % 3 else 'nan' | float) %}{% endfor %}";
    for sort in ["l | sort", "l | sort(reverse=true)", "l | max", "l | unique | sort"] {
        assert!(run(&format!("{nans}{{{{ {sort} }}}}")).is_ok(), "{sort}");
    }
    let mixed = "{% set l = [] %}{% for i in range(90) %}{% do l.append(i if i % 2 else 'a') %}{% endfor %}";
    let error = run(&format!("{mixed}{{{{ l | sort }}}}")).unwrap_err();
    assert!(error.to_string().contains("not supported between"), "{error}");
    assert_eq!(
        run("{{ [3, 1, 2] | sort }}{{ [1, 3, 2] | sort(reverse=true) }}").unwrap(),
        "[1, 2, 3][3, 2, 1]"
    );
    assert_eq!(run("{{ ['b', 'A', 'a', 'B'] | sort }}").unwrap(), "['A', 'a', 'b', 'B']");
    assert_eq!(run("{{ ['b', 'A', 'a', 'B'] | sort(reverse=true) }}").unwrap(), "['b', 'B', 'A', 'a']");
}

#[test]
fn numbers_at_the_end_of_what_there_is_are_no_panic() {
    let max = i64::MAX;
    for expression in [
        "'--9223372036854775808' | int".to_owned(),
        "'--0x7fffffffffffffff' | int(0, 0)".to_owned(),
        "'--9223372036854775808' | int(0, 0)".to_owned(),
        format!("range(1, 10)[::{max}] | list"),
        format!("range(9, 1, -1)[::-{max}] | list"),
        format!("[1, 2][::{max}]"),
        format!("[1, 2][-{max}:{max}]"),
        format!("{{'a': [1]}} | json(indent={max})"),
        format!("{{'a': [1]}} | tojson(indent={max})"),
        format!("'abc'.find('c', {max})"),
        format!("'abc'.split('b', {max})"),
        format!("[1].index(1, -{max}, {max})"),
        format!("{max} | round(-{max})"),
        format!("1 | round({max})"),
        format!("'a b' | truncate({max})"),
        format!("-{max} - 1 | abs"),
    ] {
        let answer = run(&format!("{{{{ {expression} }}}}"));
        assert!(!answer.is_err_and(|e| e.to_string().contains("renderer stopped")), "{expression}");
    }
    assert_eq!(run(&format!("{{{{ range(1, 10)[::{max}] | list }}}}")).unwrap(), "[1]");
    assert_eq!(run("{{ range(1, 10)[::3] | list }}").unwrap(), "[1, 4, 7]");
    assert!(scene("{{ salt['slsutil.banner'](width=5, text='x' * 8000000) }}").is_err());
    for width in [i64::MIN + 1, i64::MAX] {
        assert!(
            scene(&format!("{{{{ salt['slsutil.banner'](width={width}) }}}}"))
                .unwrap_err()
                .to_string()
                .contains("anner")
        );
    }
}

#[test]
fn what_contains_itself_is_refused() {
    for text in [
        "{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.a = [ns] %}{% set ns.b = [ns] %}{{ ns }}",
        "{% set d = {} %}{% do d.update({'a': d.values(), 'b': d.values()}) %}{{ d }}",
        "{% set d = {} %}{% do d.update({'a': d.items()}) %}{{ d }}",
        "{% set l = [] %}{% do l.append(l | map('list')) %}{% do l.append([l] | select) %}{{ l }}",
        "{% set d = {} %}{% do d.update({'a': namespace(d=d)}) %}{{ d }}",
        "{% set l = [] %}{% do l.append(cycler(l)) %}{{ l }}",
    ] {
        let error = run(text).expect_err(text);
        assert!(error.to_string().contains("contain itself"), "{text}\n{error}");
    }
}

#[test]
fn what_is_nested_without_end_by_a_function_is_refused() {
    for step in
        ["dict.fromkeys(['a'], ns.x)", "dict(a=ns.x)", "namespace(a=ns.x)", "cycler(ns.x)", "[ns.x].append"]
    {
        let text = format!(
            "{{% set ns = namespace(x=[1]) %}}{{% for i in range(999) %}}{{% set ns.x = {step} %}}{{% endfor %}}"
        );
        limited(run(&text), "a value longer");
    }
    let text = "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% for y in [ns.x] %}\
                {% set ns.x = loop %}{% endfor %}{% endfor %}";
    limited(run(text), "a value longer");
}

/// Nineteen doublings of one list that then grows.
const GROWN: &str = "{% set leaf = [] %}{% set ns = namespace(l=leaf) %}{% for i in range(19) %}\
                     {% set ns.l = [ns.l, ns.l] %}{% endfor %}{% for i in range(2000) %}{% do leaf.append(i) %}{% endfor %}";

#[test]
fn a_shared_leaf_that_grows_is_not_walked_through() {
    for use_of in [
        "salt['file.file_exists'](ns.l)",
        "ns.l | json",
        "ns.l | yaml",
        "ns.l | join",
        "salt['defaults.deepcopy'](ns.l)",
        "salt['test.arg'](ns.l)",
        "ns.l == [ns.l[0], ns.l[0]]",
        "ns.l in [[ns.l[0], ns.l[0]]]",
        "ns.l ~ ''",
        "'%s' % [ns.l]",
        "'{}'.format(ns.l)",
        "{'a': ns.l}",
        "ns",
    ] {
        limited(scene(&format!("{GROWN}{{{{ {use_of} }}}}")), "a value longer");
    }
}

#[test]
fn what_a_value_is_made_of_has_bounds() {
    for expression in [
        "('a' * 1000000) | regex_replace('a', 'y' * 100000)",
        "range(100000) | map('string') | map('center', 100000) | list",
        "('\n' * 100000) | indent(100000, false, true)",
        "('x' * 1000).translate({120: 'y' * 8000000})",
        "('%*s' * 40) % ((8388608, '') * 40)",
        "range(100000) | list | json(indent=100000)",
        "range(1000) | list | tojson(separators=['x' * 80000, ':'])",
        "[1] | combinations_with_replacement(200000) | list",
        "range(99999) | zip(range(99999), range(99999), range(99999), range(99999), range(99999), range(99999), \
         range(99999), range(99999), range(99999), range(99999), range(99999), range(99999), range(99999), \
         range(99999), range(99999), range(99999), range(99999), range(99999), range(99999), range(99999)) | list",
        "('x' * 8000000) | list",
        "('\n' * 8000000).splitlines()",
        "(',' * 8000000).split(',')",
        "([0] * 1000) | map('default', 's' * 8000000, true) | join",
        "([''] * 1000) | map('default', 's' * 8000000, true) | join",
        "([0] * 8000000, [0] * 8000000, [0] * 8000000)",
        "('a ' * 10000) | wordwrap(1, true, 'y' * 1000000)",
        "('http://a.org ' * 1000) | urlize(rel='x' * 1000000)",
        "('<' * 8000000) | escape",
        "('\"' * 8000000) | tojson",
    ] {
        let error = run(&format!("{{{{ {expression} | length }}}}")).expect_err(expression);
        assert!(matches!(error.fault, Fault::Limit(_) | Fault::Runtime(_)), "{expression}\n{error}");
        assert!(!error.to_string().contains("renderer stopped"), "{expression}");
    }
    let query = "[@,@]".to_owned() + &"|[@,@]".repeat(40);
    limited(run(&format!("{{{{ 1 | json_query('{query}') }}}}")), "a value longer");
    assert_eq!(run("{{ {'a': [1, 2]} | json_query('{x: a[0], y: a}') }}").unwrap(), "{'x': 1, 'y': [1, 2]}");
}

#[test]
fn steps_are_charged_for_what_they_look_through() {
    for (set, step) in [
        ("range(100000) | list", "-1 in x"),
        ("range(100000) | list", "x.count(-1)"),
        ("'x' * 8000000", "x[7999999]"),
        ("'x' * 8000000", "x | length"),
        ("'x' * 8000000", "x.count('xy')"),
        ("'x' * 8000000", "'xy' in x"),
        ("'x' * 8000000", "'xy' is in x"),
        ("dict(range(9999) | zip(range(9999)))", "dict(x)"),
    ] {
        let text =
            format!("{{% set x = {set} %}}{{% for i in range(99999) %}}{{% do {step} %}}{{% endfor %}}");
        limited(run(&text), "steps");
    }
    assert_eq!(run("{{ '{:060000,}'.format(1) | length }}").unwrap(), "60001");
    for (format, shown) in [("{:07,}", "000,001"), ("{:08,}", "0,000,001"), ("{:012,.2f}", "0,000,001.00")] {
        assert_eq!(run(&format!("{{{{ '{format}'.format(1) }}}}")).unwrap(), shown, "{format}");
    }
}

#[test]
fn a_message_is_cut() {
    let error = run("{{ raise('x' * 8000000) }}").unwrap_err();
    assert!(error.to_string().len() < 3000);
}

/// A world whose time is over.
struct Late;

impl super::World for Late {
    fn load(&self, _: &str) -> super::Res<Option<Source>> {
        Ok(None)
    }

    fn out_of_time(&self) -> bool {
        true
    }

    fn call(&self, name: &str, _: super::CallArgs) -> super::Res<Py> {
        Err(Error::new(Fault::UnknownFunction(name.to_owned())))
    }

    fn has(&self, _: &str) -> bool {
        false
    }
}

#[test]
fn a_template_ends_when_its_time_is_over() {
    let source = Source { name: "t".to_owned(), text: "{{ 1 }}".to_owned() };
    limited(super::render(&source, Vec::new(), &Late, super::Limits::default()), "longer than 60 seconds");
}
