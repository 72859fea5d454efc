//! The hostile corpus: trees and user-data that were written to do harm.

use std::io::Write;

/// User-data with nothing wrong in it.
const VALID: &str = "#mayfly\nrole: web\nstates:\n  url: https://x.invalid/y\n";

/// One billion of something out of a page of YAML.
fn laughs() -> String {
    let mut text = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for n in 1..12 {
        let again = vec![format!("*a{}", n - 1); 9].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{again}]\n"));
    }
    text
}

/// What would take for ever, or all memory, to compile: the SLS, and a word of the one error.
pub(crate) fn bombs() -> Vec<(&'static str, String, &'static str)> {
    let text = |text: &str| text.to_owned();
    let a = |template: &str| format!("{template}\na:\n  test.nop\n");
    vec![
        ("billion laughs", laughs(), "limit"),
        ("a list as deep as the stack", format!("#!yaml\na: {}\n", "[".repeat(200_000)), "limit"),
        ("a mapping as deep as the stack", format!("#!yaml\n{}\n", "{a: ".repeat(200_000)), "limit"),
        ("a document inside of itself", text("#!yaml\na: &a [*a]\n"), "a.sls"),
        ("a loop of a billion", a("{% for i in range(10**9) %}{% endfor %}"), "MAX_RANGE"),
        (
            "loops in loops",
            a("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
            "limit",
        ),
        ("a string of a billion", a("{% set x = 'a' * 10**9 %}"), "limit"),
        ("a list of a billion", a("{% set x = [1] * 10**9 %}"), "limit"),
        ("a power without end", a("{% set x = 9 ** 9 ** 9 %}"), "a.sls"),
        (
            "a string that doubles",
            a("{% set n = namespace(x='a') %}{% for i in range(64) %}{% set n.x = n.x ~ n.x %}{% endfor %}"),
            "limit",
        ),
        (
            "a list that doubles",
            a("{% set n = namespace(x=[1]) %}{% for i in range(64) %}{% set n.x = n.x + n.x %}{% endfor %}"),
            "limit",
        ),
        (
            "an output without end",
            a("{% set x = 'a' * 1000000 %}{% for i in range(100000) %}{{ x }}{% endfor %}"),
            "limit",
        ),
        ("a format of a billion", a("{{ '%1000000000d' % 1 }}"), "a.sls"),
        ("a format of a billion, the new way", a("{{ '{:1000000000}'.format(1) }}"), "a.sls"),
        ("padding of a billion", a("{{ 'a'.ljust(10**9) }}"), "a.sls"),
        ("an indent of a billion", a("{{ 'a\nb' | indent(10**9) }}"), "a.sls"),
        ("a macro that calls itself", a("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "a.sls"),
        ("a template that includes itself", a("{% include 'a.sls' %}"), "a.sls"),
        ("a pattern that goes back for ever", a("{{ ('a' * 40 ~ 'b') | regex_search('(a+)+$') }}"), "a.sls"),
        (
            "parentheses without end",
            format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000)),
            "a.sls",
        ),
        ("blocks without end", "{% if 1 %}".repeat(50_000), "a.sls"),
        (
            "a billion steps of a function",
            a(
                "{{ salt['slsutil.renderer'](string='{% for i in range(10**9) %}{% endfor %}', default_renderer='jinja') }}",
            ),
            "MAX_RANGE",
        ),
    ]
}

/// User-data that is hostile as a whole. `OUT` stands for a file that nobody is to make.
fn wrapped() -> Vec<(&'static str, Vec<u8>)> {
    let valid = VALID;
    let gz = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    vec![
        ("zeros, packed", gz(&vec![0; 32 << 20])),
        ("zeros, packed twice", gz(&gz(&vec![0; 256 << 20]))),
        ("spaces, packed", gz(format!("#mayfly\n{}", " ".repeat(16 << 20)).as_bytes())),
        ("too long", vec![b'a'; 200 << 10]),
        ("no text", (0..60_000u32).map(|n| ((n * 7919) >> 3) as u8).collect()),
        (
            "aliases",
            format!("{valid}pillar:\n{}", laughs().replace("a0:", "  a0:").replace("\na", "\n  a"))
                .into_bytes(),
        ),
        ("deep", format!("{valid}pillar: {}", "[".repeat(50_000)).into_bytes()),
        ("deeper", format!("{valid}pillar: {}", "{a: ".repeat(15_000)).into_bytes()),
        (
            "many keys",
            format!(
                "{valid}pillar:\n{}",
                (0..9_000).map(|n| format!(" {n}:\n")).collect::<String>() + " 1:\n"
            )
            .into_bytes(),
        ),
    ]
}

/// All of it, each with what it is.
pub(crate) fn documents() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = wrapped();
    let with = |from: &str, to: &str| VALID.replacen(from, to, 1).into_bytes();
    let odd = [
        "../web",
        "$(touch OUT)",
        "`touch OUT`",
        "a;touch OUT",
        "-rf",
        "a b",
        "\"\\e[31m\\nmayfly: ready\"",
        "\"a\\0b\"",
    ];
    all.extend(odd.map(|role| ("a role", with("web", role))));
    let urls = [
        "ext::sh -c touch% OUT",
        "--upload-pack=touch OUT",
        "ssh://-oProxyCommand=touch OUT/x",
        "https://u:p@x.invalid/y",
        "\"https://x.invalid/\\e[31m\"",
        "-x@y:z",
        "a@-oProxyCommand=x:z",
    ];
    all.extend(urls.map(|url| ("an address", with("https://x.invalid/y", url))));
    let keys = [
        "  ref: --upload-pack=touch\n",
        "  ref: '../../x'\n",
        "  ref: \"\\e[31m\"\n",
        "  file_root: ../../etc\n",
        "  file_root: /etc\n",
        "  pillar_root: a/../../b\n",
        "  token_file: ../x\n",
        "  token_file: \"/a\\nb\"\n",
        "listen: '$(touch OUT)'\n",
        "schedule: '$(touch OUT)'\n",
        "splay: 99999999999999999999s\n",
        "drift: '* * * * * * * *'\n",
        "options: {gpg_keydir: ../x}\n",
        "options: {age_keyfile: relative}\n",
        "\"\\e]0;x\\a\": 1\n",
    ];
    all.extend(keys.map(|key| ("a key", format!("{VALID}{key}").into_bytes())));
    all
}
